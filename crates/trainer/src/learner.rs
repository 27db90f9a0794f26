//! A network that learns: backward, one flat gradient, its global norm, a step of its optimiser.

use std::borrow::Cow;

use burn::tensor::Tensor;
use elegante_kernels::move_to;
use elegante_policy::params::{self, Parameters};

use crate::{
    TrainError,
    crew::Crew,
    flat::{Flat, on_host},
    inspect::Inspected,
    metrics::Means,
    optim::Optimizer,
    watch::Watch,
};

/// A module that learns: its parameters, its optimiser, and how long a gradient may be.
#[derive(Clone, Debug)]
pub(crate) struct Learner<M> {
    pub(crate) module: M,
    /// Its parameters as one flat vector, so that they need not be gathered for every step.
    flat: Flat,
    pub(crate) optimizer: Optimizer,
    max_grad_norm: f64,
    pub(crate) crew: Crew,
    /// Has every number on record, while an update that went wrong is made once more.
    pub(crate) watch: Option<Watch>,
    /// The last gradient, where somebody wants to see it.
    last_gradient: Option<Flat>,
    pub(crate) variation: Variation,
    /// How often parameters have been put into the module.
    puts: u64,
}

/// Puts after which a module's parameters become new leaves. From a leaf that no loss depends on, burn keeps what has
/// been computed for as long as there is the leaf.
const FRESH: u64 = 1024;

/// How much gradients differ from one minibatch to the next: tr Cov g, estimated by ½ E‖g − g′‖² of two that
/// follow each other, between which their expectation has hardly moved (von Neumann et al., 1941).
#[derive(Clone, Debug, Default)]
pub(crate) struct Variation {
    /// The last gradient that was looked at.
    pub(crate) previous: Option<Flat>,
    /// Half of the squared distances, and how many, of the update that is being made.
    sum: f64,
    pairs: u32,
    /// Of those that are on a device, and not yet in the sum.
    pending: Vec<Tensor<1>>,
}

/// Pairs that are looked at in one update: more would cost as much as they tell.
const PAIRS: u32 = 8;

impl Variation {
    fn see(&mut self, gradient: &Flat) {
        match (&mut self.previous, gradient) {
            (Some(_), _) if self.pairs == PAIRS => return,
            (Some(Flat::Host(previous)), Flat::Host(gradient))
                if previous.len() == gradient.len() =>
            {
                self.sum += 0.5 * move_to(previous, gradient).powi(2);
            }
            (Some(Flat::Device(previous)), Flat::Device(gradient)) => {
                let old = std::mem::replace(&mut **previous, (**gradient).clone());
                self.pending.push(((**gradient).clone() - old).square().sum());
            }
            (previous, _) => {
                *previous = Some(gradient.clone());
                return;
            }
        }
        self.pairs += 1;
    }

    /// The mean over the update that ends here; none before there have been two gradients.
    pub(crate) fn take(&mut self) -> Option<f64> {
        let Self { sum, pairs, pending, .. } = self;
        if !pending.is_empty() {
            let squares = on_host(&Tensor::cat(std::mem::take(pending), 0));
            *sum += 0.5 * squares.into_iter().map(f64::from).sum::<f64>();
        }
        let (sum, pairs) = (std::mem::take(sum), std::mem::take(pairs));
        (pairs > 0).then(|| sum / f64::from(pairs))
    }
}

/// What one step of descent saw.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Descent {
    pub(crate) loss: f64,
    /// Global norm of the gradient, before clipping.
    pub(crate) grad_norm: f64,
}

impl<M: Parameters + Clone> Learner<M> {
    fn new(module: M, optimizer: impl FnOnce(&Flat) -> Optimizer, max_grad_norm: f64) -> Self {
        let flat = Flat::of(&module);
        Self {
            optimizer: optimizer(&flat),
            flat,
            module,
            max_grad_norm,
            crew: Crew::alone(),
            watch: None,
            last_gradient: None,
            variation: Variation::default(),
            puts: 0,
        }
    }

    /// A learner with Adam.
    pub(crate) fn adam(module: M, epsilon: f64, max_grad_norm: f64) -> Self {
        Self::new(module, |flat| Optimizer::adam(flat, epsilon), max_grad_norm)
    }

    /// A learner with RMSprop.
    pub(crate) fn rms_prop(module: M, decay: f64, epsilon: f64, max_grad_norm: f64) -> Self {
        Self::new(module, |flat| Optimizer::rms_prop(flat, decay, epsilon), max_grad_norm)
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
        let gradient = Flat::gradient(&self.module, &loss, self.module.count());
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
        gradient: Flat,
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
            watch.parameters("gradient", &self.module, &gradient.numbers());
        }
        finite("loss", loss)?;
        if let Some(last) = &mut self.last_gradient {
            last.clone_from(&gradient);
        }
        self.variation.see(&gradient);
        let (grad_norm, fine) =
            self.optimizer.step(&mut self.flat, gradient, self.max_grad_norm, learning_rate);
        finite("norm of the gradient", grad_norm)?;

        if let Some(watch) = &mut self.watch {
            watch.number("norm of the gradient", grad_norm);
            watch.parameters("second moment", &self.module, &self.optimizer.second());
            watch.parameters("new weight", &self.module, &self.flat.numbers());
        }
        if !fine {
            // The square of a finite gradient overflows when it is absurd, as does an absurd step.
            let all =
                [("second moment", self.optimizer.second()), ("new weight", self.parameters())];
            let bad = all.into_iter().try_for_each(|(what, numbers)| {
                numbers.iter().try_for_each(|&x| finite(what, f64::from(x)).map(drop))
            });
            if let Err(error) = bad {
                self.flat = Flat::of(&self.module);
                return Err(error);
            }
        }
        self.put();
        Ok(Descent { loss, grad_norm })
    }

    /// Puts the new parameters into the module.
    fn put(&mut self) {
        self.puts += 1;
        // What is shared is not written to where it is.
        let shared = self.puts.is_multiple_of(FRESH).then(|| self.module.clone());
        self.flat.put(&mut self.module);
        drop(shared);
    }

    /// All parameters, one after the other.
    pub(crate) fn parameters(&self) -> Cow<'_, [f32]> {
        self.flat.numbers()
    }

    /// The same where they are.
    pub(crate) fn flat(&self) -> &Flat {
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
        let gradient = self.last_gradient.as_ref().map(Flat::numbers).unwrap_or_default();
        let (numbers, mut at) = (self.parameters(), 0);
        let tensor = |info: params::ParamInfo| {
            let range = at..at + info.shape.iter().product::<usize>();
            at = range.end;
            let name = if part.is_empty() { info.name } else { format!("{part}.{}", info.name) };
            let values = numbers[range.clone()].to_vec();
            let gradient = gradient.get(range).unwrap_or_default().to_vec();
            Inspected { name, shape: info.shape, values, gradient }
        };
        params::describe(&self.module).into_iter().map(tensor).collect()
    }

    /// Puts other parameters into the module.
    pub(crate) fn replace(&mut self, numbers: Vec<f32>) {
        self.flat.replace(numbers);
        self.put();
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;
    use elegante_env::EnvRng;
    use elegante_kernels::{entries, norm};
    use elegante_policy::{Critics, DeviceChoice, MlpConfig};

    use super::*;
    use crate::checkpoint::{Checkpoint, State};

    /// Numbers as both kinds.
    fn both(numbers: &[f32]) -> [Flat; 2] {
        let device = DeviceChoice::Auto.open().unwrap();
        let data = TensorData::new(numbers.to_vec(), [numbers.len()]);
        [Flat::Host(numbers.to_vec()), Flat::Device(Tensor::from_data(data, &device).into())]
    }

    #[test]
    fn the_variance_of_gradients_is_the_trace_of_their_covariance() {
        for kind in 0..2 {
            let mut rng = EnvRng::new(2);
            let mut variation = Variation::default();
            assert_eq!(variation.take(), None);
            let (mut told, mut updates) = (0.0, 0.0);
            for update in 0..2_000 {
                // Variances of 1/3 and 4/3 about a mean that wanders slowly.
                for _ in 0..1 + update % 3 {
                    let mean = 0.01 * f64::from(update);
                    let g = [mean + rng.uniform(-1.0, 1.0), 5.0 + rng.uniform(-2.0, 2.0)];
                    variation.see(&both(&g.map(|g| g as f32))[kind]);
                }
                if let Some(variance) = variation.take() {
                    told += variance;
                    updates += 1.0;
                }
            }
            assert_eq!(updates, 1_999.0, "one gradient by itself has nothing to differ from");
            assert!((told / updates - 5.0 / 3.0).abs() < 0.08, "{}", told / updates);
            (0..100).for_each(|_| variation.see(&both(&[1.0, 1.0])[kind]));
            assert_eq!(variation.pairs, PAIRS);
        }
    }

    fn critics() -> Critics {
        let device = DeviceChoice::Auto.open().unwrap().autodiff();
        let network = MlpConfig { hidden: vec![5], ..MlpConfig::default() };
        Critics::init(&network, 3, 1, [&mut EnvRng::new(1)], &device).unwrap()
    }

    const LONGEST: f64 = 0.5;

    /// The same learner with its numbers on the host and on a device, by either optimiser.
    fn pairs() -> impl Iterator<Item = [Learner<Critics>; 2]> {
        let adam = |flat: &Flat| Optimizer::adam(flat, 1e-5);
        let rms_prop = |flat: &Flat| Optimizer::rms_prop(flat, 0.99, 1e-5);
        let all: [&dyn Fn(&Flat) -> Optimizer; 2] = [&adam, &rms_prop];
        let pair = |optimizer: &dyn Fn(&Flat) -> Optimizer| {
            both(&params::flatten(&critics())).map(|flat| {
                let optimizer = optimizer(&flat);
                Learner {
                    optimizer,
                    flat,
                    ..Learner::new(critics(), |flat| Optimizer::adam(flat, 0.0), LONGEST)
                }
            })
        };
        all.map(pair).into_iter()
    }

    fn gradients(n: usize) -> Vec<Vec<f32>> {
        let mut rng = EnvRng::new(3);
        // Of norms below and above the limit.
        let size = |step: usize| 0.02 * 3f64.powi(step as i32);
        (0..4)
            .map(|step| (0..n).map(|_| (size(step) * rng.uniform(-1.0, 1.0)) as f32).collect())
            .collect()
    }

    /// Within rounding of all of `b` together.
    fn close(a: &[f32], b: &[f32]) {
        let distances: Vec<f32> = a.iter().zip(b).map(|(a, b)| a - b).collect();
        assert!(a.len() == b.len() && norm(&distances) <= 1e-6 * norm(b), "{a:?} and {b:?}");
    }

    #[test]
    fn steps_on_a_device_are_those_on_the_host() {
        for [mut host, mut device] in pairs() {
            let gradients = gradients(host.module.count());
            let mut norms = Vec::new();
            for gradient in &gradients {
                let [ours, theirs] = both(gradient);
                let told = [host.step(0.5, ours, 0.1, 1), device.step(0.5, theirs, 0.1, 1)];
                let [ours, theirs] = told.map(|told| told.unwrap().grad_norm);
                assert!((ours - theirs).abs() < 1e-6 * ours, "{ours} and {theirs}");
                norms.push(ours);
                close(&device.parameters(), &host.parameters());
                assert_eq!(params::flatten(&device.module), *device.parameters());
                let moments = host.optimizer.moments().into_iter().zip(device.optimizer.moments());
                for ((name, ours), (theirs_name, theirs)) in moments {
                    assert_eq!(name, theirs_name);
                    close(&theirs, &ours);
                }
            }
            assert!(norms[0] < LONGEST && norms[3] > LONGEST, "{norms:?}");
            assert!(matches!(device.flat, Flat::Device(_)) && matches!(host.flat, Flat::Host(_)));
        }
    }

    #[test]
    fn a_checkpoint_goes_from_a_device_to_the_host_and_back() {
        for [mut host, mut device] in pairs() {
            let gradients = gradients(host.module.count());
            for gradient in &gradients[..2] {
                device.step(0.5, both(gradient)[1].clone(), 0.1, 1).unwrap();
            }
            let mut checkpoint = Checkpoint::new(State::default());
            checkpoint.put("networks", &device);
            checkpoint.get("networks", &mut host).unwrap();
            assert_eq!(host.parameters(), device.parameters());
            assert_eq!(host.optimizer.moments(), device.optimizer.moments());
            assert_eq!(host.optimizer.steps(), device.optimizer.steps());

            let mut checkpoint = Checkpoint::new(State::default());
            checkpoint.put("networks", &host);
            let mut again = pairs()
                .map(|[_, device]| device)
                .find(|other| other.optimizer.moments().len() == device.optimizer.moments().len())
                .unwrap();
            checkpoint.get("networks", &mut again).unwrap();
            device.variation.take();
            let told = [&mut again, &mut device].map(|learner| {
                learner.step(0.5, both(&gradients[2])[1].clone(), 0.1, 1).unwrap();
                (learner.parameters().into_owned(), learner.variation.take())
            });
            assert_eq!(told[0], told[1]);
            assert!(told[0].1.is_some());
        }
    }

    #[cfg(feature = "flex")]
    #[test]
    fn parameters_are_written_where_they_are_but_for_now_and_then() {
        let device = DeviceChoice::Auto.open().unwrap().autodiff();
        let linear = burn::nn::LinearConfig::new(2, 1).init(&device);
        let mut learner = Learner::adam(linear, 1e-5, LONGEST);
        let place = |learner: &Learner<burn::nn::Linear>| {
            entries(learner.module.weight.val(), <[f32]>::as_ptr)
        };
        // The first parameters are those of the caller, which burn makes when somebody looks.
        learner.step(0.5, Flat::Host(vec![0.1; 3]), 0.1, 1).unwrap();
        let mut moves = Vec::new();
        for step in 2..2 * FRESH + 3 {
            let before = place(&learner);
            learner.step(0.5, Flat::Host(vec![0.1; 3]), 0.1, 1).unwrap();
            assert_eq!(params::flatten(&learner.module), *learner.parameters());
            assert!(learner.module.weight.val().is_require_grad());
            if place(&learner) != before {
                moves.push(step);
            }
        }
        assert_eq!(moves, [FRESH, 2 * FRESH]);
    }

    #[test]
    fn a_step_that_leads_nowhere_is_not_made() {
        let n = critics().count();
        let not_a_number: Vec<f32> = (0..n).map(|i| if i == 2 { f32::NAN } else { 0.1 }).collect();
        for learner in pairs().flatten() {
            let kind = usize::from(matches!(learner.flat, Flat::Device(_)));
            let gradient = |numbers: &[f32]| both(numbers)[kind].clone();
            for (numbers, rate, expected) in
                [(&not_a_number, 0.1, "norm of the gradient"), (&vec![0.1; n], 1e39, "new weight")]
            {
                let mut learner = learner.clone();
                let before = params::flatten(&learner.module);
                let error = learner.step(0.5, gradient(numbers), rate, 7).unwrap_err();
                assert!(
                    matches!(error, TrainError::NotFinite { update: 7, what, .. } if what == expected),
                    "{error}"
                );
                assert_eq!(params::flatten(&learner.module), before);
                assert_eq!(*learner.parameters(), before);
            }
        }
    }
}
