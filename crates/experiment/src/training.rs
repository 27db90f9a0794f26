//! Training with everything written down as it goes: logs, checkpoints, the best policy.

use std::{
    ops::ControlFlow,
    time::{Duration, Instant},
};

use elegante_policy::write_atomic;
use elegante_trainer::{Event, Stop, Trainer};

use crate::{Recorder, RunError, StopReason, checkpoints::Checkpoints, run_dir::files};

/// What [`Recorder::train`] has to tell.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum News<'a> {
    /// Something happened in the training.
    Training(Event<'a>),
    /// Something is not as it should be, and training goes on.
    Warning(&'a str),
    /// Something that is good to know.
    Note(&'a str),
    /// A checkpoint has been written, after so many steps.
    Checkpoint(u64),
    /// The policy that [`Requests::policy`](crate::Requests::policy) asked for, as the bytes of its file.
    Policy {
        /// Steps of the run so far.
        steps: u64,
        /// What `Policy::from_safetensors` reads.
        bytes: &'a [u8],
    },
    /// The training waits, as [`Requests::pause`](crate::Requests::pause) asked for: told when it begins to
    /// and ten times a second from then on, so that it can be ended.
    Paused,
}

/// How often a training that waits asks whether it is to end.
const ATTENTION: Duration = Duration::from_millis(100);

/// The policy of the best evaluation so far.
#[derive(Debug)]
pub(crate) struct Best {
    mean_return: Option<f64>,
    /// An evaluation that was better than all before has just been made.
    found: bool,
    /// What is yet to be written.
    pending: Option<Vec<u8>>,
}

impl Best {
    /// After evaluations of which the best had this mean return.
    pub(crate) fn of(mean_return: Option<f64>) -> Self {
        Self { mean_return, found: false, pending: None }
    }

    fn see(&mut self, mean_return: f64) {
        if self.mean_return.is_none_or(|best| mean_return > best) {
            (self.mean_return, self.found) = (Some(mean_return), true);
        }
    }
}

impl Recorder {
    /// Trains to the end of the run and saves what comes out. On the way it writes the logs, the
    /// checkpoints that the configuration asks for, and the policy of each evaluation that is better
    /// than all before; `on_news` is told of everything and may end the run.
    ///
    /// A disk that is full does not end it: the logs wait in memory, the older checkpoints stay, and
    /// both are tried again. Only at the end there must be room.
    ///
    /// # Errors
    /// When training fails, for example because a number is no longer finite, or a file can't be
    /// written. The last checkpoint is then that of an update that went well; the policy saved is the
    /// one from before the error.
    pub fn train(
        &mut self,
        trainer: &mut Trainer,
        mut on_news: impl FnMut(News<'_>) -> ControlFlow<()>,
    ) -> Result<StopReason, RunError> {
        loop {
            let mut asked = false;
            let stop = trainer.run(|event| {
                asked |= self.on_event(event, &mut on_news).is_break();
                asked |= on_news(News::Training(event)).is_break();
                // The trainer comes back for what has to be done with it.
                if asked || self.due() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            if let Some(failure) = self.failure.take() {
                return Err(failure);
            }
            match stop {
                Err(error) => return Err(self.failed(trainer, error.into(), &mut on_news)),
                Ok(Stop::Asked) if !asked => {
                    let answer = match self.between(trainer, &mut on_news)? {
                        ControlFlow::Continue(()) => self.pause(trainer, &mut on_news)?,
                        end => end,
                    };
                    if answer.is_break() {
                        self.checkpoint(trainer)?;
                        return Ok(StopReason::Interrupted);
                    }
                }
                Ok(stop) => {
                    self.checkpoint(trainer)?;
                    return Ok(stop.into());
                }
            }
        }
    }

    /// Notes an event; an error that waiting does not mend asks for the end.
    fn on_event(
        &mut self,
        event: Event<'_>,
        on_news: &mut impl FnMut(News<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        if self.failure.is_some() {
            return ControlFlow::Break(());
        }
        if let Event::Evaluation(evaluation) = event {
            self.best.see(evaluation.mean_return);
        }
        let noted = self.note(event);
        self.or_wait(noted, on_news).unwrap_or_else(|failure| {
            self.failure = Some(failure);
            ControlFlow::Break(())
        })
    }

    /// Whether there is something to be done between two updates.
    fn due(&self) -> bool {
        self.requests.any() || self.best.found || self.cadence.due(self.steps)
    }

    /// What is due between two updates.
    fn between(
        &mut self,
        trainer: &Trainer,
        on_news: &mut impl FnMut(News<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, RunError> {
        let kept = self.keep_best(trainer);
        let mut answer = self.or_wait(kept, on_news)?;
        let wanted = self.requests.take();
        if wanted.policy && self.show_policy(trainer, on_news).is_break() {
            answer = ControlFlow::Break(());
        }
        if wanted.checkpoint || self.cadence.due(self.steps) {
            let written = self.checkpoint(trainer);
            self.cadence.made(self.steps);
            let recovered = self.no_room && written.is_ok();
            let told = match &written {
                Ok(()) => on_news(News::Checkpoint(self.steps)),
                // Once more than others: somebody waits for it.
                Err(error) if wanted.checkpoint && self.no_room && error.no_room() => {
                    on_news(News::Warning(&error.to_string()))
                }
                Err(_) => ControlFlow::Continue(()),
            };
            if self.or_wait(written, on_news)?.is_break() || told.is_break() {
                answer = ControlFlow::Break(());
            }
            if recovered {
                self.no_room = false;
                return Ok(on_news(News::Note("there is room on the disk again; all is written")));
            }
        }
        Ok(answer)
    }

    /// Waits for as long as it is asked to, and does meanwhile what is due. The clocks of the training stand
    /// still.
    fn pause(
        &mut self,
        trainer: &mut Trainer,
        on_news: &mut impl FnMut(News<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, RunError> {
        if !self.requests.paused() {
            return Ok(ControlFlow::Continue(()));
        }
        let (trained, began) = (trainer.elapsed(), Instant::now());
        let mut answer = ControlFlow::Continue(());
        while self.requests.paused() && answer.is_continue() {
            answer = on_news(News::Paused);
            if answer.is_continue() {
                self.requests.wait(ATTENTION);
                answer = self.between(trainer, on_news)?;
            }
        }
        trainer.set_clock(trained);
        self.leave_out(began.elapsed());
        Ok(answer)
    }

    /// Tells the policy. One that can't be written down, since its weights are not finite, ends the training
    /// by itself at the next update.
    fn show_policy(
        &self,
        trainer: &Trainer,
        on_news: &mut impl FnMut(News<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        match trainer.policy().to_safetensors() {
            Ok(bytes) => on_news(News::Policy { steps: self.steps, bytes: &bytes }),
            Err(_) => ControlFlow::Continue(()),
        }
    }

    /// Lets a full disk be, with a warning at the first time; any other error is one.
    fn or_wait(
        &mut self,
        result: Result<(), RunError>,
        on_news: &mut impl FnMut(News<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, RunError> {
        let Err(error) = result else { return Ok(ControlFlow::Continue(())) };
        let patient = !self.metrics.out_of_patience() && !self.episodes.out_of_patience();
        if !error.no_room() || !patient {
            return Err(error);
        }
        if std::mem::replace(&mut self.no_room, true) {
            return Ok(ControlFlow::Continue(()));
        }
        Ok(on_news(News::Warning(&format!(
            "{error}; training goes on and will try again: there must be room at its end"
        ))))
    }

    /// Writes the policy of an evaluation that was the best so far.
    fn keep_best(&mut self, trainer: &Trainer) -> Result<(), RunError> {
        let path = self.dir.file(files::BEST);
        if std::mem::take(&mut self.best.found) {
            let bytes = trainer.policy().to_safetensors();
            let unfit = |reason| RunError::Damaged { path: path.clone(), reason };
            self.best.pending = Some(bytes.map_err(unfit)?);
        }
        if let Some(bytes) = &self.best.pending {
            write_atomic(&path, bytes)?;
            self.best.pending = None;
        }
        Ok(())
    }

    /// Writes the whole run down: what the checkpoint takes for granted first, the checkpoint last.
    fn checkpoint(&mut self, trainer: &Trainer) -> Result<(), RunError> {
        self.keep_best(trainer)?;
        self.episodes.sync()?;
        self.metrics.sync()?;
        self.logs.sync()?;
        trainer.policy().save(self.dir.file(files::POLICY))?;
        let (steps, keep) = (trainer.progress().steps, self.config.checkpoints.keep);
        Checkpoints::of(self.dir.path()).write(steps, &trainer.checkpoint()?, keep)
    }

    /// Keeps what can be kept after an error of the training, which stays the one to report. There is
    /// no checkpoint to be made: the environments stand in the middle of an update.
    fn failed(
        &mut self,
        trainer: &Trainer,
        error: RunError,
        on_news: &mut impl FnMut(News<'_>) -> ControlFlow<()>,
    ) -> RunError {
        let policy = self.dir.file(files::POLICY);
        let kept = self.keep_best(trainer).is_ok()
            && self.episodes.sync().is_ok()
            && self.metrics.sync().is_ok()
            && self.logs.sync().is_ok()
            && trainer.policy().save(policy).is_ok()
            && self.finish(trainer, StopReason::Failed, None).is_ok();
        if kept {
            let path = self.dir.path().display();
            // There is nothing left to end.
            let _ = on_news(News::Note(&format!("the state before the error is saved in {path}")));
        }
        error
    }
}
