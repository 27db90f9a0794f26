//! `resume`: whatever stopped a run, it ends with the bytes of one that was left alone.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use crate::harness::{Place, events, timeless};

/// Everything that two equal runs have in common.
fn assert_same(place: &Place, whole: &str, other: &str) {
    for file in ["policy.safetensors", "episodes.csv", "config.toml"] {
        let [a, b] = [whole, other].map(|run| place.bytes(&format!("{run}/{file}")));
        assert!(a == b, "{file} of {other} differs from that of {whole}");
    }
    let best = |run: &str| fs::read(place.path(&format!("{run}/best.safetensors"))).ok();
    assert!(best(whole) == best(other), "best.safetensors of {other} differs");
    let [a, b] = [whole, other].map(|run| timeless(place.metrics(run)));
    assert!(a == b, "metrics.jsonl of {other} differs from that of {whole}");
    for key in ["evaluation", "stop", "steps", "episodes", "updates"] {
        assert_eq!(place.run_json(whole)[key], place.run_json(other)[key], "{key} of {other}");
    }
    let newest = |run: &str| checkpoints(place, run).pop().unwrap();
    let (a, b) = (newest(whole), newest(other));
    assert_eq!(a, b, "the last checkpoints");
    let bytes = |run: &str| place.bytes(&format!("{run}/checkpoints/{a}"));
    assert!(bytes(whole) == bytes(other), "checkpoint {a} of {other} differs");
    let left = place.names(other);
    assert!(!left.iter().any(|name| name.starts_with(".tmp")), "litter in {left:?}");
}

/// The checkpoints of a run, the newest last.
fn checkpoints(place: &Place, run: &str) -> Vec<String> {
    let mut names = place.names(&format!("{run}/checkpoints"));
    names.retain(|name| name.ends_with(".safetensors"));
    names
}

/// Numbers that look random and are the same every time (Knuth's generator, MMIX).
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// When a process is to be killed.
#[derive(Debug)]
enum Moment {
    /// After it has told of so many updates, wherever it has got to by then.
    Updates(u64),
    /// Then, as soon as it is in the middle of writing some file.
    Writing(u64),
}

/// Starts a command whose updates can be followed.
fn start(place: &Place, args: &str) -> Child {
    let mut command = place.command(&format!("{args} --json"));
    command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// Kills a process with SIGKILL at the moment; whether it was still running.
fn kill(mut child: Child, moment: &Moment, run: &Path) -> bool {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let (Moment::Updates(n) | Moment::Writing(n)) = *moment;
    let mut updates = 0;
    while updates < n {
        match lines.next() {
            Some(line) => updates += u64::from(line.starts_with(r#"{"event":"update""#)),
            None => break,
        }
    }
    // It is read on, lest it wait for somebody to do so.
    let further = &AtomicUsize::new(0);
    thread::scope(|scope| {
        scope.spawn(move || {
            for _ in lines {
                further.fetch_add(1, Ordering::SeqCst);
            }
            further.store(usize::MAX, Ordering::SeqCst);
        });
        // Where it is never seen writing, some updates later is a moment too.
        let writing = matches!(moment, Moment::Writing(_));
        while writing && further.load(Ordering::SeqCst) < 8 && !half_written(run) {
            thread::yield_now();
        }
        child.kill().unwrap();
    });
    !child.wait().unwrap().success()
}

/// Whether a file in the run's directory, or in that of its checkpoints, is only half there.
fn half_written(run: &Path) -> bool {
    let dirs = [run.to_owned(), run.join("checkpoints")];
    let entries = dirs.iter().flat_map(fs::read_dir).flatten().flatten();
    entries.map(|it| it.file_name()).any(|name| name.to_string_lossy().starts_with(".tmp"))
}

/// Trains in `run` and kills the process over and over; it is continued each time, at last to its end.
/// Returns how often it was killed before it had ended.
fn with_kills(place: &Place, run: &str, args: &str, moments: &[Moment]) -> usize {
    let mut killed = 0;
    for (life, moment) in moments.iter().enumerate() {
        let args = match life {
            0 => format!("train {args} --out {run}"),
            _ => format!("resume {run}"),
        };
        killed += usize::from(kill(start(place, &args), moment, &place.path(run)));
    }
    let ended = place.ok(&format!("resume {run} --quiet"));
    assert_eq!(ended.err, "", "an undamaged run warns of nothing");
    killed
}

#[test]
fn killed_at_twenty_moments_and_continued_it_is_the_run_left_alone() {
    let place = Place::new();
    let args = "CartPole-v1 --steps 6e4 --seed 2 --checkpoint-every 600 --eval-every 9000 \
                --set eval_episodes=5";
    place.ok(&format!("train {args} --out whole --quiet"));
    let mut draw = Draw(20);
    let moments: Vec<Moment> = (0..20)
        .map(|_| (draw.below(3), 1 + draw.below(10)))
        .map(|(kind, n)| if kind == 0 { Moment::Writing(n) } else { Moment::Updates(n) })
        .collect();
    let killed = with_kills(&place, "killed", args, &moments);
    assert!(killed >= 15, "only {killed} of 20 were in time: make the run longer");
    assert_same(&place, "whole", "killed");
    assert_eq!(checkpoints(&place, "killed").len(), 3, "as many as are kept");
    assert!(events(&place.metrics("whole"), "evaluation").len() >= 4);
}

#[test]
fn every_algorithm_network_and_normaliser_goes_on_where_it_was() {
    let place = Place::new();
    let small = "--set network.hidden=[16] --set eval_episodes=3";
    for (name, args) in [
        ("a2c", "CartPole-v1 --algo a2c --steps 4000 --checkpoint-every 300"),
        ("reinforce", "CartPole-v1 --algo reinforce --steps 12000 --checkpoint-every 1"),
        (
            "dqn",
            "CartPole-v1 --algo dqn --steps 3000 --checkpoint-every 300 --set lanes=2 \
             --set dqn.buffer_size=1000 --set dqn.train_freq=4 --set dqn.gradient_steps=4 \
             --set dqn.prioritized=true --set dqn.n_steps=3 --set dqn.double=true --set dqn.noisy=true",
        ),
        (
            "sac",
            "Pendulum-v1 --algo sac --steps 1500 --checkpoint-every 200 --set lanes=2 \
             --set sac.buffer_size=500 --set sac.batch_size=16 --set sac.train_freq=4 \
             --set sac.sde=true --set sac.sde_sample_steps=2",
        ),
        (
            "td3",
            "Pendulum-v1 --algo td3 --steps 1500 --checkpoint-every 200 --set lanes=2 \
             --set td3.buffer_size=500 --set td3.batch_size=16 --set td3.learning_starts=100 \
             --set td3.train_freq=4 --set td3.noise=ornstein-uhlenbeck",
        ),
        (
            "gru",
            "CartPole-v1 --steps 3000 --checkpoint-every 500 --set network.recurrent=gru \
             --set network.recurrent_size=8 --set ppo.epochs=2",
        ),
        (
            "normalised",
            "Pendulum-v1 --steps 5000 --checkpoint-every 700 --set lanes=3 --set ppo.n_steps=50 \
             --set ppo.batch_size=50 --set ppo.epochs=2 --set ppo.normalize_observations=true \
             --set ppo.normalize_rewards=true --set ppo.distribution=gsde",
        ),
    ] {
        let args = format!("{args} {small} --seed 5");
        let (whole, killed) = (format!("{name}-whole"), format!("{name}-killed"));
        place.ok(&format!("train {args} --out {whole} --quiet"));
        let moments = [Moment::Updates(2), Moment::Writing(1), Moment::Updates(1)];
        assert!(
            with_kills(&place, &killed, &args, &moments) > 0,
            "{name} was too fast to be killed"
        );
        assert_same(&place, &whole, &killed);
    }
}

#[cfg(unix)]
#[test]
fn after_ctrl_c_it_goes_on() {
    let place = Place::new();
    let args = "CartPole-v1 --steps 2e4 --set eval_episodes=5";
    place.ok(&format!("train {args} --out whole --quiet"));
    let mut child = start(&place, &format!("train {args} --out run"));
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.starts_with(r#"{"event":"update","update":3,"#)));
    let pid = child.id().to_string();
    std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap();
    lines.for_each(drop);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(place.run_json("run")["stop"], "interrupted");

    let ran = place.ok("resume run");
    assert!(ran.err.contains("going on after"), "{}", ran.err);
    assert!(ran.out.contains("evaluation"), "{}", ran.out);
    assert_same(&place, "whole", "run");
    // The time is that of both processes, and never runs backwards.
    let seconds: Vec<f64> =
        place.metrics("run").iter().map(|line| line["seconds"].as_f64().unwrap()).collect();
    assert!(seconds.is_sorted(), "{seconds:?}");
}

/// A finished run in `whole`, with three checkpoints.
fn finished() -> Place {
    let place = Place::new();
    place.train("whole", "--steps 4000 --checkpoint-every 1000 --eval-every 1500");
    assert_eq!(checkpoints(&place, "whole").len(), 3);
    place
}

/// A copy of it in `run` that was killed before the end.
fn unfinished(place: &Place) {
    let _ = fs::remove_dir_all(place.path("run"));
    for dir in ["run", "run/checkpoints"] {
        fs::create_dir(place.path(dir)).unwrap();
        let from = place.path(&dir.replace("run", "whole"));
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
            if entry.path().is_file() && entry.file_name() != "run.json" {
                fs::copy(entry.path(), place.path(dir).join(entry.file_name())).unwrap();
            }
        }
    }
}

#[test]
fn a_damaged_checkpoint_is_passed_over_for_the_one_before() {
    let place = finished();
    let names = checkpoints(&place, "whole");
    let good = place.bytes(&format!("whole/checkpoints/{}", names[2]));
    let flipped = |at: usize| {
        let mut bad = good.clone();
        bad[at] ^= 0x40;
        bad
    };
    for (damage, reason) in [
        (Vec::new(), "damaged or cut short"),
        (good[..good.len() / 2].to_vec(), "damaged or cut short"),
        (flipped(3), "damaged or cut short"),
        (flipped(good.len() - 40), "checksum does not match"),
        (place.bytes("whole/policy.safetensors"), "not an elegante checkpoint"),
    ] {
        unfinished(&place);
        place.write(&format!("run/checkpoints/{}", names[2]), damage);
        let ran = place.ok("resume run");
        for words in ["warning: ", &names[2], reason, "going on from", &names[1]] {
            assert!(ran.err.contains(words), "no `{words}` in {}", ran.err);
        }
        assert_same(&place, "whole", "run");
    }
}

#[test]
fn a_policy_that_is_lost_is_made_anew() {
    let place = finished();
    let good = place.bytes("whole/policy.safetensors");
    for damage in [None, Some(Vec::new()), Some(good[..good.len() - 1].to_vec())] {
        unfinished(&place);
        fs::copy(place.path("whole/run.json"), place.path("run/run.json")).unwrap();
        let policy = place.path("run/policy.safetensors");
        match damage {
            None => fs::remove_file(&policy).unwrap(),
            Some(bytes) => fs::write(&policy, bytes).unwrap(),
        }
        let error = place.run("eval run --episodes 1").err;
        assert!(error.contains("run/policy.safetensors: "), "{error}");
        assert!(error.contains("`resume run` makes it anew from the last checkpoint"), "{error}");
        let ran = place.ok("resume run");
        assert!(ran.err.contains("warning: run/policy.safetensors: "), "{}", ran.err);
        assert_same(&place, "whole", "run");
        assert!(place.ok("resume run").out.contains("run is finished"));
    }
}

#[test]
fn without_one_good_checkpoint_it_says_what_is_wrong_with_each() {
    let place = finished();
    unfinished(&place);
    let names = checkpoints(&place, "run");
    for name in &names {
        place.write(&format!("run/checkpoints/{name}"), "nothing");
    }
    let before = crate::harness::contents(&place.path("run"));
    let ran = place.run("resume run");
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{}", ran.err);
    for words in names.iter().map(String::as_str).chain(["train --config run/config.toml"]) {
        assert!(ran.err.contains(words), "no `{words}` in {}", ran.err);
    }
    assert!(before == crate::harness::contents(&place.path("run")), "it has changed something");
}

#[test]
fn torn_and_short_logs_are_no_obstacle() {
    let place = finished();
    // What was written after the last checkpoint, and half a line more.
    unfinished(&place);
    let metrics = place.text("run/metrics.jsonl");
    place.write("run/metrics.jsonl", format!("{metrics}{metrics}{{\"event\":\"upda"));
    let episodes = place.text("run/episodes.csv");
    place.write("run/episodes.csv", format!("{episodes}9999,1,0,1,1,terminated\n99"));
    assert_eq!(place.ok("resume run --quiet").err, "");
    assert_same(&place, "whole", "run");

    // A log that was cut short by more than the checkpoint takes for granted: an older one will do.
    unfinished(&place);
    let lines: Vec<&str> = metrics.lines().collect();
    place.write("run/metrics.jsonl", lines[..lines.len() - 2].join("\n") + "\n");
    let ran = place.ok("resume run --quiet");
    assert!(ran.err.contains("metrics.jsonl: it ends at update"), "{}", ran.err);
    assert_same(&place, "whole", "run");

    // Without any checkpoint there is the beginning.
    unfinished(&place);
    fs::remove_dir_all(place.path("run/checkpoints")).unwrap();
    let ran = place.ok("resume run");
    assert!(ran.err.contains("from the beginning"), "{}", ran.err);
    assert_same(&place, "whole", "run");
}

#[test]
fn what_makes_a_run_depend_on_its_length_is_named_with_what_does_not() {
    let place = Place::new();
    let train = |name: &str, sets: &str| {
        place.ok(&format!("train CartPole-v1 --algo dqn --steps 300 --out {name} {sets} --quiet"));
    };
    let sets = "--set dqn.prioritized=true --set eval_episodes=1 --set dqn.learning_starts=100";
    train("scheduled", sets);
    let error = place.run("resume scheduled --steps 600").err;
    for words in ["dqn.exploration_fraction = 0", "dqn.priority_beta = 1"] {
        assert!(error.contains(words), "no `{words}` in {error}");
    }
    let constant = "--set dqn.exploration_fraction=0 --set dqn.priority_beta=1";
    train("constant", &format!("{sets} {constant}"));
    assert!(place.ok("resume constant --steps 600").out.contains("768 steps"));
}

#[test]
fn what_is_finished_is_left_as_it_is() {
    let place = finished();
    let files = |place: &Place| {
        let names = place.names("whole").into_iter().filter(|name| name != "checkpoints");
        names.map(|name| place.bytes(&format!("whole/{name}"))).collect::<Vec<_>>()
    };
    let before = files(&place);
    let ran = place.ok("resume whole");
    assert!(ran.out.contains("whole is finished: 4,096 steps"), "{}", ran.out);
    assert_eq!(place.ok("resume whole --json").json()[0]["event"], "finished");
    assert!(files(&place) == before);
    for (args, words) in [
        ("resume nothing", "nothing: no such run"),
        ("resume whole --jobs 2", "--jobs is for experiments"),
        ("resume whole --steps 0", "at least 1"),
    ] {
        let ran = place.run(args);
        assert_eq!(ran.code, Some(2), "{args}: {}", ran.err);
        assert!(ran.err.contains(words), "{args}: {}", ran.err);
    }
}

#[test]
fn a_run_that_reached_its_goal_does_not_go_beyond_it() {
    let place = Place::new();
    for (name, how) in [("trained", ""), ("evaluated", "--eval-every 2000")] {
        place.train(name, &format!("--steps 1e6 --stop-at 24 {how}"));
        fs::copy(place.path(&format!("{name}/run.json")), place.path("was.json")).unwrap();
        let metrics = place.text(&format!("{name}/metrics.jsonl"));
        fs::remove_file(place.path(&format!("{name}/run.json"))).unwrap();
        let ran = place.ok(&format!("resume {name} --quiet"));
        assert!(ran.out.contains("the mean return asked for is reached"), "{}", ran.out);
        assert_eq!(place.text(&format!("{name}/metrics.jsonl")), metrics);
        let was: serde_json::Value = serde_json::from_str(&place.text("was.json")).unwrap();
        assert_eq!(place.run_json(name)["evaluation"], was["evaluation"]);
    }
}

#[test]
fn two_processes_do_not_share_a_run() {
    let place = Place::new();
    let mut child = start(&place, "train CartPole-v1 --steps 1e12 --out run");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.starts_with(r#"{"event":"update""#)));
    for args in ["resume run", "train CartPole-v1 --out run --force"] {
        let ran = place.run(args);
        assert_eq!(ran.code, Some(2), "{args}: {}", ran.err);
        assert!(ran.err.contains("another process is at work on run"), "{}", ran.err);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What it held died with it.
    place.train("run", "--steps 1 --force");
}

#[test]
fn more_steps_make_the_run_that_had_them_from_the_start() {
    let place = Place::new();
    let constant = "--set ppo.schedule=constant --set ppo.clip_schedule=constant --eval-every 3000";
    place.train("long", &format!("--steps 9000 {constant}"));
    place.train("run", &format!("--steps 4000 {constant}"));
    let done = place.ok("resume run --steps 2000");
    assert!(done.out.contains("run is finished: 4,096 steps"), "{}", done.out);
    fs::remove_file(place.path("run/run.json")).unwrap();
    let ran = place.run("resume run --steps 2000");
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(ran.err.contains("has trained 4096 steps already"), "{}", ran.err);
    place.ok("resume run --steps 9e3 --quiet");
    assert_same(&place, "long", "run");
    assert_eq!(place.text("run/sessions.jsonl").lines().count(), 2, "one for each process");

    // With a schedule over the whole run there is no such thing.
    place.train("falling", "--steps 1000");
    let ran = place.run("resume falling --steps 9000");
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    for words in ["ppo.schedule and ppo.clip_schedule", "train anew with --steps 9000"] {
        assert!(ran.err.contains(words), "{}", ran.err);
    }
    assert_eq!(place.run_json("falling")["steps"], 1024, "a refusal changes nothing");
}

#[test]
fn the_best_policy_is_that_of_the_best_evaluation() {
    let place = Place::new();
    let constant = "--set ppo.schedule=constant --set ppo.clip_schedule=constant";
    place.train("run", &format!("--steps 12000 --eval-every 2000 {constant}"));
    let metrics = place.metrics("run");
    let mean = |line: &serde_json::Value| line["mean_return"].as_f64().unwrap();
    let evaluations = events(&metrics, "evaluation");
    // The first of several equal ones.
    let best = evaluations.iter().rev().max_by(|a, b| mean(a).total_cmp(&mean(b))).unwrap();
    place.train("until", &format!("--steps {} {constant}", best["steps"]));
    assert!(
        place.bytes("run/best.safetensors") == place.bytes("until/policy.safetensors"),
        "the policy after {} steps",
        best["steps"]
    );
    assert!(!place.path("until/best.safetensors").exists(), "there were no evaluations");
}

#[test]
fn another_build_is_warned_of() {
    let place = finished();
    unfinished(&place);
    let sessions = place.text("run/sessions.jsonl");
    let version = format!("\"version\":\"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(sessions.contains(&version), "{sessions}");
    place.write("run/sessions.jsonl", sessions.replace(&version, "\"version\":\"0.0.9\""));
    let ran = place.ok("resume run");
    for words in ["warning: it was trained with elegante 0.0.9", "may round differently"] {
        assert!(ran.err.contains(words), "no `{words}` in {}", ran.err);
    }
    assert_same(&place, "whole", "run");
}

#[test]
fn an_experiment_goes_on_with_the_seeds_that_are_not_finished() {
    let place = Place::new();
    let args = "train CartPole-v1 --seeds 0..4 --steps 6000 --set eval_episodes=5 --jobs 2 \
                --checkpoint-every 1000";
    place.ok(&format!("{args} --out whole --quiet"));
    let mut child = start(&place, &format!("{args} --out run"));
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.starts_with(r#"{"event":"end""#)));
    child.kill().unwrap();
    child.wait().unwrap();
    // Its runs end when they notice that it has gone; the pipe that they write to ends after them.
    lines.for_each(drop);

    let ran = loop {
        let ran = place.run("resume run");
        if !ran.err.contains("another process is at work") {
            break ran;
        }
    };
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    for seed in 0..4 {
        assert_same(&place, &format!("whole/seed-{seed}"), &format!("run/seed-{seed}"));
    }
    for file in ["summary.json", "summary.md", "curves.svg"] {
        let [a, b] = ["whole", "run"].map(|run| place.text(&format!("{run}/{file}")));
        assert_eq!(a, b, "{file}");
    }
    let again = place.ok("resume run");
    assert!(again.err.contains("every seed of run is finished"), "{}", again.err);

    // Two thousand steps more for all of them: not where schedules span the run.
    let ran = place.run("resume run --steps 8000");
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(ran.err.contains("train anew with --steps 8000"), "{}", ran.err);
}

#[cfg(unix)]
#[test]
fn a_disk_that_is_full_for_a_while_costs_nothing_but_time() {
    let place = Place::new();
    let args = "CartPole-v1 --steps 2e4 --checkpoint-every 1000 --eval-every 3000 --seed 3 \
                --set eval_episodes=5 --set network.hidden=[4]";
    place.ok(&format!("train {args} --out whole --quiet"));
    // The logs grow beyond what a file may have, in blocks of 1,024 bytes; a checkpoint would not.
    let log = place.bytes("whole/metrics.jsonl").len();
    let checkpoint = place.bytes(&format!("whole/checkpoints/{}", checkpoints(&place, "whole")[0]));
    assert!(checkpoint.len() < log / 2, "{} and {log} bytes", checkpoint.len());
    let (blocks, elegante) = (log / 2 / 1024, env!("CARGO_BIN_EXE_elegante"));
    let script =
        format!("trap '' XFSZ; ulimit -f {blocks}; exec {elegante} train {args} --out run");
    let mut shell = std::process::Command::new("bash");
    let output = shell.arg("-c").arg(script).current_dir(place.path("")).output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{err}");
    for words in ["warning: run/", "File too large", "training goes on", "error: run/"] {
        assert!(err.contains(words), "no `{words}` in {err}");
    }
    assert_eq!(err.matches("warning: ").count(), 1, "{err}");
    assert!(err.contains("elegante resume run"), "what to do is not said in {err}");
    assert!(!place.path("run/run.json").exists());
    let (some, all) = (checkpoints(&place, "run"), checkpoints(&place, "whole"));
    assert!(!some.is_empty() && some.last() < all.first(), "{some:?}: there was room for a while");

    assert_eq!(place.ok("resume run --quiet").err, "");
    assert_same(&place, "whole", "run");
}
