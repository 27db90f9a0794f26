//! The figures of a search: what its trials came to, and with which settings.

use std::collections::BTreeMap;

use super::slices::{self, Slice};
use crate::{
    Chart, Series, Shape,
    tune::{StudyRecord, Trial, TrialState, score},
};

/// The colour of trials that are complete.
pub(super) const COMPLETE: usize = 0;
/// That of the best.
pub(super) const BEST: usize = 1;
/// That of the one which the search began with.
pub(super) const START: usize = 2;
const PRUNED: usize = 6;
const FAILED: usize = 7;

/// A search, and what it has to show.
#[derive(Clone, Debug)]
pub(super) struct Search {
    /// What it is called, unlike everything else in the same report.
    pub(super) name: String,
    pub(super) record: StudyRecord,
    /// The configuration that it began with, by name.
    pub(super) settings: BTreeMap<String, String>,
    /// Returns in the order in which the trials ended, if any is over.
    pub(super) history: Option<Chart>,
    /// Returns against each setting, what goes along with them most first; none, if no trial is complete.
    pub(super) slices: Vec<Slice>,
    /// Evaluations on the way, if there are any.
    pub(super) readings: Option<Chart>,
}

impl Search {
    pub(super) fn of(
        name: String,
        record: StudyRecord,
        settings: BTreeMap<String, String>,
    ) -> Self {
        let history = (!record.trials().is_empty()).then(|| history(&name, &record));
        let read = record.trials().iter().any(|trial| !trial.readings.is_empty());
        let readings = read.then(|| readings(&name, &record));
        let slices = slices::of(&name, &record);
        Self { name, record, settings, history, slices, readings }
    }

    /// Its figures with what their files are called after.
    pub(super) fn charts(&self) -> impl Iterator<Item = (String, &Chart)> {
        let slices = self.slices.iter().map(|it| (format!("setting-{}", it.key), &it.chart));
        let named = |name: &str, chart| (name.to_owned(), chart);
        let history = self.history.iter().map(move |chart| named("history", chart));
        let readings = self.readings.iter().map(move |chart| named("readings", chart));
        history.chain(slices).chain(readings)
    }
}

/// What a pointer that rests on a trial is told.
pub(super) fn told(trial: &Trial) -> String {
    let name = format!("trial {}", trial.trial);
    match (trial.state, trial.value, trial.readings.last()) {
        (TrialState::Complete, Some(value), _) => format!("{name}: {}", score(value)),
        (TrialState::Complete, None, _) => name,
        (TrialState::Pruned, _, Some(reading)) => {
            format!("{name}, pruned: {} by then", score(reading.value))
        }
        (TrialState::Pruned, ..) => format!("{name}, pruned"),
        (TrialState::Failed, ..) => format!("{name}, failed"),
    }
}

/// How trials of a state are shown, and what a legend calls them.
fn look(state: TrialState) -> (&'static str, usize, Shape) {
    match state {
        TrialState::Complete => ("complete", COMPLETE, Shape::Disc),
        TrialState::Pruned => ("pruned", PRUNED, Shape::Ring),
        TrialState::Failed => ("failed", FAILED, Shape::Cross),
    }
}

const STATES: [TrialState; 3] = [TrialState::Failed, TrialState::Pruned, TrialState::Complete];

fn history(name: &str, record: &StudyRecord) -> Chart {
    let trials = || record.trials().iter().enumerate().map(|(at, trial)| (at as f64 + 1.0, trial));
    let height = |trial: &Trial| match trial.state {
        TrialState::Complete => trial.value.unwrap_or(f64::NEG_INFINITY),
        TrialState::Pruned => trial.readings.last().map_or(f64::NEG_INFINITY, |it| it.value),
        TrialState::Failed => f64::NEG_INFINITY,
    };
    let of = |state: TrialState| {
        let (name, colour, shape) = look(state);
        let mine = || trials().filter(|(_, trial)| trial.state == state);
        Series {
            name: name.into(),
            points: mine().map(|(at, trial)| (at, height(trial))).collect(),
            point_names: mine().map(|(_, trial)| told(trial)).collect(),
            shape,
            colour: Some(colour),
            ..Series::default()
        }
    };
    let best = Series {
        name: "best so far".into(),
        line: best_so_far(record.trials()),
        colour: Some(BEST),
        ..Series::default()
    };
    let series = [best].into_iter().chain(STATES.map(of));
    Chart {
        title: format!("{name}: history of the search"),
        x_label: "trials that have ended".into(),
        y_label: "mean return".into(),
        x_span: Some([0.5, record.trials().len() as f64 + 0.5]),
        x_whole: true,
        series: series.filter(|it| !it.points.is_empty() || !it.line.is_empty()).collect(),
        ..Chart::default()
    }
}

/// The best value of a complete trial so far, as a line with corners.
fn best_so_far(trials: &[Trial]) -> Vec<(f64, f64)> {
    let mut line: Vec<(f64, f64)> = Vec::new();
    for (at, trial) in trials.iter().enumerate() {
        let at = at as f64 + 1.0;
        let Some(value) = trial.value else { continue };
        match line.last() {
            Some((_, best)) if value <= *best => {}
            Some((_, best)) => line.extend([(at, *best), (at, value)]),
            None => line.push((at, value)),
        }
    }
    if let Some((_, best)) = line.last() {
        line.push((trials.len() as f64, *best));
    }
    line
}

fn readings(name: &str, record: &StudyRecord) -> Chart {
    let steps = record.info().steps as f64;
    let of = |state: TrialState| {
        let (name, colour, shape) = look(state);
        let mine = || record.trials().iter().filter(|trial| trial.state == state);
        // Where one was given up, or failed.
        let ends = || {
            let unfinished = mine().filter(|_| state != TrialState::Complete);
            unfinished.filter_map(|trial| Some((trial, trial.readings.last()?)))
        };
        let curves = |trial| {
            let named = move |(seed, line)| (format!("{}, seed {seed}", told(trial)), line);
            curves(trial, steps).into_iter().map(named)
        };
        let (thin_names, thin) = mine().flat_map(curves).unzip();
        Series {
            name: name.into(),
            thin,
            thin_names,
            points: ends().map(|(_, it)| (it.steps as f64, it.mean_return)).collect(),
            point_names: ends().map(|(trial, _)| told(trial)).collect(),
            shape,
            colour: Some(colour),
            ..Series::default()
        }
    };
    let best = record.best().map(|trial| Series {
        name: format!("best, trial {}", trial.trial),
        line: mean(&curves(trial, steps)),
        colour: Some(BEST),
        ..Series::default()
    });
    let series = STATES.map(of).into_iter().chain(best);
    let drawn = |it: &Series| !it.thin.is_empty() || !it.line.is_empty();
    Chart {
        title: format!("{name}: evaluations on the way"),
        x_label: "environment steps".into(),
        y_label: "mean return".into(),
        x_span: Some([0.0, steps]),
        series: series.filter(drawn).collect(),
        ..Chart::default()
    }
}

/// The evaluations of each seed of a trial, the one at the end of its training included.
fn curves(trial: &Trial, steps: f64) -> BTreeMap<u64, Vec<(f64, f64)>> {
    let mut curves: BTreeMap<u64, Vec<(f64, f64)>> = BTreeMap::new();
    for reading in &trial.readings {
        let at = (reading.steps as f64, reading.mean_return);
        curves.entry(reading.seed).or_default().push(at);
    }
    for score in &trial.scores {
        // A point by itself is no curve.
        if let Some(curve) = curves.get_mut(&score.seed) {
            curve.push((steps, score.mean_return));
        }
    }
    curves
}

/// The mean over the seeds, where all of them were evaluated.
fn mean(curves: &BTreeMap<u64, Vec<(f64, f64)>>) -> Vec<(f64, f64)> {
    let Some(first) = curves.values().next() else { return Vec::new() };
    let at = |steps: f64| -> Option<f64> {
        let of = |curve: &Vec<(f64, f64)>| curve.iter().find(|it| it.0 == steps).map(|it| it.1);
        let values: Option<Vec<f64>> = curves.values().map(of).collect();
        values.map(|values| crate::statistics::mean(&values))
    };
    first.iter().filter_map(|(steps, _)| Some((*steps, at(*steps)?))).collect()
}

#[cfg(test)]
mod tests {
    use elegante_env::Registry;

    use super::*;
    use crate::tune::{
        Params, SeedScore,
        testing::{complete, failed, pruned, reading, write_search},
    };

    fn search(trials: &[Trial]) -> Search {
        let dir = tempfile::tempdir().unwrap();
        write_search(dir.path(), trials);
        let record = StudyRecord::read(dir.path(), &Registry::standard()).unwrap();
        Search::of("mine".into(), record, BTreeMap::new())
    }

    #[test]
    fn the_history_has_every_trial_where_it_ended_and_the_best_so_far_as_steps() {
        let trials =
            [failed(1), complete(0, 5.0), pruned(3, 2, 9.0), complete(2, 7.0), complete(4, 6.0)];
        let history = search(&trials).history.unwrap();
        let of = |name: &str| history.series.iter().find(|it| it.name == name).unwrap();
        let line = &of("best so far").line;
        assert_eq!(line[..], [(2.0, 5.0), (4.0, 5.0), (4.0, 7.0), (5.0, 7.0)]);
        assert_eq!(of("complete").points, [(2.0, 5.0), (4.0, 7.0), (5.0, 6.0)]);
        assert_eq!(of("complete").point_names[1], "trial 2: 7");
        assert_eq!((of("pruned").points[0], of("pruned").shape), ((3.0, 9.0), Shape::Ring));
        let foot = (1.0, f64::NEG_INFINITY);
        assert_eq!((of("failed").points[0], of("failed").shape), (foot, Shape::Cross));
        assert_eq!(of("failed").point_names, ["trial 1, failed"]);
        assert_eq!(history.x_span, Some([0.5, 5.5]));
    }

    #[test]
    fn there_is_no_figure_of_what_has_not_been() {
        let names = |trials: &[Trial]| -> Vec<String> {
            search(trials).charts().map(|(name, _)| name).collect()
        };
        assert_eq!(names(&[]), [""; 0]);
        assert_eq!(names(&[failed(0)]), ["history"]);
        assert_eq!(names(&[pruned(0, 2, 9.0)]), ["history", "readings"]);
        let all = names(&[complete(0, 1.0)]);
        assert_eq!(all[..2], ["history", "setting-network.activation"]);
        assert_eq!(all.len(), 5, "one for each setting: {all:?}");
        let history = search(&[failed(0)]).history.unwrap();
        assert_eq!(history.series.len(), 1, "nothing else is in the legend");
        assert!(!history.to_svg().contains("inf"));
    }

    #[test]
    fn readings_are_a_line_for_each_seed_and_the_best_is_their_mean() {
        let score = |seed, mean_return| SeedScore { seed, mean_return, std_return: 0.0 };
        let mut readings = vec![reading(1, 2.0), reading(2, 4.0), reading(9, 6.0)];
        (readings[2].seed, readings[2].steps) = (1, 100);
        let scores = vec![score(0, 10.0), score(1, 20.0)];
        let trials = [
            Trial::complete(0, Params::new(), scores, readings),
            pruned(1, 3, 1.0),
            complete(2, 3.0),
        ];
        let chart = search(&trials).readings.unwrap();
        let of = |name: &str| chart.series.iter().find(|it| it.name == name).unwrap();
        let lines = &of("complete").thin;
        assert_eq!(lines[0], [(100.0, 2.0), (200.0, 4.0), (800.0, 10.0)]);
        assert_eq!(lines[1], [(100.0, 6.0), (800.0, 20.0)]);
        assert_eq!(lines.len(), 2, "trial 2 was never evaluated on the way");
        assert_eq!(of("complete").thin_names[1], "trial 0: 15, seed 1");
        assert!(of("complete").points.is_empty());
        assert_eq!(of("best, trial 0").line, [(100.0, 4.0), (800.0, 15.0)]);
        assert_eq!((of("pruned").thin[0].len(), of("pruned").points[0]), (1, (300.0, 1.0)));
    }
}
