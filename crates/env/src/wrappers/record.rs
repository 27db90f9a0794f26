//! Episodes written down.

use std::{fmt, io::Write};

use serde::{Deserialize, Serialize};

use super::{load, save};
use crate::{ActionKind, Ending, Env, EnvError, Reset, Step, Value};

/// One line of a trajectory file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum TrajectoryEvent {
    /// An episode began.
    Reset {
        /// Its number, from 0.
        episode: u64,
        /// The seed, if there was one.
        seed: Option<u64>,
        /// The reset options.
        options: toml::Table,
        /// The first observation.
        obs: Vec<f32>,
    },
    /// A transition was made.
    Step {
        /// The episode's number.
        episode: u64,
        /// Steps of the episode so far, this one included.
        t: u64,
        /// The action.
        action: Value,
        /// Its reward.
        reward: f64,
        /// `None` while the episode goes on.
        ending: Option<Ending>,
        /// The observation after it.
        obs: Vec<f32>,
    },
}

/// Is handed one frame after the other.
#[cfg(feature = "render")]
type Sink = Box<dyn FnMut(crate::render::RgbFrame) + Send>;

/// Writes every reset and every step to a writer, one JSON object a line
/// ([`TrajectoryEvent`]); with the feature `render` it also hands a frame of each to a function.
///
/// Give it a buffered writer where it writes to a file, and see to it that it is flushed:
/// [`into_writer`](Self::into_writer) gives it back.
///
/// ```
/// use elegante_env::{CartPole, Env, Reset, wrappers::{Record, TrajectoryEvent}};
///
/// let mut env = Record::new(CartPole::default(), Vec::new());
/// let mut obs = [0.0; 4];
/// env.reset(&Reset::seeded(42), &mut obs)?;
/// env.step(&1, &mut obs)?;
/// let written = String::from_utf8(env.into_writer())?;
/// let last: TrajectoryEvent = serde_json::from_str(written.lines().last().unwrap())?;
/// assert!(matches!(last, TrajectoryEvent::Step { t: 1, reward: 1.0, .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Record<E, W> {
    env: E,
    writer: W,
    /// Episodes begun so far.
    episodes: u64,
    /// Steps of the episode under way.
    t: u64,
    #[cfg(feature = "render")]
    frames: Option<(usize, usize, Sink)>,
}

impl<E: fmt::Debug, W> fmt::Debug for Record<E, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("env", &self.env)
            .field("episodes", &self.episodes)
            .field("t", &self.t)
            .finish_non_exhaustive()
    }
}

impl<E: Env, W: Write + Send> Record<E, W> {
    /// Writes what happens in `env`.
    pub fn new(env: E, writer: W) -> Self {
        Self {
            env,
            writer,
            episodes: 0,
            t: 0,
            #[cfg(feature = "render")]
            frames: None,
        }
    }

    /// Hands a frame of every state to `sink`, as large as fits into `width` × `height`; an
    /// environment without scenes gives none.
    #[cfg(feature = "render")]
    #[must_use]
    pub fn with_frames(
        mut self,
        width: usize,
        height: usize,
        sink: impl FnMut(crate::render::RgbFrame) + Send + 'static,
    ) -> Self {
        self.frames = Some((width, height, Box::new(sink)));
        self
    }

    /// The environment inside.
    pub fn inner(&self) -> &E {
        &self.env
    }

    /// The writer, with all that was written.
    pub fn into_writer(self) -> W {
        self.writer
    }

    fn write(&mut self, event: &TrajectoryEvent) -> Result<(), EnvError> {
        serde_json::to_writer(&mut self.writer, event).map_err(EnvError::custom)?;
        self.writer.write_all(b"\n").map_err(EnvError::custom)?;
        #[cfg(feature = "render")]
        if let (Some((width, height, sink)), Some(scene)) = (&mut self.frames, self.env.scene()) {
            sink(crate::render::rasterise(&scene, *width, *height));
        }
        Ok(())
    }
}

impl<E: Env, W: Write + Send> Env for Record<E, W> {
    type Action = E::Action;

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        self.env.reset(reset, obs)?;
        (self.episodes, self.t) = (self.episodes + 1, 0);
        self.write(&TrajectoryEvent::Reset {
            episode: self.episodes - 1,
            seed: reset.seed,
            options: reset.options.clone(),
            obs: obs.to_vec(),
        })
    }

    fn step(&mut self, action: &E::Action, obs: &mut [f32]) -> Result<Step, EnvError> {
        let step = self.env.step(action, obs)?;
        self.t += 1;
        self.write(&TrajectoryEvent::Step {
            episode: self.episodes.saturating_sub(1),
            t: self.t,
            action: action.erase().into(),
            reward: step.reward,
            ending: step.ending,
            obs: obs.to_vec(),
        })?;
        Ok(step)
    }

    fn save_state(&self) -> Option<Vec<u8>> {
        save(&(self.episodes, self.t), self.env.save_state())
    }

    fn load_state(&mut self, state: &[u8]) -> Result<(), EnvError> {
        let (own, inner) = load(state)?;
        self.env.load_state(&inner)?;
        (self.episodes, self.t) = own;
        Ok(())
    }

    forward!(observation_space, action_space, action_mask, scene);
}
