//! A quantity over a whole run in little memory.

/// Points that are kept at most. A terminal has fewer columns than that, even in Braille dots.
const MOST: usize = 1024;

/// What became of a quantity, from the first update to the last: means over equally many updates each, twice
/// as many whenever there would be too many points.
#[derive(Clone, Debug)]
pub(super) struct Series {
    points: Vec<(f64, f64)>,
    /// Updates in a point.
    stride: u32,
    /// Place, sum and count of the point that is not complete yet.
    open: (f64, f64, u32),
    last: f64,
}

impl Default for Series {
    fn default() -> Self {
        Self { points: Vec::new(), stride: 1, open: (0.0, 0.0, 0), last: f64::NAN }
    }
}

impl Series {
    /// Adds a value at `x`. What is not finite leaves a gap.
    pub(super) fn push(&mut self, x: f64, y: f64) {
        self.last = y;
        if !y.is_finite() {
            return;
        }
        let (_, sum, count) = self.open;
        self.open = (x, sum + y, count + 1);
        if count + 1 < self.stride {
            return;
        }
        self.close();
        if self.points.len() > MOST {
            let pair = |pair: &[(f64, f64)]| match pair {
                [(_, a), (x, b)] => (*x, (a + b) / 2.0),
                _ => pair[0],
            };
            self.points = self.points.chunks(2).map(pair).collect();
            self.stride *= 2;
        }
    }

    fn close(&mut self) {
        let (x, sum, count) = std::mem::take(&mut self.open);
        if count > 0 {
            self.points.push((x, sum / f64::from(count)));
        }
    }

    /// The last value, whatever it is; NaN before the first.
    pub(super) fn last(&self) -> f64 {
        self.last
    }

    /// All of it in `most` points, or in as many as there are; the end is as new as can be.
    pub(super) fn points(&self, most: usize) -> Vec<(f64, f64)> {
        let mut all = self.clone();
        all.close();
        let (all, parts) = (all.points, most.max(1));
        if all.len() <= parts {
            return all;
        }
        let edge = |part: usize| part * all.len() / parts;
        let mean = |part: usize| {
            let points = &all[edge(part)..edge(part + 1)];
            let sum: f64 = points.iter().map(|(_, y)| y).sum();
            (points[points.len() - 1].0, sum / points.len() as f64)
        };
        (0..parts).map(mean).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_keeps_few_points_and_its_whole_shape() {
        let mut series = Series::default();
        for i in 1..=1_000_000 {
            series.push(f64::from(i), f64::from(i) / 2.0);
        }
        assert!(series.points.len() <= MOST, "{}", series.points.len());
        let shown = series.points(100);
        assert_eq!(shown.len(), 100);
        assert!(shown.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1));
        // Means of what lies before them, of a straight line.
        assert!(shown.iter().all(|(x, y)| (0.0..20_000.0).contains(&(x - 2.0 * y))));
        let (x, _) = shown[shown.len() - 1];
        assert_eq!((x, series.last()), (1e6, 5e5));
    }

    #[test]
    fn what_is_not_finite_is_told_and_not_drawn() {
        let mut series = Series::default();
        assert!(series.last().is_nan() && series.points(10).is_empty());
        series.push(1.0, 2.0);
        series.push(2.0, f64::INFINITY);
        assert_eq!((series.points(10), series.last()), (vec![(1.0, 2.0)], f64::INFINITY));
        assert_eq!(series.points(0).len(), 1);
    }
}
