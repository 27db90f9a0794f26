//! Advantages and λ-returns of fixed-length rollouts, from discounts. No function here takes a flag
//! that says "done": what an ending means is said by two numbers at each step.
//!
//! Everything is time-major: entry t·lanes + i is step t of lane i. A step's *discount* γₜ weighs
//! all that comes after it and is 0 where the episode terminated, and only there. Its *trace* λₜ
//! says how far the recursion looks past the next value and is 0 where the episode ended in either
//! way: what follows in the array then belongs to another episode. Vₜ₊₁ is the value of the
//! observation that the step really led to, from before any reset, so that a truncated episode is
//! bootstrapped from where it was cut.

use elegante_env::Ending;

/// What a rollout brought, a number for each step of each lane: `[steps × lanes]`.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// rₜ.
    pub rewards: &'a [f64],
    /// Vₜ = V(sₜ).
    pub values: &'a [f64],
    /// Vₜ₊₁, of the observation that step t led to, from before any reset.
    pub next_values: &'a [f64],
    /// γₜ; see [`discounts`].
    pub discounts: &'a [f64],
    /// λₜ; see [`traces`].
    pub traces: &'a [f64],
    /// Lanes side by side.
    pub lanes: usize,
}

impl Segment<'_> {
    fn len(&self) -> usize {
        self.rewards.len()
    }

    /// δₜ = rₜ + γₜVₜ₊₁ − Vₜ.
    fn error(&self, t: usize) -> f64 {
        self.rewards[t] + self.discounts[t] * self.next_values[t] - self.values[t]
    }
}

/// γₜ: 0 after a step that terminated its episode, else γ.
pub fn discounts(endings: &[Option<Ending>], gamma: f64) -> Vec<f64> {
    let discount = |ending: &Option<Ending>| match ending {
        Some(Ending::Terminated) => 0.0,
        Some(Ending::Truncated) | None => gamma,
    };
    endings.iter().map(discount).collect()
}

/// λₜ: 0 after a step that ended its episode in whatever way, else λ.
pub fn traces(endings: &[Option<Ending>], lambda: f64) -> Vec<f64> {
    endings.iter().map(|ending| if ending.is_some() { 0.0 } else { lambda }).collect()
}

/// Generalised advantage estimates (Schulman et al., 2016, eq. 16), backwards from the last row:
///
/// δₜ = rₜ + γₜVₜ₊₁ − Vₜ,  Âₜ = δₜ + γₜλₜÂₜ₊₁,  Â_T = 0.
///
/// λ = 1 is the n-step return less the value, λ = 0 the one-step error. The λ-return is Âₜ + Vₜ.
///
/// # Shapes
/// Result: `[steps × lanes]`.
pub fn gae(s: &Segment<'_>) -> Vec<f64> {
    let mut advantages = vec![0.0; s.len()];
    for t in (0..s.len()).rev() {
        let after = advantages.get(t + s.lanes).copied().unwrap_or(0.0);
        advantages[t] = s.error(t) + s.discounts[t] * s.traces[t] * after;
    }
    advantages
}

/// Returns over at most `n` steps: Gₜ = rₜ + γₜrₜ₊₁ + … + (Π γ)V, bootstrapped where the n steps, the
/// rollout or (by truncation) the episode are over, whichever is first. The traces only say where
/// episodes end, so λ must not be 0.
///
/// # Shapes
/// Result: `[steps × lanes]`.
///
/// # Panics
/// When `n` is 0: that is a mistake in the caller.
pub fn n_step_returns(s: &Segment<'_>, n: usize) -> Vec<f64> {
    assert!(n > 0, "a return has at least one step");
    let from = |start: usize| {
        let (mut sum, mut weight, mut last) = (0.0, 1.0, start);
        for t in (start..s.len()).step_by(s.lanes).take(n) {
            sum += weight * s.rewards[t];
            weight *= s.discounts[t];
            last = t;
            if s.traces[t] == 0.0 {
                break;
            }
        }
        sum + weight * s.next_values[last]
    };
    (0..s.len()).map(from).collect()
}

/// V-trace targets vₜ and advantages of off-policy data (Espeholt et al., 2018, eq. 1), with the
/// importance weights πθ/μ clipped at ρ̄ and c̄:
///
/// vₜ = Vₜ + δₜ + γₜλₜcₜ(vₜ₊₁ − Vₜ₊₁),  δₜ = ρₜ(rₜ + γₜVₜ₊₁ − Vₜ),
///
/// and the policy gradient's weight ρₜ(rₜ + γₜvₜ₊₁ − Vₜ). With weights of 1 the targets are λ-returns.
///
/// # Shapes
/// `ratios`, πθ(aₜ|sₜ)/μ(aₜ|sₜ), and both results, targets and advantages: `[steps × lanes]`.
pub fn v_trace(s: &Segment<'_>, ratios: &[f64], clip: Clip) -> (Vec<f64>, Vec<f64>) {
    let (mut targets, mut advantages) = (vec![0.0; s.len()], vec![0.0; s.len()]);
    for t in (0..s.len()).rev() {
        let (ρ, c) = (ratios[t].min(clip.rho), ratios[t].min(clip.c));
        // After an ending, and after the last row, the next target is the next value itself.
        let correction = match targets.get(t + s.lanes) {
            Some(after) if s.traces[t] > 0.0 => after - s.next_values[t],
            _ => 0.0,
        };
        let carried = s.discounts[t] * s.traces[t] * c * correction;
        targets[t] = s.values[t] + ρ * s.error(t) + carried;
        advantages[t] = ρ * (s.error(t) + s.discounts[t] * correction);
    }
    (targets, advantages)
}

/// Where V-trace clips its importance weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clip {
    /// ρ̄: which value function the targets converge to.
    pub rho: f64,
    /// c̄: how far corrections travel.
    pub c: f64,
}

impl Default for Clip {
    fn default() -> Self {
        Self { rho: 1.0, c: 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Ending::{Terminated, Truncated};
    use elegante_env::EnvRng;

    /// A random rollout, as the collector would hand it over.
    struct Data {
        lanes: usize,
        rewards: Vec<f64>,
        values: Vec<f64>,
        next_values: Vec<f64>,
        endings: Vec<Option<Ending>>,
        ratios: Vec<f64>,
    }

    fn random(seed: u64) -> Data {
        let mut rng = EnvRng::new(seed);
        let (steps, lanes) = (1 + (seed % 9) as usize, 1 + (seed % 4) as usize);
        let n = steps * lanes;
        let mut draw = |low, high| (0..n).map(|_| rng.uniform(low, high)).collect::<Vec<_>>();
        let (rewards, values, free, ratios) =
            (draw(-2.0, 2.0), draw(-3.0, 3.0), draw(-3.0, 3.0), draw(0.2, 2.0));
        let kind = draw(0.0, 1.0);
        let endings: Vec<_> = kind
            .iter()
            .map(|&x| match x {
                x if x < 0.15 => Some(Terminated),
                x if x < 0.3 => Some(Truncated),
                _ => None,
            })
            .collect();
        // Within an episode Vₜ₊₁ is the next row's Vₜ; at an ending and at the last row it is free.
        let next = |t: usize| match (endings[t], values.get(t + lanes)) {
            (None, Some(&v)) => v,
            _ => free[t],
        };
        let next_values = (0..n).map(next).collect();
        Data { lanes, rewards, values, next_values, endings, ratios }
    }

    /// Âₜ = Σₖ (γλ)ᵏ δₜ₊ₖ over the rest of the episode and of the rollout, summed forwards.
    fn gae_by_definition(d: &Data, γ: f64, λ: f64) -> Vec<f64> {
        (0..d.rewards.len())
            .map(|start| {
                let (mut sum, mut weight) = (0.0, 1.0);
                for t in (start..d.rewards.len()).step_by(d.lanes) {
                    let bootstrap =
                        if d.endings[t] == Some(Terminated) { 0.0 } else { d.next_values[t] };
                    sum += weight * (d.rewards[t] + γ * bootstrap - d.values[t]);
                    weight *= γ * λ;
                    if d.endings[t].is_some() {
                        break;
                    }
                }
                sum
            })
            .collect()
    }

    fn assert_close(ours: &[f64], theirs: &[f64], what: &str) {
        assert_eq!(ours.len(), theirs.len());
        for (i, (a, b)) in ours.iter().zip(theirs).enumerate() {
            assert!((a - b).abs() < 1e-12 * b.abs().max(1.0), "{what}, entry {i}: {a} and {b}");
        }
    }

    /// Hands the rollout to `f` as a segment with these γ and λ.
    fn with<T>(d: &Data, γ: f64, λ: f64, f: impl FnOnce(&Segment<'_>) -> T) -> T {
        f(&Segment {
            rewards: &d.rewards,
            values: &d.values,
            next_values: &d.next_values,
            discounts: &discounts(&d.endings, γ),
            traces: &traces(&d.endings, λ),
            lanes: d.lanes,
        })
    }

    fn estimate(d: &Data, γ: f64, λ: f64) -> Vec<f64> {
        with(d, γ, λ, gae)
    }

    /// Âₜ + Vₜ.
    fn lambda_returns(d: &Data, γ: f64, λ: f64) -> Vec<f64> {
        estimate(d, γ, λ).iter().zip(&d.values).map(|(a, v)| a + v).collect()
    }

    #[test]
    fn gae_is_its_definition_on_random_rollouts() {
        for seed in 0..300 {
            let d = random(seed);
            for (γ, λ) in [(0.99, 0.95), (1.0, 1.0), (0.9, 0.0), (0.5, 0.3)] {
                assert_close(&estimate(&d, γ, λ), &gae_by_definition(&d, γ, λ), "gae");
            }
        }
    }

    #[test]
    fn a_hand_worked_case_with_every_kind_of_ending() {
        // One lane, γ = λ = ½. Steps: going, truncated, going, terminated, going (last row).
        let d = Data {
            lanes: 1,
            rewards: vec![1.0, 2.0, 3.0, 4.0, 5.0],
            values: vec![10.0, 20.0, 30.0, 40.0, 50.0],
            next_values: vec![20.0, 100.0, 40.0, 999.0, 60.0],
            endings: vec![None, Some(Truncated), None, Some(Terminated), None],
            ratios: vec![1.0; 5],
        };
        // δ = 1+10−10 = 1; 2+50−20 = 32 (bootstrapped, trace cut); 3+20−30 = −7;
        // 4+0−40 = −36 (no bootstrap); 5+30−50 = −15 (bootstrapped by the last observation).
        assert_eq!(estimate(&d, 0.5, 0.5), [1.0 + 8.0, 32.0, -7.0 - 9.0, -36.0, -15.0]);
    }

    #[test]
    fn n_step_returns_are_gae_with_full_traces_when_n_is_long() {
        for seed in 0..100 {
            let d = random(seed);
            let of = |n| with(&d, 0.9, 1.0, |s| n_step_returns(s, n));
            assert_close(&of(100), &lambda_returns(&d, 0.9, 1.0), "all steps");
            assert_close(&of(1), &lambda_returns(&d, 0.9, 0.0), "one step");
        }
    }

    #[test]
    fn two_steps_by_hand() {
        let s = Segment {
            rewards: &[1.0, 2.0, 4.0],
            values: &[0.0; 3],
            next_values: &[10.0, 20.0, 30.0],
            discounts: &[0.5; 3],
            traces: &[1.0; 3],
            lanes: 1,
        };
        assert_eq!(n_step_returns(&s, 2), [1.0 + 1.0 + 5.0, 2.0 + 2.0 + 7.5, 4.0 + 15.0]);
    }

    #[test]
    fn v_trace_on_policy_is_the_lambda_return() {
        for seed in 0..100 {
            let d = random(seed);
            let ones = vec![1.0; d.rewards.len()];
            let (targets, _) = with(&d, 0.95, 0.9, |s| v_trace(s, &ones, Clip::default()));
            assert_close(&targets, &lambda_returns(&d, 0.95, 0.9), "on-policy targets");
        }
    }

    /// vₜ = Vₜ + Σₖ (Πⱼ γλcⱼ) δₜ₊ₖ, summed forwards (eq. 1 of the paper).
    #[test]
    fn v_trace_is_its_definition_on_random_rollouts() {
        for seed in 0..200 {
            let d = random(seed);
            let (γ, λ, clip) = (0.97, 0.8, Clip { rho: 1.1, c: 0.9 });
            let discounts = discounts(&d.endings, γ);
            let (targets, advantages) = with(&d, γ, λ, |s| v_trace(s, &d.ratios, clip));
            let target = |start: usize| {
                let (mut sum, mut weight) = (d.values[start], 1.0);
                for t in (start..d.rewards.len()).step_by(d.lanes) {
                    let δ = d.rewards[t] + discounts[t] * d.next_values[t] - d.values[t];
                    sum += weight * d.ratios[t].min(1.1) * δ;
                    weight *= γ * λ * d.ratios[t].min(0.9);
                    if d.endings[t].is_some() {
                        break;
                    }
                }
                sum
            };
            let expected: Vec<f64> = (0..d.rewards.len()).map(target).collect();
            assert_close(&targets, &expected, "targets");
            let advantage = |t: usize| {
                let after = match (d.endings[t], expected.get(t + d.lanes)) {
                    (None, Some(v)) => *v,
                    _ => d.next_values[t],
                };
                d.ratios[t].min(1.1) * (d.rewards[t] + discounts[t] * after - d.values[t])
            };
            let expected: Vec<f64> = (0..d.rewards.len()).map(advantage).collect();
            assert_close(&advantages, &expected, "advantages");
        }
    }
}
