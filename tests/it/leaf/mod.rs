//! Leaf nodes: hubs and leaf nodes of natsd, and of one with Go's nats-server.

mod access;
#[cfg(feature = "interop")]
mod callout;
mod clusters;
mod compression;
mod flow;
mod imports;
mod mesh;
mod monitoring;
mod proxies;
mod reload;
#[cfg(feature = "lab")]
mod scion;
mod star;
#[cfg(feature = "interop")]
mod tokens;
mod upkeep;
mod websocket;
mod wire;

pub use crate::harness::flow::{publisher, subscriber};
use crate::harness::node::free_port;
use crate::harness::server::{Program, TestServer};

/// Which programs are hub and leaf node.
#[derive(Clone, Copy)]
pub struct Roles {
    pub hub: Program,
    pub leaf: Program,
}

impl Roles {
    /// natsd in both.
    pub const NATSD: Self = Self { hub: Program::Natsd, leaf: Program::Natsd };
}

/// The same scenarios with natsd in both roles, and in each one.
macro_rules! with_roles {
    ($($scenario:ident),* $(,)?) => {
        mod natsd_alone {
            use crate::harness::server::Program::Natsd;
            $(#[test] fn $scenario() { super::$scenario(crate::leaf::Roles { hub: Natsd, leaf: Natsd }) })*
        }
        #[cfg(feature = "interop")]
        mod natsd_is_hub {
            use crate::harness::server::Program::{Go, Natsd};
            $(#[test] fn $scenario() { super::$scenario(crate::leaf::Roles { hub: Natsd, leaf: Go }) })*
        }
        #[cfg(feature = "interop")]
        mod natsd_is_leaf {
            use crate::harness::server::Program::{Go, Natsd};
            $(#[test] fn $scenario() { super::$scenario(crate::leaf::Roles { hub: Go, leaf: Natsd }) })*
        }
    };
}
use with_roles;

/// A hub and one leaf node.
pub struct Pair {
    pub hub: TestServer,
    pub leaf: TestServer,
}

/// What is configured besides the connection of the two.
#[derive(Default)]
pub struct Setup<'a> {
    /// At the top level of the hub.
    pub hub: &'a str,
    /// In `leafnodes {}` of the hub.
    pub accepts: &'a str,
    /// At the top level of the leaf node.
    pub leaf: &'a str,
    /// In the remote of the leaf node.
    pub remote: &'a str,
    /// `user:password@` of its URL.
    pub user: &'a str,
}

impl Setup<'_> {
    /// Starts both, and waits until they are connected.
    pub fn start(&self, roles: Roles) -> Pair {
        let (mut pair, _) = self.start_apart(roles);
        for server in [&mut pair.hub, &mut pair.leaf] {
            wait_for_log(server, "Leafnode connection created");
        }
        pair
    }

    /// Starts both, and says where the hub takes leaf nodes.
    pub fn start_apart(&self, roles: Roles) -> (Pair, u16) {
        let port = free_port();
        let hub = TestServer::start(roles.hub, &self.hub_config(port));
        let leaf = TestServer::start(roles.leaf, &self.leaf_config(port));
        (Pair { hub, leaf }, port)
    }

    pub fn hub_config(&self, port: u16) -> String {
        let Self { hub, accepts, .. } = self;
        format!("server_name: hub\nleafnodes {{ listen: \"127.0.0.1:{port}\", compression: off\n{accepts} }}\n{hub}")
    }

    pub fn leaf_config(&self, port: u16) -> String {
        let Self { leaf, remote, user, .. } = self;
        format!(
            "server_name: leaf\nleafnodes {{ compression: off, reconnect: \"100ms\", remotes: [{{ \
             url: \"nats-leaf://{user}127.0.0.1:{port}\", compression: off\n{remote} }}] }}\n{leaf}"
        )
    }
}

/// Waits for a line that the server may have logged before it was ready.
pub fn wait_for_log(server: &mut TestServer, text: &str) {
    if !server.log().iter().any(|line| line.contains(text)) {
        server.wait_for_line(text);
    }
}
