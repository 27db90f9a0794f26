//! The report as a page.
//!
//! maud escapes whatever is put into it. Two things are put in as they are: the style sheet, and the
//! figures, which escape what they say themselves.

use std::collections::BTreeSet;

use base64::{Engine, prelude::BASE64_STANDARD};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{
    Film, Report, Source,
    pictures::{Pictures, legend},
    search_page,
    source::OWN,
    tables::{overall, seeds},
};
use crate::{
    Chart, Figure, Intervals, Series, Summary, VERSION,
    chart::{Size, counted},
    figure::{self, grouped},
};

const STYLE: &str = include_str!("page.css");

/// No network, no scripts, whatever the page says.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

pub(super) fn html(report: &Report) -> String {
    let title = title(report);
    let style = format!("{STYLE}{}", figure::css());
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content={ "elegante " (VERSION) };
                title { (title) }
                style { (PreEscaped(style)) }
            }
            body {
                header {
                    h1 { (title) }
                    (about(report))
                    (contents(report))
                }
                main {
                    @for (i, (env, places, pictures)) in report.envs.iter().enumerate() {
                        (environment(report, i, env, places, pictures))
                    }
                    @for (i, search) in report.searches.iter().enumerate() {
                        (search_page::section(search, i))
                    }
                    (films(report))
                    @if !report.sources.is_empty() { (configuration(report)) }
                }
                (footer())
            }
        }
    }
    .into_string()
}

/// What was trained on what, and what was searched.
fn title(report: &Report) -> String {
    let searches = || report.searches.iter().map(|search| search.record.info());
    let envs = report.envs.iter().map(|(env, ..)| env.clone());
    let envs = envs.chain(searches().map(|info| info.env.clone()));
    let algos = report.sources.iter().map(|source| source.experiment.info.algo.clone());
    let algos = algos.chain(searches().map(|info| format!("search of {}", info.algo)));
    format!("{}: {}", each_once(envs).join(", "), each_once(algos).join(", "))
}

fn each_once(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut once = Vec::new();
    for name in names {
        if !once.contains(&name) {
            once.push(name);
        }
    }
    once
}

/// What, when, with which program, where.
fn about(report: &Report) -> Markup {
    let infos = || {
        let runs = report.sources.iter().flat_map(|source| &source.experiment.runs);
        runs.filter_map(|run| run.info.as_ref())
    };
    let trained =
        report.sources.iter().map(|it| &it.experiment.info).map(|it| (&it.version, &it.commit));
    let searched =
        report.searches.iter().map(|it| it.record.info()).map(|it| (&it.version, &it.commit));
    let builds: BTreeSet<String> = trained
        .chain(searched)
        .map(|(version, commit)| format!("elegante {version}, commit {commit}"))
        .collect();
    let machines: BTreeSet<&String> = infos().filter_map(|info| info.machine.as_ref()).collect();
    let devices: BTreeSet<String> =
        infos().map(|info| format!("{} ({})", info.device, info.backend)).collect();
    let ended = || infos().filter_map(|info| info.ended.as_ref());
    let seconds: f64 = infos().map(|info| info.train_seconds).sum();
    html! {
        dl {
            dt { "What" }
            dd {
                @for (i, source) in report.sources.iter().enumerate() {
                    @if i > 0 { br; }
                    strong { (source.name) } ": "
                    (source.experiment.info.algo) " on " (source.experiment.info.env) ", "
                    (counted(source.experiment.runs.len(), "seed")) ", "
                    (grouped(source.experiment.info.steps)) " environment steps each"
                    @let finished = source.experiment.finished().count();
                    @if finished < source.experiment.runs.len() { "; " (finished) " finished" }
                }
                @for (i, search) in report.searches.iter().enumerate() {
                    @if i > 0 || !report.sources.is_empty() { br; }
                    @let info = search.record.info();
                    strong { (search.name) } ": search of " (info.algo) " on " (info.env) ", "
                    (counted(info.trials as usize, "trial")) " of " (grouped(info.steps))
                    " environment steps for " (counted(info.seeds.len(), "seed"))
                }
            }
            @if let (Some(first), Some(last)) = (ended().min(), ended().max()) {
                dt { "When" }
                dd {
                    "ended " (first.replace('T', " "))
                    @if first != last { " to " (last.replace('T', " ")) }
                    "; " (span(seconds)) " of training in all"
                }
            }
            dt { "Program" }
            dd { @for (i, build) in builds.iter().enumerate() { @if i > 0 { br; } (build) } }
            @if !machines.is_empty() || !devices.is_empty() {
                dt { "Machine" }
                dd {
                    @for (i, machine) in machines.iter().enumerate() { @if i > 0 { br; } (machine) }
                    @if !machines.is_empty() && !devices.is_empty() { "; " }
                    @for (i, device) in devices.iter().enumerate() { @if i > 0 { ", " } (device) }
                }
            }
        }
    }
}

fn span(seconds: f64) -> String {
    match seconds {
        s if s < 100.0 => format!("{s:.1} s"),
        s if s < 6000.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

fn contents(report: &Report) -> Markup {
    html! {
        nav aria-label="Contents" {
            ul {
                @for (i, (env, ..)) in report.envs.iter().enumerate() {
                    li { a href={ "#env-" (i) } { (env) } }
                }
                @for (i, search) in report.searches.iter().enumerate() {
                    li { a href={ "#search-" (i) } { "Search: " (search.name) } }
                }
                @if !report.films.is_empty() { li { a href="#films" { "An episode" } } }
                @if !report.sources.is_empty() {
                    li { a href="#configuration" { "Configuration" } }
                }
            }
        }
    }
}

fn environment(
    report: &Report,
    number: usize,
    env: &str,
    places: &[usize],
    pictures: &Pictures,
) -> Markup {
    let sources: Vec<&Source> = places.iter().map(|i| &report.sources[*i]).collect();
    let summaries: Vec<&Summary> = places.iter().map(|i| &report.summaries[*i]).collect();
    let keys = keys(&sources);
    let id = |what: &str| format!("{what}-{number}");
    html! {
        section {
            h2 id={ "env-" (number) } { (env) }
            h3 { "Learning curves" }
            (keys)
            (chart(&pictures.curves, &id("curves"), "Each thin line is a seed: the mean return of its last 100 training episodes, in which the policy explores. The thick line is their interquartile mean (IQM), in the band of its 95 % interval."))
            h3 { "Final evaluation" }
            (overall(&sources, &summaries))
            @if let Some(estimates) = &pictures.estimates {
                (intervals(estimates, &id("estimates"), "Each source's final returns over its seeds. An interval from three seeds is only as good as three seeds."))
            }
            @for (source, summary) in sources.iter().zip(&summaries) { (seeds(source, summary)) }
            @if let Some(profile) = &pictures.profile {
                h3 { "Performance profiles" }
                (keys)
                (chart(profile, &id("profile"), "The share of seeds whose final return is above τ, with pointwise 95 % intervals. The higher line is the better one; where lines cross, neither is better everywhere."))
            }
            @if let Some(improvement) = &pictures.improvement {
                h3 { "Probability of improvement" }
                (intervals(improvement, &id("improvement"), "How often a run of the first returns more than a run of the second, a draw counting half. An interval that holds 0.5 may be chance."))
            }
            @if !pictures.health.is_empty() {
                h3 { "Health of the training" }
                (keys)
                p.quiet { "Against environment steps: the line is the interquartile mean over the seeds of the updates’ means; the band reaches from the smallest to the largest update of any seed." }
                div.grid-of {
                    @for (key, about, one) in &pictures.health {
                        figure {
                            h4 { (one.title) }
                            (svg(&one.sized(Size::SMALL), &id(key)))
                            figcaption { (about) }
                        }
                    }
                }
            }
        }
    }
}

/// The legend of the figures that follow.
fn keys(sources: &[&Source]) -> Markup {
    html! {
        ul.legend {
            @for (i, source) in sources.iter().enumerate() {
                li { (key(&Series::default(), i)) (legend(source)) }
            }
        }
    }
}

/// What stands for a series of this colour in a legend.
pub(super) fn key(series: &Series, colour: usize) -> Markup {
    let marks = series.key(colour, (0.0, 0.0));
    let figure = Figure { width: 26.0, height: 10.0, marks, ..Figure::default() };
    PreEscaped(figure.to_decoration())
}

/// A chart for a desk and one for a telephone, of which each shows its own.
pub(super) fn chart(chart: &Chart, id: &str, caption: &str) -> Markup {
    both(&chart.sized(Size::WIDE), &chart.sized(Size::NARROW), id, caption)
}

fn intervals(intervals: &Intervals, id: &str, caption: &str) -> Markup {
    both(&intervals.sized(Size::WIDE), &intervals.sized(Size::NARROW), id, caption)
}

fn both(wide: &Figure, narrow: &Figure, id: &str, caption: &str) -> Markup {
    html! {
        figure {
            div.wide { (svg(wide, id)) }
            div.narrow { (svg(narrow, &format!("{id}-narrow"))) }
            figcaption { (caption) }
        }
    }
}

pub(super) fn svg(figure: &Figure, id: &str) -> Markup {
    PreEscaped(figure.to_inline_svg(id))
}

fn films(report: &Report) -> Markup {
    html! {
        @if !report.films.is_empty() {
            section {
                h2 id="films" { "An episode" }
                p.quiet { "Of each source the seed whose final return is the median: its last policy, in the first episode of its evaluation." }
                div.films {
                    @for (source, film) in report.sources.iter().zip(&report.films) {
                        div {
                            h3 { (source.name) }
                            @match film {
                                Ok(film) => (moving(film, &source.name)),
                                Err(why) => p.quiet { (why) },
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A film that can be put away, and stands still for those who have asked for that.
fn moving(film: &Film, name: &str) -> Markup {
    let data = |kind: &str, bytes: &[u8]| {
        format!("data:image/{kind};base64,{}", BASE64_STANDARD.encode(bytes))
    };
    let (width, height) = film.size;
    html! {
        details open {
            summary { "Film" }
            picture {
                source media="(prefers-reduced-motion: reduce)" srcset=(data("png", &film.still));
                img src=(data("gif", &film.gif)) width=(width) height=(height)
                    alt={ "An episode of " (name) ": " (film.caption) };
            }
        }
        p.quiet { (film.caption) }
    }
}

fn configuration(report: &Report) -> Markup {
    let sources = &report.sources;
    let keys: BTreeSet<&String> =
        sources.iter().flat_map(|source| source.settings.keys()).collect();
    let differ = |key: &&String| {
        sources.iter().any(|source| source.settings.get(*key) != sources[0].settings.get(*key))
    };
    let own = keys.iter().any(|key| key.starts_with(OWN));
    let (different, same): (Vec<&String>, Vec<&String>) = keys.into_iter().partition(differ);
    html! {
        section {
            h2 id="configuration" { "Configuration" }
            @if sources.len() > 1 {
                h3 { "What differs" }
                @if different.is_empty() {
                    p { "Nothing: the same settings throughout." }
                } @else {
                    (settings(&different, sources))
                    @if own { p.quiet { (OWN) " stands for the algorithm of each source." } }
                }
            }
            details open[sources.len() == 1] {
                summary { @if sources.len() > 1 { "What is the same" } @else { "Every setting" } }
                (settings(&same, &sources[..1.min(sources.len())]))
            }
        }
    }
}

fn settings(keys: &[&String], sources: &[Source]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Settings" {
            table.words {
                thead {
                    tr {
                        th scope="col" { "setting" }
                        @if sources.len() == 1 {
                            th scope="col" { "value" }
                        } @else {
                            @for source in sources { th scope="col" { (source.name) } }
                        }
                    }
                }
                tbody {
                    @for key in keys {
                        tr {
                            th scope="row" { code { (key) } }
                            @for source in sources {
                                td { (source.settings.get(*key).map_or("–", String::as_str)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn footer() -> Markup {
    html! {
        footer.quiet {
            p {
                "Statistics as in Agarwal et al. (2021), Deep reinforcement learning at the edge of the statistical precipice. The final return of a seed is the mean return of its last policy, not of the best one seen, over episodes that training never saw, with the most probable action at every step."
            }
            p { "Written by elegante " (VERSION) ". This page needs no network and has no scripts." }
        }
    }
}
