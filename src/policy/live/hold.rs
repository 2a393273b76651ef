//! The rules that hold the first packets of connections (`--inline`): chains of our own in the tables `mangle`, which packets come
//! to before any rule that refuses them, ours in nftables or iptables among them.
//!
//! They need the target `NFQUEUE`. nft has a word for it as well, but not on every kernel, and two ways to say the same would be
//! one more that can be wrong; so iptables it is, whichever this machine has.

use super::Settings;
use super::xtables::LOCK_WAIT;
use crate::policy::prove::Backend;
use crate::policy::tool::{ToolError, run};
use std::fmt::Write as _;

/// The chain.
pub(super) const CHAIN: &str = "IMWHOLD";
/// The queue: "IM".
pub const QUEUE: u16 = 0x494d;
/// Packets of a connection, both ways together, that are asked about at most.
pub const PACKETS: u32 = 64;

/// Which packets are held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// By which iptables.
    pub by: Backend,
    /// What comes in or goes out here; everywhere if there is none.
    pub interfaces: Vec<String>,
}

/// `iptables-restore --noflush` reads it. A connection that has a mark is decided; where nobody asks for packets, they pass.
fn chain(settings: &Settings) -> String {
    format!(
        "*mangle\n:{CHAIN} - [0:0]\n-F {CHAIN}\n\
         -A {CHAIN} -m connmark ! --mark 0/{:#x} -j RETURN\n\
         -A {CHAIN} -m connbytes --connbytes 0:{} --connbytes-dir both --connbytes-mode packets \
         -j NFQUEUE --queue-num {QUEUE} --queue-bypass\nCOMMIT\n",
        settings.mark.mask(),
        PACKETS - 1,
    )
}

/// The jumps: chain, and the words behind it. The machine's talk with itself is left out.
fn jumps(hold: &Hold) -> Vec<(&'static str, Vec<&str>)> {
    let end = ["-p", "tcp", "-j", CHAIN];
    let mut all = Vec::new();
    if hold.interfaces.is_empty() {
        all.push(("FORWARD", Vec::new()));
        all.push(("OUTPUT", vec!["!", "-o", "lo"]));
        all.push(("INPUT", vec!["!", "-i", "lo"]));
    }
    for name in hold.interfaces.iter().filter(|name| *name != "lo") {
        all.push(("FORWARD", vec!["-i", name]));
        all.push(("FORWARD", vec!["-o", name]));
        all.push(("OUTPUT", vec!["-o", name]));
        all.push(("INPUT", vec!["-i", name]));
    }
    for (_, words) in &mut all {
        words.extend(end);
    }
    all
}

/// In words that an administrator could run.
pub(super) fn text(settings: &Settings, hold: &Hold) -> String {
    let mut text = String::new();
    for program in hold.by.xtables() {
        let _ = write!(text, "# {program}-restore --noflush\n{}", chain(settings));
        for (hook, words) in jumps(hold) {
            let _ = writeln!(text, "{program} -t mangle -I {hook} 1 {}", words.join(" "));
        }
    }
    text
}

pub(super) fn load(settings: &Settings, hold: &Hold) -> Result<(), ToolError> {
    let loaded = attempt(settings, hold);
    if loaded.is_err() {
        // Half of it is worse than nothing. What failed first is what is told.
        let _ = remove(hold.by);
    }
    loaded
}

fn attempt(settings: &Settings, hold: &Hold) -> Result<(), ToolError> {
    let text = chain(settings);
    for program in hold.by.xtables() {
        let arguments = ["-w", LOCK_WAIT, "--noflush"];
        run(&format!("{program}-restore"), &arguments, &[], &text)?;
        unhook(program)?;
        for (hook, words) in jumps(hold) {
            let mut arguments = vec!["-w", LOCK_WAIT, "-t", "mangle", "-I", hook, "1"];
            arguments.extend(words);
            run(program, &arguments, &[], "")?;
        }
    }
    Ok(())
}

/// The rules of the table as they are.
fn rules(program: &str) -> Result<String, ToolError> {
    run(program, &["-w", LOCK_WAIT, "-t", "mangle", "-S"], &[], "")
}

/// The jumps that are there, as words.
fn ours(rules: &str) -> impl Iterator<Item = Vec<&str>> {
    let jump = format!(" -j {CHAIN}");
    rules
        .lines()
        .filter(move |line| line.starts_with("-A ") && line.ends_with(&jump))
        .map(|line| line.split(' ').skip(1).collect())
}

/// Takes the jumps out, whichever interfaces they are about.
fn unhook(program: &str) -> Result<(), ToolError> {
    for words in ours(&rules(program)?) {
        let mut arguments = vec!["-w", LOCK_WAIT, "-t", "mangle", "-D"];
        arguments.extend(words);
        run(program, &arguments, &[], "")?;
    }
    Ok(())
}

/// Whether all of it is there.
pub(super) fn is_whole(hold: &Hold) -> Result<bool, ToolError> {
    for program in hold.by.xtables() {
        let rules = rules(program)?;
        if !rules.contains("-j NFQUEUE") || ours(&rules).count() != jumps(hold).len() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Takes away what is there of it.
pub(super) fn remove(by: Backend) -> Result<(), ToolError> {
    for program in by.xtables() {
        let there = rules(program)?;
        if !there.lines().any(|line| line == format!("-N {CHAIN}")) {
            continue;
        }
        unhook(program)?;
        let text = format!("*mangle\n-F {CHAIN}\n-X {CHAIN}\nCOMMIT\n");
        let arguments = ["-w", LOCK_WAIT, "--noflush"];
        run(&format!("{program}-restore"), &arguments, &[], &text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jumps_are_found_again_whatever_stands_before_them() {
        let rules = "-P FORWARD ACCEPT\n-N IMWHOLD\n-A FORWARD -i lan -p tcp -j IMWHOLD\n-A FORWARD -j TTL\n\
                     -A INPUT ! -i lo -p tcp -j IMWHOLD\n-A IMWHOLD -j NFQUEUE --queue-num 18765 --queue-bypass\n";
        let found: Vec<String> = ours(rules).map(|words| words.join(" ")).collect();
        assert_eq!(
            found,
            [
                "FORWARD -i lan -p tcp -j IMWHOLD",
                "INPUT ! -i lo -p tcp -j IMWHOLD"
            ]
        );
    }
}
