//! What is received: frames, out of which the bytes of the protocol are taken where they lie.
//!
//! A compressed message is inflated as it comes, into the room that the reader has. So nothing of it is kept but what was
//! read and does not fit, whatever it may become.

use std::cell::RefCell;
use std::io;
use std::task::{Context, Poll, ready};

use natsd_core::websocket::close::Farewell;
use natsd_core::websocket::deflate::{Inflater, Step};
use natsd_core::websocket::frame::{Data, Decoder, Piece};
use natsd_core::websocket::upgrade::Upgrade;
use tokio::io::ReadBuf;

use crate::link::Link;
use crate::link::task::Source;

/// Inflaters that a thread keeps for the next messages.
const POOLED: usize = 8;

thread_local! {
    static POOL: RefCell<Vec<Inflater>> = const { RefCell::new(Vec::new()) };
}

/// How the connection ends once what was read before is handled.
enum End {
    /// The client says goodbye.
    Closed,
    /// The client breaks the rules.
    Broken(String),
}

/// Where the task of a link reads.
pub(crate) struct WsSource {
    inner: Source,
    decoder: Decoder,
    /// Of a compressed message that has begun, with how many bytes it has become.
    message: Option<(Inflater, usize)>,
    /// Bytes that a compressed message may become.
    max_message: usize,
    /// What was read and for which there was no room, from `at` on. No more than is read at a time.
    ahead: Vec<u8>,
    at: usize,
    /// A part of a message in `ahead` that is not handed on yet.
    part: Option<Data>,
    end: Option<End>,
}

impl WsSource {
    pub(super) fn new(inner: Source, upgrade: &Upgrade, max_message: usize) -> Self {
        Self {
            inner,
            decoder: Decoder::new(upgrade.masked, upgrade.framing.compression),
            message: None,
            max_message,
            ahead: Vec::new(),
            at: 0,
            part: None,
            end: None,
        }
    }

    /// Reads what is inside the messages of the client. Nothing read is the end.
    pub(crate) fn poll_read(
        &mut self,
        link: &Link,
        cx: &mut Context<'_>,
        plain: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = plain.filled().len();
        loop {
            self.take_ahead(link, plain);
            if plain.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
            match &self.end {
                Some(End::Closed) => return Poll::Ready(Ok(())),
                Some(End::Broken(why)) => return Poll::Ready(Err(io::Error::other(why.clone()))),
                None => {}
            }
            ready!(self.inner.poll_read(link, cx, plain))?;
            if plain.filled().len() == before {
                return Poll::Ready(Ok(()));
            }
            self.decode_in_place(link, plain, before);
        }
    }

    /// Leaves of what `plain` has from `start` on the payload of messages.
    fn decode_in_place(&mut self, link: &Link, plain: &mut ReadBuf<'_>, start: usize) {
        let wire = &mut plain.filled_mut()[start..];
        let (mut at, mut kept) = (0, 0);
        while self.end.is_none() {
            let data = match self.decoder.decode(wire, at) {
                Ok((_, None)) => break,
                Ok((end, Some(Piece::Data(data)))) => {
                    at = end;
                    data
                }
                Ok((end, Some(piece))) => {
                    at = end;
                    self.end = handle(link, piece);
                    continue;
                }
                Err(error) => {
                    self.end = Some(broken(link, error.to_string(), Farewell::to_protocol_error(&error)));
                    break;
                }
            };
            if data.compressed {
                let begin = data.range.start;
                self.part = Some(Data { range: 0..data.range.len(), ..data });
                self.ahead = wire[begin..].to_vec();
                self.at = data.range.len();
                break;
            }
            wire.copy_within(data.range.clone(), kept);
            kept += data.range.len();
        }
        plain.set_filled(start + kept);
    }

    /// Hands on what there was no room for.
    fn take_ahead(&mut self, link: &Link, plain: &mut ReadBuf<'_>) {
        while self.end.is_none() && plain.remaining() > 0 {
            if let Some(part) = self.part.take() {
                self.part = self.take_part(link, part, plain);
                continue;
            }
            match self.decoder.decode(&mut self.ahead, self.at) {
                Ok((_, None)) => {
                    (self.ahead, self.at) = (Vec::new(), 0);
                    return;
                }
                Ok((end, Some(piece))) => {
                    self.at = end;
                    match piece {
                        Piece::Data(data) => self.part = Some(data),
                        piece => self.end = handle(link, piece),
                    }
                }
                Err(error) => {
                    self.end = Some(broken(link, error.to_string(), Farewell::to_protocol_error(&error)));
                }
            }
        }
    }

    /// Hands on a part of a message, as far as there is room. Gives the rest.
    fn take_part(&mut self, link: &Link, mut part: Data, plain: &mut ReadBuf<'_>) -> Option<Data> {
        if !part.compressed {
            let len = part.range.len().min(plain.remaining());
            plain.put_slice(&self.ahead[part.range.start..][..len]);
            part.range.start += len;
            return Some(part).filter(|part| !part.range.is_empty());
        }
        let (inflater, total) = self.message.get_or_insert_with(|| (inflater(), 0));
        let mut input = &self.ahead[part.range.clone()];
        match inflater.inflate(&mut input, part.last, plain.initialize_unfilled()) {
            Ok((written, step)) => {
                part.range.start = part.range.end - input.len();
                plain.advance(written);
                *total += written;
                if *total > self.max_message {
                    let why = "a compressed message is larger than the maximum payload allows".to_owned();
                    self.end = Some(broken(link, why, Farewell::too_big()));
                } else if step == Step::Full {
                    return Some(part);
                } else if step == Step::Done
                    && let Some((inflater, _)) = self.message.take()
                {
                    give_back(inflater);
                }
            }
            Err(error) => {
                let why = error.to_string();
                self.end = Some(broken(link, why.clone(), Farewell::invalid_payload(&why)));
            }
        }
        None
    }
}

fn inflater() -> Inflater {
    let mut inflater = POOL.with_borrow_mut(Vec::pop).unwrap_or_default();
    inflater.reset();
    inflater
}

fn give_back(inflater: Inflater) {
    POOL.with_borrow_mut(|pool| {
        if pool.len() < POOLED {
            pool.push(inflater);
        }
    });
}

/// Answers a control frame.
fn handle(link: &Link, piece: Piece<'_>) -> Option<End> {
    match piece {
        Piece::Ping(payload) => {
            if let Some(sink) = link.outbound().websocket() {
                sink.answer_ping(payload);
            }
            link.flush();
            None
        }
        Piece::Close(farewell) => {
            if let Some(sink) = link.outbound().websocket() {
                sink.say_goodbye(farewell);
            }
            Some(End::Closed)
        }
        Piece::Pong | Piece::Data(_) => None,
    }
}

fn broken(link: &Link, why: String, farewell: Farewell) -> End {
    log::error!("{} - read error: {why}", link.describe());
    if let Some(sink) = link.outbound().websocket() {
        sink.say_goodbye(farewell);
    }
    End::Broken(why)
}
