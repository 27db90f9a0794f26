//! A whole experiment as one plain value, and the one place where its layers are laid over each
//! other: defaults, configuration file, `key=value` pairs, flags.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use elegante_env::{AnyEnv, EnvError, Registry};
use elegante_kernels::Instructions;
use elegante_trainer::{TrainConfig, TrainError};
use toml::{Table, Value};

use crate::{
    ALGORITHMS, AlgorithmInfo, CheckpointConfig, ConfigError, LogConfig, Origin,
    algorithms::settings_of,
    presets::preset,
    schema::{CHECKPOINTS, ENV_OPTIONS, GUARD, LOG, NETWORK, Schema, parse_pair},
};

/// What is trained, on what, and how: everything that decides a run's result, and how often it is
/// written down.
#[derive(Clone, Debug, PartialEq)]
pub struct ExperimentConfig {
    /// Id of the environment in a [`Registry`].
    pub env: String,
    /// Id of the algorithm, one of [`ALGORITHMS`].
    pub algo: String,
    /// The environment's options; what is missing has the environment's default.
    pub env_options: Table,
    /// How the CPU's kernels round. It holds for a whole program, which hands it to
    /// [`elegante_kernels::set_instructions`] before it computes anything.
    pub kernels: Instructions,
    /// How often the whole run is written down on the way.
    pub checkpoints: CheckpointConfig,
    /// What is written down beside the usual logs.
    pub log: LogConfig,
    /// The training itself.
    pub train: TrainConfig,
}

/// A setting given by a flag of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Flag {
    /// The flag as the user wrote it, `--steps` for example.
    pub flag: String,
    /// The setting it stands for.
    pub key: String,
    /// Its value.
    pub value: Value,
}

/// What was asked for, layer by layer; the later ones win.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// The environment; a file may name it instead.
    pub env: Option<String>,
    /// The algorithm; a file may name it instead.
    pub algo: Option<String>,
    /// A configuration file.
    pub file: Option<PathBuf>,
    /// `key=value` pairs, the value as TOML or else as the string that it is.
    pub sets: Vec<String>,
    /// Settings with flags of their own.
    pub flags: Vec<Flag>,
}

impl ExperimentConfig {
    /// The configuration that `request` describes: every key known, every value of its type and in
    /// its range, every environment option taken by the environment.
    ///
    /// # Errors
    /// [`ConfigError`] names the file or flag, the key, the value and what would do.
    pub fn resolve(registry: &Registry, request: &Request) -> Result<Self, ConfigError> {
        Self::laid_over(registry, request).map_err(|error| error.within(request))
    }

    fn laid_over(registry: &Registry, request: &Request) -> Result<Self, ConfigError> {
        let table = request.file.as_ref().map(read_table).transpose()?.unwrap_or_default();
        Self::lay(registry, request, table)
    }

    /// The configuration that `text` describes, which is part of the file at `path`.
    pub(crate) fn read(registry: &Registry, text: &str, path: &Path) -> Result<Self, ConfigError> {
        let request = Request { file: Some(path.to_owned()), ..Request::default() };
        Self::lay(registry, &request, parse(text, path)?)
    }

    /// Lays the layers of `request` over each other, `table` being what its file says.
    fn lay(registry: &Registry, request: &Request, table: Table) -> Result<Self, ConfigError> {
        let env = named("env", request.env.as_deref(), &table, request)?;
        let env = env.ok_or_else(|| ConfigError::NoEnv { path: request.file.clone() })?;
        let algo = named("algo", request.algo.as_deref(), &table, request)?;
        let algo = algo.map_or(Ok(AlgorithmInfo::usual()), |name| AlgorithmInfo::find(&name))?;
        let entry = registry.get(&env)?;

        let schema = Schema::new(&entry, algo);
        let mut layers = Layers { schema: &schema, algo, values: BTreeMap::new() };
        for (key, value) in preset(algo, &env) {
            layers.set(&key, value, &Origin::Preset)?;
        }
        if let Some(path) = &request.file {
            layers.file(table, &Origin::File(path.clone()))?;
        }
        for pair in &request.sets {
            let (key, value) = parse_pair(pair)?;
            layers.set(key, value, &Origin::Set)?;
        }
        for flag in &request.flags {
            layers.set(&flag.key, flag.value.clone(), &Origin::Flag(flag.flag.clone()))?;
        }
        let config = layers.build(entry.id())?;
        // Making one proves that the options are in range too.
        registry.make(&config.env, &config.env_options)?;
        Ok(config)
    }

    /// The same with other values for some settings; `origin` is where errors say that they were given.
    /// The environment's options stay as they are.
    ///
    /// # Errors
    /// When a setting is not known, or its value is not right, by itself or with the others.
    pub(crate) fn with(
        &self,
        registry: &Registry,
        settings: &BTreeMap<String, Value>,
        origin: &Origin,
    ) -> Result<Self, ConfigError> {
        let entry = registry.get(&self.env)?;
        let algo = AlgorithmInfo::find(&self.algo)?;
        let schema = Schema::new(&entry, algo);
        let mut layers = Layers { schema: &schema, algo, values: BTreeMap::new() };
        let table = self.to_table().map_err(|e| ConfigError::NotToml { reason: e.to_string() })?;
        layers.file(table, &Origin::File(PathBuf::new()))?;
        for (key, value) in settings {
            layers.set(key, value.clone(), origin)?;
        }
        layers.build(entry.id())
    }

    /// What makes this experiment's environments.
    ///
    /// # Errors
    /// When `registry` does not have the environment.
    pub fn env_factory(
        &self,
        registry: &Registry,
    ) -> Result<impl Fn() -> Result<AnyEnv, EnvError> + Clone + Send + Sync + 'static, EnvError>
    {
        let entry = registry.get(&self.env)?;
        let options = self.env_options.clone();
        Ok(move || entry.make(&options))
    }

    /// The configuration as one table, what is not set left out.
    pub(crate) fn to_table(&self) -> Result<Table, toml::ser::Error> {
        let mut table = Table::try_from(&self.train.run)?;
        table.insert("kernels".to_owned(), Value::try_from(self.kernels)?);
        let device = self.train.device.to_string();
        for (key, value) in [("env", &self.env), ("algo", &self.algo), ("device", &device)] {
            table.insert(key.to_owned(), Value::String(value.clone()));
        }
        let network = Table::try_from(&self.train.network)?;
        let checkpoints = Table::try_from(&self.checkpoints)?;
        let guard = Table::try_from(&self.train.guard)?;
        let settings = settings_of(&self.train.algorithm)?;
        let log = Table::try_from(&self.log)?;
        let sections = [
            (ENV_OPTIONS, self.env_options.clone()),
            (CHECKPOINTS, checkpoints),
            (NETWORK, network),
            (&self.algo, settings),
            (GUARD, guard),
            (LOG, log),
        ];
        table.extend(sections.map(|(name, values)| (name.to_owned(), Value::Table(values))));
        Ok(table)
    }
}

fn read_table(path: &PathBuf) -> Result<Table, ConfigError> {
    let read = |source| ConfigError::Read { path: path.clone(), source };
    parse(&fs::read_to_string(path).map_err(read)?, path)
}

pub(crate) fn parse(text: &str, path: &Path) -> Result<Table, ConfigError> {
    text.parse().map_err(|error: toml::de::Error| ConfigError::Syntax {
        path: path.to_owned(),
        message: error.to_string().trim_end().to_owned(),
    })
}

/// What the request and the file call the environment or the algorithm, if they agree.
fn named(
    what: &'static str,
    asked: Option<&str>,
    table: &Table,
    request: &Request,
) -> Result<Option<String>, ConfigError> {
    let path = request.file.clone().unwrap_or_default();
    let file = match table.get(what) {
        Some(Value::String(name)) => Some(name.clone()),
        Some(other) => {
            let (value, origin) = (other.to_string(), Origin::File(path));
            return Err(ConfigError::Value {
                key: what.into(),
                value,
                expected: "a string".into(),
                origin,
            });
        }
        None => None,
    };
    match (asked, file) {
        (Some(asked), Some(file)) if asked != file => {
            Err(ConfigError::Mismatch { path, what, file, asked: asked.to_owned() })
        }
        (asked, file) => Ok(asked.map(str::to_owned).or(file)),
    }
}

/// The values given so far, each with where it was given.
struct Layers<'a> {
    schema: &'a Schema,
    algo: &'static AlgorithmInfo,
    values: BTreeMap<String, (Value, Origin)>,
}

impl Layers<'_> {
    fn file(&mut self, table: Table, origin: &Origin) -> Result<(), ConfigError> {
        for (key, value) in table {
            match value {
                Value::Table(inner) if self.schema.is_section(&key) => {
                    for (name, value) in inner {
                        self.set(&format!("{key}.{name}"), value, origin)?;
                    }
                }
                value => self.set(&key, value, origin)?,
            }
        }
        Ok(())
    }

    fn set(&mut self, key: &str, value: Value, origin: &Origin) -> Result<(), ConfigError> {
        let wrong = |value: &Value, expected: String| ConfigError::Value {
            key: key.to_owned(),
            value: value.to_string(),
            expected,
            origin: origin.clone(),
        };
        not_of_another(self.algo, key, origin)?;
        if self.schema.is_section(key) {
            let inside = self.schema.in_section(key).next().map(super::schema::Field::key);
            let example = inside.unwrap_or_else(|| key.to_owned());
            return Err(wrong(
                &value,
                format!("a table; set its keys one by one, {example} for example"),
            ));
        }
        let field = self.schema.find(key).ok_or_else(|| ConfigError::UnknownKey {
            key: key.to_owned(),
            nearest: self.schema.nearest(key),
            origin: origin.clone(),
        })?;
        let in_file = matches!(origin, Origin::File(_));
        if ["env", "algo"].contains(&key) && !in_file {
            return Err(wrong(&value, "named by the command itself".into()));
        }
        let value = field.check(value.clone()).map_err(|expected| wrong(&value, expected))?;
        self.values.insert(key.to_owned(), (value, origin.clone()));
        Ok(())
    }

    fn build(&self, env: &str) -> Result<ExperimentConfig, ConfigError> {
        let algo = self.algo;
        let device = self.value("device").unwrap_or_else(|| Value::String("auto".into()));
        let origin = self.origin("device");
        let device = device.as_str().unwrap_or_default().parse();
        let train = TrainConfig {
            run: self.section("", toml::map::Map::try_into)?,
            network: self.section(NETWORK, toml::map::Map::try_into)?,
            algorithm: self.section(algo.id, algo.read)?,
            guard: self.section(GUARD, toml::map::Map::try_into)?,
            device: device.map_err(|source| ConfigError::Device { source, origin })?,
        };
        let checkpoints: CheckpointConfig = self.section(CHECKPOINTS, toml::map::Map::try_into)?;
        train.validate().and(checkpoints.validate()).map_err(|error| self.blame(error))?;
        let log = self.log()?;
        Ok(ExperimentConfig {
            env: env.to_owned(),
            algo: algo.id.to_owned(),
            env_options: self.table(ENV_OPTIONS),
            // The schema has taken nothing else.
            kernels: self.value("kernels").and_then(|it| it.try_into().ok()).unwrap_or_default(),
            checkpoints,
            log,
            train,
        })
    }

    /// What is to be logged; nothing that would be logged nowhere.
    fn log(&self) -> Result<LogConfig, ConfigError> {
        let log: LogConfig = self.section(LOG, toml::map::Map::try_into)?;
        if log.histograms_every > 0 && !log.tensorboard {
            let key = "log.histograms_every";
            return Err(ConfigError::Value {
                key: key.into(),
                value: log.histograms_every.to_string(),
                expected: "0 without log.tensorboard = true, which histograms are written with"
                    .into(),
                origin: self.origin(key),
            });
        }
        Ok(log)
    }

    fn section<T>(
        &self,
        name: &str,
        read: impl FnOnce(Table) -> Result<T, toml::de::Error>,
    ) -> Result<T, ConfigError> {
        // Every value has been checked alone; what is left is a struct that refuses a combination.
        read(self.table(name)).map_err(|error| ConfigError::Value {
            key: name.to_owned(),
            value: self.table(name).to_string(),
            expected: error.message().to_owned(),
            origin: Origin::Default,
        })
    }

    /// The values of a section, the defaults included.
    fn table(&self, section: &str) -> Table {
        let fields = self.schema.in_section(section).filter(|field| !is_head(&field.key()));
        fields.filter_map(|field| Some((field.name.clone(), self.value(&field.key())?))).collect()
    }

    fn value(&self, key: &str) -> Option<Value> {
        let given = self.values.get(key).map(|(value, _)| value.clone());
        given.or_else(|| self.schema.find(key)?.default.clone())
    }

    fn origin(&self, key: &str) -> Origin {
        self.values.get(key).map_or(Origin::Default, |(_, origin)| origin.clone())
    }

    /// A setting out of range, with the place where it was given.
    fn blame(&self, error: TrainError) -> ConfigError {
        match error {
            TrainError::Setting { name, value, expected } => ConfigError::Value {
                key: name.to_owned(),
                value,
                expected,
                origin: self.origin(name),
            },
            other => ConfigError::Value {
                key: "the configuration".into(),
                value: other.to_string(),
                expected: "sound as a whole".into(),
                origin: Origin::Default,
            },
        }
    }
}

/// Refuses a setting of another algorithm than `algo`.
pub(crate) fn not_of_another(
    algo: &AlgorithmInfo,
    key: &str,
    origin: &Origin,
) -> Result<(), ConfigError> {
    let section = key.split('.').next().unwrap_or(key);
    match ALGORITHMS.iter().find(|info| info.id == section && section != algo.id) {
        None => Ok(()),
        Some(info) => Err(ConfigError::OtherAlgorithm {
            key: key.to_owned(),
            of: info.id,
            algo: algo.id,
            origin: origin.clone(),
        }),
    }
}

/// The keys at the top that belong to no settings struct.
fn is_head(key: &str) -> bool {
    ["env", "algo", "device", "kernels"].contains(&key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use elegante_env::Entry;
    use elegante_trainer::Algorithm;

    fn resolve(
        registry: &Registry,
        env: &str,
        sets: &[&str],
    ) -> Result<ExperimentConfig, ConfigError> {
        let sets = sets.iter().map(ToString::to_string).collect();
        ExperimentConfig::resolve(
            registry,
            &Request { env: Some(env.into()), sets, ..Request::default() },
        )
    }

    #[test]
    fn without_a_name_every_environment_is_trained_with_ppo_its_preset_or_not() {
        let mut registry = Registry::standard();
        let make = |_: &Table| Ok(AnyEnv::new(elegante_env::CartPole::default()));
        registry.register(Entry::new("Mine-v0", "nobody has a preset for it", make)).unwrap();
        let ids: Vec<String> = registry.iter().map(|entry| entry.id().to_owned()).collect();
        assert!(ids.contains(&"Mine-v0".to_owned()));
        for id in ids {
            let config = resolve(&registry, &id, &[]).unwrap();
            assert_eq!(config.algo, "ppo");
            assert!(matches!(config.train.algorithm, Algorithm::Ppo(_)), "{id}");
        }
    }

    #[test]
    fn a_setting_of_another_algorithm_says_how_to_get_there() {
        let registry = Registry::standard();
        for set in ["reinforce.gamma=0.9", "reinforce.gama=0.9", "reinforce=3", "a2c.n_steps=7"] {
            let error = resolve(&registry, "CartPole-v1", &[set]).unwrap_err().to_string();
            let other = set.split(['.', '=']).next().unwrap();
            let words =
                [&format!("a setting of {other}"), "this is ppo", &format!("--algo {other}")];
            assert!(words.iter().all(|words| error.contains(*words)), "{error}");
        }
    }

    #[test]
    fn kernels_are_one_of_two() {
        let registry = Registry::standard();
        let kernels = |sets: &[&str]| resolve(&registry, "CartPole-v1", sets).map(|it| it.kernels);
        assert_eq!(kernels(&[]).unwrap(), Instructions::Fastest);
        assert_eq!(kernels(&["kernels=portable"]).unwrap(), Instructions::Portable);
        let error = kernels(&["kernels=slow"]).unwrap_err().to_string();
        assert!(error.contains("\"slow\"") && error.contains("\"portable\""), "{error}");
    }
}
