//! As many numbers as a network has parameters, where they are worked on.

use std::borrow::Cow;

use burn::tensor::{Tensor, TensorData};
use elegante_kernels::entries;
use elegante_policy::{
    in_memory,
    params::{self, Parameters},
};

/// One number for each parameter of a network, in their order: the parameters, their gradient, a mean of it.
///
/// A CPU's are in the memory of the program, where a pass over a few thousand numbers is nearly free. Those of
/// any other device stay there.
#[derive(Clone, Debug)]
pub(crate) enum Flat {
    Host(Vec<f32>),
    /// Without autodiff.
    Device(Box<Tensor<1>>),
}

impl Default for Flat {
    fn default() -> Self {
        Self::Host(Vec::new())
    }
}

impl Flat {
    /// All parameters of `module`.
    pub(crate) fn of(module: &impl Parameters) -> Self {
        match params::vector(module) {
            Some(vector) if !in_memory(&vector.device()) => Self::Device(vector.into()),
            _ => Self::Host(params::flatten(module)),
        }
    }

    /// The derivatives of `loss` with respect to all parameters of `module`; on the host with room for so many
    /// numbers, others of which may follow.
    pub(crate) fn gradient(module: &impl Parameters, loss: &Tensor<1>, room: usize) -> Self {
        let mut gradients = loss.backward();
        if !in_memory(&loss.device())
            && let Some(vector) = params::gradient_vector(module, &mut gradients)
        {
            return Self::Device(vector.into());
        }
        let mut numbers = Vec::with_capacity(room);
        params::append_gradients(&mut numbers, module, &mut gradients);
        Self::Host(numbers)
    }

    /// Puts them into `module`, whose parameters they become.
    pub(crate) fn put(&self, module: &mut impl Parameters) {
        match self {
            Self::Host(numbers) => params::overwrite(module, numbers),
            Self::Device(numbers) => params::overwrite_with(module, numbers),
        }
    }

    /// Other numbers in the same place.
    pub(crate) fn replace(&mut self, numbers: Vec<f32>) {
        match self {
            Self::Host(old) => *old = numbers,
            Self::Device(old) => **old = beside(old, numbers),
        }
    }

    /// All of them on the host.
    pub(crate) fn numbers(&self) -> Cow<'_, [f32]> {
        match self {
            Self::Host(numbers) => numbers.into(),
            Self::Device(numbers) => on_host(numbers).into(),
        }
    }

    /// All of them on the host, where they are from now on.
    pub(crate) fn numbers_mut(&mut self) -> &mut [f32] {
        if let Self::Device(numbers) = self {
            *self = Self::Host(on_host(numbers));
        }
        let Self::Host(numbers) = self else { unreachable!("they have just been brought here") };
        numbers
    }

    /// All of them on the host, for the last time.
    pub(crate) fn into_numbers(self) -> Vec<f32> {
        match self {
            Self::Host(numbers) => numbers,
            Self::Device(numbers) => on_host(&numbers),
        }
    }

    /// The same, where `neighbour` is.
    pub(crate) fn into_tensor(self, neighbour: &Tensor<1>) -> Tensor<1> {
        match self {
            Self::Host(numbers) => beside(neighbour, numbers),
            Self::Device(numbers) => *numbers,
        }
    }

    /// Adds as many others to them.
    pub(crate) fn add(&mut self, others: Self) {
        match self {
            Self::Host(numbers) => {
                numbers.iter_mut().zip(others.into_numbers()).for_each(|(x, other)| *x += other);
            }
            Self::Device(numbers) => {
                **numbers = (**numbers).clone() + others.into_tensor(numbers);
            }
        }
    }

    /// Multiplies each by `factor`.
    pub(crate) fn scale(&mut self, factor: f64) {
        match self {
            Self::Host(numbers) => numbers.iter_mut().for_each(|x| *x *= factor as f32),
            Self::Device(numbers) => **numbers = (**numbers).clone() * factor,
        }
    }

    /// These, and then the others.
    pub(crate) fn append(&mut self, others: Self) {
        match self {
            Self::Host(numbers) => numbers.append(&mut others.into_numbers()),
            Self::Device(numbers) => {
                let both = vec![(**numbers).clone(), others.into_tensor(numbers)];
                **numbers = Tensor::cat(both, 0);
            }
        }
    }

    /// x ← k x + (1 − k) y, with y of `others`; y itself where k is 0.
    pub(crate) fn approach(&mut self, others: &Self, kept: f32) {
        if kept == 0.0 {
            return self.clone_from(others);
        }
        match self {
            Self::Host(numbers) => {
                for (old, new) in numbers.iter_mut().zip(&*others.numbers()) {
                    *old = kept * *old + (1.0 - kept) * *new;
                }
            }
            Self::Device(numbers) => {
                let others = others.clone().into_tensor(numbers);
                **numbers = (**numbers).clone() * kept + others * (1.0 - kept);
            }
        }
    }
}

/// A vector of these numbers on the device of `neighbour`.
pub(crate) fn beside(neighbour: &Tensor<1>, numbers: Vec<f32>) -> Tensor<1> {
    let length = numbers.len();
    Tensor::from_data(TensorData::new(numbers, [length]), &neighbour.device())
}

/// The numbers of a vector.
pub(crate) fn on_host(vector: &Tensor<1>) -> Vec<f32> {
    entries(vector.clone(), <[f32]>::to_vec)
}

#[cfg(test)]
mod tests {
    use elegante_policy::DeviceChoice;

    use super::*;

    #[test]
    fn arithmetic_is_the_same_wherever_the_numbers_are() {
        let device = DeviceChoice::Auto.open().unwrap();
        let place = Tensor::<1>::zeros([1], &device);
        let of = |numbers: &[f32], on_device: bool| match on_device {
            false => Flat::Host(numbers.to_vec()),
            true => Flat::Device(beside(&place, numbers.to_vec()).into()),
        };
        let kinds = [[false, false], [false, true], [true, false], [true, true]];
        for [ours, theirs] in kinds {
            let with = |numbers: &[f32]| of(numbers, theirs);
            let mut x = of(&[1.0, -2.0], ours);
            x.add(with(&[0.5, 4.0]));
            assert_eq!(*x.numbers(), [1.5, 2.0]);
            x.scale(-2.0);
            x.append(with(&[7.0]));
            assert_eq!(*x.numbers(), [-3.0, -4.0, 7.0]);
            x.approach(&with(&[1.0, 0.0, -1.0]), 0.25);
            assert_eq!(*x.numbers(), [0.0, -1.0, 1.0]);
            x.approach(&with(&[5.0, 6.0, 7.0]), 0.0);
            assert_eq!(x.numbers_mut(), [5.0, 6.0, 7.0]);
            assert_eq!(x.into_numbers(), [5.0, 6.0, 7.0]);
        }
    }
}
