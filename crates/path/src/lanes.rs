//! Which parts of the network the lanes to one AS use.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::{Config, Interface};

/// How much longer each lane waits than the one before it until it moves to a better path: two that move at the same time
/// could go on meeting each other.
const TURN: Duration = Duration::from_millis(150);

/// The lanes to one AS, by the class of traffic that they share and counted from 0, and the interfaces of their active
/// paths.
///
/// Lane 0 of a class goes where the operator's preference says. The others keep off it and off each other, each told what to keep
/// off ([`crowd`](Self::crowd)) whenever one has moved.
#[derive(Clone, Debug, Default)]
pub struct Lanes(BTreeMap<(Arc<str>, u16), Vec<Interface>>);

impl Lanes {
    /// `lane` uses these interfaces now. Returns whether it used others before.
    pub fn occupy(&mut self, (class, lane): (Arc<str>, u16), interfaces: &[Interface]) -> bool {
        let before = self.0.insert((class, lane), interfaces.to_vec());
        before.as_deref() != Some(interfaces)
    }

    /// `lane` is no longer used. Returns whether it was.
    pub fn leave(&mut self, class: &Arc<str>, lane: u16) -> bool {
        self.0.remove(&(class.clone(), lane)).is_some()
    }

    /// What [`Manager::handle_crowd`](crate::Manager::handle_crowd) of `lane` is to be told.
    pub fn crowd(&self, class: &str, lane: u16) -> Vec<Interface> {
        if lane == 0 {
            return Vec::new();
        }
        let others = self.0.iter().filter(|((of, other), _)| **of == *class && *other != lane);
        others.flat_map(|(_, interfaces)| interfaces).copied().collect()
    }

    /// The configuration of the manager of `lane`, if that of lane 0 is `config`.
    pub fn config(lane: u16, config: Config) -> Config {
        Config { hold: config.hold + TURN * u32::from(lane), ..config }
    }
}
