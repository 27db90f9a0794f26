//! `elegante config`.

use elegante::{Registry, experiment::ExperimentConfig};

use crate::{args::ConfigArgs, exit::Outcome, output::Output};

pub(crate) fn run(args: ConfigArgs, output: &mut Output) -> anyhow::Result<Outcome> {
    let registry = Registry::standard();
    let config = ExperimentConfig::resolve(&registry, &args.settings.request(args.env))?;
    output.write(&config.to_toml(&registry)?)?;
    Ok(Outcome::Complete)
}
