//! What conversations must tell. The shapes are those of real sign-ons and of the clients' sources; the
//! names are invented.
#![allow(clippy::unwrap_used)]

use super::detector::Ymsg;
use super::testing::{body, events, hex, packet};
use crate::model::{Confidence, Direction, Event, Format, Service, Target, feature, risk};
use std::net::Ipv4Addr;

const UP: Direction = Direction::ToServer;
const DOWN: Direction = Direction::ToClient;

fn up(version: u16, service: u16, fields: &str) -> (Direction, Vec<u8>) {
    (UP, packet(version, service, 0, &body(fields)))
}

fn down(service: u16, status: u32, fields: &str) -> (Direction, Vec<u8>) {
    (DOWN, packet(0, service, status, &body(fields)))
}

fn has(told: &[Event], wanted: &[Event]) {
    for event in wanted {
        assert!(told.contains(event), "{event:?} not in {told:?}");
    }
}

fn account(name: &str) -> Event {
    Event::Account(name.to_owned())
}

fn peer(name: &str) -> Event {
    Event::Peer(name.to_owned())
}

fn sign_ons(told: &[Event]) -> Vec<&'static str> {
    told.iter()
        .filter_map(|event| {
            if let Event::SignOn(how) = event {
                Some(*how)
            } else {
                None
            }
        })
        .collect()
}

#[test]
fn a_version_12_sign_on() {
    let told = events(
        &Ymsg,
        &[
            up(12, 0x57, "1=alice"),
            down(0x57, 1, "1=alice&94=y%a%(w-t|3v)&13=1"),
            up(
                12,
                0x54,
                "0=alice&6=p=BF;I=5l,&96=p=4F;A=1k,&1=alice&135=6,0,0,1710",
            ),
            down(
                0x55,
                0,
                "87=Friends:bob\n&88=&89=alice,alice2&59=Y\tv=1&59=T\tz=2&59=C\tmg=1",
            ),
        ],
    );
    has(
        &told,
        &[
            Event::ClientIs(UP),
            account("alice"),
            account("alice2"),
            Event::Client("Yahoo! Messenger 6,0,0,1710".into()),
            Event::Feature(feature::SIGN_ON),
            Event::Feature(feature::CONTACT_LIST),
            Event::Risk(risk::WEAK_SIGN_ON),
            Event::Risk(risk::CLEARTEXT_COOKIE),
        ],
    );
    assert_eq!(sign_ons(&told), ["yahoo-v12"]);
    assert!(!told.contains(&peer("alice")) && !told.contains(&account("bob")));
    let confirmed = told
        .iter()
        .filter(|event| matches!(event, Event::Identified { .. }))
        .count();
    assert_eq!(confirmed, 1);
}

#[test]
fn one_side_alone_tells_who_and_how() {
    let told = events(
        &Ymsg,
        &[
            up(12, 0x57, "1=alice"),
            up(12, 0x54, "1=alice&96=x_.y--&6=z.a--&0=alice"),
        ],
    );
    has(&told, &[account("alice"), Event::Risk(risk::WEAK_SIGN_ON)]);
    assert_eq!(sign_ons(&told), ["yahoo-md5"]);

    let told = events(
        &Ymsg,
        &[
            down(0x57, 1, "1=alice&94=abc"),
            down(0x01, 0, "0=alice&1=alice&8=1&7=bob&10=0"),
        ],
    );
    has(
        &told,
        &[
            account("alice"),
            Event::ClientIs(UP),
            Event::Feature(feature::PRESENCE),
        ],
    );
    assert_eq!(sign_ons(&told), ["yahoo-md5"]);
    // The challenge alone gives nothing to guess at.
    assert!(!told.contains(&Event::Risk(risk::WEAK_SIGN_ON)));
}

#[test]
fn a_direction_guessed_wrong_is_put_right() {
    let told = events(
        &Ymsg,
        &[
            (UP, packet(0, 0x57, 1, &body("1=alice&94=x"))),
            (DOWN, up(16, 0x57, "1=alice").1),
        ],
    );
    has(&told, &[Event::ClientIs(DOWN), account("alice")]);
}

#[test]
fn token_and_web_sign_on_expose_cookies_not_hashes() {
    let fields = "1=alice&0=alice&277=Y=v&278=T=z&307=hash&244=4194239&2=alice&2=1&59=B\tx&98=us&135=9.0.0.2162";
    let told = events(
        &Ymsg,
        &[down(0x57, 1, "1=alice&94=x&13=2"), up(16, 0x54, fields)],
    );
    has(
        &told,
        &[
            Event::Risk(risk::CLEARTEXT_COOKIE),
            Event::Client("Yahoo! Messenger 9.0.0.2162".into()),
        ],
    );
    assert_eq!(sign_ons(&told), ["yahoo-token"]);
    assert!(!told.contains(&Event::Risk(risk::WEAK_SIGN_ON)));

    let told = events(&Ymsg, &[up(0x65, 0x0226, "0=alice&1=alice&6=Y=v; T=z")]);
    has(
        &told,
        &[account("alice"), Event::Risk(risk::CLEARTEXT_COOKIE)],
    );
    assert_eq!(sign_ons(&told), ["yahoo-web"]);
}

#[test]
fn a_harmless_cookie_is_no_risk() {
    let told = events(&Ymsg, &[down(0x55, 0, "1=alice&59=B\tx&59=C\tmg=1")]);
    assert!(!told.contains(&Event::Risk(risk::CLEARTEXT_COOKIE)));
}

#[test]
fn messages_both_ways() {
    let told = events(
        &Ymsg,
        &[
            up(16, 0x57, "1=alice"),
            up(16, 0x06, "1=alice&5=bob&14=a secret"),
            down(0x06, 1, "4=carol&5=alice&14=another secret"),
            down(0x4B, 1, "4=dave&5=alice&13=1&14= &49=TYPING"),
        ],
    );
    has(
        &told,
        &[
            peer("bob"),
            peer("carol"),
            peer("dave"),
            Event::Feature(feature::MESSAGE),
            Event::Risk(risk::CLEARTEXT_MESSAGES),
        ],
    );
    assert!(
        !told
            .iter()
            .any(|event| format!("{event:?}").contains("secret"))
    );
    assert!(!told.contains(&peer("alice")));
}

#[test]
fn the_server_delivers_several_messages_in_one_packet() {
    let told = events(
        &Ymsg,
        &[down(
            0x06,
            5,
            "31=6&4=bob&5=alice&14=x&31=6&4=carol&5=alice&14=y",
        )],
    );
    has(&told, &[peer("bob"), peer("carol"), account("alice")]);
}

#[test]
fn conferences_voice_video_games_and_pictures() {
    for (service, fields, name) in [
        (0x18, "1=alice&57=room&52=bob&52=carol", feature::CHAT_ROOM),
        (0x4A, "4=bob&5=alice&13=1&57=room", feature::VOICE),
        (0x50, "1=alice&61=key", feature::VIDEO),
        (0x4B, "4=bob&5=alice&49=GAME", feature::GAMES),
        (0x4B, "4=bob&5=alice&49=WEBCAMINVITE&14= ", feature::VIDEO),
        (0x83, "1=alice&7=bob&65=Friends", feature::CONTACT_LIST),
        (0xC6, "10=1&19=", feature::PRESENCE),
        (0xD2, "4=bob&5=alice", feature::IMAGES),
    ] {
        let told = events(&Ymsg, &[down(service, 1, fields)]);
        has(&told, &[Event::Feature(name)]);
    }
    let told = events(&Ymsg, &[down(0x4B, 1, "4=bob&5=alice&49=TYPING")]);
    assert!(!told.iter().any(|event| matches!(event, Event::Feature(_))));
}

#[test]
fn an_invitation_reveals_an_address_and_the_next_flow() {
    let address = hex(
        "594d534700100000003b004f000000011122334435c080616c696365c08034c080626f62c0803132c0804e6a637a4d4455354f44553dc0803133c08030c0803439c08050454552544f50454552c080",
    );
    let told = events(
        &Ymsg,
        &[
            (DOWN, packet(0, 0x57, 1, &body("1=alice"))),
            (DOWN, address),
        ],
    );
    has(
        &told,
        &[
            peer("bob"),
            Event::Risk(risk::ADDRESS_REVEALED),
            Event::Feature(feature::DIRECT_CONNECTION),
            Event::Redirect {
                target: Target::Address(Ipv4Addr::new(1, 2, 3, 4).into(), Some(5101)),
                format: Format::messenger(Service::YAHOO, "ymsg", "peer"),
                opener: Some("alice".into()),
                with: None,
                token: None,
            },
        ],
    );
    // A bounced one names nobody new.
    let told = events(
        &Ymsg,
        &[down(
            0x4F,
            0xFFFF_FFFF,
            "5=mallory&4=alice&12=NjczMDU5ODU=&49=PEERTOPEER",
        )],
    );
    assert!(!told.contains(&account("mallory")));
}

#[test]
fn file_transfers_old_and_new() {
    let told = events(
        &Ymsg,
        &[down(
            0x46,
            1,
            "4=bob&5=alice&14=&20=http://192.0.2.5/f/1&27=notes.txt&28=78&38=604800",
        )],
    );
    let upload = |ip, port, role, opener: Option<&str>| Event::Redirect {
        target: Target::Address(Ipv4Addr::from(ip).into(), Some(port)),
        format: Format::messenger(Service::YAHOO, "ymsg-http", role),
        opener: opener.map(str::to_owned),
        with: None,
        token: None,
    };
    has(
        &told,
        &[
            Event::Risk(risk::FILE_TRANSFER),
            upload([192, 0, 2, 5], 80, "file-transfer", None),
        ],
    );

    let url = "http://192.0.2.7:9000/Messenger.bob.1x?AppID^Messenger".replace('^', "%3d");
    let told = events(
        &Ymsg,
        &[up(
            16,
            0xDD,
            &format!("1=alice&5=bob&265=id&27=x&249=1&250={url}"),
        )],
    );
    has(
        &told,
        &[
            Event::Risk(risk::ADDRESS_REVEALED),
            upload([192, 0, 2, 7], 9000, "file-transfer", Some("bob")),
        ],
    );
    let told = events(
        &Ymsg,
        &[up(
            16,
            0xDD,
            "1=alice&5=bob&265=id&27=x&249=3&250=192.0.2.8",
        )],
    );
    has(&told, &[upload([192, 0, 2, 8], 80, "relay", Some("bob"))]);
    assert!(!told.contains(&Event::Risk(risk::ADDRESS_REVEALED)));

    let told = events(
        &Ymsg,
        &[up(16, 0xDC, "1=alice&5=bob&265=id&222=1&266=1&27=x&28=1")],
    );
    has(
        &told,
        &[
            Event::Risk(risk::FILE_TRANSFER),
            Event::Feature(feature::FILE_TRANSFER),
        ],
    );
    let told = events(&Ymsg, &[up(16, 0xDC, "1=alice&5=bob&265=id&222=4")]);
    assert!(!told.contains(&Event::Risk(risk::FILE_TRANSFER)));
}

#[test]
fn peers_on_their_own_connection() {
    let told = events(
        &Ymsg,
        &[
            up(16, 0x4D, "4=bob&5=alice&241=0&49=PEERTOPEER&13=1&2=1"),
            (
                DOWN,
                packet(
                    16,
                    0x4D,
                    1,
                    &body("4=alice&5=bob&241=0&49=PEERTOPEER&13=5&2=1"),
                ),
            ),
            up(16, 0x06, "4=bob&5=alice&14=hi"),
        ],
    );
    has(
        &told,
        &[
            Event::ClientIs(UP),
            account("bob"),
            peer("alice"),
            Event::Feature(feature::MESSAGE),
        ],
    );
    assert!(!told.contains(&account("alice")));
    assert!(told.iter().any(|event| {
        matches!(event, Event::Identified { format, confidence: Confidence::Confirmed, .. } if format.role == Some("peer"))
    }));
}

#[test]
fn no_session_turns_into_a_peer() {
    let told = events(
        &Ymsg,
        &[
            up(16, 0x57, "1=alice"),
            down(0x4D, 1, "4=bob&5=alice&49=PEERTOPEER&13=1"),
        ],
    );
    assert!(!told.iter().any(
        |event| matches!(event, Event::Identified { format, .. } if format.role == Some("peer"))
    ));
}

proptest::proptest! {
    /// Whatever comes, however it is cut and whatever is missing: no panic, and no more events than bytes
    /// could pay for.
    #[test]
    fn any_bytes_are_survived(
        pieces in proptest::collection::vec((proptest::prelude::any::<Vec<u8>>(), 0_u16..0x100, 0_u64..80_000), 0..8),
        version: u16,
    ) {
        use crate::classify::{Detector, Events};
        let claim = super::testing::claim_of(super::testing::verdict(
            &Ymsg,
            &packet(16, 0x57, 0, &body("1=alice")),
            crate::classify::Start::Beginning,
        ));
        let mut dissector = Ymsg.dissector(&claim);
        let mut out = Events::default();
        let mut fed = 0;
        for (bytes, service, missing) in pieces {
            for direction in Direction::BOTH {
                let whole = packet(version, service, 1, &bytes);
                fed += whole.len() + bytes.len();
                dissector.feed(direction, &whole, &mut out);
                dissector.feed(direction, &bytes, &mut out);
                dissector.gap(direction, missing, &mut out);
            }
        }
        proptest::prop_assert!(out.as_ref().len() <= fed);
    }
}
