//! progress.csv: a row for each update and for each evaluation, as Stable-Baselines3 writes it.

use std::{fs, path::Path};

use elegante_policy::write_atomic;

use super::names::{EVALUATION, STEPS, Scalar};
use crate::{RunError, log::LogFile};

/// The file in the making.
#[derive(Debug)]
pub(super) struct Progress {
    file: LogFile,
    /// The columns, once the first update has told what there is to measure.
    columns: Vec<String>,
}

impl Progress {
    pub(super) fn create(path: &Path) -> Result<Self, RunError> {
        Ok(Self { file: LogFile::create(path)?, columns: Vec::new() })
    }

    /// Goes on with a file, without its rows of later steps than these.
    pub(super) fn resume(path: &Path, steps: u64) -> Result<Self, RunError> {
        let text = fs::read_to_string(path).map_err(RunError::io(path))?;
        let (heading, rows) = text.split_once('\n').unwrap_or_default();
        let columns: Vec<String> =
            heading.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        let kept = rows.split_inclusive('\n').filter(|row| {
            let said = row.split(',').next().and_then(|field| field.parse::<f64>().ok());
            row.ends_with('\n') && said.is_some_and(|said| said <= steps as f64)
        });
        let mut text = String::new();
        if !columns.is_empty() {
            text = format!("{heading}\n");
        }
        text.extend(kept);
        write_atomic(path, text.as_bytes())?;
        Ok(Self { file: LogFile::append(path)?, columns })
    }

    /// Appends what an update measured, the steps first.
    pub(super) fn update(&mut self, measured: &[Scalar]) -> Result<(), RunError> {
        if self.columns.is_empty() {
            let evaluation = EVALUATION.iter().map(ToString::to_string);
            self.columns =
                measured.iter().map(|(name, _)| name.clone()).chain(evaluation).collect();
            self.file.line(&self.columns.join(","));
        }
        self.row(measured)
    }

    /// Appends what an evaluation after `steps` steps found.
    pub(super) fn evaluation(&mut self, steps: u64, found: &[Scalar]) -> Result<(), RunError> {
        let mut measured = vec![(STEPS.to_owned(), steps as f64)];
        measured.extend_from_slice(found);
        self.row(&measured)
    }

    fn row(&mut self, measured: &[Scalar]) -> Result<(), RunError> {
        let field = |column: &String| {
            let value = measured.iter().find(|(name, _)| name == column).map(|(_, value)| *value);
            value.filter(|value| value.is_finite()).map_or(String::new(), |value| value.to_string())
        };
        let fields: Vec<String> = self.columns.iter().map(field).collect();
        if !fields.is_empty() {
            self.file.line(&fields.join(","));
        }
        self.file.flush()
    }

    pub(super) fn sync(&mut self) -> Result<(), RunError> {
        self.file.sync()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalars(values: &[(&str, f64)]) -> Vec<Scalar> {
        values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
    }

    #[test]
    fn rows_are_read_by_their_columns_and_what_was_not_measured_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("progress.csv");
        let mut csv = Progress::create(&path).unwrap();
        csv.update(&scalars(&[(STEPS, 8.0), ("train/loss", f64::NAN), ("train/x", 0.1)])).unwrap();
        csv.evaluation(8, &scalars(&[("eval/mean_reward", 3.5)])).unwrap();
        csv.update(&scalars(&[(STEPS, 16.0), ("train/x", 1e-7), ("train/loss", -2.0)])).unwrap();
        csv.sync().unwrap();
        let lines = [
            "time/total_timesteps,train/loss,train/x,eval/mean_reward,eval/std_reward,eval/mean_ep_length",
            "8,,0.1,,,",
            "8,,,3.5,,",
            "16,-2,0.0000001,,,",
        ];
        assert_eq!(fs::read_to_string(&path).unwrap().lines().collect::<Vec<_>>(), lines);

        // A run that goes on after 8 steps, and whose last row was cut off.
        fs::write(&path, format!("{}\n24,", lines.join("\n"))).unwrap();
        let mut csv = Progress::resume(&path, 8).unwrap();
        csv.update(&scalars(&[(STEPS, 16.0), ("train/x", 5.0)])).unwrap();
        let again = fs::read_to_string(&path).unwrap();
        assert_eq!(again.lines().collect::<Vec<_>>(), [lines[0], lines[1], lines[2], "16,,5,,,"]);
    }

    #[test]
    fn a_run_that_ended_before_its_first_update_goes_on_as_well() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("progress.csv");
        drop(Progress::create(&path).unwrap());
        let mut csv = Progress::resume(&path, 0).unwrap();
        csv.evaluation(0, &scalars(&[("eval/mean_reward", 3.5)])).unwrap();
        csv.update(&scalars(&[(STEPS, 4.0)])).unwrap();
        assert!(fs::read_to_string(&path).unwrap().starts_with("time/total_timesteps,eval/"));
    }
}
