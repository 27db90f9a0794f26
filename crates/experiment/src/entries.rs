//! A configuration as a plain list.

use std::collections::BTreeMap;

use toml::{Table, Value};

/// Every value of `table` by its name with dots; lists stay whole.
pub(crate) fn entries(table: &Table) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    let mut tables = vec![(String::new(), table)];
    while let Some((above, table)) = tables.pop() {
        for (key, value) in table {
            let name = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
            match value {
                Value::Table(inner) => tables.push((name, inner)),
                value => drop(all.insert(name, value.clone())),
            }
        }
    }
    all
}

/// A value as people read it: a string without its quotes.
pub(crate) fn said(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_named_from_the_top_down() {
        let table: Table = "a = 1\n[b]\nc = 'x'\nd = [1, 2]\n[b.e]\nf = true".parse().unwrap();
        let all: Vec<_> = entries(&table).into_iter().map(|(k, v)| (k, said(&v))).collect();
        let expected = [("a", "1"), ("b.c", "x"), ("b.d", "[1, 2]"), ("b.e.f", "true")];
        assert_eq!(all, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }
}
