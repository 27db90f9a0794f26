//! REINFORCE (Williams, 1992): ∇θ E[r(τ)] = E[Σₜ ∇θ log πθ(aₜ|sₜ) · r(τ)].
//!
//! ```text
//! repeat
//!     τ₁ … τ_N  ~ πθ                                     whole trajectories, none dropped
//!     wₜ        ← r(τ),  Gₜ  or  Gₜ − Vφ(sₜ)              the estimator, no gradient through it
//!     L(θ)      ← −(1/N) Σᵢ Σₜ log πθ(aₜ|sₜ) · wₜ         the surrogate
//!     θ         ← Adam(θ, ∇θ L)                           ∇ by burn's autodiff
//!     φ         ← Adam(φ, ∇φ mean (Gₜ − Vφ(sₜ))²)         estimator "baseline", a few steps
//! ```

use burn::tensor::{Device, Tensor};
use elegante_policy::{Policy, ValueNet, params};

use crate::{
    Estimator, GuardConfig, ReinforceConfig, TrainError,
    algorithms::{Batch, Evidence, Failed, Learnt, Method, Setup, Watched, approximate_kl, excess},
    arrays::actions,
    bridge::{mask, matrix, vector},
    checkpoint::Checkpoint,
    inspect::Inspected,
    lanes::Lanes,
    learner::{Descent, Learner},
    loss::{policy_gradient, value_mse},
    returns::{explained_variance, mean_std, rewards_to_go, standardize, total_returns},
    schedule::Left,
    trajectories::Trajectories,
    watch::{Array, Arrays, Watch},
};

/// The state of REINFORCE: environments, a policy that learns, and what it compares returns with.
pub(crate) struct Reinforce {
    config: ReinforceConfig,
    lanes: Lanes,
    policy: Learner<Policy>,
    baseline: Option<Baseline>,
    guard: GuardConfig,
    /// With more than one, V learns while πθ does.
    threads: usize,
    device: Device,
}

impl Reinforce {
    pub(crate) fn new(config: &ReinforceConfig, setup: Setup<'_>) -> Result<Self, TrainError> {
        let policy = setup.new_policy()?;
        let baseline = (config.estimator == Estimator::Baseline)
            .then(|| Baseline::new(config, &setup))
            .transpose()?;
        let memory = policy.memory() + baseline.as_ref().map_or(0, |v| v.net.module.memory());
        if memory > 0 {
            let reason = "REINFORCE works with networks that have no memory: choose A2C or PPO";
            return Err(TrainError::Unsupported(reason.into()));
        }
        let Setup { envs, policy: wanted, guard, seed, threads, device, .. } = setup;
        Ok(Self {
            lanes: Lanes::new(envs, seed, &wanted, threads)?,
            policy: Learner::adam(policy, config.adam_epsilon, config.max_grad_norm),
            baseline,
            config: config.clone(),
            guard,
            threads,
            device,
        })
    }

    fn learn(
        &mut self,
        batch: &Trajectories,
        left: f64,
        update: u64,
    ) -> Result<Learnt, TrainError> {
        let returns = match self.config.estimator {
            Estimator::TotalReturn => total_returns(batch, self.config.gamma),
            Estimator::RewardToGo | Estimator::Baseline => rewards_to_go(batch, self.config.gamma),
        };
        // Rewards of 1e200 have a sum, but no variance: standardised they would all be 0.
        let (_, value) = mean_std(&returns);
        self.record_batch(batch, &returns);
        if !value.is_finite() {
            return Err(TrainError::NotFinite { update, what: "spread of the returns", value });
        }
        let expected = self.baseline.as_ref().map(|v| v.predict(batch));
        let mut weights = match &expected {
            Some(expected) => returns.iter().zip(expected).map(|(g, v)| g - v).collect(),
            None => returns.clone(),
        };
        if self.config.normalize {
            standardize(&mut weights);
        }

        if let Some(watch) = &mut self.policy.watch {
            watch.record("weight of log-probability", Array::flat(weights.clone()));
        }
        // V learns from the same batch, after its prediction was taken and beside the policy.
        let Self { config, policy, baseline, guard, threads, device, .. } = self;
        let both = *threads > 1 && baseline.is_some();
        let learn =
            || baseline.as_mut().map(|v| v.fit(config, batch, &returns, left, update)).transpose();
        let old = guard.max_kl.is_some();
        let ascend = || ascend(config, policy, batch, &weights, left, update, (device, old));
        let (value_loss, (descent, entropy, kl)) = join(both, learn, ascend)?;
        self.guard.check(update, kl, entropy)?;

        // Of V's own gradients nobody is told, but the next update's are to be counted from here too.
        if let Some(v) = &mut self.baseline {
            v.net.variation.take();
        }
        let explained = expected.map(|expected| explained_variance(&returns, &expected));
        let values = [
            ("value_loss", value_loss),
            ("explained_variance", explained),
            ("approx_kl", kl),
            ("grad_variance", self.policy.variation.take()),
        ];
        Ok(Learnt {
            loss: descent.loss,
            entropy,
            grad_norm: descent.grad_norm,
            learning_rate: self.config.schedule.at(self.config.learning_rate, left),
            values: values.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(),
        })
    }

    /// The same, with every number on record and everything afterwards as it was: what was collected,
    /// then what V came to, then what πθ did.
    fn watched(&mut self, batch: &Trajectories, left: f64, update: u64) -> Watched {
        let before = (self.policy.clone(), self.baseline.clone(), self.threads);
        self.threads = 1;
        self.policy.watch = Some(Watch::over("policy."));
        self.baseline.iter_mut().for_each(|v| v.net.watch = Some(Watch::over("value.")));
        let outcome = self.learn(batch, left, update).map(drop);
        let value = self.baseline.as_mut().and_then(|v| v.net.watch.take());
        let policy = self.policy.watch.take().unwrap_or_default();
        (self.policy, self.baseline, self.threads) = before;
        Watched { watch: value.unwrap_or_default().then(policy), outcome }
    }

    /// Puts on record what was collected, where the update is watched. V learns first, so where there is
    /// one it stands there.
    fn record_batch(&mut self, batch: &Trajectories, returns: &[f64]) {
        let width = self.policy.module.config().observation;
        let first = match &mut self.baseline {
            Some(v) => &mut v.net.watch,
            None => &mut self.policy.watch,
        };
        let Some(watch) = first else { return };
        watch.begin();
        watch.record("observation", Array::rows(batch.observations.clone(), width));
        watch.record("action", actions(&batch.actions));
        if !batch.valid.is_empty() {
            let outputs = self.policy.module.config().action.choices();
            watch.record("valid action", Array::rows(batch.valid.as_slice(), outputs));
        }
        watch.record("reward", Array::flat(batch.rewards.clone()));
        watch.record("return", Array::flat(returns.to_vec()));
    }
}

impl Method for Reinforce {
    fn update(&mut self, left: Left, update: u64) -> Result<Batch, Failed> {
        let (batch, mut episodes) = self.lanes.collect(&self.acting(), self.config.batch_steps)?;
        let mut steps = 0;
        for episode in &mut episodes {
            steps += episode.length as u64;
            episode.steps = steps;
        }
        // An error leaves both networks as they were, also when only one of them met it.
        let before = (self.policy.clone(), self.baseline.clone());
        let left = left.after(0);
        match self.learn(&batch, left, update) {
            Ok(learnt) => Ok(Batch { steps: batch.steps(), episodes, learnt }),
            Err(error) => {
                (self.policy, self.baseline) = before;
                let watched = self.watched(&batch, left, update);
                let shape = self.policy.module.config();
                let arrays = batch.to_arrays(shape.observation, shape.action.choices());
                Err(Evidence::failed(error, arrays, watched))
            }
        }
    }

    fn watch(
        &mut self,
        batch: &mut Arrays,
        left: Left,
        update: u64,
    ) -> Result<Watched, TrainError> {
        let shape = self.policy.module.config();
        let batch = Trajectories::from_arrays(shape.observation, &shape.action, batch)?;
        Ok(self.watched(&batch, left.after(0), update))
    }

    fn acting(&self) -> Policy {
        self.policy.module.valid()
    }

    fn keep_gradients(&mut self) {
        self.policy.keep_gradients();
        if let Some(baseline) = &mut self.baseline {
            baseline.net.keep_gradients();
        }
    }

    fn inspect(&self) -> Vec<Inspected> {
        let mut all = self.policy.inspect("policy");
        all.extend(self.baseline.iter().flat_map(|baseline| baseline.net.inspect("value")));
        all
    }

    fn save_learning(&self, checkpoint: &mut Checkpoint) {
        checkpoint.put("policy", &self.policy);
        if let Some(baseline) = &self.baseline {
            checkpoint.put("value", &baseline.net);
            checkpoint.note("value.scale", &baseline.scale);
        }
    }

    fn save_collecting(&self, checkpoint: &mut Checkpoint) {
        self.lanes.save(checkpoint);
    }

    fn restore_learning(&mut self, checkpoint: &mut Checkpoint) -> Result<(), TrainError> {
        checkpoint.get("policy", &mut self.policy)?;
        if let Some(baseline) = &mut self.baseline {
            checkpoint.get("value", &mut baseline.net)?;
            baseline.scale = checkpoint.recall("value.scale")?;
        }
        Ok(())
    }

    fn restore_collecting(
        &mut self,
        checkpoint: &mut Checkpoint,
    ) -> Result<Vec<usize>, TrainError> {
        self.lanes.restore(checkpoint)
    }
}

/// One Adam step down the surrogate's gradient; also returns the mean entropy of πθ(·|sₜ) and, if asked,
/// how far the step has moved πθ.
fn ascend(
    config: &ReinforceConfig,
    policy: &mut Learner<Policy>,
    batch: &Trajectories,
    weights: &[f64],
    left: f64,
    update: u64,
    (device, measure): (&Device, bool),
) -> Result<(Descent, f64, Option<f64>), TrainError> {
    let observations = batch.observations.clone();
    let shape = policy.module.config();
    let valid = mask(&batch.valid, shape.action.choices(), device);
    let observations = matrix(observations, shape.observation, device);
    let actions = batch.actions.to_tensor(device);
    let π = policy.module.forward(observations.clone(), valid.clone());
    let log_prob = π.log_prob(actions.clone());
    let entropy = π.entropy();
    let host = |tensor: &Tensor<1>| tensor.clone().into_data().iter::<f64>().collect::<Vec<_>>();
    let old = measure.then(|| host(&log_prob));
    if let Some(watch) = &mut policy.watch {
        watch.parameters("weight", &policy.module, &params::flatten(&policy.module));
        watch.record("log-probability", Array::flat(host(&log_prob)));
        watch.record("entropy of each step", Array::flat(host(&entropy)));
    }

    let mut loss = policy_gradient(log_prob, vector(weights, device), batch.count());
    let mean_entropy = entropy.clone().mean().into_scalar::<f64>();
    if config.entropy_coef > 0.0 {
        loss = loss - entropy.sum() * (config.entropy_coef / batch.count() as f64);
    }
    let descent = policy.descend(loss, config.schedule.at(config.learning_rate, left), update)?;
    let kl = old.map(|old| {
        let new = policy.module.forward(observations, valid).log_prob(actions);
        let log_ratio: Vec<f64> = host(&new).iter().zip(old).map(|(new, old)| new - old).collect();
        let excess = excess(&log_ratio);
        approximate_kl(&log_ratio, &excess)
    });
    Ok((descent, mean_entropy, kl))
}

/// Runs both: `at_once`, one of them on a thread of its own, or one after the other.
fn join<A: Send, B>(
    at_once: bool,
    a: impl FnOnce() -> Result<A, TrainError> + Send,
    b: impl FnOnce() -> Result<B, TrainError>,
) -> Result<(A, B), TrainError> {
    if !at_once {
        return Ok((a()?, b()?));
    }
    std::thread::scope(|scope| {
        let a = scope.spawn(a);
        let b = b();
        let a = a.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok((a?, b?))
    })
}

/// A learned baseline Vφ(s) ≈ E[Gₜ | sₜ = s].
///
/// The network learns standardised returns, since a return may be 500 and a fresh network's output is
/// about 1. It is read with the scale that it was fitted with, from earlier batches: Vφ(sₜ) then does
/// not depend on the actions it is compared with, and subtracting it leaves the gradient unbiased.
#[derive(Clone, Debug)]
struct Baseline {
    net: Learner<ValueNet>,
    /// Mean and spread of the returns that it last learnt from.
    scale: (f64, f64),
    observation: usize,
    device: Device,
}

impl Baseline {
    fn new(config: &ReinforceConfig, setup: &Setup<'_>) -> Result<Self, TrainError> {
        let net = Learner::adam(setup.new_value()?, config.adam_epsilon, config.max_grad_norm);
        let (observation, device) = (setup.policy.observation, setup.device.clone());
        Ok(Self { net, scale: (0.0, 1.0), observation, device })
    }

    /// Vφ(sₜ) at every step of the batch.
    fn predict(&self, batch: &Trajectories) -> Vec<f64> {
        let observations =
            matrix(batch.observations.clone(), self.observation, &self.device.clone().inner());
        let (mean, std) = self.scale;
        let values = self.net.module.valid().forward(observations).into_data();
        values.iter::<f64>().map(|v| mean + std * v).collect()
    }

    /// A few Adam steps on the whole batch; returns the last one's loss.
    fn fit(
        &mut self,
        config: &ReinforceConfig,
        batch: &Trajectories,
        returns: &[f64],
        left: f64,
        update: u64,
    ) -> Result<f64, TrainError> {
        self.scale = mean_std(returns);
        let mut targets = returns.to_vec();
        standardize(&mut targets);
        let learning_rate = config.schedule.at(config.value_learning_rate, left);
        let observations = matrix(batch.observations.clone(), self.observation, &self.device);
        let targets = vector(&targets, &self.device);
        let mut loss = 0.0;
        let before = self.net.watch.as_ref().map(Watch::len);
        for _ in 0..config.value_epochs {
            self.net.watch.iter_mut().zip(before).for_each(|(watch, n)| watch.keep(n));
            let value = self.net.module.forward(observations.clone());
            loss = self.net.descend(value_mse(value, targets.clone()), learning_rate, update)?.loss;
        }
        Ok(loss)
    }
}
