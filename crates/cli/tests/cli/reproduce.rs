//! Same command, same seed: same bytes.

use crate::harness::{Place, contents, timeless};

/// What two equal runs have in common to the last bit.
fn assert_same(place: &Place, a: &str, b: &str) {
    for file in ["policy.safetensors", "episodes.csv"] {
        let [a, b] = [a, b].map(|run| place.bytes(&format!("{run}/{file}")));
        assert!(a == b, "{file} differs");
    }
    // What a run is in the end is the same too, to the last counter and stream.
    let [whole_a, whole_b] = [a, b].map(|run| contents(&place.path(&format!("{run}/checkpoints"))));
    for ((path_a, bytes_a), (path_b, bytes_b)) in whole_a.iter().zip(&whole_b) {
        assert_eq!(path_a.file_name(), path_b.file_name());
        assert!(bytes_a == bytes_b, "{} differs", path_a.display());
    }
    assert_eq!(whole_a.len(), whole_b.len());
    let [metrics_a, metrics_b] = [a, b].map(|run| timeless(place.metrics(run)));
    assert_eq!(metrics_a, metrics_b, "{a} and {b}");
    assert_eq!(place.run_json(a)["evaluation"], place.run_json(b)["evaluation"]);
}

#[test]
fn neither_the_day_nor_the_number_of_threads_changes_a_run() {
    let place = Place::new();
    // One, two and three groups of lanes; the second is not full.
    let ppo = "--set ppo.batch_size=32 --set ppo.epochs=4";
    for (lanes, algo) in [2, 5, 9].into_iter().flat_map(|n| [(n, ppo), (n, "--algo reinforce")]) {
        let more = &format!("--steps 4000 --force {algo}");
        for (run, threads) in [("one", 1), ("again", 1), ("two", 2), ("three", 3)] {
            place.train(run, &format!("{more} --seed 3 --set lanes={lanes} --threads {threads}"));
        }
        for other in ["again", "two", "three"] {
            assert_same(&place, "one", other);
        }
        place.train("other", &format!("{more} --seed 4 --set lanes={lanes}"));
        let policy = |run: &str| place.bytes(&format!("{run}/policy.safetensors"));
        assert_ne!(policy("one"), policy("other"), "{algo}, {lanes} lanes: the seed does nothing");
        place.train("wider", &format!("{more} --seed 3 --set lanes={}", lanes + 1));
        assert_ne!(policy("one"), policy("wider"), "the number of lanes does nothing");
    }
}

#[test]
fn nor_does_it_where_the_rows_of_wide_layers_are_shared_among_threads() {
    let place = Place::new();
    for algo in ["sac", "td3"] {
        let wide =
            "--set network.hidden=[256,256] --set eval_episodes=2 --steps 60 --seed 3 --force";
        let sets = format!("--set {algo}.learning_starts=20 --set {algo}.batch_size=256 {wide}");
        for (run, threads) in [("one", 1), ("two", 2), ("three", 3)] {
            let args = format!("--algo {algo} --threads {threads} --out {run} {sets} --quiet");
            place.ok(&format!("train Pendulum-v1 {args}"));
        }
        ["two", "three"].into_iter().for_each(|other| assert_same(&place, "one", other));
    }
}

#[test]
fn the_configuration_of_a_run_reproduces_it() {
    let place = Place::new();
    let more = "--steps 3000 --seed 11 --kernels portable --set ppo.normalize_observations=true \
                --set network.hidden=[16,8] --set ppo.gamma=0.97 --eval-every 1000 \
                --set env_options.sutton_barto_reward=true --set stop_at=1e3";
    place.train("run", more);
    place.ok("train CartPole-v1 --config run/config.toml --out again --quiet");
    assert_same(&place, "run", "again");
    assert_eq!(place.text("run/config.toml"), place.text("again/config.toml"));
    // A flag wins over the file.
    place.ok("train CartPole-v1 --config run/config.toml --seed 12 --out other --quiet");
    assert_ne!(place.bytes("run/policy.safetensors"), place.bytes("other/policy.safetensors"));
    assert_eq!(place.run_json("other")["seed"], 12);
}

#[test]
fn portable_kernels_are_recorded_and_round_differently_where_the_cpu_can_fuse() {
    let place = Place::new();
    // Forces and rewards are real numbers here, so that an evaluation shows the last bits too.
    let train = |run: &str, more: &str| {
        let sets = "--set ppo.n_steps=64 --set ppo.epochs=2 --set eval_episodes=2";
        let args = "--steps 500 --device flex --quiet";
        place.ok(&format!("train Pendulum-v1 --out {run} {args} {sets} {more}"));
    };
    train("fastest", "");
    train("portable", "--kernels portable");
    train("again", "--kernels portable");
    assert_same(&place, "portable", "again");
    let policy = |run: &str| place.bytes(&format!("{run}/policy.safetensors"));
    assert_eq!(policy("portable") != policy("fastest"), fuses());
    for run in ["portable", "fastest"] {
        assert_eq!(place.run_json(run)["kernels"], run);
        let line = format!("kernels = \"{run}\"");
        assert!(place.text(&format!("{run}/config.toml")).lines().any(|it| it == line), "{line}");
    }
    // The seeds of an experiment, each in a process of its own, are told too.
    train("seeds", "--kernels portable --seeds 0..1");
    assert_eq!(policy("seeds/seed-0"), policy("portable"));

    // A run is evaluated and shown as it was trained, unless somebody asks for something else.
    let eval = |more: &str| place.ok(&format!("eval portable --json {more}")).out;
    assert_eq!(eval(""), eval("--kernels portable"));
    assert_eq!(eval("") != eval("--kernels fastest"), fuses());
    let play = |more: &str| place.ok(&format!("play portable {more}")).out;
    assert_eq!(play(""), play("--kernels portable"));
}

/// Whether this CPU rounds a product and a sum once.
fn fuses() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("fma") && is_x86_feature_detected!("avx2");
    #[cfg(not(target_arch = "x86_64"))]
    return cfg!(target_arch = "aarch64");
}

#[test]
fn config_prints_what_train_reads_and_writes() {
    let place = Place::new();
    let sets = "--set steps=2e3 --set eval_episodes=3 --set reinforce.learning_rate=3e-3";
    let printed = place.ok(&format!("config CartPole-v1 --algo reinforce {sets}"));
    place.write("mine.toml", &printed.out);
    place.ok("train CartPole-v1 --config mine.toml --out run --quiet");
    assert_eq!(place.text("run/config.toml"), printed.out);
    // Every setting stands in it under a comment of its own.
    let settings = printed.out.lines().filter(|line| line.contains(" =") && !line.contains('`'));
    assert!(settings.count() >= 24, "{}", printed.out);
    for line in ["steps = 2000", "learning_rate = 0.003", "# stop_at =", "hidden = [64]"] {
        assert!(printed.out.lines().any(|it| it == line), "no `{line}` in {}", printed.out);
    }
}

#[test]
fn eval_repeats_the_evaluation_that_training_ended_with() {
    let place = Place::new();
    place.ok("train CartPole-v1 --out run --steps 4000 --seed 9 --quiet");
    let eval = |more: &str| place.ok(&format!("eval run --json {more}")).json().pop().unwrap();
    let (repeated, trained) = (eval(""), &place.run_json("run")["evaluation"]);
    for (key, value) in trained.as_object().unwrap() {
        assert_eq!(&repeated[key], value, "{key}");
    }
    assert_eq!(trained["episodes"], 100, "a hundred episodes unless asked otherwise");

    let other = eval("--episodes 7 --seed 1");
    assert_eq!((&other["episodes"], &other["seed"]), (&7.into(), &1.into()));
    assert_ne!(other["mean_return"], repeated["mean_return"]);
    let drawn = eval("--stochastic");
    assert_eq!(
        (&drawn["deterministic"], &repeated["deterministic"]),
        (&false.into(), &true.into())
    );
    assert_ne!(drawn["mean_return"], repeated["mean_return"]);
    assert_eq!(drawn, eval("--stochastic"), "drawn actions have a seed as well");

    let told = place.ok("eval run").out;
    let mean = format!("{:.1} ±", trained["mean_return"].as_f64().unwrap());
    assert!(told.contains(&mean) && told.contains("most probable actions"), "{told}");
}
