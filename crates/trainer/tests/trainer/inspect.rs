//! A look inside the networks changes nothing and sees what is there.

use std::ops::ControlFlow;

use elegante_trainer::{Event, Inspected, TrainConfig, Trainer, UpdateMetrics};

use crate::worlds::{a2c, cartpole, config, ppo, train};

/// What is told of the parameters when they are looked into every `every` steps, each time with the
/// update before it; and the bytes of the policy.
fn looked_into(
    config: &TrainConfig,
    every: u64,
) -> (Vec<(UpdateMetrics, Vec<Inspected>)>, Vec<u8>) {
    let mut trainer = Trainer::new(config.clone(), cartpole).unwrap();
    trainer.inspect_every(every);
    let (mut told, mut last) = (Vec::new(), None);
    trainer
        .run(|event| {
            match event {
                Event::Update(update) => last = Some(update.clone()),
                Event::Parameters(seen) => told.push((last.clone().unwrap(), seen.to_vec())),
                _ => {}
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    (told, trainer.policy().to_safetensors().unwrap())
}

fn norm(numbers: impl IntoIterator<Item = f32>) -> f64 {
    numbers.into_iter().map(|g| f64::from(g).powi(2)).sum::<f64>().sqrt()
}

#[test]
fn a_run_that_is_looked_into_comes_to_the_same() {
    for config in [config(|_, _| {}), a2c(|_| {}), ppo(|_| {})] {
        let plain = train(&config, cartpole);
        let (told, policy) = looked_into(&config, 700);
        assert!(policy == plain.policy, "looking changed the result");
        // After the first update, and after each that crosses a multiple of 700.
        let mut due: Vec<u64> = plain
            .updates
            .windows(2)
            .filter(|pair| pair[0].steps / 700 < pair[1].steps / 700)
            .map(|pair| pair[1].steps)
            .collect();
        due.insert(0, plain.updates[0].steps);
        assert_eq!(told.iter().map(|(update, _)| update.steps).collect::<Vec<_>>(), due);
        let (never, _) = looked_into(&config, 0);
        assert!(never.is_empty());
    }
}

#[test]
fn gradients_are_those_of_the_last_step_before_clipping() {
    // One step of descent in each update, so that its norm is the one that is told; A2C clips at 0.5.
    let (told, _) = looked_into(&a2c(|_| {}), 1);
    for (update, seen) in &told {
        let all = seen.iter().flat_map(|tensor| tensor.gradient.iter().copied());
        let norm = norm(all);
        assert!((norm / update.grad_norm - 1.0).abs() < 1e-5, "{norm}, told {}", update.grad_norm);
    }
    assert!(told.iter().any(|(update, _)| update.grad_norm > 0.5), "nothing was ever clipped");

    let (told, _) = looked_into(&config(|_, _| {}), 1);
    let (update, seen) = &told[0];
    let policy = seen.iter().filter(|tensor| tensor.name.starts_with("policy."));
    let norm = norm(policy.flat_map(|tensor| tensor.gradient.iter().copied()));
    assert!((norm / update.grad_norm - 1.0).abs() < 1e-5, "{norm}, told {}", update.grad_norm);
    assert!(seen.iter().any(|tensor| tensor.name.starts_with("value.")), "the baseline's too");
}

#[test]
fn every_tensor_has_as_many_numbers_as_its_shape_says() {
    let trainer = Trainer::new(ppo(|_| {}), cartpole).unwrap();
    let seen = trainer.inspect();
    assert!(seen.len() > 4);
    for tensor in &seen {
        assert_eq!(tensor.values.len(), tensor.shape.iter().product::<usize>(), "{}", tensor.name);
        assert!(tensor.gradient.is_empty(), "nobody has asked yet");
    }
    let mut names: Vec<&str> = seen.iter().map(|tensor| tensor.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), seen.len(), "each has a name of its own");
}
