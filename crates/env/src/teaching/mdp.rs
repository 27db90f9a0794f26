//! A Markov decision process written out as a table, and its solution.

use serde::{Deserialize, Serialize};

use crate::{Ending, EnvError};

/// One thing that may come of an action.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// p(s′, r | s, a).
    pub probability: f64,
    /// s′, the index of the state after the action.
    pub next: usize,
    /// r
    pub reward: f64,
    /// Whether the episode ends there, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
}

impl Outcome {
    /// The episode goes on in `next`.
    pub const fn going(probability: f64, next: usize, reward: f64) -> Self {
        Self { probability, next, reward, ending: None }
    }

    /// The episode ends in `next`.
    pub const fn terminated(probability: f64, next: usize, reward: f64) -> Self {
        Self { probability, next, reward, ending: Some(Ending::Terminated) }
    }
}

/// A finite Markov decision process: states and actions are indices, and what comes of each action in
/// each state is a list of outcomes. Serde writes it as `start` and `transitions`, and what it reads is
/// checked.
///
/// ```
/// use elegante_env::{Mdp, Outcome};
///
/// // Take 1 now, or wait a step and get 3 half of the time.
/// let now = vec![Outcome::terminated(1.0, 0, 1.0)];
/// let wait = vec![Outcome::terminated(0.5, 0, 0.0), Outcome::terminated(0.5, 0, 3.0)];
/// let mdp = Mdp::new(vec![1.0], vec![vec![now, wait]])?;
/// assert_eq!(mdp.optimal_return(1.0, 10), 1.5);
/// # Ok::<(), elegante_env::EnvError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct Mdp {
    start: Vec<f64>,
    transitions: Vec<Vec<Vec<Outcome>>>,
}

/// A table that was read and not yet checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    start: Vec<f64>,
    transitions: Vec<Vec<Vec<Outcome>>>,
}

impl TryFrom<Written> for Mdp {
    type Error = EnvError;

    fn try_from(written: Written) -> Result<Self, EnvError> {
        Self::new(written.start, written.transitions)
    }
}

impl Mdp {
    /// Where episodes start, a probability for each state; and `transitions[state][action]`, all that
    /// may come of an action.
    ///
    /// # Errors
    /// When there are no states or no actions, the states have different numbers of actions, an index
    /// leads out of the table, a number is not finite, or probabilities don't add up to 1.
    pub fn new(start: Vec<f64>, transitions: Vec<Vec<Vec<Outcome>>>) -> Result<Self, EnvError> {
        let wrong = |reason: String| Err(EnvError::Transitions(reason));
        let (states, actions) = (transitions.len(), transitions.first().map_or(0, Vec::len));
        if states == 0 || actions == 0 {
            return wrong("there must be at least one state with at least one action".into());
        }
        if start.len() != states {
            return wrong(format!("{} probabilities of starting, {states} states", start.len()));
        }
        if let Err(reason) = distribution(start.iter().copied()) {
            return wrong(format!("where episodes start: {reason}"));
        }
        for (s, choices) in transitions.iter().enumerate() {
            if choices.len() != actions {
                return wrong(format!(
                    "state {s} has {} actions, state 0 {actions}",
                    choices.len()
                ));
            }
            for (a, outcomes) in choices.iter().enumerate() {
                if let Err(reason) = possible(outcomes, states) {
                    return wrong(format!("state {s}, action {a}: {reason}"));
                }
            }
        }
        Ok(Self { start, transitions })
    }

    /// Number of states.
    pub fn states(&self) -> usize {
        self.transitions.len()
    }

    /// Number of actions.
    pub fn actions(&self) -> usize {
        self.transitions[0].len()
    }

    /// The probability of starting in each state.
    pub fn start(&self) -> &[f64] {
        &self.start
    }

    /// What may come of an action.
    ///
    /// # Panics
    /// When there is no such state or action.
    pub fn outcomes(&self, state: usize, action: usize) -> &[Outcome] {
        &self.transitions[state][action]
    }

    /// Σ p (r + γ v(s′)), v(s′) being 0 where the task ended.
    fn value(&self, state: usize, action: usize, values: &[f64], discount: f64) -> f64 {
        let ahead = |o: &Outcome| match o.ending {
            Some(Ending::Terminated) => 0.0,
            _ => discount * values[o.next],
        };
        self.outcomes(state, action).iter().map(|o| o.probability * (o.reward + ahead(o))).sum()
    }

    /// The best expected return from each state within so many steps, by backward induction:
    /// v₀ = 0, vₖ₊₁(s) = maxₐ Σ p(s′, r | s, a) (r + γ vₖ(s′)).
    pub fn optimal_values(&self, discount: f64, steps: usize) -> Vec<f64> {
        let mut values = vec![0.0; self.states()];
        for _ in 0..steps {
            let best = |state| {
                let choices = (0..self.actions()).map(|a| self.value(state, a, &values, discount));
                choices.fold(f64::NEG_INFINITY, f64::max)
            };
            values = (0..self.states()).map(best).collect();
        }
        values
    }

    /// The best expected return of an episode of at most so many steps.
    pub fn optimal_return(&self, discount: f64, steps: usize) -> f64 {
        let values = self.optimal_values(discount, steps);
        self.start.iter().zip(values).map(|(p, v)| p * v).sum()
    }

    /// In each state the action that is best if `values` lie ahead; the first of several.
    pub fn greedy(&self, values: &[f64], discount: f64) -> Vec<usize> {
        let best = |state| {
            let value = |a| self.value(state, a, values, discount);
            let better = |best, a| if value(a) > value(best) { a } else { best };
            (1..self.actions()).fold(0, better)
        };
        (0..self.states()).map(best).collect()
    }
}

fn possible(outcomes: &[Outcome], states: usize) -> Result<(), String> {
    if let Some(bad) = outcomes.iter().find(|o| o.next >= states) {
        return Err(format!("leads to state {}, the last of which is {}", bad.next, states - 1));
    }
    if let Some(bad) = outcomes.iter().find(|o| !o.reward.is_finite()) {
        return Err(format!("the reward {} is not a finite number", bad.reward));
    }
    distribution(outcomes.iter().map(|o| o.probability))
}

fn distribution(probabilities: impl Iterator<Item = f64>) -> Result<(), String> {
    let mut sum = 0.0;
    for p in probabilities {
        if !(0.0..=1.0).contains(&p) {
            return Err(format!("{p} is not a probability"));
        }
        sum += p;
    }
    if (sum - 1.0).abs() > 1e-9 {
        return Err(format!("the probabilities add up to {sum}, not to 1"));
    }
    Ok(())
}

/// Which of several things happens when `u` is drawn from [0, 1): Gymnasium's rule, which takes the
/// first whose probabilities so far exceed u, and the very first where rounding leaves none.
pub(super) fn categorical(probabilities: impl Iterator<Item = f64>, u: f64) -> usize {
    let mut sum = 0.0;
    let mut exceeds = probabilities.map(|p| {
        sum += p;
        sum > u
    });
    exceeds.position(|exceeds| exceeds).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two states; from the first, action 1 leads to the second, where each action pays its index.
    fn two() -> Vec<Vec<Vec<Outcome>>> {
        let go = |next, reward| vec![Outcome::going(1.0, next, reward)];
        let end = |reward| vec![Outcome::terminated(1.0, 1, reward)];
        vec![vec![go(0, 0.0), go(1, 0.0)], vec![end(0.0), end(1.0)]]
    }

    #[test]
    fn tables_that_make_no_process_are_refused_in_words() {
        let refused = |start: &[f64], change: fn(&mut Vec<Vec<Vec<Outcome>>>)| {
            let mut table = two();
            change(&mut table);
            Mdp::new(start.to_vec(), table).unwrap_err().to_string()
        };
        let start = [1.0, 0.0];
        let same = |_: &mut Vec<Vec<Vec<Outcome>>>| {};
        assert_eq!(refused(&[1.0], same), "transitions: 1 probabilities of starting, 2 states");
        assert_eq!(
            refused(&[0.5, 0.4], same),
            "transitions: where episodes start: the probabilities add up to 0.9, not to 1"
        );
        assert_eq!(
            refused(&start, |t| t[1][0][0].next = 2),
            "transitions: state 1, action 0: leads to state 2, the last of which is 1"
        );
        let words = refused(&start, |t| t[0][1][0].reward = f64::NAN);
        assert!(words.contains("the reward NaN is not a finite number"), "{words}");
        let words = refused(&start, |t| t[0][1][0].probability = -0.5);
        assert!(words.contains("-0.5 is not a probability"), "{words}");
        let words = refused(&start, |t| t[0][1].clear());
        assert!(words.contains("add up to 0"), "{words}");
        let words = refused(&start, |t| drop(t[1].pop()));
        assert_eq!(words, "transitions: state 1 has 1 actions, state 0 2");
        assert!(refused(&[], Vec::clear).contains("at least one state"));
    }

    #[test]
    fn a_table_reads_back_as_written_and_is_checked() {
        let mdp = Mdp::new(vec![1.0, 0.0], two()).unwrap();
        let text = toml::to_string(&mdp).unwrap();
        assert_eq!(toml::from_str::<Mdp>(&text).unwrap(), mdp, "{text}");
        let json = serde_json::to_string(&mdp).unwrap();
        assert_eq!(serde_json::from_str::<Mdp>(&json).unwrap(), mdp, "{json}");
        let error = toml::from_str::<Mdp>(&text.replace("1.0", "0.7")).unwrap_err();
        assert!(error.to_string().contains("add up to 0.7"), "{error}");
    }

    #[test]
    fn backward_induction_looks_as_far_as_it_may() {
        let mdp = Mdp::new(vec![0.75, 0.25], two()).unwrap();
        assert_eq!(mdp.optimal_values(0.5, 1), [0.0, 1.0]);
        assert_eq!(mdp.optimal_values(0.5, 2), [0.5, 1.0]);
        assert_eq!(mdp.optimal_return(0.5, 9), 0.75 * 0.5 + 0.25);
        assert_eq!(mdp.greedy(&mdp.optimal_values(0.5, 2), 0.5), [1, 1]);
        assert_eq!(mdp.greedy(&[0.0, 0.0], 0.5), [0, 1], "the first of two that are equal");
    }

    #[test]
    fn draws_fall_where_gymnasiums_fall() {
        let draw = |u| categorical([0.0, 0.25, 0.75].into_iter(), u);
        assert_eq!([draw(0.0), draw(0.2499), draw(0.25), draw(0.999)], [1, 1, 2, 2]);
        assert_eq!(categorical([0.3, 0.3].into_iter(), 0.9), 0, "none exceeds it");
    }
}
