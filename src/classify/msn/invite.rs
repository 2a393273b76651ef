//! Invitations of MSN Messenger 1 to 6 and Windows Messenger: `text/x-msmsgsinvite`.

use super::notes::Notes;
use super::{FTP, mime};
use crate::classify::Events;
use crate::classify::exploit::exploit;
use crate::classify::file::File;
use crate::model::{Event, Target, Token, feature, risk, what};
use std::net::IpAddr;

/// How many open file offers are remembered.
const MAX_OFFERS: usize = 16;

const FILE: &str = "5D3E02AB-6190-11D3-BBBB-00C04F795683";
const VOICE: &str = "02D3C01F-BF30-4825-A83A-DE7AF41648AA";
const ASSISTANCE: &str = "56B994A7-380F-410B-9985-C809D78C1BDC";
const NETMEETING: &str = "44BBA842-CC51-11CF-AAFA-00AA00B6015C";

/// The invitations of one switchboard.
#[derive(Debug, Default)]
pub(super) struct Invites {
    /// Cookies of file offers: the flow of an ACCEPT is known by its cookie only.
    files: Vec<u32>,
}

impl Invites {
    /// Reads an invitation's fields, the body of the message.
    pub fn read(&mut self, body: &[u8], from_client: bool, notes: &mut Notes, out: &mut Events) {
        let fields = mime::fields(body);
        let command = fields.get("Invitation-Command").unwrap_or_default();
        let cookie = fields
            .get("Invitation-Cookie")
            .and_then(|cookie| cookie.parse::<u32>().ok());
        let guid = fields
            .get("Application-GUID")
            .unwrap_or_default()
            .trim_matches(['{', '}']);
        let file = guid.eq_ignore_ascii_case(FILE) || fields.get("Application-File").is_some();
        let known = cookie.is_some_and(|cookie| self.files.contains(&cookie));
        let between = |what, notes: &Notes| notes.done(what, from_client);
        match command {
            "INVITE" if file => {
                let name = fields.get("Application-File").unwrap_or_default();
                let size = fields.get("Application-FileSize");
                let file = File::new(name.as_bytes(), size.and_then(|size| size.parse().ok()));
                file.tell(between(what::FILE_OFFER, notes), out);
            }
            "ACCEPT" if known && fields.get("IP-Address").is_none() => {
                out.done(between(what::ACCEPTED, notes).with("kind", "file"));
            }
            "CANCEL" if known => {
                out.done(between(what::CANCELLED, notes).with("kind", "file"));
            }
            _ => {}
        }
        // Of the flaw no number is confirmed: blanks by the hundred in front of the cookie ended the client.
        if fields
            .get("Invitation-Cookie")
            .is_some_and(|cookie| cookie.len() > 32)
        {
            exploit("invitation with an overlong cookie", out);
        }
        if file {
            if let Some(cookie) = cookie.filter(|_| self.files.len() < MAX_OFFERS) {
                self.files.push(cookie);
            }
        } else if guid.eq_ignore_ascii_case(VOICE) {
            application(command, "voice", feature::VOICE, (from_client, notes), out);
        } else if guid.eq_ignore_ascii_case(ASSISTANCE) {
            out.push(Event::Risk(risk::REMOTE_ASSISTANCE));
            let word = feature::REMOTE_ASSISTANCE;
            application(command, word, word, (from_client, notes), out);
        } else if guid.eq_ignore_ascii_case(NETMEETING) {
            out.push(Event::Risk(risk::APPLICATION_SHARING));
            let word = feature::APPLICATION_SHARING;
            application(command, word, word, (from_client, notes), out);
        }
        for name in ["IP-Address", "Private-IP", "Public-IP"] {
            if let Some(address) = fields.get(name).filter(|text| is_address(text)) {
                out.push(Event::Exposed(risk::ADDRESS_REVEALED, address.to_owned()));
            }
        }
        // The sender of the file, not its receiver, listens: it accepts the acceptance and says where. A
        // cookie of the port's own stands in for an offer made before the capture began.
        let offered = cookie.is_some_and(|cookie| self.files.contains(&cookie))
            || fields.get("AuthCookie").is_some();
        let address = fields
            .get("IP-Address")
            .and_then(|text| text.parse::<IpAddr>().ok());
        let port = fields
            .get("Port")
            .and_then(|text| text.parse::<u16>().ok())
            .filter(|port| *port != 0);
        if let (true, true, Some(address), Some(port)) =
            (command == "ACCEPT", offered, address, port)
        {
            notes.feature(feature::FILE_TRANSFER, out);
            let target = Target::Address(address, Some(port));
            let proof = fields.get("AuthCookie").and_then(token);
            notes.redirect(target, FTP, (true, from_client), proof, out);
        }
    }
}

/// An invitation to something that is no file.
fn application(
    command: &str,
    kind: &'static str,
    feature: &'static str,
    (from_client, notes): (bool, &mut Notes),
    out: &mut Events,
) {
    notes.feature(feature, out);
    if command == "INVITE" {
        let invitation = notes.done(what::INVITATION, from_client);
        out.done(invitation.with("kind", kind));
    }
}

/// The number that the receiver of a file shows its sender.
pub(super) fn token(cookie: &str) -> Option<Token> {
    Token::of("msnftp-cookie", cookie.as_bytes())
}

/// An address, or an address and a port.
fn is_address(text: &str) -> bool {
    matches!(Target::parse(text), Some(Target::Address(..)))
}

#[cfg(test)]
mod tests {
    use super::{ASSISTANCE, FTP, Invites, NETMEETING, Notes, VOICE};
    use crate::classify::Events;
    use crate::model::{Event, Target, feature, risk};

    fn read(bodies: &[&str], from_client: bool) -> Vec<Event> {
        let (mut invites, mut notes, mut out) =
            (Invites::default(), Notes::default(), Events::default());
        for body in bodies {
            invites.read(body.as_bytes(), from_client, &mut notes, &mut out);
        }
        crate::classify::testing::facts(out.drain())
    }

    #[test]
    fn the_application_names_the_feature() {
        for (guid, word, risk) in [
            (VOICE, feature::VOICE, None),
            (
                ASSISTANCE,
                feature::REMOTE_ASSISTANCE,
                Some(risk::REMOTE_ASSISTANCE),
            ),
            (
                NETMEETING,
                feature::APPLICATION_SHARING,
                Some(risk::APPLICATION_SHARING),
            ),
        ] {
            let body = format!(
                "Application-GUID: {{{}}}\r\nInvitation-Command: INVITE\r\n",
                guid.to_lowercase()
            );
            let expected: Vec<Event> = risk
                .map(Event::Risk)
                .into_iter()
                .chain([Event::Feature(word)])
                .collect();
            assert_eq!(read(&[&body], true), expected);
        }
        assert_eq!(
            read(
                &["Application-GUID: {0}\r\nInvitation-Command: INVITE\r\n"],
                true
            ),
            []
        );
    }

    #[test]
    fn whoever_accepts_with_an_address_listens() {
        let accept = "Invitation-Command: ACCEPT\r\nInvitation-Cookie: 7\r\nIP-Address: 192.0.2.5\r\nPort: 6891\r\nAuthCookie: 9\r\n";
        let events = read(&[accept], false);
        let target = Target::Address([192, 0, 2, 5].into(), Some(6891));
        assert!(events.contains(&Event::Redirect {
            target,
            format: FTP,
            opener: None,
            with: None,
            token: None,
        }));
        assert!(events.contains(&Event::Risk(risk::ADDRESS_REVEALED)));
    }

    #[test]
    fn an_address_without_an_offer_or_a_port_announces_nothing() {
        for body in [
            "Invitation-Command: ACCEPT\r\nInvitation-Cookie: 7\r\nIP-Address: 192.0.2.5\r\nPort: 6891\r\n",
            "Invitation-Command: ACCEPT\r\nAuthCookie: 9\r\nIP-Address: 192.0.2.5:8348\r\n",
            "Invitation-Command: CANCEL\r\nAuthCookie: 9\r\nIP-Address: 192.0.2.5\r\nPort: 6891\r\n",
            "Invitation-Command: ACCEPT\r\nAuthCookie: 9\r\nIP-Address: 192.0.2.5\r\nPort: 0\r\n",
        ] {
            assert_eq!(
                read(&[body], true),
                [Event::Risk(risk::ADDRESS_REVEALED)],
                "{body}"
            );
        }
    }
}
