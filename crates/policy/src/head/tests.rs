use burn::tensor::{Device, TensorData};
use rand::SeedableRng;
use rand_pcg::Pcg64;

use super::*;
use crate::{DeviceChoice, Exploration, MlpConfig, Policy, PolicyConfig, params};

/// One of each kind, in two dimensions where there are any.
fn heads() -> Vec<ActionHead> {
    let (low, high) = (vec![-2.0, 1.0], vec![2.0, 5.0]);
    let open = (vec![Some(-2.0), None], vec![Some(2.0), None]);
    let gsde = |low, high, squash| ActionHead::Gsde {
        low,
        high,
        initial_log_std: -1.0,
        learn_features: false,
        squash,
    };
    let closed = |bounds: &[f32]| bounds.iter().copied().map(Some).collect::<Vec<_>>();
    vec![
        ActionHead::Categorical { n: 3 },
        ActionHead::MultiCategorical { ns: vec![3, 2] },
        ActionHead::Bernoulli { n: 2 },
        ActionHead::Gaussian { low: open.0.clone(), high: open.1.clone(), initial_log_std: 0.5 },
        ActionHead::SquashedGaussian { low: low.clone(), high: high.clone() },
        ActionHead::Beta { low: low.clone(), high: high.clone() },
        gsde(open.0, open.1, false),
        gsde(closed(&low), closed(&high), true),
        ActionHead::EpsilonGreedy {
            values: ActionValues { n: 3, dueling: false, quantiles: 1 },
            epsilon: 0.1,
        },
        ActionHead::EpsilonGreedy {
            values: ActionValues { n: 3, dueling: true, quantiles: 4 },
            epsilon: 1.0,
        },
        ActionHead::Deterministic { low, high },
    ]
}

fn config(action: ActionHead) -> PolicyConfig {
    let network = MlpConfig { hidden: vec![6, 5], ..MlpConfig::default() };
    PolicyConfig::new(3, action, network)
}

fn policy(action: ActionHead, device: &Device) -> Policy {
    config(action).init(&mut Pcg64::seed_from_u64(1), device).unwrap()
}

fn observations(device: &Device) -> Tensor<2> {
    Tensor::from_data([[0.5f32, -1.0, 2.0], [0.0, 3.0, 0.1]], device)
}

#[test]
fn every_head_draws_actions_of_its_kind_that_it_can_judge_and_an_environment_can_take() {
    let device = DeviceChoice::Auto.open().unwrap();
    for head in heads() {
        let policy = policy(head.clone(), &device);
        let π = policy.forward(observations(&device), None);
        let mut rng = Pcg64::seed_from_u64(2);
        let mut streams = [rng.clone(), Pcg64::seed_from_u64(3)];
        let mut batch = head.no_actions();
        let (drawn, mode) = (π.sample(&mut streams).unwrap(), π.mode().unwrap());
        for actions in [&drawn, &mode] {
            assert_eq!((actions.rows(), actions.dims()), (2, head.dims()), "{head:?}");
            batch.append(actions);
            let log_prob = π.log_prob(actions.to_tensor(&device)).into_data();
            assert!(log_prob.iter::<f32>().all(f32::is_finite), "{head:?}");
        }
        assert_eq!(batch.rows(), 4);
        assert_eq!(π.entropy().dims(), [2]);
        // A row by itself gives what it gave among others.
        let again = policy.sample(&[0.5, -1.0, 2.0], &mut rng).unwrap();
        let mut first = head.no_actions();
        first.push_row(&policy.to_env(drawn), 0);
        assert_eq!(again, first, "{head:?}");
    }
}

#[test]
fn every_distribution_is_the_same_without_autodiff() {
    let device = DeviceChoice::Auto.open().unwrap().autodiff();
    for head in heads() {
        let π = policy(head.clone(), &device).forward(observations(&device), None);
        let plain = π.valid();
        let actions = plain.mode().unwrap();
        let both = [
            (π.entropy(), plain.entropy()),
            (
                π.log_prob(actions.to_tensor(&device)),
                plain.log_prob(actions.to_tensor(&device.clone().inner())),
            ),
        ];
        for (with, without) in both {
            assert!(with.is_autodiff() && !without.is_autodiff(), "{head:?}");
            let [with, without] =
                [with, without].map(|x| x.into_data().iter::<f32>().collect::<Vec<_>>());
            assert_eq!(with, without, "{head:?}");
        }
    }
}

#[test]
fn files_bring_every_head_back_to_the_last_bit() {
    let device = DeviceChoice::Auto.open().unwrap();
    for head in heads() {
        let policy = policy(head.clone(), &device);
        let weights = params::flatten(&policy);
        assert_eq!(config(head.clone()).parameter_count().unwrap(), weights.len());
        let bytes = policy.to_safetensors().unwrap();
        let back = Policy::from_safetensors(&bytes, &device).unwrap();
        assert_eq!(back.config(), policy.config());
        assert_eq!(params::flatten(&back), weights, "{head:?}");
        let observation = [0.5, -1.0, 2.0];
        assert_eq!(back.act(&observation).unwrap(), policy.act(&observation).unwrap());
    }
}

#[test]
fn a_file_of_another_shape_or_with_unknown_words_is_refused() {
    let device = DeviceChoice::Auto.open().unwrap();
    let gsde = |head: &ActionHead| matches!(head, ActionHead::Gsde { .. });
    let head = heads().into_iter().rfind(gsde).unwrap();
    let bytes = policy(head, &device).to_safetensors().unwrap();
    let swap = |from: &str, to: &str| {
        // The same length, so that the offsets in the file stay right.
        assert_eq!(from.len(), to.len());
        let at = bytes.windows(from.len()).position(|w| w == from.as_bytes()).unwrap();
        let mut bytes = bytes.clone();
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        Policy::from_safetensors(&bytes, &device).unwrap_err()
    };
    assert!(swap("learn_features", "learn_featurez").contains("learn_featurez"));
    assert!(swap("gsde", "beta").contains("unknown field"));
    assert!(swap("[6,5]", "[5,6]").contains("architecture"));
}

#[test]
fn what_an_environment_takes_lies_within_the_bounds_and_fills_them() {
    let given = ActionBatch::Continuous { values: vec![-9.0, -9.0, 0.0, 0.0, 9.0, 9.0], dims: 2 };
    let beta = ActionBatch::Continuous { values: vec![1e-7, 0.25, 0.5, 0.75, 1.0, 1.0], dims: 2 };
    let taken = |head: &ActionHead, given: &ActionBatch| match head.to_env(given.clone()) {
        ActionBatch::Continuous { values, .. } => values,
        other => panic!("{other:?}"),
    };
    let [_, _, _, gaussian, squashed, beta_head, gsde, squashed_gsde, ..] = &heads()[..] else {
        panic!("eight heads and more");
    };
    let clipped = [-2.0, -9.0, 0.0, 0.0, 2.0, 9.0];
    assert_eq!(taken(gaussian, &given), clipped);
    assert_eq!(taken(gsde, &given), clipped);
    for head in [squashed, squashed_gsde] {
        let values = taken(head, &given);
        assert_eq!(values[2..4], [0.0, 3.0]);
        for (value, end) in [(0, -2.0), (1, 1.0), (4, 2.0), (5, 5.0)] {
            assert!((values[value] - end).abs() < 1e-6, "{values:?}");
        }
        let one = ActionBatch::Continuous { values: vec![0.5, 0.5], dims: 2 };
        let expected = 2.0 * 0.5f64.tanh();
        assert!((f64::from(taken(head, &one)[0]) - expected).abs() < 1e-6);
    }
    let values = taken(beta_head, &beta);
    assert!((values[0] + 2.0).abs() < 1e-6);
    assert_eq!(values[1..], [2.0, 0.0, 4.0, 2.0, 5.0]);
    let far = ActionBatch::Continuous { values: vec![f32::MAX, f32::MIN], dims: 2 };
    assert_eq!(taken(squashed, &far), [2.0, 1.0]);
    let certain = heads().pop().unwrap();
    let halves = ActionBatch::Continuous { values: vec![-0.5, 0.5, -1.5, 1.0], dims: 2 };
    assert_eq!(taken(&certain, &halves), [-1.0, 4.0, -2.0, 5.0]);
}

#[test]
fn masks_reach_every_discrete_head_and_one_that_leaves_nothing_is_found() {
    let device = DeviceChoice::Auto.open().unwrap();
    let [categorical, multi, bernoulli, gaussian, ..] = &heads()[..] else {
        panic!("eight heads");
    };
    let row = |head: &ActionHead, valid: &[bool]| {
        let valid = Tensor::from_data(TensorData::new(valid.to_vec(), [1, valid.len()]), &device);
        let observation = observations(&device).narrow(0, 0, 1);
        policy(head.clone(), &device).forward(observation, Some(valid)).mode().unwrap()
    };
    for only in 0..3 {
        let valid: Vec<bool> = (0..3).map(|i| i == only).collect();
        assert_eq!(row(categorical, &valid), ActionBatch::Discrete(vec![only]));
        let valid: Vec<bool> = valid.into_iter().chain([false, true]).collect();
        let expected = ActionBatch::MultiDiscrete { values: vec![only, 1], dims: 2 };
        assert_eq!(row(multi, &valid), expected);
    }
    let unset = ActionBatch::MultiBinary { values: vec![false; 2], dims: 2 };
    assert_eq!(row(bernoulli, &[false, false]), unset);

    let (t, f) = (true, false);
    assert!(categorical.check_mask(&[]).is_ok());
    assert!(categorical.check_mask(&[f, t, f, t, t, t]).is_ok());
    let error = categorical.check_mask(&[f, t, f, f, f, f]).unwrap_err();
    assert!(matches!(error, PolicyError::NothingValid { row: 1 }), "{error}");
    assert!(multi.check_mask(&[f, t, f, t, f]).is_ok());
    let error = multi.check_mask(&[t, t, t, f, f]).unwrap_err();
    assert!(matches!(error, PolicyError::NothingValidIn { row: 0, component: 1 }), "{error}");
    let error = multi.check_mask(&[t, t, t, t, t, f, f, f, t, t]).unwrap_err();
    assert!(matches!(error, PolicyError::NothingValidIn { row: 1, component: 0 }), "{error}");
    assert!(bernoulli.check_mask(&[f, f]).is_ok());
    assert!(gaussian.check_mask(&[f, f]).is_ok());
}

#[test]
fn exploration_is_held_by_gsde_alone_and_shapes_features_only_if_asked_to() {
    let device = DeviceChoice::Auto.open().unwrap().autodiff();
    for head in heads() {
        let mut rng = Pcg64::seed_from_u64(4);
        let acting = policy(head.clone(), &device).valid();
        let held = acting.exploration(&mut rng);
        let π = acting.forward(observations(&device.clone().inner()), None);
        let mut streams = [Pcg64::seed_from_u64(5), Pcg64::seed_from_u64(6)];
        let untouched = streams.clone();
        let mut explore = || {
            let lanes = streams.iter_mut().map(|stream| (&held, stream));
            π.explore(lanes).unwrap()
        };
        let first = explore();
        let ActionHead::Gsde { low, high, initial_log_std, squash, .. } = head else {
            assert_eq!(held, Exploration::default(), "{head:?}");
            assert_eq!(rng, Pcg64::seed_from_u64(4), "nothing drawn");
            assert_eq!(first, π.sample(&mut untouched.clone()).unwrap());
            continue;
        };
        assert_eq!(held.noise().len(), 5 * 2);
        assert_eq!(first, explore());
        assert_eq!(streams, untouched, "nothing drawn");

        // The entropy knows only σ and the features: with them detached, only σ learns from it.
        for learn_features in [false, true] {
            let (low, high) = (low.clone(), high.clone());
            let head = ActionHead::Gsde { low, high, initial_log_std, learn_features, squash };
            let policy = policy(head, &device);
            let π = policy.forward(observations(&device), None);
            let log_prob = π.log_prob(π.mode().unwrap().to_tensor(&device));
            let mut gradients = log_prob.sum().backward();
            let flat = params::flatten_gradients(&policy, &mut gradients);
            let first_layer = flat[..18].iter().any(|g| *g != 0.0);
            // At the mode the mean's own gradient is 0.
            assert_eq!(first_layer, learn_features, "squash {squash}: {flat:?}");
            assert!(flat[flat.len() - 10..].iter().all(|g| *g != 0.0), "σ always learns");
        }
    }
}

#[test]
fn heads_that_make_no_sense_are_refused_by_name() {
    let bad = |head: ActionHead| config(head).parameter_count().unwrap_err().to_string();
    for ns in [vec![], vec![3, 0]] {
        let error = bad(ActionHead::MultiCategorical { ns });
        assert!(error.starts_with("action.ns"), "{error}");
    }
    let error = bad(ActionHead::MultiCategorical { ns: vec![usize::MAX, usize::MAX] });
    assert!(error.contains("2³⁰"), "{error}");
    for n in [ActionHead::Categorical { n: 0 }, ActionHead::Bernoulli { n: 0 }] {
        assert!(bad(n).starts_with("action.n is 0"));
    }
    let boxes = [
        (vec![], vec![]),
        (vec![0.0], vec![1.0, 2.0]),
        (vec![1.0], vec![0.0]),
        (vec![f32::NAN], vec![0.0]),
        (vec![0.0], vec![f32::INFINITY]),
    ];
    for (low, high) in boxes {
        let error = bad(ActionHead::Beta { low: low.clone(), high: high.clone() });
        assert!(error.starts_with("action.low"), "{error}");
        let error = bad(ActionHead::SquashedGaussian { low, high });
        assert!(error.starts_with("action.low"), "{error}");
    }
    let open = |initial_log_std, squash| ActionHead::Gsde {
        low: vec![None],
        high: vec![Some(1.0)],
        initial_log_std,
        learn_features: false,
        squash,
    };
    assert!(config(open(0.0, false)).parameter_count().is_ok());
    assert!(bad(open(0.0, true)).contains("every bound must be finite"));
    assert!(bad(open(2.5, false)).starts_with("initial_log_std"));
    let gaussian = |low, high| ActionHead::Gaussian { low, high, initial_log_std: 0.0 };
    assert!(bad(gaussian(vec![Some(f32::NAN)], vec![None])).contains("a bound is a number"));
    assert!(config(gaussian(vec![Some(0.0)], vec![Some(0.0)])).parameter_count().is_ok());
}
