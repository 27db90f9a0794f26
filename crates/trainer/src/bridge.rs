//! The one place where environments and networks meet: host slices become tensors, drawn actions
//! become environment actions.

use burn::tensor::{Bool, Device, Tensor, TensorData};
use elegante_env::{Actions, BoxSpace, EnvError, Space};
use elegante_kernels::entries;
use elegante_policy::{ActionBatch, ActionHead, ActionValues, MlpConfig, PolicyConfig, in_memory};

use crate::{Continuous, DqnConfig, SacConfig, TrainError};

/// `[rows × width]` numbers as a `[rows, width]` tensor.
pub(crate) fn matrix(values: Vec<f32>, width: usize, device: &Device) -> Tensor<2> {
    let rows = values.len() / width;
    Tensor::from_data(TensorData::new(values, [rows, width]), device)
}

/// Numbers as a `[n]` tensor.
pub(crate) fn vector(values: &[f64], device: &Device) -> Tensor<1> {
    let values: Vec<f32> = values.iter().map(|&x| x as f32).collect();
    let n = values.len();
    Tensor::from_data(TensorData::new(values, [n]), device)
}

/// The numbers of all vectors, one after the other. From a device they come in one journey.
pub(crate) fn numbers(vectors: Vec<Tensor<1>>) -> Vec<f64> {
    let together = match vectors.first() {
        Some(first) if !in_memory(&first.device()) => vec![Tensor::cat(vectors, 0)],
        _ => vectors,
    };
    let count = together.iter().map(|vector| vector.dims()[0]).sum();
    let mut all = Vec::with_capacity(count);
    for vector in together {
        entries(vector, |numbers| all.extend(numbers.iter().map(|&x| f64::from(x))));
    }
    all
}

/// The masks of several states, a row of `n` flags each; empty when every action is valid in all of
/// them.
pub(crate) fn mask_rows<'a>(
    masks: impl IntoIterator<Item = Option<&'a [bool]>>,
    n: usize,
) -> Result<Vec<bool>, EnvError> {
    let (mut rows, mut count) = (Vec::new(), 0);
    for mask in masks {
        if let Some(mask) = mask {
            if mask.len() != n {
                let (what, given) = ("action_mask", mask.len());
                return Err(EnvError::Length { what, given, expected: n });
            }
            rows.resize(count * n, true);
            rows.extend_from_slice(mask);
        }
        count += 1;
    }
    if !rows.is_empty() {
        rows.resize(count * n, true);
    }
    Ok(rows)
}

/// `[rows × n]` valid-action flags as a tensor, or nothing when every action is valid everywhere.
/// [`ActionHead::check_mask`] has seen them.
pub(crate) fn mask(valid: &[bool], n: usize, device: &Device) -> Option<Tensor<2, Bool>> {
    let rows = valid.len() / n;
    (rows > 0).then(|| Tensor::from_data(TensorData::new(valid.to_vec(), [rows, n]), device))
}

/// A policy's actions as an environment takes them.
pub fn env_actions(batch: &ActionBatch) -> Actions<'_> {
    match batch {
        ActionBatch::Discrete(indices) => Actions::Discrete(indices),
        ActionBatch::MultiDiscrete { values, .. } => Actions::MultiDiscrete(values),
        ActionBatch::MultiBinary { values, .. } => Actions::MultiBinary(values),
        ActionBatch::Continuous { values, .. } => Actions::Continuous(values),
    }
}

/// Whether a policy can observe and act in these spaces.
pub fn fits(policy: &PolicyConfig, observation: &Space, action: &Space) -> bool {
    let acts = match (&policy.action, action) {
        (ActionHead::Categorical { n }, Space::Discrete(space)) => *n == space.n(),
        (ActionHead::EpsilonGreedy { values, .. }, Space::Discrete(space)) => values.n == space.n(),
        (ActionHead::MultiCategorical { ns }, Space::MultiDiscrete(space)) => ns == space.nvec(),
        (ActionHead::Bernoulli { n }, Space::MultiBinary(space)) => *n == space.n(),
        (head, Space::Box(space)) => {
            matches!(head.no_actions(), ActionBatch::Continuous { dims, .. } if dims == space.len())
        }
        _ => false,
    };
    acts && policy.observation == observation.flat_len()
}

/// The policy that fits an environment's spaces.
///
/// # Errors
/// [`TrainError::Unsupported`] for a space that no head of ours can act in.
pub fn policy_config(
    observation: &Space,
    action: &Space,
    network: &MlpConfig,
    distribution: Continuous,
    initial_log_std: f32,
) -> Result<PolicyConfig, TrainError> {
    let action = match action {
        Space::Discrete(space) => ActionHead::Categorical { n: space.n() },
        Space::MultiDiscrete(space) => ActionHead::MultiCategorical { ns: space.nvec().to_vec() },
        Space::MultiBinary(space) => ActionHead::Bernoulli { n: space.n() },
        Space::Box(space) => real(space, distribution, initial_log_std)?,
        other => {
            return Err(TrainError::Unsupported(format!(
                "no policy head acts in {other}: the action spaces are Discrete, MultiDiscrete, MultiBinary and Box"
            )));
        }
    };
    Ok(PolicyConfig {
        observation: observation.flat_len(),
        action,
        network: network.clone(),
        value_output: network.shared,
        input: None,
    })
}

/// The network that values an environment's actions, as a policy.
///
/// # Errors
/// [`TrainError::Unsupported`] where there is more to an action than a choice.
pub(crate) fn value_config(
    observation: &Space,
    action: &Space,
    network: &MlpConfig,
    config: &DqnConfig,
) -> Result<PolicyConfig, TrainError> {
    let Space::Discrete(space) = action else {
        return Err(TrainError::Unsupported(format!(
            "DQN chooses one of several actions, and this environment's are {action}: choose another algorithm, such as PPO"
        )));
    };
    let DqnConfig { dueling, quantiles, exploration_final, noisy, .. } = *config;
    let values = ActionValues { n: space.n(), dueling, quantiles };
    let epsilon = if noisy { 0.0 } else { exploration_final as f32 };
    let action = ActionHead::EpsilonGreedy { values, epsilon };
    Ok(PolicyConfig::new(observation.flat_len(), action, network.clone()))
}

/// The actor of SAC.
///
/// # Errors
/// [`TrainError::Unsupported`] where an action is neither one of several nor a point of a bounded box.
pub(crate) fn soft_config(
    observation: &Space,
    action: &Space,
    network: &MlpConfig,
    config: &SacConfig,
) -> Result<PolicyConfig, TrainError> {
    let head = match action {
        Space::Discrete(space) => ActionHead::Categorical { n: space.n() },
        Space::Box(space) => {
            let (low, high) = bounded("SAC", space)?;
            let some = |bounds: &[f32]| bounds.iter().copied().map(Some).collect();
            match config.sde {
                true => ActionHead::Gsde {
                    low: some(&low),
                    high: some(&high),
                    initial_log_std: config.initial_log_std as f32,
                    learn_features: true,
                    squash: true,
                },
                false => ActionHead::SquashedGaussian { low, high },
            }
        }
        other => {
            return Err(TrainError::Unsupported(format!(
                "SAC chooses one of several actions or a point of a box, and this environment's are {other}: choose another algorithm, such as PPO"
            )));
        }
    };
    Ok(PolicyConfig::new(observation.flat_len(), head, network.clone()))
}

/// The actor of TD3 and DDPG.
///
/// # Errors
/// [`TrainError::Unsupported`] where an action is not a point of a bounded box.
pub(crate) fn deterministic_config(
    name: &str,
    observation: &Space,
    action: &Space,
    network: &MlpConfig,
) -> Result<PolicyConfig, TrainError> {
    let Space::Box(space) = action else {
        return Err(TrainError::Unsupported(format!(
            "{name} chooses a point of a box, and this environment's actions are {action}: choose another algorithm, such as PPO"
        )));
    };
    let (low, high) = bounded(name, space)?;
    let head = ActionHead::Deterministic { low, high };
    Ok(PolicyConfig::new(observation.flat_len(), head, network.clone()))
}

/// The bounds of a box that has them.
fn bounded(name: &str, space: &BoxSpace) -> Result<(Vec<f32>, Vec<f32>), TrainError> {
    let (low, high) = (space.low().to_vec(), space.high().to_vec());
    if low.iter().chain(&high).all(|bound| bound.is_finite()) {
        return Ok((low, high));
    }
    Err(TrainError::Unsupported(format!(
        "{name} needs bounds on every entry of an action, and {space} has not got them: choose another algorithm, such as PPO"
    )))
}

fn real(
    space: &BoxSpace,
    distribution: Continuous,
    initial_log_std: f32,
) -> Result<ActionHead, TrainError> {
    let perhaps = |bounds: &[f32]| bounds.iter().map(|b| b.is_finite().then_some(*b)).collect();
    let (low, high) = (space.low().to_vec(), space.high().to_vec());
    let bounded = low.iter().chain(&high).all(|bound| bound.is_finite());
    let (some_low, some_high) = (perhaps(&low), perhaps(&high));
    match distribution {
        Continuous::Gaussian => {
            Ok(ActionHead::Gaussian { low: some_low, high: some_high, initial_log_std })
        }
        Continuous::Gsde => Ok(ActionHead::Gsde {
            low: some_low,
            high: some_high,
            initial_log_std,
            learn_features: false,
            squash: false,
        }),
        Continuous::SquashedGaussian if bounded => Ok(ActionHead::SquashedGaussian { low, high }),
        Continuous::Beta if bounded => Ok(ActionHead::Beta { low, high }),
        Continuous::SquashedGaussian | Continuous::Beta => Err(TrainError::Unsupported(format!(
            "a squashed Gaussian and a Beta need bounds on every entry of an action, and {space} has not got them: choose \"gaussian\" or \"gsde\""
        ))),
    }
}
