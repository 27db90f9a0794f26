//! `elegante compare`.

use std::path::Path;

use elegante::{
    experiment::{
        Chart, Experiment, json_line,
        statistics::{Estimate, iqm, probability_of_improvement},
    },
    policy::write_atomic,
};
use serde::Serialize;

use crate::{
    args::{CompareArgs, PNG_SCALE},
    exit::{Misuse, Outcome},
    output::Output,
};

pub(crate) fn run(args: &CompareArgs, output: &mut Output) -> anyhow::Result<Outcome> {
    let [a, b] = [open(&args.a)?, open(&args.b)?];
    if a.info.env != b.info.env {
        return Err(Misuse(format!(
            "{} is of {} and {} of {}: returns of different environments can't be compared",
            args.a.display(),
            a.info.env,
            args.b.display(),
            b.info.env
        ))
        .into());
    }
    let (x, y) = (a.scores(), b.scores());
    let comparison = Comparison {
        env: &a.info.env,
        a: Side::of(&a, &x),
        b: Side::of(&b, &y),
        improvement: Estimate::of_two(&x, &y, probability_of_improvement),
        difference: Estimate::of_two(&x, &y, |x, y| iqm(x) - iqm(y)),
    };
    if let Some(file) = &args.svg {
        write_atomic(file, chart(&a, &b).to_svg().as_bytes())?;
    }
    if let Some(file) = &args.png {
        write_atomic(file, &chart(&a, &b).figure().to_png(PNG_SCALE)?)?;
    }
    if args.json {
        output.line(&json_line("comparison", &comparison))?;
    } else {
        comparison.tell(output)?;
    }
    Ok(Outcome::Complete)
}

/// The experiment in `path`, which has something to compare.
fn open(path: &Path) -> anyhow::Result<Experiment> {
    let experiment = Experiment::read(path)?;
    if experiment.finished().next().is_none() {
        let path = path.display();
        return Err(Misuse(format!("{path}: none of its seeds was trained to the end")).into());
    }
    Ok(experiment)
}

#[derive(Serialize)]
struct Comparison<'a> {
    env: &'a str,
    a: Side<'a>,
    b: Side<'a>,
    /// P(a run of A returns more than one of B) + ½ P(they return the same).
    #[serde(rename = "probability_of_improvement")]
    improvement: Estimate,
    /// IQM of A minus IQM of B.
    #[serde(rename = "iqm_difference")]
    difference: Estimate,
}

#[derive(Serialize)]
struct Side<'a> {
    experiment: &'a Path,
    algo: &'a str,
    seeds: usize,
    steps: u64,
    iqm: Estimate,
}

impl<'a> Side<'a> {
    fn of(experiment: &'a Experiment, scores: &[f64]) -> Self {
        Self {
            experiment: &experiment.path,
            algo: &experiment.info.algo,
            seeds: scores.len(),
            steps: experiment.info.steps,
            iqm: Estimate::of(scores, iqm),
        }
    }
}

impl Comparison<'_> {
    fn tell(&self, output: &mut Output) -> anyhow::Result<()> {
        let paint = output.paint;
        let how = "95 % bootstrap interval; returns of the last policies";
        output.line(&format!("{}  {}", self.env, paint.dim(how)))?;
        for (name, side) in [("A", &self.a), ("B", &self.b)] {
            let (algo, seeds, path) = (side.algo, side.seeds, side.experiment.display());
            let iqm = interval(side.iqm, 1);
            output.line(&format!("{name}         IQM {iqm}  {algo}, {seeds} seeds, {path}"))?;
        }
        let bold = |estimate, decimals| paint.green(&paint.bold(&interval(estimate, decimals)));
        output.line(&format!("A − B     {}", bold(self.difference, 1)))?;
        output.line(&format!("P(A > B)  {}", bold(self.improvement, 2)))?;
        if self.a.steps != self.b.steps {
            output.note(&format!(
                "they were trained for different numbers of steps, {} and {}",
                self.a.steps, self.b.steps
            ));
        }
        Ok(())
    }
}

fn interval(Estimate { value, low, high }: Estimate, decimals: usize) -> String {
    format!("{value:.decimals$} [{low:.decimals$}, {high:.decimals$}]")
}

/// Both experiments' curves in one picture.
fn chart(a: &Experiment, b: &Experiment) -> Chart {
    let mut chart = a.chart();
    chart.title.clone_from(&a.info.env);
    chart.series = [a, b].map(|side| side.series(name(side))).into();
    chart
}

/// What the legend says: two experiments with one algorithm differ in their directories.
fn name(experiment: &Experiment) -> String {
    let path = experiment.path.file_name().unwrap_or(experiment.path.as_os_str());
    format!(
        "{} ({}): IQM of {} seeds, 95 % interval; each seed thin",
        path.to_string_lossy(),
        experiment.info.algo,
        experiment.finished().count()
    )
}
