//! A yardstick for `benches/`: the least that a program can do which looks at each packet of a capture and still keeps flows.
//!
//! `cargo run --release --example plain-loop -- FILE`: reads the file as imwarden does, takes Ethernet, IPv4, TCP and UDP headers
//! apart, finds each packet's flow in a table, and holds the payload against three signatures. No order, no fragments, no time, no
//! limits, no names: what it says of messengers is no answer, but nothing that recognises messengers can be faster.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool: it says what it counted"
)]

use imwarden::capture;
use std::collections::HashMap;
use std::path::Path;
use std::process::ExitCode;

/// Addresses, ports and protocol, the same for both directions.
type Key = (u64, u64, u8);

#[derive(Default)]
struct Flow {
    packets: u32,
    bytes: u64,
    messenger: bool,
}

fn main() -> ExitCode {
    let Some(file) = std::env::args_os().nth(1) else {
        eprintln!("usage: plain-loop FILE");
        return ExitCode::from(2);
    };
    match count(Path::new(&file)) {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("plain-loop: {error}");
            ExitCode::FAILURE
        }
    }
}

fn count(file: &Path) -> Result<String, capture::CaptureError> {
    let mut source = capture::open(file)?;
    let mut flows = HashMap::<Key, Flow, foldhash::fast::RandomState>::default();
    let mut packets = 0_u64;
    loop {
        let frames = source.next_frames(32)?;
        if frames.is_empty() {
            break;
        }
        for frame in frames.iter() {
            packets += 1;
            if let Some((key, payload)) = headers(frame.data) {
                let flow = flows.entry(key).or_default();
                flow.packets += 1;
                flow.bytes += frame.data.len() as u64;
                flow.messenger |= is_messenger(payload);
            }
        }
    }
    let bytes: u64 = flows.values().map(|flow| flow.bytes).sum();
    let most = flows.values().map(|flow| flow.packets).max().unwrap_or(0);
    let messengers = flows.values().filter(|flow| flow.messenger).count();
    let all = flows.len();
    Ok(format!(
        "{packets} packets, {bytes} bytes, {all} flows of {most} packets at most; {messengers} with a signature"
    ))
}

fn headers(frame: &[u8]) -> Option<(Key, &[u8])> {
    let ([.., 0x08, 0x00], datagram) = frame.split_first_chunk::<14>()? else {
        return None;
    };
    let first = *datagram.first()?;
    let protocol = *datagram.get(9)?;
    let segment = datagram.get(usize::from(first & 15) * 4..)?;
    let payload = match protocol {
        6 => segment.get(usize::from(segment.get(12)? >> 4) * 4..)?,
        17 => segment.get(8..)?,
        _ => return None,
    };
    let number = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte))
    };
    let end = |ip: usize, port: usize| {
        Some(number(datagram.get(ip..ip + 4)?) << 16 | number(segment.get(port..port + 2)?))
    };
    let (a, b) = (end(12, 0)?, end(16, 2)?);
    Some(((a.min(b), a.max(b), protocol), payload))
}

fn is_messenger(payload: &[u8]) -> bool {
    matches!(
        payload,
        [0x2a, 1..=5, ..] | [b'Y', b'M', b'S', b'G', ..] | [b'V', b'E', b'R', b' ', ..]
    )
}
