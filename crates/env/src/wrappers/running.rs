//! Running mean and variance.

use serde::{Deserialize, Serialize};

use crate::EnvError;

/// What is assumed before the first row, in rows: statistics begin at mean 0 and variance 1 with this
/// weight.
const PRIOR: f64 = 1e-4;

/// Mean and variance of every column of rows that arrive over time, in f64, from a beginning at mean 0
/// and variance 1 that weighs as much as 1e-4 of a row: the numbers of `RunningMeanStd` in Gymnasium and
/// in Stable-Baselines3.
///
/// Those merge batch by batch (Chan, Golub & LeVeque, 1983). Here rows are taken one by one in their
/// order (Welford, 1962), and the beginning is merged in whenever a number is asked for. That is the same
/// sum, and the numbers do not depend on how rows are grouped into calls. (A batch of float32 NumPy adds
/// up in float32, so that with such the two agree to float32's digits only.)
/// [`merge`](Self::merge) joins what two sources have seen.
///
/// ```
/// use elegante_env::wrappers::RunningMeanStd;
///
/// let mut statistics = RunningMeanStd::new(1);
/// assert_eq!((statistics.mean(0), statistics.variance(0)), (0.0, 1.0));
/// statistics.update(&[1.0f32, 3.0])?; // two rows
/// assert_eq!(statistics.count(), 2);
/// // (0·1e-4 + 1 + 3)/2.0001, and near it the variance of 1 and 3.
/// assert!((statistics.mean(0) - 4.0 / 2.0001).abs() < 1e-15);
/// assert!((statistics.variance(0) - 1.0).abs() < 1e-3);
/// # Ok::<(), elegante_env::EnvError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct RunningMeanStd {
    count: u64,
    /// Mean of the rows alone.
    mean: Vec<f64>,
    /// Sum of the rows' squared deviations from that mean.
    squares: Vec<f64>,
}

/// What was written down, not yet checked.
#[derive(Deserialize)]
struct Written {
    count: u64,
    mean: Vec<f64>,
    squares: Vec<f64>,
}

impl TryFrom<Written> for RunningMeanStd {
    type Error = EnvError;

    fn try_from(Written { count, mean, squares }: Written) -> Result<Self, EnvError> {
        let possible = mean.iter().all(|x| x.is_finite())
            && squares.iter().all(|&x| x.is_finite() && x >= 0.0);
        if mean.len() != squares.len() || !possible {
            let reason = "a mean or a sum of squares that no numbers have".into();
            return Err(EnvError::BadState(reason));
        }
        Ok(Self { count, mean, squares })
    }
}

impl RunningMeanStd {
    /// Statistics of `len` columns that have seen nothing yet.
    pub fn new(len: usize) -> Self {
        Self { count: 0, mean: vec![0.0; len], squares: vec![0.0; len] }
    }

    /// Number of columns.
    pub fn len(&self) -> usize {
        self.mean.len()
    }

    /// Whether there are no columns at all.
    pub fn is_empty(&self) -> bool {
        self.mean.is_empty()
    }

    /// Number of rows seen.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Mean μ of a column, the beginning's share included; 0 before the first row.
    pub fn mean(&self, column: usize) -> f64 {
        let rows = self.count as f64;
        self.mean[column] * (rows / (rows + PRIOR))
    }

    /// Variance of a column about its mean, Σ(x − μ)²/n, the beginning's share included; 1 before the
    /// first row.
    pub fn variance(&self, column: usize) -> f64 {
        let (rows, mean) = (self.count as f64, self.mean[column]);
        let total = rows + PRIOR;
        // Each side's own squares, and those of the distance between their means, m and 0.
        (self.squares[column] + PRIOR + mean * mean * (rows * PRIOR / total)) / total
    }

    /// Takes in `[rows × len]` numbers.
    ///
    /// # Errors
    /// When they are not whole rows or one of them is not finite; nothing is taken in then.
    pub fn update<T: Copy + Into<f64>>(&mut self, rows: &[T]) -> Result<(), EnvError> {
        self.check(rows)?;
        for row in rows.chunks_exact(self.len().max(1)) {
            self.push(row);
        }
        Ok(())
    }

    /// Whether `rows` are whole rows of finite numbers.
    fn check<T: Copy + Into<f64>>(&self, rows: &[T]) -> Result<(), EnvError> {
        let len = self.len();
        let whole = rows.len().checked_div(len).unwrap_or(0) * len;
        EnvError::check_length("the rows", rows.len(), whole)?;
        super::check_finite(rows, len, None, "the statistics' input")
    }

    /// Takes in one row, already checked.
    pub(super) fn push<T: Copy + Into<f64>>(&mut self, row: &[T]) {
        self.count += 1;
        let weight = 1.0 / self.count as f64;
        for ((&x, mean), squares) in row.iter().zip(&mut self.mean).zip(&mut self.squares) {
            let before = x.into() - *mean;
            *mean += before * weight;
            *squares += before * (x.into() - *mean);
        }
    }

    /// Takes in all the rows that `other` has seen; the beginning counts once.
    ///
    /// # Errors
    /// When it has another number of columns.
    pub fn merge(&mut self, other: &Self) -> Result<(), EnvError> {
        EnvError::check_length("the other statistics", other.len(), self.len())?;
        let count = self.count + other.count;
        if count == 0 {
            return Ok(());
        }
        let share = other.count as f64 / count as f64;
        let weight = self.count as f64 * share;
        for i in 0..self.len() {
            let apart = other.mean[i] - self.mean[i];
            self.mean[i] += apart * share;
            self.squares[i] += other.squares[i] + apart * apart * weight;
        }
        self.count = count;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EnvRng;
    use rand::RngExt;

    /// Mean and variance in two passes over the rows and 1e-4 of a row with mean 0 and variance 1.
    fn two_passes(rows: &[f32], len: usize, column: usize) -> (f64, f64) {
        let values: Vec<f64> = rows.chunks_exact(len).map(|row| f64::from(row[column])).collect();
        let weight = values.len() as f64 + 1e-4;
        let mean = values.iter().sum::<f64>() / weight;
        let squares: f64 = values.iter().map(|x| (x - mean) * (x - mean)).sum();
        (mean, (squares + 1e-4 * (1.0 + mean * mean)) / weight)
    }

    /// 400 rows of three columns, the second far from zero.
    fn rows() -> Vec<f32> {
        let mut rng = EnvRng::new(1);
        let row =
            |_| [rng.random::<f32>(), 1000.0 + rng.random::<f32>(), -5.0 * rng.random::<f32>()];
        (0..400).flat_map(row).collect()
    }

    fn assert_right(statistics: &RunningMeanStd, rows: &[f32]) {
        assert_eq!(statistics.count(), (rows.len() / 3) as u64);
        for column in 0..3 {
            let (mean, variance) = two_passes(rows, 3, column);
            assert!((statistics.mean(column) / mean - 1.0).abs() < 1e-13);
            assert!((statistics.variance(column) / variance - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn one_pass_gives_what_two_do() {
        let rows = rows();
        let mut statistics = RunningMeanStd::new(3);
        statistics.update(&rows).unwrap();
        assert_right(&statistics, &rows);
    }

    #[test]
    fn grouping_changes_no_bit() {
        let rows = rows();
        let (mut whole, mut parts) = (RunningMeanStd::new(3), RunningMeanStd::new(3));
        whole.update(&rows).unwrap();
        rows.chunks(21).for_each(|part| parts.update(part).unwrap());
        assert_eq!(whole, parts);
    }

    #[test]
    fn two_sources_merge_into_one() {
        let rows = rows();
        for cut in [0, 3, 300, 1200] {
            let (mut left, mut right) = (RunningMeanStd::new(3), RunningMeanStd::new(3));
            left.update(&rows[..cut]).unwrap();
            right.update(&rows[cut..]).unwrap();
            left.merge(&right).unwrap();
            assert_right(&left, &rows);
        }
        let mut nothing = RunningMeanStd::new(3);
        nothing.merge(&RunningMeanStd::new(3)).unwrap();
        assert_eq!(nothing, RunningMeanStd::new(3));
        assert!(nothing.merge(&RunningMeanStd::new(2)).is_err());
    }

    #[test]
    fn wrong_rows_are_refused_whole() {
        let mut statistics = RunningMeanStd::new(2);
        let words = statistics.update(&[1.0f32; 3]).unwrap_err().to_string();
        assert_eq!(words, "the rows has 3 entries where 2 belong");
        let words = statistics.update(&[1.0f32, 2.0, 3.0, f32::NAN]).unwrap_err().to_string();
        assert!(words.contains("lane 1") && words.contains("entry 1"), "{words}");
        assert_eq!(statistics, RunningMeanStd::new(2));
        assert!(RunningMeanStd::new(0).update(&[1.0f32]).is_err());
        assert_eq!((statistics.mean(1), statistics.variance(1)), (0.0, 1.0), "no row was seen");
    }

    #[test]
    fn statistics_read_back_as_written_and_are_checked() {
        let mut statistics = RunningMeanStd::new(3);
        statistics.update(&rows()).unwrap();
        let json = serde_json::to_string(&statistics).unwrap();
        assert_eq!(serde_json::from_str::<RunningMeanStd>(&json).unwrap(), statistics);
        // Rows alone are written down; what statistics begin with is not.
        let two_rows = r#"{"count":2,"mean":[2.0],"squares":[2.0]}"#;
        let two_rows: RunningMeanStd = serde_json::from_str(two_rows).unwrap();
        let mut same = RunningMeanStd::new(1);
        same.update(&[1.0f32, 3.0]).unwrap();
        assert_eq!(two_rows, same);
        for wrong in [
            r#"{"count":2,"mean":[0.0],"squares":[-1.0]}"#,
            r#"{"count":2,"mean":[0.0],"squares":[]}"#,
        ] {
            assert!(serde_json::from_str::<RunningMeanStd>(wrong).is_err(), "{wrong}");
        }
    }
}
