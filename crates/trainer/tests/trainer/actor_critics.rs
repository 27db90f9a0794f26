//! The algorithms with everything they can be combined with: interrupted, exported, and at rest.

use std::ops::ControlFlow;

use elegante_env::EnvRng;
use elegante_policy::{Actor, Cell, DeviceChoice, Policy};
use elegante_trainer::{EvalConfig, UpdateMetrics, evaluate};

use crate::worlds::{Variant, cartpole, finish, judged, ppo, replaying, train, variants};

/// The numbers of updates, to the last bit; an update without an episode has a mean of NaN.
fn told(updates: &[UpdateMetrics]) -> Vec<String> {
    updates.iter().map(|update| format!("{update:?}")).collect()
}

#[test]
fn resumed_at_any_update_a_run_is_the_same_to_the_last_bit() {
    for mut variant in variants().into_iter().chain(replaying()).chain(judged()) {
        variant.config.run.eval_every = 100;
        let mut uninterrupted = variant.trainer();
        let whole = finish(&mut uninterrupted);
        let last = uninterrupted.checkpoint().unwrap();
        assert!(whole.updates.len() >= 4 && whole.evaluations.len() >= 3, "{}", variant.name);
        let mut interrupted = variant.trainer();
        for updates in 1..whole.updates.len() {
            let next = interrupted.progress().steps + 1;
            interrupted.run_until(next, |_| ControlFlow::Continue(())).unwrap();
            let saved = interrupted.checkpoint().unwrap();

            variant.config.run.threads = 1 + updates % 3;
            let mut resumed = variant.trainer();
            // Where it is restored to does not depend on where it has been.
            if updates.is_multiple_of(2) {
                resumed.step().unwrap();
            }
            assert_eq!(resumed.restore(&saved).unwrap().fresh_lanes, Vec::<usize>::new());
            assert_eq!(resumed.progress(), interrupted.progress());
            let rest = finish(&mut resumed);
            let Variant { name, .. } = &variant;
            assert_eq!(told(&rest.updates), told(&whole.updates[updates..]), "{name}");
            assert_eq!(rest.policy, whole.policy, "{name}, after {updates} updates");
            assert!(whole.evaluations.ends_with(&rest.evaluations), "{name}");
            // Of what is only kept for later, too.
            assert!(resumed.checkpoint().unwrap() == last, "{name}, after {updates} updates");
        }
    }
}

/// log πθ(a|s) of the most probable action, in two episodes of which the second begins anew half-way
/// (or, with `forgetful`, both at every step).
fn said(policy: &Policy, forgetful: bool) -> Vec<f64> {
    let mut actor = Actor::new(policy, 2);
    let mut rng = EnvRng::new(5);
    let (device, width) = (policy.device(), policy.config().observation);
    let mut log_probs = Vec::new();
    for t in 0..20 {
        let observations: Vec<f32> =
            (0..2 * width).map(|_| rng.uniform(-1.0, 1.0) as f32).collect();
        if t == 10 || forgetful {
            actor.begin(1);
        }
        if forgetful {
            actor.begin(0);
        }
        let distribution = actor.look(&[0, 1], &observations, &[]).unwrap();
        let action = distribution.mode().unwrap();
        log_probs
            .extend(distribution.log_prob(action.to_tensor(&device)).into_data().iter::<f64>());
        log_probs.extend(distribution.entropy().into_data().iter::<f64>());
    }
    log_probs
}

#[test]
fn a_saved_policy_acts_as_the_one_that_was_trained() {
    let device = DeviceChoice::Auto.open().unwrap();
    for variant in variants().into_iter().chain(replaying()).chain(judged()) {
        let Variant { name, config, make } = &variant;
        let mut trainer = variant.trainer();
        finish(&mut trainer);
        let policy = trainer.policy();
        let bytes = policy.to_safetensors().unwrap();
        let loaded = Policy::from_safetensors(&bytes, &device).unwrap();
        assert_eq!(loaded.config(), policy.config(), "{name}");
        assert_eq!(loaded.to_safetensors().unwrap(), bytes, "{name}");

        let trained = said(&policy, false);
        assert!(trained.iter().all(|x| x.is_finite()), "{name}: {trained:?}");
        assert_eq!(said(&loaded, false), trained, "{name}");
        let remembers = config.network.recurrent != Cell::None;
        assert_eq!(said(&loaded, true) != trained, remembers, "{name}: what is remembered counts");

        for deterministic in [true, false] {
            let how = EvalConfig { episodes: 10, seed: 1, deterministic };
            let evaluation = |policy| evaluate(policy, make, &how).unwrap();
            assert_eq!(evaluation(&loaded), evaluation(&policy), "{name}");
        }
    }
}

#[test]
fn the_normaliser_is_part_of_what_is_saved() {
    let device = DeviceChoice::Auto.open().unwrap();
    for variant in variants() {
        let name = &variant.name;
        let mut trainer = variant.trainer();
        let first = trainer.policy();
        finish(&mut trainer);
        let bytes = trainer.policy().to_safetensors().unwrap();
        let loaded = Policy::from_safetensors(&bytes, &device).unwrap();
        let [Some(before), Some(after)] = [&first, &loaded].map(|policy| &policy.config().input)
        else {
            assert!(!name.contains("normalised"), "{name} was saved without its normaliser");
            continue;
        };
        assert!(name.contains("normalised"), "{name}");
        assert_ne!(before, after, "{name}: the statistics have seen nothing");
        // x ↦ (x − mean)/deviation, clipped.
        let width = after.mean.len();
        let x: Vec<f32> = (0..width).map(|j| 0.1 * j as f32 - 0.3).collect();
        let seen = loaded.prepare(&x, 1).unwrap();
        for (j, seen) in seen.iter().enumerate() {
            let expected = (f64::from(x[j]) - after.mean[j]) / after.deviation[j];
            let expected = expected.clamp(f64::from(-after.clip), f64::from(after.clip));
            assert!((f64::from(*seen) - expected).abs() < 1e-5, "{name}: {seen} is not {expected}");
        }
    }
}

/// Until the first step of descent πθ is π_old. Whatever learning sees otherwise than acting did (a
/// mask, a memory, where an episode began, a normaliser, the exploration) moves the ratio from 1.
#[test]
fn before_the_first_step_every_ratio_is_1() {
    for mut variant in variants() {
        let Some(ppo) = variant.ppo() else { continue };
        (ppo.epochs, ppo.batch_size) = (1, 1 << 20);
        let name = &variant.name;
        let updates = finish(&mut variant.trainer()).updates;
        assert_eq!(updates.len(), 4);
        for update in updates {
            let kl = update.values["approx_kl"];
            assert!(kl.abs() < 1e-9, "{name}: k₃ is {kl} before any learning");
            assert_eq!(update.values["clip_fraction"], 0.0, "{name}");
            // Normalised advantages have a mean of 0, and all ratios are 1.
            let loss = update.values["policy_loss"];
            assert!(loss.abs() < 1e-5, "{name}: the surrogate is {loss}");
            assert!(update.grad_norm > 1e-3, "{name}: {update:?}");
        }
    }
}

#[test]
fn an_update_ends_where_the_policy_has_gone_too_far() {
    let furthest = |target| {
        let config = ppo(|ppo| (ppo.epochs, ppo.target_kl) = (20, target));
        let told = train(&config, cartpole);
        told.updates.iter().map(|update| update.values["approx_kl"]).fold(0.0, f64::max)
    };
    let (free, held) = (furthest(None), furthest(Some(0.01)));
    println!("mean k₃ of an update, with and without a target: {held}, {free}");
    assert!(held < 0.5 * free, "{held} and {free}");
}
