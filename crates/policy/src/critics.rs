//! Networks that value actions, several of them side by side.

use burn::tensor::{Device, Tensor};
use rand::Rng;

use crate::{
    AnyNetwork, MlpConfig, PolicyError,
    params::{ParamInfo, Parameters, Reader, Writer, describe_part},
};

/// Scale of an orthogonal last layer.
const VALUE_GAIN: f64 = 1.0;

/// Q₁, Q₂, …: networks with weights of their own that value the same. The least of what they say is less
/// easily too much than what one of them says (Fujimoto et al., 2018).
#[derive(Clone, Debug)]
pub struct Critics {
    networks: Vec<AnyNetwork>,
}

impl Critics {
    /// A critic for each of `streams`, from which its weights are drawn.
    ///
    /// # Errors
    /// When the configuration makes no sense.
    pub fn init<'r, R: Rng + 'r>(
        config: &MlpConfig,
        inputs: usize,
        outputs: usize,
        streams: impl IntoIterator<Item = &'r mut R>,
        device: &Device,
    ) -> Result<Self, PolicyError> {
        let gains = vec![VALUE_GAIN; outputs];
        let networks = streams.into_iter().map(|rng| config.network(inputs, &gains, rng, device));
        Ok(Self { networks: networks.collect::<Result<_, _>>()? })
    }

    /// Critics of anybody's making.
    pub fn of(networks: Vec<AnyNetwork>) -> Self {
        Self { networks }
    }

    /// Numbers that the networks carry from one step of an episode to the next.
    pub fn memory(&self) -> usize {
        self.networks.iter().map(AnyNetwork::memory).sum()
    }

    /// What every critic says.
    ///
    /// # Shapes
    /// `x`: `[rows, inputs]`; results: `[rows, outputs]`.
    pub fn forward(&self, x: &Tensor<2>) -> Vec<Tensor<2>> {
        self.networks.iter().map(|network| network.forward(x.clone())).collect()
    }

    /// The least of what they say, entry by entry: minᵢ Qᵢ.
    ///
    /// # Shapes
    /// `x`: `[rows, inputs]`; result: `[rows, outputs]`.
    ///
    /// # Panics
    /// When there is no critic: that is a mistake in the caller.
    pub fn least(&self, x: &Tensor<2>) -> Tensor<2> {
        let least = self.forward(x).into_iter().reduce(Tensor::min_pair);
        least.expect("at least one critic")
    }

    /// What the first of them says.
    ///
    /// # Shapes
    /// `x`: `[rows, inputs]`; result: `[rows, outputs]`.
    ///
    /// # Panics
    /// When there is no critic: that is a mistake in the caller.
    pub fn first(&self, x: Tensor<2>) -> Tensor<2> {
        self.networks.first().expect("at least one critic").forward(x)
    }

    /// The same critics without autodiff.
    #[must_use]
    pub fn valid(&self) -> Self {
        Self { networks: self.networks.iter().map(AnyNetwork::valid).collect() }
    }

    /// The same critics with autodiff, whose weights are constants: gradients pass through to what they
    /// judge, and none is computed for the weights.
    #[must_use]
    pub fn frozen(&self) -> Self {
        Self { networks: self.networks.iter().map(AnyNetwork::frozen).collect() }
    }
}

impl Parameters for Critics {
    fn describe(&self) -> Vec<ParamInfo> {
        let named = self.networks.iter().enumerate();
        let each = |(i, network): (usize, &AnyNetwork)| -> Vec<ParamInfo> {
            describe_part(&i.to_string(), network).collect()
        };
        named.flat_map(each).collect()
    }

    fn count(&self) -> usize {
        self.networks.iter().map(AnyNetwork::count).sum()
    }

    fn read(&self, reader: &mut Reader<'_>) {
        self.networks.iter().for_each(|network| network.read(reader));
    }

    fn write(&mut self, writer: &mut Writer<'_>) {
        self.networks.iter_mut().for_each(|network| network.write(writer));
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_pcg::Pcg64;

    use super::*;
    use crate::{DeviceChoice, params};

    fn critics() -> (Critics, Tensor<2>) {
        let device = DeviceChoice::Auto.open().unwrap().autodiff();
        let config = MlpConfig { hidden: vec![5], ..MlpConfig::default() };
        let mut streams = [1, 2].map(Pcg64::seed_from_u64);
        let critics = Critics::init(&config, 3, 2, &mut streams, &device).unwrap();
        let x = Tensor::from_data([[0.5f32, -1.0, 2.0], [0.0, 0.3, 0.1]], &device);
        (critics, x)
    }

    fn host(tensor: Tensor<2>) -> Vec<f32> {
        tensor.into_data().iter::<f32>().collect()
    }

    #[test]
    fn they_differ_and_the_least_is_taken_entry_by_entry() {
        let (critics, x) = critics();
        let said: Vec<_> = critics.forward(&x).into_iter().map(host).collect();
        assert_ne!(said[0], said[1]);
        let expected: Vec<f32> = said[0].iter().zip(&said[1]).map(|(a, b)| a.min(*b)).collect();
        assert_eq!(host(critics.least(&x)), expected);
        assert_eq!(host(critics.first(x)), said[0]);
    }

    #[test]
    fn frozen_ones_pass_gradients_on_and_get_none() {
        let (critics, x) = critics();
        let derivatives = |critics: &Critics| {
            let x = x.clone().require_grad();
            let mut gradients = critics.least(&x).sum().backward();
            let of_x = host(x.grad(&gradients).unwrap());
            (of_x, params::flatten_gradients(critics, &mut gradients))
        };
        let (of_x, of_weights) = derivatives(&critics);
        let (through, none) = derivatives(&critics.frozen());
        assert_eq!(through, of_x);
        assert!(of_weights.iter().any(|g| *g != 0.0));
        assert!(none.iter().all(|g| *g == 0.0), "{none:?}");
    }

    #[test]
    fn parameters_go_out_and_come_back_by_critic() {
        let (critics, x) = critics();
        let names: Vec<_> = params::describe(&critics).into_iter().map(|it| it.name).collect();
        assert_eq!(names.len(), 8);
        assert!(names[0].starts_with("0.layers.0.") && names[7].starts_with("1.layers.1."));
        let mut flat = params::flatten(&critics);
        flat.rotate_left(critics.count() / 2);
        let swapped = params::unflatten(critics.clone(), &flat);
        let (before, after) = (critics.forward(&x), swapped.forward(&x));
        assert_eq!(host(after[0].clone()), host(before[1].clone()));
        assert_eq!(host(after[1].clone()), host(before[0].clone()));
    }
}
