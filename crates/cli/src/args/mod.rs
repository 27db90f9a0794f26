//! The command line, as clap reads it.

mod bench;
mod runs;
mod training;
mod tune;

use std::path::PathBuf;

use clap::{
    Args, CommandFactory, FromArgMatches, Parser, Subcommand,
    builder::{StyledStr, Styles, styling::AnsiColor},
};
use elegante::{DeviceChoice, experiment::Request};

use crate::program::ELEGANTE;

pub(crate) use bench::BenchArgs;
pub(crate) use runs::{
    CompareArgs, DoctorArgs, EvalArgs, PNG_SCALE, PlayArgs, ReplayArgs, ReportArgs,
};
pub(crate) use training::{ResumeArgs, TrainArgs};
pub(crate) use tune::TuneArgs;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Train, evaluate and watch neural policies.
#[derive(Debug, Parser)]
#[command(name = ELEGANTE, version, styles = STYLES, max_term_width = 100)]
#[command(after_help = "\
A first session:
  {bin} train CartPole-v1              a policy in a few seconds
  {bin} play runs/CartPole-v1-ppo-0-1  watch it balance
  {bin} eval runs/CartPole-v1-ppo-0-1  how good is it, in numbers

`{bin} help <COMMAND>` explains each command, with examples.")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// The command line of this process, of a program called `name`. Ends the process where clap does:
    /// after `--help` and `--version`, and when the arguments make no sense.
    pub(crate) fn of(name: &str) -> Self {
        let matches = command(name).get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

/// The command line of a program called `name`: its help names it wherever it says `{bin}` here, and a
/// program that is not ours says in its version whose command line it has.
fn command(name: &str) -> clap::Command {
    let command = named(Cli::command(), name).name(name.to_owned()).bin_name(name.to_owned());
    let version = env!("CARGO_PKG_VERSION");
    command.version(match name {
        ELEGANTE => version.to_owned(),
        _ => format!("({ELEGANTE} {version})"),
    })
}

/// Says `name` for `{bin}`, here and in all subcommands.
fn named(mut command: clap::Command, name: &str) -> clap::Command {
    let said = |text: &StyledStr| StyledStr::from(text.to_string().replace("{bin}", name));
    if let Some(text) = command.get_about().map(said) {
        command = command.about(text);
    }
    if let Some(text) = command.get_long_about().map(said) {
        command = command.long_about(text);
    }
    if let Some(text) = command.get_after_help().map(said) {
        command = command.after_help(text);
    }
    command
        .mut_args(|mut arg| {
            if let Some(text) = arg.get_help().map(said) {
                arg = arg.help(text);
            }
            match arg.get_long_help().map(said) {
                Some(text) => arg.long_help(text),
                None => arg,
            }
        })
        .mut_subcommands(|subcommand| named(subcommand, name))
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Train a policy and save everything about the run
    Train(TrainArgs),
    /// Go on with a run or an experiment that was stopped, by whatever it was
    Resume(ResumeArgs),
    /// Search for settings that train better
    Tune(TuneArgs),
    /// Evaluate a trained policy on episodes it has never seen
    Eval(EvalArgs),
    /// Compare two experiments of many seeds each
    Compare(CompareArgs),
    /// Write a report of runs, experiments and searches as one HTML file, and its figures for papers
    Report(ReportArgs),
    /// Watch a trained policy in the terminal, as an animated GIF or as PNG files
    Play(PlayArgs),
    /// Check this machine, this build and, if you like, an environment
    Doctor(DoctorArgs),
    /// Measure how fast this machine and this build are
    Bench(BenchArgs),
    /// Make an update that a run failed on once more, and see what went wrong
    Replay(ReplayArgs),
    /// List the environments
    Envs(ListArgs),
    /// List the algorithms
    Algos(ListArgs),
    /// Print a complete configuration with every setting explained
    Config(ConfigArgs),
}

/// Where settings come from, for commands that take any.
#[derive(Debug, Args)]
pub(crate) struct SettingArgs {
    /// Algorithm; `{bin} algos` lists them [default: ppo]
    #[arg(long, value_name = "ALGO")]
    pub(crate) algo: Option<String>,
    /// Configuration file, as `{bin} config` prints it; what it leaves out has its default
    #[arg(long, value_name = "FILE.toml")]
    pub(crate) config: Option<PathBuf>,
    /// Any setting, by its name in the configuration file; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// List what there is.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct ListArgs {
    /// Print one JSON object a line, for machines
    #[arg(long)]
    pub(crate) json: bool,
}

/// Print a complete configuration with every setting explained.
///
/// The result is a TOML file that `train --config` takes. Settings given here with --config and --set
/// are in it already.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  {bin} config CartPole-v1
  {bin} config CartPole-v1 --algo reinforce --set steps=1e6 > long.toml
  {bin} train CartPole-v1 --config long.toml")]
pub(crate) struct ConfigArgs {
    /// Environment that the configuration is for; `{bin} envs` lists them
    pub(crate) env: String,
    #[command(flatten)]
    pub(crate) settings: SettingArgs,
}

impl SettingArgs {
    /// The request for `env`, without flags of the command's own.
    pub(crate) fn request(self, env: String) -> Request {
        Request {
            env: Some(env),
            algo: self.algo,
            file: self.config,
            sets: self.set,
            flags: Vec::new(),
        }
    }
}

/// The device called `name`.
///
/// # Errors
/// With the nearest name when there is none.
pub(crate) fn device(name: &str) -> anyhow::Result<DeviceChoice> {
    Ok(name.parse::<DeviceChoice>()?)
}

/// A whole number, also as 1e5 or 100_000.
fn count(text: &str) -> Result<u64, String> {
    let plain = text.replace('_', "");
    if let Ok(number) = plain.parse() {
        return Ok(number);
    }
    match plain.parse::<f64>() {
        Ok(x) if x.fract() == 0.0 && (0.0..9.007_199_254_740_992e15).contains(&x) => Ok(x as u64),
        _ => Err("a whole number is needed, 0 or more, for example 300000 or 3e5".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command(ELEGANTE).debug_assert();
    }

    #[test]
    fn help_and_version_go_by_the_programs_own_name() {
        for name in [ELEGANTE, "robots"] {
            let mut command = command(name);
            let mut helps = vec![command.render_long_help().to_string()];
            command.build();
            for subcommand in command.get_subcommands_mut() {
                helps.push(subcommand.render_long_help().to_string());
                helps.push(subcommand.render_help().to_string());
            }
            for help in &helps {
                assert!(help.contains(&format!("Usage: {name} ")), "{help}");
                assert!(!help.contains("{bin}"), "{help}");
                assert!(name == ELEGANTE || !help.contains(ELEGANTE), "{help}");
            }
            assert!(helps.iter().any(|help| help.contains(&format!("`{name} envs` lists them"))));
        }
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(command(ELEGANTE).render_version(), format!("elegante {version}\n"));
        let theirs = format!("robots (elegante {version})\n");
        assert_eq!(command("robots").render_version(), theirs);
    }

    #[test]
    fn counts_may_be_written_in_several_ways() {
        for text in ["300000", "3e5", "300_000", "3.0e5"] {
            assert_eq!(count(text), Ok(300_000), "{text}");
        }
        for text in ["-1", "1.5", "many", "", "nan", "inf", "1e300"] {
            assert!(count(text).is_err(), "{text}");
        }
    }
}
