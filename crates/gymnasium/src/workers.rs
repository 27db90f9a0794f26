//! Python environments in processes of their own, where the interpreter's lock is not shared.

use elegante_env::{
    Actions, Ending, EnvError, FinishedEpisode, LaneState, Reset, Scene, Space, StepOut, VectorEnv,
};
use pyo3::{buffer::PyBuffer, intern, prelude::*, types::PyList};
use toml::Table;

use crate::{
    env::{length, may_be, nobody_acts, object, options},
    python::{bridge, keywords, python, spaces},
};

/// A Python environment in each of several processes: Gymnasium's asynchronous vector environment.
///
/// All lanes step at once, or none: Gymnasium has no way to step a few. It pays where a step takes
/// longer than a message to a process and back; the crate's documentation has figures.
pub struct Workers {
    id: String,
    python: Py<PyAny>,
    observation_space: Space,
    action_space: Space,
    lanes: usize,
    /// Entries of one action.
    dims: usize,
    seen: PyBuffer<f32>,
    last: PyBuffer<f32>,
    rewards: PyBuffer<f64>,
    endings: PyBuffer<u8>,
    valid: PyBuffer<u8>,
    /// `[lanes × n]`, if there are any.
    masks: Option<Vec<bool>>,
    /// Endings as Python writes them.
    codes: Vec<u8>,
    final_obs: Vec<f32>,
    under_way: Vec<bool>,
    /// Return and length of the episode under way in each lane.
    tallies: Vec<(f64, usize)>,
    finished: Vec<FinishedEpisode>,
}

impl Workers {
    /// `lanes` processes, each with the environment that Gymnasium knows as `id`, made with `options`
    /// as keyword arguments.
    ///
    /// # Errors
    /// As [`make`](crate::make), and when there are no lanes or a process can't be started.
    pub fn new(id: &str, options: &Table, lanes: usize) -> Result<Self, EnvError> {
        if lanes == 0 {
            return Err(EnvError::Vector("needs at least one lane".into()));
        }
        let mut workers = python(
            || format!("{id} can't be made in processes"),
            |py| {
                let python =
                    bridge(py)?.call_method1("Workers", (id, lanes, keywords(py, options)?))?;
                let (observation_space, action_space) = spaces(&python)?;
                let seen = PyBuffer::get(&python.getattr("obs")?)?;
                Ok(Self {
                    id: id.to_owned(),
                    observation_space,
                    action_space,
                    lanes,
                    dims: 0,
                    final_obs: vec![0.0; seen.item_count()],
                    seen,
                    last: PyBuffer::get(&python.getattr("final")?)?,
                    rewards: PyBuffer::get(&python.getattr("rewards")?)?,
                    endings: PyBuffer::get(&python.getattr("endings")?)?,
                    valid: PyBuffer::get(&python.getattr("mask")?)?,
                    python: python.unbind(),
                    masks: None,
                    codes: vec![0; lanes],
                    under_way: vec![false; lanes],
                    tallies: vec![(0.0, 0); lanes],
                    finished: Vec::with_capacity(lanes),
                })
            },
        )?;
        let dims = workers.action_space.action_len();
        workers.dims = dims.ok_or_else(|| nobody_acts(id, &workers.action_space))?;
        Ok(workers)
    }

    fn width(&self) -> usize {
        self.observation_space.flat_len()
    }

    fn reset_all(&mut self, seed: u64, obs: &mut [f32]) -> Result<(), EnvError> {
        let seeds: Vec<u64> = (0..self.lanes as u64).map(|lane| seed.wrapping_add(lane)).collect();
        let valid = python(
            || format!("{}'s reset failed", self.id),
            |py| {
                let python = self.python.bind(py);
                let masked: bool = python.call_method1("reset", (seeds,))?.extract()?;
                self.seen.copy_to_slice(py, obs)?;
                masked.then(|| self.valid.to_vec(py)).transpose()
            },
        )?;
        self.masks = valid.map(flags);
        self.under_way.fill(true);
        self.tallies.fill((0.0, 0));
        self.finished.clear();
        Ok(())
    }

    /// Says how the episodes go on, when Python has said all it has to say of a step.
    fn deliver(&mut self, out: StepOut<'_>) -> Result<(), EnvError> {
        let width = self.width();
        self.finished.clear();
        for (lane, &code) in self.codes.iter().enumerate() {
            let entries = lane * width..(lane + 1) * width;
            finite(lane, out.rewards[lane], &out.obs[entries.clone()])?;
            let ending = match code {
                0 => None,
                1 => Some(Ending::Terminated),
                _ => Some(Ending::Truncated),
            };
            out.endings[lane] = ending;
            let (episode_return, length) = &mut self.tallies[lane];
            *episode_return += out.rewards[lane];
            *length += 1;
            if let Some(ending) = ending {
                let last = &self.final_obs[entries.clone()];
                finite(lane, 0.0, last)?;
                out.final_obs[entries].copy_from_slice(last);
                let (episode_return, length) = std::mem::take(&mut self.tallies[lane]);
                self.finished.push(FinishedEpisode { lane, episode_return, length, ending });
            }
        }
        Ok(())
    }

    /// Finds what is wrong with a call before anything has moved.
    fn check(&self, actions: Actions<'_>, out: &StepOut<'_>) -> Result<(), EnvError> {
        let (lanes, entries) = (self.lanes, self.lanes * self.width());
        let given = actions.entries_in(&self.action_space)?;
        for (what, given, expected) in [
            ("actions", given, lanes * self.dims),
            ("obs", out.obs.len(), entries),
            ("final_obs", out.final_obs.len(), entries),
            ("rewards", out.rewards.len(), lanes),
            ("endings", out.endings.len(), lanes),
        ] {
            if given != expected {
                return Err(EnvError::Length { what, given, expected });
            }
        }
        if self.under_way.contains(&false) {
            return Err(EnvError::NotReset);
        }
        let row = |lane| actions.row(lane, self.dims);
        (0..lanes).try_for_each(|lane| may_be(row(lane), &self.action_space))
    }
}

impl VectorEnv for Workers {
    fn lanes(&self) -> usize {
        self.lanes
    }

    fn observation_space(&self) -> Space {
        self.observation_space.clone()
    }

    fn action_space(&self) -> Space {
        self.action_space.clone()
    }

    fn reset(&mut self, seed: u64, obs: &mut [f32]) -> Result<(), EnvError> {
        length(obs, self.lanes * self.width())?;
        self.under_way.fill(false);
        self.reset_all(seed, obs)
    }

    fn reset_lane(&mut self, lane: usize, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        length(obs, self.width())?;
        self.has(lane)?;
        let (id, width) = (&self.id, self.width());
        let (all, valid) = python(
            || format!("{id}'s reset failed"),
            |py| {
                let options = options(py, &reset.options)?;
                let python = self.python.bind(py);
                let masked: bool =
                    python.call_method1("reset_lane", (lane, reset.seed, options))?.extract()?;
                let valid = masked.then(|| self.valid.to_vec(py)).transpose()?;
                Ok((self.seen.to_vec(py)?, valid))
            },
        )?;
        obs.copy_from_slice(&all[lane * width..(lane + 1) * width]);
        self.masks = valid.map(flags);
        self.under_way[lane] = true;
        self.tallies[lane] = (0.0, 0);
        Ok(())
    }

    fn step_lanes(
        &mut self,
        active: &[usize],
        actions: Actions<'_>,
        out: StepOut<'_>,
    ) -> Result<(), EnvError> {
        if !active.iter().copied().eq(0..self.lanes) {
            return Err(EnvError::Vector(format!(
                "{} in processes: all {} lanes step at once, so that {active:?} alone can't",
                self.id, self.lanes
            )));
        }
        self.step(actions, out)
    }

    fn step(&mut self, actions: Actions<'_>, out: StepOut<'_>) -> Result<(), EnvError> {
        self.check(actions, &out)?;
        // Until it is known how the step went, there is no episode to go on with.
        self.under_way.fill(false);
        let Self { id, python: workers, codes, final_obs, masks, .. } = self;
        let (lanes, dims) = (self.lanes, self.dims);
        python(
            || format!("{id}'s step failed"),
            |py| {
                let rows = (0..lanes).map(|lane| object(py, actions.row(lane, dims)));
                let rows = PyList::new(py, rows.collect::<PyResult<Vec<_>>>()?)?;
                workers.bind(py).call_method1(intern!(py, "step"), (rows,))?;
                self.seen.copy_to_slice(py, out.obs)?;
                self.rewards.copy_to_slice(py, out.rewards)?;
                self.endings.copy_to_slice(py, codes)?;
                if codes.iter().any(|code| *code != 0) {
                    self.last.copy_to_slice(py, final_obs)?;
                }
                if masks.is_some() {
                    *masks = Some(flags(self.valid.to_vec(py)?));
                }
                Ok(())
            },
        )?;
        self.deliver(out)?;
        self.under_way.fill(true);
        Ok(())
    }

    fn finished(&self) -> &[FinishedEpisode] {
        &self.finished
    }

    fn action_mask(&self, lane: usize) -> Option<&[bool]> {
        let n = self.action_space.flat_len();
        self.masks.as_ref()?.get(lane * n..(lane + 1) * n)
    }

    fn save_state(&self, _lane: usize) -> Option<LaneState> {
        None
    }

    fn load_state(&mut self, _lane: usize, _state: &LaneState) -> Result<(), EnvError> {
        Err(EnvError::StateNotSupported)
    }

    fn scene(&self, _lane: usize) -> Option<Scene> {
        None
    }
}

impl Workers {
    fn has(&self, lane: usize) -> Result<(), EnvError> {
        if lane < self.lanes {
            return Ok(());
        }
        let last = self.lanes - 1;
        Err(EnvError::Vector(format!(
            "there is no lane {lane}: they are numbered from 0 to {last}"
        )))
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        // The processes end with this one in any case.
        let _ = python(String::new, |py| self.python.call_method0(py, "close"));
    }
}

fn flags(valid: Vec<u8>) -> Vec<bool> {
    valid.into_iter().map(|v| v != 0).collect()
}

/// One NaN spoils every weight of a network, so none gets past here.
fn finite(lane: usize, reward: f64, obs: &[f32]) -> Result<(), EnvError> {
    let not = |what: String, value| Err(EnvError::NonFinite { lane, what, value });
    match obs.iter().position(|x| !x.is_finite()) {
        Some(i) => not(format!("entry {i} of the observation"), f64::from(obs[i])),
        None if !reward.is_finite() => not("the reward".into(), reward),
        None => Ok(()),
    }
}
