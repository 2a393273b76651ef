//! The model and its pictures, without a terminal.
#![allow(clippy::unwrap_used)]

use super::app::{App, Doing};
use super::block::{Blocker, Planner};
use super::draw;
use super::meter::Meter;
use super::store::{MAX_BYTES, MAX_EVENTS, MAX_FLOWS, MAX_USERS, Store};
use super::table::Pane;
use super::tests_support::{NOON, exposed, finding};
use super::text::{Looks, width};
use crate::cli::sniff::record::Record;
use crate::model::{
    Activity, Confidence, Detection, Direction, Finding, News, Occurrence, Service, Timestamp,
    risk, what,
};
use crate::policy::Guard;
use crate::ruleset::RuleSet;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;
use ratatui::termion::event::Key;
use std::fmt::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const LOOKS: Looks = Looks {
    colours: true,
    utf8: true,
};

fn app_with(looks: Looks, blocker: Option<Blocker>) -> App {
    let rules = Arc::new(RuleSet::builtin().unwrap());
    let risks = rules.risks().to_vec();
    let meter = Meter::new("eth0 (libpcap)".into(), 256 << 20, Instant::now());
    let planner = Planner::new(rules, Guard::default(), false);
    let mut app = App::new(meter, looks, risks, planner);
    app.blocker = blocker;
    app
}

fn app() -> App {
    app_with(LOOKS, None)
}

fn detection(finding: Finding, news: News) -> Record {
    Record::Detection(Box::new(Detection { finding, news }))
}

fn event(flow: u64, what: &'static str) -> Record {
    let model = finding(flow, Service::AIM, "", "192.0.2.9:5190");
    Record::Event(Box::new(Occurrence {
        flow_id: flow,
        tuple: model.tuple,
        service: model.service,
        app_proto: model.app_proto,
        timestamp: Timestamp::from_nanos(NOON),
        packet: 8,
        offset: 12,
        direction: Direction::ToServer,
        activity: Activity::between(what, true, Some("bob42".into())),
    }))
}

/// Three flows of two users, one of them over.
fn three() -> App {
    let mut app = app();
    let now = Instant::now();
    let mut aim = exposed(
        finding(1, Service::AIM, "alice77", "192.0.2.9:5190"),
        risk::CLEARTEXT_COOKIE,
        3,
    );
    aim.peers.insert("bob42".into());
    let mut yahoo = finding(2, Service::YAHOO, "carol_y", "192.0.2.10:5050");
    yahoo.tuple.client.ip = [10, 0, 0, 7].into();
    let second = finding(3, Service::AIM, "", "192.0.2.11:5190");
    for (finding, over) in [(aim, true), (yahoo, false), (second, false)] {
        app.take(detection(finding.clone(), News::New), now);
        if over {
            app.take(Record::Flow(Box::new(finding)), now);
        }
    }
    app.take(event(3, what::MESSAGE), now);
    assert!(app.refresh(now));
    app
}

fn press(app: &mut App, keys: &str) {
    for key in keys.chars() {
        assert_eq!(
            app.key(Key::Char(key), Instant::now()),
            Doing::Nothing,
            "{key}"
        );
    }
}

fn columns(app: &App, column: usize) -> Vec<&str> {
    app.shown()
        .iter()
        .map(|row| row.cells[column].0.as_str())
        .collect()
}

/// What is on a screen of this size, and whether any of it is coloured.
fn picture(app: &mut App, columns: u16, rows: u16) -> (Vec<String>, bool) {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    let now = Instant::now();
    terminal
        .draw(|frame| draw::draw(app, frame.buffer_mut(), now, "12:00:00"))
        .unwrap();
    let buffer = terminal.backend().buffer();
    let coloured = buffer
        .content
        .iter()
        .any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset);
    let mut lines = Vec::new();
    for y in 0..rows {
        let mut line = String::new();
        let mut skip = 0;
        for x in 0..columns {
            let symbol = buffer[(x, y)].symbol();
            if skip == 0 {
                line.push_str(symbol);
                skip = width(symbol).max(1);
            }
            skip -= 1;
        }
        lines.push(line.trim_end().to_owned());
    }
    (lines, coloured)
}

#[test]
fn users_are_put_together_of_their_flows() {
    let mut app = three();
    assert_eq!(app.counts, [2, 3, 1]);
    // Flow 3 names nobody: it is the only AIM user's of that host.
    assert_eq!(columns(&app, 2), ["alice77", "carol_y"]);
    assert_eq!(columns(&app, 7), ["2", "1"]);
    assert_eq!(columns(&app, 5), ["2000", "1000"]);
    assert_eq!(columns(&app, 4), ["high", "-"]);
    // More is known of a flow: its figures replace the old ones.
    let now = Instant::now();
    let mut more = finding(3, Service::AIM, "dave", "192.0.2.11:5190");
    more.counts.bytes = 5000;
    app.take(detection(more, News::Interval), now);
    app.refresh(now);
    let mut users: Vec<(&str, &str)> = app
        .shown()
        .iter()
        .map(|row| (row.cells[2].0.as_str(), row.cells[5].0.as_str()))
        .collect();
    users.sort_unstable();
    assert_eq!(
        users,
        [("alice77", "1000"), ("carol_y", "1000"), ("dave", "5000")]
    );
}

#[test]
fn a_flow_that_turns_out_to_be_none_goes() {
    let mut app = three();
    let mut possible = finding(2, Service::YAHOO, "carol_y", "192.0.2.10:5050");
    possible.confidence = Some(Confidence::Possible);
    let now = Instant::now();
    app.take(Record::Flow(Box::new(possible)), now);
    app.refresh(now);
    assert_eq!(app.counts, [1, 2, 1]);
}

#[test]
fn rates_rise_with_traffic_and_fall_with_silence() {
    let mut store = Store::new();
    let begun = Instant::now();
    let at = |seconds| begun + Duration::from_secs(seconds);
    let mut flow = finding(1, Service::AIM, "alice77", "192.0.2.9:5190");
    store.take(detection(flow.clone(), News::New), at(0));
    assert_eq!(store.get(1).unwrap().rate(at(0)), 0);
    flow.counts.bytes += 6000;
    store.take(detection(flow.clone(), News::Interval), at(2));
    assert_eq!(store.get(1).unwrap().rate(at(3)), 3000);
    assert_eq!(store.get(1).unwrap().rate(at(9)), 0);
    // The interval's news of a flow that was never heard of says nothing.
    flow.flow_id = 2;
    store.take(detection(flow, News::Interval), at(9));
    assert!(store.get(2).is_none());
}

#[test]
fn whatever_comes_memory_has_a_bound() {
    let mut store = Store::new();
    let now = Instant::now();
    let mut sum = 0;
    for id in 1..=(3 * MAX_FLOWS as u64) {
        let mut flow = finding(
            id,
            Service::AIM,
            &format!("user{}", id % 1500),
            "192.0.2.9:5190",
        );
        flow.peers = (0..200)
            .map(|peer| format!("{peer}{}", "x".repeat(200)))
            .collect();
        sum += flow.counts.bytes;
        store.take(detection(flow.clone(), News::New), now);
        for _ in 0..2 {
            store.take(event(id, what::MESSAGE), now);
        }
        if id % 2 == 0 {
            store.take(Record::Flow(Box::new(flow)), now);
        }
    }
    let flows = store.flows().count();
    assert!(flows <= MAX_FLOWS && flows > 100, "{flows}");
    assert!(store.users().len() <= MAX_USERS);
    let held: usize = store
        .flows()
        .flat_map(|flow| &flow.finding.peers)
        .map(String::len)
        .sum();
    assert!(held <= MAX_BYTES, "{held}");
    assert!(store.forgotten > 0);
    // Those that are over went first.
    assert!(store.flows().filter(|flow| flow.over).count() < flows / 4);

    // One that was forgotten while it went on is not counted twice when it is heard of again.
    let mut store = Store::new();
    for round in 0..2 {
        for id in 1..=(MAX_FLOWS as u64 + 500) {
            let flow = finding(id, Service::AIM, "alice77", "192.0.2.9:5190");
            let news = News::More {
                identity: true,
                risks: Vec::new(),
            };
            store.take(
                detection(flow, if round == 0 { News::New } else { news }),
                now,
            );
        }
    }
    let users = store.users();
    let alice = users.values().next().unwrap();
    assert_eq!(alice.flows, MAX_FLOWS as u64 + 500);
    assert_eq!(alice.counts.bytes, alice.flows * 1000);
    assert!(sum > 0);

    let mut store = Store::new();
    store.take(
        detection(finding(1, Service::AIM, "a", "192.0.2.9:5190"), News::New),
        now,
    );
    for _ in 0..10 * MAX_EVENTS {
        store.take(event(1, what::MESSAGE), now);
    }
    assert_eq!(store.get(1).unwrap().events.len(), MAX_EVENTS);
}

#[test]
fn events_that_come_before_their_flow_wait_for_it() {
    let mut store = Store::new();
    let now = Instant::now();
    store.take(event(1, what::SIGN_ON), now);
    store.take(event(2, what::SIGN_ON), now);
    store.take(
        detection(finding(1, Service::AIM, "a", "192.0.2.9:5190"), News::New),
        now,
    );
    assert_eq!(store.get(1).unwrap().events.len(), 1);
}

#[test]
fn a_filter_is_applied_as_it_is_typed() {
    let mut app = three();
    press(&mut app, "/CAR");
    assert!(app.editing);
    assert_eq!(columns(&app, 2), ["carol_y"]);
    app.key(Key::Backspace, Instant::now());
    press(&mut app, "zzz");
    assert!(app.shown().is_empty());
    app.key(Key::Ctrl('u'), Instant::now());
    // Contacts stand in no column, and all words are wanted.
    press(&mut app, "bob42 AIM");
    assert_eq!(columns(&app, 2), ["alice77"]);
    press(&mut app, "\n");
    assert!(!app.editing);
    // It holds for the other tables.
    press(&mut app, "2");
    assert_eq!(columns(&app, 0), ["1"]);
    app.key(Key::Esc, Instant::now());
    assert_eq!(app.shown().len(), 3);
    // Keys are letters while it is typed, and nothing that steers a terminal gets in.
    press(&mut app, "/q");
    app.key(Key::Char('\u{202e}'), Instant::now());
    assert_eq!(app.filter, "q\\u{202e}");
    app.key(Key::Esc, Instant::now());
    assert_eq!((app.filter.as_str(), app.editing), ("", false));
}

#[test]
fn tables_are_sorted_by_any_column_and_either_way() {
    let mut app = three();
    press(&mut app, "2");
    assert_eq!(columns(&app, 0), ["3", "2", "1"]);
    press(&mut app, "S");
    assert_eq!(columns(&app, 0), ["1", "2", "3"]);
    press(&mut app, "s");
    // By address, not by its digits.
    assert_eq!(app.view().sort, (1, false));
    assert_eq!(columns(&app, 0), ["1", "3", "2"]);
    for _ in 0..Pane::Flows.columns().len() {
        press(&mut app, "s");
    }
    assert_eq!(app.view().sort, (1, false));
    // Numbers come with the largest first.
    for _ in 0..6 {
        press(&mut app, "s");
    }
    assert_eq!(app.view().sort, (7, true));
}

#[test]
fn the_row_that_is_chosen_stays_chosen_when_others_come() {
    let mut app = three();
    press(&mut app, "2j");
    assert_eq!(app.view().at, 1);
    let now = Instant::now();
    for id in 4..8 {
        app.take(
            detection(finding(id, Service::MSN, "", "192.0.2.12:1863"), News::New),
            now,
        );
    }
    app.refresh(now);
    assert_eq!((app.view().at, columns(&app, 0)[app.view().at]), (5, "2"));
    press(&mut app, "G");
    assert_eq!(app.view().at, 6);
    press(&mut app, "g");
    assert_eq!(app.view().at, 0);
    // Whoever stands at the top sees what comes there.
    app.take(
        detection(finding(9, Service::MSN, "", "192.0.2.12:1863"), News::New),
        now,
    );
    app.refresh(now);
    assert_eq!((app.view().at, columns(&app, 0)[0]), (0, "9"));
}

#[test]
fn a_pause_holds_the_rows_and_loses_nothing() {
    let mut app = three();
    press(&mut app, "2p");
    let now = Instant::now();
    app.take(
        detection(finding(4, Service::MSN, "", "192.0.2.12:1863"), News::New),
        now,
    );
    assert!(!app.refresh(now + Duration::from_secs(60)));
    assert_eq!(app.shown().len(), 3);
    assert!(picture(&mut app, 80, 24).0[0].contains("PAUSED"));
    press(&mut app, "p");
    assert!(app.refresh(now));
    assert_eq!(app.shown().len(), 4);
}

#[test]
fn a_flow_opens_with_evidence_risks_advice_and_events() {
    let mut app = three();
    press(&mut app, "3\n");
    let (lines, _) = picture(&mut app, 80, 60);
    let all = lines.join("\n");
    for words in [
        "Flow 1  aim oscar bos, confirmed",
        "client        10.0.0.5:50211",
        "server        192.0.2.9:5190 TCP",
        "account       alice77",
        "talks to      bob42",
        "packet 7, byte 42  said: two frames in a row (flap-chain)",
        "high     A session cookie",
        "3 times",
        "    > ",
        "packet 9, byte 100",
        "UTC, over",
    ] {
        assert!(all.contains(words), "{words}\n{all}");
    }
    app.key(Key::Esc, Instant::now());
    press(&mut app, "2\n");
    let all = picture(&mut app, 80, 60).0.join("\n");
    assert!(all.contains("Flow 3") && all.contains("UTC, open"), "{all}");
    assert!(all.contains("10.0.0.5 -> bob42  message"), "{all}");
    // It goes on while it is looked at.
    let now = Instant::now();
    app.take(event(3, what::FILE_OFFER), now);
    app.refresh(now);
    assert!(
        picture(&mut app, 80, 60)
            .0
            .join("\n")
            .contains("file-offer")
    );
    // A small window shows a part, and says which.
    press(&mut app, "G");
    let (lines, _) = picture(&mut app, 80, 16);
    assert!(
        lines[3].contains("Flow 3") && lines[3].contains(" of "),
        "{lines:#?}"
    );
    assert!(lines[13].contains("file-offer"), "{lines:#?}");
    press(&mut app, "q");
    assert!(app.page().is_none());
}

#[test]
fn a_user_opens_with_all_flows() {
    let mut app = three();
    press(&mut app, "\n");
    let all = picture(&mut app, 100, 60).0.join("\n");
    for words in [
        "10.0.0.5  AIM  alice77",
        "talks to      bob42",
        "last in flow 1",
        "flow 1  10.0.0.5:50211 -> 192.0.2.9:5190 tcp  AIM oscar bos, confirmed, over",
        "flow 3  10.0.0.5:50211 -> 192.0.2.11:5190 tcp",
    ] {
        assert!(all.contains(words), "{words}\n{all}");
    }
}

#[test]
fn blocking_asks_and_then_prints_rules_or_has_it_done() {
    let mut app = three();
    press(&mut app, "2b");
    let all = picture(&mut app, 120, 200).0.join("\n");
    for words in [
        "Block 1 flow",
        "192.0.2.11 . tcp . 5190",
        "--enforce",
        "nft -f",
        "y print the rules",
    ] {
        assert!(all.contains(words), "{words}\n{all}");
    }
    assert!(!all.contains("192.0.2.9"), "{all}");
    press(&mut app, "n");
    assert!(app.page().is_none());
    assert_eq!(app.kept_rules(), None);
    press(&mut app, "  by");
    assert!(
        app.status.as_deref().unwrap().contains("2 flows"),
        "{:?}",
        app.status
    );
    let rules = app.kept_rules().unwrap();
    assert!(
        rules.contains("192.0.2.11 . tcp . 5190") && rules.contains("192.0.2.10 . tcp . 5050"),
        "{rules}"
    );

    let asked: Arc<Mutex<Vec<u64>>> = Arc::default();
    let mut app = app_with(
        LOOKS,
        Some(Box::new({
            let asked = Arc::clone(&asked);
            move |flow: &Finding| {
                asked.lock().unwrap().push(flow.flow_id);
                true
            }
        })),
    );
    let now = Instant::now();
    press(&mut app, "b");
    assert!(
        app.status
            .as_deref()
            .unwrap()
            .starts_with("nothing to block")
    );
    app.take(
        detection(
            finding(1, Service::AIM, "alice77", "192.0.2.9:5190"),
            News::New,
        ),
        now,
    );
    app.take(
        detection(
            finding(2, Service::MSN, "alice77", "192.0.2.80:80"),
            News::New,
        ),
        now,
    );
    app.refresh(now);
    press(&mut app, "2gb");
    // A web server's port cannot be closed for others: nothing is asked, and y does nothing.
    assert!(picture(&mut app, 80, 24).0.join("\n").contains("No rule"));
    assert_eq!(app.question(), None);
    press(&mut app, "yqj");
    assert!(asked.lock().unwrap().is_empty());
    press(&mut app, "b");
    assert!(app.question().unwrap().starts_with("Block this now?"));
    press(&mut app, "y");
    assert_eq!(*asked.lock().unwrap(), [1]);
    assert!(
        app.status
            .as_deref()
            .unwrap()
            .starts_with("asked to block 1 flow;")
    );
}

#[test]
fn keys_end_and_suspend_from_everywhere() {
    let mut app = three();
    let now = Instant::now();
    assert_eq!(app.key(Key::Char('q'), now), Doing::Quit);
    press(&mut app, "?");
    assert!(picture(&mut app, 80, 24).0[3].starts_with("Help"));
    // However often it is asked for, a few steps lead back.
    press(&mut app, &"?".repeat(100));
    press(&mut app, "qqqqqqqq");
    assert!(app.page().is_none());
    press(&mut app, "/");
    for (key, doing) in [
        (Key::Ctrl('c'), Doing::Quit),
        (Key::Ctrl('z'), Doing::Suspend),
        (Key::Ctrl('l'), Doing::Redraw),
    ] {
        assert_eq!(app.key(key, now), doing);
    }
}

#[test]
fn a_screen_of_80_by_24_shows_what_matters_whole() {
    let mut app = three();
    let (lines, coloured) = picture(&mut app, 80, 24);
    let version = env!("CARGO_PKG_VERSION");
    let expected = [
        format!(
            "imwarden {version}  eth0 (libpcap)  up 00:00:00                      12:00:00 UTC"
        ),
        "0 packets/s  0 bit/s  0 flows open  0 of a messenger".into(),
        "memory 0 of 256M (0%)  lost: ring 0  kernel -  interface -  records 0".into(),
        "[1 Users 2]  2 Flows 3   3 Risks 1".into(),
        "  HOST      SERVICE  ACCOUNT  USED FOR  RISK▼ BYTES SEEN     FLOWS BYTES/S".into(),
        "> 10.0.0.5  AIM      alice77  message   high   2000 12:00:03     2       0".into(),
        "  10.0.0.7  Yahoo!   carol_y  message   -      1000 12:00:02     1       0".into(),
    ];
    let expected: Vec<String> = expected.into();
    // The space between columns is not what this is about.
    let words = |line: &String| line.split_whitespace().collect::<Vec<_>>().join(" ");
    for (line, expected) in lines.iter().zip(&expected) {
        assert_eq!(words(line), words(expected), "{lines:#?}");
    }
    assert!(lines[7..23].iter().all(String::is_empty), "{lines:#?}");
    assert_eq!(
        lines[23],
        "Enter open / filter s/S sort Space mark b block p pause Tab table ? help q quit"
    );
    assert!(
        !coloured,
        "the chosen row is reversed, and nothing else is bad"
    );
    press(&mut app, "j");
    let (_, coloured) = picture(&mut app, 80, 24);
    assert!(coloured);
    assert!(lines.iter().all(|line| width(line) <= 80));
}

#[test]
fn without_colour_or_utf_8_nothing_is_lost() {
    let plain = Looks {
        colours: false,
        utf8: false,
    };
    let mut app = app_with(plain, None);
    let now = Instant::now();
    let flow = finding(1, Service::MSN, "jürgen@example.com", "192.0.2.9:1863");
    let flow = exposed(flow, risk::CLEARTEXT_COOKIE, 1);
    app.take(detection(flow, News::New), now);
    app.refresh(now);
    for keys in ["1", "2", "3", "?", "q1\n", "q1b"] {
        press(&mut app, keys);
        let (lines, coloured) = picture(&mut app, 80, 24);
        assert!(!coloured, "{keys}");
        assert!(lines.join("").is_ascii(), "{lines:#?}");
    }
    press(&mut app, "q1");
    let (lines, _) = picture(&mut app, 80, 24);
    assert!(
        lines[5].starts_with("> 10.0.0.5") && lines[5].contains("j?rgen@example.com"),
        "{lines:#?}"
    );
    assert!(lines[5].contains("high"), "{lines:#?}");
}

#[test]
fn every_size_is_drawn_without_overflow() {
    let mut app = three();
    let now = Instant::now();
    let six = "[2001:db8:1234:5678:9abc:def0:1234:5678]:5190";
    let mut long = finding(4, Service::MSN, &"漢字\u{1b}[2J".repeat(40), six);
    long.tuple.client = super::tests_support::endpoint(six);
    long.evidence[0].detail = "word ".repeat(100).into();
    app.take(detection(long, News::New), now);
    app.refresh(now);
    app.say("something with \u{1b}[31m in it");
    for (columns, rows) in [
        (80, 24),
        (200, 50),
        (60, 15),
        (40, 10),
        (39, 9),
        (10, 3),
        (1, 1),
    ] {
        for keys in ["1", "2", "3", "?", "q2\n", "q2b", "q/x", "\n", "m"] {
            press(&mut app, keys);
            let (lines, _) = picture(&mut app, columns, rows);
            assert_eq!(lines.len(), usize::from(rows));
            let all = lines.join("\n");
            assert!(
                !all.chars().any(|c| c.is_control() && c != '\n'),
                "{keys} {all:?}"
            );
            for line in &lines {
                assert!(
                    width(line) <= usize::from(columns),
                    "{keys} {columns}x{rows}: {line:?}"
                );
            }
        }
        app.key(Key::Esc, now);
        app.key(Key::Esc, now);
    }
    let (lines, _) = picture(&mut app, 39, 9);
    assert!(lines[0].starts_with("Too small: this is 39x9"), "{lines:?}");
    // Narrow: who and what stays, and the keys that are left are whole.
    press(&mut app, "1");
    let (lines, _) = picture(&mut app, 60, 15);
    let mut all = String::new();
    for line in &lines {
        writeln!(all, "{line}").unwrap();
    }
    assert!(all.contains("alice77") && all.contains("Yahoo!"), "{all}");
    assert!(
        lines[14].contains("? help") && lines[14].ends_with("q quit"),
        "{all}"
    );
    // Wide: all columns, and whole addresses.
    press(&mut app, "2");
    let (lines, _) = picture(&mut app, 200, 50);
    let all = lines.join("\n");
    for words in ["SURE", "WHAT", "confirmed", six] {
        assert!(all.contains(words), "{words}\n{all}");
    }
}
