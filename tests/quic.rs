//! The Initial packets of RFC 9001 (A.2) and RFC 9369 (A.2), and hellos cut over several packets.
#![allow(clippy::unwrap_used)]

#[path = "../examples/make-samples/scenario/mod.rs"]
#[allow(dead_code, unreachable_pub)]
mod scenario;
mod talked;

use scenario::bytes::{hex, noise};
use scenario::quic::{self, DRAFT29, META, Q050, T051, V1, V2, Version, initial, unhex};
use scenario::talk::Talk;

const CLIENT: &str = "10.0.0.5:50000";
const SERVER: &str = "192.0.2.5:443";
const ID: &str = "8394c8f03e515708";
/// The CRYPTO frame of both examples; PADDING follows, to 1162 bytes.
const FRAME: &str = "060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e86804fe3a47f06a2b69484c\
    00000413011302010000c000000010000e00000b6578616d706c652e636f6dff01000100000a00080006001d00170018001000070005\
    04616c706e000500050100000000003300260024001d00209370b2c9caa47fbabaf4559fedba753de171fa71f50f1ce15d43e994ec74\
    d748002b0003020304000d0010000e0403050306030203080408050806002d00020101001c00024001003900320408ffffffffffffff\
    ff05048000ffff07048000ffff0801100104800075300901100f088394c8f03e51570806048000ffff";

/// What is told of these datagrams by rules in which `example.com` and `chat.example.org` are a messenger's.
fn told(datagrams: &[Vec<u8>]) -> String {
    let host = |name: &str| {
        format!(
            "[[host]]\nname = \"{name}\"\nmatch = \"exact\"\nfeature = \"everything\"\nuse = \"exclusive\"\nsource = \"site\"\n"
        )
    };
    let rules = format!(
        "id = \"chat\"\nname = \"Chat\"\nabout = \"A chat.\"\n{}{}",
        host("example.com"),
        host("chat.example.org")
    );
    let talk = datagrams
        .iter()
        .fold(Talk::udp(CLIENT, SERVER, 100), |talk, bytes| {
            talk.client(bytes.clone())
        });
    let flows = talked::flows(&rules, vec![talk]);
    flows.iter().map(ToString::to_string).collect()
}

fn is_found(told: &str, name: &str) -> bool {
    told.contains("\"service\":\"chat\"") && told.contains("quic-sni") && told.contains(name)
}

fn example(version: &Version) -> Vec<u8> {
    let mut frames = unhex(FRAME);
    frames.resize(1162, 0);
    let id = unhex(ID);
    initial(version, &id, &id, 2, &frames)
}

#[test]
fn the_standards_packets_are_read() {
    // How each begins, and its last 16 bytes, which authenticate all of it.
    for (version, begins, ends) in [
        (
            &V1,
            "c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11d242b123dc9bd8bab936b47d92ec356c",
            "e221af44860018ab0856972e194cd934",
        ),
        (
            &V2,
            "d76b3343cf088394c8f03e5157080000449ea0c95e82ffe67b6abcdb4298b485dd04de806071bf03dceebfa162e75d6c",
            "a18b2faa745b6fe189cf772a9f84cbfc",
        ),
    ] {
        let packet = example(version);
        assert_eq!(packet.len(), 1200);
        assert!(hex(&packet).starts_with(begins) && hex(&packet).ends_with(ends));
        let told = told(&[packet]);
        assert!(is_found(&told, "example.com"), "{told}");
    }
}

#[test]
fn a_hello_over_several_packets_is_put_together_in_any_order() {
    let hello = quic::client_hello(7, "chat.example.org");
    let id = noise(3, 8);
    for version in [&V1, &V2, &DRAFT29, &META, &T051] {
        let mut packets: Vec<Vec<u8>> = hello
            .chunks(40)
            .enumerate()
            .map(|(n, piece)| {
                let mut frames = version.crypto(n * 40, piece);
                frames.resize(600, 0);
                initial(version, &id, &id, n as u32, &frames)
            })
            .collect();
        packets.reverse();
        assert!(is_found(&told(&packets), "chat.example.org"));
        // Several in one datagram.
        assert!(is_found(&told(&[packets.concat()]), "chat.example.org"));
        // The server asked for another id: the keys stay those of the first one.
        let to = noise(9, 12);
        let mut frames = version.crypto(0, &hello[..60]);
        frames.resize(600, 0);
        let first = initial(version, &id, &id, 0, &frames);
        let mut frames = version.crypto(60, &hello[60..]);
        frames.resize(600, 0);
        let second = initial(version, &id, &to, 1, &frames);
        assert!(is_found(
            &told(&[first.clone(), second]),
            "chat.example.org"
        ));
        // The rest is lost: nothing is told.
        assert!(!told(&[first]).contains("\"service\":\"chat\""));
    }
}

#[test]
fn what_was_changed_on_the_way_is_not_believed() {
    for at in [0, 6, 20, 300, 1199] {
        let mut packet = example(&V1);
        packet[at] ^= 1;
        let told = told(&[packet]);
        assert!(!told.contains("\"service\":\"chat\""), "byte {at}: {told}");
    }
    let told = told(&[noise(5, 1200), example(&V1)[..700].to_vec()]);
    assert!(!told.contains("\"service\":\"chat\""), "{told}");
}

/// What is told of a connection to this server.
fn told_of(talk: Talk) -> String {
    let datagrams: Vec<Vec<u8>> = talk.messages.into_iter().map(|it| it.bytes).collect();
    told(&datagrams[..1])
}

#[test]
fn versions_of_before_the_standard_are_read() {
    for version in [b"Q035", b"Q039", b"Q043", b"Q046"] {
        let named = |name: &str| told_of(quic::in_clear(CLIENT, SERVER, 100, *version, name));
        let told = named("chat.example.org");
        assert!(is_found(&told, "chat.example.org"), "{told}");
        assert!(!named("chat.example.net").contains("\"service\":\"chat\""));
    }
    // The hello of this one comes in two packets, the second of them first.
    let talk = quic::talk(CLIENT, SERVER, 100, &Q050, "chat.example.org");
    let mut datagrams: Vec<Vec<u8>> = talk.messages.into_iter().map(|it| it.bytes).collect();
    assert!(is_found(&told(&datagrams[..2]), "chat.example.org"));
    datagrams[0][300] ^= 1;
    assert!(!told(&datagrams[..2]).contains("\"service\":\"chat\""));
}
