//! QUIC: a client's Initial packets (RFC 9000, 17.2.2), protected as RFC 9001 and RFC 9369 say.

use super::bytes::{be16, join, noise};
use super::talk::Talk;
use aes::Aes128;
use aes::cipher::{BlockEncrypt, KeyInit};
use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes128Gcm, Nonce};
use hkdf::Hkdf;
use sha2::Sha256;

/// A version: its number, its Initial type, its salt and how its labels begin.
pub struct Version {
    number: u32,
    kind: u8,
    salt: &'static str,
    label: &'static str,
    /// The type of frame that carries the handshake.
    frame: u8,
}

pub const V1: Version = Version {
    number: 1,
    kind: 0,
    salt: "38762cf7f55934b34d179ae6a4c80cadccbb7f0a",
    label: "quic",
    frame: 6,
};

pub const V2: Version = Version {
    number: 0x6b33_43cf,
    kind: 1,
    salt: "0dede3def700a6db819381be6e269dcbf9bd2ed9",
    label: "quicv2",
    frame: 6,
};

/// draft-ietf-quic-tls-29.
pub const DRAFT29: Version = Version {
    number: 0xff00_001d,
    salt: "afbfec289993d24c9e9786f19c6111e04390a899",
    ..V1
};

/// Meta's, as draft 27 with another number.
pub const META: Version = Version {
    number: 0xface_b002,
    salt: "c3eef712c72ebb5a11a7d2432bb46365bef9f502",
    ..V1
};

/// Google's, with TLS.
pub const T051: Version = Version {
    number: u32::from_be_bytes(*b"T051"),
    salt: "7a4edef4e7ccee5fa4506c19124fc8ccda6e033d",
    frame: 8,
    ..V1
};

/// Google's, with a handshake of its own.
pub const Q050: Version = Version {
    number: u32::from_be_bytes(*b"Q050"),
    salt: "504574efd066fe2f9d945cfcdbd3a7f0d3b56b45",
    frame: 8,
    ..V1
};

/// Bytes from hexadecimal.
pub fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("hexadecimal"))
        .collect()
}

fn expand(secret: &Hkdf<Sha256>, label: &str, length: usize) -> Vec<u8> {
    let label = format!("tls13 {label}");
    let info = join(&[&be16(length), &[label.len() as u8], label.as_bytes(), &[0]]);
    let mut out = vec![0; length];
    secret.expand(&info, &mut out).expect("a short output");
    out
}

/// An Initial packet with this number and these frames; `first_id` is what the client called the server first.
pub fn initial(
    version: &Version,
    first_id: &[u8],
    to: &[u8],
    number: u32,
    frames: &[u8],
) -> Vec<u8> {
    let salt = unhex(version.salt);
    let secret = Hkdf::<Sha256>::new(Some(&salt), first_id);
    let secret = expand(&secret, "client in", 32);
    let secret = Hkdf::<Sha256>::from_prk(&secret).expect("a hash");
    let derive = |what, length| expand(&secret, &format!("{} {what}", version.label), length);
    let (key, iv, hp) = (derive("key", 16), derive("iv", 12), derive("hp", 16));

    let number = number.to_be_bytes();
    let mut packet = join(&[
        &[0xc0 | version.kind << 4 | 3],
        &version.number.to_be_bytes(),
        &[to.len() as u8],
        to,
        &[0, 0],
        &be16(0x4000 | (number.len() + frames.len() + 16)),
        &number,
    ]);
    let number_at = packet.len() - number.len();
    let mut nonce = iv;
    for (byte, of_number) in nonce[8..].iter_mut().zip(number) {
        *byte ^= of_number;
    }
    let sealed = Aes128Gcm::new_from_slice(&key).expect("a key").encrypt(
        Nonce::from_slice(&nonce),
        Payload {
            msg: frames,
            aad: &packet,
        },
    );
    packet.extend(sealed.expect("a short message"));
    let sample: [u8; 16] = packet[number_at + 4..number_at + 20]
        .try_into()
        .expect("16 bytes");
    let mut mask = sample.into();
    Aes128::new_from_slice(&hp)
        .expect("a key")
        .encrypt_block(&mut mask);
    packet[0] ^= mask[0] & 0x0f;
    for at in 0..4 {
        packet[number_at + at] ^= mask[1 + at];
    }
    packet
}

impl Version {
    /// A CRYPTO frame.
    pub fn crypto(&self, offset: usize, bytes: &[u8]) -> Vec<u8> {
        join(&[
            &[self.frame],
            &be16(0x4000 | offset),
            &be16(0x4000 | bytes.len()),
            bytes,
        ])
    }
}

/// A `ClientHello` that asks for this server by HTTP/3.
pub fn client_hello(seed: u64, name: &str) -> Vec<u8> {
    let extension = |kind: usize, body: &[u8]| join(&[&be16(kind), &be16(body.len()), body]);
    let entry = join(&[&[0], &be16(name.len()), name.as_bytes()]);
    let share = join(&[&be16(36), &be16(0x1d), &be16(32), &noise(seed + 1, 32)]);
    let extensions = join(&[
        &extension(0, &join(&[&be16(entry.len()), &entry])),
        &extension(10, &[0, 2, 0, 0x1d]),
        &extension(13, &[0, 4, 4, 3, 8, 4]),
        &extension(16, &[0, 3, 2, b'h', b'3']),
        &extension(43, &[2, 3, 4]),
        &extension(51, &share),
        &extension(57, &[1, 4, 0x80, 0, 0x75, 0x30]),
    ]);
    let body = join(&[
        &[3, 3],
        &noise(seed, 32),
        &[0, 0, 4, 0x13, 1, 0x13, 2, 1, 0],
        &be16(extensions.len()),
        &extensions,
    ]);
    join(&[&[1, 0], &be16(body.len()), &body])
}

/// A connection to this server: a hello in two packets, out of order, then packets that nobody can read.
pub fn talk(client: &str, server: &str, start_ms: u64, version: &Version, name: &str) -> Talk {
    let id = noise(start_ms, 8);
    let hello = match version.number.to_be_bytes() {
        [b'Q', ..] => chlo(name),
        _ => client_hello(start_ms, name),
    };
    let (early, late) = hello.split_at(hello.len() / 3);
    let padded = |mut frames: Vec<u8>| {
        frames.resize(1200 - 18 - 4 - 16, 0);
        frames
    };
    let second = padded(join(&[&version.crypto(early.len(), late), &[1]]));
    let first = padded(join(&[&[1], &version.crypto(0, early)]));
    // What the server sends is protected as well, with keys that are not looked for.
    let answer = join(&[
        &[0xc1 | version.kind << 4],
        &version.number.to_be_bytes(),
        &[0, 8],
        &noise(start_ms + 7, 8),
        &[0, 0x44, 0x9e],
        &noise(start_ms + 3, 1182),
    ]);
    let short = |seed: u64, len: usize| join(&[&[0x40 | (seed as u8 & 0x1f)], &noise(seed, len)]);
    Talk::udp(client, server, start_ms)
        .client(initial(version, &id, &id, 0, &second))
        .client(initial(version, &id, &id, 1, &first))
        .server(answer)
        .client(short(start_ms + 4, 60))
        .server(short(start_ms + 5, 900))
        .client(short(start_ms + 6, 40))
}

/// Google's own handshake message: entries with where each value ends, then the values; the first fills it up.
fn chlo(name: &str) -> Vec<u8> {
    let entries: [(&[u8; 4], Vec<u8>); 4] = [
        (b"PAD\0", vec![b'-'; 860]),
        (b"SNI\0", name.as_bytes().to_vec()),
        (b"VER\0", b"Q043".to_vec()),
        (b"UAID", b"Example/1.0".to_vec()),
    ];
    let (mut table, mut values) = (Vec::new(), Vec::new());
    for (tag, value) in entries {
        values.extend(value);
        table.extend_from_slice(tag);
        table.extend((values.len() as u32).to_le_bytes());
    }
    join(&[b"CHLO", &[4, 0, 0, 0], &table, &values])
}

/// A connection of before the standard, whose hello is in clear text.
pub fn in_clear(client: &str, server: &str, start_ms: u64, version: [u8; 4], name: &str) -> Talk {
    let id = noise(start_ms, 8);
    let hash = noise(start_ms + 1, 12);
    let head = if version == *b"Q046" {
        join(&[&[0xc3], &version, &[0x50], &id, &[0, 0, 0, 1], &hash])
    } else {
        join(&[&[0x09], &id, &version, &[1], &hash])
    };
    let hello = chlo(name);
    // Numbers came to the network's order with Q039.
    let mut length = be16(hello.len()).to_vec();
    if version < *b"Q039" {
        length.reverse();
    }
    let mut first = join(&[&head, &[0xa0, 1], &length, &hello]);
    first.resize(1350, 0);
    let short = |seed: u64, len: usize| join(&[&[0x08], &id, &[2], &noise(seed, len)]);
    Talk::udp(client, server, start_ms)
        .client(first)
        .server(short(start_ms + 2, 1200))
        .client(short(start_ms + 3, 60))
        .server(short(start_ms + 4, 900))
}
