//! Damage to safetensors files that knows how they are made: eight bytes with the length of the header, the
//! header as JSON, the numbers; and in one string of the header, once more as JSON, what is ours.

use elegante_policy::checksum;
use serde_json::{Map, Value, json};

use crate::draw::Draw;

const POLICY: &str = "elegante.policy";
const CHECKPOINT: &str = "elegante.checkpoint";

/// A file taken apart.
#[derive(Clone)]
pub(crate) struct Parts {
    header: Map<String, Value>,
    numbers: Vec<u8>,
}

impl Parts {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let (header, numbers) = bytes[8..].split_at(length);
        Self { header: serde_json::from_slice(header).unwrap(), numbers: numbers.to_vec() }
    }

    /// What is ours of the header, and under which key.
    fn ours(&self) -> (&'static str, Value) {
        let metadata = &self.header["__metadata__"];
        let key = if metadata.get(POLICY).is_some() { POLICY } else { CHECKPOINT };
        (key, serde_json::from_str(metadata[key].as_str().unwrap()).unwrap())
    }

    /// Puts what is ours back, with a checksum that holds.
    fn put_back(&mut self, key: &str, mut ours: Value) {
        let text = if key == POLICY {
            // A writer need not know the checksum.
            ours.as_object_mut().map(|ours| ours.remove("checksum"));
            ours.to_string()
        } else {
            self.checkpoint(&ours)
        };
        self.header["__metadata__"] = json!({ key: text });
    }

    /// The header of a checkpoint, its state in the order in which it is written.
    fn checkpoint(&self, ours: &Value) -> String {
        let object = |value: &Value, order: &[&str]| {
            let Some(fields) = value.as_object() else { return value.to_string() };
            let known = order.iter().filter_map(|key| fields.get_key_value(*key));
            let others = fields.iter().filter(|(key, _)| !order.contains(&key.as_str()));
            let all = known.chain(others).map(|(key, value)| match key.as_str() {
                "progress" => {
                    let inner = ["steps", "episodes", "updates"]
                        .map(|key| format!("\"{key}\":{}", value.get(key).unwrap_or(&Value::Null)));
                    format!("\"progress\":{{{}}}", inner.join(","))
                }
                _ => format!("{}:{value}", Value::from(key.as_str())),
            });
            format!("{{{}}}", all.collect::<Vec<_>>().join(","))
        };
        let order = ["progress", "recent", "next_evaluation", "solved", "seconds", "parts"];
        let state = object(&ours["state"], &order);
        let mut bytes = state.clone().into_bytes();
        for dtype in ["F32", "U8"] {
            for (name, info) in self.header.iter().filter(|(_, info)| info["dtype"] == dtype) {
                let ends = &info["data_offsets"];
                let end = |i: usize| ends[i].as_u64().unwrap_or(0) as usize;
                bytes.extend(name.bytes());
                bytes.extend(self.numbers.get(end(0)..end(1)).unwrap_or_default());
            }
        }
        let sum = checksum(bytes);
        format!("{{\"version\":{},\"state\":{state},\"checksum\":\"{sum}\"}}", ours["version"])
    }

    pub(crate) fn put_together(&self) -> Vec<u8> {
        let mut parts = self.clone();
        let (key, ours) = parts.ours();
        parts.put_back(key, ours);
        parts.bytes()
    }

    fn bytes(&self) -> Vec<u8> {
        let header = Value::Object(self.header.clone()).to_string().into_bytes();
        file(header.len() as u64, &header, &self.numbers)
    }

    pub(crate) fn mutated(&self, draw: &mut Draw) -> (&'static str, Vec<u8>) {
        let mut parts = self.clone();
        let class = match draw.below(8) {
            0 => return parts.other_length(draw),
            1 => parts.other_tensor(draw),
            2 => parts.other_name(draw),
            3 => parts.other_number(draw),
            4 => {
                // Anywhere in the header, the text of ours included, without regard for checksums.
                let mut header = Value::Object(parts.header.clone());
                spoil(&mut header, draw);
                let header = header.to_string().into_bytes();
                return ("header spoilt", file(header.len() as u64, &header, &parts.numbers));
            }
            5 => {
                parts.numbers.truncate(draw.below(parts.numbers.len()));
                "numbers cut short"
            }
            _ => {
                // What only a checksum would notice, with one that holds.
                let (key, mut ours) = parts.ours();
                spoil(&mut ours, draw);
                parts.put_back(key, ours);
                "configuration or state spoilt"
            }
        };
        (class, parts.bytes())
    }

    /// Another length of the header than it has.
    fn other_length(&self, draw: &mut Draw) -> (&'static str, Vec<u8>) {
        let header = Value::Object(self.header.clone()).to_string().into_bytes();
        let right = header.len() as u64;
        let wrong = match draw.below(4) {
            0 => {
                draw.one_of(&[0, 1, 2, 7, 8, u64::MAX, u64::MAX - 7, 1 << 63, 1 << 32, 100_000_000])
            }
            1 => right.wrapping_add_signed(draw.below(17) as i64 - 8),
            2 => draw.next() >> draw.below(64),
            _ => right ^ (1 << draw.below(64)),
        };
        ("header length", file(wrong, &header, &self.numbers))
    }

    fn tensor(&mut self, draw: &mut Draw) -> Option<&mut Value> {
        let names: Vec<String> =
            self.header.keys().filter(|name| *name != "__metadata__").cloned().collect();
        self.header.get_mut(&names[draw.below(names.len())])
    }

    /// Another offset, shape or type of a tensor.
    fn other_tensor(&mut self, draw: &mut Draw) -> &'static str {
        let number = json!(draw.one_of(&[0, 1, 3, 4, 1 << 20, 1 << 32, 1 << 62, u64::MAX]));
        let shape = json!([draw.next() >> draw.below(64), 2]);
        let huge = json!([u32::MAX, u32::MAX, u32::MAX]);
        let dtype =
            draw.one_of(&["F64", "F16", "BF16", "I64", "U8", "BOOL", "F32", "F4", "C64", ""]);
        let (which, end) = (draw.below(6), draw.below(2));
        let Some(tensor) = self.tensor(draw) else { return "nothing" };
        match which {
            0 => {
                tensor["data_offsets"][end] = number;
                "tensor offsets"
            }
            1 => {
                tensor["data_offsets"] = json!([number, number]);
                "tensor offsets"
            }
            2 => {
                tensor["shape"] = shape;
                "tensor shape"
            }
            3 => {
                tensor["shape"] = huge;
                "tensor shape"
            }
            4 => {
                tensor["dtype"] = json!(dtype);
                "tensor type"
            }
            _ => {
                tensor["shape"] = json!([]);
                "tensor shape"
            }
        }
    }

    /// A tensor under another name, or none.
    fn other_name(&mut self, draw: &mut Draw) -> &'static str {
        let names: Vec<String> = self.header.keys().cloned().collect();
        let value = self.header.remove(&names[draw.below(names.len())]);
        if draw.below(2) == 0 {
            return "tensor left out";
        }
        self.header.insert("x".repeat(draw.below(300)), value.unwrap_or_default());
        "tensor renamed"
    }

    /// Numbers that training would never write, and a checksum that holds.
    fn other_number(&mut self, draw: &mut Draw) -> &'static str {
        if self.numbers.len() >= 4 {
            let at = 4 * draw.below(self.numbers.len() / 4);
            let bad =
                draw.one_of(&[f32::NAN, f32::INFINITY, f32::MAX, -0.0, f32::from_bits(1), 1e30]);
            self.numbers[at..at + 4].copy_from_slice(&bad.to_le_bytes());
        }
        let (key, ours) = self.ours();
        self.put_back(key, ours);
        "a number replaced"
    }
}

fn file(length: u64, header: &[u8], numbers: &[u8]) -> Vec<u8> {
    [&length.to_le_bytes()[..], header, numbers].concat()
}

/// Replaces, removes or adds one value somewhere in `value`; strings that hold JSON are gone into.
fn spoil(value: &mut Value, draw: &mut Draw) {
    // The deeper there are values, the rarer it ends here.
    let ends = draw.below(4) == 0;
    match value {
        Value::Object(fields) if !ends && !fields.is_empty() => {
            let keys: Vec<String> = fields.keys().cloned().collect();
            let key = &keys[draw.below(keys.len())];
            match draw.below(12) {
                0 => drop(fields.remove(key)),
                1 => drop(fields.insert("surplus".into(), json!(1))),
                _ => fields.get_mut(key).into_iter().for_each(|inner| spoil(inner, draw)),
            }
        }
        Value::Array(items) if !ends && !items.is_empty() => {
            let at = draw.below(items.len());
            match draw.below(8) {
                0 => drop(items.remove(at)),
                1 => items.insert(at, items[at].clone()),
                _ => spoil(&mut items[at], draw),
            }
        }
        Value::String(text) if !ends && text.starts_with(['{', '[']) => {
            if let Ok(mut inner) = serde_json::from_str(text) {
                spoil(&mut inner, draw);
                *text = inner.to_string();
            }
        }
        other => *other = odd(draw),
    }
}

/// A value that hardly belongs anywhere.
fn odd(draw: &mut Draw) -> Value {
    match draw.below(14) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(-1),
        3 => json!(0),
        4 => json!(u64::MAX),
        5 => json!(1u64 << draw.below(64)),
        6 => json!(1e308),
        7 => json!(-0.5),
        8 => json!(""),
        9 => json!("x".repeat(1 << draw.below(12))),
        10 => json!([]),
        11 => json!({}),
        12 => json!([u32::MAX, u32::MAX]),
        _ => (0..1 << draw.below(9)).fold(json!(1), |inner, _| json!([inner])),
    }
}
