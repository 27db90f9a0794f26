//! Learning curves: the return of the training episodes against environment steps.

use std::{fs, path::Path};

use elegante_env::EnvRng;
use rand::RngExt;

use crate::{
    RunError,
    statistics::{LEVEL, iqm, percentile},
};

/// Episodes that a rolling mean is taken over, here as in `mean_return_100`.
pub const WINDOW: usize = 100;

/// Resamples for the band around a curve: its ends move by less than a line's width with more.
const BAND_SAMPLES: usize = 2_000;

/// The rolling mean of a run's training returns, a point for each finished episode.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    /// Environment steps at the end of each episode, and the mean return of the last [`WINDOW`]
    /// episodes up to this one (fewer in the beginning).
    points: Vec<(u64, f64)>,
}

/// A method's curve: the interquartile mean over its seeds with a 95 % bootstrap interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BandPoint {
    /// Environment steps.
    pub steps: f64,
    /// The interquartile mean of the seeds' rolling means there.
    pub iqm: f64,
    /// The lower end of its interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Curve {
    /// The curve of these episodes: environment steps at their end, and their return.
    pub fn of(episodes: impl IntoIterator<Item = (u64, f64)>) -> Self {
        let (steps, returns): (Vec<u64>, Vec<f64>) = episodes.into_iter().unzip();
        let rolling = (0..returns.len()).map(|last| {
            let window = &returns[(last + 1).saturating_sub(WINDOW)..=last];
            window.iter().sum::<f64>() / window.len() as f64
        });
        Self { points: steps.into_iter().zip(rolling).collect() }
    }

    /// The curve of an `episodes.csv`.
    ///
    /// # Errors
    /// When it can't be read, or is not what a run writes.
    pub fn read(path: &Path) -> Result<Self, RunError> {
        Self::parse(&fs::read_to_string(path).map_err(RunError::io(path))?, path)
    }

    /// The curve of an `episodes.csv` that may still be growing: a last line without its end is left out.
    pub(crate) fn read_so_far(path: &Path) -> Result<Self, RunError> {
        let text = fs::read_to_string(path).map_err(RunError::io(path))?;
        match text.rfind('\n') {
            Some(end) => Self::parse(&text[..end], path),
            None => Ok(Self::default()),
        }
    }

    /// Its value at as many places, evenly spread from its first point to its last.
    pub(crate) fn sampled(&self, places: u32) -> Vec<(f64, f64)> {
        let Some((first, last)) = self.span() else { return Vec::new() };
        let (first, last) = (first as f64, last as f64);
        let place = |i| first + (last - first) * f64::from(i) / f64::from(places.max(2) - 1);
        (0..places).filter_map(|i| Some((place(i), self.at(place(i))?))).collect()
    }

    fn parse(text: &str, path: &Path) -> Result<Self, RunError> {
        let mut lines = text.lines().enumerate();
        let heading = lines.next().unwrap_or_default().1;
        let column = |name| heading.split(',').position(|column| column == name);
        let (Some(steps), Some(gained)) = (column("steps"), column("return")) else {
            return Err(damaged(path, 1, "it has no columns `steps` and `return`"));
        };
        let episodes = lines.map(|(number, line)| {
            let fields: Vec<&str> = line.split(',').collect();
            let steps = fields.get(steps).and_then(|field| field.parse().ok());
            let gained = fields.get(gained).and_then(|field| field.parse().ok());
            steps.zip(gained).ok_or_else(|| damaged(path, number + 1, "it is not an episode"))
        });
        Ok(Self::of(episodes.collect::<Result<Vec<_>, _>>()?))
    }

    /// The points, in the order of the episodes.
    pub fn points(&self) -> &[(u64, f64)] {
        &self.points
    }

    /// The steps after which the mean over [`WINDOW`] whole episodes is at least `threshold` for the
    /// first time.
    pub fn passes(&self, threshold: f64) -> Option<u64> {
        let full = self.points.get(WINDOW - 1..)?;
        full.iter().find(|(_, rolling)| *rolling >= threshold).map(|(steps, _)| *steps)
    }

    /// Its value after `steps`: that of the last episode which had ended by then.
    pub fn at(&self, steps: f64) -> Option<f64> {
        let ended = self.points.partition_point(|(end, _)| *end as f64 <= steps);
        ended.checked_sub(1).map(|last| self.points[last].1)
    }

    fn span(&self) -> Option<(u64, u64)> {
        Some((self.points.first()?.0, self.points.last()?.0))
    }
}

fn damaged(path: &Path, line: usize, reason: &str) -> RunError {
    RunError::Damaged { path: path.to_owned(), reason: format!("line {line}: {reason}") }
}

/// The interquartile mean of several seeds' curves at `points` places, evenly spread over the steps
/// where all of them have a value: elsewhere it would be the mean of other seeds.
///
/// A resample draws whole curves with replacement, so that the band is as smooth as they are. (rliable draws
/// anew at every place; at each of them the interval is the same.)
pub fn band(curves: &[Curve], points: usize) -> Vec<BandPoint> {
    let spans: Option<Vec<_>> = curves.iter().map(Curve::span).collect();
    let spans = spans.unwrap_or_default();
    let first = spans.iter().map(|span| span.0).max().unwrap_or(0) as f64;
    let last = spans.iter().map(|span| span.1).min().unwrap_or(0) as f64;
    if spans.is_empty() || first > last || points < 2 {
        return Vec::new();
    }
    let mut rng = EnvRng::new(0);
    let mut draw = || (0..curves.len()).map(|_| rng.random_range(0..curves.len())).collect();
    let resamples: Vec<Vec<usize>> = (0..BAND_SAMPLES).map(|_| draw()).collect();
    let place = |i| first + (last - first) * i as f64 / (points - 1) as f64;
    (0..points).map(|i| band_point(curves, &resamples, place(i))).collect()
}

fn band_point(curves: &[Curve], resamples: &[Vec<usize>], steps: f64) -> BandPoint {
    let values: Vec<f64> = curves.iter().map(|curve| curve.at(steps).unwrap_or(f64::NAN)).collect();
    let mut drawn = Vec::with_capacity(values.len());
    let mut means: Vec<f64> = resamples
        .iter()
        .map(|resample| {
            drawn.clear();
            drawn.extend(resample.iter().map(|&i| values[i]));
            iqm(&drawn)
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let tail = (1.0 - LEVEL) / 2.0;
    let (low, high) = (percentile(&means, tail), percentile(&means, 1.0 - tail));
    BandPoint { steps, iqm: iqm(&values), low, high }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Episodes of 10 steps with these returns.
    fn curve(returns: impl IntoIterator<Item = f64>) -> Curve {
        Curve::of((1..).zip(returns).map(|(i, gained)| (10 * i, gained)))
    }

    #[test]
    fn the_mean_rolls_over_a_hundred_episodes() {
        let curve = curve((0..150).map(f64::from));
        assert_eq!(curve.points()[..2], [(10, 0.0), (20, 0.5)], "fewer in the beginning");
        assert_eq!(curve.points()[99], (1000, 49.5));
        assert_eq!(curve.points()[149], (1500, 99.5), "the mean of 50 to 149");
        assert_eq!(curve.at(9.0), None);
        assert_eq!((curve.at(10.0), curve.at(29.0)), (Some(0.0), Some(0.5)));
        assert_eq!(curve.at(1e9), Some(99.5));
    }

    #[test]
    fn it_passes_a_threshold_with_a_hundred_whole_episodes_only() {
        let lucky = curve([500.0].into_iter().chain((0..200).map(|_| 1.0)));
        assert_eq!(lucky.passes(475.0), None, "one good episode is no hundred");
        assert_eq!(lucky.passes(1.0), Some(1000));
        let learning = curve((0..200).map(|i| if i < 100 { 0.0 } else { 10.0 }));
        assert_eq!(learning.passes(5.0), Some(1500), "the mean of 50 zeros and 50 tens");
        assert_eq!(curve((0..99).map(|_| 9.0)).passes(1.0), None);
        assert_eq!(Curve::default().passes(0.0), None);
    }

    #[test]
    fn a_band_covers_the_steps_that_all_seeds_have() {
        let short = curve([1.0; 3]);
        let long = Curve::of([(20, 3.0), (40, 3.0)]);
        let places: Vec<f64> =
            band(&[short.clone(), long.clone()], 3).iter().map(|p| p.steps).collect();
        assert_eq!(places, [20.0, 25.0, 30.0]);
        let point = band(&[short.clone(), long], 2)[0];
        assert_eq!((point.low, point.iqm, point.high), (1.0, 2.0, 3.0));
        assert!(band(&[short.clone(), Curve::default()], 3).is_empty());
        assert!(band(&[short, Curve::of([(90, 1.0)])], 3).is_empty(), "no steps in common");
        assert!(band(&[], 3).is_empty());
    }

    #[test]
    fn a_log_is_read_by_its_heading_and_refused_by_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("episodes.csv");
        let read = |text: &str| {
            fs::write(&path, text).unwrap();
            Curve::read(&path)
        };
        let heading = "episode,steps,lane,return,length,ending";
        let read_back =
            read(&format!("{heading}\n1,12,0,12,12,terminated\n2,30,1,-1.5,18,truncated\n"));
        assert_eq!(read_back.unwrap(), Curve::of([(12, 12.0), (30, -1.5)]));
        for (text, reason) in [
            ("".to_owned(), "line 1: it has no columns"),
            (format!("{heading}\n1,12,0,12,12,terminated\n2,3"), "line 3: it is not an episode"),
            (format!("{heading}\n1,12,0,many,12,terminated"), "line 2: it is not an episode"),
        ] {
            let error = read(&text).unwrap_err().to_string();
            assert!(error.contains("episodes.csv") && error.contains(reason), "{error}");
        }
    }
}
