//! By nft: a table of our own, made and taken away in one transaction.

use super::{Place, ROOM, Settings, protocol};
use crate::policy::apply::{Block, blocks};
use crate::policy::tool::{ToolError, run};
use std::fmt::Write as _;
use std::time::Duration;

/// Its name.
pub(super) const TABLE: &str = "imwarden_live";

/// The table, which replaces what is there of it.
///
/// Packets are judged before those of `imwarden policy`. What comes from the server of a marked connection is refused as well
/// as what goes there, and so is what comes from a refused place: the kernel may have met such a connection in its middle, and
/// take its server for the one that opened it. A refusal's own reset has the connection's mark, and gets out. An attempt at a place that is refused makes
/// its time begin anew: the key is one that is in the set, so that packets teach it nothing new.
pub(super) fn table(settings: &Settings) -> String {
    let (mask, value) = (settings.mark.mask(), settings.mark.value());
    let seconds = settings.timeout.as_secs();
    let mut text = format!(
        "table inet {TABLE}\ndelete table inet {TABLE}\ntable inet {TABLE} {{\n\
         \tcomment \"imwarden sniff --enforce makes this, and takes it away\"\n\
         \tcounter cut {{ }}\n\tcounter refused {{ }}\n"
    );
    // Writing to a String cannot fail.
    for (family, of) in [("4", "ipv4_addr"), ("6", "ipv6_addr")] {
        let _ = write!(
            text,
            "\tset servers{family} {{\n\t\ttype {of} . inet_proto . inet_service\n\t\tsize {ROOM}\n\
             \t\tflags dynamic,timeout\n\t\ttimeout {seconds}s\n\t}}\n"
        );
    }
    text.push_str(
        "\tchain deny {\n\t\tmeta l4proto tcp reject with tcp reset\n\t\treject with icmpx admin-prohibited\n\t}\n",
    );
    for (family, ip) in [("4", "ip"), ("6", "ip6")] {
        let _ = write!(
            text,
            "\tchain known{family} {{\n\
             \t\tct state new update @servers{family} {{ {ip} daddr . meta l4proto . th dport }}\n\
             \t\tcounter name refused goto deny\n\t}}\n"
        );
    }
    let _ = write!(
        text,
        "\tchain judge {{\n\t\ttcp flags rst accept\n\
         \t\tct mark and {mask:#010x} == {value:#010x} counter name cut goto deny\n\
         \t\tip saddr . meta l4proto . th sport @servers4 counter name refused goto deny\n\
         \t\tip6 saddr . meta l4proto . th sport @servers6 counter name refused goto deny\n\
         \t\tct direction reply accept\n\
         \t\tip daddr . meta l4proto . th dport @servers4 goto known4\n\
         \t\tip6 daddr . meta l4proto . th dport @servers6 goto known6\n\t}}\n"
    );
    for (hook, own) in [("forward", ""), ("output", "oifname"), ("input", "iifname")] {
        let _ = write!(
            text,
            "\tchain {hook} {{\n\t\ttype filter hook {hook} priority filter - 6; policy accept;\n"
        );
        if !own.is_empty() {
            let _ = writeln!(text, "\t\t{own} \"lo\" accept");
        }
        text.push_str("\t\tmeta l4proto { tcp, udp } goto judge\n\t}\n");
    }
    text.push_str("}\n");
    text
}

pub(super) fn load(settings: &Settings) -> Result<(), ToolError> {
    let mut text = table(settings);
    for block in blocks(&listing()?.unwrap_or_default()) {
        if let Some(elements) = elements(&block) {
            let _ = writeln!(
                text,
                "add element inet {TABLE} {} {{ {elements} }}",
                block.name
            );
        }
    }
    feed(&text)
}

fn feed(text: &str) -> Result<(), ToolError> {
    run("nft", &["-f", "/dev/stdin"], &[], text).map(drop)
}

/// What is in one of our sets.
fn elements(block: &Block<'_>) -> Option<String> {
    let ours = block.kind == "set" && matches!(block.name, "servers4" | "servers6");
    block.elements().filter(|_| ours)
}

/// The table as it is now; `None` if there is none.
fn listing() -> Result<Option<String>, ToolError> {
    match run("nft", &["list", "table", "inet", TABLE], &[], "") {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error),
    }
}

/// The statement that adds a place. An address is nothing but digits, letters, dots and colons.
pub(super) fn element(place: &Place, timeout: Duration) -> String {
    let family = if place.server.ip.is_ipv4() { '4' } else { '6' };
    format!(
        "add element inet {TABLE} servers{family} {{ {} timeout {}s }}\n",
        key(place),
        timeout.as_secs()
    )
}

fn key(place: &Place) -> String {
    let (ip, port) = (place.server.ip, place.server.port);
    format!("{ip} . {} . {port}", protocol(place.transport))
}

/// Adding what is there changes nothing, not even its time: so it is taken out first, which asks for it to be there.
pub(super) fn add(places: &[Place], timeout: Duration) -> Result<(), ToolError> {
    let mut text = String::new();
    for place in places {
        let family = if place.server.ip.is_ipv4() { '4' } else { '6' };
        let add = element(place, timeout);
        let _ = write!(
            text,
            "{add}delete element inet {TABLE} servers{family} {{ {} }}\n{add}",
            key(place)
        );
    }
    feed(&text)
}

/// Only names are asked for: a listing of everything takes seconds where somebody has large sets.
pub(super) fn is_there() -> Result<bool, ToolError> {
    let tables = run("nft", &["list", "tables", "inet"], &[], "")?;
    let ours = format!("table inet {TABLE}");
    Ok(tables.lines().any(|line| line == ours))
}

pub(super) fn remove() -> Result<(), ToolError> {
    feed(&format!("table inet {TABLE}\ndelete table inet {TABLE}\n"))
}

pub(super) fn refused() -> Result<Option<usize>, ToolError> {
    let Some(listing) = listing()? else {
        return Ok(None);
    };
    let all = blocks(&listing);
    let sets = all.iter().filter(|block| elements(block).is_some());
    Ok(Some(sets.map(Block::size).sum()))
}
