//! Figures in pixels.
//!
//! The letters are outlines of a font that is part of the program, DejaVu Sans: a picture is the same on
//! every machine, whatever fonts that has.

use std::sync::LazyLock;

use png::{BitDepth, ColorType, Encoder, PixelDimensions, Unit};
use tiny_skia::{
    Color, FillRule, LineCap, LineJoin, Paint, PathBuilder, Pixmap, Stroke, StrokeDash, Transform,
};
use ttf_parser::{Face, GlyphId, OutlineBuilder};

use crate::{
    RunError,
    figure::{
        Anchor, BAND_OPACITY, DOT, Figure, INK, Mark, PAPER, POINT, POINT_LINE, Place, Shape,
        TEXT_SIZE, TITLE_INK, TITLE_SIZE, cross, light,
    },
};

/// DejaVu Sans with the letters of Latin, Greek and Cyrillic and the signs of mathematics.
static FONT: &[u8] = include_bytes!("../fonts/DejaVuSans-subset.ttf");

/// `None` if the font were damaged; a test reads it.
static FACE: LazyLock<Option<Face<'static>>> = LazyLock::new(|| Face::parse(FONT, 0).ok());

/// More pixels than this on a side are a mistake.
const LARGEST: f64 = 16_384.0;

/// Pixels of a screen in a metre, at 96 to the inch: the size that a figure has on paper.
const PER_METRE: f64 = 96.0 / 0.0254;

/// The figure as a PNG file.
pub(crate) fn png(figure: &Figure, scale: f64) -> Result<Vec<u8>, RunError> {
    let failed = |reason: String| RunError::Picture { title: figure.title.clone(), reason };
    let pixels = draw(figure, scale).ok_or_else(|| {
        let (width, height) = (figure.width * scale, figure.height * scale);
        failed(format!("{width:.0} × {height:.0} pixels can't be drawn"))
    })?;
    let rgb: Vec<u8> =
        pixels.pixels().iter().flat_map(|p| [p.red(), p.green(), p.blue()]).collect();
    let density = (PER_METRE * scale).round() as u32;
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, pixels.width(), pixels.height());
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_pixel_dims(Some(PixelDimensions {
        xppu: density,
        yppu: density,
        unit: Unit::Meter,
    }));
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&rgb));
    written.map_err(|error| failed(error.to_string()))?;
    Ok(bytes)
}

fn draw(figure: &Figure, scale: f64) -> Option<Pixmap> {
    let [width, height] = [figure.width, figure.height].map(|side| (side * scale).round());
    if !(1.0..=LARGEST).contains(&width) || !(1.0..=LARGEST).contains(&height) {
        return None;
    }
    let mut canvas = Pixmap::new(width as u32, height as u32)?;
    canvas.fill(colour(PAPER, 1.0));
    let transform = Transform::from_scale(scale as f32, scale as f32);
    figure.marks.iter().for_each(|mark| put(&mut canvas, mark, transform));
    Some(canvas)
}

fn put(canvas: &mut Pixmap, mark: &Mark, transform: Transform) {
    match mark {
        Mark::Stroke { pen, points, .. } => {
            let look = pen.look();
            let stroke = Stroke {
                width: look.width as f32,
                line_cap: LineCap::Butt,
                line_join: LineJoin::Round,
                dash: look.dash.and_then(|d| StrokeDash::new(d.map(|x| x as f32).to_vec(), 0.0)),
                ..Stroke::default()
            };
            if let Some(path) = outline(points, false) {
                let paint = paint(look.colour, look.opacity);
                canvas.stroke_path(&path, &paint, &stroke, transform, None);
            }
        }
        Mark::Band { series, points } => {
            if let Some(path) = outline(points, true) {
                let paint = paint(light(*series), BAND_OPACITY);
                canvas.fill_path(&path, &paint, FillRule::Winding, transform, None);
            }
        }
        Mark::Dot { series, at: (x, y) } => {
            if let Some(path) = PathBuilder::from_circle(*x as f32, *y as f32, DOT as f32) {
                let paint = paint(light(*series), 1.0);
                canvas.fill_path(&path, &paint, FillRule::Winding, transform, None);
            }
        }
        Mark::Point { series, shape, at: (x, y), .. } => {
            let paint = paint(light(*series), 1.0);
            let circle = || PathBuilder::from_circle(*x as f32, *y as f32, POINT as f32);
            let line = Stroke { width: POINT_LINE as f32, ..Stroke::default() };
            let paths = match shape {
                Shape::Disc => {
                    if let Some(path) = circle() {
                        canvas.fill_path(&path, &paint, FillRule::Winding, transform, None);
                    }
                    return;
                }
                Shape::Ring => vec![circle()],
                Shape::Cross => cross((*x, *y)).map(|stroke| outline(&stroke, false)).into(),
            };
            for path in paths.into_iter().flatten() {
                canvas.stroke_path(&path, &paint, &line, transform, None);
            }
        }
        Mark::Text { at, text, anchor, title, turned } => {
            let (size, ink) = if *title { (TITLE_SIZE, TITLE_INK) } else { (TEXT_SIZE, INK) };
            let Some(path) = words(text, size, *anchor) else { return };
            let mut place = Transform::from_translate(at.0 as f32, at.1 as f32);
            if *turned {
                place = place.pre_rotate(-90.0);
            }
            let (paint, place) = (paint(ink, 1.0), place.post_concat(transform));
            canvas.fill_path(&path, &paint, FillRule::Winding, place, None);
            if *title {
                // The font has one weight: an outline around the letters makes them semi-bold.
                let stroke = Stroke { width: 0.5, ..Stroke::default() };
                canvas.stroke_path(&path, &paint, &stroke, place, None);
            }
        }
    }
}

fn outline(points: &[Place], closed: bool) -> Option<tiny_skia::Path> {
    let mut path = PathBuilder::new();
    for (i, (x, y)) in points.iter().enumerate() {
        let (x, y) = (*x as f32, *y as f32);
        if i == 0 { path.move_to(x, y) } else { path.line_to(x, y) }
    }
    if closed {
        path.close();
    }
    path.finish()
}

fn paint(hex: &str, opacity: f64) -> Paint<'static> {
    let mut paint = Paint::default();
    paint.set_color(colour(hex, opacity));
    paint
}

/// A colour written as `#rrggbb`.
fn colour(hex: &str, opacity: f64) -> Color {
    let part = |from: usize| {
        hex.get(from..from + 2).and_then(|part| u8::from_str_radix(part, 16).ok()).unwrap_or(0)
    };
    Color::from_rgba8(part(1), part(3), part(5), (opacity * 255.0).round() as u8)
}

/// The letters of a line of text, its anchor at the origin, y downwards.
fn words(text: &str, size: f64, anchor: Anchor) -> Option<tiny_skia::Path> {
    let face = FACE.as_ref()?;
    let scale = size as f32 / f32::from(face.units_per_em());
    let unknown = face.glyph_index('?').unwrap_or(GlyphId(0));
    let glyphs = text.chars().map(|c| face.glyph_index(c).unwrap_or(unknown));
    let mut pen = Letters { path: PathBuilder::new(), x: 0.0, scale };
    for glyph in glyphs {
        face.outline_glyph(glyph, &mut pen);
        pen.x += f32::from(face.glyph_hor_advance(glyph).unwrap_or(0)) * scale;
    }
    let shift = match anchor {
        Anchor::Start => 0.0,
        Anchor::Middle => -pen.x / 2.0,
        Anchor::End => -pen.x,
    };
    pen.path.finish()?.transform(Transform::from_translate(shift, 0.0))
}

/// Turns the font's outlines, in its own units with y upwards, into a path.
struct Letters {
    path: PathBuilder,
    x: f32,
    scale: f32,
}

impl Letters {
    fn at(&self, x: f32, y: f32) -> (f32, f32) {
        (self.x + x * self.scale, -y * self.scale)
    }
}

impl OutlineBuilder for Letters {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.path.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.path.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let ((x1, y1), (x, y)) = (self.at(x1, y1), self.at(x, y));
        self.path.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let ((x1, y1), (x2, y2), (x, y)) = (self.at(x1, y1), self.at(x2, y2), self.at(x, y));
        self.path.cubic_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.path.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::Pen;

    #[test]
    fn the_font_has_what_figures_say() {
        let face = FACE.as_ref().unwrap();
        for c in "AZaz09 .,()[]%−±×·…∞≤≥αγλπθäßñé–—".chars() {
            assert!(face.glyph_index(c).is_some(), "no {c}");
        }
        for (anchor, left, right) in
            [(Anchor::Start, 0.0, 40.0), (Anchor::Middle, -20.0, 20.0), (Anchor::End, -40.0, 0.0)]
        {
            let bounds = words("return", 12.0, anchor).unwrap().bounds();
            assert!(bounds.left() >= left - 1.0 && bounds.right() <= right + 1.0, "{bounds:?}");
            assert!(bounds.top() > -12.0 && bounds.bottom() < 4.0, "{bounds:?}");
        }
        let [lacking, question] = ["漢", "?"].map(|text| words(text, 12.0, Anchor::Start).unwrap());
        assert_eq!(lacking, question, "for a letter that the font lacks");
        assert!(words("", 12.0, Anchor::Start).is_none());
    }

    #[test]
    fn marks_are_where_they_belong_and_the_size_is_on_the_file() {
        let figure = Figure {
            width: 40.0,
            height: 20.0,
            marks: vec![
                Mark::Band {
                    series: 0,
                    points: vec![(0.0, 0.0), (20.0, 0.0), (20.0, 20.0), (0.0, 20.0)],
                },
                Mark::stroke(Pen::Line(1), [(20.0, 10.0), (40.0, 10.0)]),
            ],
            ..Figure::default()
        };
        let bytes = figure.to_png(2.0).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        assert_eq!((reader.info().width, reader.info().height), (80, 40));
        assert_eq!(reader.info().pixel_dims.unwrap().xppu, 7559, "192 to the inch");
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        let pixel = |x: usize, y: usize| &pixels[3 * (80 * y + x)..][..3];
        // 22 % of #0067a8 on white.
        let band = pixel(10, 30);
        assert!(band[0].abs_diff(199) <= 1 && band[1].abs_diff(221) <= 1, "{band:?}");
        assert_eq!(pixel(60, 20), [0xc0, 0x4a, 0x00]);
        assert_eq!(pixel(60, 35), [255; 3]);
    }

    #[test]
    fn points_are_filled_hollow_or_crossed() {
        let point = |shape, x| Mark::Point { series: 0, shape, at: (x, 10.0), name: None };
        let marks = [(Shape::Disc, 10.0), (Shape::Ring, 30.0), (Shape::Cross, 50.0)]
            .map(|(shape, x)| point(shape, x));
        let figure = Figure { width: 60.0, height: 20.0, marks: marks.into(), ..Figure::default() };
        let pixels = draw(&figure, 10.0).unwrap();
        let inked = |x, y| pixels.pixel(x, y).unwrap().red() < 128;
        // At the centre, on the upper edge, and on the way to the upper right.
        let found = [100, 300, 500].map(|x| [inked(x, 100), inked(x, 65), inked(x + 33, 67)]);
        assert_eq!(found, [[true, true, false], [false, true, false], [true, false, true]]);
    }

    #[test]
    fn what_is_too_large_or_empty_is_an_error() {
        let figure = Figure { title: "big".into(), width: 1e6, height: 10.0, ..Figure::default() };
        let error = figure.to_png(1.0).unwrap_err().to_string();
        assert!(error.contains("big") && error.contains("1000000 × 10"), "{error}");
        assert!(Figure::default().to_png(1.0).is_err());
        assert!(figure.to_png(f64::NAN).is_err());
    }
}
