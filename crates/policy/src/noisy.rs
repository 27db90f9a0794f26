//! Noise of learnt size in a network's linear layers: exploration that goes by the state, and grows quiet by
//! itself (Fortunato et al., 2018, *Noisy networks for exploration*).

use std::borrow::Cow;

use burn::{
    module::{Module, Param},
    nn::Linear,
    tensor::{Device, Tensor, TensorData},
};
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use crate::{
    Policy, PolicyError,
    linear::{LinearInfo, Shift},
    params::{self, ParamInfo, Parameters, Reader, Writer, describe_part},
};

/// A policy with noise in every linear layer of its network, as much as has been learnt to be right:
///
/// > W = μ + σ ∘ f(ε) f(ε′)ᵀ,  b = μ_b + σ_b ∘ f(ε′),  f(x) = sgn(x) √|x|
///
/// with a normal number ε for each input of a layer and a ε′ for each output ("factorised"; eq. 9 to 11).
/// μ and σ are the parameters, and the gradient of what a [`disturbed`](Self::disturbed) network says goes to
/// both: σ falls where noise does harm, and stays where it makes no difference. Without σ it is the
/// policy of μ and nothing else.
///
/// ```
/// use elegante_policy::{ActionHead, DeviceChoice, MlpConfig, NoisyPolicy, PolicyConfig, params};
/// use rand::SeedableRng;
///
/// let config = PolicyConfig::new(4, ActionHead::Categorical { n: 2 }, MlpConfig::default());
/// let mut rng = rand_pcg::Pcg64::seed_from_u64(0);
/// let policy = config.init(&mut rng, &DeviceChoice::Auto.open()?)?;
///
/// let noisy = NoisyPolicy::new(policy, 0.5)?;
/// let noise = noisy.draw(&mut rng);
/// let other = noisy.disturbed(&noise); // a policy like any other
/// assert_ne!(params::flatten(&*other), params::flatten(noisy.mean()));
/// # Ok::<(), elegante_policy::PolicyError>(())
/// ```
#[derive(Clone, Debug)]
pub struct NoisyPolicy {
    /// μ.
    mean: Policy,
    /// σ of every linear layer of the network by the layer's name, in the order in which burn visits them.
    spread: Vec<(String, Linear)>,
}

/// The noise of one network: f(ε) of the inputs and f(ε′) of the outputs of each layer. The default is none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WeightNoise(Vec<[Vec<f32>; 2]>);

impl WeightNoise {
    /// The noise made of these normal numbers ε and ε′ of each layer.
    pub fn of(normal: impl IntoIterator<Item = [Vec<f32>; 2]>) -> Self {
        let f = |x: f32| x.signum() * x.abs().sqrt();
        let factors = |sides: [Vec<f32>; 2]| sides.map(|side| side.into_iter().map(f).collect());
        Self(normal.into_iter().map(factors).collect())
    }
}

impl NoisyPolicy {
    /// The policy whose weights are the μ of noisy ones. Every σ begins as `std`/√p, with p the number of the
    /// layer's inputs; the paper has 0.5 for `std`, and μ from U(−1/√p, 1/√p), which is
    /// [`Init::BurnDefault`](crate::Init::BurnDefault).
    ///
    /// # Errors
    /// When the network is somebody's own, and has no linear layer that noise could be in.
    pub fn new(mean: Policy, std: f64) -> Result<Self, PolicyError> {
        let device = mean.device();
        let spread: Vec<_> =
            mean.linear_layers().into_iter().map(|layer| initial(layer, std, &device)).collect();
        if spread.is_empty() {
            return Err(PolicyError::Config {
                field: "network",
                value: "a network without linear layers".into(),
                expected: "noise in the weights needs at least one of burn's `Linear` layers",
            });
        }
        Ok(Self { mean, spread })
    }

    /// The policy as it is, with no σ and no noise.
    pub fn quiet(mean: Policy) -> Self {
        Self { mean, spread: Vec::new() }
    }

    /// The policy of μ: what is left when the noise is off.
    pub fn mean(&self) -> &Policy {
        &self.mean
    }

    /// Whether there are σ.
    pub fn is_noisy(&self) -> bool {
        !self.spread.is_empty()
    }

    /// The mean of |σ| over all weights and biases that have one; NaN where none has.
    pub fn mean_std(&self) -> f64 {
        let all: Vec<f32> = self.layers().flat_map(params::flatten).collect();
        all.iter().map(|std| f64::from(std.abs())).sum::<f64>() / all.len() as f64
    }

    /// Noise for one network, layer by layer: ε of the inputs, then ε′ of the outputs.
    pub fn draw(&self, rng: &mut impl Rng) -> WeightNoise {
        let mut normal = |n| -> Vec<f32> { (0..n).map(|_| rng.sample(StandardNormal)).collect() };
        WeightNoise::of(self.layers().map(|layer| layer.weight.dims().map(&mut normal)))
    }

    /// The policy of the weights μ + σ ∘ noise: one like any other, and with autodiff a function of μ and σ.
    /// Without σ it is the policy of μ itself.
    ///
    /// # Panics
    /// When the noise was drawn for a network of other layers: that is a mistake in the caller.
    pub fn disturbed(&self, noise: &WeightNoise) -> Cow<'_, Policy> {
        assert_eq!(noise.0.len(), self.spread.len(), "the noise of another network");
        if !self.is_noisy() {
            return Cow::Borrowed(&self.mean);
        }
        let shifts =
            self.layers().zip(&noise.0).map(|(std, factors)| shift(std, factors)).collect();
        Cow::Owned(self.mean.shifted(shifts))
    }

    /// The same without autodiff.
    #[must_use]
    pub fn valid(&self) -> Self {
        let spread = self.spread.iter().map(|(name, std)| (name.clone(), Module::valid(std)));
        Self { mean: self.mean.valid(), spread: spread.collect() }
    }

    fn layers(&self) -> impl Iterator<Item = &Linear> {
        self.spread.iter().map(|(_, layer)| layer)
    }
}

/// σ of a layer before training.
fn initial(layer: LinearInfo, std: f64, device: &Device) -> (String, Linear) {
    let LinearInfo { name, inputs, outputs, biased } = layer;
    let std = (std / (inputs as f64).sqrt()) as f32;
    let weight = TensorData::new(vec![std; inputs * outputs], [inputs, outputs]);
    let bias = biased.then(|| TensorData::new(vec![std; outputs], [outputs]));
    let weight = Param::from_data(weight, device);
    (name, Linear { weight, bias: bias.map(|bias| Param::from_data(bias, device)) })
}

/// σ ∘ f(ε) f(ε′)ᵀ and σ_b ∘ f(ε′).
fn shift(std: &Linear, [inputs, outputs]: &[Vec<f32>; 2]) -> Shift {
    let weight = std.weight.val();
    let (device, dtype) = (weight.device(), weight.dtype());
    let product = inputs.iter().flat_map(|&a| outputs.iter().map(move |&b| a * b)).collect();
    let product = TensorData::new::<f32, _>(product, [inputs.len(), outputs.len()]);
    let bias = std.bias.as_ref().map(|bias| {
        let factors = TensorData::new(outputs.clone(), [outputs.len()]);
        bias.val() * Tensor::from_data(factors, (&device, dtype))
    });
    (weight * Tensor::from_data(product, (&device, dtype)), bias)
}

impl Parameters for NoisyPolicy {
    fn describe(&self) -> Vec<ParamInfo> {
        let spread = self.spread.iter().flat_map(|(name, std)| {
            let name = if name.is_empty() { "sigma".to_owned() } else { format!("sigma.{name}") };
            describe_part(&name, std).collect::<Vec<_>>()
        });
        params::describe(&self.mean).into_iter().chain(spread).collect()
    }

    fn count(&self) -> usize {
        self.mean.count() + self.layers().map(Parameters::count).sum::<usize>()
    }

    fn read(&self, reader: &mut Reader<'_>) {
        self.mean.read(reader);
        self.layers().for_each(|std| std.read(reader));
    }

    fn write(&mut self, writer: &mut Writer<'_>) {
        self.mean.write(writer);
        self.spread.iter_mut().for_each(|(_, std)| std.write(writer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ActionHead, ActionValues, AnyNetwork, DeviceChoice, Init, MlpConfig, Network, PolicyConfig,
    };
    use rand::SeedableRng;
    use rand_pcg::Pcg64;

    const INPUTS: usize = 2;

    fn device() -> Device {
        DeviceChoice::Auto.open().unwrap().autodiff()
    }

    fn config() -> PolicyConfig {
        let values = ActionValues { n: 3, dueling: false, quantiles: 1 };
        let head = ActionHead::EpsilonGreedy { values, epsilon: 0.0 };
        let network = MlpConfig { hidden: vec![4], init: Init::BurnDefault, ..Default::default() };
        PolicyConfig::new(INPUTS, head, network)
    }

    fn noisy(std: f64) -> NoisyPolicy {
        let policy = config().init(&mut Pcg64::seed_from_u64(1), &device()).unwrap();
        NoisyPolicy::new(policy, std).unwrap()
    }

    fn wide(values: &[f32]) -> Vec<f64> {
        values.iter().map(|&x| f64::from(x)).collect()
    }

    fn said(policy: &Policy) -> Vec<f64> {
        let x = Tensor::from_data([[0.3f32, -0.8], [1.0, 2.0]], &policy.device());
        policy.outputs(x).into_data().iter::<f64>().collect()
    }

    /// What a noise multiplies every σ with, laid out as the weights.
    fn factors(noise: &WeightNoise) -> Vec<f64> {
        let layer = |[inputs, outputs]: &[Vec<f32>; 2]| -> Vec<f64> {
            let (inputs, outputs) = (wide(inputs), wide(outputs));
            let product = inputs.iter().flat_map(|a| outputs.iter().map(move |b| a * b));
            product.chain(outputs.iter().copied()).collect()
        };
        noise.0.iter().flat_map(layer).collect()
    }

    #[test]
    fn weights_are_the_mean_and_what_the_noise_makes_of_the_spread() {
        let mut policy = noisy(0.5);
        // A spread of its own for each weight.
        let count = params::flatten(policy.mean()).len();
        let mut flat = params::flatten(&policy);
        flat[count..].iter_mut().enumerate().for_each(|(i, std)| *std = 0.01 * i as f32);
        policy = params::unflatten(policy, &flat);
        let (mean, spread) = flat.split_at(count);

        let normal = [
            [vec![0.25, -4.0], vec![1.0, -0.09, 2.25, 0.0]],
            [vec![-1.0, 0.5, 0.04, 9.0], vec![0.36, -0.01, 1.44]],
        ];
        let noise = WeightNoise::of(normal);
        assert_eq!(noise.0[0], [vec![0.5, -2.0], vec![1.0, -0.3, 1.5, 0.0]]);
        let disturbed = policy.disturbed(&noise).into_owned();
        let weights = params::flatten(&disturbed);
        for (i, factor) in factors(&noise).into_iter().enumerate() {
            let expected = f64::from(mean[i]) + f64::from(spread[i]) * factor;
            assert!((f64::from(weights[i]) - expected).abs() < 1e-6, "weight {i}");
        }
        // And it says what a policy with those weights says.
        let plain = params::unflatten(policy.mean().clone(), &weights);
        assert_eq!(said(&disturbed), said(&plain));
    }

    #[test]
    fn without_noise_it_is_the_mean() {
        let policy = noisy(0.5);
        let silent = policy.spread.iter().map(|(_, std)| std.weight.dims().map(|n| vec![0.0; n]));
        let silent = policy.disturbed(&WeightNoise::of(silent)).into_owned();
        assert_eq!(said(&silent), said(policy.mean()));
        let quiet = NoisyPolicy::quiet(policy.mean().clone());
        let noise = quiet.draw(&mut Pcg64::seed_from_u64(0));
        assert!(!quiet.is_noisy() && noise == WeightNoise::default());
        assert_eq!(said(&quiet.disturbed(&noise)), said(policy.mean()));
        assert_eq!(params::describe(&quiet), params::describe(policy.mean()));
    }

    #[test]
    fn spreads_begin_by_the_inputs_of_their_layer_and_means_as_ever() {
        let policy = noisy(0.5);
        let plain = config().init(&mut Pcg64::seed_from_u64(1), &device()).unwrap();
        assert_eq!(params::flatten(policy.mean()), params::flatten(&plain));
        let flat = params::flatten(&policy);
        let (mean, spread) = flat.split_at(flat.len() / 2);
        let first = 4 * (INPUTS + 1);
        for (range, inputs) in [(0..first, 2f64), (first..spread.len(), 4.0)] {
            let std = (0.5 / inputs.sqrt()) as f32;
            assert!(spread[range.clone()].iter().all(|it| *it == std), "{spread:?}");
            let bound = (1.0 / inputs.sqrt()) as f32;
            assert!(mean[range].iter().all(|it| it.abs() <= bound), "{mean:?}");
        }
        let std = (12.0 * 0.5 / 2f64.sqrt() + 15.0 * 0.25) / 27.0;
        assert!((policy.mean_std() - std).abs() < 1e-6);
        let names: Vec<_> = params::describe(&policy).into_iter().map(|it| it.name).collect();
        let layer = |of: &str, i| ["weight", "bias"].map(|it| format!("{of}.layers.{i}.{it}"));
        let expected = [layer("net", 0), layer("net", 1), layer("sigma", 0), layer("sigma", 1)];
        assert_eq!(names, expected.concat());
    }

    #[test]
    fn noise_has_the_moments_of_its_definition() {
        let policy = noisy(0.5);
        let mut rng = Pcg64::seed_from_u64(5);
        let draws = 20_000;
        let (mut sums, mut squares, mut shared) = (vec![0.0; 27], vec![0.0; 27], 0.0);
        for _ in 0..draws {
            let factors = factors(&policy.draw(&mut rng));
            for (i, factor) in factors.iter().enumerate() {
                sums[i] += factor / f64::from(draws);
                squares[i] += factor * factor / f64::from(draws);
            }
            // Weights of one input share its factor, and those of one output share theirs: of two inputs and two
            // outputs both products are the same.
            shared += (factors[0] * factors[5] - factors[1] * factors[4]).abs();
        }
        // E|ε| of a normal number, which is the mean of f(ε)².
        let m = (2.0 / std::f64::consts::PI).sqrt();
        let biases: Vec<usize> = (8..12).chain(24..27).collect();
        for i in 0..27 {
            let expected = if biases.contains(&i) { m } else { m * m };
            assert!(sums[i].abs() < 0.03, "mean {} of {i}", sums[i]);
            assert!((squares[i] - expected).abs() < 0.05, "{i}: {}, not {expected}", squares[i]);
        }
        assert!(shared < 1e-9 * f64::from(draws), "{shared}");
    }

    #[test]
    fn gradients_reach_mean_and_spread() {
        let policy = noisy(0.5);
        let noise = policy.draw(&mut Pcg64::seed_from_u64(9));
        let x = Tensor::from_data([[0.3f32, -0.8], [1.0, 2.0]], &device());
        let loss = policy.disturbed(&noise).outputs(x).powi_scalar(2).sum();
        let gradient = params::flatten_gradients(&policy, &mut loss.backward());
        let (mean, spread) = gradient.split_at(gradient.len() / 2);
        assert!(mean.iter().any(|g| g.abs() > 0.01));
        // W = μ + σ ∘ ε: dσ = dμ ∘ ε.
        for ((μ, std), factor) in mean.iter().zip(spread).zip(factors(&noise)) {
            let expected = f64::from(*μ) * factor;
            assert!((f64::from(*std) - expected).abs() < 1e-5 * (1.0 + expected.abs()));
        }
        // Without autodiff it says the same.
        let (with, without) = (policy.disturbed(&noise), policy.valid());
        assert_eq!(said(&without.disturbed(&noise)), said(&with));
    }

    /// A network of somebody's own: a skip around a layer without a bias, and a scale that is no layer's.
    #[derive(Module, Debug)]
    struct Skip {
        scale: Param<Tensor<2>>,
        inner: Linear,
        out: Linear,
    }

    impl Network for Skip {
        fn forward(&self, x: Tensor<2>) -> Tensor<2> {
            let x = x * self.scale.val();
            self.out.forward(x.clone() + self.inner.forward(x))
        }
    }

    #[test]
    fn networks_of_anybodys_are_noisy_where_they_are_linear() {
        let device = device();
        let matrix = |value: f32, shape: [usize; 2]| {
            let data = TensorData::new(vec![value; shape[0] * shape[1]], shape);
            Param::from_data(data, &device)
        };
        let bias = Param::from_data(TensorData::new(vec![0f32; 3], [3]), &device);
        let skip = Skip {
            scale: matrix(2.0, [1, INPUTS]),
            inner: Linear { weight: matrix(0.5, [INPUTS, INPUTS]), bias: None },
            out: Linear { weight: matrix(1.0, [INPUTS, 3]), bias: Some(bias) },
        };
        let mean = config().with_network(AnyNetwork::new(skip), &device).unwrap();
        let policy = NoisyPolicy::new(mean, 1.0).unwrap();
        let names: Vec<_> = params::describe(&policy).into_iter().map(|it| it.name).collect();
        let spread = ["sigma.inner.weight", "sigma.out.weight", "sigma.out.bias"];
        assert_eq!(names[4..], spread);
        let noise = policy.draw(&mut Pcg64::seed_from_u64(2));
        let weights = params::flatten(&*policy.disturbed(&noise));
        let before = params::flatten(policy.mean());
        let moved: Vec<bool> = weights.iter().zip(&before).map(|(a, b)| a != b).collect();
        assert_eq!(moved, [vec![false; 2], vec![true; 4 + 6 + 3]].concat());

        /// Nothing linear at all.
        #[derive(Module, Debug)]
        struct Table {
            table: Param<Tensor<2>>,
        }
        impl Network for Table {
            fn forward(&self, x: Tensor<2>) -> Tensor<2> {
                x.matmul(self.table.val())
            }
        }
        let table = AnyNetwork::new(Table { table: matrix(1.0, [INPUTS, 3]) });
        let mean = config().with_network(table, &device).unwrap();
        let error = NoisyPolicy::new(mean, 1.0).unwrap_err().to_string();
        assert!(error.contains("without linear layers"), "{error}");
    }
}
