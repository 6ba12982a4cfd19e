//! Configuration files of the reference programs (v0.14): <https://docs.scion.org/en/latest/manuals/common.html>.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4},
    path::{Path, PathBuf},
    time::Duration,
};

use sciparse::identifier::isd_asn::IsdAsn;
use serde_json::{Map, Value, json};

use super::{ReferenceError, relay::End};
use crate::{
    addresses::{AsAddresses, FIRST_DISPATCHED_PORT},
    description::{AutonomousSystem, Network, Relation},
    engine::LabOptions,
    segments::Validity,
};

/// TCP port of a router's HTTP interface.
pub(super) const ROUTER_API_PORT: u16 = 31142;
/// UDP port of routers and relays on links.
const LINK_PORT: u16 = 50000;
/// Keep-alives missed until a link is down.
const DETECT_MULTIPLIER: u32 = 3;

/// Where everything goes, and what it says.
pub(super) struct Layout<'a> {
    network: &'a Network,
    addresses: &'a [AsAddresses],
    options: &'a LabOptions,
    directory: &'a Path,
}

impl<'a> Layout<'a> {
    pub(super) fn new(
        network: &'a Network,
        addresses: &'a [AsAddresses],
        options: &'a LabOptions,
        directory: &'a Path,
    ) -> Self {
        Self { network, addresses, options, directory }
    }

    /// The addresses at the ends of each link, in `127.(N + 1).LINK.0/24`.
    pub(super) fn link_addresses(&self) -> Vec<[End; 2]> {
        let at = |link: usize, last| {
            let number = u8::try_from(link + 1).unwrap_or(u8::MAX);
            SocketAddrV4::new(Ipv4Addr::new(127, self.options.net + 1, number, last), LINK_PORT)
        };
        (0..self.network.links.len())
            .map(|l| [End { router: at(l, 1), relay: at(l, 11) }, End { router: at(l, 2), relay: at(l, 12) }])
            .collect()
    }

    /// Writes all files except the certificates.
    pub(super) fn write(&self) -> Result<(), ReferenceError> {
        self.write_file(&self.directory.join("crypto.topo"), &self.certificate_plan())?;
        let mut rng = fastrand::Rng::with_seed(self.options.seed);
        for (i, autonomous_system) in self.network.ases.iter().enumerate() {
            let file = |name: &str| self.directory_of(autonomous_system).join(name);
            self.write_file(&file("topology.json"), &pretty(&self.topology(i)))?;
            self.write_file(&file("staticInfoConfig.json"), &pretty(&self.static_info(i)))?;
            for key in ["keys/master0.key", "keys/master1.key"] {
                self.write_file(&file(key), &master_key(&mut rng))?;
            }
            for policy in POLICIES {
                self.write_file(&file(&format!("{policy}.yml")), &self.policy(policy))?;
            }
            self.write_file(&file("router.toml"), &self.router(i))?;
            self.write_file(&file("control.toml"), &self.control(i))?;
            self.write_file(&file("daemon.toml"), &self.daemon(i))?;
            self.write_file(&file("dispatcher.toml"), &self.dispatcher(i))?;
        }
        Ok(())
    }

    /// Moves what `scion-pki` made to where the programs look for it.
    pub(super) fn distribute_certificates(&self) -> Result<(), ReferenceError> {
        let fail = |path: &Path| {
            let path = path.to_owned();
            move |source| ReferenceError::Write { path, source }
        };
        let trcs = self.directory.join("trcs");
        for autonomous_system in &self.network.ases {
            let home = self.directory_of(autonomous_system);
            let asn = autonomous_system.ia.asn().to_string().replace(':', "_");
            let made = self.directory.join(format!("AS{asn}")).join("crypto");
            fs::rename(&made, home.join("crypto")).map_err(fail(&made))?;
            let certs = home.join("certs");
            fs::create_dir_all(&certs).map_err(fail(&certs))?;
            for entry in fs::read_dir(&trcs).map_err(fail(&trcs))? {
                let trc = entry.map_err(fail(&trcs))?.path();
                let name = trc.file_name().unwrap_or_default();
                fs::copy(&trc, certs.join(name)).map_err(fail(&trc))?;
            }
        }
        Ok(())
    }

    fn write_file(&self, path: &Path, text: &str) -> Result<(), ReferenceError> {
        let write = || {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(path, text)
        };
        write().map_err(|source| ReferenceError::Write { path: path.to_owned(), source })
    }

    fn directory_of(&self, autonomous_system: &AutonomousSystem) -> PathBuf {
        self.directory.join(format!("AS{}", autonomous_system.octet))
    }

    /// The first core AS of each ISD issues the certificates of all others in it.
    fn issuer(&self, autonomous_system: &AutonomousSystem) -> IsdAsn {
        let mut candidates = self.network.ases.iter();
        candidates.find(|a| a.core && a.ia.isd() == autonomous_system.ia.isd()).map_or(autonomous_system.ia, |a| a.ia)
    }

    fn certificate_plan(&self) -> String {
        let mut text = "ASes:\n".to_owned();
        for autonomous_system in &self.network.ases {
            text += &format!("  \"{}\":\n", autonomous_system.ia);
            if autonomous_system.core {
                text += "    core: true\n    voting: true\n    authoritative: true\n";
            }
            let issuer = self.issuer(autonomous_system);
            if issuer == autonomous_system.ia {
                text += "    issuing: true\n";
            } else {
                text += &format!("    cert_issuer: {issuer}\n");
            }
        }
        text
    }

    fn topology(&self, as_index: usize) -> Value {
        let (autonomous_system, at) = (&self.network.ases[as_index], &self.addresses[as_index]);
        let octet = autonomous_system.octet;
        let services = json!({ format!("control-{octet}"): { "addr": at.control.to_string() } });
        json!({
            "isd_as": autonomous_system.ia.to_string(),
            "mtu": autonomous_system.mtu,
            "attributes": if autonomous_system.core { vec!["core"] } else { vec![] },
            "dispatched_ports": format!("{FIRST_DISPATCHED_PORT}-65535"),
            "border_routers": { format!("router-{octet}"): {
                "internal_addr": at.router.to_string(),
                "interfaces": self.interfaces(as_index),
            } },
            "control_service": services.clone(),
            "discovery_service": services,
        })
    }

    fn interfaces(&self, as_index: usize) -> Map<String, Value> {
        let interval = self.options.keep_alive.detection.mul_f64(0.4).max(Duration::from_millis(10));
        let interval = format!("{}ms", interval.as_millis());
        let ends = self.link_addresses();
        let describe = |(id, l, side): (u16, usize, usize)| {
            let link = &self.network.links[l];
            let far = link.ends[1 - side];
            let relation = link.relation(side);
            let mut interface = json!({
                "underlay": {
                    "local": ends[l][side].router.to_string(),
                    "remote": ends[l][side].relay.to_string(),
                },
                "isd_as": self.network.ases[far.as_index].ia.to_string(),
                "link_to": match relation {
                    Relation::Core => "core",
                    Relation::Parent => "parent",
                    Relation::Child => "child",
                    Relation::Peer => "peer",
                },
                "mtu": link.mtu,
                "bfd": {
                    "desired_min_tx_interval": interval,
                    "required_min_rx_interval": interval,
                    "detect_mult": DETECT_MULTIPLIER,
                },
            });
            if relation == Relation::Peer {
                interface["remote_interface_id"] = far.id.into();
            }
            (id.to_string(), interface)
        };
        self.network.interfaces(as_index).map(describe).collect()
    }

    /// What the AS announces; see [`crate::paths`] for the values within the AS.
    fn static_info(&self, as_index: usize) -> Value {
        let autonomous_system = &self.network.ases[as_index];
        let ids: Vec<u16> = self.network.interfaces(as_index).map(|(id, ..)| id).collect();
        let intra = |id: u16, value: Value| -> Value {
            let others = ids.iter().filter(|other| **other != id);
            others.map(|other| (other.to_string(), value.clone())).collect::<Map<_, _>>().into()
        };
        let (mut latency, mut bandwidth, mut kind) = (Map::new(), Map::new(), Map::new());
        let (mut hops, mut geo) = (Map::new(), Map::new());
        for (id, link, _) in self.network.interfaces(as_index) {
            let link = &self.network.links[link];
            let key = id.to_string();
            let mut inter_bandwidth = json!({ "Intra": intra(id, json!(10_000_000)) });
            if link.announce {
                // An entry without "Inter" would announce 0 ms, so there is none for other links.
                let inter = format!("{}us", link.params.latency.as_micros());
                latency.insert(key.clone(), json!({ "Inter": inter, "Intra": intra(id, json!("1ms")) }));
                if link.params.bandwidth_bps > 0 {
                    inter_bandwidth["Inter"] = json!(link.params.bandwidth_bps / 1000);
                }
                kind.insert(key.clone(), json!("direct"));
            }
            bandwidth.insert(key.clone(), inter_bandwidth);
            hops.insert(key.clone(), json!({ "Intra": intra(id, json!(1)) }));
            if let Some(at) = &autonomous_system.geo {
                geo.insert(key, json!({ "Latitude": at.latitude, "Longitude": at.longitude, "Address": at.address }));
            }
        }
        json!({
            "Latency": latency, "Bandwidth": bandwidth, "Linktype": kind, "Hops": hops, "Geo": geo,
            "Note": autonomous_system.note,
        })
    }

    fn policy(&self, policy: &str) -> String {
        let kind = match policy {
            "propagation" => "Propagation",
            "core_registration" => "CoreSegmentRegistration",
            "up_registration" => "UpSegmentRegistration",
            _ => "DownSegmentRegistration",
        };
        let units = Validity::lasting(self.options.path_lifetime, 0).exp_time();
        format!("Type: {kind}\nMaxExpTime: {units}\n")
    }

    fn router(&self, as_index: usize) -> String {
        let at = &self.addresses[as_index];
        self.general("router", as_index)
            + &section("metrics", &[("prometheus", text(at.router.ip(), 30442))])
            + &section("api", &[("addr", text(at.router.ip(), ROUTER_API_PORT))])
            + "[router]\nnum_processors = 1\nnum_slow_processors = 1\nbatch_size = 64\n"
    }

    fn control(&self, as_index: usize) -> String {
        let (autonomous_system, at) = (&self.network.ases[as_index], &self.addresses[as_index]);
        let home = self.directory_of(autonomous_system);
        let interval = quote("1s");
        let policies: Vec<_> =
            POLICIES.iter().map(|p| (*p, quote(&home.join(format!("{p}.yml")).display().to_string()))).collect();
        let issues = self.issuer(autonomous_system) == autonomous_system.ia;
        self.general("control", as_index)
            + &section("metrics", &[("prometheus", text(*at.control.ip(), 30452))])
            + &section("api", &[("addr", text(*at.control.ip(), 31152))])
            // The other client protocol fails in programs built with recent Go and is waited for.
            + &section("rpc", &[("client_protocol", quote("grpc")), ("server_protocol", quote("all"))])
            + &database("trust_db", &home, "control.trust")
            + &database("beacon_db", &home, "control.beacon")
            + &database("path_db", &home, "control.path")
            + &section(
                "beaconing",
                &["origination_interval", "propagation_interval", "registration_interval"]
                    .map(|key| (key, interval.clone())),
            )
            + &section("beaconing.policies", &policies)
            + &section("path", &[("query_interval", self.query_interval())])
            + &if issues { section("ca", &[("mode", quote("in-process"))]) } else { String::new() }
    }

    fn daemon(&self, as_index: usize) -> String {
        let at = &self.addresses[as_index];
        let home = self.directory_of(&self.network.ases[as_index]);
        self.general("daemon", as_index)
            + &section("metrics", &[("prometheus", text(*at.daemon.ip(), 30455))])
            + &section("api", &[("addr", text(*at.daemon.ip(), 31155))])
            + &database("trust_db", &home, "daemon.trust")
            + &database("path_db", &home, "daemon.path")
            + &section("sd", &[("address", quote(&at.daemon.to_string())), ("query_interval", self.query_interval())])
    }

    fn dispatcher(&self, as_index: usize) -> String {
        let host = self.addresses[as_index].host.to_string();
        let id = format!("dispatcher-{}", self.network.ases[as_index].octet);
        section("dispatcher", &[("id", quote(&id)), ("underlay_addr", quote(&host))])
            + &section("log.console", &[("level", quote("info"))])
    }

    fn general(&self, program: &str, as_index: usize) -> String {
        let autonomous_system = &self.network.ases[as_index];
        let home = self.directory_of(autonomous_system).display().to_string();
        let id = format!("{program}-{}", autonomous_system.octet);
        section("general", &[("id", quote(&id)), ("config_dir", quote(&home))])
            + &section("log.console", &[("level", quote("info"))])
    }

    fn query_interval(&self) -> String {
        quote(&format!("{}ms", self.options.beacon_interval.as_millis().max(1)))
    }
}

const POLICIES: [&str; 4] = ["propagation", "core_registration", "up_registration", "down_registration"];

fn section(name: &str, entries: &[(&str, String)]) -> String {
    let lines: String = entries.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
    format!("[{name}]\n{lines}\n")
}

fn database(name: &str, home: &Path, file: &str) -> String {
    let path = home.join(format!("{file}.db")).display().to_string();
    section(name, &[("connection", quote(&path))])
}

/// A TOML string; JSON's escapes are valid there.
fn quote(value: &str) -> String {
    Value::from(value).to_string()
}

fn text(ip: impl Into<IpAddr>, port: u16) -> String {
    quote(&SocketAddr::new(ip.into(), port).to_string())
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// 16 random bytes in base64: 128 bits are 21 symbols of 6 bits and one whose lower 4 bits are 0.
fn master_key(rng: &mut fastrand::Rng) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut key: String = (0..21).map(|_| char::from(ALPHABET[rng.usize(..64)])).collect();
    key.push(char::from(ALPHABET[rng.usize(..4) * 16]));
    key + "=="
}
