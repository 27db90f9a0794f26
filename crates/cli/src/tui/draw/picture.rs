//! The policy at play, in whatever dots the terminal has.

use elegante::env::{
    Scene,
    render::{RgbFrame, rasterise},
};
use ratatui::{
    Frame,
    buffer::Buffer,
    layout::{Alignment, Rect},
    style::{Color, Style},
    text::Line,
    widgets::{Paragraph, Wrap},
};

use super::{framed, shortened};
use crate::{
    play::screen::fit,
    text::{reward, short},
    tui::{
        model::Model,
        stage::Sight,
        theme::{Colours, Theme},
    },
};

/// How far a pixel must be from the background to count as ink, in the sum of its three colours.
const INK: i32 = 90;

pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, sight: &Sight, theme: Theme, area: Rect) {
    let title = match sight.of {
        Some((seed, steps)) if model.experiment => {
            let whose = if area.width < 40 { "seed" } else { "policy of seed" };
            format!("{whose} {seed} after {} steps", short(steps as f64))
        }
        Some((_, steps)) => format!("policy after {} steps", short(steps as f64)),
        None => "policy".into(),
    };
    let mut block = framed(&title, theme);
    if sight.of.is_some() {
        let (episode, length) = (sight.episode, sight.length);
        let told =
            format!("episode {episode} · step {length} · return {}", reward(sight.episode_return));
        let told = shortened(&told, usize::from(area.width).saturating_sub(4), 2);
        let told = theme.words(&format!(" {told} "));
        block = block.title_bottom(Line::styled(told, theme.faint()));
    }
    let room = block.inner(area);
    frame.render_widget(block, area);
    if room.is_empty() {
        return;
    }
    let words = match (&sight.trouble, sight.of, &sight.scene) {
        (Some(trouble), ..) => format!("it can't be shown: {trouble}"),
        (None, None, _) => "it plays here after its first update".into(),
        (None, Some(_), Some(scene)) => return paint(frame.buffer_mut(), scene, theme, room),
        (None, Some(_), None) => {
            "this environment has no picture of itself (its `Env::scene` returns none)".into()
        }
    };
    let text = Paragraph::new(theme.words(&words)).style(theme.faint());
    frame.render_widget(text.wrap(Wrap { trim: true }).alignment(Alignment::Center), room);
}

/// As large as fits, in the middle.
fn paint(buffer: &mut Buffer, scene: &Scene, theme: Theme, room: Rect) {
    let (columns, rows) = (usize::from(room.width), usize::from(room.height));
    // One row more than there is: `fit` leaves one for words, which stand in the frame here.
    let (columns, rows) = fit(scene, (columns, rows + 1));
    let (columns, rows) = (columns.min(room.width.into()), rows.min(room.height.into()));
    let place = Rect {
        x: room.x + (room.width - columns as u16) / 2,
        y: room.y + (room.height - rows as u16) / 2,
        width: columns as u16,
        height: rows as u16,
    };
    match (theme.colours, theme.unicode) {
        (Colours::None, true) => dots(buffer, scene, place, (2, 4), braille),
        (_, false) => dots(buffer, scene, place, (2, 2), letter),
        _ => blocks(buffer, &rasterise(scene, columns, 2 * rows), theme, place),
    }
}

/// Two pixels in each place, one above the other.
fn blocks(buffer: &mut Buffer, frame: &RgbFrame, theme: Theme, place: Rect) {
    for position in place.positions() {
        let (x, y) = (usize::from(position.x - place.x), usize::from(position.y - place.y));
        let [upper, lower] = [2 * y, 2 * y + 1].map(|y| colour(pixel(frame, x, y), theme));
        if let Some(cell) = buffer.cell_mut(position) {
            cell.set_char('▀').set_style(Style::new().fg(upper).bg(lower));
        }
    }
}

/// Ink or none, several dots in each place, which `draw` makes a letter of.
fn dots(
    buffer: &mut Buffer,
    scene: &Scene,
    place: Rect,
    (across, down): (usize, usize),
    draw: fn(&[bool]) -> char,
) {
    let (width, height) = (across * usize::from(place.width), down * usize::from(place.height));
    let frame = rasterise(scene, width, height);
    for position in place.positions() {
        let (x, y) = (usize::from(position.x - place.x), usize::from(position.y - place.y));
        let dots: Vec<bool> = (0..across * down)
            .map(|dot| pixel(&frame, across * x + dot % across, down * y + dot / across))
            .map(|pixel| {
                let apart = |(a, b): (u8, u8)| (i32::from(a) - i32::from(b)).abs();
                pixel.into_iter().zip(scene.background).map(apart).sum::<i32>() > INK
            })
            .collect();
        if let Some(cell) = buffer.cell_mut(position) {
            cell.set_char(draw(&dots));
        }
    }
}

fn pixel(frame: &RgbFrame, x: usize, y: usize) -> [u8; 3] {
    let start = 3 * (y.min(frame.height - 1) * frame.width + x.min(frame.width - 1));
    [frame.pixels[start], frame.pixels[start + 1], frame.pixels[start + 2]]
}

/// Braille's numbering goes down the left column, down the right one, and then along the bottom.
fn braille(dots: &[bool]) -> char {
    const WEIGHTS: [u32; 8] = [0x01, 0x08, 0x02, 0x10, 0x04, 0x20, 0x40, 0x80];
    let inked = dots.iter().zip(WEIGHTS).filter(|(dot, _)| **dot);
    char::from_u32(0x2800 + inked.map(|(_, weight)| weight).sum::<u32>()).unwrap_or(' ')
}

fn letter(dots: &[bool]) -> char {
    [' ', '.', ':', 'o', '#'][dots.iter().filter(|dot| **dot).count().min(4)]
}

fn colour([r, g, b]: [u8; 3], theme: Theme) -> Color {
    if theme.colours == Colours::All {
        return Color::Rgb(r, g, b);
    }
    if r == g && g == b {
        // 24 greys, with the cube's black and white at the ends.
        return Color::Indexed(match r {
            0..8 => 16,
            8..=247 => 232 + (r - 8) / 10,
            _ => 231,
        });
    }
    // A cube of 6 × 6 × 6.
    let level = |x: u8| match x {
        0..48 => 0,
        48..115 => 1,
        _ => (x - 35) / 40,
    };
    Color::Indexed(16 + 36 * level(r) + 6 * level(g) + level(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_become_letters() {
        assert_eq!(braille(&[false; 8]), '⠀');
        assert_eq!(braille(&[true; 8]), '⣿');
        // The left column, then the bottom row.
        assert_eq!(braille(&[true, false, true, false, true, false, true, false]), '⡇');
        assert_eq!(braille(&[false, false, false, false, false, false, true, true]), '⣀');
        assert_eq!([letter(&[false; 4]), letter(&[true; 4])], [' ', '#']);
    }

    #[test]
    fn the_palette_comes_close() {
        let theme = Theme { colours: Colours::Palette, unicode: true };
        let near = |rgb| colour(rgb, theme);
        assert_eq!([near([0; 3]), near([255; 3])], [Color::Indexed(16), Color::Indexed(231)]);
        assert_eq!(near([255, 0, 0]), Color::Indexed(196));
        assert_eq!(near([128; 3]), Color::Indexed(244));
    }
}
