//! The command that searches for settings.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use elegante::experiment::{
    Request,
    tune::{Pruner, Sampler, StudyOptions},
};

use super::{
    SettingArgs, count,
    training::{flag, whole},
};

/// Trials, where nobody says how many.
const TRIALS: u64 = 50;

/// Search for settings that train better.
///
/// Trains with one configuration after the other, several side by side, and looks for the one whose last
/// policy has the largest mean return (with --seeds-per-trial: the mean over the seeds). Trial 0 is the
/// configuration as it stands, so that you see what the search gains. The others take the settings of the
/// search space from it and leave the rest as it is; every setting given with --set stays fixed.
///
/// The search's directory has trials.jsonl (a line for each trial), tune.md (a table of them, and which
/// settings went along with the return), best.toml, which `{bin} train --config` takes, and a directory for
/// each trial. A search that was stopped, by Ctrl-C, kill -9 or a power cut, goes on with --resume, or by
/// giving the same command with its --out again; no finished trial is repeated.
///
/// The score of the best trial is the largest of many, and flatters it. Train with best.toml on seeds that
/// the search has not used; the command is printed at the end.
///
/// With --jobs 1 a search depends on --seed alone. With more, what is proposed also depends on which of
/// the trials side by side end first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  {bin} tune CartPole-v1 --steps 2e4 --trials 20
  {bin} tune Pendulum-v1 --algo a2c --trials 100 --seeds-per-trial 3 --out search
  {bin} tune --resume search --trials 200
  {bin} tune CartPole-v1 --set ppo.gamma=0.99 --pruner halving
  {bin} tune CartPole-v1 --print-space > space.toml
  {bin} tune CartPole-v1 --space space.toml
  {bin} train CartPole-v1 --config search/best.toml --seeds 1..11")]
pub(crate) struct TuneArgs {
    /// Environment to train on; `{bin} envs` lists them
    #[arg(required_unless_present = "resume")]
    pub(crate) env: Option<String>,
    #[command(flatten)]
    pub(crate) settings: SettingArgs,
    /// Trials in all [default: 50; with --resume: as many as were asked for]
    #[arg(long, value_name = "N", value_parser = at_least_one, allow_negative_numbers = true)]
    pub(crate) trials: Option<u64>,
    /// Seeds that each trial is trained with, one after the other; the same for all trials
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) seeds_per_trial: u16,
    /// Environment steps that each seed of a trial is trained for
    #[arg(long, value_name = "N", value_parser = count, allow_negative_numbers = true)]
    pub(crate) steps: Option<u64>,
    /// Seed of the search, and the first seed that each trial is trained with
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) seed: Option<u64>,
    /// Trials side by side; 1: the search is the same each time [default: one for each core, or one at a
    /// time on a GPU]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub(crate) jobs: Option<u16>,
    /// How the settings of the next trial are found
    #[arg(long, value_name = "S", value_enum, default_value_t = SamplerArg::Tpe)]
    pub(crate) sampler: SamplerArg,
    /// How a trial that does badly is given up early
    #[arg(long, value_name = "P", value_enum, default_value_t = PrunerArg::Median)]
    pub(crate) pruner: PrunerArg,
    /// The settings to vary, each with its values, instead of the algorithm's usual ones
    #[arg(long, value_name = "FILE.toml")]
    pub(crate) space: Option<PathBuf>,
    /// Print the search space, for a file of your own to begin with, and do nothing else
    #[arg(long)]
    pub(crate) print_space: bool,
    /// auto, flex, ndarray, wgpu, cuda or cuda:1, if compiled in
    #[arg(long, value_name = "D")]
    pub(crate) device: Option<String>,
    /// The search's directory [default: runs/<ENV>-<ALGO>-tune-<n>, the first n that is free]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Go on with the search in this directory, with the settings that it was begun with
    #[arg(long, value_name = "DIR", conflicts_with_all = [
        "env", "algo", "config", "set", "seeds_per_trial", "steps", "seed", "sampler", "pruner", "space",
        "print_space", "device", "out",
    ])]
    pub(crate) resume: Option<PathBuf>,
    /// Print one JSON object a line, for machines; the last one has the best trial
    #[arg(long, conflicts_with = "quiet")]
    pub(crate) json: bool,
    /// Print the final result only
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// How the settings of the next trial are found.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum SamplerArg {
    /// At random
    Random,
    /// At random ten times, then by tree-structured Parzen estimators: what good trials have and others
    /// have not
    Tpe,
}

/// How a trial that does badly is given up early.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum PrunerArg {
    /// Not at all
    None,
    /// When it is below the median of what the others had come to by then
    Median,
    /// When it is not in the better half after 1, 2, 4, … evaluations (asynchronous successive halving)
    Halving,
}

impl TuneArgs {
    /// The settings that were asked for, whatever the layer.
    pub(crate) fn request(&self) -> Request {
        let settings = SettingArgs {
            algo: self.settings.algo.clone(),
            config: self.settings.config.clone(),
            set: self.settings.set.clone(),
        };
        // Without an environment clap takes --resume only, which needs no request.
        let mut request = settings.request(self.env.clone().unwrap_or_default());
        for (name, number) in [("--steps", self.steps), ("--seed", self.seed)] {
            request.flags.extend(number.map(|number| flag(name, whole(number))));
        }
        request.flags.extend(self.device.clone().map(|device| flag("--device", device.into())));
        request
    }

    /// How to search.
    pub(crate) fn options(&self) -> StudyOptions {
        StudyOptions {
            trials: self.trials.unwrap_or(TRIALS),
            seeds_per_trial: self.seeds_per_trial.into(),
            sampler: match self.sampler {
                SamplerArg::Random => Sampler::Random,
                SamplerArg::Tpe => Sampler::Tpe,
            },
            pruner: match self.pruner {
                PrunerArg::None => Pruner::None,
                PrunerArg::Median => Pruner::Median,
                PrunerArg::Halving => Pruner::Halving,
            },
        }
    }
}

fn at_least_one(text: &str) -> Result<u64, String> {
    match count(text)? {
        0 => Err("at least 1 is needed".into()),
        // So many that their numbers stay readable and their directories can be listed.
        n if n > 1_000_000 => Err("at most 1000000 are possible".into()),
        n => Ok(n),
    }
}
