//! `imwarden sniff` and `doctor` in the first minute: wrong words, missing folders, containers, users; and how it ends.
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
use serde_json::Value;
use sniff_support::{PROGRAMS, WORDS, analysed, essence, imwarden, run, sample};
use std::fmt::Write;
use std::fs;
use std::process::Command;

#[test]
fn what_makes_no_sense_is_refused_in_words_that_help() {
    if !can_run("sniff, words", &["ip", "unshare"]) {
        return;
    }
    let tries = [
        (
            "-i v1 -o nowhere/out.ndjson",
            2,
            "there is no folder nowhere; mkdir -p nowhere makes it",
        ),
        (
            "-i v1 -w nowhere/all.pcapng",
            2,
            "there is no folder nowhere",
        ),
        ("-i v1 -o .", 2, "cannot write .: Is a directory"),
        ("-i v1 -o same -w same", 2, "-o and -w name the same file"),
        (
            "-i v1 -o there.ndjson -w linked.pcapng",
            2,
            "-o and -w name the same file",
        ),
        ("-i v1 -w -", 2, "-w writes to a file"),
        (
            "-i v1 -o - --rotate-size 1M",
            2,
            "--rotate-... needs -o FILE",
        ),
        ("-i v1 -i any", 2, "would see them twice"),
        ("-i v1 --ring-size 1M", 2, "--write <FILE>"),
        ("-i v1 -B 99999999", 2, "is not in 64..=1048576"),
        ("-i v1 -s 10", 2, "is not in 64..=262144"),
        ("-i v1 --duration 0", 2, "is not in 1..="),
        (
            "-i v1 --metrics unix:nowhere/socket",
            2,
            "cannot open the socket of --metrics",
        ),
        (
            "-i v1 --syslog=nowhere",
            2,
            "cannot open the system log at nowhere",
        ),
        ("-i v1 --rules nowhere", 2, "cannot read nowhere"),
        ("-i v7", 4, "there is no interface v7; there are: "),
        ("-i v1 --user nobody-at-all", 4, "a number works as well"),
        ("", 2, "which interface? -i NAME says it; there are: "),
    ];
    let mut script = "cable\necho kept > there.ndjson; ln there.ndjson linked.pcapng\n".to_owned();
    for (words, ..) in &tries {
        writeln!(
            script,
            "\"$IM\" sniff {words} --duration 5 > out.txt 2>&1; echo \"$?: $(tr '\\n' ' ' < out.txt)\""
        )
        .unwrap();
    }
    script += "cat there.ndjson; ls";
    let ran = run(&script.replace(" --duration 0 --duration 5", " --duration 0"));
    let mut lines = ran.said.lines();
    for (words, code, expected) in tries {
        let line = lines.next().unwrap();
        assert!(
            line.starts_with(&format!("{code}: ")) && line.contains(expected),
            "{words}: {line}"
        );
        // Places of libpcap's for other things are no interfaces.
        assert!(
            !line.contains("nflog") && !line.contains("dbus"),
            "{words}: {line}"
        );
    }
    // Nothing was made or emptied on the way.
    assert_eq!(
        lines.collect::<Vec<_>>(),
        ["kept", "linked.pcapng", "out.txt", "there.ndjson"]
    );
}

#[test]
fn an_interface_that_is_named_twice_is_listened_on_once() {
    if !can_run("sniff, twice", &PROGRAMS) {
        return;
    }
    let (_, count) = analysed(&sample("aim-signon-message"));
    let ran = run(&format!(
        "cable
sniff -i v1 -i v1 --format ndjson -o - -B 1048576
replay {aim}
packets {count}
finish; ls ./-",
        aim = sample("aim-signon-message"),
    ));
    assert!(
        ran.said.starts_with("exit 0\n") && ran.said.contains("No such file"),
        "{}",
        ran.said
    );
    assert_eq!(ran.summary()["packets"], count);
}

#[test]
fn a_full_standard_output_is_said_and_summed_up() {
    if !can_run("sniff, /dev/full", &PROGRAMS) {
        return;
    }
    let ran = run(&format!(
        "cable
: > err.txt; \"$IM\" sniff -i v1 --duration 90 > /dev/full 2> err.txt & P=$!
until_said 'listening on' err.txt
replay {aim}
until_said 'cannot write to stdout' err.txt
finish",
        aim = sample("aim-signon-message"),
    ));
    assert_eq!(ran.said, "exit 3\n", "{}", ran.err());
    let err = ran.err();
    assert!(
        err.contains("records not written") && err.contains(" packets, "),
        "{err}"
    );
}

#[test]
fn it_ends_after_its_time() {
    if !can_run("sniff, duration", &PROGRAMS) {
        return;
    }
    let ran = run(&format!(
        "cable
: > err.txt; begun=$(date +%s)
\"$IM\" sniff -i v1 --format ndjson --duration 3 > out.ndjson 2> err.txt & P=$!
until_said 'listening on' err.txt
replay {aim}
wait $P; echo exit $?
[ $(($(date +%s) - begun)) -ge 2 ] || echo too early",
        aim = sample("aim-signon-message"),
    ));
    assert_eq!(ran.said, "exit 0\n", "{}", ran.err());
    assert_eq!(
        ran.summary()["packets"],
        analysed(&sample("aim-signon-message")).1
    );
}

#[test]
fn files_begin_anew_when_their_time_has_come() {
    if !can_run("sniff, rotation by time", &PROGRAMS) {
        return;
    }
    let (expected, count) = analysed(&sample("office"));
    let ran = run(&format!(
        "cable
mkdir logs ring
: > err.txt
\"$IM\" sniff -i v1 --duration 90 --format ndjson --interval 1 -o logs/im.ndjson --rotate-every 1 -w ring/all.pcapng --ring-every 1 > out.txt 2> err.txt & P=$!
until_said 'listening on' err.txt
finished() {{ n=0; until [ \"$(ls $1 | wc -l)\" -gt $2 ] || [ $n -gt 300 ]; do n=$((n + 1)); sleep 0.1; done; }}
replay {office}
packets {count}
finished logs 2
# The ring's file begins anew with a packet.
replay {office}
finished ring 1
packets $((2 * {count}))
finish",
        office = sample("office"),
    ));
    assert_eq!(ran.said, "exit 0\n", "{}", ran.err());
    let names = |folder: &str| -> Vec<String> {
        let entries = fs::read_dir(ran.folder.path().join(folder)).unwrap();
        let mut names: Vec<String> = entries
            .map(|it| format!("{folder}/{}", it.unwrap().file_name().to_str().unwrap()))
            .collect();
        names.sort();
        names
    };
    let logs = names("logs");
    assert!(logs.len() > 2 && names("ring").len() > 1, "{logs:?}");
    // No record is torn or lost at a seam, and no packet.
    let records: Vec<Value> = logs.iter().flat_map(|name| ran.records(name)).collect();
    let flows: Vec<Value> = records
        .into_iter()
        .filter(|it| it["event_type"] == "flow")
        .collect();
    assert_eq!(essence(&flows).len(), essence(&expected).len());
    let (_, saved) = analysed(ran.folder.path().join("ring").to_str().unwrap());
    assert_eq!(saved, 2 * count);
}

#[test]
fn a_second_ctrl_c_ends_it_at_once() {
    if !can_run("sniff, Ctrl-C twice", &PROGRAMS) {
        return;
    }
    // Nobody reads the pipe, and it is full: the first one would wait for a reader for ten seconds and more.
    let ran = run(&format!(
        "cable
mkfifo pipe; sleep 100 < pipe & S=$!
: > err.txt
\"$IM\" sniff -i v1 --format ndjson --duration 90 > pipe 2> err.txt & P=$!
until_said 'listening on' err.txt
replay --loop 5 {office}
packets 1
kill -INT $P
sleep 1
kill -0 $P && echo still there
begun=$(date +%s)
kill -INT $P; wait $P; echo exit $?
[ $(($(date +%s) - begun)) -lt 7 ] || echo too late
kill $S",
        office = sample("office"),
    ));
    assert_eq!(ran.said, "still there\nexit 130\n", "{}", ran.err());
}

/// Runs as the real root in a network, a view of files and a user of its own; `None` where nobody is root.
fn as_root(test: &str, script: &str) -> Option<(String, tempfile::TempDir)> {
    if !can_run(test, &["unshare", "setpriv"]) {
        return None;
    }
    let id = Command::new("id").arg("-u").output().unwrap();
    if id.stdout != b"0\n" {
        policy_support::skip(test, "needs root");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("unshare")
        .args([
            "-mn",
            "sh",
            "-c",
            &format!("IM='{}'\n{WORDS}\n{script}", imwarden()),
        ])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    Some((String::from_utf8(said).unwrap(), folder))
}

#[test]
fn where_no_user_is_known_it_becomes_nobody_by_number() {
    let ran = as_root(
        "sniff, no passwd",
        "mount -t tmpfs none /etc
sniff -i lo -o log.txt
grep -E '^(Uid|Gid|Groups):' /proc/$P/status
finish
cat err.txt
sniff -i lo -o log.txt --user 1234:567
grep -E '^(Uid|Gid|Groups):' /proc/$P/status
finish
\"$IM\" sniff -i lo -o log.txt --user alice; echo exit $?",
    );
    let Some((said, _)) = ran else { return };
    let ids = |uid: u32, gid: u32| {
        format!(
            "Uid:\t{uid}\t{uid}\t{uid}\t{uid}\nGid:\t{gid}\t{gid}\t{gid}\t{gid}\nGroups:\t{gid} \nexit 0\n"
        )
    };
    assert!(said.starts_with(&ids(65534, 65534)), "{said}");
    assert!(said.contains(&ids(1234, 567)), "{said}");
    // Nothing to warn about.
    assert!(!said.contains("staying"), "{said}");
    assert!(
        said.contains("exit 4\n") && said.contains("--user 65534"),
        "{said}"
    );
}

#[test]
fn without_the_right_to_become_another_user_it_says_which_right_that_is() {
    let ran = as_root(
        "sniff, no CAP_SETUID",
        "sniff() {
    setpriv --bounding-set=-setuid,-setgid \"$IM\" sniff -i lo --duration 90 > out.txt 2> err.txt & P=$!
    until_said 'listening on' err.txt
}
sniff
grep -E '^(Uid|CapEff|CapPrm):' /proc/$P/status
finish
cat err.txt
setpriv --bounding-set=-setuid,-setgid \"$IM\" sniff -i lo --user nobody; echo exit $?",
    );
    let Some((said, _)) = ran else { return };
    let none = "0000000000000000";
    assert!(
        said.starts_with(&format!(
            "Uid:\t0\t0\t0\t0\nCapPrm:\t{none}\nCapEff:\t{none}\nexit 0\n"
        )),
        "{said}"
    );
    let why =
        "is missing (CAP_SETUID and CAP_SETGID; in a container: --cap-add SETUID --cap-add SETGID)";
    assert_eq!(said.matches(why).count(), 2, "{said}");
    assert!(
        said.contains(": staying the same user, without rights") && said.contains("exit 4\n"),
        "{said}"
    );
}

#[test]
fn the_doctors_command_is_that_of_the_place() {
    if !can_run("doctor, places", &["ip", "unshare", "setpriv"]) {
        return;
    }
    let ran = run("without='setpriv --bounding-set=-net_raw,-net_admin'
cable
container=docker $without \"$IM\" doctor > container.txt; echo $?
container=docker \"$IM\" doctor > well.txt; echo $?
INVOCATION_ID=1 JOURNAL_STREAM=1:2 host $without \"$IM\" doctor > service.txt; echo $?");
    assert_eq!(ran.said, "4\n0\n4\n");
    let (container, service) = (ran.file("container.txt"), ran.file("service.txt"));
    assert!(
        container.contains(
            "> docker run --user root --network host --cap-add NET_RAW --cap-add NET_ADMIN"
        ) && !container.contains("setcap"),
        "{container}"
    );
    assert!(
        service.contains("> sudo systemctl edit imwarden")
            && service.contains("AmbientCapabilities=CAP_NET_RAW")
            && !service.contains("setcap"),
        "{service}"
    );
    assert!(
        ran.file("well.txt")
            .contains("the host's own only with --network host")
    );
}
