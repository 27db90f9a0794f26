//! One setting that a search varies: its values, and how they are laid out on a line.

use std::fmt;

use elegante_env::EnvRng;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::{ConfigError, Origin, names::nearest, schema::Field};

/// Digits that a drawn number keeps: nobody can tell 0.00031 from 0.000310000017 by its training.
const DIGITS: usize = 4;

/// A setting and the values that it may take.
#[derive(Clone, Debug, PartialEq)]
pub struct Dimension {
    /// The setting, with its dots: `ppo.gamma`.
    pub key: String,
    /// Its values.
    pub domain: Domain,
}

/// The values that a setting may take.
#[derive(Clone, Debug, PartialEq)]
pub enum Domain {
    /// Numbers from `low` to `high`, both included.
    Range {
        /// The smallest.
        low: f64,
        /// The largest.
        high: f64,
        /// How they are spaced.
        scale: Scale,
        /// Whether they are whole numbers.
        whole: bool,
    },
    /// One of these, none nearer to another.
    Choices(Vec<Value>),
}

/// How the numbers of a range are spaced: uniform in what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// In x.
    #[default]
    Linear,
    /// In ln x: as often between 0.001 and 0.01 as between 0.01 and 0.1.
    Log,
    /// In ln(1 − x): as often between 0.9 and 0.99 as between 0.99 and 0.999.
    OneMinusLog,
}

impl Scale {
    fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Log => "log",
            Self::OneMinusLog => "one-minus-log",
        }
    }

    /// x on the line on which the values lie evenly; larger is further in the same direction.
    fn place(self, x: f64) -> f64 {
        match self {
            Self::Linear => x,
            Self::Log => x.ln(),
            Self::OneMinusLog => -(1.0 - x).ln(),
        }
    }

    /// The value at a place, to a few digits.
    fn value(self, place: f64) -> f64 {
        match self {
            Self::Linear => short(place),
            Self::Log => short(place.exp()),
            // The digits that matter are those of the distance to 1; the rest is dust of the subtraction.
            Self::OneMinusLog => ((1.0 - short((-place).exp())) * 1e12).round() / 1e12,
        }
    }
}

impl Dimension {
    /// The dimension that a table of a space file describes, for the setting `field`.
    pub(super) fn read(field: &Field, value: Value, origin: &Origin) -> Result<Self, ConfigError> {
        let key = field.key();
        let wrong = |reason: String| ConfigError::Space {
            key: key.clone(),
            reason,
            origin: origin.clone(),
        };
        let Value::Table(mut table) = value else {
            return Err(wrong(format!(
                "{value} is not a set of values: write {{ low = …, high = … }} or {{ choices = […] }}; what stays as it is belongs into --set or --config"
            )));
        };
        const WORDS: [&str; 4] = ["low", "high", "scale", "choices"];
        if let Some(word) = table.keys().find(|word| !WORDS.contains(&word.as_str())) {
            let near = nearest(word, WORDS);
            return Err(wrong(format!("unknown key `{word}`; the nearest is {}", near[0])));
        }
        let domain = match table.remove("choices") {
            Some(_) if !table.is_empty() => {
                Err("it has both choices and a range; leave one of them".to_owned())
            }
            Some(choices) => choices_of(field, choices),
            None => range_of(field, &table),
        };
        Ok(Self { domain: domain.map_err(wrong)?, key })
    }

    /// Where the line begins and ends that the values lie on, the end not included.
    pub(crate) fn ends(&self) -> (f64, f64) {
        match &self.domain {
            Domain::Choices(choices) => (0.0, choices.len() as f64),
            // Half a step beyond either end, so that the ends come up as often as the others.
            Domain::Range { low, high, scale, whole: true } => {
                (scale.place(low - 0.5), scale.place(high + 0.5))
            }
            Domain::Range { low, high, scale, whole: false } => {
                (scale.place(*low), scale.place(*high))
            }
        }
    }

    /// The value at a place between the ends.
    pub(super) fn value(&self, place: f64) -> Value {
        match &self.domain {
            Domain::Choices(choices) => {
                let index = (place.max(0.0) as usize).min(choices.len() - 1);
                choices[index].clone()
            }
            Domain::Range { low, high, scale, whole: true } => {
                let x = match scale {
                    Scale::Linear => place,
                    _ => place.exp(),
                };
                Value::Integer(x.round().clamp(*low, *high) as i64)
            }
            Domain::Range { low, high, scale, whole: false } => {
                Value::Float(scale.value(place).clamp(*low, *high))
            }
        }
    }

    /// The place of a value; `None` where it is none of the dimension's.
    pub(crate) fn place(&self, value: &Value) -> Option<f64> {
        let (start, end) = self.ends();
        let place = match &self.domain {
            Domain::Choices(choices) => choices.iter().position(|it| it == value)? as f64,
            Domain::Range { low, high, scale, .. } => {
                let x = number(value).filter(|x| (*low..=*high).contains(x))?;
                scale.place(x)
            }
        };
        Some(place.clamp(start, end.next_down()))
    }

    /// A value, each place on the line being as likely as any other.
    pub(super) fn draw(&self, rng: &mut EnvRng) -> Value {
        let (start, end) = self.ends();
        self.value(start + (end - start) * rng.random_f64())
    }

    /// The values that may be too much for a setting: the ends of a range, or all choices.
    pub(super) fn extremes(&self) -> Vec<Value> {
        match &self.domain {
            Domain::Choices(choices) => choices.clone(),
            Domain::Range { low, high, whole, .. } => [*low, *high]
                .map(|x| if *whole { Value::Integer(x as i64) } else { Value::Float(x) })
                .to_vec(),
        }
    }

    /// Whether its values are on a scale from small to large.
    pub(super) fn is_ordered(&self) -> bool {
        match &self.domain {
            Domain::Range { .. } => true,
            Domain::Choices(choices) => {
                let numbers: Option<Vec<f64>> = choices.iter().map(number).collect();
                numbers.is_some_and(|numbers| numbers.is_sorted())
            }
        }
    }
}

impl fmt::Display for Domain {
    /// As a space file has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Choices(choices) => {
                write!(f, "{{ choices = {} }}", Value::Array(choices.clone()))
            }
            Self::Range { low, high, scale, whole } => {
                let end = |x: f64| match whole {
                    true => (x as i64).to_string(),
                    false => figure(x),
                };
                write!(f, "{{ low = {}, high = {}", end(*low), end(*high))?;
                match scale {
                    Scale::Linear => f.write_str(" }"),
                    scale => write!(f, ", scale = \"{}\" }}", scale.name()),
                }
            }
        }
    }
}

fn choices_of(field: &Field, choices: Value) -> Result<Domain, String> {
    let Value::Array(choices) = choices else {
        return Err(format!("choices = {choices}: it must be a list"));
    };
    let mut checked = Vec::new();
    for choice in choices {
        let refused = |expected| format!("{choice} is among the choices: it must be {expected}");
        let mut value = field.check(choice.clone()).map_err(refused)?;
        // As the setting itself is kept, so that 1 and 1.0 are one value.
        if let (Value::Integer(n), Some(Value::Float(_))) = (&value, &field.default) {
            value = Value::Float(*n as f64);
        }
        if checked.contains(&value) {
            return Err(format!("{choice} is among the choices twice"));
        }
        checked.push(value);
    }
    if checked.len() < 2 {
        return Err("a search needs two choices at least".into());
    }
    Ok(Domain::Choices(checked))
}

fn range_of(field: &Field, table: &Table) -> Result<Domain, String> {
    let end = |name: &str| {
        let value = table.get(name).ok_or_else(|| {
            format!("it has no `{name}`: write {{ low = …, high = … }} or {{ choices = […] }}")
        })?;
        let checked = field.check(value.clone());
        let checked = checked
            .map_err(|expected| format!("{name} = {value}: the setting must be {expected}"))?;
        number(&checked).filter(|x| x.is_finite()).ok_or_else(|| {
            format!("{name} = {value}: only numbers have a range; write {{ choices = […] }}")
        })
    };
    let (low, high) = (end("low")?, end("high")?);
    if low >= high {
        return Err(format!("low = {low} is not below high = {high}"));
    }
    let scale = match table.get("scale") {
        None => Scale::Linear,
        Some(given) => given.clone().try_into().map_err(|_| {
            format!("scale = {given}: it must be \"linear\", \"log\" or \"one-minus-log\"")
        })?,
    };
    let whole = field.check(Value::Float(0.5)).is_err();
    match scale {
        Scale::Log if low <= 0.0 => {
            Err(format!("low = {low}: scale \"log\" needs positive numbers"))
        }
        Scale::OneMinusLog if whole || high >= 1.0 => {
            Err(format!("high = {high}: scale \"one-minus-log\" is for fractions below 1"))
        }
        scale => Ok(Domain::Range { low, high, scale, whole }),
    }
}

/// A number of either kind.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(n) => Some(*n as f64),
        Value::Float(x) => Some(*x),
        _ => None,
    }
}

/// x as TOML has it, with an exponent where it is very small or large.
pub(crate) fn figure(x: f64) -> String {
    let plain = x == 0.0 || (1e-3..1e12).contains(&x.abs());
    if plain { Value::Float(x).to_string() } else { format!("{x:e}") }
}

/// x to a few digits that matter.
fn short(x: f64) -> f64 {
    format!("{x:.*e}", DIGITS - 1).parse().unwrap_or(x)
}
