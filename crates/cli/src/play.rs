//! `elegante play`.

use std::{
    collections::HashMap,
    io::{self, IsTerminal, Write},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::bail;
use elegante::{
    ActionBatch, Ending, Registry,
    env::{
        Scene,
        render::{rasterise, terminal},
    },
    experiment::{Moment, Player, Run},
    policy::write_atomic,
};

use crate::{
    args::{PlayArgs, device},
    exit::Outcome,
    gif::{Film, Palette, count_colours},
    interrupt::Interrupt,
    output::Output,
    text::{grouped, reward},
};

/// Pictures a second at most; where more steps are shown, some have no picture of their own.
const PICTURES: u32 = 25;
/// How long the last picture of an episode stays.
const PAUSE: Duration = Duration::from_millis(700);
/// Width of an animated GIF, in pixels.
const FILM_WIDTH: f64 = 480.0;
/// Pictures of a film that its palette is made from.
const PALETTE_SAMPLES: usize = 48;
/// Hides the cursor on a screen of its own, and gives both back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[2J";
const LEAVE: &str = "\x1b[0m\x1b[?25h\x1b[?1049l";

pub(crate) fn run(args: &PlayArgs, output: &mut Output) -> anyhow::Result<Outcome> {
    let registry = Registry::standard();
    let run = Run::open(&args.run, &registry, device(&args.device)?)?;
    let env = run.env_factory(&registry)?()?;
    let seed = args.seed.unwrap_or(run.config.train.run.seed);
    let player = Player::new(&run.policy, env, seed, args.stochastic);
    let leave = || drop(write!(io::stdout(), "{LEAVE}").and_then(|()| io::stdout().flush()));
    let shows = output.terminal && args.gif.is_none();
    let interrupt = Interrupt::listen(move || {
        if shows {
            leave();
        }
    })?;
    let mut show = Show { args, player, output, interrupt, played: Vec::new() };
    match &args.gif {
        Some(path) => show.film(path, &run.config.env)?,
        None if shows => show.screen(&run.config.env)?,
        None => show.text()?,
    }
    Ok(if show.interrupt.asked() { Outcome::Interrupted } else { Outcome::Complete })
}

/// A policy at play, and where it is shown.
struct Show<'a> {
    args: &'a PlayArgs,
    player: Player<'a>,
    output: &'a mut Output,
    interrupt: Interrupt,
    /// The last moment of each finished episode.
    played: Vec<Moment>,
}

impl Show<'_> {
    /// Steps from one picture to the next.
    fn stride(&self) -> usize {
        self.args.fps.div_ceil(PICTURES) as usize
    }

    fn over(&self) -> bool {
        self.interrupt.asked() || self.output.closed()
    }

    /// Plays the episodes, showing each step to `see`, along with the scene where one is due.
    fn play(
        &mut self,
        env: &str,
        mut see: impl FnMut(&mut Output, Option<&Moment>, Option<Scene>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        for episode in 0..self.args.episodes {
            self.player.begin(episode)?;
            see(self.output, None, Some(self.scene(env)?))?;
            while !self.over() {
                let moment = self.player.step()?;
                let due = moment.length.is_multiple_of(self.stride()) || moment.ending.is_some();
                let scene = due.then(|| self.scene(env)).transpose()?;
                see(self.output, Some(&moment), scene)?;
                if moment.ending.is_some() {
                    self.played.push(moment);
                    break;
                }
            }
        }
        Ok(())
    }

    fn scene(&self, env: &str) -> anyhow::Result<Scene> {
        match self.player.scene() {
            Some(scene) => Ok(scene),
            None => bail!(
                "{env} has no picture to show: its `Env::scene` returns none; `elegante play RUN | cat` tells its steps in words"
            ),
        }
    }

    /// Draws in the terminal.
    fn screen(&mut self, env: &str) -> anyhow::Result<()> {
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
        self.play(env, |output, moment, scene| {
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

    /// Writes an animated GIF.
    fn film(&mut self, path: &Path, env: &str) -> anyhow::Result<()> {
        let mut scenes = Vec::new();
        self.play(env, |_, moment, scene| {
            let last = moment.is_some_and(|m| m.ending.is_some());
            scenes.extend(scene.map(|scene| (scene, last)));
            Ok(())
        })?;
        if self.interrupt.asked() || scenes.is_empty() {
            return Ok(());
        }
        let bytes = encode(&scenes, self.args.fps, self.stride())?;
        write_atomic(path, &bytes)?;
        self.summarise()?;
        let (kib, pictures) = (grouped(bytes.len() as u64 / 1024), grouped(scenes.len() as u64));
        self.output.line(&format!("{}: {pictures} pictures, {kib} KiB", path.display()))?;
        Ok(())
    }

    /// Tells every step in words, for a pipe.
    fn text(&mut self) -> anyhow::Result<()> {
        self.output.line("episode step action reward return ending")?;
        for episode in 0..self.args.episodes {
            self.player.begin(episode)?;
            while !self.over() {
                let m = self.player.step()?;
                let (action, ending) = (action(&m.action), m.ending.map_or("-", word));
                let (gain, sum) = (reward(m.reward), reward(m.episode_return));
                let number = episode + 1;
                self.output
                    .write(&format!("{number} {} {action} {gain} {sum} {ending}\n", m.length))?;
                if m.ending.is_some() {
                    break;
                }
            }
        }
        Ok(self.output.flush()?)
    }

    fn summarise(&mut self) -> anyhow::Result<()> {
        for (i, moment) in self.played.iter().enumerate() {
            let ending = moment.ending.map_or("", word);
            let (sum, length) = (reward(moment.episode_return), grouped(moment.length as u64));
            self.output
                .line(&format!("episode {}: return {sum}, {length} steps, {ending}", i + 1))?;
        }
        Ok(())
    }
}

fn status(moment: &Moment) -> String {
    let ending = moment.ending.map_or("", word);
    format!("step {:>4}  return {:>6}  {ending}", moment.length, reward(moment.episode_return))
}

fn word(ending: Ending) -> &'static str {
    match ending {
        Ending::Terminated => "terminated",
        Ending::Truncated => "truncated",
    }
}

/// An action as one word.
fn action(action: &ActionBatch) -> String {
    match action {
        ActionBatch::Discrete(indices) => {
            indices.first().map_or_else(String::new, usize::to_string)
        }
        ActionBatch::Continuous { values, .. } => {
            values.iter().map(|x| format!("{x:.4}")).collect::<Vec<_>>().join(",")
        }
    }
}

/// Columns and rows of the terminal.
fn window() -> (usize, usize) {
    let size = terminal_size::terminal_size_of(io::stdout()).filter(|_| io::stdout().is_terminal());
    size.map_or((80, 24), |(width, height)| (usize::from(width.0), usize::from(height.0)))
}

/// Columns and rows of the largest picture of the scene's own shape that leaves a line for the
/// status. A character is two pixels high, which is about square.
fn fit(scene: &Scene, (columns, rows): (usize, usize)) -> (usize, usize) {
    let shape = height_over_width(scene);
    let (columns, rows) = (columns.max(2), rows.saturating_sub(1).max(1));
    let tall = (columns as f64 * shape / 2.0).round().max(1.0) as usize;
    if tall <= rows {
        (columns, tall)
    } else {
        (((2 * rows) as f64 / shape).floor().clamp(1.0, columns as f64) as usize, rows)
    }
}

/// A scene's height over its width, kept within what a screen can show.
fn height_over_width(scene: &Scene) -> f64 {
    let shape = (scene.y[1] - scene.y[0]) / (scene.x[1] - scene.x[0]);
    if shape.is_finite() { shape.clamp(0.05, 20.0) } else { 1.0 }
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

/// The scenes as a GIF, each with whether it is the last of its episode.
fn encode(scenes: &[(Scene, bool)], fps: u32, stride: usize) -> anyhow::Result<Vec<u8>> {
    let shape = scenes.first().map_or(1.0, |(scene, _)| height_over_width(scene));
    // The longer side is at most FILM_WIDTH, the shorter at least a pixel.
    let (width, height) = if shape <= 1.0 {
        (FILM_WIDTH, FILM_WIDTH * shape)
    } else {
        (FILM_WIDTH / shape, FILM_WIDTH)
    };
    let (width, height) = (width.round().max(1.0) as u16, height.round().max(1.0) as u16);
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
