//! Animated GIFs of flat drawings: one palette for the whole film, and of each frame only the
//! rectangle that changed.

use std::collections::HashMap;

use anyhow::Context;
use gif::{DisposalMethod, Encoder, Frame, Repeat};

/// Colours in a palette; the last of the 256 entries means "as before".
const COLOURS: usize = 255;
const UNCHANGED: u8 = 255;

/// An RGB colour.
type Colour = [u8; 3];

/// The colours that matter most in some sample pictures, `[r, g, b]` each.
pub(crate) struct Palette {
    colours: Vec<Colour>,
    /// Which entry is nearest to a colour met so far.
    nearest: HashMap<Colour, u8>,
}

impl Palette {
    /// The most frequent colours of the samples. In a flat drawing these are the shapes' own and the
    /// blends along their edges, so nothing visible is lost.
    pub(crate) fn of(counts: &HashMap<Colour, u64>) -> Self {
        let mut sorted: Vec<_> = counts.iter().collect();
        // By frequency, then by colour: the same film gives the same file.
        sorted.sort_by(|(a, n), (b, m)| m.cmp(n).then(a.cmp(b)));
        let colours = sorted.into_iter().take(COLOURS).map(|(colour, _)| *colour).collect();
        Self { colours, nearest: HashMap::new() }
    }

    /// The palette as a GIF stores it, padded to 256 entries.
    fn table(&self) -> Vec<u8> {
        let mut table = self.colours.concat();
        table.resize(3 * 256, 0);
        table
    }

    fn index(&mut self, colour: Colour) -> u8 {
        let Self { colours, nearest } = self;
        *nearest.entry(colour).or_insert_with(|| {
            let distance = |other: &Colour| -> u32 {
                colour.iter().zip(other).map(|(a, b)| u32::from(a.abs_diff(*b)).pow(2)).sum()
            };
            let best = colours.iter().enumerate().min_by_key(|(_, other)| distance(other));
            best.map_or(0, |(i, _)| i as u8)
        })
    }
}

/// Adds a picture's colours, three bytes a pixel, to `counts`.
pub(crate) fn count_colours(pixels: &[u8], counts: &mut HashMap<Colour, u64>) {
    for pixel in pixels.as_chunks::<3>().0 {
        *counts.entry(*pixel).or_default() += 1;
    }
}

/// A film in the making, held in memory: it reaches the disk whole or not at all.
pub(crate) struct Film {
    encoder: Encoder<Vec<u8>>,
    palette: Palette,
    width: usize,
    height: usize,
    /// The picture on the screen, as palette entries.
    shown: Vec<u8>,
}

impl Film {
    /// A film of pictures of this size, which repeats for ever.
    pub(crate) fn new(width: u16, height: u16, palette: Palette) -> anyhow::Result<Self> {
        let mut encoder = Encoder::new(Vec::new(), width, height, &palette.table())?;
        encoder.set_repeat(Repeat::Infinite)?;
        let (width, height) = (usize::from(width), usize::from(height));
        Ok(Self { encoder, palette, width, height, shown: Vec::new() })
    }

    /// Appends a picture, three bytes a pixel, shown for `delay` hundredths of a second.
    pub(crate) fn push(&mut self, pixels: &[u8], delay: u16) -> anyhow::Result<()> {
        let palette = &mut self.palette;
        let next: Vec<u8> =
            pixels.as_chunks::<3>().0.iter().map(|pixel| palette.index(*pixel)).collect();
        let (left, top, right, bottom) = self.changed(&next);
        let mut buffer = Vec::with_capacity((right - left) * (bottom - top));
        for row in top..bottom {
            let start = row * self.width + left;
            for (at, &colour) in (start..).zip(&next[start..row * self.width + right]) {
                let same = self.shown.get(at) == Some(&colour);
                buffer.push(if same { UNCHANGED } else { colour });
            }
        }
        // Every number is below the film's own width or height, which are u16.
        let frame = Frame {
            delay,
            dispose: DisposalMethod::Keep,
            transparent: Some(UNCHANGED),
            left: left as u16,
            top: top as u16,
            width: (right - left) as u16,
            height: (bottom - top) as u16,
            buffer: buffer.into(),
            ..Frame::default()
        };
        self.encoder.write_frame(&frame).context("the animation can't be encoded")?;
        self.shown = next;
        Ok(())
    }

    /// The rectangle in which `next` differs from what is shown: left, top, right, bottom. A frame
    /// can't be empty, so it is never smaller than one pixel.
    fn changed(&self, next: &[u8]) -> (usize, usize, usize, usize) {
        if self.shown.is_empty() {
            return (0, 0, self.width, self.height);
        }
        let (mut left, mut top, mut right, mut bottom) = (self.width, self.height, 0, 0);
        for (at, _) in next.iter().zip(&self.shown).enumerate().filter(|(_, (a, b))| a != b) {
            let (x, y) = (at % self.width, at / self.width);
            (left, right) = (left.min(x), right.max(x + 1));
            (top, bottom) = (top.min(y), bottom.max(y + 1));
        }
        if right == 0 { (0, 0, 1, 1) } else { (left, top, right, bottom) }
    }

    /// The file's bytes.
    pub(crate) fn finish(self) -> anyhow::Result<Vec<u8>> {
        Ok(self.encoder.into_inner()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pictures of a GIF as RGB, drawn over each other as a viewer does.
    fn decode(bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut options = gif::DecodeOptions::new();
        options.set_color_output(gif::ColorOutput::RGBA);
        let mut decoder = options.read_info(bytes).unwrap();
        let width = usize::from(decoder.width());
        let mut canvas = vec![0; width * usize::from(decoder.height()) * 3];
        let mut pictures = Vec::new();
        while let Some(frame) = decoder.read_next_frame().unwrap() {
            for (i, rgba) in frame.buffer.as_chunks::<4>().0.iter().enumerate() {
                let (x, y) = (i % usize::from(frame.width), i / usize::from(frame.width));
                let at = (y + usize::from(frame.top)) * width + x + usize::from(frame.left);
                if rgba[3] > 0 {
                    canvas[3 * at..3 * at + 3].copy_from_slice(&rgba[..3]);
                }
            }
            pictures.push(canvas.clone());
        }
        pictures
    }

    #[test]
    fn a_film_shows_what_was_filmed() {
        let red = [200, 0, 0];
        let white = [255, 255, 255];
        let mut first = [white; 12].concat();
        first[3 * 5..3 * 6].copy_from_slice(&red);
        let mut second = [white; 12].concat();
        second[3 * 6..3 * 7].copy_from_slice(&red);

        let mut counts = HashMap::new();
        count_colours(&first, &mut counts);
        assert_eq!(counts[&red], 1);
        let mut film = Film::new(4, 3, Palette::of(&counts)).unwrap();
        for picture in [&first, &second, &second, &first] {
            film.push(picture, 4).unwrap();
        }
        let bytes = film.finish().unwrap();
        assert_eq!(&bytes[..6], b"GIF89a");
        assert_eq!(decode(&bytes), [first.clone(), second.clone(), second, first]);
    }

    #[test]
    fn more_colours_than_entries_take_the_nearest() {
        let pixels: Vec<u8> =
            (0..900u32).flat_map(|i| [(i % 30 * 8) as u8, (i / 30 * 8) as u8, 7]).collect();
        let mut counts = HashMap::new();
        count_colours(&pixels, &mut counts);
        let palette = Palette::of(&counts);
        assert_eq!(palette.colours.len(), COLOURS);
        let mut film = Film::new(30, 30, palette).unwrap();
        film.push(&pixels, 4).unwrap();
        let shown = decode(&film.finish().unwrap()).remove(0);
        let worst = shown.iter().zip(&pixels).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(worst <= 180, "{worst}");
        assert_eq!(shown.len(), pixels.len());
    }
}
