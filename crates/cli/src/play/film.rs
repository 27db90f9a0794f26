//! As an animated GIF.

use std::{collections::HashMap, path::Path};

use elegante::{
    env::{Scene, render::rasterise},
    policy::write_atomic,
};

use super::{Show, size};
use crate::{
    gif::{Film, Palette, count_colours},
    text::grouped,
};

/// The longer side of the pictures, in pixels.
const LONGER: f64 = 480.0;
/// Pictures of a film that its palette is made from.
const PALETTE_SAMPLES: usize = 48;

impl Show<'_> {
    /// Writes an animated GIF.
    pub(super) fn film(&mut self, path: &Path, env: &str) -> anyhow::Result<()> {
        let mut scenes = Vec::new();
        self.play(env, self.stride(), |_, moment, scene| {
            let last = moment.is_some_and(|m| m.ending.is_some());
            scenes.extend(scene.map(|scene| (scene, last)));
            Ok(())
        })?;
        if self.interrupt.asked() || scenes.is_empty() {
            return Ok(());
        }
        let bytes = encode(&scenes, LONGER, self.args.fps, self.stride())?;
        write_atomic(path, &bytes)?;
        self.summarise()?;
        let (kib, pictures) = (grouped(bytes.len() as u64 / 1024), grouped(scenes.len() as u64));
        self.output.line(&format!("{}: {pictures} pictures, {kib} KiB", path.display()))?;
        Ok(())
    }
}

/// The scenes as a GIF whose longer side has `longer` pixels, each with whether it is the last of its
/// episode; from one to the next are `stride` steps, of which a second has `fps`.
pub(crate) fn encode(
    scenes: &[(Scene, bool)],
    longer: f64,
    fps: u32,
    stride: usize,
) -> anyhow::Result<Vec<u8>> {
    let (width, height) = scenes.first().map_or((1, 1), |(scene, _)| size(scene, longer));
    let draw = |scene: &Scene| rasterise(scene, usize::from(width), usize::from(height)).pixels;

    let mut colours = HashMap::new();
    for (scene, _) in scenes.iter().step_by(scenes.len().div_ceil(PALETTE_SAMPLES)) {
        count_colours(&draw(scene), &mut colours);
    }
    let mut film = Film::new(width, height, Palette::of(&colours))?;
    // Viewers take delays under two hundredths of a second for a mistake and slow down.
    let delay = ((100 * stride as u32).div_ceil(fps)).clamp(2, 1000) as u16;
    for (scene, last) in scenes {
        film.push(&draw(scene), if *last { 100 } else { delay })?;
    }
    film.finish()
}
