//! `tune`: a search for settings, its files, its end and its beginning again.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use serde_json::Value;

use crate::harness::{Place, events};

/// A search whose trials take half a second.
const SHORT: &str = "tune CartPole-v1 --set eval_episodes=5 --set ppo.n_steps=32 --set steps=1500";

fn search(place: &Place, name: &str, more: &str) {
    place.ok(&format!("{SHORT} --out {name} --quiet {more}"));
}

/// The trials of a search in the order in which they ended.
fn trials(place: &Place, search: &str) -> Vec<Value> {
    let text = place.text(&format!("{search}/trials.jsonl"));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn states<'a>(trials: &'a [Value], state: &str) -> Vec<&'a Value> {
    trials.iter().filter(|trial| trial["state"] == state).collect()
}

#[test]
fn a_search_leaves_every_trial_and_the_best_as_a_configuration_that_trains_to_its_score() {
    let place = Place::new();
    let told = place.ok(&format!("{SHORT} --trials 5 --pruner none --out run"));
    assert_eq!(
        place.names("run"),
        [
            ".lock",
            "best.toml",
            "space.toml",
            "trial-0",
            "trial-1",
            "trial-2",
            "trial-3",
            "trial-4",
            "trials.jsonl",
            "tune.json",
            "tune.md",
            "tune.toml"
        ]
    );
    let trials = trials(&place, "run");
    let mut numbers: Vec<u64> = trials.iter().map(|it| it["trial"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1, 2, 3, 4]);
    for trial in &trials {
        assert_eq!(trial["state"], "complete");
        assert_eq!(trial["readings"], serde_json::json!([]), "nobody looks at them");
        assert!(trial["params"].get("ppo.n_steps").is_none(), "--set has fixed it");
        let run = place.run_json(&format!("run/trial-{}/seed-0", trial["trial"]));
        assert_eq!(trial["value"], run["evaluation"]["mean_return"]);
    }
    let first = trials.iter().find(|trial| trial["trial"] == 0).unwrap();
    assert_eq!(first["params"]["ppo.gamma"], 0.98, "it is the configuration as it stands");
    let value = |trial: &Value| trial["value"].as_f64().unwrap();
    let best = trials.iter().map(value).fold(f64::NEG_INFINITY, f64::max);

    // The configuration is one like any other, and has none of the search's own needs in it.
    place.ok("train CartPole-v1 --config run/best.toml --out best --quiet");
    assert_eq!(place.run_json("best")["evaluation"]["mean_return"].as_f64(), Some(best));
    let config = place.text("best/config.toml");
    assert!(config.contains("eval_every = 0") && config.contains("keep = 3"), "{config}");
    assert!(config.contains("steps = 1500") && config.contains("n_steps = 32"), "{config}");

    let page = place.text("run/tune.md");
    assert!(
        page.contains(&format!("mean return of **{best:.1}").trim_end_matches(".0").to_owned())
    );
    assert!(page.contains("optimistic") && page.contains("--seeds 1..11"), "{page}");
    assert_eq!(page.matches("\n| ").count() - page.matches("\n| setting").count(), 6, "{page}");
    assert!(told.err.contains("fixed by --set, and not searched: ppo.n_steps"), "{}", told.err);
    assert!(told.err.lines().any(|line| line.starts_with("trial 4 ")), "{}", told.err);
    for words in
        ["best  ", "5 complete, 0 pruned, 0 failed", "--config run/best.toml --seeds 1..11"]
    {
        assert!(told.out.contains(words), "no `{words}` in {}", told.out);
    }
    assert!(!(told.out + &told.err).contains('\u{1b}'), "escape codes in a pipe");
    // A trial is an experiment.
    place.ok("compare run/trial-0 run/trial-1");
}

#[test]
fn one_at_a_time_a_search_is_the_same_bytes_each_time_and_another_with_another_seed() {
    let place = Place::new();
    let args = "--trials 12 --jobs 1 --set ppo.epochs=2 --steps 600";
    search(&place, "a", args);
    search(&place, "b", args);
    for file in ["trials.jsonl", "best.toml", "tune.md", "tune.json"] {
        assert_eq!(place.text(&format!("a/{file}")), place.text(&format!("b/{file}")), "{file}");
    }
    // Eleven are enough for the sampler to learn from.
    let random = place.text("a/trials.jsonl");
    search(&place, "c", &format!("{args} --sampler random"));
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let (tpe, drawn) = (lines(&random), lines(&place.text("c/trials.jsonl")));
    assert_eq!(tpe[..10], drawn[..10], "the first ten are random");
    assert_ne!(tpe[10..], drawn[10..]);
    search(&place, "d", "--trials 2 --jobs 1 --seed 7 --steps 600");
    let other = trials(&place, "d");
    assert_eq!(other[0]["scores"][0]["seed"], 7);
    assert_ne!(other[1]["params"], trials(&place, "a")[1]["params"]);
    assert!(place.text("d/tune.md").contains("--seeds 8..18"));
}

#[test]
fn killed_and_gone_on_with_it_is_the_search_left_alone() {
    let place = Place::new();
    let args = "--trials 13 --jobs 1 --pruner halving --seeds-per-trial 2";
    search(&place, "whole", args);
    // The second time it is killed in the middle of a trial; what was going on then goes on.
    let mut command = format!("{SHORT} --out killed {args} --json");
    for ended in [2, 11] {
        let mut child = place.command(&command).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let over = |line: String| {
            line.contains("\"event\":\"trial\"") && line.contains(&format!("\"trial\":{ended},"))
        };
        assert!(lines.any(over), "it has ended before trial {ended}");
        child.kill().unwrap();
        child.wait().unwrap();
        command = "tune --resume killed --jobs 1 --json".into();
    }
    let before = place.text("killed/trials.jsonl");
    assert!(before.lines().count() < 13);
    let rest = place.ok(&command).json();
    assert_eq!(rest[0]["left"].as_u64().unwrap() as usize, 13 - before.lines().count());
    assert_eq!(events(&rest, "trial").len(), 13 - before.lines().count(), "none is repeated");
    for file in ["trials.jsonl", "best.toml", "tune.md"] {
        let bytes = |name: &str| place.text(&format!("{name}/{file}"));
        assert_eq!(bytes("whole"), bytes("killed"), "{file}");
    }
    let trials = trials(&place, "whole");
    assert!(!states(&trials, "pruned").is_empty(), "nothing was pruned: {trials:?}");
    let complete = states(&trials, "complete");
    for trial in complete {
        let of = |index: usize| trial["scores"][index]["mean_return"].as_f64().unwrap();
        assert_eq!(trial["value"].as_f64(), Some((of(0) + of(1)) / 2.0));
    }
}

#[test]
fn a_pruned_trial_says_where_and_what_it_had_come_to() {
    let place = Place::new();
    search(&place, "run", "--trials 8 --pruner halving --jobs 1");
    let trials = trials(&place, "run");
    let pruned = states(&trials, "pruned");
    assert!(!pruned.is_empty() && !states(&trials, "complete").is_empty(), "{trials:?}");
    for trial in pruned {
        assert!(trial["value"].is_null());
        let last = trial["readings"].as_array().unwrap().last().unwrap();
        assert!([1, 2, 4].contains(&last["position"].as_u64().unwrap()), "no rung: {last}");
        // It is what the training's own log says.
        let metrics = place.metrics(&format!("run/trial-{}/seed-0", trial["trial"]));
        let logged =
            events(&metrics, "evaluation").into_iter().find(|it| it["steps"] == last["steps"]);
        assert_eq!(logged.unwrap()["mean_return"], last["mean_return"]);
    }
}

#[test]
fn the_same_command_goes_on_and_another_is_refused() {
    let place = Place::new();
    search(&place, "run", "--trials 2");
    let before = place.text("run/trials.jsonl");
    search(&place, "run", "--trials 2");
    assert_eq!(place.text("run/trials.jsonl"), before, "it was finished");
    search(&place, "run", "--trials 3");
    assert!(place.text("run/trials.jsonl").starts_with(&before));
    assert_eq!(trials(&place, "run").len(), 3);
    place.ok("tune --resume run --trials 4 --quiet");
    assert_eq!(trials(&place, "run").len(), 4);
    let after = place.text("run/trials.jsonl");
    for (more, words) in [
        ("--steps 2000", "tune.toml"),
        ("--set ppo.gamma=0.9", "tune.toml"),
        ("--sampler random", "its sampler"),
        ("--pruner none", "its pruner"),
        ("--seeds-per-trial 2", "its seeds"),
    ] {
        let ran = place.run(&format!("{SHORT} --out run --quiet {more}"));
        assert_eq!(ran.code, Some(2), "{more}: {}", ran.err);
        assert!(ran.err.contains(words) && ran.err.contains("--resume"), "{more}: {}", ran.err);
    }
    assert_eq!(place.text("run/trials.jsonl"), after);
}

#[test]
fn a_trial_that_fails_is_reported_and_the_others_go_on() {
    let place = Place::new();
    // Steps of this size lead out of the numbers that there are.
    place.write("space.toml", "ppo.learning_rate = { choices = [1e-3, 1e37] }");
    let args = "--set eval_episodes=5 --steps 1500 --trials 6 --space space.toml --out run";
    let ran = place.ok(&format!("tune CartPole-v1 {args}"));
    let trials = trials(&place, "run");
    let (failed, complete) = (states(&trials, "failed"), states(&trials, "complete"));
    assert!(!failed.is_empty() && !complete.is_empty(), "{trials:?}");
    for trial in failed {
        assert_eq!(trial["params"]["ppo.learning_rate"], 1e37);
        assert!(trial["error"].as_str().unwrap().contains("the loss is"), "{trial}");
        assert!(
            ran.err.contains(&format!("trial {:<5} failed: ", trial["trial"].as_u64().unwrap()))
        );
    }
    assert!(place.text("run/tune.md").contains("| failed: "));
    assert!(place.text("run/best.toml").contains("learning_rate = 0.001"));

    // Where all fail there is nothing to go by, and the exit code says so.
    let hopeless = "--set guard.min_entropy=100 --set eval_episodes=5 --steps 1500 --trials 2";
    let ran = place.run(&format!("tune CartPole-v1 {hopeless} --out hopeless"));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.out.contains("no trial is complete"), "{}", ran.out);
    assert!(!place.path("hopeless/best.toml").exists());
}

#[test]
fn the_space_is_printed_for_a_file_of_ones_own() {
    let place = Place::new();
    let printed = place.ok("tune CartPole-v1 --algo a2c --print-space").out;
    assert!(
        printed.contains("a2c.learning_rate = { low = 1e-5, high = 0.01, scale = \"log\" }"),
        "{printed}"
    );
    place.write("space.toml", &printed);
    let again = place.ok("tune CartPole-v1 --algo a2c --space space.toml --print-space").out;
    assert_eq!(printed, again);
    assert_eq!(place.names(""), ["space.toml"]);
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_made() {
    let place = Place::new();
    place.write("gama.toml", "ppo.gama = { low = 0.9, high = 0.99 }");
    place.write("range.toml", "ppo.gamma = { low = 0.9, high = 1.5 }");
    place.write("gamma.toml", "ppo.gamma = { low = 0.9, high = 0.99 }");
    std::fs::create_dir(place.path("mine")).unwrap();
    place.write("mine/thesis.tex", "years of work");
    for (args, words) in [
        (
            "tune CartPole-v1 --space gama.toml",
            &["gama.toml: unknown key `ppo.gama`", "ppo.gamma"][..],
        ),
        (
            "tune CartPole-v1 --space range.toml",
            &["range.toml: ppo.gamma = 1.5", "between 0 and 1"],
        ),
        ("tune CartPole-v1 --space none.toml", &["none.toml: No such file"]),
        (
            "tune CartPole-v1 --space gamma.toml --set ppo.gamma=1",
            &["ppo.gamma", "--set", "gamma.toml"],
        ),
        ("tune CartPoel-v1", &["`CartPoel-v1`", "CartPole-v1"]),
        ("tune CartPole-v1 --algo renforce", &["`renforce`", "reinforce"]),
        ("tune CartPole-v1 --trials 0", &["--trials", "at least 1"]),
        ("tune CartPole-v1 --sampler cma", &["'cma'", "random, tpe"]),
        ("tune CartPole-v1 --pruner mean", &["'mean'", "none, median, halving"]),
        ("tune CartPole-v1 --set steps=0", &["steps = 0"]),
        ("tune CartPole-v1 --seed 9223372036854775807", &["seed", "below 2⁶³"]),
        ("tune", &["<ENV>"]),
        ("tune --resume none", &["none: no such search", "tune.json"]),
        ("tune --resume mine", &["mine: no such search"]),
        ("tune CartPole-v1 --resume mine", &["cannot be used with"]),
        ("tune CartPole-v1 --out mine", &["mine is not empty"]),
    ] {
        let ran = place.run(args);
        assert_eq!(ran.code, Some(2), "{args}: {}", ran.err);
        assert!(words.iter().all(|word| ran.err.contains(word)), "{args}: {}", ran.err);
    }
    assert_eq!(place.names(""), ["gama.toml", "gamma.toml", "mine", "range.toml"]);
    assert_eq!(place.names("mine"), ["thesis.tex"]);
}
