//! Worlds with one lesson each.

use elegante::{
    Env, EnvError, Reset, Space, Step,
    env::EnvRng,
    env::{BoxSpace, Discrete},
};

/// What a lesson is told of a step.
pub(super) struct At<'a> {
    /// Steps made before this one.
    pub(super) time: usize,
    pub(super) action: usize,
    /// A number that is kept from the first step of an episode to the last; drawn from ±1 before it.
    pub(super) memory: &'a mut f64,
    pub(super) rng: &'a mut EnvRng,
}

/// Shows 1, the time, and in the first step the number that the lesson begins with; what comes of a step is
/// a function.
#[derive(Clone)]
pub(super) struct Lesson {
    actions: usize,
    teach: fn(At<'_>) -> Step,
    time: usize,
    memory: f64,
    rng: EnvRng,
    under_way: bool,
    /// The time is not shown.
    timeless: bool,
}

impl Lesson {
    pub(super) fn new(actions: usize, teach: fn(At<'_>) -> Step) -> Self {
        let (rng, under_way, timeless) = (EnvRng::new(0), false, false);
        Self { actions, teach, time: 0, memory: 0.0, rng, under_way, timeless }
    }

    /// A lesson in which nothing that is seen tells one step from another.
    pub(super) fn timeless(actions: usize, teach: fn(At<'_>) -> Step) -> Self {
        Self { timeless: true, ..Self::new(actions, teach) }
    }

    fn show(&self, shown: f64, obs: &mut [f32]) -> Result<(), EnvError> {
        EnvError::check_length("obs", obs.len(), 3)?;
        obs.copy_from_slice(&[1.0, self.time as f32, shown as f32]);
        if self.timeless {
            obs[1..].fill(0.0);
        }
        Ok(())
    }
}

impl Env for Lesson {
    type Action = usize;

    fn observation_space(&self) -> Space {
        BoxSpace::unbounded(3).into()
    }

    fn action_space(&self) -> Discrete {
        Discrete::new(self.actions)
    }

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        if let Some(seed) = reset.seed {
            self.rng = EnvRng::new(seed);
        }
        self.memory = if self.rng.random_f64() < 0.5 { -1.0 } else { 1.0 };
        (self.time, self.under_way) = (0, true);
        self.show(self.memory, obs)
    }

    fn step(&mut self, &action: &usize, obs: &mut [f32]) -> Result<Step, EnvError> {
        if !self.under_way {
            return Err(EnvError::NotReset);
        }
        if action >= self.actions {
            return Err(EnvError::action_out_of_space(action, self.action_space()));
        }
        let Self { time, memory, rng, .. } = self;
        let step = (self.teach)(At { time: *time, action, memory, rng });
        self.time += 1;
        self.under_way = step.ending.is_none();
        self.show(0.0, obs)?;
        Ok(step)
    }
}

/// Whatever is done, an episode of one step pays 1.
pub(super) fn constant(_: At<'_>) -> Step {
    Step::terminated(1.0)
}

/// Whatever is done, it pays the number that was shown.
pub(super) fn shown(at: At<'_>) -> Step {
    Step::terminated(*at.memory)
}

/// The first action takes 1 now or 3 in the fourth step.
pub(super) fn soon_or_much(at: At<'_>) -> Step {
    if at.time == 0 {
        *at.memory = at.action as f64;
    }
    let soon = if at.time == 0 && at.action == 0 { 1.0 } else { 0.0 };
    if at.time == 3 { Step::terminated(3.0 * *at.memory) } else { Step::going(soon) }
}

/// Of three doors the first step opens one, and only the fifth shows what was behind it; every step between
/// is paid at random.
pub(super) fn doors(at: At<'_>) -> Step {
    if at.time == 0 {
        *at.memory = [0.0, 4.0, 2.0][at.action];
    }
    let noise = at.rng.uniform(-1.0, 1.0);
    if at.time == 4 { Step::terminated(*at.memory) } else { Step::going(noise) }
}

/// Staying pays 1 in every step, and the clock is stopped after two; leaving pays 4 and is the end. Who takes
/// the clock for the end leaves. A lesson without time.
pub(super) fn stay_or_leave(at: At<'_>) -> Step {
    match (at.action, at.time) {
        (0, 1) => Step::truncated(1.0),
        (0, _) => Step::going(1.0),
        _ => Step::terminated(4.0),
    }
}

/// [`soon_or_much`] by degrees: an action of −1 takes 1 now, one of 1 takes 3 in the fourth step, and what is
/// between takes a share of each. Only the first one counts, and what it put off is shown from then on: if it were
/// not, what learns from replay would take the actions of later steps for its cause, since those change as it
/// does while the policy learns.
#[derive(Clone, Default)]
pub(super) struct Saving {
    /// Steps made, while an episode is under way.
    time: Option<usize>,
    /// The share that is put off.
    saved: f64,
}

impl Saving {
    fn show(&self, obs: &mut [f32]) -> Result<(), EnvError> {
        EnvError::check_length("obs", obs.len(), 3)?;
        obs.copy_from_slice(&[1.0, self.time.unwrap_or(4) as f32, self.saved as f32]);
        Ok(())
    }
}

impl Env for Saving {
    type Action = [f32];

    fn observation_space(&self) -> Space {
        BoxSpace::unbounded(3).into()
    }

    fn action_space(&self) -> BoxSpace {
        BoxSpace::symmetric(vec![1.0])
    }

    fn reset(&mut self, _: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        (self.time, self.saved) = (Some(0), 0.0);
        self.show(obs)
    }

    fn step(&mut self, action: &[f32], obs: &mut [f32]) -> Result<Step, EnvError> {
        let time = self.time.ok_or(EnvError::NotReset)?;
        let space = self.action_space();
        if !space.contains(action) {
            return Err(EnvError::action_out_of_space(action, space));
        }
        let mut soon = 0.0;
        if time == 0 {
            self.saved = (1.0 + f64::from(action[0])) / 2.0;
            soon = 1.0 - self.saved;
        }
        self.time = (time < 3).then_some(time + 1);
        self.show(obs)?;
        Ok(if time == 3 { Step::terminated(3.0 * self.saved) } else { Step::going(soon) })
    }
}
