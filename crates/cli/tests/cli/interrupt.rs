//! Ctrl-C.
#![cfg(unix)]

use std::{
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::harness::{FILES, Place};

#[test]
fn ctrl_c_saves_everything_and_ends_with_130() {
    let place = Place::new();
    let args = "train CartPole-v1 --steps 1e12 --json --out run";
    let mut child =
        place.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.starts_with(r#"{"event":"update","update":2,"#)));
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let end = lines.last().unwrap();
    let code = child.wait().unwrap().code();
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((code, err.as_str()), (Some(130), ""));

    let end: Value = serde_json::from_str(&end).unwrap();
    assert_eq!((&end["event"], &end["stop"]), (&"end".into(), &"interrupted".into()));
    assert_eq!(place.names("run"), FILES);
    let info = place.run_json("run");
    assert_eq!((&info["stop"], &info["evaluation"]), (&"interrupted".into(), &Value::Null));
    assert_eq!(info["steps"], place.metrics("run").last().unwrap()["steps"]);
    // The policy is whole, and so is the run.
    let evaluation = place.ok("eval run --episodes 3 --json").json();
    assert_eq!(evaluation[0]["episodes"], 3);
}
