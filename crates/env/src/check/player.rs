//! Driving an environment that may do anything, and writing down what it does.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{
    Place, Report, Rule,
    violation::{self, UNWRITTEN},
};
use crate::{DynEnv, Ending, EnvError, EnvRng, Reset, Space, Step, Value};

/// What an environment did, to be compared bit by bit.
#[derive(Debug, Default)]
pub(super) struct Trace {
    moments: Vec<Moment>,
    /// Whether the last episode has ended, so that the next move is a reset.
    pub(super) over: bool,
    /// How many episodes ended.
    pub(super) endings: usize,
}

/// One reset or step.
#[derive(Debug, PartialEq)]
struct Moment {
    obs: Vec<u32>,
    reward: u64,
    ending: Option<Ending>,
    mask: Option<Vec<bool>>,
}

impl Trace {
    /// What comes after a moment at which the episode was or was not over.
    pub(super) fn following(over: bool) -> Self {
        Self { over, ..Self::default() }
    }

    /// Moves made.
    pub(super) fn len(&self) -> usize {
        self.moments.len()
    }

    /// The first difference in words.
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        let pairs = self.moments.iter().zip(&other.moments).enumerate();
        for (t, (a, b)) in pairs {
            let numbers =
                |bits: &[u32]| bits.iter().map(|&x| f32::from_bits(x)).collect::<Vec<_>>();
            let (what, first, second) = if a.obs != b.obs {
                ("observation", format!("{:?}", numbers(&a.obs)), format!("{:?}", numbers(&b.obs)))
            } else if a.reward != b.reward {
                let (a, b) = (f64::from_bits(a.reward), f64::from_bits(b.reward));
                ("reward", a.to_string(), b.to_string())
            } else if a.ending != b.ending {
                ("ending", format!("{:?}", a.ending), format!("{:?}", b.ending))
            } else if a.mask != b.mask {
                ("action mask", format!("{:?}", a.mask), format!("{:?}", b.mask))
            } else {
                continue;
            };
            return Some(format!("the {what} {t} moves later is {second}, but was {first} before"));
        }
        // One may be shorter than the other: the move that failed was reported by itself.
        None
    }
}

/// An environment's spaces, memory for its observations, and what was found.
pub(super) struct Player {
    pub(super) observation: Space,
    pub(super) action: Space,
    pub(super) obs: Vec<f32>,
    pub(super) report: Report,
}

impl Player {
    pub(super) fn new<E: DynEnv + ?Sized>(env: &E) -> Self {
        let (observation, action) = (env.observation_space(), env.action_space());
        let obs = vec![0.0; observation.flat_len()];
        Self { observation, action, obs, report: Report::default() }
    }

    /// What `call` returns; `None`, and a violation, when it panics.
    pub(super) fn guard<T>(&mut self, what: &'static str, call: impl FnOnce() -> T) -> Option<T> {
        let payload = match catch_unwind(AssertUnwindSafe(call)) {
            Ok(value) => return Some(value),
            Err(payload) => payload,
        };
        let words = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
            (Some(words), _) => words,
            (_, Some(words)) => words.as_str(),
            _ => "no message",
        };
        self.report.add(Rule::NoPanic, Place::In(what), format!("{what} panicked: {words}"));
        None
    }

    /// Resets and looks at the first observation; whether that went well.
    pub(super) fn reset<E: DynEnv + ?Sized>(&mut self, env: &mut E, reset: &Reset) -> bool {
        let mut obs = std::mem::take(&mut self.obs);
        obs.fill(UNWRITTEN);
        let result = self.guard("reset", || env.reset(reset, &mut obs));
        self.obs = obs;
        match result {
            None => false,
            Some(Err(error)) => {
                let rule = wrong_length(&error).unwrap_or(Rule::ResetSucceeds);
                let found = format!("reset with {} entries failed: {error}", self.obs.len());
                self.report.add(rule, Place::In("play"), found);
                false
            }
            Some(Ok(())) => {
                self.look(env, "the first observation of an episode");
                true
            }
        }
    }

    /// Steps without looking at what comes out; `None` when it panics.
    pub(super) fn try_step<E: DynEnv + ?Sized>(
        &mut self,
        env: &mut E,
        action: &Value,
        what: &'static str,
    ) -> Option<Result<Step, EnvError>> {
        let action = action.as_action()?;
        let mut obs = std::mem::take(&mut self.obs);
        obs.fill(UNWRITTEN);
        let result = self.guard(what, || env.step(action, &mut obs));
        self.obs = obs;
        result
    }

    /// Steps with an action that must be accepted and looks at what comes out.
    pub(super) fn step<E: DynEnv + ?Sized>(&mut self, env: &mut E, action: &Value) -> Option<Step> {
        match self.try_step(env, action, "step")? {
            Ok(step) => {
                self.look(env, "the observation of a step");
                if !step.reward.is_finite() {
                    let found = format!("a step returned the reward {}", step.reward);
                    self.report.add(Rule::RewardFinite, Place::In("step"), found);
                }
                Some(step)
            }
            Err(error) => {
                let rule = wrong_length(&error).unwrap_or(Rule::ActionAccepted);
                let found =
                    format!("action {} from {} was refused: {error}", shown(action), self.action);
                self.report.add(rule, Place::In("play"), found);
                None
            }
        }
    }

    /// Looks at the observation, the mask and the picture of this moment.
    fn look<E: DynEnv + ?Sized>(&mut self, env: &E, what: &str) {
        let Self { observation, obs, report, .. } = self;
        violation::observation(observation, obs, &mut |rule, entry, words| {
            report.add(rule, Place::Entry(entry), format!("{what}: {words}"));
        });
        if let Some(mask) = self.guard("action_mask", || env.action_mask())
            && let Some((rule, found)) = violation::mask(&self.action, mask)
        {
            self.report.add(rule, Place::In("play"), found);
        }
        if let Some(Some(scene)) = self.guard("scene", || env.scene())
            && let Some(found) = violation::scene(&scene)
        {
            self.report.add(Rule::SceneDrawable, Place::In("scene"), found);
        }
    }

    /// An action that the mask allows; any from the space where the mask is wrong.
    pub(super) fn choose<E: DynEnv + ?Sized>(&self, env: &E, rng: &mut EnvRng) -> Value {
        let mask = catch_unwind(AssertUnwindSafe(|| env.action_mask())).unwrap_or_default();
        self.action.sample_masked(mask, rng).unwrap_or_else(|| self.action.sample(rng))
    }

    /// Makes `moves` moves, episode after episode, with actions drawn from `rng`, and adds them to
    /// the trace; stops before that where a move fails, or at an ending if `one_episode`.
    pub(super) fn go_on<E: DynEnv + ?Sized>(
        &mut self,
        env: &mut E,
        rng: &mut EnvRng,
        moves: usize,
        one_episode: bool,
        trace: &mut Trace,
    ) {
        for _ in 0..moves {
            let step = if trace.over {
                self.reset(env, &Reset::default()).then(|| Step::going(0.0))
            } else {
                let action = self.choose(env, rng);
                self.step(env, &action)
            };
            let Some(Step { reward, ending }) = step else { return };
            let mask = self.guard("action_mask", || env.action_mask().map(<[bool]>::to_vec));
            trace.moments.push(Moment {
                obs: self.obs.iter().map(|x| x.to_bits()).collect(),
                reward: reward.to_bits(),
                ending,
                mask: mask.flatten(),
            });
            trace.over = ending.is_some();
            trace.endings += usize::from(trace.over);
            if trace.over && one_episode {
                return;
            }
        }
    }

    /// Whole episodes from a seed.
    pub(super) fn trace<E: DynEnv + ?Sized>(
        &mut self,
        env: &mut E,
        seed: u64,
        moves: usize,
    ) -> Trace {
        let mut trace = Trace::default();
        if self.reset(env, &Reset::seeded(seed)) {
            // The first observation is compared like the others.
            let obs = self.obs.iter().map(|x| x.to_bits()).collect();
            trace.moments.push(Moment { obs, reward: 0, ending: None, mask: None });
            self.go_on(env, &mut EnvRng::new(seed), moves, false, &mut trace);
        }
        trace
    }
}

/// A value that is an action, as errors show it.
pub(super) fn shown(action: &Value) -> String {
    action.as_action().map(|action| action.to_string()).unwrap_or_default()
}

/// Which rule a complaint about a slice's length comes from.
fn wrong_length(error: &EnvError) -> Option<Rule> {
    matches!(error, EnvError::Length { .. }).then_some(Rule::ObservationLength)
}
