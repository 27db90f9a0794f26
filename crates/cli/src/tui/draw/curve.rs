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
    let Some(span) = span else {
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
    // The last update makes a few steps more than were asked for.
    let half = half(x.min(model.steps.max(1) as f64));
    // The chart puts labels of this axis where they belong only if there are three of them.
    let across = [0.0, half, 2.0 * half];
    let up = ticks(span, usize::from(area.height / 4));
    let goal = model.threshold.map(|y| [(0.0, y), (2.0 * half, y)]);
    let line = |points, style: Style| {
        let set = Dataset::default().data(points).style(style).marker(theme.marker());
        set.graph_type(GraphType::Line)
    };
    let mut sets: Vec<_> = goal
        .iter()
        .map(|goal| line(&goal[..], theme.guide()).marker(theme.guide_marker()))
        .collect();
    // Later ones lie over earlier ones: the one that is selected comes last.
    let others = (0..curves.len()).filter(|place| *place != model.selected);
    for place in others.chain([model.selected]).filter(|place| *place < curves.len()) {
        sets.push(line(&curves[place], theme.curve(place)));
    }
    let axis = |ticks: &[f64], say: &dyn Fn(f64) -> String| {
        let labels = ticks.iter().map(|tick| Line::styled(say(*tick), theme.faint()));
        let axis = Axis::default().bounds([ticks[0], ticks[ticks.len() - 1]]);
        axis.labels(labels).style(theme.faint())
    };
    let decimals = decimals(&up);
    let chart = Chart::new(sets)
        .block(block)
        .x_axis(axis(&across, &short))
        .y_axis(axis(&up, &|value| tick(value, decimals)));
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

/// The smallest and the largest of the values; a little more where they are the same.
fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let (low, high) = values
        .filter(|value| value.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), y| (low.min(y), high.max(y)));
    if low > high {
        return None;
    }
    // Less than this could not be told apart on an axis.
    let least = low.abs().max(high.abs()) * 1e-6;
    let margin = if high - low <= least { low.abs().max(1.0) * 0.1 } else { 0.0 };
    Some((low - margin, high + margin))
}

/// A round number, twice which is just enough for `x`.
fn half(x: f64) -> f64 {
    let decade = 10_f64.powf((x / 2.0).log10().floor());
    let round = [1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0].map(|half| half * decade);
    round.into_iter().find(|half| 2.0 * half >= x).unwrap_or(x)
}

/// Round numbers at equal distances, `most` and one of them at most, around all of it and as little else as can be.
fn ticks((low, high): (f64, f64), most: usize) -> Vec<f64> {
    let most = most.clamp(2, 5) as f64;
    let decade = 10_f64.powf(((high - low) / most).log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0, 20.0, 25.0, 50.0].map(|step| step * decade);
    // What is round already must not be rounded to the next on account of its last bits.
    let from = |step: f64| (low / step + 1e-9).floor();
    let count = |step: f64| (high / step - 1e-9).ceil() - from(step);
    let few = steps.into_iter().filter(|step| (1.0..=most).contains(&count(*step)));
    match few.min_by(|a, b| (a * count(*a)).total_cmp(&(b * count(*b)))) {
        Some(step) => {
            (0..=count(step) as u32).map(|i| (from(step) + f64::from(i)) * step).collect()
        }
        // These numbers are at the end of what there is.
        None => vec![low, high],
    }
}

/// Decimals that ticks need to be told apart.
fn decimals(ticks: &[f64]) -> usize {
    let step = ticks[1] - ticks[0];
    let whole = |digits: &i32| {
        let scaled = step * 10_f64.powi(*digits);
        (scaled - scaled.round()).abs() < 1e-6 * scaled.abs()
    };
    (0..6).find(whole).unwrap_or(6) as usize
}

fn tick(value: f64, decimals: usize) -> String {
    if value.abs() >= 1e5 { format!("{value:.1e}") } else { format!("{value:.decimals$}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_marked_with_round_numbers() {
        let told = |span, most| {
            let ticks = ticks(span, most);
            let decimals = decimals(&ticks);
            ticks.iter().map(|value| tick(*value, decimals)).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(told((9.3, 500.0), 5), "0 100 200 300 400 500");
        assert_eq!(told((-1622.0, -136.0), 3), "-2000 -1000 0");
        assert_eq!(told((9.3, 500.0), 4), "0 250 500");
        assert_eq!(told((0.0, 81_920.0), 5), "0 20000 40000 60000 80000 1.0e5");
        assert_eq!(told((0.12, 0.31), 2), "0.0 0.2 0.4");
        assert_eq!(told((0.0, 1.0), 4), "0.00 0.25 0.50 0.75 1.00");
        assert_eq!(told((7.0, 7.1), 0), "7.00 7.05 7.10");
    }

    #[test]
    fn the_steps_made_take_most_of_their_axis() {
        assert_eq!(
            [100_000.0, 100_352.0, 117_000.0, 7.0].map(half),
            [50_000.0, 60_000.0, 60_000.0, 4.0]
        );
        for x in 1..2000 {
            let part = f64::from(x) / (2.0 * half(f64::from(x)));
            assert!((0.74..=1.0).contains(&part), "{part} of the axis for {x} steps");
        }
    }

    #[test]
    fn what_never_changes_has_an_axis_too() {
        assert_eq!(range([3.0, 3.0].into_iter()), Some((2.7, 3.3)));
        assert_eq!(range([f64::NAN].into_iter()), None);
        for span in [(-1e300, 1e300), (-f64::MAX, f64::MAX), (0.0, f64::MIN_POSITIVE)] {
            let ticks = ticks(span, 5);
            assert!((2..=6).contains(&ticks.len()), "{ticks:?}");
        }
    }
}
