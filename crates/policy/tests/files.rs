//! Policies on disk: they come back as they were, or not at all.
#![allow(clippy::unwrap_used)] // a panic here is the report

use std::collections::HashMap;

use elegante_policy::{
    ActionHead, Activation, DeviceChoice, Init, MlpConfig, Policy, PolicyConfig, PolicyError,
    params, write_atomic,
};
use rand::SeedableRng;
use rand_pcg::Pcg64;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

fn policy(action: ActionHead, hidden: Vec<usize>) -> Policy {
    let (activation, init) = (Activation::Relu, Init::BurnDefault);
    let network = MlpConfig { hidden, activation, init, ..MlpConfig::default() };
    let config = PolicyConfig::new(3, action, network);
    let device = DeviceChoice::Auto.open().unwrap();
    config.init(&mut Pcg64::seed_from_u64(5), &device).unwrap()
}

fn discrete() -> Policy {
    policy(ActionHead::Categorical { n: 2 }, vec![4])
}

fn continuous() -> Policy {
    let (low, high) = (vec![Some(-0.1), None], vec![Some(1.0 / 3.0), None]);
    policy(ActionHead::Gaussian { low, high, initial_log_std: -0.7 }, vec![2, 3])
}

fn read(bytes: &[u8]) -> Result<Policy, String> {
    Policy::from_safetensors(bytes, &DeviceChoice::Auto.open().unwrap())
}

#[test]
fn a_policy_comes_back_with_its_weights_and_its_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("policy.safetensors");
    for policy in [discrete(), continuous()] {
        policy.save(&path).unwrap();
        let loaded = Policy::load(&path, &DeviceChoice::Auto.open().unwrap()).unwrap();
        assert_eq!(loaded.config(), policy.config());
        assert_eq!(params::flatten(&loaded), params::flatten(&policy));
        assert_eq!(loaded.to_safetensors().unwrap(), std::fs::read(&path).unwrap());
        let observation = [0.3, -1.0, 2.0];
        assert_eq!(loaded.act(&observation).unwrap(), policy.act(&observation).unwrap());
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "temporary files stayed");
}

#[test]
fn not_one_flipped_bit_changes_a_policy_unnoticed() {
    for policy in [discrete(), continuous()] {
        let good = policy.to_safetensors().unwrap();
        let (mut bad, mut unnoticed) = (good.clone(), 0);
        for at in 0..good.len() {
            for bit in 0..8 {
                bad[at] ^= 1 << bit;
                if let Ok(loaded) = read(&bad) {
                    let same = loaded.to_safetensors().unwrap() == good;
                    assert!(same, "byte {at} of {}, bit {bit}", good.len());
                    unnoticed += 1;
                }
                bad[at] = good[at];
            }
        }
        // A bound of 0.33333334 is the same f32 when its last digit is a 5.
        assert!(unnoticed <= 8, "{unnoticed} files were taken for good");
        assert!(read(&bad).is_ok());
    }
}

#[test]
fn a_file_cut_short_or_grown_is_refused() {
    let good = discrete().to_safetensors().unwrap();
    for length in 0..good.len() {
        let error = read(&good[..length]).unwrap_err();
        assert!(error.contains("damaged or cut short"), "{length}: {error}");
    }
    assert!(read(&[good.as_slice(), &[0; 4]].concat()).is_err());
}

/// A tensor: name, shape, values.
type Named<'a> = (&'a str, &'a [usize], &'a [f32]);

/// A file with this header entry and these tensors, as some other program might write it.
fn foreign(header: Option<&str>, tensors: &[Named<'_>]) -> Vec<u8> {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, _, values)| values.iter().flat_map(|x| x.to_le_bytes()).collect())
        .collect();
    let views = tensors.iter().zip(&bytes).map(|((name, shape, _), bytes)| {
        (*name, TensorView::new(Dtype::F32, shape.to_vec(), bytes).unwrap())
    });
    let metadata = header.map(|h| HashMap::from([("elegante.policy".to_owned(), h.to_owned())]));
    safetensors::serialize(views, metadata).unwrap()
}

/// The configuration of a linear policy from one number to two actions.
const LINEAR: &str = r#"{"version":1,"config":{"observation":1,"action":{"kind":"categorical","n":2},"network":{"hidden":[]}}}"#;
const WEIGHT: Named<'_> = ("net.layers.0.weight", &[1, 2], &[0.5, -0.5]);
const BIAS: Named<'_> = ("net.layers.0.bias", &[2], &[0.0, 0.25]);

#[test]
fn other_programs_may_write_policies_without_a_checksum() {
    let policy = read(&foreign(Some(LINEAR), &[WEIGHT, BIAS])).unwrap();
    assert_eq!(params::flatten(&policy), [0.5, -0.5, 0.0, 0.25]);
    // What we write can be read by others: plain tensors under plain names.
    let bytes = policy.to_safetensors().unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(tensors.tensor("net.layers.0.bias").unwrap().shape(), [2]);
}

#[test]
fn files_that_are_no_policy_of_ours_say_why() {
    let infinite: Named = (WEIGHT.0, WEIGHT.1, &[f32::NAN, 1.0]);
    let turned: Named = (WEIGHT.0, &[2, 1], WEIGHT.2);
    let renamed: Named = ("weight", WEIGHT.1, WEIGHT.2);
    let newer = LINEAR.replace("\"version\":1", "\"version\":2,\"what\":0");
    let wide = LINEAR.replace("\"hidden\":[]", "\"hidden\":[1048576,1048576]");
    let huge = LINEAR.replace("\"n\":2", "\"n\":18446744073709551615");
    let odd = LINEAR.replace("categorical", "oracle");
    for (bytes, words) in [
        (foreign(None, &[WEIGHT, BIAS]), "not an elegante policy"),
        (foreign(Some("{}"), &[WEIGHT, BIAS]), "its configuration can't be read"),
        (foreign(Some(&newer), &[WEIGHT, BIAS]), "format 2, and this elegante reads up to 1"),
        (foreign(Some(&odd), &[WEIGHT, BIAS]), "unknown variant `oracle`"),
        (foreign(Some(&wide), &[WEIGHT, BIAS]), "its configuration is invalid: network.hidden"),
        (foreign(Some(&huge), &[WEIGHT, BIAS]), "its configuration is invalid"),
        (foreign(Some(LINEAR), &[WEIGHT]), "holds 2 weights where its configuration describes 4"),
        (foreign(Some(LINEAR), &[renamed, BIAS]), "has no tensor `net.layers.0.weight`"),
        (foreign(Some(LINEAR), &[turned, BIAS]), "of shape [2, 1] where F32 of shape [1, 2]"),
        (foreign(Some(LINEAR), &[infinite, BIAS]), "one of its weights is NaN"),
    ] {
        let error = read(&bytes).unwrap_err();
        assert!(error.contains(words), "no `{words}` in {error}");
    }
}

#[test]
fn a_diverged_policy_is_not_saved_over_a_good_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("policy.safetensors");
    let good = discrete();
    good.save(&path).unwrap();
    let before = std::fs::read(&path).unwrap();
    let mut weights = params::flatten(&good);
    weights[3] = f32::INFINITY;
    let error = params::unflatten(good, &weights).save(&path).unwrap_err().to_string();
    assert!(error.contains("policy.safetensors: not saved, because one of its weights is inf"));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_write_that_fails_names_the_file_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("none/file");
    let error = write_atomic(&missing, b"x").unwrap_err();
    assert!(matches!(&error, PolicyError::Io { path, .. } if *path == missing), "{error}");
    // A directory is in the way of the rename, the last of the steps.
    let taken = dir.path().join("taken");
    std::fs::create_dir_all(taken.join("inside")).unwrap();
    assert!(write_atomic(&taken, b"x").is_err());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "a temporary file stayed");
}

#[test]
fn a_mask_decides_for_a_single_observation_too() {
    let policy = discrete();
    let observation = [0.3, -1.0, 2.0];
    for only in 0..2 {
        let mask: Vec<bool> = (0..2).map(|action| action == only).collect();
        let chosen = policy.distribution(&observation, Some(&mask)).unwrap();
        assert_eq!(chosen.mode().unwrap(), elegante_policy::ActionBatch::Discrete(vec![only]));
    }
    let refused = |mask: &[bool]| policy.distribution(&observation, Some(mask)).unwrap_err();
    assert!(matches!(refused(&[false, false]), PolicyError::NothingValid { row: 0 }));
    assert!(matches!(refused(&[true]), PolicyError::MaskLength { expected: 2, given: 1 }));
    let error = policy.act(&[0.0, f32::NAN, 0.0]).unwrap_err();
    assert!(matches!(error, PolicyError::ObservationNotFinite { index: 1, .. }), "{error}");
    let error = policy.act(&[0.0; 2]).unwrap_err();
    assert!(matches!(error, PolicyError::ObservationLength { expected: 3, given: 2 }), "{error}");
}
