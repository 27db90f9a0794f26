//! Optimisers: a global norm, Adam and RMSprop, on all parameters as one flat vector.
//!
//! The parameters of a small network are a few thousand numbers. As one vector they are clipped and updated in
//! one pass and checkpointed as they are, where burn's optimiser takes about 5 µs for each tensor; and burn's
//! own norm clipping looks at one tensor at a time.

mod on_device;

use std::borrow::Cow;

use elegante_kernels::{AdamStep, all_finite, norm};

use self::on_device::OnDevice;
use crate::flat::{Flat, beside, on_host};

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
        adam_step(self.steps, learning_rate, self.epsilon).apply(
            parameters,
            gradient,
            &mut self.first,
            &mut self.second,
        )
    }
}

/// Step t of Adam, from 1.
fn adam_step(t: u64, learning_rate: f64, epsilon: f32) -> AdamStep {
    let t = t.min(1 << 30) as i32;
    let size = (learning_rate / (1.0 - f64::from(BETA_1).powi(t))) as f32;
    let correction = (1.0 - f64::from(BETA_2).powi(t)).sqrt().recip() as f32;
    AdamStep { betas: [BETA_1, BETA_2], size, correction, epsilon }
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
#[derive(Clone, Debug)]
pub(crate) enum Optimizer {
    Adam(Adam),
    RmsProp(RmsProp),
    /// Either of them where the parameters are not on the host.
    OnDevice(Box<OnDevice>),
}

impl Optimizer {
    /// Adam for as many parameters as these, where they are.
    pub(crate) fn adam(parameters: &Flat, epsilon: f64) -> Self {
        match parameters {
            Flat::Host(θ) => Self::Adam(Adam::new(θ.len(), epsilon)),
            Flat::Device(θ) => Self::OnDevice(OnDevice::adam(θ, epsilon).into()),
        }
    }

    /// RMSprop in the same way.
    pub(crate) fn rms_prop(parameters: &Flat, decay: f64, epsilon: f64) -> Self {
        match parameters {
            Flat::Host(θ) => Self::RmsProp(RmsProp::new(θ.len(), decay, epsilon)),
            Flat::Device(θ) => Self::OnDevice(OnDevice::rms_prop(θ, decay, epsilon).into()),
        }
    }

    /// One step of `parameters` down their gradient, which is scaled to the norm `longest` if it is longer (0:
    /// never). Returns the norm from before, and whether every parameter and every running mean is finite for
    /// sure; with a norm that is not, the parameters stay.
    pub(crate) fn step(
        &mut self,
        parameters: &mut Flat,
        gradient: Flat,
        longest: f64,
        learning_rate: f64,
    ) -> (f64, bool) {
        let rate = learning_rate;
        match self {
            Self::Adam(adam) => {
                host_step(parameters, gradient, longest, |θ, g| adam.step(θ, g, rate))
            }
            Self::RmsProp(rms) => {
                host_step(parameters, gradient, longest, |θ, g| rms.step(θ, g, rate))
            }
            Self::OnDevice(optimizer) => optimizer.step(parameters, gradient, longest, rate),
        }
    }

    /// The running mean of squared gradients.
    pub(crate) fn second(&self) -> Cow<'_, [f32]> {
        match self {
            Self::Adam(adam) => (&adam.second).into(),
            Self::RmsProp(rms) => (&rms.second).into(),
            Self::OnDevice(optimizer) => on_host(optimizer.second()).into(),
        }
    }

    /// Everything it keeps for each parameter, by name.
    pub(crate) fn moments(&self) -> Vec<(&'static str, Cow<'_, [f32]>)> {
        match self {
            Self::Adam(adam) => {
                vec![("adam.m", (&adam.first).into()), ("adam.v", (&adam.second).into())]
            }
            Self::RmsProp(rms) => vec![("rmsprop.v", (&rms.second).into())],
            Self::OnDevice(optimizer) => {
                let moments = optimizer.moments().into_iter();
                moments.map(|(name, moment)| (name, on_host(moment).into())).collect()
            }
        }
    }

    /// Takes the same from `take`, name by name.
    pub(crate) fn restore<E>(
        &mut self,
        mut take: impl FnMut(&'static str) -> Result<Vec<f32>, E>,
    ) -> Result<(), E> {
        match self {
            Self::Adam(adam) => {
                adam.first = take("adam.m")?;
                adam.second = take("adam.v")?;
            }
            Self::RmsProp(rms) => rms.second = take("rmsprop.v")?,
            Self::OnDevice(optimizer) => {
                for (name, moment) in optimizer.moments_mut() {
                    *moment = beside(moment, take(name)?);
                }
            }
        }
        Ok(())
    }

    /// Steps made, where they matter.
    pub(crate) fn steps(&self) -> u64 {
        match self {
            Self::Adam(adam) => adam.steps,
            Self::RmsProp(_) => 0,
            Self::OnDevice(optimizer) => optimizer.steps(),
        }
    }

    pub(crate) fn set_steps(&mut self, steps: u64) {
        match self {
            Self::Adam(adam) => adam.steps = steps,
            Self::RmsProp(_) => (),
            Self::OnDevice(optimizer) => {
                optimizer.steps_mut().into_iter().for_each(|t| *t = steps);
            }
        }
    }
}

/// `step` down a gradient that has been clipped.
fn host_step(
    parameters: &mut Flat,
    gradient: Flat,
    longest: f64,
    step: impl FnOnce(&mut [f32], &[f32]) -> bool,
) -> (f64, bool) {
    let mut gradient = gradient.into_numbers();
    let norm = clip_global_norm(&mut gradient, longest);
    (norm, norm.is_finite() && step(parameters.numbers_mut(), &gradient))
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
