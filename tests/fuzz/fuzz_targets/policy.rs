//! Rules for paths, as an operator writes them, and a path that they are asked about.
#![no_main]

use libfuzzer_sys::fuzz_target;
use natsd_path::{Acl, Avoided, Candidate, Fingerprint, Interface, Kind, Rule, Rules, Sequence};

/// Three bytes an AS: which, and the interfaces by which it is entered and left.
fn path(bytes: &[u8]) -> Candidate {
    let ases: Vec<_> = bytes.chunks_exact(3).collect();
    let interface = |of: u8, id: u8| format!("{}-ff00:0:{of}#{id}", of % 4).parse::<Interface>().ok();
    let links = ases.windows(2).flat_map(|pair| [interface(pair[0][0], pair[0][2]), interface(pair[1][0], pair[1][1])]);
    let interfaces: Vec<_> = links.collect::<Option<_>>().unwrap_or_default();
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
