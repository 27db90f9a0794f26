//! `elegante envs`.

use elegante::{
    env::{DynEnv, Entry},
    experiment::json_line,
};
use serde::Serialize;

use crate::{args::ListArgs, exit::Outcome, output::Output, program::Program};

pub(crate) fn run(
    args: ListArgs,
    program: &Program,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    let registry = &program.registry;
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
    for (prefix, summary) in registry.prefixes() {
        if args.json {
            output.line(&json_line("environments", &Prefix { prefix, summary }))?;
        } else {
            let id = output.paint.bold(&format!("{:<width$}", format!("{prefix}…")));
            output.line(&format!("{id}  {summary}"))?;
        }
    }
    Ok(Outcome::Complete)
}

/// Environments that are looked up by their names.
#[derive(Serialize)]
struct Prefix<'a> {
    prefix: &'a str,
    summary: &'a str,
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

impl<'a> Row<'a> {
    fn new(entry: &'a Entry) -> anyhow::Result<Self> {
        let env = entry.make(&toml::Table::new())?;
        let options = entry.options().iter();
        Ok(Self {
            id: entry.id(),
            summary: entry.summary(),
            observation_space: env.observation_space().to_string(),
            action_space: env.action_space().to_string(),
            max_episode_steps: entry.step_limit(),
            reward_threshold: entry.threshold(),
            options: options
                .map(|o| EnvOption { name: &o.name, default: &o.default, doc: &o.doc })
                .collect(),
        })
    }

    /// What follows below the name.
    fn details(&self) -> Vec<String> {
        let mut facts = vec![format!("actions {}", self.action_space)];
        facts.extend(self.max_episode_steps.map(|steps| format!("at most {steps} steps")));
        facts
            .extend(self.reward_threshold.map(|mean| format!("solved at a mean return of {mean}")));
        let mut lines = vec![format!("observations {}", self.observation_space), facts.join(" · ")];
        lines.extend(
            self.options
                .iter()
                .map(|o| format!("env_options.{} = {}: {}", o.name, o.default, o.doc)),
        );
        lines
    }
}
