//! Starts servers and speaks to them.
