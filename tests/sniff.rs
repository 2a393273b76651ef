//! `imwarden sniff` on real interfaces: a cable in a private network, packets from tcpreplay, signals from the shell.
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
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn every_sample_replayed_at_full_speed_gives_the_findings_of_its_file() {
    if !can_run("sniff, samples", &PROGRAMS) {
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-pcaps");
    let mut samples: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "pcap"))
        .collect();
    samples.sort();
    assert!(samples.len() > 20);
    let mut script = "cable\n".to_owned();
    let mut counts = Vec::new();
    for path in &samples {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let (_, count) = analysed(path.to_str().unwrap());
        counts.push(count);
        // It ends by itself when it has seen as many packets as there are.
        writeln!(
            script,
            "sniff -i v1 --format ndjson -c {count} -o {name}.ndjson\nreplay {}\nwait $P || {{ echo {name}: exit $?; cat err.txt; }}",
            path.display()
        )
        .unwrap();
    }
    let ran = run(&script);
    assert_eq!(ran.said, "");
    for (path, count) in samples.iter().zip(counts) {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let (expected, _) = analysed(path.to_str().unwrap());
        let records = ran.records(&format!("{name}.ndjson"));
        let mut flows = records.clone();
        flows.retain(|it| it["event_type"] == "flow");
        assert_eq!(essence(&flows), essence(&expected), "{name}");
        let summary = records.last().unwrap();
        assert_eq!(summary["packets"], count, "{name}");
        assert_eq!(summary["listening"]["drops_ring"], 0, "{name}");
        // Each was told of before it was over.
        let ids = |event_type: &str| -> BTreeSet<u64> {
            let of_type = records.iter().filter(|it| it["event_type"] == event_type);
            let sure = of_type.filter(|it| it["confidence"] != "possible");
            sure.map(|it| it["flow_id"].as_u64().unwrap()).collect()
        };
        assert_eq!(ids("detection"), ids("flow"), "{name}");
    }
}

#[test]
fn a_messenger_is_told_of_while_it_talks_and_a_kill_leaves_whole_records() {
    if !can_run("sniff, kill", &PROGRAMS) {
        return;
    }
    let ran = run(&format!(
        "cable
sniff -i v1 --format ndjson -o log.ndjson --interval 1
replay {aim}
until_said '\"event_type\":\"detection\"' log.ndjson
grep -c '\"event_type\":\"flow\"' log.ndjson
until_said '\"event_type\":\"statistics\"' log.ndjson
replay {msn}
until_said switchboard log.ndjson
sleep 1.5
kill -KILL $P; wait $P 2>/dev/null
cp log.ndjson killed.ndjson
# The next run goes on behind it.
printf '{{\"half' >> log.ndjson
sniff -i v1 --format ndjson -o log.ndjson -c 1
replay {aim}; wait $P",
        aim = sample("aim-signon-message"),
        msn = sample("msn-signon-chat"),
    ));
    // No flow was over when its user was known.
    assert_eq!(ran.said, "0\n");
    let records = ran.records("killed.ndjson");
    let accounts = |event_type: &str| -> BTreeSet<String> {
        let of_type = records.iter().filter(|it| it["event_type"] == event_type);
        let names = of_type.flat_map(|it| it["accounts"].as_array().cloned().unwrap_or_default());
        names
            .map(|name| name.as_str().unwrap().to_owned())
            .collect()
    };
    let told: BTreeSet<String> = accounts("detection")
        .union(&accounts("update"))
        .cloned()
        .collect();
    for name in ["alice77", "alice@example.com"] {
        assert!(told.contains(name), "{told:?}");
    }
    assert!(records.iter().any(|it| it["event_type"] == "statistics"));
    assert!(records.iter().all(|it| it["event_type"] != "summary"));
    let all = ran.records("log.ndjson");
    assert_eq!(all[..records.len()], records);
    assert_eq!(all.last().unwrap()["event_type"], "summary");
}

#[test]
fn what_does_not_fit_while_we_are_held_up_is_counted_to_the_packet() {
    if !can_run("sniff, drops", &PROGRAMS) {
        return;
    }
    let (_, count) = analysed(&sample("office"));
    let ran = run(&format!(
        "cable
sniff -i v1 --format ndjson -B 256
kill -STOP $P
replay --loop 20 {office}
kill -CONT $P
packets 1
# Without libpcap the next one that finds room says how many did not: these come slowly enough to find it.
sleep 0.5; tcpreplay -q --pps 2000 -i v0 {office} > /dev/null 2>&1
sleep 1
finish",
        office = sample("office"),
    ));
    assert_eq!(ran.said, "exit 0\n", "{}", ran.err());
    let summary = ran.summary();
    let (seen, dropped) = (
        summary["packets"].as_u64().unwrap(),
        summary["listening"]["drops_ring"].as_u64().unwrap(),
    );
    assert!(dropped > 0, "{summary}");
    assert_eq!(seen + dropped, 21 * count, "{summary}");
    assert_eq!(summary["drops"], dropped);
    assert!(
        ran.err()
            .contains(&format!("lost: {dropped} packets by imwarden's own buffer")),
        "{}",
        ran.err()
    );
}

/// A port that no rule names.
const EXTRA_PORT: &str = r#"
[[port]]
id = "yahoo/extra"
feature = "session"
transport = "udp"
port = 47110
direction = "out"
source = "observed"
note = "for a test"
"#;

#[test]
fn signals_tell_reload_and_end_and_no_packet_is_lost() {
    if !can_run("sniff, signals", &PROGRAMS) {
        return;
    }
    let (_, count) = analysed(&sample("office"));
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    let ran = run(&format!(
        "cable
cp -r {rules} rules
sniff -i v1 --format ndjson --rules rules
replay {office}
packets {count}
for i in 1 2 3; do kill -HUP $P; replay {office}; done
until_said 'read again' err.txt
echo 'nonsense = ' >> rules/aim.toml
kill -HUP $P; until_said 'old rules stay in force' err.txt
replay {office}
finish",
        rules = rules.display(),
        office = sample("office"),
    ));
    assert_eq!(ran.said, "exit 0\n", "{}", ran.err());
    let err = ran.err();
    // What is wrong with the new ones is said, with the place.
    assert!(err.contains("aim.toml"), "{err}");
    assert!(err.contains("flows open in"), "{err}");
    let summary = ran.summary();
    assert_eq!(summary["packets"], 5 * count, "{summary}");
    assert_eq!(summary["listening"]["drops_ring"], 0, "{summary}");
    // The flows that were open went out, and the last line is the summary.
    let flows = ran.of_type("flow");
    assert!(flows.iter().any(|it| it["accounts"][0] == "carol9"));
    assert_eq!(ran.records("out.ndjson").last().unwrap(), &summary);
}

#[test]
fn rules_that_were_read_again_hold_for_what_comes_then() {
    if !can_run("sniff, reload", &PROGRAMS) {
        return;
    }
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    let ran = run(&format!(
        "cable
cp -r {rules} rules
say() {{ bash -c 'echo hello > /dev/udp/10.9.9.9/47110'; }}
ip addr add 10.9.9.1/24 dev v0; ip neigh add 10.9.9.9 lladdr 02:00:00:00:00:09 dev v0
sniff -i v1 --format ndjson --rules rules --udp-timeout 1 --tcp-timeout 1
say
packets 1
cat >> rules/yahoo.toml <<'X'
{fact}
X
kill -HUP $P; until_said 'read again' err.txt; sleep 0.3
say
packets 2
until_said '\"dest_port\":47110' out.ndjson
finish",
        rules = rules.display(),
        fact = EXTRA_PORT,
    ));
    assert_eq!(ran.said, "exit 0\n", "{}", ran.err());
    let flows = ran.of_type("flow");
    assert_eq!(flows.len(), 1, "{flows:?}");
    assert_eq!(
        (&flows[0]["service"], &flows[0]["confidence"]),
        (&"yahoo".into(), &"possible".into())
    );
}

/// A messenger of one's own whose signature is in no built-in file.
const PARROT: &str = r#"id = "parrot"
name = "Parrot"
about = "It repeats."
[[beginning]]
id = "parrot/hello"
transport = "udp"
sender = "client"
bytes = "50 41 52 52 4f 54 2f 31 20"
source = "site"
"#;

#[test]
fn a_file_of_ones_own_that_comes_while_listening_is_used_after_the_signal() {
    if !can_run("sniff, reload", &PROGRAMS) {
        return;
    }
    let ran = run(&format!(
        "cable
mkdir rules
cat > rules/other.toml <<'X'
{other}
X
say() {{ bash -c 'echo PARROT/1 hello > /dev/udp/10.9.9.9/'$1; }}
ip addr add 10.9.9.1/24 dev v0; ip neigh add 10.9.9.9 lladdr 02:00:00:00:00:09 dev v0
sniff -i v1 --format ndjson --rules rules --udp-timeout 1 --tcp-timeout 1
say 7001
packets 1
cat > rules/parrot.toml <<'X'
{PARROT}
X
kill -HUP $P; until_said 'read again' err.txt; sleep 0.3
say 7002
packets 2
until_said '\"dest_port\":7002' out.ndjson
finish",
        other = PARROT.replace("parrot", "other").replace("50 41", "51 41"),
    ));
    assert_eq!(ran.said, "exit 0\n", "{}", ran.err());
    let flows = ran.of_type("flow");
    assert_eq!(flows.len(), 1, "{flows:?}");
    assert_eq!(
        (&flows[0]["service"], &flows[0]["confidence"]),
        (&"parrot".into(), &"probable".into())
    );
}

#[test]
fn an_interface_that_goes_and_comes_back_is_waited_for() {
    if !can_run("sniff, interface", &PROGRAMS) {
        return;
    }
    let ran = run(&format!(
        "cable
sniff -i v1 --format ndjson
replay {aim}
packets 1
ip link set v1 down; until_said 'interface is down' err.txt
ip link set v1 up
replay {msn}
until_said switchboard out.ndjson
ip link del v0
until_said 'interface is gone' err.txt
cable
until_said 'interface is back' err.txt
replay {yahoo}
until_said carol_y out.ndjson
finish",
        aim = sample("aim-signon-message"),
        msn = sample("msn-signon-chat"),
        yahoo = sample("yahoo-signon-message"),
    ));
    assert_eq!(ran.said, "exit 0\n", "{}", ran.err());
}

#[test]
fn without_permission_or_interface_the_way_out_is_said() {
    if !can_run("sniff, permission", &["ip", "unshare", "setpriv"]) {
        return;
    }
    let ran = run("cable
setpriv --bounding-set=-net_raw,-net_admin \"$IM\" sniff -i v1 2> permission.txt; echo $?
\"$IM\" sniff -i eth7 2> wrong.txt; echo $?
\"$IM\" sniff 2> none.txt; echo $?
\"$IM\" sniff -D > list.txt; echo $?
\"$IM\" sniff -i v1 --user nobody-at-all 2> user.txt; echo $?");
    assert_eq!(ran.said, "4\n4\n2\n0\n4\n");
    let permission = ran.file("permission.txt");
    let command = format!("sudo setcap cap_net_raw,cap_net_admin=eip {}", imwarden());
    assert!(permission.contains(&command), "{permission}");
    let wrong = ran.file("wrong.txt");
    assert!(
        wrong.contains("no interface eth7") && wrong.contains("lo, ") && wrong.contains("v0, v1"),
        "{wrong}"
    );
    assert!(ran.file("none.txt").contains("which interface?"));
    assert!(ran.file("list.txt").contains("v0 "));
    assert!(ran.file("user.txt").contains("no user nobody-at-all"));
}

#[test]
fn a_full_disk_is_survived_and_counted() {
    if !can_run("sniff, disk", &PROGRAMS) {
        return;
    }
    let (_, count) = analysed(&sample("office"));
    let ran = run(&format!(
        "cat > inside.sh <<'X'
{WORDS}
# A disk each: what is freed for the log must not go to packets that still wait, and has room for all that is left to say.
mkdir log all; mount -t tmpfs -o size=4m none log; mount -t tmpfs -o size=256k none all
cable
sniff -i v1 --format ndjson -o log/log.ndjson -w all/all.pcapng
replay --loop 10 {office}
until_said 'cannot write all/all.pcapng' err.txt
dd if=/dev/zero of=log/rest bs=4k 2>/dev/null
replay {office}
until_said 'cannot write log/log.ndjson' err.txt
rm log/rest
replay {aim}
until_said 'writing log/log.ndjson again' err.txt
kill -TERM $P; wait $P; echo exit $?
cp log/log.ndjson .
X
IM=\"$IM\" unshare -m sh inside.sh",
        office = sample("office"),
        aim = sample("aim-signon-message"),
    ));
    assert_eq!(ran.said, "exit 3\n", "{}", ran.err());
    let records = ran.records("log.ndjson");
    let summary = records.last().unwrap();
    assert_eq!(summary["event_type"], "summary");
    // A busy machine may have had no time for some; they are not the disk's.
    let dropped = summary["listening"]["drops_ring"].as_u64().unwrap();
    assert!(summary["packets"].as_u64().unwrap() + dropped > 11 * count);
    assert!(
        summary["listening"]["lost_records"].as_u64().unwrap() > 0,
        "{summary}"
    );
    assert!(
        summary["listening"]["lost_packets"].as_u64().unwrap() > 0,
        "{summary}"
    );
}

#[test]
fn a_reader_that_does_not_read_holds_nobody_up() {
    if !can_run("sniff, reader", &PROGRAMS) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let crowd = folder.path().join("crowd.pcap");
    let count = crowd_of(&sample("aim-signon-message"), 1200, &crowd);
    let ran = run(&format!(
        "cable
mkfifo pipe; sleep 100 < pipe & S=$!
: > err.txt
\"$IM\" sniff -i v1 --format ndjson --duration 90 > pipe 2> err.txt & P=$!
until_said 'listening on' err.txt
tcpreplay -q --pps 12000 -i v0 {crowd} > /dev/null 2>&1
packets {count}
finish; kill $S",
        crowd = crowd.display(),
    ));
    assert_eq!(ran.said, "exit 3\n", "{}", ran.err());
    let err = ran.err();
    assert!(err.contains("records not written"), "{err}");
    assert!(!err.contains("own buffer"), "no packet was lost: {err}");
    assert!(err.contains("nobody reads"), "{err}");
}

#[test]
fn a_reader_that_has_seen_enough_ends_it() {
    if !can_run("sniff, head", &PROGRAMS) {
        return;
    }
    let ran = run(&format!(
        "cable
( sleep 1; replay --loop 3 {office} ) &
\"$IM\" sniff -i v1 --format ndjson --duration 60 2> err.txt | head -1 > first.ndjson
wait; wc -l < first.ndjson",
        office = sample("office"),
    ));
    assert_eq!(ran.said, "1\n");
    assert!(!ran.err().contains("Broken pipe"), "{}", ran.err());
}

#[test]
fn timeouts_go_on_when_no_packet_comes() {
    if !can_run("sniff, timeouts", &PROGRAMS) {
        return;
    }
    let ran = run(&format!(
        "cable
sniff -i v1 --format ndjson --tcp-timeout 1 --half-open-timeout 1 --udp-timeout 1
replay {aim}
# The connections were closed: ten seconds later they are over, though nothing else comes.
until_said '\"event_type\":\"flow\"' out.ndjson
kill -KILL $P",
        aim = sample("aim-signon-message"),
    ));
    assert_eq!(ran.said, "");
    assert_eq!(ran.of_type("flow").len(), 2);
}

#[test]
fn files_begin_anew_inside_the_sandbox_and_lose_nothing() {
    if !can_run("sniff, rotation", &PROGRAMS) {
        return;
    }
    let (expected, count) = analysed(&sample("office"));
    let ran = run(&format!(
        "cable
mkdir logs ring
sniff -i v1 --format ndjson -o logs/im.ndjson --rotate-size 16K -w ring/all.pcapng --ring-size 64K -c {count}
replay {office}
wait $P; echo exit $?",
        office = sample("office"),
    ));
    assert_eq!(ran.said, "exit 0\n", "{}", ran.err());
    let mut logs: Vec<String> = fs::read_dir(ran.folder.path().join("logs"))
        .unwrap()
        .map(|entry| format!("logs/{}", entry.unwrap().file_name().to_str().unwrap()))
        .collect();
    logs.sort();
    assert!(logs.len() > 2, "{logs:?}");
    let mut flows: Vec<Value> = logs.iter().flat_map(|name| ran.records(name)).collect();
    flows.retain(|it| it["event_type"] == "flow");
    assert_eq!(essence(&flows), essence(&expected));
    // The packets, too, are all there: read back, they say the same.
    let ring = ran.folder.path().join("ring");
    assert!(fs::read_dir(&ring).unwrap().count() > 2);
    let (again, saved) = analysed_folder(&ring);
    assert_eq!(saved, count);
    assert!(!again.is_empty());
}

#[test]
fn a_ring_keeps_as_many_files_as_it_may() {
    if !can_run("sniff, ring", &PROGRAMS) {
        return;
    }
    let ran = run(&format!(
        "cable
mkdir ring
sniff -i v1 -w ring/all.pcapng --ring-size 64K --ring-keep 2 -c 7788
replay --loop 3 {office}
wait $P; ls ring | wc -l",
        office = sample("office"),
    ));
    assert_eq!(ran.said, "3\n", "{}", ran.err());
}

#[test]
fn the_process_is_locked_in() {
    if !can_run("sniff, sandbox", &PROGRAMS) {
        return;
    }
    let ran = run("cable
sniff -i v1
grep -E '^(CapEff|CapPrm|CapBnd|CapAmb|NoNewPrivs|Seccomp):' /proc/$P/status
for t in /proc/$P/task/*; do grep -h '^Seccomp:' $t/status; done | sort -u
finish
\"$IM\" sniff -i v1 --sandbox-check > inside.txt 2>&1
\"$IM\" sniff -i v1 --no-sandbox --sandbox-check > outside.txt 2>&1");
    let none = "0000000000000000";
    let expected = format!(
        "CapPrm:\t{none}\nCapEff:\t{none}\nCapBnd:\t{none}\nCapAmb:\t{none}\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp:\t2\nexit 0\n"
    );
    assert_eq!(ran.said, expected);
    let tries = [
        "open /etc/shadow",
        "open /etc/passwd",
        "make a file in /tmp",
        "make a UDP socket",
        "connect with TCP",
        "start a program",
        "become a program",
    ];
    let (inside, outside) = (ran.file("inside.txt"), ran.file("outside.txt"));
    for what in tries {
        assert!(inside.contains(&format!("{what}: refused")), "{inside}");
    }
    // Each of them works without the sandbox, but for what this user namespace may not read.
    for what in &tries[1..] {
        assert!(outside.contains(&format!("{what}: POSSIBLE")), "{outside}");
    }
    assert!(outside.contains("--no-sandbox: the process keeps its rights"));
}

#[test]
fn root_becomes_somebody_without_rights() {
    if !can_run("sniff, user", &PROGRAMS) {
        return;
    }
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    if !is_root {
        policy_support::skip("sniff, user", "needs root");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        "IM='{}'\n{WORDS}\nsniff -i lo -o log.txt\ngrep -E '^(Uid|Groups):' /proc/$P/status\nfinish
\"$IM\" sniff -i lo -o log.txt --rotate-size 1M 2> refused.txt; echo $?
\"$IM\" sniff -i lo -o log.txt --rotate-size 1M --user root --duration 1 2> allowed.txt; echo $?
\"$IM\" sniff -i lo --sandbox-check",
        imwarden()
    );
    let output = Command::new("unshare")
        .args(["-n", "sh", "-c", &script])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let ids: Vec<&str> = said
        .lines()
        .next()
        .unwrap_or_default()
        .split('\t')
        .collect();
    assert!(
        ids.len() == 5 && ids[1..].iter().all(|id| *id != "0"),
        "{said}"
    );
    assert!(said.contains("exit 0\n4\n0\n"), "{said}");
    assert!(said.contains("open /etc/shadow: refused"), "{said}");
    let refused = fs::read_to_string(folder.path().join("refused.txt")).unwrap();
    assert!(
        refused.contains("sudo chown") && refused.contains("--user root"),
        "{refused}"
    );
}

#[test]
fn several_interfaces_are_listened_on_together() {
    if !can_run("sniff, several", &PROGRAMS) {
        return;
    }
    let ran = run(&format!(
        "cable
ip link add w0 mtu 65535 type veth peer name w1 mtu 65535; ip link set w0 up; ip link set w1 up
sniff -i v1 -i w1 --format ndjson
replay {aim}
tcpreplay -q --topspeed -i w0 {msn} > /dev/null 2>&1
until_said switchboard out.ndjson
finish",
        aim = sample("aim-signon-message"),
        msn = sample("msn-signon-chat"),
    ));
    assert_eq!(ran.said, "exit 0\n", "{}", ran.err());
    let summary = ran.summary();
    let both = analysed(&sample("aim-signon-message")).1 + analysed(&sample("msn-signon-chat")).1;
    assert_eq!(summary["packets"], both);
}

#[test]
fn a_filter_is_the_kernels_where_libpcap_is() {
    if !can_run("sniff, filter", &PROGRAMS) {
        return;
    }
    let ran = run(&format!(
        "cable
\"$IM\" --version > version.txt
if grep -q 'interfaces: libpcap' version.txt; then
    sniff -i v1 --format ndjson -f 'tcp port 1863'
    replay {aim}; replay {msn}
    until_said switchboard out.ndjson
    finish
    sniff -i any --format ndjson
    replay {aim}
    until_said alice77 out.ndjson
    finish
else
    \"$IM\" sniff -i v1 -f 'tcp' 2> err.txt; echo exit $?
    \"$IM\" sniff -i any 2>> err.txt; echo exit $?
fi
\"$IM\" sniff -i v1 -f 'tcp port banana' 2> wrong.txt; echo exit $?",
        aim = sample("aim-signon-message"),
        msn = sample("msn-signon-chat"),
    ));
    if ran.file("version.txt").contains("interfaces: libpcap") {
        assert_eq!(ran.said, "exit 0\nexit 0\nexit 2\n", "{}", ran.err());
        assert!(ran.file("wrong.txt").contains("banana"));
    } else {
        assert_eq!(ran.said, "exit 2\nexit 2\nexit 2\n");
        assert_eq!(ran.err().matches("apt install libpcap-dev").count(), 2);
    }
}

/// What is in a sample, said by so many hosts; how many packets that is.
fn crowd_of(sample: &str, hosts: u16, path: &Path) -> usize {
    const HEADS: [usize; 2] = [24, 16];
    let bytes = fs::read(sample).unwrap();
    let (head, mut rest) = bytes.split_at(HEADS[0]);
    let mut packets: Vec<&[u8]> = Vec::new();
    while rest.len() >= HEADS[1] {
        let length = u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
        let (packet, next) = rest.split_at(HEADS[1] + length);
        packets.push(packet);
        rest = next;
    }
    let mut crowd = head.to_vec();
    for host in 0..hosts {
        for packet in &packets {
            let mut packet = packet.to_vec();
            // The client is 10.0.0.5; source and destination stand behind Ethernet's head.
            for at in [HEADS[1] + 26, HEADS[1] + 30] {
                if packet[at..at + 4] == [10, 0, 0, 5] {
                    packet[at + 1..at + 3].copy_from_slice(&host.to_be_bytes());
                }
            }
            crowd.extend(packet);
        }
    }
    fs::write(path, crowd).unwrap();
    packets.len() * usize::from(hosts)
}

#[test]
fn prometheus_is_answered_on_this_host_only() {
    if !can_run("sniff, metrics", &["ip", "unshare", "tcpreplay", "bash"]) {
        return;
    }
    let (_, count) = analysed(&sample("office"));
    let ran = run(&format!(
        "cable
\"$IM\" sniff -i v1 --metrics 0.0.0.0:9477 2> refused.txt; echo $?
ask() {{ bash -c \"exec 3<>/dev/tcp/127.0.0.1/9477; printf '$1' >&3; cat <&3\"; }}
sniff -i v1 --metrics 127.0.0.1:9477
replay {office}
packets {count}
n=0; until ask 'GET /metrics HTTP/1.1\\r\\n\\r\\n' > metrics.txt; grep -q 'packets_total {count}' metrics.txt || [ $n -gt 50 ]; do n=$((n + 1)); sleep 0.1; done
ask 'GET / HTTP/1.1\\r\\n\\r\\n' > other.txt
ask 'what\\r\\n\\r\\n' > nonsense.txt
finish",
        office = sample("office"),
    ));
    assert_eq!(ran.said, "2\nexit 0\n", "{}", ran.err());
    assert!(ran.file("refused.txt").contains("only a loopback address"));
    let metrics = ran.file("metrics.txt");
    assert!(metrics.starts_with("HTTP/1.1 200 OK\r\n"), "{metrics}");
    assert!(
        metrics.contains(&format!("\nimwarden_packets_total {count}\n")),
        "{metrics}"
    );
    let of = |name: &str| -> u64 {
        let line = metrics
            .lines()
            .find(|line| line.starts_with(&format!("imwarden_{name} ")));
        line.unwrap().rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert!(of("detections_total") > 10 && of("open_flows") > 10 && of("ring_drops_total") == 0);
    assert!(ran.file("other.txt").starts_with("HTTP/1.1 404"));
    assert_eq!(ran.file("nonsense.txt"), "");
}

#[test]
fn names_are_hidden_where_they_are_to_be() {
    if !can_run("sniff, redact", &PROGRAMS) {
        return;
    }
    let ran = run(&format!(
        "cable
sniff -i v1 --format ndjson --redact
replay {aim}
until_said '\"event_type\":\"update\"' out.ndjson
finish",
        aim = sample("aim-signon-message"),
    ));
    assert_eq!(ran.said, "exit 0\n", "{}", ran.err());
    assert!(ran.of_type("flow").len() == 2 && !ran.of_type("detection").is_empty());
    let all = ran.file("out.ndjson");
    for name in ["alice77", "bob42", "10.0.0.5"] {
        assert!(!all.contains(name), "{name}: {all}");
    }
}

#[test]
fn the_doctor_names_what_is_missing_and_the_command() {
    if !can_run("doctor", &["ip", "unshare", "setpriv", "nft"]) {
        return;
    }
    let ran = run("cable
host \"$IM\" doctor > well.txt; echo $?
host setpriv --bounding-set=-net_raw,-net_admin \"$IM\" doctor > rights.txt; echo $?
ip link del v0; ip link set lo down
host \"$IM\" doctor > links.txt; echo $?");
    assert_eq!(ran.said, "0\n4\n4\n", "{}", ran.file("well.txt"));
    let well = ran.file("well.txt");
    assert!(
        well.contains("listening on v") && !well.contains("MISSING"),
        "{well}"
    );
    let rights = ran.file("rights.txt");
    let command = format!("> sudo setcap cap_net_raw,cap_net_admin=eip {}", imwarden());
    assert!(
        rights.contains("MISSING  permission") && rights.contains(&command),
        "{rights}"
    );
    let links = ran.file("links.txt");
    assert!(
        links.contains("MISSING  interface") && links.contains("> sudo ip link set lo up"),
        "{links}"
    );
}

fn analysed_folder(folder: &Path) -> (Vec<Value>, u64) {
    analysed(folder.to_str().unwrap())
}
