//! Tests of: cluster.
