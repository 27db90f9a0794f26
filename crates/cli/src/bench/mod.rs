//! `elegante bench`: how fast are an environment, a policy, an update and a whole training, here?

mod measure;
mod report;

use elegante::{
    DeviceChoice,
    experiment::{ExperimentConfig, Request},
    kernels::set_instructions,
};

use crate::{
    args::{BenchArgs, device},
    exit::{Misuse, Outcome},
    machine,
    output::Output,
    program::Program,
};
use measure::Plan;
use report::Told;

pub(crate) fn run(
    args: BenchArgs,
    program: &Program,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    // What this program does itself is not to be taken for somebody else's work.
    let load = machine::load();
    if let Some(kernels) = args.kernels {
        set_instructions(kernels.into());
    }
    let config = configuration(&args, program)?;
    let devices = devices(&args.device)?;
    let plan = Plan::new(config, &devices, &args, program)?;
    let mut told = Told::new(args.json, load);
    told.machine(&plan, output)?;
    plan.environment(&mut |found| told.found(&found, output))?;
    for device in devices {
        match plan.opens(device) {
            Ok(opened) => {
                told.device(&opened, &plan, output)?;
                plan.device(device, &mut |found| told.found(&found, output))?;
            }
            Err(error) => told.unusable(device, &error, output)?,
        }
    }
    told.conclude(program, output)
}

/// The training that is asked about: the environment's preset of PPO, with networks of the size given.
fn configuration(args: &BenchArgs, program: &Program) -> anyhow::Result<ExperimentConfig> {
    let hidden = args.hidden.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let sets = match args.hidden.is_empty() {
        true => Vec::new(),
        false => vec![format!("network.hidden=[{hidden}]")],
    };
    let (env, algo) = (Some(args.env.clone()), Some("ppo".to_owned()));
    let request = Request { env, algo, sets, ..Request::default() };
    let mut config = ExperimentConfig::resolve(&program.registry, &request)?;
    config.train.run.threads = usize::try_from(args.threads)?;
    config.train.validate()?;
    Ok(config)
}

/// The devices called so, or all of this build.
fn devices(names: &[String]) -> anyhow::Result<Vec<DeviceChoice>> {
    let mut devices = Vec::new();
    for name in names {
        let device = device(name)?.resolve();
        if devices.contains(&device) {
            return Err(Misuse(format!("--device {device} is there twice")).into());
        }
        devices.push(device);
    }
    Ok(if names.is_empty() { DeviceChoice::compiled_in() } else { devices })
}
