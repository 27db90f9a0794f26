//! The seeds of an experiment, as they are written: `0..10` or `0,3,7`.

use std::{fmt, str::FromStr};

use serde::Serialize;

/// As many seeds as anybody can mean; a slip of the finger should not start a million runs.
const MOST: usize = 10_000;

/// Different seeds, in the order in which they were given.
///
/// ```
/// use elegante_experiment::Seeds;
///
/// assert_eq!("0..3".parse::<Seeds>()?.as_slice(), [0, 1, 2]);
/// assert_eq!("7,0,3".parse::<Seeds>()?.as_slice(), [7, 0, 3]);
/// assert!("3..3".parse::<Seeds>().is_err());
/// # Ok::<(), elegante_experiment::SeedsError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Seeds(Vec<u64>);

/// What is wrong with a list of seeds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{given}`: {reason}: write a range without its end, 0..10, or a list, 0,3,7")]
pub struct SeedsError {
    given: String,
    reason: String,
}

impl Seeds {
    /// These seeds, which are different ones.
    pub(crate) fn of(seeds: Vec<u64>) -> Self {
        Self(seeds)
    }

    /// The seeds.
    pub fn as_slice(&self) -> &[u64] {
        &self.0
    }

    /// `seeds` as they are written: as a range where they are one.
    pub fn listed(seeds: &[u64]) -> String {
        let consecutive = seeds.windows(2).all(|pair| pair[0].checked_add(1) == Some(pair[1]));
        match *seeds {
            [first, .., last] if consecutive && last < u64::MAX => format!("{first}..{}", last + 1),
            _ => seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(","),
        }
    }
}

impl FromStr for Seeds {
    type Err = SeedsError;

    fn from_str(text: &str) -> Result<Self, SeedsError> {
        let wrong = |reason: String| SeedsError { given: text.to_owned(), reason };
        let number = |part: &str| {
            let part = part.trim();
            part.parse::<u64>().map_err(|_| wrong(format!("`{part}` is not a seed")))
        };
        let seeds = match text.split_once("..") {
            Some((first, end)) => {
                let (first, end) = (number(first)?, number(end)?);
                let count = end.saturating_sub(first);
                if count > MOST as u64 {
                    return Err(wrong(format!("{count} seeds are more than {MOST}")));
                }
                (first..end).collect()
            }
            None => text.split(',').map(number).collect::<Result<Vec<_>, _>>()?,
        };
        match seeds.len() {
            0 => return Err(wrong("there is no seed in it".into())),
            n if n > MOST => return Err(wrong(format!("{n} seeds are more than {MOST}"))),
            _ => {}
        }
        let mut sorted = seeds.clone();
        sorted.sort_unstable();
        if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(wrong(format!("{} is in it twice", twice[0])));
        }
        Ok(Self(seeds))
    }
}

impl fmt::Display for Seeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Self::listed(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_stop_before_their_end_and_lists_keep_their_order() {
        let read = |text: &str| text.parse::<Seeds>().map(|seeds| seeds.0);
        assert_eq!(read("2..5"), Ok(vec![2, 3, 4]));
        assert_eq!(read("9, 2,5"), Ok(vec![9, 2, 5]));
        assert_eq!(read("4"), Ok(vec![4]));
        assert_eq!(read("18446744073709551615"), Ok(vec![u64::MAX]));
    }

    #[test]
    fn they_are_written_as_they_are_read() {
        for text in ["0..10", "0,3,7", "4", "3,2,1", "18446744073709551614,18446744073709551615"] {
            assert_eq!(text.parse::<Seeds>().unwrap().to_string(), text);
        }
        assert_eq!("4,5,6".parse::<Seeds>().unwrap().to_string(), "4..7");
    }

    #[test]
    fn what_makes_no_sense_says_why() {
        for (text, reason) in [
            ("", "`` is not a seed"),
            ("0..", "`` is not a seed"),
            ("0..=3", "`=3` is not a seed"),
            ("1,x", "`x` is not a seed"),
            ("-1..3", "`-1` is not a seed"),
            ("5..5", "there is no seed in it"),
            ("5..2", "there is no seed in it"),
            ("1,2,1", "1 is in it twice"),
            ("0..18446744073709551615", "more than 10000"),
        ] {
            let error = text.parse::<Seeds>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
