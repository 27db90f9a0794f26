//! Estimates with their intervals, one below the other: who is better, and how sure that is.

use crate::{
    Figure,
    axis::Axis,
    chart::{LEGEND_LINE, LETTER, Size, TITLE},
    figure::{Anchor, Mark, Pen},
    statistics::Estimate,
};

/// Estimates on a common horizontal axis: a dot for each, on a line over its interval.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Intervals {
    /// What stands above it.
    pub title: String,
    /// What the axis measures.
    pub x_label: String,
    /// The ends of the axis; if not given, as far as the intervals go.
    pub x_span: Option<[f64; 2]>,
    /// A dashed vertical line at the value that stands for "no difference".
    pub rule: Option<f64>,
    /// From the top down.
    pub rows: Vec<Row>,
}

/// One estimate.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What it is of.
    pub name: String,
    /// Which colour it has, as [`Chart`](crate::Chart) counts its series.
    pub series: usize,
    /// The value and its interval.
    pub estimate: Estimate,
}

/// From one row to the next; a row's name stands above it.
const ROW: f64 = 44.0;

impl Intervals {
    /// The picture, with its title.
    pub fn figure(&self) -> Figure {
        self.sized(Size::FILE)
    }

    /// The picture in another size; the height goes by the number of rows.
    pub(crate) fn sized(&self, size: Size) -> Figure {
        let (left, right) = (22.0, size.width - 22.0);
        let top = if size.alone { TITLE + LEGEND_LINE } else { 10.0 };
        let bottom = top + ROW * self.rows.len() as f64 + 8.0;
        let ends = self.rows.iter().flat_map(|row| [row.estimate.low, row.estimate.high]);
        let count = (size.width / 95.0).max(2.0);
        let axis = match self.x_span {
            Some(ends) => Axis::over(ends, count, false),
            None => Axis::over(ends.chain(self.rule), count, true),
        };
        let place = |x: f64| left + (right - left) * axis.share(x).clamp(0.0, 1.0);

        let mut marks = Vec::new();
        if size.alone {
            let (at, text) = ((left, TITLE), self.title.clone());
            marks.push(Mark::Text { at, text, anchor: Anchor::Start, title: true, turned: false });
        }
        // Where a name stands, no line crosses it.
        let mut upright = |pen: Pen, x: f64| {
            for i in 0..self.rows.len() {
                let top = top + ROW * i as f64;
                marks.push(Mark::stroke(pen, [(x, top + 19.0), (x, top + ROW + 1.0)]));
            }
        };
        axis.ticks().iter().for_each(|(at, _)| upright(Pen::Grid, place(*at)));
        self.rule.iter().for_each(|at| upright(Pen::Rule, place(*at)));
        for (at, text) in axis.ticks() {
            marks.push(Mark::text((place(at), bottom + 18.0), text, Anchor::Middle));
        }
        marks.push(Mark::stroke(Pen::Axis, [(left, bottom), (right, bottom)]));
        let middle = (left + right) / 2.0;
        marks.push(Mark::text((middle, bottom + 40.0), self.x_label.clone(), Anchor::Middle));
        for (i, row) in self.rows.iter().enumerate() {
            row.mark(top + ROW * i as f64, left, place, &mut marks);
        }
        let (width, height) = (size.width, bottom + 56.0);
        Figure { width, height, title: self.title.clone(), about: self.about(), marks }
    }

    /// In words what the rows say.
    fn about(&self) -> String {
        let told = self.rows.iter().map(|row| format!("{}: {}.", row.name, figures(row.estimate)));
        told.collect::<Vec<_>>().join(" ")
    }
}

impl Row {
    fn mark(&self, top: f64, left: f64, place: impl Fn(f64) -> f64, marks: &mut Vec<Mark>) {
        let (series, Estimate { value, low, high }) = (self.series, self.estimate);
        let text = format!("{}  {}", self.name, figures(self.estimate));
        marks.push(Mark::text((left + LETTER, top + 14.0), text, Anchor::Start));
        let y = top + 28.0;
        if low.is_finite() && high.is_finite() {
            let points = vec![(place(low), y), (place(high), y)];
            marks.push(Mark::Stroke { pen: Pen::Line(series), points, name: None });
        }
        if value.is_finite() {
            marks.push(Mark::Dot { series, at: (place(value), y) });
        }
    }
}

/// A value with its interval, to as many decimals as the interval's width makes sense of.
pub(crate) fn figures(Estimate { value, low, high }: Estimate) -> String {
    let decimals = match (high - low).abs() {
        width if !width.is_finite() || width >= 10.0 => 1,
        _ if value.abs() >= 100.0 => 1,
        _ => 2,
    };
    let figure = |x: f64| if x.is_finite() { format!("{x:.decimals$}") } else { "∞".into() };
    let text = format!("{} [{}, {}]", figure(value), figure(low), figure(high));
    text.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_has_a_dot_on_its_interval_and_its_numbers() {
        let row = |name: &str, series, value, low, high| {
            let estimate = Estimate { value, low, high };
            Row { name: name.into(), series, estimate }
        };
        let figure = Intervals {
            title: "IQM".into(),
            rows: vec![row("ppo", 0, 5.0, 0.0, 10.0), row("a2c", 1, 7.5, 5.0, 10.0)],
            ..Intervals::default()
        }
        .figure();
        let dots: Vec<_> = figure
            .marks
            .iter()
            .filter_map(|mark| match mark {
                Mark::Dot { series, at } => Some((*series, *at)),
                _ => None,
            })
            .collect();
        assert_eq!(dots, [(0, (380.0, 72.0)), (1, (559.0, 116.0))]);
        let svg = figure.to_svg();
        assert!(svg.contains(">ppo  5.0 [0.0, 10.0]</text>"), "{svg}");
        assert!(
            svg.contains("<desc>ppo: 5.0 [0.0, 10.0]. a2c: 7.50 [5.00, 10.00].</desc>"),
            "{svg}"
        );
    }

    #[test]
    fn figures_have_the_decimals_that_matter() {
        let estimate = |value, low, high| figures(Estimate { value, low, high });
        assert_eq!(estimate(-150.26, -160.0, -140.0), "−150.3 [−160.0, −140.0]");
        assert_eq!(estimate(0.75, 0.5, 1.0), "0.75 [0.50, 1.00]");
        assert_eq!(estimate(500.0, 500.0, 500.0), "500.0 [500.0, 500.0]");
        assert_eq!(estimate(1.0, 1.0, f64::INFINITY), "1.0 [1.0, ∞]");
    }
}
