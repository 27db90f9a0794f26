//! What the doctor says of a healthy build, and of an environment that is not.

use serde_json::Value;

use crate::harness::{Place, events};

fn found<'a>(lines: &'a [Value], part: &str, name: &str) -> &'a Value {
    let mut all = events(lines, "check").into_iter();
    all.find(|line| line["part"] == part && line["name"] == name)
        .unwrap_or_else(|| panic!("no {name} of {part} in {lines:?}"))
}

#[test]
fn a_healthy_build_passes_every_check() {
    let place = Place::new();
    let lines = place.ok("doctor CartPole-v1 --quick --json").json();
    let failed: Vec<_> = lines.iter().filter(|line| line["status"] == "fail").collect();
    assert!(failed.is_empty(), "{failed:?}");
    for (part, name) in [
        ("reproducibility", "ppo, on two threads"),
        ("learning ppo", "value of a constant"),
        ("learning a2c", "does what it sees"),
        ("learning reinforce", "best of five arms"),
        ("environment CartPole-v1", "contract"),
    ] {
        assert_eq!(found(&lines, part, name)["status"], "pass", "{part}, {name}");
    }
    for name in ["CPU", "instructions", "memory", "elegante", "features"] {
        assert_eq!(found(&lines, "machine", name)["status"], "info");
    }
    if cfg!(feature = "flex") {
        let gradient = found(&lines, "device flex", "gradient, f64");
        assert_eq!(gradient["status"], "pass");
        assert!(gradient["values"]["error"].as_f64().unwrap() < 1e-6);
        assert_eq!(found(&lines, "device flex", "fused operations")["status"], "pass");
        let speed = found(&lines, "device flex", "64×64, batch 64");
        assert!(speed["values"]["updates_per_second"].as_f64().unwrap() > 0.0);
    }
    let end = lines.last().unwrap();
    assert_eq!((&end["event"], &end["failed"]), (&"doctor".into(), &0.into()));
    assert!(end["passed"].as_u64().unwrap() >= 15, "{end}");
    assert!(place.names("").is_empty(), "an examination leaves nothing behind");
}

#[test]
fn an_environment_that_nobody_knows_is_asked_about_before_anything_is_done() {
    let place = Place::new();
    let ran = place.run("doctor CartPoel-v1");
    assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""));
    assert!(ran.err.contains("CartPole-v1"), "{}", ran.err);
    assert_eq!(place.run("doctor --part soul").code, Some(2));
    for (args, words) in [
        ("doctor CartPole-v1 --set ppo.gamma=0.9", "has no settings but env_options."),
        ("doctor CartPole-v1 --set env_options.depth=1", "unknown key `env_options.depth`"),
        ("doctor --set env_options.depth=1", "<ENV>"),
    ] {
        let ran = place.run(args);
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{args}");
        assert!(ran.err.contains(words), "no `{words}` in {}", ran.err);
    }
}
