//! A report of experiments, runs and searches: one HTML file that needs nothing else, and its figures for papers.

mod health;
mod page;
mod pictures;
mod search;
mod search_page;
mod slices;
mod source;
mod tables;

use std::path::PathBuf;

use elegante_env::Registry;

use crate::{
    Figure, RunError, Summary,
    tune::{StudyRecord, study_files},
};
use pictures::Pictures;
use search::Search;
pub use source::Source;

/// An episode of a source's policy, to be shown in the report.
#[derive(Clone, Debug, PartialEq)]
pub struct Film {
    /// An animated GIF.
    pub gif: Vec<u8>,
    /// A PNG for those who want nothing to move.
    pub still: Vec<u8>,
    /// Its width and height in pixels.
    pub size: (u16, u16),
    /// What is to be seen.
    pub caption: String,
}

/// A figure, and the name of a file for it, without its ending.
#[derive(Clone, Debug)]
pub struct NamedFigure {
    /// Letters, digits, `-`, `_` and `.` only.
    pub name: String,
    /// The picture.
    pub figure: Figure,
}

/// What several experiments and runs came to, side by side, and searches, each by itself.
///
/// ```no_run
/// use elegante_env::Registry;
/// use elegante_experiment::Report;
///
/// let paths = ["runs/ppo", "runs/a2c"].map(std::path::PathBuf::from);
/// let report = Report::read(&paths, &Registry::standard())?;
/// std::fs::write("report.html", report.to_html())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Report {
    sources: Vec<Source>,
    summaries: Vec<Summary>,
    /// The environments in the order in which they were first given, with the places of their sources.
    envs: Vec<(String, Vec<usize>, Pictures)>,
    searches: Vec<Search>,
    /// For each source an episode, or in words why there is none; missing ones are left out.
    pub films: Vec<Result<Film, String>>,
}

impl Report {
    /// Reads experiments, runs and searches, finished or not. Nobody who is at work on one is disturbed.
    ///
    /// # Errors
    /// When one of `paths` is none of these, is given twice, or has a damaged file.
    pub fn read(paths: &[PathBuf], registry: &Registry) -> Result<Self, RunError> {
        for (i, path) in paths.iter().enumerate() {
            let same = |other: &PathBuf| match (path.canonicalize(), other.canonicalize()) {
                (Ok(a), Ok(b)) => a == b,
                _ => false,
            };
            if paths[..i].iter().any(same) {
                return Err(RunError::Twice { path: path.clone() });
            }
        }
        let (mut sources, mut searches) = (Vec::new(), Vec::new());
        for (path, name) in paths.iter().zip(source::names(paths)) {
            if StudyRecord::exists(path) {
                let record = StudyRecord::read(path, registry)?;
                let settings = source::settings(&record.file(study_files::CONFIG))?;
                searches.push(Search::of(name, record, settings));
            } else {
                sources.push(Source { name, ..Source::read(path, registry)? });
            }
        }
        source::align(&mut sources);
        let summaries = sources.iter().map(|source| Summary::of(&source.experiment)).collect();
        let (envs, films) = (Vec::new(), Vec::new());
        let mut report = Self { sources, summaries, envs, searches, films };
        report.group();
        Ok(report)
    }

    /// Puts together what is on the same environment.
    fn group(&mut self) {
        let mut groups: Vec<(String, Vec<usize>)> = Vec::new();
        for (i, source) in self.sources.iter().enumerate() {
            let env = &source.experiment.info.env;
            match groups.iter_mut().find(|(name, _)| name == env) {
                Some((_, places)) => places.push(i),
                None => groups.push((env.clone(), vec![i])),
            }
        }
        let pictures = |(env, places): (String, Vec<usize>)| {
            let sources: Vec<&Source> = places.iter().map(|i| &self.sources[*i]).collect();
            let summaries: Vec<&Summary> = places.iter().map(|i| &self.summaries[*i]).collect();
            let pictures = Pictures::of(&env, &sources, &summaries);
            (env, places, pictures)
        };
        self.envs = groups.into_iter().map(pictures).collect();
    }

    /// The experiments and runs that it is made of, in the order in which they were asked for.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The whole report as one HTML file: no network, no scripts, for light and dark screens of every
    /// width and for paper.
    pub fn to_html(&self) -> String {
        page::html(self)
    }

    /// All its figures, one by one.
    pub fn figures(&self) -> Vec<NamedFigure> {
        let mut all = Vec::new();
        for (env, _, pictures) in &self.envs {
            let suffix =
                if self.envs.len() > 1 { format!("-{}", plain(env)) } else { String::new() };
            let mut add = |name: &str, figure: Figure| {
                all.push(NamedFigure { name: format!("{name}{suffix}"), figure });
            };
            add("curves", pictures.curves.figure());
            for (name, intervals) in
                [("estimates", &pictures.estimates), ("improvement", &pictures.improvement)]
            {
                if let Some(intervals) = intervals {
                    add(name, intervals.figure());
                }
            }
            if let Some(profile) = &pictures.profile {
                add("profile", profile.figure());
            }
            for (key, _, chart) in &pictures.health {
                add(&format!("health-{key}"), chart.figure());
            }
        }
        for (i, search) in self.searches.iter().enumerate() {
            // Different names may be the same to a file.
            let name = plain(&search.name);
            let taken = self.searches[..i].iter().any(|other| plain(&other.name) == name);
            let name = if taken { format!("{name}-{}", i + 1) } else { name };
            for (what, chart) in search.charts() {
                let name = format!("search-{name}-{what}");
                all.push(NamedFigure { name, figure: chart.figure() });
            }
        }
        all
    }
}

/// A name as a file takes it.
fn plain(name: &str) -> String {
    let kept = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    name.chars().map(|c| if kept(c) { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::tune::{
        Trial,
        testing::{complete, failed, pruned, write_search},
    };

    /// The page and the names of the figures of searches in directories of these names.
    fn report(searches: &[(&str, &[Trial])]) -> (String, Vec<String>) {
        let dir = tempfile::tempdir().unwrap();
        let path = |(name, trials): &(&str, &[Trial])| {
            let path = dir.path().join(name);
            fs::create_dir_all(&path).unwrap();
            write_search(&path, trials);
            path
        };
        let paths: Vec<PathBuf> = searches.iter().map(path).collect();
        let report = Report::read(&paths, &Registry::standard()).unwrap();
        (report.to_html(), report.figures().into_iter().map(|it| it.name).collect())
    }

    #[test]
    fn searches_alone_make_a_report() {
        let trials = [complete(0, 5.0), failed(1), pruned(2, 2, 9.0), complete(3, 7.5)];
        let (html, figures) = report(&[("first", &trials), ("second", &trials[..1])]);
        for words in [
            "<h1>CartPole-v1: search of ppo</h1>",
            "<a href=\"#search-1\">Search: second</a>",
            "<h2 id=\"search-0\">Search: first</h2>",
            "2 complete, 1 pruned, 1 failed",
            "not finished: 4 of 8 are over",
            "800 environment steps with each of the seeds 0..2, with an evaluation every 100 steps",
            "<dd>tpe</dd>",
            "<dd>median</dd>",
            "elegante 0.1.0, commit abc",
            "best: trial 3",
            "<strong>7.5</strong></td><td>5</td>",
            "--seeds 2..12",
            "failed: a number is not finite",
        ] {
            assert!(html.contains(words), "no `{words}` in {html}");
        }
        assert!(!html.contains("id=\"configuration\""), "there is nothing to configure");
        assert!(!html.contains("Which settings went along"), "four trials say nothing");
        for name in [
            "search-first-history",
            "search-first-setting-ppo.gamma",
            "search-first-readings",
            "search-second-history",
        ] {
            assert!(figures.contains(&name.to_owned()), "no {name} in {figures:?}");
        }
    }

    #[test]
    fn a_search_without_a_finished_trial_says_so() {
        let (html, figures) = report(&[("search", &[])]);
        assert!(html.contains("No trial is over yet."), "{html}");
        assert!(figures.is_empty(), "{figures:?}");
        let (html, _) = report(&[("search", &[pruned(0, 2, 9.0)])]);
        assert!(html.contains("No trial is complete yet."), "{html}");
        assert!(html.contains("pruned after 200 steps of seed 0"));
    }

    #[test]
    fn many_trials_are_put_away_and_say_what_went_along_with_the_return() {
        let trial = |n: u64| {
            let rate = toml::Value::Float(1e-4 * (n + 1) as f64);
            let params = [("ppo.learning_rate".to_owned(), rate)].into();
            Trial { params, ..complete(n, n as f64) }
        };
        let trials: Vec<Trial> = (0..21).map(trial).collect();
        let (html, _) = report(&[("search", &trials)]);
        assert!(html.contains("<summary>All 21 trials</summary>"));
        assert!(html.contains("<code>ppo.learning_rate</code></th><td>ρ = 1</td>"), "{html}");
        let (html, _) = report(&[("search", &trials[..20])]);
        assert!(!html.contains("<summary>All"));
    }

    #[test]
    fn names_that_are_the_same_to_a_file_are_told_apart() {
        let (_, figures) = report(&[("a b", &[failed(0)]), ("a_b", &[failed(0)])]);
        assert_eq!(figures, ["search-a_b-history", "search-a_b-2-history"]);
    }
}
