//! Matrix products, in tiles that stay in registers.

use std::ops::Range;

use super::{
    machine::{Lanes, Machine},
    tile::{Factors, Panel, load, thin, tile, tiles},
};

/// Rows of C that are finished before the next are begun, so that they are written and read in the first
/// cache. A multiple of every tile's.
const BAND: usize = 24;
/// Columns of the last panels, which are filled up with zeros.
const LAST: usize = 8;
/// Rows of a tile of the last panel, where a row has few accumulators.
const TALL: usize = 8;
/// Products after which a tile's sums are put down, so that what all tiles read stays in the first cache.
const BLOCK: usize = 128;
/// Distance of B's rows from which on a panel is copied together: so far apart, they share too few
/// places in the cache.
const FAR: usize = 128;

/// Products of a sum that are few enough for B's factors to stay in registers.
const THIN: usize = 4;

/// A and B of a product, and what it starts from.
#[derive(Clone, Copy)]
pub(crate) struct Product<'a> {
    pub(crate) rows: usize,
    /// Length of the sums.
    pub(crate) inner: usize,
    pub(crate) columns: usize,
    /// `[rows, inner]`; or, transposed, `[inner, rows]`.
    pub(crate) a: &'a [f32],
    /// `[inner, columns]`; or, flipped, `[columns, inner]`.
    pub(crate) b: &'a [f32],
    pub(crate) flipped: bool,
    /// What every row starts from, `[columns]`; zeros if empty.
    pub(crate) bias: &'a [f32],
}

/// Rows of C that are being computed, and the products that are being added.
struct Band<'a> {
    rows: Range<usize>,
    ks: Range<usize>,
    c: &'a mut [f32],
}

impl Product<'_> {
    /// bias + A·B, `[rows, columns]`; every sum runs from the first product to the last, and a sum of
    /// nothing is 0.
    #[inline(always)]
    pub(crate) fn compute<
        M: Machine,
        const HIGH: usize,
        const ACROSS: usize,
        const TRANSPOSED: bool,
    >(
        self,
        machine: M,
    ) -> Vec<f32> {
        let mut c = Vec::with_capacity(self.rows * self.columns);
        if self.rows == 0 || self.inner == 0 || self.columns == 0 {
            self.begin(self.rows, &mut c);
            return c;
        }
        let wide = machine.wide();
        // One or two rows have as many sums at a time as a tile has if their panels are wider.
        let across = match self.rows {
            _ if self.flipped => ACROSS,
            1 if M::Wide::COUNT == 8 && self.columns.is_multiple_of(64) => 8,
            2 if M::Wide::COUNT == 8 && self.columns.is_multiple_of(32) => 4,
            _ => ACROSS,
        };
        let width = across * M::Wide::COUNT;
        let whole = self.columns - self.columns % width;
        // Registers of sixteen are too wide for the last panels, and four of them for a layer of 32.
        let single = if M::Wide::COUNT > LAST { M::Wide::COUNT } else { width };
        let middle = whole..self.columns - self.columns % single;
        let last = self.pack(LAST, middle.end..self.columns);
        let few = !TRANSPOSED && self.inner <= THIN;
        let far = self.columns > FAR && self.rows > 4 * HIGH;
        let packed = if far || self.flipped { self.pack(width, 0..whole) } else { Vec::new() };
        let between = if self.flipped { self.pack(single, middle.clone()) } else { Vec::new() };
        for row in (0..self.rows).step_by(BAND) {
            let rows = row..self.rows.min(row + BAND);
            if middle.end > 0 && !(few && across == ACROSS) {
                self.begin(rows.end, &mut c);
            } else {
                c.resize(rows.end * self.columns, 0.0);
            }
            let c = &mut c[row * self.columns..];
            for first in (0..self.inner).step_by(BLOCK) {
                let ks = first..self.inner.min(first + BLOCK);
                if M::Wide::COUNT > LAST && !middle.is_empty() {
                    let band = Band { rows: rows.clone(), ks: ks.clone(), c };
                    self.panels::<_, TALL, 1, TRANSPOSED>(wide, middle.clone(), &between, band);
                }
                match across {
                    _ if across == ACROSS => {
                        let band = Band { rows: rows.clone(), ks, c };
                        self.panels::<_, HIGH, ACROSS, TRANSPOSED>(wide, 0..whole, &packed, band);
                    }
                    8 => self.short::<_, 1, 8, TRANSPOSED>(wide, whole, ks, c),
                    _ => self.short::<_, 2, 4, TRANSPOSED>(wide, whole, ks, c),
                }
            }
            for (i, b) in last.chunks_exact(self.inner * LAST).enumerate() {
                let from = middle.end + i * LAST;
                self.last_panel::<_, TRANSPOSED>(machine.eight(), b, &rows, from, c);
            }
        }
        c
    }

    /// The columns of M rows, which are all there are, in panels of R registers.
    #[inline(always)]
    fn short<L: Lanes, const M: usize, const R: usize, const TRANSPOSED: bool>(
        &self,
        lanes: L,
        whole: usize,
        ks: Range<usize>,
        c: &mut [f32],
    ) {
        for from in (0..whole).step_by(R * L::COUNT) {
            let factors = self.factors(self.b, self.columns, from);
            let mut panel = Panel { c, c_row: self.columns, from };
            tile::<L, M, R, TRANSPOSED>(lanes, factors, ks.clone(), (0, 0), &mut panel);
        }
    }

    /// Some columns of a band, in panels of R registers; `packed` are those panels of B, if there are any.
    #[inline(always)]
    fn panels<L: Lanes, const HIGH: usize, const R: usize, const TRANSPOSED: bool>(
        &self,
        lanes: L,
        columns: Range<usize>,
        packed: &[f32],
        band: Band<'_>,
    ) {
        let (width, origin) = (R * L::COUNT, columns.start);
        for from in columns.step_by(width) {
            let factors = if packed.is_empty() {
                self.factors(self.b, self.columns, from)
            } else {
                let before = (from - origin) * self.inner;
                self.factors(&packed[before..][..width * self.inner], width, 0)
            };
            let mut panel = Panel { c: band.c, c_row: self.columns, from };
            let (ks, rows) = (band.ks.clone(), band.rows.clone());
            if TRANSPOSED || self.inner > THIN {
                tiles::<L, HIGH, R, TRANSPOSED>(lanes, factors, ks, rows, &mut panel);
                continue;
            }
            let a = &self.a[rows.start * self.inner..rows.end * self.inner];
            let start = match self.bias {
                [] => [lanes.splat(0.0); R],
                bias => load(lanes, bias, from),
            };
            match self.inner {
                1 => thin::<L, 1, R>(lanes, a, factors, start, &mut panel),
                2 => thin::<L, 2, R>(lanes, a, factors, start, &mut panel),
                3 => thin::<L, 3, R>(lanes, a, factors, start, &mut panel),
                _ => thin::<L, 4, R>(lanes, a, factors, start, &mut panel),
            }
        }
    }

    /// The last columns of some rows of C, with B filled up by zeros and C written to a panel of its own.
    #[inline(always)]
    fn last_panel<L: Lanes, const TRANSPOSED: bool>(
        &self,
        lanes: L,
        b: &[f32],
        rows: &Range<usize>,
        from: usize,
        c: &mut [f32],
    ) {
        let columns = from..self.columns.min(from + LAST);
        let mut start = [0.0; LAST];
        start
            .iter_mut()
            .zip(self.bias.get(columns.clone()).unwrap_or_default())
            .for_each(|(to, b)| *to = *b);
        let mut sums = [start; BAND];
        let mut panel = Panel { c: sums.as_flattened_mut(), c_row: LAST, from: 0 };
        let factors = self.factors(b, LAST, 0);
        tiles::<L, TALL, 1, TRANSPOSED>(lanes, factors, 0..self.inner, rows.clone(), &mut panel);
        for (sums, c) in sums.iter().zip(c.chunks_exact_mut(self.columns)) {
            // A few numbers: a loop is quicker than a copy of a length that is not known.
            c[columns.clone()].iter_mut().zip(sums).for_each(|(c, sum)| *c = *sum);
        }
    }

    #[inline(always)]
    fn factors<'a>(&'a self, b: &'a [f32], b_row: usize, from: usize) -> Factors<'a> {
        let &Product { a, rows, inner, .. } = self;
        Factors { a, rows, inner, b, b_row, from }
    }

    /// Appends what the rows before `end` start from.
    #[inline(always)]
    fn begin(&self, end: usize, c: &mut Vec<f32>) {
        if self.bias.is_empty() {
            c.resize(end * self.columns, 0.0);
        }
        while c.len() < end * self.columns {
            c.extend_from_slice(self.bias);
        }
    }

    /// Some columns of B, `width` by `width`, `[panels, inner, width]`, with zeros at the end.
    #[inline(always)]
    fn pack(&self, width: usize, columns: Range<usize>) -> Vec<f32> {
        match width {
            8 => self.packed::<8>(columns),
            16 => self.packed::<16>(columns),
            32 => self.packed::<32>(columns),
            64 => self.packed::<64>(columns),
            _ => unreachable!("panels have as many columns as one to eight registers"),
        }
    }

    /// The same where the compiler knows how many.
    #[inline(always)]
    fn packed<const WIDTH: usize>(&self, columns: Range<usize>) -> Vec<f32> {
        let panels = columns.len().div_ceil(WIDTH);
        let mut packed = Vec::with_capacity(panels * self.inner * WIDTH);
        for first in columns.clone().step_by(WIDTH) {
            let count = WIDTH.min(columns.end - first);
            if self.flipped {
                self.turn::<WIDTH>(
                    &self.b[first * self.inner..][..count * self.inner],
                    &mut packed,
                );
                continue;
            }
            for row in self.b.chunks_exact(self.columns) {
                match row[first..].first_chunk::<WIDTH>() {
                    Some(whole) if count == WIDTH => packed.extend_from_slice(whole),
                    _ => {
                        packed.extend_from_slice(&row[first..][..count]);
                        packed.resize(packed.len() + WIDTH - count, 0.0);
                    }
                }
            }
        }
        packed
    }

    /// Appends a panel whose columns are the rows of `columns`.
    #[inline(always)]
    fn turn<const WIDTH: usize>(&self, columns: &[f32], packed: &mut Vec<f32>) {
        const SIDE: usize = 8;
        for k in (0..self.inner).step_by(SIDE) {
            let deep = SIDE.min(self.inner - k);
            let mut lines = [[0.0; WIDTH]; SIDE];
            for (j, eight) in columns.chunks(SIDE * self.inner).enumerate() {
                for (i, column) in eight.chunks_exact(self.inner).enumerate() {
                    match column[k..].first_chunk::<SIDE>() {
                        // With a size that the compiler knows.
                        Some(entries) => {
                            (0..SIDE).for_each(|l| lines[l][j * SIDE + i] = entries[l]);
                        }
                        None => {
                            let entries = column[k..].iter().zip(&mut lines);
                            entries.for_each(|(x, line)| line[j * SIDE + i] = *x);
                        }
                    }
                }
            }
            lines[..deep].iter().for_each(|line| packed.extend_from_slice(line));
        }
    }
}

/// The rows of `from`, `width` long each, as the first columns of `to`, whose rows are `to_width` long.
#[inline(always)]
pub(crate) fn transpose(from: &[f32], width: usize, to: &mut [f32], to_width: usize) {
    const SIDE: usize = 8;
    let rows = from.len() / width;
    for row in (0..rows).step_by(SIDE) {
        for column in (0..width).step_by(SIDE) {
            let (high, wide) = (SIDE.min(rows - row), SIDE.min(width - column));
            let (from, to) = (&from[row * width + column..], &mut to[column * to_width + row..]);
            if (high, wide) == (SIDE, SIDE) {
                // With sizes that the compiler knows, in registers.
                let mut square = [[0.0; SIDE]; SIDE];
                for (i, from) in from.chunks(width).take(SIDE).enumerate() {
                    let from = from.first_chunk::<SIDE>().expect("a whole square");
                    for j in 0..SIDE {
                        square[j][i] = from[j];
                    }
                }
                for (to, from) in to.chunks_mut(to_width).zip(&square) {
                    *to.first_chunk_mut().expect("a whole square") = *from;
                }
                continue;
            }
            for (i, from) in from.chunks(width).take(high).enumerate() {
                for (j, from) in from[..wide].iter().enumerate() {
                    to[j * to_width + i] = *from;
                }
            }
        }
    }
}
