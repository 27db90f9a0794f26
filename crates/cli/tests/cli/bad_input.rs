//! What can't be done is said at once, with the word that was wrong and the one that was meant.

use crate::harness::{Place, contents};

/// Arguments, and words that the error must contain. All of them exit with 2.
type Case = (&'static str, &'static [&'static str]);

fn refuses(place: &Place, cases: &[Case]) {
    for (args, words) in cases {
        let ran = place.run(args);
        assert_eq!(ran.code, Some(2), "elegante {args}: {}", ran.err);
        assert_eq!(ran.out, "", "elegante {args}");
        for word in *words {
            assert!(ran.err.contains(word), "elegante {args}: no `{word}` in {}", ran.err);
        }
    }
}

#[test]
fn unknown_names_bring_up_the_known_ones() {
    let place = Place::new();
    refuses(
        &place,
        &[
            ("train CartPoel-v1", &["unknown environment `CartPoel-v1`", "CartPole-v1"]),
            ("config Zzz", &["unknown environment `Zzz`", "CartPole-v0", "CartPole-v1"]),
            ("train CartPole-v1 --algo renforce", &["unknown algorithm `renforce`", "reinforce"]),
            ("train CartPole-v1 --set gama=1", &["--set: unknown key `gama`", "ppo.gamma"]),
            ("train CartPole-v1 --set ppo.lr=1", &["ppo.learning_rate"]),
            (
                "train CartPole-v1 --set reinforce.gamma=1",
                &["a setting of reinforce", "this is ppo", "--algo reinforce"],
            ),
            ("config CartPole-v1 --set hiden=[8]", &["unknown key `hiden`", "network.hidden"]),
            (
                "train CartPole-v1 --set env_options.gravity=1",
                &["unknown key `env_options.gravity`", "env_options.sutton_barto_reward"],
            ),
            (
                "train CartPole-v1 --algo reinforce --set reinforce.estimator=best",
                &["reinforce.estimator = \"best\"", "total-return", "reward-to-go", "baseline"],
            ),
            ("train CartPole-v1 --kernels slow", &["'slow'", "fastest, portable"]),
            ("train CartPole-v1 --set kernels=slow", &["kernels = \"slow\"", "\"portable\""]),
            ("train CartPole-v1 --device cudda", &["unknown device `cudda`", "`cuda`"]),
            ("train CartPole-v1 --set device=gpu", &["`gpu`", "auto, flex, ndarray, wgpu"]),
            ("train CartPole-v1 --config none.toml", &["none.toml: No such file"]),
            ("eval none", &["none: no such run"]),
            ("play none", &["none: no such run"]),
            ("trian CartPole-v1", &["'trian'", "'train'"]),
            ("train CartPole-v1 --stesp 3", &["'--stesp'", "'--steps'"]),
            ("train", &["<ENV>"]),
        ],
    );
    assert!(place.names("").is_empty(), "a refused command has left something");
}

#[test]
fn runs_side_by_side_need_room_together() {
    let place = Place::new();
    let mut command = "train CartPole-v1 --algo dqn --steps 999999999999".to_owned();
    let refused = |command: &str| {
        let ran = place.run(command);
        assert_eq!(ran.code, Some(2), "{command}: {}", ran.err);
        ran.err
    };
    let error = refused(&format!("{command} --set dqn.buffer_size=999999999999"));
    let fit = error.split("at most ").nth(1).unwrap().split(' ').next().unwrap();
    // One has room, and two have not.
    let some = fit.parse::<f64>().unwrap() * 0.7;
    command += &format!(" --set dqn.buffer_size={some:.0} --seeds 0..2 --jobs 2");
    let error = refused(&command);
    assert!(error.contains("2 of 2 runs side by side, of which --jobs can make fewer"), "{error}");
    assert!(error.contains("the machine has"), "{error}");
    assert!(place.names("").is_empty(), "a refused command has left something");
}

#[test]
fn a_buffer_that_cut_off_episodes_make_larger_than_it_may_be_ends_the_run() {
    let place = Place::new();
    // 205 bytes for each step, and every one of them ends an episode.
    let ran = place.run(
        "train CliffWalking-v1 --algo dqn --steps 2000 --set dqn.learning_starts=2000 --out run \
         --set env_options.max_episode_steps=1 --set dqn.buffer_memory=415000",
    );
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    for words in ["dqn.buffer_size: the replay buffer", "were cut off", "dqn.buffer_memory allows"]
    {
        assert!(ran.err.contains(words), "no `{words}` in {}", ran.err);
    }
}

#[test]
fn a_run_that_is_over_before_anything_is_learnt_says_so() {
    let place = Place::new();
    // Rounds of 256 steps are made whole.
    for (starts, learns) in [(511, true), (512, false)] {
        let ran = place.ok(&format!(
            "train CartPole-v1 --algo dqn --steps 300 --set eval_episodes=1 \
             --set dqn.learning_starts={starts} --out run{starts}"
        ));
        assert_eq!(!ran.err.contains("nothing will be learnt"), learns, "{}", ran.err);
        let lines = place.metrics(&format!("run{starts}"));
        assert_eq!(lines.iter().any(|line| line["loss"].is_number()), learns, "{lines:?}");
    }
}

#[test]
fn a_target_entropy_that_no_policy_has_is_refused() {
    let place = Place::new();
    refuses(
        &place,
        &[
            (
                "train Pendulum-v1 --algo sac --set sac.target_entropy=1",
                &["sac.target_entropy = 1", "below 0.6931 (1 ln 2)"],
            ),
            (
                "train CartPole-v1 --algo sac --set sac.target_entropy=0.7",
                &["sac.target_entropy = 0.7", "below 0.6931 (ln 2)"],
            ),
        ],
    );
}

#[test]
fn what_replay_can_not_do_is_said_before_training() {
    let place = Place::new();
    refuses(
        &place,
        &[
            (
                "train CartPole-v1 --algo dqn --set dqn.buffer_memory=1000",
                &["dqn.buffer_size = ", "1.4 MiB", "dqn.buffer_memory allows 1000 bytes", "34"],
            ),
            (
                "train CartPole-v1 --algo dqn --steps 999999999999 --set dqn.buffer_size=999999999999 \
                 --set dqn.buffer_memory=99999999999999999",
                &["26.4 TiB", "the machine has", "transitions fit"],
            ),
            ("train Pendulum-v1 --algo dqn", &["DQN chooses one of several actions"]),
            ("train CartPole-v1 --algo td3", &["TD3 chooses a point of a box", "Discrete(2)"]),
            (
                "train Pendulum-v1 --algo ddpg --set ddpg.noise=ou",
                &["ddpg.noise = \"ou\"", "normal"],
            ),
            ("train CartPole-v1 --algo dqn --set dqn.loss=hubber", &["\"hubber\"", "huber"]),
            ("train CartPole-v1 --algo dqn --set td3.tau=1", &["td3.tau", "--algo td3"]),
            ("train CartPole-v1 --algo dqn --set dqn.batch_size=0", &["dqn.batch_size = 0"]),
        ],
    );
    assert!(place.names("").is_empty(), "a refused command has left something");
}

#[test]
fn a_device_that_is_not_compiled_in_says_what_to_build() {
    let place = Place::new();
    place.train("run", "--steps 1");
    let built: Vec<&str> = [
        ("flex", cfg!(feature = "flex")),
        ("ndarray", cfg!(feature = "ndarray")),
        ("wgpu", cfg!(feature = "wgpu")),
        ("cuda", cfg!(feature = "cuda")),
    ]
    .into_iter()
    .filter_map(|(name, built)| built.then_some(name))
    .collect();
    for device in ["flex", "ndarray", "wgpu", "cuda"].iter().filter(|d| !built.contains(d)) {
        for command in ["train CartPole-v1", "eval run", "play run"] {
            let ran = place.run(&format!("{command} --device {device}"));
            assert_eq!(ran.code, Some(2));
            assert!(ran.err.contains(&format!("`--features {device}`")), "{}", ran.err);
            assert!(ran.err.contains(&built.join(", ")), "{}", ran.err);
        }
    }
}

#[test]
fn absurd_numbers_are_refused_with_what_would_do() {
    let place = Place::new();
    place.train("run", "--steps 1");
    refuses(
        &place,
        &[
            ("train CartPole-v1 --steps -1", &["--steps", "a whole number is needed"]),
            ("train CartPole-v1 --steps 0", &["--steps: steps = 0", "at least 1"]),
            ("train CartPole-v1 --set steps=-1", &["steps = -1", "0 or more"]),
            ("train CartPole-v1 --set steps=1e30", &["whole number", "below 2⁶³"]),
            ("train CartPole-v1 --set steps=fast", &["steps = \"fast\""]),
            ("train CartPole-v1 --seed -1", &["'--seed <N>'", "-1"]),
            ("train CartPole-v1 --seed 18446744073709551615", &["--seed", "below 2⁶³"]),
            ("train CartPole-v1 --set lanes=0", &["lanes = 0", "between 1 and 65536"]),
            ("train CartPole-v1 --set lanes=1e18", &["lanes = 1000000000000000000", "65536"]),
            ("train CartPole-v1 --threads 1e6", &["--threads: threads = 1000000", "at most 4096"]),
            ("train CartPole-v1 --set eval_episodes=0", &["eval_episodes = 0"]),
            ("train CartPole-v1 --stop-at nan", &["stop_at = NaN"]),
            (
                "train CartPole-v1 --algo reinforce --set reinforce.gamma=2",
                &["reinforce.gamma = 2", "0 and 1"],
            ),
            (
                "train CartPole-v1 --algo reinforce --set reinforce.gamma=-0.1",
                &["reinforce.gamma = -0.1"],
            ),
            (
                "train CartPole-v1 --algo reinforce --set reinforce.gamma=nan",
                &["reinforce.gamma = NaN"],
            ),
            (
                "train CartPole-v1 --algo reinforce --set reinforce.learning_rate=nan",
                &["learning_rate = NaN"],
            ),
            (
                "train CartPole-v1 --algo reinforce --set reinforce.learning_rate=0",
                &["learning_rate = 0"],
            ),
            (
                "train CartPole-v1 --algo reinforce --set reinforce.learning_rate=inf",
                &["learning_rate = inf"],
            ),
            (
                "train CartPole-v1 --algo reinforce --set reinforce.value_learning_rate=-1",
                &["learning_rate = -1"],
            ),
            (
                "train CartPole-v1 --algo reinforce --set reinforce.batch_steps=0",
                &["batch_steps = 0"],
            ),
            (
                "train CartPole-v1 --algo reinforce --set reinforce.batch_steps=1e12",
                &["batch_steps", "2³⁰"],
            ),
            (
                "train CartPole-v1 --algo reinforce --set reinforce.value_epochs=0",
                &["value_epochs = 0"],
            ),
            (
                "train CartPole-v1 --algo reinforce --set reinforce.max_grad_norm=-1",
                &["max_grad_norm = -1"],
            ),
            (
                "train CartPole-v1 --algo reinforce --set reinforce.entropy_coef=-1",
                &["entropy_coef = -1"],
            ),
            (
                "train CartPole-v1 --algo reinforce --set reinforce.adam_epsilon=0",
                &["adam_epsilon = 0"],
            ),
            (
                "train CartPole-v1 --algo reinforce --set reinforce.initial_log_std=99",
                &["initial_log_std = 99"],
            ),
            ("train CartPole-v1 --set ppo.gamma=2", &["ppo.gamma = 2", "0 and 1"]),
            ("train CartPole-v1 --set ppo.learning_rate=0", &["ppo.learning_rate = 0"]),
            ("train CartPole-v1 --set ppo.n_steps=0", &["ppo.n_steps = 0"]),
            ("train CartPole-v1 --set ppo.epochs=0", &["ppo.epochs = 0"]),
            ("train CartPole-v1 --set ppo.clip_range=-1", &["ppo.clip_range = -1"]),
            ("train CartPole-v1 --set network.hidden=[0]", &["network.hidden", "one unit"]),
            ("train CartPole-v1 --set network.hidden=[-1]", &["network.hidden"]),
            ("train CartPole-v1 --set network.hidden=[1000000000]", &["network.hidden", "2³⁰"]),
            ("train CartPole-v1 --set network.hidden=64", &["a list of whole numbers"]),
            ("train CartPole-v1 --set network.activation=gelu", &["\"tanh\" or \"relu\""]),
            ("train CartPole-v1 --set env=CartPole-v0", &["named by the command itself"]),
            ("train CartPole-v1 --set steps", &["`steps` is not a setting", "key=value"]),
            ("eval run --episodes 0", &["episodes = 0", "between 1 and 1000000"]),
            ("eval run --episodes 1e12", &["episodes = 1000000000000", "between 1 and 1000000"]),
            ("eval run --episodes -1", &["--episodes", "a whole number is needed"]),
            ("play run --fps 0", &["--fps", "1..=1000"]),
        ],
    );
    assert_eq!(place.names(""), ["run"], "a refused command has left something");
}

#[test]
fn a_configuration_file_is_told_where_it_is_wrong() {
    let place = Place::new();
    let cases = [
        ("steps = 10\nsteps = 20", "not valid TOML"),
        ("steps = ", "not valid TOML"),
        ("stepz = 10", "unknown key `stepz`; the nearest are steps"),
        ("[ppo]\ngama = 1.0", "unknown key `ppo.gama`; the nearest are ppo.gamma"),
        ("ppo = 3", "a table"),
        ("[reinforce]\ngamma = 1.0", "write algo = \"reinforce\" in the file"),
        ("lanes = 0", "lanes = 0: it must be between 1 and 65536"),
        ("env = 3", "env = 3: it must be a string"),
        ("env = \"CartPole-v0\"", "this configuration is for env `CartPole-v0`"),
        ("algo = \"trpo\"", "unknown algorithm `trpo`"),
        ("device = \"tpu\"", "mine.toml: unknown device `tpu`"),
    ];
    for (text, words) in cases {
        place.write("mine.toml", text);
        let ran = place.run("train CartPole-v1 --config mine.toml");
        assert_eq!(ran.code, Some(2), "{text}: {}", ran.err);
        assert!(ran.err.contains(words), "{text}: no `{words}` in {}", ran.err);
        let known = words.contains("unknown algorithm");
        assert!(known || ran.err.contains("mine.toml"), "{text}: no file in {}", ran.err);
    }
    place.write("mine.toml", [0xff, 0xfe, 0x00]);
    let ran = place.run("train CartPole-v1 --config mine.toml");
    assert!(ran.code != Some(0) && ran.err.contains("mine.toml"), "{}", ran.err);
}

#[test]
fn numbers_that_blow_up_end_the_run_with_what_was_good_saved() {
    let place = Place::new();
    let args = "train CartPole-v1 --out run --steps 4000 --quiet";
    let ran = place.run(&format!("{args} --set ppo.learning_rate=1e300"));
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("update 1: the new weight is"), "{}", ran.err);
    assert!(ran.err.contains("is saved in run"), "{}", ran.err);
    assert_eq!(place.run_json("run")["stop"], "failed");
    let untrained = place.ok("eval run --episodes 3 --json").json();
    assert!(untrained[0]["mean_return"].as_f64().unwrap() >= 1.0, "the weights are from before");
}

#[test]
fn a_place_that_cant_be_written_is_named() {
    let place = Place::new();
    place.write("file", "precious");
    for out in ["file", "file/run"] {
        let ran = place.run(&format!("train CartPole-v1 --steps 1 --out {out}"));
        assert_eq!(ran.code, Some(1), "{out}: {}", ran.err);
        assert!(ran.err.contains(out), "{out}: {}", ran.err);
    }
    assert_eq!(place.text("file"), "precious");
    place.train("run", "--steps 1");
    let ran = place.run("play run --gif none/film.gif");
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("none/film.gif: No such file"), "{}", ran.err);
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_stays_full_is_an_error_with_the_name_of_the_file() {
    use std::process::Command;
    let binary = env!("CARGO_BIN_EXE_elegante");
    // `ulimit -f` counts blocks of 512 or 1,024 bytes, as the shell likes; the signal that comes
    // with the limit is ignored, as a full disk sends none.
    let on_disk_of = |place: &Place, blocks: u32, args: &str| {
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec {binary} {args}");
        let mut shell = Command::new("sh");
        let output = shell.args(["-c", &script]).current_dir(place.path("")).output().unwrap();
        crate::harness::Ran::new(args, output)
    };

    // Too full for the first file.
    let place = Place::new();
    let ran = on_disk_of(&place, 1, "train CartPole-v1 --steps 1 --out run");
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("run/config.toml"), "{}", ran.err);
    assert_eq!(place.names("run"), [".lock"], "a half-written configuration stayed");

    // Full after some updates and to the end: the logs stop, and no policy is half there.
    let args = "train CartPole-v1 --steps 2e4 --out long --quiet";
    let ran = on_disk_of(&place, 12, args);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    let log = ["long/metrics.jsonl", "long/episodes.csv"].iter().any(|log| ran.err.contains(log));
    assert!(log, "{}", ran.err);
    let left = [".lock", "config.toml", "episodes.csv", "metrics.jsonl", "sessions.jsonl"];
    assert_eq!(place.names("long"), left);

    // Nobody can be told the result.
    let script = format!("{binary} train CartPole-v1 --json --steps 1 --out told > /dev/full");
    let mut shell = Command::new("sh");
    let ran = shell.args(["-c", &script]).current_dir(place.path("")).output().unwrap();
    assert_eq!(ran.status.code(), Some(1));
    let err = String::from_utf8(ran.stderr).unwrap();
    assert!(err.contains("standard output: No space left on device"), "{err}");
    assert!(contents(&place.path("told")).len() >= 3);
}
