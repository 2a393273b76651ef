//! The screen itself.

use crate::policy_support::{can_run, in_private_network};
use std::fs;
use std::path::Path;

const PROGRAMS: [&str; 5] = ["ip", "unshare", "tcpreplay", "tmux", "stty"];

/// A terminal of 80 by 24 with a shell in it, and words for what a test does there. Nothing here waits for ever.
const WORDS: &str = r#"
set -u
for c in all default; do echo 1 > /proc/sys/net/ipv6/conf/$c/disable_ipv6; done
ip link set lo up
ip link add v0 mtu 65535 type veth peer name v1 mtu 65535
ip link set v0 up; ip link set v1 up
replay() { tcpreplay -q --topspeed -i v0 "$@" > replay.txt 2>&1 || cat replay.txt; }
export TMUX_TMPDIR=$PWD LC_ALL=C.UTF-8
unset TMUX NO_COLOR
T() { tmux -L im -f /dev/null "$@"; }
trap 'T kill-server 2>/dev/null' EXIT
T start-server \; set -g status off \; set -g history-limit 5000 \; new-session -d -x 80 -y 24 "env PS1='ready> ' sh -i"
keys() { T send-keys "$@"; }
text() { T send-keys -l "$1"; }
shot() { T capture-pane -p > "$1"; }
shown() { # WORDS: until they stand on the screen
    n=0
    until T capture-pane -p 2>/dev/null | grep -q -e "$1"; do
        n=$((n + 1)); [ $n -gt 300 ] && { echo "never shown: $1"; T capture-pane -p; return; }
        sleep 0.1
    done
}
gone() { # WORDS: until they do not stand there any more
    n=0
    while T capture-pane -p 2>/dev/null | grep -q -e "$1"; do
        n=$((n + 1)); [ $n -gt 300 ] && { echo "never gone: $1"; T capture-pane -p; return; }
        sleep 0.1
    done
}
start() { # ARGUMENTS...: with the screen, until that is there
    text "'$IM' sniff -i v1 --tui --duration 120 $*; echo code \$?"; keys Enter
    shown 'records 0'
    # Others test beside this one, and an enforcer is a child of its own.
    P=$(pgrep -x imwarden -P "$(T display -p '#{pane_pid}')")
}
# What a shell needs: the main screen, a cursor, lines, echo and signals.
clean() {
    T display -p 'alternate #{alternate_on}, cursor #{cursor_flag}'
    stty -F "$(T display -p '#{pane_tty}')" -a | grep -oE -e '-?(icanon|isig|echo|opost|icrnl)\b' | sort | tr '\n' ' '; echo
}
until_state() { # LETTER: of the process
    n=0
    until grep -q "^State:.$1" "/proc/$P/status" 2>/dev/null || [ $n -gt 300 ]; do n=$((n + 1)); sleep 0.1; done
}
shown 'ready>'
"#;

/// What `clean` says of a terminal as it should be.
const CLEAN: &str = "alternate 0, cursor 1\necho icanon icrnl isig opost \n";

fn sample(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-pcaps");
    path.join(format!("{name}.pcap")).display().to_string()
}

struct Ran {
    folder: tempfile::TempDir,
    said: String,
}

impl Ran {
    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    /// The line of a picture that has all these words.
    fn line(&self, name: &str, words: &[&str]) -> String {
        let text = self.file(name);
        let has = |line: &&str| words.iter().all(|word| line.contains(word));
        let found = text.lines().find(has);
        found
            .unwrap_or_else(|| panic!("{words:?}\n{text}"))
            .to_owned()
    }
}

fn run(script: &str) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let imwarden = env!("CARGO_BIN_EXE_imwarden");
    let said = in_private_network(
        folder.path(),
        &format!("IM='{imwarden}'\n{WORDS}\n{script}"),
    );
    Ran { folder, said }
}

#[test]
fn the_screen_shows_what_the_traffic_is() {
    if !can_run("tui", &PROGRAMS) {
        return;
    }
    let ran = run(&format!(
        "start --format ndjson -o log.ndjson
replay {aim}; replay {msn}; replay {yahoo}
for name in alice77 alice@example.com carol_y; do shown $name; done
shown ' packets/s'; shot users
keys 2; shown 'FROM '; shown '205.188.7.9:5190'; shot flows
# Sorted by the client's address, then the other way round.
keys s; shown 'FROM▲'; keys S; shown 'FROM▼'; shot sorted
keys 3; shown 'TIMES'; shot risks
keys /; shown 'Filter:'; text 'cookie alice77'; shown 'Filter: cookie alice77_'; shot typed
keys Enter; shown 'filter: cookie alice77'
keys Enter; shown 'Evidence'; shot evidence
keys End; shown 'Events'; shot events
keys Escape; shown 'TIMES'; keys Escape; gone 'filter:'
keys 1; shown 'USED FOR'
T resize-window -x 60 -y 15; shown '^Enter open.*q quit$'; shot small
T resize-window -x 30 -y 8; shown 'Too small: this is 30x8'
T resize-window -x 120 -y 40; shown 'BYTES/S'; shot large
keys p; shown PAUSED; keys p; gone PAUSED
keys '?'; shown 'Keys'; shot help; keys q; gone '^Help'
keys q; shown 'code 0'; shot after
clean",
        aim = sample("aim-signon-message"),
        msn = sample("msn-signon-chat"),
        yahoo = sample("yahoo-signon-message"),
    ));
    assert_eq!(ran.said, CLEAN);
    ran.line("users", &["10.0.0.5", "AIM", "alice77", "message"]);
    ran.line("users", &["MSN", "alice@example.com", "message"]);
    ran.line("users", &["Yahoo!", "carol_y", "message"]);
    ran.line(
        "users",
        &["memory ", " of 256M", "lost: ring 0", "interface"],
    );
    ran.line("users", &["imwarden ", "v1 (", "up 00:0", " UTC"]);
    assert_eq!(
        ran.line("users", &["Enter"]),
        "Enter open / filter s/S sort Space mark b block p pause Tab table ? help q quit"
    );
    assert_eq!(ran.file("users").lines().count(), 24);
    // Two flows of one sign-on, and where they went.
    ran.line(
        "flows",
        &["10.0.0.5:", "205.188.7.9:5190", "AIM", "alice77"],
    );
    // In 80 columns a name may be cut.
    ran.line("flows", &[":1863", "MSN", "alice@exam"]);
    ran.line("risks", &["high", "cookie", "alice77"]);
    assert!(ran.line("typed", &["cookie", "10.0.0.5"]).contains("high"));
    assert!(!ran.file("typed").contains("carol_y"));
    ran.line("evidence", &["Flow ", "aim oscar"]);
    ran.line("evidence", &["account", "alice77"]);
    ran.line("evidence", &["packet ", "byte ", "said:"]);
    ran.line("events", &["packet ", "alice77"]);
    assert_eq!(ran.file("small").lines().count(), 15);
    ran.line("small", &["AIM", "alice77"]);
    ran.line("large", &["alice@example.com", "message"]);
    ran.line("help", &["Space, u", "mark"]);
    // Back on the shell's own screen, with the totals; and the records are in their file.
    ran.line("after", &["packets", "of a messenger"]);
    assert!(
        !ran.file("after").contains("USED FOR"),
        "{}",
        ran.file("after")
    );
    let log = ran.file("log.ndjson");
    let flow_of = |name: &str| {
        log.lines()
            .any(|line| line.contains("\"event_type\":\"flow\"") && line.contains(name))
    };
    for name in ["alice77", "alice@example.com", "carol_y"] {
        assert!(flow_of(name), "{name}");
    }
    assert!(
        log.lines()
            .last()
            .unwrap()
            .contains("\"event_type\":\"summary\"")
    );
}

#[test]
fn whatever_ends_or_stops_it_gives_the_terminal_back() {
    if !can_run("tui, signals", &PROGRAMS) {
        return;
    }
    let ran = run(&format!(
        "start; kill -TERM $P; shown 'code 0'; clean
text clear; keys Enter; gone code
start; kill -INT $P; shown 'code 0'; clean
text clear; keys Enter; gone code
start --count 5; replay {aim}; shown 'code 0'; clean
text clear; keys Enter; gone code
start
kill -TSTP $P; until_state T; shown 'ready>'; clean
text fg; keys Enter; shown 'records 0'
T display -p '#{{alternate_on}}'
keys C-z; until_state T; shown 'ready>'; clean
text fg; keys Enter; shown 'records 0'
# What was there while it stopped is not lost where the kernel has kept it.
replay {aim}; shown alice77
# A reload is told on the screen, and not across it.
kill -HUP $P; shown 'SIGHUP: the built-in rules are in force'
keys C-c; shown 'of a messenger$'; clean
text clear; keys Enter; gone 'a messenger'
start -o log.ndjson --format ndjson
replay {aim}; shown alice77
# Whoever closes the window ends it; nothing of the records is lost.
T kill-server
n=0; while kill -0 $P 2>/dev/null && [ $n -lt 300 ]; do n=$((n + 1)); sleep 0.1; done
kill -0 $P 2>/dev/null && echo still there
grep -c '\"event_type\":\"summary\"' log.ndjson",
        aim = sample("aim-signon-message"),
    ));
    let expected = format!("{CLEAN}{CLEAN}{CLEAN}{CLEAN}1\n{CLEAN}{CLEAN}1\n");
    assert_eq!(ran.said, expected);
}

#[test]
fn colours_are_used_and_can_be_done_without() {
    if !can_run("tui, colours", &PROGRAMS) {
        return;
    }
    let ran = run(&format!(
        "start; replay {office}; shown alice77
keys 3; shown TIMES; shown high; T capture-pane -p -e > colours
keys q; shown 'code 0'; text clear; keys Enter; gone code
text 'export NO_COLOR=1 LC_ALL=C'; keys Enter
start; replay {office}; shown alice77
keys 3; shown TIMES; T capture-pane -p -e > plain; keys 2; shown FROM; T capture-pane -p -e >> plain
keys 1; shown HOST; keys Enter; shown 'network card'; T capture-pane -p -e >> plain
keys q; gone 'network card'; keys 3; shown 'TIMES'; shot risks
keys q; shown 'code 0'; clean",
        office = sample("office"),
    ));
    assert_eq!(ran.said, CLEAN);
    let codes = |name: &str| -> Vec<u32> {
        let text = ran.file(name);
        let after = text.split("\u{1b}[").skip(1);
        after
            .filter_map(|rest| rest.split_once('m'))
            .flat_map(|(codes, _)| codes.split(';').map(str::to_owned).collect::<Vec<_>>())
            .filter_map(|code| code.parse().ok())
            .collect()
    };
    let is_colour = |code: &u32| matches!(code, 30..=38 | 40..=48 | 90..=97 | 100..=107);
    assert!(codes("colours").iter().any(is_colour));
    let plain = codes("plain");
    assert!(!plain.iter().any(is_colour), "{plain:?}");
    // The row that is chosen stands out all the same.
    assert!(plain.contains(&7), "{plain:?}");
    assert!(ran.file("risks").is_ascii(), "{}", ran.file("risks"));
    ran.line("risks", &["> "]);
}

#[test]
fn a_block_is_the_policys_own_rule_and_loads() {
    if !can_run("tui, block", &[&PROGRAMS[..], &["nft"]].concat()) {
        return;
    }
    let ran = run(&format!(
        "start; replay {aim}; shown alice77
keys 2; shown 205.188.7.9:5190; keys /; text 205.188.7.9; shown '_$'; keys Enter; gone 'Filter:'
keys b; shown 'Closes'; shot block
keys n; gone 'Closes'; keys b; shown 'Closes'; keys y; shown 'printed when the screen is closed'
nft list ruleset
keys q; shown 'code 0'
T capture-pane -p -J -S -1000 | sed -n '/^#!.*nft -f/,/^}}/p' > rules.nft
nft -c -f rules.nft && nft -f rules.nft && nft list table inet imwarden > loaded.nft
clean",
        aim = sample("aim-signon-message"),
    ));
    // Nothing was in force before, and the rules load.
    assert_eq!(ran.said, CLEAN);
    ran.line("block", &["tcp 205.188.7.9:5190", "AIM session"]);
    ran.line("block", &["--enforce"]);
    ran.line("block", &["y print the rules", "n no"]);
    ran.line("loaded.nft", &["205.188.7.9 . tcp . 5190"]);
    assert!(!ran.file("loaded.nft").contains("1863"));
}

#[test]
fn with_enforce_a_key_has_done_what_is_not_sure_enough_by_itself() {
    if !can_run("tui, enforce", &[&PROGRAMS[..], &["nft"]].concat()) {
        return;
    }
    // Known by its name in DNS only: probable.
    let ran = run(&format!(
        "live() {{ nft list table inet imwarden_live 2>&1 | grep -c '216.155.193.7 . tcp . 8001'; }}
start --enforce; replay {names}
keys 2; shown 216.155.193.7:8001; keys /; text 216.155.193.7; shown '_$'; keys Enter; gone 'Filter:'
keys b; shown 'Closes'; shot block; live
keys y; shown 'asked to block 1 flow'
n=0; until [ \"$(live)\" = 1 ] || [ $n -gt 300 ]; do n=$((n + 1)); sleep 0.1; done
live
keys q; shown 'code 0'; nft list ruleset
clean",
        names = sample("host-names"),
    ));
    assert_eq!(ran.said, format!("0\n1\n{CLEAN}"));
    ran.line("block", &["cut and their servers refused at once"]);
}

#[test]
fn without_a_terminal_it_says_so() {
    if !can_run("tui, refusal", &PROGRAMS) {
        return;
    }
    let ran = run("\"$IM\" sniff -i v1 --tui < /dev/null > none.txt 2>&1; echo $?
text \"'$IM' sniff -i v1 --tui > out.txt; echo code \\$?\"; keys Enter; shown 'code 2'; shot redirected
text clear; keys Enter; gone code
text \"TERM=dumb '$IM' sniff -i v1 --tui; echo code \\$?\"; keys Enter; shown 'code 2'; shot dumb
clean");
    assert_eq!(ran.said, format!("2\n{CLEAN}"));
    assert!(ran.file("none.txt").contains("--tui needs a terminal"));
    ran.line("redirected", &["--tui needs a terminal"]);
    ran.line(
        "dumb",
        &["--tui needs a terminal that can place its cursor"],
    );
}
