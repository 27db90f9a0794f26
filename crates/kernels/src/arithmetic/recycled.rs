//! Vectors that are no longer needed, for those that are needed next: a new one is made of zeros, so that
//! whatever fills it is the second to write all of it.

use std::cell::RefCell;

/// Vectors that a thread keeps, at most.
const MOST: usize = 16;
/// Numbers of a vector that is kept, at most: what layers of 64 units make of 512 rows. To keep those of wider
/// layers too, which several of would not fit into the second cache, gained nothing.
const LONGEST: usize = 1 << 15;

thread_local! {
    static KEPT: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// n numbers, whatever they are, that have been used before: all of them have to be written before one is
/// read.
pub(super) fn numbers(n: usize) -> Option<Vec<f32>> {
    // Every test of a product is one of this too.
    if cfg!(test) { Some(vec![f32::NAN; n]) } else { take(n) }
}

/// The vector of n numbers that has been kept for the shortest time: it is the likeliest to be in a cache.
fn take(n: usize) -> Option<Vec<f32>> {
    KEPT.with_borrow_mut(|kept| {
        let at = kept.iter().rposition(|vector| vector.len() == n)?;
        Some(kept.remove(at))
    })
}

/// Keeps a vector that nobody needs any more, instead of the one that has been kept longest.
pub(crate) fn keep(vector: Vec<f32>) {
    if vector.is_empty() || vector.len() > LONGEST {
        return;
    }
    KEPT.with_borrow_mut(|kept| {
        if kept.len() == MOST {
            kept.remove(0);
        }
        kept.push(vector);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> Vec<usize> {
        KEPT.with_borrow(|kept| kept.iter().map(Vec::len).collect())
    }

    #[test]
    fn the_last_vector_of_that_length_is_given_out_and_the_oldest_is_dropped() {
        (1..=MOST + 3).for_each(|n| keep(vec![0.0; n]));
        assert_eq!(kept(), (4..=MOST + 3).collect::<Vec<_>>());
        keep(vec![1.0; 7]);
        assert_eq!(take(7), Some(vec![1.0; 7]));
        assert_eq!(take(7), Some(vec![0.0; 7]));
        assert_eq!([take(7), take(3)], [None, None]);
        assert_eq!(kept().len(), MOST - 2, "nothing else was taken");
    }

    #[test]
    fn neither_nothing_nor_very_much_is_kept() {
        keep(Vec::new());
        keep(vec![0.0; LONGEST + 1]);
        assert!(kept().is_empty());
        keep(vec![0.0; LONGEST]);
        assert_eq!(kept(), [LONGEST]);
    }
}
