//! Tests of: scion.
