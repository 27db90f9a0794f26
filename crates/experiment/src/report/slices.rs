//! The value of a search's trials against each of its settings.

use toml::Value;

use super::search::{BEST, COMPLETE, START, told};
use crate::{
    Chart, Series, Shape,
    tune::{Dimension, Domain, Scale, StudyRecord, Trial, figure},
};

/// Free space on all sides of the points, as a share of the axis.
const MARGIN: f64 = 0.04;
/// Fewer ticks than the first say too little, and more than the second do not go beside each other.
const TICKS: [usize; 2] = [2, 5];

/// The complete trials against one setting.
#[derive(Clone, Debug)]
pub(super) struct Slice {
    /// The setting.
    pub(super) key: String,
    /// The values that were searched.
    pub(super) values: String,
    pub(super) chart: Chart,
}

/// A slice for each setting, in the order of their associations; those without one come last.
pub(super) fn of(name: &str, record: &StudyRecord) -> Vec<Slice> {
    if record.best().is_none() {
        return Vec::new();
    }
    let associations = record.associations();
    let place = |it: &&Dimension| {
        let place = associations.iter().position(|found| found.key == it.key);
        place.unwrap_or(associations.len())
    };
    let mut dimensions: Vec<&Dimension> = record.space().dimensions().iter().collect();
    dimensions.sort_by_key(place);
    dimensions.into_iter().map(|dimension| slice(name, record, dimension)).collect()
}

fn slice(name: &str, record: &StudyRecord, dimension: &Dimension) -> Slice {
    let key = &dimension.key;
    let best = record.best().map(|it| it.trial);
    let is_best = |trial: &Trial| Some(trial.trial) == best;
    let others = ("complete", COMPLETE, Shape::Disc);
    let start = ("trial 0, the beginning", START, Shape::Ring);
    let top = ("the best", BEST, Shape::Disc);
    let series = [
        series(record, dimension, others, |it| it.trial > 0 && !is_best(it)),
        series(record, dimension, start, |it| it.trial == 0),
        series(record, dimension, top, is_best),
    ];
    let (low, high) = dimension.ends();
    let margin = MARGIN * (high - low);
    let (x_ticks, x_whole) = match &dimension.domain {
        Domain::Range { scale: Scale::Linear, whole, .. } => (Vec::new(), *whole),
        _ => (ticks(dimension), false),
    };
    let chart = Chart {
        title: format!("{name}: {key}"),
        x_label: key.clone(),
        y_label: "mean return".into(),
        x_span: Some([low - margin, high + margin]),
        y_span: heights(record),
        x_whole,
        x_ticks,
        series: series.into_iter().filter(|it| !it.points.is_empty()).collect(),
        ..Chart::default()
    };
    Slice { key: key.clone(), values: values(&dimension.domain), chart }
}

/// The same heights for all settings, so that the eye can go from one to the next.
fn heights(record: &StudyRecord) -> Option<[f64; 2]> {
    let values = || record.trials().iter().filter_map(|trial| trial.value);
    let (low, high) = (values().reduce(f64::min)?, values().reduce(f64::max)?);
    let margin = MARGIN * (high - low);
    Some([low - margin, high + margin])
}

/// Some of the complete trials; those whose value of the setting is none of the dimension's have no place.
fn series(
    record: &StudyRecord,
    dimension: &Dimension,
    (name, colour, shape): (&str, usize, Shape),
    is_one: impl Fn(&Trial) -> bool,
) -> Series {
    let at = |trial: &Trial| {
        let (setting, value) = (trial.params.get(&dimension.key)?, trial.value?);
        let point = (middle(dimension, dimension.place(setting)?), value);
        Some((point, format!("{}, {}", told(trial), said(setting))))
    };
    let mine = record.trials().iter().filter(|trial| is_one(trial));
    let (points, point_names) = mine.filter_map(at).unzip();
    let (name, colour) = (name.into(), Some(colour));
    Series { name, points, point_names, shape, colour, ..Series::default() }
}

/// A choice has a stretch of the line, of which it takes the middle.
fn middle(dimension: &Dimension, place: f64) -> f64 {
    match dimension.domain {
        Domain::Choices(_) => place.floor() + 0.5,
        Domain::Range { .. } => place,
    }
}

/// Ticks at the choices, or at round numbers of a scale that is not linear.
fn ticks(dimension: &Dimension) -> Vec<(f64, String)> {
    let tick = |value: &Value| Some((middle(dimension, dimension.place(value)?), said(value)));
    let (low, high, scale) = match &dimension.domain {
        Domain::Choices(choices) => return choices.iter().filter_map(tick).collect(),
        Domain::Range { low, high, scale, .. } => (*low, *high, *scale),
    };
    let near_one = scale == Scale::OneMinusLog;
    let ends = if near_one { (1.0 - high, 1.0 - low) } else { (low, high) };
    let round = [&[1.0][..], &[1.0, 2.0, 5.0], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]];
    let found = round.map(|digits| {
        let numbers = multiples(digits, ends).into_iter();
        let numbers = numbers.map(|x| if near_one { tidy(1.0 - x) } else { x });
        numbers.filter_map(|x| tick(&Value::Float(x))).collect::<Vec<_>>()
    });
    let [few, many] = TICKS;
    let enough = found.into_iter().find(|ticks| ticks.len() >= few);
    let ticks = enough
        .unwrap_or_else(|| [low, high].iter().filter_map(|x| tick(&Value::Float(*x))).collect());
    let stride = ticks.len().div_ceil(many).max(1);
    ticks.into_iter().step_by(stride).collect()
}

/// These digits times all powers of ten, as far as they are between the ends, which are positive.
fn multiples(digits: &[f64], (low, high): (f64, f64)) -> Vec<f64> {
    let powers = low.log10().floor() as i32..=high.log10().ceil() as i32;
    let all = powers.flat_map(|power| digits.iter().map(move |digit| format!("{digit}e{power}")));
    let dust = 1e-9;
    let inside = |x: &f64| (low * (1.0 - dust)..=high * (1.0 + dust)).contains(x);
    all.filter_map(|text| text.parse().ok()).filter(inside).collect()
}

/// x without the dust of a subtraction.
fn tidy(x: f64) -> f64 {
    (x * 1e12).round() / 1e12
}

/// A value as a tick has it.
fn said(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Float(x) if x.fract() == 0.0 && x.abs() < 1e6 => format!("{x}").replace('-', "−"),
        Value::Float(x) => figure(*x).replace('-', "−"),
        value => value.to_string(),
    }
}

/// The values of a setting in words.
fn values(domain: &Domain) -> String {
    match domain {
        Domain::Choices(choices) => {
            let choices: Vec<String> = choices.iter().map(said).collect();
            format!("one of {}", choices.join(", "))
        }
        Domain::Range { low, high, scale, whole } => {
            let numbers = if *whole { ", whole numbers" } else { "" };
            let spaced = match scale {
                Scale::Linear => "",
                Scale::Log => ", evenly in ln x",
                Scale::OneMinusLog => ", evenly in ln(1 − x)",
            };
            let [low, high] = [*low, *high].map(|x| said(&Value::Float(x)));
            format!("{low} to {high}{numbers}{spaced}")
        }
    }
}

#[cfg(test)]
mod tests {
    use elegante_env::Registry;

    use super::*;
    use crate::tune::testing::{complete, failed, pruned, write_search};

    /// Learning rates rise with the return, and nothing else does.
    fn slices(count: u64) -> Vec<Slice> {
        let trial = |number: u64| {
            let rate = 10f64.powi(-5 + (number as i32 % 5));
            let activation = if number.is_multiple_of(2) { "tanh" } else { "relu" };
            let gamma = [0.0, 0.9, 0.99, 0.999][number as usize % 4];
            let params = [
                ("ppo.learning_rate", Value::Float(rate)),
                ("network.activation", Value::String(activation.into())),
                ("ppo.gamma", Value::Float(gamma)),
            ];
            let params = params.map(|(key, value)| (key.to_owned(), value)).into();
            Trial { params, ..complete(number, (number % 5) as f64) }
        };
        let mut trials: Vec<Trial> = (0..count).map(trial).collect();
        for ended in [pruned(98, 1, 3.0), failed(99)] {
            trials.push(Trial { params: trials[0].params.clone(), ..ended });
        }
        let dir = tempfile::tempdir().unwrap();
        write_search(dir.path(), &trials);
        of("mine", &StudyRecord::read(dir.path(), &Registry::standard()).unwrap())
    }

    fn words(slice: &Slice) -> Vec<&str> {
        slice.chart.x_ticks.iter().map(|(_, text)| text.as_str()).collect()
    }

    #[test]
    fn what_goes_along_with_the_return_comes_first_and_only_complete_trials_count() {
        let slices = slices(20);
        assert_eq!(slices[0].key, "ppo.learning_rate");
        assert_eq!(slices.len(), 4);
        for slice in &slices {
            let series = &slice.chart.series;
            let count: usize = series.iter().map(|it| it.points.len()).sum();
            let expected = match slice.key.as_str() {
                // A quarter have a discount that was not to be searched, and none has a clip range.
                "ppo.gamma" => 15,
                "ppo.clip_range" => 0,
                _ => 20,
            };
            assert_eq!(count, expected, "{}", slice.key);
            assert!(
                series.iter().all(|it| !it.points.is_empty()),
                "the legend is of what is there"
            );
            assert_eq!(slice.chart.y_span, slices[0].chart.y_span);
        }
        let of = |name: &str| slices[0].chart.series.iter().find(|it| it.name == name).unwrap();
        let (best, start) = (of("the best"), of("trial 0, the beginning"));
        assert_eq!(best.point_names, ["trial 4: 4, 0.1"]);
        assert_eq!((best.colour, start.points.len()), (Some(BEST), 1));
        assert_eq!(of("complete").points.len(), 18);
    }

    #[test]
    fn a_logarithmic_setting_has_equal_distances_between_powers_of_ten() {
        let slices = slices(20);
        let find = |key: &str| slices.iter().find(|it| it.key == key).unwrap();
        let rate = find("ppo.learning_rate");
        assert_eq!(words(rate), ["1e−5", "1e−4", "0.001", "0.01", "0.1"]);
        let ticks: Vec<f64> = rate.chart.x_ticks.iter().map(|it| it.0).collect();
        let gaps: Vec<f64> = ticks.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().all(|gap| (gap - 10f64.ln()).abs() < 1e-9), "{gaps:?}");
        // The points stand at the ticks.
        for (x, _) in rate.chart.series.iter().flat_map(|it| &it.points) {
            assert!(ticks.iter().any(|tick| (tick - x).abs() < 1e-9), "{x} in {ticks:?}");
        }
        let gamma = find("ppo.gamma");
        assert_eq!(words(gamma), ["0.9999", "0.999", "0.99", "0.9"]);
        assert_eq!(gamma.values, "0.9 to 0.9999, evenly in ln(1 − x)");
        assert_eq!(words(find("network.activation")), ["tanh", "relu"]);
        assert_eq!(words(find("ppo.clip_range")), [""; 0], "the axis finds its own");
    }

    #[test]
    fn ticks_are_round_neither_too_few_nor_too_many() {
        let ticks = |low, high, scale, whole| -> Vec<String> {
            let domain = Domain::Range { low, high, scale, whole };
            let ticks = ticks(&Dimension { key: "x".into(), domain });
            ticks.into_iter().map(|(_, text)| text).collect()
        };
        let log = |low, high| ticks(low, high, Scale::Log, false);
        assert_eq!(log(1e-8, 0.1), ["1e−8", "1e−6", "1e−4", "0.01"]);
        assert_eq!(log(0.3, 5.0), ["0.5", "1", "2", "5"]);
        assert_eq!(log(0.06, 0.08), ["0.06", "0.07", "0.08"]);
        assert_eq!(log(0.061, 0.064), ["0.061", "0.064"]);
        assert_eq!(ticks(8.0, 512.0, Scale::Log, true), ["10", "100"]);
        assert_eq!(ticks(0.95, 0.97, Scale::OneMinusLog, false), ["0.97", "0.96", "0.95"]);
    }
}
