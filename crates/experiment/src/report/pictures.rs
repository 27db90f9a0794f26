//! The figures of a report: what the sources on one environment have to show.

use super::{Source, health};
use crate::{
    Chart, Curve, Intervals, Row, Series, Summary, band,
    chart::counted,
    curve::BandPoint,
    figure::signed,
    statistics::{Estimate, performance_profile, probability_of_improvement},
};

/// Places at which a learning curve is drawn.
const POINTS: usize = 240;
/// Fewer for each seed, of which there are many.
const THIN_POINTS: u32 = 160;

/// The figures of one environment.
#[derive(Clone, Debug)]
pub(super) struct Pictures {
    /// Training returns against steps.
    pub(super) curves: Chart,
    /// Final returns: interquartile mean, mean and median of each source.
    pub(super) estimates: Option<Intervals>,
    /// How many runs are above which return.
    pub(super) profile: Option<Chart>,
    /// For each two sources, how likely the one is better.
    pub(super) improvement: Option<Intervals>,
    /// What updates measured: name, explanation, picture.
    pub(super) health: Vec<(&'static str, &'static str, Chart)>,
}

impl Pictures {
    /// Those of `sources`, all of which are on the environment `env`.
    pub(super) fn of(env: &str, sources: &[&Source], summaries: &[&Summary]) -> Self {
        // One seed has no interval, and nothing to compare by.
        let scores: Vec<Vec<f64>> = sources
            .iter()
            .map(|source| source.experiment.scores())
            .map(|scores| if scores.len() > 1 { scores } else { Vec::new() })
            .collect();
        let compared = scores.iter().filter(|scores| !scores.is_empty()).count();
        let several = compared > 1;
        Self {
            curves: curves(env, sources),
            estimates: (compared > 0).then(|| estimates(env, sources, summaries)),
            profile: several.then(|| profile(env, sources, &scores)),
            improvement: several.then(|| improvement(env, sources, &scores)),
            health: health::charts(sources),
        }
    }
}

fn curves(env: &str, sources: &[&Source]) -> Chart {
    let threshold = sources.iter().find_map(|source| source.experiment.info.threshold);
    Chart {
        title: format!("{env}: learning curves"),
        x_label: "environment steps".into(),
        y_label: "training return, mean of 100 episodes".into(),
        rule: threshold.map(|at| (at, format!("threshold {}", signed(at)))),
        series: sources.iter().map(|source| learning(source)).collect(),
        ..Chart::default()
    }
}

/// The learning curve of a source: each seed thin, their interquartile mean in its band.
fn learning(source: &Source) -> Series {
    let curves: Vec<Curve> = source.curves().into_iter().cloned().collect();
    let band = band(&curves, POINTS);
    let runs = source.experiment.runs.iter().filter(|run| !run.curve.points().is_empty());
    let thin = runs.clone().map(|run| run.curve.sampled(THIN_POINTS)).collect();
    let named = |run: &crate::SeedRun| {
        let unfinished = if run.evaluation().is_some() { "" } else { ", not finished" };
        format!("{}: seed {}{unfinished}", source.name, run.seed)
    };
    Series {
        name: legend(source),
        thin,
        thin_names: runs.map(named).collect(),
        line: band.iter().map(|point| (point.steps, point.iqm)).collect(),
        band: band.iter().map(|BandPoint { steps, low, high, .. }| (*steps, *low, *high)).collect(),
        ..Series::default()
    }
}

/// What a legend says of a source.
pub(super) fn legend(source: &Source) -> String {
    let (all, finished) = (source.experiment.runs.len(), source.experiment.finished().count());
    let seeds = counted(all, "seed");
    let unfinished = if finished < all { format!(", {finished} finished") } else { String::new() };
    let (name, algo) = (&source.name, &source.experiment.info.algo);
    // Many a name says it already.
    let algo = if name.contains(algo.as_str()) { String::new() } else { format!("{algo}, ") };
    format!("{name} ({algo}{seeds}{unfinished})")
}

fn estimates(env: &str, sources: &[&Source], summaries: &[&Summary]) -> Intervals {
    let rows = |(series, (source, summary)): (usize, (&&Source, &&Summary))| {
        let of = [("IQM", summary.iqm), ("mean", summary.mean), ("median", summary.median)];
        let name = source.name.clone();
        let several = summary.finished > 1;
        let row = move |(statistic, estimate): (&str, Option<Estimate>)| {
            let estimate = estimate.filter(|_| several);
            Some(Row { name: format!("{name}, {statistic}"), series, estimate: estimate? })
        };
        of.into_iter().filter_map(row).collect::<Vec<_>>()
    };
    Intervals {
        title: format!("{env}: final returns with 95 % intervals"),
        x_label: "final return".into(),
        rows: sources.iter().zip(summaries).enumerate().flat_map(rows).collect(),
        ..Intervals::default()
    }
}

fn profile(env: &str, sources: &[&Source], scores: &[Vec<f64>]) -> Chart {
    let mut places: Vec<f64> = scores.concat();
    places.sort_by(f64::total_cmp);
    places.dedup();
    let ends = [places[0], places[places.len() - 1]];
    // A little beyond both, so that where all runs are above and where none is can be seen.
    let margin = if ends[0] < ends[1] { 0.04 * (ends[1] - ends[0]) } else { 1.0 };
    let ends = [ends[0] - margin, ends[1] + margin];
    let series = sources.iter().zip(scores).map(|(source, scores)| {
        let profile = performance_profile(scores, &places);
        let steps =
            |of: fn(&Estimate) -> f64| stairs(ends, profile.iter().map(|(at, e)| (*at, of(e))));
        let (line, low, high) = (steps(|e| e.value), steps(|e| e.low), steps(|e| e.high));
        let band = low.into_iter().zip(high).map(|((x, low), (_, high))| (x, low, high));
        Series { name: legend(source), line, band: band.collect(), ..Series::default() }
    });
    Chart {
        title: format!("{env}: performance profiles"),
        x_label: "final return τ".into(),
        y_label: "share of seeds above τ".into(),
        x_span: Some(ends),
        y_span: Some([0.0, 1.0]),
        series: series.collect(),
        ..Chart::default()
    }
}

/// A function that is 1 at first and jumps at each place, as a line with corners. Nothing, if it never
/// jumps.
fn stairs(ends: [f64; 2], jumps: impl Iterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    let mut line = vec![(ends[0], 1.0)];
    let mut height = 1.0;
    for (at, next) in jumps {
        line.extend([(at, height), (at, next)]);
        height = next;
    }
    line.push((ends[1], height));
    if line.len() > 2 { line } else { Vec::new() }
}

fn improvement(env: &str, sources: &[&Source], scores: &[Vec<f64>]) -> Intervals {
    let with_scores = || sources.iter().zip(scores).enumerate().filter(|(_, (_, s))| !s.is_empty());
    let rows = with_scores().flat_map(|(i, (a, x))| {
        with_scores().filter(move |(j, _)| *j > i).map(move |(_, (b, y))| Row {
            name: format!("{} better than {}", a.name, b.name),
            series: i,
            estimate: Estimate::of_two(x, y, probability_of_improvement),
        })
    });
    Intervals {
        title: format!("{env}: probability of improvement"),
        x_label: "probability that a run of the first returns more".into(),
        x_span: Some([0.0, 1.0]),
        rule: Some(0.5),
        rows: rows.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stairs_go_down_where_the_runs_are() {
        let line = stairs([0.0, 10.0], [(2.0, 0.5), (8.0, 0.0)].into_iter());
        let expected = [(0.0, 1.0), (2.0, 1.0), (2.0, 0.5), (8.0, 0.5), (8.0, 0.0), (10.0, 0.0)];
        assert_eq!(line, expected);
        assert!(stairs([0.0, 1.0], std::iter::empty()).is_empty());
    }
}
