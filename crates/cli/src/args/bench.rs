//! What `bench` is asked for.

use clap::Args;

use super::{count, training::Kernels};

/// Measure how fast this machine and this build are.
///
/// Measured are the stepping of an environment by itself, the choice of actions, an update of PPO for
/// minibatches of 64, 256 and 2048 steps, with fused operations and without, and a whole training of
/// 20,000 steps with the environment's preset: on every device that is compiled in, the machine's name
/// above. Times are medians over several turns. The figures come with a warning when the machine is busy
/// with something else, or when they vary too much to be compared.
///
/// With networks of the presets' size it takes less than half a minute. Of what takes longer than its share
/// of that, one call is timed, however long it takes, and a training is left out when its first update
/// alone would take far longer.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  {bin} bench
  {bin} bench --quick
  {bin} bench --env Pendulum-v1 --hidden 256,256 --threads 0
  {bin} bench --json | jq 'select(.section == \"update\") | [.name, .per_second]'")]
pub(crate) struct BenchArgs {
    /// Environment to step and to train on; `{bin} envs` lists them
    #[arg(long, value_name = "ENV", default_value = "CartPole-v1")]
    pub(crate) env: String,
    /// Where to compute; may be given several times [default: every device of this build]
    #[arg(long, value_name = "D")]
    pub(crate) device: Vec<String>,
    /// Units of the networks' hidden layers [default: the preset's]
    #[arg(long, value_name = "N,N", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) hidden: Vec<u16>,
    /// Threads of updates and trainings; 0: one for each core
    #[arg(long, value_name = "N", default_value = "1", value_parser = count, allow_negative_numbers = true)]
    pub(crate) threads: u64,
    /// How the CPU rounds [default: fastest]
    #[arg(long, value_name = "K")]
    pub(crate) kernels: Option<Kernels>,
    /// Spend five seconds at most, or what single calls take with large networks: for a first look, not for
    /// figures to compare
    #[arg(long)]
    pub(crate) quick: bool,
    /// Print one JSON object a line, for machines
    #[arg(long)]
    pub(crate) json: bool,
}
