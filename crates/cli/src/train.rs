//! `elegante train`.

use std::{ops::ControlFlow, path::Path, time::Duration};

use elegante::{
    Trainer,
    experiment::{
        ExperimentConfig, Recorder, Requests, RunDir, RunError, RunInfo, StopReason,
        env_steps_per_second, json_line,
    },
    kernels::set_instructions,
    trainer::{Evaluation, TrainConfig},
};
use serde::Serialize;

use crate::{
    args::TrainArgs,
    exit::Outcome,
    interrupt::Interrupt,
    output::Output,
    program::Program,
    progress::{Progress, summary},
    replay, seeds,
    text::{grouped, rate, span},
    tui,
};

/// How long the stepping of the environment alone is measured for `--json`.
const STEPPING: Duration = Duration::from_millis(20);

pub(crate) fn run(
    mut args: TrainArgs,
    program: &Program,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    let registry = &program.registry;
    if args.tui {
        tui::check()?;
    }
    let config = ExperimentConfig::resolve(registry, &args.request()?)?;
    if let Some(seeds) = args.seeds.take() {
        return seeds::run(args, &seeds, &config, program, output);
    }
    set_instructions(config.kernels);
    // Refuse what can be refused before any work is done or any file touched.
    if let Some(path) = &args.out {
        RunDir::check(path, args.force)?;
    }
    let make = config.env_factory(registry)?;
    let mut trainer = Trainer::from_factory(with_threads(&config, args.worker), make)?;
    trainer.inspect_every(config.log.histograms_every);
    let requests = Requests::default();
    let interrupt = listen(args.worker, &requests)?;
    let dir = match args.out.take() {
        Some(path) => RunDir::create(path, args.force)?,
        None => RunDir::create_numbered(Path::new("runs"), &config)?,
    };
    let mut recorder = Recorder::begin(dir, &config, registry, program.began)?;
    recorder.heed(requests.clone());
    let (json, quiet, tui) = (args.json, args.quiet, args.tui.then_some(requests));
    let training = Training { config, trainer, recorder, json, quiet, tui };
    training.introduce(output)?;
    training.conduct(&interrupt, program, output)
}

/// Listens for Ctrl-C, and in a run of an experiment for what it is asked for and the end of the input.
pub(crate) fn listen(worker: Option<usize>, requests: &Requests) -> anyhow::Result<Interrupt> {
    let interrupt = Interrupt::listen(tui::leave)?;
    if worker.is_none() {
        return Ok(interrupt);
    }
    let requests = requests.clone();
    Ok(interrupt.or_end_of_input(move |line| match line {
        words::PAUSE => requests.pause(true),
        words::GO_ON => requests.pause(false),
        words::CHECKPOINT => requests.checkpoint(),
        words::POLICY => requests.policy(),
        // From a later version, perhaps.
        _ => {}
    }))
}

/// What a run of an experiment may be told on its standard input, a line each.
pub(crate) mod words {
    pub(crate) const PAUSE: &str = "pause";
    pub(crate) const GO_ON: &str = "go on";
    pub(crate) const CHECKPOINT: &str = "checkpoint";
    pub(crate) const POLICY: &str = "policy";
}

/// The training with the threads that it may take beside others. The configuration keeps what was asked
/// for: the result does not depend on it.
pub(crate) fn with_threads(config: &ExperimentConfig, worker: Option<usize>) -> TrainConfig {
    let mut train = config.train.clone();
    if let (0, Some(threads)) = (train.run.threads, worker) {
        train.run.threads = threads;
    }
    train
}

/// A run that is ready to train, from its beginning or from where it was stopped.
pub(crate) struct Training {
    pub(crate) config: ExperimentConfig,
    pub(crate) trainer: Trainer,
    pub(crate) recorder: Recorder,
    pub(crate) json: bool,
    pub(crate) quiet: bool,
    /// What a view asks for things by, if there is to be one.
    pub(crate) tui: Option<Requests>,
}

impl Training {
    /// Trains, evaluates, and says what came out. Where the disk was full it says how to go on.
    pub(crate) fn conduct(
        mut self,
        interrupt: &Interrupt,
        program: &Program,
        output: &mut Output,
    ) -> anyhow::Result<Outcome> {
        let outcome = self.train_and_evaluate(interrupt, program, output);
        if outcome.is_err() {
            replay::offer(&self.trainer, &self.recorder, program, output);
        }
        if let Err(error) = &outcome
            && error.downcast_ref::<RunError>().is_some_and(RunError::no_room)
        {
            let (name, path) = (&program.name, self.recorder.dir().path().display());
            output.note(&format!(
                "the last checkpoint is as it was: when there is room, `{name} resume {path}` goes on from it"
            ));
        }
        outcome
    }

    fn train_and_evaluate(
        &mut self,
        interrupt: &Interrupt,
        program: &Program,
        output: &mut Output,
    ) -> anyhow::Result<Outcome> {
        let mut progress = self.progress(interrupt, program)?;
        let trained = self.train(&mut progress, interrupt, output);
        progress.evaluating();
        let evaluated = trained.and_then(|stop| match stop {
            StopReason::Interrupted => Ok((stop, None)),
            _ => Ok((stop, Some(self.trainer.evaluate()?))),
        });
        progress.finish(output);
        let (stop, evaluation) = evaluated?;
        let info = self.recorder.finish(&self.trainer, stop, evaluation)?;
        let path = self.recorder.dir().path();
        if self.json {
            let make = self.config.env_factory(&program.registry)?;
            let stepping = env_steps_per_second(&make, self.config.train.run.lanes, STEPPING)?;
            output.line(&json_line("end", &End::new(&info, path, stepping)))?;
        } else {
            conclude(&info, path, self.quiet, &program.name, output)?;
        }
        Ok(if stop == StopReason::Interrupted { Outcome::Interrupted } else { Outcome::Complete })
    }

    fn train(
        &mut self,
        progress: &mut Progress,
        interrupt: &Interrupt,
        output: &mut Output,
    ) -> anyhow::Result<StopReason> {
        let mut unwritten = None;
        let stop = self.recorder.train(&mut self.trainer, |news| {
            if let Err(error) = progress.on_news(news, output) {
                unwritten.get_or_insert(error);
            }
            let end = unwritten.is_some() || interrupt.asked();
            if end { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        unwritten.map_or(Ok(()), Err)?;
        Ok(stop)
    }

    /// How it is shown.
    fn progress(&mut self, interrupt: &Interrupt, program: &Program) -> anyhow::Result<Progress> {
        let run = &self.config.train.run;
        let Some(requests) = self.tui.take() else {
            return Ok(Progress::new(self.json, self.quiet, run.steps));
        };
        tui::of_run(&self.config, self.recorder.dir().path(), requests, interrupt, program)
    }

    /// The first line, which says what is going to happen.
    fn introduce(&self, output: &mut Output) -> anyhow::Result<()> {
        let path = self.recorder.dir().path();
        let (env, algo, run) = (&self.config.env, &self.config.algo, &self.config.train.run);
        let device = self.config.train.device.resolve();
        if self.json {
            let start = Start {
                env,
                algo,
                seed: run.seed,
                steps: run.steps,
                device: device.to_string(),
                run: path,
                version: elegante::experiment::VERSION,
                commit: elegante::experiment::COMMIT,
            };
            output.line(&json_line("start", &start))?;
        } else if !self.quiet {
            let (steps, seed) = (grouped(run.steps), run.seed);
            output.note(&format!(
                "{env} · {algo} · {steps} steps · seed {seed} · {device} · {}",
                path.display()
            ));
        }
        let never = self.config.train.algorithm.never_learns(run.steps, run.lanes);
        if let Some((setting, starts)) = never {
            output.warning(&format!(
                "nothing will be learnt: learning starts after {} steps ({setting}), and the run has {}",
                grouped(starts),
                grouped(run.steps)
            ));
        }
        Ok(())
    }
}

/// What a person reads at the end.
fn conclude(
    info: &RunInfo,
    path: &Path,
    quiet: bool,
    name: &str,
    output: &mut Output,
) -> anyhow::Result<()> {
    let paint = output.paint;
    let path = path.display();
    let why = match info.stop {
        StopReason::Interrupted => "interrupted; everything up to here is saved",
        StopReason::Solved => "the mean return asked for is reached",
        StopReason::Budget | StopReason::Failed => "",
    };
    if !why.is_empty() {
        output.line(why)?;
    }
    if let Some(evaluation) = &info.evaluation {
        let how = paint.dim(&how(evaluation));
        output.line(&format!(
            "evaluation  {}  {how}",
            paint.green(&paint.bold(&summary(evaluation)))
        ))?;
    }
    if quiet {
        return Ok(output.line(&format!("run         {path}"))?);
    }
    let (steps, episodes, updates) =
        (grouped(info.steps), grouped(info.episodes), grouped(info.updates));
    output.line(&format!("trained     {steps} steps, {episodes} episodes, {updates} updates"))?;
    output.line(&format!(
        "wall time   {}, {} steps/s",
        span(info.seconds),
        rate(info.steps_per_second)
    ))?;
    output.line(&format!("run         {path}"))?;
    output.line(&format!("\n{}", paint.dim("Next:")))?;
    if info.stop == StopReason::Interrupted {
        output.line(&format!("  {name} resume {path}"))?;
    }
    output.line(&format!("  {name} eval {path}"))?;
    output.line(&format!("  {name} play {path}"))?;
    Ok(())
}

/// What the numbers of an evaluation are.
pub(crate) fn how(evaluation: &Evaluation) -> String {
    let actions = if evaluation.deterministic { "most probable actions" } else { "actions drawn" };
    format!("mean ± std [min, max] of {} episodes, {actions}", grouped(evaluation.episodes as u64))
}

#[derive(Serialize)]
struct Start<'a> {
    env: &'a str,
    algo: &'a str,
    seed: u64,
    steps: u64,
    device: String,
    run: &'a Path,
    version: &'static str,
    commit: &'static str,
}

/// The last line of `--json`. `episodes` and `seed` are the evaluation's, as in `eval --json`.
#[derive(Serialize)]
struct End<'a> {
    stop: StopReason,
    run: &'a Path,
    steps: u64,
    train_episodes: u64,
    updates: u64,
    /// Of the training alone.
    train_seconds: f64,
    train_steps_per_second: f64,
    /// Of the whole process.
    seconds: f64,
    steps_per_second: f64,
    /// Of the environment alone, on one thread.
    env_steps_per_second: f64,
    #[serde(flatten)]
    evaluation: Option<&'a Evaluation>,
}

impl<'a> End<'a> {
    fn new(info: &'a RunInfo, run: &'a Path, env_steps_per_second: f64) -> Self {
        Self {
            stop: info.stop,
            run,
            steps: info.steps,
            train_episodes: info.episodes,
            updates: info.updates,
            train_seconds: info.train_seconds,
            train_steps_per_second: info.train_steps_per_second,
            seconds: info.seconds,
            steps_per_second: info.steps_per_second,
            env_steps_per_second,
            evaluation: info.evaluation.as_ref(),
        }
    }
}
