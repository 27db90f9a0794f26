//! A world small enough to write down whole: three states, an end, two actions, four steps at most.
//! Everything here is plain f64 on the host and knows nothing of burn, so that it can contradict it.

use elegante::{policy::ActionBatch, trainer::Trajectories};

pub(crate) const STATES: usize = 3;
pub(crate) const ACTIONS: usize = 2;
/// The time limit, part of the world: the horizon over which r(τ) is collected.
pub(crate) const HORIZON: usize = 4;

/// θ[s·ACTIONS + a]: the logit of action a in state s.
pub(crate) type Theta = [f64; STATES * ACTIONS];

/// With probability `chance`: reward `reward`, and on to state `next`; `None` is the end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) chance: f64,
    pub(crate) reward: f64,
    pub(crate) next: Option<usize>,
}

/// P(s₀) and P(s′, r | s, a).
#[derive(Clone, Debug)]
pub(crate) struct Mdp {
    start: [f64; STATES],
    outcomes: [[[Outcome; 2]; ACTIONS]; STATES],
}

/// One step of a trajectory; `outcome` says which of the two things that could happen did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Move {
    pub(crate) state: usize,
    pub(crate) action: usize,
    outcome: usize,
}

/// τ = (s₀, a₀, r₀, s₁, a₁, r₁, …), to the end or to the time limit.
pub(crate) type Trajectory = Vec<Move>;

impl Mdp {
    /// Rewards of both signs, no symmetry, two starts, and an end that each state can reach.
    pub(crate) fn new() -> Self {
        let o = |chance, reward, next| Outcome { chance, reward, next };
        Self {
            start: [0.6, 0.4, 0.0],
            outcomes: [
                [
                    [o(0.7, 1.0, Some(1)), o(0.3, -0.5, Some(0))],
                    [o(0.6, 0.3, Some(2)), o(0.4, 2.0, None)],
                ],
                [
                    [o(0.8, -1.0, Some(2)), o(0.2, 0.7, Some(0))],
                    [o(0.55, 0.4, Some(1)), o(0.45, 1.5, None)],
                ],
                [
                    [o(0.5, 2.5, Some(0)), o(0.5, -0.2, Some(2))],
                    [o(0.9, 0.1, Some(1)), o(0.1, -3.0, None)],
                ],
            ],
        }
    }

    /// The same trajectories under another nature: every probability of the dynamics is different.
    pub(crate) fn other_dynamics(&self) -> Self {
        let mut other = self.clone();
        other.start = [0.25, 0.75, 0.0];
        for [first, second] in other.outcomes.iter_mut().flatten() {
            first.chance = first.chance.powi(3);
            second.chance = 1.0 - first.chance;
        }
        other
    }

    /// Every trajectory that can happen, each once.
    pub(crate) fn trajectories(&self) -> Vec<Trajectory> {
        let mut all = Vec::new();
        for state in (0..STATES).filter(|&s| self.start[s] > 0.0) {
            self.extend(state, &mut Vec::new(), &mut all);
        }
        all
    }

    fn extend(&self, state: usize, past: &mut Trajectory, all: &mut Vec<Trajectory>) {
        for action in 0..ACTIONS {
            for outcome in 0..2 {
                past.push(Move { state, action, outcome });
                match self.outcomes[state][action][outcome].next {
                    Some(next) if past.len() < HORIZON => self.extend(next, past, all),
                    _ => all.push(past.clone()),
                }
                past.pop();
            }
        }
    }

    /// ρθ(τ) = P(s₀) Πₜ πθ(aₜ|sₜ) P(sₜ₊₁, rₜ | sₜ, aₜ).
    pub(crate) fn probability(&self, τ: &Trajectory, θ: &Theta) -> f64 {
        let step = |m: &Move| policy(θ, m.state)[m.action] * self.outcome(m).chance;
        self.start[τ[0].state] * τ.iter().map(step).product::<f64>()
    }

    /// J(θ) = E[Σₜ γᵗ rₜ] = Σ_τ ρθ(τ) Σₜ γᵗ rₜ, by enumeration.
    pub(crate) fn objective(&self, all: &[Trajectory], θ: &Theta, γ: f64) -> f64 {
        let discounted = |τ: &Trajectory| -> f64 {
            (0..).zip(τ).map(|(t, m)| γ.powi(t) * self.outcome(m).reward).sum()
        };
        all.iter().map(|τ| self.probability(τ, θ) * discounted(τ)).sum()
    }

    /// Vπ(s, t) = E[rₜ + rₜ₊₁ + … | sₜ = s], backwards from the horizon. It depends on t, since a
    /// state is worth less when there is less time left to collect in.
    pub(crate) fn value(&self, θ: &Theta) -> [[f64; STATES]; HORIZON] {
        let mut value = [[0.0; STATES]; HORIZON];
        for t in (0..HORIZON).rev() {
            let after = value.get(t + 1).copied().unwrap_or_default();
            for (s, actions) in self.outcomes.iter().enumerate() {
                let worth = |o: &Outcome| o.chance * (o.reward + o.next.map_or(0.0, |s| after[s]));
                let q = actions.map(|outcomes| outcomes.iter().map(worth).sum::<f64>());
                value[t][s] = policy(θ, s).iter().zip(q).map(|(π, q)| π * q).sum();
            }
        }
        value
    }

    /// E[Vπ(s₀, 0)]: J(θ) once more, by another road.
    pub(crate) fn expected_start_value(&self, θ: &Theta) -> f64 {
        self.start.iter().zip(self.value(θ)[0]).map(|(chance, v)| chance * v).sum()
    }

    /// The trajectories as the trainer stores what it has collected.
    pub(crate) fn batch(&self, all: &[Trajectory]) -> Trajectories {
        let moves = || all.iter().flatten();
        let mut batch =
            Trajectories::new(ActionBatch::Discrete(moves().map(|m| m.action).collect()));
        batch.rewards = moves().map(|m| self.outcome(m).reward).collect();
        batch.lengths = all.iter().map(Vec::len).collect();
        batch
    }

    fn outcome(&self, m: &Move) -> &Outcome {
        &self.outcomes[m.state][m.action][m.outcome]
    }
}

/// πθ(·|s) = softmax(θ[s, ·]).
fn policy(θ: &Theta, s: usize) -> [f64; ACTIONS] {
    let weights: [f64; ACTIONS] = std::array::from_fn(|a| θ[s * ACTIONS + a].exp());
    weights.map(|w| w / weights.iter().sum::<f64>())
}

/// ∇f(θ) by the five-point stencil (f(−2h) − 8f(−h) + 8f(h) − f(2h))/12h.
///
/// Its error is of order h⁴ from the formula and 10⁻¹⁶/h from rounding: about 10⁻¹² each at h = 10⁻³.
pub(crate) fn central_difference(f: impl Fn(&Theta) -> f64, θ: &Theta) -> Vec<f64> {
    let h = 1e-3;
    let along = |i: usize, steps: f64| {
        let mut θ = *θ;
        θ[i] += steps * h;
        f(&θ)
    };
    let slope = |i| {
        (along(i, -2.0) - 8.0 * along(i, -1.0) + 8.0 * along(i, 1.0) - along(i, 2.0)) / (12.0 * h)
    };
    (0..θ.len()).map(slope).collect()
}
