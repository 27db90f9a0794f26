//! Ctrl-C: the first asks for a clean end, the second ends the process at once.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use anyhow::Context;

use crate::exit::INTERRUPTED;

/// Whether Ctrl-C has been pressed.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

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
        Ok(Self(asked))
    }

    pub(crate) fn asked(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
