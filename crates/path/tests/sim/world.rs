//! Two natsd hosts and the paths between them, in simulated time.
//!
//! Each host has a path manager and drives it as the real driver does: it sends numbered messages over its active
//! path (and the hedge, if there is one), acknowledges what it receives, answers probes over the reverse of the path
//! they came on, replays what is unacknowledged on a switch, and retransmits after a backed-off timeout as QUIC does.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::{Duration, Instant};

use natsd_path::{
    Candidate, Config, Delivery, Event, EventKind, Fingerprint, Interface, IsdAs, Kind, Manager, PathId, PathReport,
    Policy, Preference, Scmp, State,
};

pub(crate) const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// All paths may be used, by this preference.
pub(crate) fn preferring(preference: &str) -> Policy {
    preference.parse::<Preference>().expect("a preference").into()
}

pub(crate) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// What a path does to packets. A direction is named by the sending side: 0 or 1.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) kind: Kind,
    /// One way.
    pub(crate) delay: Duration,
    /// Added at random to each packet, up to this.
    pub(crate) jitter: Duration,
    /// Share of packets lost, each way.
    pub(crate) loss: f64,
    /// Packets larger than this vanish.
    pub(crate) hole: usize,
    pub(crate) cut: [bool; 2],
    /// Routers answer packets that meet a cut.
    pub(crate) scmp: bool,
    /// Daemons announce the delay.
    pub(crate) announced: bool,
    pub(crate) bandwidth: Option<u64>,
    /// What it really carries each way, kbit/s; more waits in a queue.
    pub(crate) rate: Option<u64>,
    /// When the queue of each way will be empty.
    pub(crate) busy_until: [Option<Instant>; 2],
    /// Extra interfaces, shared by the links with the same number.
    pub(crate) shares: Option<u16>,
    /// How long after the lookup the path expires.
    pub(crate) expiry: Option<Duration>,
    /// The TCP connection is up.
    pub(crate) opened: bool,
}

impl Link {
    /// A SCION path with this round-trip time that loses nothing and is announced.
    pub(crate) fn rtt(rtt: Duration) -> Self {
        Self {
            kind: Kind::Scion,
            delay: rtt / 2,
            jitter: Duration::ZERO,
            loss: 0.0,
            hole: usize::MAX,
            cut: [false; 2],
            scmp: false,
            announced: true,
            bandwidth: None,
            rate: None,
            busy_until: [None; 2],
            shares: None,
            expiry: None,
            opened: false,
        }
    }

    /// The TCP/IP fallback; connecting takes two round trips more.
    pub(crate) fn tcp(rtt: Duration) -> Self {
        Self { kind: Kind::Tcp, ..Self::rtt(rtt) }
    }
}

#[derive(Clone, Copy)]
enum Payload {
    Probe(u64, bool),
    Reply(u64),
    Message(u64),
    Ack(u64),
    Scmp(Scmp),
}

struct Packet {
    to: usize,
    link: usize,
    size: usize,
    payload: Payload,
}

struct Tally {
    path: Option<PathId>,
    next: Instant,
    sent: u64,
    lost: u64,
    delivery: Delivery,
}

pub(crate) struct Host {
    pub(crate) manager: Manager,
    pub(crate) events: Vec<Event>,
    /// Answers probes (a foreign peer does not).
    pub(crate) answers_probes: bool,
    /// Sends a message of the size this often.
    traffic: Option<(Duration, usize)>,
    pub(crate) probes_sent: usize,
    /// Messages are not larger than this; as QUIC, it falls to 1200 when four larger ones in a row were lost and smaller ones passed.
    pub(crate) mtu: usize,
    suspicious: u32,
    /// Bytes of these, with 120 of headers each.
    pub(crate) probe_bytes: u64,
    next_message: Option<Instant>,
    sequence: u64,
    unacked: BTreeMap<u64, usize>,
    retransmit: Option<(Instant, Duration)>,
    received: BTreeSet<u64>,
    last_delivery: Option<Instant>,
    pub(crate) longest_gap: Duration,
    /// Messages that may be unacknowledged; more wait.
    pub(crate) window: usize,
    hedge: Option<PathId>,
    last_ack: Option<u64>,
    /// Messages sent over the active path of late, and how many of them were lost.
    tally: Tally,
    ids: BTreeMap<PathId, usize>,
}

pub(crate) struct World {
    pub(crate) start: Instant,
    pub(crate) now: Instant,
    pub(crate) links: Vec<Link>,
    pub(crate) hosts: [Host; 2],
    heap: BinaryHeap<Reverse<(Instant, u64)>>,
    packets: BTreeMap<u64, Packet>,
    serial: u64,
    random: u64,
}

impl World {
    pub(crate) fn new(links: Vec<Link>) -> Self {
        Self::with_config(links, Config::default())
    }

    pub(crate) fn with_config(links: Vec<Link>, config: Config) -> Self {
        Self::with_configs(links, [config.clone(), config])
    }

    /// Each host with a configuration of its own.
    #[expect(clippy::disallowed_methods, reason = "a jumping clock has to start somewhere")]
    pub(crate) fn with_configs(links: Vec<Link>, [first, second]: [Config; 2]) -> Self {
        let start = Instant::now() + secs(3600);
        let host = |config, seed| Host {
            manager: Manager::new(config, seed),
            events: Vec::new(),
            answers_probes: true,
            traffic: None,
            probes_sent: 0,
            mtu: usize::MAX,
            suspicious: 0,
            probe_bytes: 0,
            next_message: None,
            sequence: 0,
            unacked: BTreeMap::new(),
            retransmit: None,
            received: BTreeSet::new(),
            last_delivery: None,
            longest_gap: Duration::ZERO,
            window: usize::MAX,
            hedge: None,
            last_ack: None,
            tally: Tally { path: None, next: start, sent: 0, lost: 0, delivery: Delivery::default() },
            ids: BTreeMap::new(),
        };
        let mut world = Self {
            start,
            now: start,
            links,
            hosts: [host(first, 1), host(second, 2)],
            heap: BinaryHeap::new(),
            packets: BTreeMap::new(),
            serial: 0,
            random: 0x1234_5678_9abc_def1,
        };
        world.lookup();
        world
    }

    /// Both hosts look up their paths.
    pub(crate) fn lookup(&mut self) {
        let all: Vec<usize> = (0..self.links.len()).collect();
        self.offer(&all);
    }

    /// A lookup that lists only these links.
    pub(crate) fn offer(&mut self, listed: &[usize]) {
        for side in 0..2 {
            let set: Vec<Candidate> = listed.iter().map(|link| self.candidate(*link)).collect();
            self.hosts[side].manager.handle_paths(self.now, &set);
            self.learn_ids(side);
            self.drain(side);
        }
    }

    fn learn_ids(&mut self, side: usize) {
        for link in 0..self.links.len() {
            if let Some(id) = self.hosts[side].manager.id_of(self.candidate(link).fingerprint) {
                self.hosts[side].ids.insert(id, link);
            }
        }
    }

    /// Host `side` wants this from now on.
    pub(crate) fn want(&mut self, side: usize, policy: Policy) {
        self.hosts[side].manager.set_policy(self.now, policy);
        self.learn_ids(side);
        self.drain(side);
    }

    /// Other lanes of host `side` use these interfaces.
    pub(crate) fn crowd(&mut self, side: usize, interfaces: &[Interface]) {
        self.hosts[side].manager.handle_crowd(self.now, interfaces);
        self.drain(side);
    }

    /// The local send of host `side` fails on its active path.
    pub(crate) fn fail_send(&mut self, side: usize) {
        if let Some(id) = self.hosts[side].manager.active() {
            self.hosts[side].manager.handle_send_error(self.now, id);
        }
        self.drain(side);
    }

    fn candidate(&self, index: usize) -> Candidate {
        let link = &self.links[index];
        if link.kind == Kind::Tcp {
            return Candidate::tcp();
        }
        let interface = |asn: u64, id| Interface { isd_as: IsdAs(1 << 48 | 0xff00_0000_0000 | asn), id };
        let mut interfaces = vec![interface(0x111, index as u16 + 1), interface(0x112, index as u16 + 1)];
        if let Some(shared) = link.shares {
            interfaces.insert(1, interface(0x110, shared));
            interfaces.insert(1, interface(0x110, 1000 + index as u16));
        }
        Candidate {
            fingerprint: Fingerprint::of(&interfaces),
            kind: Kind::Scion,
            interfaces,
            mtu: 1472,
            overhead: 72,
            expiry: link.expiry.map(|left| self.start + left),
            latency: link.announced.then_some(link.delay),
            bandwidth: link.bandwidth,
            ..Candidate::tcp()
        }
    }

    /// The interface that the links sharing `number` cross.
    pub(crate) fn shared_interface(number: u16) -> Interface {
        Interface { isd_as: IsdAs(1 << 48 | 0xff00_0000_0110), id: number }
    }

    pub(crate) fn cut(&mut self, link: usize) {
        self.links[link].cut = [true; 2];
    }

    pub(crate) fn restore(&mut self, link: usize) {
        self.links[link].cut = [false; 2];
    }

    pub(crate) fn traffic(&mut self, side: usize, every: Duration, size: usize) {
        self.hosts[side].traffic = Some((every, size));
        self.hosts[side].next_message = Some(self.now);
    }

    pub(crate) fn stop_traffic(&mut self, side: usize) {
        self.hosts[side].traffic = None;
        self.hosts[side].next_message = None;
    }

    /// The link that carries a host's traffic.
    pub(crate) fn active(&self, side: usize) -> Option<usize> {
        let host = &self.hosts[side];
        host.manager.active().map(|id| host.ids[&id])
    }

    /// The link that carries a host's traffic as well.
    pub(crate) fn hedge(&self, side: usize) -> Option<usize> {
        let host = &self.hosts[side];
        host.hedge.map(|id| host.ids[&id])
    }

    pub(crate) fn switches(&self, side: usize) -> Vec<EventKind> {
        self.kinds(side, |kind| matches!(kind, EventKind::Switch { from: Some(_), .. }))
    }

    pub(crate) fn kinds(&self, side: usize, wanted: impl Fn(&EventKind) -> bool) -> Vec<EventKind> {
        self.hosts[side].events.iter().map(|event| event.kind).filter(|kind| wanted(kind)).collect()
    }

    /// Forgets what has happened so far.
    pub(crate) fn forget(&mut self) {
        for host in &mut self.hosts {
            host.events.clear();
            host.longest_gap = Duration::ZERO;
            host.probes_sent = 0;
            host.probe_bytes = 0;
        }
    }

    pub(crate) fn report(&self, side: usize, link: usize) -> PathReport {
        let host = &self.hosts[side];
        let mut reports = host.manager.report(self.now).into_iter();
        reports.find(|report| host.ids[&report.id] == link).expect("the link's path is known")
    }

    pub(crate) fn state(&self, side: usize, link: usize) -> State {
        self.report(side, link).state
    }

    /// Messages that host `from` has sent and the other has not got.
    pub(crate) fn undelivered(&self, from: usize) -> usize {
        let sent = self.hosts[from].sequence as usize;
        sent - self.hosts[1 - from].received.len()
    }

    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.next_instant().filter(|next| *next <= end) {
            assert!(next >= self.now, "time does not go back");
            self.now = next;
            self.deliver_due();
            for side in 0..2 {
                self.act(side);
            }
        }
        self.now = end;
    }

    /// Runs until the condition holds; returns how long that took. Panics after `deadline`.
    pub(crate) fn run_until(&mut self, deadline: Duration, done: impl Fn(&World) -> bool) -> Duration {
        let begin = self.now;
        while !done(self) {
            assert!(self.now < begin + deadline, "not within {deadline:?}; events: {:#?}", self.hosts[0].events);
            self.run(ms(1));
        }
        self.now - begin
    }

    fn next_instant(&self) -> Option<Instant> {
        let timers = self
            .hosts
            .iter()
            .flat_map(|host| [host.manager.poll_timeout(), host.next_message, host.retransmit.map(|(at, _)| at)]);
        timers.flatten().chain(self.heap.peek().map(|Reverse((at, _))| *at)).min().map(|at| at.max(self.now))
    }

    fn deliver_due(&mut self) {
        while let Some(Reverse((at, serial))) = self.heap.peek().copied() {
            if at > self.now {
                break;
            }
            self.heap.pop();
            let packet = self.packets.remove(&serial).expect("each scheduled packet exists once");
            self.receive(packet);
        }
    }

    fn receive(&mut self, packet: Packet) {
        let side = packet.to;
        let now = self.now;
        let host = &mut self.hosts[side];
        let Some(id) = host.ids.iter().find(|(_, link)| **link == packet.link).map(|(id, _)| *id) else { return };
        match packet.payload {
            Payload::Probe(token, unanswered) if host.answers_probes => {
                if unanswered {
                    host.manager.handle_peer_deaf(now, id);
                }
                self.send(side, packet.link, packet.size, Payload::Reply(token));
            }
            Payload::Probe(..) => {}
            Payload::Reply(token) => {
                host.manager.handle_probe_reply(now, token);
            }
            Payload::Scmp(scmp) => host.manager.handle_scmp(now, id, scmp),
            Payload::Message(number) => {
                if host.received.insert(number) {
                    let gap = host.last_delivery.map_or(Duration::ZERO, |last| now - last);
                    host.longest_gap = host.longest_gap.max(gap);
                    host.last_delivery = Some(now);
                }
                host.manager.handle_received(now, id, 1);
                self.drain(side);
                self.hosts[side].last_ack = Some(number);
                self.send_active(side, 40, Payload::Ack(number));
            }
            Payload::Ack(number) => {
                let held_back = host.unacked.len() + 1 >= host.window;
                if let Some(size) = host.unacked.remove(&number) {
                    host.tally.delivery.bytes += size as u64;
                    host.tally.delivery.limited += if held_back { size as u64 } else { 0 };
                    if size > 1200 {
                        host.suspicious = 0;
                    }
                }
                host.retransmit = None;
                host.manager.handle_acknowledgement(now, id);
                host.manager.handle_received(now, id, 1);
            }
        }
        self.drain(side);
    }

    /// As QUIC does, tells the manager once a second what was lost and what was delivered, unless traffic has moved meanwhile.
    fn tell_losses(&mut self, side: usize) {
        let now = self.now;
        let host = &mut self.hosts[side];
        if host.tally.next > now {
            return;
        }
        let active = host.manager.active();
        let next = Tally { path: active, next: now + secs(1), sent: 0, lost: 0, delivery: Delivery::default() };
        let tally = std::mem::replace(&mut host.tally, next);
        if let Some(path) = active.filter(|_| tally.path == active) {
            host.manager.handle_loss(now, path, tally.sent, tally.lost);
            host.manager.handle_delivery(now, path, &Delivery { over: secs(1), ..tally.delivery });
            self.drain(side);
        }
    }

    fn act(&mut self, side: usize) {
        let now = self.now;
        self.tell_losses(side);
        if self.hosts[side].manager.poll_timeout().is_some_and(|at| at <= now) {
            self.hosts[side].manager.handle_timeout(now);
            let next = self.hosts[side].manager.poll_timeout();
            assert!(next.is_none_or(|next| next > now), "the next timeout is in the future");
            self.drain(side);
        }
        if let (Some(at), Some((every, size))) = (self.hosts[side].next_message, self.hosts[side].traffic)
            && at <= now
        {
            let host = &mut self.hosts[side];
            if host.unacked.len() >= host.window {
                host.next_message = Some(now + ms(1));
                return self.retransmit(side);
            }
            host.next_message = Some(now + every);
            let number = host.sequence;
            host.sequence += 1;
            let size = size.min(host.mtu);
            host.unacked.insert(number, size);
            self.send_active(side, size, Payload::Message(number));
            self.arm(side);
        }
        self.retransmit(side);
    }

    fn retransmit(&mut self, side: usize) {
        let now = self.now;
        if let Some((at, wait)) = self.hosts[side].retransmit
            && at <= now
        {
            self.probe_loss(side);
            self.hosts[side].retransmit = Some((now + wait * 2, wait * 2));
        }
        self.arm(side);
    }

    /// Sends the two oldest again, in packets that pass wherever QUIC works.
    fn probe_loss(&mut self, side: usize) {
        let host = &mut self.hosts[side];
        let oldest: Vec<_> = host.unacked.iter().take(2).map(|(n, size)| (*n, *size)).collect();
        for (number, size) in oldest {
            let host = &mut self.hosts[side];
            host.suspicious += u32::from(size > 1200);
            host.unacked.insert(number, size.min(1200));
            self.send_active(side, size.min(1200), Payload::Message(number));
        }
        if self.hosts[side].suspicious >= 4 && self.hosts[side].mtu > 1200 {
            self.hosts[side].mtu = 1200;
            self.replay(side, usize::MAX);
        }
    }

    fn arm(&mut self, side: usize) {
        let host = &mut self.hosts[side];
        if host.unacked.is_empty() {
            host.retransmit = None;
        } else if host.retransmit.is_none() {
            host.retransmit = Some((self.now + ms(200), ms(200)));
        }
    }

    fn replay(&mut self, side: usize, most: usize) {
        let again: Vec<_> = self.hosts[side].unacked.iter().take(most).map(|(n, size)| (*n, *size)).collect();
        for (number, size) in again {
            let size = size.min(self.hosts[side].mtu);
            self.send_active(side, size, Payload::Message(number));
        }
    }

    /// Sends the probes and follows the switches that the manager asks for.
    fn drain(&mut self, side: usize) {
        let mut moved = false;
        while let Some(event) = self.hosts[side].manager.poll_event() {
            moved |= matches!(event.kind, EventKind::Switch { .. });
            self.hosts[side].events.push(event);
        }
        while let Some(probe) = self.hosts[side].manager.poll_probe() {
            self.hosts[side].probes_sent += 1;
            self.hosts[side].probe_bytes += u64::from(probe.size) + 120;
            if let Some(link) = self.hosts[side].ids.get(&probe.path).copied() {
                self.send(side, link, usize::from(probe.size), Payload::Probe(probe.token, probe.unanswered));
            }
        }
        let hedge = self.hosts[side].manager.hedge();
        let hedged = hedge != self.hosts[side].hedge && hedge.is_some();
        self.hosts[side].hedge = hedge;
        if moved || hedged {
            self.replay(side, usize::MAX);
        }
        if hedged && let Some(number) = self.hosts[side].last_ack {
            self.send_active(side, 40, Payload::Ack(number));
        }
    }

    fn send_active(&mut self, side: usize, size: usize, payload: Payload) {
        let Some(id) = self.hosts[side].manager.active() else { return };
        let awaits_reply = matches!(payload, Payload::Message(_));
        self.hosts[side].manager.handle_sent(self.now, id, size, awaits_reply);
        for id in [Some(id), self.hosts[side].hedge].into_iter().flatten() {
            if let Some(link) = self.hosts[side].ids.get(&id).copied() {
                self.hosts[side].manager.handle_carried(self.now, id, size);
                self.send(side, link, size, payload);
            }
        }
    }

    fn send(&mut self, from: usize, index: usize, size: usize, payload: Payload) {
        let (luck, wobble) = (self.chance(), self.chance());
        let link = &mut self.links[index];
        if link.cut[from] {
            if link.scmp {
                let scmp = Scmp::ExternalInterfaceDown(match link.shares {
                    Some(number) => Self::shared_interface(number),
                    None => Interface { isd_as: IsdAs(1 << 48 | 0xff00_0000_0111), id: index as u16 + 1 },
                });
                let back = link.delay;
                self.schedule(back, Packet { to: from, link: index, size: 80, payload: Payload::Scmp(scmp) });
            }
            return;
        }
        let message = matches!(payload, Payload::Message(_));
        self.hosts[from].tally.sent += u64::from(message);
        if luck < link.loss || size > link.hole {
            self.hosts[from].tally.lost += u64::from(message);
            return;
        }
        let mut delay = link.delay + link.jitter.mul_f64(wobble);
        if link.kind == Kind::Tcp && !link.opened {
            link.opened = true;
            delay += link.delay * 4;
        }
        if let Some(kbit) = link.rate {
            let queue = link.busy_until[from].map_or(Duration::ZERO, |free| free.saturating_duration_since(self.now));
            let takes = queue + Duration::from_micros(size as u64 * 8000 / kbit);
            link.busy_until[from] = Some(self.now + takes);
            delay += takes;
        }
        self.schedule(delay, Packet { to: 1 - from, link: index, size, payload });
    }

    fn schedule(&mut self, delay: Duration, packet: Packet) {
        self.serial += 1;
        self.heap.push(Reverse((self.now + delay, self.serial)));
        self.packets.insert(self.serial, packet);
    }

    /// From 0 to 1, the same in every run.
    fn chance(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as f64 / (1u64 << 53) as f64
    }
}
