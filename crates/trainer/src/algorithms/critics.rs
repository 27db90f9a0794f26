//! What actors with critics of their own share: critics and their targets, and how a step of either is put
//! on record.

use burn::tensor::Tensor;
use elegante_env::EnvRng;
use elegante_policy::{ActionBatch, ActionHead, Critics, params::Parameters};
use rand::RngExt;
use rand_distr::StandardNormal;

use crate::{
    TrainError,
    checkpoint::Checkpoint,
    learner::{Descent, Learner},
    loss::critics_mse,
    metrics::Means,
    target::Target,
    watch::{Array, Watch},
};

/// Critics that learn, and those they learn from.
#[derive(Clone)]
pub(super) struct Judges {
    /// Q₁, Q₂, ….
    pub(super) online: Learner<Critics>,
    /// The same as they were, without autodiff; they follow slowly.
    pub(super) target: Target<Critics>,
}

impl Judges {
    /// `critics` have autodiff.
    pub(super) fn new(critics: Critics, epsilon: f64, max_grad_norm: f64) -> Self {
        let target = Target::new(critics.valid());
        Self { online: Learner::adam(critics, epsilon, max_grad_norm), target }
    }

    /// One step of every critic towards `target`, noted; `values` is what they say, a `[rows]` of each, and
    /// `scale` what the sum of their errors is multiplied by.
    pub(super) fn learn(
        &mut self,
        values: Vec<Tensor<1>>,
        target: Tensor<1>,
        (scale, rate, update): (f64, f64, u64),
        watch: &mut Option<Watch>,
        means: &mut Means,
    ) -> Result<(), TrainError> {
        if let Some(watch) = watch {
            for value in &values {
                watch.record("value", column(value.clone().inner()));
            }
            watch.record("target", column(target.clone()));
        }
        let told = values.iter().map(|value| value.clone().inner().mean().into_scalar::<f64>());
        means.add("q_value", told.sum::<f64>() / values.len() as f64);
        let loss = critics_mse(values, Tensor::from_inner(target)) * scale;
        let descent = descend(&mut self.online, (watch, "critics."), loss, rate, update)?;
        means.add("loss", descent.loss);
        means.add("critic_loss", descent.loss);
        means.add("grad_norm", descent.grad_norm);
        Ok(())
    }

    /// Q⁻ ← τ Q + (1 − τ) Q⁻.
    pub(super) fn follow(&mut self, tau: f64) {
        self.target.follow(&self.online, tau);
    }

    /// Puts every weight on record.
    pub(super) fn record(&self, watch: &mut Watch) {
        watch.turn("critics.");
        watch.parameters("weight", &self.online.module, &self.online.parameters());
        self.target.record(watch);
        watch.turn("");
    }

    pub(super) fn save(&self, checkpoint: &mut Checkpoint) {
        checkpoint.put("critics", &self.online);
        self.target.save("target", checkpoint);
    }

    pub(super) fn restore(&mut self, checkpoint: &mut Checkpoint) -> Result<(), TrainError> {
        checkpoint.get("critics", &mut self.online)?;
        self.target.restore("target", checkpoint)
    }
}

/// One step of `learner` down the gradient of `loss`, on record where the update is watched: what has a
/// name there goes by `scope`.
pub(super) fn descend<M: Parameters + Clone>(
    learner: &mut Learner<M>,
    (watch, scope): (&mut Option<Watch>, &'static str),
    loss: Tensor<1>,
    rate: f64,
    update: u64,
) -> Result<Descent, TrainError> {
    learner.watch = watch.take();
    learner.watch.iter_mut().for_each(|watch| watch.turn(scope));
    let descent = learner.descend(loss, rate, update);
    *watch = learner.watch.take();
    watch.iter_mut().for_each(|watch| watch.turn(""));
    descent
}

/// A column of numbers as a stage of what is on record.
pub(super) fn column(numbers: Tensor<1>) -> Array {
    Array::flat(numbers.into_data().iter::<f32>().collect::<Vec<_>>())
}

/// `[rows, 1]` as `[rows]`.
pub(super) fn flat(values: Tensor<2>) -> Tensor<1> {
    values.squeeze_dim(1)
}

/// Refuses networks that remember.
pub(super) fn without_memory(name: &str, memory: usize) -> Result<(), TrainError> {
    match memory {
        0 => Ok(()),
        _ => Err(TrainError::Unsupported(format!(
            "{name} works with networks that have no memory: choose A2C or PPO"
        ))),
    }
}

/// `n` standard normal numbers.
pub(super) fn normal(n: usize, stream: &mut EnvRng) -> Vec<f32> {
    (0..n).map(|_| stream.sample::<f32, _>(StandardNormal)).collect()
}

/// An action for every stream, each valid one as likely as any other; of the kind that `head` draws, which
/// is what an environment's would be before the bounds are put around it.
///
/// # Shapes
/// `valid`: `[streams × choices]`, or empty where everything is allowed.
pub(super) fn evenly(head: &ActionHead, valid: &[bool], streams: &mut [EnvRng]) -> ActionBatch {
    let dims = head.dims();
    if let ActionBatch::Discrete(_) = head.no_actions() {
        let n = head.choices();
        let choose = |(lane, stream): (usize, &mut EnvRng)| {
            let allowed: Vec<usize> =
                (0..n).filter(|a| valid.get(lane * n + a).copied().unwrap_or(true)).collect();
            allowed[stream.random_range(0..allowed.len())]
        };
        return ActionBatch::Discrete(streams.iter_mut().enumerate().map(choose).collect());
    }
    let certain = matches!(head, ActionHead::Deterministic { .. });
    let mut values = Vec::with_capacity(streams.len() * dims);
    for stream in streams {
        for _ in 0..dims {
            let a = stream.uniform(-1.0, 1.0);
            // What tanh makes a of, where the head keeps that; finite even next to ±1.
            let u = if certain { a } else { a.clamp(-NEARLY, NEARLY).atanh() };
            values.push(u as f32);
        }
    }
    ActionBatch::Continuous { values, dims }
}

/// As near to ±1 as atanh is asked for.
const NEARLY: f64 = 1.0 - 1e-7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evenly_drawn_actions_fill_the_box() {
        let (low, high) = (vec![-2.0, 0.0], vec![2.0, 1.0]);
        let squashed = ActionHead::SquashedGaussian { low: low.clone(), high: high.clone() };
        for head in [squashed, ActionHead::Deterministic { low, high }] {
            let mut streams: Vec<EnvRng> = (0..4_000).map(EnvRng::new).collect();
            let drawn = head.to_env(evenly(&head, &[], &mut streams));
            let ActionBatch::Continuous { values, dims: 2 } = drawn else { panic!("{drawn:?}") };
            for (j, (low, high)) in [(-2.0, 2.0), (0.0, 1.0)].into_iter().enumerate() {
                let mut quarters = [0; 4];
                for value in values.iter().skip(j).step_by(2) {
                    let t = (value - low) / (high - low);
                    assert!((0.0..=1.0).contains(&t), "{value}");
                    quarters[((4.0 * t) as usize).min(3)] += 1;
                }
                // Five deviations of a binomial.
                assert!(quarters.iter().all(|n| (863..=1_137).contains(n)), "{quarters:?}");
            }
        }
    }

    #[test]
    fn evenly_drawn_choices_are_valid_ones() {
        let head = ActionHead::Categorical { n: 3 };
        let valid = [true, false, true, false, true, false];
        let mut counts = [0; 3];
        for seed in 0..400 {
            let mut streams = [EnvRng::new(seed), EnvRng::new(seed + 1_000)];
            let ActionBatch::Discrete(drawn) = evenly(&head, &valid, &mut streams) else {
                panic!("choices were asked for")
            };
            assert_eq!(drawn[1], 1);
            counts[drawn[0]] += 1;
        }
        assert_eq!(counts[1], 0);
        assert!(counts[0] > 140 && counts[2] > 140, "{counts:?}");
    }
}
