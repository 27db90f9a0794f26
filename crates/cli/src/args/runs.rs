//! The commands for what has been trained.

use std::path::PathBuf;

use clap::Args;

use super::{count, training::Kernels};

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

/// Write a report of runs, experiments and searches as one HTML file, and its figures for papers.
///
/// RUN is a directory that `{bin} train` made, with --seeds or without, finished or not. The report has
/// learning curves with every seed, final evaluations with their statistics, what differs between the
/// configurations, how training went on the inside, and a film of an episode; of several on one
/// environment also performance profiles and the probability of improvement. Of a search, a directory
/// that `{bin} tune` made, it has the history, the return against each setting, the evaluations on the way
/// and every trial. It needs no network, and has no scripts: send it, print it, open it on a telephone.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  {bin} report runs/CartPole-v1-ppo-0-1
  {bin} report ppo a2c --out cartpole.html
  {bin} report runs/CartPole-v1-ppo-tune-1 tuned untuned
  {bin} report ppo a2c --png figures --svg figures")]
pub(crate) struct ReportArgs {
    /// Run, experiment or search directories
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
  {bin} doctor FrozenLake-v1 --set env_options.map_name=8x8
  {bin} doctor --json | jq 'select(.status == \"fail\")'")]
pub(crate) struct DoctorArgs {
    /// Environment to check as well; `{bin} envs` lists them
    pub(crate) env: Option<String>,
    /// Check the environment with an option, as in `train`: --set env_options.is_slippery=false
    #[arg(long, value_name = "KEY=VALUE", requires = "env")]
    pub(crate) set: Vec<String>,
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
