//! Failover on SCION's reference programs.
