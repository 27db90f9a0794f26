//! A module's parameters as one flat vector, in the order in which burn visits them.
//!
//! One vector is what a global gradient norm, an optimiser in one pass, a checkpoint and (later) an
//! all-reduce want; on a CPU the copies cost nothing beside a network's forward pass.

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    tensor::{DType, Gradients, Tensor},
};
use elegante_kernels::{entries, with_values};
use replace_with::replace_with_or_abort;

/// One parameter tensor: its path in the module and its shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamInfo {
    /// Field names from the module down, joined by dots: `net.layers.0.weight`.
    pub name: String,
    /// Its dimensions.
    pub shape: Vec<usize>,
}

/// Whatever has parameters that can be read, differentiated by and replaced: every burn module, and
/// what is built of such, without a generic method, so that it can be a trait object.
pub trait Parameters {
    /// Every float parameter's name and shape, in visiting order.
    fn describe(&self) -> Vec<ParamInfo>;

    /// Number of parameters.
    fn count(&self) -> usize;

    /// Shows every parameter to `reader`, in visiting order.
    fn read(&self, reader: &mut Reader<'_>);

    /// Has every parameter replaced by `writer`, in the same order, as long as it has numbers.
    fn write(&mut self, writer: &mut Writer<'_>);
}

/// What parameters are read for, and where it goes.
pub struct Reader<'a> {
    what: What<'a>,
    to: To<'a>,
}

enum What<'a> {
    Values,
    /// Taken out; zeros where the loss does not depend on a parameter.
    Gradients(&'a mut Gradients),
}

enum To<'a> {
    Host(&'a mut Vec<f32>),
    /// As vectors where they are, without autodiff.
    Device(&'a mut Vec<Tensor<1>>),
}

impl ModuleVisitor for Reader<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let found = match &mut self.what {
            What::Values => Some(param.val().inner()),
            // Not of `val`, which is a copy of the tensor.
            What::Gradients(gradients) => param.grad_remove(gradients),
        };
        let count = param.shape().num_elements();
        match (&mut self.to, found) {
            (To::Host(flat), Some(found)) => entries(found, |x| flat.extend_from_slice(x)),
            (To::Host(flat), None) => flat.resize(flat.len() + count, 0.0),
            (To::Device(parts), Some(found)) => {
                parts.push(found.reshape([count]).cast(DType::F32));
            }
            (To::Device(parts), None) => {
                let device = param.val().inner().device();
                parts.push(Tensor::zeros([count], (&device, DType::F32)));
            }
        }
    }
}

/// What parameters are replaced by, one number after the other.
pub struct Writer<'a> {
    source: Source<'a>,
    /// Whether there were fewer numbers than parameters.
    short: bool,
}

enum Source<'a> {
    /// What is left.
    Host(&'a [f32]),
    /// A vector where the parameters are, without autodiff, and how many of its numbers are written.
    Device(&'a Tensor<1>, usize),
}

impl Writer<'_> {
    /// How many numbers are left.
    fn left(&self) -> usize {
        match &self.source {
            Source::Host(rest) => rest.len(),
            Source::Device(flat, written) => flat.dims()[0] - written,
        }
    }
}

impl ModuleMapper for Writer<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, old, mapper) = param.consume();
        let count = old.shape().num_elements();
        if self.short || self.left() < count {
            // Not a panic, which whoever has taken the module apart could not bear.
            self.short = true;
            return Param::from_mapped_value(id, old, mapper);
        }
        let new = match &mut self.source {
            Source::Host(rest) => {
                let (values, after) = rest.split_at(count);
                *rest = after;
                with_values(old, values)
            }
            Source::Device(flat, written) => {
                let part = flat.clone().narrow(0, *written, count);
                *written += count;
                in_place_of(&old, part.reshape(old.dims()).cast(old.dtype()))
            }
        };
        Param::from_mapped_value(id, new, mapper)
    }
}

/// `new`, which has no autodiff, with that of `old`.
fn in_place_of<const D: usize>(old: &Tensor<D>, new: Tensor<D>) -> Tensor<D> {
    let new = if old.device().is_autodiff() { Tensor::from_inner(new) } else { new };
    if old.is_require_grad() { new.require_grad() } else { new }
}

impl<M: Module> Parameters for M {
    fn describe(&self) -> Vec<ParamInfo> {
        #[derive(Default)]
        struct Describe {
            path: Vec<String>,
            found: Vec<ParamInfo>,
        }
        impl ModuleVisitor for Describe {
            fn enter_module(&mut self, name: &str, _container: &str) {
                self.path.push(name.to_owned());
            }
            fn exit_module(&mut self, _name: &str, _container: &str) {
                self.path.pop();
            }
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let (name, shape) = (self.path.join("."), param.dims().to_vec());
                self.found.push(ParamInfo { name, shape });
            }
        }
        let mut visitor = Describe::default();
        self.visit(&mut visitor);
        visitor.found
    }

    fn count(&self) -> usize {
        self.num_params()
    }

    fn read(&self, reader: &mut Reader<'_>) {
        self.visit(reader);
    }

    fn write(&mut self, writer: &mut Writer<'_>) {
        // Not a clone, beside which no parameter could be written to where it is.
        replace_with_or_abort(self, |module| module.map(writer));
    }
}

/// Every float parameter's name and shape, in visiting order.
pub fn describe(module: &impl Parameters) -> Vec<ParamInfo> {
    module.describe()
}

/// All parameters, one after the other.
pub fn flatten(module: &impl Parameters) -> Vec<f32> {
    let mut flat = Vec::with_capacity(module.count());
    module.read(&mut Reader { what: What::Values, to: To::Host(&mut flat) });
    flat
}

/// The gradient of every parameter, laid out as [`flatten`] lays out the parameters; zeros where
/// the loss does not depend on a parameter.
pub fn flatten_gradients(module: &impl Parameters, gradients: &mut Gradients) -> Vec<f32> {
    let mut flat = Vec::with_capacity(module.count());
    append_gradients(&mut flat, module, gradients);
    flat
}

/// Appends [`flatten_gradients`] to a vector, which may have room for it already.
pub fn append_gradients(flat: &mut Vec<f32>, module: &impl Parameters, gradients: &mut Gradients) {
    module.read(&mut Reader { what: What::Gradients(gradients), to: To::Host(flat) });
}

/// [`flatten`] without a way to the host: a vector on the device of the parameters, without autodiff; `None`
/// if there are no parameters.
pub fn vector(module: &impl Parameters) -> Option<Tensor<1>> {
    on_device(module, What::Values)
}

/// [`flatten_gradients`] in the same way.
pub fn gradient_vector(module: &impl Parameters, gradients: &mut Gradients) -> Option<Tensor<1>> {
    on_device(module, What::Gradients(gradients))
}

fn on_device(module: &impl Parameters, what: What<'_>) -> Option<Tensor<1>> {
    let mut parts = Vec::new();
    module.read(&mut Reader { what, to: To::Device(&mut parts) });
    (!parts.is_empty()).then(|| Tensor::cat(parts, 0))
}

/// The module with its parameters replaced by `flat`, each on the device where it was.
///
/// # Panics
/// As [`overwrite`].
pub fn unflatten<P: Parameters>(mut module: P, flat: &[f32]) -> P {
    overwrite(&mut module, flat);
    module
}

/// Replaces the parameters of `module` by `flat`, each on the device where it was; what shares them with the
/// module, as a clone of it does, keeps the old ones. Losses that depend on the old ones should have been
/// differentiated: see [`with_values`].
///
/// # Panics
/// When `flat` is not as long as [`flatten`] of this module: that is a mistake in the caller, and some parameters may
/// have been replaced.
pub fn overwrite(module: &mut impl Parameters, flat: &[f32]) {
    write_all(module, Source::Host(flat));
}

/// [`overwrite`] by a vector such as [`vector`] makes, which is on the device already.
///
/// # Panics
/// As [`overwrite`].
pub fn overwrite_with(module: &mut impl Parameters, flat: &Tensor<1>) {
    write_all(module, Source::Device(flat, 0));
}

fn write_all(module: &mut impl Parameters, source: Source<'_>) {
    let mut writer = Writer { source, short: false };
    let given = writer.left();
    module.write(&mut writer);
    assert!(!writer.short, "{given} numbers are too few for this module");
    assert!(writer.left() == 0, "{} numbers too many for this module", writer.left());
}

/// The parameters of `part`, with their names below `name`.
pub(crate) fn describe_part(name: &str, part: &dyn Parameters) -> impl Iterator<Item = ParamInfo> {
    part.describe().into_iter().map(move |info| {
        let name =
            if info.name.is_empty() { name.to_owned() } else { format!("{name}.{}", info.name) };
        ParamInfo { name, ..info }
    })
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use rand::SeedableRng;
    use rand_pcg::Pcg64;

    use super::*;
    use crate::{DeviceChoice, MlpConfig, ValueNet};

    #[test]
    fn as_many_numbers_as_parameters_are_needed_whichever_way_they_come() {
        let device = DeviceChoice::Auto.open().unwrap();
        let config = MlpConfig { hidden: vec![3], ..MlpConfig::default() };
        let mut net = ValueNet::init(&config, 2, &mut Pcg64::seed_from_u64(1), &device).unwrap();
        for (given, problem) in [(12, "12 numbers are too few"), (14, "1 numbers too many")] {
            let numbers = vec![0.5; given];
            let flat = Tensor::from_floats(&*numbers, &device);
            let on_host = catch_unwind(AssertUnwindSafe(|| overwrite(&mut net, &numbers)));
            let on_device = catch_unwind(AssertUnwindSafe(|| overwrite_with(&mut net, &flat)));
            for outcome in [on_host, on_device] {
                let said = outcome.unwrap_err();
                let said = said.downcast_ref::<String>().expect("a message");
                assert!(said.contains(problem), "{said}");
            }
        }
        let numbers: Vec<f32> = (0..13_u8).map(f32::from).collect();
        overwrite(&mut net, &numbers);
        assert_eq!(flatten(&net), numbers);
    }
}
