//! `/eventz`: what happens, as server-sent events, or with `stream=0` what happened lately as one document.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::{Duration, SystemTime};

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use natsd_api::{EVENTS_VERSION, Event, EventKind, EventsHello, Eventz, to_compact_json, to_json};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::params::{ParamError, Params};
use super::{Answer, Context, Pairs};
use crate::journal::{Journal, Page, Wanted};

/// Streams at a time, so that documents can still be asked for.
pub(super) const STREAMS: usize = 64;
const PACE: Pace = Pace { keep_alive: Duration::from_secs(15), patience: Duration::from_secs(10) };
/// After so many milliseconds a reader comes back by itself.
const RETRY: u32 = 1000;

/// The document, for those who do not ask over HTTP as well.
pub(super) fn document(context: &Context, params: &Params) -> Answer {
    let asked = || Ok((params.unsigned("since")?, wanted(params)?));
    match asked() {
        Err(error) => Answer::refusal(error),
        Ok((since, wanted)) => {
            let page = context.inspect.journal().after(since, &wanted);
            let head = hello(context, &page);
            Answer::json(to_json(&Eventz { head, events: page.events }))
        }
    }
}

/// Streams, unless a document is wanted.
pub(super) async fn serve(
    State(context): State<Arc<Context>>,
    headers: HeaderMap,
    query: Result<Pairs, QueryRejection>,
) -> Response {
    let params = Params(query.map(|Query(pairs)| pairs).unwrap_or_default());
    let answer = tokio::task::spawn_blocking(move || {
        if !context.admits(&headers) {
            return Err(Answer::unauthorized());
        }
        context.count("/eventz");
        match (params.get("stream"), params.bool("stream")) {
            (_, Err(error)) => Err(Answer::refusal(error)),
            ("", _) | (_, Ok(true)) => begin(&context, &headers, &params),
            _ => Err(document(&context, &params)),
        }
    });
    match answer.await {
        Ok(Ok(stream)) => stream.into_response(),
        Ok(Err(answer)) => answer.into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// A stream from where the reader left off: `Last-Event-ID` is what browsers send when they come back.
fn begin(context: &Context, headers: &HeaderMap, params: &Params) -> Result<Stream, Answer> {
    let wanted = wanted(params).map_err(Answer::refusal)?;
    let since = params.unsigned("since").map_err(Answer::refusal)?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.trim().parse().ok());
    let seat = context.streams.clone().try_acquire_owned().map_err(|_| {
        Answer::text(StatusCode::SERVICE_UNAVAILABLE, format!("there are {STREAMS} streams of events already\n"))
    })?;
    let journal = context.inspect.journal();
    let page = journal.after(last.unwrap_or(since), &wanted);
    let hello = to_compact_json(&hello(context, &page));
    let first = format!("retry: {RETRY}\n\nevent: hello\ndata: {hello}\n\n");
    Ok(Stream { journal, page, wanted, first, seat })
}

fn hello(context: &Context, page: &Page) -> EventsHello {
    EventsHello {
        version: EVENTS_VERSION,
        server_id: context.inspect.server_id(),
        server_name: context.inspect.server_name(),
        now: SystemTime::now().into(),
        last: page.last,
        missed: page.missed,
    }
}

/// The kinds named by `kind`, any number of times; all without.
fn wanted(params: &Params) -> Result<Wanted, ParamError> {
    let kind = |word: &str| {
        let known = EventKind::ALL.iter().find(|kind| kind.as_str() == word).copied();
        known.ok_or_else(|| ParamError::EventKind(word.to_owned()))
    };
    params.all("kind").map(kind).collect::<Result<_, _>>().map(Wanted)
}

#[derive(Clone, Copy)]
struct Pace {
    /// Between two signs of life when nothing happens.
    keep_alive: Duration,
    /// Whoever takes nothing for so long is too slow.
    patience: Duration,
}

struct Stream {
    journal: Arc<Journal>,
    page: Page,
    wanted: Wanted,
    first: String,
    seat: OwnedSemaphorePermit,
}

impl IntoResponse for Stream {
    fn into_response(self) -> Response {
        let Self { journal, page, wanted, first, seat } = self;
        let (sender, frames) = mpsc::channel(1);
        tokio::spawn(feed(journal, page, wanted, first, PACE, sender));
        let mut response = Response::new(Body::new(Frames { frames, _seat: seat }));
        for (name, value) in [
            (header::CONTENT_TYPE, "text/event-stream"),
            (header::CACHE_CONTROL, "no-store"),
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        ] {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// Tells what happens until the reader is gone, or too slow: it takes nothing for all of our patience, or what it has not had yet
/// is forgotten. It may come back, and is told then that it missed something.
async fn feed(
    journal: Arc<Journal>,
    mut page: Page,
    wanted: Wanted,
    first: String,
    pace: Pace,
    sender: mpsc::Sender<Bytes>,
) {
    let mut news = journal.subscribe();
    let mut text = first;
    loop {
        text.extend(page.events.iter().map(event_text));
        if !text.is_empty() && sender.send_timeout(std::mem::take(&mut text).into(), pace.patience).await.is_err() {
            return;
        }
        let last = page.last;
        tokio::select! {
            changed = news.wait_for(|newest| *newest > last) => if changed.is_err() { return },
            () = tokio::time::sleep(pace.keep_alive) => text.push_str(": nothing new\n\n"),
            () = sender.closed() => return,
        }
        page = journal.after(last, &wanted);
        if page.missed {
            return;
        }
    }
}

fn event_text(event: &Event) -> String {
    format!("id: {}\nevent: {}\ndata: {}\n\n", event.id, event.kind.as_str(), to_compact_json(event))
}

/// What `feed` sends, as a body.
struct Frames {
    frames: mpsc::Receiver<Bytes>,
    _seat: OwnedSemaphorePermit,
}

impl hyper::body::Body for Frames {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.frames.poll_recv(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::JoinHandle;

    use super::*;

    fn event(kind: EventKind) -> Event {
        Event { kind, text: "with \"quotes\"\nand lines".into(), ..Event::default() }
    }

    fn fed(journal: &Arc<Journal>) -> (JoinHandle<()>, mpsc::Receiver<Bytes>) {
        let (sender, frames) = mpsc::channel(1);
        let page = journal.after(0, &Wanted::default());
        let pace = Pace { keep_alive: Duration::from_millis(2), patience: Duration::from_millis(20) };
        let task = feed(journal.clone(), page, Wanted::default(), "hello\n\n".into(), pace, sender);
        (tokio::spawn(task), frames)
    }

    #[tokio::test]
    async fn a_reader_that_takes_nothing_is_dropped() {
        let journal = Arc::new(Journal::new(SystemTime::UNIX_EPOCH));
        let (task, mut frames) = fed(&journal);
        task.await.expect("it ends by itself");
        assert_eq!(frames.recv().await.expect("what waited"), "hello\n\n");
        assert_eq!(frames.recv().await, None);
    }

    #[tokio::test]
    async fn a_reader_that_missed_events_is_dropped_and_one_that_keeps_up_is_not() {
        let journal = Arc::new(Journal::new(SystemTime::UNIX_EPOCH));
        journal.add(event(EventKind::Up));
        let (_task, mut frames) = fed(&journal);
        let first = frames.recv().await.expect("hello");
        assert!(first.starts_with(b"hello\n\nid: 1\nevent: up\ndata: {"), "{first:?}");
        assert_eq!(first.iter().filter(|byte| **byte == b'\n').count(), 6, "an event is three lines: {first:?}");
        assert_eq!(frames.recv().await.expect("a sign of life"), ": nothing new\n\n");
        // The feed does not run meanwhile: there is one thread, and it is here.
        for _ in 0..5000 {
            journal.add(event(EventKind::Down));
        }
        while let Some(frame) = frames.recv().await {
            assert_eq!(frame, ": nothing new\n\n");
        }
    }
}
