//! What nats-server writes is read, and written the same: same keys, same order, same omissions, same bytes.

use natsd_api::{AccountStatz, Accountz, Connz, Routez, Subsz, Varz, to_json};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Reads `theirs`, writes it, and returns the lines of `theirs` that are missing in what was written. All others
/// must be there in the same order.
fn lines_lost<T: Serialize + DeserializeOwned>(theirs: &str) -> Vec<String> {
    fn lines(text: &str) -> impl Iterator<Item = &str> {
        text.lines().map(|line| line.trim_end_matches(','))
    }
    let ours = to_json(&serde_json::from_str::<T>(theirs).expect("sample"));
    let mut ours = lines(&ours).peekable();
    let lost = lines(theirs).filter(|line| ours.next_if(|our| our == line).is_none()).map(str::to_owned).collect();
    assert_eq!(ours.next(), None, "not in the sample at this place");
    lost
}

#[test]
fn connections() {
    assert_eq!(lines_lost::<Connz>(include_str!("nats-server-2.15.2/connz.json")), [""; 0]);
    assert_eq!(lines_lost::<Connz>(include_str!("nats-server-2.15.2/connz_closed.json")), [""; 0]);
}

#[test]
fn routes() {
    assert_eq!(lines_lost::<Routez>(include_str!("nats-server-2.15.2/routez.json")), [""; 0]);
}

#[test]
fn subscriptions() {
    assert_eq!(lines_lost::<Subsz>(include_str!("nats-server-2.15.2/subsz.json")), [""; 0]);
}

#[test]
fn accounts() {
    assert_eq!(lines_lost::<Accountz>(include_str!("nats-server-2.15.2/accountz_acc.json")), [""; 0]);
    assert_eq!(lines_lost::<AccountStatz>(include_str!("nats-server-2.15.2/accstatz.json")), [""; 0]);
}

#[test]
fn server() {
    assert_eq!(lines_lost::<Varz>(include_str!("nats-server-2.15.2/varz.json")), [""; 0]);
}

#[test]
fn a_list_may_be_null() {
    let connz: Connz = serde_json::from_str(include_str!("nats-server-2.15.2/connz_null.json")).expect("sample");
    assert_eq!(connz.connections, []);
}
