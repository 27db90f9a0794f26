//! Learning curves as a picture: one SVG file that needs nothing else and reads well on light and on
//! dark pages.

use std::fmt::Write;

/// Lines over a common axis. What is infinite or NaN is not drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    /// What stands above it.
    pub title: String,
    /// What the horizontal axis counts.
    pub x_label: String,
    /// What the vertical axis measures.
    pub y_label: String,
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
    /// The thick line.
    pub line: Vec<(f64, f64)>,
    /// The band: place, lower and upper end.
    pub band: Vec<(f64, f64, f64)>,
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 440.0;
/// The plotted area: left, top, right, bottom.
const AREA: [f64; 4] = [74.0, 62.0, WIDTH - 22.0, HEIGHT - 56.0];
/// Where the legend's first line stands.
const LEGEND: f64 = 46.0;
const LEGEND_LINE: f64 = 18.0;

/// Distinguishable with every kind of colour vision (after Okabe and Ito), on white and on black.
const LIGHT: [&str; 4] = ["#0067a8", "#c04a00", "#00795a", "#a03c80"];
const DARK: [&str; 4] = ["#5cb8f2", "#f29a4a", "#35c79b", "#e08fc4"];

const STYLE: &str = "\
text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;font-size:12px;fill:#30363d}
.title{font-size:15px;font-weight:600;fill:#1f2328}
.page{fill:#ffffff}.grid{stroke:#e4e7eb;stroke-width:1}.axis{stroke:#8b949e;stroke-width:1}
.rule{stroke:#6e7781;stroke-width:1;stroke-dasharray:5 4}
.thin{fill:none;stroke-width:0.8;stroke-opacity:0.45}.line{fill:none;stroke-width:2.6}.band{fill-opacity:0.22}
";
const DARK_STYLE: &str = "\
text{fill:#c9d1d9}.title{fill:#f0f6fc}.page{fill:#0d1117}.grid{stroke:#21262d}.axis{stroke:#6e7681}.rule{stroke:#8b949e}
";

impl Chart {
    /// Series that have a colour of their own.
    pub const COLOURS: usize = LIGHT.len();

    /// The picture.
    pub fn to_svg(&self) -> String {
        let scale = Scale::of(self);
        let title = escaped(&self.title);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
             height=\"{height}\" role=\"img\">\n<title>{title}</title>\n<style>\n{STYLE}{}@media \
             (prefers-color-scheme:dark){{\n{DARK_STYLE}{}}}\n</style>\n<rect class=\"page\" \
             width=\"{WIDTH}\" height=\"{height}\"/>\n<text class=\"title\" x=\"{}\" y=\"26\">{title}</text>\n",
            colours(&LIGHT),
            colours(&DARK),
            AREA[0],
            height = scale.height(),
        );
        self.legend(&mut svg);
        self.axes(&scale, &mut svg);
        self.lines(&scale, &mut svg);
        svg.push_str("</svg>\n");
        svg
    }

    fn legend(&self, svg: &mut String) {
        for (i, series) in self.series.iter().enumerate() {
            let (x, y, n) = (AREA[0], LEGEND + LEGEND_LINE * i as f64, i % Self::COLOURS);
            let (band, line, text) = (y - 9.0, y - 4.0, x + 34.0);
            let _ = writeln!(
                svg,
                "<rect class=\"band c{n}\" x=\"{x}\" y=\"{band}\" width=\"26\" height=\"10\"/>\
                 <path class=\"line c{n}\" d=\"M{x} {line}h26\"/><text x=\"{text}\" y=\"{y}\">{}</text>",
                escaped(&series.name)
            );
        }
    }

    fn axes(&self, scale: &Scale, svg: &mut String) {
        let [left, _, right, _] = AREA;
        let (top, bottom) = (scale.top, scale.bottom);
        for (at, text) in scale.x.ticks() {
            let x = scale.place_x(at);
            let _ = writeln!(
                svg,
                "<path class=\"grid\" d=\"M{x:.1} {top}V{bottom}\"/><text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{text}</text>",
                bottom + 18.0
            );
        }
        for (at, text) in scale.y.ticks() {
            let y = scale.place_y(at);
            let _ = writeln!(
                svg,
                "<path class=\"grid\" d=\"M{left} {y:.1}H{right}\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
                left - 8.0,
                y + 4.0
            );
        }
        let (x, y) = ((left + right) / 2.0, (top + bottom) / 2.0);
        let _ = writeln!(
            svg,
            "<path class=\"axis\" fill=\"none\" d=\"M{left} {top}V{bottom}H{right}\"/>\n\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n\
             <text transform=\"translate(18 {y:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            bottom + 42.0,
            escaped(&self.x_label),
            escaped(&self.y_label)
        );
    }

    fn lines(&self, scale: &Scale, svg: &mut String) {
        for (i, series) in self.series.iter().enumerate() {
            let n = i % Self::COLOURS;
            for thin in &series.thin {
                let d = scale.path(thin);
                let _ = writeln!(svg, "<path class=\"thin c{n}\" d=\"{d}\"/>");
            }
        }
        if let Some((at, text)) = &self.rule {
            let ([left, _, right, _], y) = (AREA, scale.place_y(*at));
            let _ = writeln!(
                svg,
                "<path class=\"rule\" d=\"M{left} {y:.1}H{right}\"/><text x=\"{left}\" dx=\"6\" y=\"{:.1}\">{}</text>",
                y - 5.0,
                escaped(text)
            );
        }
        for (i, series) in self.series.iter().enumerate() {
            let n = i % Self::COLOURS;
            let upper = series.band.iter().map(|(x, _, high)| (*x, *high));
            let lower = series.band.iter().rev().map(|(x, low, _)| (*x, *low));
            let outline: Vec<_> = upper.chain(lower).collect();
            if outline.len() > 2 {
                let d = scale.path(&outline);
                let _ = writeln!(svg, "<path class=\"band c{n}\" d=\"{d}Z\"/>");
            }
            let d = scale.path(&series.line);
            let _ = writeln!(svg, "<path class=\"line c{n}\" d=\"{d}\"/>");
        }
    }

    /// Every place and height that is drawn.
    fn extent(&self) -> (Axis, Axis) {
        let mut x = vec![0.0];
        let mut y: Vec<f64> = self.rule.iter().map(|rule| rule.0).collect();
        for series in &self.series {
            for (place, height) in series.thin.iter().flatten().chain(&series.line) {
                x.push(*place);
                y.push(*height);
            }
            y.extend(series.band.iter().flat_map(|(_, low, high)| [*low, *high]));
        }
        (Axis::over(&x, 8.0, false), Axis::over(&y, 6.0, true))
    }
}

/// Turns steps and returns into places on the picture.
struct Scale {
    x: Axis,
    y: Axis,
    top: f64,
    bottom: f64,
}

impl Scale {
    fn of(chart: &Chart) -> Self {
        let (x, y) = chart.extent();
        // Each further line of the legend moves the plot down.
        let lower = LEGEND_LINE * chart.series.len().saturating_sub(1) as f64;
        Self { x, y, top: AREA[1] + lower, bottom: AREA[3] + lower }
    }

    fn height(&self) -> f64 {
        HEIGHT + self.bottom - AREA[3]
    }

    fn place_x(&self, x: f64) -> f64 {
        AREA[0] + (AREA[2] - AREA[0]) * self.x.share(x)
    }

    fn place_y(&self, y: f64) -> f64 {
        self.bottom - (self.bottom - self.top) * self.y.share(y)
    }

    fn path(&self, points: &[(f64, f64)]) -> String {
        let mut d = String::with_capacity(points.len() * 12);
        for (x, y) in points.iter().filter(|(x, y)| x.is_finite() && y.is_finite()) {
            let letter = if d.is_empty() { 'M' } else { 'L' };
            let _ = write!(d, "{letter}{:.1} {:.1}", self.place_x(*x), self.place_y(*y));
        }
        d
    }
}

/// An axis between two ends, with round ticks.
#[derive(Clone, Debug, PartialEq)]
struct Axis {
    low: f64,
    high: f64,
    step: f64,
}

impl Axis {
    /// Over all of `values`, with about `count` ticks; to the next tick on both sides if `round`.
    fn over(values: &[f64], count: f64, round: bool) -> Self {
        let finite = || values.iter().copied().filter(|value| value.is_finite());
        let (low, high) = (finite().reduce(f64::min), finite().reduce(f64::max));
        let (low, high) = (low.unwrap_or(0.0), high.unwrap_or(1.0));
        let (low, high) = if low < high { (low, high) } else { (low - 1.0, high + 1.0) };
        let step = round_step((high - low) / count);
        if round {
            Self { low: (low / step).floor() * step, high: (high / step).ceil() * step, step }
        } else {
            Self { low, high, step }
        }
    }

    fn share(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }

    /// The ticks and what they say.
    fn ticks(&self) -> Vec<(f64, String)> {
        let first = (self.low / self.step).ceil() as i64;
        let last = (self.high / self.step + 1e-9).floor() as i64;
        (first..=last).map(|i| i as f64 * self.step).map(|at| (at, self.label(at))).collect()
    }

    fn label(&self, at: f64) -> String {
        let largest = self.low.abs().max(self.high.abs());
        let (unit, name) = match largest {
            x if x >= 2e6 => (1e6, "M"),
            x if x >= 1e4 => (1e3, "k"),
            _ => (1.0, ""),
        };
        let decimals = (-(self.step / unit).log10() - 1e-9).ceil().clamp(0.0, 9.0) as usize;
        let text = format!("{:.decimals$}", at / unit);
        let zero = at == 0.0;
        if zero { "0".into() } else { format!("{}{name}", text.replace('-', "−")) }
    }
}

/// The smallest of 1, 2 and 5 times a power of ten that is at least `x`.
fn round_step(x: f64) -> f64 {
    let power = 10f64.powf(x.log10().floor());
    let round = [1.0, 2.0, 5.0, 10.0].into_iter().find(|m| m * power >= x * (1.0 - 1e-9));
    round.unwrap_or(10.0) * power
}

fn colours(palette: &[&str]) -> String {
    let rule = |(n, colour): (usize, &&str)| {
        format!(".line.c{n},.thin.c{n}{{stroke:{colour}}}.band.c{n}{{fill:{colour}}}\n")
    };
    palette.iter().enumerate().map(rule).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// 1234567 as 1,234,567; ∞ for what is infinite.
pub(crate) fn grouped(number: f64) -> String {
    if !number.is_finite() {
        return "∞".into();
    }
    let digits = format!("{:.0}", number.max(0.0));
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
    fn ticks_are_round_and_say_their_unit() {
        let labels = |values: &[f64], count, round| -> Vec<String> {
            Axis::over(values, count, round).ticks().into_iter().map(|tick| tick.1).collect()
        };
        assert_eq!(labels(&[0.0, 100_352.0], 5.0, false), ["0", "50k", "100k"]);
        assert_eq!(labels(&[9.0, 497.0], 5.0, true), ["0", "100", "200", "300", "400", "500"]);
        assert_eq!(labels(&[-1503.0, -140.0], 3.0, true), ["−2000", "−1500", "−1000", "−500", "0"]);
        assert_eq!(labels(&[0.0, 3e6], 3.0, false), ["0", "1M", "2M", "3M"]);
        assert_eq!(labels(&[0.02, 0.98], 5.0, true), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(&[5.0, 5.0], 2.0, true), ["4", "5", "6"], "one value has an axis too");
    }

    #[test]
    fn steps_are_one_two_or_five() {
        let steps = [0.9, 1.0, 1.1, 2.1, 5.1, 34.0, 0.012].map(round_step);
        for (step, expected) in steps.into_iter().zip([1.0, 1.0, 2.0, 5.0, 10.0, 50.0, 0.02]) {
            assert!((step / expected - 1.0).abs() < 1e-9, "{step} is not {expected}");
        }
    }

    fn chart() -> Chart {
        Chart {
            title: "a & b".into(),
            rule: Some((10.0, "threshold <10>".into())),
            series: vec![Series {
                name: "one".into(),
                thin: vec![vec![(0.0, 0.0), (100.0, 10.0)]; 3],
                line: vec![(0.0, 0.0), (50.0, f64::NAN), (100.0, 10.0)],
                band: vec![(0.0, 0.0, 1.0), (100.0, 9.0, 10.0)],
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
            (3, 1, 2),
            "a line is the legend's"
        );
        let [left, top, right, bottom] = AREA;
        let corners = format!("d=\"M{left:.1} {bottom:.1}L{right:.1} {top:.1}\"");
        assert_eq!(svg.matches(&corners).count(), 4, "a NaN is left out: {svg}");
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
        let one = Scale::of(&chart).height();
        chart.series.push(Series { name: "two".into(), ..Series::default() });
        assert_eq!(Scale::of(&chart).height(), one + LEGEND_LINE);
        assert!(chart.to_svg().contains(">two</text>"));
    }

    #[test]
    fn large_numbers_read_well() {
        let texts = [0.0, 999.4, 1234.0, 1_234_567.0, f64::INFINITY].map(grouped);
        assert_eq!(texts, ["0", "999", "1,234", "1,234,567", "∞"]);
    }
}
