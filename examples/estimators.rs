//! The three estimators of the policy gradient against each other: every seed's result, their
//! interquartile mean and its 95 % interval, as a Markdown table.
//!
//! `cargo run --release --example estimators`; further seeds: `-- 100..110`.

use std::ops::{ControlFlow, Range};

use elegante::{
    env::{CartPole, EnvRng, TimeLimit},
    experiment::statistics::{BOOTSTRAP_SAMPLES, bootstrap_interval, iqm},
    trainer::{
        Algorithm, Estimator, Event, ReinforceConfig, RunConfig, TrainConfig, TrainError, Trainer,
    },
};

/// What one seed reached.
struct Outcome {
    /// Mean return of the last policy over 100 episodes of its most probable actions.
    evaluated: f64,
    /// Steps after which the last 100 training episodes had a mean return of 475.
    solved: Option<u64>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seeds = std::env::args().nth(1).map_or(Ok(0..5), |text| range(&text))?;
    println!(
        "| estimator | normalised | step size | steps | each seed | IQM [95 %] | training passes 475 |"
    );
    println!("|-|-|-|-|-|-|-|");
    for config in settings() {
        let outcomes =
            seeds.clone().map(|seed| train(&config, seed)).collect::<Result<Vec<_>, _>>()?;
        println!("{}", row(&config, &outcomes));
    }
    Ok(())
}

/// Each estimator with the settings that suit it, raw and normalised.
fn settings() -> Vec<(RunConfig, ReinforceConfig)> {
    let of = |estimator, normalize, learning_rate, steps| {
        let run = RunConfig { steps, ..RunConfig::default() };
        (run, ReinforceConfig { estimator, normalize, learning_rate, ..ReinforceConfig::default() })
    };
    vec![
        of(Estimator::TotalReturn, false, 3e-3, 500_000),
        of(Estimator::TotalReturn, true, 1e-2, 300_000),
        of(Estimator::RewardToGo, false, 3e-3, 500_000),
        of(Estimator::RewardToGo, true, 5e-3, 500_000),
        of(Estimator::Baseline, true, 1e-2, 300_000),
    ]
}

fn train(config: &(RunConfig, ReinforceConfig), seed: u64) -> Result<Outcome, TrainError> {
    let config = TrainConfig {
        run: RunConfig { seed, ..config.0.clone() },
        algorithm: Algorithm::Reinforce(config.1.clone()),
        ..TrainConfig::default()
    };
    let env = TimeLimit::new(CartPole::default(), 500)?;
    let mut trainer = Trainer::new(config, move || env.clone())?;
    let mut solved = None;
    trainer.run(|event| {
        if let Event::Update(m) = event
            && m.episodes >= 100
            && m.mean_return_100 >= 475.0
        {
            solved.get_or_insert(m.steps);
        }
        ControlFlow::Continue(())
    })?;
    Ok(Outcome { evaluated: trainer.evaluate()?.mean_return, solved })
}

fn row((run, reinforce): &(RunConfig, ReinforceConfig), outcomes: &[Outcome]) -> String {
    let scores: Vec<f64> = outcomes.iter().map(|o| o.evaluated).collect();
    let each: Vec<String> = scores.iter().map(|score| format!("{score:.1}")).collect();
    let tasks = [scores.clone()];
    let (low, high) = bootstrap_interval(&tasks, iqm, BOOTSTRAP_SAMPLES, 0.95, &mut EnvRng::new(0));
    let mut solved: Vec<u64> = outcomes.iter().filter_map(|o| o.solved).collect();
    solved.sort_unstable();
    let median =
        solved.get(solved.len() / 2).map_or(String::new(), |m| format!(", median {}k", m / 1000));
    let name = serde_json::to_string(&reinforce.estimator).unwrap_or_default();
    format!(
        "| {} | {} | {} | {}k | {} | {:.1} [{low:.1}, {high:.1}] | {} of {}{median} |",
        name.trim_matches('"'),
        if reinforce.normalize { "yes" } else { "no" },
        reinforce.learning_rate,
        run.steps / 1000,
        each.join(", "),
        iqm(&scores),
        solved.len(),
        outcomes.len(),
    )
}

/// `a..b`.
fn range(text: &str) -> Result<Range<u64>, Box<dyn std::error::Error>> {
    let (from, to) = text.split_once("..").ok_or("seeds are given as 0..5")?;
    Ok(from.parse()?..to.parse()?)
}
