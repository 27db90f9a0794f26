//! The logs for other people's tools: TensorBoard's event files, and Stable-Baselines3's columns.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::harness::{FILES, Place, events};

/// What a field of a protocol-buffer message holds.
#[derive(Clone, Debug)]
enum Field {
    Number(u64),
    Bytes(Vec<u8>),
}

impl Field {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Number(_) => panic!("{self:?} is a number"),
        }
    }

    fn number(&self) -> u64 {
        match self {
            Self::Number(number) => *number,
            Self::Bytes(_) => panic!("{self:?} is no number"),
        }
    }

    fn text(&self) -> String {
        String::from_utf8(self.bytes().to_vec()).unwrap()
    }
}

/// A message's fields by number.
type Fields = BTreeMap<u64, Vec<Field>>;

/// Takes a message apart.
fn message(mut bytes: &[u8]) -> Fields {
    fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
        let (taken, rest) = bytes.split_at(count);
        *bytes = rest;
        taken
    }
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = take(bytes, 1)[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    }
    let mut fields = Fields::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let field = match key & 7 {
            0 => Field::Number(varint(&mut bytes)),
            1 => Field::Number(u64::from_le_bytes(take(&mut bytes, 8).try_into().unwrap())),
            2 => {
                let length = varint(&mut bytes) as usize;
                Field::Bytes(take(&mut bytes, length).to_vec())
            }
            5 => Field::Number(u32::from_le_bytes(take(&mut bytes, 4).try_into().unwrap()).into()),
            kind => panic!("a field of kind {kind}"),
        };
        fields.entry(key >> 3).or_default().push(field);
    }
    fields
}

/// CRC-32C bit by bit, and masked as TensorFlow does.
fn checksum(data: &[u8]) -> u32 {
    let mut crc = !0u32;
    for byte in data {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    let crc = !crc;
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// The events of the only event file of a run, checksums proven.
fn event_file(place: &Place, run: &str) -> Vec<Fields> {
    let dir = format!("{run}/tensorboard");
    let names = place.names(&dir);
    assert_eq!(names.len(), 1, "{names:?}");
    assert!(names[0].starts_with("events.out.tfevents."), "{names:?}");
    let bytes = place.bytes(&format!("{dir}/{}", names[0]));
    let (mut rest, mut events) = (bytes.as_slice(), Vec::new());
    while !rest.is_empty() {
        let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
        let crc = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
        let data = &rest[12..12 + length];
        assert_eq!((crc(8), crc(12 + length)), (checksum(&rest[..8]), checksum(data)));
        events.push(message(data));
        rest = &rest[16 + length..];
    }
    events
}

/// The values of all summaries: their steps, and their fields.
fn values(events: &[Fields]) -> Vec<(u64, Fields)> {
    let of = |event: &Fields| {
        let steps = event[&2][0].number();
        let summary = event.get(&5).map(|summary| message(summary[0].bytes())).unwrap_or_default();
        let values = summary.get(&1).cloned().unwrap_or_default();
        values.into_iter().map(move |value| (steps, message(value.bytes()))).collect::<Vec<_>>()
    };
    events.iter().flat_map(of).collect()
}

/// Every scalar by its name: steps and value.
fn scalars(events: &[Fields]) -> BTreeMap<String, Vec<(u64, f32)>> {
    let mut all = BTreeMap::<String, Vec<(u64, f32)>>::new();
    for (steps, value) in values(events) {
        if let Some(number) = value.get(&2) {
            let number = f32::from_bits(number[0].number() as u32);
            all.entry(value[&1][0].text()).or_default().push((steps, number));
        }
    }
    all
}

/// What `metrics.jsonl` says under `key`, as event files round it; nothing where it says null.
fn logged(lines: &[&Value], key: &str) -> Vec<(u64, f32)> {
    let of = |line: &&Value| Some((line["steps"].as_u64()?, line[key].as_f64()? as f32));
    lines.iter().filter_map(of).collect()
}

const STEPS: &str = "--steps 4000 --eval-every 1500";

#[test]
fn event_files_say_what_the_metrics_say_under_the_names_of_stable_baselines() {
    let place = Place::new();
    place.train("run", &format!("{STEPS} --tensorboard"));
    let told = scalars(&event_file(&place, "run"));
    let metrics = place.metrics("run");
    let updates = events(&metrics, "update");
    assert!(updates.len() > 2);
    for (name, key) in [
        ("rollout/ep_rew_mean", "mean_return_100"),
        ("rollout/ep_len_mean", "mean_length_100"),
        ("time/fps", "steps_per_second"),
        ("train/approx_kl", "approx_kl"),
        ("train/clip_fraction", "clip_fraction"),
        ("train/clip_range", "clip_range"),
        ("train/explained_variance", "explained_variance"),
        ("train/grad_norm", "grad_norm"),
        ("train/learning_rate", "learning_rate"),
        ("train/loss", "loss"),
        ("train/policy_gradient_loss", "policy_loss"),
        ("train/value_loss", "value_loss"),
    ] {
        assert_eq!(told[name], logged(&updates, key), "{name}");
    }
    let entropy: Vec<_> =
        logged(&updates, "entropy").into_iter().map(|(steps, x)| (steps, -x)).collect();
    assert_eq!(told["train/entropy_loss"], entropy);

    let mut evaluations = logged(&events(&metrics, "evaluation"), "mean_return");
    let info = place.run_json("run");
    let last = info["evaluation"]["mean_return"].as_f64().unwrap() as f32;
    evaluations.push((info["steps"].as_u64().unwrap(), last));
    assert!(evaluations.len() > 1);
    assert_eq!(told["eval/mean_reward"], evaluations);
    assert_eq!(told["eval/mean_ep_length"].len(), evaluations.len());
}

#[test]
fn event_files_have_the_configuration_and_histograms_when_asked_for() {
    let place = Place::new();
    place.train("run", &format!("{STEPS} --tensorboard --histograms-every 2000 --seed 5"));
    let events = event_file(&place, "run");
    assert_eq!(events[0][&3][0].text(), "brain.Event:2");
    let values = values(&events);
    let tagged = |tag: &str| -> Vec<&(u64, Fields)> {
        values.iter().filter(|(_, value)| value[&1][0].text() == tag).collect()
    };

    let text = message(tagged("config")[0].1[&8][0].bytes())[&8][0].text();
    assert!(text.contains(&place.text("run/config.toml")), "{text}");

    // HParamsPluginData of the session's start, which maps names to values.
    let plugin = |value: &Fields| message(message(value[&9][0].bytes())[&1][0].bytes());
    let started = plugin(&tagged("_hparams_/session_start_info")[0].1);
    assert_eq!(started[&1][0].text(), "hparams");
    let start = message(message(started[&2][0].bytes())[&3][0].bytes());
    let settings: BTreeMap<String, Fields> = start[&1]
        .iter()
        .map(|entry| message(entry.bytes()))
        .map(|entry| (entry[&1][0].text(), message(entry[&2][0].bytes())))
        .collect();
    assert_eq!(f64::from_bits(settings["seed"][&2][0].number()), 5.0);
    assert_eq!(settings["ppo.schedule"][&3][0].text(), "linear");
    assert_eq!(settings["ppo.normalize_rewards"][&4][0].number(), 0);
    let ended = plugin(&tagged("_hparams_/session_end_info")[0].1);
    let end = message(message(ended[&2][0].bytes())[&4][0].bytes());
    assert_eq!(end[&1][0].number(), 1, "success");

    let histograms: Vec<(u64, String, Fields)> = values
        .iter()
        .filter_map(|(steps, value)| {
            Some((*steps, value[&1][0].text(), message(value.get(&5)?[0].bytes())))
        })
        .collect();
    let doubles = |field: &Field| -> Vec<f64> {
        let chunks = field.bytes().chunks(8);
        chunks.map(|bytes| f64::from_le_bytes(bytes.try_into().unwrap())).collect()
    };
    for (steps, tag, histogram) in &histograms {
        let number = |field: u64| f64::from_bits(histogram[&field][0].number());
        let [low, high, count] = [number(1), number(2), number(3)];
        let (limits, counts) = (doubles(&histogram[&6][0]), doubles(&histogram[&7][0]));
        assert_eq!((limits.len(), counts.iter().sum::<f64>()), (counts.len(), count), "{tag}");
        assert_eq!(limits[limits.len() - 1], high, "{tag} at {steps}");
        assert!(low <= limits[0] && limits.windows(2).all(|pair| pair[0] < pair[1]), "{tag}");
    }
    let of = |kind: &str| histograms.iter().filter(|(_, tag, _)| tag.starts_with(kind)).count();
    assert_eq!(of("weights/"), of("gradients/"));
    let steps: std::collections::BTreeSet<u64> = histograms.iter().map(|it| it.0).collect();
    let updates = place.metrics("run");
    let due = crate::harness::events(&updates, "update");
    let steps_of = |line: &&Value| line["steps"].as_u64().unwrap();
    let mut expected: std::collections::BTreeSet<u64> = due
        .windows(2)
        .filter(|pair| steps_of(&pair[0]) / 2000 < steps_of(&pair[1]) / 2000)
        .map(|pair| steps_of(&pair[1]))
        .collect();
    expected.insert(steps_of(&due[0]));
    assert_eq!(steps, expected);
}

#[test]
fn progress_csv_has_a_row_for_each_update_and_each_evaluation() {
    let place = Place::new();
    place.train("run", &format!("{STEPS} --csv"));
    let text = place.text("run/progress.csv");
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let columns = lines.next().unwrap();
    let rows: Vec<Vec<&str>> = lines.collect();
    assert!(rows.iter().all(|row| row.len() == columns.len()));
    let column = |name: &str| {
        let at =
            columns.iter().position(|column| *column == name).unwrap_or_else(|| panic!("{name}"));
        rows.iter().map(|row| row[at]).collect::<Vec<_>>()
    };
    let metrics = place.metrics("run");
    let steps: Vec<&str> = column("time/total_timesteps");
    for (name, event, key) in [
        ("rollout/ep_rew_mean", "update", "mean_return_100"),
        ("train/approx_kl", "update", "approx_kl"),
        ("train/policy_gradient_loss", "update", "policy_loss"),
        ("time/iterations", "update", "update"),
    ] {
        let lines = events(&metrics, event);
        let expected: Vec<(f64, f64)> = lines
            .iter()
            .filter_map(|line| Some((line["steps"].as_f64()?, line[key].as_f64()?)))
            .collect();
        let said: Vec<(f64, f64)> = steps
            .iter()
            .zip(column(name))
            .filter(|(_, value)| !value.is_empty())
            .map(|(steps, value)| (steps.parse().unwrap(), value.parse().unwrap()))
            .collect();
        assert_eq!(said, expected, "{name}, to the last bit");
    }
    let evaluated = column("eval/mean_reward").into_iter().filter(|x| !x.is_empty()).count();
    assert_eq!(evaluated, events(&metrics, "evaluation").len() + 1, "the final one too");
}

#[test]
fn further_logs_change_nothing_else_and_go_with_their_run() {
    let place = Place::new();
    place.train("plain", STEPS);
    let more = "--tensorboard --csv --histograms-every 500";
    place.train("logged", &format!("{STEPS} {more}"));
    let with = |more: &[&str]| {
        let mut all: Vec<String> = FILES.iter().chain(more).map(ToString::to_string).collect();
        all.sort();
        all
    };
    assert_eq!(place.names("plain"), with(&["best.safetensors"]));
    let all = with(&["best.safetensors", "progress.csv", "tensorboard"]);
    assert_eq!(place.names("logged"), all);
    for file in ["policy.safetensors", "episodes.csv"] {
        let [a, b] = ["plain", "logged"].map(|run| place.bytes(&format!("{run}/{file}")));
        assert!(a == b, "{file} differs");
    }
    // The configuration carries them, also into the seeds of an experiment.
    let config = "train CartPole-v1 --config logged/config.toml --steps 500 -q";
    place.ok(&format!("{config} --seeds 0..2 --out many"));
    for seed in ["many/seed-0", "many/seed-1"] {
        assert_eq!(place.names(seed), with(&["progress.csv", "tensorboard"]));
    }
    // A run that is replaced takes them along, and nothing else that lies there.
    place.write("logged/tensorboard/notes.txt", "mine");
    place.train("logged", "--steps 100 --force");
    assert_eq!(place.names("logged/tensorboard"), ["notes.txt"]);
    assert!(!place.path("logged/progress.csv").exists());
}

#[test]
fn histograms_without_a_place_for_them_are_refused() {
    let place = Place::new();
    for args in ["--histograms-every 100", "--set log.histograms_every=100"] {
        let ran = place.run(&format!("train CartPole-v1 --out run {args}"));
        assert_eq!(ran.code, Some(2), "{}", ran.err);
        assert!(ran.err.contains("log.tensorboard = true"), "{}", ran.err);
    }
    let ran = place.run("train CartPole-v1 --out run --set log.tensorbord=true");
    assert!(ran.err.contains("log.tensorboard"), "{}", ran.err);
    assert!(place.names("").is_empty());
}
