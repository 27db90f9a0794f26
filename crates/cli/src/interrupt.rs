//! Ctrl-C: the first asks for a clean end, the second ends the process at once.

use std::{
    io::{self, BufRead},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use anyhow::Context;

use crate::exit::INTERRUPTED;

/// Whether Ctrl-C has been pressed, or whoever started this process has gone.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt {
    pressed: Arc<AtomicBool>,
    /// Apart from the other, lest a first Ctrl-C that comes together with it counts as the second.
    abandoned: Arc<AtomicBool>,
}

impl Interrupt {
    /// Listens from now on; before a second Ctrl-C ends the process, `last_words` runs.
    pub(crate) fn listen(last_words: impl Fn() + Send + 'static) -> anyhow::Result<Self> {
        let asked = Arc::new(AtomicBool::new(false));
        let handler = Arc::clone(&asked);
        ctrlc::set_handler(move || {
            if handler.swap(true, Ordering::SeqCst) {
                last_words();
                std::process::exit(i32::from(INTERRUPTED));
            }
        })
        .context("Ctrl-C can't be listened for")?;
        Ok(Self { pressed: asked, abandoned: Arc::default() })
    }

    /// One that no key of the terminal reaches: there is one handler in a process.
    #[cfg(test)]
    pub(crate) fn unheard() -> Self {
        Self { pressed: Arc::default(), abandoned: Arc::default() }
    }

    /// Asks for a clean end too when the standard input ends: it is a pipe whose other end somebody
    /// holds for as long as this process is wanted, and lets go of also by dying.
    /// `on_line` gets the lines that come before that.
    pub(crate) fn or_end_of_input(self, on_line: impl Fn(&str) + Send + 'static) -> Self {
        let abandoned = Arc::clone(&self.abandoned);
        thread::spawn(move || {
            // An error is an end.
            io::stdin().lock().lines().map_while(Result::ok).for_each(|line| on_line(&line));
            abandoned.store(true, Ordering::SeqCst);
        });
        self
    }

    /// Asks for a clean end, as a first Ctrl-C does.
    pub(crate) fn ask(&self) {
        self.pressed.store(true, Ordering::SeqCst);
    }

    /// Does what Ctrl-C does, for a terminal on which it is a key like any other.
    pub(crate) fn press(&self, last_words: impl Fn()) {
        if self.pressed.swap(true, Ordering::SeqCst) {
            last_words();
            std::process::exit(i32::from(INTERRUPTED));
        }
    }

    /// Takes being asked to terminate, as by `kill`, for a Ctrl-C from now on, so that whoever has changed
    /// the terminal can put it right.
    #[cfg(unix)]
    pub(crate) fn or_termination(&self) -> anyhow::Result<()> {
        signal_hook::flag::register(signal_hook::consts::SIGTERM, Arc::clone(&self.pressed))
            .context("the signal to terminate can't be listened for")?;
        Ok(())
    }

    #[cfg(not(unix))]
    pub(crate) fn or_termination(&self) -> anyhow::Result<()> {
        Ok(())
    }

    pub(crate) fn asked(&self) -> bool {
        [&self.pressed, &self.abandoned].iter().any(|flag| flag.load(Ordering::SeqCst))
    }
}
