//! A report of experiments and runs: one HTML file that needs nothing else, and its figures for papers.

mod health;
mod page;
mod pictures;
mod source;
mod tables;

use std::path::PathBuf;

use elegante_env::Registry;

use crate::{Figure, RunError, Summary};
use pictures::Pictures;
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

/// What several experiments and runs came to, side by side.
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
    /// For each source an episode, or in words why there is none; missing ones are left out.
    pub films: Vec<Result<Film, String>>,
}

impl Report {
    /// Reads experiments and runs, finished or not.
    ///
    /// # Errors
    /// When one of `paths` is neither, is given twice, or has a damaged file.
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
        let sources = paths.iter().map(|path| Source::read(path, registry));
        let mut sources: Vec<Source> = sources.collect::<Result<_, _>>()?;
        source::name(&mut sources);
        source::align(&mut sources);
        let summaries = sources.iter().map(|source| Summary::of(&source.experiment)).collect();
        let mut report = Self { sources, summaries, envs: Vec::new(), films: Vec::new() };
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

    /// What it is made of, in the order in which it was asked for.
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
        all
    }
}

/// A name as a file takes it.
fn plain(name: &str) -> String {
    let kept = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    name.chars().map(|c| if kept(c) { c } else { '_' }).collect()
}
