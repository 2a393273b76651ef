//! What a machine opens itself, what others open to it, and what it says to itself. Packets that pass through are compared
//! elsewhere.

use imwarden::model::{Direction, Endpoint, TcpFlags, Transport};
use imwarden::policy::Attempt;
use imwarden::policy::prove::{Lab, Refusal};
use std::io::ErrorKind;
use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use crate::wrap::{Sent, Wire, tcp};

/// A port that is closed, and its neighbour.
const CLOSED: u16 = 4000;
const OPEN: u16 = 4001;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// What is wrong, for rules at all three hooks that drop without a word.
pub fn check(lab: &mut Lab) -> Result<(), String> {
    for (own, there) in [
        ("192.0.2.254", "198.51.100.9"),
        ("2001:db8:1::fe", "2001:db8:2::9"),
    ] {
        for (port, wanted) in [(CLOSED, Err(ErrorKind::PermissionDenied)), (OPEN, Ok(()))] {
            let sent = send(ip(own), ip(there), port);
            if sent != wanted {
                return Err(format!("output to {there}:{port}: {sent:?}"));
            }
        }
        // A port that nobody listens at answers with a reset, unless a rule keeps it from being asked.
        for (port, wanted) in [(5190, Refusal::Silent), (5191, Refusal::Reset)] {
            let told = ask(lab, ip(there), ip(own), port);
            if told != wanted {
                return Err(format!("input to {own}:{port}: {told:?}"));
            }
        }
    }
    for own in ["127.0.0.1", "::1"] {
        loopback(ip(own)).map_err(|error| format!("{own} to itself: {error}"))?;
    }
    Ok(())
}

fn send(from: IpAddr, to: IpAddr, port: u16) -> Result<(), ErrorKind> {
    let socket = UdpSocket::bind((from, 0)).unwrap();
    match socket.send_to(b"hello", (to, port)) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.kind()),
    }
}

fn ask(lab: &mut Lab, from: IpAddr, to: IpAddr, port: u16) -> Refusal {
    let flags = TcpFlags {
        syn: true,
        ..TcpFlags::default()
    };
    let attempt = Attempt {
        transport: Transport::Tcp,
        client: Endpoint::new(from, 50_000),
        server: Endpoint::new(to, port),
        payload: Vec::new(),
        extended: false,
    };
    lab.refusal().unwrap();
    let sent = Sent::new(&attempt, tcp(1, 0, flags), &[], &Wire::default(), 0);
    assert!(
        !sent.passes(lab, Direction::ToServer),
        "it goes to the router itself"
    );
    lab.refusal().unwrap()
}

fn loopback(own: IpAddr) -> std::io::Result<()> {
    let socket = UdpSocket::bind((own, CLOSED))?;
    socket.set_read_timeout(Some(Duration::from_secs(3)))?;
    socket.send_to(b"hello", (own, CLOSED))?;
    socket.recv(&mut [0; 8])?;
    Ok(())
}
