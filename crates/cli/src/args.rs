//! The command line, as clap reads it.

use std::path::PathBuf;

use clap::{
    Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum,
    builder::{StyledStr, Styles, styling::AnsiColor},
};
use elegante::{
    DeviceChoice,
    experiment::{Flag, Request, Seeds},
    kernels::Instructions,
};

use crate::program::ELEGANTE;

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
    /// Evaluate a trained policy on episodes it has never seen
    Eval(EvalArgs),
    /// Compare two experiments of many seeds each
    Compare(CompareArgs),
    /// Write a report of runs and experiments as one HTML file, and its figures for papers
    Report(ReportArgs),
    /// Watch a trained policy in the terminal, as an animated GIF or as PNG files
    Play(PlayArgs),
    /// Check this machine, this build and, if you like, an environment
    Doctor(DoctorArgs),
    /// Make an update that a run failed on once more, and see what went wrong
    Replay(ReplayArgs),
    /// List the environments
    Envs(ListArgs),
    /// List the algorithms
    Algos(ListArgs),
    /// Print a complete configuration with every setting explained
    Config(ConfigArgs),
}

/// Train a policy and save everything about the run.
///
/// Training goes on for --steps environment steps and ends with an evaluation of the last policy: 100
/// episodes that training has never seen, always taking the most probable action. The run's files
/// go into one directory: config.toml (every setting, resolved), metrics.jsonl (a line for each
/// update), episodes.csv, policy.safetensors, run.json, and in checkpoints/ the whole state of the
/// training, from which `{bin} resume` goes on. With --eval-every there is best.safetensors too, the
/// policy of the best of those evaluations.
///
/// Settings come from the defaults, then --config, then --set, then flags such as --steps; later ones
/// win. The same command with the same --seed gives the same policy, whatever --threads says. Ctrl-C
/// ends the run cleanly after the current update, with everything saved. A run that is killed, or whose
/// machine loses its power, loses a minute at most: see --checkpoint-every.
///
/// With --seeds the result is an experiment: a directory with a run in seed-N for each seed, and with
/// summary.md, summary.json and curves.svg, which have every seed, the interquartile mean, the mean and
/// the median with 95 % bootstrap intervals, and the learning curves. A seed that fails is reported and
/// the others go on.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  {bin} train CartPole-v1
  {bin} train CartPole-v1 --seed 7 --steps 2e5 --out my-run
  {bin} train CartPole-v1 --set ppo.gamma=0.99 --set network.hidden=[32]
  {bin} train CartPole-v1 --algo reinforce --set reinforce.estimator=reward-to-go
  {bin} train CartPole-v1 --eval-every 50000 --stop-at 475
  {bin} train CartPole-v1 --config my-run/config.toml --seed 8
  {bin} train CartPole-v1 --seeds 0..10 --out ten-seeds
  {bin} train CartPole-v1 --tensorboard --histograms-every 20000
  {bin} train CartPole-v1 --json | jq .mean_return_100")]
pub(crate) struct TrainArgs {
    /// Environment to train on; `{bin} envs` lists them
    pub(crate) env: String,
    #[command(flatten)]
    pub(crate) settings: SettingArgs,
    /// Environment steps to train for, over all lanes together; 3e5 is fine
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true)]
    pub(crate) steps: Option<u64>,
    /// Seed of every random number of the run
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) seed: Option<u64>,
    /// Train with each of these seeds, side by side: a range without its end, 0..10, or a list, 0,3,7
    #[arg(long, value_name = "SEEDS", conflicts_with = "seed", allow_hyphen_values = true)]
    pub(crate) seeds: Option<Seeds>,
    /// Runs side by side under --seeds; results do not depend on it [default: one for each core, or one
    /// at a time on a GPU]
    #[arg(long, value_name = "N", requires = "seeds", value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub(crate) jobs: Option<u16>,
    /// auto, flex, ndarray, wgpu, cuda or cuda:1, if compiled in
    #[arg(long, value_name = "D")]
    pub(crate) device: Option<String>,
    /// How the CPU rounds [default: fastest]
    #[arg(long, value_name = "K")]
    pub(crate) kernels: Option<Kernels>,
    /// Threads to use; 0: one for each core. Results do not depend on it
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true)]
    pub(crate) threads: Option<u64>,
    /// Evaluate whenever N further steps have been trained
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true)]
    pub(crate) eval_every: Option<u64>,
    /// Write a checkpoint whenever N further steps have been trained, beside those that come every
    /// minute (checkpoints.every_seconds); the last checkpoints.keep of them stay
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true)]
    pub(crate) checkpoint_every: Option<u64>,
    /// Stop as soon as this mean return is reached, by an evaluation if --eval-every asks for any,
    /// else by the last 100 training episodes
    #[arg(long, value_name = "RETURN", allow_negative_numbers = true)]
    pub(crate) stop_at: Option<f64>,
    /// Write TensorBoard's event files too, into the run's directory tensorboard
    #[arg(long)]
    pub(crate) tensorboard: bool,
    /// With --tensorboard: histograms of weights and gradients whenever N further steps have been trained
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true)]
    pub(crate) histograms_every: Option<u64>,
    /// Write progress.csv too: a row for each update, in Stable-Baselines3's columns
    #[arg(long)]
    pub(crate) csv: bool,
    /// The run's directory [default: runs/<ENV>-<ALGO>-<SEED>-<n>, the first n that is free; under
    /// --seeds runs/<ENV>-<ALGO>-seeds-<n>]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Replace the run or experiment that is in --out; anything else is never touched
    #[arg(long)]
    pub(crate) force: bool,
    /// Print one JSON object a line, for machines; the last one has the evaluation
    #[arg(long, conflicts_with = "quiet")]
    pub(crate) json: bool,
    /// Print the final result only
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// One run of an experiment: take this many threads where --threads leaves it open, and end as if
    /// by Ctrl-C when the standard input does
    #[arg(long, value_name = "THREADS", hide = true, conflicts_with = "seeds")]
    pub(crate) worker: Option<usize>,
}

/// Go on with a run or an experiment that was stopped, by whatever it was.
///
/// RUN is a directory that `{bin} train` made. It is continued from its newest checkpoint to the same
/// policy, byte for byte, and the same logs, clock readings aside, as if it had never been stopped: by
/// Ctrl-C, by a crash, by a power cut, by a full disk. A checkpoint that is damaged is passed over for
/// the one before, with a warning. Of an experiment, a directory that `train --seeds` made, every seed
/// that is not finished is continued, and the summary is written anew. What is finished is left as it is.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  {bin} resume runs/CartPole-v1-ppo-0-1
  {bin} resume runs/CartPole-v1-ppo-seeds-1 --jobs 2
  {bin} resume runs/Pendulum-v1-ppo-0-1 --steps 4e5")]
pub(crate) struct ResumeArgs {
    /// Run directory, or experiment directory
    pub(crate) run: PathBuf,
    /// Train for this many steps in all instead of those that the run was given. Refused where a
    /// schedule spans the whole run: what has been trained would be the beginning of another one
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true)]
    pub(crate) steps: Option<u64>,
    /// Runs of an experiment side by side; results do not depend on it [default: as for train]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub(crate) jobs: Option<u16>,
    /// Print one JSON object a line, for machines; the last one has the evaluation
    #[arg(long, conflicts_with = "quiet")]
    pub(crate) json: bool,
    /// Print the final result only
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// One run of an experiment, as for train
    #[arg(long, value_name = "THREADS", hide = true)]
    pub(crate) worker: Option<usize>,
}

/// How the CPU's kernels round.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Kernels {
    /// With the best instructions that this CPU has
    Fastest,
    /// With those of every CPU: the same bits on all of them
    Portable,
}

impl From<Kernels> for Instructions {
    fn from(kernels: Kernels) -> Self {
        match kernels {
            Kernels::Fastest => Self::Fastest,
            Kernels::Portable => Self::Portable,
        }
    }
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

/// Evaluate a trained policy on episodes it has never seen.
///
/// RUN is a directory that `{bin} train` made. The episodes' seeds never coincide with those of
/// training. Without options the result is the one that the training ended with.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  {bin} eval runs/CartPole-v1-ppo-0-1
  {bin} eval runs/CartPole-v1-ppo-0-1 --episodes 1000 --seed 42
  {bin} eval runs/CartPole-v1-ppo-0-1 --stochastic --json")]
pub(crate) struct EvalArgs {
    /// Run directory
    pub(crate) run: PathBuf,
    /// Episodes to play [default: the run's eval_episodes, 100]
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true)]
    pub(crate) episodes: Option<u64>,
    /// Seed of the episodes [default: the run's]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) seed: Option<u64>,
    /// Draw actions as in training instead of taking the most probable one
    #[arg(long)]
    pub(crate) stochastic: bool,
    /// Where to compute; need not be where the policy was trained
    #[arg(long, value_name = "D", default_value = "auto")]
    pub(crate) device: String,
    /// How the CPU rounds [default: as the run was trained]
    #[arg(long, value_name = "K")]
    pub(crate) kernels: Option<Kernels>,
    /// Print one JSON object on one line
    #[arg(long)]
    pub(crate) json: bool,
}

/// Compare two experiments of many seeds each.
///
/// A and B are directories that `{bin} train --seeds` made, on the same environment. Printed are the
/// interquartile mean (IQM) of each one's final returns, their difference, and the probability that a run
/// of A returns more than a run of B (a draw counts half), all with 95 % bootstrap intervals. A
/// difference whose interval holds 0, or a probability whose interval holds 0.5, may be chance.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  {bin} train CartPole-v1 --algo ppo --seeds 0..10 --out ppo
  {bin} train CartPole-v1 --algo a2c --seeds 0..10 --out a2c
  {bin} compare ppo a2c --svg ppo-a2c.svg --png ppo-a2c.png")]
pub(crate) struct CompareArgs {
    /// Experiment directory
    pub(crate) a: PathBuf,
    /// Experiment directory
    pub(crate) b: PathBuf,
    /// Write both learning curves into one picture
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
    /// The same as PNG, large enough for print
    #[arg(long, value_name = "FILE")]
    pub(crate) png: Option<PathBuf>,
    /// Print one JSON object on one line
    #[arg(long)]
    pub(crate) json: bool,
}

/// Pixels of a PNG for each of the figure's own: 288 to the inch.
pub(crate) const PNG_SCALE: f64 = 3.0;

/// Write a report of runs and experiments as one HTML file, and its figures for papers.
///
/// RUN is a directory that `{bin} train` made, with --seeds or without, finished or not. The report has
/// learning curves with every seed, final evaluations with their statistics, what differs between the
/// configurations, how training went on the inside, and a film of an episode; of several on one
/// environment also performance profiles and the probability of improvement. It needs no network, and has
/// no scripts: send it, print it, open it on a telephone.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  {bin} report runs/CartPole-v1-ppo-0-1
  {bin} report ppo a2c --out cartpole.html
  {bin} report ppo a2c --png figures --svg figures")]
pub(crate) struct ReportArgs {
    /// Run or experiment directories
    #[arg(required = true, value_name = "RUN")]
    pub(crate) runs: Vec<PathBuf>,
    /// The file to write; an older report in it is replaced, anything else is not
    #[arg(long, value_name = "FILE", default_value = "report.html")]
    pub(crate) out: PathBuf,
    /// Write each figure as a PNG file into this directory too, large enough for print
    #[arg(long, value_name = "DIR")]
    pub(crate) png: Option<PathBuf>,
    /// Write each figure as an SVG file into this directory too
    #[arg(long, value_name = "DIR")]
    pub(crate) svg: Option<PathBuf>,
    /// Leave out the films of episodes
    #[arg(long)]
    pub(crate) no_film: bool,
}

/// Watch a trained policy in the terminal, as an animated GIF or as PNG files.
///
/// Draws with half blocks and 24-bit colours, scaled to the window. In a pipe, where nobody looks, a
/// line of text for each step takes the pictures' place. Ctrl-C ends the show.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  {bin} play runs/CartPole-v1-ppo-0-1
  {bin} play runs/CartPole-v1-ppo-0-1 --episodes 3 --stochastic
  {bin} play runs/CartPole-v1-ppo-0-1 --gif cartpole.gif
  {bin} play runs/CartPole-v1-ppo-0-1 --png-dir frames")]
pub(crate) struct PlayArgs {
    /// Run directory
    pub(crate) run: PathBuf,
    /// Write an animated GIF instead
    #[arg(long, value_name = "FILE")]
    pub(crate) gif: Option<PathBuf>,
    /// Write every state as a picture instead: frame-000000.png, frame-000001.png, …, into a
    /// directory that is made or empty
    #[arg(long, value_name = "DIR", conflicts_with = "gif")]
    pub(crate) png_dir: Option<PathBuf>,
    /// Episodes to play
    #[arg(long, value_name = "N", value_parser = count, default_value = "1", allow_negative_numbers = true)]
    pub(crate) episodes: u64,
    /// Seed of the episodes [default: the run's; they are then the first that it was evaluated on]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) seed: Option<u64>,
    /// Draw actions as in training instead of taking the most probable one
    #[arg(long)]
    pub(crate) stochastic: bool,
    /// Environment steps shown in a second
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) fps: u32,
    /// Where to compute; need not be where the policy was trained
    #[arg(long, value_name = "D", default_value = "auto")]
    pub(crate) device: String,
    /// How the CPU rounds [default: as the run was trained]
    #[arg(long, value_name = "K")]
    pub(crate) kernels: Option<Kernels>,
}

/// Check this machine, this build and, if you like, an environment.
///
/// Prints what there is, then a line for each check: whether the backends that are compiled in compute
/// here, whether gradients are right on each of them, whether the same seed gives the same bytes, whether
/// every algorithm learns what small worlds have to teach, and how fast small networks are. A line that
/// says FAIL also says what to do, and the exit code is then 1. With ENV the environment is checked too,
/// one of your own program's for example.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  {bin} doctor
  {bin} doctor --quick
  {bin} doctor CartPole-v1
  {bin} doctor --json | jq 'select(.status == \"fail\")'")]
pub(crate) struct DoctorArgs {
    /// Environment to check as well; `{bin} envs` lists them
    pub(crate) env: Option<String>,
    /// Leave out what takes long: most of what is learnt, and the speeds of larger networks
    #[arg(long)]
    pub(crate) quick: bool,
    /// Print one JSON object a line, for machines
    #[arg(long)]
    pub(crate) json: bool,
    /// Do one part of it in this process; its findings are read by the one that started it
    #[arg(long, value_name = "PART", hide = true)]
    pub(crate) part: Option<String>,
}

/// Make an update that a run failed on once more, and see what went wrong.
///
/// Where a loss, a gradient, a ratio or an observation is not finite, or a limit of [guard] is passed,
/// training stops, keeps the last good weights and writes failure.safetensors into the run's directory:
/// the batch, the weights and the optimiser from before the update, the random streams and the
/// configuration. This command makes the update again and prints every stage of it with the smallest and
/// the largest number, and which number was the first to go bad.
///
/// The exit code is 1 if the update fails again, 0 if it goes through, 2 if the record can't be used.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  {bin} replay runs/CartPole-v1-ppo-0-1
  {bin} replay failure.safetensors --json")]
pub(crate) struct ReplayArgs {
    /// Record of a failed update, or the run directory that has one
    pub(crate) failure: PathBuf,
    /// Where to compute [default: where the run did]
    #[arg(long, value_name = "D")]
    pub(crate) device: Option<String>,
    /// Print one JSON object on one line
    #[arg(long)]
    pub(crate) json: bool,
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

impl TrainArgs {
    /// The settings that were asked for, whatever the layer.
    ///
    /// # Errors
    /// When a number is larger than a configuration file can hold.
    pub(crate) fn request(&mut self) -> anyhow::Result<Request> {
        let settings = SettingArgs {
            algo: self.settings.algo.take(),
            config: self.settings.config.take(),
            set: std::mem::take(&mut self.settings.set),
        };
        let mut request = settings.request(self.env.clone());
        let numbers = [
            ("--steps", self.steps),
            ("--seed", self.seed),
            ("--threads", self.threads),
            ("--eval-every", self.eval_every),
            ("--checkpoint-every", self.checkpoint_every),
        ];
        for (name, number) in numbers {
            if let Some(number) = number {
                let value = i64::try_from(number)
                    .map_or(toml::Value::Float(number as f64), toml::Value::Integer);
                request.flags.push(flag(name, value));
            }
        }
        for (name, given) in [("--tensorboard", self.tensorboard), ("--csv", self.csv)] {
            request.flags.extend(given.then(|| log_flag(name, true.into())));
        }
        if let Some(every) = self.histograms_every {
            let every = i64::try_from(every).unwrap_or(i64::MAX);
            request.flags.push(log_flag("--histograms-every", every.into()));
        }
        request.flags.extend(self.stop_at.map(|value| flag("--stop-at", value.into())));
        request.flags.extend(self.device.take().map(|value| flag("--device", value.into())));
        let kernels = self.kernels.as_ref().and_then(ValueEnum::to_possible_value);
        request.flags.extend(kernels.map(|value| flag("--kernels", value.get_name().into())));
        Ok(request)
    }
}

/// The flag's name is the setting's, but for the dashes and a table's name.
fn flag(flag: &str, value: toml::Value) -> Flag {
    let key = match flag {
        "--checkpoint-every" => "checkpoints.every_steps".to_owned(),
        _ => flag.trim_start_matches('-').replace('-', "_"),
    };
    Flag { flag: flag.to_owned(), key, value }
}

/// The same for a setting in the table `log`.
fn log_flag(name: &str, value: toml::Value) -> Flag {
    let Flag { flag, key, value } = flag(name, value);
    Flag { flag, key: format!("log.{key}"), value }
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
