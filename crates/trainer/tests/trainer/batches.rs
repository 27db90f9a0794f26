//! Batches of whole trajectories: none dropped, none cut, none begun too many.

use elegante_env::{
    Actions, BoxSpace, Discrete, Ending, Env, EnvError, EnvRng, Reset, Space, Step, StepOut,
    TimeLimit, VecEnv, VectorEnv,
};
use elegante_policy::{ActionBatch, MlpConfig};
use elegante_trainer::{Continuous, Estimator, Trainer};

use crate::worlds::{At, World, cartpole, config, finish, train, world};

/// Heads: an episode of 20 steps and a return of 1. Tails: one step, and nothing. E[r(τ)] = ½, and no
/// action changes it.
fn coin() -> World<impl FnMut(At<'_>) -> Result<Step, EnvError> + Send> {
    world(2, |at| {
        if at.time == 0 {
            *at.memory = at.rng.random_f64();
        }
        let heads = *at.memory < 0.5;
        let over = if heads { at.time + 1 == 20 } else { true };
        let reward = f64::from(over && heads);
        Ok(if over { Step::terminated(reward) } else { Step::going(reward) })
    })
}

const LANES: usize = 4;
const BATCHES: u64 = 300;
/// Steps of each lane in a batch.
const WINDOW: usize = 30;

/// The mean return when each lane steps for `WINDOW` steps and what is unfinished then is dropped.
fn mean_return_of_the_finished() -> f64 {
    let (mut sum, mut count) = (0.0, 0);
    for batch in 0..BATCHES {
        let mut env = VecEnv::new((0..LANES).map(|_| coin()).collect()).unwrap();
        let (mut obs, mut last) = ([0.0; 2 * LANES], [0.0; 2 * LANES]);
        let (mut rewards, mut endings) = ([0.0; LANES], [None; LANES]);
        env.reset(1_000 * batch, &mut obs).unwrap();
        for _ in 0..WINDOW {
            let out = StepOut {
                obs: &mut obs,
                final_obs: &mut last,
                rewards: &mut rewards,
                endings: &mut endings,
            };
            env.step(Actions::Discrete(&[0; LANES]), out).unwrap();
            // A coin pays with the last step only.
            sum += rewards.iter().sum::<f64>();
            count += endings.iter().flatten().count();
        }
    }
    sum / f64::from(u32::try_from(count).unwrap())
}

#[test]
fn dropping_the_unfinished_favours_short_episodes_and_we_do_not() {
    let run = |batches: u64| {
        let config = config(|run, reinforce| {
            (run.lanes, run.steps) = (LANES, u64::MAX >> 1);
            reinforce.batch_steps = LANES * WINDOW;
            reinforce.estimator = Estimator::RewardToGo;
        });
        let mut trainer = Trainer::new(config, coin).unwrap();
        let (mut sum, mut count) = (0.0, 0.0);
        for _ in 0..batches {
            trainer.step().unwrap();
            sum += trainer.episodes().iter().map(|episode| episode.episode_return).sum::<f64>();
            count += trainer.episodes().len() as f64;
        }
        (sum / count, 0.5 / f64::sqrt(count))
    };
    // Whether another trajectory is started depends on those before it only, so by Wald's identity
    // E[Σ r(τ)] = E[N]·E[r(τ)]: the mean over all batches is E[r(τ)].
    let (ours, error) = run(BATCHES);
    let theirs = mean_return_of_the_finished();
    println!("E[r(τ)] = 0.5; whole trajectories {ours:.3} ± {error:.3}; finished ones {theirs:.3}");
    assert!((ours - 0.5).abs() < 3.0 * error, "{ours} is not 0.5 ± {error}");
    assert!(theirs < 0.5 - 10.0 * error, "the bias of dropping has vanished: {theirs}");
}

#[test]
fn each_lane_starts_trajectories_until_its_share_is_met() {
    for (lanes, budget) in [(1, 100), (3, 100), (5, 64), (7, 3)] {
        let config = config(|run, reinforce| {
            run.lanes = lanes;
            reinforce.batch_steps = budget;
        });
        let mut trainer = Trainer::new(config, cartpole).unwrap();
        for _ in 0..3 {
            let before = trainer.progress();
            let update = trainer.step().unwrap();
            let share = budget.div_ceil(lanes);
            for lane in 0..lanes {
                let episodes = trainer.episodes().iter().filter(|episode| episode.lane == lane);
                let lengths: Vec<usize> = episodes.map(|episode| episode.length).collect();
                let (last, earlier) = lengths.split_last().expect("a lane without a trajectory");
                let earlier: usize = earlier.iter().sum();
                assert!(earlier < share && share <= earlier + last, "{share}: {lengths:?}");
            }

            // What is told of the batch is told of these very episodes.
            let episodes = trainer.episodes();
            let steps: usize = episodes.iter().map(|episode| episode.length).sum();
            let gained: f64 = episodes.iter().map(|episode| episode.episode_return).sum();
            assert_eq!((update.batch_steps, update.batch_episodes), (steps, episodes.len()));
            assert!((update.batch_return - gained / episodes.len() as f64).abs() < 1e-9);
            assert_eq!(update.steps, before.steps + steps as u64);
            assert_eq!(update.episodes, before.episodes + episodes.len() as u64);
            let numbers: Vec<u64> = episodes.iter().map(|episode| episode.index).collect();
            assert_eq!(numbers, (before.episodes + 1..=update.episodes).collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_time_limit_ends_a_trajectory_and_nothing_is_added_for_what_might_have_come() {
    for estimator in [Estimator::TotalReturn, Estimator::RewardToGo, Estimator::Baseline] {
        let config = config(|_, reinforce| reinforce.estimator = estimator);
        let pays = |at: &At<'_>| 1.0 + 0.1 * at.action as f64;
        let terminated = move || {
            world(2, move |at| {
                let reward = pays(&at);
                Ok(if at.time == 4 { Step::terminated(reward) } else { Step::going(reward) })
            })
        };
        let endless = move || world(2, move |at| Ok(Step::going(pays(&at))));
        let truncated = move || TimeLimit::new(endless(), 5).unwrap();

        let mut trainer = Trainer::new(config.clone(), truncated).unwrap();
        trainer.step().unwrap();
        let cut = |e: &elegante_trainer::Episode| (e.length, e.ending) == (5, Ending::Truncated);
        assert!(trainer.episodes().iter().all(cut), "{:?}", trainer.episodes());
        // The horizon is part of the equation: both kinds of ending teach the same to the last bit.
        assert_eq!(train(&config, truncated), train(&config, terminated), "{estimator:?}");
    }
}

/// Which of three actions are allowed depends on the lane, the time and chance; sometimes all are,
/// and then no mask is shown. The wrong action is an error.
struct Fenced {
    rng: EnvRng,
    time: usize,
    mask: Option<[bool; 3]>,
}

impl Fenced {
    fn new() -> Self {
        Self { rng: EnvRng::new(0), time: 0, mask: None }
    }

    fn fence(&mut self) {
        let mut below = |n: f64| (self.rng.random_f64() * n) as usize;
        let (closed, also) = (below(4.0), below(3.0));
        self.mask = (closed < 3).then(|| {
            let mut mask = [true; 3];
            mask[closed] = false;
            // One in three times a single action is left.
            mask[(closed + 1) % 3] = also > 0;
            mask
        });
    }
}

impl Env for Fenced {
    type Action = usize;

    fn observation_space(&self) -> Space {
        BoxSpace::unbounded(1).into()
    }

    fn action_space(&self) -> Discrete {
        Discrete::new(3)
    }

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        if let Some(seed) = reset.seed {
            self.rng = EnvRng::new(seed);
        }
        self.time = 0;
        self.fence();
        obs.fill(0.0);
        Ok(())
    }

    fn step(&mut self, &action: &usize, obs: &mut [f32]) -> Result<Step, EnvError> {
        if !self.mask.is_none_or(|mask| mask[action]) {
            return Err(EnvError::custom(format!("{action} was taken with {:?}", self.mask)));
        }
        self.time += 1;
        self.fence();
        obs.fill(self.time as f32);
        let ends = self.rng.random_f64() < 0.2;
        Ok(if ends { Step::terminated(action as f64) } else { Step::going(action as f64) })
    }

    fn action_mask(&self) -> Option<&[bool]> {
        self.mask.as_ref().map(<[bool; 3]>::as_slice)
    }
}

#[test]
fn a_forbidden_action_is_never_taken() {
    let config = config(|run, _| (run.lanes, run.eval_episodes) = (6, 150));
    let mut trainer = Trainer::new(config, Fenced::new).unwrap();
    let told = finish(&mut trainer);
    assert!(told.updates.len() >= 3);
    // The evaluation has more episodes than it plays side by side, and they end at different times.
    trainer.evaluate().unwrap();
}

#[test]
fn where_nothing_is_to_choose_there_is_nothing_to_learn() {
    /// Only action 1 is ever allowed.
    struct Forced<E>(E);
    impl<E: Env<Action = usize>> Env for Forced<E> {
        type Action = usize;
        fn observation_space(&self) -> Space {
            self.0.observation_space()
        }
        fn action_space(&self) -> Discrete {
            self.0.action_space()
        }
        fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
            self.0.reset(reset, obs)
        }
        fn step(&mut self, action: &usize, obs: &mut [f32]) -> Result<Step, EnvError> {
            self.0.step(action, obs)
        }
        fn action_mask(&self) -> Option<&[bool]> {
            Some(&[false, true])
        }
    }
    let config = config(|_, reinforce| reinforce.estimator = Estimator::RewardToGo);
    let mut trainer = Trainer::new(config, || Forced(cartpole())).unwrap();
    let update = trainer.step().unwrap();
    // log π = 0 whatever θ is: the learner has seen the same mask as the actor.
    assert_eq!((update.entropy, update.grad_norm), (0.0, 0.0), "{update:?}");
}

#[test]
fn a_policy_fits_the_spaces_it_was_made_for() {
    let space = BoxSpace::new(vec![-1.0, f32::NEG_INFINITY], vec![f32::INFINITY, 2.0]).unwrap();
    let observation = BoxSpace::unbounded(3).into();
    let network = MlpConfig::default();
    let (action, kind) = (space.into(), Continuous::Gaussian);
    let config =
        elegante_trainer::policy_config(&observation, &action, &network, kind, -0.5).unwrap();
    assert_eq!((config.observation, config.action.outputs()), (3, 2));
    let device = elegante_policy::DeviceChoice::Auto.open().unwrap();
    let policy = config.init(&mut EnvRng::new(0), &device).unwrap();
    // A bound that is not there does not clip.
    let wild = ActionBatch::Continuous { values: vec![-9.0, -9.0, 9.0, 9.0], dims: 2 };
    let tame = ActionBatch::Continuous { values: vec![-1.0, -9.0, 9.0, 2.0], dims: 2 };
    assert_eq!(policy.to_env(wild), tame);
}
