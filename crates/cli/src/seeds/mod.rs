//! `elegante train --seeds`, and `resume` of what it makes: many seeds as one experiment.

mod board;
pub(crate) mod workers;

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use elegante::{
    DeviceChoice, Trainer,
    experiment::{
        Experiment, ExperimentConfig, ExperimentDir, Passing, RunState, Seeds, StopReason, Summary,
        experiment_files, json_line, statistics::Estimate,
    },
};
use serde::Serialize;

use crate::{
    args::{ResumeArgs, TrainArgs},
    exit::Outcome,
    interrupt::Interrupt,
    output::Output,
    program::Program,
    text::{grouped, short, span},
    tui,
};
use workers::{Start, Task};

pub(crate) use board::Board;
pub(crate) use workers::Leashes;

/// Ctrl-C is seen at the latest after this long.
pub(crate) const ATTENTION: Duration = Duration::from_millis(100);

/// What comes from the run of a seed.
pub(crate) enum Report {
    /// It has been started.
    Began,
    /// One of its JSON lines.
    Line(String),
    /// Something that is not as it should be and stops nothing.
    Warning(String),
    /// It is over; the error says why too early.
    Ended(Result<(), String>),
}

pub(crate) fn run(
    mut args: TrainArgs,
    seeds: &Seeds,
    config: &ExperimentConfig,
    program: &Program,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    let registry = &program.registry;
    // What no seed could be trained with is said once, before any file is touched.
    together(config, side_by_side(args.jobs, seeds.as_slice().len(), config).0, program)?;
    let interrupt = Interrupt::listen(tui::leave)?;
    let dir = match args.out.take() {
        Some(path) => ExperimentDir::create(path, config, seeds, registry, args.force)?,
        None => ExperimentDir::create_numbered(Path::new("runs"), config, seeds, registry)?,
    };
    let seeds = seeds.as_slice();
    let start = Start::Train { force: args.force };
    let runs = seeds.iter().map(|seed| (*seed, dir.run(*seed), start)).collect();
    let task = task(runs, args.jobs, config, &dir, program);
    let quiet = args.quiet;
    introduce(args.json, quiet, config, seeds, &task, &dir, output)?;
    let manner = Manner { json: args.json, quiet, tui: args.tui };
    conduct(&task, manner, config, &dir, &interrupt, program, output)
}

/// Whether as many runs as go on side by side can be made, and find room for what each of them will come to keep:
/// that they are made together is what their processes can't see of each other.
fn together(config: &ExperimentConfig, jobs: usize, program: &Program) -> anyhow::Result<()> {
    let make = config.env_factory(&program.registry)?;
    let trainer = || Trainer::from_factory(config.train.clone(), make.clone());
    let mut all = vec![trainer()?];
    let replays = config.train.algorithm.replays();
    while replays && all.len() < jobs {
        let next = trainer().with_context(|| {
            let n = all.len() + 1;
            format!("{n} of {jobs} runs side by side, of which --jobs can make fewer")
        })?;
        all.push(next);
    }
    Ok(())
}

/// Goes on with the seeds that are not finished.
pub(crate) fn resume(
    args: &ResumeArgs,
    program: &Program,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    let registry = &program.registry;
    let (dir, config, info) = ExperimentDir::open(&args.run, registry, args.steps)?;
    let steps = config.train.run.steps;
    let interrupt = Interrupt::listen(tui::leave)?;
    let unfinished = info.seeds.iter().filter_map(|seed| {
        let run = dir.run(*seed);
        match RunState::of(&run, steps) {
            RunState::Finished(_) => None,
            RunState::Unfinished => Some((*seed, run, Start::Resume { steps })),
            RunState::Missing => Some((*seed, run, Start::Train { force: false })),
        }
    });
    let task = task(unfinished.collect(), args.jobs, &config, &dir, program);
    if !task.runs.is_empty() {
        together(&config, task.jobs, program)?;
    }
    let seeds: Vec<u64> = task.runs.iter().map(|(seed, ..)| *seed).collect();
    if seeds.is_empty() {
        if !args.json && !args.quiet {
            output.note(&format!("every seed of {} is finished", dir.path().display()));
        }
    } else {
        introduce(args.json, args.quiet, &config, &seeds, &task, &dir, output)?;
    }
    let manner = Manner { json: args.json, quiet: args.quiet, tui: args.tui };
    conduct(&task, manner, &config, &dir, &interrupt, program, output)
}

/// How it is shown.
struct Manner {
    json: bool,
    quiet: bool,
    tui: bool,
}

/// Trains, writes the summary and says what came out.
fn conduct(
    task: &Task,
    Manner { json, quiet, tui }: Manner,
    config: &ExperimentConfig,
    dir: &ExperimentDir,
    interrupt: &Interrupt,
    program: &Program,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    let (leashes, steps) = (Leashes::new(), config.train.run.steps);
    let board = if tui && !task.runs.is_empty() {
        let seeds: Vec<u64> = task.runs.iter().map(|(seed, ..)| *seed).collect();
        tui::of_experiment(config, dir, &seeds, &leashes, interrupt, program)?
    } else {
        Board::new(json, quiet, steps, task.runs.len())
    };
    let failed = train(task, &leashes, board, interrupt, output)?;
    let experiment = Experiment::read(dir.path())?;
    let summary = experiment.write_summary()?;
    if json {
        output.line(&json_line("summary", &summary))?;
    } else {
        conclude(&summary, dir.path(), program.began.elapsed(), quiet, output)?;
    }
    let stopped = experiment.runs.iter().any(|run| run.stop() == StopReason::Interrupted);
    Ok(match (failed, stopped || interrupt.asked()) {
        (_, true) => Outcome::Interrupted,
        (true, false) => Outcome::Partial,
        (false, false) => Outcome::Complete,
    })
}

fn task(
    runs: Vec<(u64, PathBuf, Start)>,
    jobs: Option<u16>,
    config: &ExperimentConfig,
    dir: &ExperimentDir,
    program: &Program,
) -> Task {
    let (jobs, threads) = side_by_side(jobs, runs.len(), config);
    Task {
        runs,
        jobs,
        name: program.name.clone(),
        env: config.env.clone(),
        config: dir.file(experiment_files::CONFIG),
        threads,
    }
}

/// How many of so many runs go on side by side, and the threads for each.
pub(crate) fn side_by_side(
    jobs: Option<u16>,
    runs: usize,
    config: &ExperimentConfig,
) -> (usize, usize) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // A GPU computes for one at a time.
    let gpu = matches!(config.train.device.resolve(), DeviceChoice::Wgpu | DeviceChoice::Cuda(_));
    let jobs = jobs.map_or(if gpu { 1 } else { cores }, usize::from);
    let jobs = jobs.min(runs).max(1);
    (jobs, (cores / jobs).max(1))
}

/// Trains every seed and shows it; whether any of them failed.
fn train(
    task: &Task,
    leashes: &Leashes,
    mut board: Board,
    interrupt: &Interrupt,
    output: &mut Output,
) -> io::Result<bool> {
    let (mut failed, mut unwritten) = (false, None);
    workers::run(task, leashes, |report| {
        let shown = match report {
            None => Ok(()),
            Some((seed, Report::Began)) => {
                board.began(seed);
                Ok(())
            }
            Some((seed, Report::Line(line))) => board.line(seed, &line, output),
            Some((seed, Report::Warning(text))) => {
                board.warning(seed, &text, output);
                Ok(())
            }
            Some((seed, Report::Ended(ended))) => {
                failed |= ended.is_err();
                board.ended(seed, ended, output)
            }
        };
        if let Err(error) = shown {
            unwritten.get_or_insert(error);
        }
        if interrupt.asked() || unwritten.is_some() {
            leashes.let_go();
        }
    });
    board.finish(output);
    unwritten.map_or(Ok(failed), Err)
}

/// The first line, which says what is going to happen.
fn introduce(
    json: bool,
    quiet: bool,
    config: &ExperimentConfig,
    seeds: &[u64],
    task: &Task,
    dir: &ExperimentDir,
    output: &mut Output,
) -> io::Result<()> {
    let (env, algo, steps) = (&config.env, &config.algo, config.train.run.steps);
    let (path, jobs) = (dir.path(), task.jobs);
    if json {
        let start = Beginning { env, algo, seeds, steps, jobs, experiment: path };
        return output.line(&json_line("experiment", &start));
    }
    if !quiet {
        output.note(&format!(
            "{env} · {algo} · {} steps · seeds {} · {jobs} at a time · {}",
            grouped(steps),
            Seeds::listed(seeds),
            path.display()
        ));
    }
    Ok(())
}

#[derive(Serialize)]
struct Beginning<'a> {
    env: &'a str,
    algo: &'a str,
    seeds: &'a [u64],
    steps: u64,
    jobs: usize,
    experiment: &'a Path,
}

/// What a person reads at the end.
fn conclude(
    summary: &Summary,
    path: &Path,
    took: Duration,
    quiet: bool,
    output: &mut Output,
) -> io::Result<()> {
    let paint = output.paint;
    let (path, finished, all) = (path.display(), summary.finished, summary.seeds.len());
    for (name, estimate) in
        [("IQM", summary.iqm), ("mean", summary.mean), ("median", summary.median)]
    {
        let Some(Estimate { value, low, high }) = estimate else { continue };
        let figures = paint.green(&paint.bold(&format!("{value:.1} [{low:.1}, {high:.1}]")));
        let how = format!("  final return of {finished} of {all} seeds, 95 % bootstrap interval");
        let how = if name == "IQM" { paint.dim(&how) } else { String::new() };
        output.line(&format!("{name:<10}  {figures}{how}"))?;
    }
    if let Some(passing) = &summary.passing {
        output.line(&passed(passing, finished))?;
    }
    if !quiet {
        output.line(&format!("wall time   {}", span(took.as_secs_f64())))?;
    }
    output.line(&format!("experiment  {path}"))?;
    if !quiet {
        let [table, curves] = [experiment_files::TABLE, experiment_files::CURVES];
        output.line(
            &paint.dim(&format!("            {table} has every seed, {curves} the curves")),
        )?;
    }
    Ok(())
}

/// When training passed the threshold, in a line.
fn passed(passing: &Passing, finished: usize) -> String {
    let Passing { threshold, seeds, steps } = passing;
    let text = format!("passes {threshold:<4} {seeds} of {finished} seeds");
    let steps_text = |steps: f64| if steps.is_finite() { short(steps) } else { "∞".into() };
    match steps {
        Some(Estimate { value, low, high }) if *seeds > 0 => {
            let [value, low, high] = [*value, *low, *high].map(steps_text);
            format!("{text}, median after {value} steps [{low}, {high}]")
        }
        _ => text,
    }
}
