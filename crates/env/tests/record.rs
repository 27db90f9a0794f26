//! What is recorded can be read back and played again.
#![cfg(feature = "record")]
#![allow(clippy::unwrap_used)] // a panic here is the report

mod common;

use std::io::{Error, Write};

use common::{Clock, Pushed};
use elegante_env::{
    Env, Reset, TimeLimit, Value,
    wrappers::{Record, TrajectoryEvent},
};

fn events(written: &[u8]) -> Vec<TrajectoryEvent> {
    std::str::from_utf8(written)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_recorded_trajectory_plays_again_to_the_same_bits() {
    let mut env = Record::new(TimeLimit::new(Clock::default(), 4).unwrap(), Vec::new());
    let mut obs = [0.0; 2];
    for (seed, options) in [(Some(u64::MAX), ""), (None, "length = 2"), (None, "")] {
        env.reset(&Reset { seed, options: options.parse().unwrap() }, &mut obs).unwrap();
        while env.step(&2, &mut obs).unwrap().ending.is_none() {}
    }
    let mut again = TimeLimit::new(Clock::default(), 4).unwrap();
    let (mut episodes, mut steps) = (0, 0);
    for event in events(&env.into_writer()) {
        match event {
            TrajectoryEvent::Reset { episode, seed, options, obs: recorded } => {
                again.reset(&Reset { seed, options }, &mut obs).unwrap();
                assert_eq!((episode, recorded.as_slice()), (episodes, obs.as_slice()));
                (episodes, steps) = (episodes + 1, 0);
            }
            TrajectoryEvent::Step { episode, t, action, reward, ending, obs: recorded } => {
                let Value::Discrete(action) = action else { panic!("{action:?}") };
                let step = again.step(&action, &mut obs).unwrap();
                steps += 1;
                assert_eq!(
                    (episode, t, reward, ending),
                    (episodes - 1, steps, step.reward, step.ending)
                );
                assert_eq!(recorded, obs);
            }
        }
    }
    assert_eq!((episodes, steps), (3, 4));
}

#[test]
fn recording_goes_on_from_a_saved_state() {
    let mut env = Record::new(Clock::default(), Vec::new());
    let mut obs = [0.0; 2];
    env.reset(&Reset::seeded(0), &mut obs).unwrap();
    env.step(&0, &mut obs).unwrap();
    let mut other = Record::new(Clock::default(), Vec::new());
    other.load_state(&env.save_state().unwrap()).unwrap();
    other.step(&0, &mut obs).unwrap();
    let last = events(&other.into_writer());
    assert!(matches!(last[..], [TrajectoryEvent::Step { episode: 0, t: 2, .. }]), "{last:?}");
}

#[test]
fn continuous_actions_are_written_as_well() {
    let mut env = Record::new(Pushed::default(), Vec::new());
    let mut obs = [0.0; 2];
    env.reset(&Reset::default(), &mut obs).unwrap();
    env.step(&[0.1, 0.3], &mut obs).unwrap();
    let events = events(&env.into_writer());
    let TrajectoryEvent::Step { action, .. } = &events[1] else { panic!("{events:?}") };
    assert_eq!(action, &Value::Box(vec![0.1, 0.3]));
}

#[cfg(feature = "render")]
#[test]
fn every_state_gives_a_frame() {
    let frames = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let sink = std::sync::Arc::clone(&frames);
    let mut env = Record::new(Clock::default(), Vec::new())
        .with_frames(40, 20, move |frame| sink.lock().unwrap().push(frame));
    let mut obs = [0.0; 2];
    env.reset(&Reset::default(), &mut obs).unwrap();
    while env.step(&0, &mut obs).unwrap().ending.is_none() {}
    let frames = frames.lock().unwrap();
    assert_eq!(frames.len(), 7, "one for the reset and one for each step");
    assert!(frames.iter().all(|frame| (frame.width, frame.height) == (40, 20)));
    assert!(frames.windows(2).all(|pair| pair[0] != pair[1]), "the clock does not move");
}

/// A disk that is full.
struct Full;

impl Write for Full {
    fn write(&mut self, _: &[u8]) -> Result<usize, Error> {
        Err(Error::other("the disk is full"))
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

#[test]
fn a_writer_that_fails_is_reported() {
    let mut env = Record::new(Clock::default(), Full);
    let error = env.reset(&Reset::default(), &mut [0.0; 2]).unwrap_err().to_string();
    assert!(error.contains("the disk is full"), "{error}");
}
