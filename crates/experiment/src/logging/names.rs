//! Measurements under the names that Stable-Baselines3 gives them.

use elegante_trainer::{Evaluation, UpdateMetrics};

/// A measurement and its name.
pub(super) type Scalar = (String, f64);

/// What an update measured. What was not measured, as the return of no episode, is not in it.
///
/// `train/entropy_loss` is the negated entropy, as in Stable-Baselines3. What that has no name for keeps
/// its own below `train/`.
pub(super) fn update(metrics: &UpdateMetrics, algo: &str) -> Vec<Scalar> {
    measures(metrics, algo).into_iter().filter(|(_, value)| value.is_finite()).collect()
}

/// Everything that an update may measure, with NaN for what it did not.
fn measures(metrics: &UpdateMetrics, algo: &str) -> Vec<Scalar> {
    let usual = [
        ("time/fps", metrics.steps_per_second),
        ("rollout/ep_rew_mean", metrics.mean_return_100),
        ("rollout/ep_len_mean", metrics.mean_length_100),
        ("train/loss", metrics.loss),
        ("train/entropy_loss", -metrics.entropy),
        ("train/grad_norm", metrics.grad_norm),
        ("train/learning_rate", metrics.learning_rate),
    ];
    let usual = usual.into_iter().map(|(name, value)| (name.to_owned(), value));
    let own = metrics.values.iter().map(|(name, value)| {
        let name = match (*name, algo) {
            ("policy_loss", "ppo") => "train/policy_gradient_loss".to_owned(),
            ("exploration_rate", _) => "rollout/exploration_rate".to_owned(),
            (name, _) => format!("train/{name}"),
        };
        (name, *value)
    });
    usual.chain(own).collect()
}

/// The same with what Stable-Baselines3 writes into progress.csv only, and with NaN for what was not
/// measured.
pub(super) fn all(metrics: &UpdateMetrics, algo: &str) -> Vec<Scalar> {
    let mut all = vec![
        (STEPS.to_owned(), metrics.steps as f64),
        ("time/iterations".to_owned(), metrics.update as f64),
        ("time/time_elapsed".to_owned(), metrics.seconds),
    ];
    let measured = measures(metrics, algo);
    // One gradient has nothing to differ from; the column is there.
    if measured.iter().all(|(name, _)| name != GRAD_VARIANCE) {
        all.push((GRAD_VARIANCE.to_owned(), f64::NAN));
    }
    all.extend(measured);
    all.sort_by_key(|(name, _)| rank(name));
    all
}

/// The column of what gradients differ by, which a first update may not know.
const GRAD_VARIANCE: &str = "train/grad_variance";

/// The column of environment steps.
pub(super) const STEPS: &str = "time/total_timesteps";

/// Steps first, then what people look at first, then the rest by name.
fn rank(name: &str) -> (usize, String) {
    let group = ["time/total_timesteps", "rollout/", "time/", "train/"];
    let place = group.iter().position(|start| name.starts_with(start));
    (place.unwrap_or(group.len()), name.to_owned())
}

/// What an evaluation found.
pub(super) fn evaluation(found: &Evaluation) -> Vec<Scalar> {
    let values = [found.mean_return, found.std_return, found.mean_length];
    EVALUATION.iter().zip(values).map(|(name, value)| ((*name).to_owned(), value)).collect()
}

/// The names of what an evaluation finds.
pub(super) const EVALUATION: [&str; 3] =
    ["eval/mean_reward", "eval/std_reward", "eval/mean_ep_length"];
