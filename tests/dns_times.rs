//! What DNS said of an address names flows as long as it holds: over CNAMEs, for the time to live and a while, and not long after.
#![allow(clippy::unwrap_used)]

#[path = "../examples/make-samples/scenario/mod.rs"]
#[allow(dead_code, unreachable_pub)]
mod scenario;
mod talked;

use scenario::bytes::noise;
use scenario::talk::{Shown, Talk};
use simple_dns::rdata::{A, CNAME, RData};
use simple_dns::{CLASS, Name, Packet, QCLASS, QTYPE, Question, ResourceRecord, TYPE};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use talked::flows;

const RESOLVER: &str = "10.0.0.1:53";
const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 77);
const RULES: &str = "id = \"parrot\"\nname = \"Parrot\"\nabout = \"It repeats.\"\n[[host]]\nname = \"parrot.example.com\"\n\
    match = \"suffix\"\nfeature = \"everything\"\nuse = \"exclusive\"\nsource = \"site\"\n";

/// An answer, at so many seconds: owner, time to live, and an address or another name.
fn answer(second: u64, asked: &str, records: &[(&str, u32, &str)]) -> Talk {
    let name = |text| Name::new_unchecked(text);
    let kind = QTYPE::TYPE(TYPE::A);
    let question = Question::new(name(asked), kind, QCLASS::CLASS(CLASS::IN), false);
    let mut query = Packet::new_query(second as u16);
    query.questions.push(question.clone());
    let mut reply = Packet::new_reply(second as u16);
    reply.questions.push(question.clone());
    for (owner, ttl, value) in records {
        let data = match value.parse::<Ipv4Addr>() {
            Ok(ip) => RData::A(A { address: ip.into() }),
            Err(_) => RData::CNAME(CNAME(name(value))),
        };
        let record = ResourceRecord::new(name(owner), CLASS::IN, *ttl, data);
        reply.answers.push(record);
    }
    // Another port for each question, as resolvers' clients do.
    let client = format!("10.0.0.5:{}", 20_000 + second % 10_000);
    Talk::udp(&client, RESOLVER, 1000 * second)
        .client(query.build_bytes_vec().unwrap())
        .server(reply.build_bytes_vec().unwrap())
}

/// A connection to the server whose content says nothing, at so many seconds.
fn silent(second: u64, to: Ipv4Addr) -> Talk {
    let client = format!("10.0.0.5:{}", 40_000 + second % 10_000);
    Talk::tcp(&client, &format!("{to}:4433"), 1000 * second)
        .client(noise(second, 200))
        .server(noise(second + 1, 300))
}

/// By the second that a flow to port 4433 began: how sure it is the parrot's.
fn told(talks: Vec<Talk>) -> BTreeMap<u64, Option<String>> {
    flows(RULES, talks)
        .iter()
        .filter(|flow| flow["dest_port"] == 4433)
        .map(|flow| {
            let second = flow["src_port"].as_u64().unwrap() - 40_000;
            let sure = (flow["service"] == "parrot").then(|| flow["confidence"].as_str().unwrap());
            (second, sure.map(str::to_owned))
        })
        .collect()
}

fn named(at: &[u64]) -> impl Iterator<Item = (u64, Option<String>)> {
    at.iter().map(|&at| (at, Some("probable".to_owned())))
}

fn unnamed(at: &[u64]) -> impl Iterator<Item = (u64, Option<String>)> {
    at.iter().map(|&at| (at, None))
}

const CHAIN: [(&str, u32, &str); 3] = [
    ("a.parrot.example.com", 3600, "edge.example.net"),
    ("edge.example.net", 120, "e7.edge.example.net"),
    ("e7.edge.example.net", 900, "192.0.2.77"),
];

#[test]
fn a_flow_is_named_while_the_answer_holds_and_not_long_after() {
    let mut talks = vec![answer(1000, "a.parrot.example.com", &CHAIN)];
    // 120 seconds is the least of the chain; five minutes more are given.
    let (yes, no) = ([1001, 1100, 1300, 1419], [1425, 2000, 6000]);
    talks.extend(yes.iter().chain(&no).map(|&at| silent(at, SERVER)));
    let expected: BTreeMap<_, _> = named(&yes).chain(unnamed(&no)).collect();
    assert_eq!(told(talks), expected);
}

#[test]
fn an_answer_that_comes_again_names_again_but_not_between() {
    let one = [("parrot.example.com", 0, "192.0.2.77")];
    let mut talks = vec![
        answer(1000, "parrot.example.com", &one),
        answer(5000, "parrot.example.com", &one),
    ];
    // No client asks again within a minute, whatever the answer says.
    let (yes, no) = ([1002, 1350, 5001, 5350], [1365, 3000, 4600, 5365]);
    talks.extend(yes.iter().chain(&no).map(|&at| silent(at, SERVER)));
    let expected: BTreeMap<_, _> = named(&yes).chain(unnamed(&no)).collect();
    assert_eq!(told(talks), expected);
}

#[test]
fn a_flow_that_lives_long_keeps_the_name_that_it_was_opened_by() {
    let one = [("parrot.example.com", 30, "192.0.2.77")];
    let mut long = silent(1001, SERVER);
    for n in 0..60 {
        long = long.pause(60_000).client(noise(n, 40)).server(noise(n, 40));
    }
    let talks = vec![
        answer(1000, "parrot.example.com", &one),
        long,
        // In its midst the client asks once more; that began later, but the flow did not.
        answer(3000, "parrot.example.com", &one),
    ];
    assert_eq!(told(talks), named(&[1001]).collect());
}

#[test]
fn when_a_connection_was_opened_that_is_joined_in_the_middle_nobody_knows() {
    let one = [("parrot.example.com", 30, "192.0.2.77")];
    let talks = vec![
        answer(1000, "parrot.example.com", &one),
        silent(4000, SERVER).shown(Shown::WithoutOpening),
    ];
    let possible = (4000, Some("possible".to_owned()));
    assert_eq!(told(talks), [possible].into());
}

#[test]
fn every_name_on_the_way_counts_and_no_other() {
    // The messenger's name is asked for, is on the way, or is at its end.
    for records in [
        &CHAIN[..],
        &[
            ("www.example.org", 300, "b.parrot.example.com"),
            ("b.parrot.example.com", 300, "e7.edge.example.net"),
            ("e7.edge.example.net", 300, "192.0.2.77"),
        ],
        &[
            ("www.example.org", 300, "parrot.example.com"),
            ("parrot.example.com", 300, "192.0.2.77"),
        ],
    ] {
        let talks = vec![answer(1000, records[0].0, records), silent(1001, SERVER)];
        assert_eq!(told(talks), named(&[1001]).collect(), "{records:?}");
    }
    for records in [
        &[("www.example.org", 300, "192.0.2.77")][..],
        // A record that nobody asked about.
        &[
            ("www.example.org", 300, "192.0.2.1"),
            ("parrot.example.com", 300, "192.0.2.77"),
        ],
        &[
            ("www.example.org", 300, "192.0.2.77"),
            ("other.example.org", 300, "parrot.example.com"),
        ],
        &[
            ("www.example.org", 300, "notparrot.example.com"),
            ("notparrot.example.com", 300, "192.0.2.77"),
        ],
    ] {
        let talks = vec![answer(1000, records[0].0, records), silent(1001, SERVER)];
        assert_eq!(told(talks), unnamed(&[1001]).collect(), "{records:?}");
    }
}

#[test]
fn an_address_of_another_name_as_well_proves_nothing_however_long_ago() {
    let one = [("parrot.example.com", 300, "192.0.2.77")];
    let other = [("www.example.org", 30, "192.0.2.77")];
    for (first, second) in [(&one, &other), (&other, &one)] {
        let talks = vec![
            answer(1000, first[0].0, first),
            answer(5000, second[0].0, second),
            silent(5001, SERVER),
        ];
        assert_eq!(told(talks), unnamed(&[5001]).collect());
    }
}
