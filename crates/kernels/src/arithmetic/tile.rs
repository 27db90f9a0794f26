//! A few rows and columns of a product, whose sums stay in registers.

use std::ops::Range;

use super::machine::Lanes;

/// What a panel of C is the product of: A, and some columns of B.
#[derive(Clone, Copy)]
pub(super) struct Factors<'a> {
    /// `[rows, inner]`; or, transposed, `[inner, rows]`.
    pub(super) a: &'a [f32],
    pub(super) rows: usize,
    pub(super) inner: usize,
    /// B's rows.
    pub(super) b: &'a [f32],
    pub(super) b_row: usize,
    /// The first of the columns.
    pub(super) from: usize,
}

/// What the sums of a tile start from.
#[derive(Clone, Copy)]
pub(super) enum Start<'a> {
    /// What C has already.
    Sums,
    /// The same in every row, by column; zeros if it is empty.
    Row(&'a [f32]),
}

/// Some rows of C, whole ones, the first of the columns that are computed, and what is there before.
pub(super) struct Panel<'a> {
    pub(super) c: &'a mut [f32],
    pub(super) c_row: usize,
    pub(super) from: usize,
    pub(super) start: Start<'a>,
}

/// Adds the products `ks` of A's rows `rows` to R registers of columns, in tiles of at most `HIGH` rows.
#[inline(always)]
pub(super) fn tiles<L: Lanes, const HIGH: usize, const R: usize, const TRANSPOSED: bool>(
    lanes: L,
    factors: Factors<'_>,
    ks: Range<usize>,
    rows: Range<usize>,
    panel: &mut Panel<'_>,
) {
    let mut row = rows.start;
    while row < rows.end {
        let (at, left) = ((row - rows.start, row), rows.end - row);
        // Two tiles of four take less time than one of six and one of two, which waits for its own sums.
        row += if left >= HIGH && (HIGH != 6 || left != 8) {
            tile::<L, HIGH, R, TRANSPOSED>(lanes, factors, ks.clone(), at, panel)
        } else if left >= 4 {
            tile::<L, 4, R, TRANSPOSED>(lanes, factors, ks.clone(), at, panel)
        } else if left >= 2 {
            tile::<L, 2, R, TRANSPOSED>(lanes, factors, ks.clone(), at, panel)
        } else {
            tile::<L, 1, R, TRANSPOSED>(lanes, factors, ks.clone(), at, panel)
        };
    }
}

/// Adds the products `ks` of M of A's rows to M of the panel's, `at` the latter and the former; returns M.
#[inline(always)]
pub(super) fn tile<L: Lanes, const M: usize, const R: usize, const TRANSPOSED: bool>(
    lanes: L,
    Factors { a, rows, inner, b, b_row, from }: Factors<'_>,
    ks: Range<usize>,
    at: (usize, usize),
    panel: &mut Panel<'_>,
) -> usize {
    let c = &mut panel.c[at.0 * panel.c_row..][..M * panel.c_row];
    let mut sums = begin::<L, M, R>(lanes, c, panel.c_row, panel.from, panel.start);
    let b = b[ks.start * b_row..ks.end * b_row].chunks_exact(b_row);
    if TRANSPOSED {
        let a = a[ks.start * rows..ks.end * rows].chunks_exact(rows);
        for (a, b) in a.zip(b) {
            let a = a[at.1..].first_chunk::<M>().expect("a tile is within A");
            let b = load::<L, R>(lanes, b, from);
            for i in 0..M {
                let a = lanes.splat(a[i]);
                for j in 0..R {
                    sums[i][j] = lanes.multiply_add(a, b[j], sums[i][j]);
                }
            }
        }
    } else {
        let count = ks.len();
        let mut a_rows: [&[f32]; M] = [&[]; M];
        for (i, row) in a_rows.iter_mut().enumerate() {
            *row = &a[(at.1 + i) * inner + ks.start..][..count];
        }
        for (k, b) in (0..count).zip(b) {
            let b = load::<L, R>(lanes, b, from);
            for i in 0..M {
                let a = lanes.splat(a_rows[i][k]);
                for j in 0..R {
                    sums[i][j] = lanes.multiply_add(a, b[j], sums[i][j]);
                }
            }
        }
    }
    for (sums, c) in sums.iter().zip(c.chunks_exact_mut(panel.c_row)) {
        store(lanes, sums, c, panel.from);
    }
    M
}

/// What the sums of at most M rows start from.
#[inline(always)]
pub(super) fn begin<L: Lanes, const M: usize, const R: usize>(
    lanes: L,
    c: &[f32],
    c_row: usize,
    from: usize,
    start: Start<'_>,
) -> [[L::Register; R]; M] {
    // Not by `array::from_fn`, which the compiler leaves as a call for more than a few rows.
    let mut sums = [[lanes.splat(0.0); R]; M];
    match start {
        Start::Row([]) => {}
        Start::Row(row) => {
            let row = load(lanes, row, from);
            sums.iter_mut().for_each(|sums| *sums = row);
        }
        Start::Sums => {
            for (sums, c) in sums.iter_mut().zip(c.chunks_exact(c_row)) {
                *sums = load(lanes, c, from);
            }
        }
    }
    sums
}

/// Computes R registers of columns of rows whose sums have K products, which are all there are, with B's
/// factors and what the sums start from in registers too.
#[inline(always)]
pub(super) fn thin<L: Lanes, const K: usize, const R: usize>(
    lanes: L,
    a: &[f32],
    Factors { b, b_row, from, .. }: Factors<'_>,
    panel: &mut Panel<'_>,
) {
    let start = match panel.start {
        Start::Sums | Start::Row([]) => [lanes.splat(0.0); R],
        Start::Row(row) => load(lanes, row, panel.from),
    };
    let mut factors = [[lanes.splat(0.0); R]; K];
    for (k, factors) in factors.iter_mut().enumerate() {
        *factors = load(lanes, &b[k * b_row..], from);
    }
    for (a, c) in a.chunks_exact(K).zip(panel.c.chunks_exact_mut(panel.c_row)) {
        let mut sums = start;
        for k in 0..K {
            let a = lanes.splat(a[k]);
            for j in 0..R {
                sums[j] = lanes.multiply_add(a, factors[k][j], sums[j]);
            }
        }
        store(lanes, &sums, c, panel.from);
    }
}

/// R registers of a row, from a column on.
#[inline(always)]
fn load<L: Lanes, const R: usize>(lanes: L, row: &[f32], from: usize) -> [L::Register; R] {
    *lanes.registers(&row[from..]).first_chunk().expect("a panel is within its matrix")
}

#[inline(always)]
pub(super) fn store<L: Lanes, const R: usize>(
    lanes: L,
    sums: &[L::Register; R],
    row: &mut [f32],
    from: usize,
) {
    let to = lanes.registers_mut(&mut row[from..]).first_chunk_mut();
    *to.expect("a panel is within its matrix") = *sums;
}
