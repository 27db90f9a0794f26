//! `train`: what it writes, what it prints, and when it ends.

use serde_json::Value;

use crate::harness::{FILES, Place, contents, events, timeless};

/// The keys that others may rely on.
const EVALUATION: [&str; 6] =
    ["mean_return", "std_return", "min_return", "max_return", "episodes", "seed"];

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn whole(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no whole number"))
}

#[test]
fn a_run_leaves_files_that_agree_with_each_other() {
    for (algo, more) in [("ppo", ""), ("reinforce", "--algo reinforce")] {
        files_agree(algo, more);
    }
}

fn files_agree(algo: &str, more: &str) {
    let place = Place::new();
    place.train("run", &format!("--steps 3e3 --seed 4 {more}"));
    assert_eq!(place.names("run"), FILES);

    let info = place.run_json("run");
    for key in ["version", "commit", "env", "algo", "seed", "device", "kernels", "stop", "seconds"]
    {
        assert!(!info[key].is_null(), "run.json has no {key}: {info}");
    }
    let facts = [&info["env"], &info["algo"], &info["stop"], &info["device"]];
    let device = elegante::DeviceChoice::Auto.resolve().to_string();
    assert_eq!(facts, ["CartPole-v1", algo, "budget", device.as_str()]);
    let evaluation = &info["evaluation"];
    assert!(EVALUATION.iter().all(|key| evaluation[key].is_number()), "{evaluation}");
    assert_eq!((whole(&evaluation["seed"]), whole(&evaluation["episodes"])), (4, 10));
    let [mean, std, min, max] =
        ["mean_return", "std_return", "min_return", "max_return"].map(|k| number(&evaluation[k]));
    assert!(1.0 <= min && min < mean && mean < max && max <= 500.0 && std > 0.0, "{evaluation}");

    let metrics = place.metrics("run");
    let last = metrics.last().unwrap();
    let episodes = place.episodes("run");
    for (key, of_update) in [("steps", "steps"), ("episodes", "episodes"), ("updates", "update")] {
        assert_eq!(info[key], last[of_update], "{key}");
    }
    assert_eq!(whole(&last["update"]), metrics.len() as u64);
    assert_eq!(whole(&last["episodes"]), episodes.len() as u64);
    let lengths: u64 = episodes.iter().map(|row| row[4].parse::<u64>().unwrap()).sum();
    let (steps, end) = (whole(&last["steps"]), episodes.last().unwrap()[1].parse().unwrap());
    if algo == "reinforce" {
        assert_eq!((steps, end), (lengths, lengths), "whole trajectories");
    } else {
        // 8 lanes of 32 steps; an episode in each of them goes on.
        assert_eq!(steps, 256 * whole(&last["update"]));
        assert!(end <= steps && lengths < steps && steps - lengths < 8 * 500, "{lengths}");
    }
    for row in &episodes {
        assert_eq!(row[3], row[4], "a step of CartPole is worth 1");
        assert!(row[5] == "terminated" || (row[5] == "truncated" && row[4] == "500"), "{row:?}");
    }
}

#[test]
fn it_ends_at_the_first_update_boundary_at_or_after_the_steps() {
    let place = Place::new();
    // Under a linear schedule other steps would make another run.
    let ppo = "--set ppo.schedule=constant --set ppo.clip_schedule=constant";
    let reinforce = "--algo reinforce --set reinforce.batch_steps=500 \
                     --set reinforce.schedule=constant";
    for sets in [ppo, reinforce] {
        let train = |steps: u64| {
            place.train("run", &format!("--steps {steps} --force {sets}"));
            place.metrics("run").iter().map(|m| whole(&m["steps"])).collect::<Vec<u64>>()
        };
        let steps = train(3100);
        let [.., before, last] = steps[..] else { panic!("{steps:?}") };
        assert!(before < 3100 && 3100 <= last, "{steps:?}");
        assert_eq!(train(last), steps, "what was asked for has been trained");
        assert_eq!(train(last + 1).len(), steps.len() + 1, "one step more is an update more");
    }
}

#[test]
fn json_lines_are_for_machines() {
    let place = Place::new();
    let ran = place.ok("train CartPole-v1 --json --out run --steps 4000 --eval-every 2000 \
                        --set eval_episodes=5");
    let lines = ran.json();
    assert_eq!(ran.err, "", "everything is in the lines");
    let (first, last) = (&lines[0], lines.last().unwrap());
    assert_eq!((&first["event"], &first["steps"]), (&"start".into(), &4000.into()));
    assert_eq!((&last["event"], &last["stop"]), (&"end".into(), &"budget".into()));

    // Between them is what the run's own file says, and the end repeats the final evaluation.
    assert_eq!(lines[1..lines.len() - 1], place.metrics("run"));
    assert!(events(&lines, "evaluation").len() >= 2);
    let info = place.run_json("run");
    for key in EVALUATION {
        assert_eq!(last[key], info["evaluation"][key], "{key}");
    }
    assert_eq!(last["steps"], info["steps"]);
    assert_eq!(last["train_episodes"], info["episodes"]);
    for key in ["steps_per_second", "train_steps_per_second", "env_steps_per_second"] {
        assert!(number(&last[key]) > 0.0, "{key}");
    }
}

#[test]
fn people_read_plain_lines_in_a_pipe_and_little_with_quiet() {
    let place = Place::new();
    let steps = "--steps 2000 --set eval_episodes=10";
    let told = place.ok(&format!("train CartPole-v1 --out told {steps}"));
    assert!(told.err.lines().any(|line| line.contains("100 %")), "{}", told.err);
    for words in ["evaluation", "trained", "wall time", "elegante eval told"] {
        assert!(told.out.contains(words), "{words} is missing in {}", told.out);
    }
    assert!(!(told.out + &told.err).contains('\u{1b}'), "escape codes in a pipe");

    let quiet = place.ok(&format!("train CartPole-v1 --out quiet -q {steps}"));
    assert_eq!((quiet.err.as_str(), quiet.out.lines().count()), ("", 2), "{quiet:?}");
    assert!(quiet.out.starts_with("evaluation") && quiet.out.contains("quiet"), "{quiet:?}");
    assert_eq!(place.run("train CartPole-v1 --quiet --json").code, Some(2));
}

#[test]
fn evaluations_during_training_come_when_they_are_due() {
    let place = Place::new();
    place.train("run", "--steps 9000 --eval-every 3000");
    let metrics = place.metrics("run");
    let due: Vec<u64> =
        events(&metrics, "evaluation").iter().map(|e| whole(&e["steps"]) / 3000).collect();
    assert_eq!(due, [1, 2, 3], "one at the first update after each 3,000 steps");
    for (i, line) in metrics.iter().enumerate().filter(|(_, line)| line["event"] == "evaluation") {
        assert_eq!(line["steps"], metrics[i - 1]["steps"], "it follows its update");
        assert_eq!(line["episodes"], 10);
    }
    // They leave the training as it is without them.
    place.train("without", "--steps 9000");
    assert_eq!(place.bytes("run/policy.safetensors"), place.bytes("without/policy.safetensors"));
    let updates: Vec<Value> = events(&metrics, "update").into_iter().cloned().collect();
    assert_eq!(timeless(updates), timeless(place.metrics("without")));
}

#[test]
fn it_stops_when_the_return_asked_for_is_reached() {
    let place = Place::new();
    // By the last hundred training episodes …
    place.train("trained", "--steps 1e6 --stop-at 40");
    let info = place.run_json("trained");
    assert_eq!(info["stop"], "solved");
    let metrics = place.metrics("trained");
    let solved = |m: &Value| whole(&m["episodes"]) >= 100 && number(&m["mean_return_100"]) >= 24.0;
    let first = metrics.iter().position(solved).unwrap();
    assert_eq!(first, metrics.len() - 1, "the first update that reached it is the last");

    // … or by an evaluation, if there are any.
    place.train("evaluated", "--steps 1e6 --stop-at 24 --eval-every 2000");
    assert_eq!(place.run_json("evaluated")["stop"], "solved");
    let metrics = place.metrics("evaluated");
    let means: Vec<f64> =
        events(&metrics, "evaluation").iter().map(|e| number(&e["mean_return"])).collect();
    let (last, earlier) = means.split_last().unwrap();
    assert!(*last >= 24.0 && earlier.iter().all(|mean| *mean < 24.0), "{means:?}");
}

#[test]
fn without_out_each_run_gets_the_next_number() {
    let place = Place::new();
    for _ in 0..2 {
        place.ok("train CartPole-v1 --seed 5 --steps 1 --set eval_episodes=1 --quiet");
    }
    place.ok("train CartPole-v0 --steps 1 --set eval_episodes=1 --quiet");
    let names = ["CartPole-v0-ppo-0-1", "CartPole-v1-ppo-5-1", "CartPole-v1-ppo-5-2"];
    assert_eq!(place.names("runs"), names);
    names.iter().for_each(|name| assert_eq!(place.names(&format!("runs/{name}")), FILES));
}

#[test]
fn a_run_is_replaced_by_force_only_and_nothing_else_ever() {
    let place = Place::new();
    place.train("run", "--steps 1");
    place.write("run/notes.txt", "seed 0 is odd");
    let before = contents(&place.path("run"));
    let again = place.run("train CartPole-v1 --steps 1 --seed 1 --out run");
    assert_eq!(again.code, Some(2));
    for words in ["run is not empty", "`resume run`", "--force"] {
        assert!(again.err.contains(words), "no `{words}` in {again:?}");
    }
    assert_eq!(contents(&place.path("run")), before, "a refused run has changed something");

    place.train("run", "--steps 1 --seed 1 --force");
    assert_eq!(place.run_json("run")["seed"], 1);
    assert_eq!(place.text("run/notes.txt"), "seed 0 is odd", "not a file of the run");

    // A mistake in the same command must not cost the old run either.
    let before = contents(&place.path("run"));
    for wrong in ["--set lanes=0", "--set network.hidden=[0]", "--device wgpu", "--algo x"] {
        let ran = place.run(&format!("train CartPole-v1 --out run --force {wrong}"));
        assert_eq!(ran.code, Some(2), "{wrong}: {}", ran.err);
        assert_eq!(contents(&place.path("run")), before, "{wrong} has cost the old run");
    }

    // What is not a run stays, whatever its files are called.
    std::fs::create_dir(place.path("site")).unwrap();
    place.write("site/config.toml", "title = \"my web site\"");
    place.write("site/metrics.jsonl", "{}");
    let before = contents(&place.path("site"));
    let forced = place.run("train CartPole-v1 --steps 1 --out site --force");
    assert_eq!(forced.code, Some(2));
    assert!(forced.err.contains("does not hold a run"), "{forced:?}");
    assert_eq!(contents(&place.path("site")), before);
}
