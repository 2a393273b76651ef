//! Connections that say what they have to say in small pieces, and what of it arrives.

use crate::lab::{Lab, connect, say, until};
use crate::policy_support::{hex, unhex};
use crate::talk::{PATIENCE, kind};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// What a collector says of a connection from which no more will come.
const ALL: &str = "all";

/// The connections that a machine's collectors have taken, by the client's port.
#[derive(Clone, Default)]
pub struct Taken(Arc<(Mutex<HashMap<u16, TcpStream>>, Condvar)>);

impl Taken {
    fn take(&self, peer: u16, stream: &TcpStream) {
        let stream = stream.try_clone().unwrap();
        self.0.0.lock().unwrap().insert(peer, stream);
        self.0.1.notify_all();
    }

    /// Nothing more is waited for: what has arrived by now is still read, and then it is said that this is all.
    pub fn settle(&self, number: &str, peer: u16) {
        let taken = self.0.0.lock().unwrap();
        let (taken, _) = self
            .0
            .1
            .wait_timeout_while(taken, PATIENCE, |taken| !taken.contains_key(&peer))
            .unwrap();
        // One that was cut is not connected any more, and has been read to its end for that.
        let _ = taken[&peer].shutdown(Shutdown::Read);
        say(number, "settled");
    }
}

/// Takes connections, and says after each word what has arrived of whom, and that it was all. One that `answers` gives
/// a word for each.
pub fn collect(number: &str, at: &str, answers: bool, connections: &Taken) {
    let listener = TcpListener::bind(at).unwrap();
    say(number, "listening");
    loop {
        let (mut stream, peer) = listener.accept().unwrap();
        let (number, peer) = (number.to_owned(), peer.port());
        connections.take(peer, &stream);
        thread::spawn(move || {
            let mut all = Vec::new();
            let mut piece = [0; 4096];
            while let Ok(read @ 1..) = stream.read(&mut piece) {
                all.extend_from_slice(&piece[..read]);
                say(&number, &format!("{peer} {}", hex(&all)));
                if answers {
                    stream.write_all(b"go on\n").unwrap();
                }
            }
            say(&number, &format!("{peer} {ALL}"));
        });
    }
}

/// Sends this in pieces of that size; says how it ended.
pub fn send(number: &str, from: &str, at: &str, size: usize, text: &str) {
    match connect(from, at) {
        Ok(stream) => {
            say(number, &stream.local_addr().unwrap().port().to_string());
            say(number, &in_pieces(stream, size, &unhex(text)));
        }
        Err(error) => say(number, &error),
    }
}

/// Each piece is a segment of its own as far as the system lets it; then it waits for the end.
fn in_pieces(mut stream: TcpStream, size: usize, bytes: &[u8]) -> String {
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    for piece in bytes.chunks(size) {
        if let Err(error) = stream.write_all(piece) {
            return kind(error.kind());
        }
        thread::sleep(Duration::from_millis(2));
    }
    match stream.read(&mut [0; 16]) {
        Ok(0) => "closed".to_owned(),
        Ok(_) => "answered".to_owned(),
        Err(error) => kind(error.kind()),
    }
}

/// Says one word after the other, each when the one before was answered; says how long that took, in milliseconds.
pub fn turns(number: &str, from: &str, at: &str, words: &[&str]) {
    let begun = Instant::now();
    let mut stream = match connect(from, at) {
        Ok(stream) => stream,
        Err(error) => return say(number, &error),
    };
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    say(number, &stream.local_addr().unwrap().port().to_string());
    for word in words {
        let said = stream.write_all(&unhex(word));
        if let Err(error) = said.and_then(|()| stream.read(&mut [0; 64]).map(drop)) {
            return say(number, &kind(error.kind()));
        }
    }
    say(number, &format!("{}", begun.elapsed().as_millis()));
}

/// From the router itself: how it ended, and the port that it came from.
pub fn from_here(at: &str, size: usize, bytes: &[u8]) -> (u16, String) {
    let (sender, receiver) = channel();
    let (at, bytes) = (at.to_owned(), bytes.to_vec());
    thread::spawn(move || {
        let stream = connect("-", &at).unwrap();
        let port = stream.local_addr().unwrap().port();
        sender
            .send((port, in_pieces(stream, size, &bytes)))
            .unwrap();
    });
    receiver.recv_timeout(2 * PATIENCE).unwrap()
}

impl Lab {
    /// A server that says what it has received.
    pub fn collector(&mut self, at: &str, how: &str) -> usize {
        let number = self.server.tell(&format!("collect {at} {how}"));
        assert_eq!(self.server.hear(number, 0), "listening");
        number
    }

    /// A client that sends this in pieces: its number, and its port.
    pub fn pieces(&mut self, at: &str, size: usize, bytes: &[u8]) -> (usize, u16) {
        let words = format!("pieces - {at} {size} {}", hex(bytes));
        let number = self.client.tell(&words);
        let port = self.client.hear(number, 0);
        (number, port.parse().unwrap_or_else(|_| panic!("{port}")))
    }

    /// A client that waits for answers: its number.
    pub fn turns(&mut self, at: &str, words: &[&[u8]]) -> usize {
        let words: Vec<String> = words.iter().map(|word| hex(word)).collect();
        let number = self
            .client
            .tell(&format!("turns - {at} {}", words.join(" ")));
        let port = self.client.hear(number, 0);
        assert!(port.parse::<u16>().is_ok(), "{port}");
        number
    }

    /// What this server has said of the connection from that port, so far.
    fn said_of(&self, collector: usize, port: u16) -> Vec<String> {
        let words = format!("{port} ");
        let said = self.server.heard(collector).into_iter();
        said.filter_map(|line| line.strip_prefix(&words).map(str::to_owned))
            .collect()
    }

    /// All that this server has received from that port, to which nothing is added any more.
    ///
    /// The client's end alone does not say that the server has read what had arrived by then.
    pub fn received(&mut self, collector: usize, port: u16) -> Vec<u8> {
        assert_eq!(self.server.ask(&format!("settle {port}")), "settled");
        let mut said = Vec::new();
        until("it has read all", || {
            said = self.said_of(collector, port);
            said.last().is_some_and(|last| last == ALL)
        });
        said.iter()
            .rev()
            .nth(1)
            .map(|all| unhex(all))
            .unwrap_or_default()
    }

    pub fn until_received(&self, collector: usize, port: u16, bytes: &[u8]) {
        let bytes = hex(bytes);
        until("all of it arrives", || {
            self.said_of(collector, port).contains(&bytes)
        });
    }
}
