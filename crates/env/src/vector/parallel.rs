//! Lanes shared out over threads.

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use rayon_core::{ThreadPool, ThreadPoolBuilder};

use super::{FinishedEpisode, LaneState, StepOut, VecEnv, VectorEnv, shape::Shape};
use crate::{Actions, DynEnv, EnvError, Reset, Scene, Space};

/// Lanes go to a thread in multiples of this, if there are so many: the size that batches like best.
const MULTIPLE: usize = 64;

/// What a step has to take on one thread for others to be woken, if nothing else is asked for: a third
/// more than what breaks even on two.
const WORTH_WAKING: Duration = Duration::from_micros(25);

/// One step in so many is timed.
const TIMED: u32 = 16;

/// A vector environment whose lanes are shared out over a pool of threads, each with a vector
/// environment of its own. What happens in a lane is the same for every number of threads.
///
/// # One thread or several?
///
/// One is the default everywhere, because of a measurement. Handing a step to the pool and waiting for
/// it costs 10 to 20 µs, and native physics makes a thousand steps in that time: two threads step 1024
/// lanes of CartPole at 0.8 times the speed of one, 8192 lanes at 1.6 times. `docs/environments.md` has
/// all figures; the example `throughput` measures them anew.
///
/// So a step that would take less than 25 µs on one thread is made on the one that asks for it. What a
/// step takes is timed now and then; [`wake_from`](Self::wake_from) sets the limit.
#[derive(Debug)]
pub struct ParallelEnv {
    shards: Vec<Shard>,
    pool: ThreadPool,
    shape: Shape,
    finished: Vec<FinishedEpisode>,
    pace: Pace,
}

/// What a row takes to step, and whether that is worth waking threads for.
#[derive(Debug)]
struct Pace {
    wake_from: Duration,
    steps: u32,
    seconds_a_row: f64,
}

impl Pace {
    /// Whether to time the next step, and whether to make it on several threads.
    fn next(&mut self, rows: usize) -> (bool, bool) {
        let timed = self.steps.is_multiple_of(TIMED);
        self.steps = self.steps.wrapping_add(1);
        (timed, self.seconds_a_row * rows as f64 >= self.wake_from.as_secs_f64())
    }
}

/// The lanes of one thread.
struct Shard {
    env: Box<dyn VectorEnv>,
    /// Its first lane.
    first: usize,
    /// Whether to step all its lanes, or those that are named, counted from the first.
    all: bool,
    active: Vec<usize>,
    result: Result<(), EnvError>,
    /// How long its last timed step took.
    took: Duration,
}

impl std::fmt::Debug for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} lanes from {}", self.env.lanes(), self.first)
    }
}

impl ParallelEnv {
    /// Shares `lanes` out over `threads` threads; `make` returns the vector environment of some of
    /// them.
    ///
    /// # Errors
    /// When there are no lanes or no threads, the threads can't be started, or `make` fails.
    pub fn new(
        lanes: usize,
        threads: usize,
        mut make: impl FnMut(Range<usize>) -> Result<Box<dyn VectorEnv>, EnvError>,
    ) -> Result<Self, EnvError> {
        if lanes == 0 || threads == 0 {
            let reason = format!("{lanes} lanes on {threads} threads: there must be some of both");
            return Err(EnvError::Vector(reason));
        }
        let mut share = lanes.div_ceil(threads);
        if share >= MULTIPLE {
            share = share.next_multiple_of(MULTIPLE);
        }
        let mut shards = Vec::new();
        for first in (0..lanes).step_by(share) {
            let theirs = first..lanes.min(first + share);
            let (env, active) = (make(theirs.clone())?, Vec::with_capacity(theirs.len()));
            if env.lanes() != theirs.len() {
                let reason = format!("{} lanes were made where {theirs:?} belong", env.lanes());
                return Err(EnvError::Vector(reason));
            }
            shards.push(Shard {
                env,
                first,
                all: true,
                active,
                result: Ok(()),
                took: Duration::ZERO,
            });
        }
        let spaces = |shard: &Shard| (shard.env.observation_space(), shard.env.action_space());
        let (observation_space, action_space) = spaces(&shards[0]);
        if shards.iter().any(|s| spaces(s) != (observation_space.clone(), action_space.clone())) {
            return Err(EnvError::Vector(
                "all lanes must be alike, in their spaces at least".into(),
            ));
        }
        let pool = ThreadPoolBuilder::new()
            .num_threads(shards.len())
            .thread_name(|i| format!("lanes-{i}"))
            .build()
            .map_err(EnvError::custom)?;
        let shape = Shape::new(lanes, observation_space, action_space)?;
        let pace = Pace { wake_from: WORTH_WAKING, steps: 0, seconds_a_row: 0.0 };
        Ok(Self { shards, pool, shape, finished: Vec::with_capacity(lanes), pace })
    }

    /// Steps on several threads what would take at least `step` on one: always, if it is
    /// [`Duration::ZERO`].
    #[must_use]
    pub fn wake_from(mut self, step: Duration) -> Self {
        self.pace.wake_from = step;
        self
    }

    /// Scalar environments on `threads` threads.
    ///
    /// # Errors
    /// As [`new`](Self::new) and [`VecEnv::new`].
    pub fn from_scalar<E>(envs: Vec<E>, threads: usize) -> Result<Self, EnvError>
    where
        E: DynEnv + 'static,
    {
        let (lanes, mut envs) = (envs.len(), envs.into_iter());
        Self::new(lanes, threads, |theirs| {
            Ok(Box::new(VecEnv::new(envs.by_ref().take(theirs.len()).collect())?))
        })
    }

    /// Which shard a lane is in.
    fn shard_of(&self, lane: usize) -> usize {
        self.shards.partition_point(|shard| shard.first <= lane) - 1
    }

    /// Steps the lanes that each shard is to step; the rows are in the order of the shards.
    fn step_shards(&mut self, actions: Actions<'_>, out: StepOut<'_>) -> Result<(), EnvError> {
        let Self { shards, pool, pace, .. } = self;
        let count = shards.iter().map(Shard::rows).sum();
        let (timed, wake) = pace.next(count);
        let rows =
            Rows { obs_len: self.shape.obs_len, action_len: self.shape.action_len, timed, wake };
        if wake {
            pool.install(|| rows.share_out(shards, actions, out));
        } else {
            rows.share_out(shards, actions, out);
        }
        if timed && count > 0 {
            let took: Duration = shards.iter().map(|shard| shard.took).sum();
            pace.seconds_a_row = took.as_secs_f64() / count as f64;
        }
        for shard in shards {
            let first = shard.first;
            let theirs = shard.env.finished().iter();
            if shard.rows() > 0 {
                self.finished
                    .extend(theirs.map(|e| FinishedEpisode { lane: e.lane + first, ..*e }));
            }
            std::mem::replace(&mut shard.result, Ok(())).map_err(|e| from_lane(e, first))?;
        }
        Ok(())
    }
}

/// How long the parts of a row are, and how to step rows.
struct Rows {
    obs_len: usize,
    action_len: usize,
    timed: bool,
    wake: bool,
}

impl Rows {
    /// Halves the work until a shard is left; another thread may take the second half, if it is awake.
    fn share_out(&self, shards: &mut [Shard], actions: Actions<'_>, out: StepOut<'_>) {
        match shards {
            [] => {}
            [shard] => shard.step(actions, out, self.timed),
            _ => {
                let (left, right) = shards.split_at_mut(shards.len() / 2);
                let rows = left.iter().map(Shard::rows).sum();
                let (actions, more_actions) = actions.split_at(rows, self.action_len);
                let (out, more_out) = out.split_at(rows, self.obs_len);
                let first = || self.share_out(left, actions, out);
                let second = || self.share_out(right, more_actions, more_out);
                if self.wake {
                    rayon_core::join(first, second);
                } else {
                    first();
                    second();
                }
            }
        }
    }
}

impl Shard {
    fn rows(&self) -> usize {
        if self.all { self.env.lanes() } else { self.active.len() }
    }

    fn step(&mut self, actions: Actions<'_>, out: StepOut<'_>, timed: bool) {
        let began = timed.then(Instant::now);
        self.result = match self.rows() {
            0 => Ok(()),
            _ if self.all => self.env.step(actions, out),
            _ => self.env.step_lanes(&self.active, actions, out),
        };
        if let Some(began) = began {
            self.took = began.elapsed();
        }
    }
}

/// The error as it is for whoever counts lanes from the first of all.
fn from_lane(error: EnvError, first: usize) -> EnvError {
    match error {
        EnvError::NonFinite { lane, what, value } => {
            EnvError::NonFinite { lane: lane + first, what, value }
        }
        other => other,
    }
}

impl VectorEnv for ParallelEnv {
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
        self.finished.clear();
        let mut rest = obs;
        for shard in &mut self.shards {
            let (theirs, others) = rest.split_at_mut(shard.env.lanes() * self.shape.obs_len);
            rest = others;
            let seed = seed.wrapping_add(shard.first as u64);
            shard.env.reset(seed, theirs).map_err(|e| from_lane(e, shard.first))?;
        }
        Ok(())
    }

    fn reset_lane(&mut self, lane: usize, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        self.shape.lane(lane)?;
        let shard = self.shard_of(lane);
        let Shard { env, first, .. } = &mut self.shards[shard];
        env.reset_lane(lane - *first, reset, obs).map_err(|e| from_lane(e, *first))
    }

    fn step_lanes(
        &mut self,
        active: &[usize],
        actions: Actions<'_>,
        out: StepOut<'_>,
    ) -> Result<(), EnvError> {
        self.shape.active(active, actions, &out)?;
        self.finished.clear();
        let (mut active, mut actions, mut out) = (active, actions, out);
        // Rows that go from shard to shard in their order are stepped at once; usually all of them do.
        while !active.is_empty() {
            for shard in &mut self.shards {
                shard.all = false;
                shard.active.clear();
            }
            let (mut rows, mut last) = (0, 0);
            for &lane in active {
                let shard = self.shard_of(lane);
                if shard < last {
                    break;
                }
                let Shard { first, active, .. } = &mut self.shards[shard];
                active.push(lane - *first);
                (rows, last) = (rows + 1, shard);
            }
            let (now, later) = actions.split_at(rows, self.shape.action_len);
            let (out_now, out_later) = out.split_at(rows, self.shape.obs_len);
            self.step_shards(now, out_now)?;
            (active, actions, out) = (&active[rows..], later, out_later);
        }
        Ok(())
    }

    fn step(&mut self, actions: Actions<'_>, out: StepOut<'_>) -> Result<(), EnvError> {
        self.shape.rows(self.shape.lanes, actions, &out)?;
        self.finished.clear();
        self.shards.iter_mut().for_each(|shard| shard.all = true);
        self.step_shards(actions, out)
    }

    fn finished(&self) -> &[FinishedEpisode] {
        &self.finished
    }

    fn action_mask(&self, lane: usize) -> Option<&[bool]> {
        self.shape.lane(lane).ok()?;
        let shard = &self.shards[self.shard_of(lane)];
        shard.env.action_mask(lane - shard.first)
    }

    fn save_state(&self, lane: usize) -> Option<LaneState> {
        self.shape.lane(lane).ok()?;
        let shard = &self.shards[self.shard_of(lane)];
        shard.env.save_state(lane - shard.first)
    }

    fn load_state(&mut self, lane: usize, state: &LaneState) -> Result<(), EnvError> {
        self.shape.lane(lane)?;
        let shard = self.shard_of(lane);
        let Shard { env, first, .. } = &mut self.shards[shard];
        env.load_state(lane - *first, state)
    }

    fn scene(&self, lane: usize) -> Option<Scene> {
        self.shape.lane(lane).ok()?;
        let shard = &self.shards[self.shard_of(lane)];
        shard.env.scene(lane - shard.first)
    }
}
