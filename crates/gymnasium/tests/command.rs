//! The command: a Python environment trained, evaluated and listed.
#![allow(clippy::unwrap_used)] // a panic here is the report

use std::process::{Command, Output};

use tempfile::TempDir;

fn run(dir: &TempDir, args: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_elegante-gymnasium"));
    command.args(args.split(' ')).current_dir(dir.path()).output().unwrap()
}

fn ok(dir: &TempDir, args: &str) -> String {
    let Output { status, stdout, stderr } = run(dir, args);
    assert!(status.success(), "{args}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

#[test]
fn a_python_environment_is_trained_and_read_back_like_any_other() {
    let dir = tempfile::tempdir().unwrap();
    // REINFORCE's preset for CartPole has nothing but the steps, so both are trained with the same.
    let args = "--algo reinforce --steps 2000 --set eval_episodes=5 --quiet";
    let trained = ok(&dir, &format!("train gymnasium:CartPole-v1 {args}"));
    let run_dir = "runs/gymnasium_CartPole-v1-reinforce-0-1";
    assert!(trained.contains(run_dir), "{trained}");
    let evaluated = ok(&dir, &format!("eval {run_dir} --json"));
    // The same training on our own CartPole: the same seeds, physics and network.
    ok(&dir, &format!("train CartPole-v1 --out ours {args}"));
    let ours = ok(&dir, "eval ours --json");
    let returns = |json: &str| {
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        (json["mean_return"].clone(), json["std_return"].clone(), json["episodes"].clone())
    };
    assert_eq!(returns(&evaluated), returns(&ours));
}

#[test]
fn help_lists_and_errors_know_both_worlds() {
    let dir = tempfile::tempdir().unwrap();
    assert!(ok(&dir, "--help").contains("elegante-gymnasium train CartPole-v1"));
    let listed = ok(&dir, "envs");
    assert!(listed.contains("CartPole-v1") && listed.contains("gymnasium:…"), "{listed}");
    let config = ok(&dir, "config gymnasium:MountainCar-v0");
    assert!(config.contains("goal_velocity = 0"), "{config}");
    let refused = run(&dir, "train gymnasium:cartpole-v1");
    let words = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{words}");
    assert!(words.contains("gymnasium:CartPole-v1"), "{words}");
}
