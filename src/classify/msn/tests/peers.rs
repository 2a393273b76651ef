//! What runs between users.

use super::{accounts, ask, confirmed, converse, is_nothing, peers, turn, verdict};
use crate::classify::Start;
use crate::classify::msn::chunk::tests::version1;
use crate::classify::msn::{CAM_PEER, CAM_REFLECTOR, FTP, P2P};
use crate::model::Direction::{ToClient, ToServer};
use crate::model::{Event, feature, risk};

#[test]
fn msnftp_is_not_a_notification_server() {
    let mut block = vec![0, 21, 0];
    block.extend_from_slice(&[b'x'; 21]);
    block.extend_from_slice(&[1, 0, 0]);
    let turns = [
        turn(ToServer, "VER MSNFTP\r\n"),
        turn(ToClient, "VER MSNFTP\r\n"),
        turn(ToServer, "USR bob@example.com 93301\r\n"),
        turn(ToClient, "FIL 21\r\n"),
        turn(ToServer, "TFR\r\n"),
        (ToClient, block),
        turn(ToServer, "BYE 16777989\r\n"),
    ];
    let (claim, certain, events) = converse(&turns);
    assert_eq!(
        (claim.format, claim.sender_is_client, certain),
        (FTP, None, false)
    );
    assert_eq!(confirmed(&events), Some(&FTP));
    assert_eq!(accounts(&events), ["bob@example.com"]);
    assert!(
        events.contains(&Event::Risk(risk::FILE_TRANSFER))
            && events.contains(&Event::ClientIs(ToServer))
    );
    let listener: Vec<_> = turns
        .iter()
        .filter(|(direction, _)| *direction == ToClient)
        .cloned()
        .collect();
    assert_eq!(confirmed(&converse(&listener).2), Some(&FTP));
    // Trillian puts words before the name.
    assert_eq!(
        verdict(b"VER 1 MSNFTP\r\n", ToServer, Start::Beginning)
            .unwrap()
            .1
            .format,
        FTP
    );
    // The lines behind the version are too weak, unless the connection was announced.
    assert_eq!(verdict(b"FIL 21\r\n", ToClient, Start::Joined), None);
    assert!(ask(b"FIL 21\r\n", ToClient, Start::Joined, Some("msnftp"), 1).is_some());
}

#[test]
fn a_direct_connection_is_known_by_its_first_unit() {
    let unit = |chunk: Vec<u8>| [(chunk.len() as u32).to_le_bytes().to_vec(), chunk].concat();
    let hello = unit(b"foo\0".to_vec());
    let nonce = unit(version1(0, 0, 0, 0x100, b""));
    let text = "INVITE MSNMSGR:bob@example.com MSNSLP/1.0\r\nTo: <msnmsgr:bob@example.com>\r\nFrom: <msnmsgr:alice@example.com>\r\n\r\n\
        EUF-GUID: {5D3E02AB-6190-11D3-BBBB-00C04F795683}\r\n\r\n\0";
    let request = unit(version1(0, 0, text.len() as u64, 0, text.as_bytes()));
    let data = unit(version1(5, 0, 8, 0x0100_0030, b"abcd"));
    let rest = unit(version1(5, 4, 8, 0x0100_0030, b"efgh"));
    let turns = [
        (ToServer, [hello, nonce.clone()].concat()),
        (ToClient, nonce.clone()),
        (ToServer, request.clone()),
        (ToServer, data.clone()),
    ];
    let (claim, _, events) = converse(&turns);
    assert_eq!((claim.format, claim.sender_is_client), (P2P, Some(true)));
    assert_eq!(confirmed(&events), Some(&P2P));
    assert_eq!(
        (accounts(&events), peers(&events)),
        (vec!["alice@example.com"], vec!["bob@example.com"])
    );
    assert!(events.contains(&Event::Feature(feature::DIRECT_CONNECTION)));
    assert!(events.contains(&Event::Feature(feature::FILE_TRANSFER)));
    // The listener's half, and connections joined in the middle.
    assert!(verdict(&nonce, ToClient, Start::Beginning).is_some());
    assert!(verdict(&request, ToServer, Start::Joined).is_some());
    assert!(verdict(&[data.clone(), rest].concat(), ToServer, Start::Joined).is_some());
    assert_eq!(
        verdict(&[data.clone(), data].concat(), ToServer, Start::Joined),
        None
    );
    // A second version nonce is 16 random bytes.
    let second = unit(vec![0xA5; 16]);
    assert_eq!(verdict(&second, ToClient, Start::Beginning), None);
    assert!(ask(&second, ToClient, Start::Beginning, Some("msn-p2p"), 1).is_some());
}

#[test]
fn webcam_streams() {
    let mut picture = vec![0x18, 0, 64, 1, 240, 0, 1, 0, 16, 0, 0, 0];
    picture.extend_from_slice(b"ML20\x01\0\0\0\x02\0\0\0");
    picture.extend_from_slice(&[7; 16]);
    let turns = [
        turn(ToServer, "recipientid=97&sessionid=2001\r\n\r\n"),
        turn(ToClient, "connected\r\n\r\n"),
        turn(ToServer, "connected\r\n\r\n"),
        (ToClient, picture.clone()),
    ];
    let (claim, _, events) = converse(&turns);
    assert_eq!(
        (claim.format, claim.sender_is_client),
        (CAM_PEER, Some(true))
    );
    assert_eq!(confirmed(&events), Some(&CAM_PEER));
    assert!(events.contains(&Event::Feature(feature::VIDEO)));
    let listener = [b"connected\r\n\r\n".to_vec(), picture.clone()].concat();
    assert_eq!(
        verdict(&listener, ToClient, Start::Beginning)
            .unwrap()
            .1
            .sender_is_client,
        Some(false)
    );
    assert!(verdict(&picture, ToClient, Start::Joined).is_some());
    for text in ["PROD 77 TSP/1.0\r\n\r\n", "VIEW 77 TSP/1.0\r\n\r\n"] {
        let (claim, _, events) = converse(&[
            turn(ToServer, text),
            turn(ToClient, "TSP/1.0 200 OK\r\n\r\n"),
        ]);
        assert_eq!(claim.format, CAM_REFLECTOR);
        assert_eq!(confirmed(&events), Some(&CAM_REFLECTOR));
    }
    is_nothing(b"recipientid=97&session=1\r\n\r\n");
    is_nothing(b"connected\r\n\r\nand now something else, long enough");
    is_nothing(b"VIEW /index.html HTTP/1.1\r\nHost: example.com\r\n\r\n");
    is_nothing(b"RTSP/1.0 200 OK\r\n\r\n");
}
