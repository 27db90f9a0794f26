//! Returns, from rewards and discounts. No function here takes a flag that says "done": where a sum
//! must stop, its discount is 0.

use crate::trajectories::Trajectories;

/// Gₜ = rₜ + γₜ Gₜ₊₁ backwards from G_T = `bootstrap`; the one recursion behind every return.
///
/// # Shapes
/// `rewards`, `discounts`: `[steps]`; result: `[steps]`.
pub fn discounted_sums(rewards: &[f64], discounts: &[f64], bootstrap: f64) -> Vec<f64> {
    let mut sums = vec![0.0; rewards.len()];
    let mut after = bootstrap;
    for (t, sum) in sums.iter_mut().enumerate().rev() {
        after = rewards[t] + discounts[t] * after;
        *sum = after;
    }
    sums
}

/// Gₜ = Σ_{k≥t} γ^{k−t} rₖ within each trajectory: what came after the action, and only that.
///
/// The factor γᵗ with which the policy-gradient theorem would weight step t when γ < 1 is left out,
/// as everywhere in practice: it would make the policy careless about all but the first steps
/// (Thomas, 2014, on what that biases). With γ = 1 there is nothing to leave out.
///
/// # Shapes
/// Result: `[steps]`.
pub fn rewards_to_go(batch: &Trajectories, gamma: f64) -> Vec<f64> {
    // The last step of a trajectory has nothing after it: discount 0.
    let mut discounts = vec![gamma; batch.steps()];
    for span in batch.spans() {
        discounts[span.end - 1] = 0.0;
    }
    discounted_sums(&batch.rewards, &discounts, 0.0)
}

/// r(τ) = Σₜ γᵗ rₜ of the whole trajectory, at each of its steps.
///
/// # Shapes
/// Result: `[steps]`.
pub fn total_returns(batch: &Trajectories, gamma: f64) -> Vec<f64> {
    let to_go = rewards_to_go(batch, gamma);
    batch.spans().flat_map(|span| vec![to_go[span.start]; span.len()]).collect()
}

/// Mean and (population) standard deviation.
pub fn mean_std(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    (mean, variance.sqrt())
}

/// (x − mean)/std in place; only the mean is taken off where all are (nearly) equal, since there is
/// no scale to divide by.
pub fn standardize(values: &mut [f64]) {
    let (mean, std) = mean_std(values);
    let scale = if std > 1e-8 * mean.abs().max(1.0) { std } else { 1.0 };
    values.iter_mut().for_each(|x| *x = (*x - mean) / scale);
}

/// 1 − Var(G − V)/Var(G): 1 for a perfect prediction, 0 for a constant, negative for a harmful one.
/// 0 where G does not vary.
pub fn explained_variance(target: &[f64], predicted: &[f64]) -> f64 {
    let residual: Vec<f64> = target.iter().zip(predicted).map(|(g, v)| g - v).collect();
    let (_, spread) = mean_std(target);
    let (_, left) = mean_std(&residual);
    if spread > 0.0 { 1.0 - (left / spread).powi(2) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elegante_env::Ending;
    use elegante_policy::ActionBatch;

    fn batch() -> Trajectories {
        let mut batch = Trajectories::new(ActionBatch::Discrete(Vec::new()));
        batch.rewards = vec![1.0, 2.0, 4.0, 10.0, 20.0];
        batch.lengths = vec![3, 2];
        batch.endings = vec![Ending::Terminated, Ending::Truncated];
        batch
    }

    #[test]
    fn hand_worked_returns() {
        // Half of the future counts at each step: 4; 2 + 4/2; 1 + 4/2. A time limit adds nothing.
        assert_eq!(rewards_to_go(&batch(), 0.5), [3.0, 4.0, 4.0, 20.0, 20.0]);
        assert_eq!(rewards_to_go(&batch(), 1.0), [7.0, 6.0, 4.0, 30.0, 20.0]);
        // 1 + 2/2 + 4/4 and 10 + 20/2.
        assert_eq!(total_returns(&batch(), 0.5), [3.0, 3.0, 3.0, 20.0, 20.0]);
        assert_eq!(total_returns(&batch(), 1.0), [7.0, 7.0, 7.0, 30.0, 30.0]);
        assert_eq!(total_returns(&batch(), 0.0), [1.0, 1.0, 1.0, 10.0, 10.0]);
    }

    #[test]
    fn the_recursion_bootstraps_and_cuts_where_the_discount_says() {
        assert_eq!(discounted_sums(&[1.0, 1.0], &[0.5, 0.5], 8.0), [3.5, 5.0]);
        assert_eq!(discounted_sums(&[1.0, 1.0], &[0.5, 0.0], 8.0), [1.5, 1.0]);
    }

    #[test]
    fn standardised_values_have_mean_zero_and_spread_one() {
        let mut values = [1.0, 2.0, 3.0, 10.0];
        standardize(&mut values);
        let (mean, std) = mean_std(&values);
        assert!(mean.abs() < 1e-12 && (std - 1.0).abs() < 1e-12);
        let mut equal = [500.0; 3];
        standardize(&mut equal);
        assert_eq!(equal, [0.0; 3]);
    }

    #[test]
    fn explained_variance_by_definition() {
        let g = [1.0, 2.0, 3.0];
        assert_eq!(explained_variance(&g, &g), 1.0);
        assert_eq!(explained_variance(&g, &[2.0; 3]), 0.0);
        assert_eq!(explained_variance(&g, &[3.0, 2.0, 1.0]), -3.0);
        assert_eq!(explained_variance(&[5.0; 3], &[0.0; 3]), 0.0);
    }
}
