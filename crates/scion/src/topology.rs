//! The AS's own `topology.json`: who we are, where the border routers and control services are.
//!
//! The file is that of the AS's services. What a host does not need of it is not looked at.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use foldhash::{HashMap, HashMapExt};
use natsd_path::IsdAs;
use serde_json::{Map, Value};

use crate::source::LocalAs;

/// Where the AS's services have it.
pub(crate) const USUAL: &str = "/etc/scion/topology.json";

/// The largest file that is read, in bytes; that of an AS with a thousand interfaces has some hundred KiB.
const MAX_SIZE: u64 = 4 << 20;
/// The most control services that are asked.
const MAX_CONTROL: usize = 16;

/// Whether a file can be used for [`HostConfig::topology`](crate::HostConfig::topology).
///
/// # Errors
///
/// What is wrong with it.
pub fn check_topology(file: &Path) -> Result<(), TopologyError> {
    Topology::read(file).map(|_| ())
}

/// What a host needs of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Topology {
    pub(crate) local: LocalAs,
    /// Whether the AS is a core of its ISD.
    pub(crate) core: bool,
    /// `host:port` of its control services, in the order of their names; at least one.
    pub(crate) control: Vec<String>,
    /// The border router behind which each interface is.
    pub(crate) routers: HashMap<u16, SocketAddr>,
}

/// A topology file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}", file.display())]
pub struct TopologyError {
    /// Which file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a topology file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It is not there, or may not be read.
    #[error("it cannot be read: {0}; name the topology.json of this AS, as its control service has it")]
    Read(String),
    /// It is too large.
    #[error("it has more than {MAX_SIZE} bytes; name the topology.json of this AS alone")]
    Size,
    /// It is not JSON.
    #[error("it is not JSON: {0}; copy it from the control service of this AS again")]
    Json(String),
    /// A key is missing.
    #[error("{0} is missing; copy the file from the control service of this AS again, or add it")]
    Missing(String),
    /// A value is not what it should be.
    #[error("{key} is {found}, expected {expected}; correct it")]
    Value {
        /// Where in the file, its parts joined by dots.
        key: String,
        /// What is there, shortened.
        found: String,
        /// What could be there.
        expected: &'static str,
    },
    /// Two routers have the same interface.
    #[error("{key}: interface {id} is at another router, too; each is at one router alone, remove one")]
    Twice {
        /// The router.
        key: String,
        /// The interface.
        id: u16,
    },
}

impl Topology {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn read(file: &Path) -> Result<Self, TopologyError> {
        let failed = |problem| TopologyError { file: file.to_owned(), problem };
        let unreadable = |error: std::io::Error| failed(Problem::Read(error.to_string()));
        if std::fs::metadata(file).map_err(unreadable)?.len() > MAX_SIZE {
            return Err(failed(Problem::Size));
        }
        Self::parse(&std::fs::read(file).map_err(unreadable)?).map_err(failed)
    }

    /// Parses what is in a file.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, Problem> {
        let root: Value = serde_json::from_slice(text).map_err(|error| Problem::Json(error.to_string()))?;
        let root = Place { key: String::new(), value: &root };
        let isd_as: IsdAs =
            root.member("isd_as")?.parse("an ISD-AS such as \"1-ff00:0:110\"", |text| text.parse().ok())?;
        if isd_as.isd() == 0 || isd_as.asn() == 0 {
            return Err(root.member("isd_as")?.unexpected("an ISD-AS without a 0 in it"));
        }
        let mtu = root.member("mtu")?.number("a number of bytes, 1 to 65535")?;
        let ports = root.optional("dispatched_ports").map(|place| place.ports()).transpose()?.flatten();
        let core = match root.optional("attributes") {
            Some(place) => place.list()?.iter().any(|attribute| attribute == "core"),
            None => false,
        };
        Ok(Self { local: LocalAs { isd_as, mtu, ports }, core, control: control(&root)?, routers: routers(&root)? })
    }
}

fn control(root: &Place<'_>) -> Result<Vec<String>, Problem> {
    let services = root.member("control_service")?;
    let mut found = Vec::new();
    for (_, service) in services.members()?.take(MAX_CONTROL) {
        let address = service.member("addr")?;
        let text = address.text("\"host:port\"")?;
        let (host, port) = text.rsplit_once(':').ok_or_else(|| address.unexpected("\"host:port\""))?;
        if host.is_empty() || !port.parse().is_ok_and(|port: u16| port > 0) {
            return Err(address.unexpected("\"host:port\""));
        }
        if !found.iter().any(|known| known == text) {
            found.push(text.to_owned());
        }
    }
    if found.is_empty() {
        return Err(Problem::Missing("control_service.NAME.addr".to_owned()));
    }
    Ok(found)
}

fn routers(root: &Place<'_>) -> Result<HashMap<u16, SocketAddr>, Problem> {
    let mut routers = HashMap::new();
    let Some(all) = root.optional("border_routers") else { return Ok(routers) };
    for (_, router) in all.members()? {
        let address = router
            .member("internal_addr")?
            .parse("an IP address and a port, \"10.0.0.1:30042\"", |text| text.parse::<SocketAddr>().ok())?;
        let Some(interfaces) = router.optional("interfaces") else { continue };
        for (name, interface) in interfaces.members()? {
            let id = name.parse().ok().filter(|&id: &u16| id > 0);
            let id = id.ok_or_else(|| interface.unexpected("an interface number, 1 to 65535, for its name"))?;
            if routers.insert(id, address).is_some_and(|other| other != address) {
                return Err(Problem::Twice { key: router.key, id });
            }
        }
    }
    Ok(routers)
}

/// A value, and where in the file it is.
struct Place<'a> {
    key: String,
    value: &'a Value,
}

impl<'a> Place<'a> {
    fn at(&self, name: &str, value: &'a Value) -> Self {
        let key = if self.key.is_empty() { name.to_owned() } else { format!("{}.{name}", self.key) };
        Self { key, value }
    }

    fn member(&self, name: &str) -> Result<Self, Problem> {
        self.map()?;
        self.optional(name).ok_or_else(|| Problem::Missing(self.at(name, self.value).key))
    }

    /// `null` is as good as nothing.
    fn optional(&self, name: &str) -> Option<Self> {
        self.value.get(name).filter(|value| !value.is_null()).map(|value| self.at(name, value))
    }

    fn map(&self) -> Result<&'a Map<String, Value>, Problem> {
        self.value.as_object().ok_or_else(|| self.unexpected("a map, { … }"))
    }

    fn members(&self) -> Result<impl Iterator<Item = (&'a str, Self)>, Problem> {
        Ok(self.map()?.iter().map(|(name, value)| (name.as_str(), self.at(name, value))))
    }

    fn list(&self) -> Result<&'a [Value], Problem> {
        self.value.as_array().map(Vec::as_slice).ok_or_else(|| self.unexpected("a list, [ … ]"))
    }

    fn text(&self, expected: &'static str) -> Result<&'a str, Problem> {
        self.value.as_str().ok_or_else(|| self.unexpected(expected))
    }

    fn parse<T>(&self, expected: &'static str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, Problem> {
        parse(self.text(expected)?).ok_or_else(|| self.unexpected(expected))
    }

    fn number(&self, expected: &'static str) -> Result<u16, Problem> {
        let number = self.value.as_u64().and_then(|number| u16::try_from(number).ok());
        number.filter(|&number| number > 0).ok_or_else(|| self.unexpected(expected))
    }

    /// The UDP ports that routers deliver to; `None` for those of hosts with a dispatcher.
    fn ports(&self) -> Result<Option<(u16, u16)>, Problem> {
        let expected = "\"LOWEST-HIGHEST\", \"all\" or \"-\"";
        match self.text(expected)? {
            "" | "-" => Ok(None),
            "all" | "ALL" => Ok(Some((1, u16::MAX))),
            text => {
                let port = |text: &str| text.parse().ok().filter(|&port: &u16| port > 0);
                let range = text.split_once('-').and_then(|(low, high)| Some((port(low)?, port(high)?)));
                range.filter(|(low, high)| low <= high).map(Some).ok_or_else(|| self.unexpected(expected))
            }
        }
    }

    fn unexpected(&self, expected: &'static str) -> Problem {
        let mut found = self.value.to_string();
        if let Some((end, _)) = found.char_indices().nth(40) {
            found.truncate(end);
            found.push('…');
        }
        let key = if self.key.is_empty() { "the file".to_owned() } else { self.key.clone() };
        Problem::Value { key, found, expected }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn whole() -> Value {
        json!({
            "isd_as": "1-ff00:0:111",
            "mtu": 1472,
            "dispatched_ports": "1024-65535",
            "attributes": [],
            "border_routers": {
                "br1": { "internal_addr": "10.0.0.1:30042", "interfaces": { "1": { "mtu": 1400 }, "3": {} } },
                "br2": { "internal_addr": "[fd00::2]:30042", "interfaces": { "2": {} } },
            },
            "control_service": { "cs2": { "addr": "10.0.0.3:30252" }, "cs1": { "addr": "10.0.0.2:30252" } },
            "sigs": "not for hosts",
        })
    }

    fn parsed(value: &Value) -> Result<Topology, String> {
        Topology::parse(value.to_string().as_bytes()).map_err(|problem| problem.to_string())
    }

    #[test]
    fn a_file_is_read() {
        let found = parsed(&whole()).expect("valid");
        let isd_as = "1-ff00:0:111".parse().expect("an AS");
        assert_eq!(found.local, LocalAs { isd_as, mtu: 1472, ports: Some((1024, 65535)) });
        assert!(!found.core);
        assert_eq!(found.control, ["10.0.0.2:30252", "10.0.0.3:30252"]);
        let router = |text: &str| text.parse::<SocketAddr>().expect("an address");
        assert_eq!((found.routers.len(), found.routers[&3]), (3, router("10.0.0.1:30042")));
        assert_eq!(found.routers[&2], router("[fd00::2]:30042"));
    }

    #[test]
    fn what_may_be_missing_is_not_missed() {
        let least = json!({ "isd_as": "1-1", "mtu": 1, "attributes": ["core"], "border_routers": null,
            "dispatched_ports": "-", "control_service": { "c": { "addr": "cs.example:1" } } });
        let found = parsed(&least).expect("valid");
        assert!(found.core && found.routers.is_empty());
        assert_eq!(found.local.ports, None);
    }

    #[test]
    fn errors_name_the_key_and_what_to_do() {
        let says = |pointer: &str, value: Value, wanted: &str| {
            let mut file = whole();
            *file.pointer_mut(pointer).expect("it is there") = value;
            let error = parsed(&file).expect_err(pointer);
            assert!(error.starts_with(wanted), "{error}");
        };
        says("/isd_as", json!("1"), "isd_as is \"1\", expected an ISD-AS such as");
        says("/isd_as", json!("1-0"), "isd_as is \"1-0\", expected an ISD-AS without a 0");
        says("/isd_as", Value::Null, "isd_as is missing; copy the file");
        says("/mtu", json!(0), "mtu is 0, expected a number of bytes, 1 to 65535; correct it");
        says("/mtu", json!("1472"), "mtu is \"1472\", expected a number");
        says("/dispatched_ports", json!("9-1"), "dispatched_ports is \"9-1\", expected \"LOWEST-HIGHEST\"");
        says("/attributes", json!("core"), "attributes is \"core\", expected a list");
        says("/control_service", json!({}), "control_service.NAME.addr is missing");
        says("/control_service/cs1/addr", json!("10.0.0.2"), "control_service.cs1.addr is \"10.0.0.2\", expected \"ho");
        says(
            "/border_routers/br1/internal_addr",
            json!("r:1"),
            "border_routers.br1.internal_addr is \"r:1\", expected",
        );
        says(
            "/border_routers/br1/interfaces",
            json!({"0": 1}),
            "border_routers.br1.interfaces.0 is 1, expected an int",
        );
        says(
            "/border_routers/br2/interfaces",
            json!({"1": {}}),
            "border_routers.br2: interface 1 is at another router",
        );
        assert!(parsed(&json!([])).expect_err("a list").starts_with("the file is [], expected a map"));
        let error = Topology::parse(b"{").expect_err("cut off").to_string();
        assert!(error.starts_with("it is not JSON: EOF"), "{error}");
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = Topology::read(Path::new("/nowhere/topology.json")).expect_err("none").to_string();
        assert!(error.starts_with("/nowhere/topology.json: it cannot be read: No such file"), "{error}");
    }

    proptest! {
        #[test]
        fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,40}", at in 0..6_usize) {
            let _ = Topology::parse(&bytes);
            let pointers = ["/isd_as", "/mtu", "/dispatched_ports", "/control_service/cs1/addr",
                "/border_routers/br1/internal_addr", "/border_routers/br1/interfaces"];
            let mut file = whole();
            *file.pointer_mut(pointers[at]).expect("it is there") = json!(text);
            let _ = parsed(&file);
        }
    }
}
