//! The picture as a whole: what goes where, for terminals of every size.

mod curve;
mod numbers;
mod picture;
mod seeds;

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::Style,
    text::{Line, Span},
    widgets::{Block, Clear, Paragraph, Wrap},
};

use super::{
    model::{Model, Phase, State},
    stage::Sight,
    theme::Theme,
};
use crate::{
    output::Tone,
    progress::left,
    text::{short, span},
};

/// Whether there is room for all panes at once, with as much said below them as there may be.
fn roomy(whole: Rect) -> bool {
    whole.width >= 72 && whole.height >= 23
}

/// What a pane shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pane {
    Curve,
    Stage,
    Numbers,
    Seeds,
}

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, sight: &Sight, theme: Theme) {
    let area = frame.area();
    if area.width < 8 || area.height < 3 {
        // Not even a line of it can be read.
        return;
    }
    let said = if area.height < 16 { 0 } else { model.messages.len() as u16 };
    let [head, gauge, main, messages, foot] = area.layout(&Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(said),
        Constraint::Length(1),
    ]));
    header(frame, model, theme, head);
    progress(frame, model, theme, gauge);
    let picture = (model, sight, theme);
    if roomy(area) {
        all(frame, picture, main);
    } else {
        let panes = panes(model);
        show(frame, picture, panes[model.pane % panes.len()], main);
    }
    say(frame, model, theme, messages);
    footer(frame, model, theme, foot);
    if model.help {
        help(frame, model, theme, area);
    }
}

/// The panes there are, in the order in which Tab goes through them.
fn panes(model: &Model) -> &'static [Pane] {
    if model.experiment {
        &[Pane::Curve, Pane::Seeds, Pane::Stage, Pane::Numbers]
    } else {
        &[Pane::Curve, Pane::Stage, Pane::Numbers]
    }
}

type Picture<'a> = (&'a Model, &'a Sight, Theme);

fn all(frame: &mut Frame<'_>, picture: Picture<'_>, area: Rect) {
    let model = picture.0;
    let rows = if model.experiment { model.runs.len() + 1 } else { 0 };
    let wide = if model.experiment { area.width / 2 } else { area.width };
    let rows = rows.max(numbers::rows(model, wide)) as u16 + 2;
    // The curve has the most to tell.
    let rows = rows.min(area.height * 2 / 5).max(5);
    let [upper, lower] =
        area.layout(&Layout::vertical([Constraint::Min(0), Constraint::Length(rows)]));
    let [curve, stage] =
        upper.layout(&Layout::horizontal([Constraint::Fill(3), Constraint::Fill(2)]));
    show(frame, picture, Pane::Curve, curve);
    show(frame, picture, Pane::Stage, stage);
    if model.experiment {
        let [seeds, numbers] =
            lower.layout(&Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]));
        show(frame, picture, Pane::Seeds, seeds);
        show(frame, picture, Pane::Numbers, numbers);
    } else {
        show(frame, picture, Pane::Numbers, lower);
    }
}

fn show(frame: &mut Frame<'_>, (model, sight, theme): Picture<'_>, pane: Pane, area: Rect) {
    match pane {
        Pane::Curve => curve::draw(frame, model, theme, area),
        Pane::Stage => picture::draw(frame, model, sight, theme, area),
        Pane::Numbers => numbers::draw(frame, model, theme, area),
        Pane::Seeds => seeds::draw(frame, model, theme, area),
    }
}

/// A frame around a pane.
fn framed<'a>(title: &str, theme: Theme) -> Block<'a> {
    let title = Span::styled(theme.words(&format!(" {title} ")), theme.strong());
    let block = Block::bordered().border_set(theme.borders()).border_style(theme.faint());
    // Titles lie on the border, and are not to be faint because that is.
    block.title_style(Style::reset()).title(title)
}

/// As many of the parts of `text`, between the dots, as there is room for: the one in place `first` from
/// the end is the first to go.
fn shortened(text: &str, room: usize, first: usize) -> String {
    let mut parts: Vec<&str> = text.split(" · ").collect();
    loop {
        let joined = parts.join(" · ");
        if parts.len() == 1 || joined.chars().count() <= room {
            return joined;
        }
        parts.remove(parts.len().saturating_sub(first));
    }
}

fn header(frame: &mut Frame<'_>, model: &Model, theme: Theme, area: Rect) {
    let (word, style) = match model.phase {
        Phase::Training => ("training", theme.good()),
        Phase::Pausing => ("pausing", theme.attention()),
        Phase::Paused => ("paused", theme.attention()),
        Phase::Stopping => ("stopping", theme.attention()),
        Phase::Evaluating => ("evaluating", theme.good()),
    };
    let [title, phase] = area.layout(&Layout::horizontal([
        Constraint::Min(0),
        Constraint::Length(word.len() as u16 + 2),
    ]));
    let text = shortened(&model.title, usize::from(title.width).saturating_sub(1), 1);
    frame.render_widget(Line::styled(theme.words(&format!(" {text}")), theme.strong()), title);
    frame.render_widget(Line::styled(format!(" {word} "), style).right_aligned(), phase);
}

/// How far it has come: as a bar where there is room, and in words.
fn progress(frame: &mut Frame<'_>, model: &Model, theme: Theme, area: Rect) {
    let room = usize::from(area.width).saturating_sub(2);
    let words = theme.words(&format!(" {} ", shortened(&words(model), room, 2)));
    let width = words.chars().count() as u16;
    let [bar, text] =
        area.layout(&Layout::horizontal([Constraint::Min(0), Constraint::Length(width)]));
    let bar = Rect { x: bar.x + 1, width: bar.width.saturating_sub(1), ..bar };
    if bar.width >= 5 {
        let full = (model.part().clamp(0.0, 1.0) * f64::from(bar.width)).round() as usize;
        let (done, open) = if theme.unicode { ("━", "─") } else { ("#", "-") };
        frame.render_widget(
            Line::from(vec![
                Span::styled(done.repeat(full), theme.accent()),
                Span::styled(open.repeat(usize::from(bar.width) - full), theme.faint()),
            ]),
            bar,
        );
        frame.render_widget(Line::raw(words), text);
    } else {
        frame.render_widget(Line::raw(words), area);
    }
}

fn words(model: &Model) -> String {
    if let Some(overall) = &model.overall {
        return overall.clone();
    }
    let Some(run) = model.shown() else { return String::new() };
    let paused = model.phase == Phase::Paused;
    if run.steps == 0 {
        let all = short(model.steps as f64);
        return format!("0/{all} steps · {}", span(run.elapsed(paused)));
    }
    let [made, all, speed] =
        [run.steps as f64, model.steps as f64, run.steps_per_second].map(short);
    let passed = span(run.elapsed(paused));
    let left = span(left(run.steps, run.steps_per_second, model.steps));
    let percent = 100.0 * model.part();
    format!("{percent:.0} % · {made}/{all} steps · {speed}/s · {passed} · {left} left")
}

fn say(frame: &mut Frame<'_>, model: &Model, theme: Theme, area: Rect) {
    let from = model.messages.len().saturating_sub(usize::from(area.height));
    let lines = model.messages[from..].iter().map(|message| {
        let (before, style) = match message.tone {
            Tone::Note => ("", Style::new()),
            Tone::Warning => ("warning: ", theme.attention()),
            Tone::Failure => ("error: ", theme.bad()),
        };
        Line::styled(theme.words(&format!(" {before}{}", message.text)), style)
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), area);
}

/// The keys, and what each of them does; more where there is room for more.
fn footer(frame: &mut Frame<'_>, model: &Model, theme: Theme, area: Rect) {
    let pause =
        if matches!(model.phase, Phase::Pausing | Phase::Paused) { "go on" } else { "pause" };
    let mut keys = vec![
        ("p", pause),
        ("c", "checkpoint"),
        ("s", "stop"),
        ("q", "close the view"),
        ("?", "help"),
    ];
    let narrow = area.width < 62;
    if narrow {
        keys = vec![("p", pause), ("c", "save"), ("s", "stop"), ("q", "close"), ("?", "help")];
    }
    if area.width < 48 {
        keys.truncate(3);
        keys.extend([("q", "quit"), ("?", "")]);
    }
    if !roomy(frame.area()) && area.width >= 34 {
        keys.insert(0, ("tab", "pane"));
    }
    if model.experiment && !narrow {
        keys.insert(0, ("↑↓", "seed"));
    }
    let gap = if narrow { " " } else { "  " };
    let mut spans = vec![Span::raw(" ")];
    for (key, does) in keys {
        spans.push(Span::styled(theme.words(key), theme.accent().patch(theme.strong())));
        spans.push(Span::styled(format!(" {does}{gap}"), theme.faint()));
    }
    frame.render_widget(Line::from(spans), area);
}

fn help(frame: &mut Frame<'_>, model: &Model, theme: Theme, area: Rect) {
    let mut keys = vec![
        ("p, space", "wait after this update, and go on"),
        ("c", "write a checkpoint after this update"),
        ("s, Ctrl-C", "end cleanly after this update; Ctrl-C twice: at once"),
        ("q", "close this view and train on"),
        ("tab", "the next pane, where there is room for one"),
        ("?, Esc", "close this help"),
    ];
    if model.experiment {
        keys.insert(4, ("↑ ↓, k j", "the seed whose numbers and policy are shown"));
    }
    let width = area.width.min(76);
    // Words that are too long for a line leave some of it empty.
    let useful = usize::from(width.saturating_sub(10)).max(1);
    let rows: usize = keys.iter().map(|(_, does)| (10 + does.len()).div_ceil(useful)).sum();
    let lines = keys.into_iter().map(|(key, does)| {
        Line::from(vec![
            Span::styled(theme.words(&format!("{key:<10}")), theme.accent()),
            Span::raw(does),
        ])
    });
    let text = Paragraph::new(lines.collect::<Vec<_>>()).wrap(Wrap { trim: false });
    let height = (rows as u16 + 2).min(area.height);
    let place = area.centered(Constraint::Length(width), Constraint::Length(height));
    frame.render_widget(Clear, place);
    frame.render_widget(text.block(framed("keys", theme)), place);
}

/// The word for the state of a run, and how it looks.
fn state(state: &State, theme: Theme) -> (&str, Style) {
    match state {
        State::Waiting => ("waiting", theme.faint()),
        State::Training => ("training", Style::new()),
        State::Paused => ("paused", theme.attention()),
        State::Over(came_to) => (came_to, theme.good()),
        State::Failed => ("failed", theme.bad()),
    }
}

#[cfg(test)]
mod tests;
