//! What is taken means what it meant; what cannot be said is left, with its place.
#![allow(clippy::unwrap_used)]

use super::{Imported, l7_filter, suricata};
use crate::model::Transport;
use crate::ruleset::{BeginningRule, Match, RuleSet, Sender};

fn l7(pattern: &str) -> Imported {
    let file = format!("# A chat.\n#\nchat\n{pattern}\n");
    l7_filter("chat.pat", file.as_bytes(), "chat").unwrap()
}

fn rules(text: &str) -> Imported {
    suricata("chat.rules", text.as_bytes(), "chat").unwrap()
}

/// The beginnings of a rule file.
fn beginnings(imported: &Imported) -> Vec<BeginningRule> {
    let rules = RuleSet::from_text("imported", &imported.text).unwrap();
    rules.messengers()[0].beginnings.clone()
}

/// Whether any of them is about these first bytes, over TCP (a stream that ends there) or as a datagram.
fn finds(imported: &Imported, transport: Transport, bytes: &[u8]) -> bool {
    beginnings(imported)
        .iter()
        .filter(|rule| rule.transport == transport)
        .any(|rule| rule.matches(bytes, bytes.len()) == Match::Yes)
}

fn tcp(imported: &Imported, bytes: &[u8]) -> bool {
    finds(imported, Transport::Tcp, bytes)
}

fn udp(imported: &Imported, bytes: &[u8]) -> bool {
    finds(imported, Transport::Udp, bytes)
}

/// Line, column and reason of what was left.
fn left(imported: &Imported) -> Vec<(usize, usize, &str)> {
    let left = imported.left.iter();
    left.map(|left| (left.line, left.column, left.reason.as_str()))
        .collect()
}

#[test]
fn a_pattern_is_taken_with_its_alternatives_in_any_case() {
    // The shape of the pattern for Yahoo.
    let taken = l7(r"^(ymsg|ypns|yhoo).?.?.?.?.?.?.?[lwt].*\xc0\x80");
    assert_eq!((taken.taken, left(&taken)), (3, vec![]));
    for found in [
        &b"YMSG\x00\x0a\x00\x00\x00\x14\x00\x57\x00\x00\x00\x00name\xc0\x80"[..],
        b"ymsg\x0al\xc0\x80",
        b"Yhoo1234567T and much more \xc0\x80",
        b"ypnsw\x00\x00\xc0\x00\x80",
    ] {
        assert!(tcp(&taken, found) && udp(&taken, found), "{found:?}");
    }
    for not in [
        &b"YMSX\x00\x0a\x00\x00\x00\x14\x00\x57name\xc0\x80"[..],
        b"ymsg12345678l\xc0\x80",
        b"ymsg\x0al\xc0\x81\x80",
        b"ymsg\x0al",
        b" ymsg\x0al\xc0\x80",
        b"",
    ] {
        assert!(!tcp(&taken, not), "{not:?}");
    }
}

#[test]
fn nul_bytes_may_stand_between_others_but_not_in_the_fixed_beginning() {
    let taken = l7(r"^hello [0-9]+ there");
    assert!(tcp(&taken, b"HELLO 12 there"));
    assert!(tcp(&taken, b"hello 1\x00\x002\x00 th\x00ere"));
    assert!(!tcp(&taken, b"hel\x00lo 12 there"));
    assert!(!tcp(&taken, b"hello x there"));
    assert!(!tcp(&taken, b"hello  there"));
}

#[test]
fn classes_ranges_and_their_opposites() {
    let taken = l7(r"^parrot[\x01-\x03][^a-c][]-]!");
    for found in [&b"parrot\x01d]!"[..], b"PARROT\x03\xff-!"] {
        assert!(tcp(&taken, found), "{found:?}");
    }
    for not in [
        &b"parrot\x04d]!"[..],
        b"parrot\x01B]!",
        b"parrot\x01d\\!",
        b"parrot\x01d]?",
    ] {
        assert!(!tcp(&taken, not), "{not:?}");
    }
}

#[test]
fn what_a_beginning_cannot_say_is_left_with_the_reason() {
    for (pattern, taken, column, reason) in [
        ("flapon|toc_signon.*0x", 0, 1, "not anchored"),
        ("^hello$", 0, 1, "where the bytes end"),
        ("^(hello there|a)$", 0, 1, "where the bytes end"),
        ("^ab", 0, 1, "bits are known"),
        ("^.*hello", 0, 1, "no byte at its beginning is fixed"),
        (r"^[a-z][a-z][a-z][a-z]", 0, 1, "bits are known"),
        ("^hello there|other", 1, 1, "not anchored"),
        ("^hello(", 0, 8, "without its `)`"),
        ("^hello)", 0, 7, "without its `(`"),
        ("^hello[a", 0, 7, "without its `]`"),
        ("^hello[z-a]", 0, 9, "reversed"),
        ("^hello**", 0, 8, "repetition of a repetition"),
        ("^*hello", 0, 2, "nothing is there"),
        ("+hello", 0, 1, "nothing is there"),
        (r"^hello\", 0, 7, "nothing behind it"),
        (r"^hello\x00", 0, 7, "NUL alone"),
        (r"^hello\x2ethere", 0, 7, "in hexadecimal"),
        ("", 0, 3, "no pattern"),
    ] {
        let imported = l7(pattern);
        assert_eq!(imported.taken, taken, "{pattern}");
        let left = left(&imported);
        assert!(left[0].2.contains(reason), "{pattern}: {left:?}");
        if column > 1 && !pattern.is_empty() {
            assert_eq!((left[0].0, left[0].1), (4, column), "{pattern}");
        }
    }
}

#[test]
fn hostile_patterns_are_left() {
    let nested = format!("^{}a{}", "(".repeat(5000), ")".repeat(5000));
    let ways = format!("^{}", "(a|b|c)".repeat(200));
    let many = format!("^hello there{}", "(x*)*".repeat(400));
    let long = format!("^{}", "a".repeat(20_000));
    for pattern in [nested, ways, long] {
        let imported = l7(&pattern);
        assert_eq!((imported.taken, imported.left.len()), (0, 1));
    }
    // What may be nothing at the end asks for nothing.
    assert!(tcp(&l7(&many), b"hello there"));
    for bytes in [
        &b""[..],
        b"\xff\xfe\x00",
        b"#\n#\n",
        b"name",
        b"\n\n\n",
        &[b'\n'; 1000],
        &[0; 1000],
    ] {
        let imported = l7_filter("x.pat", bytes, "chat").unwrap();
        assert_eq!((imported.taken, imported.text.as_str()), (0, ""));
        assert!(!imported.left.is_empty());
    }
}

#[test]
fn a_rule_with_fixed_contents_is_taken() {
    let taken = rules(
        "# a comment\n\
         alert tcp $HOME_NET any -> $EXTERNAL_NET any (msg:\"A chat\\; signs on\"; flow:established,to_server; \
         content:\"CHAT|0d 0a|\"; depth:6; content:\"v\"; offset:8; depth:1; nocase; reference:url,example.com/chat; \
         classtype:policy-violation; sid:1000001; rev:3;)\n",
    );
    assert_eq!((taken.taken, left(&taken)), (1, vec![]));
    let rule = &beginnings(&taken)[0];
    assert_eq!(
        (rule.id.as_str(), rule.sender),
        ("chat/sid-1000001", Sender::Client)
    );
    assert_eq!(rule.note.as_deref(), Some("A chat; signs on"));
    let reference = rule.reference.as_deref().unwrap();
    assert_eq!(
        reference,
        "chat.rules, sid 1000001, rev 3; url:example.com/chat"
    );
    for found in [&b"CHAT\r\n--v"[..], b"CHAT\r\n--V and more"] {
        assert!(tcp(&taken, found), "{found:?}");
    }
    for not in [
        &b"CHAT\r\n--w"[..],
        b"chat\r\n--v",
        b"-CHAT\r\n-v",
        b"CHAT\r\n",
    ] {
        assert!(!tcp(&taken, not), "{not:?}");
    }
}

#[test]
fn contents_without_a_fixed_place_follow_by_a_regex() {
    let one = |options: &str| rules(&format!("alert tcp any any -> any 7000 ({options} sid:1;)"));
    let near = one(
        "flow:to_server; content:\"HELLO \"; startswith; content:\"from\"; nocase; distance:2; within:10; content:\"|00|\";\
         distance:0;",
    );
    assert_eq!(left(&near), []);
    let rule = &beginnings(&near)[0];
    assert_eq!(
        rule.ports.map(|ports| ports.to_string()),
        Some("7000".to_owned())
    );
    for found in [&b"HELLO xxFROM\x00"[..], b"HELLO xx123456from.....\x00"] {
        assert!(tcp(&near, found), "{found:?}");
    }
    for not in [
        &b"HELLO xfrom\x00"[..],
        b"HELLO xx1234567from\x00",
        b"HELLO xxfrom",
        b"HELLO \x00xxfrom",
    ] {
        assert!(!tcp(&near, not), "{not:?}");
    }
    // A relative one whose room is as long as itself has a fixed place.
    let fixed = one("content:\"AB\"; startswith; content:\"CD\"; distance:3; within:2;");
    assert!(beginnings(&fixed)[0].regex.is_none());
    assert!(tcp(&fixed, b"AB...CD") && !tcp(&fixed, b"AB..CD."));
    // From some place on, up to another.
    let room = one("content:\"HEAD\"; depth:4; content:\"tail\"; offset:6; depth:8;");
    assert!(tcp(&room, b"HEAD..tail") && tcp(&room, b"HEAD......tail"));
    assert!(!tcp(&room, b"HEAD.tail") && !tcp(&room, b"HEAD.......tail"));
}

#[test]
fn datagrams_have_a_length() {
    let one = |size: &str| {
        rules(&format!(
            "alert udp any any -> any any (msg:\"x\"; content:\"|00 01 00 46|\"; startswith; dsize:{size}; sid:7;)"
        ))
    };
    let of = |length: usize| [&[0, 1, 0, 0x46][..], &vec![0; length - 4]].concat();
    for (size, least, most) in [
        ("74", 74, 74),
        (">73", 74, 400),
        ("<75", 4, 74),
        ("70<>75", 71, 74),
    ] {
        let taken = one(size);
        assert_eq!(left(&taken), [], "{size}");
        for length in [least, most] {
            assert!(udp(&taken, &of(length)), "{size}: {length}");
        }
        if least > 4 {
            assert!(!udp(&taken, &of(least - 1)), "{size}");
        }
        if most < 400 {
            assert!(!udp(&taken, &of(most + 1)), "{size}");
        }
    }
}

#[test]
fn names_are_taken_label_by_label() {
    let named = |options: &str, name: &str| {
        let rule = format!("alert tls any any -> any any (msg:\"x\"; tls.sni; {options} sid:9;)");
        let taken = rules(&rule);
        assert_eq!(left(&taken), [], "{options}");
        let rules = RuleSet::from_text("imported", &taken.text).unwrap();
        rules.host(name).is_some()
    };
    let whole = "content:\"chat.example.com\"; startswith; endswith;";
    let sized = "content:\"Chat.Example.com\"; nocase; bsize:16;";
    for options in [whole, sized] {
        assert!(named(options, "chat.example.com"));
        assert!(!named(options, "a.chat.example.com"));
        assert!(!named(options, "evilchat.example.com"));
    }
    let all = "dotprefix; content:\".example.com\"; nocase; endswith;";
    assert!(named(all, "example.com") && named(all, "a.b.example.com"));
    assert!(!named(all, "notexample.com"));
    let below = "content:\".example.com\"; endswith;";
    assert!(named(below, "a.example.com") && !named(below, "example.com"));
    let query = "alert dns any any -> any any (msg:\"x\"; dns.query; content:\"chat.example.com\"; startswith; endswith; sid:3;)";
    assert_eq!(rules(query).taken, 1);
}

#[test]
fn what_a_rule_cannot_say_here_is_left_at_its_place() {
    let tcp = |options: &str| format!("alert tcp any any -> any any ({options} sid:1;)");
    let more = |options: &str| tcp(&format!("content:\"HELLO\"; startswith; {options}"));
    let head = |head: &str| format!("{head} (content:\"HELLO\"; startswith; sid:1;)");
    let tls = |options: &str| format!("alert tls any any -> any any ({options} sid:1;)");
    // The rule, what is wrong, and where it stands.
    for (rule, reason, place) in [
        (more("pcre:\"/x/\";"), "`pcre`", "pcre"),
        (more("dsize:5;"), "cut into packets", "dsize"),
        (more("flow:no_stream;"), "flow:no_stream", "flow"),
        (more("flowbits:isset,a;"), "`flowbits`", "flowbits"),
        (more("content:\"A\"; depth:1;"), "never met", "content:\"A"),
        (
            more("content:\"x\"; content:\"y\";"),
            "do not follow",
            "content:\"y",
        ),
        (
            more("content:\"x\"; distance:-2;"),
            "negative",
            "content:\"x",
        ),
        (head("alert http any any -> any any"), "`http`", "http"),
        (head("pass tcp any any -> any any"), "finds nothing", "pass"),
        (
            head("alert tcp 192.0.2.1 any -> any any"),
            "any address",
            "192",
        ),
        (head("alert tcp any any -> any [80,443]"), "one port", "[80"),
        (head("alert tcp any any -> any !80"), "one port", "!80"),
        (head("alert tcp any 1 -> any 2"), "both sides", "1 ->"),
        (head("alert tcp any any => any any"), "stands here", "=>"),
        (head("alert tcp any any"), "seven words", "alert"),
        (
            tcp("content:\"HELLO\"; startswith;").replace(" sid:1;", ""),
            "no `sid`",
            "alert",
        ),
        (
            tcp("content:\"HELLO\"; startswith;").replace("sid:1", "sid:x"),
            "`sid` without a number",
            "sid",
        ),
        (
            "alert tcp any any -> any any sid:1;".to_owned(),
            "no options",
            "alert",
        ),
        (tcp("msg:\"x\";"), "no `content`", "alert"),
        (tcp("content:\"HELLO\";"), "fixed place", "content"),
        (
            tcp("content:\"HEL\"; startswith;"),
            "bits are known",
            "alert",
        ),
        (
            tcp("content:!\"HELLO\"; depth:5;"),
            "must not be there",
            "content",
        ),
        (tcp("content:\"HELLO\"; depth:4;"), "less than", "content"),
        (
            tcp("content:\"|4|\"; depth:4;"),
            "two hexadecimal digits",
            "content",
        ),
        (
            tcp("content:\"|41 \"; depth:4;"),
            "without the other",
            "content",
        ),
        (tcp("content:\"\"; depth:4;"), "empty", "content"),
        (tcp("depth:4;"), "without a `content`", "depth"),
        (
            tcp("content:\"HELLO\"; offset:5000; depth:5;"),
            "behind the first",
            "content",
        ),
        (
            tls("content:\"HELLO\"; startswith;"),
            "without a name's buffer",
            "alert",
        ),
        (
            tls("tls.sni; content:\"example\";"),
            "label by label",
            "content",
        ),
        (
            tls("tls.sni; content:\"example.com\"; endswith;"),
            "label by label",
            "content",
        ),
        (
            tls("tls.sni; content:\"no name at all\"; startswith; endswith;"),
            "is no host name",
            "alert",
        ),
    ] {
        let imported = rules(&format!("\n{rule}\n"));
        let left = left(&imported);
        assert_eq!((imported.taken, left.len()), (0, 1), "{rule}");
        assert!(left[0].2.contains(reason), "{rule}: {left:?}");
        let column = rule.find(place).unwrap() + 1;
        assert_eq!((left[0].0, left[0].1), (2, column), "{rule}: {left:?}");
    }
}

#[test]
fn good_rules_stand_beside_bad_ones_and_twice_is_once() {
    let good = |sid: u32| {
        format!(
            "alert tcp any any -> any any (msg:\"x\"; content:\"HELLO\"; startswith; sid:{sid};)\n"
        )
    };
    let text = [
        good(1),
        "alert tcp any any -> any any (pcre:\"/x/\"; sid:2;)\n".to_owned(),
        good(1),
        good(3),
        "alert tcp any any -> any any \\\n  (msg:\"over two lines\"; content:\"OTHER\"; \\\n  startswith; sid:4;)\n".to_owned(),
        "garbage\n".to_owned(),
    ]
    .concat();
    let imported = rules(&text);
    assert_eq!(imported.taken, 3);
    let lines: Vec<_> = left(&imported).iter().map(|left| left.0).collect();
    assert_eq!(lines, [2, 3, 8]);
    assert_eq!(beginnings(&imported).len(), 3);
    assert!(tcp(&imported, b"OTHER"));
}

#[test]
fn hostile_rules_are_left() {
    for bytes in [
        &b"("[..],
        b")",
        b"alert tcp any any -> any any (",
        b"alert tcp any any -> any any ()",
        b"alert tcp any any -> any any (content:\"\\\";)",
        b"alert tcp any any -> any any (\xff\xfe:1;)",
        b"\xff\xff\xff(\xff)",
        b"alert tcp any any -> any any (;;;;;;;;)",
        b"alert tcp any any -> any any (content:\"HELLO\"; startswith; content:\"x\"; within:99999999999999999999; sid:1;)",
        b"alert tcp any any -> any any (content:\"HELLO\"; startswith; content:\"x\"; distance:9999999999; sid:1;)",
        b"alert tcp any any -> any any (content:\"HELLO\"; offset:18446744073709551615; depth:5; sid:1;)",
    ] {
        let imported = suricata("x.rules", bytes, "chat").unwrap();
        assert_eq!((imported.taken, imported.left.len()), (0, 1), "{bytes:?}");
    }
    let many = format!(
        "alert tcp any any -> any any ({}sid:1;)",
        "content:\"ab\"; ".repeat(10_000)
    );
    let long = format!(
        "alert tcp any any -> any any (msg:\"{}\"; sid:1;)",
        "a".repeat(100_000)
    );
    let open = "a\\\n".repeat(100_000);
    for text in [many, long, open] {
        assert_eq!(rules(&text).taken, 0);
    }
    // What was written in a rule ends up in comments of firewall files: one line of it.
    let sly = "alert tcp any any -> any any (msg:\"a\x07b\\\"c */ }\"; content:\"HELLO\"; startswith; sid:1;)";
    let note = beginnings(&rules(sly))[0].note.clone().unwrap();
    assert!(!note.chars().any(char::is_control), "{note:?}");
}
