//! What the algorithms have in common that learn from what is replayed: they act and learn in turns.
//!
//! ```text
//! repeat
//!     k steps in each of n lanes with what the agent would do, into the buffer
//!     for each of g minibatches drawn from the buffer                after `learning_starts` steps
//!         the agent learns from it
//! ```

use elegante_env::EnvRng;
use elegante_policy::{ActionBatch, ActionHead, Policy};

use super::{Batch, Evidence, Failed, Learnt, Method, Setup, Watched};
use crate::{
    GuardConfig, TrainError,
    checkpoint::Checkpoint,
    crew::Crew,
    inspect::Inspected,
    memory::{Promise, Wanted, size},
    metrics::{Episode, Means},
    replay_buffer::{Draw, ReplayBuffer, Transitions},
    schedule::Left,
    streams::{Purpose, stream},
    watch::{Arrays, Phase, Watch},
    world::{World, of_length},
};

/// Steps that are told of together, at least: a line in the log for each of them would be more than
/// anybody reads.
const TOLD: usize = 64;
/// The largest buffer, in bytes, of which the flight recorder keeps a copy to go back to.
const REMEMBERED: u64 = 1 << 26;

/// How experience is gathered and replayed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Replaying {
    /// The setting that says how much is kept, and what it says.
    pub(super) buffer_size: (&'static str, usize),
    pub(super) buffer_memory: Option<u64>,
    pub(super) learning_starts: u64,
    pub(super) train_freq: usize,
    /// 0: as many as steps were made.
    pub(super) gradient_steps: usize,
    pub(super) batch_size: usize,
    pub(super) gamma: f64,
    pub(super) n_steps: usize,
    /// α and β₀ of prioritised replay.
    pub(super) priorities: Option<[f64; 2]>,
}

impl Replaying {
    /// Minibatches after each round of steps in so many lanes.
    fn gradient_steps(&self, lanes: usize) -> usize {
        match self.gradient_steps {
            0 => self.train_freq * lanes,
            n => n,
        }
    }

    /// Minibatches of all the rounds that are told of together.
    fn minibatches(&self, lanes: usize) -> u64 {
        let rounds = TOLD.div_ceil(self.train_freq.saturating_mul(lanes).max(1));
        (rounds as u64).saturating_mul(self.gradient_steps(lanes) as u64)
    }
}

/// What the settings of an algorithm say of it, under the name of the one for the buffer's size.
macro_rules! replaying {
    ($setting:expr, $config:expr) => {{
        let c = $config;
        crate::algorithms::off_policy::Replaying {
            buffer_size: ($setting, c.buffer_size),
            buffer_memory: c.buffer_memory,
            learning_starts: c.learning_starts,
            train_freq: c.train_freq,
            gradient_steps: c.gradient_steps,
            batch_size: c.batch_size,
            gamma: c.gamma,
            n_steps: c.n_steps,
            priorities: None,
        }
    }};
}

pub(super) use replaying;

/// When something happens in a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Steps of the run, and how many it is to have.
    pub(super) left: Left,
    /// Number of the update.
    pub(super) update: u64,
}

/// What every lane shows.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    /// `[lanes × width]`.
    pub(super) observations: &'a [f32],
    /// `[lanes × choices]`; empty where everything is allowed.
    pub(super) valid: &'a [bool],
    /// Steps of each lane since the last minibatch was learnt from.
    pub(super) since: usize,
}

/// The part of such an algorithm that is its own: networks that act, and learn from minibatches.
pub(super) trait Agent: Clone + Send {
    /// What it measures when it learns, besides loss, entropy and the norm of the gradient.
    const MEASURES: &'static [&'static str];

    /// What its actions are.
    fn head(&self) -> &ActionHead;

    /// The policy as it stands: without autodiff.
    fn policy(&self) -> Policy;

    /// An action for every lane, to gather experience with, drawn from the lanes' streams.
    fn act(
        &mut self,
        policy: &Policy,
        seen: Seen<'_>,
        at: Left,
        streams: &mut [EnvRng],
    ) -> Result<ActionBatch, TrainError>;

    /// A new episode begins in `lane`.
    fn begin(&mut self, _lane: usize) {}

    /// One step down the gradient from a minibatch; returns each transition's error, by which it may be
    /// drawn again.
    fn learn(
        &mut self,
        batch: &Transitions,
        at: Moment,
        means: &mut Means,
    ) -> Result<Vec<f32>, TrainError>;

    /// Notes what the gradients of the update that ends here differed by.
    fn tell_variation(&mut self, means: &mut Means);

    /// The step size.
    fn learning_rate(&self, at: Left) -> f64;

    /// Where every number goes on record, while an update that went wrong is made once more.
    fn watch(&mut self) -> &mut Option<Watch>;

    /// See [`Method::keep_gradients`].
    fn keep_gradients(&mut self);

    /// See [`Method::inspect`].
    fn inspect(&self) -> Vec<Inspected>;

    /// Notes networks, optimisers and streams, and what exploring holds on to.
    fn save(&self, checkpoint: &mut Checkpoint);

    /// Goes back to what [`save`](Self::save) noted.
    fn restore(&mut self, checkpoint: &mut Checkpoint) -> Result<(), TrainError>;
}

/// An agent with its environments and its experience.
pub(super) struct OffPolicy<A> {
    agent: A,
    replaying: Replaying,
    guard: GuardConfig,
    world: World,
    width: usize,
    buffer: ReplayBuffer,
    /// Of memory for the buffer.
    promise: Promise,
    /// Where each lane's actions come from.
    streams: Vec<EnvRng>,
    /// What minibatches are drawn with.
    drawing: EnvRng,
    crew: Crew,
}

/// What the rounds of an update have come to.
struct Rounds {
    phase: Phase,
    steps: usize,
    episodes: Vec<Episode>,
    /// Every minibatch, in order.
    drawn: Vec<Transitions>,
    means: Means,
}

/// β, which goes up in a line from what it begins with to 1 at the end of the run (Schaul et al., 2016, § 3.4).
fn annealed(beta: f64, left: Left) -> f64 {
    1.0 - (1.0 - beta) * left.after(0)
}

impl<A: Agent> OffPolicy<A> {
    /// `agent` in environments that have just begun, with nothing to remember.
    pub(super) fn new(
        agent: A,
        setup: Setup<'_>,
        replaying: Replaying,
    ) -> Result<Self, TrainError> {
        let Setup { envs, policy, guard, seed, steps, threads, .. } = setup;
        let (lanes, width) = (envs.len(), policy.observation);
        let (_, capacity) = replaying.buffer_size;
        // A run never fills more than it has steps, and those of a round are all made.
        let round = replaying.train_freq.saturating_mul(lanes).max(1);
        let steps = usize::try_from(steps).unwrap_or(usize::MAX);
        let transitions = capacity.min(steps.div_ceil(round).saturating_mul(round)).max(lanes);
        let world = World::new(envs, seed, width)?;
        let masks = world.masks(agent.head())?;
        let kinds = (replaying.priorities.is_some(), !masks.is_empty());
        let bytes = ReplayBuffer::bytes(transitions, width, agent.head(), kinds);
        let (setting, allowed) = (replaying.buffer_size, replaying.buffer_memory);
        let minibatch =
            Transitions::bytes(replaying.batch_size, width, agent.head(), !masks.is_empty());
        let minibatches = minibatch.saturating_mul(replaying.minibatches(lanes));
        let wanted = Wanted { setting, transitions, bytes, minibatches, allowed };
        let promise = wanted.promise()?;
        let alpha = replaying.priorities.map(|[alpha, _]| alpha);
        let mut buffer = ReplayBuffer::new(capacity, lanes, width, agent.head(), alpha);
        buffer.stand(&world.out.observations, masks);
        buffer.reserve(transitions).map_err(|_| {
            let (setting, _) = setting;
            let takes = size(bytes);
            TrainError::Unsupported(format!(
                "{setting}: the system refuses the {takes} that a replay buffer of {transitions} transitions takes"
            ))
        })?;
        let streams = (0..lanes).map(|lane| stream(seed, Purpose::Action, lane as u64)).collect();
        let drawing = stream(seed, Purpose::Replay, 0);
        let crew = Crew::new(threads);
        Ok(Self { agent, replaying, guard, world, width, buffer, promise, streams, drawing, crew })
    }

    /// Rounds of acting and learning until there is something to tell.
    fn rounds(&mut self, all: &mut Rounds, left: Left, update: u64) -> Result<(), TrainError> {
        let now = |all: &Rounds| Left { steps: left.steps + all.steps as u64, ..left };
        while all.steps < TOLD && now(all).steps < left.of {
            all.phase = Phase::Collecting;
            let policy = self.agent.policy();
            for since in 0..self.replaying.train_freq {
                self.step((&policy, since), now(all), all)?;
            }
            all.phase = Phase::Learning;
            let left = now(all);
            if left.steps <= self.replaying.learning_starts {
                continue;
            }
            for _ in 0..self.replaying.gradient_steps(self.world.lanes()) {
                all.drawn.push(self.draw(left));
                let batch = &all.drawn[all.drawn.len() - 1];
                let (at, means) = (Moment { left, update }, &mut all.means);
                let errors = self.crew.lend(|| self.agent.learn(batch, at, means))?;
                self.buffer.prioritize(&batch.rows, &errors);
            }
        }
        Ok(())
    }

    /// One step of every lane, into the buffer.
    fn step(
        &mut self,
        (policy, since): (&Policy, usize),
        at: Left,
        all: &mut Rounds,
    ) -> Result<(), TrainError> {
        let valid = self.world.masks(self.agent.head())?;
        let seen = Seen { observations: &self.world.out.observations, valid: &valid, since };
        let actions = self.agent.act(policy, seen, at, &mut self.streams)?;
        let taken = self.agent.head().to_env(actions.clone());
        all.episodes.extend(self.world.step(&taken, all.steps)?);
        all.steps += self.world.lanes();
        let out = &self.world.out;
        let ended = out.endings.iter().enumerate().filter(|(_, ending)| ending.is_some());
        ended.for_each(|(lane, _)| self.agent.begin(lane));
        let finals = self.world.finals(self.agent.head())?;
        self.buffer.push(&actions, &out.rewards, &out.endings, finals);
        let bytes = self.buffer.taken();
        self.promise.taken(bytes);
        if let Some(limit) = self.replaying.buffer_memory.filter(|limit| bytes > *limit) {
            let (setting, _) = self.replaying.buffer_size;
            let cut_off = self.buffer.cut_off();
            return Err(TrainError::ReplayGrown { setting, cut_off, bytes, limit });
        }
        let valid = self.world.masks(self.agent.head())?;
        self.buffer.stand(&self.world.out.observations, valid);
        Ok(())
    }

    fn draw(&mut self, left: Left) -> Transitions {
        let Replaying { batch_size: size, gamma, n_steps, priorities, .. } = self.replaying;
        let beta = priorities.map_or(0.0, |[_, beta]| annealed(beta, left));
        self.buffer.draw(&Draw { size, n_steps, gamma, beta }, left.steps, &mut self.drawing)
    }

    /// Learns from these minibatches, with every number on record and the agent afterwards as it was.
    fn watched(&mut self, drawn: &[Transitions], of: u64, update: u64) -> Watched {
        let before = self.agent.clone();
        *self.agent.watch() = Some(Watch::default());
        let mut means = Means::default();
        let learnt = drawn.iter().try_for_each(|batch| {
            let at = Moment { left: Left { steps: batch.steps, of }, update };
            self.agent.learn(batch, at, &mut means).map(drop)
        });
        let outcome = learnt.and_then(|()| self.concluded(means, 0.0, update)).map(drop);
        let watch = self.agent.watch().take().unwrap_or_default();
        self.agent = before;
        Watched { watch, outcome }
    }

    /// What an update has to tell, from the means over its minibatches, if it keeps within the limits.
    fn concluded(
        &self,
        mut means: Means,
        learning_rate: f64,
        update: u64,
    ) -> Result<Learnt, TrainError> {
        let [loss, entropy, grad_norm] =
            ["loss", "entropy", "grad_norm"].map(|name| means.take(name));
        self.guard.check(update, None, entropy)?;
        let mut values = means.finish();
        for name in A::MEASURES {
            // Before the learning starts there is nothing to measure, and still a place for it in the logs.
            values.entry(name).or_insert(f64::NAN);
        }
        Ok(Learnt { loss, entropy, grad_norm, learning_rate, values })
    }
}

impl<A: Agent> Method for OffPolicy<A> {
    fn update(&mut self, left: Left, update: u64) -> Result<Batch, Failed> {
        let before = self.agent.clone();
        let mut all = Rounds {
            phase: Phase::Collecting,
            steps: 0,
            episodes: Vec::new(),
            drawn: Vec::new(),
            means: Means::default(),
        };
        let learnt = self.rounds(&mut all, left, update).and_then(|()| {
            let left = Left { steps: left.steps + all.steps as u64, ..left };
            let mut means = std::mem::take(&mut all.means);
            self.agent.tell_variation(&mut means);
            self.concluded(means, self.agent.learning_rate(left), update)
        });
        let Rounds { phase, steps, episodes, drawn, .. } = all;
        let error = match learnt {
            Ok(learnt) => return Ok(Batch { steps, episodes, learnt }),
            Err(error) => error,
        };
        self.agent = before;
        if phase == Phase::Collecting {
            return Err(error.into());
        }
        let watched = self.watched(&drawn, left.of, update);
        let batch = Transitions::to_arrays(&drawn, self.width, self.agent.head());
        Err(Evidence::failed(error, batch, watched))
    }

    fn watch(
        &mut self,
        batch: &mut Arrays,
        left: Left,
        update: u64,
    ) -> Result<Watched, TrainError> {
        let size = self.replaying.batch_size;
        let drawn = Transitions::from_arrays(size, self.width, self.agent.head(), batch)?;
        Ok(self.watched(&drawn, left.of, update))
    }

    fn acting(&self) -> Policy {
        self.agent.policy()
    }

    fn keep_gradients(&mut self) {
        self.agent.keep_gradients();
    }

    fn inspect(&self) -> Vec<Inspected> {
        self.agent.inspect()
    }

    fn light(&self) -> bool {
        self.buffer.taken() <= REMEMBERED
    }

    fn save_learning(&self, checkpoint: &mut Checkpoint) {
        self.agent.save(checkpoint);
    }

    fn save_collecting(&self, checkpoint: &mut Checkpoint) {
        checkpoint.note("streams", &self.streams);
        checkpoint.note("drawing", &self.drawing);
        self.world.save(checkpoint);
        self.buffer.save(checkpoint);
    }

    fn restore_learning(&mut self, checkpoint: &mut Checkpoint) -> Result<(), TrainError> {
        self.agent.restore(checkpoint)
    }

    fn restore_collecting(
        &mut self,
        checkpoint: &mut Checkpoint,
    ) -> Result<Vec<usize>, TrainError> {
        self.streams = of_length(checkpoint, "streams", self.world.lanes())?;
        self.drawing = checkpoint.recall("drawing")?;
        self.buffer.restore(checkpoint)?;
        self.promise.taken(self.buffer.taken());
        let fresh = self.world.restore(checkpoint)?;
        for lane in 0..self.world.lanes() {
            if fresh.contains(&lane) {
                self.buffer.cut(lane);
                self.agent.begin(lane);
            } else {
                let row = lane * self.width..(lane + 1) * self.width;
                self.world.out.observations[row.clone()]
                    .copy_from_slice(&self.buffer.standing()[row]);
            }
        }
        let valid = self.world.masks(self.agent.head())?;
        self.buffer.stand(&self.world.out.observations, valid);
        Ok(fresh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beta_goes_up_in_a_line_to_1() {
        let at = |steps| annealed(0.4, Left { steps, of: 1_000 });
        assert_eq!([at(0), at(500), at(1_000), at(1_024)], [0.4, 0.7, 1.0, 1.0]);
        assert_eq!(annealed(1.0, Left { steps: 300, of: 1_000 }), 1.0);
    }

    #[test]
    fn minibatches_are_those_of_all_the_rounds_that_are_told_of() {
        let replaying = |train_freq, gradient_steps| Replaying {
            buffer_size: ("sac.buffer_size", 1),
            buffer_memory: None,
            learning_starts: 0,
            train_freq,
            gradient_steps,
            batch_size: 1,
            gamma: 0.9,
            n_steps: 1,
            priorities: None,
        };
        for (train_freq, gradient_steps, lanes, expected) in
            [(1, 1, 1, 64), (4, 1, 1, 16), (256, 128, 1, 128), (4, 0, 4, 64), (5, 0, 2, 70)]
        {
            assert_eq!(replaying(train_freq, gradient_steps).minibatches(lanes), expected);
        }
    }
}
