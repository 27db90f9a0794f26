//! The trials of a search, several side by side, each run of theirs in a process of its own.

use std::{
    path::Path,
    sync::{
        Mutex, MutexGuard, PoisonError,
        mpsc::{RecvTimeoutError, Sender, channel},
    },
    thread,
    time::Duration,
};

use elegante::{
    experiment::{
        RunDir, RunError, RunState, experiment_files,
        tune::{Assignment, SeedScore, Study, Trial, TrialState},
    },
    trainer::Evaluation,
};
use serde_json::Value;

use super::board::Board;
use crate::{
    interrupt::Interrupt,
    output::Output,
    seeds::{
        ATTENTION, Report,
        workers::{Leashes, Start, Task, attend, command},
    },
};

/// A run that another process has not let go of yet is looked at this often.
const PATIENCE: Duration = Duration::from_millis(50);

/// Who works on a search.
pub(super) struct Crew {
    /// Trials side by side.
    pub(super) jobs: usize,
    /// Threads for each.
    pub(super) threads: usize,
    /// The name that this program goes by.
    pub(super) name: String,
    /// The environment.
    pub(super) env: String,
}

/// What comes from the trials.
enum News {
    /// One is over.
    Over(Box<Trial>),
    /// Something that is not as it should be and stops nothing.
    Warning(String),
    /// The search can't go on.
    Broken(RunError),
}

/// How a trial ended: the scores of its seeds, and whether it is complete, was given up or failed.
type End = (Vec<SeedScore>, Result<TrialState, String>);

impl Crew {
    /// Runs the trials that are left, shows them, and gives the study back.
    ///
    /// # Errors
    /// When a file of the search or the standard output can't be written.
    pub(super) fn run(
        &self,
        study: Study,
        mut board: Board,
        interrupt: &Interrupt,
        output: &mut Output,
    ) -> anyhow::Result<Study> {
        let (study, leashes) = (Mutex::new(study), Leashes::new());
        let mut broken: Option<anyhow::Error> = None;
        thread::scope(|scope| {
            let (news, arriving) = channel();
            for _ in 0..self.jobs {
                let (news, study, leashes) = (news.clone(), &study, &leashes);
                scope.spawn(move || {
                    if let Err(error) = self.work(study, leashes, &news) {
                        // The receiver outlives this thread, here and below.
                        let _ = news.send(News::Broken(error));
                    }
                });
            }
            drop(news);
            loop {
                let shown = match arriving.recv_timeout(ATTENTION) {
                    Ok(News::Over(trial)) => board.over(&trial, output).map_err(Into::into),
                    Ok(News::Warning(text)) => {
                        board.aside(|| output.warning(&text));
                        Ok(())
                    }
                    Ok(News::Broken(error)) => Err(error.into()),
                    Err(RecvTimeoutError::Timeout) => Ok(()),
                    Err(RecvTimeoutError::Disconnected) => break,
                };
                if let Err(error) = shown {
                    broken.get_or_insert(error);
                }
                if interrupt.asked() || broken.is_some() {
                    leashes.let_go();
                }
            }
        });
        board.finish();
        // A panic elsewhere leaves the study as good as its files.
        broken.map_or_else(|| Ok(study.into_inner().unwrap_or_else(PoisonError::into_inner)), Err)
    }

    /// Runs one trial after the other until none is left or nobody wants them any more.
    fn work(
        &self,
        study: &Mutex<Study>,
        leashes: &Leashes,
        news: &Sender<News>,
    ) -> Result<(), RunError> {
        while !leashes.closed() {
            let Some(assignment) = lock(study).assign()? else { break };
            match self.trial(study, &assignment, leashes, news)? {
                Some((scores, end)) => {
                    let trial = lock(study).record(&assignment, scores, end)?;
                    let _ = news.send(News::Over(Box::new(trial)));
                }
                None => lock(study).leave(&assignment),
            }
        }
        Ok(())
    }

    /// Trains the seeds of a trial, one after the other; `None` if it was stopped on the way.
    fn trial(
        &self,
        study: &Mutex<Study>,
        assignment: &Assignment,
        leashes: &Leashes,
        news: &Sender<News>,
    ) -> Result<Option<End>, RunError> {
        let steps = lock(study).info().steps;
        let mut scores = Vec::new();
        for seed in &assignment.seeds {
            let run = assignment.dir.run(*seed);
            await_its_end(&run, leashes)?;
            // What was decided before the search was stopped is decided again.
            for (at, mean_return) in Study::past(&run)? {
                if lock(study).reading(assignment.trial, &scores, at, mean_return) {
                    return Ok(Some((scores, Ok(TrialState::Pruned))));
                }
            }
            if !matches!(RunState::of(&run, steps), RunState::Finished(_)) {
                if leashes.closed() {
                    return Ok(None);
                }
                match self.train(study, assignment, *seed, &scores, leashes, news) {
                    Ok(false) => {}
                    Ok(true) => return Ok(Some((scores, Ok(TrialState::Pruned)))),
                    Err(reason) => return Ok(Some((scores, Err(reason)))),
                }
            }
            let RunState::Finished(info) = RunState::of(&run, steps) else { return Ok(None) };
            scores.extend(info.evaluation.as_ref().map(|evaluation| score(*seed, evaluation)));
        }
        Ok(Some((scores, Ok(TrialState::Complete))))
    }

    /// Trains one seed to its end, or until the trial is given up: then the answer is true. The error
    /// says why it did not get there.
    fn train(
        &self,
        study: &Mutex<Study>,
        assignment: &Assignment,
        seed: u64,
        scores: &[SeedScore],
        leashes: &Leashes,
        news: &Sender<News>,
    ) -> Result<bool, String> {
        let steps = lock(study).info().steps;
        let (trial, run) = (assignment.trial, assignment.dir.run(seed));
        let start = match RunState::of(&run, steps) {
            RunState::Missing => Start::Train { force: false },
            _ => Start::Resume { steps },
        };
        let task = Task {
            runs: Vec::new(),
            jobs: 1,
            name: self.name.clone(),
            env: self.env.clone(),
            config: assignment.dir.file(experiment_files::CONFIG),
            threads: self.threads,
        };
        let mut pruned = false;
        let ended =
            attend(command(&task, &(seed, run, start)), trial, leashes, |report| match report {
                Report::Line(line) if !pruned => {
                    if let Some((at, mean_return)) = evaluation(&line)
                        && lock(study).reading(trial, scores, at, mean_return)
                    {
                        pruned = true;
                        leashes.forget(trial);
                    }
                }
                Report::Warning(text) => {
                    let _ = news.send(News::Warning(format!("trial {trial}, seed {seed}: {text}")));
                }
                _ => {}
            });
        // What becomes of a run that was given up is of no account.
        if pruned { Ok(true) } else { ended.map(|()| false) }
    }
}

/// Waits for a process of a search that was killed, which saves its run before it ends.
fn await_its_end(run: &Path, leashes: &Leashes) -> Result<(), RunError> {
    while run.exists() && !leashes.closed() {
        match RunDir::free(run) {
            Err(RunError::Busy { .. }) => thread::sleep(PATIENCE),
            free => return free,
        }
    }
    Ok(())
}

/// Steps and mean return of an evaluation during training, if the line tells of one.
fn evaluation(line: &str) -> Option<(u64, f64)> {
    let event: Value = serde_json::from_str(line).ok()?;
    let is_one = event["event"] == "evaluation";
    is_one.then_some((event["steps"].as_u64()?, event["mean_return"].as_f64()?))
}

fn score(seed: u64, evaluation: &Evaluation) -> SeedScore {
    let Evaluation { mean_return, std_return, .. } = evaluation;
    SeedScore { seed, mean_return: *mean_return, std_return: *std_return }
}

fn lock(study: &Mutex<Study>) -> MutexGuard<'_, Study> {
    // What a panic elsewhere left is as good as its files.
    study.lock().unwrap_or_else(PoisonError::into_inner)
}
