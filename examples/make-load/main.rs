//! Makes large captures for `benches/`, each with its truth beside it.
//!
//! `cargo run --release --example make-load -- KIND FILE [COUNT]`: the same bytes every time. Nothing of the library is
//! used here; what the capture holds is known from what made it.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::panic,
    reason = "a tool: it says what it wrote, and a mistake must stop it"
)]

mod flood;
mod mix;
mod player;

#[path = "../make-samples/scenario/mod.rs"]
#[allow(dead_code, unreachable_pub)]
mod scenario;

use flood::Flood;
use mix::Mix;
use player::{Chance, Script, Stage};
use std::io;
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "\
usage: make-load KIND FILE [COUNT]

Writes FILE (pcap) and FILE.tsv, the messenger flows in it. Every other flow is no messenger's.

kinds, and what COUNT counts:
  office      packets: an office's web, mail, names, calls, files; every twentieth flow a messenger's  (2000000)
  small       packets: names, shells, calls, lines; every twentieth flow a messenger's                 (1000000)
  syn-scan    flows of one SYN, and messengers among them                                              (10000000)
  random      flows of random bytes, and messengers among them                                         (1000000)
  fragments   fragments of datagrams that never become whole, and messengers among them                (4000000)
  queues      connections that miss a segment and wait for it, and messengers among them               (1000000)";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let count =
        |given: Option<&String>, usual| given.map_or(Some(usual), |text| text.parse::<u64>().ok());
    let (kind, file, rest) = match arguments.as_slice() {
        [kind, file, rest @ ..] if rest.len() < 2 => (kind.as_str(), Path::new(file), rest.first()),
        _ => return usage(),
    };
    let made = match (Mix::of(kind), Flood::of(kind)) {
        (Some(mix), _) => count(rest, mix.usual()).map(|packets| of_mix(&mix, packets, file)),
        (_, Some(flood)) => count(rest, flood.usual()).map(|units| of_flood(flood, units, file)),
        (None, None) => None,
    };
    match made {
        Some(Ok(said)) => {
            println!("{}: {said}", file.display());
            ExitCode::SUCCESS
        }
        Some(Err(error)) => {
            eprintln!("{}: {error}", file.display());
            ExitCode::FAILURE
        }
        None => usage(),
    }
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}

/// Ordinary flows of a mix, begun at any time of as long as such an office would need; every twentieth is a
/// messenger's.
fn of_mix(mix: &Mix, packets: u64, file: &Path) -> io::Result<String> {
    let mut stage = Stage::create(file)?;
    let messengers = Mix::messengers();
    let mut chance = Chance::new(1);
    let duration = packets * mix::MICROS_A_PACKET;
    let (mut planned, mut flows, mut messenger_flows) = (0, 0, 0);
    while planned < packets {
        let start = chance.below(duration);
        let script = if messenger_flows * 20 < flows {
            chance.pick(&messengers)
        } else {
            mix.pick(&mut chance)
        };
        messenger_flows += script.named();
        planned += script.packets();
        flows += script.flows();
        stage.enter(script, start);
    }
    stage.play_until(u64::MAX)?;
    stage.finish()
}

/// A flood, with a messenger's sign-on beginning every now and then.
fn of_flood(flood: Flood, units: u64, file: &Path) -> io::Result<String> {
    const MESSENGERS: u64 = 60;
    let mut stage = Stage::create(file)?;
    let messengers = Script::messengers();
    let duration = units * flood.micros_a_unit();
    for number in 0..MESSENGERS {
        let script = &messengers[number as usize % messengers.len()];
        stage.enter(script, duration * number / MESSENGERS);
    }
    for (micros, frame) in flood.frames(units) {
        stage.play_until(micros)?;
        stage.write(micros, &frame)?;
    }
    stage.play_until(u64::MAX)?;
    stage.finish()
}
