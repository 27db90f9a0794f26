//! Small worlds, and short runs in them.

use std::ops::ControlFlow;

use elegante_env::{
    AnyEnv, BoxSpace, CartPole, Discrete, Env, EnvError, EnvRng, IdentityContinuous, Reset, Space,
    Step, TimeLimit,
};
use elegante_policy::{Cell, MlpConfig};
use elegante_trainer::{
    A2cConfig, Algorithm, Continuous, DdpgConfig, DqnConfig, Evaluation, Event, Noise, PpoConfig,
    ReinforceConfig, RunConfig, SacConfig, Stop, Td3Config, TrainConfig, Trainer, UpdateMetrics,
};

/// What a script is told of a step. `obs` holds 1 and the time; the script may write what it likes.
pub(crate) struct At<'a> {
    /// Steps made before this one.
    pub(crate) time: usize,
    pub(crate) action: usize,
    pub(crate) obs: &'a mut [f32],
    pub(crate) rng: &'a mut EnvRng,
    /// A number that the world keeps until its next reset, which sets it to 0.
    pub(crate) memory: &'a mut f64,
}

/// A world of two numbers to see and a few actions, whose steps are a function. It can't be saved.
pub(crate) struct World<F> {
    actions: usize,
    script: F,
    time: usize,
    rng: EnvRng,
    memory: f64,
}

/// A world with this many actions.
pub(crate) fn world<F>(actions: usize, script: F) -> World<F>
where
    F: FnMut(At<'_>) -> Result<Step, EnvError> + Send,
{
    World { actions, script, time: 0, rng: EnvRng::new(0), memory: 0.0 }
}

impl<F: FnMut(At<'_>) -> Result<Step, EnvError> + Send> Env for World<F> {
    type Action = usize;

    fn observation_space(&self) -> Space {
        BoxSpace::unbounded(2).into()
    }

    fn action_space(&self) -> Discrete {
        Discrete::new(self.actions)
    }

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        if let Some(seed) = reset.seed {
            self.rng = EnvRng::new(seed);
        }
        (self.time, self.memory) = (0, 0.0);
        obs.copy_from_slice(&[1.0, 0.0]);
        Ok(())
    }

    fn step(&mut self, &action: &usize, obs: &mut [f32]) -> Result<Step, EnvError> {
        let Self { time, rng, memory, .. } = self;
        obs.copy_from_slice(&[1.0, (*time + 1) as f32]);
        let at = At { time: *time, action, obs, rng, memory };
        *time += 1;
        (self.script)(at)
    }
}

/// Ten numbers to hit in turn, each shown before the shot: continuous actions in [−1, 1].
pub(crate) struct Range {
    rng: EnvRng,
    target: f64,
    shots: usize,
}

impl Range {
    pub(crate) fn new() -> Self {
        Self { rng: EnvRng::new(0), target: 0.0, shots: 0 }
    }

    fn show(&mut self, obs: &mut [f32]) {
        self.target = self.rng.uniform(-0.8, 0.8);
        obs.copy_from_slice(&[self.target as f32, 1.0]);
    }
}

impl Env for Range {
    type Action = [f32];

    fn observation_space(&self) -> Space {
        BoxSpace::unbounded(2).into()
    }

    fn action_space(&self) -> BoxSpace {
        BoxSpace::new(vec![-1.0], vec![1.0]).unwrap()
    }

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        if let Some(seed) = reset.seed {
            self.rng = EnvRng::new(seed);
        }
        self.shots = 0;
        self.show(obs);
        Ok(())
    }

    fn step(&mut self, action: &[f32], obs: &mut [f32]) -> Result<Step, EnvError> {
        assert!(self.action_space().contains(action), "{action:?} was not clipped");
        let miss = f64::from(action[0]) - self.target;
        self.show(obs);
        self.shots += 1;
        let ended = self.shots == 10;
        Ok(if ended { Step::terminated(-miss * miss) } else { Step::going(-miss * miss) })
    }
}

/// CartPole with at most 200 steps.
pub(crate) fn cartpole() -> TimeLimit<CartPole> {
    TimeLimit::new(CartPole::default(), 200).unwrap()
}

/// A short run with a small network on one thread; `change` makes it what a test needs.
pub(crate) fn config(change: impl FnOnce(&mut RunConfig, &mut ReinforceConfig)) -> TrainConfig {
    let mut config = TrainConfig::default();
    config.network.hidden = vec![8];
    let mut run =
        RunConfig { steps: 1_500, threads: 1, lanes: 2, eval_episodes: 4, ..config.run.clone() };
    let mut reinforce = ReinforceConfig { batch_steps: 300, ..ReinforceConfig::default() };
    change(&mut run, &mut reinforce);
    (config.run, config.algorithm) = (run, Algorithm::Reinforce(reinforce));
    config
}

/// A short run of PPO: four rollouts of 128 steps, whose ratios leave the clip range.
pub(crate) fn ppo(change: impl FnOnce(&mut PpoConfig)) -> TrainConfig {
    let mut config = config(|run, _| run.steps = 512);
    let mut ppo = PpoConfig {
        n_steps: 64,
        batch_size: 32,
        epochs: 2,
        learning_rate: 1e-2,
        ..PpoConfig::default()
    };
    change(&mut ppo);
    config.algorithm = Algorithm::Ppo(ppo);
    config
}

/// A short run of A2C: sixteen rollouts of 32 steps.
pub(crate) fn a2c(change: impl FnOnce(&mut A2cConfig)) -> TrainConfig {
    let mut config = config(|run, _| run.steps = 512);
    let mut a2c = A2cConfig { n_steps: 16, learning_rate: 1e-2, ..A2cConfig::default() };
    change(&mut a2c);
    config.algorithm = Algorithm::A2c(a2c);
    config
}

/// A short run of DQN: half of it fills the buffer anew.
pub(crate) fn dqn(change: impl FnOnce(&mut DqnConfig)) -> TrainConfig {
    let mut config = config(|run, _| run.steps = 512);
    let mut dqn = DqnConfig {
        buffer_size: 256,
        learning_starts: 64,
        gradient_steps: 6,
        batch_size: 16,
        learning_rate: 1e-2,
        target_update_interval: 50,
        exploration_fraction: 0.5,
        ..DqnConfig::default()
    };
    change(&mut dqn);
    config.algorithm = Algorithm::Dqn(dqn);
    config
}

/// A short run of SAC: half of it fills the buffer anew.
pub(crate) fn sac(change: impl FnOnce(&mut SacConfig)) -> TrainConfig {
    let mut config = config(|run, _| run.steps = 384);
    let mut sac = SacConfig {
        buffer_size: 192,
        learning_starts: 64,
        batch_size: 16,
        learning_rate: 1e-2,
        ..SacConfig::default()
    };
    change(&mut sac);
    config.algorithm = Algorithm::Sac(sac);
    config
}

/// The same of TD3.
pub(crate) fn td3(change: impl FnOnce(&mut Td3Config)) -> TrainConfig {
    let mut config = config(|run, _| run.steps = 384);
    let mut td3 = Td3Config {
        buffer_size: 192,
        learning_starts: 64,
        batch_size: 16,
        learning_rate: 1e-2,
        ..Td3Config::default()
    };
    change(&mut td3);
    config.algorithm = Algorithm::Td3(td3);
    config
}

/// The same of DDPG.
pub(crate) fn ddpg(change: impl FnOnce(&mut DdpgConfig)) -> TrainConfig {
    let mut config = config(|run, _| run.steps = 384);
    let mut ddpg = DdpgConfig {
        buffer_size: 192,
        learning_starts: 64,
        batch_size: 16,
        learning_rate: 1e-2,
        ..DdpgConfig::default()
    };
    change(&mut ddpg);
    config.algorithm = Algorithm::Ddpg(ddpg);
    config
}

/// All that a run tells, without what the clock says, and the weights that it ends with.
#[derive(Debug, PartialEq)]
pub(crate) struct Told {
    pub(crate) updates: Vec<UpdateMetrics>,
    pub(crate) evaluations: Vec<Evaluation>,
    pub(crate) stop: Stop,
    pub(crate) policy: Vec<u8>,
}

/// Runs to the end.
pub(crate) fn finish(trainer: &mut Trainer) -> Told {
    let (mut updates, mut evaluations) = (Vec::new(), Vec::new());
    let stop = trainer.run(|event| {
        match event {
            Event::Update(update) => updates.push(timeless(update.clone())),
            Event::Evaluation(evaluation) => evaluations.push(evaluation.clone()),
            _ => {}
        }
        ControlFlow::Continue(())
    });
    let policy = trainer.policy().to_safetensors().unwrap();
    Told { updates, evaluations, stop: stop.unwrap(), policy }
}

/// A whole run.
pub(crate) fn train<E: Env + 'static>(
    config: &TrainConfig,
    env_fn: impl Fn() -> E + Send + Sync + 'static,
) -> Told {
    finish(&mut Trainer::new(config.clone(), env_fn).unwrap())
}

pub(crate) fn timeless(update: UpdateMetrics) -> UpdateMetrics {
    UpdateMetrics { seconds: 0.0, steps_per_second: 0.0, ..update }
}

/// Six steps, each of which allows two of four actions and pays for one of them.
#[derive(Clone)]
pub(crate) struct Gates {
    time: u8,
    valid: [bool; 4],
}

impl Gates {
    pub(crate) fn new() -> Self {
        Self { time: 0, valid: [true; 4] }
    }

    fn show(&mut self, obs: &mut [f32]) {
        let first = usize::from(self.time) % 4;
        self.valid = std::array::from_fn(|action| action == first || action == (first + 1) % 4);
        obs.fill(0.0);
        obs[first] = 1.0;
    }
}

impl Env for Gates {
    type Action = usize;

    fn observation_space(&self) -> Space {
        BoxSpace::unbounded(4).into()
    }

    fn action_space(&self) -> Discrete {
        Discrete::new(4)
    }

    fn reset(&mut self, _: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        self.time = 0;
        self.show(obs);
        Ok(())
    }

    fn step(&mut self, &action: &usize, obs: &mut [f32]) -> Result<Step, EnvError> {
        if !self.valid[action] {
            return Err(EnvError::custom(format!("action {action} was not allowed")));
        }
        let right = (usize::from(self.time) + 1) % 4;
        let reward = if action == right { 1.0 } else { 0.0 };
        self.time += 1;
        self.show(obs);
        Ok(if self.time == 6 { Step::terminated(reward) } else { Step::going(reward) })
    }

    fn action_mask(&self) -> Option<&[bool]> {
        Some(&self.valid)
    }

    fn save_state(&self) -> Option<Vec<u8>> {
        Some(vec![self.time])
    }

    fn load_state(&mut self, bytes: &[u8]) -> Result<(), EnvError> {
        self.time = bytes[0];
        self.show(&mut [0.0; 4]);
        Ok(())
    }
}

type Form = fn(&mut DqnConfig);

/// DQN in every one of its forms.
pub(crate) fn replaying() -> Vec<Variant> {
    let poles: Make = || Ok(AnyEnv::new(TimeLimit::new(CartPole::default(), 25)?));
    let gates: Make = || Ok(AnyEnv::new(Gates::new()));
    let cut_gates: Make = || Ok(AnyEnv::new(TimeLimit::new(Gates::new(), 5)?));
    let kinds: [(&str, Form, Make); 6] = [
        ("plain", |_| {}, poles),
        (
            "double, dueling, over three steps, prioritised",
            |dqn| {
                (dqn.double, dqn.dueling, dqn.n_steps) = (true, true, 3);
                dqn.prioritized = true;
            },
            poles,
        ),
        ("quantiles, averaged target", |dqn| (dqn.quantiles, dqn.tau) = (5, 0.1), poles),
        (
            "noisy, double, dueling",
            |dqn| {
                (dqn.noisy, dqn.double, dqn.dueling) = (true, true, true);
                // Learning starts in the middle of a round.
                (dqn.learning_starts, dqn.train_freq) = (70, 8);
            },
            poles,
        ),
        ("masks, noisy, quantiles", |dqn| (dqn.noisy, dqn.quantiles) = (true, 3), cut_gates),
        (
            "masks, double, dueling, quantiles, prioritised",
            |dqn| {
                (dqn.double, dqn.dueling, dqn.quantiles) = (true, true, 3);
                (dqn.prioritized, dqn.gradient_steps) = (true, 0);
            },
            gates,
        ),
    ];
    let variant = |(name, change, make): (&str, Form, Make)| Variant {
        name: format!("DQN, {name}"),
        config: dqn(change),
        make,
    };
    kinds.into_iter().map(variant).collect()
}

/// Actors with critics of their own, in every one of their forms.
pub(crate) fn judged() -> Vec<Variant> {
    let numbers: Make = || Ok(AnyEnv::new(TimeLimit::new(IdentityContinuous::new(2), 10)?));
    let poles: Make = || Ok(AnyEnv::new(TimeLimit::new(CartPole::default(), 25)?));
    let cut_gates: Make = || Ok(AnyEnv::new(TimeLimit::new(Gates::new(), 5)?));
    let kinds: [(&str, TrainConfig, Make); 8] = [
        ("SAC", sac(|_| {}), numbers),
        (
            "SAC, α fixed, over three steps, slow targets",
            sac(|sac| {
                (sac.entropy_coef, sac.n_steps) = (Some(0.1), 3);
                (sac.target_update_interval, sac.gradient_steps) = (3, 0);
            }),
            numbers,
        ),
        (
            "SAC, gSDE",
            sac(|sac| (sac.sde, sac.sde_sample_steps, sac.train_freq) = (true, 2, 5)),
            numbers,
        ),
        ("SAC, a choice", sac(|_| {}), poles),
        ("SAC, masks", sac(|_| {}), cut_gates),
        ("TD3", td3(|_| {}), numbers),
        (
            "TD3, Ornstein–Uhlenbeck",
            td3(|td3| (td3.noise, td3.policy_delay) = (Noise::OrnsteinUhlenbeck, 3)),
            numbers,
        ),
        ("DDPG", ddpg(|_| {}), numbers),
    ];
    let variant = |(name, config, make): (&str, _, _)| Variant { name: name.into(), config, make };
    kinds.into_iter().map(variant).collect()
}

type Make = fn() -> Result<AnyEnv, EnvError>;
type Change = fn(&mut MlpConfig);

/// A kind of run, in environments whose state can be saved.
pub(crate) struct Variant {
    pub(crate) name: String,
    pub(crate) config: TrainConfig,
    pub(crate) make: Make,
}

impl Variant {
    pub(crate) fn trainer(&self) -> Trainer {
        Trainer::from_factory(self.config.clone(), self.make).unwrap()
    }

    pub(crate) fn ppo(&mut self) -> Option<&mut PpoConfig> {
        match &mut self.config.algorithm {
            Algorithm::Ppo(ppo) => Some(ppo),
            _ => None,
        }
    }
}

/// What the two actor-critics can be combined with, each of it in a run of A2C and in one of PPO.
pub(crate) fn variants() -> Vec<Variant> {
    // Short enough that some episodes are truncated and others terminate, many in one rollout.
    let poles = || Ok(AnyEnv::new(TimeLimit::new(CartPole::default(), 25)?));
    let numbers = || Ok(AnyEnv::new(TimeLimit::new(IdentityContinuous::new(2), 10)?));
    let gates = || Ok(AnyEnv::new(Gates::new()));
    let kinds: [(&str, Change, bool, Make); 9] = [
        ("plain", |_| {}, false, poles),
        ("normalised", |_| {}, true, poles),
        ("shared", |network| network.shared = true, false, poles),
        ("GRU", |network| network.recurrent = Cell::Gru, false, poles),
        ("LSTM, normalised", |network| network.recurrent = Cell::Lstm, true, poles),
        ("masks", |_| {}, false, gates),
        ("masks, GRU", |network| network.recurrent = Cell::Gru, false, gates),
        ("gSDE", |_| {}, false, numbers),
        (
            "gSDE, LSTM, shared, normalised",
            |network| (network.recurrent, network.shared) = (Cell::Lstm, true),
            true,
            numbers,
        ),
    ];
    let both = |(name, change, normalised, make): (_, Change, bool, Make)| {
        let a2c = a2c(|a2c| {
            (a2c.normalize_observations, a2c.normalize_rewards) = (normalised, normalised);
            (a2c.distribution, a2c.sde_sample_steps) = (Continuous::Gsde, 4);
        });
        let ppo = ppo(|ppo| {
            ppo.batch_size = 64;
            (ppo.normalize_observations, ppo.normalize_rewards) = (normalised, normalised);
            (ppo.distribution, ppo.sde_sample_steps) = (Continuous::Gsde, 4);
        });
        [("A2C", a2c), ("PPO", ppo)].map(|(algorithm, mut config)| {
            change(&mut config.network);
            config.network.recurrent_size = 6;
            Variant { name: format!("{algorithm}, {name}"), config, make }
        })
    };
    kinds.into_iter().flat_map(both).collect()
}
