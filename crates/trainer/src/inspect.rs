//! A look inside networks that are learning.

/// One parameter tensor of a network in training, and where its last gradient pointed.
#[derive(Clone, Debug, PartialEq)]
pub struct Inspected {
    /// Field names from the network down, joined by dots: `policy.net.layers.0.weight`.
    pub name: String,
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// Its entries, row by row.
    pub values: Vec<f32>,
    /// The gradient of the last step of descent, from before it was clipped, laid out as `values`;
    /// empty if there was no step yet, or nobody had asked for gradients before it
    /// ([`Trainer::inspect_every`](crate::Trainer::inspect_every)).
    pub gradient: Vec<f32>,
}
