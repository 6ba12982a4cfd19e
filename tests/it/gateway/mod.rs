//! Gateways: clusters of natsd, and of natsd with Go's nats-server.

mod flow;
mod leafs;
mod mesh;
mod monitoring;
mod requests;
#[cfg(feature = "lab")]
mod scion;
mod tls;
mod tracing;
mod wire;

use crate::harness::node::free_port;
use crate::harness::server::{Program, TestServer};
use crate::leaf::wait_for_log;

/// Which programs the two clusters are, of which the first one is told where the other is.
#[derive(Clone, Copy)]
pub struct Roles {
    pub dials: Program,
    pub dialled: Program,
}

/// The same scenarios with natsd in both clusters, and in each one.
macro_rules! with_roles {
    ($($scenario:ident),* $(,)?) => {
        mod natsd_alone {
            use crate::harness::server::Program::Natsd;
            $(#[test] fn $scenario() { super::$scenario(crate::gateway::Roles { dials: Natsd, dialled: Natsd }) })*
        }
        #[cfg(feature = "interop")]
        mod natsd_dials {
            use crate::harness::server::Program::{Go, Natsd};
            $(#[test] fn $scenario() { super::$scenario(crate::gateway::Roles { dials: Natsd, dialled: Go }) })*
        }
        #[cfg(feature = "interop")]
        mod natsd_is_dialled {
            use crate::harness::server::Program::{Go, Natsd};
            $(#[test] fn $scenario() { super::$scenario(crate::gateway::Roles { dials: Go, dialled: Natsd }) })*
        }
    };
}
use with_roles;

/// Two clusters of one server each: `A` is told where `B` is.
pub struct Pair {
    pub a: TestServer,
    pub b: TestServer,
}

/// What is configured besides.
#[derive(Clone, Copy, Default)]
pub struct Setup<'a> {
    /// At the top level of both.
    pub both: &'a str,
    /// In `gateway {}` of A.
    pub a: &'a str,
    /// In `gateway {}` of B.
    pub b: &'a str,
    /// `user:password@` of the URL of B.
    pub user: &'a str,
}

impl Setup<'_> {
    /// Starts both, and waits until they are connected both ways.
    pub fn start(&self, roles: Roles) -> Pair {
        let mut pair = self.start_apart(roles);
        connected(&mut pair.a, "B");
        connected(&mut pair.b, "A");
        pair
    }

    /// Starts both.
    pub fn start_apart(&self, roles: Roles) -> Pair {
        let port = free_port();
        let Self { both, a, b, user } = self;
        let dialled = format!("server_name: b\ngateway {{ name: B, listen: \"127.0.0.1:{port}\"\n{b} }}\n{both}");
        let dials = format!(
            "server_name: a\ngateway {{ name: A, listen: \"127.0.0.1:{}\"\n\
             gateways: [{{ name: B, url: \"nats://{user}127.0.0.1:{port}\" }}]\n{a} }}\n{both}",
            free_port()
        );
        let b = TestServer::start(roles.dialled, &dialled);
        let a = TestServer::start(roles.dials, &dials);
        Pair { a, b }
    }
}

/// Waits until a server is connected to the cluster `other` both ways.
pub fn connected(server: &mut TestServer, other: &str) {
    wait_for_log(server, &format!("Outbound gateway connection to \"{other}\""));
    wait_for_log(server, &format!("Inbound gateway connection from \"{other}\""));
}

impl Pair {
    /// Both, in either order: who sends, and who gets.
    pub fn ways(&self) -> [(&TestServer, &TestServer); 2] {
        [(&self.a, &self.b), (&self.b, &self.a)]
    }
}
