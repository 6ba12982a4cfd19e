//! Integration tests: the real binary, real sockets, real peers.
#![allow(unreachable_pub, reason = "no module here is reachable from elsewhere")]

mod accounts;
#[cfg(feature = "lab")]
mod as_limits;
mod auth;
#[cfg(feature = "interop")]
mod callout;
#[cfg(feature = "interop")]
mod claims;
mod classes;
mod cluster;
mod compression;
mod config;
mod dag;
mod events;
mod gateway;
mod harness;
#[cfg(feature = "lab")]
mod identity;
#[cfg(feature = "interop")]
mod interop;
#[cfg(feature = "interop")]
mod jetstream;
#[cfg(feature = "lab")]
mod lab;
mod labels;
mod latency;
mod leaf;
mod legacy;
#[cfg(feature = "lab")]
mod link;
mod listener_rules;
mod log_lines;
mod logs;
mod mappings;
#[cfg(feature = "lab")]
mod measurement;
mod mesh;
mod metrics;
mod monitor;
mod monitor_process;
mod msgtrace;
#[cfg(feature = "lab")]
mod mtu_holes;
#[cfg(feature = "scion")]
mod multihome;
#[cfg(feature = "interop")]
mod operator;
mod passive;
#[cfg(feature = "lab")]
mod path_rules;
#[cfg(feature = "lab")]
mod paths;
mod permissions;
#[cfg(feature = "lab")]
mod pool_paths;
mod pools;
mod proxies;
mod proxy;
#[cfg(feature = "lab")]
mod redundancy;
#[cfg(all(feature = "interop", feature = "lab"))]
mod reference;
mod reload;
#[cfg(feature = "lab")]
mod restarts;
mod route;
mod route_permissions;
mod route_users;
mod run_files;
mod samples;
#[cfg(feature = "lab")]
mod scion;
mod slow_writes;
mod system;
#[cfg(feature = "interop")]
mod system_cli;
mod tls;
#[cfg(feature = "interop")]
mod tokens;
#[cfg(feature = "lab")]
mod top;
#[cfg(all(feature = "interop", feature = "lab"))]
mod topology_file;
mod websocket;
mod wire;
