//! JA4 of a client's hello, over TLS and QUIC: it supports, and alone is a guess that somebody else's name speaks against.
#![allow(clippy::unwrap_used)]

#[path = "../examples/make-samples/scenario/mod.rs"]
#[allow(dead_code, unreachable_pub)]
mod scenario;

mod program;
mod talked;

use scenario::quic::{V1, initial, unhex};
use scenario::talk::Talk;
use talked::flows;

const SERVER: &str = "192.0.2.5:443";

/// What the parrot's program sends, without a name and with one: one cipher (1301), the extensions 0017 and 002b. The hashes
/// are those of `1301` and `002b` and `0017,002b`, by `sha256sum`.
const NAMELESS: &str = "t13i010100_0f2cb44170f4_b9a491fefe05";
const NAMED: &str = "t13d010200_0f2cb44170f4_b9a491fefe05";
/// The hello of RFC 9001, A.2, taken apart by another program.
const STANDARD: &str = "q13d0211an_62ed6f6ca7ad_4d634acda6c0";
/// The CRYPTO frame of that packet; PADDING follows, to 1162 bytes.
const FRAME: &str = "060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e86804fe3a47f06a2b69484c\
    00000413011302010000c000000010000e00000b6578616d706c652e636f6dff01000100000a00080006001d00170018001000070005\
    04616c706e000500050100000000003300260024001d00209370b2c9caa47fbabaf4559fedba753de171fa71f50f1ce15d43e994ec74\
    d748002b0003020304000d0010000e0403050306030203080408050806002d00020101001c00024001003900320408ffffffffffffff\
    ff05048000ffff07048000ffff0801100104800075300901100f088394c8f03e51570806048000ffff";

fn rules(hosts: &[(&str, &str)]) -> String {
    let mut text = format!(
        "id = \"parrot\"\nname = \"Parrot\"\nabout = \"It repeats.\"\n[[port]]\nid = \"parrot/session\"\nfeature = \"session\"\n\
         transport = \"tcp\"\nport = 443\nsource = \"site\"\nshared_with = \"the web\"\n[[fingerprint]]\n\
         ja4 = [\"{NAMELESS}\", \"{NAMED}\", \"{STANDARD}\"]\ndate = \"2026-11-28\"\nsource = \"site\"\n"
    );
    let hosts = hosts.iter().map(|(name, usage)| {
        format!(
            "[[host]]\nname = \"{name}\"\nmatch = \"suffix\"\nfeature = \"session\"\nuse = \"{usage}\"\nsource = \"site\"\n"
        )
    });
    text.extend(hosts);
    text
}

/// A hello in one record, with these ciphers.
fn hello(name: Option<&str>, ciphers: &[u16]) -> Vec<u8> {
    let sized = |body: Vec<u8>| [&(body.len() as u16).to_be_bytes()[..], &body].concat();
    let mut extensions = Vec::new();
    if let Some(name) = name {
        let name = [&[0][..], &sized(name.as_bytes().to_vec())].concat();
        extensions.extend([&[0, 0][..], &sized(sized(name))].concat());
    }
    extensions.extend([0, 43, 0, 3, 2, 3, 4]);
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.push(0);
    body.extend(sized(
        ciphers.iter().flat_map(|c| c.to_be_bytes()).collect(),
    ));
    body.extend([1, 0]);
    body.extend(sized(extensions));
    let message = [&[1, 0][..], &sized(body)].concat();
    [&[0x16, 3, 1][..], &sized(message)].concat()
}

/// How sure, and whether the fingerprint is among the evidence.
fn verdict(flow: &serde_json::Value) -> (Option<String>, bool) {
    let sure = (flow["service"] == "parrot").then(|| flow["confidence"].as_str().unwrap());
    let evidence = flow["evidence"].as_array().unwrap();
    let ja4 = evidence.iter().any(|row| row["what"] == "ja4");
    (sure.map(str::to_owned), ja4)
}

fn tls(name: Option<&str>, ciphers: &[u16], rules: &str) -> (Option<String>, bool) {
    let talk = Talk::tcp("10.0.0.5:50000", SERVER, 100).client(hello(name, ciphers));
    let flows = flows(rules, vec![talk]);
    assert_eq!(flows.len(), 1);
    verdict(&flows[0])
}

const POSSIBLE: &str = "possible";

#[test]
fn a_fingerprint_alone_is_possible_and_no_more() {
    let rules = rules(&[]);
    let told = tls(None, &[0x1301], &rules);
    assert_eq!(told, (Some(POSSIBLE.to_owned()), true));
    // GREASE is nobody's.
    let told = tls(None, &[0x3a3a, 0x1301], &rules);
    assert_eq!(told, (Some(POSSIBLE.to_owned()), true));
}

#[test]
fn another_programs_hello_says_nothing() {
    let rules = rules(&[("parrot.example.com", "shared")]);
    for ciphers in [&[0x1302][..], &[0x1301, 0x1302], &[]] {
        assert_eq!(tls(None, ciphers, &rules), (None, false), "{ciphers:?}");
        let named = tls(Some("parrot.example.com"), ciphers, &rules);
        assert_eq!(named, (None, false), "{ciphers:?}");
    }
}

#[test]
fn somebody_elses_name_speaks_against_it_and_a_shared_one_does_not() {
    let rules = rules(&[
        ("parrot.example.com", "exclusive"),
        ("cdn.example.net", "shared"),
    ]);
    let told = |name| tls(Some(name), &[0x1301], &rules);
    assert_eq!(told("www.example.org"), (None, false));
    assert_eq!(told("notcdn.example.net"), (None, false));
    let possible = (Some(POSSIBLE.to_owned()), true);
    assert_eq!(told("cdn.example.net"), possible);
    assert_eq!(told("eu.cdn.example.net"), possible);
    // A name of its own is worth more, and the fingerprint is told beside it.
    let probable = (Some("probable".to_owned()), true);
    assert_eq!(told("a.parrot.example.com"), probable);
    let other = tls(Some("a.parrot.example.com"), &[0x1302], &rules);
    assert_eq!(other, (Some("probable".to_owned()), false));
}

#[test]
fn a_hello_in_quic_has_one_as_well() {
    let mut frames = unhex(FRAME);
    frames.resize(1162, 0);
    let id = unhex("8394c8f03e515708");
    let packet = initial(&V1, &id, &id, 2, &frames);
    let told = |rules: &str| {
        let talk = Talk::udp("10.0.0.5:50000", SERVER, 100).client(packet.clone());
        verdict(&flows(rules, vec![talk])[0])
    };
    let shared = told(&rules(&[("example.com", "shared")]));
    assert_eq!(shared, (Some(POSSIBLE.to_owned()), true));
    assert_eq!(told(&rules(&[])), (None, false), "example.com is others'");
    // The same hello over TCP is another fingerprint.
    let message = unhex(&FRAME[8..]);
    let record = [&[0x16, 3, 1, 0, message.len() as u8][..], &message].concat();
    let talk = Talk::tcp("10.0.0.5:50000", SERVER, 100).client(record);
    let flows = flows(&rules(&[("example.com", "shared")]), vec![talk]);
    assert_eq!(verdict(&flows[0]), (None, false));
}

#[test]
fn rules_show_check_and_warn() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("parrot.toml");
    let run = |args: &[&str]| program::run(&[&["rules"], args].concat());
    std::fs::write(&file, rules(&[])).unwrap();
    let path = file.to_str().unwrap();
    let (code, told, _) = run(&["check", path]);
    assert_eq!(code, 0);
    assert!(told.contains("1 fingerprints"), "{told}");
    let (_, told, _) = run(&["show", "parrot", "--rules", dir.path().to_str().unwrap()]);
    assert!(
        told.contains(NAMED) && told.contains("JA4 of 2026-11-28"),
        "{told}"
    );

    let old = rules(&[]).replace("2026-11-28", "2019-11-28");
    std::fs::write(&file, old).unwrap();
    let (code, _, err) = run(&["check", path]);
    assert_eq!(code, 0);
    assert!(err.contains("was taken on 2019-11-28"), "{err}");

    for (old, new, what) in [
        (NAMED, "t13d010200_0f2cb44170f4", "is no JA4 of a hello"),
        (NAMED, "d13d010200_0f2cb44170f4_b9a491fefe05", "is no JA4"),
        (NAMED, NAMELESS, "is named twice"),
        ("2026-11-28", "yesterday", "not a date"),
    ] {
        std::fs::write(&file, rules(&[]).replace(old, new)).unwrap();
        let (code, _, err) = run(&["check", path]);
        assert_eq!(code, 2, "{err}");
        assert!(err.contains(what) && err.contains('^'), "{what}: {err}");
    }
}
