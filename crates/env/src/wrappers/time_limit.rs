//! A limit on the length of episodes.

use super::{load, save, wrong_option};
use crate::{AnyEnv, Ending, Env, EnvError, Reset, Step};

/// Truncates an episode after a number of steps.
///
/// A step that is terminal as well stays [`Ending::Terminated`]: the task ended, the limit only came
/// at the same time.
#[derive(Clone, Debug)]
pub struct TimeLimit<E> {
    env: E,
    elapsed: usize,
    limit: usize,
}

impl<E: Env> TimeLimit<E> {
    /// Episodes of `env` with at most `limit` steps.
    ///
    /// # Errors
    /// When the limit is 0: an episode has at least one step.
    pub fn new(env: E, limit: usize) -> Result<Self, EnvError> {
        if limit == 0 {
            let expected = "at least 1: an episode has at least one step";
            return Err(wrong_option("TimeLimit", "limit", limit, expected));
        }
        Ok(Self { env, elapsed: 0, limit })
    }

    /// The environment inside.
    pub fn inner(&self) -> &E {
        &self.env
    }

    /// `env` with a limit that is `elapsed` steps into an episode.
    pub(crate) fn resumed(env: E, limit: usize, elapsed: usize) -> Result<Self, EnvError> {
        Ok(Self { elapsed, ..Self::new(env, limit)? })
    }

    /// The environment inside, and the steps since its last reset.
    pub(crate) fn into_parts(self) -> (E, usize) {
        (self.env, self.elapsed)
    }
}

/// The environment with its time limit around it, in a box.
pub(crate) fn limited(env: impl Env + 'static, steps: usize) -> Result<AnyEnv, EnvError> {
    Ok(AnyEnv::new(TimeLimit::new(env, steps)?))
}

impl<E: Env> Env for TimeLimit<E> {
    type Action = E::Action;

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        self.env.reset(reset, obs)?;
        self.elapsed = 0;
        Ok(())
    }

    #[inline]
    fn step(&mut self, action: &E::Action, obs: &mut [f32]) -> Result<Step, EnvError> {
        if self.elapsed >= self.limit {
            // The world inside would go on, but this episode is over.
            return Err(EnvError::NotReset);
        }
        let mut step = self.env.step(action, obs)?;
        self.elapsed += 1;
        if self.elapsed >= self.limit {
            step.ending = step.ending.or(Some(Ending::Truncated));
        }
        Ok(step)
    }

    fn save_state(&self) -> Option<Vec<u8>> {
        save(&(self.elapsed as u64), self.env.save_state())
    }

    fn load_state(&mut self, bytes: &[u8]) -> Result<(), EnvError> {
        let (saved, inner): (u64, _) = load(bytes)?;
        let Some(elapsed) = usize::try_from(saved).ok().filter(|&n| n <= self.limit) else {
            return Err(EnvError::BadState(format!(
                "{saved} steps into an episode, where the limit is {}",
                self.limit
            )));
        };
        self.env.load_state(&inner)?;
        self.elapsed = elapsed;
        Ok(())
    }

    forward!(observation_space, action_space, action_mask, scene);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BoxSpace, Discrete, Space, state};

    /// Ends by itself after a number of steps.
    struct Fuse(u32);

    impl Env for Fuse {
        type Action = usize;

        fn observation_space(&self) -> Space {
            BoxSpace::unbounded(1).into()
        }

        fn action_space(&self) -> Discrete {
            Discrete::new(1)
        }

        fn reset(&mut self, reset: &Reset, _: &mut [f32]) -> Result<(), EnvError> {
            self.0 = u32::try_from(reset.seed.unwrap_or(9)).map_err(EnvError::custom)?;
            Ok(())
        }

        fn step(&mut self, _: &usize, _: &mut [f32]) -> Result<Step, EnvError> {
            self.0 -= 1;
            Ok(if self.0 == 0 { Step::terminated(1.0) } else { Step::going(1.0) })
        }

        fn save_state(&self) -> Option<Vec<u8>> {
            state::save(&self.0)
        }

        fn load_state(&mut self, bytes: &[u8]) -> Result<(), EnvError> {
            self.0 = state::load(bytes)?;
            Ok(())
        }
    }

    /// Length and ending of an episode whose fuse is `fuse` steps long.
    fn episode(env: &mut TimeLimit<Fuse>, fuse: u64) -> (usize, Ending) {
        env.reset(&Reset::seeded(fuse), &mut []).unwrap();
        for length in 1.. {
            if let Some(ending) = env.step(&0, &mut []).unwrap().ending {
                return (length, ending);
            }
        }
        unreachable!()
    }

    #[test]
    fn a_terminal_step_stays_terminal_at_the_limit() {
        let mut env = TimeLimit::new(Fuse(0), 3).unwrap();
        assert_eq!(episode(&mut env, 2), (2, Ending::Terminated));
        assert_eq!(episode(&mut env, 3), (3, Ending::Terminated));
        assert_eq!(episode(&mut env, 4), (3, Ending::Truncated));
        assert_eq!(episode(&mut env, 9), (3, Ending::Truncated), "the count begins anew");
        assert!(matches!(env.step(&0, &mut []), Err(EnvError::NotReset)));
    }

    #[test]
    fn the_count_is_part_of_the_state() {
        let mut env = TimeLimit::new(Fuse(0), 5).unwrap();
        env.reset(&Reset::default(), &mut []).unwrap();
        (0..3).for_each(|_| assert_eq!(env.step(&0, &mut []).unwrap().ending, None));
        let saved = env.save_state().unwrap();
        let mut other = TimeLimit::new(Fuse(0), 5).unwrap();
        other.load_state(&saved).unwrap();
        assert_eq!(other.step(&0, &mut []).unwrap().ending, None);
        assert_eq!(other.step(&0, &mut []).unwrap().ending, Some(Ending::Truncated));

        let mut shorter = TimeLimit::new(Fuse(0), 2).unwrap();
        let error = shorter.load_state(&saved).unwrap_err().to_string();
        assert!(error.contains("3 steps into an episode, where the limit is 2"), "{error}");
    }

    #[test]
    fn a_limit_of_nothing_is_refused() {
        assert!(TimeLimit::new(Fuse(0), 0).is_err());
    }
}
