//! One step of gradient descent: backward, one flat gradient, its global norm, Adam or RMSprop.
//!
//! The parameters of a small network are a few thousand numbers. As one flat vector on the host they
//! are clipped and updated in one pass and checkpointed as they are, where burn's optimiser takes
//! about 5 µs for each tensor; and burn's own norm clipping looks at one tensor at a time.

use burn::tensor::Tensor;
use elegante_kernels::{AdamStep, all_finite, norm};
use elegante_policy::params::{self, Parameters};

use crate::{TrainError, crew::Crew, inspect::Inspected, metrics::Means, watch::Watch};

const BETA_1: f32 = 0.9;
const BETA_2: f32 = 0.999;

/// Adam (Kingma & Ba, 2015, algorithm 1) on a flat vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Adam {
    /// First moments m.
    pub(crate) first: Vec<f32>,
    /// Second moments v.
    pub(crate) second: Vec<f32>,
    /// Steps made, t.
    pub(crate) steps: u64,
    epsilon: f32,
}

impl Adam {
    /// Moments of zero for `parameters` numbers.
    pub fn new(parameters: usize, epsilon: f64) -> Self {
        let zeros = vec![0.0; parameters];
        Self { first: zeros.clone(), second: zeros, steps: 0, epsilon: epsilon as f32 }
    }

    /// θ ← θ − α m̂ / (√v̂ + ε), with m̂ = m/(1 − β₁ᵗ) and v̂ = v/(1 − β₂ᵗ). Returns whether every θ and v is
    /// finite.
    pub fn step(&mut self, parameters: &mut [f32], gradient: &[f32], learning_rate: f64) -> bool {
        self.steps += 1;
        let t = self.steps.min(1 << 30) as i32;
        let size = (learning_rate / (1.0 - f64::from(BETA_1).powi(t))) as f32;
        let correction = (1.0 - f64::from(BETA_2).powi(t)).sqrt().recip() as f32;
        let betas = [BETA_1, BETA_2];
        AdamStep { betas, size, correction, epsilon: self.epsilon }.apply(
            parameters,
            gradient,
            &mut self.first,
            &mut self.second,
        )
    }
}

/// RMSprop (Tieleman & Hinton, 2012) on a flat vector, as in PyTorch, without momentum.
#[derive(Clone, Debug, PartialEq)]
pub struct RmsProp {
    /// Running mean of squared gradients.
    pub(crate) second: Vec<f32>,
    decay: f32,
    epsilon: f32,
}

impl RmsProp {
    /// A mean of zero for `parameters` numbers; `decay` is PyTorch's α.
    pub fn new(parameters: usize, decay: f64, epsilon: f64) -> Self {
        Self { second: vec![0.0; parameters], decay: decay as f32, epsilon: epsilon as f32 }
    }

    /// v ← α v + (1 − α) g², θ ← θ − lr g/(√v + ε). Returns whether every θ and v is finite.
    pub fn step(&mut self, parameters: &mut [f32], gradient: &[f32], learning_rate: f64) -> bool {
        let (decay, step) = (self.decay, learning_rate as f32);
        for ((θ, g), v) in parameters.iter_mut().zip(gradient).zip(&mut self.second) {
            *v = decay * *v + (1.0 - decay) * g * g;
            *θ -= step * g / (v.sqrt() + self.epsilon);
        }
        all_finite(parameters) && all_finite(&self.second)
    }
}

/// One of the optimisers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Optimizer {
    Adam(Adam),
    RmsProp(RmsProp),
}

impl Optimizer {
    fn step(&mut self, parameters: &mut [f32], gradient: &[f32], learning_rate: f64) -> bool {
        match self {
            Self::Adam(adam) => adam.step(parameters, gradient, learning_rate),
            Self::RmsProp(rms) => rms.step(parameters, gradient, learning_rate),
        }
    }

    /// The running mean of squared gradients.
    fn second(&self) -> &Vec<f32> {
        match self {
            Self::Adam(adam) => &adam.second,
            Self::RmsProp(rms) => &rms.second,
        }
    }

    /// Everything it keeps for each parameter, by name.
    pub(crate) fn moments(&self) -> Vec<(&'static str, &Vec<f32>)> {
        match self {
            Self::Adam(adam) => vec![("adam.m", &adam.first), ("adam.v", &adam.second)],
            Self::RmsProp(rms) => vec![("rmsprop.v", &rms.second)],
        }
    }

    /// The same, to be overwritten.
    pub(crate) fn moments_mut(&mut self) -> Vec<(&'static str, &mut Vec<f32>)> {
        match self {
            Self::Adam(adam) => vec![("adam.m", &mut adam.first), ("adam.v", &mut adam.second)],
            Self::RmsProp(rms) => vec![("rmsprop.v", &mut rms.second)],
        }
    }

    /// Steps made, where they matter.
    pub(crate) fn steps(&self) -> u64 {
        match self {
            Self::Adam(adam) => adam.steps,
            Self::RmsProp(_) => 0,
        }
    }

    pub(crate) fn set_steps(&mut self, steps: u64) {
        if let Self::Adam(adam) = self {
            adam.steps = steps;
        }
    }
}

/// Scales `gradient` to the norm `largest` if it is longer (0: never), the norm being taken over all
/// parameters at once; returns the norm from before (Pascanu et al., 2013).
pub fn clip_global_norm(gradient: &mut [f32], largest: f64) -> f64 {
    let norm = norm(gradient);
    if largest > 0.0 && norm > largest {
        let scale = (largest / norm) as f32;
        gradient.iter_mut().for_each(|g| *g *= scale);
    }
    norm
}

/// A module that learns: its parameters, its optimiser, and how long a gradient may be.
#[derive(Clone, Debug)]
pub(crate) struct Learner<M> {
    pub(crate) module: M,
    /// Its parameters as one flat vector, so that they need not be gathered for every step.
    flat: Vec<f32>,
    pub(crate) optimizer: Optimizer,
    max_grad_norm: f64,
    pub(crate) crew: Crew,
    /// Has every number on record, while an update that went wrong is made once more.
    pub(crate) watch: Option<Watch>,
    /// The last gradient, where somebody wants to see it.
    last_gradient: Option<Vec<f32>>,
    pub(crate) variation: Variation,
}

/// How much gradients differ from one minibatch to the next: tr Cov g, estimated by ½ E‖g − g′‖² of two that
/// follow each other, between which their expectation has hardly moved (von Neumann et al., 1941).
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Variation {
    /// The last gradient that was looked at.
    pub(crate) previous: Vec<f32>,
    /// Half of the squared distances, and how many, of the update that is being made.
    sum: f64,
    pairs: u32,
}

/// Pairs that are looked at in one update: more would cost as much as they tell.
const PAIRS: u32 = 8;

impl Variation {
    fn see(&mut self, gradient: &[f32]) {
        if self.previous.len() != gradient.len() {
            self.previous = gradient.to_vec();
        } else if self.pairs < PAIRS {
            self.previous.iter_mut().zip(gradient).for_each(|(old, new)| *old = new - *old);
            self.sum += 0.5 * norm(&self.previous).powi(2);
            self.pairs += 1;
            self.previous.copy_from_slice(gradient);
        }
    }

    /// The mean over the update that ends here; none before there have been two gradients.
    pub(crate) fn take(&mut self) -> Option<f64> {
        let (sum, pairs) = (std::mem::take(&mut self.sum), std::mem::take(&mut self.pairs));
        (pairs > 0).then(|| sum / f64::from(pairs))
    }
}

/// The derivatives of `loss` with respect to all parameters of `module`.
pub(crate) fn gradient(module: &impl Parameters, loss: &Tensor<1>) -> Vec<f32> {
    params::flatten_gradients(module, &mut loss.backward())
}

/// What one step of descent saw.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Descent {
    pub(crate) loss: f64,
    /// Global norm of the gradient, before clipping.
    pub(crate) grad_norm: f64,
}

impl<M: Parameters + Clone> Learner<M> {
    fn new(module: M, optimizer: Optimizer, max_grad_norm: f64) -> Self {
        Self {
            flat: params::flatten(&module),
            module,
            optimizer,
            max_grad_norm,
            crew: Crew::alone(),
            watch: None,
            last_gradient: None,
            variation: Variation::default(),
        }
    }

    /// A learner with Adam.
    pub(crate) fn adam(module: M, epsilon: f64, max_grad_norm: f64) -> Self {
        let optimizer = Optimizer::Adam(Adam::new(module.count(), epsilon));
        Self::new(module, optimizer, max_grad_norm)
    }

    /// A learner with RMSprop.
    pub(crate) fn rms_prop(module: M, decay: f64, epsilon: f64, max_grad_norm: f64) -> Self {
        let optimizer = Optimizer::RmsProp(RmsProp::new(module.count(), decay, epsilon));
        Self::new(module, optimizer, max_grad_norm)
    }

    /// The same learner on as many threads as it has a use for.
    pub(crate) fn on_threads(self, threads: usize) -> Self {
        Self { crew: Crew::new(threads), ..self }
    }

    /// Makes one step down the gradient of `loss`.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub(crate) fn descend(
        &mut self,
        loss: Tensor<1>,
        learning_rate: f64,
        update: u64,
    ) -> Result<Descent, TrainError> {
        let gradient = gradient(&self.module, &loss);
        self.step(loss.into_scalar::<f64>(), gradient, learning_rate, update)
    }

    /// Makes one step down `gradient`, that of `loss`.
    ///
    /// # Errors
    /// When the loss, its gradient or a new weight is not finite; the module is then as it was, the
    /// optimiser perhaps not.
    pub(crate) fn step(
        &mut self,
        loss: f64,
        mut gradient: Vec<f32>,
        learning_rate: f64,
        update: u64,
    ) -> Result<Descent, TrainError> {
        let finite = |what, value: f64| {
            if value.is_finite() {
                Ok(value)
            } else {
                Err(TrainError::NotFinite { update, what, value })
            }
        };
        if let Some(watch) = &mut self.watch {
            watch.number("loss", loss);
            watch.parameters("gradient", &self.module, &gradient);
        }
        finite("loss", loss)?;
        if let Some(last) = &mut self.last_gradient {
            last.clone_from(&gradient);
        }
        self.variation.see(&gradient);
        let grad_norm = clip_global_norm(&mut gradient, self.max_grad_norm);
        finite("norm of the gradient", grad_norm)?;

        let fine = self.optimizer.step(&mut self.flat, &gradient, learning_rate);
        if let Some(watch) = &mut self.watch {
            watch.number("norm of the gradient", grad_norm);
            watch.parameters("second moment", &self.module, self.optimizer.second());
            watch.parameters("new weight", &self.module, &self.flat);
        }
        if !fine {
            // The square of a finite gradient overflows when it is absurd, as does an absurd step.
            let new = std::mem::replace(&mut self.flat, params::flatten(&self.module));
            for (what, numbers) in
                [("second moment", self.optimizer.second()), ("new weight", &new)]
            {
                numbers.iter().try_for_each(|&x| finite(what, f64::from(x)).map(drop))?;
            }
        }
        params::overwrite(&mut self.module, &self.flat);
        Ok(Descent { loss, grad_norm })
    }

    /// All parameters, one after the other.
    pub(crate) fn parameters(&self) -> &[f32] {
        &self.flat
    }

    /// Notes how much the gradients of the update that ends here differed.
    pub(crate) fn tell_variation(&mut self, means: &mut Means) {
        self.variation.take().iter().for_each(|variance| means.add("grad_variance", *variance));
    }

    /// Keeps the gradients of later steps for [`inspect`](Self::inspect).
    pub(crate) fn keep_gradients(&mut self) {
        self.last_gradient.get_or_insert_default();
    }

    /// Every parameter with its last gradient, their names below `part` if that is not empty.
    pub(crate) fn inspect(&self, part: &str) -> Vec<Inspected> {
        let gradient = self.last_gradient.as_deref().unwrap_or_default();
        let mut at = 0;
        let tensor = |info: params::ParamInfo| {
            let range = at..at + info.shape.iter().product::<usize>();
            at = range.end;
            let name = if part.is_empty() { info.name } else { format!("{part}.{}", info.name) };
            let values = self.flat[range.clone()].to_vec();
            let gradient = gradient.get(range).unwrap_or_default().to_vec();
            Inspected { name, shape: info.shape, values, gradient }
        };
        params::describe(&self.module).into_iter().map(tensor).collect()
    }

    /// Puts other parameters into the module.
    pub(crate) fn replace(&mut self, flat: Vec<f32>) {
        params::overwrite(&mut self.module, &flat);
        self.flat = flat;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adam_by_hand() {
        // The first step is α·g/(|g| + ε') whatever the size of the gradient.
        let mut adam = Adam::new(2, 1e-8);
        let mut θ = [1.0, -2.0];
        adam.step(&mut θ, &[0.5, -4.0], 0.1);
        assert!((θ[0] - 0.9).abs() < 1e-6 && (θ[1] + 1.9).abs() < 1e-6, "{θ:?}");
        // Second: m = 0.9·0.05 + 0.1·1 = 0.145, m̂ = 0.145/0.19; v = 0.999·0.00025 + 0.001, v̂ = v/0.001999.
        adam.step(&mut θ, &[1.0, 0.0], 0.1);
        let (m, v) = (0.145f64 / 0.19, 0.001_249_75f64 / 0.001_999);
        assert!((f64::from(θ[0]) - (0.9 - 0.1 * m / v.sqrt())).abs() < 1e-6, "{θ:?}");
    }

    #[test]
    fn rms_prop_by_hand() {
        let mut rms = RmsProp::new(1, 0.99, 1e-5);
        let mut θ = [1.0];
        rms.step(&mut θ, &[2.0], 0.1);
        // v = 0.01·4 = 0.04: a step of 0.1·2/0.2 = 1.
        assert!(θ[0].abs() < 1e-4, "{θ:?}");
        rms.step(&mut θ, &[-1.0], 0.1);
        let v = 0.99f64 * 0.04 + 0.01;
        assert!((f64::from(θ[0]) - 0.1 / v.sqrt()).abs() < 1e-4, "{θ:?}");
    }

    #[test]
    fn the_variance_of_gradients_is_the_trace_of_their_covariance() {
        let mut rng = elegante_env::EnvRng::new(2);
        let mut variation = Variation::default();
        assert_eq!(variation.take(), None);
        let (mut told, mut updates) = (0.0, 0.0);
        for update in 0..2_000 {
            // Variances of 1/3 and 4/3 about a mean that wanders slowly.
            for _ in 0..1 + update % 3 {
                let mean = 0.01 * f64::from(update);
                let g = [mean + rng.uniform(-1.0, 1.0), 5.0 + rng.uniform(-2.0, 2.0)];
                variation.see(&g.map(|g| g as f32));
            }
            if let Some(variance) = variation.take() {
                told += variance;
                updates += 1.0;
            }
        }
        assert_eq!(updates, 1_999.0, "one gradient by itself has nothing to differ from");
        assert!((told / updates - 5.0 / 3.0).abs() < 0.08, "{}", told / updates);
        (0..100).for_each(|_| variation.see(&[1.0, 1.0]));
        assert_eq!(variation.pairs, PAIRS);
    }

    #[test]
    fn epsilon_damps_small_gradients() {
        let mut θ = [0.0];
        Adam::new(1, 1.0).step(&mut θ, &[1.0], 0.1);
        assert!((θ[0] + 0.05).abs() < 1e-6, "{θ:?}");
    }

    #[test]
    fn clipping_looks_at_all_parameters_together() {
        let mut gradient = [3.0, 0.0, 4.0];
        assert_eq!(clip_global_norm(&mut gradient, 10.0), 5.0);
        assert_eq!(gradient, [3.0, 0.0, 4.0]);
        assert_eq!(clip_global_norm(&mut gradient, 1.0), 5.0);
        assert!((gradient[0] - 0.6).abs() < 1e-6 && (gradient[2] - 0.8).abs() < 1e-6);
        assert_eq!(clip_global_norm(&mut gradient, 0.0), clip_global_norm(&mut gradient, 0.0));
    }
}
