//! The daemon of an AS: the gRPC service that applications ask for paths (`proto.daemon.v1.DaemonService`).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use parking_lot::Mutex;
use scion_protobuf::{
    buffa_types::google::protobuf as well_known,
    connectrpc::{ConnectError, Encodable, RequestContext, Response, Router, ServiceRequest, ServiceResult},
    proto::daemon::v1::{self as rpc, DaemonService, DaemonServiceExt},
};
use sciparse::{dataplane_path::standard::mac::ForwardingKey, identifier::isd_asn::IsdAsn};

use crate::{
    addresses::{AsAddresses, FIRST_DISPATCHED_PORT},
    description::Network,
    paths::{self, Path},
    segments::{Segments, Validity},
};

#[derive(Debug)]
struct Beacons {
    latest: Option<(Instant, Arc<Segments>)>,
    rng: fastrand::Rng,
}

/// The control services of a network: run beaconing and keep the segments for a while.
#[derive(Debug)]
pub struct ControlPlane {
    network: Arc<Network>,
    addresses: Vec<AsAddresses>,
    keys: Vec<ForwardingKey>,
    path_lifetime: Duration,
    beacon_interval: Duration,
    beacons: Mutex<Beacons>,
    /// Whether the control service of each AS runs; without it, the daemon has no paths.
    running: Vec<AtomicBool>,
}

impl ControlPlane {
    /// A control plane whose hop fields live for `path_lifetime` and are renewed every `beacon_interval`.
    pub fn new(
        network: Arc<Network>,
        addresses: Vec<AsAddresses>,
        keys: Vec<ForwardingKey>,
        path_lifetime: Duration,
        beacon_interval: Duration,
        seed: u64,
    ) -> Self {
        Self {
            running: network.ases.iter().map(|_| AtomicBool::new(true)).collect(),
            network,
            addresses,
            keys,
            path_lifetime,
            // Hop fields must not be handed out shortly before they expire.
            beacon_interval: beacon_interval.min(path_lifetime / 4),
            beacons: Mutex::new(Beacons { latest: None, rng: fastrand::Rng::with_seed(seed) }),
        }
    }

    /// Starts or stops the control service of an AS.
    pub fn set_running(&self, as_index: usize, running: bool) {
        self.running[as_index].store(running, Ordering::Relaxed);
    }

    /// The paths between two ASes; none if the control service of the first is stopped. `fresh` asks for new beacons.
    pub fn paths(&self, from: usize, to: usize, fresh: bool) -> Vec<Path> {
        if !self.running[from].load(Ordering::Relaxed) {
            return Vec::new();
        }
        paths::find(&self.network, &self.segments(fresh), from, to)
    }

    fn segments(&self, fresh: bool) -> Arc<Segments> {
        let mut beacons = self.beacons.lock();
        if let Some((made, segments)) = &beacons.latest
            && !fresh
            && made.elapsed() < self.beacon_interval
        {
            return Arc::clone(segments);
        }
        let validity = Validity::lasting(self.path_lifetime, unix_now());
        let segments = Arc::new(Segments::beacon(&self.network, &self.keys, validity, &mut beacons.rng));
        beacons.latest = Some((Instant::now(), Arc::clone(&segments)));
        segments
    }
}

/// Seconds since 1970.
pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The daemon of one AS.
#[derive(Debug)]
pub struct Daemon {
    control_plane: Arc<ControlPlane>,
    as_index: usize,
}

impl Daemon {
    /// The daemon of the AS with this index.
    pub fn new(control_plane: Arc<ControlPlane>, as_index: usize) -> Self {
        Self { control_plane, as_index }
    }

    /// The service for an HTTP/2 server.
    pub fn into_router(self) -> axum::Router {
        Arc::new(self).register(Router::new()).into_axum_router()
    }

    fn network(&self) -> &Network {
        &self.control_plane.network
    }

    fn ia(&self) -> IsdAsn {
        self.network().ases[self.as_index].ia
    }

    fn find_paths(&self, request: &rpc::PathsRequest) -> Result<Vec<rpc::Path>, ConnectError> {
        let (src, dst) = (IsdAsn(request.source_isd_as), IsdAsn(request.destination_isd_as));
        if src != self.ia() && src != IsdAsn::WILDCARD {
            return Err(ConnectError::invalid_argument(format!("source {src} is not the local AS {}", self.ia())));
        }
        if dst == self.ia() {
            return Ok(vec![self.local_path()]);
        }
        let Some(to) = self.network().as_index(dst) else {
            return Err(ConnectError::not_found(format!("no path to AS {dst}")));
        };
        let paths = self.control_plane.paths(self.as_index, to, request.refresh);
        Ok(paths.iter().map(|path| self.describe(path)).collect())
    }

    fn local_path(&self) -> rpc::Path {
        let expiration = unix_now() + self.control_plane.path_lifetime.as_secs();
        rpc::Path {
            mtu: u32::from(self.network().ases[self.as_index].mtu),
            expiration: Some(timestamp(expiration)).into(),
            ..Default::default()
        }
    }

    fn describe(&self, path: &Path) -> rpc::Path {
        let network = self.network();
        let on_path: Vec<usize> = std::iter::once(self.as_index)
            .chain(path.interfaces.iter().skip(1).step_by(2).map(|i| i.as_index))
            .collect();
        rpc::Path {
            raw: path.raw.clone(),
            interface: Some(self.next_hop()).into(),
            interfaces: path
                .interfaces
                .iter()
                .map(|i| rpc::PathInterface { isd_as: network.ases[i.as_index].ia.to_u64(), id: u64::from(i.id) })
                .collect(),
            mtu: u32::from(path.mtu),
            expiration: Some(timestamp(path.expiration)).into(),
            latency: path.latencies(network).into_iter().map(latency).collect(),
            bandwidth: path.bandwidths(network).into_iter().map(Option::unwrap_or_default).collect(),
            geo: path.interfaces.iter().map(|i| geo(network, i.as_index)).collect(),
            link_type: path
                .interfaces
                .iter()
                .step_by(2)
                .map(|i| match network.link_at(*i) {
                    Some((link, _)) if network.links[link].announce => rpc::LinkType::Direct.into(),
                    _ => rpc::LinkType::Unspecified.into(),
                })
                .collect(),
            internal_hops: vec![1; on_path.len().saturating_sub(2)],
            notes: on_path.iter().map(|i| network.ases[*i].note.clone()).collect(),
            discovery_information: on_path.iter().map(|i| (network.ases[*i].ia.to_u64(), self.discovery(*i))).collect(),
            ..Default::default()
        }
    }

    fn next_hop(&self) -> rpc::Interface {
        let router = self.control_plane.addresses[self.as_index].router;
        rpc::Interface { address: Some(rpc::Underlay { address: router.to_string() }).into() }
    }

    fn discovery(&self, as_index: usize) -> rpc::DiscoveryInformation {
        let control = self.control_plane.addresses[as_index].control.to_string();
        rpc::DiscoveryInformation {
            control_service_addresses: vec![control.clone()],
            discovery_service_addresses: vec![control],
        }
    }
}

fn timestamp(unix: u64) -> well_known::Timestamp {
    well_known::Timestamp { seconds: i64::try_from(unix).unwrap_or(i64::MAX), ..Default::default() }
}

/// The protocol has no absent entries in arrays: a negative duration says that nothing was announced.
fn latency(announced: Option<Duration>) -> well_known::Duration {
    let (seconds, nanos) = match announced {
        Some(latency) => (latency.as_secs(), latency.subsec_nanos()),
        None => {
            return well_known::Duration { nanos: -1, ..Default::default() };
        }
    };
    well_known::Duration {
        seconds: i64::try_from(seconds).unwrap_or(i64::MAX),
        nanos: i32::try_from(nanos).unwrap_or_default(),
        ..Default::default()
    }
}

fn geo(network: &Network, as_index: usize) -> rpc::GeoCoordinates {
    network.ases[as_index].geo.as_ref().map_or_else(Default::default, |geo| rpc::GeoCoordinates {
        latitude: geo.latitude,
        longitude: geo.longitude,
        address: geo.address.clone(),
    })
}

fn no_drkey<T>() -> ServiceResult<T> {
    Err(ConnectError::unimplemented("the emulated daemon has no DRKey"))
}

impl DaemonService for Daemon {
    async fn paths<'a>(
        &'a self,
        _: RequestContext,
        request: ServiceRequest<'_, rpc::PathsRequest>,
    ) -> ServiceResult<impl Encodable<rpc::PathsResponse> + Send + use<'a>> {
        Response::ok(rpc::PathsResponse { paths: self.find_paths(&request.to_owned_message())? })
    }

    async fn r#as<'a>(
        &'a self,
        _: RequestContext,
        request: ServiceRequest<'_, rpc::ASRequest>,
    ) -> ServiceResult<impl Encodable<rpc::ASResponse> + Send + use<'a>> {
        let asked = IsdAsn(request.to_owned_message().isd_as);
        let index = match asked {
            IsdAsn::WILDCARD => Some(self.as_index),
            ia => self.network().as_index(ia),
        };
        let Some(index) = index else {
            return Err(ConnectError::not_found(format!("no AS {asked}")));
        };
        let autonomous_system = &self.network().ases[index];
        Response::ok(rpc::ASResponse {
            isd_as: autonomous_system.ia.to_u64(),
            core: autonomous_system.core,
            mtu: u32::from(autonomous_system.mtu),
        })
    }

    async fn interfaces<'a>(
        &'a self,
        _: RequestContext,
        _: ServiceRequest<'_, rpc::InterfacesRequest>,
    ) -> ServiceResult<impl Encodable<rpc::InterfacesResponse> + Send + use<'a>> {
        let interfaces = self.network().interfaces(self.as_index);
        Response::ok(rpc::InterfacesResponse {
            interfaces: interfaces.map(|(id, ..)| (u64::from(id), self.next_hop())).collect(),
        })
    }

    async fn services<'a>(
        &'a self,
        _: RequestContext,
        _: ServiceRequest<'_, rpc::ServicesRequest>,
    ) -> ServiceResult<impl Encodable<rpc::ServicesResponse> + Send + use<'a>> {
        let control = self.control_plane.addresses[self.as_index].control;
        let service = rpc::Service { uri: control.to_string() };
        let list = rpc::ListService { services: vec![service] };
        Response::ok(rpc::ServicesResponse { services: [("control".to_owned(), list)].into_iter().collect() })
    }

    async fn notify_interface_down<'a>(
        &'a self,
        _: RequestContext,
        _: ServiceRequest<'_, rpc::NotifyInterfaceDownRequest>,
    ) -> ServiceResult<impl Encodable<rpc::NotifyInterfaceDownResponse> + Send + use<'a>> {
        Response::ok(rpc::NotifyInterfaceDownResponse::default())
    }

    async fn port_range<'a>(
        &'a self,
        _: RequestContext,
        _: ServiceRequest<'_, well_known::Empty>,
    ) -> ServiceResult<impl Encodable<rpc::PortRangeResponse> + Send + use<'a>> {
        Response::ok(rpc::PortRangeResponse {
            dispatched_port_start: u32::from(FIRST_DISPATCHED_PORT),
            dispatched_port_end: u32::from(u16::MAX),
        })
    }

    async fn dr_key_as_host<'a>(
        &'a self,
        _: RequestContext,
        _: ServiceRequest<'_, rpc::DRKeyASHostRequest>,
    ) -> ServiceResult<impl Encodable<rpc::DRKeyASHostResponse> + Send + use<'a>> {
        no_drkey::<rpc::DRKeyASHostResponse>()
    }

    async fn dr_key_host_as<'a>(
        &'a self,
        _: RequestContext,
        _: ServiceRequest<'_, rpc::DRKeyHostASRequest>,
    ) -> ServiceResult<impl Encodable<rpc::DRKeyHostASResponse> + Send + use<'a>> {
        no_drkey::<rpc::DRKeyHostASResponse>()
    }

    async fn dr_key_host_host<'a>(
        &'a self,
        _: RequestContext,
        _: ServiceRequest<'_, rpc::DRKeyHostHostRequest>,
    ) -> ServiceResult<impl Encodable<rpc::DRKeyHostHostResponse> + Send + use<'a>> {
        no_drkey::<rpc::DRKeyHostHostResponse>()
    }
}
