//! The training environments of a run, in the middle of their episodes.

use elegante_env::{AnyEnv, Ending, EnvError, VecEnv, VectorEnv, state};
use elegante_policy::{ActionBatch, ActionHead};

use crate::{
    TrainError,
    bridge::{env_actions, mask_rows},
    checkpoint::Checkpoint,
    lanes::Buffers,
    metrics::Episode,
    replay_buffer::Final,
    streams::training_env_seed,
};

/// Lanes that run on from one episode to the next.
pub(crate) struct World {
    env: VecEnv<AnyEnv>,
    width: usize,
    /// Return and length of each lane's episode so far.
    under_way: Vec<(f64, usize)>,
    /// What the last step brought; the observations are those to act on next.
    pub(crate) out: Buffers,
}

impl World {
    /// Resets every environment: lane i with `training_env_seed(seed) + i`.
    pub(crate) fn new(envs: Vec<AnyEnv>, seed: u64, width: usize) -> Result<Self, TrainError> {
        let lanes = envs.len();
        let mut env = VecEnv::new(envs)?;
        let mut out = Buffers::new(lanes, width);
        env.reset(training_env_seed(seed), &mut out.observations)?;
        Ok(Self { env, width, under_way: vec![(0.0, 0); lanes], out })
    }

    pub(crate) fn lanes(&self) -> usize {
        self.under_way.len()
    }

    /// The actions that each lane allows, a row of `head.choices()` flags each; empty where all are.
    pub(crate) fn masks(&self, head: &ActionHead) -> Result<Vec<bool>, TrainError> {
        let masks = (0..self.lanes()).map(|lane| self.env.action_mask(lane));
        let rows = mask_rows(masks, head.choices())?;
        head.check_mask(&rows)?;
        Ok(rows)
    }

    /// Steps every lane; returns the episodes that ended, whose `steps` count the lanes' steps from
    /// `before` on. An error leaves some lanes further than others.
    pub(crate) fn step(
        &mut self,
        actions: &ActionBatch,
        before: usize,
    ) -> Result<Vec<Episode>, TrainError> {
        let lanes = self.lanes();
        self.env.step(env_actions(actions), self.out.rows(lanes, self.width))?;
        let steps = (before + lanes) as u64;
        Ok((0..lanes).filter_map(|lane| self.count(lane, steps)).collect())
    }

    /// Adds the last step to a lane's episode, and returns the episode if that was its last.
    fn count(&mut self, lane: usize, steps: u64) -> Option<Episode> {
        let (total, length) = &mut self.under_way[lane];
        *total += self.out.rewards[lane];
        *length += 1;
        let ending = self.out.endings[lane]?;
        let (episode_return, length) = std::mem::take(&mut self.under_way[lane]);
        Some(Episode { index: 0, steps, lane, episode_return, length, ending })
    }

    /// The lanes whose episode the last step cut off, each with the observation from before the reset.
    pub(crate) fn truncated(&self) -> impl Iterator<Item = (usize, &[f32])> {
        let cut = |lane: &usize| self.out.endings[*lane] == Some(Ending::Truncated);
        (0..self.lanes()).filter(cut).map(|lane| (lane, self.out.final_row(lane, self.width)))
    }

    /// The same with the actions that were valid there: a row of flags, or none where all were.
    pub(crate) fn finals(&self, head: &ActionHead) -> Result<Vec<(usize, Final)>, TrainError> {
        let finals = self.truncated().map(|(lane, observation)| {
            let valid = mask_rows([self.env.final_mask(lane)], head.choices())?;
            head.check_mask(&valid).map_err(|_| {
                EnvError::custom(format!(
                    "lane {lane}: the state in which its episode was cut off, from before the reset, allows no action; nothing is lost by `None` there, which allows all"
                ))
            })?;
            Ok((lane, Final { observation: observation.to_vec(), valid }))
        });
        finals.collect()
    }

    /// Notes the environments and how far their episodes are.
    pub(crate) fn save(&self, checkpoint: &mut Checkpoint) {
        checkpoint.note("under_way", &self.under_way);
        for lane in 0..self.lanes() {
            if let Some(state) = self.env.save_state(lane).as_ref().and_then(state::save) {
                checkpoint.bytes.insert(format!("env.{lane}"), state);
            }
        }
    }

    /// Goes back to what [`save`](Self::save) noted. Returns the lanes whose environment had not been
    /// saved: they stay at the beginning of an episode of their own.
    pub(crate) fn restore(
        &mut self,
        checkpoint: &mut Checkpoint,
    ) -> Result<Vec<usize>, TrainError> {
        let lanes = self.lanes();
        let under_way: Vec<(f64, usize)> = of_length(checkpoint, "under_way", lanes)?;
        let mut fresh = Vec::new();
        for (lane, under_way) in under_way.into_iter().enumerate() {
            match checkpoint.bytes.remove(&format!("env.{lane}")) {
                Some(state) => {
                    self.env.load_state(lane, &state::load(&state)?)?;
                    self.under_way[lane] = under_way;
                }
                None => fresh.push(lane),
            }
        }
        Ok(fresh)
    }
}

/// What was noted under `name`, one of it for each lane.
pub(crate) fn of_length<T: serde::de::DeserializeOwned>(
    checkpoint: &Checkpoint,
    name: &str,
    lanes: usize,
) -> Result<Vec<T>, TrainError> {
    let all: Vec<T> = checkpoint.recall(name)?;
    if all.len() == lanes {
        return Ok(all);
    }
    let reason = format!("has {} lanes where this run has {lanes}", all.len());
    Err(TrainError::Checkpoint(reason))
}

#[cfg(test)]
mod tests {
    use elegante_env::{BoxSpace, Discrete, Env, Reset, Space, Step, TimeLimit};

    use super::*;

    /// Allows one of two actions, in turns; nothing at `dead_end`.
    struct Turns {
        time: usize,
        dead_end: usize,
        allowed: [bool; 2],
    }

    impl Turns {
        fn show(&mut self, obs: &mut [f32]) {
            self.allowed = [0, 1].map(|a| self.time != self.dead_end && self.time % 2 == a);
            obs[0] = self.time as f32;
        }
    }

    impl Env for Turns {
        type Action = usize;

        fn observation_space(&self) -> Space {
            BoxSpace::unbounded(1).into()
        }

        fn action_space(&self) -> Discrete {
            Discrete::new(2)
        }

        fn reset(&mut self, _: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
            self.time = 0;
            self.show(obs);
            Ok(())
        }

        fn step(&mut self, _: &usize, obs: &mut [f32]) -> Result<Step, EnvError> {
            self.time += 1;
            self.show(obs);
            Ok(Step::going(1.0))
        }

        fn action_mask(&self) -> Option<&[bool]> {
            Some(&self.allowed)
        }
    }

    fn world(dead_end: usize) -> World {
        let turns = || Turns { time: 0, dead_end, allowed: [true, false] };
        let envs = [3, 4].map(|limit| AnyEnv::new(TimeLimit::new(turns(), limit).unwrap()));
        World::new(envs.into(), 0, 1).unwrap()
    }

    #[test]
    fn a_cut_off_lane_has_the_mask_from_before_the_reset() {
        let head = ActionHead::Categorical { n: 2 };
        let mut world = world(usize::MAX);
        for time in 0..2 {
            world.step(&ActionBatch::Discrete(vec![time; 2]), 0).unwrap();
            assert_eq!(world.finals(&head).unwrap(), []);
        }
        world.step(&ActionBatch::Discrete(vec![0; 2]), 0).unwrap();
        let cut = Final { observation: vec![3.0], valid: vec![false, true] };
        assert_eq!(world.finals(&head).unwrap(), [(0, cut)]);
        // The lane that goes on is at time 3, the other one at its beginning.
        assert_eq!(world.masks(&head).unwrap(), [true, false, false, true]);
        world.step(&ActionBatch::Discrete(vec![0, 1]), 0).unwrap();
        let cut = Final { observation: vec![4.0], valid: vec![true, false] };
        assert_eq!(world.finals(&head).unwrap(), [(1, cut)]);
    }

    #[test]
    fn a_cut_off_state_that_allows_nothing_is_an_error() {
        let mut world = world(3);
        for time in 0..3 {
            world.step(&ActionBatch::Discrete(vec![time % 2; 2]), 0).unwrap();
        }
        let error = world.finals(&ActionHead::Categorical { n: 2 }).unwrap_err();
        assert!(error.to_string().contains("lane 0: the state in which"), "{error}");
    }
}
