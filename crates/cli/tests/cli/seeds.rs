//! `train --seeds`: many seeds as one experiment.

use serde_json::Value;

use crate::harness::{FILES, Place, contents, events};

/// The files of an experiment beside its runs.
const EXPERIMENT: [&str; 5] =
    ["curves.svg", "experiment.json", "experiment.toml", "summary.json", "summary.md"];
/// What it is locked with.
const LOCK: &str = ".lock";

fn summary(place: &Place, experiment: &str) -> Value {
    serde_json::from_str(&place.text(&format!("{experiment}/summary.json"))).unwrap()
}

/// A short experiment in `name`.
fn experiment(place: &Place, name: &str, more: &str) {
    let args = "--steps 4000 --set eval_episodes=10 --quiet";
    place.ok(&format!("train CartPole-v1 --out {name} {args} {more}"));
}

#[test]
fn results_are_the_same_bytes_however_many_run_side_by_side_and_alone() {
    let place = Place::new();
    experiment(&place, "two", "--seeds 3,0 --jobs 2");
    experiment(&place, "one", "--seeds 3,0 --jobs 1");
    experiment(&place, "alone", "--seed 3");
    assert_eq!(
        place.names("two"),
        [&[LOCK], &EXPERIMENT[..3], &["seed-0", "seed-3"], &EXPERIMENT[3..]].concat()
    );
    for file in EXPERIMENT {
        assert_eq!(
            place.text(&format!("two/{file}")),
            place.text(&format!("one/{file}")),
            "{file}"
        );
    }
    for file in ["policy.safetensors", "episodes.csv", "config.toml"] {
        let bytes = |run: &str| place.bytes(&format!("{run}/{file}"));
        assert_eq!(bytes("two/seed-3"), bytes("one/seed-3"), "{file}");
        assert_eq!(bytes("two/seed-3"), bytes("alone"), "{file}");
        if file != "episodes.csv" {
            assert_ne!(bytes("two/seed-3"), bytes("two/seed-0"), "{file}");
        }
    }
    // Each of them is a run like any other.
    assert_eq!(place.names("two/seed-0"), FILES);
    let evaluation = &place.ok("eval two/seed-0 --json").json()[0];
    let info = place.run_json("two/seed-0");
    assert_eq!(evaluation["mean_return"], info["evaluation"]["mean_return"]);
    assert_eq!(info["seed"], 0);
}

#[test]
fn the_summary_is_that_of_the_runs() {
    let place = Place::new();
    experiment(&place, "run", "--seeds 0..4");
    let summary = summary(&place, "run");
    let scores: Vec<f64> = (0..4)
        .map(|seed| {
            place.run_json(&format!("run/seed-{seed}"))["evaluation"]["mean_return"].as_f64()
        })
        .map(Option::unwrap)
        .collect();
    let listed: Vec<f64> = summary["seeds"].as_array().unwrap().iter().map(score).collect();
    assert_eq!(listed, scores, "every seed is listed");
    let number = |key: &str, end: &str| summary[key][end].as_f64().unwrap();
    let mean = scores.iter().sum::<f64>() / 4.0;
    assert!((number("mean", "value") - mean).abs() < 1e-9, "{summary}");
    let mut sorted = scores;
    sorted.sort_by(f64::total_cmp);
    let middle = (sorted[1] + sorted[2]) / 2.0;
    assert!((number("iqm", "value") - middle).abs() < 1e-9, "of four, one goes at each end");
    assert!((number("median", "value") - middle).abs() < 1e-9);
    for key in ["iqm", "mean", "median"] {
        let [low, value, high] = ["low", "value", "high"].map(|end| number(key, end));
        assert!(sorted[0] <= low && low <= value && value <= high && high <= sorted[3], "{key}");
        assert!(low < high, "{key} has an interval");
    }
    // Nobody learns CartPole in 4,000 steps: no seed passes, and JSON has no infinity.
    let passing = &summary["passing"];
    assert_eq!((&passing["threshold"], &passing["seeds"]), (&475.0.into(), &0.into()));
    assert_eq!(passing["steps"]["value"], Value::Null);

    let table = place.text("run/summary.md");
    for (seed, score) in listed.iter().enumerate() {
        assert!(table.contains(&format!("| {seed} | {score:.1} ± ")), "{table}");
    }
    assert!(
        table.contains("| IQM of the final return |") && table.contains("| ∞ | [∞, ∞] |"),
        "{table}"
    );
    let picture = place.text("run/curves.svg");
    assert_eq!(picture.matches("class=\"thin").count(), 4, "a thin line for each seed");
}

fn score(seed: &Value) -> f64 {
    seed["evaluation"]["mean_return"].as_f64().unwrap()
}

#[test]
fn the_steps_until_training_passes_are_those_of_the_episodes() {
    let place = Place::new();
    let args = "--algo reinforce --seeds 1..3 --steps 1.2e5 --set eval_episodes=5 --out run -q";
    place.ok(&format!("train CartPole-v0 {args}"));
    let summary = summary(&place, "run");
    let threshold = summary["passing"]["threshold"].as_f64().unwrap();
    for seed in [1, 2] {
        let episodes = place.episodes(&format!("run/seed-{seed}"));
        let gained: Vec<f64> = episodes.iter().map(|row| row[3].parse().unwrap()).collect();
        let passes = gained.windows(100).position(|w| w.iter().sum::<f64>() / 100.0 >= threshold);
        let steps = passes.map(|first| episodes[first + 99][1].parse::<u64>().unwrap());
        assert!(steps.is_some(), "seed {seed} has not learnt");
        assert_eq!(summary["seeds"][seed - 1]["passes"].as_u64(), steps, "seed {seed}");
    }
    assert_eq!(summary["passing"]["seeds"], 2);
}

#[test]
fn json_lines_say_which_seed_they_are_of() {
    let place = Place::new();
    let ran = place
        .ok("train CartPole-v1 --seeds 5..7 --steps 1500 --set eval_episodes=3 --json --out run");
    let lines = ran.json();
    assert_eq!(ran.err, "", "everything is in the lines");
    assert_eq!(lines[0]["event"], "experiment");
    assert_eq!(lines[0]["seeds"], serde_json::json!([5, 6]));
    for seed in [5, 6] {
        let of = |event| events(&lines, event).iter().filter(|line| line["seed"] == seed).count();
        assert_eq!((of("start"), of("end")), (1, 1), "seed {seed}");
        let updates = events(&place.metrics(&format!("run/seed-{seed}")), "update").len();
        assert_eq!(of("update"), updates, "seed {seed}");
    }
    let last = lines.last().unwrap();
    assert_eq!((&last["event"], &last["finished"]), (&"summary".into(), &2.into()));
    assert_eq!(last["iqm"], summary(&place, "run")["iqm"]);
}

#[test]
fn people_read_the_seeds_as_they_end_and_then_the_statistics() {
    let place = Place::new();
    let steps = "--seeds 0..2 --steps 1000 --set eval_episodes=3";
    let told = place.ok(&format!("train CartPole-v1 --out told {steps}"));
    for seed in ["seed 0 ", "seed 1 "] {
        assert!(told.err.lines().any(|line| line.starts_with(seed)), "{}", told.err);
    }
    for words in ["IQM", "mean", "median", "passes 475", "wall time", "experiment  told"] {
        assert!(told.out.contains(words), "{words} is missing in {}", told.out);
    }
    assert!(!(told.out + &told.err).contains('\u{1b}'), "escape codes in a pipe");
    let quiet = place.ok(&format!("train CartPole-v1 {steps} -q"));
    assert_eq!(quiet.err, "");
    assert!(quiet.out.ends_with("experiment  runs/CartPole-v1-ppo-seeds-1\n"), "{quiet:?}");
}

#[test]
fn what_no_seed_could_be_trained_with_is_refused_before_anything_is_made() {
    let place = Place::new();
    for (args, words) in [
        ("--seeds 3..3", "there is no seed in it"),
        ("--seeds 1,1", "1 is in it twice"),
        ("--seeds -1..3", "`-1` is not a seed"),
        ("--seeds 0..2 --seed 1", "cannot be used with"),
        ("--jobs 2", "--seeds"),
        ("--seeds 0..2 --jobs 0", "0"),
        ("--seeds 0..2 --set lanes=0", "lanes"),
        ("--seeds 0..2 --set ppo.batch_size=7", "batch_size"),
    ] {
        let ran = place.run(&format!("train CartPole-v1 {args} --out run"));
        assert_eq!(ran.code, Some(2), "{args}: {}", ran.err);
        assert!(ran.err.contains(words), "{args}: no `{words}` in {}", ran.err);
    }
    assert!(place.names("").is_empty(), "a refused command has left something");
}

#[test]
fn an_experiment_is_replaced_by_force_only_and_nothing_else_ever() {
    let place = Place::new();
    experiment(&place, "run", "--seeds 0..3");
    place.write("run/seed-0/notes.txt", "odd");
    let again = place.run("train CartPole-v1 --seeds 0..2 --steps 1 --out run");
    assert_eq!(again.code, Some(2));
    assert!(again.err.contains("run is not empty") && again.err.contains("--force"), "{again:?}");

    experiment(&place, "run", "--seeds 0..1 --force");
    assert_eq!(
        place.names("run"),
        [&[LOCK], &EXPERIMENT[..3], &["seed-0"], &EXPERIMENT[3..]].concat()
    );
    assert_eq!(place.text("run/seed-0/notes.txt"), "odd", "not a file of the run");
    assert_eq!(summary(&place, "run")["finished"], 1);

    // A run of ours in which somebody has put something else is somebody's.
    place.write("run/seed-0/config.toml", "title = \"my web site\"");
    place.train("single", "--steps 1");
    for (taken, kept) in [("run", "run/seed-0"), ("single", "single")] {
        let before = contents(&place.path(kept));
        let ran =
            place.run(&format!("train CartPole-v1 --seeds 0..2 --steps 1 --out {taken} --force"));
        assert_eq!(ran.code, Some(2), "{taken}: {ran:?}");
        assert!(ran.err.contains("does not hold"), "{taken}: {ran:?}");
        assert_eq!(contents(&place.path(kept)), before, "{taken}");
    }
}

/// The process that trains `seed` of the experiment in `place`.
#[cfg(target_os = "linux")]
fn process_of(place: &Place, seed: u64) -> Option<u32> {
    let here = place.path("").canonicalize().unwrap();
    std::fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let command = std::fs::read(entry.path().join("cmdline")).ok()?;
        let of_seed = format!("run/seed-{seed}\0");
        let is_it = String::from_utf8_lossy(&command).contains(&of_seed)
            && std::fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == here);
        is_it.then_some(pid)
    })
}

#[cfg(target_os = "linux")]
mod ended_from_outside {
    use std::{
        io::{BufRead, BufReader, Read},
        process::{Child, Command, Stdio},
        time::{Duration, Instant},
    };

    use super::*;

    fn start(place: &Place, args: &str) -> Child {
        let args = format!("train CartPole-v1 --json --out run {args}");
        place.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn signal(name: &str, pid: u32) {
        assert!(Command::new("kill").args([name, &pid.to_string()]).status().unwrap().success());
    }

    /// Reads lines until each of `seeds` has made an update.
    fn await_updates(lines: &mut impl Iterator<Item = Value>, seeds: &[u64]) {
        let mut missing = seeds.to_vec();
        while !missing.is_empty() {
            let line = lines.next().expect("it ended before every seed had begun");
            missing.retain(|seed| line["event"] != "update" || line["seed"] != *seed);
        }
    }

    fn lines(child: &mut Child) -> impl Iterator<Item = Value> + use<> {
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        lines.map(|line| serde_json::from_str(&line).unwrap())
    }

    fn end(mut child: Child) -> (Option<i32>, String) {
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        (child.wait().unwrap().code(), err)
    }

    #[test]
    fn a_seed_that_dies_is_reported_and_the_others_go_on() {
        let place = Place::new();
        let mut child = start(&place, "--seeds 0..3 --jobs 2 --steps 20000 --set eval_episodes=3");
        let mut lines = lines(&mut child);
        await_updates(&mut lines, &[1]);
        signal("-KILL", process_of(&place, 1).unwrap());
        let rest: Vec<Value> = lines.collect();
        assert_eq!(end(child), (Some(1), String::new()));
        let failed = events(&rest, "failed");
        assert_eq!(failed.len(), 1);
        assert_eq!(failed[0]["seed"], 1);
        assert!(failed[0]["error"].as_str().unwrap().contains("signal: 9"), "{failed:?}");
        let summary = summary(&place, "run");
        assert_eq!(
            (&summary["finished"], &summary["seeds"][1]["stop"]),
            (&2.into(), &"failed".into())
        );
        assert!(place.text("run/summary.md").contains("| 1 | failed |"));
        assert!(summary["iqm"]["value"].is_number());
    }

    #[test]
    fn ctrl_c_saves_what_there_is_of_every_seed_and_begins_no_further_one() {
        let place = Place::new();
        let mut child = start(&place, "--seeds 0..3 --jobs 2 --steps 1e12");
        let mut lines = lines(&mut child);
        await_updates(&mut lines, &[0, 1]);
        signal("-INT", child.id());
        let last = lines.last().unwrap();
        assert_eq!(end(child), (Some(130), String::new()));
        assert_eq!((&last["event"], &last["finished"]), (&"summary".into(), &0.into()));
        assert!(last["iqm"].is_null());
        for seed in [0, 1] {
            let run = format!("run/seed-{seed}");
            assert_eq!(place.names(&run), FILES);
            assert_eq!(place.run_json(&run)["stop"], "interrupted");
            place.ok(&format!("eval {run} --episodes 2"));
        }
        assert!(!place.path("run/seed-2").exists());
    }

    #[test]
    fn the_runs_of_an_experiment_that_is_killed_save_themselves_and_end() {
        let place = Place::new();
        let mut child = start(&place, "--seeds 0..2 --jobs 2 --steps 1e12");
        let mut lines = lines(&mut child);
        await_updates(&mut lines, &[0, 1]);
        signal("-KILL", child.id());
        child.wait().unwrap();
        let patience = Instant::now();
        while [0, 1].iter().any(|seed| process_of(&place, *seed).is_some()) {
            assert!(patience.elapsed() < Duration::from_secs(60), "they train on for nobody");
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(place.run_json("run/seed-0")["stop"], "interrupted");
    }
}

#[test]
fn two_experiments_are_compared_with_intervals_and_in_one_picture() {
    let place = Place::new();
    experiment(&place, "short", "--seeds 0..3");
    place.ok(
        "train CartPole-v1 --algo reinforce --seeds 4..8 --steps 40000 --set eval_episodes=10 \
              --out long -q",
    );
    let before = contents(&place.path("long/seed-4"));
    let line = &place.ok("compare long short --json --svg both.svg").json()[0];
    let number = |of: &str, end: &str| line[of][end].as_f64().unwrap();
    assert_eq!((&line["event"], &line["env"]), (&"comparison".into(), &"CartPole-v1".into()));
    assert_eq!((&line["a"]["seeds"], &line["b"]["seeds"]), (&4.into(), &3.into()));

    // By hand, from the summaries.
    let scores = |name: &str| -> Vec<f64> {
        summary(&place, name)["seeds"].as_array().unwrap().iter().map(score).collect()
    };
    let (long, short) = (scores("long"), scores("short"));
    let pairs = long.iter().flat_map(|x| short.iter().map(move |y| (x, y)));
    let won: f64 = pairs
        .map(|(x, y)| {
            if x > y {
                1.0
            } else if x < y {
                0.0
            } else {
                0.5
            }
        })
        .sum();
    assert!((number("probability_of_improvement", "value") - won / 12.0).abs() < 1e-12);
    let iqm = |name: &str| summary(&place, name)["iqm"]["value"].as_f64().unwrap();
    let difference = iqm("long") - iqm("short");
    assert!((number("iqm_difference", "value") - difference).abs() < 1e-9);
    for key in ["probability_of_improvement", "iqm_difference"] {
        let [low, value, high] = ["low", "value", "high"].map(|end| number(key, end));
        assert!(low <= value && value <= high, "{key}: {line}");
    }
    // The other way round is the other side of the coin.
    let turned = &place.ok("compare short long --json").json()[0];
    let lost = turned["probability_of_improvement"]["value"].as_f64().unwrap();
    assert!((number("probability_of_improvement", "value") + lost - 1.0).abs() < 1e-12);

    let picture = place.text("both.svg");
    let thin = |n| picture.matches(&format!("class=\"thin c{n}\"")).count();
    assert_eq!((thin(0), thin(1)), (4, 3));
    assert!(picture.contains(">long (reinforce)") && picture.contains(">short (ppo)"));
    let told = place.ok("compare long short");
    for words in ["A − B", "P(A > B)", "4 seeds, long"] {
        assert!(told.out.contains(words), "{words} is missing in {}", told.out);
    }
    assert!(told.err.contains("different numbers of steps, 40000 and 4000"), "{}", told.err);
    assert_eq!(contents(&place.path("long/seed-4")), before, "comparing changes nothing");

    place.train("run", "--steps 1");
    place.ok("train CartPole-v0 --seeds 0..1 --steps 1 --set eval_episodes=1 --out other -q");
    for (args, words) in [
        ("compare long none", "none: no such experiment"),
        ("compare run long", "run: no such experiment"),
        ("compare long other", "CartPole-v0"),
    ] {
        let ran = place.run(args);
        assert_eq!(ran.code, Some(2), "{args}: {ran:?}");
        assert!(ran.err.contains(words), "{args}: {}", ran.err);
    }
}
