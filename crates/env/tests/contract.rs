//! What every environment of the registry keeps to, whatever its physics; and what the ones with a
//! state of numbers do besides.
#![allow(clippy::unwrap_used)] // a panic here is the report

use elegante_env::{
    Acrobot, Action, AnyEnv, CartPole, Env, EnvError, EnvRng, MountainCar, MountainCarContinuous,
    Pendulum, Registry, Reset, Space, Step,
};

/// Runs `check` on each environment of the registry, made with its defaults.
fn for_each(check: impl Fn(&str, AnyEnv)) {
    for entry in Registry::standard().iter() {
        let defaults = entry.options().iter().map(|o| (o.name.to_owned(), o.default.clone()));
        check(entry.id(), entry.make(&defaults.collect()).unwrap());
    }
}

/// Another of the same kind.
fn twin(id: &str) -> AnyEnv {
    Registry::standard().make(id, &toml::Table::new()).unwrap()
}

fn blank(env: &AnyEnv) -> Vec<f32> {
    vec![f32::NAN; env.observation_space().flat_len()]
}

/// A step with an action drawn from the space.
fn any_step(env: &mut AnyEnv, rng: &mut EnvRng, obs: &mut [f32]) -> Result<Step, EnvError> {
    match env.action_space() {
        Space::Discrete(space) => env.step(Action::Discrete(space.sample(rng)), obs),
        Space::Box(space) => env.step(Action::Continuous(&space.sample(rng)), obs),
        other => panic!("no such action space yet: {other}"),
    }
}

fn assert_member(id: &str, space: &Space, obs: &[f32]) {
    let member = match space {
        Space::Box(space) => space.contains(obs),
        Space::Discrete(_) => {
            obs.iter().all(|x| [0.0, 1.0].contains(x)) && obs.iter().sum::<f32>() == 1.0
        }
        other => panic!("no such observation space yet: {other}"),
    };
    assert!(member, "{id}: {obs:?} is not in {space}");
}

#[test]
fn observations_lie_in_their_space_and_rewards_are_finite() {
    for_each(|id, mut env| {
        let (space, mut rng) = (env.observation_space(), EnvRng::new(1));
        for seed in 0..3 {
            let mut obs = blank(&env);
            env.reset(&Reset::seeded(seed), &mut obs).unwrap();
            assert_member(id, &space, &obs);
            for _ in 0..1000 {
                obs.fill(f32::NAN);
                let step = any_step(&mut env, &mut rng, &mut obs).unwrap();
                assert_member(id, &space, &obs);
                assert!(step.reward.is_finite(), "{id}: a reward of {}", step.reward);
                if step.ending.is_some() {
                    break;
                }
            }
        }
    });
}

#[test]
fn an_episode_restored_from_its_middle_goes_on_to_the_same_bits() {
    for_each(|id, mut env| {
        let mut obs = blank(&env);
        env.reset(&Reset::seeded(5), &mut obs).unwrap();
        let mut rng = EnvRng::new(2);
        for _ in 0..7 {
            if any_step(&mut env, &mut rng, &mut obs).unwrap().ending.is_some() {
                env.reset(&Reset::default(), &mut obs).unwrap();
            }
        }
        let (mut other, mut other_obs) = (twin(id), blank(&env));
        other.load_state(&env.save_state().unwrap()).unwrap();
        let mut other_rng = rng.clone();
        for t in 0..1200 {
            let step = any_step(&mut env, &mut rng, &mut obs).unwrap();
            let same = any_step(&mut other, &mut other_rng, &mut other_obs).unwrap();
            assert_eq!(step, same, "{id}, step {t}");
            if step.ending.is_some() {
                // The generator was saved as well: the next beginning is the same too.
                env.reset(&Reset::default(), &mut obs).unwrap();
                other.reset(&Reset::default(), &mut other_obs).unwrap();
            }
            assert_eq!(obs, other_obs, "{id}, step {t}");
        }
        assert_eq!(env.save_state(), other.save_state(), "{id}");
    });
}

#[test]
fn a_seed_makes_the_episode_and_no_seed_makes_another() {
    for_each(|id, mut env| {
        let mut trace = |seed: Option<u64>| {
            let (mut obs, mut rng) = (blank(&env), EnvRng::new(3));
            let mut bits = Vec::new();
            env.reset(&Reset { seed, ..Reset::default() }, &mut obs).unwrap();
            for _ in 0..400 {
                bits.extend(obs.iter().map(|x| x.to_bits()));
                let step = any_step(&mut env, &mut rng, &mut obs).unwrap();
                bits.push((step.reward as f32).to_bits());
                if step.ending.is_some() {
                    env.reset(&Reset::default(), &mut obs).unwrap();
                }
            }
            bits
        };
        let first = trace(Some(9));
        let on = trace(None);
        assert_eq!(trace(Some(9)), first, "{id}");
        assert_eq!(trace(None), on, "{id}");
        // Where nothing is left to chance, all episodes are alike.
        if !DETERMINISTIC.contains(&id) {
            assert!(first != on && trace(Some(10)) != first, "{id}: the seed changes nothing");
        }
    });
}

const DETERMINISTIC: &[&str] = &["CliffWalking-v1"];

#[test]
fn stepping_without_an_episode_is_refused() {
    for_each(|id, mut env| {
        let (mut obs, mut rng) = (blank(&env), EnvRng::new(4));
        let mut refused = |env: &mut AnyEnv| {
            matches!(any_step(env, &mut rng, &mut blank(env)), Err(EnvError::NotReset))
        };
        assert!(refused(&mut env), "{id}: before the first reset");
        env.reset(&Reset::seeded(0), &mut obs).unwrap();
        let mut rng = EnvRng::new(4);
        let ended =
            (0..20_000).any(|_| any_step(&mut env, &mut rng, &mut obs).unwrap().ending.is_some());
        // Nobody finds the way along the cliff by accident, and no limit cuts it short.
        assert!(ended || id.starts_with("CliffWalking"), "{id} does not end");
        if !ended {
            return;
        }
        assert!(refused(&mut env), "{id}: after the end");
    });
}

#[test]
fn mistakes_are_named_and_change_nothing() {
    for_each(|id, mut env| {
        let mut obs = blank(&env);
        env.reset(&Reset::seeded(0), &mut obs).unwrap();
        let before = env.save_state();

        let mut longer = vec![0.0; obs.len() + 1];
        let error = any_step(&mut env, &mut EnvRng::new(0), &mut longer).unwrap_err();
        assert!(matches!(error, EnvError::Length { what: "obs", .. }), "{id}: {error}");
        let error = env.reset(&Reset::seeded(1), &mut longer).unwrap_err();
        assert!(matches!(error, EnvError::Length { what: "obs", .. }), "{id}: {error}");

        let (outside, wrong_kind) = match env.action_space() {
            Space::Discrete(space) => (Action::Discrete(space.n()), Action::Continuous(&[0.0])),
            _ => (Action::Continuous(&[f32::NAN]), Action::Discrete(0)),
        };
        let error = env.step(outside, &mut obs).unwrap_err();
        assert!(matches!(error, EnvError::ActionOutOfSpace { .. }), "{id}: {error}");
        let error = env.step(wrong_kind, &mut obs).unwrap_err();
        assert!(matches!(error, EnvError::ActionKind { .. }), "{id}: {error}");
        if matches!(env.action_space(), Space::Box(_)) {
            let error = env.step(Action::Continuous(&[0.0; 9]), &mut obs).unwrap_err();
            assert!(matches!(error, EnvError::Length { what: "action", .. }), "{id}: {error}");
        }

        let options: toml::Table = "no_such_option = 1".parse().unwrap();
        let error = env.reset(&Reset { seed: Some(1), options }, &mut obs).unwrap_err();
        assert!(matches!(error, EnvError::UnknownOption { .. }), "{id}: {error}");
        assert_eq!(env.save_state(), before, "{id}");
    });
}

#[test]
fn bytes_that_are_no_state_are_refused() {
    for_each(|id, mut env| {
        let mut obs = blank(&env);
        env.reset(&Reset::seeded(0), &mut obs).unwrap();
        let bytes = env.save_state().unwrap();
        let longer = [bytes.as_slice(), &[0]].concat();
        assert!(matches!(env.load_state(&longer), Err(EnvError::BadState(_))), "{id}");
        for cut in 0..bytes.len() {
            let error = env.load_state(&bytes[..cut]);
            assert!(matches!(error, Err(EnvError::BadState(_))), "{id}: {cut} bytes were enough");
        }
        env.load_state(&bytes).unwrap();
    });
}

/// The saved state with its first number that equals `old` replaced by NaN.
fn poisoned(mut bytes: Vec<u8>, old: f64) -> Vec<u8> {
    let at = bytes.windows(8).position(|window| window == old.to_le_bytes()).unwrap();
    bytes[at..at + 8].copy_from_slice(&f64::NAN.to_le_bytes());
    bytes
}

#[test]
fn states_that_are_no_numbers_are_refused() {
    /// With its state set to NaN by `set`, then read from bytes with one.
    fn check<E: Env>(mut env: E, set: fn(&mut E, bool) -> Result<(), EnvError>) {
        assert!(matches!(set(&mut env, true), Err(EnvError::BadState(_))));
        set(&mut env, false).unwrap();
        let bytes = poisoned(env.save_state().unwrap(), 0.5);
        assert!(matches!(env.load_state(&bytes), Err(EnvError::BadState(_))));
    }
    check(CartPole::default(), |env, bad| env.set_state([number(bad), 0.0, 0.0, 0.0]));
    check(Pendulum::default(), |env, bad| env.set_state([0.0, number(bad)]));
    check(MountainCar::default(), |env, bad| env.set_state([number(bad), 0.0]));
    check(MountainCarContinuous::default(), |env, bad| env.set_state([number(bad) as f32, 0.0]));
    check(Acrobot::default(), |env, bad| env.set_state([0.0, 0.0, 0.0, number(bad)]));
}

fn number(bad: bool) -> f64 {
    if bad { f64::NAN } else { 0.5 }
}

#[test]
fn an_arm_that_spins_beyond_numbers_is_an_error_and_no_endless_loop() {
    let mut env = Acrobot::default();
    let mut obs = [0.0; 6];
    for fast in [1e8, 1e150, 1e308] {
        env.set_state([0.0, 0.0, fast, -fast]).unwrap();
        let error = env.step(&1, &mut obs).unwrap_err().to_string();
        assert!(error.starts_with("Acrobot's physics broke down"), "{error}");
    }
}

#[test]
fn pictures_follow_the_state() {
    fn check<E: Env>(mut env: E, shapes: usize, moved: impl Fn(&mut E)) {
        let before = env.scene().unwrap();
        moved(&mut env);
        let after = env.scene().unwrap();
        assert_ne!(before, after);
        assert_eq!(after.shapes.len(), shapes);
    }
    // Track, cart, pole and axle.
    check(CartPole::default(), 4, |env| env.set_state([1.0, 0.0, 0.2, 0.0]).unwrap());
    // Rod with round ends, axle; with a torque the arrow's arc and head.
    check(Pendulum::default(), 4, |env| env.set_state([1.0, 0.0]).unwrap());
    check(Pendulum::default(), 6, |env| {
        env.set_state([1.0, 0.0]).unwrap();
        env.step(&[1.0], &mut [0.0; 3]).unwrap();
    });
    // Earth and its edge, pole and flag, car and two wheels.
    check(MountainCar::default(), 7, |env| env.set_state([0.0, 0.0]).unwrap());
    check(MountainCarContinuous::default(), 7, |env| env.set_state([0.0, 0.0]).unwrap());
    // Line, two links, two joints.
    check(Acrobot::default(), 5, |env| env.set_state([1.0, 0.0, 0.0, 0.0]).unwrap());
}
