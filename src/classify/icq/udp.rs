//! Recognises ICQ's UDP protocol, on any port.

use super::datagram::{Datagram, Strength, parse};
use super::session::UdpDissector;
use crate::classify::{Claim, Detector, Dissector, Probe, ProbeInput};
use crate::model::{Evidence, Format, Service, Transport};

/// The port servers listen on. Not proof, but enough to prefer ICQ where a shape alone is weak.
const PORT: u16 = 4000;

/// ICQ over UDP.
#[derive(Debug)]
pub struct IcqUdp;

/// What a flow of these datagrams is.
pub fn format() -> Format {
    Format::messenger(Service::ICQ, "icq-udp", "session")
}

impl Detector for IcqUdp {
    fn name(&self) -> &'static str {
        "icq-udp"
    }

    fn transport(&self) -> Transport {
        Transport::Udp
    }

    fn probe(&self, input: &ProbeInput<'_>) -> Probe {
        let Some(datagram) = parse(input.bytes, input.wire_len) else {
            return Probe::No;
        };
        let hinted = input.expected == Some("icq-udp") || input.server_port == PORT;
        match datagram.strength {
            Strength::Proof => Probe::Certain(claim(&datagram)),
            Strength::Shaped => Probe::Likely(claim(&datagram)),
            // A server's header of version 5 is long enough to be believed where it was expected; the short
            // ones of version 2 and 3 are not.
            Strength::Weak if hinted && datagram.version == 5 && datagram.session != Some(0) => {
                Probe::Likely(claim(&datagram))
            }
            Strength::Weak => Probe::No,
        }
    }

    fn dissector(&self, _claim: &Claim) -> Box<dyn Dissector> {
        Box::new(UdpDissector::default())
    }
}

fn claim(datagram: &Datagram) -> Claim {
    let side = if datagram.from_client {
        "client"
    } else {
        "server"
    };
    let how = if datagram.version == 5 && datagram.from_client {
        ", self check passed"
    } else {
        ""
    };
    let detail = format!(
        "version {} {side}, command 0x{:04x}{how}",
        datagram.version, datagram.command
    );
    Claim {
        format: format(),
        offset: 0,
        sender_is_client: Some(datagram.from_client),
        evidence: Evidence::payload("icq-datagram", detail),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::classify::Start;
    use crate::classify::icq::testing::{DELIVERED_V5, LOGIN_V2, LOGIN_V5, MESSAGE_V5, hex};
    use crate::classify::icq::v5;
    use crate::classify::icq::v5::testing::{client, server};
    use crate::model::Direction;

    fn ask_on(bytes: &[u8], wire_len: usize, server_port: u16) -> Probe {
        IcqUdp.probe(&ProbeInput {
            direction: Direction::ToServer,
            bytes,
            start: Start::Beginning,
            wire_len,
            ended: true,
            server_port,
            expected: None,
            signatures: None,
        })
    }

    fn ask(bytes: &[u8]) -> Probe {
        ask_on(bytes, bytes.len(), 40_000)
    }

    fn is_certain(probe: &Probe, from_client: bool) -> bool {
        matches!(probe, Probe::Certain(claim) if claim.sender_is_client == Some(from_client))
    }

    fn is_likely(probe: &Probe, from_client: bool) -> bool {
        matches!(probe, Probe::Likely(claim) if claim.sender_is_client == Some(from_client))
    }

    #[test]
    fn version_5_clients_prove_themselves_on_any_port() {
        assert!(is_certain(&ask(&hex(LOGIN_V5)), true));
        assert!(is_certain(&ask(&hex(MESSAGE_V5)), true));
        for command in [0x000A, 0x042E, 0x0438, 0x064A] {
            assert!(is_certain(
                &ask(&client(1_000_001, 7, command, &[1, 2, 3])),
                true
            ));
        }
        let long = client(1_000_001, 7, 0x010E, &[0; 400]);
        assert!(is_certain(&ask_on(&long[..64], long.len(), 40_000), true));
    }

    #[test]
    fn version_5_clients_with_an_impossible_account_or_command_do_not() {
        assert_eq!(ask(&client(7, 7, 0x010E, &[0; 30])), Probe::No);
        assert_eq!(ask(&client(0x8000_0001, 7, 0x010E, &[0; 30])), Probe::No);
        assert_eq!(ask(&client(1_000_001, 7, 0x7777, &[0; 30])), Probe::No);
    }

    #[test]
    fn version_5_servers_need_their_port_or_a_check_code() {
        let delivered = hex(DELIVERED_V5);
        assert_eq!(ask(&delivered), Probe::No);
        assert!(is_likely(&ask_on(&delivered, delivered.len(), 4000), false));
        assert!(is_likely(
            &ask(&server(1_000_001, 7, 0x000A, b"", true)),
            false
        ));
        assert_eq!(ask(&server(1_000_001, 7, 0x000A, b"", false)), Probe::No);
        // On the port, but not in shape: a body behind an acknowledgement; a message with a false length.
        for (command, body) in [
            (0x000A, &b"body"[..]),
            (0x0104, b"\xf1\xfb\x09\0\x01\0\x09\0hi\0"),
        ] {
            let bytes = server(1_000_001, 7, command, body, true);
            assert_eq!(ask_on(&bytes, bytes.len(), 4000), Probe::No);
        }
    }

    #[test]
    fn version_2_by_the_shape_of_the_whole_body() {
        assert!(is_certain(&ask(&hex(LOGIN_V2)), true));
        let message = hex("0200 0e01 0200 41420f00 f1fb0900 0100 0300 686900");
        assert!(is_likely(&ask(&message), true));
        let delivered = hex("0200 0401 0200 f1fb0900 0100 0300 686900");
        assert!(is_likely(&ask(&delivered), false));
        let stored = hex("0200 dc00 0200 f1fb0900 ce07 0c 18 14 1e 0100 0300 686900");
        assert!(is_likely(&ask(&stored), false));
        let logoff = [
            &hex("0200 3804 0300 41420f00 1400")[..],
            b"B_USER_DISCONNECTED\0\x05\0",
        ]
        .concat();
        assert!(is_certain(&ask(&logoff), true));
        let hello = hex(
            "0200 5a00 0000 41420f00 c0a80105 0100 01000100 19001600 8c000000 78000500 0a0005000100",
        );
        assert!(is_likely(&ask(&hello), false));
    }

    #[test]
    fn version_3_with_and_without_a_check_code() {
        let login = hex(
            "0300 e803 0100 0100 41420f00 00000000 05040000 0900 736563726574313200 c0a80105 04 000000000300000000000000",
        );
        assert!(is_likely(&ask(&login), true));
        for check in ["", "12345678"] {
            let text = format!("0300 0e01 0200 0200 41420f00 {check} f1fb0900 0100 0300 686900");
            assert!(is_likely(&ask(&hex(&text)), true));
        }
        let delivered = hex("0300 0401 0200 0000 00000000 00000000 f1fb0900 0100 0300 686900");
        assert!(is_likely(&ask(&delivered), false));
    }

    #[test]
    fn short_datagrams_are_nobodys_even_on_the_port() {
        // Keep-alive and acknowledgements of version 2: ten and six bytes.
        for text in [
            "02002e04050041420f00",
            "02000a00050041420f00",
            "02000a000500",
            "0200f0000500",
        ] {
            let bytes = hex(text);
            assert_eq!(ask_on(&bytes, bytes.len(), 4000), Probe::No);
        }
    }

    #[test]
    fn cut_datagrams_of_versions_2_and_3_are_not_guessed_at() {
        let login = hex(LOGIN_V2);
        assert_eq!(ask_on(&login[..30], login.len(), 4000), Probe::No);
    }

    #[test]
    fn other_protocols() {
        let mut netflow = hex("0005 0002 00000064 5f000000 00000000 00000001 0000 0000");
        netflow.extend([0; 96]);
        let mut worm = hex("0500 00 00000000 1202 0000 0000 00000000 00000000 02 2c00 0500 00");
        worm.extend([0x41; 400]);
        for bytes in [
            netflow,
            worm,
            // DCE/RPC bind; DNS question; RTP; STUN; NTP; a game's zeros; a query of a game server.
            hex("05000b03 10000000 48000000 01000000 b810b810 00000000 01000000"),
            hex("0200 0100 0001 0000 0000 0000 0765 7861 6d70 6c65 0363 6f6d 0000 0100 01"),
            [&hex("8000 0001 00000000 12345678")[..], &[0x55; 160]].concat(),
            hex("0001 0000 2112a442 000102030405060708090a0b"),
            [&[0x23][..], &[0; 47]].concat(),
            [&[5][..], &[0; 63]].concat(),
            [&[2][..], &[0; 63]].concat(),
            [&[3][..], &[0; 63]].concat(),
            b"\xff\xff\xff\xffgetinfo xxx".to_vec(),
            Vec::new(),
        ] {
            for port in [40_000, 4000] {
                assert_eq!(ask_on(&bytes, bytes.len(), port), Probe::No, "{bytes:02x?}");
            }
        }
    }

    /// A small generator with a fixed seed (splitmix64).
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^ (z >> 31)
        }

        fn fill(&mut self, bytes: &mut [u8]) {
            for eight in bytes.chunks_mut(8) {
                let random = self.next().to_le_bytes();
                eight.copy_from_slice(&random[..eight.len()]);
            }
        }
    }

    #[test]
    fn a_million_random_datagrams() {
        let mut random = Random(1);
        let (mut claimed, mut checked, mut prefixed) = (0, 0, 0);
        let mut bytes = [0; 64];
        for _ in 0..1_000_000 {
            random.fill(&mut bytes);
            claimed += u32::from(ask_on(&bytes, 64, 4000) != Probe::No);
            bytes[..6].copy_from_slice(&[5, 0, 0, 0, 0, 0]);
            checked += u32::from(v5::decode(&bytes, 64).is_some());
            prefixed += u32::from(ask(&bytes) != Probe::No);
        }
        assert_eq!(claimed, 0, "random bytes");
        // Even behind six right bytes the check passes once in 2^18 (a position below 64, times two bytes),
        // and then the command is still to be one of forty.
        assert!(checked <= 15, "{checked} passed the check");
        assert_eq!(prefixed, 0, "behind the right prefix");
    }
}
