//! The dashboard on a terminal.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use crate::render::{self, Theme};
use crate::source::Source;
use crate::state::{State, View};
use crate::terminal::Screen;
use crate::update::{Effect, Message, update};
use crate::world::World;
use crate::{LabControl, Options, RunError};

/// How often ages and the counters of a lab are drawn anew.
const TICK: Duration = Duration::from_millis(250);
/// Between two readings of a server at which much happens, at least.
const PAUSE: Duration = Duration::from_millis(250);
/// Before the stream of events is asked for again.
const RETURN: Duration = Duration::from_secs(1);

/// Runs until the user quits, a signal ends it, or every server was read `cycles` times.
pub(crate) async fn run(options: Options, lab: Option<Box<dyn LabControl>>) -> Result<(), RunError> {
    let world = World::new(options.servers.iter().cloned());
    let mut state = State::new(world, lab.as_ref().map(|lab| lab.view()), SystemTime::now());
    let theme = Theme { color: options.color, ascii: options.ascii };

    let (sender, mut messages) = mpsc::channel(64);
    let (sort, wanted_sort) = watch::channel(state.sort(View::Connections));
    let mut readers = JoinSet::new();
    let mut followers = JoinSet::new();
    for (server, url) in options.servers.iter().enumerate() {
        let news = Arc::new(Notify::new());
        followers.spawn(follow(Source::new(url.clone()), news.clone()));
        let source = Source::with_histories(url.clone());
        let wishes = Wishes { sort: wanted_sort.clone(), news };
        readers.spawn(read_repeatedly(server, source, options.clone(), wishes, sender.clone()));
    }
    let mut ended = Ended::listen().map_err(RunError::Terminal)?;
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);

    let mut screen = Screen::enter(sender).map_err(RunError::Terminal)?;
    loop {
        screen.terminal.draw(|frame| render::draw(frame, &state, theme)).map_err(RunError::Terminal)?;
        let message = tokio::select! {
            Some(message) = messages.recv() => message,
            _ = tick.tick() => Message::Tick { now: SystemTime::now(), lab: lab.as_ref().map(|lab| lab.view()) },
            () = ended.wait() => return Ok(()),
        };
        match update(&mut state, message) {
            Some(Effect::Quit) => return Ok(()),
            Some(Effect::Lab(action)) => {
                if let Some(Err(refusal)) = lab.as_ref().map(|lab| lab.act(action)) {
                    update(&mut state, Message::Refused(refusal));
                }
            }
            None => {}
        }
        sort.send_if_modified(|sort| std::mem::replace(sort, state.sort(View::Connections)) != *sort);
        while readers.try_join_next().is_some() {}
        if readers.is_empty() && messages.is_empty() {
            return Ok(());
        }
    }
}

/// What wants a server read before its time.
struct Wishes {
    /// The order that connections are wanted in.
    sort: watch::Receiver<&'static str>,
    /// Something happened there.
    news: Arc<Notify>,
}

/// Tells `news` when something happens at a server, if it says so.
async fn follow(mut source: Source, news: Arc<Notify>) {
    while source.follow(|| news.notify_one()).await {
        tokio::time::sleep(RETURN).await;
    }
}

/// Reads one server every `interval`, and earlier when connections are wanted in another order or something happened.
async fn read_repeatedly(
    server: usize,
    mut source: Source,
    options: Options,
    mut wishes: Wishes,
    messages: mpsc::Sender<Message>,
) {
    let mut tick = tokio::time::interval(options.interval);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut cycles, mut last) = (0, Instant::now());
    while options.cycles.is_none_or(|limit| cycles < limit) {
        tokio::select! {
            _ = tick.tick() => cycles += 1,
            changed = wishes.sort.changed() => if changed.is_err() { return },
            () = wishes.news.notified() => tokio::time::sleep_until(last + PAUSE).await,
        }
        last = Instant::now();
        let by = *wishes.sort.borrow_and_update();
        let reading = Box::new(source.read(by).await.map_err(|error| error.to_string()));
        if messages.send(Message::Read { server, at: SystemTime::now(), reading }).await.is_err() {
            return;
        }
    }
}

/// The signals that end a program.
struct Ended {
    signals: [tokio::signal::unix::Signal; 3],
}

impl Ended {
    fn listen() -> io::Result<Self> {
        let [a, b, c] = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        Ok(Self { signals: [signal(a)?, signal(b)?, signal(c)?] })
    }

    async fn wait(&mut self) {
        let [a, b, c] = &mut self.signals;
        tokio::select! {
            _ = a.recv() => {}
            _ = b.recv() => {}
            _ = c.recv() => {}
        }
    }
}
