//! Collecting fixed-length rollouts from environments that run on from one to the next.

#[cfg(test)]
mod tests;

use std::ops::Range;

use burn::tensor::{Device, Tensor};
use elegante_env::{
    AnyEnv, EnvRng,
    wrappers::{ObsNormalizer, RewardNormalizer},
};
use elegante_policy::{
    ActionBatch, ActorCritic, Distribution, Exploration, InputScale, Policy, PolicyConfig,
    Snapshot, in_memory,
};

use crate::{
    TrainError,
    bridge::{mask, matrix, numbers},
    checkpoint::Checkpoint,
    crew::Crew,
    metrics::Episode,
    rollout::{Rollout, kept},
    streams::{Purpose, stream},
    valuer::Valuer,
    watch::Arrays,
    world::{World, of_length},
};

/// Lanes whose actions a CPU computes together, at most: what the layers make of them stays in the second cache.
const ACTING: usize = 512;

/// The training environments of a run, and what a policy needs to act in them.
pub(crate) struct Collector {
    world: World,
    config: PolicyConfig,
    options: Options,
    /// Where each lane's actions come from.
    streams: Vec<EnvRng>,
    /// Each lane's exploration matrix, where the policy has such.
    explorations: Vec<Exploration>,
    /// Vector steps since the matrices were drawn.
    explored: usize,
    /// sₜ of each lane, as the policy sees it: `[lanes × width]`.
    observations: Vec<f32>,
    /// Whether sₜ begins an episode.
    starts: Vec<bool>,
    /// What the networks remember of each lane: `[lanes × memory]`.
    memory: Vec<f32>,
    observation_normalizer: Option<ObsNormalizer>,
    reward_normalizer: Option<RewardNormalizer>,
}

/// How to collect.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// Discount, for the scale of rewards.
    pub(crate) gamma: f64,
    pub(crate) normalize_observations: bool,
    pub(crate) normalize_rewards: bool,
    /// Steps after which exploration matrices are drawn anew; 0: once a rollout.
    pub(crate) sde_sample_steps: usize,
}

/// What a policy did in every lane, and what of it is on the host.
struct Acted {
    drawn: ActionBatch,
    /// log πθ(aₜ|sₜ), where it is to be had for nothing.
    log_probs: Vec<f32>,
    /// The same where it is not, `[lanes]` of some after the others: nobody needs it before the rollout is complete.
    log_probs_later: Vec<Tensor<1>>,
    /// With networks that remember.
    values: Vec<f64>,
}

impl Collector {
    /// Resets every environment: lane i with `training_env_seed(seed) + i`.
    pub(crate) fn new(
        envs: Vec<AnyEnv>,
        seed: u64,
        networks: &ActorCritic,
        options: Options,
    ) -> Result<Self, TrainError> {
        let (policy, memory) = (networks.policy(), networks.memory());
        let config = policy.config();
        let (lanes, width) = (envs.len(), config.observation);
        let world = World::new(envs, seed, width)?;
        let mut streams: Vec<_> =
            (0..lanes).map(|lane| stream(seed, Purpose::Action, lane as u64)).collect();
        let explorations = streams.iter_mut().map(|stream| policy.exploration(stream)).collect();
        let rewards = options.normalize_rewards;
        let mut collector = Self {
            observations: world.out.observations.clone(),
            world,
            config: config.clone(),
            options,
            streams,
            explorations,
            explored: 0,
            starts: vec![true; lanes],
            memory: vec![0.0; lanes * memory],
            observation_normalizer: options
                .normalize_observations
                .then(|| ObsNormalizer::new(width)),
            reward_normalizer: rewards
                .then(|| RewardNormalizer::new(lanes, options.gamma))
                .transpose()?,
        };
        if let Some(normalizer) = &mut collector.observation_normalizer {
            normalizer.update(&collector.observations)?;
            normalizer.normalize(&mut collector.observations)?;
        }
        Ok(collector)
    }

    fn lanes(&self) -> usize {
        self.streams.len()
    }

    /// `policy` with the normaliser as it stands, for acting outside of training.
    pub(crate) fn export(&self, policy: Policy) -> Policy {
        let Some(normalizer) = &self.observation_normalizer else { return policy };
        let statistics = normalizer.statistics();
        let deviation = |column| (statistics.variance(column) + normalizer.epsilon()).sqrt();
        policy.with_input_scale(InputScale {
            mean: (0..normalizer.len()).map(|column| statistics.mean(column)).collect(),
            deviation: (0..normalizer.len()).map(deviation).collect(),
            clip: normalizer.clip(),
        })
    }

    /// `steps` steps in every lane with `networks`, which have no autodiff, and the episodes that
    /// ended in them. `crew` may help with it. An error leaves some lanes further than others.
    pub(crate) fn collect(
        &mut self,
        networks: &ActorCritic,
        steps: usize,
        crew: &Crew,
    ) -> Result<(Rollout, Vec<Episode>), TrainError> {
        let (lanes, width) = (self.lanes(), self.config.observation);
        let policy = networks.policy().snapshot();
        let mut valuer = Valuer::new(networks, crew);
        let mut rollout = self.empty();
        let mut finals = Finals::default();
        let mut episodes = Vec::new();
        let mut log_probs = Vec::new();
        self.explored = 0;
        for t in 0..steps {
            let valid = self.world.masks(&self.config.action)?;
            let acted = self.act(networks, &policy, &valid)?;
            rollout.observations.extend_from_slice(&self.observations);
            if self.memory.is_empty() {
                valuer.begin(&rollout.observations);
            }
            rollout.starts.extend_from_slice(&self.starts);
            push_masks(&mut rollout.valid, &valid, t, lanes * self.config.action.choices());
            rollout.actions.append(&acted.drawn);
            rollout.log_probs.extend(acted.log_probs.into_iter().map(f64::from));
            log_probs.extend(acted.log_probs_later);
            rollout.values.extend(acted.values);

            let taken = self.config.action.to_env(acted.drawn);
            episodes.extend(self.world.step(&taken, t * lanes)?);
            self.observe()?;
            rollout.rewards.extend(self.rewards()?);
            for (lane, observation) in self.world.truncated() {
                finals.push(t * lanes + lane, observation);
            }
            rollout.endings.extend_from_slice(&self.world.out.endings);
            if !self.memory.is_empty() {
                finals.look(networks, &self.memory, lanes, width);
            }
            self.starts = self.world.out.endings.iter().map(Option::is_some).collect();
        }
        rollout.log_probs.extend(numbers(log_probs));
        self.value(networks, &mut rollout, finals, valuer);
        Ok((rollout, episodes))
    }

    fn empty(&self) -> Rollout {
        Rollout {
            lanes: self.lanes(),
            width: self.config.observation,
            head: self.config.action.clone(),
            observations: Vec::new(),
            actions: self.config.action.no_actions(),
            valid: Vec::new(),
            log_probs: Vec::new(),
            rewards: Vec::new(),
            values: Vec::new(),
            next_values: Vec::new(),
            endings: Vec::new(),
            starts: Vec::new(),
            memory: self.remembered(),
        }
    }

    /// A rollout from the record of a failed update.
    ///
    /// # Errors
    /// When it belongs to another run.
    pub(crate) fn recall(&self, batch: &mut Arrays) -> Result<Rollout, TrainError> {
        Rollout::from_arrays(self.empty(), batch)
    }

    /// What the networks remember at sₜ: nothing where it begins an episode.
    fn remembered(&self) -> Vec<f32> {
        let memory = self.memory.len() / self.lanes();
        let mut kept = self.memory.clone();
        for (lane, _) in self.starts.iter().enumerate().filter(|(_, start)| **start) {
            kept[lane * memory..(lane + 1) * memory].fill(0.0);
        }
        kept
    }

    /// Draws every lane's action.
    fn act(
        &mut self,
        networks: &ActorCritic,
        policy: &Snapshot<'_>,
        valid: &[bool],
    ) -> Result<Acted, TrainError> {
        let device = policy.device();
        let (lanes, width) = (self.lanes(), self.config.observation);
        let choices = self.config.action.choices();
        self.explore();
        let mut acted = Acted {
            drawn: self.config.action.no_actions(),
            log_probs: Vec::new(),
            log_probs_later: Vec::new(),
            values: Vec::new(),
        };
        if self.memory.is_empty() {
            let together = if in_memory(device) { ACTING } else { lanes };
            for first in (0..lanes).step_by(together) {
                let some = first..lanes.min(first + together);
                let observations = &self.observations[some.start * width..some.end * width];
                let valid = match valid {
                    [] => valid,
                    _ => &valid[some.start * choices..some.end * choices],
                };
                let said = policy.forward(observations, mask(valid, choices, device));
                self.draw(&said, some, device, &mut acted)?;
            }
            return Ok(acted);
        }
        let remembered = self.memory.len() / lanes;
        let memory = kept(matrix(self.memory.clone(), remembered, device), &self.starts);
        let observations = matrix(self.observations.clone(), width, device);
        let (said, memory) = networks.step(observations, memory);
        self.memory = memory.into_data().iter::<f32>().collect();
        acted.values = said.value().into_data().iter::<f64>().collect();
        let distribution = networks.distribution(&said, mask(valid, choices, device));
        self.draw(&distribution, 0..lanes, device, &mut acted)?;
        Ok(acted)
    }

    /// Draws exploration matrices anew when it is time for that.
    fn explore(&mut self) {
        let every = self.options.sde_sample_steps;
        if self.explored == 0 || (every > 0 && self.explored.is_multiple_of(every)) {
            for (exploration, stream) in self.explorations.iter_mut().zip(&mut self.streams) {
                exploration.redraw(stream);
            }
        }
        self.explored += 1;
    }

    /// Draws the actions of some lanes, which follow those that have been drawn.
    fn draw(
        &mut self,
        distribution: &Distribution,
        lanes: Range<usize>,
        device: &Device,
        acted: &mut Acted,
    ) -> Result<(), TrainError> {
        let explorations = self.explorations[lanes.clone()].iter();
        let drawn = distribution.explore(explorations.zip(&mut self.streams[lanes]))?;
        match distribution.log_prob_in_memory(&drawn) {
            Some(log_probs) => acted.log_probs.extend(log_probs),
            None => acted.log_probs_later.push(distribution.log_prob(drawn.to_tensor(device))),
        }
        acted.drawn.append(&drawn);
        Ok(())
    }

    /// Takes over what the environments say now, normalised by statistics that have seen it.
    fn observe(&mut self) -> Result<(), TrainError> {
        self.observations.copy_from_slice(&self.world.out.observations);
        if let Some(normalizer) = &mut self.observation_normalizer {
            normalizer.update(&self.observations)?;
            normalizer.normalize(&mut self.observations)?;
            normalizer.normalize(self.world.out.final_observations_mut())?;
        }
        Ok(())
    }

    /// The rewards as the algorithm sees them, normalised by a statistic that has seen every lane's.
    fn rewards(&mut self) -> Result<Vec<f64>, TrainError> {
        let rewards = &self.world.out.rewards;
        let Some(normalizer) = &mut self.reward_normalizer else { return Ok(rewards.clone()) };
        for (lane, (&reward, &ending)) in rewards.iter().zip(&self.world.out.endings).enumerate() {
            normalizer.update(lane, reward, ending)?;
        }
        Ok(rewards.iter().map(|&reward| normalizer.normalize(reward)).collect())
    }

    /// V(sₜ) and V(sₜ₊₁) of every step.
    fn value(
        &self,
        networks: &ActorCritic,
        rollout: &mut Rollout,
        mut finals: Finals,
        valuer: Valuer<'_>,
    ) {
        let (lanes, width) = (self.lanes(), self.config.observation);
        let n = rollout.len();
        let last = if self.memory.is_empty() {
            let after = [&self.observations, &finals.observations];
            let mut values = valuer.finish(&rollout.observations, after);
            finals.values = values.split_off(n + lanes);
            let last = values.split_off(n);
            rollout.values = values;
            last
        } else {
            let device = networks.policy().device();
            let remembered = matrix(self.remembered(), self.memory.len() / lanes, &device);
            let observations = matrix(self.observations.clone(), width, &device);
            let value = networks.step(observations, remembered).0.value();
            value.into_data().iter::<f64>().collect()
        };
        rollout.next_values = rollout.values[lanes..].iter().chain(&last).copied().collect();
        for (row, value) in finals.rows.iter().zip(finals.values) {
            rollout.next_values[*row] = value;
        }
    }

    /// Notes everything that the next rollout depends on.
    pub(crate) fn save(&self, checkpoint: &mut Checkpoint) {
        checkpoint.note("streams", &self.streams);
        checkpoint.note("explorations", &self.explorations);
        checkpoint.note("starts", &self.starts);
        checkpoint.note("observation_normalizer", &self.observation_normalizer);
        checkpoint.note("reward_normalizer", &self.reward_normalizer);
        checkpoint.numbers.insert("observations".into(), self.observations.clone());
        checkpoint.numbers.insert("memory".into(), self.memory.clone());
        self.world.save(checkpoint);
    }

    /// Goes back to what [`save`](Self::save) noted. Returns the lanes whose environment had not been
    /// saved: they stay at the beginning of an episode of their own.
    pub(crate) fn restore(
        &mut self,
        checkpoint: &mut Checkpoint,
    ) -> Result<Vec<usize>, TrainError> {
        let (lanes, width) = (self.lanes(), self.config.observation);
        self.streams = of_length(checkpoint, "streams", lanes)?;
        self.explorations = of_length(checkpoint, "explorations", lanes)?;
        let starts: Vec<bool> = of_length(checkpoint, "starts", lanes)?;
        self.observation_normalizer = checkpoint.recall("observation_normalizer")?;
        self.reward_normalizer = checkpoint.recall("reward_normalizer")?;
        let observations = checkpoint.take("observations", lanes * width)?;
        self.memory = checkpoint.take("memory", self.memory.len())?;
        let fresh = self.world.restore(checkpoint)?;
        for lane in (0..lanes).filter(|lane| !fresh.contains(lane)) {
            let row = lane * width..(lane + 1) * width;
            self.observations[row.clone()].copy_from_slice(&observations[row]);
            self.starts[lane] = starts[lane];
        }
        Ok(fresh)
    }
}

/// Appends the masks of vector step `t`. Nothing is stored until the first appears, since most
/// environments have none.
fn push_masks(all: &mut Vec<bool>, step: &[bool], t: usize, width: usize) {
    if !(all.is_empty() && step.is_empty()) {
        all.resize(t * width, true);
        all.extend_from_slice(step);
        all.resize((t + 1) * width, true);
    }
}

/// Where truncated episodes were cut.
#[derive(Default)]
struct Finals {
    /// Their rows in the rollout.
    rows: Vec<usize>,
    /// `[finals × width]`.
    observations: Vec<f32>,
    /// Of those that were looked at already.
    values: Vec<f64>,
}

impl Finals {
    fn push(&mut self, row: usize, observation: &[f32]) {
        self.rows.push(row);
        self.observations.extend_from_slice(observation);
    }

    /// Values the final observations of the vector step just made, with what the networks remember
    /// after it.
    fn look(&mut self, networks: &ActorCritic, memory: &[f32], lanes: usize, width: usize) {
        let new = &self.rows[self.values.len()..];
        if new.is_empty() {
            return;
        }
        let device = networks.policy().device();
        let remembered = memory.len() / lanes;
        let rows = new.iter().map(|row| row % lanes);
        let memory = rows.flat_map(|lane| &memory[lane * remembered..(lane + 1) * remembered]);
        let memory = matrix(memory.copied().collect(), remembered, &device);
        let observations = self.observations[self.values.len() * width..].to_vec();
        let (said, _) = networks.step(matrix(observations, width, &device), memory);
        self.values.extend(said.value().into_data().iter::<f64>());
    }
}
