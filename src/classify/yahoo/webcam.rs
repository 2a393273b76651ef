//! Yahoo's webcam protocol: a tag of eight letters, then binary headers and a few lines of text.

use crate::classify::opening::Openings;
use crate::classify::{Claim, Detector, Dissector, Events, Probe, ProbeInput, Start};
use crate::model::{
    Activity, Confidence, Direction, Event, Evidence, Format, Party, Service, Target, Transport,
    feature, risk, what,
};
use std::net::IpAddr;

/// Where the image servers listen; the master's answer names an address only.
const WEBCAM_PORT: u16 = 5100;
/// Longest text that goes with a request.
const MAX_TEXT: u32 = 1024;

/// The tags. The first two go to the master server, the last two to the image server or the other user.
const TAGS: [(&[u8; 8], &str); 4] = [
    (b"<RVWCFG>", "master"),
    (b"<RUPCFG>", "master"),
    (b"<REQIMG>", "viewer"),
    (b"<SNDIMG>", "sender"),
];

/// The webcam of Yahoo! Messenger.
#[derive(Debug)]
pub struct Webcam;

/// Header behind the tag: its own length (8, or 13 with type and time), 0, 1 or 5, 0, then the length of the
/// text in four bytes.
fn text_len(header: &[u8]) -> Option<u32> {
    let &[8 | 13, _, 0 | 1 | 5, 0, a, b, c, d] = header.first_chunk::<8>()? else {
        return None;
    };
    Some(u32::from_be_bytes([a, b, c, d])).filter(|length| (1..=MAX_TEXT).contains(length))
}

fn format(role: &'static str) -> Format {
    Format::messenger(Service::YAHOO, "yahoo-webcam", role)
}

impl Detector for Webcam {
    fn name(&self) -> &'static str {
        "yahoo-webcam"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn probe(&self, input: &ProbeInput<'_>) -> Probe {
        let bytes = input.bytes;
        if input.start == Start::Later {
            return Probe::No;
        }
        let shown = bytes.get(..8).unwrap_or(bytes);
        let Some((tag, role)) = TAGS.iter().find(|(tag, _)| tag.starts_with(shown)) else {
            return Probe::No;
        };
        let Some(header) = bytes.get(8..) else {
            return Probe::NeedMore { from: 0, total: 16 };
        };
        // Markup goes on with text; here a control character follows.
        if header
            .first()
            .is_some_and(|length| !matches!(length, 8 | 13))
        {
            return Probe::No;
        }
        if header.len() < 8 {
            return Probe::NeedMore { from: 0, total: 16 };
        }
        if text_len(header).is_none() {
            return Probe::No;
        }
        let detail = format!("{} and its header", String::from_utf8_lossy(*tag));
        Probe::Certain(Claim {
            format: format(role),
            offset: 0,
            sender_is_client: Some(true),
            evidence: Evidence::payload("yahoo-webcam", detail),
        })
    }

    fn dissector(&self, claim: &Claim) -> Box<dyn Dissector> {
        let master = claim.format.role == Some("master");
        Box::new(WebcamDissector {
            master,
            openings: Openings::new(HOLD),
        })
    }
}

/// Reads the request's few lines, and the master's answer.
#[derive(Debug)]
struct WebcamDissector {
    master: bool,
    openings: Openings,
}

/// As much of either beginning as can matter.
const HOLD: usize = 8 + 13 + MAX_TEXT as usize;

impl WebcamDissector {
    fn request(bytes: &[u8], out: &mut Events) -> bool {
        let Some(header) = bytes.get(8..) else {
            return false;
        };
        let Some(length) = text_len(header) else {
            return header.len() >= 8;
        };
        let skip = usize::from(header.first().copied().unwrap_or(8));
        let Some(text) = header.get(skip..skip.saturating_add(length as usize)) else {
            return false;
        };
        out.push(Event::Feature(feature::VIDEO));
        let (mut own, mut watched) = (None, None);
        for line in String::from_utf8_lossy(text).lines() {
            match line.split_once('=') {
                // u: oneself; g: whose pictures; i: one's own address.
                Some(("u", name)) => own = account(name),
                Some(("g", name)) => watched = account(name),
                Some(("i", ip)) if ip.trim().parse::<IpAddr>().is_ok() => {
                    out.push(Event::Exposed(risk::ADDRESS_REVEALED, ip.trim().to_owned()));
                }
                _ => {}
            }
        }
        if let Some(name) = own {
            out.push(Event::Account(name));
        }
        if let Some(name) = &watched {
            out.push(Event::Peer(name.clone()));
        }
        // Who asks the master server only wants to know where to go.
        match bytes.get(..8) {
            Some(b"<SNDIMG>") => out.done(webcam(Activity::new(what::STREAM).by(Party::Own))),
            Some(b"<REQIMG>") => {
                let by_other = Activity::between(what::STREAM, false, watched);
                out.done(webcam(by_other));
            }
            _ => {}
        }
        true
    }

    /// Length, status (0 is good), two bytes, then the image server's address as text.
    fn answer(bytes: &[u8], out: &mut Events) -> bool {
        let Some((&length, rest)) = bytes.split_first() else {
            return false;
        };
        let Some(body) = rest.get(..usize::from(length).saturating_sub(1)) else {
            return false;
        };
        if let Some((&[0, _, _], text)) = body.split_first_chunk() {
            let text: Vec<u8> = text
                .iter()
                .copied()
                .take(16)
                .take_while(u8::is_ascii_graphic)
                .collect();
            if let Some(ip) = std::str::from_utf8(&text)
                .ok()
                .and_then(|text| text.parse::<IpAddr>().ok())
            {
                let evidence =
                    Evidence::payload("yahoo-webcam", "the master server named an image server");
                out.identified(format("master"), Confidence::Confirmed, evidence);
                let target = Target::Address(ip, Some(WEBCAM_PORT));
                out.push(Event::Redirect {
                    target,
                    format: format("viewer"),
                    opener: None,
                    with: None,
                    token: None,
                });
            }
        }
        true
    }
}

fn webcam(activity: Activity) -> Activity {
    activity.with("kind", "webcam")
}

/// A name, if it is one.
fn account(name: &str) -> Option<String> {
    let plain = !name.chars().any(char::is_control);
    plain.then(|| super::session::account(name)).flatten()
}

impl Dissector for WebcamDissector {
    fn feed(&mut self, direction: Direction, bytes: &[u8], out: &mut Events) {
        let master = self.master;
        self.openings.feed(direction, bytes, |opening| {
            if opening.first() == Some(&b'<') {
                Self::request(opening, out)
            } else {
                !master || Self::answer(opening, out)
            }
        });
    }

    fn gap(&mut self, direction: Direction, _missing: u64, _out: &mut Events) {
        self.openings.close(direction);
    }

    fn is_done(&self) -> bool {
        self.openings.is_done()
    }

    fn memory(&self) -> usize {
        size_of_val(self) + self.openings.memory()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::yahoo::testing::{claim_of, events, hex, verdict};
    use std::net::Ipv4Addr;

    // `<RVWCFG>`, header, "g=bob\r\n". Specified, not captured.
    const VIEW: &str = "3c5256574346473e0800010000000007673d626f620d0a";

    #[test]
    fn tag_and_header_are_proof() {
        assert!(matches!(
            verdict(&Webcam, &hex(VIEW), Start::Beginning),
            Probe::Certain(_)
        ));
        let mut send = b"<SNDIMG>\x0d\0\x05\0\0\0\0\x14\x01\0\0\0\x01".to_vec();
        send.extend(b"u=alice\r\ni=192.0.2.7");
        let probe = verdict(&Webcam, &send, Start::Joined);
        assert_eq!(claim_of(probe).format.role, Some("sender"));
        let told = events(&Webcam, &[(Direction::ToServer, send)]);
        assert!(told.contains(&Event::Account("alice".into())));
        assert!(told.contains(&Event::Risk(risk::ADDRESS_REVEALED)));
    }

    #[test]
    fn the_master_names_the_image_server() {
        let answer = b"\x14\0\0\x01192.0.2.9\0\0\0\0\0\0\0".to_vec();
        let told = events(
            &Webcam,
            &[
                (Direction::ToServer, hex(VIEW)),
                (Direction::ToClient, answer),
            ],
        );
        assert!(told.contains(&Event::Peer("bob".into())));
        assert!(told.contains(&Event::Redirect {
            target: Target::Address(Ipv4Addr::new(192, 0, 2, 9).into(), Some(5100)),
            format: format("viewer"),
            opener: None,
            with: None,
            token: None,
        }));
        // Status 6: the camera is off.
        let told = events(
            &Webcam,
            &[
                (Direction::ToServer, hex(VIEW)),
                (Direction::ToClient, b"\x04\x06\0\0".to_vec()),
            ],
        );
        assert!(
            !told
                .iter()
                .any(|event| matches!(event, Event::Redirect { .. }))
        );
    }

    #[test]
    fn markup_is_not_a_webcam() {
        for bytes in [
            &b"<SNDIMG>some markup</SNDIMG>"[..],
            b"<SNDIMG src=x>",
            b"<REQIMG>\r\n<html>",
            b"<RVWCFG>\x08\0\x01\0\xff\xff\xff\xffxxxx",
            b"<RVWCFG>\x08\x08\x08\x08\x08\x08\x08\x08",
            b"<html>",
        ] {
            assert_eq!(verdict(&Webcam, bytes, Start::Beginning), Probe::No);
        }
        // The tag alone is often a segment of its own.
        assert_eq!(
            verdict(&Webcam, b"<REQIMG>", Start::Beginning),
            Probe::NeedMore { from: 0, total: 16 }
        );
    }
}
