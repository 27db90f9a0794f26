//! One minibatch of replayed transitions against PyTorch: the numbers are those of
//! `scripts/goldens_dqn.py`.

use elegante_env::EnvRng;
use elegante_policy::{
    ActionBatch, ActionHead, ActionValues, DeviceChoice, MlpConfig, PolicyConfig, WeightNoise,
    params,
};
use serde::Deserialize;

use super::{
    against_torch::{Named, assert_close, each_tensor, wide, with_weights},
    dqn::{Disturbance, Dqn},
    off_policy::{Agent, Moment},
};
use crate::{
    DqnConfig, metrics::Means, replay_buffer::Transitions, schedule::Left, target::Target,
};

#[derive(Deserialize)]
struct Goldens {
    actions: usize,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    settings: Settings,
    weights: Named,
    target_weights: Named,
    observations: Vec<f32>,
    actions: Vec<usize>,
    rewards: Vec<f32>,
    next_observations: Vec<f32>,
    discounts: Vec<f32>,
    importance: Vec<f32>,
    first: First,
    grad_norms: Vec<f64>,
    changes: Vec<Named>,
    /// For each step, of what learns, the target, and what chooses: ε and ε′ of each layer.
    #[serde(default)]
    noise: Vec<[Vec<[Vec<f32>; 2]>; 3]>,
}

#[derive(Deserialize)]
struct Settings {
    learning_rate: f64,
    max_grad_norm: f64,
    clips: bool,
    double: bool,
    dueling: bool,
    quantiles: usize,
    weighted: bool,
    #[serde(default)]
    noisy: bool,
}

/// Of the first step.
#[derive(Deserialize)]
struct First {
    loss: f64,
    targets: Vec<f64>,
    gradients: Named,
}

fn goldens() -> Goldens {
    serde_json::from_str(include_str!("../../tests/goldens/dqn.json")).unwrap()
}

/// The networks of a case with their golden weights.
fn agent(case: &Case, n: usize) -> Dqn {
    let s = &case.settings;
    let config = DqnConfig {
        learning_rate: s.learning_rate,
        max_grad_norm: s.max_grad_norm,
        adam_epsilon: 1e-5,
        double: s.double,
        dueling: s.dueling,
        quantiles: s.quantiles,
        prioritized: s.weighted,
        noisy: s.noisy,
        ..DqnConfig::default()
    };
    let device = DeviceChoice::Auto.open().unwrap().autodiff();
    let values = ActionValues { n, dueling: s.dueling, quantiles: s.quantiles };
    let head = ActionHead::EpsilonGreedy { values, epsilon: 0.0 };
    let network = MlpConfig { hidden: vec![8, 8], ..MlpConfig::default() };
    let policy = PolicyConfig::new(4, head, network);
    let blank = policy.init(&mut EnvRng::new(0), &device).unwrap();
    let mut dqn = Dqn::new(&config, blank, EnvRng::new(0)).unwrap();
    dqn.target = Target::new(with_weights(dqn.target.module, &case.target_weights));
    let start = with_weights(dqn.online.module.clone(), &case.weights);
    dqn.online.replace(params::flatten(&start));
    dqn
}

/// What disturbs the networks in a step.
fn noise(case: &Case, step: usize) -> Disturbance {
    let Some([online, target, chooser]) = case.noise.get(step) else {
        return Disturbance::default();
    };
    let of = |layers: &Vec<[Vec<f32>; 2]>| WeightNoise::of(layers.iter().cloned());
    Disturbance { online: of(online), target: of(target), chooser: of(chooser) }
}

fn transitions(case: &Case) -> Transitions {
    Transitions {
        steps: 1,
        rows: (0..case.rewards.len()).collect(),
        observations: case.observations.clone(),
        valid: Vec::new(),
        actions: ActionBatch::Discrete(case.actions.clone()),
        rewards: case.rewards.clone(),
        next_observations: case.next_observations.clone(),
        next_valid: Vec::new(),
        discounts: case.discounts.clone(),
        weights: case.importance.clone(),
    }
}

#[test]
fn ten_steps_of_every_form_are_pytorchs() {
    let goldens = goldens();
    assert_eq!(goldens.cases.len(), 5);
    for case in &goldens.cases {
        let (mut dqn, batch) = (agent(case, goldens.actions), transitions(case));
        assert_eq!(batch.weights.is_empty(), !case.settings.weighted);
        let start = wide(&params::flatten(&dqn.online.module));
        dqn.keep_gradients();
        assert_eq!(case.noise.len(), if case.settings.noisy { 10 } else { 0 });
        assert_eq!(case.changes.len(), 10);
        for (step, (changes, norm)) in case.changes.iter().zip(&case.grad_norms).enumerate() {
            let what = |what: &str| format!("{}, step {}, {what}", case.name, step + 1);
            if step == 0 {
                let targets = dqn.targets(&batch, &noise(case, step)).into_data();
                let targets: Vec<f64> = targets.iter::<f64>().collect();
                assert_close(&targets, &case.first.targets, &what("the targets"));
            }
            let mut means = Means::default();
            let at = Moment { left: Left { steps: 1, of: 100 }, update: 1 };
            dqn.improve(&batch, &noise(case, step), at, &mut means).unwrap();
            assert_close(&[means.take("grad_norm")], &[*norm], &what("the norm"));
            if step == 0 {
                assert_eq!(*norm > case.settings.max_grad_norm, case.settings.clips);
                assert_close(&[means.take("loss")], &[case.first.loss], &what("the loss"));
                let told = dqn.inspect();
                let gradient: Vec<f32> = told.into_iter().flat_map(|it| it.gradient).collect();
                let module = &dqn.online.module;
                each_tensor(module, &wide(&gradient), &case.first.gradients, &what("the gradient"));
            }
            let now = wide(&params::flatten(&dqn.online.module));
            let change: Vec<f64> = now.iter().zip(&start).map(|(now, start)| now - start).collect();
            each_tensor(&dqn.online.module, &change, changes, &what("the change"));
        }
    }
}
