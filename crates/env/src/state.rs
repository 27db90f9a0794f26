//! Saving an environment's state as bytes: `postcard`, small and the same on every machine.

use serde::{Serialize, de::DeserializeOwned};

use crate::EnvError;

/// The bytes of a state whose fields serde can write; the whole body of most `save_state`s.
pub fn save<T: Serialize>(state: &T) -> Option<Vec<u8>> {
    postcard::to_allocvec(state).ok()
}

/// The state that [`save`] wrote.
///
/// # Errors
/// When the bytes are cut short, too many, or not such a state.
pub fn load<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, EnvError> {
    match postcard::take_from_bytes(bytes) {
        Ok((state, [])) => Ok(state),
        Ok((_, rest)) => Err(EnvError::BadState(format!("{} bytes too many", rest.len()))),
        Err(error) => Err(EnvError::BadState(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_comes_back_whole_or_not_at_all() {
        let state = (7u64, Some([0.1f64, f64::MIN_POSITIVE]), vec![true, false]);
        let mut bytes = save(&state).unwrap();
        assert_eq!(load::<(u64, Option<[f64; 2]>, Vec<bool>)>(&bytes).unwrap(), state);
        assert!(load::<(u64, Option<[f64; 2]>, Vec<bool>)>(&bytes[1..]).is_err());
        bytes.extend([0, 0]);
        let error = load::<(u64, Option<[f64; 2]>, Vec<bool>)>(&bytes).unwrap_err();
        assert!(error.to_string().ends_with("2 bytes too many"), "{error}");
    }
}
