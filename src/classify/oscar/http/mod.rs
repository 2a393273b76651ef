//! OSCAR over HTTP: what AIM and ICQ do where nothing but a web proxy lets them out.
//!
//! `GET /hello` is answered with a session id and the host to go on with. `POST /data?sid=&seq=` sends, `GET
//! /monitor?sid=` waits for what the server has to say; each may be a connection of its own. Bodies hold packets
//! ([`packet`]), and packets hold pieces of the FLAP streams ([`inside`]) that would else be connections:
//! one to the authoriser, one to the basic service, ... Known from the sources of clients: SIM, Jimm, Miranda.

mod inside;
mod messenger;
mod packet;
#[cfg(test)]
mod tests;

pub use messenger::OscarHttp;

use crate::model::{Format, Service};

const GATEWAY: Format = Format::messenger(Service::OSCAR, "oscar-http", "gateway");
