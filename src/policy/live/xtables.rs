//! By iptables, ip6tables and ipset: chains and sets of our own, and jumps to them before all other rules.

use super::{Place, ROOM, Settings, protocol};
use crate::policy::prove::Backend;
use crate::policy::tool::{ToolError, run};
use std::fmt::Write as _;
use std::time::Duration;

/// Ours. None of these names is one of `imwarden policy`.
pub(super) const CHAINS: [&str; 3] = ["IMWLIVE", "IMWLIVE-KNOWN", "IMWLIVE-DENY"];
/// The built-in chains, and what leaves the machine's talk with itself out.
const HOOKS: [(&str, &[&str]); 3] = [
    ("FORWARD", &[]),
    ("OUTPUT", &["!", "-o", "lo"]),
    ("INPUT", &["!", "-i", "lo"]),
];
/// Others who are at it are soon done, in seconds.
pub(super) const LOCK_WAIT: &str = "10";
/// Rules that are gone let go of their sets a moment later.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(50);

const fn set(v4: bool) -> &'static str {
    if v4 { "imwlive4" } else { "imwlive6" }
}

/// `ipset restore` reads it.
fn sets(settings: &Settings) -> String {
    let seconds = settings.timeout.as_secs();
    let mut text = String::new();
    for (v4, family) in [(true, "inet"), (false, "inet6")] {
        let name = set(v4);
        let _ = writeln!(
            text,
            "create {name} hash:ip,port family {family} maxelem {ROOM} timeout {seconds}"
        );
    }
    text
}

/// `iptables-restore --noflush` reads it. As in nftables: a reset gets out, a marked connection is refused both ways, and an attempt
/// at a place that is in the set makes its time begin anew.
fn chains(settings: &Settings, v4: bool) -> String {
    let mark = settings.mark;
    let seconds = settings.timeout.as_secs();
    let name = set(v4);
    let refuse = if v4 {
        "icmp-admin-prohibited"
    } else {
        "icmp6-adm-prohibited"
    };
    let mut text = "*filter\n".to_owned();
    for chain in CHAINS {
        let _ = writeln!(text, ":{chain} - [0:0]");
    }
    for chain in CHAINS {
        let _ = writeln!(text, "-F {chain}");
    }
    let _ = write!(
        text,
        "-A IMWLIVE -p tcp -m tcp --tcp-flags RST RST -j RETURN\n\
         -A IMWLIVE -m connmark --mark {mark} -j IMWLIVE-DENY\n\
         -A IMWLIVE -m set --match-set {name} src,src -j IMWLIVE-DENY\n\
         -A IMWLIVE -m conntrack --ctdir REPLY -j RETURN\n\
         -A IMWLIVE -m set --match-set {name} dst,dst -j IMWLIVE-KNOWN\n\
         -A IMWLIVE-KNOWN -m conntrack --ctstate NEW -j SET --add-set {name} dst,dst --exist --timeout {seconds}\n\
         -A IMWLIVE-KNOWN -j IMWLIVE-DENY\n\
         -A IMWLIVE-DENY -p tcp -j REJECT --reject-with tcp-reset\n\
         -A IMWLIVE-DENY -j REJECT --reject-with {refuse}\n"
    );
    text.push_str("COMMIT\n");
    text
}

/// The words of a jump, behind the chain's name.
fn jump<'a>(other: &[&'a str], protocol: &'a str) -> Vec<&'a str> {
    let mut words = other.to_vec();
    words.extend(["-p", protocol, "-j", "IMWLIVE"]);
    words
}

pub(super) fn text(settings: &Settings) -> String {
    let mut text = format!("# ipset restore -exist\n{}", sets(settings));
    let families = settings.backend.xtables();
    for (program, v4) in families.into_iter().zip([true, false]) {
        let _ = write!(
            text,
            "# {program}-restore --noflush\n{}",
            chains(settings, v4)
        );
        for (hook, other) in HOOKS {
            for protocol in ["tcp", "udp"] {
                let _ = writeln!(
                    text,
                    "{program} -I {hook} 1 {}",
                    jump(other, protocol).join(" ")
                );
            }
        }
    }
    text
}

pub(super) fn load(settings: &Settings) -> Result<(), ToolError> {
    let loaded = attempt(settings);
    if loaded.is_err() {
        // Half of it is worse than nothing. What failed first is what is told.
        let _ = remove(settings.backend);
    }
    loaded
}

fn attempt(settings: &Settings) -> Result<(), ToolError> {
    run("ipset", &["restore", "-exist"], &[], &sets(settings))?;
    let families = settings.backend.xtables();
    for (program, v4) in families.into_iter().zip([true, false]) {
        let arguments = ["-w", LOCK_WAIT, "--noflush"];
        let text = chains(settings, v4);
        run(&format!("{program}-restore"), &arguments, &[], &text)?;
        unhook(program);
        for (hook, other) in HOOKS {
            for protocol in ["tcp", "udp"] {
                let mut words = vec!["-w", LOCK_WAIT, "-I", hook, "1"];
                words.extend(jump(other, protocol));
                run(program, &words, &[], "")?;
            }
        }
    }
    Ok(())
}

/// Takes the jumps out, as often as they are there.
fn unhook(program: &str) {
    for (hook, other) in HOOKS {
        for protocol in ["tcp", "udp"] {
            let mut words = vec!["-w", LOCK_WAIT, "-D", hook];
            words.extend(jump(other, protocol));
            while run(program, &words, &[], "").is_ok() {}
        }
    }
}

/// The line that `ipset restore` reads. An address is nothing but digits, letters, dots and colons.
pub(super) fn element(place: &Place, timeout: Duration) -> String {
    let (ip, port) = (place.server.ip, place.server.port);
    format!(
        "add {} {ip},{}:{port} timeout {}\n",
        set(ip.is_ipv4()),
        protocol(place.transport),
        timeout.as_secs()
    )
}

/// With `-exist`, what is there already begins its time anew.
pub(super) fn add(places: &[Place], timeout: Duration) -> Result<(), ToolError> {
    let text: String = places.iter().map(|place| element(place, timeout)).collect();
    run("ipset", &["restore", "-exist"], &[], &text).map(drop)
}

/// Whether the jumps are the first rules of their chains: behind somebody's ACCEPT they do nothing.
pub(super) fn is_whole(settings: &Settings) -> Result<bool, ToolError> {
    for program in settings.backend.xtables() {
        for (hook, _) in HOOKS {
            for number in ["1", "2"] {
                let arguments = ["-w", LOCK_WAIT, "-S", hook, number];
                let rule = run(program, &arguments, &[], "")?;
                if !rule.trim_end().ends_with("-j IMWLIVE") {
                    return Ok(false);
                }
            }
        }
    }
    Ok(true)
}

/// Whether something of ours is there.
fn is_there(program: &str) -> bool {
    run(program, &["-w", LOCK_WAIT, "-S", "IMWLIVE"], &[], "").is_ok()
}

pub(super) fn remove(backend: Backend) -> Result<(), ToolError> {
    for program in backend.xtables() {
        if !is_there(program) {
            continue;
        }
        unhook(program);
        let mut text = "*filter\n".to_owned();
        for verb in ["-F", "-X"] {
            for chain in CHAINS {
                let _ = writeln!(text, "{verb} {chain}");
            }
        }
        text.push_str("COMMIT\n");
        let arguments = ["-w", LOCK_WAIT, "--noflush"];
        run(&format!("{program}-restore"), &arguments, &[], &text)?;
    }
    for v4 in [true, false] {
        destroy(set(v4))?;
    }
    Ok(())
}

fn destroy(name: &str) -> Result<(), ToolError> {
    let mut tries = 0;
    while let Err(error) = run("ipset", &["destroy", name], &[], "") {
        if error.what.contains("does not exist") {
            return Ok(());
        }
        tries += 1;
        if tries == TRIES {
            return Err(error);
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

pub(super) fn refused(backend: Backend) -> Result<Option<usize>, ToolError> {
    if !backend.xtables().into_iter().any(is_there) {
        return Ok(None);
    }
    let mut count = 0;
    for v4 in [true, false] {
        let text = run("ipset", &["save", set(v4)], &[], "")?;
        count += text.lines().filter(|line| line.starts_with("add ")).count();
    }
    Ok(Some(count))
}
