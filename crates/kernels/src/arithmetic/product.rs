//! Matrix products, in tiles that stay in registers.

use std::ops::Range;

use super::{
    machine::{Lanes, Machine, SIDE, Square},
    recycled,
    strips::Strips,
    tile::{Factors, Panel, Start, thin, tile, tiles},
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
/// Numbers of B that stay in the first cache beside what else is read.
pub(super) const NEAR: usize = 8192;
/// Numbers of A that stay in the second.
const HELD: usize = 65_536;
/// Products of a sum that are few enough for B's factors to stay in registers.
const THIN: usize = 4;

/// A and B of a product, and what it starts from.
#[derive(Clone, Copy)]
pub(crate) struct Product<'a> {
    pub(crate) rows: usize,
    /// Rows of A that are left out before these, and all that it has, where it is transposed; else 0 and
    /// `rows`.
    pub(crate) before: usize,
    pub(crate) height: usize,
    /// Length of the sums.
    pub(crate) inner: usize,
    pub(crate) columns: usize,
    /// `[rows, inner]`; or, transposed, `[inner, height]`.
    pub(crate) a: &'a [f32],
    /// `[inner, columns]`; or, flipped, `[columns, inner]`.
    pub(crate) b: &'a [f32],
    pub(crate) flipped: bool,
    /// What every row starts from, `[columns]`; zeros if empty.
    pub(crate) bias: &'a [f32],
}

/// Rows of A, the products of them that are being added, and the rows of C that they are added to.
struct Band<'a> {
    rows: Range<usize>,
    ks: Range<usize>,
    c: &'a mut [f32],
}

/// The columns of a product, by how wide the panels are in which they are computed.
struct Columns {
    /// Columns of a panel of several registers, and of one.
    width: usize,
    single: usize,
    /// Those in panels of several registers.
    whole: Range<usize>,
    /// Those in panels of one; only where its sixteen are more than the last panels have.
    middle: Range<usize>,
    /// Those in panels of eight, the last of which may be filled up.
    last: Range<usize>,
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
        if self.rows == 0 || self.inner == 0 || self.columns == 0 {
            return self.nothing();
        }
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
        let last = middle.end..self.columns;
        let columns = Columns { width, single, whole: 0..whole, middle, last };
        let far = self.columns > FAR && self.rows > 4 * HIGH;
        if !TRANSPOSED && (far || self.flipped) && self.inner * self.columns > NEAR {
            self.by_panels::<M, HIGH, ACROSS>(machine, &columns)
        } else {
            self.by_bands::<M, HIGH, ACROSS, TRANSPOSED>(machine, &columns, far, across)
        }
    }

    /// All columns of some rows before the next rows, which needs no copies of a B that stays in the first
    /// cache.
    #[inline(always)]
    fn by_bands<M: Machine, const HIGH: usize, const ACROSS: usize, const TRANSPOSED: bool>(
        &self,
        machine: M,
        columns: &Columns,
        far: bool,
        across: usize,
    ) -> Vec<f32> {
        let wide = machine.wide();
        let Columns { width, single, .. } = *columns;
        let size = self.rows * self.columns;
        let mut c = recycled::numbers(size).unwrap_or_else(|| Vec::with_capacity(size));
        let [mut packed, mut between, mut last] = [Vec::new(), Vec::new(), Vec::new()];
        if far || self.flipped {
            self.pack(machine, width, columns.whole.clone(), &mut packed);
        }
        if self.flipped {
            self.pack(machine, single, columns.middle.clone(), &mut between);
        }
        self.pack(machine, LAST, columns.last.clone(), &mut last);
        for row in (0..self.rows).step_by(BAND) {
            let high = BAND.min(self.rows - row);
            let rows = self.before + row..self.before + row + high;
            let end = (row + high) * self.columns;
            c.resize(c.len().max(end), 0.0);
            let c = &mut c[row * self.columns..end];
            for first in (0..self.inner).step_by(BLOCK) {
                let ks = first..self.inner.min(first + BLOCK);
                if M::Wide::COUNT > LAST && !columns.middle.is_empty() {
                    let band = Band { rows: rows.clone(), ks: ks.clone(), c };
                    let middle = columns.middle.clone();
                    self.panels::<_, TALL, 1, TRANSPOSED>(wide, middle, &between, band);
                }
                match across {
                    _ if across == ACROSS => {
                        let band = Band { rows: rows.clone(), ks, c };
                        let whole = columns.whole.clone();
                        self.panels::<_, HIGH, ACROSS, TRANSPOSED>(wide, whole, &packed, band);
                    }
                    8 => self.short::<_, 1, 8, TRANSPOSED>(wide, columns.whole.end, ks, c),
                    _ => self.short::<_, 2, 4, TRANSPOSED>(wide, columns.whole.end, ks, c),
                }
            }
            for (i, b) in last.chunks_exact(self.inner * LAST).enumerate() {
                let from = columns.last.start + i * LAST;
                self.last_panel::<_, TRANSPOSED>(machine.eight(), b, &rows, from, c);
            }
        }
        c
    }

    /// All rows of some columns before the next columns, which are copied together for them: for a B that
    /// does not stay in the first cache. More rows of A than the second cache holds come in turns.
    #[inline(always)]
    fn by_panels<M: Machine, const HIGH: usize, const ACROSS: usize>(
        &self,
        machine: M,
        columns: &Columns,
    ) -> Vec<f32> {
        let wide = machine.wide();
        let Columns { width, single, .. } = *columns;
        let size = self.rows * self.columns;
        let mut c = recycled::numbers(size).unwrap_or_else(|| vec![0.0; size]);
        let turns = (self.rows * self.inner).div_ceil(HELD);
        let turn = self.rows.div_ceil(turns).next_multiple_of(BAND);
        // As many products at a time as leave half of the first cache to A and C.
        let deep = (NEAR / 2 / width).max(BLOCK);
        let mut packed = Vec::new();
        for row in (0..self.rows).step_by(turn) {
            let rows = row..self.rows.min(row + turn);
            let c = &mut c[row * self.columns..rows.end * self.columns];
            let a = &self.a[row * self.inner..rows.end * self.inner];
            // Not by a closure, which the compiler leaves as a call.
            let mut blocks = Vec::new();
            for first in (0..self.inner).step_by(deep) {
                let ks = first..self.inner.min(first + deep);
                blocks.push((ks.clone(), Strips::<HIGH>::of(machine, a, self.inner, ks)));
            }
            for from in columns.whole.clone().step_by(width) {
                let panel = from..from + width;
                packed.clear();
                self.pack(machine, width, panel.clone(), &mut packed);
                for (ks, strips) in &blocks {
                    if let Some(strips) = strips {
                        let start = self.start(ks.start);
                        let mut panel = Panel { c, c_row: self.columns, from, start };
                        let b = &packed[ks.start * width..ks.end * width];
                        strips.multiply::<_, ACROSS>(wide, b, &mut panel);
                        continue;
                    }
                    let band = Band { rows: rows.clone(), ks: ks.clone(), c };
                    let panel = panel.clone();
                    self.panels::<_, HIGH, ACROSS, false>(wide, panel, &packed, band);
                }
            }
            if M::Wide::COUNT > LAST {
                for from in columns.middle.clone().step_by(single) {
                    let panel = from..from + single;
                    packed.clear();
                    self.pack(machine, single, panel.clone(), &mut packed);
                    let band = Band { rows: rows.clone(), ks: 0..self.inner, c };
                    self.panels::<_, TALL, 1, false>(wide, panel, &packed, band);
                }
            }
            for from in columns.last.clone().step_by(LAST) {
                packed.clear();
                self.pack(machine, LAST, from..self.columns.min(from + LAST), &mut packed);
                for (i, c) in c.chunks_mut(BAND * self.columns).enumerate() {
                    let rows = row + i * BAND..rows.end.min(row + (i + 1) * BAND);
                    self.last_panel::<_, false>(machine.eight(), &packed, &rows, from, c);
                }
            }
        }
        c
    }

    /// What sums of nothing are.
    fn nothing(&self) -> Vec<f32> {
        if self.bias.is_empty() {
            return vec![0.0; self.rows * self.columns];
        }
        self.bias.repeat(self.rows)
    }

    /// What tiles start from that add the products from `first` on.
    #[inline(always)]
    fn start(&self, first: usize) -> Start<'_> {
        if first == 0 { Start::Row(self.bias) } else { Start::Sums }
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
            let start = self.start(ks.start);
            let mut panel = Panel { c, c_row: self.columns, from, start };
            tile::<L, M, R, TRANSPOSED>(lanes, factors, ks.clone(), (0, self.before), &mut panel);
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
            let (ks, rows) = (band.ks.clone(), band.rows.clone());
            let start = self.start(ks.start);
            let mut panel = Panel { c: band.c, c_row: self.columns, from, start };
            if TRANSPOSED || self.inner > THIN {
                tiles::<L, HIGH, R, TRANSPOSED>(lanes, factors, ks, rows, &mut panel);
                continue;
            }
            let a = &self.a[rows.start * self.inner..rows.end * self.inner];
            match self.inner {
                1 => thin::<L, 1, R>(lanes, a, factors, &mut panel),
                2 => thin::<L, 2, R>(lanes, a, factors, &mut panel),
                3 => thin::<L, 3, R>(lanes, a, factors, &mut panel),
                _ => thin::<L, 4, R>(lanes, a, factors, &mut panel),
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
        let mut row = [0.0; LAST];
        row.iter_mut()
            .zip(self.bias.get(columns.clone()).unwrap_or_default())
            .for_each(|(to, b)| *to = *b);
        let mut sums = [[0.0; LAST]; BAND];
        let start = Start::Row(&row);
        let mut panel = Panel { c: sums.as_flattened_mut(), c_row: LAST, from: 0, start };
        let factors = self.factors(b, LAST, 0);
        tiles::<L, TALL, 1, TRANSPOSED>(lanes, factors, 0..self.inner, rows.clone(), &mut panel);
        // A copy of a length that is not known would be a call for every row.
        match columns.len() {
            1 => first::<1>(&sums, c, self.columns, from),
            2 => first::<2>(&sums, c, self.columns, from),
            3 => first::<3>(&sums, c, self.columns, from),
            4 => first::<4>(&sums, c, self.columns, from),
            5 => first::<5>(&sums, c, self.columns, from),
            6 => first::<6>(&sums, c, self.columns, from),
            7 => first::<7>(&sums, c, self.columns, from),
            _ => first::<LAST>(&sums, c, self.columns, from),
        }
    }

    #[inline(always)]
    fn factors<'a>(&'a self, b: &'a [f32], b_row: usize, from: usize) -> Factors<'a> {
        let &Product { a, height, inner, .. } = self;
        Factors { a, rows: height, inner, b, b_row, from }
    }

    /// Appends some columns of B, `width` by `width`, `[panels, inner, width]`, with zeros at the end.
    #[inline(always)]
    fn pack<M: Machine>(
        &self,
        machine: M,
        width: usize,
        columns: Range<usize>,
        packed: &mut Vec<f32>,
    ) {
        packed.reserve(columns.len().next_multiple_of(width) * self.inner);
        match width {
            8 => self.packed::<_, 8>(machine, columns, packed),
            16 => self.packed::<_, 16>(machine, columns, packed),
            32 => self.packed::<_, 32>(machine, columns, packed),
            64 => self.packed::<_, 64>(machine, columns, packed),
            _ => unreachable!("panels have as many columns as one to eight registers"),
        }
    }

    /// The same where the compiler knows how many.
    #[inline(always)]
    fn packed<M: Machine, const WIDTH: usize>(
        &self,
        machine: M,
        columns: Range<usize>,
        packed: &mut Vec<f32>,
    ) {
        for first in columns.clone().step_by(WIDTH) {
            let count = WIDTH.min(columns.end - first);
            if self.flipped {
                let columns = &self.b[first * self.inner..][..count * self.inner];
                self.turn::<_, WIDTH>(machine, columns, packed);
                continue;
            }
            for row in self.b.chunks_exact(self.columns) {
                match row[first..].first_chunk::<WIDTH>() {
                    Some(whole) if count == WIDTH => packed.extend_from_slice(whole),
                    _ => {
                        // As in `last_panel`, no copy of a length that is not known.
                        let mut line = [0.0; WIDTH];
                        line.iter_mut().zip(&row[first..]).for_each(|(to, b)| *to = *b);
                        packed.extend_from_slice(&line);
                    }
                }
            }
        }
    }

    /// Appends a panel whose columns are the rows of `columns`.
    #[inline(always)]
    fn turn<M: Machine, const WIDTH: usize>(
        &self,
        machine: M,
        columns: &[f32],
        packed: &mut Vec<f32>,
    ) {
        for k in (0..self.inner).step_by(SIDE) {
            let mut lines = [[0.0; WIDTH]; SIDE];
            for (j, eight) in columns.chunks(SIDE * self.inner).enumerate() {
                if let Some(square) = square(&eight[k..], self.inner) {
                    for (line, turned) in lines.iter_mut().zip(machine.turned(square)) {
                        line[j * SIDE..][..SIDE].copy_from_slice(&turned);
                    }
                    continue;
                }
                for (i, column) in eight.chunks_exact(self.inner).enumerate() {
                    let entries = column[k..].iter().zip(&mut lines);
                    entries.for_each(|(x, line)| line[j * SIDE + i] = *x);
                }
            }
            let deep = SIDE.min(self.inner - k);
            lines[..deep].iter().for_each(|line| packed.extend_from_slice(line));
        }
    }
}

/// Puts the first N of a row's sums to where the rows of C, `width` long, have them.
#[inline(always)]
fn first<const N: usize>(sums: &[[f32; LAST]], c: &mut [f32], width: usize, from: usize) {
    for (sums, c) in sums.iter().zip(c.chunks_exact_mut(width)) {
        let c = c[from..].first_chunk_mut::<N>().expect("as many columns");
        *c = *sums.first_chunk().expect("no more than a panel has");
    }
}

/// The first numbers of the first rows of a matrix whose rows are `width` long, if it has as many.
#[inline(always)]
fn square(from: &[f32], width: usize) -> Option<Square> {
    let mut square = [[0.0; SIDE]; SIDE];
    let mut rows = from.chunks(width);
    for row in &mut square {
        *row = *rows.next()?.first_chunk()?;
    }
    Some(square)
}

/// The rows of `from`, `width` long each, as the columns of the result.
#[inline(always)]
pub(crate) fn transpose<M: Machine>(machine: M, from: &[f32], width: usize) -> Vec<f32> {
    let rows = from.len() / width;
    let mut to = vec![0.0; from.len()];
    for row in (0..rows).step_by(SIDE) {
        for column in (0..width).step_by(SIDE) {
            let (from, to) = (&from[row * width + column..], &mut to[column * rows + row..]);
            let (high, wide) = (SIDE.min(rows - row), SIDE.min(width - column));
            if (high, wide) == (SIDE, SIDE)
                && let Some(square) = square(from, width)
            {
                for (to, turned) in to.chunks_mut(rows).zip(machine.turned(square)) {
                    *to.first_chunk_mut().expect("a whole square") = turned;
                }
                continue;
            }
            for (i, from) in from.chunks(width).take(high).enumerate() {
                for (j, from) in from[..wide].iter().enumerate() {
                    to[j * rows + i] = *from;
                }
            }
        }
    }
    to
}
