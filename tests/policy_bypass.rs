//! The ways around a policy that the README lists, tried on every firewall: each row of its table is what the kernel does, and
//! each thing that is tried is a row.
//!
//! The test starts itself again inside private networks.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

#[path = "policy_support/hello.rs"]
mod hello;
mod policy_support;
#[path = "policy_support/wrap.rs"]
#[allow(dead_code, reason = "the differential's part of it")]
mod wrap;

use hello::Hello;
use imwarden::model::{Direction, Endpoint, Service, TcpFlags, Transport};
use imwarden::policy::prove::{Backend, Firewall, Lab, Rules};
use imwarden::policy::{
    Attempt, Hook, Matching, Opening, Other, OtherSource, Plan, Profile, Request, Sighting,
    Sightings, Target, feature_of, render,
};
use imwarden::ruleset::RuleSet;
use policy_support::{can_run, path, say};
use std::io::Write;
use std::net::IpAddr;
use std::process::{Command, Stdio};
use wrap::{Header, Sent, Wire, tcp};

const INSIDE: &str = "IMWARDEN_BYPASS";
const FLAP: &[u8] = b"\x2A\x01\x00\x01\x00\x04\x00\x00\x00\x01";
const POSTED: &[u8] = b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nYMSG\0";
const CONNECT: &[u8] = b"CONNECT messenger.hotmail.com:1863 HTTP/1.1\r\n\r\n";

/// A router with rules, and connections through it that are all different.
struct Way {
    lab: Lab,
    backend: Backend,
    next: u16,
}

/// What rules are made of: the document's table; what was seen; or what is said, whatever the port.
#[derive(Clone, Copy)]
enum Policy {
    Document,
    Observed,
    Said,
}

/// One connection.
struct Talk {
    attempt: Attempt,
    wire: Wire,
    seq: u32,
    back: u32,
    id: u32,
}

impl Talk {
    fn flags(syn: bool, ack: bool) -> TcpFlags {
        TcpFlags {
            syn,
            ack,
            ..TcpFlags::default()
        }
    }

    /// Whether the client's next segment comes through.
    fn client(&mut self, lab: &mut Lab, payload: &[u8]) -> bool {
        let syn = self.seq == 1_000;
        let header = tcp(self.seq, self.back, Self::flags(syn, !syn));
        self.id += 1;
        let sent = Sent::new(&self.attempt, header, payload, &self.wire, self.id);
        self.seq += u32::from(syn) + u32::try_from(payload.len()).unwrap();
        sent.passes(lab, Direction::ToServer)
    }

    fn server(&mut self, lab: &mut Lab, payload: &[u8]) -> bool {
        let answer = Attempt {
            client: self.attempt.server,
            server: self.attempt.client,
            ..self.attempt.clone()
        };
        let syn = self.back == 0;
        let seq = if syn { 7_000 } else { self.back };
        let header = tcp(seq, self.seq, Self::flags(syn, true));
        self.back = seq + u32::from(syn) + u32::try_from(payload.len()).unwrap();
        let sent = Sent::new(&answer, header, payload, &Wire::default(), self.id);
        sent.passes(lab, Direction::ToClient)
    }

    /// Whether it is opened.
    fn opens(&mut self, lab: &mut Lab) -> bool {
        self.client(lab, &[]) && self.server(lab, &[]) && self.client(lab, &[])
    }
}

impl Way {
    fn talk(&mut self, server: &str, port: u16, wire: Wire) -> Talk {
        let server: IpAddr = server.parse().unwrap();
        self.next += 1;
        let client = if server.is_ipv4() {
            "10.0.0.7".parse().unwrap()
        } else {
            "2001:db8:1::7".parse().unwrap()
        };
        Talk {
            attempt: Attempt {
                transport: Transport::Tcp,
                client: Endpoint::new(client, self.next),
                server: Endpoint::new(server, port),
                payload: Vec::new(),
                extended: false,
            },
            wire,
            seq: 1_000,
            back: 0,
            id: u32::from(self.next) * 16,
        }
    }

    /// Rules in the place of those of before.
    fn load(&mut self, policy: Policy) {
        let (profile, seen, matching) = match policy {
            Policy::Document => (Profile::Document, Sightings::default(), Matching::default()),
            Policy::Observed => (Profile::None, sightings(), Matching::default()),
            Policy::Said => {
                let said = Matching {
                    ports: false,
                    names: false,
                    signatures: true,
                    sni: true,
                };
                (Profile::Document, Sightings::default(), said)
            }
        };
        let request = Request {
            profile,
            matching,
            hooks: vec![Hook::Forward],
            ..Request::default()
        };
        let plan = Plan::observing(&RuleSet::builtin().unwrap(), &request, &seen).unwrap();
        let target = match self.backend {
            Backend::Nftables => Target::Nftables,
            _ => Target::IptablesScript,
        };
        let rules = Rules::of(render(&plan, target)).unwrap();
        Firewall::load(self.backend, &rules).unwrap();
    }

    /// What becomes of a connection that says this.
    fn says(&mut self, server: &str, port: u16, wire: Wire, parts: &[&[u8]]) -> &'static str {
        let mut talk = self.talk(server, port, wire);
        if !talk.opens(&mut self.lab) {
            return "refused";
        }
        let through = parts.iter().all(|part| talk.client(&mut self.lab, part));
        if through {
            "passes"
        } else {
            "refused at its request"
        }
    }

    /// The same for IPv4 and IPv6, which must not differ.
    fn both(
        &mut self,
        host: u8,
        port: u16,
        wire: impl Fn() -> Wire,
        parts: &[&[u8]],
    ) -> &'static str {
        let four = self.says(&format!("198.51.100.{host}"), port, wire(), parts);
        let six = self.says(&format!("2001:db8:2::{host}"), port, wire(), parts);
        assert_eq!(four, six, "{host}:{port}");
        four
    }
}

impl Way {
    /// Four open sessions: IPv4 and IPv6, one of each for whose server will speak next.
    fn sessions(&mut self, host: u8, port: u16) -> Vec<Talk> {
        let servers = [format!("198.51.100.{host}"), format!("2001:db8:2::{host}")];
        let mut all = Vec::new();
        for server in servers.iter().chain(&servers) {
            let mut talk = self.talk(server, port, Wire::default());
            assert!(talk.opens(&mut self.lab), "nothing is against it yet");
            all.push(talk);
        }
        all
    }

    /// With whose next packet sessions end: in two of them the server speaks first, in two the client.
    fn ends(&mut self, mut sessions: Vec<Talk>) -> &'static str {
        let results: Vec<(bool, bool, bool)> = sessions
            .iter_mut()
            .enumerate()
            .map(|(at, talk)| {
                let server_first = at < 2;
                let mut server = server_first && talk.server(&mut self.lab, b"more");
                let client = talk.client(&mut self.lab, b"more");
                server |= talk.server(&mut self.lab, b"more");
                (server_first, client, server)
            })
            .collect();
        match results.as_slice() {
            [
                (true, false, false),
                (true, false, false),
                (false, false, false),
                (false, false, false),
            ] => "ends with the next packet of either",
            // What the server says goes through; nobody answers it any more.
            [
                (true, false, true),
                (true, false, true),
                (false, false, true),
                (false, false, true),
            ] => "ends with the next packet of the opener",
            [
                (true, true, true),
                (true, true, true),
                (false, false, true),
                (false, false, true),
            ] => "the same if its opener speaks first; goes on if its server does",
            other => panic!("{other:?}"),
        }
    }
}

/// AIM on another port; and a proxy that others use, with a tunnel to MSN.
fn sightings() -> Sightings {
    let mut all = Sightings::default();
    for (aim, proxy) in [
        ("198.51.100.30", "198.51.100.40"),
        ("2001:db8:2::30", "2001:db8:2::40"),
    ] {
        let end = |ip: &str, port| Endpoint::new(ip.parse().unwrap(), port);
        let mut add = |service, server, opening: Option<Opening>| {
            all.flows.push(Sighting {
                service,
                feature: feature_of("oscar"),
                transport: Transport::Tcp,
                client: end("10.0.0.200", 50_000),
                server,
                proxied: opening.is_some(),
                opening,
                place: "made up, flow 1".into(),
            });
        };
        add(Service::AIM, end(aim, 8080), None);
        add(Service::MSN, end(proxy, 3128), Opening::of(CONNECT, true));
        let client = end("10.0.0.201", 50_000).ip;
        let other = Other::new(Transport::Tcp, client, end(proxy, 3128));
        all.others.add(other, OtherSource::Record);
    }
    all
}

/// Every row: what it is, and what becomes of it.
fn rows(way: &mut Way) -> Vec<(&'static str, String)> {
    let plain = Wire::default;
    let cut = |size| {
        move || Wire {
            cut: Some(size),
            ..Wire::default()
        }
    };
    let behind = |headers| Wire {
        headers,
        ..Wire::default()
    };
    let mut rows: Vec<(&str, String)> = Vec::new();
    let mut row = |what, result: &str| rows.push((what, result.to_owned()));

    // Without rules everything comes through, in whatever pieces.
    assert_eq!(way.both(9, 9999, cut(8), &[FLAP]), "passes");
    assert_eq!(way.both(9, 5190, plain, &[FLAP]), "passes");
    // Sessions that are open before any rules, when the kernel tracks no connections.
    let untracked = way.sessions(9, 5190);
    let seen = way.sessions(30, 8080);
    // And some that are open before these rules: others make it track them.
    way.load(Policy::Observed);
    let tracked = way.sessions(9, 5190);
    way.load(Policy::Document);
    // The baseline: the rules work.
    assert_eq!(way.both(9, 5190, plain, &[FLAP]), "refused");
    row(
        "another port, by the document's table",
        way.both(9, 9999, plain, &[FLAP]),
    );
    row(
        "a web port, by the document's table",
        way.both(9, 443, plain, &[FLAP]),
    );
    row(
        "inside the body of an HTTP request",
        way.both(9, 80, plain, &[POSTED]),
    );
    row(
        "DNS over HTTPS",
        way.both(53, 443, plain, &[b"\x16\x03\x01"]),
    );
    row(
        "a closed port behind IPv6 extension headers",
        way.says(
            "2001:db8:2::9",
            5190,
            behind(&[Header::HopByHop, Header::Destination, Header::Routing]),
            &[],
        ),
    );
    row(
        "a closed port behind IPsec's authentication header (IPv6)",
        way.says(
            "2001:db8:2::9",
            5190,
            behind(&[Header::Authentication]),
            &[],
        ),
    );
    // Of IPv4, with only the ports in the first.
    let four = way.says("198.51.100.9", 5190, cut(8)(), &[]);
    let with_options = Wire {
        options: true,
        ..cut(24)()
    };
    let six = way.says("2001:db8:2::9", 5190, with_options, &[]);
    assert_eq!(four, six);
    row("a closed port in fragments", four);
    row(
        "IPv6 fragments, the first without the whole TCP header",
        match way.says("2001:db8:2::9", 9999, cut(8)(), &[]) {
            "refused" => "never arrives, whatever its port",
            passes => passes,
        },
    );
    row("a session that was open before", way.ends(tracked));
    row(
        "the same, on a machine that tracked no connections until then",
        way.ends(untracked),
    );

    way.load(Policy::Observed);
    row(
        "another port, with `--observed`",
        way.both(30, 8080, plain, &[FLAP]),
    );
    row(
        "a session that was open before, with `--observed`",
        way.ends(seen),
    );
    row(
        "a tunnel through a proxy that others use, with `--observed`",
        way.both(40, 3128, plain, &[CONNECT]),
    );
    row(
        "its request cut into several segments",
        way.both(40, 3128, plain, &[&CONNECT[..9], &CONNECT[9..]]),
    );
    row(
        "its request in fragments",
        way.both(40, 3128, cut(24), &[CONNECT]),
    );
    row(
        "its request behind IPv6 extension headers",
        way.says(
            "2001:db8:2::40",
            3128,
            behind(&[Header::Destination]),
            &[CONNECT],
        ),
    );

    way.load(Policy::Said);
    row(
        "inside the body of an HTTP request, with `--match signature`",
        way.both(9, 80, plain, &[POSTED]),
    );
    row(
        "its head in a segment of its own",
        way.both(9, 80, plain, &[&POSTED[..POSTED.len() - 5], b"YMSG\0"]),
    );
    let hello = Hello::to("login.icq.com");
    let name = hello.windows(5).position(|part| part == b"login").unwrap();
    row(
        "TLS to a name, with `--match sni`",
        way.both(9, 443, plain, &[&hello]),
    );
    row(
        "its hello cut before the name",
        way.both(9, 443, plain, &[&hello[..name - 20], &hello[name - 20..]]),
    );
    row(
        "its hello cut inside the name",
        way.both(9, 443, plain, &[&hello[..name + 5], &hello[name + 5..]]),
    );
    row(
        "its hello cut behind the name",
        way.both(9, 443, plain, &[&hello[..name + 20], &hello[name + 20..]]),
    );
    row(
        "its hello in fragments",
        way.both(9, 443, cut(24), &[&hello]),
    );
    row(
        "its hello behind IPv6 extension headers",
        way.says(
            "2001:db8:2::9",
            443,
            behind(&[Header::Destination]),
            &[&hello],
        ),
    );
    row(
        "a hello for a longer name that begins with it",
        way.both(9, 443, plain, &[&Hello::to("login.icq.com.example.net")]),
    );
    way.load(Policy::Observed);
    // Others have the proxy for themselves, and what is seen elsewhere is no rule against anybody else.
    assert_eq!(
        way.both(
            40,
            3128,
            plain,
            &[b"CONNECT example.com:443 HTTP/1.1\r\n\r\n"]
        ),
        "passes"
    );
    assert_eq!(way.both(31, 8080, plain, &[FLAP]), "passes");
    rows
}

#[test]
#[ignore = "the inside of the ways around; the test starts it itself"]
fn inside_the_network() {
    let Ok(name) = std::env::var(INSIDE) else {
        return;
    };
    let mut all = Backend::ALL.into_iter();
    let backend = all.find(|it| it.name() == name).unwrap();
    let mut way = Way {
        lab: Lab::new().unwrap(),
        backend,
        next: 40_000,
    };
    for (what, result) in rows(&mut way) {
        writeln!(std::io::stdout(), "ROW {what}\t{result}").unwrap();
    }
}

fn tried(backend: Backend) -> Vec<(String, String)> {
    let output = Command::new("unshare")
        .args(["-Urn", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "inside_the_network", "--nocapture"])
        .env("PATH", path())
        .env(INSIDE, backend.name())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{}: {told}\n{words}",
        backend.name()
    );
    told.lines()
        .filter_map(|line| line.split_once("ROW ")?.1.split_once('\t'))
        .map(|(what, result)| (what.to_owned(), result.to_owned()))
        .collect()
}

#[test]
fn every_way_around_is_as_the_readme_says() {
    let programs = [
        "ipset",
        "nft",
        "ip",
        "iptables-nft",
        "ip6tables-nft",
        "iptables-legacy",
        "ip6tables-legacy",
    ];
    if !can_run("every_way_around_is_as_the_readme_says", &programs) {
        return;
    }
    let [nft, own, legacy] = Backend::ALL.map(tried);
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let mut missing = Vec::new();
    for (((what, nft), (_, own)), (_, legacy)) in nft.iter().zip(&own).zip(&legacy) {
        let iptables = if own == legacy {
            own.clone()
        } else {
            format!("{own} (over nftables), {legacy} (as it was)")
        };
        let row = format!("| {what} | {nft} | {iptables} |");
        if !readme.contains(&row) {
            missing.push(row);
        }
    }
    assert!(nft.len() > 12, "{nft:?}");
    assert!(
        missing.is_empty(),
        "not in the README:\n{}",
        missing.join("\n")
    );
    // And no row of the table is there that nobody has tried.
    let table = readme
        .lines()
        .skip_while(|line| !line.starts_with("| way around |"));
    let rows = table.skip(2).take_while(|line| line.starts_with('|'));
    let untested: Vec<&str> = rows
        .filter(|row| {
            !nft.iter()
                .any(|(what, _)| row.starts_with(&format!("| {what} |")))
        })
        // Others are held by the test that they name.
        .filter(|row| !row.contains("`tests/policy_") && !row.contains("not tried"))
        .collect();
    assert!(untested.is_empty(), "{untested:#?}");
    say(&format!(
        "ways around a policy: {} tried on three firewalls, each as the README says",
        nft.len()
    ));
}
