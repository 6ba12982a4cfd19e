//! Who is written to too slowly.

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
