//! Weights with their running sums, so that an entry is found by its share of the whole in O(log n).

/// A complete binary tree over non-negative weights; each node is the sum of its two children, so that
/// equal weights make equal trees, however they came about.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SumTree {
    /// Heap order: the root at 1, the leaves from `leaves` on.
    nodes: Vec<f64>,
    leaves: usize,
}

impl SumTree {
    /// Room for another weight at `index`. What is added are zeros, which leave every sum as it is.
    fn grow(&mut self, index: usize) {
        let leaves = (index + 1).next_power_of_two();
        let mut nodes = vec![0.0; 2 * leaves];
        nodes[leaves..leaves + self.leaves].copy_from_slice(&self.nodes[self.leaves..]);
        for node in (1..leaves).rev() {
            nodes[node] = nodes[2 * node] + nodes[2 * node + 1];
        }
        *self = Self { nodes, leaves };
    }

    /// Every sum and weight, and places for more.
    #[cfg(test)]
    pub(crate) fn nodes(&self) -> &[f64] {
        &self.nodes
    }

    pub(crate) fn total(&self) -> f64 {
        self.nodes[1]
    }

    pub(crate) fn get(&self, index: usize) -> f64 {
        self.nodes[self.leaves + index]
    }

    /// There may be more weights with every call.
    pub(crate) fn set(&mut self, index: usize, weight: f64) {
        if index >= self.leaves {
            self.grow(index);
        }
        let mut node = self.leaves + index;
        self.nodes[node] = weight;
        while node > 1 {
            node /= 2;
            self.nodes[node] = self.nodes[2 * node] + self.nodes[2 * node + 1];
        }
    }

    /// The entry whose share of the sum contains `point` ∈ [0, total), never one of weight 0 if any other
    /// has a weight.
    pub(crate) fn find(&self, mut point: f64) -> usize {
        let mut node = 1;
        while node < self.leaves {
            let [left, right] = [self.nodes[2 * node], self.nodes[2 * node + 1]];
            // Rounding can push a point past the end of a subtree that has nothing to its right.
            node *= 2;
            if point >= left && right > 0.0 {
                point -= left;
                node += 1;
            }
        }
        node - self.leaves
    }
}

impl Default for SumTree {
    /// A single weight of 0.
    fn default() -> Self {
        Self { nodes: vec![0.0; 2], leaves: 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_by_their_share() {
        let mut tree = SumTree::default();
        let weights = [1.0, 0.0, 2.5, 0.5, 4.0];
        weights.iter().enumerate().for_each(|(i, &weight)| tree.set(i, weight));
        assert_eq!((tree.total(), tree.get(2)), (8.0, 2.5));
        for (point, index) in
            [(0.0, 0), (0.99, 0), (1.0, 2), (3.49, 2), (3.5, 3), (4.0, 4), (7.99, 4), (8.0, 4)]
        {
            assert_eq!(tree.find(point), index, "at {point}");
        }
        tree.set(4, 0.0);
        assert_eq!(
            (tree.total(), tree.find(4.0)),
            (4.0, 3),
            "past the end is the last that counts"
        );
    }

    #[test]
    fn the_way_to_a_tree_leaves_no_trace_in_it() {
        let (mut once, mut often) = (SumTree::default(), SumTree::default());
        for i in 0..9 {
            once.set(i, 0.1 * i as f64);
            often.set(8 - i, 1e9);
        }
        (0..9).rev().for_each(|i| often.set(i, 0.1 * i as f64));
        assert_eq!(once, often);
    }
}
