//! Interfaces that lose their link, fail, or were never there: what `imwarden sniff` and `devices` say, and what goes on.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    reason = "a test may fail"
)]

mod policy_support;
mod sniff_support;

use policy_support::can_run;
use sniff_support::{PROGRAMS, run, sample};

/// Words for a test in which the kernel gives errors that no machine here gives by itself. libpcap waits by poll, a packet socket is
/// read by recvmsg; nothing else of the process uses either.
const ERRORS: &str = "
fail() { # each read of an interface, from now on
    strace -f -p $P -o trace.txt -e trace=poll,recvmsg -e inject=poll,recvmsg:error=EIO 2> strace.txt &
    S=$!
    until_said attached strace.txt
}
mend() { kill -INT $S; wait $S 2>/dev/null; }
";

#[test]
fn a_link_that_is_lost_is_said_and_so_is_its_return() {
    if !can_run("sniff, link", &PROGRAMS) {
        return;
    }
    let ran = run(&format!(
        "cable
\"$IM\" devices > up.txt
sniff -i v1 --format ndjson
replay {aim}; until_said alice77 out.ndjson
ip link set v0 down; until_said 'v1: no link' err.txt
\"$IM\" devices > lost.txt
ip link set v0 up; until_said 'v1: the link is back' err.txt
replay {msn}; until_said switchboard out.ndjson
# Both at once: the interface itself is what counts.
ip link set v1 down; until_said 'v1: the interface is down' err.txt
\"$IM\" devices > down.txt
ip link set v1 up; until_said 'v1: the interface is up again' err.txt
replay {yahoo}; until_said carol_y out.ndjson
finish
ip link set v0 down
sniff -i v1; until_said 'v1: no link' err.txt
finish",
        aim = sample("aim-signon-message"),
        msn = sample("msn-signon-chat"),
        yahoo = sample("yahoo-signon-message"),
    ));
    assert_eq!(ran.said, "exit 0\nexit 0\n", "{}", ran.err());
    for (name, expected) in [
        ("up.txt", "up"),
        ("lost.txt", "up, no link"),
        ("down.txt", "down"),
    ] {
        let devices = ran.file(name);
        let line = devices
            .lines()
            .find(|line| line.starts_with("v1 "))
            .unwrap();
        let state = line[16..]
            .split("  ")
            .map(str::trim)
            .find(|it| !it.is_empty());
        assert_eq!(state, Some(expected), "{devices}");
    }
}

#[test]
fn devices_have_their_addresses() {
    if !can_run("devices", &["ip", "unshare"]) {
        return;
    }
    let ran = run("cable
echo 0 > /proc/sys/net/ipv6/conf/v1/disable_ipv6
ip addr add 192.0.2.7/24 dev v1; ip addr add 2001:db8::7/64 dev v1 nodad
\"$IM\" devices");
    let line = ran
        .said
        .lines()
        .find(|line| line.starts_with("v1 "))
        .unwrap();
    for word in ["up", "192.0.2.7", "2001:db8::7"] {
        assert!(
            line.split_whitespace().any(|it| it == word),
            "{word}: {line}"
        );
    }
}

#[test]
fn an_interface_that_is_down_is_refused_with_the_command_that_mends_it() {
    if !can_run("sniff, down", &["ip", "unshare"]) {
        return;
    }
    let ran = run("cable
ip link set v1 down
\"$IM\" sniff -i v0 -i v1 --duration 5; echo exit $?");
    assert!(
        ran.said.contains("v1 is down") && ran.said.contains("sudo ip link set v1 up"),
        "{}",
        ran.said
    );
    assert!(ran.said.contains("exit 4\n"), "{}", ran.said);
}

#[test]
fn an_error_that_passes_is_said_once_and_survived() {
    if !can_run("sniff, error", &["ip", "unshare", "tcpreplay", "strace"]) {
        return;
    }
    let ran = run(&format!(
        "{ERRORS}
cable
sniff -i v1 --format ndjson
replay {aim}; until_said alice77 out.ndjson
fail
until_said 'v1: .*nput/output error.*; trying again' err.txt
mend
until_said 'v1: listening again' err.txt
replay {msn}; until_said switchboard out.ndjson
finish",
        aim = sample("aim-signon-message"),
        msn = sample("msn-signon-chat"),
    ));
    assert_eq!(ran.said, "exit 0\n", "{}", ran.err());
    assert_eq!(
        ran.err().matches("trying again").count(),
        1,
        "{}",
        ran.err()
    );
}

#[test]
fn an_error_that_stays_ends_it_with_a_failure() {
    if !can_run("sniff, fatal", &["ip", "unshare", "tcpreplay", "strace"]) {
        return;
    }
    let ran = run(&format!(
        "{ERRORS}
cable
sniff -i v1 --format ndjson
replay {aim}; until_said alice77 out.ndjson
fail
wait $P; echo exit $?",
        aim = sample("aim-signon-message"),
    ));
    let err = ran.err();
    assert_eq!(ran.said, "exit 4\n", "{err}");
    assert!(
        err.contains("cannot listen any more: v1: ") && err.contains("nput/output error"),
        "{err}"
    );
    // What was found before is there, and summed up.
    assert!(
        ran.of_type("flow")
            .iter()
            .any(|it| it["accounts"][0] == "alice77")
    );
    assert!(ran.summary()["packets"].as_u64().unwrap() > 0);
}

#[test]
fn one_of_several_that_goes_away_does_not_end_the_others() {
    if !can_run("sniff, one of several", &PROGRAMS) {
        return;
    }
    let ran = run(&format!(
        "cable
ip link add w0 mtu 65535 type veth peer name w1 mtu 65535; ip link set w0 up; ip link set w1 up
\"$IM\" sniff -i v1 -i x1 2> none.txt; echo exit $?
sniff -i v1 -i w1 --format ndjson
ip link del w0; until_said 'w1: the interface is gone' err.txt
replay {aim}; until_said alice77 out.ndjson
finish",
        aim = sample("aim-signon-message"),
    ));
    assert_eq!(ran.said, "exit 4\nexit 0\n", "{}", ran.err());
    assert!(
        ran.file("none.txt").contains("no interface x1"),
        "{}",
        ran.file("none.txt")
    );
    assert!(!ran.err().contains("v1:"), "{}", ran.err());
}
