//! Pictures of numbers: strokes, bands, dots and words, as SVG or as PNG.

use std::fmt::Write;

use crate::{RunError, raster};

/// A place in a figure, in pixels from its upper left corner.
pub(crate) type Place = (f64, f64);

/// A picture that can be written as an SVG file, as a part of a web page and as a PNG file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figure {
    pub(crate) width: f64,
    pub(crate) height: f64,
    /// What it shows, in a line.
    pub(crate) title: String,
    /// What is to be seen, for those who can't see it.
    pub(crate) about: String,
    /// Later ones lie over earlier ones.
    pub(crate) marks: Vec<Mark>,
}

/// One thing in a figure.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Mark {
    /// A line through several points; `name` is what a pointer that rests on it is told.
    Stroke { pen: Pen, points: Vec<Place>, name: Option<String> },
    /// A filled outline in the colour of a series.
    Band { series: usize, points: Vec<Place> },
    /// A point in the colour of a series.
    Dot { series: usize, at: Place },
    /// A smaller one, of which there are many; `name` as that of a stroke.
    Point { series: usize, shape: Shape, at: Place, name: Option<String> },
    /// A line of text. `turned` text reads upwards.
    Text { at: Place, text: String, anchor: Anchor, title: bool, turned: bool },
}

/// What a point of a chart looks like, beside its colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// Filled.
    #[default]
    Disc,
    /// Hollow.
    Ring,
    /// Two strokes.
    Cross,
}

/// What a line is for, and thereby how it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pen {
    Grid,
    Axis,
    /// A value to be reached, dashed.
    Rule,
    /// One seed of a series.
    Thin(usize),
    /// A series.
    Line(usize),
}

/// Which end of a text its place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// Series that have a colour of their own.
pub(crate) const COLOURS: usize = 8;

/// Distinguishable with every kind of colour vision (after Okabe and Ito), on white and on black.
pub(crate) const LIGHT: [&str; COLOURS] =
    ["#0067a8", "#c04a00", "#00795a", "#a03c80", "#7a6400", "#4b4bc0", "#59636e", "#b3203a"];
const DARK: [&str; COLOURS] =
    ["#5cb8f2", "#f29a4a", "#35c79b", "#e08fc4", "#d9c24a", "#a5a5ff", "#a9b4c0", "#ff8f9e"];

/// How a kind of line looks.
pub(crate) struct Look {
    /// On a light page; a series has its own colour.
    pub(crate) colour: &'static str,
    dark: &'static str,
    pub(crate) width: f64,
    pub(crate) opacity: f64,
    pub(crate) dash: Option<[f64; 2]>,
}

impl Pen {
    const ALL: [Self; 5] = [Self::Grid, Self::Axis, Self::Rule, Self::Thin(0), Self::Line(0)];

    pub(crate) fn look(self) -> Look {
        let of = |colour, dark, width, opacity, dash| Look { colour, dark, width, opacity, dash };
        match self {
            Self::Grid => of("#e4e7eb", "#262c34", 1.0, 1.0, None),
            Self::Axis => of("#8b949e", "#6e7681", 1.0, 1.0, None),
            Self::Rule => of("#6e7781", "#8b949e", 1.0, 1.0, Some([5.0, 4.0])),
            Self::Thin(series) => of(light(series), DARK[series % COLOURS], 0.8, 0.45, None),
            Self::Line(series) => of(light(series), DARK[series % COLOURS], 2.6, 1.0, None),
        }
    }

    fn class(self) -> String {
        match self {
            Self::Grid => "grid".into(),
            Self::Axis => "axis".into(),
            Self::Rule => "rule".into(),
            Self::Thin(series) => format!("thin c{}", series % COLOURS),
            Self::Line(series) => format!("line c{}", series % COLOURS),
        }
    }
}

/// The colour of a series on a light page.
pub(crate) fn light(series: usize) -> &'static str {
    LIGHT[series % COLOURS]
}

pub(crate) const PAPER: &str = "#ffffff";
pub(crate) const INK: &str = "#30363d";
pub(crate) const TITLE_INK: &str = "#1f2328";
pub(crate) const BAND_OPACITY: f64 = 0.22;
pub(crate) const TEXT_SIZE: f64 = 12.0;
pub(crate) const TITLE_SIZE: f64 = 15.0;
pub(crate) const DOT: f64 = 5.0;
/// Half as wide as a point is.
pub(crate) const POINT: f64 = 3.5;
/// How thick the line of a hollow one is.
pub(crate) const POINT_LINE: f64 = 1.6;

/// How every figure looks, light and dark, as CSS.
pub(crate) fn css() -> String {
    let mut css = format!(
        ".figure text{{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;\
         font-size:{TEXT_SIZE}px;fill:{INK}}}\n.figure .title{{font-size:{TITLE_SIZE}px;font-weight:600;\
         fill:{TITLE_INK}}}\n.figure .page{{fill:{PAPER}}}\n.figure .band{{fill-opacity:{BAND_OPACITY}}}\n"
    );
    for pen in Pen::ALL {
        let (class, Look { colour, width, opacity, dash, .. }) = (pen.class(), pen.look());
        let class = class.split(' ').next().unwrap_or_default();
        let _ = write!(css, ".figure .{class}{{fill:none;stroke-width:{width}");
        if !matches!(pen, Pen::Thin(_) | Pen::Line(_)) {
            let _ = write!(css, ";stroke:{colour}");
        }
        if opacity < 1.0 {
            let _ = write!(css, ";stroke-opacity:{opacity}");
        }
        if let Some([on, off]) = dash {
            let _ = write!(css, ";stroke-dasharray:{on} {off}");
        }
        css += "}\n";
    }
    let _ = writeln!(css, ".figure .point{{fill:none;stroke-width:{POINT_LINE}}}");
    css += &series_css(&LIGHT);
    css += "@media screen and (prefers-color-scheme:dark){\n.figure text{fill:#c9d1d9}\n\
            .figure .title{fill:#f0f6fc}\n.figure .page{fill:#0d1117}\n";
    for pen in [Pen::Grid, Pen::Axis, Pen::Rule] {
        let _ = writeln!(css, ".figure .{}{{stroke:{}}}", pen.class(), pen.look().dark);
    }
    css += &series_css(&DARK);
    css += "}\n";
    css
}

fn series_css(palette: &[&str]) -> String {
    let rule = |(n, colour): (usize, &&str)| {
        format!(
            ".figure .line.c{n},.figure .thin.c{n},.figure .point.c{n}{{stroke:{colour}}}.figure .band.c{n},.figure .dot.c{n}{{fill:{colour}}}\n"
        )
    };
    palette.iter().enumerate().map(rule).collect()
}

impl Figure {
    /// The picture as an SVG file that needs nothing else and reads well on light and on dark pages.
    pub fn to_svg(&self) -> String {
        let (Self { width, height, .. }, title) = (self, escaped(&self.title));
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"figure\" viewBox=\"0 0 {width} {height}\" \
             width=\"{width}\" height=\"{height}\" role=\"img\">\n<title>{title}</title>\n"
        );
        if !self.about.is_empty() {
            let _ = writeln!(svg, "<desc>{}</desc>", escaped(&self.about));
        }
        // Writing to a string can't fail, so the results are dropped throughout.
        let _ = writeln!(svg, "<style>\n{}</style>", css());
        let _ = writeln!(svg, "<rect class=\"page\" width=\"{width}\" height=\"{height}\"/>");
        self.write_marks(&mut svg);
        svg.push_str("</svg>\n");
        svg
    }

    /// The picture as a part of a web page that has the [`css`] already; `id` is its own in the page.
    pub(crate) fn to_inline_svg(&self, id: &str) -> String {
        let Self { width, height, .. } = self;
        let [title, about] = [&self.title, &self.about].map(|text| escaped(text));
        let mut svg = format!(
            "<svg class=\"figure\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
             aria-labelledby=\"{id}-title {id}-desc\">\n<title id=\"{id}-title\">{title}</title>\
             <desc id=\"{id}-desc\">{about}</desc>\n"
        );
        self.write_marks(&mut svg);
        svg.push_str("</svg>\n");
        svg
    }

    /// The picture as a part of a web page that says nothing beside the words around it.
    pub(crate) fn to_decoration(&self) -> String {
        let Self { width, height, .. } = self;
        let mut svg = format!(
            "<svg class=\"figure\" viewBox=\"0 0 {width} {height}\" aria-hidden=\"true\">\n"
        );
        self.write_marks(&mut svg);
        svg.push_str("</svg>\n");
        svg
    }

    /// The picture as a PNG file, for papers: light, with `scale` pixels for each of its own.
    ///
    /// # Errors
    /// When it is too large to be drawn.
    pub fn to_png(&self, scale: f64) -> Result<Vec<u8>, RunError> {
        raster::png(self, scale)
    }

    fn write_marks(&self, svg: &mut String) {
        for mark in &self.marks {
            mark.write(svg);
            svg.push('\n');
        }
    }
}

impl Mark {
    /// A plain text.
    pub(crate) fn text(at: Place, text: impl Into<String>, anchor: Anchor) -> Self {
        Self::Text { at, text: text.into(), anchor, title: false, turned: false }
    }

    /// A line that nobody asks about.
    pub(crate) fn stroke(pen: Pen, points: impl Into<Vec<Place>>) -> Self {
        Self::Stroke { pen, points: points.into(), name: None }
    }

    fn write(&self, svg: &mut String) {
        let _ = match self {
            Self::Stroke { pen, points, name } => {
                let (class, d) = (pen.class(), path(points));
                element(svg, "path", &format!("class=\"{class}\" d=\"{d}\""), name.as_deref())
            }
            Self::Band { series, points } => {
                let (n, d) = (series % COLOURS, path(points));
                write!(svg, "<path class=\"band c{n}\" d=\"{d}Z\"/>")
            }
            Self::Dot { series, at: (x, y) } => {
                let n = series % COLOURS;
                write!(svg, "<circle class=\"dot c{n}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{DOT}\"/>")
            }
            Self::Point { series, shape, at, name } => {
                let (n, (x, y)) = (series % COLOURS, at);
                let circle = |class| {
                    format!("class=\"{class} c{n}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{POINT}\"")
                };
                let (kind, attributes) = match shape {
                    Shape::Disc => ("circle", circle("dot")),
                    Shape::Ring => ("circle", circle("point")),
                    Shape::Cross => {
                        let [a, b] = cross(*at).map(|stroke| path(&stroke));
                        ("path", format!("class=\"point c{n}\" d=\"{a}{b}\""))
                    }
                };
                element(svg, kind, &attributes, name.as_deref())
            }
            Self::Text { at: (x, y), text, anchor, title, turned } => {
                let class = if *title { " class=\"title\"" } else { "" };
                let anchor = match anchor {
                    Anchor::Start => "",
                    Anchor::Middle => " text-anchor=\"middle\"",
                    Anchor::End => " text-anchor=\"end\"",
                };
                let place = if *turned {
                    format!(" transform=\"translate({x:.1} {y:.1}) rotate(-90)\"")
                } else {
                    format!(" x=\"{x:.1}\" y=\"{y:.1}\"")
                };
                write!(svg, "<text{class}{place}{anchor}>{}</text>", escaped(text))
            }
        };
    }
}

/// An element with what a pointer that rests on it is told.
fn element(svg: &mut String, kind: &str, attributes: &str, name: Option<&str>) -> std::fmt::Result {
    match name {
        None => write!(svg, "<{kind} {attributes}/>"),
        Some(name) => {
            write!(svg, "<{kind} {attributes}><title>{}</title></{kind}>", escaped(name))
        }
    }
}

/// The two strokes of a cross.
pub(crate) fn cross((x, y): Place) -> [[Place; 2]; 2] {
    let arm = |dx: f64, dy: f64| (x + POINT * dx, y + POINT * dy);
    [[arm(-1.0, -1.0), arm(1.0, 1.0)], [arm(-1.0, 1.0), arm(1.0, -1.0)]]
}

fn path(points: &[Place]) -> String {
    let mut d = String::with_capacity(points.len() * 12);
    for (x, y) in points {
        let letter = if d.is_empty() { 'M' } else { 'L' };
        let _ = write!(d, "{letter}{x:.1} {y:.1}");
    }
    d
}

/// Text as XML takes it. Characters that XML does not have at all become �.
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\t' | '\n' => safe.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

/// A number with a minus sign where it is negative, and not a hyphen.
pub(crate) fn signed(x: f64) -> String {
    x.to_string().replace('-', "−")
}

/// 1234567.0 as 1,234,567; ∞ for what is infinite.
pub(crate) fn whole(number: f64) -> String {
    if number.is_finite() { grouped(number.round_ties_even() as u64) } else { "∞".into() }
}

/// 1234567 as 1,234,567.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_read_well() {
        let texts = [0.0, 999.4, 1234.0, 1_234_567.0, f64::INFINITY].map(whole);
        assert_eq!(texts, ["0", "999", "1,234", "1,234,567", "∞"]);
    }

    #[test]
    fn words_are_words_whatever_they_say() {
        let figure = Figure {
            title: "a & <b>".into(),
            marks: vec![Mark::text((1.0, 2.0), "\u{1b}[0m\"x\"", Anchor::End)],
            ..Figure::default()
        };
        for svg in [figure.to_svg(), figure.to_inline_svg("f")] {
            assert!(svg.contains("a &amp; &lt;b&gt;</title>"), "{svg}");
            assert!(svg.contains(">�[0m&quot;x&quot;</text>"), "{svg}");
        }
    }

    #[test]
    fn every_class_that_is_used_has_a_look_in_both_lights() {
        let (light, dark) = {
            let css = css();
            let (light, dark) = css.split_once("@media").unwrap();
            (light.to_owned(), dark.to_owned())
        };
        for class in
            [".grid", ".axis", ".rule", ".line.c7", ".thin.c7", ".band.c7", ".dot.c7", ".point.c7"]
        {
            assert!(light.contains(class) && dark.contains(class), "{class}");
        }
    }
}
