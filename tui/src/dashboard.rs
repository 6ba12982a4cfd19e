//! The dashboard on a terminal.

use std::io;
use std::time::{Duration, SystemTime};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::render::{self, Theme};
use crate::source::Source;
use crate::state::{State, View};
use crate::terminal::Screen;
use crate::update::{Effect, Message, update};
use crate::world::World;
use crate::{LabControl, Options, RunError};

/// How often ages and the counters of a lab are drawn anew.
const TICK: Duration = Duration::from_millis(250);

/// Runs until the user quits, a signal ends it, or every server was read `cycles` times.
pub(crate) async fn run(options: Options, lab: Option<Box<dyn LabControl>>) -> Result<(), RunError> {
    let world = World::new(options.servers.iter().cloned());
    let mut state = State::new(world, lab.as_ref().map(|lab| lab.view()), SystemTime::now());
    let theme = Theme { color: options.color };

    let (sender, mut messages) = mpsc::channel(64);
    let (sort, wanted_sort) = watch::channel(state.sort(View::Connections));
    let mut readers = JoinSet::new();
    for (server, url) in options.servers.iter().enumerate() {
        let source = Source::new(url.clone());
        readers.spawn(read_repeatedly(server, source, options.clone(), wanted_sort.clone(), sender.clone()));
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

/// Reads one server every `interval`, and at once when connections are wanted in another order.
async fn read_repeatedly(
    server: usize,
    mut source: Source,
    options: Options,
    mut sort: watch::Receiver<&'static str>,
    messages: mpsc::Sender<Message>,
) {
    let mut tick = tokio::time::interval(options.interval);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut cycles = 0;
    while options.cycles.is_none_or(|limit| cycles < limit) {
        tokio::select! {
            _ = tick.tick() => cycles += 1,
            changed = sort.changed() => if changed.is_err() { return },
        }
        let by = *sort.borrow_and_update();
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
