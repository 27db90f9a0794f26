//! The ladder: worlds that are small enough to be learnt in a moment, each of which needs one thing more
//! than those before. The thresholds are ones that an implementation without that thing misses.

use std::ops::ControlFlow;

use elegante::{
    Algorithm, Env, EnvError, EvalConfig, Event, MlpConfig, ReinforceConfig, RunConfig, TimeLimit,
    TrainConfig, TrainError, Trainer,
    env::{AnyEnv, Bandit, Identity, IdentityContinuous, Memory},
    evaluate,
    policy::{Activation, Cell, Init},
    trainer::{A2cConfig, DdpgConfig, DqnConfig, PpoConfig, SacConfig, Td3Config},
};

use super::{
    finding::{Finding, Tell},
    worlds::{Lesson, Saving, constant, doors, shown, soon_or_much, stay_or_leave},
};

const FIX: &str = "the algorithm does not learn what it should: don't trust what this build trains, and report it; if you have changed the code, run the tests";

type Make = fn() -> Result<AnyEnv, EnvError>;

/// A world, and what learning it should come to.
struct Rung {
    name: &'static str,
    make: Make,
    /// What is measured after training.
    measure: Measure,
    /// What it has to come to: at least this, and at most that.
    least: f64,
    most: f64,
    /// What the best there is would come to.
    best: f64,
    /// Left out under `--quick`.
    long: bool,
    /// Algorithms that have what it needs.
    algos: &'static [&'static str],
    /// Settings that it needs.
    change: fn(&mut TrainConfig),
}

#[derive(Clone, Copy)]
enum Measure {
    /// The mean squared error of the value function, in the last update.
    ValueError,
    /// The mean return of the most probable actions.
    Return,
    /// The mean return when actions are drawn: what comes near the best is sure of itself.
    Drawn,
    /// How often the best of the arms is pulled when actions are drawn.
    BestArm,
}

/// Those that choose one of several actions.
const CHOOSING: &[&str] = &["ppo", "a2c", "dqn", "sac", "reinforce"];
/// Those whose actor learns through critics of its actions.
const JUDGED: &[&str] = &["sac", "td3", "ddpg"];
/// Those that draw from a distribution of actions, of whatever kind.
const POLICIES: &[&str] = &["ppo", "a2c", "reinforce"];
/// Those with a value function of states.
const CRITICS: &[&str] = &["ppo", "a2c"];
/// REINFORCE learns no values by bootstrapping, and takes the horizon for the end of the world.
const BOOTSTRAPPING: &[&str] = &["ppo", "a2c", "dqn", "sac"];

fn lesson(lesson: Lesson) -> Result<AnyEnv, EnvError> {
    Ok(AnyEnv::new(lesson))
}

fn limited<E: Env + 'static>(env: E, steps: usize) -> Result<AnyEnv, EnvError> {
    Ok(AnyEnv::new(TimeLimit::new(env, steps)?))
}

fn at_least(least: f64) -> [f64; 2] {
    [least, f64::INFINITY]
}

fn rungs() -> Vec<Rung> {
    let rung = |name, make: Make, measure, [least, most]: [f64; 2], best| Rung {
        name,
        make,
        measure,
        least,
        most,
        best,
        long: true,
        algos: CHOOSING,
        change: |_| {},
    };
    use Measure::{BestArm, Drawn, Return, ValueError};
    let constant: Make = || lesson(Lesson::new(1, constant));
    let shown: Make = || lesson(Lesson::new(1, shown));
    let arms: Make = || Ok(AnyEnv::new(Bandit::default()));
    let named: Make = || limited(Identity::default(), 100);
    let doors: Make = || lesson(Lesson::new(3, doors));
    let sooner: Make = || lesson(Lesson::new(2, soon_or_much));
    let stay: Make = || lesson(Lesson::timeless(2, stay_or_leave));
    let shots: Make = || limited(IdentityContinuous::default(), 1);
    let numbers: Make = || limited(IdentityContinuous::default(), 100);
    let saving: Make = || Ok(AnyEnv::new(Saving::default()));
    let maze: Make = || limited(Memory::new(4), 30);
    vec![
        Rung {
            algos: CRITICS,
            long: false,
            ..rung("value of a constant", constant, ValueError, [0.0, 0.01], 0.0)
        },
        Rung {
            algos: CRITICS,
            ..rung("value of what is seen", shown, ValueError, [0.0, 0.03], 0.0)
        },
        Rung { long: false, ..rung("best of five arms", arms, BestArm, at_least(0.9), 1.0) },
        Rung { long: false, ..rung("does what it sees", named, Drawn, at_least(90.0), 100.0) },
        Rung {
            algos: JUDGED,
            long: false,
            ..rung("repeats a number", shots, Return, at_least(-0.03), 0.0)
        },
        Rung {
            algos: JUDGED,
            long: false,
            ..rung("repeats one after another", numbers, Return, at_least(-3.0), 0.0)
        },
        Rung {
            algos: JUDGED,
            change: |c| discount(c, 0.99),
            ..rung("saves at γ 0.99", saving, Return, at_least(2.9), 3.0)
        },
        Rung {
            algos: JUDGED,
            change: |c| discount(c, 0.5),
            ..rung("spends at γ 0.5", saving, Return, [0.9, 1.1], 1.0)
        },
        Rung {
            change: |c| delayed(c, 0.99),
            ..rung("credits the cause", doors, Return, at_least(3.5), 4.0)
        },
        Rung {
            change: |c| delayed(c, 0.99),
            ..rung("patient at γ 0.99", sooner, Return, at_least(2.9), 3.0)
        },
        Rung {
            change: |c| delayed(c, 0.5),
            ..rung("impatient at γ 0.5", sooner, Return, [0.9, 1.1], 1.0)
        },
        Rung {
            algos: BOOTSTRAPPING,
            change: |c| discount(c, 0.9),
            ..rung("looks beyond a time limit", stay, Return, [1.9, 2.1], 2.0)
        },
        Rung {
            algos: POLICIES,
            change: with_real_actions,
            ..rung("repeats numbers", numbers, Return, at_least(-3.0), 0.0)
        },
        Rung {
            algos: &["ppo"],
            change: with_memory,
            ..rung("remembers", maze, Return, at_least(0.9), 1.0)
        },
    ]
}

pub(super) fn examine(part: &str, algo: &str, quick: bool, tell: Tell<'_>) -> anyhow::Result<()> {
    for rung in rungs() {
        if !rung.algos.contains(&algo) || (quick && rung.long) {
            continue;
        }
        let mut config = base(algo)?;
        (rung.change)(&mut config);
        let learnt = rung.learnt(config)?;
        let passed = (rung.least..=rung.most).contains(&learnt);
        let found = format!("{learnt:.3}, {}, where the best is {}", rung.asked(), rung.best);
        tell(Finding::check(part, rung.name, passed, found, FIX).with("learnt", learnt))?;
    }
    Ok(())
}

impl Rung {
    /// What is asked for, in words.
    fn asked(&self) -> String {
        match (self.least, self.most) {
            (least, f64::INFINITY) => format!("at least {least} is asked for"),
            (0.0, most) => format!("at most {most} is asked for"),
            (least, most) => format!("{least} to {most} is asked for"),
        }
    }

    /// Trains, and measures what came of it.
    fn learnt(&self, config: TrainConfig) -> Result<f64, TrainError> {
        let mut trainer = Trainer::from_factory(config, self.make)?;
        let mut value_error = f64::NAN;
        trainer.run(|event| {
            if let Event::Update(update) = event {
                value_error = update.values.get("value_loss").copied().unwrap_or(f64::NAN);
            }
            ControlFlow::Continue(())
        })?;
        let mean = |make: Make, deterministic| {
            let how = EvalConfig { episodes: 200, seed: 0, deterministic };
            Ok(evaluate(&trainer.policy(), make, &how)?.mean_return)
        };
        match self.measure {
            Measure::ValueError => Ok(value_error),
            Measure::Return => mean(self.make, true),
            Measure::Drawn => mean(self.make, false),
            // The same arms, where only how often the best of them is pulled counts.
            Measure::BestArm => {
                mean(|| Ok(AnyEnv::new(Bandit::new(vec![0.0, 0.0, 0.0, 0.0, 1.0], 0.0)?)), false)
            }
        }
    }
}

/// Settings with which each algorithm learns all of it.
fn base(algo: &str) -> anyhow::Result<TrainConfig> {
    let (algorithm, steps) = match algo {
        "ppo" => (
            Algorithm::Ppo(PpoConfig {
                n_steps: 32,
                epochs: 4,
                gamma: 0.9,
                learning_rate: 3e-3,
                ..PpoConfig::default()
            }),
            8_000,
        ),
        "a2c" => (
            Algorithm::A2c(A2cConfig {
                n_steps: 8,
                gamma: 0.9,
                learning_rate: 3e-3,
                ..A2cConfig::default()
            }),
            16_000,
        ),
        "dqn" => (
            Algorithm::Dqn(DqnConfig {
                train_freq: 1,
                gradient_steps: 2,
                gamma: 0.9,
                learning_rate: 3e-3,
                learning_starts: 400,
                target_update_interval: 200,
                exploration_fraction: 0.5,
                ..DqnConfig::default()
            }),
            8_000,
        ),
        "sac" => (
            Algorithm::Sac(SacConfig {
                gradient_steps: 2,
                batch_size: 64,
                gamma: 0.9,
                learning_rate: 3e-3,
                learning_starts: 400,
                tau: 0.02,
                // What is drawn should come near the best.
                entropy_coef: Some(0.01),
                ..SacConfig::default()
            }),
            8_000,
        ),
        "td3" => (
            Algorithm::Td3(Td3Config {
                gradient_steps: 2,
                batch_size: 64,
                gamma: 0.9,
                learning_rate: 3e-3,
                learning_starts: 400,
                tau: 0.02,
                ..Td3Config::default()
            }),
            8_000,
        ),
        "ddpg" => (
            Algorithm::Ddpg(DdpgConfig {
                gradient_steps: 2,
                batch_size: 64,
                gamma: 0.9,
                learning_rate: 3e-3,
                learning_starts: 400,
                tau: 0.02,
                ..DdpgConfig::default()
            }),
            8_000,
        ),
        "reinforce" => (
            Algorithm::Reinforce(ReinforceConfig {
                batch_steps: 300,
                gamma: 0.9,
                learning_rate: 3e-2,
                ..ReinforceConfig::default()
            }),
            16_000,
        ),
        other => anyhow::bail!("there is no ladder for the algorithm `{other}`"),
    };
    let run = RunConfig { steps, lanes: 8, threads: 1, ..RunConfig::default() };
    let mut network = MlpConfig { hidden: vec![32], ..MlpConfig::default() };
    if JUDGED.contains(&algo) {
        // As in their presets. DDPG may not get away from an actor that begins next to 0 and bends.
        (network.activation, network.init) = (Activation::Relu, Init::BurnDefault);
    }
    Ok(TrainConfig { run, algorithm, network, ..TrainConfig::default() })
}

fn discount(config: &mut TrainConfig, gamma: f64) {
    match &mut config.algorithm {
        Algorithm::Ppo(ppo) => ppo.gamma = gamma,
        Algorithm::A2c(a2c) => a2c.gamma = gamma,
        Algorithm::Dqn(dqn) => dqn.gamma = gamma,
        Algorithm::Sac(sac) => sac.gamma = gamma,
        Algorithm::Td3(td3) => td3.gamma = gamma,
        Algorithm::Ddpg(ddpg) => ddpg.gamma = gamma,
        Algorithm::Reinforce(reinforce) => reinforce.gamma = gamma,
        _ => {}
    }
    config.run.steps *= 2;
}

/// For rewards whose cause is out of sight when they come: from what is seen in between, a single step's
/// values can't know of it, and what learns from replay needs transitions that span all of them.
fn delayed(config: &mut TrainConfig, gamma: f64) {
    discount(config, gamma);
    match &mut config.algorithm {
        Algorithm::Dqn(dqn) => dqn.n_steps = 5,
        Algorithm::Sac(sac) => sac.n_steps = 5,
        _ => {}
    }
}

fn with_real_actions(config: &mut TrainConfig) {
    match &mut config.algorithm {
        Algorithm::Ppo(ppo) => (ppo.initial_log_std, config.run.steps) = (-1.0, 24_000),
        Algorithm::A2c(a2c) => (a2c.initial_log_std, config.run.steps) = (-1.0, 80_000),
        Algorithm::Reinforce(reinforce) => {
            (reinforce.initial_log_std, reinforce.learning_rate) = (-1.0, 1e-2);
            config.run.steps = 80_000;
        }
        _ => {}
    }
}

fn with_memory(config: &mut TrainConfig) {
    if let Algorithm::Ppo(ppo) = &mut config.algorithm {
        (ppo.batch_size, ppo.gamma) = (64, 0.99);
    }
    (config.network.recurrent, config.network.recurrent_size) = (Cell::Gru, 16);
    config.run.steps = 40_000;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_algorithm_has_a_ladder() {
        for info in elegante::experiment::ALGORITHMS {
            base(info.id).unwrap().validate().unwrap();
            let rungs = rungs();
            let quick = rungs.iter().filter(|rung| rung.algos.contains(&info.id) && !rung.long);
            assert!(quick.count() >= 2, "{}", info.id);
        }
    }
}
