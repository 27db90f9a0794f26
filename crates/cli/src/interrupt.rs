//! Ctrl-C: the first asks for a clean end, the second ends the process at once.

use std::{
    io,
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

    /// Asks for a clean end too when the standard input ends: it is a pipe whose other end somebody
    /// holds for as long as this process is wanted, and lets go of also by dying.
    pub(crate) fn or_end_of_input(self) -> Self {
        let abandoned = Arc::clone(&self.abandoned);
        thread::spawn(move || {
            // What is written into it has no meaning, and an error is an end.
            let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
            abandoned.store(true, Ordering::SeqCst);
        });
        self
    }

    pub(crate) fn asked(&self) -> bool {
        [&self.pressed, &self.abandoned].iter().any(|flag| flag.load(Ordering::SeqCst))
    }
}
