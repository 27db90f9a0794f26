//! Who decides when a run goes on, is looked at, and ends; and what must not change it.

use std::{
    collections::HashSet,
    ops::ControlFlow,
    sync::{Arc, Mutex},
};

use elegante_env::{AnyEnv, CartPole, Discrete, Env, EnvError, Reset, Space, Step};
use elegante_trainer::{
    EvalConfig, Event, ReinforceConfig, RunConfig, Stop, Trainer, evaluate, evaluation_seed,
    training_env_seed,
};

use crate::worlds::{Told, cartpole, config, finish, timeless, train, world};

#[test]
fn callbacks_hear_of_episodes_then_their_update_then_its_evaluation() {
    let config = config(|run, _| run.eval_every = 700);
    let mut trainer = Trainer::new(config, cartpole).unwrap();
    let mut story = String::new();
    let (mut episodes, mut counted) = (0, 0);
    let stop = trainer.run(|event| {
        match event {
            Event::Episode(episode) => {
                episodes += 1;
                assert_eq!(episode.index, episodes);
                if !story.ends_with('e') {
                    story.push('e');
                }
            }
            Event::Update(update) => {
                story.push('U');
                assert_eq!(update.episodes, episodes, "an episode came late");
                counted = update.steps;
            }
            Event::Evaluation(evaluation) => {
                story.push('V');
                assert_eq!(evaluation.episodes, 4);
            }
            _ => unreachable!(),
        }
        ControlFlow::Continue(())
    });
    assert_eq!(stop.unwrap(), Stop::Budget);
    assert_eq!((trainer.progress().steps, trainer.progress().episodes), (counted, episodes));
    assert!(story.starts_with("eUeU") && story.replace("eU", "").replace('V', "").is_empty());
    assert_eq!(story.matches('V').count(), (counted / 700) as usize, "{story} at {counted}");
}

#[test]
fn break_ends_the_run_at_that_update_and_it_can_go_on() {
    let config = config(|_, _| {});
    let whole = train(&config, cartpole);
    let mut trainer = Trainer::new(config, cartpole).unwrap();
    let (mut told, mut asked) = (0, false);
    let stop = trainer.run(|event| match event {
        // The first episode of the second update asks for the end; the rest is still told.
        Event::Episode(_) if told == 1 && !asked => {
            asked = true;
            ControlFlow::Break(())
        }
        Event::Update(_) => {
            told += 1;
            ControlFlow::Continue(())
        }
        _ => ControlFlow::Continue(()),
    });
    assert_eq!((stop.unwrap(), told, trainer.progress().updates), (Stop::Asked, 2, 2));
    let rest = finish(&mut trainer);
    assert_eq!(rest.policy, whole.policy);
    assert_eq!(rest.updates, whole.updates[2..]);
}

#[test]
fn in_pieces_or_step_by_step_a_run_is_the_same() {
    let config = config(|run, _| run.steps = 2_000);
    let whole = train(&config, cartpole);

    let mut pieces = Trainer::new(config.clone(), cartpole).unwrap();
    let stop = pieces.run_until(700, |_| ControlFlow::Continue(())).unwrap();
    let steps = pieces.progress().steps;
    assert!(stop == Stop::Budget && (700..1_400).contains(&steps), "{steps}");
    pieces.run_until(700, |_| panic!("700 steps have been trained")).unwrap();
    assert_eq!(finish(&mut pieces).policy, whole.policy);

    let mut singly = Trainer::new(config, cartpole).unwrap();
    for expected in &whole.updates {
        assert_eq!(&timeless(singly.step().unwrap()), expected);
    }
    assert_eq!(singly.policy().to_safetensors().unwrap(), whole.policy);
}

#[test]
fn the_number_of_threads_changes_nothing() {
    for lanes in [1, 4, 9] {
        let run = |threads| {
            train(&config(|run, _| (run.lanes, run.threads) = (lanes, threads)), cartpole)
        };
        let one = run(1);
        for threads in [2, 3, 0] {
            assert_eq!(run(threads), one, "{lanes} lanes on {threads} threads");
        }
    }
}

#[test]
fn an_evaluation_is_repeatable_and_leaves_training_as_it_was() {
    let config = config(|_, _| {});
    let undisturbed = train(&config, cartpole);
    let mut trainer = Trainer::new(config.clone(), cartpole).unwrap();
    let mut updates = Vec::new();
    while trainer.progress().steps < config.run.steps {
        let evaluation = trainer.evaluate().unwrap();
        assert_eq!(trainer.evaluate().unwrap(), evaluation);
        updates.push(timeless(trainer.step().unwrap()));
    }
    assert_eq!(updates, undisturbed.updates);
    assert_eq!(trainer.policy().to_safetensors().unwrap(), undisturbed.policy);
}

#[test]
fn evaluations_sum_up_their_own_episodes() {
    let trainer = Trainer::new(config(|_, _| {}), cartpole).unwrap();
    let policy = trainer.policy();
    let make = || Ok(AnyEnv::new(cartpole()));
    let play = |episodes, seed, deterministic| {
        let config = EvalConfig { episodes, seed, deterministic };
        evaluate(&policy, make, &config).unwrap()
    };
    // 130 episodes are more than are played side by side; each is what it is alone.
    for deterministic in [true, false] {
        let many = play(130, 3, deterministic);
        let few = play(100, 3, deterministic);
        assert_ne!(many.mean_return, few.mean_return, "the last thirty do not count");
        assert!(many.min_return <= few.min_return && few.max_return <= many.max_return);
        let one = play(1, 3, deterministic);
        assert_eq!(
            (one.std_return, one.min_return, one.mean_length),
            (0.0, one.max_return, one.mean_return)
        );
        assert_ne!(play(100, 4, deterministic).mean_return, few.mean_return);
    }
    assert_ne!(play(100, 3, true).mean_return, play(100, 3, false).mean_return);
}

/// Notes the seed of every reset that has one.
struct Noted(CartPole, Arc<Mutex<Vec<u64>>>);

impl Env for Noted {
    type Action = usize;

    fn observation_space(&self) -> Space {
        self.0.observation_space()
    }

    fn action_space(&self) -> Discrete {
        self.0.action_space()
    }

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        self.1.lock().unwrap().extend(reset.seed);
        self.0.reset(reset, obs)
    }

    fn step(&mut self, action: &usize, obs: &mut [f32]) -> Result<Step, EnvError> {
        self.0.step(action, obs)
    }
}

#[test]
fn evaluation_episodes_are_none_that_training_has_seen() {
    let noted = Arc::new(Mutex::new(Vec::new()));
    let seeds = |noted: &Mutex<Vec<u64>>| std::mem::take(&mut *noted.lock().unwrap());
    for seed in [0, 7] {
        let config = config(|run, _| (run.seed, run.lanes, run.eval_episodes) = (seed, 6, 120));
        let log = Arc::clone(&noted);
        let env = move || Noted(CartPole::default(), Arc::clone(&log));
        let mut trainer = Trainer::new(config, env).unwrap();
        finish(&mut trainer);
        let training = seeds(&noted);
        assert_eq!(training, (0..6).map(|i| training_env_seed(seed) + i).collect::<Vec<_>>());
        trainer.evaluate().unwrap();
        let evaluation = seeds(&noted);
        assert_eq!(evaluation, (0..120).map(|i| evaluation_seed(seed, i)).collect::<Vec<_>>());
        let all: HashSet<u64> = training.iter().chain(&evaluation).copied().collect();
        assert_eq!(all.len(), 126, "a seed came twice");
    }
}

/// Every episode has five steps and the return 5.
fn five() -> impl Env<Action = usize> {
    world(2, |at| Ok(if at.time == 4 { Step::terminated(1.0) } else { Step::going(1.0) }))
}

#[test]
fn a_run_stops_when_it_is_solved_and_not_before() {
    let run = |stop_at, eval_every| -> Told {
        let change = |run: &mut RunConfig, reinforce: &mut ReinforceConfig| {
            (run.stop_at, run.eval_every) = (Some(stop_at), eval_every);
            reinforce.batch_steps = 150;
        };
        train(&config(change), five)
    };
    // Of 30 episodes an update, the fourth makes the hundred full.
    let by_training = run(5.0, 0);
    assert_eq!((by_training.stop, by_training.updates.len()), (Stop::Solved, 4));
    // An evaluation need not wait for a hundred; while it is not due, training does not count.
    let by_evaluation = run(5.0, 300);
    assert_eq!((by_evaluation.stop, by_evaluation.updates.len()), (Stop::Solved, 2));
    assert_eq!(run(5.0, 900).updates.len(), 6);
    for every in [0, 300] {
        let unsolved = run(5.001, every);
        assert_eq!((unsolved.stop, unsolved.updates.len()), (Stop::Budget, 10));
    }
}
