//! Everything that the command prints goes through here: results to the standard output, the rest to
//! the standard error, colours only where a person is looking.

use std::{
    env,
    io::{self, BufWriter, IsTerminal, Write},
};

/// Where results go.
#[derive(Debug)]
pub(crate) struct Output {
    results: BufWriter<io::Stdout>,
    /// The reader has gone, as `head` does when it has enough.
    closed: bool,
    /// Colours for the standard output.
    pub(crate) paint: Paint,
    /// Whether a person reads the standard output.
    pub(crate) terminal: bool,
}

/// What is to be made of something that is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Note,
    /// It is not as it should be and stops nothing.
    Warning,
    Failure,
}

/// Escape codes, or none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint(bool);

impl Paint {
    fn on(terminal: bool) -> Self {
        let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        Self(terminal && !set("NO_COLOR") && env::var_os("TERM").is_none_or(|term| term != "dumb"))
    }

    /// For the standard error.
    pub(crate) fn stderr() -> Self {
        Self::on(io::stderr().is_terminal())
    }

    /// Whether there are colours.
    pub(crate) fn is_on(self) -> bool {
        self.0
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.code("1", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.code("2", text)
    }

    pub(crate) fn green(self, text: &str) -> String {
        self.code("32", text)
    }

    pub(crate) fn yellow(self, text: &str) -> String {
        self.code("1;33", text)
    }

    pub(crate) fn red(self, text: &str) -> String {
        self.code("1;31", text)
    }

    fn code(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

impl Output {
    pub(crate) fn new() -> Self {
        let terminal = io::stdout().is_terminal();
        Self {
            results: BufWriter::new(io::stdout()),
            closed: false,
            paint: Paint::on(terminal),
            terminal,
        }
    }

    /// A line of the result, seen at once. When the reader has gone the rest is dropped in silence:
    /// a training is not lost because `head` had enough.
    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        self.write(text)?;
        self.write("\n")?;
        self.flush()
    }

    /// Text without a line break, seen at the next [`flush`](Self::flush).
    pub(crate) fn write(&mut self, text: &str) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        let written = self.results.write_all(text.as_bytes());
        self.unless_closed(written)
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        let flushed = self.results.flush();
        self.unless_closed(flushed)
    }

    /// Whether nobody reads any more.
    pub(crate) fn closed(&self) -> bool {
        self.closed
    }

    fn unless_closed(&mut self, result: io::Result<()>) -> io::Result<()> {
        match result {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            Err(error) => Err(io::Error::new(error.kind(), format!("standard output: {error}"))),
            Ok(()) => Ok(()),
        }
    }

    /// A remark on the standard error. If even that is gone there is nobody to tell.
    pub(crate) fn note(&self, text: &str) {
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// Something that is not as it should be and stops nothing.
    pub(crate) fn warning(&self, text: &str) {
        self.note(&format!("{} {text}", Paint::stderr().yellow("warning:")));
    }

    /// An error, with those of its causes that it does not already tell.
    pub(crate) fn error(&self, error: &anyhow::Error) {
        let mut text = error.to_string();
        for cause in error.chain().skip(1).map(ToString::to_string) {
            if !text.contains(&cause) {
                text = format!("{text}: {cause}");
            }
        }
        self.failure(&text);
    }

    /// Something that has failed.
    pub(crate) fn failure(&self, text: &str) {
        self.note(&format!("{} {text}", Paint::stderr().red("error:")));
    }

    /// Says something in a tone.
    pub(crate) fn say(&self, tone: Tone, text: &str) {
        match tone {
            Tone::Note => self.note(text),
            Tone::Warning => self.warning(text),
            Tone::Failure => self.failure(text),
        }
    }
}
