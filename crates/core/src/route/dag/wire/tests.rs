use proptest::prelude::*;

use super::super::{MAX_HOPS, graph};
use super::*;
use crate::route::wire::{self, Read, Reader};

fn op(input: &[u8]) -> Op<'_> {
    match Reader::default().read(input) {
        Ok(Read::Op(wire::Op::Dag(op), len)) if len == input.len() => op,
        other => panic!("{other:?}"),
    }
}

/// A busy server has changed its interest more than a billion times in the end.
#[test]
fn changes_are_counted_for_ever() {
    let interest = Interest { origin: None, account: Some(b"A"), subject: b"a", queue: None, weight: 1 };
    for number in [999_999_999, 1_000_000_000, 999_999_999_999_999_999] {
        let mut out = Vec::new();
        write_change(&mut out, Node(1), number, &interest);
        assert_eq!(op(&out), Op::Change { origin: Node(1), number, interest });
    }
    let too_long = b"DSUB 0000000000000001 1000000000000000000 A a 1\r\n";
    assert!(Reader::default().read(too_long).is_err());
}

#[test]
fn every_line_is_read_as_it_is_written() {
    let (node, mut out) = (Node(0x1f), Vec::new());
    let record = graph::Record { version: 7, name: "s1".into(), neighbours: [Node(2), Node(1 << 63)].into() };
    write_record(&mut out, node, &record);
    assert_eq!(out, b"DREC 000000000000001f 7 s1 0000000000000002 8000000000000000\r\n");
    let Op::Record(read) = op(&out) else { panic!("a record") };
    assert_eq!((read.node, read.version, read.name), (node, 7, &b"s1"[..]));
    assert_eq!(read.neighbours().collect::<Vec<_>>(), [Node(2), Node(1 << 63)]);

    let plain = Interest { origin: None, account: Some(b"A"), subject: b"a.*", queue: None, weight: 1 };
    let group = Interest { origin: Some(b"L"), queue: Some(b"q"), weight: 0, ..plain };
    let lines =
        [(plain, &b"DSUB 000000000000001f 3 A a.* 1\r\n"[..]), (group, b"DLSUB 000000000000001f 3 L A a.* 0 q\r\n")];
    for (interest, line) in lines {
        let mut out = Vec::new();
        write_change(&mut out, node, 3, &interest);
        assert_eq!(out, line);
        assert_eq!(op(&out), Op::Change { origin: node, number: 3, interest });
    }
    let mut out = Vec::new();
    write_entry(&mut out, &plain);
    assert_eq!((&out[..], op(&out)), (&b"DHAS A a.* 1\r\n"[..], Op::Entry(plain)));
    let mut out = Vec::new();
    write_all(&mut out, node, 4, 2);
    assert_eq!(op(&out), Op::All { origin: node, number: 4, count: 2 });
    let mut out = Vec::new();
    write_ask(&mut out, node);
    assert_eq!(op(&out), Op::Ask(node));
}

#[test]
fn lines_that_cannot_be_right_are_refused() {
    for line in [
        "DREC 1f 7 s1",
        "DREC 000000000000001f x s1",
        "DREC 000000000000001f 7",
        "DREC 000000000000001f 7 s1 zz",
        "DREC +00000000000001f 7 s1",
        "DSUB 000000000000001f 3 A",
        "DSUB 000000000000001f 3 A a 1 q q",
        "DSUB 000000000000001f 3 A a -1",
        "DHAS A a 0",
        "DLHAS A a 1",
        "DALL 000000000000001f 1",
        "DASK",
        "DASK 000000000000001f 1",
        "DMSG 300 . A a 0 0 000000000000001f+0",
        "DMSG 3 x A a 0 0 000000000000001f+0",
        "DMSG 3 . A a 0 0",
        "DMSG 3 . A a 1 0 000000000000001f+0",
        "DMSG 3 . A a 0 0 000000000000001f+1",
        "DMSG 3 . A a 0 0 000000000000001f*0",
        "DMSG 3 . A a 0 0 000000000000001f+0 more",
        "DMSG 3 r A a 0 0 000000000000001f+0",
    ] {
        let error = Reader::default().read(format!("{line}\r\n\r\n").as_bytes()).expect_err(line);
        assert!(matches!(error, WireError::Malformed(_)), "{line}: {error:?}");
    }
}

#[test]
fn there_are_no_more_servers_in_a_line_than_a_cluster_may_have() {
    for (count, fits) in [(MAX_STOPS, true), (MAX_STOPS + 1, false)] {
        let (mut stops, mut out) = (Vec::new(), Vec::new());
        (0..count).for_each(|node| write_stop(&mut stops, Node(node as u64), true, std::iter::empty()));
        Message::new(b"A", (b"a", None), None, (0, b""), MAX_HOPS).write(&mut out, &stops);
        assert_eq!(Reader::default().read(&out).is_ok(), fits);
        let neighbours = (0..count).map(|node| Node(node as u64)).collect();
        let (mut out, record) = (Vec::new(), graph::Record { version: 1, name: "s".into(), neighbours });
        write_record(&mut out, Node(1), &record);
        assert_eq!(Reader::default().read(&out).is_ok(), fits);
    }
}

proptest! {
    #[test]
    fn messages_are_read_as_they_are_written(
        subject in "[a-z]{1,5}(\\.[a-z]{1,5}){0,3}",
        reply in proptest::option::of("[-a-z]{1,9}"),
        leafs in proptest::option::of("[-a-z]{1,9}"),
        stops in proptest::collection::vec((any::<u64>(), any::<bool>(), proptest::collection::vec("[-+0-9a-z]{1,4}", 0..3)), 1..5),
        body in proptest::collection::vec(any::<u8>(), 0..300),
        header_share in 0.0f64..1.0,
        hops: u8,
    ) {
        let header_len = (body.len() as f64 * header_share) as usize;
        let (reply, leafs) = (reply.as_deref().map(str::as_bytes), leafs.as_deref().map(str::as_bytes));
        let message = Message::new(b"$G", (subject.as_bytes(), reply), leafs, (header_len, &body), hops);
        let (mut out, mut written) = (Vec::new(), Vec::new());
        for (node, plain, queues) in &stops {
            write_stop(&mut written, Node(*node), *plain, queues.iter().map(|queue| queue.as_bytes()));
        }
        message.write(&mut out, &written);
        let Op::Message(read) = op(&out) else { return Err(TestCaseError::fail("not a message")) };
        let again: Vec<_> = read.stops().map(|stop| {
            let text = |queue: &[u8]| String::from_utf8_lossy(queue).into_owned();
            (stop.node.0, stop.plain, stop.queues.map(text).collect::<Vec<_>>())
        }).collect();
        prop_assert_eq!(again, stops);
        prop_assert_eq!((read.hops, read.account, read.subject, read.reply), (hops, &b"$G"[..], subject.as_bytes(), reply));
        prop_assert_eq!((read.leafs, read.header_len, read.body), (leafs, header_len, &body[..]));
        for len in 0..out.len() {
            let needs_more = matches!(Reader::default().read(&out[..len]), Ok(Read::Need(need)) if need > len);
            prop_assert!(needs_more);
        }
    }

    #[test]
    fn any_bytes_are_read(verb in "D(REC|SUB|LSUB|ALL|HAS|LHAS|ASK|MSG)", args in proptest::collection::vec(any::<u8>(), 0..80)) {
        let line = [verb.as_bytes(), b" ", &args, b"\r\n\r\n"].concat();
        if let Ok(Read::Op(wire::Op::Dag(Op::Message(message)), _)) = Reader::default().read(&line) {
            prop_assert!((1..=MAX_STOPS).contains(&message.stops().count()));
        }
    }
}
