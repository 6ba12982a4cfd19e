use super::*;
use proptest::prelude::*;

/// The seven paths from 111 to 112 of the lab's default network.
const PATHS: [&str; 7] = [
    "111#3 112#3",
    "111#1 110#11 110#12 112#1",
    "111#2 120#11 120#12 112#2",
    "111#1 110#11 110#1 120#1 120#12 112#2",
    "111#1 110#11 110#2 120#2 120#12 112#2",
    "111#2 120#11 120#1 110#1 110#12 112#1",
    "111#2 120#11 120#2 110#2 110#12 112#1",
];

fn path(text: &str) -> Vec<Interface> {
    let interface = |text: &str| {
        let (asn, id) = text.split_once('#').expect("an interface");
        Interface { isd_as: format!("1-ff00:0:{asn}").parse().expect("an AS"), id: id.parse().expect("a number") }
    };
    text.split(' ').map(interface).collect()
}

fn chosen(sequence: &str) -> Vec<usize> {
    let sequence: Sequence = sequence.parse().expect(sequence);
    (0..PATHS.len()).filter(|&index| sequence.matches(&path(PATHS[index]))).collect()
}

/// What `scion showpaths --sequence` of SCION 0.14 lists of these paths.
#[test]
fn sequences_choose_the_paths_that_the_scion_tools_choose() {
    let all = [0, 1, 2, 3, 4, 5, 6];
    for (sequence, wanted) in [
        ("", all.as_slice()),
        ("0*", &all),
        ("0+", &all),
        ("0*0", &all),
        ("0", &[]),
        ("0 0", &[0]),
        ("1-ff00:0:111#3 1-ff00:0:112#3", &[0]),
        ("0-0#0 0-0#0", &[0]),
        ("0-0#0 0-0#0 0-0#0", &[1, 2]),
        ("1-ff00:0:111#0,3 1-ff00:0:112", &[0]),
        ("1-ff00:0:111#3,0 0", &[]),
        ("1-ff00:0:111 0? 1-ff00:0:112", &[0, 1, 2]),
        ("1-ff00:0:111 1+ 1-ff00:0:112", &[1, 2, 3, 4, 5, 6]),
        ("1-ff00:0:111#2 0* 1-ff00:0:112#1|1-ff00:0:112#2", &[2, 5, 6]),
        ("(1-ff00:0:111#2 0*)|(1-ff00:0:111#3 0)", &[0, 2, 5, 6]),
        ("1-ff00:0:110 0", &[]),
        ("1-0#0 1", &[0]),
        ("0-0#3 0", &[0]),
        ("0-ff00:0:111 0", &[0]),
        ("2* 0 0", &[0]),
    ] {
        assert_eq!(chosen(sequence), wanted, "{sequence:?}");
    }
}

#[test]
fn the_sequence_of_a_path_chooses_that_path_alone() {
    for (index, text) in PATHS.iter().enumerate() {
        assert_eq!(chosen(&Sequence::of(&path(text))), [index], "{text}");
    }
    assert_eq!(Sequence::of(&path(PATHS[0])), "1-ff00:0:111#0,3 1-ff00:0:112#3,0");
    assert_eq!(Sequence::of(&[]), "", "within an AS");
}

#[test]
fn every_as_is_listed_with_the_way_in_and_out() {
    let ases: Vec<_> =
        ases(&path(PATHS[1])).map(|(isd_as, entered, left)| (isd_as.to_string(), entered, left)).collect();
    let wanted = [("1-ff00:0:111", 0, 1), ("1-ff00:0:110", 11, 12), ("1-ff00:0:112", 1, 0)];
    assert_eq!(ases, wanted.map(|(isd_as, entered, left)| (isd_as.to_owned(), entered, left)));
}

#[test]
fn the_error_names_the_hop_that_is_wrong() {
    let text = |s: &str| s.parse::<Sequence>().expect_err(s).to_string();
    insta::assert_snapshot!(
        [
            "1-ff00:0:111#3 junk",
            "1-ff00:0:111#x 0",
            "0 1-ff00:0:111#1,2,3",
            "0 0 70000",
            "0 70000-0",
            "1-ff00:0 0",
            "0#3 0",
            "1-ff00:0:111,0",
            "* 0",
            "0 | * 0",
            "0 |",
            "0 (1-ff00:0:111 0",
            "0 0) 0",
            "0 ()",
            "1-ff00:0:111#\u{fc} 0",
        ]
        .map(text)
        .join("\n")
    );
    assert!(text(&"(".repeat(40)).ends_with("is within 32 others, which is too deep"));
    assert!(text(&"0 ".repeat(4000)).ends_with("it is longer than 4096 bytes"));
}

#[test]
fn nested_repetition_takes_no_time() {
    let nested = (0..30).fold("0".to_owned(), |inner, _| format!("({inner}*)+"));
    assert_eq!(chosen(&nested), [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(chosen(&format!("{nested} 2")), [] as [usize; 0]);
}

/// A sequence as a tree, tried out by plain search.
#[derive(Clone, Debug)]
enum Tree {
    Hop(u8, u16, u16),
    Order(Box<Tree>, Box<Tree>),
    Either(Box<Tree>, Box<Tree>),
    Times(Box<Tree>, char),
}

impl Tree {
    fn text(&self) -> String {
        match self {
            Tree::Hop(asn, entered, left) => format!("1-ff00:0:{asn}#{entered},{left}").replace("-ff00:0:0#", "-0#"),
            Tree::Order(one, two) => format!("({} {})", one.text(), two.text()),
            Tree::Either(one, two) => format!("({}|{})", one.text(), two.text()),
            Tree::Times(inner, operator) => format!("({}){operator}", inner.text()),
        }
    }

    /// Where one may be after it, having begun at `from`.
    fn ends(&self, ases: &[(IsdAs, u16, u16)], from: usize) -> Vec<usize> {
        let mut ends = match self {
            Tree::Hop(asn, entered, left) => {
                let fits = |&(isd_as, i, o): &(IsdAs, u16, u16)| {
                    (*asn == 0 || isd_as.asn() & 0xff == u64::from(*asn))
                        && (*entered == 0 || *entered == i)
                        && (*left == 0 || *left == o)
                };
                ases.get(from).filter(|hop| fits(hop)).map(|_| from + 1).into_iter().collect()
            }
            Tree::Order(one, two) => one.ends(ases, from).into_iter().flat_map(|at| two.ends(ases, at)).collect(),
            Tree::Either(one, two) => [one.ends(ases, from), two.ends(ases, from)].concat(),
            Tree::Times(inner, operator) => {
                let once = inner.ends(ases, from);
                let mut all = once.clone();
                let mut open = if *operator == '?' { Vec::new() } else { once };
                while let Some(at) = open.pop() {
                    let new: Vec<_> = inner.ends(ases, at).into_iter().filter(|end| !all.contains(end)).collect();
                    all.extend(&new);
                    open.extend(new);
                }
                if *operator != '+' {
                    all.push(from);
                }
                all
            }
        };
        ends.sort_unstable();
        ends.dedup();
        ends
    }
}

fn tree() -> impl Strategy<Value = Tree> {
    let hop = (0u8..3, 0u16..3, 0u16..3).prop_map(|(asn, entered, left)| Tree::Hop(asn, entered, left));
    hop.prop_recursive(4, 12, 2, |inner| {
        let two = (inner.clone(), inner.clone()).prop_map(|(one, two)| (Box::new(one), Box::new(two)));
        prop_oneof![
            two.clone().prop_map(|(one, two)| Tree::Order(one, two)),
            two.prop_map(|(one, two)| Tree::Either(one, two)),
            (inner, prop_oneof![Just('?'), Just('+'), Just('*')])
                .prop_map(|(inner, operator)| Tree::Times(Box::new(inner), operator)),
        ]
    })
}

proptest! {
    #[test]
    fn a_sequence_matches_what_plain_search_finds(
        tree in tree(),
        links in proptest::collection::vec((1u8..3, 1u16..3, 1u8..3, 1u16..3), 0..5),
    ) {
        let interfaces: Vec<_> = links
            .iter()
            .flat_map(|&(a, out, b, into)| [(a, out), (b, into)])
            .map(|(asn, id)| Interface { isd_as: IsdAs(1 << 48 | 0xff00_0000_0000 | u64::from(asn)), id })
            .collect();
        let sequence: Sequence = tree.text().parse().expect("its own text");
        let ases: Vec<_> = ases(&interfaces).collect();
        prop_assert_eq!(sequence.matches(&interfaces), tree.ends(&ases, 0).contains(&ases.len()), "{}", tree.text());
    }

    #[test]
    fn no_text_panics(text in "[0-2a-z#,:?+*|() -]{0,40}|\\PC*") {
        if let Ok(sequence) = text.parse::<Sequence>() {
            prop_assert_eq!(sequence.to_string(), text);
            let _ = sequence.matches(&path(PATHS[3]));
        }
    }
}
