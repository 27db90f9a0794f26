//! The one place where environments and networks meet: host slices become tensors, drawn actions
//! become environment actions.

use burn::tensor::{Bool, Device, Tensor, TensorData};
use elegante_env::{Actions, EnvError, Space};
use elegante_policy::{
    ActionBatch, ActionHead, Distribution, MlpConfig, Policy, PolicyConfig, PolicyError,
};

use crate::TrainError;

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
pub(crate) fn mask(
    valid: &[bool],
    n: usize,
    device: &Device,
) -> Result<Option<Tensor<2, Bool>>, PolicyError> {
    if valid.is_empty() {
        return Ok(None);
    }
    if let Some(row) = valid.chunks_exact(n).position(|row| !row.contains(&true)) {
        return Err(PolicyError::NothingValid { row });
    }
    let data = TensorData::new(valid.to_vec(), [valid.len() / n, n]);
    Ok(Some(Tensor::from_data(data, device)))
}

/// πθ(·|s) for `[rows × observation]` numbers; `valid` is empty or `[rows × n]`.
pub(crate) fn distribution(
    policy: &Policy,
    observations: Vec<f32>,
    valid: &[bool],
    device: &Device,
) -> Result<Distribution, PolicyError> {
    let config = policy.config();
    let valid = mask(valid, config.action.outputs(), device)?;
    Ok(policy.forward(matrix(observations, config.observation, device), valid))
}

/// A policy's actions as an environment takes them.
pub fn env_actions(batch: &ActionBatch) -> Actions<'_> {
    match batch {
        ActionBatch::Discrete(indices) => Actions::Discrete(indices),
        ActionBatch::Continuous { values, .. } => Actions::Continuous(values),
    }
}

/// The policy that fits an environment's spaces.
///
/// # Errors
/// [`TrainError::Unsupported`] for a space that no head of ours can act in.
pub fn policy_config(
    observation: &Space,
    action: &Space,
    network: &MlpConfig,
    initial_log_std: f32,
) -> Result<PolicyConfig, TrainError> {
    let action = match action {
        Space::Discrete(space) => ActionHead::Categorical { n: space.n() },
        Space::Box(space) => {
            let bounded =
                |bounds: &[f32]| bounds.iter().map(|b| b.is_finite().then_some(*b)).collect();
            ActionHead::Gaussian {
                low: bounded(space.low()),
                high: bounded(space.high()),
                initial_log_std,
            }
        }
        other => {
            return Err(TrainError::Unsupported(format!(
                "no policy head acts in {other}: the action spaces are Discrete and Box"
            )));
        }
    };
    Ok(PolicyConfig { observation: observation.flat_len(), action, network: network.clone() })
}
