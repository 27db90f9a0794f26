//! Every option does something, and refuses what it can't be.
#![allow(clippy::unwrap_used)] // a panic here is the report

use elegante_env::{Action, AnyEnv, EnvError, EnvRng, Registry, Reset, Space};

const CARTPOLES: &[&str] = &["CartPole-v1", "CartPole-v0"];
const CARS: &[&str] = &["MountainCar-v0", "MountainCarContinuous-v0"];
const ACROBOT: &[&str] = &["Acrobot-v1"];
const GRID: &[&str] = &["GridWorld-v0"];
const LAKES: &[&str] = &["FrozenLake-v1", "FrozenLake8x8-v1"];
const CLIFFS: &[&str] = &["CliffWalking-v1", "CliffWalkingSlippery-v1"];

/// Environments, options to make them with, and one more that changes what happens.
const CHANGES: &[(&[&str], &str, &str)] = &[
    (CARTPOLES, "", "sutton_barto_reward = true"),
    (&["Pendulum-v1"], "", "g = 9.81"),
    (CARS, "", "goal_velocity = 0.069"),
    (ACROBOT, "", "book_or_nips = 'nips'"),
    (ACROBOT, "", "torque_noise_max = 0.1"),
    (ACROBOT, "", "avail_torque = [1, 1, 1]"),
    (ACROBOT, "", "dt = 0.1"),
    (ACROBOT, "", "link_length_1 = 1.1"),
    (ACROBOT, "", "link_length_2 = 1.1"),
    (ACROBOT, "", "link_mass_1 = 1.1"),
    (ACROBOT, "", "link_mass_2 = 1.1"),
    (ACROBOT, "", "link_com_pos_1 = 0.6"),
    (ACROBOT, "", "link_com_pos_2 = 0.6"),
    (ACROBOT, "", "link_moi = 1.1"),
    (ACROBOT, "", "max_vel_1 = 0.01"),
    (ACROBOT, "", "max_vel_2 = 0.01"),
    (&["Bandit-v0"], "", "means = [0.1, 0.2]"),
    (&["Bandit-v0"], "", "noise = 0"),
    (&["Identity-v0"], "", "n = 3"),
    (&["IdentityContinuous-v0"], "", "dims = 2"),
    (&["Memory-v0"], "", "length = 9"),
    (&["Tabular-v0"], "", "start = [0, 1]"),
    (
        &["Tabular-v0"],
        "start = [1]",
        "transitions = [[[{ probability = 1, next = 0, reward = 2 }]]]",
    ),
    (GRID, "", "map = ['SG']"),
    (GRID, "", "success_rate = 0.7"),
    (GRID, "", "reward_goal = 2"),
    (GRID, "", "reward_hole = -2"),
    (GRID, "map = ['SC']", "reward_cliff = -2"),
    (GRID, "", "reward_step = 0"),
    (LAKES, "", "desc = ['SFG']"),
    (LAKES, "", "is_slippery = false"),
    (LAKES, "", "success_rate = 0.9"),
    (LAKES, "", "reward_schedule = [1, 0, -0.1]"),
    (&["FrozenLake-v1"], "", "map_name = '8x8'"),
    (&["FrozenLake8x8-v1"], "", "map_name = '4x4'"),
    (&["CliffWalking-v1"], "", "is_slippery = true"),
    (&["CliffWalkingSlippery-v1"], "", "is_slippery = false"),
    (CLIFFS, "", "max_episode_steps = 10"),
];

fn make(id: &str, options: &str) -> Result<AnyEnv, EnvError> {
    Registry::standard().make(id, &options.parse().unwrap())
}

fn blank(env: &AnyEnv) -> Vec<f32> {
    vec![f32::NAN; env.observation_space().flat_len()]
}

/// What two hundred steps look like, endings, spaces and the last picture included; or why there are
/// none. A car is pushed the way it moves, so that it reaches its goal; the rest move at random.
fn trace(id: &str, options: &str) -> String {
    let mut env = match make(id, options) {
        Ok(env) => env,
        Err(error) => return error.to_string(),
    };
    let (mut obs, mut rng) = (blank(&env), EnvRng::new(6));
    env.reset(&Reset::seeded(3), &mut obs).unwrap();
    let mut seen = format!("{env:?}");
    for _ in 0..200 {
        let right = CARS.contains(&id).then(|| obs[1] >= 0.0);
        let step = match env.action_space() {
            Space::Discrete(space) => {
                let index =
                    right.map_or_else(|| space.sample(&mut rng), |right| 2 * usize::from(right));
                env.step(Action::Discrete(index), &mut obs)
            }
            Space::Box(space) => {
                let numbers = right.map_or_else(
                    || space.sample(&mut rng),
                    |right| vec![if right { 1.0 } else { -1.0 }],
                );
                env.step(Action::Continuous(&numbers), &mut obs)
            }
            other => panic!("no such action space yet: {other}"),
        };
        let step = step.unwrap();
        seen += &format!("{obs:?} {step:?}");
        if step.ending.is_some() {
            env.reset(&Reset::default(), &mut obs).unwrap();
        }
    }
    seen + &format!("{:?}", env.scene())
}

#[test]
fn every_option_changes_something() {
    for &(ids, usual, change) in CHANGES {
        for id in ids {
            let changed = trace(id, &format!("{usual}\n{change}"));
            assert!(trace(id, usual) != changed, "{id} is the same with {change}");
        }
    }
    for entry in Registry::standard().iter() {
        for option in entry.options() {
            let tested = |(ids, _, change): &(&[&str], &str, &str)| {
                ids.contains(&entry.id()) && change.starts_with(&format!("{} =", option.name))
            };
            let tested = CHANGES.iter().any(tested);
            assert!(tested, "no change of {} for {}", option.name, entry.id());
        }
    }
}

#[test]
fn every_option_at_its_default_changes_nothing() {
    for entry in Registry::standard().iter() {
        let defaults = entry.options().iter().map(|o| (o.name.to_owned(), o.default.clone()));
        let defaults = toml::Table::from_iter(defaults).to_string();
        assert!(trace(entry.id(), "") == trace(entry.id(), &defaults), "{}", entry.id());
    }
}

#[test]
fn what_an_option_cannot_be_is_refused() {
    for entry in Registry::standard().iter() {
        for option in entry.options() {
            let nonsense = toml::Value::Datetime("1979-05-27".parse().unwrap());
            let options = toml::Table::from_iter([(option.name.to_owned(), nonsense)]);
            let error = entry.make(&options).unwrap_err();
            let refused = matches!(error, EnvError::OptionValue { .. });
            assert!(refused, "{}, {}: {error}", entry.id(), option.name);
        }
    }
    for (id, impossible) in [
        ("Pendulum-v1", "g = nan"),
        ("Acrobot-v1", "book_or_nips = 'paper'"),
        ("Acrobot-v1", "avail_torque = [1, 2]"),
        ("Acrobot-v1", "link_mass_1 = 0"),
        ("Acrobot-v1", "torque_noise_max = -1"),
        ("Bandit-v0", "means = []"),
        ("Bandit-v0", "noise = -1"),
        ("Identity-v0", "n = 0"),
        ("IdentityContinuous-v0", "dims = -1"),
        ("Memory-v0", "length = 201"),
        ("GridWorld-v0", "success_rate = 1.1"),
        ("GridWorld-v0", "reward_step = inf"),
        ("FrozenLake-v1", "map_name = '5x5'"),
        ("FrozenLake-v1", "reward_schedule = [1, 2]"),
        ("CliffWalking-v1", "max_episode_steps = -1"),
    ] {
        let error = make(id, impossible).unwrap_err();
        let refused = matches!(error, EnvError::OptionValue { .. });
        assert!(refused, "{id}, {impossible}: {error}");
    }
    for (id, impossible, words) in [
        ("GridWorld-v0", "map = ['.G']", "the map has no start, `S`"),
        ("FrozenLake-v1", "desc = ['SF', 'F']", "row 1 of the map is not as long as row 0"),
        ("FrozenLake-v1", "desc = ['SC']", "`C` in row 0 of the map is none of SFHG"),
        (
            "Tabular-v0",
            "start = [0.5, 0.4]",
            "where episodes start: the probabilities add up to 0.9",
        ),
        ("Tabular-v0", "transitions = [[[{ p = 1 }]]]", "unknown field `p`"),
    ] {
        let error = make(id, impossible).unwrap_err();
        assert!(matches!(error, EnvError::Transitions(_)), "{id}, {impossible}: {error}");
        assert!(error.to_string().contains(words), "{id}, {impossible}: {error}");
    }
}

#[test]
fn a_reset_takes_gymnasiums_options_and_no_impossible_ones() {
    let bounds = &["low = 'a'", "low = inf", "low = 0.1\nhigh = 0.0", "high = -9"][..];
    let pendulum = &["x_init = -1", "y_init = nan", "y_init = true"][..];
    for (id, impossible, pinned) in [
        ("CartPole-v1", bounds, "low = 0.01\nhigh = 0.01"),
        ("MountainCar-v0", bounds, "low = 0.01\nhigh = 0.01"),
        ("MountainCarContinuous-v0", bounds, "low = 0.01\nhigh = 0.01"),
        ("Acrobot-v1", bounds, "low = 0.01\nhigh = 0.01"),
        ("Pendulum-v1", pendulum, "x_init = 0\ny_init = 0"),
    ] {
        let mut env = make(id, "").unwrap();
        let mut reset = |seed, options: &str| {
            let mut obs = blank(&env);
            let options = options.parse().unwrap();
            env.reset(&Reset { seed: Some(seed), options }, &mut obs).map(|()| obs)
        };
        for options in impossible {
            let error = reset(0, options).unwrap_err();
            assert!(matches!(error, EnvError::OptionValue { .. }), "{id}, {options}: {error}");
        }
        // Bounds that leave no choice leave nothing to the seed.
        assert_eq!(reset(1, pinned).unwrap(), reset(2, pinned).unwrap(), "{id}");
        assert_ne!(reset(1, "").unwrap(), reset(2, "").unwrap(), "{id}");
    }
}
