//! Invitations of MSN Messenger 1 to 6 and Windows Messenger: `text/x-msmsgsinvite`.

use super::notes::Notes;
use super::{FTP, mime};
use crate::classify::Events;
use crate::model::{Target, feature, risk};
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
        if file {
            notes.file_transfer(out);
            if let Some(cookie) = cookie.filter(|_| self.files.len() < MAX_OFFERS) {
                self.files.push(cookie);
            }
        } else if guid.eq_ignore_ascii_case(VOICE) {
            notes.feature(feature::VOICE, out);
        } else if guid.eq_ignore_ascii_case(ASSISTANCE) {
            notes.feature(feature::REMOTE_ASSISTANCE, out);
        } else if guid.eq_ignore_ascii_case(NETMEETING) {
            notes.feature(feature::APPLICATION_SHARING, out);
        }
        if ["IP-Address", "Private-IP", "Public-IP"]
            .iter()
            .any(|name| fields.get(name).is_some_and(is_address))
        {
            notes.risk(risk::ADDRESS_REVEALED, out);
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
            notes.file_transfer(out);
            notes.redirect(Target::Address(address, Some(port)), FTP, from_client, out);
        }
    }
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
        out.drain().collect()
    }

    #[test]
    fn the_application_names_the_feature() {
        for (guid, word) in [
            (VOICE, feature::VOICE),
            (ASSISTANCE, feature::REMOTE_ASSISTANCE),
            (NETMEETING, feature::APPLICATION_SHARING),
        ] {
            let body = format!(
                "Application-GUID: {{{}}}\r\nInvitation-Command: INVITE\r\n",
                guid.to_lowercase()
            );
            assert_eq!(read(&[&body], true), [Event::Feature(word)]);
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
            opener: None
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
