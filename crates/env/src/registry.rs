//! Environments by name.

use std::{fmt, sync::Arc};

use crate::{AnyEnv, EnvError, VecEnv, VectorEnv, classic, teaching};

type Make = Arc<dyn Fn(&toml::Table) -> Result<AnyEnv, EnvError> + Send + Sync>;
type MakeVector =
    Arc<dyn Fn(usize, &toml::Table) -> Result<Box<dyn VectorEnv>, EnvError> + Send + Sync>;
type Resolve = Arc<dyn Fn(&str) -> Result<Entry, EnvError> + Send + Sync>;

/// One option that an environment can be made with.
#[derive(Clone, Debug, PartialEq)]
pub struct EnvOption {
    /// Its name.
    pub name: String,
    /// Its value when it is not given.
    pub default: toml::Value,
    /// What it does.
    pub doc: String,
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
    make_vector: Option<MakeVector>,
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
            make_vector: None,
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
        name: impl Into<String>,
        default: impl Into<toml::Value>,
        doc: impl Into<String>,
    ) -> Self {
        self.options.push(EnvOption {
            name: name.into(),
            default: default.into(),
            doc: doc.into(),
        });
        self
    }

    /// Says how to make many at once, a [`BatchEnv`](crate::BatchEnv) for example; each lane must be
    /// what `make` returns. Without this, lanes are stepped one after the other.
    #[must_use]
    pub fn vector(
        mut self,
        make: impl Fn(usize, &toml::Table) -> Result<Box<dyn VectorEnv>, EnvError>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.make_vector = Some(Arc::new(make));
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

    /// Whether many of it are stepped by physics of their own, not one after the other.
    pub fn steps_together(&self) -> bool {
        self.make_vector.is_some()
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
        self.check(options)?;
        (self.make)(options)
    }

    /// Makes many, side by side on one thread: with its native physics if it has such, or one after
    /// the other.
    ///
    /// # Errors
    /// As [`make`](Self::make), and when there are no lanes.
    pub fn make_vec(
        &self,
        lanes: usize,
        options: &toml::Table,
    ) -> Result<Box<dyn VectorEnv>, EnvError> {
        self.check(options)?;
        match &self.make_vector {
            Some(make) => make(lanes, options),
            None => {
                let envs = (0..lanes).map(|_| (self.make)(options)).collect::<Result<_, _>>()?;
                Ok(Box::new(VecEnv::new(envs)?))
            }
        }
    }

    /// As [`make_vec`](Self::make_vec), on several threads.
    ///
    /// # Errors
    /// As there, and when there are no threads or they can't be started.
    #[cfg(feature = "parallel")]
    pub fn make_parallel(
        &self,
        lanes: usize,
        threads: usize,
        options: &toml::Table,
    ) -> Result<crate::ParallelEnv, EnvError> {
        crate::ParallelEnv::new(lanes, threads, |theirs| self.make_vec(theirs.len(), options))
    }

    /// Finds options that it doesn't have.
    fn check(&self, options: &toml::Table) -> Result<(), EnvError> {
        for option in options.keys() {
            if !self.options.iter().any(|known| known.name == *option) {
                return Err(EnvError::UnknownOption {
                    env: self.id.clone(),
                    option: option.clone(),
                    known: self.options.iter().map(|known| known.name.clone()).collect(),
                });
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({}: {})", self.id, self.summary)
    }
}

/// A world of environments that are looked up when they are asked for.
#[derive(Clone)]
struct Resolver {
    prefix: String,
    summary: String,
    resolve: Resolve,
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Resolver({}…: {})", self.prefix, self.summary)
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
    resolvers: Vec<Resolver>,
}

impl Registry {
    /// A registry with nothing in it.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The environments of this crate.
    pub fn standard() -> Self {
        Self { entries: [classic::entries(), teaching::entries()].concat(), resolvers: Vec::new() }
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

    /// Adds a world of environments that are not listed but looked up: a name that begins with
    /// `prefix` and is not registered is handed, whole, to `resolve`. Where several prefixes fit, the
    /// first that was added counts. A name may be looked up several times for one run.
    ///
    /// ```
    /// use elegante_env::{AnyEnv, Bandit, Entry, EnvError, Registry};
    ///
    /// let registry = Registry::standard().with_resolver("arms:", "so many arms", |id| {
    ///     let arms: usize = id["arms:".len()..].parse().map_err(EnvError::custom)?;
    ///     let make = move |_: &_| Ok(AnyEnv::new(Bandit::new(vec![0.5; arms], 1.0)?));
    ///     Ok(Entry::new(id, "a bandit whose arms are all alike", make))
    /// });
    /// let twelve = registry.make("arms:12", &Default::default())?;
    /// assert_eq!(twelve.action_space().to_string(), "Discrete(12)");
    /// assert!(registry.make("arms:many", &Default::default()).is_err());
    /// # Ok::<(), EnvError>(())
    /// ```
    #[must_use]
    pub fn with_resolver(
        mut self,
        prefix: impl Into<String>,
        summary: impl Into<String>,
        resolve: impl Fn(&str) -> Result<Entry, EnvError> + Send + Sync + 'static,
    ) -> Self {
        let (prefix, summary) = (prefix.into(), summary.into());
        self.resolvers.push(Resolver { prefix, summary, resolve: Arc::new(resolve) });
        self
    }

    /// The prefixes of names that are looked up, each with what it leads to.
    pub fn prefixes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.resolvers.iter().map(|world| (world.prefix.as_str(), world.summary.as_str()))
    }

    /// All entries, in the order in which they were registered.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// The entry of this name: a registered one, or what a resolver makes of it.
    ///
    /// # Errors
    /// When there is none, the most similar names listed; or the resolver's own.
    pub fn get(&self, id: &str) -> Result<Entry, EnvError> {
        if let Some(entry) = self.entries.iter().find(|entry| entry.id == id) {
            return Ok(entry.clone());
        }
        match self.resolvers.iter().find(|world| id.starts_with(&world.prefix)) {
            Some(world) => (world.resolve)(id),
            None => Err(EnvError::UnknownEnv { id: id.to_owned(), nearest: self.nearest(id) }),
        }
    }

    /// Makes the environment of this name.
    ///
    /// # Errors
    /// As [`get`](Self::get) and [`Entry::make`].
    pub fn make(&self, id: &str, options: &toml::Table) -> Result<AnyEnv, EnvError> {
        self.get(id)?.make(options)
    }

    /// Makes many environments of this name, side by side on one thread.
    ///
    /// # Errors
    /// As [`get`](Self::get) and [`Entry::make_vec`].
    pub fn make_vec(
        &self,
        id: &str,
        lanes: usize,
        options: &toml::Table,
    ) -> Result<Box<dyn VectorEnv>, EnvError> {
        self.get(id)?.make_vec(lanes, options)
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
    use crate::{Actions, CartPole, StepOut};

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
        assert!(registry.get("CartPole-v1").unwrap().steps_together());
        let bare = Entry::new("Bare", "no options", |_| Ok(AnyEnv::new(CartPole::default())));
        assert!(!bare.steps_together());
        let words = error(bare.make(&options("x = 1")));
        assert_eq!(words, "Bare has no option `x`: it has none");
    }

    #[test]
    fn lanes_are_what_one_environment_is() {
        let none = toml::Table::new();
        for entry in Registry::standard().iter() {
            let (one, many) = (entry.make(&none).unwrap(), entry.make_vec(3, &none).unwrap());
            assert_eq!(one.observation_space(), many.observation_space(), "{}", entry.id());
            assert_eq!(one.action_space(), many.action_space(), "{}", entry.id());
            assert_eq!(many.lanes(), 3);
            assert!(entry.make_vec(3, &options("nonsense = 1")).is_err());
            assert!(entry.make_vec(0, &none).is_err());
        }
        let registry = Registry::standard();
        let (mut usual, mut book) = ([0.0], [0.0]);
        for (given, reward) in [("", &mut usual), ("sutton_barto_reward = true", &mut book)] {
            let mut env = registry.make_vec("CartPole-v1", 1, &options(given)).unwrap();
            let (mut obs, mut final_obs) = ([0.0; 4], [0.0; 4]);
            env.reset(0, &mut obs).unwrap();
            let out = StepOut {
                obs: &mut obs,
                final_obs: &mut final_obs,
                rewards: reward,
                endings: &mut [None],
            };
            env.step(Actions::Discrete(&[0]), out).unwrap();
        }
        assert_eq!((usual, book), ([1.0], [0.0]), "options reach the lanes");
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

    #[test]
    fn names_with_a_prefix_are_looked_up_and_registered_ones_come_first() {
        let found =
            |id: &str| match id {
                "else:none" => Err(EnvError::custom("nothing else")),
                _ => Ok(Entry::new(id, "looked up", |_| Ok(AnyEnv::new(CartPole::default())))
                    .option("length", 0.5, "half of the pole")),
            };
        let mut registry = Registry::standard()
            .with_resolver("else:", "elsewhere", found)
            .with_resolver("else:far:", "never reached", |_| Err(EnvError::custom("too far")));
        let prefixes = [("else:", "elsewhere"), ("else:far:", "never reached")];
        assert_eq!(registry.prefixes().collect::<Vec<_>>(), prefixes);
        for id in ["else:Car", "else:far:Car"] {
            assert_eq!(registry.get(id).unwrap().summary(), "looked up", "{id}");
        }
        assert!(registry.make("else:Car", &options("length = 1.0")).is_ok());
        let words = error(registry.make("else:Car", &options("mass = 1.0")));
        assert_eq!(words, "else:Car has no option `mass`; its options are length");
        assert_eq!(error(registry.make("else:none", &options(""))), "nothing else");
        assert!(error(registry.make("els:Car", &options(""))).starts_with("unknown environment"));

        let own = Entry::new("else:Car", "registered", |_| Ok(AnyEnv::new(CartPole::default())));
        registry.register(own).unwrap();
        assert_eq!(registry.get("else:Car").unwrap().summary(), "registered");
    }
}
