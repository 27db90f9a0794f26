//! What a command knows of the program that it is part of.

use std::{
    env::{self, consts::EXE_SUFFIX},
    ffi::OsString,
    io,
    path::Path,
    process::Command,
    time::Instant,
};

use elegante::Registry;

/// The name of the command of this package; other programs have their own.
pub(crate) const ELEGANTE: &str = "elegante";

/// A program with this command line.
pub(crate) struct Program {
    /// When it was started.
    pub(crate) began: Instant,
    /// What it was started as.
    pub(crate) name: String,
    /// The environments that it has.
    pub(crate) registry: Registry,
}

/// What a program with these arguments was started as, without directory and `.exe`.
pub(crate) fn name(args: impl IntoIterator<Item = OsString>) -> String {
    let first = args.into_iter().next().unwrap_or_default();
    let name = Path::new(&first).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let name = name.strip_suffix(EXE_SUFFIX).unwrap_or(&name);
    if name.is_empty() { ELEGANTE.to_owned() } else { name.to_owned() }
}

/// This very program, also if its file has been replaced since it was started: the last seeds of a long
/// experiment are trained by what trained the first.
pub(crate) fn this_program(name: &str) -> io::Result<Command> {
    let running = Path::new("/proc/self/exe");
    let path = if running.exists() { running.to_owned() } else { env::current_exe()? };
    #[allow(unused_mut)] // only Unix tells a program its name
    let mut command = Command::new(path);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::arg0(&mut command, name);
    #[cfg(not(unix))]
    let _ = name;
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_called_what_it_was_started_as() {
        let called = |args: &[&str]| name(args.iter().map(OsString::from));
        let path = format!("target/release/my.robots{EXE_SUFFIX}");
        assert_eq!(called(&[&path, "train"]), "my.robots");
        assert_eq!(called(&["robots"]), "robots");
        assert_eq!([called(&[]), called(&[""])], ["elegante", "elegante"]);
    }
}
