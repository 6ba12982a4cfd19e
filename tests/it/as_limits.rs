//! How many connections over SCION one AS may have.

use natsd::config::options::ScionOptions;
use natsd_scion::Stream;

use crate::harness::identity::{dialer, visitor};
use crate::harness::network::{ASES, Ground, Pair, SCION_CLIENTS, SCION_ROUTES, wait_for};
use crate::identity::{authority, server, visit};

#[test]
fn an_as_has_so_many_clients_and_as_many_routes_and_no_more() {
    let ground = Ground::emulated();
    let mut server = server(&ground, "max_connections_per_as: 2", &authority(&ground), "");
    let visitor = visitor(ground.authority());
    let client = || visit(&ground, ground.scion_address(0, SCION_CLIENTS), &visitor);
    let mut clients: Vec<Stream> = (0..2).map(|_| client().expect("there is room")).collect();
    client().expect_err("there are two");
    let line = server.wait_for_line("Refused client connection over SCION from ");
    let told = format!("AS {} has 2 connections here, and scion.max_connections_per_as is 2", ASES[1]);
    assert!(line.contains(&told), "{line}");

    let node = ground.authority();
    let member = dialer(&node.join("ca.pem"), Some((node.join("node.pem"), node.join("node.key"))));
    let route = || visit(&ground, ground.scion_address(0, SCION_ROUTES), &member);
    let _routes: Vec<Stream> = (0..2).map(|_| route().expect("clients take no room from routes")).collect();
    route().expect_err("there are two");

    ground.runtime.block_on(async { drop(clients.pop()) });
    wait_for("there is room again", || client().map(|stream| clients.push(stream)).is_ok());
    client().expect_err("there are two");
}

#[test]
fn a_smaller_bound_holds_for_those_who_come_and_is_counted() {
    let mut pair = Pair::start(Ground::emulated(), "latency", false);
    pair.wait_for_routes();
    let routes = pair.routes();
    let visitor = visitor(pair.ground.authority());
    let clients = pair.ground.scion_address(0, SCION_CLIENTS);
    bound(&mut pair, Some(1));
    let first = visit(&pair.ground, clients, &visitor).expect("there is room");
    visit(&pair.ground, clients, &visitor).expect_err("there is one");
    assert!(pair.read(0, "/pathz")["refused_connections"].as_u64() > Some(0));
    assert_eq!(pair.routes(), routes, "those that are in stay");
    bound(&mut pair, None);
    visit(&pair.ground, clients, &visitor).expect("there is no bound");
    pair.ground.runtime.block_on(async { drop(first) });
}

/// Reloads the first server with this bound.
fn bound(pair: &mut Pair, most: Option<usize>) {
    let mut options = pair.ground.options(0, "latency", false);
    let scion = options.scion.take().expect("SCION is on");
    options.scion = Some(ScionOptions { max_connections_per_as: most, ..scion });
    pair.reload(0, options);
}
