//! What Go's `omitempty` leaves out, and what its encoder writes for a nil slice.

use serde::{Deserialize, Deserializer};

/// Zero, false, "" or an empty list.
pub(crate) fn empty<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Reads `null` as the default.
pub(crate) fn null_as_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(d: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(d)?.unwrap_or_default())
}
