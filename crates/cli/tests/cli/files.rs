//! Damaged and foreign files in a run directory.

use elegante::{
    DeviceChoice,
    env::EnvRng,
    policy::{ActionHead, MlpConfig, PolicyConfig},
};

use crate::harness::Place;

/// Both commands that read a run refuse it, and name what is wrong.
fn refused(place: &Place, words: &[&str]) {
    for command in ["eval run --json", "play run", "play run --gif film.gif"] {
        let ran = place.run(command);
        assert_eq!(ran.code, Some(1), "{command}: {}", ran.err);
        assert_eq!(ran.out, "", "{command}");
        for word in words {
            assert!(ran.err.contains(word), "{command}: no `{word}` in {}", ran.err);
        }
    }
    assert!(!place.path("film.gif").exists());
}

fn run() -> (Place, Vec<u8>) {
    let place = Place::new();
    place.train("run", "--steps 1");
    let policy = place.bytes("run/policy.safetensors");
    (place, policy)
}

#[test]
fn a_damaged_policy_is_refused_wherever_the_damage_is() {
    let (place, good) = run();
    let file = "run/policy.safetensors";
    for length in [0, 1, 7, 8, 100, good.len() / 2, good.len() - 1] {
        place.write(file, &good[..length]);
        refused(&place, &[file, "damaged or cut short"]);
    }
    // In the length of the header, in the header, in the first weight and in the last.
    for (at, words) in
        [(2, "damaged"), (40, file), (good.len() - 900, "damaged"), (good.len() - 1, "damaged")]
    {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        place.write(file, &bad);
        refused(&place, &[file, words]);
    }
    place.write(file, "{\"weights\": \"of paper\"}");
    refused(&place, &[file, "damaged"]);
    let checkpoint = place.names("run/checkpoints").remove(0);
    place.write(file, place.bytes(&format!("run/checkpoints/{checkpoint}")));
    refused(&place, &[file, "not an elegante policy"]);
    place.write(file, &good);
    place.ok("eval run --episodes 1");
}

#[test]
fn a_policy_of_another_environment_is_refused_with_both_shapes() {
    let (place, _) = run();
    let device = DeviceChoice::Auto.open().unwrap();
    let gaussian =
        ActionHead::Gaussian { low: vec![None; 2], high: vec![None; 2], initial_log_std: 0.0 };
    for (observation, action) in [
        (3, ActionHead::Categorical { n: 2 }),
        (4, ActionHead::Categorical { n: 3 }),
        (4, gaussian),
    ] {
        let config = PolicyConfig::new(observation, action, MlpConfig::default());
        let outputs = config.action.outputs();
        let policy = config.init(&mut EnvRng::new(0), &device).unwrap();
        policy.save(place.path("run/policy.safetensors")).unwrap();
        let takes = format!("takes {observation} observations and has {outputs} outputs");
        refused(&place, &["policy.safetensors", &takes, "CartPole-v1 has 4 observations"]);
    }
}

#[test]
fn a_run_without_one_of_its_files_says_which() {
    let (place, policy) = run();
    std::fs::remove_file(place.path("run/policy.safetensors")).unwrap();
    refused(&place, &["run/policy.safetensors: No such file", "`resume run` makes it anew"]);
    place.write("run/policy.safetensors", policy);
    let config = place.text("run/config.toml");
    std::fs::remove_file(place.path("run/config.toml")).unwrap();
    refused(&place, &["run has no config.toml"]);
    for (damage, words) in [
        (config.replace("gamma =", "gamm ="), "unknown key `ppo.gamm`"),
        (config.replace("CartPole-v1", "CartPole-v9"), "unknown environment `CartPole-v9`"),
        (config[..config.len() / 2].to_owned() + "\n= =", "not valid TOML"),
    ] {
        place.write("run/config.toml", damage);
        let ran = place.run("eval run");
        assert_eq!(ran.code, Some(2), "{}", ran.err);
        assert!(ran.err.contains(words), "no `{words}` in {}", ran.err);
    }
}
