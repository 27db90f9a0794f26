//! The seeds of an experiment, a line for each.

use ratatui::{
    Frame,
    layout::Rect,
    style::Modifier,
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{framed, numbers::number, state};
use crate::{
    text::short,
    tui::{
        model::{Model, RunView},
        theme::Theme,
    },
};

pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, theme: Theme, area: Rect) {
    let block = framed("seeds", theme);
    let rows = usize::from(block.inner(area).height).saturating_sub(1);
    // The one that is selected is always to be seen.
    let from = (model.selected + 1).saturating_sub(rows);
    let heading = format!("  {:>6} {:>5} {:>7} {:>10}  state", "seed", "%", "steps/s", "return");
    let mut lines = vec![Line::styled(heading, theme.faint())];
    for (place, run) in model.runs.iter().enumerate().skip(from).take(rows) {
        lines.push(line(model, place, run, theme));
    }
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn line(model: &Model, place: usize, run: &RunView, theme: Theme) -> Line<'static> {
    let chosen = place == model.selected;
    let mark = match (chosen, theme.unicode) {
        (true, true) => "▸ ",
        (true, false) => "> ",
        _ => "  ",
    };
    let part = 100.0 * run.steps.min(model.steps) as f64 / model.steps.max(1) as f64;
    let (word, style) = state(&run.state, theme);
    let numbers = format!(
        " {part:>5.0} {:>7} {:>10}  ",
        short(run.steps_per_second),
        number(run.curve.last())
    );
    let line = Line::from(vec![
        Span::styled(format!("{mark}{:>6}", run.seed), theme.curve(place)),
        Span::raw(numbers),
        Span::styled(theme.words(word), style),
    ]);
    if chosen { line.patch_style(Modifier::BOLD) } else { line }
}
