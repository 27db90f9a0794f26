//! `elegante config`.

use elegante::experiment::ExperimentConfig;

use crate::{args::ConfigArgs, exit::Outcome, output::Output, program::Program};

pub(crate) fn run(
    args: ConfigArgs,
    program: &Program,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    let registry = &program.registry;
    let config = ExperimentConfig::resolve(registry, &args.settings.request(args.env))?;
    output.write(&config.to_toml(registry)?)?;
    Ok(Outcome::Complete)
}
