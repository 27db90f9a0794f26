//! Final evaluations as tables.

use maud::{Markup, html};

use super::Source;
use crate::{
    SeedResult, StopReason, Summary,
    figure::{grouped, signed, whole},
    intervals::figures,
    statistics::Estimate,
};

/// The statistics of each source.
pub(super) fn overall(sources: &[&Source], summaries: &[&Summary]) -> Markup {
    let threshold = summaries.iter().find_map(|summary| summary.passing.as_ref());
    html! {
        div.scroll tabindex="0" role="region" aria-label="Statistics over the seeds" {
            table {
                thead {
                    tr {
                        th scope="col" { "source" }
                        th scope="col" { "seeds" }
                        @for name in ["IQM", "mean", "median"] { th scope="col" { (name) } }
                        @if let Some(passing) = threshold {
                            th scope="col" { "passes " (signed(passing.threshold)) " after" }
                        }
                        th scope="col" { "steps/s" }
                    }
                }
                tbody {
                    @for (source, summary) in sources.iter().zip(summaries) {
                        tr {
                            th scope="row" { (source.name) }
                            td { (summary.finished) " of " (summary.seeds.len()) }
                            @for estimate in [summary.iqm, summary.mean, summary.median] {
                                td { (over_seeds(estimate, summary.finished)) }
                            }
                            @if threshold.is_some() { td { (passing(summary)) } }
                            td { (speed(source)) }
                        }
                    }
                }
            }
        }
        p.quiet {
            "Returns of each seed’s last policy, with 95 % intervals of a stratified bootstrap; IQM is the interquartile mean. Only finished seeds count."
        }
    }
}

/// A statistic with its interval, which one seed has not.
fn over_seeds(estimate: Option<Estimate>, seeds: usize) -> String {
    match estimate {
        Some(estimate) if seeds > 1 => figures(estimate),
        Some(Estimate { value, .. }) => {
            let text = figures(Estimate { value, low: value, high: value });
            text.split(' ').next().unwrap_or_default().to_owned()
        }
        None => "–".into(),
    }
}

/// When the seeds passed the threshold: the median, and of how many.
fn passing(summary: &Summary) -> String {
    let Some(passing) = &summary.passing else { return "–".into() };
    let steps = passing.steps.map_or("–".into(), |estimate| whole(estimate.value));
    format!("{steps} ({} of {})", passing.seeds, summary.finished)
}

/// Environment steps a second of the training, as the mean over the runs.
fn speed(source: &Source) -> String {
    let rates: Vec<f64> = source
        .experiment
        .runs
        .iter()
        .filter_map(|run| run.info.as_ref())
        .map(|info| info.train_steps_per_second)
        .collect();
    if rates.is_empty() { "–".into() } else { whole(crate::statistics::mean(&rates)) }
}

/// Every seed of a source.
pub(super) fn seeds(source: &Source, summary: &Summary) -> Markup {
    let threshold = summary.passing.map(|passing| passing.threshold);
    let label = format!("Seeds of {}", source.name);
    html! {
        details open[summary.seeds.len() <= 20] {
            summary { (source.name) ": every seed" }
            div.scroll tabindex="0" role="region" aria-label=(label) {
                table {
                    thead {
                        tr {
                            th scope="col" { "seed" }
                            th scope="col" { "mean ± std" }
                            th scope="col" { "min" }
                            th scope="col" { "max" }
                            th scope="col" { "steps" }
                            @if let Some(threshold) = threshold {
                                th scope="col" { "training passes " (signed(threshold)) " after" }
                            }
                            th scope="col" { "ended" }
                        }
                    }
                    tbody {
                        @for (result, run) in summary.seeds.iter().zip(&source.experiment.runs) {
                            (seed(result, run, threshold.is_some()))
                        }
                    }
                }
            }
        }
    }
}

fn seed(result: &SeedResult, run: &crate::SeedRun, threshold: bool) -> Markup {
    let number = |x: f64| format!("{x:.1}").replace('-', "−");
    let steps = |steps: Option<u64>| steps.map_or("–".into(), grouped);
    let reached = run.curve.points().last().map(|(steps, _)| *steps);
    let ended = match (&run.info, result.stop) {
        (None, _) => "not finished",
        (_, StopReason::Budget) => "after all its steps",
        (_, StopReason::Solved) => "at the return asked for",
        (_, StopReason::Interrupted) => "interrupted",
        (_, StopReason::Failed) => "failed",
    };
    html! {
        tr {
            th scope="row" { (result.seed) }
            @match &result.evaluation {
                Some(found) => {
                    td { (number(found.mean_return)) " ± " (number(found.std_return)) }
                    td { (number(found.min_return)) }
                    td { (number(found.max_return)) }
                }
                None => { td { "–" } td { "–" } td { "–" } }
            }
            td { (steps(result.steps.or(reached))) }
            @if threshold { td { (steps(result.passes)) } }
            td { (ended) }
        }
    }
}
