//! One minibatch of replayed transitions against PyTorch: the numbers are those of
//! `scripts/goldens_sac.py`.

use std::collections::BTreeMap;

use elegante_env::EnvRng;
use elegante_policy::{
    ActionBatch, ActionHead, Critics, DeviceChoice, MlpConfig, Policy, PolicyConfig,
    params::{self, Parameters},
};
use serde::Deserialize;

use super::{
    against_torch::{Named, assert_close, each_tensor, wide, with_weights},
    off_policy::Moment,
    sac::Sac,
    td3::Td3,
};
use crate::{
    DdpgConfig, SacConfig, Td3Config, TrainError, learner::Learner, metrics::Means,
    replay_buffer::Transitions, schedule::Left, target::Target,
};

#[derive(Deserialize)]
struct Goldens {
    learning_rate: f64,
    adam_epsilon: f64,
    tau: f64,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    critics: usize,
    entropy_coef: Option<f64>,
    actor: Named,
    target_actor: Option<Named>,
    weights: Named,
    target_weights: Named,
    observations: Vec<f32>,
    actions: Vec<f64>,
    rewards: Vec<f32>,
    next_observations: Vec<f32>,
    discounts: Vec<f32>,
    steps: Vec<Step>,
}

/// What a step was given, and what it came to.
#[derive(Deserialize)]
struct Step {
    /// Of ã and a′, or ε′ before it is clipped.
    noise: Vec<Vec<f32>>,
    targets: Vec<f64>,
    /// By the names of the metrics.
    told: BTreeMap<String, f64>,
    alpha: Option<f64>,
    /// How far everything has moved from where it began, after the first step and the last.
    moved: Option<Moved>,
    log_alpha: Option<f64>,
}

#[derive(Deserialize)]
struct Moved {
    actor: Named,
    critics: Named,
    target_critics: Named,
    target_actor: Option<Named>,
}

fn goldens() -> Goldens {
    serde_json::from_str(include_str!("../../tests/goldens/sac.json")).unwrap()
}

/// Entries in an action, and choices among discrete ones.
const DIMS: usize = 2;
const CHOICES: usize = 3;

/// Either of them, as the tests need them.
enum Agents {
    Sac(Box<Sac>),
    Td3(Box<Td3>),
}

/// What the actor of a case says.
fn head(name: &str) -> ActionHead {
    let (low, high) = (vec![-1.0; DIMS], vec![1.0; DIMS]);
    let some = |bounds: &[f32]| bounds.iter().copied().map(Some).collect();
    match name {
        "discrete SAC" => ActionHead::Categorical { n: CHOICES },
        "TD3" | "DDPG" => ActionHead::Deterministic { low, high },
        "SAC with gSDE" => ActionHead::Gsde {
            low: some(&low),
            high: some(&high),
            initial_log_std: -1.0,
            learn_features: true,
            squash: true,
        },
        _ => ActionHead::SquashedGaussian { low, high },
    }
}

/// An actor and critics of a case's shapes.
fn blank(case: &Case) -> (Policy, Critics) {
    let device = DeviceChoice::Auto.open().unwrap().autodiff();
    let (head, network) =
        (head(&case.name), MlpConfig { hidden: vec![8, 8], ..MlpConfig::default() });
    let [inputs, outputs] = match head {
        ActionHead::Categorical { n } => [4, n],
        _ => [4 + DIMS, 1],
    };
    let mut streams: Vec<EnvRng> = (0..case.critics as u64).map(EnvRng::new).collect();
    let critics = Critics::init(&network, inputs, outputs, &mut streams, &device).unwrap();
    let policy = PolicyConfig::new(4, head, network).init(&mut EnvRng::new(0), &device);
    (policy.unwrap(), critics)
}

impl Agents {
    /// The networks of a case with their golden weights.
    fn of(case: &Case, goldens: &Goldens) -> Self {
        let Goldens { learning_rate, adam_epsilon, tau, .. } = *goldens;
        let (td3, ddpg) = (Td3Config::default(), DdpgConfig::default());
        match case.name.as_str() {
            "TD3" => Self::td3(case, &Td3Config { learning_rate, tau, adam_epsilon, ..td3 }),
            "DDPG" => {
                let config = DdpgConfig { learning_rate, tau, adam_epsilon, ..ddpg };
                Self::td3(case, &config.as_td3())
            }
            _ => Self::sac(
                case,
                &SacConfig {
                    learning_rate,
                    tau,
                    adam_epsilon,
                    entropy_coef: case.entropy_coef,
                    initial_entropy_coef: 0.5,
                    ..SacConfig::default()
                },
            ),
        }
    }

    fn sac(case: &Case, config: &SacConfig) -> Self {
        let (actor, critics) = blank(case);
        let target = with_weights(critics.clone(), &case.target_weights).valid();
        let (actor, critics) =
            (with_weights(actor, &case.actor), with_weights(critics, &case.weights));
        let mut sac = Sac::new(config, actor, critics, EnvRng::new(0));
        sac.critics.target = Target::new(target);
        Self::Sac(Box::new(sac))
    }

    fn td3(case: &Case, config: &Td3Config) -> Self {
        let (actor, critics) = blank(case);
        let target = with_weights(critics.clone(), &case.target_weights).valid();
        let follower = with_weights(actor.clone(), case.target_actor.as_ref().unwrap()).valid();
        let (actor, critics) =
            (with_weights(actor, &case.actor), with_weights(critics, &case.weights));
        let mut td3 = Td3::new(config, actor, critics, EnvRng::new(0));
        (td3.critics.target, td3.target) = (Target::new(target), Target::new(follower));
        Self::Td3(Box::new(td3))
    }

    fn targets(&self, batch: &Transitions, step: &Step) -> Vec<f64> {
        let targets = match self {
            Self::Sac(sac) => {
                let noise = step.noise.get(1).map(Vec::as_slice).unwrap_or_default();
                sac.targets(batch, noise, sac.alpha())
            }
            Self::Td3(td3) => {
                td3.targets(batch, step.noise.first().map(Vec::as_slice).unwrap_or_default())
            }
        };
        targets.unwrap().into_data().iter::<f64>().collect()
    }

    fn improve(&mut self, batch: &Transitions, step: &Step) -> Result<Means, TrainError> {
        let mut means = Means::default();
        let at = Moment { left: Left { steps: 1, of: 100 }, update: 1 };
        let noise = |i: usize| step.noise.get(i).cloned().unwrap_or_default();
        match self {
            Self::Sac(sac) => sac.improve(batch, &[noise(0), noise(1)], at, &mut means)?,
            Self::Td3(td3) => td3.improve(batch, &noise(0), at, &mut means)?,
        }
        Ok(means)
    }

    /// Compares how far actor, critics, target critics and perhaps the target actor have moved.
    fn each(&self, start: &[Vec<f64>], step: &Moved, what: &dyn Fn(&str) -> String) {
        let (actor, judges) = match self {
            Self::Sac(sac) => (&sac.actor, &sac.critics),
            Self::Td3(td3) => (&td3.actor, &td3.critics),
        };
        moved(&actor.module, &start[0], &step.actor, &what("the actor"));
        moved(&judges.online.module, &start[1], &step.critics, &what("the critics"));
        moved(&judges.target.module, &start[2], &step.target_critics, &what("the target critics"));
        if let (Self::Td3(td3), Some(expected)) = (self, &step.target_actor) {
            moved(&td3.target.module, &start[3], expected, &what("the target actor"));
        }
    }

    /// Where all of those are now.
    fn flat(&self) -> Vec<Vec<f64>> {
        match self {
            Self::Sac(sac) => vec![
                wide(&params::flatten(&sac.actor.module)),
                wide(&params::flatten(&sac.critics.online.module)),
                wide(&params::flatten(&sac.critics.target.module)),
            ],
            Self::Td3(td3) => vec![
                wide(&params::flatten(&td3.actor.module)),
                wide(&params::flatten(&td3.critics.online.module)),
                wide(&params::flatten(&td3.critics.target.module)),
                wide(&params::flatten(&td3.target.module)),
            ],
        }
    }
}

/// How far `module` has moved from `start`, against what was expected.
fn moved(module: &impl Parameters, start: &[f64], expected: &Named, what: &str) {
    let now = wide(&params::flatten(module));
    let change: Vec<f64> = now.iter().zip(start).map(|(now, start)| now - start).collect();
    each_tensor(module, &change, expected, what);
}

fn transitions(case: &Case) -> Transitions {
    let actions = match case.name.as_str() {
        "discrete SAC" => ActionBatch::Discrete(case.actions.iter().map(|&a| a as usize).collect()),
        _ => {
            let values = case.actions.iter().map(|&a| a as f32).collect();
            ActionBatch::Continuous { values, dims: DIMS }
        }
    };
    Transitions {
        steps: 1,
        rows: (0..case.rewards.len()).collect(),
        observations: case.observations.clone(),
        valid: Vec::new(),
        actions,
        rewards: case.rewards.clone(),
        next_observations: case.next_observations.clone(),
        next_valid: Vec::new(),
        discounts: case.discounts.clone(),
        weights: Vec::new(),
    }
}

#[test]
fn ten_steps_of_every_actor_with_critics_are_pytorchs() {
    let goldens = goldens();
    let names: Vec<_> = goldens.cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names, ["SAC", "SAC with α fixed", "SAC with gSDE", "discrete SAC", "TD3", "DDPG"]);
    for case in &goldens.cases {
        let (mut agent, batch) = (Agents::of(case, &goldens), transitions(case));
        let start = agent.flat();
        assert_eq!(case.steps.len(), 10);
        for (i, step) in case.steps.iter().enumerate() {
            let what = |what: &str| format!("{}, step {}, {what}", case.name, i + 1);
            let targets = agent.targets(&batch, step);
            assert_close(&targets, &step.targets, &what("the targets"));
            let mut means = agent.improve(&batch, step).unwrap();
            for (name, value) in &step.told {
                assert_close(&[means.take(name)], &[*value], &what(name));
            }
            assert_eq!(step.moved.is_some(), i == 0 || i == 9);
            if let Some(expected) = &step.moved {
                agent.each(&start, expected, &what);
            }
            if let (Agents::Sac(sac), Some(log_alpha)) = (&agent, step.log_alpha) {
                let learnt: &Learner<_> = sac.temperature.as_ref().unwrap();
                let now = wide(&params::flatten(&learnt.module));
                assert_close(&now, &[log_alpha], &what("log α"));
            }
            if let (Agents::Sac(sac), Some(alpha)) = (&agent, step.alpha) {
                assert_close(&[sac.alpha()], &[alpha], &what("α"));
            }
        }
    }
}
