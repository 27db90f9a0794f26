//! Lines and points over a common axis as a picture.

use crate::{
    Figure,
    axis::Axis,
    figure::{Anchor, COLOURS, Mark, POINT, Pen, Place, Shape, grouped},
};

/// Lines and points over a common axis. What is infinite or NaN is not drawn, but for points at −∞, which
/// stand at the foot of the picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    /// What stands above it.
    pub title: String,
    /// What the horizontal axis counts.
    pub x_label: String,
    /// What the vertical axis measures.
    pub y_label: String,
    /// The ends of the horizontal axis; if not given, from 0 to the last place of any line.
    pub x_span: Option<[f64; 2]>,
    /// The ends of the vertical axis; if not given, as far as there is anything to draw.
    pub y_span: Option<[f64; 2]>,
    /// Whether the horizontal axis goes by powers of ten, over all that is drawn whatever `x_span` says;
    /// what is not positive is then not drawn.
    pub x_powers: bool,
    /// Whether the horizontal axis counts: its ticks are whole numbers.
    pub x_whole: bool,
    /// The ticks of the horizontal axis and what they say, where it is not to find them itself.
    pub x_ticks: Vec<(f64, String)>,
    /// Whether the vertical axis goes by powers of ten; what is not positive is then not drawn.
    pub y_powers: bool,
    /// A dashed horizontal line, and what it is.
    pub rule: Option<(f64, String)>,
    /// At most [`Chart::COLOURS`] have colours of their own.
    pub series: Vec<Series>,
}

/// One method: a thick line in a band over thin ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// What the legend says.
    pub name: String,
    /// Thin lines, one for each seed.
    pub thin: Vec<Vec<(f64, f64)>>,
    /// What each thin line is; may be shorter than `thin`.
    pub thin_names: Vec<String>,
    /// The thick line.
    pub line: Vec<(f64, f64)>,
    /// The band: place, lower and upper end.
    pub band: Vec<(f64, f64, f64)>,
    /// Single places, over all lines.
    pub points: Vec<(f64, f64)>,
    /// What each of them is; may be shorter than `points`.
    pub point_names: Vec<String>,
    /// What they look like.
    pub shape: Shape,
    /// Which colour it has; if not given, that of its place in the chart.
    pub colour: Option<usize>,
}

impl Series {
    /// What stands for it in a legend, 26 wide and 10 high: its thick line in its band, or else its thin
    /// lines and its points.
    pub(crate) fn key(&self, series: usize, (x, y): Place) -> Vec<Mark> {
        let Self { thin, line, band, points, shape, .. } = self;
        let middle = y + 5.0;
        let stroke = |pen| Mark::stroke(pen, [(x, middle), (x + 26.0, middle)]);
        if line.is_empty() && !(thin.is_empty() && points.is_empty()) {
            let at = (x + 13.0, middle);
            let point = Mark::Point { series, shape: *shape, at, name: None };
            let thin = (!thin.is_empty()).then(|| stroke(Pen::Thin(series)));
            return thin.into_iter().chain((!points.is_empty()).then_some(point)).collect();
        }
        if band.is_empty() && !line.is_empty() {
            return vec![stroke(Pen::Line(series))];
        }
        let box_ = [(x, y), (x + 26.0, y), (x + 26.0, y + 10.0), (x, y + 10.0)];
        vec![Mark::Band { series, points: box_.into() }, stroke(Pen::Line(series))]
    }

    fn lowest_and_highest(&self) -> Option<(f64, f64)> {
        let heights = self.points.iter().map(|(_, y)| *y).filter(|y| y.is_finite());
        heights.fold(None, |ends, y| {
            let (low, high): (f64, f64) = ends.unwrap_or((y, y));
            Some((low.min(y), high.max(y)))
        })
    }
}

/// How large a chart is, and what it says by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Size {
    pub(crate) width: f64,
    pub(crate) height: f64,
    /// Whether title and legend are part of the picture; if not, they stand around it.
    pub(crate) alone: bool,
    /// Whether the axes say what they are.
    pub(crate) labels: bool,
}

impl Size {
    /// A file of its own.
    pub(crate) const FILE: Self = Self { width: 760.0, height: 440.0, alone: true, labels: true };
    /// A page on a desk.
    pub(crate) const WIDE: Self = Self { width: 760.0, height: 380.0, alone: false, labels: true };
    /// A telephone.
    pub(crate) const NARROW: Self = Self { width: 380.0, height: 250.0, ..Self::WIDE };
    /// One of several side by side.
    pub(crate) const SMALL: Self =
        Self { width: 300.0, height: 170.0, alone: false, labels: false };
}

/// Where a title stands.
pub(crate) const TITLE: f64 = 26.0;
/// Where the legend's first line stands.
const LEGEND: f64 = 46.0;
pub(crate) const LEGEND_LINE: f64 = 18.0;
/// About how wide a letter is.
pub(crate) const LETTER: f64 = 6.4;

impl Chart {
    /// Series that have a colour of their own.
    pub const COLOURS: usize = COLOURS;

    /// The picture, with title and legend.
    pub fn figure(&self) -> Figure {
        self.sized(Size::FILE)
    }

    /// The picture as an SVG file.
    pub fn to_svg(&self) -> String {
        self.figure().to_svg()
    }

    /// The picture in another size.
    pub(crate) fn sized(&self, size: Size) -> Figure {
        let plot = Plot::of(self, size);
        let mut marks = Vec::new();
        if size.alone {
            self.legend(&plot, &mut marks);
        }
        self.axes(&plot, size, &mut marks);
        self.lines(&plot, &mut marks);
        let (width, height) = (size.width, plot.height);
        Figure { width, height, title: self.title.clone(), about: self.about(), marks }
    }

    /// In words what the lines do.
    fn about(&self) -> String {
        let mut words = format!("{} against {}.", self.y_label, self.x_label);
        for series in &self.series {
            let Series { name, line, points, .. } = series;
            if !points.is_empty() {
                words += &format!(" {name}: {}", counted(points.len(), "point"));
                if let Some((low, high)) = series.lowest_and_highest() {
                    words += &format!(" from {low:.3} to {high:.3}");
                }
                words.push('.');
            }
            let shown = || line.iter().filter(|(_, y)| y.is_finite());
            if let (Some((from, a)), Some((to, b))) = (shown().next(), shown().next_back()) {
                words += &format!(" {name}: {a:.3} at {from:.0}, {b:.3} at {to:.0}.");
            }
        }
        words
    }

    fn legend(&self, plot: &Plot, marks: &mut Vec<Mark>) {
        let text = self.title.clone();
        let at = (plot.left, TITLE);
        marks.push(Mark::Text { at, text, anchor: Anchor::Start, title: true, turned: false });
        for (i, series) in self.series.iter().enumerate() {
            let (x, y) = (plot.left, LEGEND + LEGEND_LINE * i as f64);
            marks.extend(series.key(series.colour.unwrap_or(i), (x, y - 9.0)));
            marks.push(Mark::text((x + 34.0, y), series.name.clone(), Anchor::Start));
        }
    }

    fn axes(&self, plot: &Plot, size: Size, marks: &mut Vec<Mark>) {
        let Plot { left, top, right, bottom, .. } = *plot;
        for (at, text) in self.x_ticks(plot) {
            let x = plot.along(at);
            marks.push(Mark::stroke(Pen::Grid, [(x, top), (x, bottom)]));
            marks.push(Mark::text((x, bottom + 18.0), text, Anchor::Middle));
        }
        for (at, text) in plot.y_ticks() {
            let y = plot.height_of(at);
            marks.push(Mark::stroke(Pen::Grid, [(left, y), (right, y)]));
            marks.push(Mark::text((left - 8.0, y + 4.0), text, Anchor::End));
        }
        marks.push(Mark::stroke(Pen::Axis, [(left, top), (left, bottom), (right, bottom)]));
        if !size.labels {
            return;
        }
        let (x, y) = ((left + right) / 2.0, (top + bottom) / 2.0);
        marks.push(Mark::text((x, bottom + 40.0), self.x_label.clone(), Anchor::Middle));
        let text = self.y_label.clone();
        // What is longer than its axis is said around the picture.
        if text.chars().count() as f64 * LETTER < bottom - top + 20.0 {
            let at = (14.0, y);
            marks.push(Mark::Text { at, text, anchor: Anchor::Middle, title: false, turned: true });
        }
    }

    fn x_ticks(&self, plot: &Plot) -> Vec<(f64, String)> {
        if self.x_ticks.is_empty() {
            return if self.x_powers { plot.x.powers() } else { plot.x.ticks() };
        }
        // Words may be too long to stand side by side.
        let room = (plot.right - plot.left) / self.x_ticks.len() as f64 / LETTER - 2.0;
        self.x_ticks.iter().map(|(at, text)| (*at, cut(text, room as usize))).collect()
    }

    fn lines(&self, plot: &Plot, marks: &mut Vec<Mark>) {
        let colour = |i: usize| self.series[i].colour.unwrap_or(i);
        for (i, series) in self.series.iter().enumerate() {
            for (k, thin) in series.thin.iter().enumerate() {
                let (pen, name) = (Pen::Thin(colour(i)), series.thin_names.get(k).cloned());
                marks.push(Mark::Stroke { pen, points: plot.path(thin), name });
            }
        }
        if let Some((at, text)) = &self.rule {
            let y = plot.place_y(*at);
            marks.push(Mark::stroke(Pen::Rule, [(plot.left, y), (plot.right, y)]));
            // Above the line, or below it where there is no room.
            let below = y - 18.0 < plot.top - 12.0;
            let y = if below { y + 14.0 } else { y - 5.0 };
            marks.push(Mark::text((plot.left + 6.0, y), text.clone(), Anchor::Start));
        }
        for (i, series) in self.series.iter().enumerate() {
            let upper = series.band.iter().map(|(x, _, high)| (*x, *high));
            let lower = series.band.iter().rev().map(|(x, low, _)| (*x, *low));
            let points = plot.path(&upper.chain(lower).collect::<Vec<_>>());
            if points.len() > 2 {
                marks.push(Mark::Band { series: colour(i), points });
            }
            let (pen, points) = (Pen::Line(colour(i)), plot.path(&series.line));
            marks.push(Mark::Stroke { pen, points, name: Some(series.name.clone()) });
        }
        for (i, series) in self.series.iter().enumerate() {
            for (k, (x, y)) in series.points.iter().enumerate() {
                let foot = plot.bottom - 2.0 * POINT;
                let y = if *y == f64::NEG_INFINITY { foot } else { plot.place_y(*y) };
                let (at, name) = ((plot.place_x(*x), y), series.point_names.get(k).cloned());
                if at.0.is_finite() && at.1.is_finite() {
                    marks.push(Mark::Point { series: colour(i), shape: series.shape, at, name });
                }
            }
        }
        // Lines without a point are nothing to draw.
        marks.retain(|mark| !matches!(mark, Mark::Stroke { points, .. } if points.is_empty()));
    }

    /// The axes for everything that is drawn.
    fn extent(&self, size: Size) -> (Axis, Axis) {
        let thin = || self.series.iter().flat_map(|s| s.thin.iter().flatten());
        let points =
            || thin().chain(self.series.iter().flat_map(|s| s.line.iter().chain(&s.points)));
        let count = (size.width / 85.0).max(2.0);
        let x = match self.x_span {
            _ if self.x_powers => Axis::of_powers(points().map(|(x, _)| *x)),
            Some(ends) => Axis::over(ends, count, false),
            None => Axis::over(points().map(|(x, _)| *x).chain([0.0]), count, false),
        };
        let x = if self.x_whole { x.whole() } else { x };
        let band =
            self.series.iter().flat_map(|s| &s.band).flat_map(|(_, low, high)| [*low, *high]);
        let rule = self.rule.iter().map(|(at, _)| *at);
        let count = (size.height / 56.0).max(2.0);
        let heights = points().map(|(_, y)| *y).chain(band).chain(rule);
        let y = match self.y_span {
            _ if self.y_powers => Axis::of_powers(heights),
            Some(ends) => Axis::over(ends, count, false),
            None => Axis::over(heights, count, true),
        };
        (x, y)
    }
}

/// The plotted area, and where in it a number stands.
struct Plot {
    x: Axis,
    y: Axis,
    x_powers: bool,
    y_powers: bool,
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
    /// Of the whole picture.
    height: f64,
}

impl Plot {
    fn of(chart: &Chart, size: Size) -> Self {
        let (x, y) = chart.extent(size);
        let ticks = if chart.y_powers { y.powers() } else { y.ticks() };
        let letters = ticks.iter().map(|(_, text)| text.chars().count()).max().unwrap_or(0);
        // Each further line of the legend moves the plot down.
        let further = chart.series.len().saturating_sub(1) as f64;
        let (top, lower) =
            if size.alone { (LEGEND + 16.0, LEGEND_LINE * further) } else { (14.0, 0.0) };
        let height = size.height + lower;
        Self {
            left: if size.labels { 34.0 } else { 12.0 } + LETTER * letters as f64,
            top: top + lower,
            right: size.width - 22.0,
            bottom: height - if size.labels { 56.0 } else { 26.0 },
            height,
            x,
            y,
            x_powers: chart.x_powers,
            y_powers: chart.y_powers,
        }
    }

    fn y_ticks(&self) -> Vec<(f64, String)> {
        if self.y_powers { self.y.powers() } else { self.y.ticks() }
    }

    fn place_x(&self, x: f64) -> f64 {
        self.along(if self.x_powers { x.log10() } else { x })
    }

    /// Where a tick of the horizontal axis stands.
    fn along(&self, tick: f64) -> f64 {
        self.left + (self.right - self.left) * self.x.share(tick)
    }

    fn place_y(&self, y: f64) -> f64 {
        self.height_of(if self.y_powers { y.log10() } else { y })
    }

    /// Where a tick of the vertical axis stands.
    fn height_of(&self, tick: f64) -> f64 {
        self.bottom - (self.bottom - self.top) * self.y.share(tick)
    }

    fn path(&self, points: &[(f64, f64)]) -> Vec<Place> {
        let places = points.iter().map(|(x, y)| (self.place_x(*x), self.place_y(*y)));
        places.filter(|(x, y)| x.is_finite() && y.is_finite()).collect()
    }
}

/// A text of so many letters at most, the last of which says where more were.
fn cut(text: &str, letters: usize) -> String {
    if text.chars().count() <= letters {
        return text.to_owned();
    }
    let kept: String = text.chars().take(letters.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// A number of steps or of seeds as a legend says it: `3 seeds`.
pub(crate) fn counted(count: usize, what: &str) -> String {
    format!("{} {what}{}", grouped(count as u64), if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart() -> Chart {
        Chart {
            title: "a & b".into(),
            rule: Some((10.0, "threshold <10>".into())),
            series: vec![Series {
                name: "one".into(),
                thin: vec![vec![(0.0, 0.0), (100.0, 10.0)]; 3],
                thin_names: vec!["seed 7".into()],
                line: vec![(0.0, 0.0), (50.0, f64::NAN), (100.0, 10.0)],
                band: vec![(0.0, 0.0, 1.0), (100.0, 9.0, 10.0)],
                ..Series::default()
            }],
            ..Chart::default()
        }
    }

    #[test]
    fn every_line_is_in_the_picture_and_within_its_area() {
        let svg = chart().to_svg();
        let paths = |class: &str| svg.matches(&format!("<path class=\"{class} c0\"")).count();
        assert_eq!(
            (paths("thin"), paths("band"), paths("line")),
            (3, 2, 2),
            "a band and a line are the legend's"
        );
        let Plot { left, top, right, bottom, .. } = Plot::of(&chart(), Size::FILE);
        let corners = format!("d=\"M{left:.1} {bottom:.1}L{right:.1} {top:.1}\"");
        assert_eq!(svg.matches(&corners).count(), 4, "a NaN is left out: {svg}");
        assert!(svg.contains("<title>seed 7</title>") && svg.contains("<title>one</title>"));
        assert!(svg.contains("prefers-color-scheme:dark"));
    }

    #[test]
    fn names_are_text_and_nothing_else() {
        let svg = chart().to_svg();
        assert!(svg.contains("a &amp; b") && svg.contains("threshold &lt;10&gt;"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
        assert!(Chart::default().to_svg().ends_with("</svg>\n"), "an empty one is a picture too");
    }

    #[test]
    fn a_further_series_has_its_line_in_the_legend_and_a_taller_picture() {
        let mut chart = chart();
        let one = chart.figure().height;
        chart.series.push(Series { name: "two".into(), ..Series::default() });
        assert_eq!(chart.figure().height, one + LEGEND_LINE);
        assert!(chart.to_svg().contains(">two</text>"));
        assert!(!chart.sized(Size::WIDE).to_inline_svg("x").contains(">two</text>"));
    }

    #[test]
    fn equal_factors_are_equal_distances_on_an_axis_of_powers() {
        let line = vec![(0.0, 1.0), (1.0, 1.0), (10.0, 1.0), (1000.0, 1.0)];
        let series = vec![Series { line, ..Series::default() }];
        let chart = Chart { x_powers: true, series, ..Chart::default() };
        let plot = Plot::of(&chart, Size::FILE);
        let [a, b, c] = [1.0, 10.0, 1000.0].map(|x| plot.place_x(x));
        assert_eq!((a, c), (plot.left, plot.right));
        assert!((2.0 * (b - a) - (c - b)).abs() < 1e-9);
        let svg = chart.to_svg();
        assert!(svg.contains(">1</text>") && svg.contains(">100</text>"), "{svg}");
        assert!(!svg.contains("inf") && !svg.contains("NaN"), "nothing stands at 0: {svg}");
    }

    /// Points of a colour of their own over an axis with words.
    fn scattered() -> Chart {
        let points = vec![(0.5, 10.0), (1.5, f64::NAN), (1.5, f64::NEG_INFINITY)];
        Chart {
            x_span: Some([0.0, 2.0]),
            x_ticks: vec![(0.5, "tanh".into()), (1.5, "a name of many, many words".into())],
            series: vec![Series {
                name: "failed".into(),
                points,
                point_names: vec!["trial <7>".into()],
                shape: Shape::Cross,
                colour: Some(6),
                ..Series::default()
            }],
            ..Chart::default()
        }
    }

    #[test]
    fn points_are_drawn_where_they_are_and_at_the_foot_where_they_are_nowhere() {
        let figure = scattered().figure();
        let places: Vec<Place> = figure
            .marks
            .iter()
            .filter_map(|mark| match mark {
                Mark::Point { series: 6, shape: Shape::Cross, at, .. } => Some(*at),
                _ => None,
            })
            .collect();
        let plot = Plot::of(&scattered(), Size::FILE);
        let x = |share: f64| plot.left + share * (plot.right - plot.left);
        let foot = (x(0.75), plot.bottom - 2.0 * POINT);
        assert_eq!(places.len(), 3, "the legend's is one, and NaN is nowhere: {places:?}");
        assert_eq!(places[1..], [(x(0.25), plot.place_y(10.0)), foot]);
        let svg = figure.to_svg();
        assert!(svg.contains("<title>trial &lt;7&gt;</title>") && svg.contains(">tanh</text>"));
        assert!(svg.contains("failed: 3 points from 10.000 to 10.000."), "{svg}");
        assert!(!svg.contains("class=\"line"), "the legend has no line of theirs: {svg}");
        assert!(scattered().figure().to_svg().contains(">a name of many, many words</text>"));
        let small = scattered().sized(Size::SMALL).to_inline_svg("x");
        assert!(small.contains(">a name of many,…</text>"), "{small}");
    }

    #[test]
    fn all_marks_of_all_sizes_are_inside() {
        let powers = Chart { x_powers: true, y_powers: true, ..chart() };
        for size in [Size::FILE, Size::WIDE, Size::NARROW, Size::SMALL] {
            for figure in [chart(), powers.clone(), scattered()].map(|it| it.sized(size)) {
                for mark in &figure.marks {
                    let points = match mark {
                        Mark::Stroke { points, .. } | Mark::Band { points, .. } => points.clone(),
                        Mark::Dot { at, .. } | Mark::Point { at, .. } | Mark::Text { at, .. } => {
                            vec![*at]
                        }
                    };
                    let inside = |(x, y): &Place| {
                        (0.0..=figure.width).contains(x) && (0.0..=figure.height).contains(y)
                    };
                    assert!(points.iter().all(inside), "{mark:?}");
                }
            }
        }
    }
}
