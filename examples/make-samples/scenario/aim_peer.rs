//! AIM between users: files and direct IM, with the sessions that arrange them.

use super::bytes::{join, noise};
use super::oscar::{self, Link, Rendezvous};
use super::oscar_session::Session;
use super::peer;
use super::talk::{Scenario, Talk, Truth};
use std::net::Ipv4Addr;

/// All captures.
pub fn scenarios() -> Vec<Scenario> {
    vec![file_transfer(), direct_im()]
}

/// A short session around one more exchange.
pub fn around(
    client: &str,
    start_ms: u64,
    name: &'static str,
    peer: &'static str,
    exchange: impl Fn(Link) -> Link,
) -> Talk {
    let link = Session {
        client,
        server: "205.188.9.17:5190",
        start_ms,
        name,
        cookie: &oscar::cookie(start_ms),
        buddies: &[peer],
        status: None,
    }
    .open()
    .pause(400);
    exchange(link).idle(5000).sign_off()
}

/// Sender, receiver and the file between them, over AIM or ICQ: three connections.
pub fn file_between(
    service: &'static str,
    sender: (&str, &'static str),
    receiver: (&str, &'static str),
    start_ms: u64,
    file: &'static str,
    size: usize,
) -> Vec<Talk> {
    let address = |text: &str| -> Ipv4Addr {
        let (address, _) = text.split_once(':').expect("an address and a port");
        address.parse().expect("an IPv4 address")
    };
    let here = address(sender.0);
    let there = address(receiver.0);
    let seen = Ipv4Addr::new(192, 0, 2, 44);
    let cookie = oscar::icbm_cookie(start_ms);
    let propose = Rendezvous {
        kind: 0,
        cookie,
        capability: oscar::SEND_FILE,
        listens: Some((here, 5190)),
        file: Some((file, size)),
    };
    let accept = Rendezvous {
        kind: 2,
        listens: None,
        file: None,
        ..propose
    };
    let truth = |name, peer| {
        Truth::confirmed(service, "oscar", "bos")
            .account(name)
            .peer(peer)
            .uses(&["sign-on", "file-transfer"])
    };
    let content = join(&[b"PK\x03\x04", &noise(start_ms, size - 4)]);
    vec![
        around(sender.0, start_ms, sender.1, receiver.1, |link| {
            link.pause(600)
                .rendezvous_to(receiver.1, &propose)
                .pause(1000)
                .rendezvous_from(receiver.1, &accept, seen)
        })
        .is(truth(sender.1, receiver.1)),
        around(receiver.0, start_ms + 30, receiver.1, sender.1, |link| {
            link.pause(700)
                .rendezvous_from(sender.1, &propose, seen)
                .pause(800)
                .rendezvous_to(sender.1, &accept)
        })
        .is(truth(receiver.1, sender.1)),
        peer::oft(
            &format!("{there}:50477"),
            &format!("{here}:5190"),
            start_ms + 5000,
            cookie,
            file,
            &content,
        )
        .is(Truth::confirmed(service, "oft", "peer")
            .account(receiver.1)
            .peer(sender.1)
            .uses(&["file-transfer"])),
    ]
}

fn file_transfer() -> Scenario {
    Scenario {
        name: "aim-file-transfer",
        about: "alice77 offers bob42 a file over AIM; bob42 accepts, dials her machine and fetches it (OFT2).",
        talks: file_between(
            "aim",
            ("10.0.0.5:50220", "alice77"),
            ("10.0.0.6:50420", "bob42"),
            100,
            "minutes.zip",
            12_008,
        ),
    }
}

fn direct_im() -> Scenario {
    let cookie = oscar::icbm_cookie(77);
    let propose = Rendezvous {
        kind: 0,
        cookie,
        capability: oscar::DIRECT_IM,
        listens: Some((Ipv4Addr::new(10, 0, 0, 5), 4443)),
        file: None,
    };
    let accept = Rendezvous {
        kind: 2,
        listens: None,
        ..propose
    };
    let seen = Ipv4Addr::new(192, 0, 2, 44);
    let picture = join(&[b"\xff\xd8\xff\xe0", &noise(78, 3000)]);
    let html = format!(
        "<HTML><BODY>the plan: <IMG SRC=\"plan.jpg\" ID=\"1\" WIDTH=\"64\" HEIGHT=\"64\" DATASIZE=\"{}\"></BODY></HTML>",
        picture.len()
    );
    let with_picture = join(&[
        html.as_bytes(),
        format!("<BINARY><DATA ID=\"1\" SIZE=\"{}\">", picture.len()).as_bytes(),
        &picture,
        b"</DATA></BINARY>",
    ]);
    // Flags: 2 typing, 4 typed; a message has neither.
    let direct = Talk::tcp("10.0.0.6:50431", "10.0.0.5:4443", 5200)
        .client(peer::odc2(cookie, 0, "bob42", b"<HTML>here I am</HTML>"))
        .pause(500)
        .server(peer::odc2(cookie, 2, "alice77", b""))
        .server(peer::odc2(cookie, 0, "alice77", &with_picture))
        .pause(900)
        .client(peer::odc2(cookie, 2, "bob42", b""))
        .client(peer::odc2(cookie, 0, "bob42", b"<HTML>thank you</HTML>"))
        .is(Truth::confirmed("aim", "odc", "peer")
            .account("bob42")
            .peer("alice77")
            .uses(&["direct-connection", "message"]));
    let truth = |name, peer| {
        Truth::confirmed("aim", "oscar", "bos")
            .account(name)
            .peer(peer)
            .uses(&["sign-on", "direct-connection"])
    };
    Scenario {
        name: "aim-direct-im",
        about: "alice77 and bob42 open a direct IM (ODC2) on port 4443 and she shows him a picture.",
        talks: vec![
            around("10.0.0.5:50230", 100, "alice77", "bob42", |link| {
                link.pause(600)
                    .rendezvous_to("bob42", &propose)
                    .pause(1100)
                    .rendezvous_from("bob42", &accept, seen)
            })
            .is(truth("alice77", "bob42")),
            around("10.0.0.6:50430", 140, "bob42", "alice77", |link| {
                link.pause(700)
                    .rendezvous_from("alice77", &propose, seen)
                    .pause(900)
                    .rendezvous_to("alice77", &accept)
            })
            .is(truth("bob42", "alice77")),
            direct,
        ],
    }
}
