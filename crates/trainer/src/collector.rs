//! Collecting fixed-length rollouts from environments that run on from one to the next.

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{crew::Task, lanes::Buffers};
    use elegante_env::{
        Actions, BoxSpace, Discrete, Env, EnvError, Pendulum, Reset, Space, Step, TimeLimit,
        VecEnv, VectorEnv,
        wrappers::{NormalizeObservation, NormalizeReward},
    };
    use elegante_policy::{ActionHead, Cell, DeviceChoice, Init, MlpConfig};

    const PLAIN: Options = Options {
        gamma: 0.9,
        normalize_observations: false,
        normalize_rewards: false,
        sde_sample_steps: 0,
    };

    /// Shows 1 and the time, which is the reward too, and never ends by itself.
    struct Clock(f32);

    impl Env for Clock {
        type Action = usize;

        fn observation_space(&self) -> Space {
            BoxSpace::unbounded(2).into()
        }

        fn action_space(&self) -> Discrete {
            Discrete::new(2)
        }

        fn reset(&mut self, _: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
            self.0 = 0.0;
            obs.copy_from_slice(&[1.0, 0.0]);
            Ok(())
        }

        fn step(&mut self, _: &usize, obs: &mut [f32]) -> Result<Step, EnvError> {
            self.0 += 1.0;
            obs.copy_from_slice(&[1.0, self.0]);
            Ok(Step::going(f64::from(self.0)))
        }
    }

    /// A clock that is cut off after 3 steps, and one after 4.
    fn clocks() -> Vec<AnyEnv> {
        [3, 4].map(|limit| AnyEnv::new(TimeLimit::new(Clock(0.0), limit).unwrap())).into()
    }

    fn actor_critic(network: MlpConfig) -> ActorCritic {
        let shared = network.shared;
        let mut config = PolicyConfig::new(2, ActionHead::Categorical { n: 2 }, network);
        config.value_output = shared;
        let mut rng = EnvRng::new(3);
        let device = DeviceChoice::Auto.open().unwrap();
        ActorCritic::init(&config, &mut rng.clone(), &mut rng, &device).unwrap()
    }

    /// Vₜ and Vₜ₊₁ of every step of one lane whose episodes are cut after `limit` steps, one after the
    /// other.
    fn values(networks: &ActorCritic, steps: usize, limit: usize) -> Vec<(f64, f64)> {
        let device = networks.policy().device();
        let nothing =
            || matrix(vec![0.0; networks.memory().max(1)], networks.memory().max(1), &device);
        let look = |time: usize, memory| {
            let (said, memory) = networks.step(matrix(vec![1.0, time as f32], 2, &device), memory);
            (said.value().into_scalar::<f64>(), memory)
        };
        let (mut time, mut memory, mut all) = (0, nothing(), Vec::new());
        for _ in 0..steps {
            let (value, after) = look(time, memory);
            all.push((value, look(time + 1, after.clone()).0));
            (time, memory) = if time + 1 == limit { (0, nothing()) } else { (time + 1, after) };
        }
        all
    }

    #[test]
    fn the_next_value_is_that_of_what_a_step_led_to_before_any_reset() {
        for recurrent in [Cell::None, Cell::Gru, Cell::Lstm] {
            for shared in [false, true] {
                let network = MlpConfig {
                    hidden: vec![8],
                    init: Init::BurnDefault,
                    recurrent,
                    recurrent_size: 5,
                    shared,
                    ..MlpConfig::default()
                };
                let networks = actor_critic(network);
                let mut collector = Collector::new(clocks(), 0, &networks, PLAIN).unwrap();
                // The second rollout begins and ends in the middle of episodes.
                let rollouts = [5, 6]
                    .map(|steps| collector.collect(&networks, steps, &Crew::alone()).unwrap().0);
                for (lane, limit) in [3, 4].into_iter().enumerate() {
                    let of = |all: fn(&Rollout) -> &Vec<f64>| -> Vec<f64> {
                        let all = rollouts.iter().flat_map(|r| all(r).chunks_exact(2));
                        all.map(|row| row[lane]).collect()
                    };
                    let ours = of(|r| &r.values).into_iter().zip(of(|r| &r.next_values));
                    let theirs = values(&networks, 11, limit);
                    for (t, (ours, theirs)) in ours.zip(theirs).enumerate() {
                        let error = (ours.0 - theirs.0).abs().max((ours.1 - theirs.1).abs());
                        assert!(
                            error < 1e-5,
                            "{recurrent:?}, shared {shared}, lane {lane}, step {t}: {ours:?} and {theirs:?}"
                        );
                    }
                }
            }
        }
    }

    /// Shows which of two actions it allows.
    struct Picky([bool; 2]);

    impl Env for Picky {
        type Action = usize;

        fn observation_space(&self) -> Space {
            BoxSpace::unbounded(2).into()
        }

        fn action_space(&self) -> Discrete {
            Discrete::new(2)
        }

        fn reset(&mut self, _: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
            obs.copy_from_slice(&self.0.map(|allowed| f32::from(u8::from(allowed))));
            Ok(())
        }

        fn step(&mut self, _: &usize, obs: &mut [f32]) -> Result<Step, EnvError> {
            self.reset(&Reset::default(), obs).map(|()| Step::going(0.0))
        }

        fn action_mask(&self) -> Option<&[bool]> {
            Some(&self.0)
        }
    }

    #[test]
    fn lanes_that_act_one_part_after_the_other_do_what_they_would_together() {
        let networks = actor_critic(MlpConfig { hidden: vec![8], ..MlpConfig::default() });
        let allowed = |lane: usize| [[true, false], [false, true], [true, true]][lane % 3];
        let lanes = 2 * ACTING + 5;
        let envs = (0..lanes).map(|lane| AnyEnv::new(Picky(allowed(lane)))).collect();
        let mut collector = Collector::new(envs, 0, &networks, PLAIN).unwrap();
        let mut streams = collector.streams.clone();
        let (rollout, _) = collector.collect(&networks, 2, &Crew::alone()).unwrap();
        let device = networks.policy().device();
        for t in 0..2 {
            let rows = t * lanes..(t + 1) * lanes;
            let seen = rollout.observations[2 * rows.start..2 * rows.end].to_vec();
            let valid: Vec<bool> = (0..lanes).flat_map(allowed).collect();
            assert_eq!(rollout.valid[2 * rows.start..2 * rows.end], valid);
            let said =
                networks.policy().forward(matrix(seen, 2, &device), mask(&valid, 2, &device));
            let together = said.sample(&mut streams).unwrap();
            let log_probs = said.log_prob_in_memory(&together);
            let mut drawn = collector.config.action.no_actions();
            drawn.extend_rows(&rollout.actions, &rows.clone().collect::<Vec<_>>());
            assert_eq!(drawn, together);
            let ours: Vec<f32> = rollout.log_probs[rows].iter().map(|x| *x as f32).collect();
            assert!(log_probs.is_none_or(|theirs| theirs == ours));
        }
    }

    #[test]
    fn so_do_lanes_whose_actions_are_real_numbers() {
        let bounds = || (vec![Some(-2.0)], vec![Some(2.0)]);
        let heads = [
            ActionHead::Gaussian { low: bounds().0, high: bounds().1, initial_log_std: 0.3 },
            ActionHead::Gsde {
                low: bounds().0,
                high: bounds().1,
                initial_log_std: 0.3,
                learn_features: false,
                squash: false,
            },
        ];
        for head in heads {
            let network = MlpConfig { hidden: vec![8], ..MlpConfig::default() };
            let config = PolicyConfig::new(3, head, network);
            let mut rng = EnvRng::new(3);
            let device = DeviceChoice::Auto.open().unwrap();
            let networks = ActorCritic::init(&config, &mut rng.clone(), &mut rng, &device).unwrap();
            let lanes = 2 * ACTING + 5;
            let envs = (0..lanes).map(|_| AnyEnv::new(Pendulum::default())).collect();
            let mut collector = Collector::new(envs, 0, &networks, PLAIN).unwrap();
            let mut streams = collector.streams.clone();
            let mut explorations = collector.explorations.clone();
            let (rollout, _) = collector.collect(&networks, 1, &Crew::alone()).unwrap();
            for (exploration, stream) in explorations.iter_mut().zip(&mut streams) {
                exploration.redraw(stream);
            }
            let said = networks.policy().forward(matrix(rollout.observations, 3, &device), None);
            let together = said.explore(explorations.iter().zip(&mut streams)).unwrap();
            assert_eq!(rollout.actions, together);
            let theirs = said.log_prob(together.to_tensor(&device)).into_data();
            for (ours, theirs) in rollout.log_probs.iter().zip(theirs.iter::<f64>()) {
                assert!((ours - theirs).abs() < 1e-5, "{ours} and {theirs}");
            }
        }
    }

    #[test]
    fn values_of_a_long_rollout_are_the_same_from_whatever_thread() {
        let together = Crew::new(2);
        together.all((0..2).map(|_| Box::new(|| ()) as Task<()>).collect());
        // Several parts of the value network's.
        let steps = 2500;
        for shared in [false, true] {
            let network = MlpConfig { hidden: vec![8], shared, ..MlpConfig::default() };
            let networks = actor_critic(network);
            let [one, two] = [&Crew::alone(), &together].map(|crew| {
                let mut collector = Collector::new(clocks(), 0, &networks, PLAIN).unwrap();
                collector.collect(&networks, steps, crew).unwrap().0
            });
            assert_eq!(one.values, two.values);
            assert_eq!(one.next_values, two.next_values);
            let device = networks.policy().device();
            let seen = matrix(one.observations.clone(), 2, &device);
            let values: Vec<f64> = networks.value(seen).into_data().iter::<f64>().collect();
            assert_eq!((one.values.len(), values.len()), (2 * steps, 2 * steps));
            for (t, (ours, theirs)) in one.values.iter().zip(values).enumerate() {
                assert!((ours - theirs).abs() < 1e-6, "row {t}: {ours} and {theirs}");
                let going = one.endings[t].is_none() && t + 2 < 2 * steps;
                assert!(!going || one.next_values[t] == one.values[t + 2], "row {t}");
            }
        }
    }

    #[test]
    fn every_lane_is_normalised_as_the_wrappers_do_it() {
        let networks = actor_critic(MlpConfig { hidden: vec![8], ..MlpConfig::default() });
        let options = Options { normalize_observations: true, normalize_rewards: true, ..PLAIN };
        let mut collector = Collector::new(clocks(), 0, &networks, options).unwrap();
        let (rollout, _) = collector.collect(&networks, 12, &Crew::alone()).unwrap();

        let rewards = RewardNormalizer::new(2, 0.9).unwrap();
        let env = NormalizeReward::vector(VecEnv::new(clocks()).unwrap(), rewards);
        let mut env = NormalizeObservation::vector(env, None).unwrap();
        let mut out = Buffers::new(2, 2);
        env.reset(0, &mut out.observations).unwrap();
        for t in 0..12 {
            assert_eq!(rollout.observations[4 * t..4 * t + 4], out.observations, "step {t}");
            env.step(Actions::Discrete(&[0, 0]), out.rows(2, 2)).unwrap();
            assert_eq!(rollout.rewards[2 * t..2 * t + 2], out.rewards, "step {t}");
        }
    }
}
