//! What is not OSCAR, nor anything beside it, is left alone.

use super::streams::*;
use super::{DETECTORS, ask, decide, input};
use crate::classify::oscar::detector::Flap;
use crate::classify::{Detector, Probe, Start};

/// Other protocols, and units of ours that are not in order.
fn strangers() -> Vec<(&'static str, Vec<u8>)> {
    let broken_length = {
        let mut bytes = cookie_hello();
        bytes[5] = bytes[5].wrapping_add(3);
        [bytes, vec![0; 64]].concat()
    };
    let mut oft_encrypted = oft(0x0101, 9, 0);
    oft_encrypted[16] = 1;
    let mut odc_unnamed = odc("", b"");
    odc_unnamed[44] = 0;
    vec![
        ("Redis", b"*1\r\n$4\r\nPING\r\n".to_vec()),
        (
            "Redis",
            b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n".to_vec(),
        ),
        (
            "IMAP",
            b"* OK IMAP4rev1 ready\r\n* CAPABILITY IMAP4rev1\r\n".to_vec(),
        ),
        (
            "AOL's dial-up client",
            hex("5a4141007f7f0a 5a 2a02 0001 0004 00000000"),
        ),
        (
            "TLS",
            hex(
                "16030100c8010000c40303 2a02000100280004000600000000000000000000000000000000000000000000",
            ),
        ),
        (
            "HTTP",
            b"GET / HTTP/1.1\r\nAccept: */*\r\nHost: example.com\r\n\r\n".to_vec(),
        ),
        ("SSH", b"SSH-2.0-OpenSSH_9.6\r\n".to_vec()),
        ("MQTT, STOMP, FTP", b"220 ready\r\n".to_vec()),
        (
            "protobuf: 2A 02 is field 5 with two bytes",
            hex("2a0208011200 2a0208021200 2a0208031200 2a0208041200"),
        ),
        ("DER", hex("2a02000100102a864886f70d0101010500038201")),
        (
            "channel 0",
            hex("2a00000100040000000 1".replace(' ', "").as_str()),
        ),
        ("channel 6", hex("2a060001000400000001")),
        (
            "version 2",
            hex("2a0100010004000000022a020002000a00170006000000000001"),
        ),
        (
            "a hello shorter than its version",
            hex("2a0100010003000000"),
        ),
        ("a hello whose TLVs overrun it", broken_length),
        (
            "a hello and text",
            [hello(1), b"USER anonymous\r\nPASS guest\r\n".to_vec()].concat(),
        ),
        (
            "an unknown family",
            [hello(1), data(2, 0x1234, 6, &[])].concat(),
        ),
        (
            "an unknown subtype",
            [hello(1), data(2, 0x17, 0x66, &[])].concat(),
        ),
        (
            "odd flags",
            [hello(1), hex("2a020002000a 0017 0006 0404 00000001")].concat(),
        ),
        (
            "a payload shorter than a SNAC",
            [hello(1), flap(2, 2, &[0, 4, 0, 6])].concat(),
        ),
        ("a unit and no second", [dull(1), vec![0; 80]].concat()),
        (
            "a unit that does not tile",
            [data(1, 4, 6, &[1; 40]), vec![1; 80]].concat(),
        ),
        (
            "two keep-alives",
            [flap(5, 8, &[]), flap(5, 9, &[]), vec![0; 40]].concat(),
        ),
        (
            "FLAPON and no frame",
            b"FLAPON\r\n\r\nGET / HTTP/1.0\r\n\r\n".to_vec(),
        ),
        ("FLAP ON", b"FLAP ON\r\n\r\n".to_vec()),
        ("a word that no TOC server says", toc_line("HELLO:bob")),
        (
            "a line of TOC outside FLAP",
            b"toc_signon login.oscar.aol.com 5190 alice 0x00 english\0".to_vec(),
        ),
        ("OFT under encryption", oft_encrypted),
        ("OFT of an unknown type", oft(0x0303, 9, 0)),
        ("OFT too short", b"OFT2\0\x20\x01\x01".repeat(40)),
        ("ODC without a name", odc_unnamed),
        (
            "OpenType font",
            b"OTTO\0\x0B\0\x80\0\x03\0\x30CFF ".to_vec(),
        ),
        ("Ogg", b"OggS\0\x02\0\0\0\0\0\0\0\0".to_vec()),
        (
            "proxy unit with a wrong length",
            hex("002c044a0002000000000000067465737465723132333435363738000100100946134300"),
        ),
        ("proxy error", hex("000c044a00010000000000000010")),
        ("NetFlow 5", hex("0005001e000000000000000000000000")),
    ]
}

#[test]
fn strangers_are_left_alone() {
    for (what, stream) in strangers() {
        for start in [Start::Beginning, Start::Joined, Start::Later] {
            for cut in [1, 3, stream.len()] {
                assert!(
                    decide(&stream, start, cut).is_none(),
                    "{what}, {start:?}, cut into {cut}"
                );
            }
        }
        for start in [Start::Joined, Start::Later] {
            let shifted = [b"..".to_vec(), stream.clone(), b"..".to_vec()].concat();
            assert!(
                decide(&shifted, start, 4).is_none(),
                "{what} inside a stream"
            );
        }
    }
}

/// Both sides of a FLAP connection begin with a sign-on frame.
#[test]
fn units_at_the_very_start_of_a_connection_are_not_believed() {
    for stream in [
        [dull(1), dull(2), dull(3)].concat(),
        message_to("bob"),
        channel_4_answer(),
        flap(5, 1, &[]),
    ] {
        assert!(decide(&stream, Start::Beginning, 3).is_none());
        assert_eq!(
            Flap.probe(&input(&stream, Start::Beginning, false)),
            Probe::No
        );
    }
}

#[test]
fn a_stream_from_its_start_is_refused_at_the_first_wrong_byte() {
    for (bytes, detector) in [
        (&b"G"[..], 0),
        (b"*1", 0),
        (b"FLAPX", 0),
        (b"X", 1),
        (b"ODD", 1),
        (b"OFT", 2),
        (b"*", 3),
    ] {
        if detector < 3 {
            let answer = DETECTORS[detector].probe(&input(bytes, Start::Beginning, false));
            assert_eq!(answer, Probe::No, "{bytes:?}");
        }
    }
    // Two bytes of length are not enough to refuse, the next two are.
    let ars = DETECTORS[3];
    assert_eq!(
        ars.probe(&input(b"\0\x2D\x04\x4B", Start::Beginning, false)),
        Probe::No
    );
    assert_eq!(ars.probe(&input(b"GE", Start::Beginning, false)), Probe::No);
}

#[test]
fn a_stranger_joined_in_the_middle_is_not_kept() {
    let stream = vec![b'x'; 4096];
    let answer = Flap.probe(&input(&stream, Start::Joined, false));
    assert_eq!(
        answer,
        Probe::NeedMore {
            from: 4096,
            total: 4097
        }
    );
    assert!(ask(&Flap, &stream, Start::Joined, 100).is_none());
}
