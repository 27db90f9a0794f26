//! Python environments behind the traits: what they see, are told, and say when they fail.
#![allow(clippy::unwrap_used)] // a panic here is the report

use std::sync::Once;

use elegante_env::{
    Action, Actions, AnyEnv, DynEnv, Ending, EnvError, EnvRng, FinishedEpisode, Registry, Reset,
    Space, StepOut, VecEnv, VectorEnv,
    check::{Rule, check_env},
};
use elegante_gymnasium::{GymnasiumEnv, PREFIX, PythonError, Workers, registry};
use pyo3::{prelude::*, types::PyModule};
use toml::Table;

/// The registry, with the worlds of the tests known to Gymnasium.
fn worlds() -> Registry {
    static KNOWN: Once = Once::new();
    KNOWN.call_once(|| {
        // The bridge finds the virtual environment that Gymnasium lies in.
        registry().make("gymnasium:CartPole-v1", &Table::new()).unwrap();
        let code = pyo3::ffi::c_str!(include_str!("worlds.py"));
        Python::attach(|py| PyModule::from_code(py, code, c"worlds.py", c"worlds").map(drop))
            .unwrap();
    });
    registry()
}

fn options(text: &str) -> Table {
    text.parse().unwrap()
}

fn make(id: &str, text: &str) -> AnyEnv {
    worlds().make(id, &options(text)).unwrap()
}

fn error(id: &str, text: &str) -> EnvError {
    worlds().make(id, &options(text)).unwrap_err()
}

/// What an episode says under these actions: observations, rewards, and how it ended.
fn episode(
    env: &mut AnyEnv,
    seed: u64,
    mut act: impl FnMut(&mut EnvRng) -> Vec<f32>,
) -> (Vec<f32>, Vec<f64>, Option<Ending>) {
    let discrete = matches!(env.action_space(), Space::Discrete(_));
    let mut obs = vec![0.0; env.observation_space().flat_len()];
    let (mut rng, mut seen, mut rewards) = (EnvRng::new(seed), Vec::new(), Vec::new());
    env.reset(&Reset::seeded(seed), &mut obs).unwrap();
    for _ in 0..2000 {
        seen.extend_from_slice(&obs);
        let numbers = act(&mut rng);
        let action = match discrete {
            true => Action::Discrete(numbers[0] as usize),
            false => Action::Continuous(&numbers),
        };
        let step = env.step(action, &mut obs).unwrap();
        rewards.push(step.reward);
        if step.ending.is_some() {
            seen.extend_from_slice(&obs);
            return (seen, rewards, step.ending);
        }
    }
    (seen, rewards, None)
}

#[test]
fn pythons_episodes_are_those_of_our_own_environments() {
    for (id, seeds) in [("CartPole-v1", 0..5), ("Pendulum-v1", 0..2), ("MountainCar-v0", 0..1)] {
        let (mut ours, mut theirs) = (make(id, ""), make(&format!("{PREFIX}{id}"), ""));
        assert_eq!(theirs.observation_space(), ours.observation_space());
        assert_eq!(theirs.action_space(), ours.action_space());
        for seed in seeds {
            let act = |rng: &mut EnvRng| vec![rng.uniform(0.0, 2.0) as f32];
            let (ours, theirs) = (episode(&mut ours, seed, act), episode(&mut theirs, seed, act));
            assert_eq!(theirs.2, ours.2, "{id}, seed {seed}: the ending");
            assert_eq!(theirs.0.len(), ours.0.len(), "{id}, seed {seed}: the length");
            let ulp = |(a, b): (&f32, &f32)| (a - b).abs() <= f32::EPSILON * a.abs();
            assert!(theirs.0.iter().zip(&ours.0).all(ulp), "{id}, seed {seed}: observations");
            let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-6 * a.abs();
            assert!(theirs.1.iter().zip(&ours.1).all(near), "{id}, seed {seed}: rewards");
        }
    }
}

#[test]
fn limits_thresholds_and_options_are_gymnasiums() {
    let entry = worlds().get("gymnasium:CartPole-v1").unwrap();
    assert_eq!((entry.step_limit(), entry.threshold()), (Some(500), Some(475.0)));
    let names: Vec<&str> = entry.options().iter().map(|o| o.name.as_str()).collect();
    assert_eq!(names, ["max_episode_steps", "sutton_barto_reward"]);
    assert_eq!(entry.options()[1].default, false.into());

    let mut short = make("gymnasium:Pendulum-v1", "max_episode_steps = 3\ng = 1.0");
    let (seen, _, ending) = episode(&mut short, 1, |_| vec![0.0]);
    assert_eq!((seen.len(), ending), (4 * 3, Some(Ending::Truncated)));
    let mut usual = make("gymnasium:Pendulum-v1", "max_episode_steps = 3");
    assert_ne!(episode(&mut usual, 1, |_| vec![0.0]).0, seen, "g counts");
    // A configuration file has every option; a tuple among them stays one.
    let all: Table = worlds()
        .get("gymnasium:Test/Recorder-v0")
        .unwrap()
        .options()
        .iter()
        .map(|o| (o.name.clone(), o.default.clone()))
        .collect();
    assert_eq!(all["pair"], toml::Value::Array(vec![1.into(), 2.into()]));
    assert!(worlds().make("gymnasium:Test/Recorder-v0", &all).is_ok());
    let words = error("gymnasium:Pendulum-v1", "gravity = 1.0").to_string();
    assert!(
        words.contains("no option `gravity`") && words.contains("max_episode_steps, g"),
        "{words}"
    );
}

#[test]
fn every_kind_of_observation_arrives_flat_and_every_kind_of_action_as_it_was_meant() {
    let id = "gymnasium:Test/Recorder-v0";
    let mut env = make(id, "");
    let told = "Dict('count': Discrete(4, start=1), 'pair': Tuple(MultiBinary(2), MultiDiscrete([2, 2])), 'told': Box(";
    let space = env.observation_space().to_string();
    assert!(space.starts_with(told), "{space}");
    let mut obs = [0.0; 14];
    env.reset(&Reset { seed: Some(3), options: options("fill = 2.5") }, &mut obs).unwrap();
    // count = 1, then [1, 0] and (0, 1), then the box.
    let pair = [1.0, 0.0, 1.0, 0.0, 0.0, 1.0];
    let flat = |count: [f32; 4], told: [f32; 4]| [&count[..], &pair, &told].concat();
    assert_eq!(obs[..], flat([1.0, 0.0, 0.0, 0.0], [2.5; 4]));
    for (kind, action, told) in [
        ("discrete", Action::Discrete(2), [7.0; 4]),
        ("box", Action::Continuous(&[0.5, -0.5, 1.0, 0.0]), [0.5, -0.5, 1.0, 0.0]),
        ("multidiscrete", Action::MultiDiscrete(&[1, 2, 3, 4]), [1.0, 2.0, 3.0, 4.0]),
        ("multibinary", Action::MultiBinary(&[true, false, true, true]), [1.0, 0.0, 1.0, 1.0]),
    ] {
        let mut env = make(id, &format!("actions = '{kind}'"));
        env.reset(&Reset::seeded(0), &mut obs).unwrap();
        let step = env.step(action, &mut obs).unwrap();
        assert_eq!((step.reward, step.ending), (1.0, None), "{kind}");
        assert_eq!(obs[..], flat([0.0, 1.0, 0.0, 0.0], told), "{kind}");
        let step = env.step(action, &mut obs).unwrap();
        assert_eq!(step.ending, Some(Ending::Truncated), "{kind}");
        assert!(matches!(env.step(action, &mut obs), Err(EnvError::NotReset)), "{kind}");
    }
}

#[test]
fn actions_that_are_none_do_not_reach_python() {
    let mut obs = [0.0; 14];
    for (kind, action) in [
        ("discrete", Action::Discrete(3)),
        ("box", Action::Continuous(&[0.0; 3])),
        ("box", Action::Continuous(&[0.0, 0.0, 0.0, f32::NAN])),
        ("multidiscrete", Action::MultiDiscrete(&[2, 0, 0, 0])),
        ("multibinary", Action::MultiBinary(&[true])),
    ] {
        let mut env = make("gymnasium:Test/Recorder-v0", &format!("actions = '{kind}'"));
        env.reset(&Reset::seeded(0), &mut obs).unwrap();
        let refused = env.step(action, &mut obs);
        assert!(matches!(refused, Err(EnvError::ActionOutOfSpace { .. })), "{kind}: {refused:?}");
    }
    let mut env = make("gymnasium:Test/Recorder-v0", "");
    let wrong = env.reset(&Reset::default(), &mut [0.0; 3]);
    assert!(matches!(wrong, Err(EnvError::Length { given: 3, expected: 14, .. })), "{wrong:?}");
}

#[test]
fn pythons_environments_keep_our_contract() {
    for id in ["CartPole-v1", "Pendulum-v1", "Taxi-v4", "FrozenLake-v1"] {
        let report = check_env(&mut *make(&format!("{PREFIX}{id}"), ""));
        // Which options a Python environment has for its reset, it does not say.
        let broken = report.violations().filter(|broken| broken.rule != Rule::OptionsKnown).count();
        assert_eq!(broken, 0, "{id}: {report}");
    }
}

#[test]
fn spaces_without_a_counterpart_are_named() {
    for (id, text, words) in [
        ("Strange", "", "Sequence, in Sequence(Discrete(2)"),
        ("Recorder", "actions = 'text'", "Text, in Text("),
        ("Recorder", "actions = 'whole'", "a Box of int64 as actions"),
        ("Recorder", "actions = 'tuple'", "no action of ours is in Tuple(Discrete(2))"),
    ] {
        let said = error(&format!("gymnasium:Test/{id}-v0"), text).to_string();
        assert!(said.contains(words), "{said}");
    }
    let typed = GymnasiumEnv::<[f32]>::new("CartPole-v1", &Table::new()).err().unwrap();
    assert!(typed.to_string().contains("Discrete(2), which are of another kind"), "{typed}");
}

#[test]
fn exceptions_arrive_with_their_tracebacks() {
    let id = "gymnasium:Test/Troubled-v0";
    let said = |error: EnvError, here: &str| {
        let EnvError::Custom(source) = &error else { panic!("{error}") };
        let python = source.downcast_ref::<PythonError>().unwrap();
        // Where it happened, what it came from, what it said, in Python's own order.
        for words in [
            "KeyError: 'the gripper'",
            "The above exception was the direct cause",
            "File \"worlds.py\", line ",
            "File \"elegante/bridge.py\", line ",
            &format!("RuntimeError: the robot fell over in {here}"),
        ] {
            assert!(python.traceback().contains(words), "no `{words}` in {error}");
        }
        error.to_string()
    };
    assert!(said(error(id, "where = 'init'"), "init").contains("can't be made"));
    let mut obs = [0.0];
    let failed = make(id, "where = 'reset'").reset(&Reset::default(), &mut obs).unwrap_err();
    assert!(said(failed, "reset").contains("reset failed"));
    let mut env = make(id, "where = 'step'");
    env.reset(&Reset::default(), &mut obs).unwrap();
    let failed = env.step(Action::Discrete(0), &mut obs).unwrap_err();
    assert!(said(failed, "step").contains("step failed"));

    let lanes = VecEnv::new(vec![make(id, "where = 'nan'")]);
    let mut lanes = lanes.unwrap();
    lanes.reset(0, &mut obs).unwrap();
    let out =
        StepOut { obs: &mut obs, final_obs: &mut [0.0], rewards: &mut [0.0], endings: &mut [None] };
    let failed = lanes.step(Actions::Discrete(&[0]), out);
    assert!(matches!(failed, Err(EnvError::NonFinite { .. })), "{failed:?}");
}

#[test]
fn an_unknown_name_brings_up_the_known_ones() {
    let EnvError::UnknownEnv { id, nearest } = error("gymnasium:cartpole-v1", "") else {
        panic!("another error");
    };
    assert_eq!(
        (id.as_str(), nearest[0].as_str()),
        ("gymnasium:cartpole-v1", "gymnasium:CartPole-v1")
    );
    let words = error("gymnasium:no_such_module:World-v0", "").to_string();
    assert!(words.contains("ModuleNotFoundError") && words.contains("no_such_module"), "{words}");
    // A module that registers on import, here Gymnasium itself, stays part of the name.
    let entry = worlds().get("gymnasium:gymnasium:CartPole-v1").unwrap();
    assert_eq!(entry.id(), "gymnasium:gymnasium:CartPole-v1");
    assert!(entry.make(&Table::new()).is_ok());
    // Only names with the prefix are Python's.
    assert!(error("CartPol-v1", "").to_string().contains("did you mean"));
}

#[test]
fn masks_come_with_the_state() {
    let mut env = make("gymnasium:Taxi-v4", "");
    let mut obs = vec![0.0; env.observation_space().flat_len()];
    assert_eq!(obs.len(), 500, "one-hot");
    let mut masks = Vec::new();
    for seed in 0..20 {
        env.reset(&Reset::seeded(seed), &mut obs).unwrap();
        let mask = env.action_mask().unwrap().to_vec();
        let action = mask.iter().position(|valid| *valid).unwrap();
        let before = obs.clone();
        env.step(Action::Discrete(action), &mut obs).unwrap();
        assert_ne!(obs, before, "a valid action changes the state");
        masks.push(env.action_mask().unwrap().to_vec());
        masks.push(mask);
    }
    masks.sort();
    masks.dedup();
    assert!(masks.len() > 2 && masks.iter().all(|mask| mask.len() == 6), "{masks:?}");
    assert_eq!(make("gymnasium:CartPole-v1", "").action_mask(), None);
}

/// Observations, the last ones of episodes, rewards, endings, and the episodes that they finished.
type Said = (Vec<f32>, Vec<f64>, Vec<Option<Ending>>, Vec<FinishedEpisode>);

/// What some steps of a vector environment say, under actions drawn from a seed.
fn steps(env: &mut dyn VectorEnv, steps: usize) -> Vec<Said> {
    let (lanes, width) = (env.lanes(), env.observation_space().flat_len());
    let discrete = matches!(env.action_space(), Space::Discrete(_));
    let mut rng = EnvRng::new(9);
    let mut obs = vec![0.0; lanes * width];
    env.reset(7, &mut obs).unwrap();
    let mut said = vec![(obs.clone(), Vec::new(), Vec::new(), env.finished().to_vec())];
    for _ in 0..steps {
        let (mut final_obs, mut rewards) = (vec![0.0; lanes * width], vec![0.0; lanes]);
        let mut endings = vec![None; lanes];
        let out = StepOut {
            obs: &mut obs,
            final_obs: &mut final_obs,
            rewards: &mut rewards,
            endings: &mut endings,
        };
        let drawn: Vec<f32> = (0..lanes).map(|_| rng.uniform(0.0, 2.0) as f32).collect();
        let indices: Vec<usize> = drawn.iter().map(|x| *x as usize).collect();
        let actions =
            if discrete { Actions::Discrete(&indices) } else { Actions::Continuous(&drawn) };
        env.step(actions, out).unwrap();
        let obs = [obs.clone(), final_obs].concat();
        said.push((obs, rewards, endings, env.finished().to_vec()));
    }
    said
}

#[test]
fn environments_in_processes_do_as_those_in_this_one() {
    for (id, text) in
        [("CartPole-v1", ""), ("Pendulum-v1", "max_episode_steps = 20"), ("FrozenLake-v1", "")]
    {
        let lanes = (0..3).map(|_| make(&format!("{PREFIX}{id}"), text)).collect();
        let mut here: VecEnv<AnyEnv> = VecEnv::new(lanes).unwrap();
        let mut there = Workers::new(id, &options(text), 3).unwrap();
        assert_eq!(there.observation_space(), here.observation_space());
        let (here, there) = (steps(&mut here, 60), steps(&mut there, 60));
        assert!(
            here == there,
            "{id} differs from step {:?}",
            here.iter().zip(&there).position(|(a, b)| a != b)
        );
        let ended = here.iter().map(|(_, _, _, finished)| finished.len()).sum::<usize>();
        assert!(ended >= 3, "{id}: the next episodes are part of the test");
    }
}

#[test]
fn processes_refuse_what_they_cant_do_in_words() {
    let mut there = Workers::new("CartPole-v1", &Table::new(), 2).unwrap();
    let mut obs = [0.0; 8];
    macro_rules! out {
        () => {
            StepOut {
                obs: &mut obs,
                final_obs: &mut [0.0; 8],
                rewards: &mut [0.0; 2],
                endings: &mut [None; 2],
            }
        };
    }
    assert!(matches!(there.step(Actions::Discrete(&[0, 0]), out!()), Err(EnvError::NotReset)));
    there.reset(0, &mut obs).unwrap();
    let both = obs;
    let alone = there.step_lanes(&[1], Actions::Discrete(&[0]), out!()).unwrap_err().to_string();
    assert!(alone.contains("all 2 lanes step at once"), "{alone}");
    assert!(there.step_lanes(&[0, 1], Actions::Discrete(&[0, 1]), out!()).is_ok());
    let short = there.step(Actions::Discrete(&[0]), out!());
    assert!(matches!(short, Err(EnvError::Length { what: "actions", .. })), "{short:?}");
    let wrong = there.step(Actions::Discrete(&[0, 2]), out!());
    assert!(matches!(wrong, Err(EnvError::ActionOutOfSpace { .. })), "{wrong:?}");

    let mut lane = [0.0; 4];
    there.reset_lane(1, &Reset::seeded(1), &mut lane).unwrap();
    assert_eq!(lane, both[4..], "lane 1 of seed 0 begins as seed 1 does");
    assert!(there.reset_lane(2, &Reset::default(), &mut lane).is_err());
    assert!(Workers::new("CartPole-v1", &Table::new(), 0).is_err());
    let said = Workers::new("CartPol-v1", &Table::new(), 1).err().unwrap().to_string();
    assert!(said.contains("CartPol"), "{said}");
}
