//! Collecting whole trajectories from environments that are stepped side by side.
//!
//! Lanes are stepped in groups: one forward pass chooses the actions of a group. Groups are the same
//! however many threads share them, and each lane has an environment and an action stream of its own,
//! so the number of threads changes nothing but the time.

use elegante_env::{AnyEnv, Ending, EnvError, EnvRng, StepOut, VecEnv, VectorEnv, state};
use elegante_policy::{ActionHead, Policy, PolicyConfig};

use crate::{
    TrainError,
    bridge::{env_actions, mask, mask_rows},
    checkpoint::Checkpoint,
    metrics::Episode,
    streams::{Purpose, stream, training_env_seed},
    trajectories::Trajectories,
};

/// Lanes that share a forward pass.
const GROUP: usize = 4;
/// A trajectory longer than this is taken to be endless.
pub(crate) const ENDLESS: usize = 1_000_000;

/// The training environments of a run.
pub(crate) struct Lanes {
    groups: Vec<Group>,
    threads: usize,
    head: ActionHead,
}

impl Lanes {
    /// Resets every environment: lane i with `training_env_seed(seed) + i`.
    pub(crate) fn new(
        envs: Vec<AnyEnv>,
        seed: u64,
        policy: &PolicyConfig,
        threads: usize,
    ) -> Result<Self, TrainError> {
        let mut groups = Vec::new();
        let mut envs = envs.into_iter().peekable();
        while envs.peek().is_some() {
            let members: Vec<AnyEnv> = envs.by_ref().take(GROUP).collect();
            groups.push(Group::new(members, groups.len() * GROUP, seed, policy)?);
        }
        Ok(Self { groups, threads, head: policy.action.clone() })
    }

    /// Every trajectory started until `budget` steps are met, each run to its end.
    ///
    /// Each lane has an equal share of the budget and starts trajectories until it has met it. None
    /// is dropped: a batch of those that happened to be finished in time would favour short ones.
    pub(crate) fn collect(
        &mut self,
        policy: &Policy,
        budget: usize,
    ) -> Result<(Trajectories, Vec<Episode>), TrainError> {
        let lanes = self.lanes().count();
        let share = budget.div_ceil(lanes);
        self.each_group(|group| group.collect(policy, share))?;

        let mut batch = Trajectories::new(self.head.no_actions());
        let mut episodes = Vec::new();
        for lane in self.lanes() {
            batch.append(&lane.batch, self.head.choices());
            episodes.extend_from_slice(&lane.finished);
        }
        Ok((batch, in_order_of_time(episodes)))
    }

    /// Calls `work` once for every group, on as many threads as there are.
    fn each_group(
        &mut self,
        work: impl Fn(&mut Group) -> Result<(), TrainError> + Sync,
    ) -> Result<(), TrainError> {
        let threads = self.threads.clamp(1, self.groups.len());
        if threads == 1 {
            return self.groups.iter_mut().try_for_each(work);
        }
        let per_thread = self.groups.len().div_ceil(threads);
        let work = &work;
        std::thread::scope(|scope| {
            let workers: Vec<_> = self
                .groups
                .chunks_mut(per_thread)
                .map(|mine| scope.spawn(move || mine.iter_mut().try_for_each(work)))
                .collect();
            // All are joined before the first error is returned, in the order of the lanes.
            let results: Vec<_> =
                workers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
            results.into_iter().try_for_each(|result| {
                result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
        })
    }

    /// All lanes in order.
    fn lanes(&self) -> impl Iterator<Item = &Lane> {
        self.groups.iter().flat_map(|group| &group.lanes)
    }

    /// Notes every lane's action stream, observation and environment.
    pub(crate) fn save(&self, checkpoint: &mut Checkpoint) {
        let streams: Vec<_> = self.lanes().map(|lane| lane.stream.clone()).collect();
        checkpoint.note("streams", &streams);
        let observations = self.groups.iter().flat_map(|group| &group.observations).copied();
        checkpoint.numbers.insert("observations".into(), observations.collect());
        for group in &self.groups {
            for (i, lane) in group.lanes.iter().enumerate() {
                if let Some(state) = group.env.save_state(i).as_ref().and_then(state::save) {
                    checkpoint.bytes.insert(format!("env.{}", lane.number), state);
                }
            }
        }
    }

    /// Goes back to what [`save`](Self::save) noted. Returns the lanes whose environment had not been
    /// saved: they stay at the beginning of an episode of their own.
    pub(crate) fn restore(
        &mut self,
        checkpoint: &mut Checkpoint,
    ) -> Result<Vec<usize>, TrainError> {
        let (lanes, streams) = (self.lanes().count(), checkpoint.recall::<Vec<EnvRng>>("streams")?);
        if streams.len() != lanes {
            let reason = format!("has {} lanes where this run has {lanes}", streams.len());
            return Err(TrainError::Checkpoint(reason));
        }
        let numbers = self.groups.iter().map(|group| group.observations.len()).sum();
        let saved = checkpoint.take("observations", numbers)?;
        let (mut saved, mut streams) = (saved.as_slice(), streams.into_iter());
        let mut fresh = Vec::new();
        for group in &mut self.groups {
            let width = group.width;
            for (i, lane) in group.lanes.iter_mut().enumerate() {
                let (mine, rest) = saved.split_at(width);
                saved = rest;
                lane.stream = streams.next().unwrap_or_else(|| lane.stream.clone());
                match checkpoint.bytes.remove(&format!("env.{}", lane.number)) {
                    Some(bytes) => {
                        group.env.load_state(i, &state::load(&bytes)?)?;
                        group.observations[i * width..(i + 1) * width].copy_from_slice(mine);
                    }
                    None => fresh.push(lane.number),
                }
            }
        }
        Ok(fresh)
    }
}

/// Episodes by the vector step at which they ended, then by lane.
fn in_order_of_time(mut episodes: Vec<Finished>) -> Vec<Episode> {
    episodes.sort_by_key(|finished| (finished.tick, finished.episode.lane));
    episodes.into_iter().map(|finished| finished.episode).collect()
}

/// The error of a group, in which lanes count from `first`, with the lane's number among all lanes.
fn numbered(error: EnvError, first: usize) -> EnvError {
    match error {
        EnvError::NonFinite { lane, what, value } => {
            EnvError::NonFinite { lane: first + lane, what, value }
        }
        EnvError::NotWritten { lane, entry } => EnvError::NotWritten { lane: first + lane, entry },
        other => other,
    }
}

/// A few lanes that are stepped together.
struct Group {
    env: VecEnv<AnyEnv>,
    lanes: Vec<Lane>,
    /// The observation that each lane will act on next: `[lanes × width]`.
    observations: Vec<f32>,
    /// Number of its first lane among all lanes.
    first: usize,
    width: usize,
    actions: usize,
}

/// One lane's own stream, and what it has collected in this batch.
struct Lane {
    /// Where its actions come from.
    stream: EnvRng,
    batch: Trajectories,
    finished: Vec<Finished>,
    number: usize,
    /// Steps and return of the trajectory under way.
    length: usize,
    episode_return: f64,
    active: bool,
}

#[derive(Clone)]
struct Finished {
    tick: usize,
    episode: Episode,
}

impl Group {
    fn new(
        envs: Vec<AnyEnv>,
        first: usize,
        seed: u64,
        policy: &PolicyConfig,
    ) -> Result<Self, TrainError> {
        let (width, actions) = (policy.observation, policy.action.choices());
        let lanes = (first..first + envs.len()).map(|number| Lane {
            stream: stream(seed, Purpose::Action, number as u64),
            batch: Trajectories::new(policy.action.no_actions()),
            finished: Vec::new(),
            number,
            length: 0,
            episode_return: 0.0,
            active: false,
        });
        let lanes: Vec<Lane> = lanes.collect();
        let mut observations = vec![0.0; lanes.len() * width];
        let mut env = VecEnv::new(envs)?;
        let reset = env.reset(training_env_seed(seed) + first as u64, &mut observations);
        reset.map_err(|error| numbered(error, first))?;
        Ok(Self { env, lanes, observations, first, width, actions })
    }

    /// Runs every lane until it has met its `share` of steps and its trajectory has ended.
    fn collect(&mut self, policy: &Policy, share: usize) -> Result<(), TrainError> {
        self.lanes.iter_mut().for_each(Lane::begin);
        let snapshot = policy.snapshot();
        let mut active: Vec<usize> = (0..self.lanes.len()).collect();
        let mut out = Buffers::new(active.len(), self.width);
        for tick in 0.. {
            active.retain(|&lane| self.lanes[lane].active);
            if active.is_empty() {
                break;
            }
            let observed = self.observe(&active);
            let valid = self.masks(&active)?;
            policy.config().action.check_mask(&valid)?;
            let valid = mask(&valid, self.actions, snapshot.device());
            let distribution = snapshot.forward(&observed, valid);
            let streams =
                self.lanes.iter_mut().filter(|lane| lane.active).map(|lane| &mut lane.stream);
            let drawn = distribution.sample(streams)?;
            // The batch keeps what was drawn; the environment gets the nearest thing it allows.
            let taken = policy.to_env(drawn.clone());
            let step = out.rows(active.len(), self.width);
            let stepped = self.env.step_lanes(&active, env_actions(&taken), step);
            stepped.map_err(|error| numbered(error, self.first))?;
            for (row, &lane) in active.iter().enumerate() {
                let observation =
                    &mut self.observations[lane * self.width..(lane + 1) * self.width];
                let lane = &mut self.lanes[lane];
                lane.batch.observations.extend_from_slice(observation);
                lane.batch.actions.push_row(&drawn, row);
                lane.record(out.rewards[row], out.endings[row], tick, share)?;
                observation
                    .copy_from_slice(&out.observations[row * self.width..(row + 1) * self.width]);
            }
        }
        Ok(())
    }

    /// The observations of the active lanes, a row each.
    fn observe(&self, active: &[usize]) -> Vec<f32> {
        let rows = active.iter().map(|&lane| &self.observations[lane * self.width..][..self.width]);
        rows.flatten().copied().collect()
    }

    /// The masks of the active lanes, a row each; empty when all their actions are valid.
    fn masks(&mut self, active: &[usize]) -> Result<Vec<bool>, EnvError> {
        let Self { env, lanes, actions, .. } = self;
        let rows = mask_rows(active.iter().map(|&lane| env.action_mask(lane)), *actions)?;
        for &lane in active {
            lanes[lane].batch.push_mask(env.action_mask(lane), *actions);
        }
        Ok(rows)
    }
}

impl Lane {
    /// A new batch begins, with a new trajectory.
    fn begin(&mut self) {
        self.batch.clear();
        self.finished.clear();
        (self.length, self.episode_return, self.active) = (0, 0.0, true);
    }

    /// Notes what a step returned, and stops the lane when its share is met and its trajectory over.
    fn record(
        &mut self,
        reward: f64,
        ending: Option<Ending>,
        tick: usize,
        share: usize,
    ) -> Result<(), TrainError> {
        self.batch.rewards.push(reward);
        self.length += 1;
        self.episode_return += reward;
        if let Some(ending) = ending {
            self.batch.lengths.push(self.length);
            self.batch.endings.push(ending);
            let (lane, length) = (self.number, self.length);
            let episode = Episode {
                index: 0,
                steps: 0,
                lane,
                episode_return: self.episode_return,
                length,
                ending,
            };
            self.finished.push(Finished { tick, episode });
            (self.length, self.episode_return) = (0, 0.0);
            self.active = self.batch.steps() < share;
        } else if self.length >= ENDLESS {
            return Err(TrainError::EndlessEpisode { lane: self.number, steps: self.length });
        }
        Ok(())
    }
}

/// What a vector step writes into, made once and used for every step of a batch.
pub(crate) struct Buffers {
    pub(crate) observations: Vec<f32>,
    final_observations: Vec<f32>,
    pub(crate) rewards: Vec<f64>,
    pub(crate) endings: Vec<Option<Ending>>,
}

impl Buffers {
    pub(crate) fn new(lanes: usize, width: usize) -> Self {
        Self {
            observations: vec![0.0; lanes * width],
            final_observations: vec![0.0; lanes * width],
            rewards: vec![0.0; lanes],
            endings: vec![None; lanes],
        }
    }

    /// The final observation of a row whose episode the last step ended.
    pub(crate) fn final_row(&self, row: usize, width: usize) -> &[f32] {
        &self.final_observations[row * width..(row + 1) * width]
    }

    /// All final observations; rows whose episode goes on hold older ones.
    pub(crate) fn final_observations_mut(&mut self) -> &mut [f32] {
        &mut self.final_observations
    }

    /// The first `rows` rows, for a step of that many lanes.
    pub(crate) fn rows(&mut self, rows: usize, width: usize) -> StepOut<'_> {
        StepOut {
            obs: &mut self.observations[..rows * width],
            final_obs: &mut self.final_observations[..rows * width],
            rewards: &mut self.rewards[..rows],
            endings: &mut self.endings[..rows],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elegante_policy::ActionBatch;

    #[test]
    fn a_trajectory_that_does_not_end_is_given_up_by_name() {
        let mut lane = Lane {
            stream: EnvRng::new(0),
            batch: Trajectories::new(ActionBatch::Discrete(Vec::new())),
            finished: Vec::new(),
            number: 7,
            length: 0,
            episode_return: 0.0,
            active: false,
        };
        lane.begin();
        let mut ticks = 0..;
        let error = loop {
            if let Err(error) = lane.record(0.0, None, ticks.next().unwrap(), 10) {
                break error.to_string();
            }
        };
        assert_eq!(ticks.start, ENDLESS);
        assert!(error.contains("lane 7 has gone on for 1000000 steps"), "{error}");
        // One that ended just in time is a trajectory like any other.
        lane.begin();
        (1..ENDLESS).for_each(|tick| lane.record(0.0, None, tick, 10).unwrap());
        lane.record(0.0, Some(Ending::Truncated), ENDLESS, 10).unwrap();
        assert!(!lane.active);
    }
}
