//! Recognises HTTP/1, from either side, from the start or in the middle.

use super::dissector::Connection;
use super::start::{self, Start};
use crate::classify::{Claim, Detector, Dissector, Probe, ProbeInput, Start as At};
use crate::model::{Evidence, Format, Transport};

fn claim(offset: usize, kind: Start, what: &'static str) -> Claim {
    Claim {
        format: Format::other("http"),
        offset,
        sender_is_client: Some(kind == Start::Request),
        evidence: Evidence::payload("http", what),
    }
}

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
            (At::Beginning | At::Joined, Start::Unclear)
                if input.ended && start::is_cut_request(input.bytes) =>
            {
                return Probe::Likely(claim(0, Start::Request, "start line, cut"));
            }
            (At::Beginning, Start::Neither) => return Probe::No,
            (_, Start::Unclear) => {
                return Probe::NeedMore {
                    from: 0,
                    total: input.bytes.len() + 1,
                };
            }
            (At::Joined, Start::Neither)
            | (At::Later, Start::Neither | Start::Request | Start::Response) => {
                match search(input.bytes) {
                    Ok(found) => found,
                    Err(from) => {
                        return Probe::NeedMore {
                            from,
                            total: input.bytes.len() + 1,
                        };
                    }
                }
            }
            (_, kind @ (Start::Request | Start::Response)) => (0, kind),
        };
        Probe::Certain(claim(place, kind, "start line"))
    }

    fn dissector(&self, _: &Claim) -> Box<dyn Dissector> {
        Box::new(Connection::default())
    }
}

/// The first message in the middle of a stream, or the place from which bytes must be kept because one may have begun
/// there. A start line may be a quotation: a whole head must follow.
fn search(bytes: &[u8]) -> Result<(usize, Start), usize> {
    let mut from = 0;
    loop {
        let rest = bytes.get(from..).unwrap_or_default();
        let (found, kind) = start::search(rest).map_err(|open| from + open)?;
        let place = from + found;
        match is_whole_head(bytes.get(place..).unwrap_or_default(), kind) {
            Some(true) => return Ok((place, kind)),
            Some(false) => from = place + 1,
            None => return Err(place),
        }
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
