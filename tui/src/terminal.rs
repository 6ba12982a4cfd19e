//! The terminal: taken over, and always given back.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossterm::event::{self, Event, KeyEventKind};
use ratatui::DefaultTerminal;
use tokio::sync::mpsc;

use crate::update::Message;

/// How long the keyboard thread may take to see that it is not wanted any more.
const KEY_WAIT: Duration = Duration::from_millis(100);

/// The terminal in raw mode on the alternate screen, until dropped. A panic gives it back as well, before its
/// message is printed.
pub(crate) struct Screen {
    pub(crate) terminal: DefaultTerminal,
    stop: Arc<AtomicBool>,
}

impl Screen {
    /// Takes over the terminal, and sends keys and changes of size to `messages`.
    pub(crate) fn enter(messages: mpsc::Sender<Message>) -> io::Result<Self> {
        let screen = Self { terminal: ratatui::try_init()?, stop: Arc::default() };
        let stop = screen.stop.clone();
        std::thread::Builder::new().name("keyboard".into()).spawn(move || read_keys(&messages, &stop))?;
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        ratatui::restore();
    }
}

fn read_keys(messages: &mpsc::Sender<Message>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let message =
            match event::poll(KEY_WAIT).and_then(|ready| if ready { event::read().map(Some) } else { Ok(None) }) {
                Ok(Some(Event::Key(key))) if key.kind != KeyEventKind::Release => Message::Key(key),
                Ok(Some(Event::Resize(..))) => Message::Resized,
                Ok(_) => continue,
                // The terminal is gone; the signal that says so ends the dashboard.
                Err(_) => return,
            };
        if messages.blocking_send(message).is_err() {
            return;
        }
    }
}
