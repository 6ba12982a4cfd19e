//! SCMP as routers and hosts speak it: where a packet is delivered, error answers, echo replies.

use sciparse::{
    address::addr::ScionAddr,
    core::{encode::WireEncode, view::View},
    dataplane_path::{
        model::DpPath,
        standard::view::StandardPathView,
        view::{ScionDpPathViewExt, ScionDpPathViewRef},
    },
    packet::{classify::ClassifiedPacketView, model::ScionScmpPacket, view::ScionRawPacketView},
    payload::{
        ProtocolNumber,
        scmp::{
            model::{
                ScmpDestinationUnreachable, ScmpEchoReply, ScmpExternalInterfaceDown, ScmpMessage,
                ScmpParameterProblem, ScmpTracerouteReply,
            },
            types::ScmpDestinationUnreachableCode,
            view::ScmpMessageView,
        },
    },
};

use crate::{
    addresses::{ENDHOST_PORT, FIRST_DISPATCHED_PORT},
    router::{Answer, Router, advance, at_peering_hop, chain_segment_id, is_segment_end},
};

/// First SCMP type that is not an error.
const FIRST_INFORMATIONAL_TYPE: u8 = 128;

/// The UDP port of the destination host that gets a packet: the destination port of UDP; for SCMP the port that the
/// message is about; [`ENDHOST_PORT`] for requests and everything that names no port.
pub fn delivery_port(packet: &ScionRawPacketView) -> u16 {
    let port = match packet.try_classify() {
        Ok(ClassifiedPacketView::Udp(udp)) => Some(udp.udp().dst_port()),
        Ok(ClassifiedPacketView::Scmp(scmp)) => match scmp.scmp().message() {
            ScmpMessageView::EchoRequest(_) | ScmpMessageView::TracerouteRequest(_) => None,
            message => scmp.scmp().dst_port().or_else(|| quoted_identifier(&message)),
        },
        _ => None,
    };
    port.filter(|port| *port >= FIRST_DISPATCHED_PORT).unwrap_or(ENDHOST_PORT)
}

/// The identifier of the echo or traceroute request that an error message quotes.
fn quoted_identifier(message: &ScmpMessageView<'_>) -> Option<u16> {
    let quote = match message {
        ScmpMessageView::DestinationUnreachable(v) => v.offending_packet(),
        ScmpMessageView::ParameterProblem(v) => v.offending_packet(),
        ScmpMessageView::ExternalInterfaceDown(v) => v.offending_packet(),
        ScmpMessageView::InternalConnectivityDown(v) => v.offending_packet(),
        _ => return None,
    };
    let (quoted, _) = ScionRawPacketView::try_from_slice(quote).ok()?;
    match quoted.try_as_scmp().ok()?.scmp().message() {
        ScmpMessageView::EchoRequest(v) => Some(v.identifier()),
        ScmpMessageView::TracerouteRequest(v) => Some(v.identifier()),
        _ => None,
    }
}

/// The SCMP message of `router` about a packet, in the state that processing left it in. `arrival` is the interface that
/// the packet came in by; the message is ready to be sent there. `None` if none is due (errors are not answered) or
/// possible.
pub fn answer(router: &Router, packet: &[u8], arrival: Option<u16>, answer: Answer) -> Option<Vec<u8>> {
    let (view, _) = ScionRawPacketView::try_from_slice(packet).ok()?;
    if is_scmp_error(view) {
        return None;
    }
    let quote = || packet.to_vec();
    let message: ScmpMessage = match answer {
        Answer::Parameter { code, pointer } => {
            ScmpParameterProblem::new(code, u16::try_from(pointer).ok()?, quote()).into()
        }
        Answer::InterfaceDown(id) => ScmpExternalInterfaceDown::new(router.ia(), id, quote()).into(),
        Answer::NoSuchService => {
            ScmpDestinationUnreachable::new(ScmpDestinationUnreachableCode::NoRouteToDestination, quote()).into()
        }
        Answer::Traceroute(id) => traceroute_reply(view, router, id)?,
    };
    let source = ScionAddr::new(router.ia(), router.address().ip().into());
    let path = way_back(view, arrival.is_some())?;
    ScionScmpPacket::new(source, view.src_scion_addr().ok()?, path, message).try_encode_to_vec().ok()
}

/// Only traceroute requests are answered; anything else with a router alert is dropped.
fn traceroute_reply(packet: &ScionRawPacketView, router: &Router, interface: u16) -> Option<ScmpMessage> {
    match packet.try_as_scmp().ok()?.scmp().message() {
        ScmpMessageView::TracerouteRequest(request) => Some(ScmpMessage::TracerouteReply(ScmpTracerouteReply::new(
            request.identifier(),
            request.sequence_number(),
            router.ia(),
            interface,
        ))),
        _ => None,
    }
}

fn is_scmp_error(packet: &ScionRawPacketView) -> bool {
    packet.header().next_header() == ProtocolNumber::Scmp
        && packet.payload().first().is_none_or(|kind| *kind < FIRST_INFORMATIONAL_TYPE)
}

/// The reversed path of a packet in mid-way, ready to be sent over the link that it came in by, if it came by one.
fn way_back(packet: &ScionRawPacketView, over_link: bool) -> Option<DpPath> {
    let ScionDpPathViewRef::Standard(path) = packet.header().path() else {
        return None;
    };
    let mut raw = path.as_slice().to_vec();
    let (path, _) = StandardPathView::try_from_mut_slice(&mut raw).ok()?;
    path.try_reverse().ok()?;
    let peering = at_peering_hop(path)?;
    if is_segment_end(path) && !peering {
        advance(path);
    }
    if over_link {
        if path.curr_info_field()?.flags().cons_dir() && !peering {
            chain_segment_id(path);
        }
        advance(path);
    }
    Some(DpPath::from_view(&ScionDpPathViewRef::Standard(path)))
}

/// The answer of a host to an SCMP echo request, to be sent to where the request came from. `None` for anything else.
pub fn echo_reply(packet: &[u8]) -> Option<Vec<u8>> {
    let (view, _) = ScionRawPacketView::try_from_slice(packet).ok()?;
    let ScmpMessageView::EchoRequest(request) = view.try_as_scmp().ok()?.scmp().message() else {
        return None;
    };
    let reply = ScmpEchoReply::new(request.identifier(), request.sequence_number(), request.data().to_vec());
    let path = DpPath::from_view(&view.header().path().as_ref()).try_into_reversed().ok()?;
    let (src, dst) = (view.dst_scion_addr().ok()?, view.src_scion_addr().ok()?);
    ScionScmpPacket::new(src, dst, path, ScmpMessage::EchoReply(reply)).try_encode_to_vec().ok()
}
