//! Rows and columns of a matrix that count: a product is the same without those that are zeros alone.

use std::borrow::Cow;

/// One of so many has to be zeros for copies of the others to be worth it.
pub(super) const SHARE: usize = 8;
/// Rows between two looks whether there are still enough columns of zeros.
const ROWS: usize = 8;

/// Which of a matrix's rows or columns count.
#[derive(Debug, PartialEq)]
pub(super) struct Live {
    all: usize,
    /// Those that do, in order, if there are few enough for it to matter.
    few: Option<Vec<usize>>,
}

impl Live {
    /// All of so many.
    pub(super) fn all(all: usize) -> Self {
        Self { all, few: None }
    }

    /// Of the rows of `m`, those with a number that is not 0.
    pub(super) fn rows(m: &[f32], width: usize) -> Self {
        Self::few(m.chunks_exact(width).map(|row| row.iter().any(|x| *x != 0.0)))
    }

    /// Of the columns of `m`, those with a number that is not 0.
    pub(super) fn columns(m: &[f32], width: usize) -> Self {
        let mut seen = vec![0; width];
        for some in m.chunks(ROWS * width) {
            // A number is 0 or −0 if its bits but the sign are.
            for row in some.chunks_exact(width) {
                seen.iter_mut().zip(row).for_each(|(seen, x)| *seen |= x.to_bits() << 1);
            }
            let zeros = seen.iter().filter(|seen| **seen == 0).count();
            if zeros < width.div_ceil(SHARE) {
                return Self::all(width);
            }
        }
        Self::few(seen.iter().map(|seen| *seen != 0))
    }

    fn few(counts: impl ExactSizeIterator<Item = bool>) -> Self {
        let all = counts.len();
        let few: Vec<_> =
            counts.enumerate().filter_map(|(i, counts)| counts.then_some(i)).collect();
        Self { all, few: (all - few.len() >= all.div_ceil(SHARE)).then_some(few) }
    }

    /// How many.
    pub(super) fn count(&self) -> usize {
        self.few.as_ref().map_or(self.all, Vec::len)
    }

    /// Of `m`, these rows and those columns alone.
    pub(super) fn of<'a>(&self, m: &'a [f32], columns: &Self) -> Cow<'a, [f32]> {
        if self.few.is_none() && columns.few.is_none() {
            return Cow::Borrowed(m);
        }
        let mut picked = Vec::with_capacity(self.count() * columns.count());
        for i in 0..self.count() {
            let row = self.few.as_ref().map_or(i, |rows| rows[i]);
            let row = &m[row * columns.all..][..columns.all];
            match &columns.few {
                Some(columns) => picked.extend(columns.iter().map(|&column| row[column])),
                None => picked.extend_from_slice(row),
            }
        }
        Cow::Owned(picked)
    }

    /// A matrix with `picked` in these rows and those columns, and zeros in the others.
    pub(super) fn among_zeros(&self, picked: Vec<f32>, columns: &Self) -> Vec<f32> {
        if self.few.is_none() && columns.few.is_none() {
            return picked;
        }
        let mut m = vec![0.0; self.all * columns.all];
        for (i, picked) in picked.chunks_exact(columns.count().max(1)).enumerate() {
            let row = self.few.as_ref().map_or(i, |rows| rows[i]);
            let row = &mut m[row * columns.all..][..columns.all];
            match &columns.few {
                Some(columns) => columns.iter().zip(picked).for_each(|(&i, x)| row[i] = *x),
                None => row.copy_from_slice(picked),
            }
        }
        m
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_columns_count_that_are_not_zeros_alone() {
        let (o, x) = (0.0, 2.0);
        let m = [
            [-o, o, o, x, o], //
            [-o, o, o, o, o],
            [-o, f32::NAN, o, 3.0, o],
        ];
        let m = m.as_flattened();
        let (rows, columns) = (Live::rows(m, 5), Live::columns(m, 5));
        assert_eq!(rows, Live { all: 3, few: Some(vec![0, 2]) });
        assert_eq!(columns, Live { all: 5, few: Some(vec![1, 3]) });
        let picked = rows.of(m, &columns);
        assert!(picked[0] == 0.0 && picked[1] == x && picked[2].is_nan() && picked[3] == 3.0);
        let all = [Live::all(3), Live::all(5)];
        assert_eq!(all[0].of(&[1.0; 15], &columns), [1.0; 6].as_slice());
        assert_eq!(rows.of(&[1.0; 15], &all[1]), [1.0; 10].as_slice());
        let numbers = vec![1.0, 2.0, 3.0, 4.0];
        let back = [o, 1.0, o, 2.0, o, o, o, o, o, o, o, 3.0, o, 4.0, o];
        assert_eq!(rows.among_zeros(numbers.clone(), &columns), back);
        assert_eq!(all[0].among_zeros(vec![7.0; 6], &columns)[..5], [o, 7.0, o, 7.0, o]);
        assert_eq!(Live::rows(&numbers, 2).among_zeros(numbers.clone(), &Live::all(2)), numbers);
    }

    #[test]
    fn copies_have_to_be_worth_it() {
        let width = 4 * SHARE;
        let mut m = vec![1.0; 3 * ROWS * width];
        let zero = |m: &mut [f32], columns: usize| {
            m.chunks_exact_mut(width).for_each(|row| row[..columns].fill(0.0));
        };
        zero(&mut m, 3);
        assert_eq!(Live::columns(&m, width), Live::all(width));
        zero(&mut m, 4);
        assert_eq!(Live::columns(&m, width).count(), width - 4);
        // A column counts by its last row.
        *m.last_mut().expect("a number") = 0.0;
        m[(3 * ROWS - 1) * width] = 1.0;
        assert_eq!(Live::columns(&m, width), Live::all(width));
        m[..2 * width].fill(0.0);
        assert_eq!(Live::rows(&m, width), Live::all(3 * ROWS));
        m[2 * width..3 * width].fill(0.0);
        assert_eq!(Live::rows(&m, width).count(), 3 * ROWS - 3);
        let nothing = Live::columns(&[], 3);
        assert_eq!((nothing.count(), nothing.of(&[], &Live::all(2))), (0, Cow::Borrowed(&[][..])));
    }
}
