//! `elegante envs`.

use elegante::{Registry, env::Entry, experiment::json_line};
use serde::Serialize;

use crate::{args::ListArgs, exit::Outcome, output::Output};

pub(crate) fn run(args: ListArgs, output: &mut Output) -> anyhow::Result<Outcome> {
    let registry = Registry::standard();
    let width = registry.iter().map(|entry| entry.id().chars().count()).max().unwrap_or(0);
    for entry in registry.iter() {
        let row = Row::new(entry)?;
        if args.json {
            output.line(&json_line("environment", &row))?;
        } else {
            let id = output.paint.bold(&format!("{:<width$}", row.id));
            output.line(&format!("{id}  {}", row.summary))?;
            for line in row.details() {
                output.line(&format!("{:width$}  {}", "", output.paint.dim(&line)))?;
            }
        }
    }
    Ok(Outcome::Complete)
}

#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    summary: &'a str,
    observation_space: String,
    action_space: String,
    max_episode_steps: Option<usize>,
    reward_threshold: Option<f64>,
    options: Vec<EnvOption<'a>>,
}

#[derive(Serialize)]
struct EnvOption<'a> {
    name: &'a str,
    default: &'a toml::Value,
    doc: &'a str,
}
