//! Every operation against the composed one, forwards and backwards, and against finite differences.

use burn::tensor::{DType, Device, Gradients, Int, Tensor, TensorData};

use super::*;

fn device() -> Device {
    Device::flex().autodiff()
}

/// Numbers that look random, in (−2, 2).
fn numbers(n: usize, salt: u32) -> Vec<f32> {
    let mut state = salt.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 4_194_304.0 - 2.0
    };
    (0..n).map(|_| next()).collect()
}

fn matrix(rows: usize, columns: usize, salt: u32) -> Tensor<2> {
    let data = TensorData::new(numbers(rows * columns, salt), [rows, columns]);
    Tensor::from_data(data, &device()).require_grad()
}

fn vector(n: usize, salt: u32) -> Tensor<1> {
    Tensor::from_data(TensorData::new(numbers(n, salt), [n]), &device()).require_grad()
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// The gradient of Σ weightᵢ yᵢ, with weights that tell the entries apart.
fn differentiate<const D: usize>(y: Tensor<D>) -> Gradients {
    let n = y.shape().num_elements();
    let weight = TensorData::new(numbers(n, 99), y.shape());
    (y.clone() * Tensor::from_data(weight, &y.device())).sum().backward()
}

fn gradient<const D: usize>(x: &Tensor<D>, gradients: &Gradients) -> Vec<f32> {
    host(x.grad(gradients).expect("x has a gradient"))
}

#[track_caller]
fn assert_close(ours: &[f32], theirs: &[f32], what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let largest = theirs.iter().fold(1.0f32, |max, x| max.max(x.abs()));
    for (i, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert!((a - b).abs() <= 1e-6 * largest, "{what}, entry {i}: {a}, composed {b}");
    }
}

/// Compares a function of one tensor with the composed one, its gradient too.
#[track_caller]
fn compare<const I: usize, const O: usize>(
    what: &str,
    x: &Tensor<I>,
    fused: impl Fn(Tensor<I>) -> Tensor<O>,
    composed: impl Fn(Tensor<I>) -> Tensor<O>,
) {
    let (ours, theirs) = (fused(x.clone()), composed(x.clone()));
    assert_eq!(ours.dims(), theirs.dims(), "{what}");
    assert_close(&host(ours.clone()), &host(theirs.clone()), what);
    let (ours, theirs) = (differentiate(ours), differentiate(theirs));
    assert_close(&gradient(x, &ours), &gradient(x, &theirs), &format!("gradient of {what}"));
    // Without autodiff, and on a view whose entries do not lie one after the other.
    let plain = x.clone().inner();
    assert_close(&host(fused(plain.clone())), &host(composed(plain)), what);
}

#[test]
fn layers() {
    for f in [Activation::Identity, Activation::Tanh, Activation::Relu] {
        // Wide ones have W in panels, the last of them without what is zeros in x, and every third unit off.
        let shapes = [(1, 1, 1, 1.0), (5, 4, 64, 1.0), (37, 64, 64, 1.0), (3, 20, 2, 1.0)];
        let wide = [(70, 130, 140, 1.0), (70, 130, 140, 0.3)];
        for (rows, inputs, outputs, share) in shapes.into_iter().chain(wide) {
            let scale = 0.3 / (inputs as f32).sqrt();
            let x = matrix(rows, inputs, 1).inner();
            let x = x.clone().mask_fill(x.greater_elem(2.0 * share - 1.0), 0.0).autodiff_leaf();
            let off = |j: usize| if share < 1.0 && j.is_multiple_of(3) { 4.0 } else { 0.0 };
            let b: Vec<_> =
                numbers(outputs, 3).into_iter().zip(0..).map(|(b, j)| b - off(j)).collect();
            let b = Tensor::<1>::from_floats(&b[..], &device()).require_grad();
            let w = (matrix(inputs, outputs, 2).inner() * scale).autodiff_leaf();
            let run = |layer: fn(_, _, _, _) -> Tensor<2>| {
                let y = layer(x.clone(), w.clone(), b.clone(), f);
                let gradients = differentiate(y.clone());
                let of =
                    [gradient(&x, &gradients), gradient(&w, &gradients), gradient(&b, &gradients)];
                (host(y), of)
            };
            let ((ours, gradients), (theirs, expected)) = (run(crate::dense), run(composed::dense));
            let what = format!("{rows} × {inputs} → {outputs}, {share}, {f:?}");
            assert_close(&ours, &theirs, &what);
            for (gradient, expected) in gradients.iter().zip(&expected) {
                assert_close(gradient, expected, &format!("gradient of {what}"));
            }
        }
    }
}

#[test]
fn layers_have_the_same_bits_with_a_team() {
    let outcome = |(rows, inputs, outputs)| {
        let (x, w, b) = (matrix(rows, inputs, 1), matrix(inputs, outputs, 2), vector(outputs, 3));
        let y = dense(x.clone(), w.clone(), b.clone(), Activation::Tanh);
        let gradients = differentiate(y.clone());
        let of = [gradient(&x, &gradients), gradient(&w, &gradients), gradient(&b, &gradients)];
        (host(y), of)
    };
    for shape in [(40, 33, 70), (5, 64, 64), (7, 300, 3), (200, 3, 40), (1, 80, 90)] {
        let alone = outcome(shape);
        for threads in [1, 2, 3, 5] {
            let shared = Team::new(threads).lend(|| outcome(shape));
            assert_eq!(shared, alone, "{shape:?} on {threads} threads");
        }
    }
}

/// A leaf of a new graph.
trait Leaf {
    fn autodiff_leaf(self) -> Self;
}

impl<const D: usize> Leaf for Tensor<D> {
    fn autodiff_leaf(self) -> Self {
        Tensor::from_data(self.into_data(), &device()).require_grad()
    }
}

#[test]
fn layers_of_constants_and_views() {
    // Small, since 1 − y² of a saturated tanh is all rounding.
    let w = (matrix(6, 3, 2).inner() * 0.2).autodiff_leaf();
    let b = vector(3, 3);
    let x = matrix(6, 4, 1);
    // Transposed and cut: entries far apart in memory, in a buffer that is larger than the view.
    let view = |x: Tensor<2>| x.transpose().narrow(0, 1, 2);
    let run = |layer: fn(_, _, _, _) -> Tensor<2>| {
        let y = layer(view(x.clone()), w.clone(), b.clone().detach(), Activation::Tanh);
        let gradients = differentiate(y.clone());
        (host(y), gradient(&x, &gradients), gradient(&w, &gradients))
    };
    let ((y, dx, dw), (y2, dx2, dw2)) = (run(crate::dense), run(composed::dense));
    assert_close(&y, &y2, "a layer of a view");
    assert_close(&dx, &dx2, "its gradient");
    assert_close(&dw, &dw2, "its weight's");

    let y = crate::dense(x.clone().transpose().detach(), w.detach(), b.clone(), Activation::Relu);
    let gradients = differentiate(y);
    assert!(x.grad(&gradients).is_none());
    assert_eq!(gradient(&b, &gradients).len(), 3);
}

/// What a tensor of a layer may be in burn's graph.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Standing {
    Leaf,
    /// Computed from a leaf.
    Computed,
    Constant,
}

impl Standing {
    /// A tensor that is that.
    fn given<const D: usize>(self, leaf: &Tensor<D>) -> Tensor<D> {
        match self {
            Self::Leaf => leaf.clone(),
            Self::Computed => leaf.clone() * 0.5 + 0.1,
            // `detach` makes another leaf of a leaf.
            Self::Constant => leaf.clone().set_require_grad(false),
        }
    }
}

#[test]
fn layers_of_whatever_stands_where_in_the_graph() {
    use Standing::{Computed, Constant, Leaf};
    // Inputs and outputs alike, so that the same leaves serve twice.
    let run = |layer: fn(_, _, _, _) -> Tensor<2>, standings: [Standing; 3]| {
        let (x, b) = (matrix(5, 3, 1), vector(3, 3));
        let w = (matrix(3, 3, 2).inner() * 0.3).autodiff_leaf();
        // The leaves outlast a graph, and are part of the next one.
        [1, 2].map(|times| {
            let mut y = standings[0].given(&x);
            for _ in 0..times {
                let (w, b) = (standings[1].given(&w), standings[2].given(&b));
                y = layer(y, w, b, Activation::Tanh);
            }
            let gradients = differentiate(y);
            let of = [x.grad(&gradients), w.grad(&gradients)].map(|g| g.map(host));
            (of, b.grad(&gradients).map(host))
        })
    };
    for x in [Leaf, Computed, Constant] {
        for w in [Leaf, Computed, Constant] {
            for b in [Leaf, Computed, Constant] {
                let standings = [x, w, b];
                if standings == [Constant; 3] {
                    continue;
                }
                let (ours, theirs) = (run(dense, standings), run(composed::dense, standings));
                for (([dx, dw], db), ([dx2, dw2], db2)) in ours.iter().zip(&theirs) {
                    let what = format!("x, W and b: {standings:?}");
                    for (ours, theirs) in [(dx, dx2), (dw, dw2), (db, db2)] {
                        assert_eq!(ours.is_some(), theirs.is_some(), "{what}");
                        let [ours, theirs] = [ours, theirs].map(|g| g.as_deref().unwrap_or(&[]));
                        assert_close(ours, theirs, &what);
                    }
                }
            }
        }
    }
}

#[test]
fn a_perceptron_has_the_bits_of_its_layers() {
    let layers = |f: fn(Tensor<2>) -> Tensor<2>| {
        let of = |inputs, outputs, salt, activation| {
            (f(matrix(inputs, outputs, salt)), vector(outputs, salt + 1).inner(), activation)
        };
        [
            of(3, 64, 1, Activation::Tanh),
            of(64, 9, 3, Activation::Relu),
            of(9, 2, 5, Activation::Identity),
        ]
    };
    let perceptron = Perceptron::new(layers(Tensor::inner)).expect("there are kernels for these");
    for rows in [1, 4, 70] {
        let x = matrix(rows, 3, 8).inner();
        let said = perceptron.forward(&host(x.clone()));
        let chain = layers(Tensor::inner).into_iter().fold(x, |x, (w, b, f)| dense(x, w, b, f));
        assert_eq!(said, host(chain));
    }
    assert!(perceptron.forward(&[]).is_empty());
    let nothing = Perceptron::new([]).expect("no layer is not on burn-flex");
    assert_eq!(nothing.forward(&[1.0, 2.0]), [1.0, 2.0]);
    assert!(Perceptron::new(layers(|w| w)).is_none(), "with autodiff");
    assert!(Perceptron::new(layers(|w| w.inner().cast(DType::F64))).is_none());
}

#[test]
fn functions_of_entries_and_rows() {
    for (rows, n) in [(1, 1), (7, 2), (6, 3), (9, 4), (33, 5)] {
        let x = matrix(rows, n, 4);
        compare("tanh", &x, crate::tanh, composed::tanh);
        compare("log softmax", &x, crate::log_softmax, composed::log_softmax);
        let log_p = composed::log_softmax(x.clone().inner()).autodiff_leaf();
        compare("entropy", &log_p, crate::entropy, composed::entropy);
        let index: Vec<i64> = (0..rows).map(|row| (row * 3 % n) as i64).collect();
        let index = Tensor::<1, Int>::from_data(TensorData::new(index, [rows]), &device());
        let pick = |f: fn(_, _) -> Tensor<1>| {
            let index = index.clone();
            move |x: Tensor<2>| f(x, index.clone())
        };
        let x = matrix(rows, n, 5);
        compare("pick", &x, pick(crate::pick), pick(composed::pick));
    }
    let transposed = |f: fn(Tensor<2>) -> Tensor<2>| move |x: Tensor<2>| f(x.transpose());
    let x = matrix(3, 8, 6);
    compare("tanh of a view", &x, transposed(crate::tanh), transposed(composed::tanh));
    compare(
        "log softmax of a view",
        &x,
        transposed(crate::log_softmax),
        transposed(composed::log_softmax),
    );
}

#[test]
fn losses() {
    let n = 40;
    let x = vector(n, 7);
    let (old, advantage) = (vector(n, 8), vector(n, 9));
    let surrogate = |f: fn(_, _, _, _) -> Tensor<1>| {
        let (old, advantage) = (old.clone(), advantage.clone());
        move |x: Tensor<1>| f(x, old.clone(), advantage.clone(), 0.2)
    };
    compare(
        "clipped surrogate",
        &x,
        surrogate(crate::clipped_surrogate),
        surrogate(composed::clipped_surrogate),
    );
    let slopes = gradient(&x, &differentiate(surrogate(crate::clipped_surrogate)(x.clone())));
    let still = slopes.iter().filter(|slope| **slope == 0.0).count();
    assert!(0 < still && still < n, "{still} of {n} are clipped");

    let squared = |f: fn(_, _) -> Tensor<1>| {
        let target = old.clone();
        move |x: Tensor<1>| f(x, target.clone())
    };
    compare(
        "mean squared error",
        &x,
        squared(crate::mean_squared_error),
        squared(composed::mean_squared_error),
    );
    let of_column = |f: fn(_, _) -> Tensor<1>| {
        let target = old.clone();
        move |x: Tensor<2>| f(x, target.clone())
    };
    compare(
        "mean squared error of a column",
        &matrix(n, 1, 7),
        of_column(crate::mean_squared_error),
        of_column(composed::mean_squared_error),
    );
}

#[test]
fn a_loss_with_a_bonus() {
    let (loss, entropy) = (vector(1, 4), vector(7, 5));
    for (loss, entropy) in [
        (loss.clone(), entropy.clone()),
        (loss.clone().set_require_grad(false), entropy.clone()),
        (loss.clone(), entropy.clone().set_require_grad(false)),
    ] {
        let run = |with_bonus: fn(_, _, _) -> Tensor<1>| {
            let y = with_bonus(loss.clone(), entropy.clone(), 0.3);
            let gradients = (y.clone() * 2.0).backward();
            (host(y), [&loss, &entropy].map(|x| x.grad(&gradients).map(host)))
        };
        let ((ours, gradients), (theirs, expected)) =
            (run(crate::with_bonus), run(composed::with_bonus));
        assert_close(&ours, &theirs, "a loss with a bonus");
        for (gradient, expected) in gradients.iter().zip(&expected) {
            assert_eq!(gradient.is_some(), expected.is_some());
            let [gradient, expected] = [gradient, expected].map(|g| g.as_deref().unwrap_or(&[]));
            assert_close(gradient, expected, "its gradient");
        }
    }
    let plain = crate::with_bonus(loss.inner(), entropy.inner(), 0.3);
    assert!(!plain.is_require_grad());
}

#[test]
fn several_vectors_are_read_at_once() {
    let numbers = numbers(7, 4);
    let all = |device: &Device| {
        [0..3, 3..3, 3..7].map(|part| {
            let part = numbers[part].to_vec();
            let length = part.len();
            Tensor::<1>::from_data(TensorData::new(part, [length]), device)
        })
    };
    let read = |vectors| entries_of_all(vectors, |all| all.map(<[f32]>::to_vec));
    let expected = [&numbers[..3], &[], &numbers[3..]];
    assert_eq!(read(all(&device())), expected);
    assert_eq!(read(all(&device().inner())), expected);
    // As on a device without kernels: in one vector, with autodiff or without.
    let together = |[a, _, b]: [Tensor<1>; 3]| {
        composed::entries_of_all([a, b], |all| all.map(<[f32]>::to_vec))
    };
    assert_eq!(together(all(&device())), [&numbers[..3], &numbers[3..]]);
    assert_eq!(together(all(&device().inner())), [&numbers[..3], &numbers[3..]]);
}

#[test]
fn entries_are_read_row_by_row() {
    let x = matrix(2, 3, 1);
    let read = |x: Tensor<2>| entries(x, <[f32]>::to_vec);
    let numbers = host(x.clone());
    assert_eq!([read(x.clone()), read(x.clone().inner())], [numbers.clone(), numbers.clone()]);
    assert_eq!(read(x.clone().inner().cast(DType::F64)), numbers);
    let turned: Vec<f32> = [0, 3, 1, 4, 2, 5].map(|i| numbers[i]).into();
    assert_eq!(
        [read(x.clone().transpose()), read(x.inner().transpose())],
        [turned.clone(), turned]
    );
}

#[test]
fn hubers_function() {
    let x = vector(60, 7) * 2.0;
    let x = x.inner().autodiff_leaf();
    compare("Huber's function", &x, crate::huber, composed::huber);
    let view = |f: fn(Tensor<2>) -> Tensor<2>| move |x: Tensor<2>| f(x.transpose());
    compare("of a view", &matrix(5, 7, 3), view(crate::huber), view(composed::huber));
    let by_hand = [(0.0, 0.0), (-0.5, 0.125), (1.0, 0.5), (-1.0, 0.5), (3.0, 2.5), (-30.0, 29.5)];
    for (x, h) in by_hand {
        let leaf = Tensor::<1>::from_data([x], &device()).require_grad();
        let y = crate::huber(leaf.clone());
        assert_eq!(host(y.clone()), [h], "h({x})");
        assert_eq!(gradient(&leaf, &y.backward()), [f32::clamp(x, -1.0, 1.0)], "h′({x})");
    }
    let nan = crate::huber(Tensor::<1>::from_data([f32::NAN, 1.0], &device()));
    assert!(host(nan)[0].is_nan());
}

#[test]
fn at_a_ratio_of_one_the_surrogate_has_the_gradient_of_the_policy_gradient() {
    let (x, advantage) = (vector(9, 1), vector(9, 2));
    let loss = crate::clipped_surrogate(x.clone(), x.clone(), advantage.clone(), 0.2);
    let slopes = gradient(&x, &loss.backward());
    for (slope, advantage) in slopes.iter().zip(host(advantage)) {
        assert!((slope + advantage / 9.0).abs() < 1e-7, "{slope}, Â = {advantage}");
    }
}

#[test]
fn what_is_not_a_number_stays_visible() {
    let device = device();
    let x = Tensor::<1>::from_data([0.0, f32::NAN], &device).require_grad();
    let one = Tensor::<1>::from_data([1.0, 1.0], &device);
    let zero = Tensor::<1>::from_data([0.0, 0.0], &device);
    let surrogate = crate::clipped_surrogate(x.clone(), zero.clone(), one, 0.2);
    assert!(host(surrogate.clone())[0].is_nan());
    assert!(gradient(&x, &surrogate.backward())[1].is_nan());
    assert!(host(crate::mean_squared_error(x.clone(), zero))[0].is_nan());
    let row = x.reshape([1, 2]);
    assert!(host(crate::log_softmax(row.clone())).iter().all(|y| y.is_nan()));
    assert!(host(crate::tanh(row))[1].is_nan());
}

#[test]
fn what_is_impossible_has_no_probability_and_no_entropy() {
    let x = Tensor::<2>::from_data([[0.0, -1e9, 0.0]], &device()).require_grad();
    let log_p = crate::log_softmax(x.clone());
    let entropy = crate::entropy(log_p);
    assert!((host(entropy.clone())[0] - 2f32.ln()).abs() < 1e-6);
    let slopes = gradient(&x, &entropy.backward());
    assert!(slopes.iter().all(|slope| slope.abs() < 1e-6), "{slopes:?}");
}

#[test]
fn kernels_apply_to_f32_on_flex_alone() {
    let x = matrix(1, 1, 1);
    assert!(fused::takes(x.clone()).is_ok() && fused::takes(x.clone().inner()).is_ok());
    let double = x.inner().cast(burn::tensor::FloatDType::F64);
    assert!(fused::takes(double.clone()).is_err());
    let y = tanh(double.clone()).into_data().iter::<f64>().next().expect("one entry");
    let exact = double.into_data().iter::<f64>().next().expect("one entry").tanh();
    assert!((y - exact).abs() < 1e-12, "in the precision of f64");
}

#[test]
fn values_are_written_in_place_only_where_nobody_else_looks() {
    let values = numbers(12, 2);
    for leaf in [false, true] {
        let old = numbers(12, 1);
        let place = old.as_ptr().cast();
        let x = Tensor::<2>::from_data(TensorData::new(old, [3, 4]), &device());
        let x = if leaf { x.require_grad() } else { x.inner() };
        let new = with_values(x, &values);
        assert_eq!((new.dims(), new.is_require_grad()), ([3, 4], leaf));

        let shared = new.clone();
        let other = with_values(new, &numbers(12, 3));
        assert_eq!([host(shared.clone()), host(other)], [values.clone(), numbers(12, 3)]);
        let shared = if leaf { shared.inner() } else { shared };
        assert_eq!(shared.into_data().as_bytes().as_ptr(), place, "in the memory of x");
    }
    // A view whose entries do not lie one after the other, and other numbers than f32.
    let turned = with_values(matrix(3, 4, 1).inner().transpose(), &values);
    assert_eq!((turned.dims(), host(turned)), ([4, 3], values.clone()));
    let exact = with_values(matrix(3, 4, 1).inner().cast(DType::F64), &values);
    assert_eq!((exact.dtype(), host(exact)), (DType::F64, values));
}

/// What x W, W² and their gradient by W are for a leaf W.
fn used(w: &Tensor<2>) -> (Vec<f32>, Vec<f32>) {
    let y = dense(matrix(5, 3, 7).detach(), w.clone(), vector(4, 8), Activation::Tanh);
    let both = Tensor::cat(vec![y, w.clone() * w.clone()], 0);
    let gradients = differentiate(both.clone());
    (host(both), gradient(w, &gradients))
}

#[test]
fn a_leaf_with_other_values_is_differentiated_as_a_new_one() {
    let leaf = |values: Vec<f32>| {
        Tensor::<2>::from_data(TensorData::new(values, [3, 4]), &device()).require_grad()
    };
    let mut w = leaf(numbers(12, 1));
    for salt in 2..6 {
        // Before, after and without its part in a graph.
        if salt % 2 == 0 {
            used(&w);
        }
        w = with_values(w, &numbers(12, salt));
        assert_eq!(used(&w), used(&leaf(numbers(12, salt))));
    }
    // A graph that is still to be differentiated has the old values, and so has whoever asks for its gradient.
    let before = w.clone();
    let square = w.clone() * w.clone();
    let after = with_values(w, &numbers(12, 9));
    let gradients = square.sum().backward();
    let twice: Vec<f32> = numbers(12, 5).iter().map(|x| 2.0 * x).collect();
    assert_eq!((host(before.clone()), gradient(&before, &gradients)), (numbers(12, 5), twice));
    assert!(after.grad(&gradients).is_none());
    assert_eq!(used(&after), used(&leaf(numbers(12, 9))));
    // An operation that has kept no values of the leaf may count towards the new ones, with its own gradient.
    let sum = after.clone().sum();
    let after = with_values(after, &numbers(12, 4));
    let counted = after.grad(&sum.backward());
    assert!(counted.is_none_or(|counted| host(counted) == [1.0; 12]));
    assert_eq!(used(&after), used(&leaf(numbers(12, 4))));
    // What an operation has made is no leaf, and other values are no part of its graph.
    let made = with_values(after.clone() * 2.0, &numbers(12, 3));
    assert!(!made.is_require_grad());
    let gradients = (made * after.clone()).sum().backward();
    assert_eq!(gradient(&after, &gradients), numbers(12, 3));
}

#[test]
#[should_panic(expected = "a target for each entry")]
fn targets_are_as_many_as_entries() {
    mean_squared_error(matrix(3, 1, 1), vector(2, 2));
}

#[test]
#[should_panic(expected = "an input of layer 1 for each output")]
fn layers_of_a_perceptron_fit_together() {
    let of = |inputs, outputs| {
        let weight = matrix(inputs, outputs, 1).inner();
        (weight, vector(outputs, 2).inner(), Activation::Tanh)
    };
    Perceptron::new([of(3, 8), of(4, 2)]);
}

#[test]
#[should_panic(expected = "as many values as entries")]
fn values_are_as_many_as_entries() {
    with_values(matrix(3, 4, 1), &[1.0]);
}
