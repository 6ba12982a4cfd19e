//! Lame duck mode: a server that is about to end sends its clients to others, not all at once.

use std::time::Duration;

use natsd_core::error::CloseReason;

use super::Server;
use crate::link::Kind;

/// At most this long between two clients.
const MAX_PAUSE: Duration = Duration::from_secs(1);
/// Clients are sent away in groups if there are so many that the pause would be shorter.
const MIN_PAUSE: Duration = Duration::from_millis(1);

pub(super) async fn run(server: &Server) {
    let hub = &server.hub;
    log::info!("Entering lame duck mode, stop accepting new clients");
    if hub.client_count() == 0 {
        return;
    }
    let (total, grace) = {
        let options = hub.options();
        (options.lame_duck_duration, options.lame_duck_grace_period)
    };
    hub.news.send_modify(|news| news.lame_duck = true);
    if tokio::time::timeout(grace, server.wait_for_end_of(|kind| kind == Kind::Client)).await.is_ok() {
        return;
    }
    let mut clients: Vec<_> = hub.links().into_iter().filter(|link| link.kind == Kind::Client).collect();
    fastrand::shuffle(&mut clients);
    let (pause, group) = pace(total.saturating_sub(grace), clients.len());
    log::info!("Closing existing clients");
    for group in clients.chunks(group) {
        for link in group {
            link.close(CloseReason::ServerShutdown);
        }
        tokio::time::sleep(pause).await;
    }
    server.wait_for_end_of(|kind| kind == Kind::Client).await;
}

/// How long to pause between groups of clients, and how large these are.
fn pace(time: Duration, clients: usize) -> (Duration, usize) {
    let clients = u32::try_from(clients.max(1)).unwrap_or(u32::MAX);
    let even = time / clients;
    if even >= MIN_PAUSE {
        return (even.min(MAX_PAUSE), 1);
    }
    let groups = (time.as_millis() / MIN_PAUSE.as_millis()).max(1);
    (MIN_PAUSE, (u128::from(clients).div_ceil(groups)) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_leave_evenly_and_at_most_a_second_apart() {
        assert_eq!(pace(Duration::from_secs(110), 10), (Duration::from_secs(1), 1));
        assert_eq!(pace(Duration::from_secs(110), 1100), (Duration::from_millis(100), 1));
        assert_eq!(pace(Duration::from_secs(1), 10_000), (Duration::from_millis(1), 10));
        assert_eq!(pace(Duration::ZERO, 5), (Duration::from_millis(1), 5));
    }
}
