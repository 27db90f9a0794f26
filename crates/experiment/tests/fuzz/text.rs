//! Damage to bytes of any kind, and to configuration files in particular.

use crate::draw::Draw;

/// Values as somebody's typing, a script or a broken disk might leave them in a TOML file.
const VALUES: [&str; 34] = [
    "0",
    "1",
    "-1",
    "2",
    "0.5",
    "-0.0",
    "1e308",
    "1e-320",
    "nan",
    "-inf",
    "inf",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "1_000_000",
    "4294967296",
    "0x7fffffffffffffff",
    "\"\"",
    "\"auto\"",
    "\"\\u0000\"",
    "\"constant\"",
    "true",
    "false",
    "[]",
    "[0]",
    "[-1]",
    "[4294967295, 4294967295]",
    "[1, \"two\"]",
    "[[[[[[[[1]]]]]]]]",
    "{}",
    "{ a = 1 }",
    "1979-05-27",
    "2000000000",
    "[9007199254740993]",
];

/// Damage to any file.
pub(crate) fn bytes(good: &[u8], draw: &mut Draw) -> (&'static str, Vec<u8>) {
    let mut bad = good.to_vec();
    let at = draw.below(bad.len());
    let class = match draw.below(6) {
        0 => {
            bad[at] ^= 1 << draw.below(8);
            "a bit flipped"
        }
        1 => {
            bad[at] = draw.next() as u8;
            "a byte replaced"
        }
        2 => {
            bad.truncate(at);
            "cut short"
        }
        3 => {
            let more = (0..1 + draw.below(64)).map(|_| draw.next() as u8).collect::<Vec<_>>();
            bad.splice(at..at, more);
            "bytes put in"
        }
        4 => {
            let end = (at + 1 + draw.below(64)).min(bad.len());
            bad.drain(at..end);
            "bytes left out"
        }
        _ => {
            let end = (at + 1 + draw.below(512)).min(bad.len());
            let to = draw.below(bad.len() - (end - at) + 1);
            bad.copy_within(at..end, to);
            "bytes copied elsewhere"
        }
    };
    (class, bad)
}

/// Damage to the lines of a TOML file.
pub(crate) fn toml(good: &str, draw: &mut Draw) -> (&'static str, Vec<u8>) {
    let mut lines: Vec<String> = good.lines().map(str::to_owned).collect();
    let values: Vec<usize> = (0..lines.len())
        .filter(|i| lines[*i].contains(" =") && !lines[*i].starts_with("# "))
        .collect();
    let at = draw.one_of(&values);
    let key = lines[at].split(" =").next().unwrap_or_default().to_owned();
    let class = match draw.below(8) {
        0 | 1 => {
            lines[at] = format!("{key} = {}", draw.one_of(&VALUES));
            "another value"
        }
        2 => {
            let number = f64::from_bits(draw.next());
            lines[at] = format!("{key} = {number:?}").replace("NaN", "nan");
            "any number"
        }
        3 => {
            lines[at] = format!("{}{} = 1", key, draw.one_of(&["x", ".x", "\"", "=", "]", " "]));
            "another key"
        }
        4 => {
            let line = lines[at].clone();
            lines.insert(draw.below(lines.len()), line);
            "a line twice"
        }
        5 => {
            lines.remove(at);
            "a line less"
        }
        6 => {
            let deep = "[".repeat(1 << draw.below(14));
            lines[at] = format!("{key} = {deep}");
            "nested deep"
        }
        _ => {
            let headings: Vec<usize> =
                (0..lines.len()).filter(|i| lines[*i].starts_with('[')).collect();
            lines[draw.one_of(&headings)] = draw
                .one_of(&["[ppo]", "[a2c]", "[network", "[[ppo]]", "[env_options]", "[x]", ""])
                .into();
            "another table"
        }
    };
    (class, (lines.join("\n") + "\n").into_bytes())
}
