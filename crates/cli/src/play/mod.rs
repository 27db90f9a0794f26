//! `elegante play`.

pub(crate) mod film;
pub(crate) mod frames;
pub(crate) mod screen;

use std::io::{self, Write};

use anyhow::bail;
use elegante::{
    ActionBatch, Ending,
    env::Scene,
    experiment::{Moment, Player, Run},
    kernels::set_instructions,
};

use crate::{
    args::{PlayArgs, device},
    exit::Outcome,
    interrupt::Interrupt,
    output::Output,
    program::Program,
    text::{grouped, reward},
};
use screen::LEAVE;

/// Pictures a second at most; where more steps are shown, some have no picture of their own.
const PICTURES: u32 = 25;

pub(crate) fn run(
    args: &PlayArgs,
    program: &Program,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    let run = Run::open(&args.run, &program.registry, device(&args.device)?)?;
    set_instructions(args.kernels.map_or(run.config.kernels, Into::into));
    let env = run.env_factory(&program.registry)?()?;
    let seed = args.seed.unwrap_or(run.config.train.run.seed);
    let player = Player::new(&run.policy, env, seed, args.stochastic);
    let leave = || drop(write!(io::stdout(), "{LEAVE}").and_then(|()| io::stdout().flush()));
    let shows = output.terminal && args.gif.is_none() && args.png_dir.is_none();
    let interrupt = Interrupt::listen(move || {
        if shows {
            leave();
        }
    })?;
    let mut show = Show { args, player, output, interrupt, played: Vec::new() };
    match (&args.gif, &args.png_dir) {
        (Some(path), _) => show.film(path, &run.config.env)?,
        (None, Some(dir)) => show.frames(dir, &run.config.env)?,
        (None, None) if shows => show.screen(&run.config.env)?,
        (None, None) => show.text()?,
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

    /// Plays the episodes, showing each step to `see`, along with the scene of every `stride`th one
    /// and of the last.
    fn play(
        &mut self,
        env: &str,
        stride: usize,
        mut see: impl FnMut(&mut Output, Option<&Moment>, Option<Scene>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        for episode in 0..self.args.episodes {
            if self.over() {
                break;
            }
            self.player.begin(episode)?;
            see(self.output, None, Some(self.scene(env)?))?;
            while !self.over() {
                let moment = self.player.step()?;
                let due = moment.length.is_multiple_of(stride) || moment.ending.is_some();
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
                "{env} has no picture to show: its `Env::scene` returns none; in a pipe, as with `| cat`, its steps are told in words"
            ),
        }
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

pub(crate) fn word(ending: Ending) -> &'static str {
    match ending {
        Ending::Terminated => "terminated",
        Ending::Truncated => "truncated",
    }
}

/// An action as one word.
fn action(action: &ActionBatch) -> String {
    let words: Vec<String> = match action {
        ActionBatch::Discrete(indices) | ActionBatch::MultiDiscrete { values: indices, .. } => {
            indices.iter().map(usize::to_string).collect()
        }
        ActionBatch::MultiBinary { values, .. } => {
            values.iter().map(|&bit| u8::from(bit).to_string()).collect()
        }
        ActionBatch::Continuous { values, .. } => {
            values.iter().map(|x| format!("{x:.4}")).collect()
        }
    };
    words.join(",")
}

/// A scene's height over its width, kept within what a screen can show.
fn height_over_width(scene: &Scene) -> f64 {
    let shape = (scene.y[1] - scene.y[0]) / (scene.x[1] - scene.x[0]);
    if shape.is_finite() { shape.clamp(0.05, 20.0) } else { 1.0 }
}

/// Width and height in pixels of a picture of the scene's own shape whose longer side has `longer`.
pub(crate) fn size(scene: &Scene, longer: f64) -> (u16, u16) {
    let shape = height_over_width(scene);
    let (width, height) =
        if shape <= 1.0 { (longer, longer * shape) } else { (longer / shape, longer) };
    (width.round().max(1.0) as u16, height.round().max(1.0) as u16)
}
