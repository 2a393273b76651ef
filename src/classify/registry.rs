//! All detectors. A new family adds its line here and nowhere else.

use super::carrier::http::HttpMessenger;
use super::{
    Detector, Probe, ProbeInput, Start, call, carrier, gadugadu, icq, irc, matrix, msn, msrp, oicq,
    oscar, sip, wechat, xmpp, yahoo,
};
use crate::model::{Direction, Transport};
use std::sync::LazyLock;

/// The detectors of each protocol family, asked in this order.
pub const FAMILIES: &[&[&dyn Detector]] = &[
    oscar::DETECTORS,
    icq::DETECTORS,
    msn::DETECTORS,
    yahoo::DETECTORS,
    xmpp::DETECTORS,
    irc::DETECTORS,
    gadugadu::DETECTORS,
    oicq::DETECTORS,
    sip::DETECTORS,
    msrp::DETECTORS,
    call::DETECTORS,
    carrier::DETECTORS,
];

/// The messengers that hide in HTTP.
pub const HTTP: &[&[&dyn HttpMessenger]] = &[
    oscar::HTTP,
    msn::HTTP,
    yahoo::HTTP,
    matrix::HTTP,
    wechat::HTTP,
];

/// Those of one transport, and which of them what begins with a byte may concern.
struct Asked {
    detectors: Vec<&'static dyn Detector>,
    /// One bit a detector, for each first byte.
    by_first: [u64; 256],
}

static TCP: LazyLock<Asked> = LazyLock::new(|| Asked::of(Transport::Tcp));
static UDP: LazyLock<Asked> = LazyLock::new(|| Asked::of(Transport::Udp));

impl Asked {
    /// The first byte is shown to each detector once. One that says no to it would say no to all that begins with it, since that
    /// is what detectors promise ([`Detector::probe`]).
    fn of(transport: Transport) -> Self {
        let all = FAMILIES.iter().copied().flatten().copied();
        let detectors: Vec<_> = all.filter(|it| it.transport() == transport).collect();
        let mut by_first = [0; 256];
        for (byte, may) in (0..=u8::MAX).zip(&mut by_first) {
            for (number, detector) in detectors.iter().enumerate() {
                let wants = |direction| {
                    let input = ProbeInput {
                        direction,
                        bytes: &[byte],
                        start: Start::Beginning,
                        wire_len: 1,
                        ended: false,
                        server_port: 0,
                        expected: None,
                        signatures: None,
                    };
                    detector.probe(&input) != Probe::No
                };
                if Direction::BOTH.into_iter().any(wants) {
                    *may |= 1 << number;
                }
            }
        }
        Self {
            detectors,
            by_first,
        }
    }
}

/// The detectors that need to be asked about this input: the others would say no.
pub fn concerned(
    transport: Transport,
    input: &ProbeInput<'_>,
) -> impl Iterator<Item = &'static dyn Detector> + use<> {
    let asked = match transport {
        Transport::Tcp => &*TCP,
        Transport::Udp => &*UDP,
    };
    let mut may = match input.bytes.first() {
        // What was announced may be believed for less, and a datagram is whole: nobody promises anything of its beginning.
        Some(byte)
            if transport == Transport::Tcp
                && input.start == Start::Beginning
                && input.expected.is_none() =>
        {
            asked.by_first[usize::from(*byte)]
        }
        _ => u64::MAX,
    };
    let detectors = asked.detectors.iter().copied();
    detectors.filter(move |_| {
        let is_concerned = may & 1 == 1;
        may >>= 1;
        is_concerned
    })
}

#[cfg(test)]
mod tests {
    use super::{FAMILIES, concerned};
    use crate::classify::{Detector, Probe, ProbeInput, Start};
    use crate::model::{Direction, Transport};

    /// What streams begin with, here and elsewhere.
    const OPENINGS: &[&[u8]] = &[
        b"*\x01\0\x01\0\x04\0\0\0\x01",
        b"FLAPON\r\n\r\n",
        b"OFT2\x01\0\x01\x01",
        b"ODC2\0\x4c\0\x01",
        b"\x2c\0\xff\x06\x08\0\x07\0",
        b"VER 1 MSNP8 CVR0\r\n",
        b"VER MSNFTP\r\n",
        b"USR 1 OK alice@example.com Alice\r\n",
        b"\x04\0\0\0foo\0\x30\0\0\0",
        b"YMSG\0\x0f\0\0\0\0\0\x57\0\0\0\0\0\0\0\0",
        b"YPNS\0\0\0\0",
        b"YHOO1.0\0",
        b"<SNDIMG>\x08\0\x05\0\0\0\0\0",
        b"<?xml version='1.0'?><stream:stream xmlns='jabber:client'>",
        b"<stream:stream to='example.com' xmlns='jabber:client'>",
        b"NICK alice\r\nUSER alice 0 * :Alice\r\n",
        b":irc.example.net 001 alice :Welcome\r\n",
        b"@time=1 :irc.example.net NOTICE * :x\r\n",
        b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"\x05\x01\0\x05\x01\0\x01\xc6\x33\x64\x09\x14\x46",
        b"\x04\x01\x14\x46\xc6\x33\x64\x09\0",
        b"\x16\x03\x01\0\x2f\x01\0\0\x2b\x03\x03",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"220 mail.example.com ESMTP\r\n",
        b"EHLO desk.example.com\r\n",
        b"REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/TCP desk.example.com\r\n",
        b"MESSAGE sip:bob@example.com SIP/2.0\r\n",
        b"SIP/2.0 200 OK\r\n",
        b"PUT /_matrix/client/v3/sync HTTP/1.1\r\nHost: example.com\r\n\r\n",
        b"\x01\0\0\0\x04\0\0\0\x11\x22\x33\x44",
        b"\0\x01\0\0\x21\x12\xa4\x42aaaaaaaaaaaa",
        b"\0\x14\0\x01\0\0\x21\x12\xa4\x42aaaaaaaaaaaa",
        b"\xef\x0a\0\0\0\0\0\0\0\0",
        b"\0\x31\x02\x35\x2f\0\x58\0\x07\0\x0f\x42\x41\x02\0\0\0\x01\x01\x01\0\0\x67\x0a",
        b"\0\x0f\x02\x0d\x55\0\x62\0\x07\0\x0f\x42\x41\0\x03",
    ];

    #[test]
    fn whoever_is_not_asked_would_have_said_no() {
        let tcp = |it: &&&dyn Detector| it.transport() == Transport::Tcp;
        let all: Vec<_> = FAMILIES.iter().copied().flatten().filter(tcp).collect();
        let (mut asked, mut spared) = (0, 0);
        for byte in 0..=u8::MAX {
            for opening in OPENINGS {
                // As it is, and behind another first byte.
                let whole = [&[byte], &opening[usize::from(opening[0] != byte)..]].concat();
                for length in 1..=whole.len() {
                    for (direction, ended) in [
                        (Direction::ToServer, false),
                        (Direction::ToClient, false),
                        (Direction::ToServer, true),
                    ] {
                        let input = ProbeInput {
                            direction,
                            bytes: &whole[..length],
                            start: Start::Beginning,
                            wire_len: length,
                            ended,
                            server_port: if ended { 5190 } else { 5101 },
                            expected: None,
                            signatures: None,
                        };
                        let names: Vec<_> = concerned(Transport::Tcp, &input)
                            .map(Detector::name)
                            .collect();
                        asked += names.len();
                        for detector in all.iter().filter(|it| !names.contains(&it.name())) {
                            spared += 1;
                            let said = detector.probe(&input);
                            assert_eq!(said, Probe::No, "{}: {input:?}", detector.name());
                        }
                    }
                }
            }
        }
        assert!(spared > 5 * asked, "{asked} asked, {spared} spared");
    }

    #[test]
    fn what_may_be_believed_for_less_is_shown_to_all() {
        let input = ProbeInput {
            direction: Direction::ToServer,
            bytes: b"\x10\0\0\0",
            start: Start::Beginning,
            wire_len: 4,
            ended: false,
            server_port: 0,
            expected: Some("msn-p2p"),
            signatures: None,
        };
        let all = concerned(Transport::Tcp, &input).count();
        let joined = ProbeInput {
            start: Start::Joined,
            expected: None,
            ..input
        };
        assert_eq!(all, concerned(Transport::Tcp, &joined).count());
        let alone = ProbeInput {
            expected: None,
            ..input
        };
        assert!(all > 2 * concerned(Transport::Tcp, &alone).count());
    }
}
