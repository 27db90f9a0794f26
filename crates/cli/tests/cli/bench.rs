//! What `bench` tells of; never how fast it has to be.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Place, events};

/// The measurements of a section: name and whether operations were fused.
fn names(lines: &[Value], section: &str) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    for line in events(lines, "measurement") {
        if line["section"] == section {
            let name = line["name"].as_str().unwrap().to_owned();
            found.push((name, line["fused"].as_bool().unwrap()));
        }
    }
    found
}

#[test]
fn everything_is_measured_and_the_machine_is_named() {
    let place = Place::new();
    let lines = place.ok("bench --quick --json --device auto --hidden 16,8").json();
    let machine = &lines[0];
    assert_eq!((&machine["event"], &machine["env"]), (&"machine".into(), &"CartPole-v1".into()));
    assert_eq!(machine["hidden"], serde_json::json!([16, 8]));
    assert!(machine["cores"].as_u64().unwrap() > 0);
    for key in ["instructions", "arch", "os", "version", "commit"] {
        assert!(!machine[key].as_str().unwrap().is_empty(), "{key}");
    }
    assert_eq!(events(&lines, "device").len(), 1);

    let fused =
        |all: &[&str]| all.iter().map(|name| ((*name).to_owned(), true)).collect::<Vec<_>>();
    let env = ["1 lane", "64 lanes, one by one", "64 lanes, together"];
    let more = ["1,024 lanes, one by one", "1,024 lanes, together"];
    assert_eq!(names(&lines, "environment"), fused(&[&env[..], &more[..]].concat()));
    let observations = ["1 observation", "64 observations", "1,024 observations"];
    assert_eq!(names(&lines, "inference"), fused(&observations));
    let both = |mut all: Vec<(String, bool)>| {
        if cfg!(feature = "flex") {
            all.extend(all.clone().into_iter().map(|(name, _)| (name, false)));
        }
        all
    };
    let updates = fused(&["minibatch of 64", "minibatch of 256", "minibatch of 2,048"]);
    assert_eq!(names(&lines, "update"), both(updates));
    assert_eq!(names(&lines, "training"), both(fused(&["PPO"])));
    for measured in events(&lines, "measurement") {
        let number = |key: &str| measured[key].as_f64().unwrap();
        assert!(number("seconds") > 0.0 && number("least_seconds") <= number("seconds"));
        let rate = number("units") / number("seconds");
        assert!((number("per_second") / rate - 1.0).abs() < 1e-9, "{measured}");
        match number("turns") as u64 {
            1 => assert!(measured["spread"].is_null(), "{measured}"),
            _ => assert!(number("spread") >= 0.0, "{measured}"),
        }
        let steps =
            if measured["section"] == "training" { &measured["units"] } else { &Value::Null };
        assert_eq!(&measured["steps"], steps, "{measured}");
    }
    let end = lines.last().unwrap();
    assert_eq!(end["event"], "bench");
    assert!(end["busy"].is_array() && end["unusable"] == serde_json::json!([]), "{end}");
    assert!(place.names("").is_empty(), "nothing is left behind");
}

#[test]
fn large_networks_are_not_waited_for() {
    let (place, began) = (Place::new(), Instant::now());
    let lines = place.ok("bench --quick --json --device auto --hidden 512,512").json();
    // A few seconds by itself; it was minutes on a busy machine.
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    let trained = names(&lines, "training").len();
    let skipped = events(&lines, "skipped");
    assert_eq!(trained + skipped.len(), if cfg!(feature = "flex") { 2 } else { 1 });
    for line in skipped {
        assert_eq!((&line["section"], &line["name"]), (&"training".into(), &"PPO".into()));
        let number = |key: &str| line[key].as_f64().unwrap();
        assert!(number("update_seconds") > number("budget_seconds"), "{line}");
    }
}

#[test]
fn no_more_threads_are_told_of_than_there_are() {
    let place = Place::new();
    let lines = place.ok("bench --quick --json --device auto --hidden 8 --threads 999").json();
    let threads = lines[0]["threads"].as_u64().unwrap();
    assert!((1..=256).contains(&threads), "{threads}");
}

#[test]
fn continuous_actions_and_several_threads_are_measured_too_and_people_read_a_table() {
    let place = Place::new();
    let ran = place.ok("bench --quick --env Pendulum-v1 --device auto --threads 2");
    for words in ["machine", "environment Pendulum-v1", "2 threads", "training PPO", "steps/s"] {
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
    }
}

#[test]
fn what_makes_no_sense_is_said_before_anything_is_measured() {
    let place = Place::new();
    for (args, words) in [
        ("--env CartPoel-v1", "CartPole-v1"),
        ("--device flax", "flex"),
        ("--device auto --device auto", "twice"),
        ("--threads 100000", "threads"),
        ("--hidden 0", "hidden"),
        ("--hidden 65535,65535", "2³⁰"),
        #[cfg(not(feature = "cuda"))]
        ("--device cuda", "--features cuda"),
    ] {
        let ran = place.run(&format!("bench {args}"));
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{args}");
        assert!(ran.err.contains(words), "{args}: {}", ran.err);
    }
}
