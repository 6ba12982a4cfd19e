//! Which control services are asked, without any that answers questions.

use std::net::TcpListener;
use std::path::Path;

use serde_json::{Map, json};

use super::ControlServices;
use crate::error::DaemonError;
use crate::source::PathSource;

/// A port that takes connections, and one that does not.
pub(crate) struct Services(TcpListener);

impl Services {
    pub(crate) fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").expect("a port"))
    }

    pub(crate) fn alive(&self) -> String {
        self.0.local_addr().expect("bound").to_string()
    }

    /// An address of loopback at which nobody listens.
    fn dead(&self) -> String {
        format!("127.0.0.9:{}", self.0.local_addr().expect("bound").port())
    }
}

/// Writes a topology whose control services are these.
pub(crate) fn write(file: &Path, isd_as: &str, services: &[String]) {
    let named = services.iter().enumerate().map(|(at, address)| (format!("cs{at}"), json!({ "addr": address })));
    let services: Map<_, _> = named.collect();
    let text = json!({ "isd_as": isd_as, "mtu": 1400, "control_service": services }).to_string();
    std::fs::write(file, text).expect("writable");
}

#[tokio::test]
async fn the_next_service_is_asked_and_a_changed_file_read() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("topology.json");
    let services = Services::start();
    let (alive, dead) = (services.alive(), services.dead());
    write(&file, "1-ff00:0:111", &[dead.clone(), alive.clone()]);
    let control = ControlServices::new(&file).expect("a topology");
    let known = PathSource::known(&control).expect("the file says it");
    assert_eq!((known.isd_as.to_string(), known.mtu), ("1-ff00:0:111".to_owned(), 1400));
    assert_eq!(control.local_as().await.expect("the second one is there"), known);

    write(&file, "1-ff00:0:111", std::slice::from_ref(&dead));
    control.reload().expect("a topology");
    let error = control.local_as().await.expect_err("nobody is there").to_string();
    let wanted = format!("the control service at {dead} (of {}) does not answer: {dead}: ", file.display());
    assert!(error.starts_with(&wanted), "{error}");
    assert!(control.paths(known.isd_as, known.isd_as, false).await.is_err());

    write(&file, "1-ff00:0:112", &[alive]);
    let moved = control.local_as().await.expect("the file is read again");
    assert_eq!(moved.isd_as.to_string(), "1-ff00:0:112");

    std::fs::write(&file, "{}").expect("writable");
    assert!(matches!(control.reload(), Err(DaemonError::Topology(_))));
    assert_eq!(PathSource::known(&control).expect("as before").isd_as, moved.isd_as);
}
