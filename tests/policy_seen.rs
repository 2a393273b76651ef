//! Endpoints that were seen, as sets: however many they are, they cost a rule or two; each says where it was seen; and what is
//! in force is the newest policy's endpoints, no more and no fewer, from one moment to the next.
//!
//! The test starts itself again inside a private network.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

#[path = "policy_support/again.rs"]
mod again;
mod policy_support;
#[path = "policy_support/talk.rs"]
mod talk;

use imwarden::model::{Endpoint, Service, Transport};
use imwarden::policy::prove::{Backend, Lab};
use imwarden::policy::{
    Plan, Profile, Request, Sighting, Sightings, Surroundings, Target, feature_of, render,
};
use imwarden::ruleset::RuleSet;
use std::process::Command;
use talk::{Loaded, forward, opens};

const INSIDE: &str = "IMWARDEN_SEEN";
/// So many endpoints of a peer-to-peer network beside the others.
const MANY: u16 = 300;

fn end(text: &str) -> Endpoint {
    let place: std::net::SocketAddr = text.parse().unwrap();
    Endpoint::new(place.ip(), place.port())
}

/// Where messengers were seen; `gone` is not among them.
fn planned(gone: &str, many: u16) -> Plan {
    let mut seen = Sightings::default();
    let mut add = |service: &Service, proto: &str, transport, server: Endpoint, flow: u32| {
        seen.flows.push(Sighting {
            service: service.clone(),
            feature: feature_of(proto),
            transport,
            client: end("10.0.0.200:50000"),
            server,
            proxied: false,
            opening: None,
            place: format!("office.pcap, flow {flow}"),
        });
    };
    for (number, (service, proto, transport, server)) in NAMED.iter().enumerate() {
        if *server != gone {
            let flow = u32::try_from(number).unwrap() + 17;
            add(service, proto, *transport, end(server), flow);
        }
    }
    for number in 0..many {
        let [high, low] = number.to_be_bytes();
        let server = end(&format!("203.0.{high}.{low}:6891"));
        add(&Service::MSN, "msn-p2p", Transport::Tcp, server, 100);
    }
    let request = Request {
        profile: Profile::None,
        ..forward()
    };
    Plan::observing(&RuleSet::builtin().unwrap(), &request, &seen).unwrap()
}

const NAMED: [(Service, &str, Transport, &str); 5] = [
    (Service::AIM, "oscar", Transport::Tcp, "198.51.100.30:8080"),
    (Service::AIM, "oscar", Transport::Tcp, "198.51.100.31:443"),
    (
        Service::AIM,
        "oscar",
        Transport::Tcp,
        "[2001:db8:2::30]:8080",
    ),
    (Service::MSN, "msnp", Transport::Udp, "198.51.100.32:8080"),
    (
        Service::MSN,
        "msnp",
        Transport::Tcp,
        "[2001:db8:2::31]:1080",
    ),
];
/// What is beside them.
const BESIDE: [(Transport, &str); 6] = [
    (Transport::Tcp, "198.51.100.30:8081"),
    (Transport::Tcp, "198.51.100.31:8080"),
    (Transport::Udp, "198.51.100.31:443"),
    (Transport::Tcp, "[2001:db8:2::30]:1080"),
    (Transport::Udp, "[2001:db8:2::30]:8080"),
    (Transport::Tcp, "203.0.113.7:6892"),
];

fn told(command: &str) -> String {
    let run = Command::new("sh").args(["-euc", command]).output().unwrap();
    let words = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{command}: {words}");
    String::from_utf8(run.stdout).unwrap()
}

fn endpoints(lab: &mut Lab, backend: Backend) {
    let plan = planned("", MANY);
    let nowhere = Surroundings::default();
    let mut it = Loaded::new(lab, backend, &plan);
    for (_, _, transport, server) in &NAMED {
        assert!(!opens(&mut it, server, *transport, &nowhere), "{server}");
    }
    assert!(!opens(&mut it, "203.0.1.43:6891", Transport::Tcp, &nowhere));
    for (transport, server) in BESIDE {
        assert!(opens(&mut it, server, transport, &nowhere), "{server}");
    }
    // Each messenger's are counted by themselves.
    let counted = it.firewall.counters().unwrap();
    let of = |name: &str| {
        counted
            .iter()
            .find(|(it, _)| it.ends_with(name))
            .map(|(_, n)| *n)
    };
    let (aim, msn, peers) = match backend {
        Backend::Nftables => ("aim_session", "msn_session", "msn_peer_to_peer"),
        _ => ("AIM-SESSION", "MSN-SESSION", "MSN-P2P"),
    };
    assert_eq!(
        (of(aim), of(msn), of(peers)),
        (Some(3), Some(2), Some(1)),
        "{counted:?}"
    );
    // And each says where it was seen.
    let listing = match backend {
        Backend::Nftables => told("nft list table inet imwarden"),
        _ => told("ipset list"),
    };
    for number in 0..NAMED.len() {
        let words = format!("seen in 1 flow, office.pcap, flow {}\"", number + 17);
        assert!(listing.contains(&words), "{words}");
    }
    // The newest policy's, and no other's.
    let gone = NAMED[0].3;
    let next = planned(gone, 0);
    let mut it = Loaded::new(lab, backend, &next);
    it.next += 1_000;
    assert!(opens(&mut it, gone, Transport::Tcp, &nowhere), "it is gone");
    assert!(opens(&mut it, "203.0.1.43:6891", Transport::Tcp, &nowhere));
    for (_, _, transport, server) in &NAMED[1..] {
        assert!(!opens(&mut it, server, *transport, &nowhere), "{server}");
    }
    // An older one that is only checked changes nothing.
    if backend != Backend::Nftables {
        let folder = tempfile::tempdir().unwrap();
        let old = folder.path().join("old.sh");
        std::fs::write(&old, render(&plan, Target::IptablesScript)).unwrap();
        let before = told("ipset save | sort");
        told(&format!(
            "XTABLES_LOCKFILE=/dev/null sh {} check",
            old.display()
        ));
        let kept = |listing: &str| -> Vec<String> {
            let lines = listing.lines().filter(|line| line.starts_with("add "));
            lines.map(str::to_owned).collect()
        };
        assert_eq!(kept(&told("ipset save | sort")), kept(&before));
        assert!(opens(&mut it, gone, Transport::Tcp, &nowhere));
    }
}

#[test]
#[ignore = "the inside of the test below; it starts it itself"]
fn inside_the_network() {
    if let Some((backend, _)) = again::role(INSIDE) {
        endpoints(&mut Lab::new().unwrap(), backend);
    }
}

#[test]
fn the_newest_endpoints_are_in_force_and_each_says_where_it_was_seen() {
    again::on_each_firewall("inside_the_network", INSIDE, "endpoints", &[]);
}

#[test]
fn a_thousand_endpoints_are_no_more_rules_than_one() {
    // Without what is in sets and maps, and without words.
    let rules = |many: u16, target: Target| -> usize {
        let text = render(&planned("", many), target);
        let lines = text.lines().map(str::trim_start);
        let bare =
            lines.filter(|line| !line.starts_with('#') && !line.starts_with("add imw-fresh"));
        bare.filter(|line| !line.contains(" : goto f_seen_"))
            .count()
    };
    for target in [
        Target::Nftables,
        Target::NftablesKeep,
        Target::Iptables,
        Target::Ip6tables,
        Target::Ipset,
        Target::IptablesScript,
    ] {
        assert_eq!(rules(1, target), rules(1_000, target), "{target:?}");
    }
    // The files that belong together name the same sets.
    let plan = planned("", 10);
    let sets = render(&plan, Target::Ipset);
    for target in [Target::Iptables, Target::Ip6tables] {
        let text = render(&plan, target);
        let looked: Vec<&str> = text
            .lines()
            .filter_map(|line| line.split_once("--match-set ")?.1.split(' ').next())
            .collect();
        assert!(looked.len() >= 4, "{target:?}: {looked:?}");
        for set in looked {
            assert!(
                sets.contains(&format!("\ncreate {set} hash:ip,port ")),
                "{set}"
            );
            assert!(
                sets.contains(&format!(
                    "\nswap imw-fresh{} {set}\n",
                    &set[set.len() - 1..]
                )),
                "{set}"
            );
        }
        assert!(
            text.contains("ipset restore -exist -file SETS"),
            "{target:?}"
        );
    }
}
