//! Losses: tensors in, one number out, the equation in the docstring and nothing else inside.

use burn::tensor::Tensor;

/// L(θ) = −(1/N) Σᵢ Σₜ log πθ(aₜ|sₜ) · wₜ over N trajectories (Williams, 1992). Its value means
/// nothing; its gradient is the negated policy gradient when aₜ ~ πθ.
///
/// With wₜ = r(τᵢ) it is the surrogate of ∇θ E[r(τ)] = E[Σₜ ∇θ log πθ(aₜ|sₜ) · r(τ)], letter by
/// letter. The weights are detached: they are numbers that came from the world, not functions of θ.
///
/// # Shapes
/// `log_prob`, `weight`: `[steps]`, all trajectories one after the other; result: `[1]`.
pub fn policy_gradient(log_prob: Tensor<1>, weight: Tensor<1>, trajectories: usize) -> Tensor<1> {
    -(log_prob * weight.detach()).sum() / trajectories as f32
}

/// L(φ) = (1/T) Σₜ (Gₜ − Vφ(sₜ))², without the ½ that some write (SB3's scale).
///
/// # Shapes
/// `value`, `target`: `[steps]`; result: `[1]`.
pub fn value_mse(value: Tensor<1>, target: Tensor<1>) -> Tensor<1> {
    (value - target.detach()).square().mean()
}
