//! A module's parameters as one flat vector, in the order in which burn visits them.
//!
//! One vector is what a global gradient norm, an optimiser in one pass, a checkpoint and (later) an
//! all-reduce want; on a CPU the copies cost nothing beside a network's forward pass.

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    tensor::{DType, Gradients, Tensor, TensorData},
};

/// One parameter tensor: its path in the module and its shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamInfo {
    /// Field names from the module down, joined by dots: `net.layers.0.weight`.
    pub name: String,
    /// Its dimensions.
    pub shape: Vec<usize>,
}

/// Every float parameter's name and shape, in visiting order.
pub fn describe<M: Module>(module: &M) -> Vec<ParamInfo> {
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
            self.found.push(ParamInfo { name: self.path.join("."), shape: param.dims().to_vec() });
        }
    }
    let mut visitor = Describe::default();
    module.visit(&mut visitor);
    visitor.found
}

/// All parameters, one after the other.
pub fn flatten<M: Module>(module: &M) -> Vec<f32> {
    struct Flatten(Vec<f32>);
    impl ModuleVisitor for Flatten {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            extend(&mut self.0, param.val().inner());
        }
    }
    let mut visitor = Flatten(Vec::new());
    module.visit(&mut visitor);
    visitor.0
}

/// The gradient of every parameter, laid out as [`flatten`] lays out the parameters; zeros where
/// the loss does not depend on a parameter.
pub fn flatten_gradients<M: Module>(module: &M, gradients: &mut Gradients) -> Vec<f32> {
    struct Flatten<'a> {
        gradients: &'a mut Gradients,
        flat: Vec<f32>,
    }
    impl ModuleVisitor for Flatten<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            match param.val().grad_remove(self.gradients) {
                Some(gradient) => extend(&mut self.flat, gradient),
                None => self.flat.resize(self.flat.len() + param.shape().num_elements(), 0.0),
            }
        }
    }
    let mut visitor = Flatten { gradients, flat: Vec::new() };
    module.visit(&mut visitor);
    visitor.flat
}

/// The module with its parameters replaced by `flat`, each on the device where it was.
///
/// # Panics
/// When `flat` is not as long as [`flatten`] of this module: that is a mistake in the caller.
pub fn unflatten<M: Module>(module: M, flat: &[f32]) -> M {
    struct Unflatten<'a>(&'a [f32]);
    impl ModuleMapper for Unflatten<'_> {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let (id, old, mapper) = param.consume();
            let (values, rest) = self.0.split_at(old.shape().num_elements());
            self.0 = rest;
            let data = TensorData::new(values.to_vec(), old.shape());
            let new = Tensor::from_data(data, (&old.device(), old.dtype()));
            let new = if old.is_require_grad() { new.require_grad() } else { new };
            Param::from_mapped_value(id, new, mapper)
        }
    }
    let mut mapper = Unflatten(flat);
    let module = module.map(&mut mapper);
    assert!(mapper.0.is_empty(), "{} numbers too many for this module", mapper.0.len());
    module
}

fn extend<const D: usize>(flat: &mut Vec<f32>, tensor: Tensor<D>) {
    let data = tensor.into_data_dtype(DType::F32);
    flat.extend(data.iter::<f32>());
}
