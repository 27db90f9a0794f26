//! No dead knobs: every setting, turned, changes something.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    thread::ThreadId,
};

use elegante_env::{BoxSpace, Discrete, Env, EnvError, Reset, Space, Step};
use elegante_policy::{Activation, Cell, Init, MlpConfig, Settings};
use elegante_trainer::{
    A2cConfig, Algorithm, Continuous, DdpgConfig, DqnConfig, Estimator, Noise, PpoConfig,
    ReinforceConfig, RunConfig, SacConfig, Schedule, Stop, Td3Config, TrainConfig, Trainer,
    ValueLoss,
};

use crate::worlds::{
    At, Range, Told, a2c, cartpole, config, ddpg, dqn, ppo, sac, td3, train, world,
};

/// What must be different after a setting was turned.
type Shows = fn(&Told, &Told) -> bool;

/// The weights that training ends with.
const WEIGHTS: Shows = |base, turned| base.policy != turned.policy;

struct Row {
    setting: &'static str,
    turn: fn(&mut TrainConfig),
    shows: Shows,
}

fn row(setting: &'static str, turn: fn(&mut TrainConfig), shows: Shows) -> Row {
    Row { setting, turn, shows }
}

fn reinforce(config: &mut TrainConfig) -> &mut ReinforceConfig {
    match &mut config.algorithm {
        Algorithm::Reinforce(reinforce) => reinforce,
        other => panic!("{other:?} is not REINFORCE"),
    }
}

fn of_ppo(config: &mut TrainConfig) -> &mut PpoConfig {
    match &mut config.algorithm {
        Algorithm::Ppo(ppo) => ppo,
        other => panic!("{other:?} is not PPO"),
    }
}

fn of_a2c(config: &mut TrainConfig) -> &mut A2cConfig {
    match &mut config.algorithm {
        Algorithm::A2c(a2c) => a2c,
        other => panic!("{other:?} is not A2C"),
    }
}

/// There is a row for each setting of `S`, in its order; a new one without a row fails here.
fn complete<S: Settings>(rows: &[Row]) {
    let tested: Vec<_> = rows.iter().map(|row| row.setting).collect();
    let known: Vec<_> = S::SETTINGS.iter().map(|setting| setting.name).collect();
    assert_eq!(tested, known, "every setting needs a row that turns it");
}

fn each_shows<E: Env + 'static>(rows: &[Row], env: fn() -> E) {
    // Evaluations happen, so that their settings have something to do.
    each_shows_in(&config(|run, _| run.eval_every = 600), rows, env);
}

fn each_shows_in<E: Env + 'static>(base: &TrainConfig, rows: &[Row], env: fn() -> E) {
    let told = train(base, env);
    for Row { setting, turn, shows } in rows {
        let mut turned = base.clone();
        turn(&mut turned);
        assert_ne!(&turned, base, "the row of `{setting}` turns nothing");
        assert!(shows(&told, &train(&turned, env)), "`{setting}` does nothing");
    }
}

#[test]
fn every_setting_of_a_run() {
    let rows = [
        row("seed", |c| c.run.seed = 1, WEIGHTS),
        row("steps", |c| c.run.steps = 2_500, |a, b| b.updates.len() > a.updates.len()),
        row("lanes", |c| c.run.lanes = 3, WEIGHTS),
        row("threads", |c| c.run.threads = 2, |a, b| a == b && two_are_two()),
        row(
            "eval_every",
            |c| c.run.eval_every = 300,
            |a, b| b.evaluations.len() > a.evaluations.len(),
        ),
        row(
            "eval_episodes",
            |c| c.run.eval_episodes = 7,
            |_, b| b.evaluations.iter().all(|e| e.episodes == 7),
        ),
        row(
            "stop_at",
            |c| c.run.stop_at = Some(1.0),
            |a, b| (a.stop, b.stop) == (Stop::Budget, Stop::Solved),
        ),
    ];
    complete::<RunConfig>(&rows);
    each_shows(&rows, cartpole);
}

/// Whether two threads really are two.
fn two_are_two() -> bool {
    threads_seen(1) == 1 && threads_seen(2) == 2
}

/// On how many threads the environments of eight lanes are stepped.
fn threads_seen(threads: usize) -> usize {
    let seen: Arc<Mutex<HashSet<ThreadId>>> = Arc::default();
    let log = Arc::clone(&seen);
    let env = move || {
        let log = Arc::clone(&log);
        let script = move |_: At<'_>| {
            log.lock().unwrap().insert(std::thread::current().id());
            Ok(Step::terminated(0.0))
        };
        world(2, script)
    };
    let config = config(|run, _| (run.lanes, run.threads, run.steps) = (8, threads, 1));
    train(&config, env);
    seen.lock().unwrap().len()
}

#[test]
fn every_setting_of_the_networks() {
    let rows = [
        row("hidden", |c| c.network.hidden = vec![8, 8], WEIGHTS),
        row("activation", |c| c.network.activation = Activation::Relu, learnt_differently),
        row("init", |c| c.network.init = Init::BurnDefault, WEIGHTS),
        row("recurrent", |c| c.network.recurrent = Cell::Lstm, learnt_differently),
        row("recurrent_size", |c| c.network.recurrent_size = 5, learnt_differently),
        row("shared", |c| c.network.shared = true, learnt_differently),
    ];
    complete::<MlpConfig>(&rows);
    // REINFORCE has no use for a memory, nor for a shared trunk.
    each_shows(&rows[..3], cartpole);
    let mut base = ppo(|ppo| ppo.batch_size = 64);
    base.network.recurrent = Cell::Gru;
    each_shows_in(&base, &rows, cartpole);
    base.network.recurrent = Cell::None;
    let remembering = [row("recurrent", |c| c.network.recurrent = Cell::Gru, learnt_differently)];
    each_shows_in(&base, &remembering, cartpole);
}

/// The file also names the activation: the numbers of the updates have to differ too.
fn learnt_differently(a: &Told, b: &Told) -> bool {
    let losses = |told: &Told| {
        let all = told.updates.iter().map(|update| update.loss);
        all.filter(|loss| loss.is_finite()).collect::<Vec<_>>()
    };
    a.policy != b.policy && losses(a) != losses(b)
}

#[test]
fn every_setting_of_reinforce() {
    let rows = [
        row("estimator", |c| reinforce(c).estimator = Estimator::RewardToGo, WEIGHTS),
        row("batch_steps", |c| reinforce(c).batch_steps = 400, WEIGHTS),
        row("gamma", |c| reinforce(c).gamma = 0.9, WEIGHTS),
        row("normalize", |c| reinforce(c).normalize = false, WEIGHTS),
        row("learning_rate", |c| reinforce(c).learning_rate = 2e-2, WEIGHTS),
        row("schedule", |c| reinforce(c).schedule = Schedule::Constant, WEIGHTS),
        row("max_grad_norm", |c| reinforce(c).max_grad_norm = 0.1, WEIGHTS),
        row("entropy_coef", |c| reinforce(c).entropy_coef = 0.1, WEIGHTS),
        row("adam_epsilon", |c| reinforce(c).adam_epsilon = 1e-2, WEIGHTS),
        row("value_learning_rate", |c| reinforce(c).value_learning_rate = 2e-2, WEIGHTS),
        row("value_epochs", |c| reinforce(c).value_epochs = 6, WEIGHTS),
        row("initial_log_std", |c| reinforce(c).initial_log_std = -0.5, learnt_differently),
    ];
    complete::<ReinforceConfig>(&rows);
    each_shows(&rows, Range::new);
    // With discrete actions too, but for the spread that they do not have.
    let (log_std, discrete) = rows.split_last().unwrap();
    assert_eq!(log_std.setting, "initial_log_std");
    each_shows(discrete, cartpole);
}

#[test]
fn each_estimator_is_one_of_its_own() {
    let policies: HashSet<Vec<u8>> =
        [Estimator::TotalReturn, Estimator::RewardToGo, Estimator::Baseline]
            .into_iter()
            .map(|estimator| {
                train(&config(|_, reinforce| reinforce.estimator = estimator), cartpole).policy
            })
            .collect();
    assert_eq!(policies.len(), 3);
}

#[test]
fn every_setting_of_ppo() {
    let rows = [
        row("n_steps", |c| of_ppo(c).n_steps = 128, WEIGHTS),
        row("batch_size", |c| of_ppo(c).batch_size = 64, WEIGHTS),
        row("epochs", |c| of_ppo(c).epochs = 3, WEIGHTS),
        row("gamma", |c| of_ppo(c).gamma = 0.9, WEIGHTS),
        row("gae_lambda", |c| of_ppo(c).gae_lambda = 0.5, WEIGHTS),
        row("learning_rate", |c| of_ppo(c).learning_rate = 2e-2, WEIGHTS),
        row("schedule", |c| of_ppo(c).schedule = Schedule::Linear, WEIGHTS),
        row("clip_range", |c| of_ppo(c).clip_range = 0.01, WEIGHTS),
        row("clip_schedule", |c| of_ppo(c).clip_schedule = Schedule::Linear, WEIGHTS),
        row("clip_value", |c| of_ppo(c).clip_value = Some(0.01), WEIGHTS),
        row("normalize_advantages", |c| of_ppo(c).normalize_advantages = false, WEIGHTS),
        row("entropy_coef", |c| of_ppo(c).entropy_coef = 0.1, WEIGHTS),
        row("value_coef", |c| of_ppo(c).value_coef = 1.0, WEIGHTS),
        row("max_grad_norm", |c| of_ppo(c).max_grad_norm = 0.1, WEIGHTS),
        row("target_kl", |c| of_ppo(c).target_kl = Some(1e-4), WEIGHTS),
        row("adam_epsilon", |c| of_ppo(c).adam_epsilon = 1e-2, WEIGHTS),
        row(
            "normalize_observations",
            |c| of_ppo(c).normalize_observations = true,
            learnt_differently,
        ),
        row("normalize_rewards", |c| of_ppo(c).normalize_rewards = true, WEIGHTS),
        row("distribution", |c| of_ppo(c).distribution = Continuous::Beta, learnt_differently),
        row("initial_log_std", |c| of_ppo(c).initial_log_std = -0.5, learnt_differently),
        row("sde_sample_steps", |c| of_ppo(c).sde_sample_steps = 4, WEIGHTS),
    ];
    complete::<PpoConfig>(&rows);
    // State-dependent exploration makes use of all of them, a plain Gaussian of all but the last,
    // and discrete actions have no spread.
    let base = ppo(|ppo| ppo.distribution = Continuous::Gsde);
    each_shows_in(&base, &rows, Range::new);
    each_shows_in(&ppo(|_| {}), &rows[..20], Range::new);
    each_shows_in(&ppo(|_| {}), &rows[..18], cartpole);
}

#[test]
fn every_setting_of_a2c() {
    let rows = [
        row("n_steps", |c| of_a2c(c).n_steps = 32, WEIGHTS),
        row("gamma", |c| of_a2c(c).gamma = 0.9, WEIGHTS),
        row("gae_lambda", |c| of_a2c(c).gae_lambda = 0.5, WEIGHTS),
        row("learning_rate", |c| of_a2c(c).learning_rate = 2e-2, WEIGHTS),
        row("schedule", |c| of_a2c(c).schedule = Schedule::Linear, WEIGHTS),
        row("rms_decay", |c| of_a2c(c).rms_decay = 0.9, WEIGHTS),
        row("rms_epsilon", |c| of_a2c(c).rms_epsilon = 1e-2, WEIGHTS),
        row("normalize_advantages", |c| of_a2c(c).normalize_advantages = true, WEIGHTS),
        row("entropy_coef", |c| of_a2c(c).entropy_coef = 0.1, WEIGHTS),
        row("value_coef", |c| of_a2c(c).value_coef = 1.0, WEIGHTS),
        row("max_grad_norm", |c| of_a2c(c).max_grad_norm = 0.1, WEIGHTS),
        row(
            "normalize_observations",
            |c| of_a2c(c).normalize_observations = true,
            learnt_differently,
        ),
        row("normalize_rewards", |c| of_a2c(c).normalize_rewards = true, WEIGHTS),
        row("distribution", |c| of_a2c(c).distribution = Continuous::Beta, learnt_differently),
        row("initial_log_std", |c| of_a2c(c).initial_log_std = -0.5, learnt_differently),
        row("sde_sample_steps", |c| of_a2c(c).sde_sample_steps = 4, WEIGHTS),
    ];
    complete::<A2cConfig>(&rows);
    let base = a2c(|a2c| a2c.distribution = Continuous::Gsde);
    each_shows_in(&base, &rows, Range::new);
    each_shows_in(&a2c(|_| {}), &rows[..15], Range::new);
    each_shows_in(&a2c(|_| {}), &rows[..13], cartpole);
}

fn of_dqn(config: &mut TrainConfig) -> &mut DqnConfig {
    match &mut config.algorithm {
        Algorithm::Dqn(dqn) => dqn,
        other => panic!("{other:?} is not DQN"),
    }
}

#[test]
fn every_setting_of_dqn() {
    let rows = [
        row("buffer_size", |c| of_dqn(c).buffer_size = 100, WEIGHTS),
        row(
            "buffer_memory",
            |c| of_dqn(c).buffer_memory = Some(1 << 20),
            |a, b| {
                // Enough of it changes nothing, and too little is refused.
                let cramped = dqn(|dqn| dqn.buffer_memory = Some(1_000));
                a.policy == b.policy
                    && refused(&cramped, cartpole).contains("at most 34 transitions")
            },
        ),
        row("learning_starts", |c| of_dqn(c).learning_starts = 200, WEIGHTS),
        row("train_freq", |c| of_dqn(c).train_freq = 5, WEIGHTS),
        row("gradient_steps", |c| of_dqn(c).gradient_steps = 0, WEIGHTS),
        row("batch_size", |c| of_dqn(c).batch_size = 10, WEIGHTS),
        row("gamma", |c| of_dqn(c).gamma = 0.9, WEIGHTS),
        row("n_steps", |c| of_dqn(c).n_steps = 3, WEIGHTS),
        row("learning_rate", |c| of_dqn(c).learning_rate = 2e-2, WEIGHTS),
        row("schedule", |c| of_dqn(c).schedule = Schedule::Linear, WEIGHTS),
        row("adam_epsilon", |c| of_dqn(c).adam_epsilon = 1e-2, WEIGHTS),
        row("max_grad_norm", |c| of_dqn(c).max_grad_norm = 0.1, WEIGHTS),
        row("target_update_interval", |c| of_dqn(c).target_update_interval = 100, WEIGHTS),
        row("tau", |c| of_dqn(c).tau = 0.5, WEIGHTS),
        row("exploration_initial", |c| of_dqn(c).exploration_initial = 0.3, WEIGHTS),
        row("exploration_final", |c| of_dqn(c).exploration_final = 0.5, learnt_differently),
        row("exploration_fraction", |c| of_dqn(c).exploration_fraction = 0.9, WEIGHTS),
        row("loss", |c| of_dqn(c).loss = ValueLoss::Squared, WEIGHTS),
        row("double", |c| of_dqn(c).double = true, WEIGHTS),
        row("dueling", |c| of_dqn(c).dueling = true, learnt_differently),
        row("quantiles", |c| of_dqn(c).quantiles = 4, learnt_differently),
        row("prioritized", |c| of_dqn(c).prioritized = true, WEIGHTS),
        row("priority_alpha", |c| of_dqn(c).priority_alpha = 0.2, WEIGHTS),
        row("priority_beta", |c| of_dqn(c).priority_beta = 0.9, WEIGHTS),
        row("noisy", |c| of_dqn(c).noisy = true, learnt_differently),
        row("noisy_std", |c| of_dqn(c).noisy_std = 0.1, WEIGHTS),
    ];
    complete::<DqnConfig>(&rows);
    // Without priorities those of them have nothing to do.
    let prioritized = dqn(|dqn| dqn.prioritized = true);
    let base = dqn(|_| {});
    each_shows_in(&base, &rows[..22], cartpole);
    each_shows_in(&prioritized, &rows[..21], cartpole);
    each_shows_in(&prioritized, &rows[22..25], cartpole);
    each_shows_in(&dqn(|dqn| dqn.noisy = true), &rows[25..], cartpole);
}

#[test]
fn dqn_refuses_what_it_has_no_use_for() {
    let mut remembering = dqn(|_| {});
    remembering.network.recurrent = Cell::Gru;
    assert!(
        refused(&remembering, cartpole).contains("DQN works with networks that have no memory")
    );
    let mut shared = dqn(|_| {});
    shared.network.shared = true;
    assert!(refused(&shared, cartpole).starts_with("network.shared = true"));
    let mut guarded = dqn(|_| {});
    guarded.guard.max_kl = Some(0.1);
    assert!(refused(&guarded, cartpole).starts_with("guard.max_kl = 0.1"));
    let quantiles = dqn(|dqn| (dqn.quantiles, dqn.loss) = (5, ValueLoss::Squared));
    let error = refused(&quantiles, cartpole);
    assert!(error.starts_with("dqn.loss = squared"), "{error}");
    let mut sure = dqn(|_| {});
    sure.guard.min_entropy = Some(-1.0);
    train(&sure, cartpole);
    of_dqn(&mut sure).noisy = true;
    assert!(refused(&sure, cartpole).starts_with("guard.min_entropy = -1"));
    for std in [0.0, f64::NAN, 1e9] {
        let error = refused(&dqn(|dqn| dqn.noisy_std = std), cartpole);
        assert!(error.starts_with("dqn.noisy_std = "), "{error}");
    }
    let error = refused(&dqn(|_| {}), Range::new);
    assert!(error.contains("DQN chooses one of several actions"), "{error}");
    let huge = dqn(|dqn| dqn.buffer_size = 1 << 32);
    let mut huge = TrainConfig { run: RunConfig { steps: 1 << 60, ..huge.run.clone() }, ..huge };
    let error = refused(&huge, || Wide);
    assert!(
        error
            .starts_with("dqn.buffer_size = 4294967296: a replay buffer of 4294967296 transitions"),
        "{error}"
    );
    assert!(error.contains("TiB"), "{error}");
    // A short run can't fill it.
    huge.run.steps = 100;
    train(&huge, || Wide);
}

fn of_sac(config: &mut TrainConfig) -> &mut SacConfig {
    match &mut config.algorithm {
        Algorithm::Sac(sac) => sac,
        other => panic!("{other:?} is not SAC"),
    }
}

fn of_td3(config: &mut TrainConfig) -> &mut Td3Config {
    match &mut config.algorithm {
        Algorithm::Td3(td3) => td3,
        other => panic!("{other:?} is not TD3"),
    }
}

fn of_ddpg(config: &mut TrainConfig) -> &mut DdpgConfig {
    match &mut config.algorithm {
        Algorithm::Ddpg(ddpg) => ddpg,
        other => panic!("{other:?} is not DDPG"),
    }
}

#[test]
fn every_setting_of_sac() {
    let rows = [
        row("buffer_size", |c| of_sac(c).buffer_size = 100, WEIGHTS),
        row(
            "buffer_memory",
            |c| of_sac(c).buffer_memory = Some(1 << 20),
            |a, b| {
                // Enough of it changes nothing, and too little is refused.
                let cramped = sac(|sac| sac.buffer_memory = Some(500));
                a.policy == b.policy && refused(&cramped, Range::new).contains("sac.buffer_size")
            },
        ),
        row("learning_starts", |c| of_sac(c).learning_starts = 200, WEIGHTS),
        row("train_freq", |c| of_sac(c).train_freq = 5, WEIGHTS),
        row("gradient_steps", |c| of_sac(c).gradient_steps = 0, WEIGHTS),
        row("batch_size", |c| of_sac(c).batch_size = 10, WEIGHTS),
        row("gamma", |c| of_sac(c).gamma = 0.9, WEIGHTS),
        row("n_steps", |c| of_sac(c).n_steps = 3, WEIGHTS),
        row("learning_rate", |c| of_sac(c).learning_rate = 2e-2, WEIGHTS),
        row("schedule", |c| of_sac(c).schedule = Schedule::Linear, WEIGHTS),
        row("adam_epsilon", |c| of_sac(c).adam_epsilon = 1e-2, WEIGHTS),
        row("max_grad_norm", |c| of_sac(c).max_grad_norm = 0.01, WEIGHTS),
        row("critics", |c| of_sac(c).critics = 1, WEIGHTS),
        row("target_update_interval", |c| of_sac(c).target_update_interval = 10, WEIGHTS),
        row("tau", |c| of_sac(c).tau = 0.5, WEIGHTS),
        row("entropy_coef", |c| of_sac(c).entropy_coef = Some(0.3), WEIGHTS),
        row("initial_entropy_coef", |c| of_sac(c).initial_entropy_coef = 0.1, WEIGHTS),
        row("target_entropy", |c| of_sac(c).target_entropy = Some(0.1), WEIGHTS),
        row("sde", |c| of_sac(c).sde = true, learnt_differently),
        row("sde_sample_steps", |c| of_sac(c).sde_sample_steps = 2, WEIGHTS),
        row("initial_log_std", |c| of_sac(c).initial_log_std = -1.0, learnt_differently),
    ];
    complete::<SacConfig>(&rows);
    each_shows_in(&sac(|_| {}), &rows[..19], Range::new);
    each_shows_in(&sac(|_| {}), &rows[..18], cartpole);
    let exploring = sac(|sac| (sac.sde, sac.train_freq, sac.gradient_steps) = (true, 8, 8));
    each_shows_in(&exploring, &rows[19..], Range::new);
}

#[test]
fn every_setting_of_td3() {
    let rows = [
        row("buffer_size", |c| of_td3(c).buffer_size = 100, WEIGHTS),
        row(
            "buffer_memory",
            |c| of_td3(c).buffer_memory = Some(1 << 20),
            |a, b| {
                // Enough of it changes nothing, and too little is refused.
                let cramped = td3(|td3| td3.buffer_memory = Some(500));
                a.policy == b.policy && refused(&cramped, Range::new).contains("td3.buffer_size")
            },
        ),
        row("learning_starts", |c| of_td3(c).learning_starts = 200, WEIGHTS),
        row("train_freq", |c| of_td3(c).train_freq = 5, WEIGHTS),
        row("gradient_steps", |c| of_td3(c).gradient_steps = 0, WEIGHTS),
        row("batch_size", |c| of_td3(c).batch_size = 10, WEIGHTS),
        row("gamma", |c| of_td3(c).gamma = 0.9, WEIGHTS),
        row("n_steps", |c| of_td3(c).n_steps = 3, WEIGHTS),
        row("learning_rate", |c| of_td3(c).learning_rate = 2e-2, WEIGHTS),
        row("schedule", |c| of_td3(c).schedule = Schedule::Linear, WEIGHTS),
        row("adam_epsilon", |c| of_td3(c).adam_epsilon = 1e-2, WEIGHTS),
        row("max_grad_norm", |c| of_td3(c).max_grad_norm = 0.01, WEIGHTS),
        row("tau", |c| of_td3(c).tau = 0.5, WEIGHTS),
        row("critics", |c| of_td3(c).critics = 1, WEIGHTS),
        row("policy_delay", |c| of_td3(c).policy_delay = 3, WEIGHTS),
        row("target_noise", |c| of_td3(c).target_noise = 0.0, WEIGHTS),
        row("target_noise_clip", |c| of_td3(c).target_noise_clip = 0.1, WEIGHTS),
        row("noise", |c| of_td3(c).noise = Noise::OrnsteinUhlenbeck, WEIGHTS),
        row("noise_std", |c| of_td3(c).noise_std = 0.3, WEIGHTS),
    ];
    complete::<Td3Config>(&rows);
    each_shows_in(&td3(|_| {}), &rows, Range::new);
}

#[test]
fn every_setting_of_ddpg() {
    let rows = [
        row("buffer_size", |c| of_ddpg(c).buffer_size = 100, WEIGHTS),
        row(
            "buffer_memory",
            |c| of_ddpg(c).buffer_memory = Some(1 << 20),
            |a, b| {
                // Enough of it changes nothing, and too little is refused.
                let cramped = ddpg(|ddpg| ddpg.buffer_memory = Some(500));
                a.policy == b.policy && refused(&cramped, Range::new).contains("ddpg.buffer_size")
            },
        ),
        row("learning_starts", |c| of_ddpg(c).learning_starts = 200, WEIGHTS),
        row("train_freq", |c| of_ddpg(c).train_freq = 5, WEIGHTS),
        row("gradient_steps", |c| of_ddpg(c).gradient_steps = 0, WEIGHTS),
        row("batch_size", |c| of_ddpg(c).batch_size = 10, WEIGHTS),
        row("gamma", |c| of_ddpg(c).gamma = 0.9, WEIGHTS),
        row("n_steps", |c| of_ddpg(c).n_steps = 3, WEIGHTS),
        row("learning_rate", |c| of_ddpg(c).learning_rate = 2e-2, WEIGHTS),
        row("schedule", |c| of_ddpg(c).schedule = Schedule::Linear, WEIGHTS),
        row("adam_epsilon", |c| of_ddpg(c).adam_epsilon = 1e-2, WEIGHTS),
        row("max_grad_norm", |c| of_ddpg(c).max_grad_norm = 0.01, WEIGHTS),
        row("tau", |c| of_ddpg(c).tau = 0.5, WEIGHTS),
        row("noise", |c| of_ddpg(c).noise = Noise::None, WEIGHTS),
        row("noise_std", |c| of_ddpg(c).noise_std = 0.3, WEIGHTS),
    ];
    complete::<DdpgConfig>(&rows);
    each_shows_in(&ddpg(|_| {}), &rows, Range::new);
}

#[test]
fn each_noise_is_one_of_its_own() {
    let kinds = [Noise::None, Noise::Normal, Noise::OrnsteinUhlenbeck];
    let policies: HashSet<Vec<u8>> = kinds
        .into_iter()
        .map(|noise| train(&td3(|td3| td3.noise = noise), Range::new).policy)
        .collect();
    assert_eq!(policies.len(), kinds.len());
}

#[test]
fn actors_with_critics_refuse_what_they_have_no_use_for() {
    for (name, base) in [("SAC", sac(|_| {})), ("TD3", td3(|_| {})), ("DDPG", ddpg(|_| {}))] {
        let mut remembering = base.clone();
        remembering.network.recurrent = Cell::Gru;
        let error = refused(&remembering, Range::new);
        let words = format!("{name} works with networks that have no memory");
        assert!(error.contains(&words), "{error}");
        let mut shared = base.clone();
        shared.network.shared = true;
        assert!(refused(&shared, Range::new).starts_with("network.shared = true"));
        let mut guarded = base.clone();
        guarded.guard.max_kl = Some(0.1);
        assert!(refused(&guarded, Range::new).starts_with("guard.max_kl = 0.1"));
        let error = refused(&base, || Boundless);
        assert!(error.contains(&format!("{name} needs bounds")), "{error}");
        let mut sure = base;
        sure.guard.min_entropy = Some(-100.0);
        if name == "SAC" {
            train(&sure, Range::new);
            continue;
        }
        assert!(refused(&sure, Range::new).starts_with("guard.min_entropy = -100"));
        sure.guard.min_entropy = None;
        let error = refused(&sure, cartpole);
        assert!(error.contains(&format!("{name} chooses a point of a box")), "{error}");
    }
}

/// A thousand numbers to look at.
struct Wide;

impl Env for Wide {
    type Action = usize;

    fn observation_space(&self) -> Space {
        BoxSpace::unbounded(1_000).into()
    }

    fn action_space(&self) -> Discrete {
        Discrete::new(2)
    }

    fn reset(&mut self, _: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        obs.fill(0.0);
        Ok(())
    }

    fn step(&mut self, _: &usize, obs: &mut [f32]) -> Result<Step, EnvError> {
        obs.fill(0.0);
        Ok(Step::terminated(0.0))
    }
}

#[test]
fn each_distribution_is_one_of_its_own() {
    let kinds =
        [Continuous::Gaussian, Continuous::SquashedGaussian, Continuous::Beta, Continuous::Gsde];
    let mut losses = HashSet::new();
    for kind in kinds {
        for base in [ppo(|ppo| ppo.distribution = kind), a2c(|a2c| a2c.distribution = kind)] {
            let told = train(&base, Range::new);
            losses.insert(told.updates.last().unwrap().loss.to_bits());
        }
    }
    assert_eq!(losses.len(), 2 * kinds.len());
}

/// Real actions without bounds.
struct Boundless;

impl Env for Boundless {
    type Action = [f32];

    fn observation_space(&self) -> Space {
        BoxSpace::unbounded(1).into()
    }

    fn action_space(&self) -> BoxSpace {
        BoxSpace::unbounded(2)
    }

    fn reset(&mut self, _: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        obs.fill(0.0);
        Ok(())
    }

    fn step(&mut self, _: &[f32], obs: &mut [f32]) -> Result<Step, EnvError> {
        obs.fill(0.0);
        Ok(Step::terminated(0.0))
    }
}

/// What is said of a run that can't be.
fn refused<E: Env + 'static>(config: &TrainConfig, env: fn() -> E) -> String {
    match Trainer::new(config.clone(), env) {
        Ok(_) => panic!("{config:?} was taken"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn reinforce_refuses_networks_it_has_no_use_for() {
    for cell in [Cell::Gru, Cell::Lstm] {
        let mut remembering = config(|_, _| {});
        remembering.network.recurrent = cell;
        let error = refused(&remembering, cartpole);
        assert!(error.starts_with("network.recurrent = "), "{error}");
        assert!(error.contains("REINFORCE works with networks that have no memory"), "{error}");
    }
    let mut shared = config(|_, _| {});
    shared.network.shared = true;
    let error = refused(&shared, cartpole);
    assert!(error.starts_with("network.shared = true"), "{error}");
    assert!(error.contains("REINFORCE's baseline has a network of its own"), "{error}");
}

#[test]
fn minibatches_that_leave_a_remainder_are_refused_with_sizes_that_do_not() {
    let error = refused(&ppo(|ppo| ppo.batch_size = 48), cartpole);
    assert!(error.starts_with("ppo.batch_size = 48"), "{error}");
    assert!(error.contains("64 steps × 2 lanes = 128"), "{error}");
    assert!(error.contains("[8, 16, 32, 64, 128]"), "{error}");

    // Lanes are dealt whole where the networks remember: 32 steps are half of one.
    let mut remembering = ppo(|_| {});
    remembering.network.recurrent = Cell::Gru;
    let error = refused(&remembering, cartpole);
    assert!(error.starts_with("ppo.batch_size = 32"), "{error}");
    assert!(error.contains("in whole lanes") && error.contains("[64, 128]"), "{error}");

    // The whole rollout and more are one minibatch.
    train(&ppo(|ppo| ppo.batch_size = 1_000), cartpole);
}

#[test]
fn distributions_that_fill_a_box_need_its_bounds() {
    for kind in [Continuous::SquashedGaussian, Continuous::Beta] {
        for config in [ppo(|ppo| ppo.distribution = kind), a2c(|a2c| a2c.distribution = kind)] {
            let error = refused(&config, || Boundless);
            assert!(error.contains("need bounds on every entry of an action"), "{error}");
            assert!(error.contains("choose \"gaussian\" or \"gsde\""), "{error}");
        }
    }
    for kind in [Continuous::Gaussian, Continuous::Gsde] {
        train(&ppo(|ppo| ppo.distribution = kind), || Boundless);
    }
}
