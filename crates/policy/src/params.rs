//! A module's parameters as one flat vector, in the order in which burn visits them.
//!
//! One vector is what a global gradient norm, an optimiser in one pass, a checkpoint and (later) an
//! all-reduce want; on a CPU the copies cost nothing beside a network's forward pass.

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    tensor::{Gradients, Tensor},
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

    /// Appends all parameters, one after the other.
    fn extend_flat(&self, flat: &mut Vec<f32>);

    /// Appends the gradient of every parameter, laid out as [`extend_flat`](Self::extend_flat) lays
    /// out the parameters; zeros where the loss does not depend on a parameter.
    fn extend_gradients(&self, gradients: &mut Gradients, flat: &mut Vec<f32>);

    /// Replaces the parameters by the first numbers of `flat`, each on the device where it was, and
    /// returns the numbers left over.
    ///
    /// # Panics
    /// When there are fewer numbers than parameters: that is a mistake in the caller.
    fn take_flat<'a>(&mut self, flat: &'a [f32]) -> &'a [f32];

    /// Number of parameters.
    fn count(&self) -> usize;
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

    fn extend_flat(&self, flat: &mut Vec<f32>) {
        struct Flatten<'a>(&'a mut Vec<f32>);
        impl ModuleVisitor for Flatten<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                entries(param.val().inner(), |values| self.0.extend_from_slice(values));
            }
        }
        self.visit(&mut Flatten(flat));
    }

    fn extend_gradients(&self, gradients: &mut Gradients, flat: &mut Vec<f32>) {
        struct Flatten<'a> {
            gradients: &'a mut Gradients,
            flat: &'a mut Vec<f32>,
        }
        impl ModuleVisitor for Flatten<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                // Not of `val`, which is a copy of the tensor.
                match param.grad_remove(self.gradients) {
                    Some(gradient) => entries(gradient, |g| self.flat.extend_from_slice(g)),
                    None => self.flat.resize(self.flat.len() + param.shape().num_elements(), 0.0),
                }
            }
        }
        self.visit(&mut Flatten { gradients, flat });
    }

    fn take_flat<'a>(&mut self, flat: &'a [f32]) -> &'a [f32] {
        struct Unflatten<'a>(&'a [f32]);
        impl ModuleMapper for Unflatten<'_> {
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                let (id, old, mapper) = param.consume();
                let (values, rest) = self.0.split_at(old.shape().num_elements());
                self.0 = rest;
                Param::from_mapped_value(id, with_values(old, values), mapper)
            }
        }
        assert!(self.count() <= flat.len(), "{} numbers are too few for this module", flat.len());
        let mut mapper = Unflatten(flat);
        // Not a clone, beside which no parameter could be written to where it is.
        replace_with_or_abort(self, |module| module.map(&mut mapper));
        mapper.0
    }
}

/// Every float parameter's name and shape, in visiting order.
pub fn describe(module: &impl Parameters) -> Vec<ParamInfo> {
    module.describe()
}

/// All parameters, one after the other.
pub fn flatten(module: &impl Parameters) -> Vec<f32> {
    let mut flat = Vec::with_capacity(module.count());
    module.extend_flat(&mut flat);
    flat
}

/// The gradient of every parameter, laid out as [`flatten`] lays out the parameters; zeros where
/// the loss does not depend on a parameter.
pub fn flatten_gradients(module: &impl Parameters, gradients: &mut Gradients) -> Vec<f32> {
    let mut flat = Vec::with_capacity(module.count());
    module.extend_gradients(gradients, &mut flat);
    flat
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
/// module, as a clone of it does, keeps the old ones.
///
/// # Panics
/// When `flat` is not as long as [`flatten`] of this module: that is a mistake in the caller.
pub fn overwrite(module: &mut impl Parameters, flat: &[f32]) {
    let rest = module.take_flat(flat);
    assert!(rest.is_empty(), "{} numbers too many for this module", rest.len());
}

/// The parameters of `part`, with their names below `name`.
pub(crate) fn describe_part(name: &str, part: &dyn Parameters) -> impl Iterator<Item = ParamInfo> {
    part.describe().into_iter().map(move |info| {
        let name =
            if info.name.is_empty() { name.to_owned() } else { format!("{name}.{}", info.name) };
        ParamInfo { name, ..info }
    })
}
