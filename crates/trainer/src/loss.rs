//! Losses: tensors in, one number out, the equation in the docstring and nothing else inside.

use burn::tensor::{Tensor, TensorData};

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

/// L(θ) = −mean log πθ(aₜ|sₜ) · Âₜ: the same surrogate as a mean over steps (Mnih et al., 2016, A3C),
/// with advantages for weights.
///
/// # Shapes
/// `log_prob`, `advantage`: `[steps]`; result: `[1]`.
pub fn advantage_policy_gradient(log_prob: Tensor<1>, advantage: Tensor<1>) -> Tensor<1> {
    -(log_prob * advantage.detach()).mean()
}

/// L(θ) = −mean min(ρₜÂₜ, clip(ρₜ, 1 − ε, 1 + ε)Âₜ) with ρₜ = πθ(aₜ|sₜ)/πold(aₜ|sₜ): PPO's clipped
/// surrogate (Schulman et al., 2017, eq. 7). At ρ = 1 its gradient is the policy gradient's.
///
/// # Shapes
/// `log_prob`, `old_log_prob`, `advantage`: `[steps]`; result: `[1]`.
pub fn clipped_surrogate(
    log_prob: Tensor<1>,
    old_log_prob: Tensor<1>,
    advantage: Tensor<1>,
    epsilon: f64,
) -> Tensor<1> {
    elegante_kernels::clipped_surrogate(log_prob, old_log_prob, advantage, epsilon)
}

/// L(φ) = mean (Gₜ − Vφ(sₜ))², without the ½ that some write (Stable-Baselines3's scale).
///
/// # Shapes
/// `value`: `[steps]` or `[steps, 1]`, `target`: `[steps]`; result: `[1]`.
pub fn value_mse<const D: usize>(value: Tensor<D>, target: Tensor<1>) -> Tensor<1> {
    elegante_kernels::mean_squared_error(value, target)
}

/// The same with the value kept within ±ε of the old one before it is compared: PPO's value clipping
/// as in Stable-Baselines3.
///
/// # Shapes
/// `value`, `old_value`, `target`: `[steps]`; result: `[1]`.
pub fn clipped_value_mse(
    value: Tensor<1>,
    old_value: Tensor<1>,
    target: Tensor<1>,
    epsilon: f64,
) -> Tensor<1> {
    let old = old_value.detach();
    let clipped = old.clone() + (value - old).clamp(-epsilon, epsilon);
    value_mse(clipped, target)
}

/// L(θ) = mean wᵢ h(xᵢ − yᵢ) with Huber's h(δ) = ½ δ² for |δ| ≤ 1, |δ| − ½ beyond: the loss of DQN (Mnih et
/// al., 2015), whose gradient they clip to ±1. Without weights all count 1.
///
/// # Shapes
/// `value`, `target`, `weight`: `[rows]`; result: `[1]`.
pub fn huber(value: Tensor<1>, target: Tensor<1>, weight: Option<Tensor<1>>) -> Tensor<1> {
    weighted(elegante_kernels::huber(value - target.detach()), weight).mean()
}

/// L(θ) = mean wᵢ (xᵢ − yᵢ)². From it x becomes the mean of what is seen of y; from [`huber`], where errors are
/// larger than 1, its median. Without weights all count 1.
///
/// # Shapes
/// `value`, `target`, `weight`: `[rows]`; result: `[1]`.
pub fn weighted_mse(value: Tensor<1>, target: Tensor<1>, weight: Option<Tensor<1>>) -> Tensor<1> {
    weighted((value - target.detach()).square(), weight).mean()
}

/// Quantile regression by Huber's loss (Dabney et al., 2018, eq. 10): L(θ) = mean wᵢ · Σⱼ meanₖ ρⱼ(yₖ − xⱼ),
/// ρⱼ(δ) = h(δ) times τ̂ⱼ = (j + ½)/N where δ ≥ 0, times 1 − τ̂ⱼ where δ < 0; from it xⱼ becomes the quantile of
/// level τ̂ⱼ of what is seen of y.
///
/// # Shapes
/// `quantiles`: `[rows, N]`, `targets`: `[rows, M]`, `weight`: `[rows]`; result: `[1]`.
pub fn quantile_huber(
    quantiles: Tensor<2>,
    targets: Tensor<2>,
    weight: Option<Tensor<1>>,
) -> Tensor<1> {
    let [_, n] = quantiles.dims();
    let levels: Vec<f32> = (0..n).map(|j| (j as f32 + 0.5) / n as f32).collect();
    let levels = Tensor::<3>::from_data(TensorData::new(levels, [1, n, 1]), &quantiles.device());
    let δ: Tensor<3> = targets.detach().unsqueeze_dim(1) - quantiles.unsqueeze_dim(2);
    let below = δ.clone().detach().lower_elem(0.0).float();
    let terms = (levels - below).abs() * elegante_kernels::huber(δ);
    let rows: Tensor<1> = terms.mean_dim(2).sum_dim(1).squeeze_dims(&[1, 2]);
    weighted(rows, weight).mean()
}

/// L(φ) = Σᵢ mean (Qᵢ(s, a) − y)²: every critic's error against one target (Fujimoto et al., 2018,
/// algorithm 1). SAC takes half of it (Haarnoja et al., 2018b, eq. 5).
///
/// # Shapes
/// `values`: a `[rows]` of each critic, at least one; `target`: `[rows]`; result: `[1]`.
///
/// # Panics
/// When there is no critic: that is a mistake in the caller.
pub fn critics_mse(values: Vec<Tensor<1>>, target: Tensor<1>) -> Tensor<1> {
    let errors = values.into_iter().map(|value| value_mse(value, target.clone()));
    errors.reduce(|sum, error| sum + error).expect("at least one critic")
}

/// y = R + Γ V(s′): what the value of an action is to become, R being what the steps in between earned and Γ
/// what the state they led to counts, 0 if none.
///
/// # Shapes
/// All and the result: `[rows]`.
pub fn bellman_target(reward: Tensor<1>, discount: Tensor<1>, next_value: Tensor<1>) -> Tensor<1> {
    reward + discount * next_value
}

/// Q(s, a) − α log πθ(a|s) with a ~ πθ(·|s): an estimate of V(s), the soft value of a state (Haarnoja et al.,
/// 2018b, eq. 3). Where a = fθ(s, ε) is a function of θ and noise, gradients go through it.
///
/// # Shapes
/// `value`, `log_prob` and the result: `[rows]`.
pub fn soft_value(value: Tensor<1>, log_prob: Tensor<1>, alpha: f64) -> Tensor<1> {
    value - log_prob * alpha
}

/// V(s) = Σₐ πθ(a|s) [Q(s, a) − α log πθ(a|s)] where an action is one of n (Christodoulou, 2019, eq. 10). Q is
/// detached: it is what πθ learns from.
///
/// # Shapes
/// `values`, `log_probs`: `[rows, n]`; result: `[rows]`.
pub fn soft_value_of_choice(values: Tensor<2>, log_probs: Tensor<2>, alpha: f64) -> Tensor<1> {
    let terms = log_probs.clone().exp() * (values.detach() - log_probs * alpha);
    terms.sum_dim(1).squeeze_dim(1)
}

/// L(θ) = −mean V(s): an actor's loss is what its critics miss. Of a soft value it is SAC's (Haarnoja et al.,
/// 2018b, eq. 9; Christodoulou, 2019, eq. 12), of Q(s, μθ(s)) the deterministic policy gradient's (Silver et
/// al., 2014; Lillicrap et al., 2016).
///
/// # Shapes
/// `value`: `[rows]`; result: `[1]`.
pub fn actor(value: Tensor<1>) -> Tensor<1> {
    -value.mean()
}

/// L(α) = −log α · mean (log πθ(a|s) + H̄): it falls with α where the entropy lies above H̄ (Haarnoja et al.,
/// 2018b, eq. 18, with log α for α as their implementation has it). `log_prob` may be minus an entropy.
///
/// # Shapes
/// `log_alpha`: `[1]`, `log_prob`: `[rows]`; result: `[1]`.
pub fn temperature(log_alpha: Tensor<1>, log_prob: Tensor<1>, target_entropy: f64) -> Tensor<1> {
    -log_alpha * (log_prob.detach() + target_entropy).mean()
}

fn weighted(rows: Tensor<1>, weight: Option<Tensor<1>>) -> Tensor<1> {
    match weight {
        Some(weight) => rows * weight.detach(),
        None => rows,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elegante_policy::DeviceChoice;

    fn vector(values: &[f32]) -> Tensor<1> {
        let device = DeviceChoice::Auto.open().unwrap().autodiff();
        Tensor::from_data(values, &device)
    }

    fn host(tensor: Tensor<1>) -> Vec<f64> {
        tensor.into_data().iter::<f64>().collect()
    }

    /// The loss and its gradient by log πθ.
    fn surrogate(old: &[f32], new: &[f32], advantage: &[f32], ε: f64) -> (f64, Vec<f64>) {
        let log_prob = vector(new).require_grad();
        let loss = clipped_surrogate(log_prob.clone(), vector(old), vector(advantage), ε);
        let gradient = log_prob.grad(&loss.backward()).unwrap();
        (host(loss)[0], host(gradient))
    }

    #[test]
    fn the_clipped_surrogate_by_hand() {
        // ρ = 1.5 and 0.5 with ε = 0.2, each with a gain and with a loss.
        let (up, down) = (1.5f32.ln(), 0.5f32.ln());
        let (loss, gradient) =
            surrogate(&[0.0; 4], &[up, up, down, down], &[1.0, -1.0, 1.0, -1.0], 0.2);
        // min: 1.2 (clipped), −1.5, 0.5, −0.8 (clipped); the mean is −0.15, the loss its negative.
        assert!((loss - 0.15).abs() < 1e-6, "{loss}");
        // Clipped terms have no gradient; the others ρÂ, over −n.
        let expected = [0.0, 1.5 / 4.0, -0.5 / 4.0, 0.0];
        for (ours, theirs) in gradient.iter().zip(expected) {
            assert!((ours - theirs).abs() < 1e-6, "{gradient:?}");
        }
    }

    #[test]
    fn at_the_old_policy_all_surrogates_have_one_gradient() {
        let (log_prob, advantage) = ([-0.7f32, -1.2, -0.1], [2.0f32, -1.0, 0.5]);
        let (_, clipped) = surrogate(&log_prob, &log_prob, &advantage, 0.2);
        let plain = vector(&log_prob).require_grad();
        let loss = advantage_policy_gradient(plain.clone(), vector(&advantage));
        let expected = host(plain.grad(&loss.backward()).unwrap());
        for (ours, theirs) in clipped.iter().zip(expected) {
            assert!((ours - theirs).abs() < 1e-6, "{clipped:?}");
        }
    }

    #[test]
    fn value_losses_by_hand() {
        let (value, old, target) = (vector(&[1.0, 5.0]), vector(&[0.0, 4.5]), vector(&[3.0, 5.0]));
        assert_eq!(host(value_mse(value.clone(), target.clone())), [2.0]);
        // 1 is kept within 0 ± ½, and 5 lies within 4.5 ± ½: ((½ − 3)² + 0)/2.
        assert_eq!(host(clipped_value_mse(value, old, target, 0.5)), [3.125]);
    }

    #[test]
    fn a_squared_error_has_no_limit_and_may_be_weighted() {
        let (value, target) = (vector(&[0.0, 4.0]), vector(&[0.5, 1.0]));
        // (0.25 + 9)/2, and (2 · 0.25 + ½ · 9)/2.
        assert_eq!(host(weighted_mse(value.clone(), target.clone(), None)), [4.625]);
        let weights = Some(vector(&[2.0, 0.5]));
        assert_eq!(host(weighted_mse(value, target, weights)), [2.5]);
    }

    #[test]
    fn the_losses_of_critics_and_their_actors_by_hand() {
        let said = vec![vector(&[1.0, 2.0]), vector(&[0.0, 4.0])];
        // ((1 − 1)² + (2 − 3)²)/2 + ((0 − 1)² + (4 − 3)²)/2.
        assert_eq!(host(critics_mse(said, vector(&[1.0, 3.0]))), [1.5]);
        let (reward, discount) = (vector(&[1.0, 2.0]), vector(&[0.5, 0.0]));
        let next = soft_value(vector(&[4.0, 9.0]), vector(&[-2.0, 5.0]), 0.5);
        assert_eq!(host(next.clone()), [5.0, 6.5]);
        assert_eq!(host(bellman_target(reward, discount, next.clone())), [3.5, 2.0]);
        assert_eq!(host(actor(next)), [-5.75]);
    }

    #[test]
    fn the_soft_value_of_a_choice_by_hand_and_its_slope_lies_in_the_policy_alone() {
        let device = DeviceChoice::Auto.open().unwrap().autodiff();
        let matrix = |x: [f32; 2]| Tensor::<2>::from_data([x], &device).require_grad();
        let (log_probs, values) = (matrix([0.25f32.ln(), 0.75f32.ln()]), matrix([2.0, -1.0]));
        let value = soft_value_of_choice(values.clone(), log_probs.clone(), 0.1);
        let entropy = -(0.25 * 0.25f64.ln() + 0.75 * 0.75f64.ln());
        assert!((host(value.clone())[0] - (0.5 - 0.75 + 0.1 * entropy)).abs() < 1e-6);
        let gradients = value.sum().backward();
        assert!(values.grad(&gradients).is_none() && log_probs.grad(&gradients).is_some());
    }

    #[test]
    fn the_temperature_falls_where_there_is_more_entropy_than_asked_for() {
        let slope = |log_prob: &[f32]| {
            let log_alpha = vector(&[0.3]).require_grad();
            let loss = temperature(log_alpha.clone(), vector(log_prob), -1.0);
            host(log_alpha.grad(&loss.backward()).unwrap())[0]
        };
        // Entropies of −0.5 and −1.5, the aim being −1.
        assert!((slope(&[0.0, 1.0]) - 0.5).abs() < 1e-6);
        assert!((slope(&[1.0, 2.0]) + 0.5).abs() < 1e-6);
    }

    #[test]
    fn targets_and_old_numbers_get_no_gradient() {
        let all = || vector(&[0.3, -0.2]).require_grad();
        let (old, advantage, target, before) = (all(), all(), all(), all());
        let loss = clipped_surrogate(all(), old.clone(), advantage.clone(), 0.2)
            + clipped_value_mse(all(), before.clone(), target.clone(), 0.2);
        let gradients = loss.backward();
        for tensor in [old, advantage, target, before] {
            assert!(tensor.grad(&gradients).is_none());
        }
    }
}
