//! Conversations over real sockets: what a sample's two ends say, in turns, and then its last words over and over; and a download.

use imwarden::capture;
use imwarden::model::Endpoint;
use imwarden::packet::{Decoded, decode};
use imwarden::pipeline::frame_meta;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Between two things that one end says.
const PACE: Duration = Duration::from_millis(20);
/// Nothing is waited for longer.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_micros() as u64
}

/// What the ends of a sample's connection to this server say: whether it is the client, and the bytes.
pub fn turns(sample: &str, server: &str) -> Vec<(bool, Vec<u8>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("sample-pcaps")
        .join(format!("{sample}.pcap"));
    let server: SocketAddr = server.parse().unwrap();
    let server = Endpoint::new(server.ip(), server.port());
    let mut source = capture::open(&path).unwrap();
    let mut turns: Vec<(bool, Vec<u8>)> = Vec::new();
    let mut number = 0;
    while let Ok(frames) = source.next_frames(32)
        && !frames.is_empty()
    {
        for frame in frames.iter() {
            number += 1;
            let Decoded::Packet(packet) = decode(frame_meta(number, &frame), frame.data) else {
                continue;
            };
            if packet.payload.is_empty() || (packet.src != server && packet.dst != server) {
                continue;
            }
            turns.push((packet.dst == server, packet.payload.to_vec()));
        }
    }
    assert!(turns.len() > 4, "{sample} has no such connection");
    turns
}

/// What one end has heard.
#[derive(Debug, Default)]
pub struct Heard {
    /// Bytes.
    pub bytes: usize,
    /// When the last of them came, in microseconds since 1970.
    pub last: u64,
    /// How it ended.
    pub end: String,
}

impl Heard {
    pub fn line(&self) -> String {
        format!("{} {} {}", self.bytes, self.last, self.end)
    }

    pub fn of(line: &str) -> Self {
        let mut words = line.splitn(3, ' ');
        let mut next = || words.next().unwrap_or_else(|| panic!("{line}"));
        Self {
            bytes: next().parse().unwrap(),
            last: next().parse().unwrap(),
            end: next().to_owned(),
        }
    }
}

/// Talks until the connection ends or `until` says so. One that is `silent` says no more than the sample's words.
pub fn talk(
    mut stream: TcpStream,
    turns: &[(bool, Vec<u8>)],
    is_client: bool,
    silent: bool,
    until: &dyn Fn() -> bool,
) -> Heard {
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PACE)).unwrap();
    let mut heard = Heard::default();
    let mut due = 0;
    let mut script = turns.iter();
    let mut waiting: Option<&(bool, Vec<u8>)> = script.next();
    let begun = Instant::now();
    let mut buffer = [0; CHUNK];
    loop {
        if until() {
            heard.end = "stopped".into();
            return heard;
        }
        if begun.elapsed() > PATIENCE {
            heard.end = "went on".into();
            return heard;
        }
        // What the other says is waited for before the next words of one's own.
        while let Some((from_client, bytes)) = waiting {
            if *from_client == is_client {
                if heard.bytes < due {
                    break;
                }
                if let Err(error) = stream.write_all(bytes) {
                    heard.end = kind(error.kind());
                    return heard;
                }
            } else {
                due += bytes.len();
            }
            waiting = script.next();
        }
        if waiting.is_none() && !silent {
            let last = turns.iter().rev().find(|turn| turn.0 == is_client).unwrap();
            sleep(PACE);
            if let Err(error) = stream.write_all(&last.1) {
                heard.end = kind(error.kind());
                return heard;
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) => {
                heard.end = "closed".into();
                return heard;
            }
            Ok(read) => {
                heard.bytes += read;
                heard.last = now();
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => {
                heard.end = kind(error.kind());
                return heard;
            }
        }
    }
}

pub fn kind(error: ErrorKind) -> String {
    format!("{error:?}")
}

/// One byte of the download.
const fn byte(at: usize) -> u8 {
    (at.wrapping_mul(2_654_435_761) >> 13) as u8
}

const CHUNK: usize = 16_384;

/// Sends so many chunks, one at a time.
pub fn send_file(mut stream: TcpStream, chunks: usize) -> String {
    for chunk in 0..chunks {
        let bytes: Vec<u8> = (chunk * CHUNK..(chunk + 1) * CHUNK).map(byte).collect();
        if let Err(error) = stream.write_all(&bytes) {
            return kind(error.kind());
        }
        sleep(PACE / 2);
    }
    "sent".to_owned()
}

/// Receives a file: how many bytes were right, and how it ended.
pub fn receive_file(mut stream: TcpStream, progress: &dyn Fn(usize)) -> String {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut at = 0;
    let mut buffer = [0; CHUNK];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return format!("{at} closed"),
            Ok(read) => {
                if !buffer[..read]
                    .iter()
                    .zip(at..)
                    .all(|(it, at)| *it == byte(at))
                {
                    return format!("{at} wrong bytes");
                }
                at += read;
                progress(at);
            }
            Err(error) => return format!("{at} {}", kind(error.kind())),
        }
    }
}

pub const fn file_size(chunks: usize) -> usize {
    chunks * CHUNK
}
