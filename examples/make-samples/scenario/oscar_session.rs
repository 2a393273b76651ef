//! The dialogues that AIM and ICQ share: two ways to sign on, and getting online at the basic service.

use super::bytes::{be16, be32, join, noise};
use super::oscar::{DIRECT_IM, Link, SEND_FILE, capability, roast, tlv, user_info};
use super::talk::{Side, Talk};
use std::net::Ipv4Addr;

/// Who signs on where, and with what.
pub struct Login<'a> {
    pub client: &'a str,
    pub authoriser: &'a str,
    pub start_ms: u64,
    /// Screen name or UIN.
    pub name: &'a str,
    pub password: &'a str,
    /// The client's words about itself.
    pub software: &'a str,
    /// Address of the next server, as TLV 5 says it.
    pub next: &'a str,
    /// What the next server wants to see.
    pub cookie: &'a [u8],
}

/// The numbers that clients copy from each other: 16 to 1A, then distribution, language, country.
fn version_tlvs() -> Vec<u8> {
    join(&[
        &tlv(0x16, [0x01, 0x09]),
        &tlv(0x17, [0, 5]),
        &tlv(0x18, [0, 1]),
        &tlv(0x19, [0, 0]),
        &tlv(0x1a, [0x0b, 0xdc]),
        &tlv(0x14, [0, 0, 0, 0xd2]),
        &tlv(0x0f, "en"),
        &tlv(0x0e, "us"),
    ])
}

impl Login<'_> {
    /// Sign-on with a challenge: SNAC 0017/0006, 0007, 0002, 0003.
    pub fn by_md5(&self) -> Talk {
        let name = tlv(1, self.name);
        // 0017/0007: the key is a u16 length and text, not a TLV.
        let key = "3141592653";
        let login = join(&[
            &name,
            &tlv(0x25, noise(self.start_ms + 7, 16)),
            &tlv(0x4c, []),
            &tlv(3, self.software),
            &version_tlvs(),
            &tlv(0x4a, [1]),
        ]);
        let reply = join(&[
            &name,
            &tlv(0x8e, [0]),
            &tlv(5, self.next),
            &tlv(6, self.cookie),
            &tlv(0x11, format!("{}@example.com", self.name)),
            &tlv(0x13, [0, 3]),
        ]);
        Link::new(Talk::tcp(self.client, self.authoriser, self.start_ms))
            .hello(&[])
            .ask(0x17, 6, &join(&[&name, &tlv(0x4b, []), &tlv(0x5a, [])]))
            .answer(0x17, 7, &join(&[&be16(key.len()), key.as_bytes()]))
            .ask(0x17, 2, &login)
            .answer(0x17, 3, &reply)
            .sign_off()
    }

    /// Sign-on with the password under the fixed XOR key, answered on channel 4.
    pub fn by_roast(&self) -> Talk {
        let hello = join(&[
            &tlv(1, self.name),
            &tlv(2, roast(self.password)),
            &tlv(3, self.software),
            &version_tlvs(),
        ]);
        let reply = join(&[&tlv(1, self.name), &tlv(5, self.next), &tlv(6, self.cookie)]);
        Link::new(Talk::tcp(self.client, self.authoriser, self.start_ms))
            .hello(&hello)
            .flap(Side::Server, 4, &reply)
            .sign_off()
    }
}

const FAMILIES: [(usize, usize); 10] = [
    (0x01, 4),
    (0x02, 1),
    (0x03, 1),
    (0x04, 1),
    (0x06, 1),
    (0x08, 1),
    (0x09, 1),
    (0x0b, 1),
    (0x13, 4),
    (0x15, 1),
];

fn versions() -> Vec<u8> {
    FAMILIES
        .iter()
        .flat_map(|(family, version)| join(&[&be16(*family), &be16(*version)]))
        .collect()
}

/// Rate limits: five classes and what falls under them, more than one TCP segment.
fn rates() -> Vec<u8> {
    let mut body = be16(5).to_vec();
    for class in 1..=5 {
        body.extend(be16(class));
        for level in [80, 2500, 2000, 1500, 800, 3400, 6000] {
            body.extend(be32(level + class));
        }
        body.extend([0, 0, 0, 0, 0]);
    }
    let members: Vec<(usize, usize)> = (1..=0x13)
        .flat_map(|family| (1..=0x15).map(move |subtype| (family, subtype)))
        .collect();
    for class in 1..=5 {
        let share: Vec<_> = members.iter().skip(class - 1).step_by(5).collect();
        body.extend(be16(class));
        body.extend(be16(share.len()));
        for (family, subtype) in share {
            body.extend(be16(*family));
            body.extend(be16(*subtype));
        }
    }
    body
}

/// A session at the basic service: from the cookie to being online.
pub struct Session<'a> {
    pub client: &'a str,
    pub server: &'a str,
    pub start_ms: u64,
    pub name: &'a str,
    pub cookie: &'a [u8],
    /// Buddies on the list; the first comes online.
    pub buddies: &'a [&'a str],
    /// Further requests before "client online" (ICQ's status with its direct-connection block).
    pub status: Option<Vec<u8>>,
}

impl Session<'_> {
    /// Signs on with the cookie and sets everything up.
    pub fn open(&self) -> Link {
        let address = Some(Ipv4Addr::new(192, 0, 2, 44));
        let mut list = vec![0];
        list.extend(be16(self.buddies.len() + 1));
        list.extend(be16(7));
        // Feedbag item: name, group, item, class, data. Group 1 holds the buddies.
        list.extend(join(&[b"Buddies", &be16(1), &be16(0), &be16(1), &be16(0)]));
        for (number, buddy) in self.buddies.iter().enumerate() {
            list.extend(be16(buddy.len()));
            list.extend(buddy.as_bytes());
            list.extend(join(&[&be16(1), &be16(100 + number), &be16(0), &be16(0)]));
        }
        list.extend(be32(1_767_300_000));
        let capabilities = join(&[&capability(SEND_FILE), &capability(DIRECT_IM)]);
        let profile = join(&[
            &tlv(1, "text/aolrtf; charset=\"us-ascii\""),
            &tlv(2, "hello"),
        ]);
        let families: Vec<u8> = FAMILIES
            .iter()
            .flat_map(|(family, _)| be16(*family))
            .collect();
        let online: Vec<u8> = FAMILIES
            .iter()
            .flat_map(|(family, version)| {
                join(&[&be16(*family), &be16(*version), &[0x01, 0x10, 0x07, 0x39]])
            })
            .collect();
        let mut link = Link::new(Talk::tcp(self.client, self.server, self.start_ms))
            .hello(&tlv(6, self.cookie))
            .tell(1, 3, &families)
            .ask(1, 0x17, &versions())
            .answer(1, 0x18, &versions())
            .ask(1, 6, &[])
            .answer(1, 7, &rates())
            .ask(1, 8, &[0, 1, 0, 2, 0, 3, 0, 4, 0, 5])
            .ask(1, 0x0e, &[])
            .answer(1, 0x0f, &user_info(self.name, address))
            .ask(2, 2, &[])
            .answer(2, 3, &join(&[&tlv(1, be16(1024)), &tlv(2, be16(18))]))
            .ask(3, 2, &[])
            .answer(3, 3, &join(&[&tlv(1, be16(600)), &tlv(2, be16(750))]))
            .ask(4, 4, &[])
            .answer(
                4,
                5,
                &[0, 2, 0, 0, 0, 3, 2, 0, 3, 0x84, 3, 0xe7, 0, 0, 3, 0xe8],
            )
            .ask(0x13, 4, &[])
            .answer(0x13, 6, &list)
            .ask_at_once(&[
                (0x13, 7, &[]),
                (2, 4, &join(&[&profile, &tlv(5, &capabilities)])),
                (
                    4,
                    2,
                    &[
                        0, 0, 0, 0, 0, 0x0b, 0x1f, 0x40, 3, 0xe7, 3, 0xe7, 0, 0, 0, 0,
                    ],
                ),
            ]);
        if let Some(status) = &self.status {
            link = link.ask(1, 0x1e, status);
        }
        link = link.ask(1, 2, &online);
        if let Some(buddy) = self.buddies.first() {
            link = link.pause(300).tell(3, 0x0b, &user_info(buddy, None));
        }
        link
    }
}
