//! `elegante tune`: a search for settings that train better.

mod board;
mod work;

use std::{io, path::Path};

use elegante::{
    Trainer,
    experiment::{
        COMMIT, ExperimentConfig, VERSION, json_line,
        tune::{SearchSpace, Study, StudyInfo, Trial, TrialState, study_files},
    },
};
use serde::Serialize;

use crate::{
    args::TuneArgs,
    exit::{Misuse, Outcome},
    interrupt::Interrupt,
    output::Output,
    program::Program,
    seeds::side_by_side,
    text::{grouped, reward, span},
};
use board::Board;
use work::Crew;

pub(crate) fn run(
    mut args: TuneArgs,
    program: &Program,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    let study = match args.resume.take() {
        Some(path) => {
            let mut study = Study::open(path, &program.registry)?;
            possible(study.config(), program)?;
            args.trials.map_or(Ok(()), |trials| study.set_trials(trials))?;
            study
        }
        None => match begin(&mut args, program, output)? {
            Some(study) => study,
            None => return Ok(Outcome::Complete),
        },
    };
    conduct(study, &args, program, output)
}

/// The search that was asked for, a new one or the one in its directory; none if only its space was to be
/// printed.
fn begin(
    args: &mut TuneArgs,
    program: &Program,
    output: &mut Output,
) -> anyhow::Result<Option<Study>> {
    let registry = &program.registry;
    let config = ExperimentConfig::resolve(registry, &args.request())?;
    let space = space(args, &config, program, output)?;
    if args.print_space {
        output.write(&space.to_toml())?;
        return Ok(None);
    }
    possible(&config, program)?;
    let options = args.options();
    Ok(Some(match args.out.take() {
        Some(path) if Study::exists(&path) => {
            let mut study = Study::open(path, registry)?;
            study.agrees(&config, &space, &options)?;
            study.set_trials(options.trials)?;
            study
        }
        Some(path) => Study::create(path, &config, &space, &options, registry)?,
        None => Study::create_numbered(Path::new("runs"), &config, &space, &options, registry)?,
    }))
}

/// What varies: the settings of the file or the usual ones, those given by --set left out.
fn space(
    args: &TuneArgs,
    config: &ExperimentConfig,
    program: &Program,
    output: &Output,
) -> anyhow::Result<SearchSpace> {
    let registry = &program.registry;
    let mut space = match &args.space {
        Some(path) => SearchSpace::read(path, config, registry)?,
        None => SearchSpace::usual(config, registry)?,
    };
    let set = args.settings.set.iter().filter_map(|pair| pair.split_once('='));
    let fixed = space.fix(set.map(|(key, _)| key.trim()));
    if let (Some(path), Some(key)) = (&args.space, fixed.first()) {
        let path = path.display();
        return Err(Misuse(format!(
            "{key} is given by --set and varies in {path}: leave it out of one of them"
        ))
        .into());
    }
    if space.dimensions().is_empty() {
        return Err(Misuse("--set leaves no setting to search for".into()).into());
    }
    if !fixed.is_empty() && !args.quiet && !args.json && !args.print_space {
        output.note(&format!("fixed by --set, and not searched: {}", fixed.join(", ")));
    }
    Ok(space)
}

/// What no trial could be trained with is said once, before any file is touched.
fn possible(config: &ExperimentConfig, program: &Program) -> anyhow::Result<()> {
    let make = config.env_factory(&program.registry)?;
    Trainer::from_factory(config.train.clone(), make)?;
    Ok(())
}

/// Runs the trials that are left and says what came out.
fn conduct(
    study: Study,
    args: &TuneArgs,
    program: &Program,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    let interrupt = Interrupt::listen(|| {})?;
    let info = study.info().clone();
    if (info.version.as_str(), info.commit.as_str()) != (VERSION, COMMIT) {
        output.warning(&format!(
            "the search was begun with elegante {} ({}), which may train and propose otherwise",
            info.version, info.commit
        ));
    }
    let over = study.trials().iter().filter(|it| it.trial < info.trials).count();
    let left = (info.trials as usize).saturating_sub(over);
    let (jobs, threads) = side_by_side(args.jobs, left, study.config());
    introduce(&study, args, left, jobs, output)?;
    let board = Board::new(args.json, args.quiet, left, &study);
    let crew = Crew { jobs, threads, name: program.name.clone(), env: info.env.clone() };
    let study = crew.run(study, board, &interrupt, output)?;
    study.write_results()?;
    if args.json {
        output.line(&json_line("best", &Ending::of(&study)))?;
    } else {
        conclude(&study, program, args.quiet, output)?;
    }
    let done = study.trials().iter().filter(|it| it.trial < info.trials).count() as u64;
    Ok(match study.best() {
        _ if done < info.trials => Outcome::Interrupted,
        Some(_) => Outcome::Complete,
        None => Outcome::Partial,
    })
}

/// The first line, which says what is going to happen.
fn introduce(
    study: &Study,
    args: &TuneArgs,
    left: usize,
    jobs: usize,
    output: &mut Output,
) -> io::Result<()> {
    let (info, path) = (study.info(), study.path());
    if args.json {
        return output.line(&json_line("tune", &Beginning { info, left, jobs, directory: path }));
    }
    if !args.quiet {
        let trials = match left as u64 {
            left if left == info.trials => format!("{} trials", grouped(left)),
            left => format!("{} of {} trials left", grouped(left), grouped(info.trials)),
        };
        let seeds = match info.seeds.len() {
            1 => String::new(),
            many => format!(" × {many} seeds"),
        };
        output.note(&format!(
            "{} · {} · {trials} of {} steps{seeds} · {}, pruner {} · {jobs} at a time · {}",
            info.env,
            info.algo,
            grouped(info.steps),
            info.sampler,
            info.pruner,
            path.display()
        ));
    }
    Ok(())
}

#[derive(Serialize)]
struct Beginning<'a> {
    #[serde(flatten)]
    info: &'a StudyInfo,
    left: usize,
    jobs: usize,
    directory: &'a Path,
}

/// The last line of `--json`.
#[derive(Serialize)]
struct Ending<'a> {
    directory: &'a Path,
    /// The best trial and its value.
    trial: Option<u64>,
    value: Option<f64>,
    /// The value of the configuration that the search began with.
    began: Option<f64>,
    complete: usize,
    pruned: usize,
    failed: usize,
}

impl<'a> Ending<'a> {
    fn of(study: &'a Study) -> Self {
        let count = |state| study.trials().iter().filter(|it| it.state == state).count();
        Self {
            directory: study.path(),
            trial: study.best().map(|best| best.trial),
            value: study.best().and_then(|best| best.value),
            began: began(study).and_then(|trial| trial.value),
            complete: count(TrialState::Complete),
            pruned: count(TrialState::Pruned),
            failed: count(TrialState::Failed),
        }
    }
}

fn began(study: &Study) -> Option<&Trial> {
    study.trials().iter().find(|trial| trial.trial == 0)
}

/// What a person reads at the end.
fn conclude(study: &Study, program: &Program, quiet: bool, output: &mut Output) -> io::Result<()> {
    let (paint, path) = (output.paint, study.path().display());
    let end = Ending::of(study);
    match (end.trial, end.value) {
        (Some(trial), Some(value)) => {
            let from = match end.began {
                Some(began) if trial != 0 => {
                    format!("; trial 0, where the search began, has {}", reward(began))
                }
                _ => String::new(),
            };
            let value = paint.green(&paint.bold(&reward(value)));
            let how = paint.dim(&format!("trial {trial}, mean return of its last policy{from}"));
            output.line(&format!("best        {value}  {how}"))?;
        }
        _ => output.line("best        no trial is complete")?,
    }
    output.line(&format!(
        "trials      {} complete, {} pruned, {} failed",
        end.complete, end.pruned, end.failed
    ))?;
    output.line(&format!("search      {path}"))?;
    if quiet {
        return Ok(());
    }
    let (table, best) = (study_files::TABLE, study_files::BEST);
    output.line(&paint.dim(&format!(
        "            {table} has every trial, {best} the configuration of the best"
    )))?;
    output.line(&format!("wall time   {}", span(program.began.elapsed().as_secs_f64())))?;
    next(study, &program.name, output)
}

/// What to do with the result.
fn next(study: &Study, name: &str, output: &mut Output) -> io::Result<()> {
    let (paint, info, path) = (output.paint, study.info(), study.path().display());
    if (study.trials().len() as u64) < info.trials {
        output.line(&format!("\n{}", paint.dim("Next:")))?;
        return output.line(&format!("  {name} tune --resume {path}"));
    }
    if study.best().is_none() {
        return Ok(());
    }
    let (env, seeds, began) = (&info.env, info.fresh_seeds(), study_files::CONFIG);
    let why = "The best of many is optimistic. Next, on seeds that the search has not used:";
    output.line(&format!("\n{}", paint.dim(why)))?;
    let best = study_files::BEST;
    for (config, out) in [(best, "tuned"), (began, "untuned")] {
        output.line(&format!(
            "  {name} train {env} --config {path}/{config} --seeds {seeds} --out {out}"
        ))?;
    }
    output.line(&format!("  {name} compare tuned untuned"))
}
