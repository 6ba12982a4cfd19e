//! Every kind of mesh that servers may be asked to form, one a row, and a proof that no two settings were never tried
//! together. What each row has to show is in [`promises`](super::promises).

use std::collections::BTreeSet;

use super::promises::{Member, keep};
use crate::harness::node::Kind;

/// Which of the servers are nats-server. Where it is not installed, natsd is in its place.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mix {
    AllNatsd,
    OneGo,
    /// Every second one, in the order in which they start.
    Half,
    OneNatsd,
}

/// `pool_size` of every server, or of the even and of the odd ones.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Pool {
    Off,
    One,
    Three,
    Unequal,
}

/// In the order of [`MODES`](crate::compression::MODES); the last one is not there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    Off,
    Accept,
    Auto,
    Fast,
    Better,
    Best,
    Uncompressed,
}

/// Plain TCP, or TLS by which both ends prove that one authority knows them.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Tls {
    Plain,
    Verify,
}

/// Who starts first, and is all that the others are told of.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Seed {
    Natsd,
    Go,
}

/// One mesh.
#[derive(Clone, Copy, Debug)]
struct Row {
    servers: usize,
    mix: Mix,
    pool: Pool,
    /// What the seed and every second server after it do with what they send.
    even: Mode,
    /// What the servers between them do.
    odd: Mode,
    tls: Tls,
    seed: Seed,
}

macro_rules! rows {
    ($($name:ident: $servers:literal, $mix:ident, $pool:ident, $even:ident, $odd:ident, $tls:ident, $seed:ident;)*) => {
        const ROWS: &[(&str, Row)] = &[$((stringify!($name), Row {
            servers: $servers,
            mix: Mix::$mix,
            pool: Pool::$pool,
            even: Mode::$even,
            odd: Mode::$odd,
            tls: Tls::$tls,
            seed: Seed::$seed,
        })),*];
        $(#[test] fn $name() { play(stringify!($name)) })*
    };
}

// Seven modes beside four pools need 28 rows, in which all else finds its place.
#[rustfmt::skip]
rows! {
    // servers, mix,  pool,    even,         odd,          tls,    seed
    row_01: 3, AllNatsd, Off,     Accept,       Uncompressed, Verify, Natsd;
    row_02: 3, AllNatsd, Off,     Auto,         Accept,       Verify, Natsd;
    row_03: 3, AllNatsd, One,     Off,          Off,          Plain,  Natsd;
    row_04: 3, AllNatsd, Three,   Fast,         Fast,         Verify, Natsd;
    row_05: 3, AllNatsd, Unequal, Better,       Better,       Verify, Natsd;
    row_06: 3, AllNatsd, Unequal, Uncompressed, Best,         Verify, Natsd;
    row_07: 3, OneGo,    Off,     Better,       Fast,         Plain,  Natsd;
    row_08: 3, OneGo,    One,     Best,         Better,       Verify, Natsd;
    row_09: 3, OneGo,    Three,   Off,          Best,         Verify, Natsd;
    row_10: 3, OneGo,    Three,   Auto,         Auto,         Plain,  Go;
    row_11: 3, OneGo,    Unequal, Fast,         Uncompressed, Plain,  Natsd;
    row_12: 3, Half,     Off,     Fast,         Off,          Plain,  Go;
    row_13: 3, Half,     Off,     Best,         Best,         Plain,  Go;
    row_14: 3, Half,     Off,     Uncompressed, Auto,         Verify, Go;
    row_15: 3, Half,     Three,   Accept,       Better,       Verify, Go;
    row_16: 3, Half,     Unequal, Off,          Accept,       Plain,  Go;
    row_17: 3, OneNatsd, One,     Better,       Auto,         Plain,  Natsd;
    row_18: 3, OneNatsd, One,     Uncompressed, Uncompressed, Plain,  Go;
    row_19: 3, OneNatsd, Three,   Best,         Accept,       Verify, Natsd;
    row_20: 3, OneNatsd, Unequal, Accept,       Fast,         Verify, Go;
    row_21: 3, OneNatsd, Unequal, Auto,         Off,          Plain,  Natsd;
    row_22: 5, AllNatsd, Unequal, Best,         Auto,         Verify, Natsd;
    row_23: 5, OneGo,    One,     Accept,       Accept,       Plain,  Go;
    row_24: 5, OneGo,    Three,   Uncompressed, Off,          Verify, Go;
    row_25: 5, Half,     One,     Auto,         Fast,         Verify, Natsd;
    row_26: 5, Half,     Three,   Better,       Uncompressed, Plain,  Go;
    row_27: 5, OneNatsd, Off,     Off,          Better,       Plain,  Natsd;
    row_28: 5, OneNatsd, One,     Fast,         Best,         Verify, Natsd;
}

fn play(name: &str) {
    let (_, row) = ROWS.iter().find(|(known, _)| *known == name).expect("each row has a test");
    // Shown if the test fails.
    println!("{row:?}");
    let ends = [row.even, row.odd].into_iter().zip(row.pools()).cycle();
    let members = row.kinds().into_iter().zip(ends).map(|(kind, (mode, pool))| Member { kind, mode, pool });
    keep(&members.collect::<Vec<_>>(), row.tls == Tls::Verify);
}

impl Row {
    fn kinds(&self) -> Vec<Kind> {
        let (seed, other) = match self.seed {
            Seed::Natsd => (Kind::Natsd, go()),
            Seed::Go => (go(), Kind::Natsd),
        };
        let (most, one) = match self.mix {
            Mix::AllNatsd => return vec![Kind::Natsd; self.servers],
            Mix::Half => return [seed, other].into_iter().cycle().take(self.servers).collect(),
            Mix::OneGo => (Kind::Natsd, go()),
            Mix::OneNatsd => (go(), Kind::Natsd),
        };
        let mut kinds = vec![most; self.servers];
        kinds[usize::from(seed != one)] = one;
        kinds
    }

    fn pools(&self) -> [i32; 2] {
        match self.pool {
            Pool::Off => [-1; 2],
            Pool::One => [1; 2],
            Pool::Three => [3; 2],
            Pool::Unequal => [1, 3],
        }
    }

    /// What is in each column.
    fn cells(&self) -> [String; 7] {
        let Self { servers, mix, pool, even, odd, tls, seed } = self;
        let show = |cell: &dyn std::fmt::Debug| format!("{cell:?}");
        [show(servers), show(mix), show(pool), show(even), show(odd), show(tls), show(seed)]
    }
}

fn go() -> Kind {
    #[cfg(feature = "interop")]
    return Kind::Go;
    #[cfg(not(feature = "interop"))]
    Kind::Natsd
}

/// The columns of modes, for which it is enough that each two meet, whichever of the two is at which end.
const ENDS: (usize, usize) = (3, 4);

#[test]
fn every_two_settings_are_in_a_row() {
    let rows: Vec<_> = ROWS.iter().map(|(_, row)| row.cells()).collect();
    let column = |at: usize| rows.iter().map(|row| &*row[at]).collect::<BTreeSet<_>>();
    assert_eq!([0, 1, 2, 3, 4, 5, 6].map(|at| column(at).len()), [2, 4, 4, 7, 7, 2, 2], "each setting is tried");
    for one in 0..7 {
        for other in one + 1..7 {
            for (a, b) in column(one).into_iter().flat_map(|a| column(other).into_iter().map(move |b| (a, b))) {
                let met = |a: &str, b: &str| rows.iter().any(|row| row[one] == a && row[other] == b);
                let impossible = (a, b) == ("AllNatsd", "Go");
                assert!(met(a, b) || impossible || (one, other) == ENDS && met(b, a), "{a} beside {b}");
            }
        }
    }
}
