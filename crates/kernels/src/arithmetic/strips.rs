//! Rows of a matrix that are multiplied together, without the columns that are zeros in all of them: rectified
//! units are off for many rows, most of them for several rows that have nothing to do with each other.

use std::ops::Range;

use super::{
    live::SHARE,
    machine::{Lanes, Machine, SIDE},
    tile::{Panel, begin, store},
};

/// Strips after which it is clear whether there are enough zeros.
const FIRST: usize = 4;

/// Strips of M rows, of which the last is filled up with zeros.
pub(super) struct Strips<const M: usize> {
    /// Of each strip after the other, the columns that are not zeros alone, counted from the first of `ks`, and
    /// what is in them.
    columns: Vec<u32>,
    entries: Vec<[f32; M]>,
    /// Where those of each strip end.
    ends: Vec<usize>,
}

impl<const M: usize> Strips<M> {
    /// The columns `ks` of `[rows, inner]`, or nothing where there are so few zeros that to multiply them takes
    /// no longer than to look for them.
    #[inline(always)]
    pub(super) fn of<Kind: Machine>(
        machine: Kind,
        a: &[f32],
        inner: usize,
        ks: Range<usize>,
    ) -> Option<Self> {
        let width = ks.len().next_multiple_of(SIDE);
        let (mut columns, mut entries, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        let mut count = 0;
        for (i, strip) in a.chunks(M * inner).enumerate() {
            columns.resize(count + width, 0);
            entries.resize(count + width, [0.0; M]);
            for k in ks.clone().step_by(SIDE) {
                let wide = SIDE.min(ks.end - k);
                let mut square = [[0.0; SIDE]; SIDE];
                for (to, row) in square.iter_mut().zip(strip.chunks_exact(inner)) {
                    match row[k..].first_chunk() {
                        Some(row) if wide == SIDE => *to = *row,
                        _ => to.iter_mut().zip(&row[k..k + wide]).for_each(|(to, x)| *to = *x),
                    }
                }
                // A number is 0 or −0 if its bits but the sign are.
                let mut seen = [0; SIDE];
                for row in &square[..M] {
                    for j in 0..SIDE {
                        seen[j] |= row[j].to_bits() << 1;
                    }
                }
                let turned = machine.turned(square);
                for j in 0..SIDE {
                    // Without a branch, which would go either way as often: what does not count is written over.
                    columns[count] = (k - ks.start + j) as u32;
                    entries[count] = *turned[j].first_chunk().expect("a strip has few rows");
                    count += usize::from(seen[j] != 0);
                }
            }
            ends.push(count);
            let all = (i + 1) * ks.len();
            if i + 1 == FIRST && all - count < all / SHARE {
                return None;
            }
        }
        Some(Self { columns, entries, ends })
    }

    /// Adds the products with R registers of B's columns, `b` being its rows `ks` of them, to the panel's rows.
    #[inline(always)]
    pub(super) fn multiply<L: Lanes, const R: usize>(
        &self,
        lanes: L,
        b: &[f32],
        panel: &mut Panel<'_>,
    ) {
        let (b, _) = lanes.registers(b).as_chunks::<R>();
        let &mut Panel { ref mut c, c_row, from, start } = panel;
        let mut first = 0;
        for (&end, c) in self.ends.iter().zip(c.chunks_mut(M * c_row)) {
            let mut sums = begin::<L, M, R>(lanes, c, c_row, from, start);
            for (k, a) in self.columns[first..end].iter().zip(&self.entries[first..end]) {
                // Not by an index, whose check keeps it for a message.
                let b = b.get(*k as usize).expect("a row of B");
                for i in 0..M {
                    let a = lanes.splat(a[i]);
                    for j in 0..R {
                        sums[i][j] = lanes.multiply_add(a, b[j], sums[i][j]);
                    }
                }
            }
            for (sums, c) in sums.iter().zip(c.chunks_exact_mut(c_row)) {
                store(lanes, sums, c, from);
            }
            first = end;
        }
    }
}
