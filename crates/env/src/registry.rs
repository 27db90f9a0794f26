//! Environments by name.

use std::{fmt, sync::Arc};

use crate::{AnyEnv, EnvError, classic};

type Make = Arc<dyn Fn(&toml::Table) -> Result<AnyEnv, EnvError> + Send + Sync>;

/// One option that an environment can be made with.
#[derive(Clone, Debug, PartialEq)]
pub struct EnvOption {
    /// Its name.
    pub name: &'static str,
    /// Its value when it is not given.
    pub default: toml::Value,
    /// What it does.
    pub doc: &'static str,
}

/// An environment that can be made by name.
#[derive(Clone)]
pub struct Entry {
    id: String,
    summary: String,
    max_episode_steps: Option<usize>,
    reward_threshold: Option<f64>,
    options: Vec<EnvOption>,
    make: Make,
}

impl Entry {
    /// An environment without options, time limit or threshold; see the methods for those.
    pub fn new(
        id: impl Into<String>,
        summary: impl Into<String>,
        make: impl Fn(&toml::Table) -> Result<AnyEnv, EnvError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            id: id.into(),
            summary: summary.into(),
            max_episode_steps: None,
            reward_threshold: None,
            options: Vec::new(),
            make: Arc::new(make),
        }
    }

    /// Says after how many steps its episodes are truncated. What `make` returns does the truncating.
    #[must_use]
    pub fn max_episode_steps(mut self, steps: usize) -> Self {
        self.max_episode_steps = Some(steps);
        self
    }

    /// Says at which mean return the task counts as solved.
    #[must_use]
    pub fn reward_threshold(mut self, threshold: f64) -> Self {
        self.reward_threshold = Some(threshold);
        self
    }

    /// Declares an option; undeclared ones are refused before `make` sees them.
    #[must_use]
    pub fn option(mut self, name: &'static str, default: impl Into<toml::Value>, doc: &'static str) -> Self {
        self.options.push(EnvOption { name, default: default.into(), doc });
        self
    }

    /// Its name, with Gymnasium's version suffix where it is one of Gymnasium's.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What it is, in a line.
    pub fn summary(&self) -> &str {
        &self.summary
    }

    /// After how many steps its episodes are truncated.
    pub fn step_limit(&self) -> Option<usize> {
        self.max_episode_steps
    }

    /// The mean return at which it counts as solved.
    pub fn threshold(&self) -> Option<f64> {
        self.reward_threshold
    }

    /// The options it can be made with.
    pub fn options(&self) -> &[EnvOption] {
        &self.options
    }

    /// Makes one.
    ///
    /// # Errors
    /// When an option is unknown or has an impossible value.
    pub fn make(&self, options: &toml::Table) -> Result<AnyEnv, EnvError> {
        for option in options.keys() {
            if !self.options.iter().any(|known| known.name == option) {
                return Err(EnvError::UnknownOption {
                    env: self.id.clone(),
                    option: option.clone(),
                    known: self.options.iter().map(|known| known.name.to_owned()).collect(),
                });
            }
        }
        (self.make)(options)
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({}: {})", self.id, self.summary)
    }
}

/// The environments that can be made by name: ours, and any that a program adds.
///
/// ```
/// use elegante_env::{DynEnv, Registry};
///
/// let registry = Registry::standard();
/// let env = registry.make("CartPole-v1", &Default::default())?;
/// assert_eq!(env.observation_space().flat_len(), 4);
/// let error = registry.make("cartpole", &Default::default()).unwrap_err();
/// assert!(error.to_string().contains("CartPole-v1"));
/// # Ok::<(), elegante_env::EnvError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Registry {
    entries: Vec<Entry>,
}

impl Registry {
    /// A registry with nothing in it.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The environments of this crate.
    pub fn standard() -> Self {
        Self { entries: classic::entries() }
    }

    /// Adds an environment.
    ///
    /// # Errors
    /// When its name is taken.
    pub fn register(&mut self, entry: Entry) -> Result<(), EnvError> {
        if self.entries.iter().any(|known| known.id == entry.id) {
            return Err(EnvError::DuplicateEnv { id: entry.id });
        }
        self.entries.push(entry);
        Ok(())
    }

    /// All entries, in the order in which they were registered.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// The entry of this name.
    ///
    /// # Errors
    /// When there is none; the error lists the most similar names.
    pub fn get(&self, id: &str) -> Result<&Entry, EnvError> {
        self.entries.iter().find(|entry| entry.id == id).ok_or_else(|| EnvError::UnknownEnv {
            id: id.to_owned(),
            nearest: self.nearest(id),
        })
    }

    /// Makes the environment of this name.
    ///
    /// # Errors
    /// As [`get`](Self::get) and [`Entry::make`].
    pub fn make(&self, id: &str, options: &toml::Table) -> Result<AnyEnv, EnvError> {
        self.get(id)?.make(options)
    }

    /// Up to three names like `id`, the most similar first, all of them where none is similar.
    fn nearest(&self, id: &str) -> Vec<String> {
        let wanted = id.to_lowercase();
        let likeness = |entry: &&Entry| {
            let name = entry.id.to_lowercase();
            let bonus = if name.starts_with(&wanted) { 1.0 } else { 0.0 };
            bonus + strsim::jaro_winkler(&name, &wanted)
        };
        let mut ranked: Vec<_> = self.entries.iter().map(|entry| (likeness(&entry), entry)).collect();
        ranked.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        let similar = ranked.iter().filter(|(likeness, _)| *likeness > 0.7).count();
        let shown = if similar == 0 { ranked.len() } else { similar.min(3) };
        ranked[..shown].iter().map(|(_, entry)| entry.id.clone()).collect()
    }
}
