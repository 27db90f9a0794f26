//! The numbers of many lanes, a column for each.

/// A structure of arrays: `S` numbers of state in each lane, and the tally of its episode.
#[derive(Debug)]
pub(super) struct Columns<const S: usize> {
    pub(super) state: [Vec<f64>; S],
    pub(super) returns: Vec<f64>,
    pub(super) lengths: Vec<u64>,
}

impl<const S: usize> Columns<S> {
    pub(super) fn new(lanes: usize) -> Self {
        let state = std::array::from_fn(|_| vec![0.0; lanes]);
        Self { state, returns: vec![0.0; lanes], lengths: vec![0; lanes] }
    }

    #[inline]
    pub(super) fn state(&self, at: usize) -> [f64; S] {
        self.state.each_ref().map(|column| column[at])
    }

    #[inline]
    pub(super) fn place(&mut self, at: usize, state: [f64; S], episode_return: f64, length: u64) {
        for (column, x) in self.state.iter_mut().zip(state) {
            column[at] = x;
        }
        (self.returns[at], self.lengths[at]) = (episode_return, length);
    }

    /// Puts a lane of other columns here.
    #[inline]
    pub(super) fn copy(&mut self, at: usize, from: &Self, there: usize) {
        self.place(at, from.state(there), from.returns[there], from.lengths[there]);
    }

    /// Counts a step with these rewards in `W` lanes; true where the length is now `limit`.
    #[inline]
    pub(super) fn count<const W: usize>(
        &mut self,
        at: usize,
        rewards: &[f64; W],
        limit: u64,
    ) -> [bool; W] {
        let returns = part_mut::<_, W>(&mut self.returns, at);
        for i in 0..W {
            returns[i] += rewards[i];
        }
        let lengths = part_mut::<_, W>(&mut self.lengths, at);
        let mut there = [false; W];
        for i in 0..W {
            lengths[i] += 1;
            there[i] = lengths[i] == limit;
        }
        there
    }
}

/// `W` entries from `at` on.
#[inline]
pub(super) fn part<T, const W: usize>(slice: &[T], at: usize) -> &[T; W] {
    slice[at..].first_chunk().expect("rows and columns have been measured")
}

/// `W` entries from `at` on.
#[inline]
pub(super) fn part_mut<T, const W: usize>(slice: &mut [T], at: usize) -> &mut [T; W] {
    slice[at..].first_chunk_mut().expect("rows and columns have been measured")
}
