//! The environments that Gymnasium has too against Gymnasium itself; `scripts/goldens_gymnasium.py` wrote what it returned
//! and says how to run these tests against other seeds.
#![allow(clippy::unwrap_used)] // a panic here is the report

use std::path::{Path, PathBuf};

use elegante_env::{
    Acrobot, AcrobotParams, Action, AnyEnv, CartPole, Ending, Env, EnvError, GridWorld, Mdp,
    MountainCar, MountainCarContinuous, Outcome, Pendulum, Registry, Reset, Space, Step,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Goldens {
    sequences: Vec<Sequence>,
    #[serde(default)]
    transitions: Vec<Transitions>,
    #[serde(default)]
    tables: Vec<Table>,
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
    actions: Actions,
    /// Some of the steps, the first and the last among them: time, return so far, observation.
    rows: Vec<Vec<f64>>,
    /// Nothing where the recording stops before the end.
    ending: Option<Ending>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Actions {
    Digits(String),
    Numbers(Vec<f32>),
}

/// Single steps from any state.
#[derive(Deserialize)]
struct Transitions {
    options: toml::Table,
    rows: Vec<Transition>,
}

/// Written as an array.
#[derive(Deserialize)]
struct Transition {
    state: Vec<f64>,
    action: f64,
    after: Vec<f64>,
    reward: f64,
    /// The observation of a step that terminated.
    last: Option<Vec<f32>>,
}

/// What comes of every action in every state.
#[derive(Deserialize)]
struct Table {
    id: String,
    options: toml::Table,
    start: Vec<f64>,
    /// `[state][action]`
    outcomes: Vec<Vec<Vec<Chance>>>,
}

/// Probability, next state, reward, whether it terminates.
#[derive(Deserialize)]
struct Chance(f64, usize, f64, bool);

fn goldens(name: &str) -> Goldens {
    let ours = || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens");
    let folder = std::env::var_os("ELEGANTE_GOLDENS").map_or_else(ours, PathBuf::from);
    let file = folder.join(name).with_extension("json");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    serde_json::from_str(&text).unwrap()
}

/// On Linux sine and cosine are glibc's for NumPy and for Rust, so that every bit of the f64 state is
/// the same; elsewhere one operation may differ by so much.
const STEP_ERROR: f64 = if cfg!(target_env = "gnu") { 0.0 } else { 1e-14 };

/// Within one unit in the last place; next to zero, where those shrink, within 1e-12.
fn close(ours: f32, theirs: f32) -> bool {
    if theirs.abs() < 1e-6 {
        return (f64::from(ours) - f64::from(theirs)).abs() <= 1e-12;
    }
    ours.is_sign_negative() == theirs.is_sign_negative()
        && ours.to_bits().abs_diff(theirs.to_bits()) <= 1
}

fn assert_close(ours: &[f32], theirs: &[f32], place: &str) {
    let alike = ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(&a, &b)| close(a, b));
    assert!(alike, "{place}: {ours:?}, but Gymnasium has {theirs:?}");
}

fn near(ours: f64, theirs: f64, relative: f64) -> bool {
    (ours - theirs).abs() <= (relative * theirs.abs()).max(1e-12)
}

#[test]
fn close_is_what_is_promised() {
    let next = |x: f32, ulps: u32| f32::from_bits(x.to_bits() + ulps);
    assert!(close(next(0.3, 1), 0.3) && !close(next(0.3, 2), 0.3) && !close(-0.3, 0.3));
    assert!(close(0.0, 1e-13) && close(-1e-13, 1e-13) && !close(0.0, 1e-11));
    assert!(near(1.0 + 9e-7, 1.0, 1e-6) && !near(1.0 + 2e-6, 1.0, 1e-6) && !near(1e-9, 0.0, 1e-6));
}

/// Plays an episode again; returns its length.
fn replay(env: &mut AnyEnv, episode: &Episode, place: &str) -> usize {
    let space = env.observation_space();
    let mut obs = vec![f32::NAN; space.flat_len()];
    let options = episode.options.clone().unwrap_or_default();
    env.reset(&Reset { seed: episode.seed, options }, &mut obs).unwrap();

    let length = match &episode.actions {
        Actions::Digits(digits) => digits.len(),
        Actions::Numbers(numbers) => numbers.len(),
    };
    let mut rows = episode.rows.iter().peekable();
    let mut check = |t: usize, total: f64, obs: &[f32]| {
        let Some(row) = rows.next_if(|row| row[0] == t as f64) else { return };
        let theirs = match space {
            Space::Discrete(space) => {
                (0..space.n()).map(|i| if row[2] == i as f64 { 1.0 } else { 0.0 }).collect()
            }
            _ => row[2..].iter().map(|&x| x as f32).collect::<Vec<f32>>(),
        };
        let alike =
            obs.len() == theirs.len() && obs.iter().zip(&theirs).all(|(a, b)| close(*a, *b));
        assert!(alike, "{place}, step {t}: {obs:?}, but Gymnasium has {theirs:?}");
        assert!(near(total, row[1], 1e-6), "{place}, step {t}: return {total}, not {}", row[1]);
    };
    check(0, 0.0, &obs);
    let mut total = 0.0;
    for t in 0..length {
        let step = match &episode.actions {
            Actions::Digits(digits) => {
                env.step(Action::Discrete(usize::from(digits.as_bytes()[t] - b'0')), &mut obs)
            }
            Actions::Numbers(numbers) => env.step(Action::Continuous(&numbers[t..=t]), &mut obs),
        };
        let step = step.unwrap();
        total += step.reward;
        check(t + 1, total, &obs);
        let expected = episode.ending.filter(|_| t + 1 == length);
        assert_eq!(step.ending, expected, "{place}, step {}", t + 1);
    }
    assert!(rows.next().is_none(), "{place}: rows out of order");
    length
}

fn whole_episodes_are_gymnasiums(name: &str) {
    let registry = Registry::standard();
    let (mut steps, mut seeds) = (0, 0);
    for (i, sequence) in goldens(name).sequences.iter().enumerate() {
        let mut env = registry.make(&sequence.id, &sequence.options).unwrap();
        for (k, episode) in sequence.episodes.iter().enumerate() {
            steps += replay(&mut env, episode, &format!("{name}, sequence {i}, episode {k}"));
            seeds += usize::from(episode.seed.is_some());
        }
    }
    assert!(steps > 2000 && seeds >= 20, "{name}: the goldens cover too little");
}

/// An environment that can be put into any state.
trait Placed: Env + Sized {
    fn with(options: &toml::Table) -> Self;
    fn place(&mut self, state: &[f64]) -> Result<(), EnvError>;
    fn whereabouts(&self) -> Option<Vec<f64>>;
    fn act(&mut self, action: f64, obs: &mut [f32]) -> Result<Step, EnvError>;
}

/// `$env` for short: how it is made with the options of the goldens, and what its actions are.
macro_rules! placed {
    ($env:ident, $make:expr, $number:ty, $action:expr) => {
        impl Placed for $env {
            fn with(options: &toml::Table) -> Self {
                ($make)(options)
            }
            fn place(&mut self, state: &[f64]) -> Result<(), EnvError> {
                let numbers: Vec<_> = state.iter().map(|&x| x as $number).collect();
                self.set_state(numbers.try_into().unwrap())
            }
            fn whereabouts(&self) -> Option<Vec<f64>> {
                self.state().map(Vec::from)
            }
            fn act(&mut self, action: f64, obs: &mut [f32]) -> Result<Step, EnvError> {
                self.step(&($action)(action), obs)
            }
        }
    };
}

fn float(options: &toml::Table, name: &str, default: f64) -> f64 {
    options.get(name).map_or(default, |value| value.as_float().unwrap())
}

fn nips(options: &toml::Table) -> Acrobot {
    Acrobot::new(AcrobotParams { nips: !options.is_empty(), ..AcrobotParams::default() })
}

placed!(CartPole, |_: &toml::Table| CartPole::default(), f64, |a| a as usize);
placed!(Pendulum, |o| Pendulum::new(float(o, "g", 10.0)), f64, |a| [a as f32]);
placed!(MountainCar, |o| MountainCar::new(float(o, "goal_velocity", 0.0)), f64, |a| a as usize);
placed!(
    MountainCarContinuous,
    |o| MountainCarContinuous::new(float(o, "goal_velocity", 0.0)),
    f32,
    |a| [a as f32]
);
placed!(Acrobot, nips, f64, |a| a as usize);

/// Checks every recorded step; returns how many terminated.
fn single_steps_have_gymnasiums_bits<E: Placed>(name: &str) -> usize {
    let (mut steps, mut terminal) = (0, 0);
    for Transitions { options, rows } in goldens(name).transitions {
        let mut env = E::with(&options);
        let mut obs = vec![0.0; env.observation_space().flat_len()];
        for Transition { state, action, after, reward, last } in rows {
            let place = format!("{name} with {options:?}, from {state:?} by {action}");
            env.place(&state).unwrap();
            let step = env.act(action, &mut obs).unwrap();
            assert!(near(step.reward, reward, 1e-6), "{place}: {}, not {reward}", step.reward);
            let expected = last.as_ref().map(|_| Ending::Terminated);
            assert_eq!(step.ending, expected, "{place}");
            match (env.whereabouts(), last) {
                (Some(ours), None) => {
                    let same =
                        |(a, b): (&f64, &f64)| (a - b).abs() <= STEP_ERROR * b.abs().max(1.0);
                    let alike = ours.len() == after.len() && ours.iter().zip(&after).all(same);
                    assert!(alike, "{place}: {ours:?}, but Gymnasium has {after:?}");
                }
                (None, Some(last)) => {
                    assert_close(&obs, &last, &place);
                    terminal += 1;
                }
                _ => panic!("{place}: a state after the end, or none before it"),
            }
            steps += 1;
        }
    }
    assert!(steps > 500, "{name}: the goldens cover too little");
    terminal
}

/// The two tests of one environment, whose steps can be terminal or not.
macro_rules! parity {
    ($name:ident, $env:ident, $terminates:expr) => {
        mod $name {
            #[test]
            fn whole_episodes() {
                super::whole_episodes_are_gymnasiums(stringify!($name));
            }
            #[test]
            fn single_steps() {
                let terminal =
                    super::single_steps_have_gymnasiums_bits::<super::$env>(stringify!($name));
                assert_eq!(terminal > 50, $terminates);
            }
        }
    };
}

parity!(cartpole, CartPole, true);
parity!(pendulum, Pendulum, false);
parity!(mountain_car, MountainCar, true);
parity!(mountain_car_continuous, MountainCarContinuous, true);
parity!(acrobot, Acrobot, true);

#[test]
fn a_terminal_step_at_the_limit_is_terminal_in_gymnasium_too() {
    let at_the_limit = |episode: &&Episode| match &episode.actions {
        Actions::Digits(digits) => {
            digits.len() == 200 && episode.ending == Some(Ending::Terminated)
        }
        Actions::Numbers(_) => false,
    };
    let goldens = goldens("mountain_car");
    let episodes = goldens.sequences.iter().flat_map(|sequence| &sequence.episodes);
    assert!(episodes.filter(at_the_limit).count() > 0, "no golden episode is of this kind");
}

#[test]
fn frozen_lake_whole_episodes() {
    whole_episodes_are_gymnasiums("frozen_lake");
}

#[test]
fn cliff_walking_whole_episodes() {
    whole_episodes_are_gymnasiums("cliff_walking");
}

/// Makes the lake that the options describe.
fn lake(id: &str, options: &toml::Table) -> GridWorld {
    let texts = |rows: &toml::Value| {
        rows.as_array().unwrap().iter().map(|row| row.as_str().unwrap().to_owned()).collect()
    };
    let large = id == "FrozenLake8x8-v1" || options.contains_key("map_name");
    let named = if large { &GridWorld::LAKE_8X8[..] } else { &GridWorld::LAKE_4X4 };
    let named = || named.iter().map(ToString::to_string).collect();
    let map: Vec<String> = options.get("desc").map_or_else(named, texts);
    let slippery = !options.contains_key("is_slippery");
    let rate = slippery.then(|| float(options, "success_rate", 1.0 / 3.0));
    let schedule = options
        .get("reward_schedule")
        .map_or([1.0, 0.0, 0.0], |rewards| [0, 1, 2].map(|i| rewards[i].as_float().unwrap()));
    GridWorld::frozen_lake(&map, rate, schedule).unwrap()
}

fn assert_same_table(ours: &Mdp, theirs: &Table) {
    let Table { id, options, start, outcomes } = theirs;
    assert_eq!(ours.start(), start, "{id} with {options:?}");
    assert_eq!((ours.states(), ours.actions()), (outcomes.len(), outcomes[0].len()));
    // An episode that has ended does not go on, whatever a table says of its last state.
    let all = outcomes.iter().flatten().flatten();
    let last: Vec<usize> = all.filter(|chance| chance.3).map(|chance| chance.1).collect();
    for (state, actions) in outcomes.iter().enumerate().filter(|(s, _)| !last.contains(s)) {
        for (action, theirs) in actions.iter().enumerate() {
            let theirs: Vec<_> = theirs
                .iter()
                .map(|&Chance(probability, next, reward, terminated)| Outcome {
                    probability,
                    next,
                    reward,
                    ending: terminated.then_some(Ending::Terminated),
                })
                .collect();
            assert_eq!(
                ours.outcomes(state, action),
                theirs,
                "{id}, state {state}, action {action}"
            );
        }
    }
}

#[test]
fn tables_are_gymnasiums() {
    let lakes = goldens("frozen_lake").tables;
    assert!(lakes.len() > 5);
    for theirs in lakes {
        assert_same_table(lake(&theirs.id, &theirs.options).mdp(), &theirs);
    }
    let cliffs = goldens("cliff_walking").tables;
    assert_eq!(cliffs.len(), 2);
    for theirs in cliffs {
        let slippery = theirs.id == "CliffWalkingSlippery-v1";
        assert_same_table(GridWorld::cliff_walking(slippery).mdp(), &theirs);
    }
}
