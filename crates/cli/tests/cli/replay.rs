//! Updates that go wrong: kept, named, made once more.

use crate::harness::Place;

const BAD: &str = "train CartPole-v1 --out run --steps 4000 --quiet --set ppo.learning_rate=1e300";

#[test]
fn a_failed_run_leaves_a_record_that_fails_again() {
    let place = Place::new();
    let ran = place.run(BAD);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("first to go bad: new weight policy."), "{}", ran.err);
    assert!(ran.err.contains("elegante replay run"), "{}", ran.err);

    let files = place.names("run");
    let told = place.run("replay run");
    assert_eq!((told.code, told.err.as_str()), (Some(1), ""), "{}", told.out);
    for words in ["update      1, after 0 steps", "the same again", "← [", "smallest", "ratio"] {
        assert!(told.out.contains(words), "no `{words}` in {}", told.out);
    }
    assert!(!told.out.contains('\x1b'), "no colours in a pipe");

    let told = place.run("replay run/failure.safetensors --json");
    assert_eq!(told.code, Some(1));
    let line = &told.json()[0];
    assert_eq!(line["event"], "replay");
    assert_eq!((&line["reproduced"], &line["replayed"]), (&true.into(), &line["recorded"]));
    assert_eq!(place.names("run"), files, "a replay writes nothing");

    // A new run in its place takes the record away.
    place.train("run", "--steps 500 --force");
    assert!(!place.path("run/failure.safetensors").exists());
    let ran = place.run("replay run");
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("run has no record of a failed update"), "{}", ran.err);
}

#[test]
fn no_good_file_is_replaced_by_a_bad_one() {
    let place = Place::new();
    place.run(BAD);
    // The weights are those from before the first update.
    place.ok("eval run --episodes 3 --json");
    assert_eq!(place.run_json("run")["stop"], "failed");
}

#[test]
fn a_limit_that_is_set_ends_the_run() {
    let place = Place::new();
    let args = "train CartPole-v1 --algo a2c --out run --steps 4000 --quiet";
    let ran = place.run(&format!("{args} --set guard.max_kl=1e-9"));
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("beyond guard.max_kl = 0.000000001"), "{}", ran.err);
    let told = place.run("replay run");
    assert!(told.code == Some(1) && told.out.contains("approx_kl"), "{}", told.out);
    let ran = place.run("train CartPole-v1 --set guard.max_kl=-1");
    assert!(ran.code == Some(2) && ran.err.contains("guard.max_kl = -1"), "{}", ran.err);
}

#[test]
fn a_damaged_record_is_named() {
    let place = Place::new();
    place.run(BAD);
    let file = "run/failure.safetensors";
    let mut bytes = place.bytes(file);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    place.write(file, &bytes);
    let ran = place.run("replay run");
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains(file) && ran.err.contains("damaged"), "{}", ran.err);
    assert_eq!(place.run("replay nowhere").code, Some(2));
}
