//! Pictures as pixels and as terminal text.

use std::fmt::Write;

use tiny_skia::{Color, FillRule, Paint, PathBuilder, Pixmap, Stroke, Transform};

use crate::scene::{Point, Rgb, Scene, Shape};

/// A picture in pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RgbFrame {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Red, green and blue of every pixel, row by row from the top: `[height × width × 3]`.
    pub pixels: Vec<u8>,
}

/// Draws a scene with smooth edges, as large as fits into `width` × `height` without distortion.
/// A size of 0 is taken as 1.
pub fn rasterise(scene: &Scene, width: usize, height: usize) -> RgbFrame {
    let (width, height) = (width.clamp(1, 1 << 14), height.clamp(1, 1 << 14));
    let Some(mut canvas) = Pixmap::new(width as u32, height as u32) else {
        // Only sizes beyond the clamp have no canvas.
        return RgbFrame { width, height, pixels: vec![0; width * height * 3] };
    };
    let [r, g, b] = scene.background;
    canvas.fill(Color::from_rgba8(r, g, b, 255));
    let transform = fit(scene, width as f32, height as f32);
    for shape in &scene.shapes {
        draw(&mut canvas, shape, transform);
    }
    let pixels = canvas.pixels().iter().flat_map(|p| [p.red(), p.green(), p.blue()]).collect();
    RgbFrame { width, height, pixels }
}

/// World to canvas: the same scale in both directions, centred, y turned over.
fn fit(scene: &Scene, width: f32, height: f32) -> Transform {
    let (x, y) = (scene.x.map(|v| v as f32), scene.y.map(|v| v as f32));
    let scale = (width / (x[1] - x[0])).min(height / (y[1] - y[0]));
    let left = (width - scale * (x[0] + x[1])) / 2.0;
    let top = (height + scale * (y[0] + y[1])) / 2.0;
    Transform::from_row(scale, 0.0, 0.0, -scale, left, top)
}

fn draw(canvas: &mut Pixmap, shape: &Shape, transform: Transform) {
    let (Shape::Polygon { color, .. } | Shape::Line { color, .. } | Shape::Circle { color, .. }) =
        shape;
    let paint = paint(*color);
    match shape {
        Shape::Polygon { points, .. } => {
            if let Some(path) = path(points, true) {
                canvas.fill_path(&path, &paint, FillRule::Winding, transform, None);
            }
        }
        Shape::Line { points, width, .. } => {
            if let Some(path) = path(points, false) {
                // Thin lines keep the width of a pixel, however small the picture.
                let width = (*width as f32).max(1.0 / transform.sx.abs());
                let stroke = Stroke { width, ..Stroke::default() };
                canvas.stroke_path(&path, &paint, &stroke, transform, None);
            }
        }
        Shape::Circle { center, radius, .. } => {
            let circle =
                PathBuilder::from_circle(center[0] as f32, center[1] as f32, *radius as f32);
            if let Some(path) = circle {
                canvas.fill_path(&path, &paint, FillRule::Winding, transform, None);
            }
        }
    }
}

fn paint([r, g, b]: Rgb) -> Paint<'static> {
    let mut paint = Paint::default();
    paint.set_color_rgba8(r, g, b, 255);
    paint
}

fn path(points: &[Point], closed: bool) -> Option<tiny_skia::Path> {
    let (first, rest) = points.split_first()?;
    let mut path = PathBuilder::new();
    path.move_to(first[0] as f32, first[1] as f32);
    rest.iter().for_each(|p| path.line_to(p[0] as f32, p[1] as f32));
    if closed {
        path.close();
    }
    path.finish()
}

/// A frame as lines of text for a terminal with 24-bit colours: each character is two pixels, one
/// above the other.
pub fn terminal(frame: &RgbFrame) -> String {
    let pixel = |x: usize, y: usize| {
        let y = y.min(frame.height - 1);
        let i = 3 * (y * frame.width + x);
        (frame.pixels[i], frame.pixels[i + 1], frame.pixels[i + 2])
    };
    let mut text = String::new();
    for y in (0..frame.height).step_by(2) {
        let mut last = None;
        for x in 0..frame.width {
            let (upper, lower) = (pixel(x, y), pixel(x, y + 1));
            if last != Some((upper, lower)) {
                let ((r, g, b), (r2, g2, b2)) = (upper, lower);
                // Writing into a string can't fail.
                let _ = write!(text, "\x1b[38;2;{r};{g};{b};48;2;{r2};{g2};{b2}m");
                last = Some((upper, lower));
            }
            text.push('▀');
        }
        text.push_str("\x1b[0m\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square() -> Scene {
        let mut scene = Scene::new([0.0, 2.0], [0.0, 2.0]);
        scene.rectangle([0.0, 1.0], [1.0, 2.0], [255, 0, 0]);
        scene
    }

    #[test]
    fn a_square_is_where_it_belongs() {
        let frame = rasterise(&square(), 4, 4);
        let pixel = |x: usize, y: usize| &frame.pixels[3 * (4 * y + x)..][..3];
        assert_eq!(pixel(0, 0), [255, 0, 0]); // top left: y points up
        assert_eq!(pixel(3, 0), [255; 3]);
        assert_eq!(pixel(0, 3), [255; 3]);
    }

    #[test]
    fn a_scene_is_never_distorted() {
        let frame = rasterise(&square(), 8, 4);
        let red = frame.pixels.chunks(3).filter(|p| p == &[255, 0, 0]).count();
        assert_eq!(red, 4, "2 × 2 pixels, centred on the wider canvas");
    }

    #[test]
    fn terminal_text_has_two_pixels_to_a_character() {
        let text = terminal(&rasterise(&square(), 4, 4));
        assert_eq!(text.lines().count(), 2);
        assert_eq!(text.matches('▀').count(), 8);
        assert!(text.starts_with("\x1b[38;2;255;0;0;48;2;255;0;0m▀▀\x1b[38;2;255;255;255"));
    }

    #[test]
    fn sizes_of_zero_and_shapes_of_nothing_draw_nothing() {
        let mut scene = square();
        scene.polygon(Vec::new(), [0; 3]);
        scene.circle([0.0, 0.0], f64::NAN, [0; 3]);
        assert_eq!(rasterise(&scene, 0, 0).pixels.len(), 3);
    }
}
