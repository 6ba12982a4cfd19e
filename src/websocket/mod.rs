//! Clients over WebSocket: the request that opens a connection ([`handshake`]) and its frames ([`source`], [`sink`]), between
//! the stream of bytes of the protocol and a socket or TLS on one. What frames are is in `natsd_core::websocket`.

mod handshake;
mod request;
mod sink;
mod source;

pub(crate) use handshake::{UpgradeError, shake};
pub(crate) use request::{Terms, ask_as_leafnode};
pub(crate) use sink::WsSink;
pub(crate) use source::WsSource;

use natsd_core::websocket::framing::Framing;
use natsd_core::websocket::upgrade::{Cookies, Upgrade};

use crate::link::outbound::Sink;
use crate::link::task::Source;
use crate::transport::Stream;

/// The same two directions at the end of the one who asked for the upgrade, on these terms.
pub(crate) fn split_as_client(stream: Stream, terms: Terms, max_message: usize) -> Option<(Source, Sink)> {
    let granted = Upgrade {
        response: Vec::new(),
        framing: Framing { compression: terms.compressed, ..Framing::default() },
        masked: false,
        forwarded_for: None,
        cookies: Cookies::default(),
        leafnode: true,
    };
    let (source, sink) = Source::split(stream);
    let sink = WsSink::new(sink, granted.framing)?;
    let sink = if terms.masked { sink.masking() } else { sink };
    let source = WsSource::new(source, &granted, max_message);
    Some((Source::Ws(Box::new(source)), Sink::Ws(Box::new(sink))))
}

/// The two directions of a connection that was upgraded. A message of the client holds at most `max_message` bytes when it is
/// not compressed any more. `None` for a stream that is not on a socket.
pub(crate) fn split(stream: Stream, upgrade: &Upgrade, max_message: usize) -> Option<(Source, Sink)> {
    let (source, sink) = Source::split(stream);
    let sink = WsSink::new(sink, upgrade.framing)?;
    let source = WsSource::new(source, upgrade, max_message);
    Some((Source::Ws(Box::new(source)), Sink::Ws(Box::new(sink))))
}
