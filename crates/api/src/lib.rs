//! The JSON types of natsd's monitoring API.
//!
//! `/varz`, `/connz`, `/routez`, `/subsz` and `/healthz` have the keys, their order and the omissions of nats-server
//! 2.15, as far as natsd has the feature, so that programs made for it (nats-top, the Prometheus exporter, surveyor)
//! run unchanged. `/pathz` and the keys documented as natsd's own are additions at the end of an object.
//!
//! Everything here can be read back, tolerantly: a key that is missing or null takes its default, an unknown key is
//! ignored. So a reader of one version understands a server of another, or of another make.
//!
//! [`to_json`] writes documents byte for byte as Go's encoder does.

mod absent;
mod accounts;
mod client_info;
mod connz;
mod duration;
mod eventz;
mod gateways;
mod healthz;
mod json;
mod leafz;
mod msg_trace;
mod omit;
mod path_history;
mod pathz;
mod routez;
mod service_latency;
mod subsz;
mod system;
mod time;
mod varz;

pub use absent::{Jsz, JszApi, JszConfig};
pub use accounts::{
    AccountExport, AccountImport, AccountInfo, AccountStat, AccountStatz, Accountz, DataStats, LatencySampling,
    MapDest, MsgBytes, SamplingRate, SublistStats,
};
pub use client_info::ClientInfo;
pub use connz::{ConnInfo, Connz, ProxyInfo, TlsPeerCert};
pub use duration::{go_duration, rtt, uptime};
pub use eventz::{EVENTS_VERSION, Event, EventKind, EventsHello, Eventz};
pub use gateways::{AccountGatewayz, GatewayStat, GatewayVarz, Gatewayz, RemoteGatewayVarz, RemoteGatewayz};
pub use healthz::Healthz;
pub use json::{to_compact_json, to_json};
pub use leafz::{LeafInfo, Leafz};
pub use msg_trace::{MsgTrace, MsgTraceEgress, MsgTraceEvent, MsgTraceIngress, MsgTraceKind, MsgTraceRequest};
pub use path_history::{PathHistory, PathIncident, PathIncidentKind, PathSample};
pub use pathz::{
    Announced, Daemon, DaemonState, Link, LinkKind, Measured, PathEvent, PathEventKind, PathInfo, PathState, Pathz,
    PeerInfo, Probes, Transport,
};
pub use routez::{RouteInfo, Routez};
pub use service_latency::{RemoteLatency, ServiceLatency};
pub use subsz::{SubDetail, Subsz};
pub use system::{
    AccountConns, ApiError, ConnectEvent, DisconnectEvent, EventHead, ResponsePermissions, RouteStat, ServerId,
    ServerInfo, ServerStats, ServerStatsMsg, SubjectPermissions, UserInfo, UserPermissions,
};
pub use time::{Time, TimeError};
pub use varz::{
    ClusterVarz, DenyRules, Disabled, DiskIoWaits, LeafVarz, LinkCounts, ProxiesVarz, RemoteLeafVarz, Varz,
    WebsocketVarz,
};
