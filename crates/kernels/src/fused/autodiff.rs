//! The operations as nodes: burn applies the chain rule, and asks each for its local derivative.

use burn::backend::{
    AutodiffBackend, Flex, TensorMetadata,
    autodiff::{
        Autodiff, NodeId,
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, NodeGuard, Ops, OpsKind},
    },
    flex::FlexTensor,
    ops::FloatTensorOps,
    tensor::{FloatTensor, IntTensor},
};

use super::{Kernels, flex, leaf};
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
    let (x, x_node) = x.into_parts();
    // What is kept is a result already, and dearer to compute again than to keep.
    let prepared = Unary(backward).prepare::<C>([x_node]).compute_bound().stateful();
    let (y, kept) = forward(x);
    match prepared {
        OpsKind::Tracked(tracked) => tracked.finish(kept, y),
        OpsKind::UnTracked(untracked) => untracked.finish(y),
    }
}

/// A loss with a bonus: keeps how many rows it is the mean of, and c.
#[derive(Debug)]
struct Bonus;

impl Backward<Flex, 2> for Bonus {
    type State = (usize, f64);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = gradients.consume::<Flex>(&ops.node);
        let [of_loss, of_entropy] = ops.parents;
        let (rows, coefficient) = ops.state;
        if let Some(of) = of_entropy {
            gradients.register::<Flex>(of.id, flex::bonus_backward(rows, coefficient, &dy));
        }
        if let Some(of) = of_loss {
            gradients.register::<Flex>(of.id, dy);
        }
    }
}

/// A layer.
#[derive(Debug)]
struct Dense(Activation);

/// What a layer keeps, and whose gradients it is asked for.
#[derive(Clone, Debug)]
struct Kept {
    x: FlexTensor,
    w: FlexTensor,
    y: FlexTensor,
    of_x: Option<NodeId>,
    of_w: Option<NodeId>,
    of_b: Option<NodeId>,
}

impl<const N: usize> Backward<Flex, N> for Dense {
    type State = Kept;

    fn backward(self, ops: Ops<Kept, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let dy = gradients.consume::<Flex>(&ops.node);
        let Kept { x, w, y, of_x, of_w, of_b } = ops.state;
        let dz = flex::through_activation(&y, dy, self.0);
        let given = [x, w, dz];
        if let Some(of_x) = of_x {
            gradients.register::<Flex>(of_x, flex::input_gradient(&given));
        }
        if of_w.is_some() || of_b.is_some() {
            let (dw, db) = flex::parameter_gradients(&given);
            for (of, gradient) in [(of_w, dw), (of_b, db)] {
                if let Some(of) = of {
                    gradients.register::<Flex>(of, gradient);
                }
            }
        }
        // What nobody else looks at is written to by the layer whose turn is next.
        let [_, _, dz] = given;
        [y, dz].into_iter().for_each(flex::recycle);
    }
}

impl Dense {
    /// The layer as a node whose parents are `parents`.
    fn of<C: CheckpointStrategy, const N: usize>(
        self,
        parents: [NodeGuard; N],
        kept: Kept,
    ) -> FloatTensor<Autodiff<Flex, C>> {
        match self.prepare::<C>(parents).compute_bound().stateful() {
            OpsKind::Tracked(tracked) => {
                let y = kept.y.clone();
                tracked.finish(kept, y)
            }
            OpsKind::UnTracked(untracked) => untracked.finish(kept.y),
        }
    }
}

impl<C: CheckpointStrategy> Kernels for Autodiff<Flex, C> {
    fn dense(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        b: FloatTensor<Self>,
        f: Activation,
    ) -> FloatTensor<Self> {
        let [of_x, of_w, of_b] = [&x, &w, &b].map(|x| x.is_tracked().then(|| x.id()));
        let leaves = Self::float_is_require_grad(&w) && Self::float_is_require_grad(&b);
        let ((x, x_node), (w, w_node), (b, b_node)) =
            (x.into_parts(), w.into_parts(), b.into_parts());
        let given = [x, w, b];
        let y = flex::layer(&given, f);
        let [x, w, _] = given;
        let kept = Kept { x, w, y, of_x, of_w, of_b };
        if !leaves {
            return Dense(f).of::<C, 3>([x_node, w_node, b_node], kept);
        }
        // burn asks a node for its parents to find the steps before it, and a leaf has none. Left out, it need
        // not be looked for, and the graph that it is the beginning of need not become part of this one.
        let parent = if of_x.is_some() { x_node } else { b_node };
        Dense(f).of::<C, 1>([parent], kept)
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
            let ([_, n], index) = (flex::dims(&x), flex::indices(&index));
            (flex::pick(&x, &index), (index, n))
        };
        node::<C, (Vec<usize>, usize)>(x, forward, |(index, n), dy| {
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

    fn with_bonus(
        loss: FloatTensor<Self>,
        entropy: FloatTensor<Self>,
        coefficient: f64,
    ) -> FloatTensor<Self> {
        let ((loss, loss_node), (entropy, entropy_node)) =
            (loss.into_parts(), entropy.into_parts());
        let prepared = Bonus.prepare::<C>([loss_node, entropy_node]).compute_bound().stateful();
        let y = flex::with_bonus(&loss, &entropy, coefficient);
        match prepared {
            OpsKind::Tracked(tracked) => {
                tracked.finish((entropy.shape().num_elements(), coefficient), y)
            }
            OpsKind::UnTracked(untracked) => untracked.finish(y),
        }
    }

    fn written(mut x: FloatTensor<Self>, values: &[f32]) -> FloatTensor<Self> {
        let wanted = Self::float_is_require_grad(&x);
        // A leaf where it is, if nobody else has its numbers; what an operation has made is part of its graph.
        if wanted && let Some(entries) = leaf::inside::<C>(&mut x).and_then(flex::entries_mut) {
            entries.copy_from_slice(values);
            return x;
        }
        let new = Self::from_inner(Flex::written(x.into_primitive(), values));
        if wanted { new.require_grad() } else { new }
    }
}
