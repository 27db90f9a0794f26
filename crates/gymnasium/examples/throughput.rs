//! What the bridge costs: steps a second of a Python environment under random actions, from Python
//! itself and through the bridge, and what threads and processes add.
//!
//! `cargo run --release --example throughput`; others: `-- Acrobot-v1`.

use std::time::{Duration, Instant};

use elegante_env::{
    Action, Actions, AnyEnv, DynEnv, EnvError, EnvRng, Reset, Space, StepOut, VectorEnv,
};
use elegante_gymnasium::{Workers, make};
use pyo3::{prelude::*, types::PyModule};
use toml::Table;

/// How long each measurement takes.
const BUDGET: Duration = Duration::from_secs(2);
/// Each is taken so often, in turns, and the best is told: others may use the machine too.
const ROUNDS: usize = 5;

type Measured = Result<f64, Box<dyn std::error::Error>>;

/// The loop as everybody writes it.
const LOOP: &std::ffi::CStr = c"
import time
import gymnasium

def steps_per_second(id, budget):
    env = gymnasium.make(id, disable_env_checker=True)
    env.reset(seed=0)
    actions = [env.action_space.sample() for _ in range(1000)]
    steps, began = 0, time.perf_counter()
    while (seconds := time.perf_counter() - began) < budget:
        for action in actions:
            _, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()
        steps += 1000
    return steps / seconds
";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let ids: Vec<String> = std::env::args().skip(1).collect();
    let ids = if ids.is_empty() { vec!["CartPole-v1".into(), "Acrobot-v1".into()] } else { ids };
    println!("| environment | Python | bridge | 2 threads | 8 processes |");
    println!("|-|-|-|-|-|");
    for id in ids {
        let ways: [fn(&str) -> Measured; 4] = [in_python, bridged, threads, processes];
        let mut best = [0.0f64; 4];
        for _ in 0..ROUNDS {
            for (best, way) in best.iter_mut().zip(ways) {
                *best = best.max(way(&id)?);
            }
        }
        let [python, bridge, threads, processes] = best.map(f64::round);
        println!("| {id} | {python} | {bridge} | {threads} | {processes} |");
    }
    Ok(())
}

fn in_python(id: &str) -> Measured {
    // The bridge finds the packages of the virtual environment.
    make(id, &Table::new())?;
    Python::attach(|py| {
        let module = PyModule::from_code(py, LOOP, c"loop.py", c"steps_loop")?;
        Ok(module.call_method1("steps_per_second", (id, BUDGET.as_secs_f64()))?.extract()?)
    })
}

fn bridged(id: &str) -> Measured {
    Ok(stepping(make(id, &Table::new())?)?)
}

/// Two lanes, each with a thread, that share the interpreter's lock.
fn threads(id: &str) -> Measured {
    let envs = [make(id, &Table::new())?, make(id, &Table::new())?];
    std::thread::scope(|scope| {
        let workers = envs.map(|env| scope.spawn(move || stepping(env)));
        workers
            .map(|worker| worker.join().map_err(|_| "a thread panicked"))
            .into_iter()
            .try_fold(0.0, |sum, speed| Ok(sum + speed??))
    })
}

fn processes(id: &str) -> Measured {
    let lanes = 8;
    let mut env = Workers::new(id, &Table::new(), lanes)?;
    let mut rng = EnvRng::new(0);
    let width = env.observation_space().flat_len();
    let (mut obs, mut final_obs) = (vec![0.0; lanes * width], vec![0.0; lanes * width]);
    let (mut rewards, mut endings) = (vec![0.0; lanes], vec![None; lanes]);
    env.reset(0, &mut obs)?;
    let (began, mut steps) = (Instant::now(), 0);
    while began.elapsed() < BUDGET {
        let (indices, numbers): (Vec<usize>, Vec<f32>) = match env.action_space() {
            Space::Discrete(space) => {
                ((0..lanes).map(|_| space.sample(&mut rng)).collect(), vec![])
            }
            Space::Box(space) => {
                (vec![], (0..lanes).flat_map(|_| space.sample(&mut rng)).collect())
            }
            other => return Err(format!("no actions are drawn from {other} here").into()),
        };
        let actions = match numbers.is_empty() {
            true => Actions::Discrete(&indices),
            false => Actions::Continuous(&numbers),
        };
        let out = StepOut {
            obs: &mut obs,
            final_obs: &mut final_obs,
            rewards: &mut rewards,
            endings: &mut endings,
        };
        env.step(actions, out)?;
        steps += lanes;
    }
    Ok(steps as f64 / began.elapsed().as_secs_f64())
}

fn stepping(mut env: AnyEnv) -> Result<f64, EnvError> {
    let mut rng = EnvRng::new(0);
    let space = env.action_space();
    let actions: Vec<_> = (0..1000).map(|_| space.sample(&mut rng)).collect();
    let mut obs = vec![0.0; env.observation_space().flat_len()];
    env.reset(&Reset::seeded(0), &mut obs)?;
    let (began, mut steps) = (Instant::now(), 0);
    while began.elapsed() < BUDGET {
        for action in &actions {
            let action: Action<'_> = action.as_action().ok_or(EnvError::NotReset)?;
            if env.step(action, &mut obs)?.ending.is_some() {
                env.reset(&Reset::default(), &mut obs)?;
            }
        }
        steps += actions.len();
    }
    Ok(steps as f64 / began.elapsed().as_secs_f64())
}
