//! What the temperature aims at.

use elegante_policy::{DeviceChoice, MlpConfig, PolicyConfig};

use super::*;

/// SAC for a choice among four.
fn agent(change: impl FnOnce(&mut SacConfig)) -> Sac {
    let mut config = SacConfig::default();
    change(&mut config);
    let device = DeviceChoice::Auto.open().unwrap().autodiff();
    let (network, mut streams) = (MlpConfig::default(), [1, 2].map(EnvRng::new));
    let policy = PolicyConfig::new(2, ActionHead::Categorical { n: 4 }, network.clone());
    let policy = policy.init(&mut EnvRng::new(0), &device).unwrap();
    let critics = Critics::init(&network, 2, 4, &mut streams, &device).unwrap();
    Sac::new(&config, policy, critics, EnvRng::new(1))
}

fn batch(valid: Vec<bool>) -> Transitions {
    Transitions {
        steps: 20,
        rows: vec![0, 1],
        observations: vec![0.5, -1.0, 0.1, 2.0],
        next_valid: valid.clone(),
        valid,
        actions: ActionBatch::Discrete(vec![1, 3]),
        rewards: vec![1.0, 0.0],
        next_observations: vec![0.1, 2.0, -1.0, 0.3],
        discounts: vec![0.9, 0.9],
        weights: Vec::new(),
    }
}

#[test]
fn a_masked_choice_aims_at_what_valid_actions_can_have() {
    let sac = agent(|_| {});
    assert_eq!(sac.aim(&[]), 0.98 * 4f64.ln());
    assert_eq!(sac.aim(&[true; 8]), 0.98 * 4f64.ln());
    let one_of_four = [false, true, false, false];
    let (two, three) = ([true, false, false, true], [true, true, false, true]);
    assert_eq!(sac.aim(&one_of_four), 0.0);
    let aim = sac.aim(&[two, three].concat());
    assert!((aim - 0.98 * (2f64.ln() + 3f64.ln()) / 2.0).abs() < 1e-12, "{aim}");
    let set = agent(|sac| sac.target_entropy = Some(0.5));
    assert_eq!((set.aim(&[]), set.aim(&two)), (0.5, 0.5));
}

#[test]
fn the_temperature_of_a_masked_choice_falls_while_chances_are_even() {
    // Among two of four actions no policy has more entropy than ln 2, which is above 0.98 ln 2: what begins with
    // nearly even chances has too much, and α goes down. Aiming at 0.98 ln 4 it would go up for ever.
    let valid = [true, false, false, true].repeat(2);
    let mut sac = agent(|sac| sac.learning_rate = 1e-3);
    let at = Moment { left: Left { steps: 200, of: 1_000 }, update: 1 };
    let before = sac.alpha();
    let mut means = Means::default();
    sac.improve(&batch(valid), &[Vec::new(), Vec::new()], at, &mut means).unwrap();
    let entropy = means.take("entropy");
    assert!(entropy > 0.98 * 2f64.ln() && entropy <= 2f64.ln() + 1e-6, "{entropy}");
    assert!(sac.alpha() < before, "{} after {before}", sac.alpha());
}

#[test]
fn an_entropy_that_no_policy_has_is_refused() {
    let most = |head: &ActionHead, target| reachable(target, head);
    let choice = ActionHead::Categorical { n: 4 };
    most(&choice, 1.386).unwrap();
    let error = most(&choice, 4f64.ln()).unwrap_err().to_string();
    assert!(error.contains("sac.target_entropy = 1.38"), "{error}");
    assert!(error.contains("below 1.3863 (ln 4), the entropy of actions drawn evenly"), "{error}");
    let vector = ActionHead::SquashedGaussian { low: vec![-1.0; 3], high: vec![1.0; 3] };
    most(&vector, 2.0).unwrap();
    let error = most(&vector, 3.0).unwrap_err().to_string();
    assert!(
        error.contains("below 2.0794 (3 ln 2), the entropy of actions drawn evenly"),
        "{error}"
    );
}
