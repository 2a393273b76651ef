//! MSN inside HTTP.

use super::{accounts, confirmed, message, peers};
use crate::classify::Events;
use crate::classify::carrier::http::{RequestHead, ResponseHead};
use crate::classify::msn::{GATEWAY, HTTP};
use crate::model::Direction;
use crate::model::{Event, Target, feature};

const TYPE: (&str, &[u8]) = ("Content-Type", b"application/x-msn-messenger");

#[test]
fn the_gateway_is_known_by_path_query_type_and_header() {
    let ask = |method, target, headers, body: &[u8]| {
        HTTP[0]
            .request(
                &RequestHead {
                    method,
                    target,
                    headers,
                },
                body,
            )
            .map(|(_, certain)| certain)
    };
    let open = "http://gateway.messenger.hotmail.com/gateway/gateway.dll?Action=open&Server=NS&IP=messenger.hotmail.com";
    assert_eq!(
        ask("POST", open, &[TYPE], b"VER 1 MSNP15 CVR0\r\n"),
        Some(true)
    );
    assert_eq!(ask("POST", open, &[], b""), Some(false));
    assert_eq!(
        ask(
            "POST",
            "/gateway/gateway.dll?Action=poll&SessionID=1.2",
            &[TYPE],
            b""
        ),
        Some(true)
    );
    assert_eq!(
        ask("POST", "/gateway/gateway.dll", &[TYPE], b""),
        Some(false)
    );
    assert_eq!(
        ask("POST", "/gateway/gateway.dll?Action=delete", &[], b""),
        None
    );
    assert_eq!(
        ask(
            "POST",
            "/gateway/gateway.dll",
            &[],
            b"VER 1 MSNP15 CVR0\r\n"
        ),
        None
    );
    assert_eq!(ask("GET", open, &[TYPE], b""), None);
    assert_eq!(
        ask(
            "POST",
            "/other/gateway/gateway.dll?SessionID=1.2",
            &[TYPE],
            b""
        ),
        None
    );
    let answer = |headers, body: &[u8]| {
        HTTP[0]
            .response(
                &ResponseHead {
                    status: 200,
                    asked: None,
                    headers,
                },
                body,
            )
            .map(|(_, certain)| certain)
    };
    assert_eq!(
        answer(
            &[("x-msn-messenger", b"SessionID=1.2; GW-IP=192.0.2.40")],
            b""
        ),
        Some(true)
    );
    assert_eq!(answer(&[TYPE], b"VER 1 MSNP15\r\n"), Some(true));
    assert_eq!(answer(&[TYPE], b""), Some(false));
    assert_eq!(
        answer(&[("Content-Type", b"text/html")], b"VER 1 MSNP15\r\n"),
        None
    );
}

#[test]
fn the_gateway_carries_several_commands_or_none() {
    let request = RequestHead {
        method: "POST",
        target: "/gateway/gateway.dll?SessionID=1.2",
        headers: &[TYPE],
    };
    let headers = [
        TYPE,
        (
            "X-MSN-Messenger",
            b"SessionID=1.3; GW-IP=gw.example.com".as_slice(),
        ),
    ];
    let response = ResponseHead {
        status: 200,
        asked: None,
        headers: &headers,
    };
    let chat = message("MSG bob@example.com Bob", "text/plain", b"Hi");
    let up = b"USR 1 alice@example.com 036313f366dc3215d07b\r\nCAL 2 bob@example.com\r\n";
    let down = [
        b"USR 1 OK alice@example.com Alice\r\nJOI bob@example.com Bob\r\n".as_slice(),
        &chat,
    ]
    .concat();
    for side in [(true, true), (true, false), (false, true)] {
        let mut whole = None;
        for step in [1 << 20, 1, 3] {
            let mut dissector = HTTP[0].dissector(Direction::ToServer);
            let mut out = Events::default();
            for _ in 0..2 {
                if side.0 {
                    dissector.request(&request, &mut out);
                    up.chunks(step)
                        .for_each(|piece| dissector.request_body(piece, &mut out));
                    // A poll, and a body that was cut short: neither may disturb the next one.
                    dissector.request(&request, &mut out);
                    dissector.request_body(b"MSG 3 N 500\r\nMIME", &mut out);
                }
                if side.1 {
                    dissector.response(&response, &mut out);
                    down.chunks(step)
                        .for_each(|piece| dissector.response_body(piece, &mut out));
                    dissector.response(&response, &mut out);
                }
            }
            let events: Vec<_> = crate::classify::testing::facts(out.drain());
            assert_eq!(
                whole.get_or_insert_with(|| events.clone()),
                &events,
                "pieces of {step}"
            );
        }
        let events = whole.unwrap();
        assert_eq!(
            (accounts(&events), peers(&events)),
            (vec!["alice@example.com"], vec!["bob@example.com"])
        );
        assert_eq!(confirmed(&events), Some(&GATEWAY));
        assert!(events.contains(&Event::Feature(feature::HTTP)));
        assert_eq!(events.contains(&Event::Feature(feature::MESSAGE)), side.1);
        let target = Target::Host("gw.example.com".to_owned(), None);
        let next = Event::Redirect {
            target,
            format: GATEWAY,
            opener: None,
            with: None,
            token: None,
        };
        assert_eq!(events.contains(&next), side.1);
    }
}

#[test]
fn a_command_may_go_on_in_another_connection_of_its_session() {
    let chat = message("MSG bob@example.com Bob", "text/plain", b"lunch at noon?");
    let (first, rest) = chat.split_at(50);
    let told = |bodies: [(&str, &[u8]); 3]| {
        let mut out = Events::default();
        bodies.map(|(session, body)| {
            let headers = [TYPE, ("X-MSN-Messenger", session.as_bytes())];
            let response = ResponseHead {
                status: 200,
                asked: None,
                headers: &headers,
            };
            let mut dissector = HTTP[0].dissector(Direction::ToServer);
            dissector.response(&response, &mut out);
            dissector.response_body(body, &mut out);
            out.drain()
                .any(|event| event == Event::Peer("bob@example.com".to_owned()))
        })
    };
    let (mine, other) = ("SessionID=1.2", "SessionID=2.2");
    assert_eq!(
        told([(mine, first), (other, b"QNG 50\r\n"), (mine, rest)]),
        [false, false, true]
    );
    // The rest is another session's, or was not captured.
    assert_eq!(
        told([(mine, first), (other, rest), (other, b"QNG 50\r\n")]),
        [false; 3]
    );
    let joins: &[u8] = b"JOI bob@example.com Bob 268435508\r\n";
    assert_eq!(
        told([(mine, &chat[..60]), (other, b""), (mine, joins)]),
        [false, false, true]
    );
}
