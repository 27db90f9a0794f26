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
    // Without room for everything the speed goes, and the range of an evaluation.
    let roomy = block.inner(area).width >= 58;
    let mut heading = format!("  {:>6} {:>4} {:>8}  state", "seed", "%", "return");
    if roomy {
        heading = format!("  {:>6} {:>4} {:>8} {:>9}  state", "seed", "%", "steps/s", "return");
    }
    let mut lines = vec![Line::styled(heading, theme.faint())];
    for (place, run) in model.runs.iter().enumerate().skip(from).take(rows) {
        lines.push(line(model, place, run, roomy, theme));
    }
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn line(model: &Model, place: usize, run: &RunView, roomy: bool, theme: Theme) -> Line<'static> {
    let chosen = place == model.selected;
    let mark = match (chosen, theme.unicode) {
        (true, true) => "▸ ",
        (true, false) => "> ",
        _ => "  ",
    };
    let part = 100.0 * run.steps.min(model.steps) as f64 / model.steps.max(1) as f64;
    let (word, style) = state(&run.state, theme);
    let word = if roomy { word } else { word.split(" [").next().unwrap_or(word) };
    let last = number(run.curve.last());
    let numbers = match roomy {
        true => format!(" {part:>4.0} {:>8} {last:>9}  ", short(run.steps_per_second)),
        false => format!(" {part:>4.0} {last:>8}  "),
    };
    let line = Line::from(vec![
        Span::styled(format!("{mark}{:>6}", run.seed), theme.curve(place)),
        Span::raw(numbers),
        Span::styled(theme.words(word), style),
    ]);
    if chosen { line.patch_style(Modifier::BOLD) } else { line }
}
