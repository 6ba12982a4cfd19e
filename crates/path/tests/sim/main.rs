//! Path managers at both ends of a simulated network with a jumping clock.

mod bandwidth;
mod budget;
mod failover;
mod fallback;
mod foreign_peer;
mod history;
mod holes;
mod lanes;
mod lossy;
mod preference;
mod quiet;
mod random_inputs;
mod redundancy;
mod rules;
mod world;
