//! One check after the other, each from a reset of its own.

use super::{
    EnvChecker, Place, Report, Rule,
    player::{Player, Trace, shown},
};
use crate::{Action, BoxSpace, DynEnv, EnvRng, Reset, Space, Value};

/// A check under way.
pub(super) struct Probe<'a> {
    effort: &'a EnvChecker,
    player: Player,
}

impl<'a> Probe<'a> {
    pub(super) fn new<E: DynEnv + ?Sized>(effort: &'a EnvChecker, env: &E) -> Self {
        Self { effort, player: Player::new(env) }
    }

    /// Everything that a single environment shows.
    pub(super) fn check<E: DynEnv + ?Sized>(mut self, env: &mut E) -> Report {
        if self.spaces() {
            self.play(env);
        }
        self.player.report
    }

    /// The same, and everything that two fresh ones show.
    pub(super) fn check_pair<E: DynEnv>(mut self, first: &mut E, second: &mut E) -> Report {
        if self.spaces() && self.same_spaces(second, "in a second environment") {
            self.before_the_first_reset(second);
            self.play(first);
            self.one_like_the_other(first, second);
        }
        self.player.report
    }

    fn add(&mut self, rule: Rule, place: &'static str, found: impl Into<String>) {
        self.player.report.add(rule, Place::In(place), found);
    }

    fn seed(&self) -> u64 {
        self.effort.seeds.first().copied().unwrap_or_default()
    }

    fn begin<E: DynEnv + ?Sized>(&mut self, env: &mut E) -> bool {
        let reset = Reset::seeded(self.seed());
        self.player.reset(env, &reset)
    }

    fn play<E: DynEnv + ?Sized>(&mut self, env: &mut E) {
        let effort = self.effort;
        let traces: Vec<_> =
            effort.seeds.iter().map(|&seed| self.reproducible(env, seed)).collect();
        if traces.iter().all(|trace| trace.endings == 0 && trace.len() > effort.steps) {
            let note = "no episode ended, so that endings were not checked; TimeLimit ends what would go on for ever";
            self.player.report.note(note);
        }
        self.after_an_ending(env);
        self.outside_actions(env);
        self.unknown_options(env);
        [0, 1, 7, 60].iter().for_each(|&steps| self.state(env, steps, false));
        self.state(env, effort.steps, true);
        self.same_spaces(env, "after some episodes");
    }

    /// Whether there is something to be played with.
    fn spaces(&mut self) -> bool {
        let Player { observation, action, .. } = &self.player;
        let mut found = Vec::new();
        for (what, space) in [("observations", observation), ("actions", action)] {
            if space.flat_len() == 0 {
                let words = format!("{what} come from {space}, which has nothing in it");
                found.push((Rule::SpaceNotEmpty, what, words));
            }
        }
        if action.action_len().is_none() {
            found.push((Rule::ActionsHaveAKind, "actions", format!("actions come from {action}")));
        }
        let playable = found.is_empty();
        found.into_iter().for_each(|(rule, what, words)| self.add(rule, what, words));
        playable
    }

    fn same_spaces<E: DynEnv + ?Sized>(&mut self, env: &E, when: &'static str) -> bool {
        let Player { observation, action, .. } = &self.player;
        let (other_observation, other_action) = (env.observation_space(), env.action_space());
        let same = (&other_observation, &other_action) == (observation, action);
        if !same {
            let found = format!(
                "{when} observations come from {other_observation} and actions from {other_action}, at first it was {observation} and {action}"
            );
            self.add(Rule::SpacesStay, when, found);
        }
        same
    }

    /// The same seed and actions twice, the second time out of the middle of an episode.
    fn reproducible<E: DynEnv + ?Sized>(&mut self, env: &mut E, seed: u64) -> Trace {
        let first = self.player.trace(env, seed, self.effort.steps);
        let again = self.player.trace(env, seed, self.effort.steps);
        if let Some(difference) = first.difference(&again) {
            let found = format!("reset with seed {seed} once more, {difference}");
            self.add(Rule::Reproducible, "once more", found);
        }
        first
    }

    fn before_the_first_reset<E: DynEnv>(&mut self, env: &mut E) {
        let action = self.player.action.sample(&mut EnvRng::new(self.seed()));
        if let Some(Ok(_)) = self.player.try_step(env, &action, "step before the first reset") {
            let found = "a step before the first reset was accepted";
            self.add(Rule::StepNeedsEpisode, "before", found);
        }
    }

    fn after_an_ending<E: DynEnv + ?Sized>(&mut self, env: &mut E) {
        let mut rng = EnvRng::new(self.seed());
        let mut trace = Trace::default();
        if self.begin(env) {
            self.player.go_on(env, &mut rng, self.effort.steps, true, &mut trace);
        }
        if !trace.over {
            return;
        }
        let action = self.player.choose(env, &mut rng);
        if let Some(Ok(_)) = self.player.try_step(env, &action, "step after an ending") {
            self.add(Rule::StepNeedsEpisode, "after", "a step after an ending was accepted");
        }
    }

    fn outside_actions<E: DynEnv + ?Sized>(&mut self, env: &mut E) {
        for (action, fault) in outside(&self.player.action) {
            let what = "step with an action outside the space";
            if !self.begin(env) {
                return;
            }
            let Some(Ok(_)) = self.player.try_step(env, &action, what) else { continue };
            let words = format!(
                "action {}, which is not in {}, was accepted",
                shown(&action),
                self.player.action
            );
            match (&self.player.action, action.as_action()) {
                (Space::Box(space), Some(Action::Continuous(values)))
                    if values.len() == space.len() && values.iter().all(|x| !x.is_nan()) =>
                {
                    let clipped = Value::Box(clip(space, values));
                    if !self.same_as(env, &clipped) {
                        let found = format!("{words}, and not as if it had been clipped");
                        self.add(Rule::ActionRefused, fault, found);
                    }
                }
                _ => self.add(Rule::ActionRefused, fault, words),
            }
        }
    }

    /// Whether `action` leads from the same beginning to the observation of the last step, nearly:
    /// clipping may round in another way. Taken for granted where episodes can't be repeated.
    fn same_as<E: DynEnv + ?Sized>(&mut self, env: &mut E, action: &Value) -> bool {
        let last = self.player.obs.clone();
        if self.player.report.breaks(Rule::Reproducible) || !self.begin(env) {
            return true;
        }
        let Some(Ok(_)) = self.player.try_step(env, action, "step") else { return true };
        let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-3 * (1.0 + b.abs());
        last.iter().zip(&self.player.obs).all(near)
    }

    fn unknown_options<E: DynEnv + ?Sized>(&mut self, env: &mut E) {
        let mut reset = Reset::seeded(self.seed());
        reset.options.insert("no_such_option".into(), true.into());
        let mut obs = self.player.obs.clone();
        let call = || env.reset(&reset, &mut obs);
        if let Some(Ok(())) = self.player.guard("reset with an unknown option", call) {
            self.add(Rule::OptionsKnown, "reset", "reset accepted the option `no_such_option`");
        }
    }

    /// Saves after `steps` moves, or at the first ending among them, goes on, loads, and goes on in
    /// the same way.
    fn state<E: DynEnv + ?Sized>(&mut self, env: &mut E, steps: usize, at_ending: bool) {
        let mut rng = EnvRng::new(self.seed());
        let mut start = Trace::default();
        if !self.begin(env) {
            return;
        }
        self.player.go_on(env, &mut rng, steps, at_ending, &mut start);
        let Some(Some(bytes)) = self.saved(env) else { return };
        let first = self.following(env, &rng, &start);
        if self.load(env, &bytes) {
            let again = self.following(env, &rng, &start);
            if let Some(difference) = first.difference(&again) {
                let found = format!("after loading a state, {difference}");
                self.add(Rule::StateComplete, "itself", found);
            }
        }
        self.damaged(env, &bytes);
    }

    fn saved<E: DynEnv + ?Sized>(&mut self, env: &E) -> Option<Option<Vec<u8>>> {
        let saved = self.player.guard("save_state", || env.save_state())?;
        if saved.is_none() {
            let note = "the environment can't save its state: a resumed run begins a new episode";
            self.player.report.note(note);
        }
        Some(saved)
    }

    fn following<E: DynEnv + ?Sized>(&mut self, env: &mut E, rng: &EnvRng, start: &Trace) -> Trace {
        let mut trace = Trace::following(start.over);
        let moves = self.effort.steps.min(100);
        self.player.go_on(env, &mut rng.clone(), moves, false, &mut trace);
        trace
    }

    fn load<E: DynEnv + ?Sized>(&mut self, env: &mut E, bytes: &[u8]) -> bool {
        match self.player.guard("load_state", || env.load_state(bytes)) {
            Some(Ok(())) => true,
            None => false,
            Some(Err(error)) => {
                let found = format!("load_state refused what save_state wrote: {error}");
                self.add(Rule::StateLoads, "load_state", found);
                false
            }
        }
    }

    fn damaged<E: DynEnv + ?Sized>(&mut self, env: &mut E, bytes: &[u8]) {
        let longer = [bytes, &[0]].concat();
        let shorter = bytes.split_last().map(|(_, rest)| (rest, "without its last byte"));
        let longer = Some((longer.as_slice(), "with a byte too many"));
        for (wrong, how) in [shorter, longer].into_iter().flatten() {
            let call = || env.load_state(wrong);
            if let Some(Ok(())) = self.player.guard("load_state of a damaged state", call) {
                self.add(Rule::StateChecked, how, format!("load_state accepted a state {how}"));
            }
        }
    }

    /// Two environments from the same seed, and the second from a state of the first.
    fn one_like_the_other<E: DynEnv>(&mut self, first: &mut E, second: &mut E) {
        let (seed, steps) = (self.seed(), self.effort.steps);
        let a = self.player.trace(first, seed, steps);
        let b = self.player.trace(second, seed, steps);
        if let Some(difference) = a.difference(&b) {
            let found = format!("in a second environment with the same seed, {difference}");
            self.add(Rule::Reproducible, "second", found);
        }
        let Some(Some(bytes)) = self.saved(first) else { return };
        let rng = EnvRng::new(seed);
        if self.load(second, &bytes) {
            let (a, b) = (self.following(first, &rng, &a), self.following(second, &rng, &a));
            if let Some(difference) = a.difference(&b) {
                let found = format!("with a state loaded into a second environment, {difference}");
                self.add(Rule::StateComplete, "second", found);
            }
        }
    }
}

/// Actions of the right kind that are not in the space, each wrong in one way, which has a name.
fn outside(space: &Space) -> Vec<(Value, &'static str)> {
    match space {
        Space::Discrete(space) => {
            [space.n(), usize::MAX].map(|index| (Value::Discrete(index), INDEX)).to_vec()
        }
        Space::Box(space) => outside_box(space),
        Space::MultiDiscrete(space) => {
            let mut actions = lengths(vec![0; space.len()], Value::MultiDiscrete);
            for (i, &n) in space.nvec().iter().enumerate() {
                let mut action = vec![0; space.len()];
                action[i] = n;
                actions.push((Value::MultiDiscrete(action), INDEX));
            }
            actions
        }
        Space::MultiBinary(space) => lengths(vec![false; space.n()], Value::MultiBinary),
        Space::Tuple(_) | Space::Dict(_) => Vec::new(),
    }
}

const INDEX: &str = "index";
const LENGTH: &str = "length";

/// An action one entry short, and one with an entry too many.
fn lengths<T: Clone + Default>(
    mut action: Vec<T>,
    value: impl Fn(Vec<T>) -> Value,
) -> Vec<(Value, &'static str)> {
    action.push(T::default());
    let longer = action.clone();
    action.truncate(longer.len().saturating_sub(2));
    vec![(value(action), LENGTH), (value(longer), LENGTH)]
}

/// Wrong lengths, a NaN, and numbers beyond each bound.
fn outside_box(space: &BoxSpace) -> Vec<(Value, &'static str)> {
    let inside = clip(space, &vec![0.0; space.len()]);
    let mut actions = lengths(inside.clone(), Value::Box);
    for (i, (&low, &high)) in space.low().iter().zip(space.high()).enumerate() {
        // Far away, so that not clipping it shows.
        let far = 1000.0 * (1.0 + low.abs().min(1e6) + high.abs().min(1e6));
        for (wrong, fault) in [(f32::NAN, "NaN"), (low - far, "bound"), (high + far, "bound")] {
            if !(low <= wrong && wrong <= high) {
                let mut action = inside.clone();
                action[i] = wrong;
                actions.push((Value::Box(action), fault));
            }
        }
    }
    actions
}

fn clip(space: &BoxSpace, values: &[f32]) -> Vec<f32> {
    let bounds = space.low().iter().zip(space.high());
    values.iter().zip(bounds).map(|(x, (low, high))| x.clamp(*low, *high)).collect()
}
