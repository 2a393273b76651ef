//! Recognises HTTP/1, from either side, from the start or in the middle.

use super::dissector::Connection;
use super::start::{self, Start};
use crate::classify::{Claim, Detector, Dissector, Probe, ProbeInput, Start as At};
use crate::model::{Evidence, Format, Transport};

/// HTTP/1 over TCP.
pub struct Http;

impl Detector for Http {
    fn name(&self) -> &'static str {
        "http"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn probe(&self, input: &ProbeInput<'_>) -> Probe {
        let (place, kind) = match (input.start, start::at(input.bytes)) {
            (At::Beginning, Start::Neither) => return Probe::No,
            (_, Start::Unclear) => {
                return Probe::NeedMore {
                    from: 0,
                    total: input.bytes.len() + 1,
                };
            }
            (_, kind @ (Start::Request | Start::Response)) => (0, kind),
            (At::Joined | At::Later, Start::Neither) => match start::search(input.bytes) {
                Ok(found) => found,
                Err(from) => {
                    return Probe::NeedMore {
                        from,
                        total: input.bytes.len() + 1,
                    };
                }
            },
        };
        // In the middle of a stream a start line may be a quotation: there a whole head must follow.
        if input.start != At::Beginning && place > 0 {
            match is_whole_head(&input.bytes[place..], kind) {
                Some(true) => {}
                Some(false) => return Probe::No,
                None => {
                    return Probe::NeedMore {
                        from: place,
                        total: input.bytes.len() + 1,
                    };
                }
            }
        }
        Probe::Certain(Claim {
            format: Format::other("http"),
            offset: place,
            sender_is_client: Some(kind == Start::Request),
            evidence: Evidence::payload("http", "start line"),
        })
    }

    fn dissector(&self, _: &Claim) -> Box<dyn Dissector> {
        Box::new(Connection::default())
    }
}

/// Whether a well-formed head with at least one field begins here; `None` when it is not complete.
fn is_whole_head(bytes: &[u8], kind: Start) -> Option<bool> {
    let mut fields = [httparse::EMPTY_HEADER; super::MAX_FIELDS];
    let (parsed, count) = if kind == Start::Request {
        let mut request = httparse::Request::new(&mut fields);
        (request.parse(bytes), request.headers.len())
    } else {
        let mut response = httparse::Response::new(&mut fields);
        (response.parse(bytes), response.headers.len())
    };
    match parsed {
        Ok(httparse::Status::Complete(_)) => Some(count > 0),
        Ok(httparse::Status::Partial) => None,
        Err(_) => Some(false),
    }
}
