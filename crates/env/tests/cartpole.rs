//! CartPole against Gymnasium itself; `scripts/goldens_gymnasium.py` wrote what it returned.
#![allow(clippy::unwrap_used)] // a panic here is the report

use elegante_env::{Action, AnyEnv, CartPole, Ending, Env, EnvError, Registry, Reset, TimeLimit};
use serde::Deserialize;

#[derive(Deserialize)]
struct Goldens {
    sequences: Vec<Sequence>,
    transitions: Vec<Transition>,
}

/// Episodes one after the other from one generator.
#[derive(Deserialize)]
struct Sequence {
    id: String,
    options: toml::Table,
    episodes: Vec<Episode>,
}

#[derive(Deserialize)]
struct Episode {
    seed: Option<u64>,
    options: Option<toml::Table>,
    actions: String,
    obs: Vec<[f32; 4]>,
    rewards: Vec<f64>,
    ending: Ending,
}

/// One step from any state.
#[derive(Deserialize)]
struct Transition {
    state: [f64; 4],
    action: usize,
    after: [f64; 4],
    reward: f64,
    terminated: bool,
}

fn goldens() -> Goldens {
    serde_json::from_str(include_str!("goldens/cartpole.json")).unwrap()
}

/// NumPy's sine and cosine are glibc's, so that there every bit of the f64 state is the same.
const SINE_ERROR: f64 = if cfg!(target_env = "gnu") { 0.0 } else { 1e-15 };

/// Within one unit in the last place; next to zero, where those shrink, within 1e-12.
fn close(ours: f32, theirs: f32) -> bool {
    if theirs.abs() < 1e-6 {
        return (f64::from(ours) - f64::from(theirs)).abs() <= 1e-12;
    }
    ours.is_sign_negative() == theirs.is_sign_negative()
        && ours.to_bits().abs_diff(theirs.to_bits()) <= 1
}

fn assert_close(ours: &[f32], theirs: [f32; 4], place: &str) {
    let alike = ours.iter().zip(theirs).all(|(&ours, theirs)| close(ours, theirs));
    assert!(alike, "{place}: {ours:?}, but Gymnasium has {theirs:?}");
}

fn replay(env: &mut AnyEnv, episode: &Episode, place: &str) {
    let mut obs = [f32::NAN; 4];
    let options = episode.options.clone().unwrap_or_default();
    env.reset(&Reset { seed: episode.seed, options }, &mut obs).unwrap();
    assert_close(&obs, episode.obs[0], place);
    let last = episode.actions.len() - 1;
    for (t, digit) in episode.actions.bytes().enumerate() {
        let place = format!("{place}, step {t}");
        let step = env.step(Action::Discrete(usize::from(digit - b'0')), &mut obs).unwrap();
        assert_close(&obs, episode.obs[t + 1], &place);
        assert_eq!(step.reward, episode.rewards[t], "{place}");
        assert_eq!(step.ending, (t == last).then_some(episode.ending), "{place}");
    }
}

#[test]
fn whole_episodes_are_gymnasiums() {
    let registry = Registry::standard();
    let (mut steps, mut truncated) = (0, 0);
    for (i, sequence) in goldens().sequences.iter().enumerate() {
        let mut env = registry.make(&sequence.id, &sequence.options).unwrap();
        for (k, episode) in sequence.episodes.iter().enumerate() {
            replay(&mut env, episode, &format!("sequence {i}, episode {k}"));
            steps += episode.actions.len();
            truncated += usize::from(episode.ending == Ending::Truncated);
        }
    }
    assert!(steps > 1000 && truncated > 1, "the goldens cover too little");
}

#[test]
fn single_steps_have_the_bits_of_gymnasiums() {
    let transitions = goldens().transitions;
    assert!(transitions.iter().any(|t| t.terminated) && transitions.iter().any(|t| !t.terminated));
    for Transition { state, action, after, reward, terminated } in transitions {
        let (mut env, mut obs) = (CartPole::default(), [0.0; 4]);
        env.set_state(state).unwrap();
        let step = env.step(&action, &mut obs).unwrap();
        let place = format!("from {state:?}");
        assert_close(&obs, after.map(|x| x as f32), &place);
        assert_eq!(step.reward, reward, "{place}");
        assert_eq!(step.ending, terminated.then_some(Ending::Terminated), "{place}");
        if let Some(ours) = env.state() {
            let near = |(a, b): (&f64, f64)| (a - b).abs() <= SINE_ERROR * b.abs().max(1.0);
            let alike = ours.iter().zip(after).all(near);
            assert!(alike, "{place}: {ours:?}, but Gymnasium has {after:?}");
        }
    }
}

#[test]
fn an_episode_restored_from_its_middle_goes_on_to_the_same_bits() {
    let mut env = TimeLimit::new(CartPole::default(), 30).unwrap();
    let mut obs = [0.0; 4];
    env.reset(&Reset::seeded(5), &mut obs).unwrap();
    for t in 0..7 {
        env.step(&(t % 2), &mut obs).unwrap();
    }
    let mut twin = TimeLimit::new(CartPole::new(true), 30).unwrap();
    twin.load_state(&env.save_state().unwrap()).unwrap();
    let mut twin_obs = [0.0; 4];
    let mut endings = 0;
    for t in 0..200 {
        let step = env.step(&(t / 2 % 2), &mut obs).unwrap();
        assert_eq!(twin.step(&(t / 2 % 2), &mut twin_obs).unwrap(), step);
        if step.ending.is_some() {
            endings += 1;
            // The generator was saved as well: the next beginning is the same too.
            env.reset(&Reset::default(), &mut obs).unwrap();
            twin.reset(&Reset::default(), &mut twin_obs).unwrap();
        }
        assert_eq!(obs.map(f32::to_bits), twin_obs.map(f32::to_bits));
    }
    assert!(endings > 3);
}

#[test]
fn stepping_without_an_episode_is_refused() {
    let (mut env, mut obs) = (CartPole::default(), [0.0; 4]);
    assert!(matches!(env.step(&0, &mut obs), Err(EnvError::NotReset)));
    env.reset(&Reset::seeded(0), &mut obs).unwrap();
    while env.step(&0, &mut obs).unwrap().ending.is_none() {}
    assert!(matches!(env.step(&0, &mut obs), Err(EnvError::NotReset)));
}

#[test]
fn mistakes_are_named_and_change_nothing() {
    let (mut env, mut obs) = (CartPole::default(), [0.0; 4]);
    env.reset(&Reset::seeded(0), &mut obs).unwrap();
    let before = env.state();

    let error = env.step(&2, &mut obs).unwrap_err().to_string();
    assert_eq!(error, "action 2 is not in Discrete(2)");
    let error = env.step(&0, &mut [0.0; 3]).unwrap_err().to_string();
    assert_eq!(error, "obs has 3 entries where 4 belong");
    let mut boxed = AnyEnv::new(env.clone());
    let error = boxed.step(Action::Continuous(&[0.5]), &mut obs).unwrap_err();
    assert!(matches!(error, EnvError::ActionKind { given: "continuous", expected: "discrete" }));
    for options in ["lo = 0.1", "low = 'a'", "low = inf", "low = 0.1\nhigh = 0.0", "low = 0.06"] {
        let options: toml::Table = options.parse().unwrap();
        let error = env.reset(&Reset { seed: None, options: options.clone() }, &mut obs);
        assert!(error.is_err(), "{options} was accepted");
    }
    assert!(env.set_state([0.0, f64::NAN, 0.0, 0.0]).is_err());
    assert_eq!(env.state(), before);
}

#[test]
fn bytes_that_are_no_state_are_refused() {
    let (mut env, mut obs) = (TimeLimit::new(CartPole::default(), 9).unwrap(), [0.0; 4]);
    env.reset(&Reset::seeded(0), &mut obs).unwrap();
    let bytes = env.save_state().unwrap();
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(matches!(env.load_state(&longer), Err(EnvError::BadState(_))));
    for cut in 0..bytes.len() {
        let error = env.load_state(&bytes[..cut]);
        assert!(matches!(error, Err(EnvError::BadState(_))), "{cut} bytes were enough");
    }
    env.load_state(&bytes).unwrap();
}

#[test]
fn the_picture_follows_the_state() {
    let mut env = CartPole::default();
    let before = env.scene().unwrap();
    env.set_state([1.0, 0.0, 0.2, 0.0]).unwrap();
    let after = env.scene().unwrap();
    assert_ne!(before, after);
    assert_eq!(before.shapes.len(), 4, "track, cart, pole and axle");
}
