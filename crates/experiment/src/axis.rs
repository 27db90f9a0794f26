//! Axes with round ticks.

/// An axis between two ends.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Axis {
    low: f64,
    high: f64,
    step: f64,
}

impl Axis {
    /// Over all of `values`, with about `count` ticks; to the next tick on both sides if `round`. What
    /// is infinite or NaN has no place on it.
    pub(crate) fn over(values: impl IntoIterator<Item = f64>, count: f64, round: bool) -> Self {
        let ends =
            values.into_iter().filter(|value| value.is_finite()).fold(None, |ends, value| {
                let (low, high): (f64, f64) = ends.unwrap_or((value, value));
                Some((low.min(value), high.max(value)))
            });
        let (low, high) = ends.unwrap_or((0.0, 1.0));
        let (low, high) = if low < high {
            (low, high)
        } else {
            // Around one value: a tenth of it, so that small and large ones have an axis too.
            let margin = if low == 0.0 { 1.0 } else { low.abs() * 0.1 };
            (low - margin, high + margin)
        };
        let step = round_step((high - low) / count);
        if round {
            Self { low: (low / step).floor() * step, high: (high / step).ceil() * step, step }
        } else {
            Self { low, high, step }
        }
    }

    /// Over all of the positive `values`, by their powers of ten: place and ticks are those of the
    /// logarithm to the base 10.
    pub(crate) fn of_powers(values: impl IntoIterator<Item = f64>) -> Self {
        let powers = values.into_iter().filter(|value| *value > 0.0).map(f64::log10);
        let Self { low, high, .. } = Self::over(powers, 1.0, false);
        let (low, high) = (low.floor(), high.ceil());
        Self { low, high, step: ((high - low) / 5.0).ceil().max(1.0) }
    }

    /// With ticks at whole numbers only.
    pub(crate) fn whole(self) -> Self {
        Self { step: self.step.max(1.0), ..self }
    }

    /// Ticks at powers of ten, for an axis [of them](Self::of_powers).
    pub(crate) fn powers(&self) -> Vec<(f64, String)> {
        let label = |power: f64| match power {
            -3.0..=5.0 => {
                let decimals = (-power).max(0.0) as usize;
                format!("{:.decimals$}", 10f64.powf(power))
            }
            _ => format!("1e{power}").replace('-', "−"),
        };
        self.ticks().into_iter().map(|(power, _)| (power, label(power.round()))).collect()
    }

    /// Where `value` stands: 0 at the lower end, 1 at the upper one.
    pub(crate) fn share(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }

    /// The ticks and what they say.
    pub(crate) fn ticks(&self) -> Vec<(f64, String)> {
        let first = (self.low / self.step - 1e-9).ceil() as i64;
        let last = (self.high / self.step + 1e-9).floor() as i64;
        (first..=last).map(|i| i as f64 * self.step).map(|at| (at, self.label(at))).collect()
    }

    fn label(&self, at: f64) -> String {
        let largest = self.low.abs().max(self.high.abs());
        let (unit, name) = match largest {
            x if x >= 2e6 => (1e6, "M"),
            x if x >= 1e4 => (1e3, "k"),
            _ => (1.0, ""),
        };
        if at == 0.0 {
            return "0".into();
        }
        let text = if !(1e-3..1e12).contains(&largest) {
            format!("{at:.1e}")
        } else {
            let decimals = (-(self.step / unit).log10() - 1e-9).ceil().clamp(0.0, 9.0) as usize;
            format!("{:.decimals$}{name}", at / unit)
        };
        text.replace('-', "−")
    }
}

/// The smallest of 1, 2 and 5 times a power of ten that is at least `x`.
fn round_step(x: f64) -> f64 {
    let power = 10f64.powf(x.log10().floor());
    let round = [1.0, 2.0, 5.0, 10.0].into_iter().find(|m| m * power >= x * (1.0 - 1e-9));
    round.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(values: &[f64], count: f64, round: bool) -> Vec<String> {
        let axis = Axis::over(values.iter().copied(), count, round);
        axis.ticks().into_iter().map(|tick| tick.1).collect()
    }

    #[test]
    fn ticks_are_round_and_say_their_unit() {
        assert_eq!(labels(&[0.0, 100_352.0], 5.0, false), ["0", "50k", "100k"]);
        assert_eq!(labels(&[9.0, 497.0], 5.0, true), ["0", "100", "200", "300", "400", "500"]);
        assert_eq!(labels(&[-1503.0, -140.0], 3.0, true), ["−2000", "−1500", "−1000", "−500", "0"]);
        assert_eq!(labels(&[0.0, 3e6], 3.0, false), ["0", "1M", "2M", "3M"]);
        assert_eq!(labels(&[0.02, 0.98], 5.0, true), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(&[0.0, 3e-4], 3.0, true), ["0", "1.0e−4", "2.0e−4", "3.0e−4"]);
    }

    #[test]
    fn one_value_or_none_has_an_axis_too() {
        assert_eq!(labels(&[5.0, 5.0], 2.0, true), ["4.5", "5.0", "5.5"]);
        assert_eq!(labels(&[0.0], 2.0, true), ["−1", "0", "1"]);
        assert_eq!(labels(&[f64::NAN, f64::INFINITY], 2.0, true), ["0", "0.5", "1.0"]);
        let axis = Axis::over([f64::MAX, f64::MIN], 5.0, true);
        assert!(axis.ticks().len() < 100, "{axis:?}");
    }

    #[test]
    fn what_is_counted_has_whole_ticks() {
        let labels = |high: f64| -> Vec<String> {
            let ticks = Axis::over([0.5, high], 8.0, false).whole().ticks();
            ticks.into_iter().map(|tick| tick.1).collect()
        };
        assert_eq!(labels(3.5), ["1", "2", "3"]);
        assert_eq!(labels(40.5), ["5", "10", "15", "20", "25", "30", "35", "40"]);
    }

    #[test]
    fn powers_of_ten_have_ticks_of_their_own() {
        let labels = |values: &[f64]| -> Vec<String> {
            let axis = Axis::of_powers(values.iter().copied());
            axis.powers().into_iter().map(|tick| tick.1).collect()
        };
        assert_eq!(labels(&[0.05, 0.0, -3.0, 312.0]), ["0.01", "0.1", "1", "10", "100", "1000"]);
        assert_eq!(labels(&[1e-9, 1e3]), ["1e−9", "1e−6", "0.001", "1", "1000"]);
        assert_eq!(labels(&[7.0]).len(), 2);
        assert!(labels(&[]).len() > 1);
        assert_eq!(Axis::of_powers([1.0, 100.0]).share(1.0), 0.5);
    }

    #[test]
    fn steps_are_one_two_or_five() {
        let steps = [0.9, 1.0, 1.1, 2.1, 5.1, 34.0, 0.012].map(round_step);
        for (step, expected) in steps.into_iter().zip([1.0, 1.0, 2.0, 5.0, 10.0, 50.0, 0.02]) {
            assert!((step / expected - 1.0).abs() < 1e-9, "{step} is not {expected}");
        }
    }
}
