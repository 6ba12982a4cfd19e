//! Who is written to too slowly.

use natsd_core::compression::stream::Unpacker;

use super::*;

#[test]
fn who_takes_something_in_time_may_go_on() {
    let deadline = Duration::from_secs(10);
    let limits = |retry| OutboundLimits { max_pending: 100, stall_at: 100, write_deadline: deadline, retry };
    let late = |retry, written: usize| {
        let mut out = Outbound::new(Sink::Task);
        out.buffer().extend_from_slice(&[0; 10]);
        assert_eq!(out.flush(&limits(retry)), Flushed::Later);
        assert_eq!(out.check_deadline(Instant::now(), &limits(retry)), None);
        if written > 0 {
            out.wrote(written, &limits(retry));
        }
        let due = out.deadline().expect("something waits");
        (out.check_deadline(due, &limits(retry)), out)
    };
    let said = |again, waited, cut| Some(Late { again, waited, cut });
    for (retry, written) in [(false, 0), (false, 3), (true, 0)] {
        let (late, mut out) = late(retry, written);
        assert_eq!(late, said(false, 10, true));
        assert_eq!(out.closing(), Some(&CloseReason::SlowConsumerWriteDeadline));
        assert_eq!(out.take_recovery(), None);
    }
    let (first, mut out) = late(true, 3);
    assert_eq!(first, said(false, 10, false));
    assert!(!out.is_closing() && out.take_recovery().is_none());
    out.wrote(1, &limits(true));
    let due = out.deadline().expect("something waits");
    assert_eq!(out.check_deadline(due, &limits(true)), said(true, 7, false));
    out.wrote(6, &limits(true));
    assert!(out.take_recovery().is_some() && out.take_recovery().is_none());
}

/// A stream that takes so many bytes at a time, and keeps them.
struct Narrow {
    taken: Vec<u8>,
    at_a_time: usize,
}

impl tokio::io::AsyncWrite for Narrow {
    fn poll_write(mut self: std::pin::Pin<&mut Self>, _cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let taken = bytes.len().min(self.at_a_time);
        self.taken.extend_from_slice(&bytes[..taken]);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: std::pin::Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: std::pin::Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Writes what waits and returns it; what is not said of it is in `out` no more.
fn written(out: &mut Outbound, at_a_time: usize) -> Vec<u8> {
    let limits = OutboundLimits {
        max_pending: 1 << 20,
        stall_at: 1 << 20,
        write_deadline: Duration::from_secs(10),
        retry: false,
    };
    let (mut stream, mut cx) = (Narrow { taken: Vec::new(), at_a_time }, Context::from_waker(Waker::noop()));
    assert!(matches!(out.poll_to(&mut cx, &mut stream, &limits), Poll::Ready(Ok(()))));
    assert_eq!((out.pending(), out.is_closing()), (0, false));
    stream.taken
}

#[test]
fn what_is_appended_after_it_is_agreed_on_is_compressed() {
    for at_a_time in [1, 7, usize::MAX] {
        let mut out = Outbound::new(Sink::Task);
        out.buffer().extend_from_slice(b"INFO {}\r\n");
        out.set_compression(Status::On(Level::Fast));
        out.buffer().extend_from_slice(&[b'x'; 10_000]);
        let mut sent = written(&mut out, at_a_time);
        out.set_level(Level::Best);
        out.buffer().extend_from_slice(&[b'y'; 10_000]);
        sent.extend(written(&mut out, at_a_time));
        let packed = sent.strip_prefix(b"INFO {}\r\n").expect("it was said before");
        let (mut unpacker, mut plain) = (Unpacker::default(), Vec::new());
        unpacker.feed(packed);
        while unpacker.unpack(&mut plain).expect("a stream") {}
        assert!(plain == [[b'x'; 10_000], [b'y'; 10_000]].concat() && packed.len() < 200, "{at_a_time}");
    }
}

#[test]
fn what_was_packed_when_a_connection_was_cut_is_forgotten() {
    let mut out = Outbound::new(Sink::Task);
    out.set_compression(Status::On(Level::Fast));
    out.buffer().extend_from_slice(&[b'x'; 100]);
    assert!(!front(&mut out.packer, &out.buffer).is_empty());
    out.close(CloseReason::WriteError);
    assert!(front(&mut out.packer, &out.buffer).is_empty());
}
