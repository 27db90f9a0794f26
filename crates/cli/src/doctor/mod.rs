//! `elegante doctor`: does this build, on this machine, do what it should?
//!
//! Each part is done by a process of its own, this program once more: a driver that brings its process
//! down, or an environment that never returns, is a finding like any other.

mod devices;
mod environment;
mod finding;
mod learning;
mod machine;
mod parts;
mod reproducibility;
mod worlds;

use std::time::Duration;

use elegante::{
    DeviceChoice, Registry,
    experiment::{ExperimentConfig, Request, json_line},
};
use serde::Serialize;

use crate::{
    args::DoctorArgs,
    exit::{Misuse, Outcome},
    output::Output,
    program::Program,
    text::span,
};
use finding::{Finding, Status};
use parts::{Part, Plan};

/// After this a part is taken to hang.
const PATIENCE: Duration = Duration::from_secs(300);

/// What the settings of an environment begin with.
const OPTIONS: &str = "env_options.";

pub(crate) fn run(
    args: DoctorArgs,
    program: &Program,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    let registry = &program.registry;
    if let Some(part) = &args.part {
        let part: Part = part.parse()?;
        let mut tell = |finding: Finding| output.line(&json_line("check", &finding));
        part.examine(registry, args.quick, &args.set, &mut tell)?;
        return Ok(Outcome::Complete);
    }
    if let Some(env) = &args.env {
        registry.get(env)?;
        options(registry, env, &args.set)?;
    }

    let mut told = Told { json: args.json, heading: String::new(), all: Vec::new() };
    machine::examine(&mut |finding| told.tell(finding, output))?;
    let mut alone = Vec::new();
    alone.extend(DeviceChoice::compiled_in().into_iter().map(Part::Device));
    let mut beside = vec![Part::Reproducibility];
    beside
        .extend(elegante::experiment::ALGORITHMS.iter().map(|info| Part::Learning(info.id.into())));
    beside.extend(args.env.map(Part::Environment));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // What is timed has the machine to itself.
    for (parts, jobs) in [(alone, 1), (beside, cores)] {
        let plan =
            Plan { parts, jobs, quick: args.quick, sets: args.set.clone(), patience: PATIENCE };
        plan.run(&program.name, |findings| {
            findings.into_iter().try_for_each(|finding| told.tell(finding, output))
        })?;
    }
    devices::recommend(&told.all.clone(), &mut |finding| told.tell(finding, output))?;
    told.conclude(program, output)
}

/// The options of an environment, from pairs as `train` takes them.
fn options(registry: &Registry, env: &str, sets: &[String]) -> anyhow::Result<toml::Table> {
    let other = |pair: &&String| !pair.trim_start().starts_with(OPTIONS);
    if let Some(pair) = sets.iter().find(other) {
        let words = format!("`--set {pair}`: what is checked here has no settings but {OPTIONS}…");
        return Err(Misuse(words).into());
    }
    // None are no question of training: what can't be made yet is to be found out.
    if sets.is_empty() {
        return Ok(toml::Table::new());
    }
    let request = Request { env: Some(env.to_owned()), sets: sets.to_vec(), ..Request::default() };
    Ok(ExperimentConfig::resolve(registry, &request)?.env_options)
}

/// What has been found and told so far.
struct Told {
    json: bool,
    /// The part that was told of last.
    heading: String,
    all: Vec<Finding>,
}

impl Told {
    fn tell(&mut self, finding: Finding, output: &mut Output) -> std::io::Result<()> {
        if self.json {
            output.line(&json_line("check", &finding))?;
        } else {
            if self.heading != finding.part {
                self.heading.clone_from(&finding.part);
                output.line(&format!("\n{}", output.paint.bold(&finding.part)))?;
            }
            let paint = output.paint;
            let status = match finding.status {
                Status::Pass => paint.green("pass"),
                Status::Fail => paint.red("FAIL"),
                Status::Info => paint.dim("info"),
                Status::Skip => paint.dim("skip"),
            };
            output.line(&format!("  {status}  {:<28}  {}", finding.name, finding.found))?;
            if let Some(fix) = &finding.fix {
                output.line(&format!("        {:<28}  → {fix}", ""))?;
            }
        }
        self.all.push(finding);
        Ok(())
    }

    fn conclude(&self, program: &Program, output: &mut Output) -> anyhow::Result<Outcome> {
        let count = |status| self.all.iter().filter(|finding| finding.status == status).count();
        let (passed, failed) = (count(Status::Pass), count(Status::Fail));
        let seconds = program.began.elapsed().as_secs_f64();
        if self.json {
            output.line(&json_line("doctor", &Conclusion { passed, failed, seconds }))?;
        } else {
            let words = match failed {
                0 => output.paint.green(&format!("all {passed} checks passed")),
                n => output.paint.red(&format!("{n} of {} checks failed", passed + n)),
            };
            output.line(&format!("\n{words}, in {}", span(seconds)))?;
        }
        Ok(if failed == 0 { Outcome::Complete } else { Outcome::Partial })
    }
}

#[derive(Serialize)]
struct Conclusion {
    passed: usize,
    failed: usize,
    seconds: f64,
}
