//! Networks that follow those that learn.

use elegante_policy::params::Parameters;

use crate::{TrainError, checkpoint::Checkpoint, flat::Flat, learner::Learner, watch::Watch};

/// A network whose weights θ⁻ follow those of one that learns, without autodiff: what bootstraps, so that what
/// is learnt from does not move with every step (Mnih et al., 2015).
#[derive(Clone, Debug)]
pub(crate) struct Target<M> {
    pub(crate) module: M,
    /// θ⁻ as one flat vector.
    flat: Flat,
}

impl<M: Parameters + Clone> Target<M> {
    /// `module` has no autodiff.
    pub(crate) fn new(module: M) -> Self {
        Self { flat: Flat::of(&module), module }
    }

    /// θ⁻ ← τ θ + (1 − τ) θ⁻; a copy with τ = 1.
    pub(crate) fn follow(&mut self, online: &Learner<M>, tau: f64) {
        self.flat.approach(online.flat(), (1.0 - tau) as f32);
        self.flat.put(&mut self.module);
    }

    /// Puts the weights on record.
    pub(crate) fn record(&self, watch: &mut Watch) {
        watch.parameters("target weight", &self.module, &self.flat.numbers());
    }

    /// Notes the weights under `name`.
    pub(crate) fn save(&self, name: &str, checkpoint: &mut Checkpoint) {
        checkpoint.numbers.insert(name.to_owned(), self.flat.numbers().into_owned());
    }

    /// Goes back to the weights that were noted.
    pub(crate) fn restore(
        &mut self,
        name: &str,
        checkpoint: &mut Checkpoint,
    ) -> Result<(), TrainError> {
        self.flat.replace(checkpoint.take(name, self.module.count())?);
        self.flat.put(&mut self.module);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use elegante_env::EnvRng;
    use elegante_policy::{Critics, DeviceChoice, MlpConfig, params};

    use super::*;

    #[test]
    fn it_goes_a_part_of_the_way_and_at_last_becomes_a_copy() {
        let device = DeviceChoice::Auto.open().unwrap();
        let critics = |seed, device: &_| {
            Critics::init(&MlpConfig::default(), 3, 1, [&mut EnvRng::new(seed)], device).unwrap()
        };
        let online = Learner::adam(critics(1, &device.clone().autodiff()), 1e-8, 0.0);
        let mut target = Target::new(critics(2, &device));
        let numbers = |target: &Target<_>| target.flat.numbers().into_owned();
        let (new, old) = (online.parameters().into_owned(), numbers(&target));
        target.follow(&online, 0.25);
        for ((now, old), new) in numbers(&target).iter().zip(&old).zip(&new) {
            assert!((now - (0.75 * old + 0.25 * new)).abs() < 1e-6);
        }
        assert_eq!(params::flatten(&target.module), numbers(&target));
        target.follow(&online, 1.0);
        assert_eq!(params::flatten(&target.module), new);
    }
}
