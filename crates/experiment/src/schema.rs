//! Every key that a configuration may have, with its documentation, default and type, read off the
//! settings themselves: a new field is known here without another word.

use elegante_env::Entry;
use elegante_kernels::Instructions;
use elegante_policy::{MlpConfig, Setting, Settings};
use elegante_trainer::{Algorithm, GuardConfig, RunConfig};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::{
    AlgorithmInfo, CheckpointConfig, ConfigError, LogConfig, algorithms::settings_of,
    names::nearest,
};

/// A table of the file; the first has no heading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Section {
    /// `[name]`, or nothing for the keys at the top.
    pub(crate) name: &'static str,
    /// What stands above it.
    pub(crate) about: &'static str,
}

/// One key of the file.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// The table it stands in; empty at the top.
    pub(crate) section: &'static str,
    /// The key within its table.
    pub(crate) name: String,
    /// The comment above it, a line each.
    pub(crate) doc: Vec<String>,
    /// Its value when nothing is said; `None`: it is not set.
    pub(crate) default: Option<Value>,
    takes: Takes,
}

/// How to find out whether a value is of the right type.
#[derive(Clone, Copy, Debug)]
enum Takes {
    /// A string.
    Text,
    /// Whatever the settings struct of the section reads.
    Struct(fn(Table) -> Result<(), toml::de::Error>),
    /// The same, for the algorithm's struct.
    Algorithm(fn(Table) -> Result<Algorithm, toml::de::Error>),
    /// A value of the default's own type.
    LikeDefault,
}

/// The key `kernels` as a struct, so that it is read like any other.
#[derive(Deserialize)]
struct Kernels {
    #[serde(rename = "kernels")]
    _kernels: Instructions,
}

/// All keys for one environment and algorithm.
pub(crate) struct Schema {
    pub(crate) sections: Vec<Section>,
    pub(crate) fields: Vec<Field>,
}

pub(crate) const ENV_OPTIONS: &str = "env_options";
pub(crate) const NETWORK: &str = "network";
pub(crate) const CHECKPOINTS: &str = "checkpoints";
pub(crate) const GUARD: &str = "guard";
pub(crate) const LOG: &str = "log";

impl Schema {
    pub(crate) fn new(entry: &Entry, algo: &'static AlgorithmInfo) -> Self {
        let head = |name: &str, doc: &str, default: &str| Field {
            section: "",
            name: name.to_owned(),
            doc: vec![doc.to_owned()],
            default: Some(Value::String(default.to_owned())),
            takes: Takes::Text,
        };
        let mut fields = vec![
            head("env", "The environment, by its id.", entry.id()),
            head("algo", "The algorithm; the table of its name holds its settings.", algo.id),
            head(
                "device",
                "Where the networks live: \"auto\", \"flex\", \"ndarray\", \"wgpu\", \"cuda\" or \"cuda:1\".",
                "auto",
            ),
            Field {
                takes: Takes::Struct(|table| table.try_into::<Kernels>().map(drop)),
                ..head(
                    "kernels",
                    "How the CPU rounds: \"fastest\", or \"portable\" for the same bits on every machine.",
                    "fastest",
                )
            },
        ];
        let read = Takes::Struct(|table| table.try_into::<RunConfig>().map(drop));
        fields.extend(of_struct("", RunConfig::SETTINGS, &defaults(&RunConfig::default()), read));
        fields.extend(entry.options().iter().map(|option| Field {
            section: ENV_OPTIONS,
            name: option.name.to_string(),
            doc: option.doc.lines().map(|line| line.trim().to_owned()).collect(),
            default: Some(option.default.clone()),
            takes: Takes::LikeDefault,
        }));
        let read = Takes::Struct(|table| table.try_into::<CheckpointConfig>().map(drop));
        fields.extend(of_struct(
            CHECKPOINTS,
            CheckpointConfig::SETTINGS,
            &defaults(&CheckpointConfig::default()),
            read,
        ));
        let read = Takes::Struct(|table| table.try_into::<MlpConfig>().map(drop));
        fields.extend(of_struct(
            NETWORK,
            MlpConfig::SETTINGS,
            &defaults(&MlpConfig::default()),
            read,
        ));
        let default = (algo.read)(Table::new())
            .and_then(|a| settings_of(&a).map_err(serde::de::Error::custom));
        let read = Takes::Algorithm(algo.read);
        fields.extend(of_struct(algo.id, algo.settings, &default.unwrap_or_default(), read));
        let read = Takes::Struct(|table| table.try_into::<LogConfig>().map(drop));
        fields.extend(of_struct(LOG, LogConfig::SETTINGS, &defaults(&LogConfig::default()), read));

        let read = Takes::Struct(|table| table.try_into::<GuardConfig>().map(drop));
        fields.extend(of_struct(
            GUARD,
            GuardConfig::SETTINGS,
            &defaults(&GuardConfig::default()),
            read,
        ));

        let mut sections = vec![Section { name: "", about: "" }];
        if !entry.options().is_empty() {
            sections.push(Section { name: ENV_OPTIONS, about: "The environment's own options." });
        }
        let about = "How often the whole run is written down on the way.";
        sections.push(Section { name: CHECKPOINTS, about });
        let about = "The hidden layers of the networks.";
        sections.push(Section { name: NETWORK, about });
        sections.push(Section { name: algo.id, about: algo.summary });
        let about = "When to give up a run that has gone astray; a number that is not finite always ends it.";
        sections.push(Section { name: GUARD, about });
        let about = "What is written down beside the usual logs.";
        sections.push(Section { name: LOG, about });
        Self { sections, fields }
    }

    pub(crate) fn is_section(&self, name: &str) -> bool {
        // An environment without options has no such table to show, and an empty one does no harm.
        name == ENV_OPTIONS || self.sections.iter().any(|s| !s.name.is_empty() && s.name == name)
    }

    pub(crate) fn in_section<'a>(&'a self, section: &'a str) -> impl Iterator<Item = &'a Field> {
        self.fields.iter().filter(move |field| field.section == section)
    }

    /// The field called `key`, with its dots.
    pub(crate) fn find(&self, key: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.key() == key)
    }

    /// The known keys nearest to `key`.
    pub(crate) fn nearest(&self, key: &str) -> Vec<String> {
        let keys: Vec<_> = self.fields.iter().map(Field::key).collect();
        nearest(key, keys.iter().map(String::as_str))
    }
}

impl Field {
    /// The key with its dots: `ppo.gamma`.
    pub(crate) fn key(&self) -> String {
        if self.section.is_empty() {
            self.name.clone()
        } else {
            format!("{}.{}", self.section, self.name)
        }
    }

    /// `value` as this key takes it: 1e5 is a whole number too. The error says what would do.
    pub(crate) fn check(&self, value: Value) -> Result<Value, String> {
        if self.takes(&value) {
            return Ok(value);
        }
        let other = match (&value, &self.default) {
            (Value::Float(x), _) => whole(*x).map(Value::Integer),
            (Value::Integer(n), Some(Value::Float(_))) => Some(Value::Float(*n as f64)),
            _ => None,
        };
        other.filter(|other| self.takes(other)).ok_or_else(|| self.expected())
    }

    fn takes(&self, value: &Value) -> bool {
        self.probe(value).is_ok()
    }

    fn probe(&self, value: &Value) -> Result<(), String> {
        let table = || Table::from_iter([(self.name.clone(), value.clone())]);
        let like =
            |sample: &Value| if value.same_type(sample) { Ok(()) } else { Err(String::new()) };
        match self.takes {
            Takes::Text => like(&Value::String(String::new())),
            Takes::LikeDefault => self.default.as_ref().map_or(Ok(()), like),
            Takes::Struct(read) => read(table()).map_err(|e| e.message().to_owned()),
            Takes::Algorithm(read) => read(table()).map(drop).map_err(|e| e.message().to_owned()),
        }
    }

    /// What the key takes, found by trying.
    fn expected(&self) -> String {
        let unlikely = Value::String("\u{0}".into());
        let refusal = self.probe(&unlikely).err().unwrap_or_default();
        if self.takes(&Value::Float(0.5)) {
            "a number".into()
        } else if self.takes(&Value::Integer(-1)) {
            "a whole number".into()
        } else if self.takes(&Value::Integer(1)) {
            "a whole number, 0 or more (and below 2⁶³)".into()
        } else if self.takes(&Value::Boolean(true)) {
            "true or false".into()
        } else if let Some(Value::Array(default)) = &self.default {
            format!("a list of whole numbers, for example {}", Value::Array(default.clone()))
        } else if let Some((_, variants)) = refusal.split_once("expected ") {
            variants.replace('`', "\"")
        } else {
            "a string".into()
        }
    }
}

/// The fields of one settings struct.
fn of_struct(
    section: &'static str,
    settings: &'static [Setting],
    defaults: &Table,
    takes: Takes,
) -> impl Iterator<Item = Field> {
    settings.iter().map(move |setting| Field {
        section,
        name: setting.name.to_owned(),
        doc: setting.doc.iter().map(|line| line.trim().to_owned()).collect(),
        default: defaults.get(setting.name).cloned(),
        takes,
    })
}

/// The values of a settings struct; what is `None` is missing.
pub(crate) fn defaults(settings: &impl Serialize) -> Table {
    Table::try_from(settings).unwrap_or_default()
}

/// x as a whole number, if it is exactly one.
fn whole(x: f64) -> Option<i64> {
    // 2⁶³ as a float is one more than the largest i64.
    let fits = x.fract() == 0.0 && (-(2f64.powi(63))..2f64.powi(63)).contains(&x);
    fits.then_some(x as i64)
}

/// `text` as the value of a `key=value` pair: TOML if it is any, else the string itself.
pub(crate) fn parse_value(text: &str) -> Value {
    let parsed = format!("value = {text}").parse::<Table>();
    match parsed {
        // A line break in the text could have smuggled in further keys.
        Ok(mut table) if table.len() == 1 => table.remove("value"),
        _ => None,
    }
    .unwrap_or_else(|| Value::String(text.to_owned()))
}

/// `key=value` taken apart.
pub(crate) fn parse_pair(pair: &str) -> Result<(&str, Value), ConfigError> {
    match pair.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim(), parse_value(value.trim()))),
        _ => Err(ConfigError::Pair { given: pair.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elegante_env::Registry;

    fn schema() -> Schema {
        let registry = Registry::standard();
        Schema::new(
            &registry.get("CartPole-v1").unwrap(),
            AlgorithmInfo::find("reinforce").unwrap(),
        )
    }

    #[test]
    fn values_are_read_as_toml_or_else_as_text() {
        assert_eq!(parse_value("3"), Value::Integer(3));
        assert_eq!(parse_value("0.5"), Value::Float(0.5));
        assert_eq!(parse_value("[32, 32]").as_array().unwrap().len(), 2);
        assert_eq!(parse_value("total-return"), Value::String("total-return".into()));
        assert_eq!(parse_value("\"quoted\""), Value::String("quoted".into()));
        assert_eq!(parse_value("1\nseed = 2"), Value::String("1\nseed = 2".into()));
        assert!(parse_pair("steps").is_err());
        assert!(parse_pair("=3").is_err());
    }

    #[test]
    fn every_key_takes_its_own_default() {
        for field in schema().fields {
            if let Some(default) = &field.default {
                assert_eq!(field.check(default.clone()).as_ref(), Ok(default), "{}", field.key());
            }
            assert!(!field.doc.concat().is_empty(), "{} has no documentation", field.key());
        }
    }

    #[test]
    fn wrong_types_say_what_would_do() {
        let schema = schema();
        for (key, wrong, expected) in [
            ("steps", "fast", "a whole number, 0 or more"),
            ("steps", "-5", "a whole number, 0 or more"),
            ("steps", "1.5", "a whole number, 0 or more"),
            ("stop_at", "high", "a number"),
            ("reinforce.gamma", "true", "a number"),
            ("reinforce.normalize", "1", "true or false"),
            (
                "reinforce.estimator",
                "best",
                "one of \"total-return\", \"reward-to-go\", \"baseline\"",
            ),
            ("network.hidden", "64", "a list of whole numbers"),
            ("network.hidden", "[-1]", "a list of whole numbers"),
            ("device", "3", "a string"),
        ] {
            let said = schema.find(key).unwrap().check(parse_value(wrong)).unwrap_err();
            assert!(said.starts_with(expected), "{key} = {wrong}: {said}");
        }
    }

    #[test]
    fn whole_numbers_may_be_written_as_floats() {
        let schema = schema();
        let check = |key, text| schema.find(key).unwrap().check(parse_value(text));
        assert_eq!(check("steps", "1e5"), Ok(Value::Integer(100_000)));
        assert_eq!(check("reinforce.gamma", "1"), Ok(Value::Integer(1)), "serde reads it as 1.0");
        assert!(check("steps", "1e30").is_err());
        assert!(check("steps", "inf").is_err());
    }
}
