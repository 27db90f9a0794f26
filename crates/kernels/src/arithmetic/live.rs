//! Rows and columns of a matrix that count: a product is the same without those that are zeros alone.

use std::borrow::Cow;

use super::machine::{Machine, SIDE, Work, best};

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

    /// The one in the place of the i-th of those that do.
    fn place(&self, i: usize) -> usize {
        self.few.as_ref().map_or(i, |few| few[i])
    }

    /// Of `m`, these rows and those columns alone.
    pub(super) fn of<'a>(&self, m: &'a [f32], columns: &Self) -> Cow<'a, [f32]> {
        match &columns.few {
            Some(few) => best(Picked { from: m, rows: self, columns: columns.all, few }).into(),
            None if self.few.is_none() => m.into(),
            None => {
                let mut picked = Vec::with_capacity(self.count() * columns.all);
                for i in 0..self.count() {
                    picked.extend_from_slice(&m[self.place(i) * columns.all..][..columns.all]);
                }
                picked.into()
            }
        }
    }

    /// A matrix with `picked` in these rows and those columns, and zeros in the others.
    pub(super) fn among_zeros(&self, picked: Vec<f32>, columns: &Self) -> Vec<f32> {
        match &columns.few {
            Some(few) => best(Spread { from: &picked, rows: self, columns: columns.all, few }),
            None if self.few.is_none() => picked,
            None => {
                let mut m = vec![0.0; self.all * columns.all];
                for (i, picked) in picked.chunks_exact(columns.all.max(1)).enumerate() {
                    m[self.place(i) * columns.all..][..columns.all].copy_from_slice(picked);
                }
                m
            }
        }
    }
}

/// Brings some rows and a few of so many columns of `from` together.
#[derive(Clone)]
struct Picked<'a> {
    from: &'a [f32],
    rows: &'a Live,
    columns: usize,
    few: &'a [usize],
}

impl Work for Picked<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run<M: Machine, const HIGH: usize, const ACROSS: usize>(self, machine: M) -> Vec<f32> {
        let Self { from, rows, columns, few } = self;
        let (eights, size) = (eights(few), rows.count() * few.len());
        // Eight at a time are written, and those too many written over by the next.
        let mut picked = vec![0.0; size + SIDE];
        for i in 0..rows.count() {
            let row = with_room(&from[rows.place(i) * columns..], columns);
            let mut to = &mut picked[i * few.len()..];
            for eight in &eights {
                let x = row[eight.first..].first_chunk().expect("room for eight");
                *to.first_chunk_mut().expect("room for eight") =
                    machine.permuted(x, &eight.together, &[u32::MAX; SIDE]);
                to = &mut to[eight.count..];
            }
        }
        picked.truncate(size);
        picked
    }
}

/// Brings them back to where they were, with zeros for all others.
#[derive(Clone)]
struct Spread<'a> {
    from: &'a [f32],
    rows: &'a Live,
    columns: usize,
    few: &'a [usize],
}

impl Work for Spread<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run<M: Machine, const HIGH: usize, const ACROSS: usize>(self, machine: M) -> Vec<f32> {
        let Self { from, rows, columns, few } = self;
        let (eights, size) = (eights(few), rows.all * columns);
        let mut m = Vec::with_capacity(size);
        let mut row = vec![0.0; columns.next_multiple_of(SIDE)];
        for i in 0..rows.count() {
            m.resize(rows.place(i) * columns, 0.0);
            let mut from = &*with_room(&from[i * few.len()..], few.len());
            for eight in &eights {
                let x = from.first_chunk().expect("room for eight");
                *row[eight.first..].first_chunk_mut().expect("a multiple of eight") =
                    machine.permuted(x, &eight.apart, &eight.kept);
                from = &from[eight.count..];
            }
            m.extend_from_slice(&row[..columns]);
        }
        m.resize(size, 0.0);
        m
    }
}

/// Eight columns beside each other, of which some count.
#[derive(Default)]
struct Eight {
    first: usize,
    /// How many do.
    count: usize,
    /// Those that do, and then any.
    together: [u32; SIDE],
    /// For each of the eight, which of those together it is, and the bits that it keeps of it: all, or none.
    apart: [u32; SIDE],
    kept: [u32; SIDE],
}

/// All eights in which one of `few` is.
fn eights(few: &[usize]) -> Vec<Eight> {
    let mut eights: Vec<Eight> = Vec::new();
    for column in few {
        let (first, j) = (column - column % SIDE, column % SIDE);
        if eights.last().is_none_or(|last| last.first != first) {
            eights.push(Eight { first, ..Eight::default() });
        }
        let eight = eights.last_mut().expect("there is one now");
        (eight.together[eight.count], eight.apart[j]) = (j as u32, eight.count as u32);
        eight.kept[j] = u32::MAX;
        eight.count += 1;
    }
    eights
}

/// At least the first `count` numbers of `from`, with eight more behind them, whatever they are.
fn with_room(from: &[f32], count: usize) -> Cow<'_, [f32]> {
    if from.len() >= count + SIDE {
        return from.into();
    }
    [&from[..count], &[0.0; SIDE]].concat().into()
}

#[cfg(test)]
mod tests {
    use super::super::machine::every_way;
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
    fn what_is_picked_comes_back_to_its_place_in_every_way() {
        let number = |i: usize| if i.is_multiple_of(5) { -0.0 } else { i as f32 };
        for columns in [1, 7, 8, 9, 24, 35] {
            for step in [1, 2, 3, 11] {
                let few: Vec<_> = (step / 3..columns).step_by(step).collect();
                for rows in [Live::all(4), Live { all: 4, few: Some(vec![0, 2, 3]) }] {
                    let (rows, few) = (&rows, &few[..]);
                    let m: Vec<_> = (0..4 * columns).map(number).collect();
                    let place = |(i, j): (usize, usize)| rows.place(i) * columns + few[j];
                    let places: Vec<_> = (0..rows.count())
                        .flat_map(|i| (0..few.len()).map(move |j| (i, j)))
                        .map(place)
                        .collect();
                    let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                    let expected: Vec<_> = places.iter().map(|at| m[*at]).collect();
                    for (way, picked) in every_way(&Picked { from: &m, rows, columns, few }) {
                        assert_eq!(bits(&picked), bits(&expected), "{way}, {columns}, {few:?}");
                    }
                    let mut back = vec![0.0; m.len()];
                    places.iter().for_each(|at| back[*at] = m[*at]);
                    for (way, m) in every_way(&Spread { from: &expected, rows, columns, few }) {
                        assert_eq!(bits(&m), bits(&back), "{way}, {columns}, {few:?}");
                    }
                }
            }
        }
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
