//! The commands that train.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use elegante::{
    experiment::{Flag, Request, Seeds},
    kernels::Instructions,
};

use super::{SettingArgs, count};

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
  {bin} train CartPole-v1 --steps 1e6 --tui
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
    /// Watch it on the whole terminal: curves, numbers, the policy at play; ? there lists the keys
    #[arg(long, conflicts_with_all = ["json", "quiet"])]
    pub(crate) tui: bool,
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
    /// Watch it on the whole terminal: curves, numbers, the policy at play; ? there lists the keys
    #[arg(long, conflicts_with_all = ["json", "quiet"])]
    pub(crate) tui: bool,
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
                request.flags.push(flag(name, whole(number)));
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

/// A number as a configuration has it; one that is too large for it is refused there.
pub(super) fn whole(number: u64) -> toml::Value {
    i64::try_from(number).map_or(toml::Value::Float(number as f64), toml::Value::Integer)
}

/// The flag's name is the setting's, but for the dashes and a table's name.
pub(super) fn flag(flag: &str, value: toml::Value) -> Flag {
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
