//! It learns what there is to learn; with a wrong sign, or the past in place of the future, it can't.

use elegante_env::{AnyEnv, Env, Step, TimeLimit};
use elegante_trainer::{
    Algorithm, Estimator, EvalConfig, Evaluation, ReinforceConfig, RunConfig, TrainConfig, Trainer,
    evaluate,
};

use crate::worlds::{Range, config, finish, world};

const ESTIMATORS: [Estimator; 3] =
    [Estimator::TotalReturn, Estimator::RewardToGo, Estimator::Baseline];

/// Trains, and evaluates 100 episodes with the most probable actions before and after.
fn before_and_after<E: Env + 'static>(
    change: impl FnOnce(&mut RunConfig, &mut ReinforceConfig),
    env: fn() -> E,
) -> [Evaluation; 2] {
    let config = config(|run, reinforce| {
        run.eval_episodes = 100;
        change(run, reinforce);
    });
    let mut trainer = Trainer::new(config, env).unwrap();
    let before = trainer.evaluate().unwrap();
    finish(&mut trainer);
    [before, trainer.evaluate().unwrap()]
}

/// Two arms that pay 0.4 and 0.6 with a noise of ±1.
fn bandit() -> impl Env<Action = usize> {
    world(2, |at| {
        let pays = [0.4, 0.6][at.action];
        Ok(Step::terminated(pays + at.rng.uniform(-1.0, 1.0)))
    })
}

#[test]
fn the_better_of_two_arms_is_found_whichever_seed_is_named() {
    for estimator in ESTIMATORS {
        for seed in 0..3 {
            let config = config(|run, reinforce| {
                (run.seed, run.steps) = (seed, 12_000);
                (reinforce.estimator, reinforce.learning_rate) = (estimator, 3e-2);
            });
            let mut trainer = Trainer::new(config, bandit).unwrap();
            finish(&mut trainer);
            // The share of the better arm when actions are drawn, as the mean return tells it.
            let drawn = EvalConfig { episodes: 1_000, seed, deterministic: false };
            let make = || Ok(AnyEnv::new(world(2, |at| Ok(Step::terminated(at.action as f64)))));
            let share = evaluate(&trainer.policy(), make, &drawn).unwrap().mean_return;
            println!("{estimator:?}, seed {seed}: {share}");
            assert!(share > 0.9, "{estimator:?}, seed {seed}: {share}");
        }
    }
}

/// Of three doors the first step opens one, and only the fifth shows what was behind it; every step
/// between is paid at random. What came before an action can't teach it anything.
fn doors() -> impl Env<Action = usize> {
    world(3, |at| {
        if at.time == 0 {
            *at.memory = [0.0, 4.0, 2.0][at.action];
        }
        let noise = at.rng.uniform(-1.0, 1.0);
        Ok(if at.time == 4 { Step::terminated(*at.memory) } else { Step::going(noise) })
    })
}

#[test]
fn a_reward_that_comes_late_is_credited_to_what_caused_it() {
    for estimator in ESTIMATORS {
        let [before, after] = before_and_after(
            |run, reinforce| {
                run.steps = 20_000;
                reinforce.estimator = estimator;
            },
            doors,
        );
        println!("{estimator:?}: {:.2} → {:.2}", before.mean_return, after.mean_return);
        assert!(after.mean_return > 3.5, "{estimator:?}: {after:?}");
    }
}

#[test]
fn the_discount_decides_between_soon_and_much() {
    // One now or three at the end, which is three steps away.
    let env = || {
        world(2, |at| {
            if at.time == 0 {
                *at.memory = at.action as f64;
            }
            let soon = if at.time == 0 && at.action == 0 { 1.0 } else { 0.0 };
            Ok(if at.time == 3 { Step::terminated(3.0 * *at.memory) } else { Step::going(soon) })
        })
    };
    for estimator in ESTIMATORS {
        let learnt = |gamma| {
            let change = |run: &mut RunConfig, reinforce: &mut ReinforceConfig| {
                (run.steps, reinforce.estimator, reinforce.gamma) = (8_000, estimator, gamma);
            };
            before_and_after(change, env)[1].mean_return
        };
        assert_eq!((learnt(1.0), learnt(0.5)), (3.0, 1.0), "{estimator:?}");
    }
}

#[test]
fn continuous_actions_hit_what_they_are_shown() {
    let [before, after] = before_and_after(
        |run, reinforce| {
            (run.steps, run.lanes) = (30_000, 4);
            (reinforce.batch_steps, reinforce.initial_log_std) = (500, -1.0);
        },
        Range::new,
    );
    println!("{:.3} → {:.3}", before.mean_return, after.mean_return);
    // Ten shots that always aim at the middle miss by 0.8²/3 each: −2.1.
    assert!(before.mean_return < -1.5, "{before:?}");
    assert!(after.mean_return > -0.1, "{after:?}");
}

#[test]
fn cartpole_is_learnt_by_every_estimator_in_a_few_seconds() {
    for estimator in ESTIMATORS {
        for seed in [0, 1] {
            let config = TrainConfig {
                run: RunConfig { seed, steps: 100_000, ..RunConfig::default() },
                algorithm: Algorithm::Reinforce(ReinforceConfig {
                    estimator,
                    ..ReinforceConfig::default()
                }),
                ..TrainConfig::default()
            };
            let env = || TimeLimit::new(elegante_env::CartPole::default(), 500).unwrap();
            let mut trainer = Trainer::new(config, env).unwrap();
            let before = trainer.evaluate().unwrap().mean_return;
            finish(&mut trainer);
            let after = trainer.evaluate().unwrap().mean_return;
            println!("{estimator:?}, seed {seed}: {before:.1} → {after:.1}");
            assert!(
                before < 100.0 && after > 300.0,
                "{estimator:?}, seed {seed}: {before} → {after}"
            );
        }
    }
}
