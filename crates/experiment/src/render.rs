//! A configuration as a TOML file that explains itself.

use std::fmt::Write;

use elegante_env::Registry;
use toml::{Table, Value};

use crate::{
    AlgorithmInfo, ConfigError, ExperimentConfig,
    schema::{Field, Schema},
};

impl ExperimentConfig {
    /// The whole configuration as TOML, every key with its documentation above it; a key that is
    /// not set stands there as a comment. Reading it again gives the same configuration.
    ///
    /// # Errors
    /// When the environment is not in `registry`, or a value does not fit into TOML.
    pub fn to_toml(&self, registry: &Registry) -> Result<String, ConfigError> {
        let not_toml = |error: toml::ser::Error| ConfigError::NotToml { reason: error.to_string() };
        let schema = Schema::new(&registry.get(&self.env)?, AlgorithmInfo::find(&self.algo)?);
        let table = self.to_table().map_err(not_toml)?;
        let mut text =
            format!("# elegante {}: train with `--config` and this file.\n", crate::VERSION);
        for section in &schema.sections {
            if !section.name.is_empty() {
                // Writing to a string can't fail, so the results are dropped throughout.
                let _ = write!(text, "\n# {}\n[{}]\n", section.about, section.name);
            }
            let inner = table.get(section.name).and_then(Value::as_table).unwrap_or(&table);
            for field in schema.in_section(section.name) {
                render(&mut text, field, inner);
            }
        }
        Ok(text)
    }
}

fn render(text: &mut String, field: &Field, values: &Table) {
    text.push('\n');
    for line in &field.doc {
        let _ = writeln!(text, "# {line}");
    }
    let _ = match values.get(&field.name) {
        Some(value) => writeln!(text, "{} = {value}", field.name),
        None => writeln!(text, "# {} =", field.name),
    };
}
