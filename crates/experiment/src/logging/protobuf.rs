//! Protocol-buffer messages, as much of the wire format as event files need.
//!
//! A field is its number and the kind of what follows in a varint, then the value:
//! <https://protobuf.dev/programming-guides/encoding/>.

/// A message in the making.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Message(Vec<u8>);

/// What follows a field's number.
const VARINT: u64 = 0;
const EIGHT_BYTES: u64 = 1;
const LENGTH: u64 = 2;
const FOUR_BYTES: u64 = 5;

impl Message {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn integer(mut self, field: u64, value: u64) -> Self {
        self.key(field, VARINT);
        self.varint(value);
        self
    }

    pub(super) fn double(mut self, field: u64, value: f64) -> Self {
        self.key(field, EIGHT_BYTES);
        self.0.extend(value.to_le_bytes());
        self
    }

    pub(super) fn float(mut self, field: u64, value: f32) -> Self {
        self.key(field, FOUR_BYTES);
        self.0.extend(value.to_le_bytes());
        self
    }

    pub(super) fn bytes(mut self, field: u64, value: &[u8]) -> Self {
        self.key(field, LENGTH);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    pub(super) fn text(self, field: u64, value: &str) -> Self {
        self.bytes(field, value.as_bytes())
    }

    pub(super) fn message(self, field: u64, value: &Self) -> Self {
        self.bytes(field, &value.0)
    }

    /// A repeated field of doubles, packed.
    pub(super) fn doubles(self, field: u64, values: &[f64]) -> Self {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.bytes(field, &bytes)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn key(&mut self, field: u64, kind: u64) {
        self.varint((field << 3) | kind);
    }

    /// Seven bits a byte, the lowest first; the eighth says that more follow.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_the_specification() {
        // The examples of its page: 150 in field 1, "testing" in field 2.
        assert_eq!(Message::new().integer(1, 150).as_bytes(), [0x08, 0x96, 0x01]);
        let testing = Message::new().text(2, "testing");
        assert_eq!(testing.as_bytes(), b"\x12\x07testing");
        let nested = Message::new().message(3, &Message::new().integer(1, 150));
        assert_eq!(nested.as_bytes(), [0x1a, 0x03, 0x08, 0x96, 0x01]);
        assert_eq!(Message::new().float(5, 1.0).as_bytes(), [0x2d, 0, 0, 0x80, 0x3f]);
        let double = Message::new().double(1, -2.0);
        assert_eq!(double.as_bytes(), [0x09, 0, 0, 0, 0, 0, 0, 0, 0xc0]);
        assert_eq!(Message::new().doubles(6, &[0.0]).as_bytes(), [0x32, 8, 0, 0, 0, 0, 0, 0, 0, 0]);
        let largest = Message::new().integer(1, u64::MAX);
        assert_eq!(largest.as_bytes().len(), 11, "ten bytes of seven bits");
    }
}
