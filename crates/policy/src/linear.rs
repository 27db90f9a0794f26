//! The linear layers of a module, wherever in it they are.

use std::vec;

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    tensor::Tensor,
};

/// One of burn's `Linear` layers in a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LinearInfo {
    /// Field names from the module down, joined by dots: `layers.0`.
    pub(crate) name: String,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) biased: bool,
}

/// What is added to a layer's weight, `[inputs, outputs]`, and to its bias, `[outputs]`.
pub(crate) type Shift = (Tensor<2>, Option<Tensor<1>>);

/// Every linear layer of `module`, in the order in which burn visits them.
pub(crate) fn layers(module: &impl Module) -> Vec<LinearInfo> {
    #[derive(Default)]
    struct Find {
        fields: Fields,
        found: Vec<LinearInfo>,
    }
    impl ModuleVisitor for Find {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.fields.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.fields.exit();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            match (self.fields.of_linear(), param.dims().as_slice()) {
                (Some("weight"), &[inputs, outputs]) => {
                    let name = self.fields.around();
                    self.found.push(LinearInfo { name, inputs, outputs, biased: false });
                }
                (Some("bias"), &[width]) => {
                    if let Some(layer) = self.found.last_mut() {
                        layer.biased = width == layer.outputs;
                    }
                }
                _ => {}
            }
        }
    }
    let mut find = Find::default();
    module.visit(&mut find);
    find.found
}

/// The module with `shifts` added to its linear layers, one for each of [`layers`]. Its weights are then
/// expressions: a gradient goes through them to what they are made of.
pub(crate) fn shifted<M: Module>(module: M, shifts: Vec<Shift>) -> M {
    struct Add {
        fields: Fields,
        rest: vec::IntoIter<Shift>,
        /// Of the layer whose weight came last.
        bias: Option<Tensor<1>>,
    }
    impl ModuleMapper for Add {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.fields.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.fields.exit();
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let shape = param.shape();
            let shift = match (self.fields.of_linear(), D) {
                (Some("weight"), 2) => self.rest.next().map(|(weight, bias)| {
                    self.bias = bias;
                    weight.reshape(shape)
                }),
                (Some("bias"), 1) => self.bias.take().map(|bias| bias.reshape(shape)),
                _ => None,
            };
            match shift {
                Some(shift) => param.map(|value| value + shift),
                None => param,
            }
        }
    }
    let mut add = Add { fields: Fields::default(), rest: shifts.into_iter(), bias: None };
    module.map(&mut add)
}

/// Where a walk through a module stands: the fields it is in, and whether each is one of a `Linear`.
#[derive(Default)]
struct Fields(Vec<(String, bool)>);

impl Fields {
    fn enter(&mut self, name: &str, container: &str) {
        self.0.push((name.to_owned(), container == "Struct:Linear"));
    }

    fn exit(&mut self) {
        self.0.pop();
    }

    /// The field, if it is one of a linear layer.
    fn of_linear(&self) -> Option<&str> {
        self.0.last().and_then(|(name, linear)| linear.then_some(name.as_str()))
    }

    /// The path to what the field is one of.
    fn around(&self) -> String {
        let path: Vec<&str> = self.0.iter().rev().skip(1).rev().map(|(name, _)| &**name).collect();
        path.join(".")
    }
}
