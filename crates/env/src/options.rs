//! Reading options, so that the same mistake gets the same words in every environment.

use std::ops::RangeInclusive;

use crate::{EnvError, Reset};

/// A table of options and the environment that they are for.
#[derive(Clone, Copy)]
pub(crate) struct Options<'a> {
    env: &'static str,
    table: &'a toml::Table,
}

impl<'a> Options<'a> {
    /// What an environment is made with; the registry has refused undeclared names already.
    pub(crate) fn new(env: &'static str, table: &'a toml::Table) -> Self {
        Self { env, table }
    }

    /// What one episode begins with: nothing but `known` names.
    pub(crate) fn of_reset(
        env: &'static str,
        reset: &'a Reset,
        known: &[&str],
    ) -> Result<Self, EnvError> {
        reset.check_options(env, known)?;
        Ok(Self { env, table: &reset.options })
    }

    /// The value as it was given.
    pub(crate) fn get(&self, name: &str) -> Option<&'a toml::Value> {
        self.table.get(name)
    }

    /// The error for a value that can't be.
    pub(crate) fn wrong(&self, option: &str, expected: &'static str) -> EnvError {
        let value = self.get(option).map_or_else(|| "not given".into(), ToString::to_string);
        EnvError::OptionValue { env: self.env.into(), option: option.into(), value, expected }
    }

    /// What `read` makes of the value, or `default` where none was given.
    pub(crate) fn read<T>(
        &self,
        name: &str,
        default: T,
        expected: &'static str,
        read: impl FnOnce(&'a toml::Value) -> Option<T>,
    ) -> Result<T, EnvError> {
        match self.get(name) {
            None => Ok(default),
            Some(value) => read(value).ok_or_else(|| self.wrong(name, expected)),
        }
    }

    /// True or false.
    pub(crate) fn flag(&self, name: &str, default: bool) -> Result<bool, EnvError> {
        self.read(name, default, "true or false", toml::Value::as_bool)
    }

    /// A finite number, with or without a decimal point.
    pub(crate) fn number(&self, name: &str, default: f64) -> Result<f64, EnvError> {
        self.read(name, default, "a finite number", number)
    }

    /// A finite number within a range.
    pub(crate) fn number_in(
        &self,
        name: &str,
        default: f64,
        range: RangeInclusive<f64>,
        expected: &'static str,
    ) -> Result<f64, EnvError> {
        self.read(name, default, expected, |value| number(value).filter(|x| range.contains(x)))
    }

    /// A list of finite numbers.
    pub(crate) fn numbers(&self, name: &str, default: &[f64]) -> Result<Vec<f64>, EnvError> {
        self.read(name, default.to_vec(), "a list of finite numbers", |value| {
            value.as_array()?.iter().map(number).collect()
        })
    }

    /// A list of texts.
    pub(crate) fn texts(&self, name: &str, default: &[&str]) -> Result<Vec<String>, EnvError> {
        let default = default.iter().map(ToString::to_string).collect();
        self.read(name, default, "a list of texts", |value| {
            value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
        })
    }

    /// A whole number within a range.
    pub(crate) fn count(
        &self,
        name: &str,
        default: usize,
        range: RangeInclusive<usize>,
        expected: &'static str,
    ) -> Result<usize, EnvError> {
        self.read(name, default, expected, |value| {
            usize::try_from(value.as_integer()?).ok().filter(|n| range.contains(n))
        })
    }

    /// Gymnasium's `low` and `high`: between what the initial state is drawn.
    pub(crate) fn bounds(&self, low: f64, high: f64) -> Result<(f64, f64), EnvError> {
        let (low, high) = (self.number("low", low)?, self.number("high", high)?);
        let named = if self.get("low").is_some() { "low" } else { "high" };
        if low > high {
            return Err(self.wrong(named, "such that `low` is at most `high`"));
        }
        if !(high - low).is_finite() {
            return Err(self.wrong(named, "such that `high` − `low` is a finite number"));
        }
        Ok((low, high))
    }
}

/// The names of the bounds of an initial state.
pub(crate) const LOW_HIGH: &[&str] = &["low", "high"];

fn number(value: &toml::Value) -> Option<f64> {
    let number = value.as_float().or_else(|| value.as_integer().map(|i| i as f64));
    number.filter(|x| x.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> toml::Table {
        text.parse().unwrap()
    }

    #[test]
    fn values_are_read_or_refused_in_words() {
        let table = table(
            "n = 3\nx = 0.5\nwhole = 2\nlist = [1, 2.5]\nrows = ['a', 'b']\non = true\nbad = nan",
        );
        let options = Options::new("Maze", &table);
        assert_eq!(options.number("x", 0.0).unwrap(), 0.5);
        assert_eq!(options.number("whole", 0.0).unwrap(), 2.0);
        assert_eq!(options.number("missing", 7.0).unwrap(), 7.0);
        assert_eq!(options.numbers("list", &[]).unwrap(), [1.0, 2.5]);
        assert_eq!(options.texts("rows", &[]).unwrap(), ["a", "b"]);
        assert!(options.flag("on", false).unwrap());
        assert_eq!(options.count("n", 1, 1..=3, "").unwrap(), 3);

        let words = options.count("n", 1, 4..=9, "4 to 9").unwrap_err().to_string();
        assert_eq!(words, "Maze: option `n` is 3, but must be 4 to 9");
        for refused in [
            options.number("bad", 0.0).map(|_| ()),
            options.number("on", 0.0).map(|_| ()),
            options.number_in("x", 0.0, 0.6..=1.0, "larger").map(|_| ()),
            options.numbers("x", &[]).map(|_| ()),
            options.texts("list", &[]).map(|_| ()),
            options.flag("n", true).map(|_| ()),
            options.count("x", 0, 0..=9, "whole").map(|_| ()),
        ] {
            assert!(matches!(refused, Err(EnvError::OptionValue { .. })), "{refused:?}");
        }
    }

    #[test]
    fn bounds_stand_in_the_right_order() {
        let read = |text: &str| {
            let reset = Reset { options: table(text), ..Reset::default() };
            Options::of_reset("Maze", &reset, LOW_HIGH)?.bounds(-1.0, 1.0)
        };
        assert_eq!(read("").unwrap(), (-1.0, 1.0));
        assert_eq!(read("low = 0").unwrap(), (0.0, 1.0));
        assert_eq!(read("low = 2\nhigh = 2").unwrap(), (2.0, 2.0));
        let words = read("high = -2").unwrap_err().to_string();
        assert_eq!(
            words,
            "Maze: option `high` is -2, but must be such that `low` is at most `high`"
        );
        assert!(read("low = -1e308\nhigh = 1e308").is_err(), "the width overflows");
        let words = read("lo = 2").unwrap_err().to_string();
        assert_eq!(words, "Maze's reset has no option `lo`; its options are low, high");
    }
}
