//! Rules for paths, as an operator writes them, and a path that they are asked about.
#![no_main]

use libfuzzer_sys::fuzz_target;
use natsd_path::{Acl, Avoided, Candidate, Fingerprint, Interface, Kind, Rule, Rules, Sequence};

/// Two bytes an interface: its AS and its number.
fn path(bytes: &[u8]) -> Candidate {
    let interface = |pair: &[u8]| format!("{}-ff00:0:{}#{}", pair[0] % 4, pair[0], pair[1]).parse::<Interface>().ok();
    let interfaces: Vec<_> = bytes.chunks_exact(2).filter_map(interface).collect();
    Candidate { fingerprint: Fingerprint::of(&interfaces), kind: Kind::Scion, interfaces, ..Candidate::tcp() }
}

fuzz_target!(|input: (&str, &[u8])| {
    let (text, bytes) = input;
    let path = path(bytes);
    let lines: Vec<_> = text.lines().collect();
    let rules = [
        Acl::new(&lines).ok().map(Rule::Acl),
        text.parse::<Sequence>().ok().map(Rule::Sequence),
        text.parse::<Avoided>().ok().map(|avoided| Rule::Avoid(vec![avoided])),
        text.parse::<Fingerprint>().ok().map(|path| Rule::Pin(vec![path])),
    ];
    for rule in rules.into_iter().flatten() {
        let rules = Rules { strict: vec![rule], ..Rules::default() };
        let excluded = rules.exclusion(&path);
        // What no path may lead to is led to by none.
        if let Some(last) = path.interfaces.last()
            && path.interfaces.len() > 1
            && rules.contradiction(last.isd_as).is_some()
        {
            assert!(excluded.is_some(), "{:?}", rules.lines());
        }
    }
});
