//! TensorBoard's event files: records with checksums (TensorFlow's TFRecord), each a message of the type
//! `tensorflow.Event`. The numbers of the fields are those of TensorBoard's own `.proto` files, which
//! are named where they are used.

use std::{
    fs, io,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use elegante_trainer::Inspected;
use toml::Value;

use super::{names::Scalar, protobuf::Message};
use crate::{ExperimentConfig, RunError, StopReason, entries::entries, log::LogFile};

/// What TensorBoard knows event files by.
const PREFIX: &str = "events.out.tfevents.";

/// Bars of a histogram.
const BARS: usize = 40;

/// An event file that grows while a run goes on.
#[derive(Debug)]
pub(crate) struct EventFile(LogFile);

impl EventFile {
    /// A new file in `dir`, which is made if it is not there. Others in it stay: TensorBoard reads all of
    /// them, one after the other.
    pub(crate) fn create(dir: &Path) -> Result<Self, RunError> {
        fs::create_dir_all(dir).map_err(RunError::io(dir))?;
        let seconds = now() as u64;
        let mut number = 0u64;
        let file = loop {
            // The order of the names is the order in which they are read.
            let path = dir.join(format!("{PREFIX}{seconds:010}.elegante.{number:03}"));
            match LogFile::create(&path) {
                Err(RunError::Io { source, .. })
                    if source.kind() == io::ErrorKind::AlreadyExists =>
                {
                    number += 1;
                }
                other => break other?,
            }
        };
        let mut file = Self(file);
        // event.proto: file_version = 3.
        file.event(0, |event| event.text(3, "brain.Event:2"));
        Ok(file)
    }

    /// Tells TensorBoard that what older files say of later steps than these is void.
    pub(crate) fn forget_after(&mut self, steps: u64) {
        // event.proto: session_log = 7; SessionLog.status = 1, START = 1.
        let start = Message::new().integer(1, 1);
        self.event(steps + 1, |event| event.message(7, &start));
    }

    /// Says what the run is: the configuration as text, and as hyper-parameters.
    pub(crate) fn introduce(&mut self, config: &ExperimentConfig, toml: &str) {
        self.text(0, "config", &format!("```toml\n{toml}```"));
        let Ok(table) = config.to_table() else { return };
        let settings = entries(&table);
        self.hyper_parameters("_hparams_/experiment", 2, &experiment(&settings));
        let start = session_start(&settings);
        self.hyper_parameters("_hparams_/session_start_info", 3, &start);
    }

    /// Says how the run ended.
    pub(super) fn end(&mut self, stop: StopReason) {
        // api.proto, Status: SUCCESS = 1, FAILURE = 2.
        let status = if stop == StopReason::Failed { 2 } else { 1 };
        let end = Message::new().integer(1, status).double(2, now());
        self.hyper_parameters("_hparams_/session_end_info", 4, &end);
    }

    /// Numbers at a step.
    pub(super) fn scalars(&mut self, steps: u64, values: &[Scalar]) {
        if values.is_empty() {
            return;
        }
        let mut summary = Message::new();
        for (name, value) in values {
            // summary.proto: Summary.value = 1; Value.tag = 1, simple_value = 2.
            let value = Message::new().text(1, name).float(2, *value as f32);
            summary = summary.message(1, &value);
        }
        self.event(steps, |event| event.message(5, &summary));
    }

    /// The weights and, where there are any, the gradients at a step.
    pub(super) fn histograms(&mut self, steps: u64, parameters: &[Inspected]) {
        let mut summary = Message::new();
        for Inspected { name, values, gradient, .. } in parameters {
            for (kind, numbers) in [("weights", values), ("gradients", gradient)] {
                if let Some(histogram) = histogram(numbers) {
                    // summary.proto: Value.histo = 5.
                    let tag = format!("{kind}/{name}");
                    summary =
                        summary.message(1, &Message::new().text(1, &tag).message(5, &histogram));
                }
            }
        }
        self.event(steps, |event| event.message(5, &summary));
    }

    fn text(&mut self, steps: u64, tag: &str, text: &str) {
        // tensor.proto: dtype = 1 (DT_STRING = 7), tensor_shape = 2, string_val = 8;
        // tensor_shape.proto: dim = 2, Dim.size = 1.
        let shape = Message::new().message(2, &Message::new().integer(1, 1));
        let tensor = Message::new().integer(1, 7).message(2, &shape).text(8, text);
        let value = Message::new().text(1, tag).message(8, &tensor);
        self.value(steps, &value.message(9, &plugin("text", &Message::new())));
    }

    /// plugin_data.proto, HParamsPluginData: experiment = 2, session_start_info = 3, session_end_info = 4.
    fn hyper_parameters(&mut self, tag: &str, field: u64, data: &Message) {
        let data = Message::new().message(field, data);
        let value = Message::new().text(1, tag).message(9, &plugin("hparams", &data));
        self.value(0, &value);
    }

    fn value(&mut self, steps: u64, value: &Message) {
        let summary = Message::new().message(1, value);
        self.event(steps, |event| event.message(5, &summary));
    }

    /// event.proto: wall_time = 1, step = 2, and `what` happened.
    fn event(&mut self, steps: u64, what: impl FnOnce(Message) -> Message) {
        let event = what(Message::new().double(1, now()).integer(2, steps));
        self.0.bytes(&record(event.as_bytes()));
    }

    /// Hands what is pending to the system.
    pub(crate) fn flush(&mut self) -> Result<(), RunError> {
        self.0.flush()
    }

    /// Makes sure that the file is on the disk.
    pub(super) fn sync(&mut self) -> Result<(), RunError> {
        self.0.sync()
    }
}

/// Removes the event files in `dir`, and the directory if nothing else is in it.
pub(crate) fn remove(dir: &Path) -> Result<(), RunError> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(RunError::io(dir))?,
    };
    for entry in entries {
        let entry = entry.map_err(RunError::io(dir))?;
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            fs::remove_file(entry.path()).map_err(RunError::io(entry.path()))?;
        }
    }
    match fs::remove_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => {
            Err(RunError::io(dir)(error))
        }
        _ => Ok(()),
    }
}

/// Seconds since 1970, as events have them. No result depends on it.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

/// Data as a record: length, its checksum, the data, its checksum.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(data.len() + 16);
    record.extend(length);
    record.extend(masked_checksum(&length).to_le_bytes());
    record.extend_from_slice(data);
    record.extend(masked_checksum(data).to_le_bytes());
    record
}

/// CRC-32C, rotated and shifted, so that a record of records does not check itself.
fn masked_checksum(data: &[u8]) -> u32 {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// summary.proto: SummaryMetadata.plugin_data = 1; PluginData.plugin_name = 1, content = 2.
fn plugin(name: &str, content: &Message) -> Message {
    Message::new().message(1, &Message::new().text(1, name).message(2, content))
}

/// summary.proto, HistogramProto: min = 1, max = 2, num = 3, sum = 4, sum_squares = 5, bucket_limit = 6,
/// bucket = 7. `None` for no numbers, or one that is not finite.
fn histogram(numbers: &[f32]) -> Option<Message> {
    let numbers: Vec<f64> = numbers.iter().map(|x| f64::from(*x)).collect();
    let low = numbers.iter().copied().reduce(f64::min)?;
    let high = numbers.iter().copied().reduce(f64::max)?;
    let sum_squares: f64 = numbers.iter().map(|x| x * x).sum();
    if !sum_squares.is_finite() {
        return None;
    }
    let bars = if low < high { BARS } else { 1 };
    let width = (high - low) / bars as f64;
    let mut counts = vec![0.0; bars];
    for x in &numbers {
        let bar = if width > 0.0 { ((x - low) / width) as usize } else { 0 };
        counts[bar.min(bars - 1)] += 1.0;
    }
    let limits: Vec<f64> =
        (1..=bars).map(|i| if i == bars { high } else { low + width * i as f64 }).collect();
    Some(
        Message::new()
            .double(1, low)
            .double(2, high)
            .double(3, numbers.len() as f64)
            .double(4, numbers.iter().sum())
            .double(5, sum_squares)
            .doubles(6, &limits)
            .doubles(7, &counts),
    )
}

type Settings = std::collections::BTreeMap<String, Value>;

/// api.proto, Experiment: hparam_infos = 4, metric_infos = 5. HParamInfo: name = 1, type = 4 (STRING 1,
/// BOOL 2, FLOAT64 3). MetricInfo.name = 1; MetricName.tag = 2.
fn experiment(settings: &Settings) -> Message {
    let mut experiment = Message::new();
    for (name, value) in settings {
        let kind = match value {
            Value::Boolean(_) => 2,
            Value::Integer(_) | Value::Float(_) => 3,
            _ => 1,
        };
        experiment = experiment.message(4, &Message::new().text(1, name).integer(4, kind));
    }
    for tag in ["eval/mean_reward", "rollout/ep_rew_mean"] {
        let name = Message::new().text(2, tag);
        experiment = experiment.message(5, &Message::new().message(1, &name));
    }
    experiment
}

/// plugin_data.proto, SessionStartInfo: hparams = 1, a map from string to struct.proto's Value
/// (number_value = 2, string_value = 3, bool_value = 4); start_time_secs = 5.
fn session_start(settings: &Settings) -> Message {
    let mut start = Message::new();
    for (name, value) in settings {
        let value = match value {
            Value::Boolean(yes) => Message::new().integer(4, u64::from(*yes)),
            Value::Integer(n) => Message::new().double(2, *n as f64),
            Value::Float(x) => Message::new().double(2, *x),
            other => Message::new().text(3, &crate::entries::said(other)),
        };
        // A map is a repeated message of key = 1 and value = 2.
        start = start.message(1, &Message::new().text(1, name).message(2, &value));
    }
    start.double(5, now())
}
