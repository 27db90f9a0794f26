//! Matrix products, in tiles that stay in registers.

use std::ops::Range;

use super::machine::multiply_add;

/// Rows of a tile. Its accumulators fill half of the registers: enough to hide the time of an addition.
const ROWS: usize = 4;
/// Columns of a panel that is narrower than the machine's.
const NARROW: usize = 16;
/// Columns of the last panel, which is filled up with zeros.
const LAST: usize = 8;
/// Rows of a tile of the last panel, where a row has few accumulators.
const TALL: usize = 8;
/// Products after which a tile's sums are put down, so that what all tiles read stays in the first cache.
const BLOCK: usize = 128;
/// Distance of B's rows from which on a panel is copied together: so far apart, they share too few
/// places in the cache.
const FAR: usize = 128;

/// A and B of a product, and what it starts from.
#[derive(Clone, Copy)]
pub(crate) struct Product<'a> {
    pub(crate) rows: usize,
    /// Length of the sums.
    pub(crate) inner: usize,
    pub(crate) columns: usize,
    /// Entry (i, k) of A is `a[i · a_row + k · a_column]`.
    pub(crate) a: &'a [f32],
    pub(crate) a_row: usize,
    pub(crate) a_column: usize,
    /// `[inner, columns]`.
    pub(crate) b: &'a [f32],
    /// What every row starts from, `[columns]`; zeros if empty.
    pub(crate) bias: &'a [f32],
}

/// Some rows of `N` columns of B, and the same columns of C.
struct Panel<'a, const N: usize> {
    b: &'a [f32],
    b_row: usize,
    c: &'a mut [f32],
    c_row: usize,
    /// The first of B's rows, and their number.
    first: usize,
    inner: usize,
    /// What a row of C starts from, where it does not go on from what it is.
    start: Option<[f32; N]>,
}

impl Product<'_> {
    /// bias + A·B, `[rows, columns]`; every sum runs from the first product to the last, and a sum of
    /// nothing is 0.
    #[inline(always)]
    pub(crate) fn compute<const WIDE: usize, const FMA: bool>(self) -> Vec<f32> {
        if self.rows == 0 || self.inner == 0 {
            return self.starts();
        }
        let mut c = vec![0.0; self.rows * self.columns];
        let mut from = 0;
        while self.columns - from >= WIDE {
            self.panel::<WIDE, FMA>(from, &mut c);
            from += WIDE;
        }
        while WIDE > NARROW && self.columns - from >= NARROW {
            self.panel::<NARROW, FMA>(from, &mut c);
            from += NARROW;
        }
        while self.columns > from {
            let width = LAST.min(self.columns - from);
            self.last_panel::<FMA>(from..from + width, &mut c);
            from += width;
        }
        c
    }

    /// Columns `from..from + N` of C.
    #[inline(always)]
    fn panel<const N: usize, const FMA: bool>(self, from: usize, c: &mut [f32]) {
        let far = self.columns > FAR && self.rows > 4 * ROWS;
        let (c, c_row) = (&mut c[from..], self.columns);
        let mut packed = Vec::new();
        for first in (0..self.inner).step_by(BLOCK) {
            let inner = BLOCK.min(self.inner - first);
            let (b, b_row) = if far {
                self.pack::<N>(from..from + N, first..first + inner, &mut packed);
                (&packed[..], N)
            } else {
                (&self.b[first * self.columns + from..], self.columns)
            };
            let start = (first == 0).then(|| self.start(from..from + N));
            self.tiles::<ROWS, N, FMA>(Panel { b, b_row, c, c_row, first, inner, start });
        }
    }

    /// The last columns of C, with B filled up by zeros and C written to a panel of their own.
    #[inline(always)]
    fn last_panel<const FMA: bool>(self, columns: Range<usize>, c: &mut [f32]) {
        let (mut b, mut sums) = (Vec::new(), vec![0.0; self.rows * LAST]);
        self.pack::<LAST>(columns.clone(), 0..self.inner, &mut b);
        self.tiles::<TALL, LAST, FMA>(Panel {
            b: &b,
            b_row: LAST,
            c: &mut sums,
            c_row: LAST,
            first: 0,
            inner: self.inner,
            start: Some(self.start(columns.clone())),
        });
        for (sums, c) in sums.chunks_exact(LAST).zip(c.chunks_exact_mut(self.columns)) {
            // A few numbers: a loop is quicker than a copy of a length that is not known.
            c[columns.clone()].iter_mut().zip(sums).for_each(|(c, sum)| *c = *sum);
        }
    }

    /// What the rows start from, `[rows, columns]`.
    fn starts(&self) -> Vec<f32> {
        if self.bias.is_empty() {
            return vec![0.0; self.rows * self.columns];
        }
        self.bias.repeat(self.rows)
    }

    /// What these columns start from, with zeros up to N.
    #[inline(always)]
    fn start<const N: usize>(&self, columns: Range<usize>) -> [f32; N] {
        let mut start = [0.0; N];
        if !self.bias.is_empty() {
            start[..columns.len()].copy_from_slice(&self.bias[columns]);
        }
        start
    }

    /// Some columns of some rows of B, with zeros up to N.
    #[inline(always)]
    fn pack<const N: usize>(&self, columns: Range<usize>, rows: Range<usize>, to: &mut Vec<f32>) {
        to.clear();
        to.resize(rows.len() * N, 0.0);
        let b = self.b[rows.start * self.columns..].chunks_exact(self.columns);
        for (to, b) in to.chunks_exact_mut(N).zip(b) {
            to.iter_mut().zip(&b[columns.clone()]).for_each(|(to, b)| *to = *b);
        }
    }

    /// Computes a panel, in tiles of M rows and then of one.
    #[inline(always)]
    fn tiles<const M: usize, const N: usize, const FMA: bool>(self, mut panel: Panel<'_, N>) {
        let mut row = 0;
        while row + M <= self.rows {
            self.tile::<M, N, FMA>(row, &mut panel);
            row += M;
        }
        while row < self.rows {
            self.tile::<1, N, FMA>(row, &mut panel);
            row += 1;
        }
    }

    /// Computes M rows of a panel.
    #[inline(always)]
    fn tile<const M: usize, const N: usize, const FMA: bool>(
        self,
        row: usize,
        panel: &mut Panel<'_, N>,
    ) {
        // Cut to what the loops read, so that the compiler need not look at every index. Sums and
        // factors stay in registers since they are arrays, and no index into them is a variable.
        let last = panel.inner - 1;
        let a = &self.a[row * self.a_row + panel.first * self.a_column..];
        let a = &a[..(M - 1) * self.a_row + last * self.a_column + 1];
        let b = &panel.b[..last * panel.b_row + N];
        let c = &mut panel.c[row * panel.c_row..][..(M - 1) * panel.c_row + N];
        let whole = |m: &[f32], at: usize| *m[at..].first_chunk::<N>().expect("cut to size above");

        let mut sums = match panel.start {
            Some(start) => [start; M],
            None => std::array::from_fn(|i| whole(c, i * panel.c_row)),
        };
        for k in 0..panel.inner {
            let b = whole(b, k * panel.b_row);
            for i in 0..M {
                let a = a[i * self.a_row + k * self.a_column];
                for j in 0..N {
                    sums[i][j] = multiply_add::<FMA>(a, b[j], sums[i][j]);
                }
            }
        }
        for (i, sums) in sums.iter().enumerate() {
            c[i * panel.c_row..][..N].copy_from_slice(sums);
        }
    }
}
