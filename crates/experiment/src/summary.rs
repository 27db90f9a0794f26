//! What an experiment came to: every seed, and honest statistics over them.

use elegante_policy::write_atomic;
use elegante_trainer::Evaluation;
use serde::Serialize;

use crate::{
    BandPoint, Chart, Experiment, RunError, SeedRun, Series, StopReason, band,
    chart::counted,
    experiment::{experiment_files as files, write_json},
    figure::{grouped, whole},
    statistics::{Estimate, iqm, mean, median},
};

/// Places at which a learning curve is drawn.
const POINTS: usize = 240;

/// The results of an experiment, as `summary.json` has them. No clock is in it: the same seeds give the
/// same bytes, however many ran side by side.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Version of elegante.
    pub version: String,
    /// Git commit that it was built from, or "unknown".
    pub commit: String,
    /// The environment.
    pub env: String,
    /// The algorithm.
    pub algo: String,
    /// Environment steps that each seed was to train for.
    pub steps: u64,
    /// Each seed, in the order in which they were given.
    pub seeds: Vec<SeedResult>,
    /// Seeds that were trained and evaluated to the end; the statistics are over these.
    pub finished: usize,
    /// Interquartile mean of the final evaluations' mean returns.
    pub iqm: Option<Estimate>,
    /// Their mean.
    pub mean: Option<Estimate>,
    /// Their median.
    pub median: Option<Estimate>,
    /// When the training itself passed the environment's threshold, if it has one.
    pub passing: Option<Passing>,
}

/// What one seed reached.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SeedResult {
    /// The seed.
    pub seed: u64,
    /// Why its run ended; `failed` also if it left no result.
    pub stop: StopReason,
    /// Environment steps trained.
    pub steps: Option<u64>,
    /// How its last policy did.
    pub evaluation: Option<Evaluation>,
    /// Steps after which the mean return over 100 training episodes had passed the threshold.
    pub passes: Option<u64>,
}

/// The steps after which the mean return over 100 training episodes first passes a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Passing {
    /// The environment's threshold.
    pub threshold: f64,
    /// Seeds that passed it.
    pub seeds: usize,
    /// The median number of steps; a seed that never passed counts as infinitely many.
    pub steps: Option<Estimate>,
}

impl Summary {
    /// The results of `experiment`.
    pub fn of(experiment: &Experiment) -> Self {
        let info = &experiment.info;
        let scores = experiment.scores();
        let estimate = |statistic: fn(&[f64]) -> f64| {
            (!scores.is_empty()).then(|| Estimate::of(&scores, statistic))
        };
        Self {
            version: info.version.clone(),
            commit: info.commit.clone(),
            env: info.env.clone(),
            algo: info.algo.clone(),
            steps: info.steps,
            seeds: experiment.runs.iter().map(|run| result(run, info.threshold)).collect(),
            finished: scores.len(),
            iqm: estimate(iqm),
            mean: estimate(mean),
            median: estimate(median),
            passing: info.threshold.map(|threshold| passing(experiment, threshold)),
        }
    }

    /// The results as a page of Markdown.
    pub fn to_markdown(&self) -> String {
        let Self { env, algo, seeds, version, commit, .. } = self;
        let (count, steps) = (seeds.len(), grouped(self.steps));
        let commit = commit.get(..10).unwrap_or(commit);
        let mut page = format!(
            "# {env}, {algo}, {count} seeds\n\n{steps} environment steps each; elegante {version}, commit {commit}.\n\n"
        );
        page += &self.seed_table();
        page += "\n";
        page += &self.statistics_table();
        page += &format!(
            "\nEach seed: mean ± standard deviation, minimum and maximum of the last policy's returns. The \
             statistics are over the {} seeds that were finished, with 95 % intervals of a stratified \
             bootstrap; IQM is the interquartile mean.\n",
            self.finished
        );
        if self.finished > 0 {
            page += &format!("\n![Training return against environment steps]({})\n", files::CURVES);
        }
        page
    }

    fn seed_table(&self) -> String {
        let (heading, rule) = match &self.passing {
            Some(passing) => (format!(" training passes {} after |", passing.threshold), "-:|"),
            None => (String::new(), ""),
        };
        let mut table =
            format!("| seed | mean ± std | min | max | steps |{heading}\n|-:|-:|-:|-:|-:|{rule}\n");
        for result in &self.seeds {
            table += &format!("| {} | {} |", result.seed, evaluated(result));
            table += &result.steps.map_or(" |".into(), |steps| format!(" {} |", grouped(steps)));
            if self.passing.is_some() {
                let steps = result.passes.map_or("–".into(), grouped);
                table += &format!(" {steps} |");
            }
            table += "\n";
        }
        table
    }

    fn statistics_table(&self) -> String {
        let mut table = String::from("| over seeds | value | 95 % interval |\n|-|-:|-:|\n");
        for (name, estimate) in [("IQM", self.iqm), ("mean", self.mean), ("median", self.median)] {
            if let Some(Estimate { value, low, high }) = estimate {
                table += &format!(
                    "| {name} of the final return | {value:.1} | [{low:.1}, {high:.1}] |\n"
                );
            }
        }
        if let Some(Passing { threshold, seeds, steps: Some(Estimate { value, low, high }) }) =
            self.passing
        {
            let [value, low, high] = [value, low, high].map(whole);
            let finished = self.finished;
            table += &format!(
                "| median steps until training passes {threshold} ({seeds} of {finished} seeds) | {value} | [{low}, {high}] |\n"
            );
        }
        table
    }
}

fn evaluated(result: &SeedResult) -> String {
    match (&result.evaluation, result.stop) {
        (Some(Evaluation { mean_return, std_return, min_return, max_return, .. }), _) => {
            format!("{mean_return:.1} ± {std_return:.1} | {min_return:.1} | {max_return:.1}")
        }
        (None, StopReason::Interrupted) => "interrupted | |".into(),
        (None, _) => "failed | |".into(),
    }
}

fn result(run: &SeedRun, threshold: Option<f64>) -> SeedResult {
    SeedResult {
        seed: run.seed,
        stop: run.stop(),
        steps: run.info.as_ref().map(|info| info.steps),
        evaluation: run.evaluation().cloned(),
        passes: threshold.and_then(|threshold| run.curve.passes(threshold)),
    }
}

fn passing(experiment: &Experiment, threshold: f64) -> Passing {
    let passes: Vec<Option<u64>> =
        experiment.finished().map(|run| run.curve.passes(threshold)).collect();
    let steps: Vec<f64> =
        passes.iter().map(|steps| steps.map_or(f64::INFINITY, |steps| steps as f64)).collect();
    Passing {
        threshold,
        seeds: passes.iter().flatten().count(),
        steps: (!steps.is_empty()).then(|| Estimate::of(&steps, median)),
    }
}

impl Experiment {
    /// Its learning curves, for a picture with this `name` in the legend.
    pub fn series(&self, name: impl Into<String>) -> Series {
        let curves = self.curves();
        let band = band(&curves, POINTS);
        Series {
            name: name.into(),
            thin: curves.iter().map(|curve| curve.sampled(POINTS as u32)).collect(),
            thin_names: self.finished().map(|run| format!("seed {}", run.seed)).collect(),
            line: band.iter().map(|point| (point.steps, point.iqm)).collect(),
            band: band
                .iter()
                .map(|BandPoint { steps, low, high, .. }| (*steps, *low, *high))
                .collect(),
            ..Series::default()
        }
    }

    /// The picture of its learning curves.
    pub fn chart(&self) -> Chart {
        let info = &self.info;
        Chart {
            title: format!("{} · {}", info.env, info.algo),
            x_label: "environment steps".into(),
            y_label: "training return, mean of 100 episodes".into(),
            rule: info.threshold.map(|at| (at, format!("threshold {at}"))),
            series: vec![self.series(seeds(self.finished().count()))],
            ..Chart::default()
        }
    }

    /// Writes `summary.json`, `summary.md` and, if any seed was finished, `curves.svg`.
    ///
    /// # Errors
    /// When a file can't be written.
    pub fn write_summary(&self) -> Result<Summary, RunError> {
        let summary = Summary::of(self);
        write_json(&self.path.join(files::SUMMARY), &summary)?;
        write_atomic(&self.path.join(files::TABLE), summary.to_markdown().as_bytes())?;
        if summary.finished > 0 {
            write_atomic(&self.path.join(files::CURVES), self.chart().to_svg().as_bytes())?;
        }
        Ok(summary)
    }
}

/// What the legend says of the lines.
fn seeds(count: usize) -> String {
    format!("IQM of {}, 95 % interval; each seed thin", counted(count, "seed"))
}
