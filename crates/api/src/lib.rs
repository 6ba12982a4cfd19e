//! The JSON types of natsd's monitoring API.
