//! One minibatch against PyTorch: the numbers are those of `scripts/goldens_torch.py`.

use std::collections::BTreeMap;

use burn::tensor::Device;
use elegante_env::{Ending, EnvRng};
use elegante_policy::{
    ActionBatch, ActionHead, ActorCritic, DeviceChoice, MlpConfig, PolicyConfig,
    params::{self, Parameters},
};
use serde::Deserialize;

use super::{
    a2c::{self, PolicyGradient},
    objective,
    ppo::{self, Surrogate},
};
use crate::{
    A2cConfig, PpoConfig,
    learner::Learner,
    metrics::Means,
    rollout::{Layout, Minibatch, Rollout},
};

/// Numbers of every parameter, by its name.
pub(super) type Named = BTreeMap<String, Vec<f64>>;

#[derive(Deserialize)]
struct Goldens {
    gamma: f64,
    lambda: f64,
    lanes: usize,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    settings: Settings,
    weights: Named,
    observations: Vec<f32>,
    actions: Vec<f32>,
    old_log_probs: Vec<f64>,
    rewards: Vec<f64>,
    values: Vec<f64>,
    next_values: Vec<f64>,
    endings: Vec<Option<Ending>>,
    advantages: Vec<f64>,
    returns: Vec<f64>,
    first: First,
    grad_norms: Vec<f64>,
    changes: Vec<Named>,
}

#[derive(Deserialize)]
struct Settings {
    learning_rate: f64,
    clip_range: Option<f64>,
    clip_value: Option<f64>,
    normalize_advantages: bool,
    entropy_coef: f64,
    value_coef: f64,
    max_grad_norm: f64,
    epsilon: f64,
}

/// Of the first step.
#[derive(Deserialize)]
struct First {
    terms: BTreeMap<String, f64>,
    gradients: Named,
    moments: Named,
}

fn goldens() -> Goldens {
    serde_json::from_str(include_str!("../../tests/goldens/update.json")).unwrap()
}

/// What learns in a case, with the functions that training calls.
enum Method {
    Ppo(PpoConfig),
    A2c(A2cConfig),
}

impl Method {
    fn of(case: &Case) -> Self {
        let s = &case.settings;
        match s.clip_range {
            Some(clip_range) => Self::Ppo(PpoConfig {
                clip_range,
                clip_value: s.clip_value,
                normalize_advantages: s.normalize_advantages,
                entropy_coef: s.entropy_coef,
                value_coef: s.value_coef,
                ..PpoConfig::default()
            }),
            None => Self::A2c(A2cConfig {
                normalize_advantages: s.normalize_advantages,
                entropy_coef: s.entropy_coef,
                value_coef: s.value_coef,
                ..A2cConfig::default()
            }),
        }
    }

    fn learner(&self, networks: ActorCritic, s: &Settings) -> Learner<ActorCritic> {
        match self {
            Self::Ppo(_) => Learner::adam(networks, s.epsilon, s.max_grad_norm),
            Self::A2c(c) => Learner::rms_prop(networks, c.rms_decay, s.epsilon, s.max_grad_norm),
        }
    }

    fn normalizes(&self) -> bool {
        match self {
            Self::Ppo(c) => c.normalize_advantages,
            Self::A2c(c) => c.normalize_advantages,
        }
    }

    fn gradient(&self, learner: &Learner<ActorCritic>, batch: &Minibatch) -> Vec<f32> {
        let told = match self {
            Self::Ppo(c) => objective::loss(learner, batch, &Surrogate::new(c, c.clip_range)),
            Self::A2c(c) => objective::loss(learner, batch, &PolicyGradient::new(c)),
        };
        told.gradient.into_numbers()
    }

    /// One step; returns its measurements.
    fn descend(
        &self,
        learner: &mut Learner<ActorCritic>,
        batch: &Minibatch,
        learning_rate: f64,
    ) -> Means {
        let mut means = Means::default();
        match self {
            Self::Ppo(c) => {
                let sizes = (learning_rate, c.clip_range);
                ppo::descend(c, learner, batch, sizes, 1, &mut means).map(drop)
            }
            Self::A2c(c) => a2c::descend(c, learner, batch, learning_rate, 1, &mut means),
        }
        .unwrap();
        means
    }
}

fn head(case: &Case) -> ActionHead {
    if case.weights.contains_key("policy.log_std") {
        let (low, high) = (vec![None; 2], vec![None; 2]);
        return ActionHead::Gaussian { low, high, initial_log_std: 0.0 };
    }
    ActionHead::Categorical { n: 2 }
}

/// The networks with the golden weights, laid out by their names.
fn networks(case: &Case, device: &Device) -> ActorCritic {
    let network = MlpConfig { hidden: vec![8, 8], ..MlpConfig::default() };
    let config = PolicyConfig::new(4, head(case), network);
    let mut rng = EnvRng::new(0);
    let networks = ActorCritic::init(&config, &mut rng.clone(), &mut rng, device).unwrap();
    with_weights(networks, &case.weights)
}

/// The same module with the golden weights, laid out by their names.
pub(super) fn with_weights<P: Parameters>(module: P, weights: &Named) -> P {
    let mut flat = Vec::new();
    for parameter in params::describe(&module) {
        let values = &weights[&parameter.name];
        assert_eq!(values.len(), parameter.shape.iter().product::<usize>(), "{parameter:?}");
        flat.extend(values.iter().map(|&x| x as f32));
    }
    params::unflatten(module, &flat)
}

fn rollout(case: &Case, lanes: usize) -> Rollout {
    let head = head(case);
    let actions = match head.no_actions() {
        ActionBatch::Continuous { dims, .. } => {
            ActionBatch::Continuous { values: case.actions.clone(), dims }
        }
        _ => ActionBatch::Discrete(case.actions.iter().map(|&a| a as usize).collect()),
    };
    let mut starts = vec![false; case.rewards.len()];
    starts[..lanes].fill(true);
    Rollout {
        lanes,
        width: 4,
        head,
        observations: case.observations.clone(),
        actions,
        valid: Vec::new(),
        log_probs: case.old_log_probs.clone(),
        rewards: case.rewards.clone(),
        values: case.values.clone(),
        next_values: case.next_values.clone(),
        endings: case.endings.clone(),
        starts,
        memory: Vec::new(),
    }
}

/// Agreement to 1e-5 of the largest entry, or 1e-7.
pub(super) fn assert_close(ours: &[f64], theirs: &[f64], what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let largest = theirs.iter().fold(0.0f64, |largest, x| largest.max(x.abs()));
    let tolerance = (1e-5 * largest).max(1e-7);
    for (i, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        let error = (ours - theirs).abs();
        assert!(error <= tolerance, "{what}, entry {i}: {ours} and {theirs}, {error:e} apart");
    }
}

/// Numbers laid out as the parameters are, each tensor against its golden.
pub(super) fn each_tensor(module: &impl Parameters, flat: &[f64], theirs: &Named, what: &str) {
    let parameters = params::describe(module);
    assert_eq!(parameters.len(), theirs.len(), "{what}");
    let mut rest = flat;
    for parameter in parameters {
        let (ours, others) = rest.split_at(parameter.shape.iter().product());
        rest = others;
        assert_close(ours, &theirs[&parameter.name], &format!("{what} of {}", parameter.name));
    }
}

pub(super) fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}

/// A case, its networks, and all of its rollout as one minibatch of shards of so many rows.
fn ready(goldens: &Goldens, case: &Case, shard: usize) -> (Method, ActorCritic, Minibatch) {
    let device = DeviceChoice::Auto.open().unwrap().autodiff();
    let rollout = rollout(case, goldens.lanes);
    let targets = rollout.targets(goldens.gamma, goldens.lambda);
    let all: Vec<usize> = (0..rollout.units()).collect();
    let (method, networks) = (Method::of(case), networks(case, &device));
    let layout = Layout { normalize_advantages: method.normalizes(), shard, device };
    let batch = rollout.gather(&targets, &all, &layout);
    (method, networks, batch)
}

/// The whole minibatch at once, and in pieces of which the last is smaller than the others.
const SHARDS: [usize; 2] = [usize::MAX, 5];

#[test]
fn advantages_and_returns_are_those_of_the_definition() {
    let goldens = goldens();
    for case in &goldens.cases {
        for ending in [Ending::Truncated, Ending::Terminated] {
            assert!(case.endings.contains(&Some(ending)), "{}: {ending:?}", case.name);
        }
        let targets = rollout(case, goldens.lanes).targets(goldens.gamma, goldens.lambda);
        assert_close(&targets.advantages, &case.advantages, &format!("{}, Â", case.name));
        assert_close(&targets.returns, &case.returns, &format!("{}, G", case.name));
    }
}

#[test]
fn every_gradient_is_pytorchs_in_pieces_and_on_threads() {
    let goldens = goldens();
    for case in &goldens.cases {
        for shard in SHARDS {
            let (method, networks, batch) = ready(&goldens, case, shard);
            assert_eq!(batch.0.len() == 1, shard == usize::MAX);
            let gradient = |threads| {
                let learner = method.learner(networks.clone(), &case.settings).on_threads(threads);
                // Once for each phase of the crew, one by one and at once.
                let gradients: Vec<_> =
                    (0..20).map(|_| method.gradient(&learner, &batch)).collect();
                assert!(gradients.iter().all(|g| *g == gradients[0]), "{threads} threads");
                gradients[0].clone()
            };
            let one = gradient(1);
            assert!([2, 3, 8].into_iter().all(|threads| gradient(threads) == one));
            let what = format!("{}, the gradient in shards of {shard}", case.name);
            each_tensor(&networks, &wide(&one), &case.first.gradients, &what);
        }
    }
}

#[test]
fn ten_steps_are_pytorchs() {
    let goldens = goldens();
    for (case, shard) in goldens.cases.iter().flat_map(|case| SHARDS.map(|shard| (case, shard))) {
        let (method, networks, batch) = ready(&goldens, case, shard);
        let start = wide(&params::flatten(&networks));
        let mut learner = method.learner(networks, &case.settings);
        for (step, (changes, norm)) in case.changes.iter().zip(&case.grad_norms).enumerate() {
            let what = |what: &str| format!("{}, step {}, {what}", case.name, step + 1);
            let mut means = method.descend(&mut learner, &batch, case.settings.learning_rate);
            assert_close(&[means.take("grad_norm")], &[*norm], &what("the norm"));
            if step == 0 {
                assert!(*norm > case.settings.max_grad_norm, "the norm is not clipped");
                for (name, theirs) in &case.first.terms {
                    assert_close(&[means.take(name)], &[*theirs], &what(name));
                }
                // What the optimiser was given is the clipped gradient.
                let (_, moments) = learner.optimizer.moments().swap_remove(0);
                let what = what("the moments");
                each_tensor(&learner.module, &wide(&moments), &case.first.moments, &what);
            }
            let now = wide(&params::flatten(&learner.module));
            let change: Vec<f64> = now.iter().zip(&start).map(|(now, start)| now - start).collect();
            each_tensor(&learner.module, &change, changes, &what("the change"));
        }
        assert_eq!(case.changes.len(), 10);
    }
}
