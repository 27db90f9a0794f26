//! The terminal itself: taken over and given back, whatever happens in between.

use std::{
    io::{self, BufWriter, IsTerminal, Stderr, Write},
    panic,
    sync::{
        Mutex, Once, TryLockError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::Context;
use ratatui::{
    Frame, Terminal,
    backend::CrosstermBackend,
    crossterm::{
        cursor::{Hide, Show},
        execute,
        style::ResetColor,
        terminal::{
            EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode, size,
        },
    },
};

use crate::exit::Misuse;

/// Whether the terminal is ours at the moment. There is one of it, so there is one of this.
static OURS: AtomicBool = AtomicBool::new(false);
/// Held while a picture is being written, so that nothing is drawn onto a terminal that was given back.
static DRAWING: Mutex<()> = Mutex::new(());

/// A screen of our own on the standard error, given back when it is dropped, by [`leave`] and by a panic of
/// any thread. The standard output stays free for results.
pub(super) struct Screen(Terminal<CrosstermBackend<BufWriter<Stderr>>>);

/// Whether there is a terminal to draw on.
///
/// # Errors
/// When there is none, with what to do instead.
pub(crate) fn check() -> anyhow::Result<()> {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if io::stderr().is_terminal() && !dumb && size().is_ok() {
        return Ok(());
    }
    let words = "--tui draws on a terminal, and the standard error is none that can be drawn on: \
                 leave --tui out to be told the progress in lines";
    Err(Misuse(words.into()).into())
}

impl Screen {
    /// Takes the terminal over.
    pub(super) fn enter() -> anyhow::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let next = panic::take_hook();
            panic::set_hook(Box::new(move |panic| {
                // First, so that what the panic has to say is to be seen.
                leave();
                next(panic);
            }));
        });
        enable_raw_mode().context("the terminal can't be taken over for --tui")?;
        OURS.store(true, Ordering::SeqCst);
        let entered = execute!(io::stderr(), EnterAlternateScreen, Hide);
        // A picture is one write: half of one is never seen.
        let backend = CrosstermBackend::new(BufWriter::with_capacity(1 << 16, io::stderr()));
        let terminal = entered.and_then(|()| Terminal::new(backend));
        terminal.map(Self).inspect_err(|_| leave()).context("the terminal can't be drawn on")
    }

    /// Draws a picture; whether the terminal was still ours to draw on.
    pub(super) fn draw(&mut self, picture: impl FnOnce(&mut Frame<'_>)) -> io::Result<bool> {
        let drawing = DRAWING.lock();
        let ours = OURS.load(Ordering::SeqCst) && drawing.is_ok();
        if ours {
            self.0.draw(picture)?;
        }
        Ok(ours)
    }
}

/// Waits for a key or another size, so long at most; whether the terminal is still there. crossterm's own wait
/// never comes back from one that has been hung up: it reads nothing from it, again and again.
#[cfg(unix)]
pub(super) fn wait(longest: Duration) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let stderr = io::stderr();
    let mut terminal = [PollFd::new(&stderr, PollFlags::IN)];
    let longest = Timespec::try_from(longest).ok();
    // What interrupts it is a signal, such as that of another size.
    let _ = poll(&mut terminal, longest.as_ref());
    !terminal[0].revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL)
}

#[cfg(not(unix))]
pub(super) fn wait(longest: Duration) -> bool {
    ratatui::crossterm::event::poll(longest).is_ok()
}

impl Drop for Screen {
    fn drop(&mut self) {
        leave();
    }
}

/// Gives the terminal back as it was found, if it is ours.
pub(crate) fn leave() {
    if !OURS.swap(false, Ordering::SeqCst) {
        return;
    }
    // A picture under way is let finish, but not waited for without end: this may be the panic of the
    // thread that draws it.
    let mut drawing = DRAWING.try_lock();
    for _ in 0..100 {
        if !matches!(drawing, Err(TryLockError::WouldBlock)) {
            break;
        }
        thread::sleep(Duration::from_millis(2));
        drawing = DRAWING.try_lock();
    }
    // If the terminal has gone there is nothing left to put right.
    let _ = execute!(io::stderr(), ResetColor, LeaveAlternateScreen, Show);
    let _ = io::stderr().flush();
    let _ = disable_raw_mode();
}
