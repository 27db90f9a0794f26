//! Native batched physics: a structure of arrays, stepped by loops that the compiler vectorises.

use super::{
    FinishedEpisode, LaneState, StepOut, VectorEnv,
    columns::{Columns, part, part_mut},
    shape::{Shape, finite},
};
use crate::{ActionKind, Actions, Ending, Env, EnvError, EnvRng, Reset, Scene, Space, TimeLimit};

/// Lanes that go through the stages of a step together: enough of them to keep the processor busy, few
/// enough for the nearest cache. Those that are left over go in eights, and the last ones singly.
const BLOCK: usize = 64;
const EIGHT: usize = 8;

/// What an action of environment `E` is made of: `usize` or `f32`.
pub type Item<E> = <<E as Env>::Action as ActionKind>::Item;

/// What a scalar environment holds, and so does a lane of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Lane<const S: usize> {
    /// The numbers that the physics changes.
    pub state: [f64; S],
    /// Whether the environment may be stepped; if not, its episode has ended or not yet begun.
    pub under_way: bool,
    /// Where its initial states come from.
    pub rng: EnvRng,
}

/// An environment whose physics also steps many lanes at once: `S` numbers of state in each, `O` in an
/// observation, `A` in an action (1 for a discrete one).
///
/// [`BatchEnv`] does the rest: time limit, auto-reset, statistics, saving. The contract is that a lane
/// computes the very bits of the scalar environment, so that either may go on where the other
/// stopped: write the physics of one lane as a pure function and call it from both.
pub trait Batch<const S: usize, const O: usize, const A: usize>: Env + Clone {
    /// What this environment holds.
    fn lane(&self) -> Lane<S>;

    /// Makes this environment hold what a lane holds. Its options stay as they are.
    fn set_lane(&mut self, lane: Lane<S>);

    /// The initial state of an episode, drawn as `reset` without options draws it.
    fn begin(&self, rng: &mut EnvRng) -> [f64; S];

    /// The observation of a state.
    fn observe(&self, state: [f64; S]) -> [f32; O];

    /// Finds an action that `step` would refuse.
    ///
    /// # Errors
    /// When there is one.
    fn check(&self, actions: &[[Item<Self>; A]]) -> Result<(), EnvError>;

    /// Makes one transition in each of `W` lanes: `state[k][i]` is number k of lane i, and all actions
    /// have passed [`check`](Self::check). Writes observations, rewards and which lanes have
    /// terminated.
    ///
    /// The compiler vectorises loops over the lanes that have neither branches nor calls; several
    /// short ones are faster than a long one.
    fn advance<const W: usize>(
        &self,
        state: [&mut [f64; W]; S],
        actions: &[[Item<Self>; A]; W],
        obs: &mut [[f32; O]; W],
        rewards: &mut [f64; W],
        terminated: &mut [bool; W],
    );
}

/// Lanes of one kind of environment, stepped on arrays.
///
/// ```
/// use elegante_env::{Actions, BatchEnv, CartPole, StepOut, VectorEnv};
///
/// let mut env = BatchEnv::new(CartPole::default(), 1024, Some(500))?;
/// let (mut obs, mut final_obs) = (vec![0.0; 1024 * 4], vec![0.0; 1024 * 4]);
/// let (mut rewards, mut endings) = (vec![0.0; 1024], vec![None; 1024]);
/// env.reset(42, &mut obs)?;
/// assert_eq!(obs[..4], [0.027395604, -0.006112156, 0.035859793, 0.019736802]); // seed 42
/// assert_eq!(obs[4..8], [0.015229926, -0.045622468, -0.047997043, 0.033921257]); // seed 43
/// for _ in 0..20 {
///     env.step(
///         Actions::Discrete(&[1; 1024]),
///         StepOut {
///             obs: &mut obs,
///             final_obs: &mut final_obs,
///             rewards: &mut rewards,
///             endings: &mut endings,
///         },
///     )?;
///     for episode in env.finished() {
///         assert!(episode.length < 15, "it falls");
///     }
/// }
/// # Ok::<(), elegante_env::EnvError>(())
/// ```
#[derive(Debug)]
pub struct BatchEnv<E, const S: usize, const O: usize, const A: usize> {
    env: E,
    limit: Option<usize>,
    shape: Shape,
    columns: Columns<S>,
    /// Where lanes that don't lie side by side are brought together.
    gathered: Columns<S>,
    rngs: Vec<EnvRng>,
    under_way: Vec<bool>,
    /// How many lanes can't be stepped: not under way, or at the time limit.
    idle: usize,
    finished: Vec<FinishedEpisode>,
}

impl<E, const S: usize, const O: usize, const A: usize> BatchEnv<E, S, O, A>
where
    E: Batch<S, O, A>,
{
    /// Lanes with the options of `env`, their episodes truncated after `limit` steps.
    ///
    /// # Errors
    /// When there are no lanes, the limit is 0, or the spaces of `env` are not as large as its batch
    /// says.
    pub fn new(env: E, lanes: usize, limit: Option<usize>) -> Result<Self, EnvError> {
        if let Some(limit) = limit {
            TimeLimit::new(env.clone(), limit)?;
        }
        let shape = Shape::new(lanes, env.observation_space(), env.action_space().into())?;
        if (shape.obs_len, shape.action_len) != (O, A) {
            return Err(EnvError::Vector(format!(
                "a batch with {O} numbers in an observation and {A} in an action, where observations are in {} and actions in {}",
                shape.observation_space, shape.action_space
            )));
        }
        Ok(Self {
            shape,
            columns: Columns::new(lanes),
            gathered: Columns::new(BLOCK),
            rngs: vec![env.lane().rng; lanes],
            under_way: vec![false; lanes],
            idle: lanes,
            finished: Vec::with_capacity(lanes),
            env,
            limit,
        })
    }

    /// The scalar environment that is where a lane is.
    fn scalar(&self, lane: usize) -> E {
        let (state, rng) = (self.columns.state(lane), self.rngs[lane].clone());
        let mut env = self.env.clone();
        env.set_lane(Lane { state, under_way: self.under_way[lane], rng });
        env
    }

    /// Puts a lane where a scalar environment is.
    fn place(&mut self, lane: usize, env: &E, episode_return: f64, length: usize) {
        let was_idle = self.is_idle(lane);
        let Lane { state, under_way, rng } = env.lane();
        self.columns.place(lane, state, episode_return, length as u64);
        (self.rngs[lane], self.under_way[lane]) = (rng, under_way);
        self.idle = self.idle + usize::from(self.is_idle(lane)) - usize::from(was_idle);
    }

    fn is_idle(&self, lane: usize) -> bool {
        let length = self.columns.lengths[lane] as usize;
        !self.under_way[lane] || self.limit.is_some_and(|limit| length >= limit)
    }

    /// The columns of all lanes, those for gathering, and what steps them.
    fn stepping(&mut self) -> (&mut Columns<S>, &mut Columns<S>, Stepping<'_, E>) {
        self.finished.clear();
        let limit = self.limit.map_or(u64::MAX, |limit| limit as u64);
        let Self { env, columns, gathered, rngs, finished, .. } = self;
        (columns, gathered, Stepping { env, limit, rngs, finished })
    }
}

/// What is acted on lanes, and where the results are written, a row for each lane.
struct Rows<'a, T, const O: usize, const A: usize> {
    actions: &'a [[T; A]],
    obs: &'a mut [[f32; O]],
    final_obs: &'a mut [[f32; O]],
    rewards: &'a mut [f64],
    endings: &'a mut [Option<Ending>],
}

impl<'a, T, const O: usize, const A: usize> Rows<'a, T, O, A> {
    fn new(actions: &'a [[T; A]], out: StepOut<'a>) -> Self {
        let (obs, _) = out.obs.as_chunks_mut();
        let (final_obs, _) = out.final_obs.as_chunks_mut();
        Self { actions, obs, final_obs, rewards: out.rewards, endings: out.endings }
    }
}

/// Steps lanes in their columns.
struct Stepping<'a, E> {
    env: &'a E,
    limit: u64,
    rngs: &'a mut [EnvRng],
    finished: &'a mut Vec<FinishedEpisode>,
}

impl<E> Stepping<'_, E> {
    /// Steps the first lanes in `columns`, as the given rows say: lane i of the columns belongs to row
    /// `first + i` and is lane `lane(i)` of the environment.
    fn step<const S: usize, const O: usize, const A: usize>(
        &mut self,
        columns: &mut Columns<S>,
        lane: impl Fn(usize) -> usize + Copy,
        rows: &mut Rows<'_, Item<E>, O, A>,
        first: usize,
        lanes: usize,
    ) -> Result<(), EnvError>
    where
        E: Batch<S, O, A>,
    {
        let mut at = 0;
        while at < lanes {
            at += match lanes - at {
                BLOCK.. => self.block::<BLOCK, S, O, A>(columns, at, lane, rows, first + at)?,
                EIGHT.. => self.block::<EIGHT, S, O, A>(columns, at, lane, rows, first + at)?,
                _ => self.block::<1, S, O, A>(columns, at, lane, rows, first + at)?,
            };
        }
        Ok(())
    }

    /// Steps `W` lanes, those at `at` in the columns, and returns how many these are.
    #[inline]
    fn block<const W: usize, const S: usize, const O: usize, const A: usize>(
        &mut self,
        columns: &mut Columns<S>,
        at: usize,
        lane: impl Fn(usize) -> usize,
        rows: &mut Rows<'_, Item<E>, O, A>,
        row: usize,
    ) -> Result<usize, EnvError>
    where
        E: Batch<S, O, A>,
    {
        let obs = part_mut::<_, W>(rows.obs, row);
        let rewards = part_mut::<_, W>(rows.rewards, row);
        let mut terminated = [false; W];
        let state = columns.state.each_mut().map(|column| part_mut(column, at));
        self.env.advance(state, part(rows.actions, row), obs, rewards, &mut terminated);

        let truncated = columns.count::<W>(at, rewards, self.limit);
        let endings = part_mut::<_, W>(rows.endings, row);
        for i in 0..W {
            endings[i] = ending(terminated[i], truncated[i]);
        }
        if !all_finite(obs.as_flattened(), rewards) {
            for i in 0..W {
                finite(lane(at + i), rewards[i], &obs[i])?;
            }
        }
        if (0..W).fold(false, |any, i| any | terminated[i] | truncated[i]) {
            for i in 0..W {
                if let Some(ending) = rows.endings[row + i] {
                    self.begin(columns, at + i, lane(at + i), ending, rows, row + i);
                }
            }
        }
        Ok(W)
    }

    /// Notes that an episode has ended, and begins the next one.
    #[inline]
    fn begin<const S: usize, const O: usize, const A: usize>(
        &mut self,
        columns: &mut Columns<S>,
        at: usize,
        lane: usize,
        ending: Ending,
        rows: &mut Rows<'_, Item<E>, O, A>,
        row: usize,
    ) where
        E: Batch<S, O, A>,
    {
        let (episode_return, length) = (columns.returns[at], columns.lengths[at] as usize);
        self.finished.push(FinishedEpisode { lane, episode_return, length, ending });
        rows.final_obs[row] = rows.obs[row];
        let state = self.env.begin(&mut self.rngs[lane]);
        columns.place(at, state, 0.0, 0);
        rows.obs[row] = self.env.observe(state);
    }
}

/// A step that is terminal stays so at the time limit.
#[inline]
fn ending(terminated: bool, truncated: bool) -> Option<Ending> {
    match (terminated, truncated) {
        (true, _) => Some(Ending::Terminated),
        (false, true) => Some(Ending::Truncated),
        (false, false) => None,
    }
}

/// Whether these are all finite; a search that may stop is slower.
#[inline]
fn all_finite(obs: &[f32], rewards: &[f64]) -> bool {
    obs.iter().fold(true, |all, x| all & x.is_finite())
        & rewards.iter().fold(true, |all, x| all & x.is_finite())
}

impl<E, const S: usize, const O: usize, const A: usize> VectorEnv for BatchEnv<E, S, O, A>
where
    E: Batch<S, O, A>,
{
    fn lanes(&self) -> usize {
        self.shape.lanes
    }

    fn observation_space(&self) -> Space {
        self.shape.observation_space.clone()
    }

    fn action_space(&self) -> Space {
        self.shape.action_space.clone()
    }

    fn reset(&mut self, seed: u64, obs: &mut [f32]) -> Result<(), EnvError> {
        self.shape.obs(self.shape.lanes, obs)?;
        for (lane, obs) in obs.as_chunks_mut().0.iter_mut().enumerate() {
            self.rngs[lane] = EnvRng::new(seed.wrapping_add(lane as u64));
            let state = self.env.begin(&mut self.rngs[lane]);
            self.columns.place(lane, state, 0.0, 0);
            *obs = self.env.observe(state);
        }
        self.under_way.fill(true);
        self.idle = 0;
        self.finished.clear();
        Ok(())
    }

    fn reset_lane(&mut self, lane: usize, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        self.shape.lane(lane)?;
        self.shape.obs(1, obs)?;
        let mut env = self.scalar(lane);
        env.reset(reset, obs)?;
        finite(lane, 0.0, obs)?;
        self.place(lane, &env, 0.0, 0);
        Ok(())
    }

    fn step_lanes(
        &mut self,
        active: &[usize],
        actions: Actions<'_>,
        out: StepOut<'_>,
    ) -> Result<(), EnvError> {
        self.shape.active(active, actions, &out)?;
        let (actions, _) = E::Action::items(actions)?.as_chunks();
        self.env.check(actions)?;
        if self.idle > 0 && active.iter().any(|&lane| self.is_idle(lane)) {
            return Err(EnvError::NotReset);
        }
        let (columns, gathered, mut stepping) = self.stepping();
        let mut rows = Rows::new(actions, out);
        for (block, active) in active.chunks(BLOCK).enumerate() {
            for (i, &lane) in active.iter().enumerate() {
                gathered.copy(i, columns, lane);
            }
            stepping.step(gathered, |i| active[i], &mut rows, block * BLOCK, active.len())?;
            for (i, &lane) in active.iter().enumerate() {
                columns.copy(lane, gathered, i);
            }
        }
        Ok(())
    }

    fn step(&mut self, actions: Actions<'_>, out: StepOut<'_>) -> Result<(), EnvError> {
        let lanes = self.shape.lanes;
        self.shape.rows(lanes, actions, &out)?;
        let (actions, _) = E::Action::items(actions)?.as_chunks();
        self.env.check(actions)?;
        if self.idle > 0 {
            return Err(EnvError::NotReset);
        }
        let (columns, _, mut stepping) = self.stepping();
        stepping.step(columns, |i| i, &mut Rows::new(actions, out), 0, lanes)
    }

    fn finished(&self) -> &[FinishedEpisode] {
        &self.finished
    }

    fn action_mask(&self, _lane: usize) -> Option<&[bool]> {
        None
    }

    fn save_state(&self, lane: usize) -> Option<LaneState> {
        self.shape.lane(lane).ok()?;
        let (episode_return, length) =
            (self.columns.returns[lane], self.columns.lengths[lane] as usize);
        let env = self.scalar(lane);
        let env = match self.limit {
            None => env.save_state()?,
            Some(limit) => TimeLimit::resumed(env, limit, length).ok()?.save_state()?,
        };
        Some(LaneState { env, episode_return, length })
    }

    fn load_state(&mut self, lane: usize, state: &LaneState) -> Result<(), EnvError> {
        self.shape.lane(lane)?;
        let mut env = self.env.clone();
        if let Some(limit) = self.limit {
            let mut limited = TimeLimit::new(env, limit)?;
            limited.load_state(&state.env)?;
            let elapsed;
            (env, elapsed) = limited.into_parts();
            if elapsed != state.length {
                return Err(EnvError::BadState(format!(
                    "an episode of {} steps, where the time limit has counted {elapsed}",
                    state.length
                )));
            }
        } else {
            env.load_state(&state.env)?;
        }
        // The lanes share their options, which a state may bring along.
        let mut with_our_options = self.env.clone();
        with_our_options.set_lane(env.lane());
        if with_our_options.save_state() != env.save_state() {
            let reason = "it was saved by an environment with other options".to_owned();
            return Err(EnvError::BadState(reason));
        }
        self.place(lane, &env, state.episode_return, state.length);
        Ok(())
    }

    fn scene(&self, lane: usize) -> Option<Scene> {
        self.shape.lane(lane).ok()?;
        self.scalar(lane).scene()
    }
}
