//! A search as a part of the page.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::{
    page::{chart, key, svg},
    search::{COMPLETE, Search},
};
use crate::{
    Chart, Series,
    chart::{Size, counted},
    figure::grouped,
    tune::{Trial, TrialState, reached, score, seeds, shown, state},
};

/// More trials than this are put away.
const MANY: usize = 20;

pub(super) fn section(search: &Search, number: usize) -> Markup {
    let id = |what: &str| format!("search-{number}-{what}");
    html! {
        section {
            h2 id={ "search-" (number) } { "Search: " (search.name) }
            (about(search))
            (best(search))
            @if let Some(history) = &search.history {
                h3 { "History" }
                (legend([history]))
                (chart(history, &id("history"), "Every trial in the order in which they ended. One that was pruned stands at what it had come to by then, one that failed at the foot. The line is the best complete trial so far."))
            }
            (slices(search, &id("setting")))
            (associations(search))
            @if let Some(readings) = &search.readings {
                h3 { "Evaluations on the way" }
                (legend([readings]))
                (chart(readings, &id("readings"), "What pruning goes by: the mean return at each evaluation of each seed of a trial, and at its end. A ring is where a trial was given up; the thick line is the best trial’s mean over its seeds."))
            }
            (trials(search))
            details {
                summary { "The configuration that the search began with" }
                (settings(search))
            }
        }
    }
}

/// What was asked for, and how far it has come.
fn about(search: &Search) -> Markup {
    let record = &search.record;
    let info = record.info();
    let count = |state| record.trials().iter().filter(|it| it.state == state).count();
    let over = record.trials().len();
    let every = match info.evaluate_every {
        0 => String::new(),
        every => format!(", with an evaluation every {} steps", grouped(every)),
    };
    let dimensions = record.space().dimensions();
    html! {
        dl {
            dt { "What" }
            dd { (info.algo) " on " (info.env) ", " (counted(dimensions.len(), "setting")) " varied" }
            dt { "Trials" }
            dd {
                (count(TrialState::Complete)) " complete, " (count(TrialState::Pruned)) " pruned, "
                (count(TrialState::Failed)) " failed"
                @if (over as u64) < info.trials {
                    "; " strong { "not finished: " (grouped(over as u64)) " of " (grouped(info.trials)) " are over" }
                }
            }
            dt { "Each trial" }
            dd {
                (grouped(info.steps)) " environment steps with "
                (seeds(&info.seeds)) (every)
            }
            dt { "Sampler" }
            dd { (info.sampler) }
            dt { "Pruner" }
            dd { (info.pruner) }
            dt { "Program" }
            dd { "elegante " (info.version) ", commit " (info.commit) }
        }
    }
}

/// The best trial beside what the search began with.
fn best(search: &Search) -> Markup {
    let record = &search.record;
    let first = record.trials().iter().find(|it| it.trial == 0);
    let began = first.map_or("not over", |first| match first.state {
        TrialState::Complete => "",
        TrialState::Pruned => "pruned",
        TrialState::Failed => "failed",
    });
    let began = first.and_then(|it| it.value).map_or(began.to_owned(), score);
    let start = record.start();
    let info = record.info();
    html! {
        h3 { "The best trial" }
        @if let Some(Trial { trial, value: Some(value), params, .. }) = record.best() {
            div.scroll tabindex="0" role="region" aria-label="The best trial" {
                table.words {
                    thead {
                        tr {
                            th scope="col" { "setting" }
                            th scope="col" { "best: trial " (trial) }
                            th scope="col" { "beginning: trial 0" }
                        }
                    }
                    tbody {
                        tr {
                            th scope="row" { "mean return" }
                            td { strong { (score(*value)) } }
                            td { (began) }
                        }
                        @for dimension in record.space().dimensions() {
                            @let key = &dimension.key;
                            tr {
                                th scope="row" { code { (key) } }
                                td { (shown(params, key)) }
                                td { (shown(&start, key)) }
                            }
                        }
                    }
                }
            }
            p.quiet {
                "The best of many is optimistic: it was chosen by its luck too. What the configuration is worth shows on seeds that the search has never seen: "
                code { "elegante train " (info.env) " --config " (record.file(crate::tune::study_files::BEST).display()) " --seeds " (info.fresh_seeds()) }
            }
        } @else if record.trials().is_empty() {
            p { "No trial is over yet." }
        } @else {
            p { "No trial is complete yet." }
        }
    }
}

fn slices(search: &Search, id: &str) -> Markup {
    html! {
        @if !search.slices.is_empty() {
            h3 { "Settings" }
            (legend(search.slices.iter().map(|slice| &slice.chart)))
            p.quiet { "The mean return of every complete trial against each setting that varies, what goes along with the return most first. A value that is not set, or is outside of what was searched, has no place." }
            div.grid-of {
                @for (i, slice) in search.slices.iter().enumerate() {
                    figure {
                        h4 { code { (slice.key) } }
                        (svg(&slice.chart.sized(Size::SMALL), &format!("{id}-{i}")))
                        figcaption { (slice.values) }
                    }
                }
            }
        }
    }
}

fn associations(search: &Search) -> Markup {
    let associations = search.record.associations();
    let (judged, chance) = search.record.chance();
    html! {
        @if !associations.is_empty() {
            h3 { "Which settings went along with the return" }
            div.scroll tabindex="0" role="region" aria-label="Associations of settings with the return" {
                table {
                    thead { tr { th scope="col" { "setting" } th scope="col" { "association" } } }
                    tbody {
                        @for association in &associations {
                            tr {
                                th scope="row" { code { (association.key) } }
                                td { (association.text) }
                            }
                        }
                    }
                }
            }
            p.quiet {
                "ρ is Spearman’s rank correlation with the order of the trials, failed ones left out: near 1, larger values came with higher returns, near −1 with lower ones, and a best value in the middle shows as 0. η, for choices, is the correlation ratio of the ranks, between 0 and 1. Each setting is looked at by itself, and the sampler tries good values more often than others, so take it as a hint. Of "
                (judged) " trials, chance alone makes up to about ±" (format!("{chance:.2}")) "."
            }
        }
    }
}

/// All trials, the best first.
fn trials(search: &Search) -> Markup {
    let record = &search.record;
    let keys: Vec<&str> = record.space().dimensions().iter().map(|it| it.key.as_str()).collect();
    let ranked = record.ranked();
    let of = |trial: &Trial| match trial.state {
        TrialState::Complete => "complete".to_owned(),
        _ => state(trial),
    };
    let table = html! {
        div.scroll tabindex="0" role="region" aria-label={ "Trials of " (search.name) } {
            table {
                thead {
                    tr {
                        th scope="col" { "trial" }
                        th scope="col" { "mean return" }
                        th.note scope="col" { "how it ended" }
                        @for key in &keys { th scope="col" { code { (key) } } }
                    }
                }
                tbody {
                    @for trial in &ranked {
                        tr {
                            th scope="row" { (trial.trial) }
                            td { (reached(trial)) }
                            td.note { (of(trial)) }
                            @for key in &keys { td { (shown(&trial.params, key)) } }
                        }
                    }
                }
            }
        }
    };
    html! {
        @if !ranked.is_empty() {
            h3 { "Trials" }
            p.quiet { "The best first; a trial that was pruned shows what it had come to by then." }
            @if ranked.len() > MANY {
                details {
                    summary { "All " (grouped(ranked.len() as u64)) " trials" }
                    (table)
                }
            } @else { (table) }
        }
    }
}

fn settings(search: &Search) -> Markup {
    let varied: BTreeSet<&str> =
        search.record.space().dimensions().iter().map(|it| it.key.as_str()).collect();
    html! {
        div.scroll tabindex="0" role="region" aria-label={ "Configuration of " (search.name) } {
            table.words {
                thead { tr { th scope="col" { "setting" } th scope="col" { "value" } } }
                tbody {
                    @for (key, value) in &search.settings {
                        tr {
                            th scope="row" { code { (key) } }
                            td { (value) @if varied.contains(key.as_str()) { " (varied)" } }
                        }
                    }
                }
            }
        }
    }
}

/// The legend of one chart, or of several together.
fn legend<'a>(charts: impl IntoIterator<Item = &'a Chart>) -> Markup {
    let mut all: Vec<&Series> = Vec::new();
    for series in charts.into_iter().flat_map(|chart| &chart.series) {
        if !all.iter().any(|known| known.name == series.name) {
            all.push(series);
        }
    }
    html! {
        ul.legend {
            @for series in all {
                li { (key(series, series.colour.unwrap_or(COMPLETE))) (series.name) }
            }
        }
    }
}
