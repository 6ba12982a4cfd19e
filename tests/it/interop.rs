//! Tests of: interop.
