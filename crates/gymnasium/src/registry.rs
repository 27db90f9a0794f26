//! Gymnasium's environments by name.

use elegante_env::{Entry, EnvError, Registry};
use pyo3::types::PyAnyMethods;
use serde::Deserialize;

use crate::{
    make,
    python::{bridge, python},
};

/// What the names of Gymnasium's environments begin with; its own ids follow, with the module to
/// import before them where one is needed: `gymnasium:ale_py:ALE/Pong-v5`.
pub const PREFIX: &str = "gymnasium:";

/// The environments of elegante, and every one that the Python at hand has: `gymnasium:Taxi-v4`.
pub fn registry() -> Registry {
    let summary = "any environment of Python's Gymnasium, by its id there";
    Registry::standard().with_resolver(PREFIX, summary, entry)
}

/// What Python says of an id.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Told {
    Found(Found),
    Nearest(Vec<String>),
}

#[derive(Deserialize)]
struct Found {
    id: String,
    steps: Option<usize>,
    threshold: Option<f64>,
    options: Vec<(String, toml::Value)>,
    gymnasium: String,
}

fn entry(name: &str) -> Result<Entry, EnvError> {
    let id = name.strip_prefix(PREFIX).unwrap_or(name);
    let told: String = python(
        || format!("{name} can't be looked up in Python"),
        |py| bridge(py)?.call_method1("describe", (id,))?.extract(),
    )?;
    let found = match serde_json::from_str(&told).map_err(EnvError::custom)? {
        Told::Found(found) => found,
        Told::Nearest(names) => {
            let nearest = names.iter().map(|near| format!("{PREFIX}{near}")).collect();
            return Err(EnvError::UnknownEnv { id: name.to_owned(), nearest });
        }
    };
    let summary = format!("{} of Gymnasium {}, in Python", found.id, found.gymnasium);
    let id = found.id.clone();
    let mut entry = Entry::new(format!("{PREFIX}{id}"), summary, move |options| make(&id, options));
    if let Some(steps) = found.steps {
        entry = entry.max_episode_steps(steps);
    }
    if let Some(threshold) = found.threshold {
        entry = entry.reward_threshold(threshold);
    }
    for (option, default) in found.options {
        let doc = match option.as_str() {
            "max_episode_steps" => "steps after which an episode is cut; -1: never".to_owned(),
            other => format!("`{other}` of the Python environment"),
        };
        entry = entry.option(option, default, doc);
    }
    Ok(entry)
}
