//! Action heads: what a network's outputs mean.

use burn::tensor::{Bool, Tensor};
use serde::{Deserialize, Serialize};

use crate::{
    ActionBatch, ActionValues, Bernoulli, Beta, Categorical, Deterministic, DiagGaussian,
    Distribution, EpsilonGreedy, Gsde, MultiCategorical, PolicyError, SquashedGaussian,
};

/// How far from 0 the mean of squashed state-dependent exploration may lie, as in the reference
/// implementation: farther out no noise of a usual size moves the action.
const FARTHEST: f64 = 2.0;

/// What a policy's outputs mean.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ActionHead {
    /// Logits of a choice among `n` actions.
    Categorical {
        /// Number of actions.
        n: usize,
    },
    /// Logits of several choices made at once, one component's after the other's.
    MultiCategorical {
        /// Number of choices of each component.
        ns: Vec<usize>,
    },
    /// Logits of `n` bits.
    Bernoulli {
        /// Number of bits.
        n: usize,
    },
    /// The mean of a diagonal Gaussian; log σ is a parameter of its own, the same in every state.
    Gaussian {
        /// Smallest allowed entry in each dimension; `None` where it is unbounded.
        low: Vec<Option<f32>>,
        /// Largest allowed entry in each dimension; `None` where it is unbounded.
        high: Vec<Option<f32>>,
        /// log σ in every dimension before training.
        initial_log_std: f32,
    },
    /// All means and then all log σ of a Gaussian that tanh presses between the bounds.
    SquashedGaussian {
        /// Where tanh = −1 is mapped to, in each dimension.
        low: Vec<f32>,
        /// Where tanh = 1 is mapped to, in each dimension.
        high: Vec<f32>,
    },
    /// What softplus makes all α − 1 and then all β − 1 of Beta distributions between the bounds.
    Beta {
        /// Where 0 is mapped to, in each dimension.
        low: Vec<f32>,
        /// Where 1 is mapped to, in each dimension.
        high: Vec<f32>,
    },
    /// The mean of a Gaussian whose noise is a function of the last hidden layer's features;
    /// log σ, `[features × dims]`, is a parameter of its own.
    Gsde {
        /// Smallest allowed entry in each dimension; `None` where it is unbounded.
        low: Vec<Option<f32>>,
        /// Largest allowed entry in each dimension; `None` where it is unbounded.
        high: Vec<Option<f32>>,
        /// log σ of every feature and dimension before training.
        initial_log_std: f32,
        /// Whether the exploration's gradient reaches the features.
        learn_features: bool,
        /// Whether tanh presses the action between the bounds, all of which must then exist.
        squash: bool,
    },
    /// Values of actions, of which the best is taken but for a chance of ε.
    EpsilonGreedy {
        /// What the outputs say of each action.
        values: ActionValues,
        /// The chance of any action instead, where actions are drawn.
        epsilon: f32,
    },
    /// What tanh presses between the bounds: the one action.
    Deterministic {
        /// Where tanh = −1 is mapped to, in each dimension.
        low: Vec<f32>,
        /// Where tanh = 1 is mapped to, in each dimension.
        high: Vec<f32>,
    },
}

impl ActionHead {
    /// The network's outputs.
    pub fn outputs(&self) -> usize {
        match self {
            Self::Categorical { n } | Self::Bernoulli { n } => *n,
            // A sum beyond all numbers is refused as too large, like any other.
            Self::MultiCategorical { ns } => ns.iter().fold(0, |sum, n| sum.saturating_add(*n)),
            Self::Gaussian { low, .. } | Self::Gsde { low, .. } => low.len(),
            Self::SquashedGaussian { low, .. } | Self::Beta { low, .. } => 2 * low.len(),
            Self::Deterministic { low, .. } => low.len(),
            Self::EpsilonGreedy { values, .. } => values.outputs(),
        }
    }

    /// Discrete actions: the width of a mask of valid ones.
    pub fn choices(&self) -> usize {
        match self {
            Self::EpsilonGreedy { values, .. } => values.n,
            _ => self.outputs(),
        }
    }

    /// Entries in one action; 1 for a choice among n.
    pub fn dims(&self) -> usize {
        match self {
            Self::Categorical { .. } | Self::EpsilonGreedy { .. } => 1,
            Self::MultiCategorical { ns } => ns.len(),
            Self::Bernoulli { n } => *n,
            Self::Gaussian { low, .. } | Self::Gsde { low, .. } => low.len(),
            Self::SquashedGaussian { low, .. }
            | Self::Beta { low, .. }
            | Self::Deterministic { low, .. } => low.len(),
        }
    }

    /// No actions, of the kind that this head draws.
    pub fn no_actions(&self) -> ActionBatch {
        let dims = self.dims();
        match self {
            Self::Categorical { .. } | Self::EpsilonGreedy { .. } => {
                ActionBatch::Discrete(Vec::new())
            }
            Self::MultiCategorical { .. } => {
                ActionBatch::MultiDiscrete { values: Vec::new(), dims }
            }
            Self::Bernoulli { .. } => ActionBatch::MultiBinary { values: Vec::new(), dims },
            Self::Gaussian { .. }
            | Self::SquashedGaussian { .. }
            | Self::Beta { .. }
            | Self::Gsde { .. }
            | Self::Deterministic { .. } => ActionBatch::Continuous { values: Vec::new(), dims },
        }
    }

    /// Drawn actions as an environment takes them: within the bounds. A Gaussian's are moved to the
    /// nearest point of the box, squashed ones and those of a Beta mapped onto it; discrete ones stay
    /// as they are. Those of a policy without chance, which noise may have moved, are kept within ±1.
    #[must_use]
    pub fn to_env(&self, mut actions: ActionBatch) -> ActionBatch {
        let ActionBatch::Continuous { values, dims } = &mut actions else { return actions };
        let entries = values.iter_mut().enumerate().map(|(i, value)| (i % *dims, value));
        match self {
            Self::Gsde { low, high, squash: true, .. } => entries.for_each(|(j, u)| {
                let bounds = (low[j].unwrap_or(-1.0), high[j].unwrap_or(1.0));
                *u = between(bounds, unit(*u));
            }),
            Self::Gaussian { low, high, .. } | Self::Gsde { low, high, .. } => {
                entries.for_each(|(j, value)| {
                    let above = low[j].map_or(*value, |low| value.max(low));
                    *value = high[j].map_or(above, |high| above.min(high));
                });
            }
            Self::SquashedGaussian { low, high } => {
                entries.for_each(|(j, u)| *u = between((low[j], high[j]), unit(*u)));
            }
            Self::Beta { low, high } => {
                entries.for_each(|(j, x)| *x = between((low[j], high[j]), f64::from(*x)));
            }
            Self::Deterministic { low, high } => entries.for_each(|(j, a)| {
                *a = between((low[j], high[j]), 0.5 + 0.5 * f64::from(*a));
            }),
            Self::Categorical { .. }
            | Self::MultiCategorical { .. }
            | Self::Bernoulli { .. }
            | Self::EpsilonGreedy { .. } => {}
        }
        actions
    }

    /// Whether a mask leaves something to choose in every row.
    ///
    /// # Shapes
    /// `valid`: `[rows × choices]`, row by row; empty when every action is valid.
    ///
    /// # Errors
    /// [`PolicyError::NothingValid`] or [`PolicyError::NothingValidIn`], for the first such row.
    pub fn check_mask(&self, valid: &[bool]) -> Result<(), PolicyError> {
        let ns = match self {
            Self::Categorical { n } => std::slice::from_ref(n),
            Self::EpsilonGreedy { values, .. } => std::slice::from_ref(&values.n),
            Self::MultiCategorical { ns } => ns,
            // All bits unset is an action that nobody can forbid; real vectors have no masks.
            _ => return Ok(()),
        };
        for (row, mut rest) in valid.chunks_exact(self.choices().max(1)).enumerate() {
            for (component, n) in ns.iter().enumerate() {
                let (mine, others) = rest.split_at(*n);
                rest = others;
                if mine.contains(&true) {
                    continue;
                }
                return Err(match self {
                    Self::Categorical { .. } | Self::EpsilonGreedy { .. } => {
                        PolicyError::NothingValid { row }
                    }
                    _ => PolicyError::NothingValidIn { row, component },
                });
            }
        }
        Ok(())
    }

    /// πθ(·|s) from what the network and the head's own parameter say.
    ///
    /// # Shapes
    /// `out`: `[rows, outputs]`; `features`: `[rows, features]`; `log_std` of
    /// [`log_std_shape`](Self::log_std_shape); `valid`: `[rows, choices]`, discrete actions only.
    pub(crate) fn distribution(
        &self,
        out: Tensor<2>,
        features: Tensor<2>,
        log_std: Option<Tensor<2>>,
        valid: Option<Tensor<2, Bool>>,
    ) -> Distribution {
        match (self, valid, log_std) {
            (Self::Categorical { .. }, None, _) => Distribution::Categorical(Categorical::new(out)),
            (Self::Categorical { .. }, Some(valid), _) => {
                Distribution::Categorical(Categorical::masked(out, valid))
            }
            (Self::MultiCategorical { ns }, None, _) => {
                Distribution::MultiCategorical(MultiCategorical::new(out, ns))
            }
            (Self::MultiCategorical { ns }, Some(valid), _) => {
                Distribution::MultiCategorical(MultiCategorical::masked(out, ns, valid))
            }
            (Self::Bernoulli { .. }, None, _) => Distribution::Bernoulli(Bernoulli::new(out)),
            (Self::Bernoulli { .. }, Some(valid), _) => {
                Distribution::Bernoulli(Bernoulli::masked(out, valid))
            }
            (Self::EpsilonGreedy { values, epsilon }, None, _) => {
                let q = EpsilonGreedy::new(values.expected(out), f64::from(*epsilon));
                Distribution::EpsilonGreedy(q)
            }
            (Self::EpsilonGreedy { values, epsilon }, Some(valid), _) => {
                let (q, ε) = (values.expected(out), f64::from(*epsilon));
                Distribution::EpsilonGreedy(EpsilonGreedy::masked(q, valid, ε))
            }
            (Self::SquashedGaussian { .. }, ..) => {
                let (mean, log_std) = halves(out);
                Distribution::SquashedGaussian(SquashedGaussian::new(mean, log_std))
            }
            (Self::Beta { .. }, ..) => {
                let (alpha, beta) = halves(out);
                Distribution::Beta(Beta::new(alpha, beta))
            }
            (Self::Deterministic { .. }, ..) => {
                Distribution::Deterministic(Deterministic::new(out))
            }
            (Self::Gaussian { .. }, _, Some(log_std)) => {
                Distribution::Gaussian(DiagGaussian::new(out, log_std))
            }
            (Self::Gsde { learn_features, squash, .. }, _, Some(log_std)) => {
                let features = if *learn_features { features } else { features.detach() };
                let gsde = |mean| Gsde::new(mean, features, log_std);
                Distribution::Gsde(match squash {
                    true => gsde(out.clamp(-FARTHEST, FARTHEST)).squashed(),
                    false => gsde(out),
                })
            }
            (Self::Gaussian { .. } | Self::Gsde { .. }, _, None) => {
                unreachable!("a policy with such a head is built with its log σ")
            }
        }
    }

    /// The shape of log σ where it is a parameter of its own, given the number of features.
    pub(crate) fn log_std_shape(&self, features: usize) -> Option<[usize; 2]> {
        match self {
            Self::Gaussian { low, .. } => Some([1, low.len()]),
            Self::Gsde { low, .. } => Some([features, low.len()]),
            _ => None,
        }
    }

    /// What that parameter begins as.
    pub(crate) fn initial_log_std(&self) -> f32 {
        match self {
            Self::Gaussian { initial_log_std, .. } | Self::Gsde { initial_log_std, .. } => {
                *initial_log_std
            }
            _ => 0.0,
        }
    }

    pub(crate) fn validate(&self) -> Result<(), PolicyError> {
        match self {
            Self::Categorical { n } => at_least_one("action.n", *n == 0, n),
            Self::Bernoulli { n } => at_least_one("action.n", *n == 0, n),
            Self::MultiCategorical { ns } => {
                at_least_one("action.ns", ns.is_empty() || ns.contains(&0), ns)
            }
            Self::Gaussian { low, high, initial_log_std } => {
                bounds(low, high, false)?;
                log_std(*initial_log_std)
            }
            Self::Gsde { low, high, initial_log_std, squash, .. } => {
                bounds(low, high, *squash)?;
                log_std(*initial_log_std)
            }
            Self::SquashedGaussian { low, high }
            | Self::Beta { low, high }
            | Self::Deterministic { low, high } => {
                let known = |bounds: &[f32]| bounds.iter().copied().map(Some).collect::<Vec<_>>();
                bounds(&known(low), &known(high), true)
            }
            Self::EpsilonGreedy { values, epsilon } => {
                at_least_one("action.values", values.n == 0 || values.quantiles == 0, values)?;
                probability(*epsilon)
            }
        }
    }
}

/// (1 + tanh u)/2.
fn unit(u: f32) -> f64 {
    0.5 + 0.5 * f64::from(u).tanh()
}

/// The point that lies `t` ∈ [0, 1] of the way from `low` to `high`.
fn between((low, high): (f32, f32), t: f64) -> f32 {
    let (from, to) = (f64::from(low), f64::from(high));
    ((from + (to - from) * t) as f32).clamp(low, high)
}

/// The left and the right half of each row.
fn halves(out: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
    let [_, width] = out.dims();
    (out.clone().narrow(1, 0, width / 2), out.narrow(1, width / 2, width / 2))
}

fn at_least_one(
    field: &'static str,
    wrong: bool,
    value: &impl std::fmt::Debug,
) -> Result<(), PolicyError> {
    let expected = "a choice needs at least one action, and an action at least one entry";
    if wrong {
        return Err(PolicyError::Config { field, value: format!("{value:?}"), expected });
    }
    Ok(())
}

fn bounds(low: &[Option<f32>], high: &[Option<f32>], needed: bool) -> Result<(), PolicyError> {
    let wrong = |value, expected| {
        Err(PolicyError::Config { field: "action.low and action.high", value, expected })
    };
    if low.is_empty() || low.len() != high.len() {
        let value = format!("of lengths {} and {}", low.len(), high.len());
        return wrong(value, "both have one entry per dimension, at least one");
    }
    for (j, pair) in low.iter().zip(high).enumerate() {
        let value = || format!("{:?} and {:?} in dimension {j}", pair.0, pair.1);
        match pair {
            (Some(low), Some(high)) if low <= high => {}
            (Some(_), Some(_)) => return wrong(value(), "low lies below high, and neither is NaN"),
            (Some(bound), None) | (None, Some(bound)) if bound.is_nan() => {
                return wrong(value(), "a bound is a number");
            }
            _ => {}
        }
        let finite = |bound: &Option<f32>| bound.is_some_and(f32::is_finite);
        if needed && !(finite(pair.0) && finite(pair.1)) {
            return wrong(value(), "this head fills the box, so every bound must be finite");
        }
    }
    Ok(())
}

fn probability(epsilon: f32) -> Result<(), PolicyError> {
    if (0.0..=1.0).contains(&epsilon) {
        return Ok(());
    }
    let expected = "ε is a probability, between 0 and 1";
    Err(PolicyError::Config { field: "action.epsilon", value: epsilon.to_string(), expected })
}

fn log_std(initial: f32) -> Result<(), PolicyError> {
    if (-20.0..=2.0).contains(&initial) {
        return Ok(());
    }
    Err(PolicyError::Config {
        field: "initial_log_std",
        value: initial.to_string(),
        expected: "log σ lies between −20 and 2: beyond, σ is zero or the actions are noise",
    })
}

#[cfg(test)]
mod tests;
