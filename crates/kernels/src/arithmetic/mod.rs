//! The arithmetic, on slices of f32. An entry of a result depends on what goes into it alone, never on
//! where it stands: its bits are the same for every batch size, tile and thread.

#[cfg(feature = "flex")]
mod dense;
#[cfg(feature = "flex")]
mod functions;
#[cfg(feature = "flex")]
mod live;
// Without products, nobody needs registers.
#[cfg_attr(not(feature = "flex"), allow(dead_code))]
mod machine;
#[cfg(feature = "flex")]
mod product;
#[cfg(feature = "flex")]
mod recycled;
#[cfg(feature = "flex")]
mod rows;
#[cfg(feature = "flex")]
mod strips;
#[cfg(feature = "flex")]
mod tile;
mod vectors;

#[cfg(feature = "flex")]
pub(crate) use dense::{
    Shape, bias_gradient, input_gradient, layer, through_activation, weight_gradient,
};
#[cfg(feature = "flex")]
pub(crate) use functions::{huber, huber_backward, tanh};
pub use machine::instruction_set;
#[cfg(feature = "flex")]
pub(crate) use recycled::keep;
#[cfg(feature = "flex")]
pub(crate) use rows::{
    bonus_slope, clipped_surrogate, entropy, entropy_backward, log_softmax, log_softmax_backward,
    mean_squared_error, pick, pick_backward, with_bonus,
};
pub use vectors::{AdamStep, all_finite, exp_m1, move_to, norm};
