//! Live, in the terminal.

use std::{
    io::{self, IsTerminal},
    thread,
    time::{Duration, Instant},
};

use elegante::env::{
    Scene,
    render::{rasterise, terminal},
};

use super::{Show, height_over_width, status};
use crate::interrupt::Interrupt;

/// How long the last picture of an episode stays.
const PAUSE: Duration = Duration::from_millis(700);
/// Hides the cursor on a screen of its own, and gives both back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[2J";
pub(super) const LEAVE: &str = "\x1b[0m\x1b[?25h\x1b[?1049l";

impl Show<'_> {
    /// Draws in the terminal.
    pub(super) fn screen(&mut self, env: &str) -> anyhow::Result<()> {
        self.output.write(ENTER)?;
        let shown = self.draw(env);
        self.output.write(LEAVE)?;
        self.output.flush()?;
        shown?;
        self.summarise()
    }

    fn draw(&mut self, env: &str) -> anyhow::Result<()> {
        let step = Duration::from_secs(1) / self.args.fps;
        let interrupt = self.interrupt.clone();
        let name = env.to_owned();
        let mut next = Instant::now();
        let (mut steps, mut size) = (0, (0, 0));
        self.play(env, self.stride(), |output, moment, scene| {
            let Some(scene) = scene else { return Ok(()) };
            let window = window();
            if window != size {
                // What a window of another size leaves behind is not overdrawn.
                output.write("\x1b[2J")?;
                size = window;
            }
            let (columns, rows) = fit(&scene, window);
            let picture = terminal(&rasterise(&scene, columns, 2 * rows));
            let status = moment.map_or_else(|| name.clone(), |m| format!("{name}  {}", status(m)));
            output.write(&format!("\x1b[H{picture}\x1b[K{status}  (Ctrl-C ends)\x1b[K"))?;
            output.flush()?;
            // The pace is kept against the clock, so slow drawing does not add up.
            let length = moment.map_or(0, |m| m.length);
            next += step * (length.saturating_sub(steps)) as u32;
            steps = length;
            if moment.is_some_and(|m| m.ending.is_some()) {
                next += PAUSE;
            }
            let now = Instant::now();
            next = next.max(now);
            wait(next - now, &interrupt);
            Ok(())
        })
    }
}

/// Columns and rows of the terminal.
fn window() -> (usize, usize) {
    let size = terminal_size::terminal_size_of(io::stdout()).filter(|_| io::stdout().is_terminal());
    size.map_or((80, 24), |(width, height)| (usize::from(width.0), usize::from(height.0)))
}

/// Columns and rows of the largest picture of the scene's own shape that leaves a line for the
/// status. A character is two pixels high, which is about square.
pub(crate) fn fit(scene: &Scene, (columns, rows): (usize, usize)) -> (usize, usize) {
    let shape = height_over_width(scene);
    let (columns, rows) = (columns.max(2), rows.saturating_sub(1).max(1));
    let tall = (columns as f64 * shape / 2.0).round().max(1.0) as usize;
    if tall <= rows {
        (columns, tall)
    } else {
        (((2 * rows) as f64 / shape).floor().clamp(1.0, columns as f64) as usize, rows)
    }
}

/// Waits, but not through a Ctrl-C.
fn wait(span: Duration, interrupt: &Interrupt) {
    let until = Instant::now() + span;
    while !interrupt.asked() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        thread::sleep(left.min(Duration::from_millis(50)));
    }
}
