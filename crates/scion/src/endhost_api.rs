//! Paths from an end-host API as Anapaya's: one server tells the border routers of the AS and all segments of a path.
//!
//! Of its underlays only that over UDP can be used. SNAP leads packets through a tunnel of its own with tokens to get
//! in, and not from the sockets that QUIC has here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use connectrpc::Protocol;
use connectrpc::client::{CallOptions, ClientConfig, HttpClient, call_unary};
use endhost_api_protobuf::proto::scion::endhost::v1::__buffa::view::{
    ListSegmentsResponseView, ListUnderlaysResponseView,
};
use endhost_api_protobuf::proto::scion::endhost::v1::{
    ListSegmentsRequest, ListSegmentsResponse, ListUnderlaysRequest, ListUnderlaysResponse,
};
use foldhash::{HashMap, HashMapExt};
use natsd_path::IsdAs;
use parking_lot::Mutex;
use scion_protobuf::proto::control_plane::v1::SegmentsResponse;
use scion_protobuf::proto::control_plane::v1::segments_response::Segments;

use crate::control::turns::Turns;
use crate::control::{Unanswered, within};
use crate::error::DaemonError;
use crate::metadata::PathInfo;
use crate::segments::memory::Memory;
use crate::segments::search::{Request, Search};
use crate::segments::{Kind, MAX_SEGMENTS, Segment, decode, join};
use crate::source::{Boxed, LocalAs, PathSource};

/// The server may have to ask in other ASes first.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of an answer.
const MAX_ANSWER: usize = 4 << 20;
/// Segments of one page, and how many pages are asked for.
const PAGE: i32 = 64;
const MAX_PAGES: usize = MAX_SEGMENTS / PAGE as usize;
/// Bytes of a packet within the AS, which the API does not tell: what UDP over Ethernet has.
const MTU: u16 = 1472;
const UNDERLAYS: &str = "scion.endhost.v1.UnderlayService";
const SEGMENTS: &str = "scion.endhost.v1.SegmentsService";

/// A client of the API. Clones are the same.
#[derive(Clone)]
pub(crate) struct EndhostApi(Arc<Inner>);

struct Inner {
    url: String,
    http: HttpClient,
    config: ClientConfig,
    underlay: Mutex<Option<Underlay>>,
    memory: Mutex<Memory>,
    turns: Mutex<Turns>,
    last: Mutex<String>,
}

/// The AS, and the border router behind which each of its interfaces is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Underlay {
    local: LocalAs,
    routers: HashMap<u16, SocketAddr>,
}

impl EndhostApi {
    /// `url` is `http://host:port`. Connects with the first question.
    ///
    /// # Errors
    ///
    /// When that is no such URL.
    pub(crate) fn new(url: &str) -> Result<Self, DaemonError> {
        let bad = |reason: &str| DaemonError::EndhostApi { url: url.to_owned(), reason: reason.to_owned() };
        let host = url.strip_prefix("http://").ok_or_else(|| bad("it must begin with http://"))?;
        if host.is_empty() || host.starts_with('/') {
            return Err(bad("it has no host; write http://host:port"));
        }
        let uri = url.parse().map_err(|_| bad("it is not a URL; write http://host:port"))?;
        let config = ClientConfig::new(uri).with_protocol(Protocol::Connect).with_default_timeout(TIMEOUT);
        Ok(Self(Arc::new(Inner {
            url: url.to_owned(),
            http: HttpClient::plaintext(),
            config,
            underlay: Mutex::new(None),
            memory: Mutex::new(Memory::new()),
            turns: Mutex::new(Turns::new(1)),
            last: Mutex::new("it was not asked yet".to_owned()),
        })))
    }

    fn failed(&self, reason: impl std::fmt::Display) -> DaemonError {
        DaemonError::EndhostApi { url: self.0.url.clone(), reason: reason.to_string() }
    }

    /// Lets the server alone for a while after a failure.
    fn may_ask(&self) -> Result<(), DaemonError> {
        if self.0.turns.lock().order(Instant::now()).is_empty() {
            return Err(self.failed(&*self.0.last.lock()));
        }
        Ok(())
    }

    fn note<T, E: std::fmt::Display>(&self, answer: Result<T, Unanswered<E>>) -> Result<T, DaemonError> {
        let now = Instant::now();
        match answer {
            Ok(answer) => {
                self.0.turns.lock().has_answered(0, now);
                Ok(answer)
            }
            Err(error) => {
                *self.0.last.lock() = error.to_string();
                self.0.turns.lock().has_failed(0, now, fastrand::f64());
                Err(self.failed(error))
            }
        }
    }

    async fn underlay(&self) -> Result<Underlay, DaemonError> {
        self.may_ask()?;
        let Inner { http, config, .. } = &*self.0;
        let options = CallOptions::default().with_max_message_size(MAX_ANSWER);
        let request = ListUnderlaysRequest::default();
        let call = call_unary::<_, _, ListUnderlaysResponseView<'_>>(
            http,
            config,
            UNDERLAYS,
            "ListUnderlays",
            request,
            options,
        );
        let answer = self.note(within(TIMEOUT, call).await)?.into_owned();
        let underlay = Underlay::of(answer).map_err(|reason| self.failed(reason))?;
        *self.0.underlay.lock() = Some(underlay.clone());
        Ok(underlay)
    }

    async fn ask(&self, Request { from, to }: Request) -> Result<Vec<Segment>, DaemonError> {
        self.may_ask()?;
        let Inner { http, config, .. } = &*self.0;
        let (mut segments, mut token) = (Vec::new(), String::new());
        for _ in 0..MAX_PAGES {
            let request =
                ListSegmentsRequest { src_isd_as: from.0, dst_isd_as: to.0, page_size: PAGE, page_token: token };
            let options = CallOptions::default().with_max_message_size(MAX_ANSWER);
            let call = call_unary::<_, _, ListSegmentsResponseView<'_>>(
                http,
                config,
                SEGMENTS,
                "ListSegments",
                request,
                options,
            );
            let mut answer: ListSegmentsResponse = self.note(within(TIMEOUT, call).await)?.into_owned();
            token = std::mem::take(&mut answer.next_page_token);
            let (sound, damaged) = decode::segments(typed(answer));
            if let Some(reason) = damaged.first() {
                log::warn!("{} segments of {} are ignored, the first because {reason}", damaged.len(), self.title());
            }
            segments.extend(sound);
            if token.is_empty() {
                break;
            }
        }
        Ok(segments)
    }

    async fn look_up(&self, from: IsdAs, to: IsdAs, refresh: bool) -> Result<Vec<PathInfo>, DaemonError> {
        let known = self.0.underlay.lock().clone();
        let underlay = match known {
            Some(underlay) => underlay,
            None => self.underlay().await?,
        };
        let since = Instant::now();
        let slot = self.0.memory.lock().slot(Request { from, to });
        let mut answer = slot.lock().await;
        let segments = match answer.fresh(Instant::now(), since, refresh) {
            Some(segments) => segments,
            None => match self.ask(Request { from, to }).await {
                Ok(segments) => answer.learn(Instant::now(), SystemTime::now(), segments),
                Err(error) => answer.stale(SystemTime::now()).ok_or(error)?,
            },
        };
        drop(answer);
        let joined = tokio::task::spawn_blocking(move || {
            let all: Vec<_> = segments.iter().collect();
            // Core ASes have no way up.
            let core = !all.iter().any(|segment| segment.kind == Kind::Up && segment.last() == from);
            let useful = Search { from, core, to }.useful(&all);
            join::paths(from, to, &useful, &underlay.routers, SystemTime::now())
        });
        Ok(joined.await.unwrap_or_default())
    }
}

/// As control services answer.
fn typed(answer: ListSegmentsResponse) -> SegmentsResponse {
    let ListSegmentsResponse { up_segments, down_segments, core_segments, .. } = answer;
    let of = |segments| Segments { segments };
    let all = [(1, of(up_segments)), (2, of(down_segments)), (3, of(core_segments))];
    SegmentsResponse { segments: all.into_iter().collect(), ..Default::default() }
}

impl Underlay {
    /// Of several ASes that this host is in, the first.
    fn of(answer: ListUnderlaysResponse) -> Result<Self, &'static str> {
        let udp = answer.udp.into_option().map(|udp| udp.routers).unwrap_or_default();
        let Some(isd_as) = udp.first().map(|router| IsdAs(router.isd_as)) else {
            return Err("it offers no routers over UDP, which natsd needs; SNAP is not spoken");
        };
        if udp.iter().any(|router| router.isd_as != isd_as.0) {
            log::debug!("the end-host API offers several ASes, this host is in {isd_as}");
        }
        let mut routers = HashMap::new();
        for router in udp.iter().filter(|router| router.isd_as == isd_as.0) {
            let Ok(address) = router.address.parse::<SocketAddr>() else {
                log::warn!("the end-host API tells of a router at {:?}, which is no address", router.address);
                continue;
            };
            routers.extend(router.interfaces.iter().filter_map(|id| Some((u16::try_from(*id).ok()?, address))));
        }
        Ok(Self { local: LocalAs { isd_as, mtu: MTU, ports: None }, routers })
    }
}

impl PathSource for EndhostApi {
    fn name(&self) -> String {
        self.0.url.clone()
    }

    fn title(&self) -> String {
        format!("the end-host API at {}", self.0.url)
    }

    fn local_as(&self) -> Boxed<'_, Result<LocalAs, DaemonError>> {
        Box::pin(async move { Ok(self.underlay().await?.local) })
    }

    fn paths(&self, from: IsdAs, to: IsdAs, refresh: bool) -> Boxed<'_, Result<Vec<PathInfo>, DaemonError>> {
        Box::pin(self.look_up(from, to, refresh))
    }
}

#[cfg(test)]
mod tests {
    use endhost_api_protobuf::proto::scion::endhost::v1::{Router, UdpUnderlay};
    use scion_protobuf::buffa::Message;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::segments::network::{CORE, DOWN, isd_as, wire};

    /// Answers as the API does, over HTTP/1.1; the segments are in two pages.
    async fn answer(mut stream: TcpStream) -> std::io::Result<()> {
        let mut got = Vec::new();
        loop {
            let head = loop {
                if let Some(at) = got.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                    break at + 4;
                }
                if stream.read_buf(&mut got).await? == 0 {
                    return Ok(());
                }
            };
            let text = String::from_utf8_lossy(&got[..head]).to_ascii_lowercase();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
            while got.len() < head + length {
                stream.read_buf(&mut got).await?;
            }
            let body = reply(&text, &got[head..head + length]);
            got.drain(..head + length);
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-type: application/proto\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all(&[head.as_bytes(), &body].concat()).await?;
        }
    }

    fn reply(head: &str, body: &[u8]) -> Vec<u8> {
        if head.starts_with("post /scion.endhost.v1.underlayservice/listunderlays ") {
            let router = |id: u32| Router {
                isd_as: isd_as("1-111").0,
                address: format!("10.0.0.{id}:30042"),
                interfaces: vec![id, 1 << 20],
            };
            let udp = UdpUnderlay { routers: vec![router(1), router(2)] };
            return ListUnderlaysResponse { udp: Some(udp).into(), ..Default::default() }.encode_to_vec();
        }
        assert!(head.starts_with("post /scion.endhost.v1.segmentsservice/listsegments "), "{head}");
        let request = ListSegmentsRequest::decode_from_slice(body).expect("a request");
        assert_eq!((request.src_isd_as, request.dst_isd_as), (isd_as("1-111").0, isd_as("1-112").0));
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
        let segments = |all: &[&[crate::segments::network::Step]]| all.iter().map(|steps| wire(steps, now)).collect();
        let page = if request.page_token.is_empty() {
            ListSegmentsResponse {
                up_segments: segments(&DOWN[..2]),
                core_segments: segments(&CORE[..2]),
                next_page_token: "more".to_owned(),
                ..Default::default()
            }
        } else {
            assert_eq!(request.page_token, "more");
            ListSegmentsResponse { down_segments: segments(&DOWN[2..3]), ..Default::default() }
        };
        page.encode_to_vec()
    }

    #[tokio::test]
    async fn segments_and_routers_come_from_the_api() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream));
            }
        });
        let api = EndhostApi::new(&url).expect("a URL");
        let local = api.local_as().await.expect("it answers");
        assert_eq!(local, LocalAs { isd_as: isd_as("1-111"), mtu: MTU, ports: None });
        let paths = api.paths(local.isd_as, isd_as("1-112"), false).await.expect("it answers");
        let hops = |path: &PathInfo| path.interfaces.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        assert_eq!(
            paths.iter().map(hops).collect::<Vec<_>>(),
            ["1-111#1 1-110#11 1-110#12 1-112#1", "1-111#2 1-120#11 1-120#1 1-110#1 1-110#12 1-112#1"],
            "none over the peering link, at whose interface there is no router"
        );
        assert_eq!(paths[1].next_hop, Some(([10, 0, 0, 2], 30042).into()));
    }

    #[tokio::test]
    async fn what_cannot_be_used_is_named() {
        let error = |url: &str| EndhostApi::new(url).err().expect("no such URL").to_string();
        assert_eq!(error("https://h"), "the end-host API at https://h cannot be used: it must begin with http://");
        assert!(error("http://").ends_with("it has no host; write http://host:port"));
        assert!(error("http://a b").ends_with("it is not a URL; write http://host:port"));
        assert!(Underlay::of(ListUnderlaysResponse::default()).expect_err("none").contains("SNAP is not spoken"));

        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("bind").local_addr().expect("address");
        let api = EndhostApi::new(&format!("http://{free}")).expect("a URL");
        let first = api.local_as().await.expect_err("nobody is there").to_string();
        assert_eq!(api.local_as().await.expect_err("it is left alone").to_string(), first);
        assert!(api.paths(isd_as("1-111"), isd_as("1-112"), false).await.is_err());
    }
}
