//! What the updates measure: the last value of each, and how it came about.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::{Line, Span},
    widgets::Paragraph,
};

use super::framed;
use crate::tui::{
    model::{Model, RunView},
    series::Series,
    theme::Theme,
};

/// The order in which they are shown, where not all can be; others come after these.
const FIRST: [&str; 10] = [
    "loss",
    "entropy",
    "approx_kl",
    "value_loss",
    "policy_loss",
    "explained_variance",
    "clip_fraction",
    "grad_norm",
    "learning_rate",
    "mean_length_100",
];
/// Columns of a value.
const VALUE: usize = 10;

/// From this width on there is room for two columns of them.
const TWO: u16 = 78;

/// Lines that all of them take in a pane of this width.
pub(super) fn rows(model: &Model, width: u16) -> usize {
    let columns = if width < TWO { 1 } else { 2 };
    model.shown().map_or(0, |run| run.values.len().div_ceil(columns))
}

pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, theme: Theme, area: Rect) {
    let Some(run) = model.shown() else { return };
    let title = match model.experiment {
        true => format!("last update of seed {}", run.seed),
        false => "last update".into(),
    };
    let block = framed(&title, theme);
    let room = block.inner(area);
    frame.render_widget(block, area);
    let values = ordered(run);
    if values.is_empty() {
        frame.render_widget(Line::styled("nothing has been learnt yet", theme.faint()), room);
    }
    let rows = rows(model, area.width).max(1);
    let columns = values.len().div_ceil(rows);
    let [left, right] = room.layout(&Layout::horizontal([Constraint::Fill(1); 2]).spacing(2));
    let places = if columns < 2 { [room, right] } else { [left, right] };
    for (values, place) in values.chunks(rows).zip(places) {
        frame.render_widget(column(values, theme, place), place);
    }
}

fn column(values: &[(&str, &Series)], theme: Theme, room: Rect) -> Paragraph<'static> {
    let name = values.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let name = name.min(usize::from(room.width).saturating_sub(VALUE + 1));
    let history = usize::from(room.width).saturating_sub(name + VALUE + 3);
    let lines = values.iter().map(|(label, series)| {
        let label: String = label.chars().take(name).collect();
        Line::from(vec![
            Span::styled(format!("{label:<name$} "), theme.faint()),
            Span::styled(format!("{:>VALUE$}  ", number(series.last())), theme.strong()),
            Span::styled(spark(series, history, theme), theme.accent()),
        ])
    });
    Paragraph::new(lines.collect::<Vec<_>>())
}

fn ordered(run: &RunView) -> Vec<(&str, &Series)> {
    let mut all: Vec<_> = run.values.iter().map(|(name, series)| (name.as_ref(), series)).collect();
    let place = |name: &str| FIRST.iter().position(|first| *first == name).unwrap_or(FIRST.len());
    // The sort is stable: the others stay in their order.
    all.sort_by_key(|(name, _)| place(name));
    all
}

/// A series in one line of letters, from its smallest value to its largest.
fn spark(series: &Series, width: usize, theme: Theme) -> String {
    if width == 0 {
        return String::new();
    }
    let points = series.points(width);
    let bars = theme.bars();
    let (low, high) =
        points.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), (_, y)| {
            (low.min(*y), high.max(*y))
        });
    // Means of what never changes differ in their last bits.
    let flat = high - low <= 1e-9 * high.abs().max(low.abs());
    let bar = |y: f64| {
        let part = if flat { 0.0 } else { (y - low) / (high - low) };
        bars[((part * bars.len() as f64) as usize).min(bars.len() - 1)]
    };
    points.iter().map(|(_, y)| bar(*y)).collect()
}

/// A number of any size in few columns.
pub(super) fn number(x: f64) -> String {
    match x.abs() {
        _ if x.is_nan() => "-".into(),
        size if size.is_infinite() => x.to_string(),
        0.0 => "0".into(),
        size if !(1e-3..1e6).contains(&size) => format!("{x:.2e}"),
        size if size >= 1e3 => format!("{x:.0}"),
        size if size >= 10.0 => format!("{x:.1}"),
        _ => format!("{x:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::theme::Colours;

    #[test]
    fn numbers_of_every_size_fit() {
        for (x, text) in [
            (0.0, "0"),
            (0.000_123_4, "1.23e-4"),
            (-0.5, "-0.5000"),
            (-200.0, "-200.0"),
            (12_345.6, "12346"),
            (-1.5e300, "-1.50e300"),
            (f64::NAN, "-"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(number(x), text);
            assert!(number(x).len() <= VALUE);
        }
    }

    #[test]
    fn a_spark_goes_from_the_smallest_to_the_largest() {
        let mut series = Series::default();
        (0..8).for_each(|i| series.push(f64::from(i), f64::from(i)));
        let theme = |unicode| Theme { colours: Colours::None, unicode };
        assert_eq!(spark(&series, 8, theme(true)), "▁▂▃▄▅▆▇█");
        assert_eq!(spark(&series, 8, theme(false)), "__.-=*##");
        assert_eq!(spark(&series, 0, theme(true)), "");
    }
}
