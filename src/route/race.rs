//! Two ways to the same peer, in the sense of Happy Eyeballs (RFC 8305): the second one is tried beside the first when
//! that takes long.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{sleep, timeout};

/// Whether the other way is still being tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rival {
    /// It is, and is to be preferred if both lead somewhere.
    Runs,
    /// It has failed.
    Failed,
}

/// Tries `first`, and `second` as well once `first` has failed or `head_start` is over; in the latter case a failed
/// `second` is tried again every `head_start` for as long as `first` runs. What completes first is the result, the other
/// is dropped.
///
/// # Errors
///
/// Those of both, when both have failed.
pub(super) async fn race<T, E, F: Future<Output = Result<T, Vec<E>>>>(
    head_start: Duration,
    first: impl Future<Output = Result<T, Vec<E>>>,
    second: impl Fn(Rival) -> F,
) -> Result<T, Vec<E>> {
    let mut first = pin!(first);
    let done = match timeout(head_start, &mut first).await {
        Ok(done) => done,
        Err(_) => tokio::select! {
            biased;
            done = &mut first => done,
            done = until_it_works(head_start, || second(Rival::Runs)) => Ok(done),
        },
    };
    match done {
        Ok(done) => Ok(done),
        Err(mut errors) => second(Rival::Failed).await.map_err(|more| {
            errors.extend(more);
            errors
        }),
    }
}

async fn until_it_works<T, E, F: Future<Output = Result<T, E>>>(pause: Duration, attempt: impl Fn() -> F) -> T {
    loop {
        if let Ok(done) = attempt().await {
            return done;
        }
        sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::future::{pending, ready};

    use tokio::sync::oneshot;

    use super::*;

    type Outcome = Result<&'static str, Vec<&'static str>>;

    const AN_HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn the_second_is_not_tried_when_the_first_is_quick() {
        let second = |_| -> std::future::Ready<Outcome> { panic!("not needed") };
        assert_eq!(race(AN_HOUR, ready(Outcome::Ok("first")), second).await, Ok("first"));
    }

    #[tokio::test]
    async fn the_second_is_tried_at_once_when_the_first_fails_and_both_failures_are_told() {
        let second = |rival| ready(if rival == Rival::Failed { Outcome::Err(vec!["b"]) } else { Ok("too early") });
        assert_eq!(race(AN_HOUR, ready(Outcome::Err(vec!["a"])), second).await, Err(vec!["a", "b"]));
    }

    #[tokio::test]
    async fn the_first_is_dropped_when_the_second_overtakes_it() {
        let (dropped_with_first, mut gone) = oneshot::channel::<()>();
        let first = async move {
            let _kept = dropped_with_first;
            pending::<Outcome>().await
        };
        let second = |rival| ready(if rival == Rival::Runs { Ok("second") } else { Err(vec!["too late"]) });
        assert_eq!(race(Duration::ZERO, first, second).await, Ok("second"));
        assert_eq!(gone.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    }

    #[tokio::test]
    async fn the_second_is_dropped_when_the_first_comes_after_all() {
        let (answer, first) = oneshot::channel();
        let answer = RefCell::new(Some(answer));
        let (dropped_with_second, mut gone) = oneshot::channel::<()>();
        let dropped_with_second = RefCell::new(Some(dropped_with_second));
        let second = |_| {
            let _ = answer.take().expect("tried once").send("first");
            let kept = dropped_with_second.take();
            async move {
                let _kept = kept;
                pending::<Outcome>().await
            }
        };
        let first = async { Ok(first.await.expect("it is sent")) };
        assert_eq!(race(Duration::ZERO, first, second).await, Ok("first"));
        assert_eq!(gone.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    }

    #[tokio::test]
    async fn the_second_is_tried_until_it_works_while_the_first_runs() {
        let attempts = Cell::new(0);
        let second = |_| {
            attempts.set(attempts.get() + 1);
            ready(if attempts.get() == 3 { Ok("second") } else { Err(vec!["refused"]) })
        };
        assert_eq!(race(Duration::ZERO, pending::<Outcome>(), second).await, Ok("second"));
    }
}
