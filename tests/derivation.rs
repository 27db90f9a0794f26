//! The equation, executable.
//!
//! ```text
//! find     θ* = argmax_θ J(θ),   J(θ) = E[r(τ)] over τ ~ ρθ
//!   (1)    ρθ(τ) = P(s₀) Πₜ πθ(aₜ|sₜ) P(sₜ₊₁, rₜ | sₜ, aₜ),   Σ_τ ρθ(τ) = 1
//!   (2)    Σ_τ ∇ρθ(τ) r(τ) = Σ_τ ρθ(τ) ∇log ρθ(τ) r(τ)
//!   (3)    ∇log ρθ(τ) = Σₜ ∇log πθ(aₜ|sₜ)
//!   (4)    ∇J(θ) = E[Σₜ ∇log πθ(aₜ|sₜ) · r(τ)] = E[−∇L(θ)],   L(θ) = −(1/N) Σᵢ Σₜ log πθ(aₜ|sₜ) · r(τᵢ)
//!   (5)          = E[Σₜ ∇log πθ(aₜ|sₜ) · (Gₜ − b(sₜ, t))],   Gₜ = rₜ + rₜ₊₁ + …
//!   (6)    and r(τ), Gₜ, Gₜ − Vπ differ in variance only
//! ```
//!
//! One test or more to a line, on a world (`derivation/mdp.rs`) whose trajectories can all be listed:
//! expectations are sums and nothing is sampled. On the left stands arithmetic on the host in f64, on
//! the right the library's own `Categorical`, `policy_gradient` and returns, through burn's autodiff.
//! `docs/derivation.md` tells the story; run it with
//! `cargo test -p elegante --test derivation -- --nocapture`.

#[path = "derivation/mdp.rs"]
mod mdp;

use std::iter::zip;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use elegante::{
    env::EnvRng,
    policy::{Categorical, DeviceChoice},
    trainer::{
        Trajectories,
        loss::policy_gradient,
        returns::{rewards_to_go, total_returns},
    },
};
use mdp::{ACTIONS, HORIZON, Mdp, Move, STATES, Theta, Trajectory, central_difference};

/// Far from uniform, and different in every state: errors can't cancel.
const THETA: Theta = [0.4, -0.3, -0.8, 0.5, 0.2, 1.1];

// (1) ρθ(τ) = P(s₀) Πₜ πθ(aₜ|sₜ) P(sₜ₊₁, rₜ | sₜ, aₜ) and Σ_τ ρθ(τ) = 1.

#[test]
fn line_1_the_probabilities_of_all_trajectories_sum_to_one() {
    let world = World::new();
    let total: f64 = world.ρ.iter().sum();
    assert!((total - 1.0).abs() < 1e-14, "Σ_τ ρθ(τ) = {total}");
    let of_length = |n| world.all.iter().filter(|τ| τ.len() == n).count();
    let lengths: Vec<usize> = (1..=HORIZON).map(of_length).collect();
    println!("{} trajectories; of length 1, 2, 3, 4: {lengths:?}", world.all.len());
    assert!(lengths.iter().all(|&n| n > 0), "some must end early, some at the limit: {lengths:?}");
}

// (2) ∇ρ = ρ ∇log ρ, so that a sum over gradients becomes an expectation.

#[test]
fn line_2_the_log_derivative_turns_a_sum_into_an_expectation() {
    let world = World::new();
    let right = finest();
    let (mut sums, mut weighted) = ([vec![0.0; THETA.len()], vec![0.0; THETA.len()]], Vec::new());
    for (τ, ρ, r) in world.iter() {
        let slope = central_difference(|θ| world.mdp.probability(τ, θ), &THETA);
        let score: Vec<f64> = score(τ, &right).iter().map(|s| ρ * s).collect();
        assert_close(&slope, &score, right.tolerance, "∇ρθ(τ) = ρθ(τ) ∇log ρθ(τ)");
        add(&mut sums[0], 1.0, &slope);
        add(&mut sums[1], 1.0, &score);
        weighted.push((slope, score, r));
    }
    // Both sums are ∇Σ_τ ρθ(τ) = ∇1 = 0, so they are measured against 1, and then weighted with r(τ).
    let largest = sums.iter().flatten().fold(0.0, |max: f64, x| max.max(x.abs()));
    assert!(largest < right.tolerance, "Σ_τ ∇ρθ(τ) and Σ_τ ρθ(τ) ∇log ρθ(τ): {sums:?}");
    /// ∇ρθ(τ), ρθ(τ) ∇log ρθ(τ) and r(τ).
    type Term = (Vec<f64>, Vec<f64>, f64);
    let sum = |side: fn(&Term) -> &Vec<f64>| {
        let mut sum = vec![0.0; THETA.len()];
        weighted.iter().for_each(|term| add(&mut sum, term.2, side(term)));
        sum
    };
    assert_close(&sum(|t| &t.0), &sum(|t| &t.1), right.tolerance, "Σ ∇ρ r = Σ ρ ∇log ρ r");
}

// (3) log ρθ(τ) is a sum, and only the policy's terms know θ.

#[test]
fn line_3_the_dynamics_drop_out() {
    let world = World::new();
    let elsewhere = world.mdp.other_dynamics();
    let right = finest();
    for (τ, ρ, _) in world.iter() {
        let policy_alone = score(τ, &right);
        let with_dynamics = |mdp: &Mdp| central_difference(|θ| mdp.probability(τ, θ).ln(), &THETA);
        assert_close(&with_dynamics(&world.mdp), &policy_alone, right.tolerance, "∇log ρθ(τ)");
        // Another nature makes the trajectory more or less likely and leaves its score alone.
        let likelihood_ratio = elsewhere.probability(τ, &THETA) / ρ;
        assert!(
            (likelihood_ratio - 1.0).abs() > 1e-3,
            "the other dynamics must differ: {likelihood_ratio}"
        );
        assert_close(&with_dynamics(&elsewhere), &policy_alone, right.tolerance, "∇log ρ′θ(τ)");
    }
}

// (4) Σ_τ ρθ(τ) · (−∇L for τ) = ∇J(θ): what burn differentiates is what we want to climb.

#[cfg(any(feature = "flex", feature = "ndarray"))]
#[test]
fn line_4_the_surrogates_gradient_is_the_policy_gradient_in_f64() {
    let world = World::new();
    let precise = finest();
    assert_eq!(precise.dtype, DType::F64);
    let error =
        relative_error(&world.estimate(&world.total(), &precise).mean, &world.gradient(1.0));
    println!("f64: the surrogate's gradient is off ∇J by {error:.1e} of its norm");
    assert!(error < 1e-8, "{error:e}");
}

#[test]
fn line_4_and_in_f32_on_every_backend_compiled_in() {
    let world = World::new();
    let backends = DeviceChoice::compiled_in();
    assert!(!backends.is_empty());
    for backend in backends {
        let single = Precision::new(backend, DType::F32, 1e-4);
        let estimate = world.estimate(&world.total(), &single);
        let error = relative_error(&estimate.mean, &world.gradient(1.0));
        println!("f32 on {backend}: the surrogate's gradient is off ∇J by {error:.1e} of its norm");
        assert!(error < 1e-4, "{backend}: {error:e}");
    }
}

#[test]
fn line_4_the_enumerated_objective_is_the_value_of_the_start() {
    let mdp = Mdp::new();
    let by_enumeration = mdp.objective(&mdp.trajectories(), &THETA, 1.0);
    let by_recursion = mdp.expected_start_value(&THETA);
    assert!((by_enumeration - by_recursion).abs() < 1e-13, "{by_enumeration} or {by_recursion}");
}

#[test]
fn line_4_a_batch_is_the_mean_of_its_trajectories() {
    let world = World::new();
    let precise = finest();
    // A power of two: burn's autodiff rounds 1/N to f32 on the way back, in F64 too, and 1/128 survives.
    let n = 128;
    let steps: usize = world.batch.lengths[..n].iter().sum();
    let weight = world.total();
    let batch = surrogate(&world.all[..n].concat(), &weight[..steps], n, &precise).gradient;
    let mut mean = vec![0.0; THETA.len()];
    for (τ, span) in zip(&world.all, world.batch.spans()).take(n) {
        add(&mut mean, 1.0 / n as f64, &surrogate(τ, &weight[span], 1, &precise).gradient);
    }
    assert_close(&batch, &mean, precise.tolerance, "a batch of N trajectories");
}

#[test]
fn line_4_no_gradient_flows_through_the_weights() {
    let precise = finest();
    let θ = parameters(&precise);
    let τ = &World::new().all[7];
    let log_prob = || log_prob(τ, θ.clone());
    let gradient = |weight| θ.grad(&policy_gradient(log_prob(), weight, 1).backward()).unwrap();
    // The same numbers twice; the second time they come from θ, as a shared network's V would.
    let from_the_world = gradient(log_prob().detach() * 3.0 + 1.0);
    let from_θ = gradient(log_prob() * 3.0 + 1.0);
    assert_close(
        &host(from_θ),
        &host(from_the_world),
        precise.tolerance,
        "weights that depend on θ",
    );
}

#[test]
fn line_4_the_surrogates_value_means_nothing() {
    let world = World::new();
    let precise = finest();
    let raw = world.estimate(&world.to_go(), &precise);
    let shifted = world.estimate(&world.minus(&world.to_go(), |_, _| 3.0), &precise);
    let j = world.mdp.objective(&world.all, &THETA, 1.0);
    println!("J = {j:.4}; E[L] = {:.4}, or {:.4} with a baseline of 3", raw.loss, shifted.loss);
    assert_close(&shifted.mean, &raw.mean, precise.tolerance, "one gradient");
    assert!(raw.loss > 1.0 && shifted.loss < -1.0, "two values, not even of one sign");
    assert!((raw.loss + j).abs() > 1.0, "and neither is −J");
    quoted(&format!("J(θ) = {j:.4}"));
    quoted(&format!("E[L] = {:.4}", raw.loss).replace('-', "−"));
    quoted(&format!("E[L] = {:.4}", shifted.loss).replace('-', "−"));
}

// (5) E[∇log πθ(aₜ|sₜ) · x] = 0 for whatever x is known before aₜ: past rewards, and b(sₜ, t).

#[test]
fn line_5_the_past_can_be_dropped() {
    let world = World::new();
    let precise = finest();
    let to_go = world.estimate(&world.to_go(), &precise).mean;
    assert_close(&to_go, &world.gradient(1.0), precise.tolerance, "reward-to-go");
    // Dropping one reward too many is another thing: rₜ itself is a consequence of aₜ.
    let after: Vec<f64> = zip(world.to_go(), &world.batch.rewards).map(|(g, r)| g - r).collect();
    let after = world.estimate(&after, &precise).mean;
    assert!(relative_error(&after, &world.gradient(1.0)) > 0.1);
}

#[test]
fn line_5_any_baseline_of_state_and_time_can_be_subtracted() {
    let world = World::new();
    let precise = finest();
    let mut rng = EnvRng::new(5);
    for _ in 0..5 {
        let mut random = || std::array::from_fn(|_| rng.uniform(-5.0, 5.0));
        let b: [[f64; STATES]; HORIZON] = std::array::from_fn(|_| random());
        for weight in [world.to_go(), world.total()] {
            let weight = world.minus(&weight, |m, t| b[t][m.state]);
            let mean = world.estimate(&weight, &precise).mean;
            assert_close(&mean, &world.gradient(1.0), precise.tolerance, "a random baseline");
        }
    }
}

#[test]
fn line_5_a_baseline_that_sees_the_action_is_not_one() {
    let world = World::new();
    let weight = world.minus(&world.to_go(), |m, _| [0.5, -0.5][m.action]);
    let error = relative_error(&world.estimate(&weight, &finest()).mean, &world.gradient(1.0));
    assert!(error > 0.1, "b(s, a) must bias the gradient: {error}");
}

// (6) One mean, four variances: tr Cov of the gradient that one trajectory gives.

#[test]
fn line_6_each_step_of_the_derivation_lowers_the_variance() {
    let world = World::new();
    let precise = finest();
    let value = world.mdp.value(&THETA);
    let to_go = world.to_go();
    let weights = [
        ("total return r(τ)", world.total()),
        ("reward-to-go Gₜ", to_go.clone()),
        ("Gₜ − Vπ(sₜ, t)", world.minus(&to_go, |m, t| value[t][m.state])),
        ("Gₜ − 10, a bad baseline", world.minus(&to_go, |_, _| 10.0)),
    ];
    let estimates = weights.each_ref().map(|(_, weight)| world.estimate(weight, &precise));
    let [total, reward_to_go, with_value, bad] = estimates.each_ref().map(|e| e.variance);
    for ((name, _), estimate) in zip(&weights, &estimates) {
        assert_close(&estimate.mean, &world.gradient(1.0), precise.tolerance, name);
        let row =
            format!("| {name} | {:.4} | {:.2} |", estimate.variance, estimate.variance / total);
        println!("{row}");
        quoted(&row);
    }
    assert!(total > reward_to_go && reward_to_go > with_value, "in the derivation's order");
    assert!(bad > reward_to_go, "a baseline far from every return does harm");
}

// With γ < 1, and what everybody leaves out.

#[test]
fn discounted_reward_to_go_is_unbiased_only_with_its_factor() {
    let world = World::new();
    let precise = finest();
    let γ = 0.7;
    let truth = world.gradient(γ);
    let total = world.estimate(&total_returns(&world.batch, γ), &precise).mean;
    assert_close(&total, &truth, precise.tolerance, "Σₜ γᵗ rₜ at every step");
    let in_practice = rewards_to_go(&world.batch, γ);
    let by_the_theorem: Vec<f64> =
        zip(&in_practice, world.moves()).map(|(g, (_, t))| γ.powi(t as i32) * g).collect();
    let mean = world.estimate(&by_the_theorem, &precise).mean;
    assert_close(&mean, &truth, precise.tolerance, "γᵗ Gₜ");
    let error = relative_error(&world.estimate(&in_practice, &precise).mean, &truth);
    println!(
        "γ = {γ}: without γᵗ the expected gradient is off by {:.0} % of its norm",
        100.0 * error
    );
    assert!(error > 0.1, "{error}");
    quoted(&format!("{:.0} %", 100.0 * error));
}

// The story must not fall behind its code.

#[test]
fn the_story_names_every_test_and_quotes_the_surrogate_as_it_stands() {
    let tests = include_str!("derivation.rs").split("#[test]\nfn ").skip(1);
    let names: Vec<&str> = tests.filter_map(|rest| rest.split('(').next()).collect();
    assert!(names.len() > 10, "{names:?}");
    names.into_iter().for_each(quoted);
    let loss = include_str!("../crates/trainer/src/loss.rs");
    let block = STORY.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next());
    let block = block.expect("docs/derivation.md quotes the surrogate in a rust block");
    assert!(block.contains("fn policy_gradient"), "the quoted code is not the surrogate:\n{block}");
    assert!(loss.contains(block), "crates/trainer/src/loss.rs has no\n{block}");
}

// What the tests are made of.

const STORY: &str = include_str!("../docs/derivation.md");

fn quoted(words: &str) {
    assert!(STORY.contains(words), "docs/derivation.md should say: {words}");
}

/// The world, all of its trajectories with their probabilities, and the same as the trainer's batch.
struct World {
    mdp: Mdp,
    all: Vec<Trajectory>,
    ρ: Vec<f64>,
    batch: Trajectories,
}

/// The exact expectations of a one-trajectory estimate of the gradient.
struct Estimate {
    loss: f64,
    mean: Vec<f64>,
    variance: f64,
}

impl World {
    fn new() -> Self {
        let mdp = Mdp::new();
        let all = mdp.trajectories();
        let ρ = all.iter().map(|τ| mdp.probability(τ, &THETA)).collect();
        let batch = mdp.batch(&all);
        Self { mdp, all, ρ, batch }
    }

    /// τ, ρθ(τ) and r(τ).
    fn iter(&self) -> impl Iterator<Item = (&Trajectory, f64, f64)> {
        zip(zip(&self.all, &self.ρ), self.batch.returns()).map(|((τ, ρ), r)| (τ, *ρ, r))
    }

    /// Every step of the batch with its time.
    fn moves(&self) -> impl Iterator<Item = (&Move, usize)> {
        self.all.iter().flat_map(|τ| zip(τ, 0..))
    }

    /// r(τ) at each step.
    fn total(&self) -> Vec<f64> {
        total_returns(&self.batch, 1.0)
    }

    /// Gₜ at each step.
    fn to_go(&self) -> Vec<f64> {
        rewards_to_go(&self.batch, 1.0)
    }

    fn minus(&self, weight: &[f64], baseline: impl Fn(&Move, usize) -> f64) -> Vec<f64> {
        zip(weight, self.moves()).map(|(w, (m, t))| w - baseline(m, t)).collect()
    }

    /// ∇J(θ), from nothing but J by enumeration.
    fn gradient(&self, γ: f64) -> Vec<f64> {
        central_difference(|θ| self.mdp.objective(&self.all, θ, γ), &THETA)
    }

    /// Mean and variance, over τ ~ ρθ, of what one trajectory says about the gradient.
    fn estimate(&self, weight: &[f64], precision: &Precision) -> Estimate {
        let spans = zip(&self.all, self.batch.spans());
        let each: Vec<Surrogate> =
            spans.map(|(τ, span)| surrogate(τ, &weight[span], 1, precision)).collect();
        let mut mean = vec![0.0; THETA.len()];
        zip(&self.ρ, &each).for_each(|(ρ, s)| add(&mut mean, *ρ, &s.gradient));
        let variance =
            zip(&self.ρ, &each).map(|(ρ, s)| ρ * distance(&s.gradient, &mean).powi(2)).sum();
        let loss = zip(&self.ρ, &each).map(|(ρ, s)| ρ * s.loss).sum();
        Estimate { loss, mean, variance }
    }
}

/// Where to compute, and how closely the result must agree.
struct Precision {
    device: Device,
    dtype: DType,
    tolerance: f64,
}

impl Precision {
    fn new(backend: DeviceChoice, dtype: DType, tolerance: f64) -> Self {
        let device =
            backend.open().unwrap_or_else(|error| panic!("{backend} is compiled in: {error}"));
        Self { device: device.autodiff(), dtype, tolerance }
    }
}

/// F64 on the CPU; in a build for GPUs only, F32 on the first of them.
fn finest() -> Precision {
    let cpu = [DeviceChoice::Flex, DeviceChoice::NdArray];
    match DeviceChoice::compiled_in().into_iter().find(|built| cpu.contains(built)) {
        Some(backend) => Precision::new(backend, DType::F64, 1e-8),
        None => Precision::new(DeviceChoice::Auto, DType::F32, 1e-4),
    }
}

/// L, and −∇L: the direction in which to climb.
struct Surrogate {
    loss: f64,
    gradient: Vec<f64>,
}

fn surrogate(
    moves: &[Move],
    weight: &[f64],
    trajectories: usize,
    precision: &Precision,
) -> Surrogate {
    let θ = parameters(precision);
    let weight = TensorData::new(weight.to_vec(), [weight.len()]);
    let weight = Tensor::from_data(weight, (&precision.device, precision.dtype));
    let loss = policy_gradient(log_prob(moves, θ.clone()), weight, trajectories);
    let gradient = θ.grad(&loss.backward()).expect("the surrogate depends on θ");
    Surrogate { loss: host(loss)[0], gradient: host(-gradient) }
}

/// Σₜ ∇log πθ(aₜ|sₜ): the surrogate's ascent direction when every weight is 1.
fn score(τ: &Trajectory, precision: &Precision) -> Vec<f64> {
    surrogate(τ, &vec![1.0; τ.len()], 1, precision).gradient
}

/// log πθ(aₜ|sₜ) at every step, as in training: logits of sₜ, then the library's distribution.
fn log_prob(moves: &[Move], θ: Tensor<2>) -> Tensor<1> {
    let indices = |pick: fn(&Move) -> usize| -> Tensor<1, Int> {
        let indices = moves.iter().map(|m| pick(m) as i32).collect();
        Tensor::from_data(TensorData::new(indices, [moves.len()]), &θ.device())
    };
    let logits = θ.clone().select(0, indices(|m| m.state));
    Categorical::new(logits).log_prob(indices(|m| m.action))
}

fn parameters(precision: &Precision) -> Tensor<2> {
    let θ = TensorData::new(THETA.to_vec(), [STATES, ACTIONS]);
    Tensor::from_data(θ, (&precision.device, precision.dtype)).require_grad()
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

fn add(sum: &mut [f64], scale: f64, terms: &[f64]) {
    zip(sum, terms).for_each(|(sum, term)| *sum += scale * term);
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    zip(a, b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

/// |a − b|/|b|.
fn relative_error(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    distance(a, b) / distance(b, &vec![0.0; b.len()])
}

fn assert_close(a: &[f64], b: &[f64], tolerance: f64, what: &str) {
    let error = relative_error(a, b);
    assert!(error < tolerance, "{what}: {a:?} and {b:?} differ by {error:.1e} of the norm");
}
