//! No dead knobs: every setting, turned, changes something.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    thread::ThreadId,
};

use elegante_env::{Env, Step};
use elegante_policy::{Activation, Init, MlpConfig, Settings};
use elegante_trainer::{
    Algorithm, Estimator, ReinforceConfig, RunConfig, Schedule, Stop, TrainConfig,
};

use crate::worlds::{At, Range, Told, cartpole, config, train, world};

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

/// There is a row for each setting of `S`, in its order; a new one without a row fails here.
fn complete<S: Settings>(rows: &[Row]) {
    let tested: Vec<_> = rows.iter().map(|row| row.setting).collect();
    let known: Vec<_> = S::SETTINGS.iter().map(|setting| setting.name).collect();
    assert_eq!(tested, known, "every setting needs a row that turns it");
}

fn each_shows<E: Env + 'static>(rows: &[Row], env: fn() -> E) {
    // Evaluations happen, so that their settings have something to do.
    let base = config(|run, _| run.eval_every = 600);
    let told = train(&base, env);
    for Row { setting, turn, shows } in rows {
        let mut turned = base.clone();
        turn(&mut turned);
        assert_ne!(turned, base, "the row of `{setting}` turns nothing");
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
    ];
    complete::<MlpConfig>(&rows);
    each_shows(&rows, cartpole);
}

/// The file also names the activation: the numbers of the updates have to differ too.
fn learnt_differently(a: &Told, b: &Told) -> bool {
    let losses = |told: &Told| told.updates.iter().map(|update| update.loss).collect::<Vec<_>>();
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
