//! As PNG files, one for each state.

use std::{fs, io, path::Path};

use anyhow::Context;
use elegante::{
    env::render::{RgbFrame, rasterise},
    policy::write_atomic,
};
use png::{BitDepth, ColorType, Encoder};

use super::{Show, size};
use crate::{exit::Misuse, text::grouped};

/// The longer side of the pictures, in pixels.
const LONGER: f64 = 600.0;

impl Show<'_> {
    /// Writes `frame-000000.png`, `frame-000001.png`, … : every state of every episode, the first ones
    /// included, each file whole or not at all.
    pub(super) fn frames(&mut self, dir: &Path, env: &str) -> anyhow::Result<()> {
        claim(dir)?;
        let mut written = 0u64;
        self.play(env, 1, |_, _, scene| {
            let Some(scene) = scene else { return Ok(()) };
            let (width, height) = size(&scene, LONGER);
            let frame = rasterise(&scene, width.into(), height.into());
            write_atomic(&dir.join(format!("frame-{written:06}.png")), &encode(&frame)?)?;
            written += 1;
            Ok(())
        })?;
        self.summarise()?;
        self.output.line(&format!("{}: {} pictures", dir.display(), grouped(written)))?;
        Ok(())
    }
}

/// Makes the directory, which nothing may lie in: among the frames of another film nobody could tell
/// which is whose.
fn claim(dir: &Path) -> anyhow::Result<()> {
    let occupied = match fs::read_dir(dir) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(error).with_context(|| dir.display().to_string()),
    };
    if occupied {
        let words = format!("{} is not empty: give --png-dir another directory", dir.display());
        return Err(Misuse(words).into());
    }
    fs::create_dir_all(dir).with_context(|| dir.display().to_string())
}

/// The picture as a PNG file.
pub(crate) fn encode(frame: &RgbFrame) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder =
        Encoder::new(&mut bytes, u32::try_from(frame.width)?, u32::try_from(frame.height)?);
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    encoder.write_header()?.write_image_data(&frame.pixels)?;
    Ok(bytes)
}
