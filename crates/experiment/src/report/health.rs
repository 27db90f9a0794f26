//! Whether training was in good health: what each update measured of itself.

use std::{collections::BTreeMap, fs, path::Path};

use serde::Deserialize;
use serde_json::Value;

use super::Source;
use crate::{Chart, RunError, Series, statistics::iqm};

/// What is looked at: the name in `metrics.jsonl`, and what people call it.
/// At last whether it goes by powers of ten, having outliers that would hide everything else.
pub(super) const MEASURES: [(&str, &str, &str, bool); 12] = [
    ("grad_norm", "Gradient norm", "global norm before clipping, by powers of ten", true),
    (
        "grad_variance",
        "Gradient variance",
        "trace of the covariance of successive gradients before clipping, by powers of ten",
        true,
    ),
    ("entropy", "Entropy", "of the policy, in nats", false),
    ("approx_kl", "Approximate KL", "between the policies before and after an update", false),
    ("clip_fraction", "Clip fraction", "share of steps beyond the clip range", false),
    (
        "explained_variance",
        "Explained variance",
        "of the returns by the value function; drawn from −1 on",
        false,
    ),
    ("value_loss", "Value loss", "of the value function, by powers of ten", true),
    ("q_value", "Action values", "mean Q(s, a) of what is learnt from", false),
    ("exploration_rate", "Exploration rate", "chance of a random action", false),
    ("noise_std", "Noise", "mean standard deviation of the weights of noisy networks", false),
    ("std", "Standard deviation", "of the policy's Gaussian", false),
    ("learning_rate", "Learning rate", "the optimiser's step size", false),
];

/// Places at which a measurement is drawn.
const BINS: usize = 100;

/// What the updates of a run measured: steps and value, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Health(BTreeMap<&'static str, Vec<(f64, f64)>>);

#[derive(Deserialize)]
struct Line {
    event: String,
    steps: Option<f64>,
    #[serde(flatten)]
    measured: BTreeMap<String, Value>,
}

impl Health {
    /// Reads a `metrics.jsonl`; nothing if it is not there. Its last line may be half-written.
    pub(super) fn read(path: &Path) -> Result<Self, RunError> {
        let mut health = Self::default();
        if !path.exists() {
            return Ok(health);
        }
        let text = fs::read_to_string(path).map_err(RunError::io(path))?;
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for (number, line) in whole.lines().enumerate() {
            let line: Line = serde_json::from_str(line).map_err(|error| RunError::Damaged {
                path: path.to_owned(),
                reason: format!("line {}: {error}", number + 1),
            })?;
            let (true, Some(steps)) = (line.event == "update", line.steps) else { continue };
            for (key, ..) in MEASURES {
                if let Some(value) = line.measured.get(key).and_then(Value::as_f64) {
                    health.0.entry(key).or_default().push((steps, value));
                }
            }
        }
        Ok(health)
    }
}

/// The pictures of all that any of `sources` has measured, with the measurement's name.
pub(super) fn charts(sources: &[&Source]) -> Vec<(&'static str, &'static str, Chart)> {
    let end = sources.iter().flat_map(|source| &source.health).flat_map(|health| health.0.values());
    let end = end.filter_map(|points| points.last()).map(|(steps, _)| *steps).fold(0.0, f64::max);
    let chart = |(key, title, about, y_powers): (&'static str, &str, &'static str, bool)| {
        let series: Vec<Series> = sources.iter().map(|source| series(source, key, end)).collect();
        let chart = Chart {
            title: title.into(),
            x_label: "environment steps".into(),
            y_label: title.to_lowercase(),
            x_span: Some([0.0, end]),
            y_powers,
            series,
            ..Chart::default()
        };
        (key, about, chart)
    };
    let drawn = MEASURES.into_iter().map(chart);
    drawn.filter(|(.., chart)| chart.series.iter().any(|s| !s.line.is_empty())).collect()
}

/// The interquartile mean over the seeds of each bin's mean, in a band from the smallest to the largest
/// value that any update of any seed has there.
fn series(source: &Source, key: &str, end: f64) -> Series {
    let mut bins: Vec<Bin> = vec![Bin::default(); BINS];
    for points in source.health.iter().filter_map(|health| health.0.get(key)) {
        let mut mine = vec![(0.0, 0.0); BINS];
        for (steps, value) in points {
            let value = if key == "explained_variance" { value.max(-1.0) } else { *value };
            let at = ((steps / end * BINS as f64).ceil() as usize).clamp(1, BINS) - 1;
            mine[at].0 += value;
            mine[at].1 += 1.0;
            bins[at].include(value);
        }
        for (bin, (sum, count)) in bins.iter_mut().zip(mine) {
            if count > 0.0 {
                bin.means.push(sum / count);
            }
        }
    }
    let place = |at: usize| end * (at as f64 + 0.5) / BINS as f64;
    let full = || bins.iter().enumerate().filter(|(_, bin)| !bin.means.is_empty());
    Series {
        name: source.name.clone(),
        line: full().map(|(at, bin)| (place(at), iqm(&bin.means))).collect(),
        band: full().map(|(at, bin)| (place(at), bin.low, bin.high)).collect(),
        ..Series::default()
    }
}

/// The updates of some steps.
#[derive(Clone, Debug)]
struct Bin {
    means: Vec<f64>,
    low: f64,
    high: f64,
}

impl Default for Bin {
    fn default() -> Self {
        Self { means: Vec::new(), low: f64::INFINITY, high: f64::NEG_INFINITY }
    }
}

impl Bin {
    fn include(&mut self, value: f64) {
        (self.low, self.high) = (self.low.min(value), self.high.max(value));
    }
}
