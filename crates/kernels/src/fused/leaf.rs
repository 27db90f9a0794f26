//! A leaf's numbers, where they are.

use std::ptr;

use burn::backend::{
    Flex,
    autodiff::{Autodiff, checkpoint::strategy::CheckpointStrategy},
    flex::FlexTensor,
    tensor::FloatTensor,
};

/// The tensor inside of `leaf`, to be written to; `None` if it is not inside.
///
/// burn lends it to be read only, so that whoever wants other numbers in it has to make a new leaf, which costs a
/// registration in burn's graphs, and another when the old one is dropped: five per cent of an update of 256 rows.
#[expect(unsafe_code, reason = "burn has no other way, and it is measured: docs/performance.md")]
pub(super) fn inside<C: CheckpointStrategy>(
    leaf: &mut FloatTensor<Autodiff<Flex, C>>,
) -> Option<&mut FlexTensor> {
    let at = ptr::from_ref(leaf.primitive()).addr();
    let whole = ptr::from_mut(leaf);
    let offset = at.checked_sub(whole.addr())?;
    if offset + size_of::<FlexTensor>() > size_of::<FloatTensor<Autodiff<Flex, C>>>() {
        return None;
    }
    // SAFETY: `primitive` has just lent a `FlexTensor` at this place, which lies within `leaf`, and the pointer comes
    // from the only reference to it, which nothing can use while the result is alive.
    Some(unsafe { &mut *whole.cast::<u8>().add(offset).cast::<FlexTensor>() })
}

#[cfg(test)]
mod tests {
    use burn::backend::{
        TensorMetadata,
        autodiff::checkpoint::strategy::NoCheckpointing,
        flex::{FlexDevice, FlexTensor},
        ops::FloatTensorOps,
    };
    use burn::tensor::TensorData;

    use super::*;

    type Differentiable = Autodiff<Flex, NoCheckpointing>;

    #[test]
    fn what_is_inside_is_what_the_leaf_lends() {
        let numbers = TensorData::new(vec![1.0f32, 2.0, 3.0], [3]);
        let leaf = Differentiable::float_from_data(numbers, &FlexDevice);
        let mut leaf = Differentiable::float_set_require_grad(leaf, true);
        let (id, lent) = (leaf.id(), ptr::from_ref(leaf.primitive()));
        let inside =
            inside::<NoCheckpointing>(&mut leaf).expect("burn keeps it in the leaf itself");
        assert_eq!(ptr::from_ref::<FlexTensor>(inside), lent);
        inside.try_storage_mut::<f32>().expect("nobody else looks at it")[1] = 7.0;
        let whole = leaf.clone();
        drop(leaf);
        assert_eq!(whole.primitive().storage::<f32>(), [1.0, 7.0, 3.0]);
        assert_eq!((whole.id(), whole.shape().num_elements()), (id, 3));
        assert!(Differentiable::float_is_require_grad(&whole));
    }
}
