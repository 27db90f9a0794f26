//! The operations as nodes: burn applies the chain rule, and asks each for its local derivative.

use burn::backend::{
    AutodiffBackend, Flex,
    autodiff::{
        Autodiff,
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    flex::FlexTensor,
    tensor::{FloatTensor, IntTensor},
};

use super::{Kernels, flex};
use crate::Activation;

/// A node with one differentiable parent: dx from what was kept and dy.
struct Unary<S>(fn(S, FlexTensor) -> FlexTensor);

impl<S> std::fmt::Debug for Unary<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Unary")
    }
}

impl<S: Clone + Send + std::fmt::Debug + 'static> Backward<Flex, 1> for Unary<S> {
    type State = S;

    fn backward(self, ops: Ops<S, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = gradients.consume::<Flex>(&ops.node);
        if let [Some(x)] = ops.parents {
            gradients.register::<Flex>(x.id, (self.0)(ops.state, dy));
        }
    }
}

/// Runs `forward`, and remembers what it says to keep for `backward`.
fn node<C, S>(
    x: FloatTensor<Autodiff<Flex, C>>,
    forward: impl FnOnce(FlexTensor) -> (FlexTensor, S),
    backward: fn(S, FlexTensor) -> FlexTensor,
) -> FloatTensor<Autodiff<Flex, C>>
where
    C: CheckpointStrategy,
    S: Clone + Send + std::fmt::Debug + 'static,
{
    // What is kept is a result already, and dearer to compute again than to keep.
    let prepared = Unary(backward).prepare::<C>([x.node()]).compute_bound().stateful();
    let (y, kept) = forward(x.into_primitive());
    match prepared {
        OpsKind::Tracked(tracked) => tracked.finish(kept, y),
        OpsKind::UnTracked(untracked) => untracked.finish(y),
    }
}

/// A layer: keeps x, W and y.
#[derive(Debug)]
struct Dense(Activation);

impl Backward<Flex, 3> for Dense {
    type State = [FlexTensor; 3];

    fn backward(
        self,
        ops: Ops<[FlexTensor; 3], 3>,
        gradients: &mut Gradients,
        _: &mut Checkpointer,
    ) {
        let dy = gradients.consume::<Flex>(&ops.node);
        let [x, w, y] = ops.state;
        let [of_x, of_w, of_b] = ops.parents;
        let dz = flex::through_activation(&y, dy, self.0);
        if let Some(of_x) = of_x {
            gradients.register::<Flex>(of_x.id, flex::input_gradient(&dz, &w));
        }
        if of_w.is_some() || of_b.is_some() {
            let (dw, db) = flex::parameter_gradients(&x, &dz);
            for (of, gradient) in [(of_w, dw), (of_b, db)] {
                if let Some(of) = of {
                    gradients.register::<Flex>(of.id, gradient);
                }
            }
        }
        // What nobody else looks at is written to by the layer whose turn is next.
        [y, dz].into_iter().for_each(flex::recycle);
    }
}

impl<C: CheckpointStrategy> Kernels for Autodiff<Flex, C> {
    fn dense(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        b: FloatTensor<Self>,
        f: Activation,
    ) -> FloatTensor<Self> {
        let parents = [x.node(), w.node(), b.node()];
        let prepared = Dense(f).prepare::<C>(parents).compute_bound().stateful();
        let (x, w, b) = (x.into_primitive(), w.into_primitive(), b.into_primitive());
        let y = Flex::dense(x.clone(), w.clone(), b, f);
        match prepared {
            OpsKind::Tracked(tracked) => tracked.finish([x, w, y.clone()], y),
            OpsKind::UnTracked(untracked) => untracked.finish(y),
        }
    }

    fn tanh_of(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let forward = |x| {
            let y = Flex::tanh_of(x);
            (y.clone(), y)
        };
        node::<C, _>(x, forward, |y, dy| flex::through_activation(&y, dy, Activation::Tanh))
    }

    fn huber_of(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let forward = |x: FlexTensor| (Flex::huber_of(x.clone()), x);
        node::<C, _>(x, forward, |x, dy| flex::huber_backward(&x, dy))
    }

    fn log_softmax_of(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let forward = |x| {
            let y = Flex::log_softmax_of(x);
            (y.clone(), y)
        };
        node::<C, _>(x, forward, |y, dy| flex::log_softmax_backward(&y, dy))
    }

    fn pick(x: FloatTensor<Self>, index: IntTensor<Self>) -> FloatTensor<Self> {
        let forward = |x: FlexTensor| {
            let [_, n] = flex::dims(&x);
            (Flex::pick(x, index.clone()), (index, n))
        };
        node::<C, (FlexTensor, usize)>(x, forward, |(index, n), dy| {
            flex::pick_backward(&index, &dy, n)
        })
    }

    fn entropy(log_p: FloatTensor<Self>) -> FloatTensor<Self> {
        let forward = |log_p: FlexTensor| (Flex::entropy(log_p.clone()), log_p);
        node::<C, _>(log_p, forward, |log_p, dy| flex::entropy_backward(&log_p, &dy))
    }

    fn clipped_surrogate(
        log_prob: FloatTensor<Self>,
        old_log_prob: FloatTensor<Self>,
        advantage: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        let (old, advantage) = (old_log_prob.into_primitive(), advantage.into_primitive());
        let forward = |log_prob| flex::clipped_surrogate(&log_prob, &old, &advantage, epsilon);
        node::<C, _>(log_prob, forward, |slope, dy| flex::scaled(slope, &dy))
    }

    fn mean_squared_error(x: FloatTensor<Self>, target: FloatTensor<Self>) -> FloatTensor<Self> {
        let target = target.into_primitive();
        let forward = |x| flex::mean_squared_error(&x, &target);
        node::<C, _>(x, forward, |slope, dy| flex::scaled(slope, &dy))
    }

    fn written(x: FloatTensor<Self>, values: &[f32]) -> FloatTensor<Self> {
        <Self as AutodiffBackend>::from_inner(Flex::written(x.into_primitive(), values))
    }
}
