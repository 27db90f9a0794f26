//! Notes the git commit that this build was made from; without git it is "unknown".

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn main() {
    let here = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let commit = packaged(&here).or_else(|| checked_out(&here));
    println!("cargo::rustc-env=ELEGANTE_COMMIT={}", commit.as_deref().unwrap_or("unknown"));
    println!("cargo::rerun-if-changed=build.rs");
}

/// The commit that `cargo package` wrote into a published crate.
fn packaged(here: &Path) -> Option<String> {
    let note = fs::read_to_string(here.join(".cargo_vcs_info.json")).ok()?;
    let (_, after) = note.split_once("\"sha1\"")?;
    after.split('"').nth(1).map(str::to_owned)
}

/// The commit of elegante's own checkout. A crate unpacked inside somebody else's repository has
/// nothing to do with that repository's commits.
fn checked_out(here: &Path) -> Option<String> {
    let root = here.parent()?.parent()?;
    let top = fs::canonicalize(git(here, &["rev-parse", "--show-toplevel"])?).ok()?;
    if top != fs::canonicalize(root).ok()? {
        return None;
    }
    // A commit moves the reflog, a branch or HEAD; a missing file would make Cargo rerun every time.
    for watched in ["HEAD", "logs/HEAD", "refs/heads"] {
        let path = here.join(git(here, &["rev-parse", "--git-path", watched])?);
        if path.exists() {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    git(here, &["rev-parse", "--verify", "HEAD"])
}

fn git(here: &Path, args: &[&str]) -> Option<String> {
    let output = Command::new("git").current_dir(here).args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}
