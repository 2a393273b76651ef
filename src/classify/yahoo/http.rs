//! Yahoo! Messenger within HTTP: the tunnel, uploads, the relay, peers' file servers, the capacity question.

use super::detector::{Look, look};
use super::http_dissector::YahooHttpDissector;
use super::ymsg::service;
use crate::classify::Claim;
use crate::classify::carrier::http::{HttpDissector, HttpMessenger, RequestHead, ResponseHead};
use crate::model::{Direction, Evidence, Format, Service};
use memchr::memmem;
use std::borrow::Cow;

/// What an HTTP exchange is to the messenger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `POST /notify`: YMSG packets both ways.
    Gateway,
    /// `POST /notifyft`: one YMSG packet, then the file.
    Upload,
    /// `/relay?token=&sender=&recver=`: a file passed on by a server.
    Relay,
    /// `/Messenger.NAME.TIME?AppID=Messenger&UserID=`: a file served by the other user's client.
    PeerFile,
    /// `GET /capacity`: which server to sign on to.
    Capacity,
    /// `<Ymsg Command=` in XML.
    WebChat,
}

impl Kind {
    /// As in the flow record.
    pub const fn role(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Upload | Self::PeerFile => "file-transfer",
            Self::Relay => "relay",
            Self::Capacity => "capacity",
            Self::WebChat => "web-chat",
        }
    }

    /// What the head alone suggests. A hint: for [`Kind::Gateway`], [`Kind::Upload`] and [`Kind::Capacity`]
    /// anybody may use such a path.
    pub fn of_path(head: &RequestHead<'_>) -> Option<Self> {
        let (resource, query) = head.path().split_once('?').unwrap_or((head.path(), ""));
        let transfer = matches!(head.method, "GET" | "HEAD" | "POST");
        match resource {
            "/notify" if head.method == "POST" => Some(Self::Gateway),
            "/notifyft" if head.method == "POST" => Some(Self::Upload),
            "/capacity" if head.method == "GET" => Some(Self::Capacity),
            "/relay"
                if transfer
                    && ["token", "sender", "recver"]
                        .iter()
                        .all(|name| parameter(query, name).is_some()) =>
            {
                Some(Self::Relay)
            }
            _ if transfer
                && resource.starts_with("/Messenger.")
                && parameter(query, "AppID") == Some("Messenger")
                && parameter(query, "UserID").is_some() =>
            {
                Some(Self::PeerFile)
            }
            _ => None,
        }
    }
}

/// The value of a query parameter, as sent; `None` when it is missing or empty.
pub fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
        .filter(|value| !value.is_empty())
}

/// The host asked for, lower case, without port.
fn host(head: &RequestHead<'_>) -> Option<String> {
    let named = head
        .header("Host")
        .and_then(|value| std::str::from_utf8(value).ok());
    let target = head
        .target
        .split_once("://")
        .and_then(|(_, rest)| rest.split('/').next());
    let name = target.or(named)?.trim();
    let name = name.rsplit_once(':').map_or(name, |(name, _)| name);
    Some(name.trim_end_matches('.').to_ascii_lowercase())
}

/// Hosts that serve the messenger and nothing else. The HTTP tunnel's is not below `msg.yahoo.com`.
fn is_messenger_host(name: &str) -> bool {
    [".msg.yahoo.com", ".msg.yahoo.co.jp", ".pager.yahoo.com"]
        .iter()
        .any(|suffix| name.ends_with(suffix))
}

/// `vcs1.msg.yahoo.com`, `httpvcs2.msg.yahoo.com`: they tell which server has room.
fn is_capacity_host(name: &str) -> bool {
    let first = name.split('.').next().unwrap_or_default();
    is_messenger_host(name)
        && first
            .trim_end_matches(|c: char| c.is_ascii_digit())
            .ends_with("vcs")
}

fn claim(kind: Kind, from_client: bool, detail: impl Into<Cow<'static, str>>) -> Claim {
    Claim {
        format: Format::messenger(Service::YAHOO, "ymsg-http", kind.role()),
        offset: 0,
        sender_is_client: Some(from_client),
        evidence: Evidence::payload("yahoo-http", detail),
    }
}

/// Whether a body begins with a packet: its service, and whether that is proven.
fn packet(body: &[u8]) -> Option<(u16, bool)> {
    match look(body) {
        Look::Proven(header) => Some((header.service, true)),
        Look::Header(header) => Some((header.service, false)),
        Look::More(_) | Look::No => None,
    }
}

fn web_chat(body: &[u8]) -> bool {
    body.starts_with(b"<Ymsg Command=")
        || (body.starts_with(b"<Session ") && memmem::find(body, b"<Ymsg Command=").is_some())
}

/// Whether a response body answers the capacity question.
pub fn is_capacity_answer(body: &[u8]) -> bool {
    memmem::find(body, b"COLO_CAPACITY=").is_some()
        && memmem::find(body, b"CS_IP_ADDRESS=").is_some()
}

/// Whether a response body is the tunnel's: a count of packets in four bytes, then the packets.
pub fn counted_packets(body: &[u8]) -> Option<&[u8]> {
    let (count, packets) = body.split_at_checked(4)?;
    (count.iter().any(|byte| *byte != 0)).then_some(packets)
}

/// Yahoo! Messenger over HTTP.
#[derive(Debug)]
pub struct YahooHttp;

impl HttpMessenger for YahooHttp {
    fn request(&self, head: &RequestHead<'_>, body: &[u8]) -> Option<(Claim, bool)> {
        let name = || host(head).unwrap_or_default();
        let found = packet(body).filter(|_| head.method == "POST");
        match (Kind::of_path(head), found) {
            (Some(Kind::Upload), Some((service::FILE_TRANSFER, proven))) => Some((
                claim(Kind::Upload, true, "POST /notifyft with YMSG service 0x46"),
                proven,
            )),
            (Some(Kind::Upload), _) if is_messenger_host(&name()) => Some((
                claim(Kind::Upload, true, format!("POST /notifyft to {}", name())),
                false,
            )),
            (Some(Kind::Gateway), Some((number, proven))) => Some((
                claim(
                    Kind::Gateway,
                    true,
                    format!("POST /notify with YMSG service 0x{number:02x}"),
                ),
                proven,
            )),
            (Some(Kind::Gateway), None) if is_messenger_host(&name()) => Some((
                claim(Kind::Gateway, true, format!("POST /notify to {}", name())),
                false,
            )),
            (Some(kind @ Kind::Relay), _) => Some((
                claim(kind, true, "/relay with token, sender and recver"),
                false,
            )),
            (Some(kind @ Kind::PeerFile), _) => {
                Some((claim(kind, true, "/Messenger. with AppID=Messenger"), false))
            }
            (Some(kind @ Kind::Capacity), _) if is_capacity_host(&name()) => Some((
                claim(kind, true, format!("GET /capacity from {}", name())),
                false,
            )),
            // Another path: the packet says what it is, but not that this is the tunnel we know.
            (_, Some((number, true))) => Some((
                claim(
                    Kind::Gateway,
                    true,
                    format!("POST with YMSG service 0x{number:02x}"),
                ),
                false,
            )),
            _ if web_chat(body) => Some((claim(Kind::WebChat, true, "<Ymsg Command="), false)),
            _ => None,
        }
    }

    fn response(&self, head: &ResponseHead<'_>, body: &[u8]) -> Option<(Claim, bool)> {
        if head.status != 200 {
            return None;
        }
        if let Some((number, true)) = counted_packets(body).and_then(packet) {
            let detail = format!("count, then YMSG service 0x{number:02x}");
            return Some((claim(Kind::Gateway, false, detail), true));
        }
        if is_capacity_answer(body) {
            return Some((
                claim(Kind::Capacity, false, "COLO_CAPACITY and CS_IP_ADDRESS"),
                false,
            ));
        }
        web_chat(body).then(|| (claim(Kind::WebChat, false, "<Ymsg Command="), false))
    }

    fn dissector(&self, client: Direction) -> Box<dyn HttpDissector> {
        Box::new(YahooHttpDissector::new(client))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::classify::yahoo::testing::{body, packet};

    type Headers<'a> = &'a [(&'a str, &'a [u8])];

    fn ask(
        method: &str,
        target: &str,
        headers: Headers<'_>,
        body: &[u8],
    ) -> Option<(&'static str, bool)> {
        let head = RequestHead {
            method,
            target,
            headers,
        };
        let answer = YahooHttp.request(&head, body);
        answer.map(|(claim, certain)| {
            assert_eq!(claim.format.service, Some(Service::YAHOO));
            assert_eq!(
                (claim.format.app_proto, claim.sender_is_client),
                ("ymsg-http", Some(true))
            );
            (claim.format.role.unwrap(), certain)
        })
    }

    fn answer(body: &[u8]) -> Option<(&'static str, bool)> {
        let head = ResponseHead {
            status: 200,
            asked: None,
            headers: &[],
        };
        YahooHttp
            .response(&head, body)
            .map(|(claim, certain)| (claim.format.role.unwrap(), certain))
    }

    const PAGER: Headers<'static> = &[("Host", b"http.pager.yahoo.com")];

    #[test]
    fn the_tunnel_is_known_by_its_packets_on_any_host() {
        let mut bytes = packet(0x0900, 0x06, 0, &body("1=alice&5=bob&14=hi"));
        bytes[6] = 0xC8; // the vendor field of the tunnel
        assert_eq!(
            ask("POST", "http://192.0.2.5/notify", &[], &bytes),
            Some(("gateway", true))
        );
        assert_eq!(ask("POST", "/notify", PAGER, b""), Some(("gateway", false)));
        assert_eq!(
            ask("POST", "/elsewhere", &[], &bytes),
            Some(("gateway", false))
        );
    }

    #[test]
    fn an_upload_is_a_packet_and_a_file() {
        let mut bytes = packet(12, 0x46, 0, &body("28=7800&27=notes.txt&5=bob&0=alice"));
        bytes.extend(b"29\xC0\x80the file itself");
        assert_eq!(
            ask("POST", "http://192.0.2.5:80/notifyft", &[], &bytes),
            Some(("file-transfer", true))
        );
        let host: Headers<'_> = &[("Host", b"filetransfer.msg.yahoo.com:80")];
        assert_eq!(
            ask("POST", "/notifyft", host, b""),
            Some(("file-transfer", false))
        );
    }

    #[test]
    fn relay_peer_file_and_capacity() {
        let relay = "/relay?token=abc%3d&sender=alice&recver=bob";
        for method in ["GET", "HEAD", "POST"] {
            assert_eq!(ask(method, relay, &[], b""), Some(("relay", false)));
        }
        let peer = "/Messenger.bob.1262304000000notes.txt?AppID=Messenger&UserID=bob&K=x";
        assert_eq!(ask("HEAD", peer, &[], b""), Some(("file-transfer", false)));
        for name in [
            &b"vcs1.msg.yahoo.com"[..],
            b"httpvcs2.msg.yahoo.com",
            b"vcs.msg.yahoo.co.jp:80",
        ] {
            assert_eq!(
                ask("GET", "/capacity", &[("host", name)], b""),
                Some(("capacity", false))
            );
        }
    }

    #[test]
    fn answers_alone() {
        let mut tunnel = vec![1, 0, 0, 0];
        tunnel.extend(packet(0, 0x06, 1, &body("4=bob&5=alice&14=hi")));
        assert_eq!(answer(&tunnel), Some(("gateway", true)));
        assert_eq!(
            answer(b"COLO_CAPACITY=1\r\nCS_IP_ADDRESS=192.0.2.9\r\n"),
            Some(("capacity", false))
        );
        assert_eq!(
            answer(b"<Session id=\"1\"><Ymsg Command=\"6\">"),
            Some(("web-chat", false))
        );
    }

    #[test]
    fn other_peoples_http() {
        let other: Headers<'_> = &[("Host", b"push.example.com")];
        assert_eq!(ask("POST", "/notify", other, b"{\"event\":1}"), None);
        assert_eq!(
            ask(
                "POST",
                "/notify",
                other,
                b"YMSG rocks, and so on and so forth"
            ),
            None
        );
        assert_eq!(ask("POST", "/notifyft", other, b"YMSG"), None);
        assert_eq!(ask("GET", "/relay?token=a&sender=b", other, b""), None);
        assert_eq!(
            ask("GET", "/relay?token=a&sender=b&recver=", other, b""),
            None
        );
        assert_eq!(ask("GET", "/capacity", other, b""), None);
        assert_eq!(
            ask("GET", "/capacity", &[("Host", b"vcs1.example.com")], b""),
            None
        );
        assert_eq!(ask("GET", "/Messenger.html", other, b""), None);
        assert_eq!(
            ask("GET", "/mail", &[("Host", b"mail.yahoo.com")], b""),
            None
        );
        assert_eq!(
            ask(
                "POST",
                "/notify",
                &[("Host", b"msg.yahoo.com.example.com")],
                b""
            ),
            None
        );
    }

    #[test]
    fn other_peoples_answers() {
        // A page about the protocol, even one that begins with the magic or a whole packet: the tunnel's
        // answer begins with a count.
        assert_eq!(answer(b"YMSG rocks"), None);
        assert_eq!(answer(&packet(0, 0x06, 1, &body("4=bob&5=alice"))), None);
        assert_eq!(answer(b"\x01\0\0\0YMSG rocks, said the page"), None);
        assert_eq!(answer(b"COLO_CAPACITY=1\r\n"), None);
        assert_eq!(answer(b"<Session id=\"1\"></Session>"), None);
        assert_eq!(answer(b""), None);
    }
}
