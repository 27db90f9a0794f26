//! Environments by name.

use std::{fmt, sync::Arc};

use crate::{AnyEnv, EnvError, classic, teaching};

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
    pub fn option(
        mut self,
        name: &'static str,
        default: impl Into<toml::Value>,
        doc: &'static str,
    ) -> Self {
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
/// use elegante_env::Registry;
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
        Self { entries: [classic::entries(), teaching::entries()].concat() }
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
        self.entries
            .iter()
            .find(|entry| entry.id == id)
            .ok_or_else(|| EnvError::UnknownEnv { id: id.to_owned(), nearest: self.nearest(id) })
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
        // Jaro and Winkler's measure favours a common beginning: the version is what people forget.
        let likeness = |entry: &Entry| strsim::jaro_winkler(&entry.id.to_lowercase(), &wanted);
        let mut ranked: Vec<_> =
            self.entries.iter().map(|entry| (likeness(entry), entry)).collect();
        ranked.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        let similar = ranked.iter().filter(|(likeness, _)| *likeness > 0.7).count();
        let shown = if similar == 0 { ranked.len() } else { similar.min(3) };
        ranked[..shown].iter().map(|(_, entry)| entry.id.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CartPole;

    fn error(result: Result<AnyEnv, EnvError>) -> String {
        result.unwrap_err().to_string()
    }

    fn options(text: &str) -> toml::Table {
        text.parse().unwrap()
    }

    #[test]
    fn classic_control_is_registered_with_gymnasiums_numbers() {
        let registry = Registry::standard();
        for (id, steps, threshold) in [
            ("CartPole-v1", 500, Some(475.0)),
            ("CartPole-v0", 200, Some(195.0)),
            ("Pendulum-v1", 200, None),
            ("MountainCar-v0", 200, Some(-110.0)),
            ("MountainCarContinuous-v0", 999, Some(90.0)),
            ("Acrobot-v1", 500, Some(-100.0)),
        ] {
            let entry = registry.get(id).unwrap();
            assert_eq!((entry.step_limit(), entry.threshold()), (Some(steps), threshold), "{id}");
        }
    }

    #[test]
    fn a_wrong_name_brings_up_the_right_one() {
        let registry = Registry::standard();
        let none = toml::Table::new();
        for wrong in ["cartpole", "CARTPOLE-V1", "CartPol-v1", "CartPole-v3", "cart-pole"] {
            let words = error(registry.make(wrong, &none));
            assert!(words.contains(wrong) && words.contains("CartPole-v1"), "{words}");
        }
        let EnvError::UnknownEnv { nearest, .. } = registry.get("cartpole-v1").unwrap_err() else {
            panic!("another error");
        };
        assert_eq!(nearest[0], "CartPole-v1");
        // Nothing is like it: all there are.
        let words = error(registry.make("Zzz", &none));
        assert!(words.contains("CartPole-v1") && words.contains("CartPole-v0"), "{words}");
        assert_eq!(error(Registry::empty().make("x", &none)), "unknown environment `x`");
    }

    #[test]
    fn options_are_checked_by_name_and_by_value() {
        let registry = Registry::standard();
        assert_eq!(
            error(registry.make("CartPole-v1", &options("gravity = 1.0"))),
            "CartPole-v1 has no option `gravity`; its options are sutton_barto_reward"
        );
        assert_eq!(
            error(registry.make("CartPole-v1", &options("sutton_barto_reward = 3"))),
            "CartPole: option `sutton_barto_reward` is 3, but must be true or false"
        );
        assert!(registry.make("CartPole-v1", &options("sutton_barto_reward = true")).is_ok());
        let bare = Entry::new("Bare", "no options", |_| Ok(AnyEnv::new(CartPole::default())));
        let words = error(bare.make(&options("x = 1")));
        assert_eq!(words, "Bare has no option `x`: it has none");
    }

    #[test]
    fn a_programs_own_environment_is_found_by_its_name_which_it_has_to_itself() {
        let mut registry = Registry::standard();
        let ours = registry.iter().count();
        let mine = Entry::new("Mine-v0", "my own", |_| Ok(AnyEnv::new(CartPole::default())));
        registry.register(mine.clone()).unwrap();
        assert!(registry.make("Mine-v0", &toml::Table::new()).is_ok());
        assert_eq!(registry.iter().count(), ours + 1);
        let words = registry.register(mine).unwrap_err().to_string();
        assert!(words.contains("`Mine-v0` is registered already"), "{words}");
    }
}
