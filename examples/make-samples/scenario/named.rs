//! Flows that only a host name gives away.

use super::bytes::noise;
use super::ordinary;
use super::talk::{Scenario, Talk, Truth};
use std::net::Ipv4Addr;

/// DNS, TLS and HTTP name messenger hosts.
pub fn scenarios() -> Vec<Scenario> {
    let pager = Ipv4Addr::new(216, 155, 193, 7);
    vec![Scenario {
        name: "host-names",
        about: "Connections whose content tells nothing, to hosts that only a messenger uses: named by a DNS answer, by \
                TLS and by HTTP.",
        talks: vec![
            ordinary::dns(
                "10.0.3.11:41000",
                "10.0.3.1:53",
                100,
                "scs.msg.yahoo.com",
                pager,
            ),
            Talk::tcp("10.0.3.11:41001", "216.155.193.7:8001", 400)
                .client(noise(1, 60))
                .server(noise(2, 200))
                .is(Truth::by_host("yahoo")),
            ordinary::tls(
                "10.0.3.12:41002",
                "64.12.25.91:443",
                900,
                "slogin.oscar.aol.com",
            )
            .is(Truth::by_host("aim")),
            ordinary::tls("10.0.3.12:41003", "64.12.25.92:443", 1200, "slogin.icq.com")
                .is(Truth::by_host("icq")),
            ordinary::web(
                "10.0.3.13:41004",
                "207.46.110.48:80",
                1500,
                "gateway.messenger.hotmail.com",
                "ok",
            )
            .is(Truth::by_host("msn")),
            ordinary::tls(
                "10.0.3.14:41007",
                "207.46.104.21:443",
                1650,
                "messenger.hotmail.com",
            )
            .is(Truth::by_host("msn")),
            // The same client, ordinary pages.
            ordinary::web(
                "10.0.3.13:41005",
                "198.51.100.9:80",
                1800,
                "www.example.com",
                "<html>hello</html>",
            ),
            ordinary::tls(
                "10.0.3.12:41006",
                "198.51.100.9:443",
                2100,
                "www.example.com",
            ),
        ],
    }]
}
