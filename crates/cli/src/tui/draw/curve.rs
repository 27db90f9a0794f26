//! The learning curves.

use ratatui::{
    Frame,
    layout::Rect,
    style::Style,
    text::Line,
    widgets::{Axis, Chart, Dataset, GraphType},
};

use super::{framed, numbers::number};
use crate::{
    text::short,
    tui::{model::Model, theme::Theme},
};

pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, theme: Theme, area: Rect) {
    let wide = area.width >= 52;
    let title = if wide { "return, mean of the last 100 episodes" } else { "mean return" };
    let mut block = framed(title, theme);
    if let Some(run) = model.shown() {
        let whose = if model.experiment { format!("seed {}: ", run.seed) } else { String::new() };
        let last = format!(" {whose}{} ", number(run.curve.last()));
        block = block.title(Line::styled(last, theme.curve(model.selected)).right_aligned());
    }
    // Braille has two dots in a column, and curves need no more points than dots.
    let most = 2 * usize::from(area.width);
    let mut curves: Vec<_> = model.runs.iter().map(|run| run.curve.points(most)).collect();
    let x = curves.iter().flatten().map(|(x, _)| *x).fold(0.0, f64::max);
    let ys = curves.iter().flatten().map(|(_, y)| *y);
    let span = range(ys.chain(model.threshold)).filter(|_| x > 0.0);
    let Some((low, high)) = span else {
        frame.render_widget(
            Line::styled("no episode has ended yet", theme.faint()),
            block.inner(area),
        );
        frame.render_widget(block, area);
        return;
    };
    // A curve of one point is a line to the left edge, as long as there is nothing else to see.
    for curve in &mut curves {
        if let [only] = curve[..] {
            curve.insert(0, (0.0, only.1));
        }
    }
    let goal = model.threshold.map(|y| [(0.0, y), (x, y)]);
    let line = |points, style: Style| {
        let set = Dataset::default().data(points).style(style).marker(theme.marker());
        set.graph_type(GraphType::Line)
    };
    let mut sets: Vec<_> = goal.iter().map(|goal| line(&goal[..], theme.faint())).collect();
    // Later ones lie over earlier ones: the one that is selected comes last.
    let others = (0..curves.len()).filter(|place| *place != model.selected);
    for place in others.chain([model.selected]).filter(|place| *place < curves.len()) {
        sets.push(line(&curves[place], theme.curve(place)));
    }
    let labels = |low: f64, high: f64, say: fn(f64) -> String| {
        [low, (low + high) / 2.0, high].map(|value| Line::styled(say(value), theme.faint()))
    };
    let chart = Chart::new(sets)
        .block(block)
        .x_axis(Axis::default().bounds([0.0, x]).labels(labels(0.0, x, short)).style(theme.faint()))
        .y_axis(
            Axis::default()
                .bounds([low, high])
                .labels(labels(low, high, tick))
                .style(theme.faint()),
        );
    frame.render_widget(chart, area);
    if !theme.unicode {
        plain_axes(frame, area);
    }
}

/// Replaces the lines of the axes, which the chart draws in one way only.
fn plain_axes(frame: &mut Frame<'_>, area: Rect) {
    for position in area.positions() {
        let Some(cell) = frame.buffer_mut().cell_mut(position) else { continue };
        match cell.symbol() {
            "│" => cell.set_char('|'),
            "─" => cell.set_char('-'),
            symbol if !symbol.is_ascii() => cell.set_char('+'),
            _ => continue,
        };
    }
}

/// What the vertical axis spans: all values and a little more.
fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let (low, high) = values
        .filter(|value| value.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), y| (low.min(y), high.max(y)));
    if low > high {
        return None;
    }
    let margin = if low == high { low.abs().max(1.0) * 0.1 } else { (high - low) * 0.05 };
    Some((low - margin, high + margin))
}

fn tick(value: f64) -> String {
    match value.abs() {
        size if size >= 1e4 => format!("{value:.1e}"),
        size if size >= 10.0 => format!("{value:.0}"),
        _ => format!("{value:.2}"),
    }
}
