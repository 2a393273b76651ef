//! The terminal: taken over, and given back as it was whatever happens.

use ratatui::termion::event::{Event, Key};
use ratatui::termion::input::TermRead;
use ratatui::termion::{cursor, screen, style};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The rest of a key that comes as several bytes is there by then.
const REST: Duration = Duration::from_millis(25);

/// Standard input and output, as long as they are a screen.
#[derive(Debug)]
pub struct Tty {
    original: Termios,
    input: File,
    output: File,
    taken: AtomicBool,
}

/// Why there can be no screen here.
pub fn unfit() -> Option<&'static str> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Some(
            "--tui needs a terminal as its input and output; without --tui, lines are written as things happen",
        );
    }
    match std::env::var("TERM").as_deref() {
        Err(_) | Ok("" | "dumb") => Some(
            "--tui needs a terminal that can place its cursor, and TERM says that this one cannot (unset or dumb); \
             without --tui, lines are written as things happen",
        ),
        Ok(_) => None,
    }
}

impl Tty {
    /// Remembers how the terminal is.
    pub fn open() -> io::Result<Arc<Self>> {
        let file = |fd: io::Result<std::os::fd::OwnedFd>| fd.map(File::from);
        Ok(Arc::new(Self {
            original: tcgetattr(io::stdin())?,
            input: file(io::stdin().as_fd().try_clone_to_owned())?,
            output: file(io::stdout().as_fd().try_clone_to_owned())?,
            taken: AtomicBool::new(false),
        }))
    }

    /// Where to draw.
    pub fn output(&self) -> io::Result<File> {
        self.output.try_clone()
    }

    /// Whether it is ours.
    pub fn is_taken(&self) -> bool {
        self.taken.load(Ordering::Acquire)
    }

    /// Takes it over: keys as they are pressed, and a screen of our own.
    pub fn take(&self) -> io::Result<()> {
        let mut raw = self.original.clone();
        raw.make_raw();
        self.taken.store(true, Ordering::Release);
        tcsetattr(&self.input, OptionalActions::Now, &raw)?;
        let words = format!("{}{}", screen::ToAlternateScreen, cursor::Hide);
        (&self.output).write_all(words.as_bytes())
    }

    /// Gives it back. Once is enough: whoever comes first does it.
    pub fn give_back(&self) {
        if self.taken.swap(false, Ordering::AcqRel) {
            let words = format!("{}{}{}", style::Reset, screen::ToMainScreen, cursor::Show);
            // Nobody is there to be told when the terminal is gone.
            let _ = (&self.output).write_all(words.as_bytes());
            let _ = tcsetattr(&self.input, OptionalActions::Now, &self.original);
        }
    }

    /// Gives it back before a panic says its words, in whatever thread.
    pub fn give_back_on_panic(self: &Arc<Self>) {
        let tty = Arc::clone(self);
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            tty.give_back();
            before(panic);
        }));
    }

    /// Waits so long for keys. An error says that nobody sits there any more.
    pub fn keys(&self, patience: Duration) -> io::Result<Vec<Key>> {
        let mut bytes = Vec::new();
        let mut wait = patience;
        while self.has_input(wait)? {
            let mut more = [0; 256];
            match (&self.input).read(&mut more)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => bytes.extend(more.iter().take(count)),
            }
            if !is_unfinished(&bytes) {
                break;
            }
            wait = REST;
        }
        Ok(keys_in(&bytes))
    }

    fn has_input(&self, patience: Duration) -> io::Result<bool> {
        let mut wanted = [PollFd::new(&self.input, PollFlags::IN)];
        let patience = Timespec::try_from(patience).map_err(io::Error::other)?;
        match poll(&mut wanted, Some(&patience)) {
            Ok(_) => {}
            // A signal: whoever waits looks what it was.
            Err(rustix::io::Errno::INTR) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        let [wanted] = &wanted;
        let state = wanted.revents();
        if state.contains(PollFlags::IN) {
            return Ok(true);
        }
        if state.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(false)
    }
}

/// Whether these bytes end within a key: Esc, or the beginning of what a function key sends.
fn is_unfinished(bytes: &[u8]) -> bool {
    let Some(at) = bytes.iter().rposition(|byte| *byte == 0x1b) else {
        return std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none());
    };
    match bytes.get(at + 1..).unwrap_or_default() {
        [] | [b'O' | b'['] => true,
        [b'[', rest @ ..] => rest
            .iter()
            .all(|byte| byte.is_ascii_digit() || *byte == b';'),
        _ => false,
    }
}

fn keys_in(bytes: &[u8]) -> Vec<Key> {
    let events = bytes.events().filter_map(Result::ok);
    let mut keys = Vec::new();
    for event in events {
        match event {
            // Nothing is done with Alt here: it was Esc, and a key that came right behind it.
            Event::Key(Key::Alt('\r')) => keys.extend([Key::Esc, Key::Char('\n')]),
            Event::Key(Key::Alt(c)) => keys.extend([Key::Esc, Key::Char(c)]),
            Event::Key(key) => keys.push(key),
            _ => {}
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::{Key, is_unfinished, keys_in};

    #[test]
    fn keys_are_told_from_their_bytes() {
        assert_eq!(keys_in(b"q"), [Key::Char('q')]);
        assert_eq!(keys_in(b"\x1b"), [Key::Esc]);
        assert_eq!(keys_in(b"\r\t"), [Key::Char('\n'), Key::Char('\t')]);
        assert_eq!(keys_in(b"\x1b[A\x1b[B"), [Key::Up, Key::Down]);
        assert_eq!(keys_in(b"\x1b[5~a"), [Key::PageUp, Key::Char('a')]);
        assert_eq!(keys_in("ü漢".as_bytes()), [Key::Char('ü'), Key::Char('漢')]);
        assert_eq!(keys_in(b"\x03\x1a"), [Key::Ctrl('c'), Key::Ctrl('z')]);
        assert_eq!(keys_in(b"\xff"), []);
        assert_eq!(keys_in(b"\x1b1"), [Key::Esc, Key::Char('1')]);
    }

    #[test]
    fn a_key_that_comes_in_pieces_is_waited_for() {
        for whole in ["q", "\x1b[A", "\x1b[5~", "ü", "\x1bOP"] {
            let bytes = whole.as_bytes();
            assert!(!is_unfinished(bytes), "{whole:?}");
            for cut in 1..bytes.len() {
                assert!(is_unfinished(&bytes[..cut]), "{whole:?} at {cut}");
            }
        }
        assert!(is_unfinished(b"\x1b"));
    }
}
