//! Recognises Gadu-Gadu by a client's sign-on, or by what a server says to it.

use super::dissector::Session;
use super::packet::{HEADER, Sign, cut_login, header, kind, login};
use crate::classify::{Claim, Detector, Dissector, Probe, ProbeInput, Start};
use crate::model::{Evidence, Transport};

/// A server that says nothing after its greeting is waited for that long.
const PATIENCE: usize = 512;
const GREETING: [u8; 8] = [1, 0, 0, 0, 4, 0, 0, 0];

/// Sessions with a server.
pub(super) struct Sessions;

fn claim(by_client: bool, what: &'static str) -> Claim {
    Claim {
        format: super::format(),
        offset: 0,
        sender_is_client: Some(by_client),
        evidence: Evidence::payload("gadu-gadu", what),
    }
}

/// What a server's bytes are: the greeting with its seed, and then whether the sign-on was right.
fn served(bytes: &[u8]) -> Probe {
    let greets = bytes.iter().zip(GREETING).all(|(byte, want)| *byte == want);
    if !greets {
        return Probe::No;
    }
    // What the first bytes say holds however many come with them.
    let more = if bytes.len() > PATIENCE {
        Probe::No
    } else {
        Probe::NeedMore {
            from: 0,
            total: bytes.len() + 1,
        }
    };
    let Some(answer) = bytes.get(GREETING.len() + 4..) else {
        return more;
    };
    match header(answer) {
        Some((kind::LOGIN_80_OK, 4)) if answer.len() < HEADER + 4 => more,
        Some((kind::LOGIN_80_OK, 4)) if answer[HEADER..HEADER + 4] == [1, 0, 0, 0] => {
            Probe::Likely(claim(false, "GG_WELCOME and GG_LOGIN80_OK"))
        }
        // The client's word decides about the rest.
        Some((
            kind::LOGIN_OK | kind::LOGIN_FAILED | kind::NEED_EMAIL | kind::LOGIN_80_FAILED,
            _,
        ))
        | None => more,
        Some((_, length)) if length <= 64 * 1024 => more,
        Some(_) => Probe::No,
    }
}

impl Detector for Sessions {
    fn name(&self) -> &'static str {
        "gadu-gadu"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn probe(&self, input: &ProbeInput<'_>) -> Probe {
        if input.start == Start::Later || input.bytes.is_empty() {
            return Probe::No;
        }
        match login(input.bytes) {
            Sign::On(login) => Probe::Likely(claim(true, login.name)),
            Sign::NeedMore(_) if input.ended => match cut_login(input.bytes) {
                Some(name) => Probe::Likely(claim(true, name)),
                None => Probe::No,
            },
            Sign::NeedMore(total) => Probe::NeedMore { from: 0, total },
            Sign::No => served(input.bytes),
        }
    }

    fn dissector(&self, _: &Claim) -> Box<dyn Dissector> {
        Box::new(Session::default())
    }
}
