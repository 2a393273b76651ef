//! Initial packets: their header, their keys, what they hold.

use super::version::Version;
use aes::Aes128;
use aes::cipher::{BlockEncrypt, KeyInit};
use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes128Gcm, Nonce};
use hkdf::Hkdf;
use sha2::Sha256;

/// A client's first destination has 8 bytes at least (RFC 9000, 7.2), none has more than 20.
const MAX_ID: usize = 20;
/// What header protection is made of, so far behind the packet number (RFC 9001, 5.4.2).
const SAMPLE_AT: usize = 4;
const SAMPLE: usize = 16;

/// One Initial packet, still protected.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet<'a> {
    pub(super) version: Version,
    /// The connection id of whom it is for.
    pub(super) destination: &'a [u8],
    /// From its first byte to the end that its length says.
    bytes: &'a [u8],
    /// Where the packet number stands.
    number_at: usize,
}

/// The Initial packets that a datagram begins with; one may stand behind the other (RFC 9000, 12.2).
pub(super) fn packets(datagram: &[u8]) -> impl Iterator<Item = Packet<'_>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let packet = parse(rest)?;
        rest = &rest[packet.bytes.len()..];
        Some(packet)
    })
}

/// RFC 9000, 17.2 and 17.2.2.
fn parse(bytes: &[u8]) -> Option<Packet<'_>> {
    let mut cursor = Cursor { bytes, at: 0 };
    let first = *cursor.take(1)?.first()?;
    let version = cursor.take(4)?;
    let version = u32::from_be_bytes(version.try_into().ok()?);
    let version = Version::from_number(version)?;
    // Long header, the fixed bit, Initial.
    if first >> 6 != 0b11 || (first >> 4) & 0b11 != version.initial() {
        return None;
    }
    let destination = cursor.id()?;
    cursor.id()?;
    let token = cursor.varint()?;
    cursor.take(token)?;
    let length = cursor.varint()?;
    let number_at = cursor.at;
    cursor.take(length)?;
    let enough = length >= SAMPLE_AT + SAMPLE;
    enough.then(|| Packet {
        version,
        destination,
        bytes: &bytes[..cursor.at],
        number_at,
    })
}

/// Reads a packet's fields one after the other.
pub(super) struct Cursor<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(length)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    /// RFC 9000, 16.
    pub(super) fn varint(&mut self) -> Option<usize> {
        let first = *self.bytes.get(self.at)?;
        let length = 1 << (first >> 6);
        let bytes = self.take(length)?;
        let number = bytes
            .iter()
            .skip(1)
            .fold(u64::from(first & 0x3f), |n, byte| n << 8 | u64::from(*byte));
        usize::try_from(number).ok()
    }

    fn id(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(*self.take(1)?.first()?);
        if length > MAX_ID {
            return None;
        }
        self.take(length)
    }
}

/// What a client's Initial packets are protected with.
pub(super) struct Keys {
    payload: Aes128Gcm,
    nonce: [u8; 12],
    header: Aes128,
}

impl Keys {
    /// Those of whoever sends to this connection id first.
    pub(super) fn of_client(version: Version, destination: &[u8]) -> Self {
        let (key, nonce, header) = derive(version, destination);
        Self {
            payload: Aes128Gcm::new(&key.into()),
            nonce,
            header: Aes128::new(&header.into()),
        }
    }

    /// The frames of a packet; `None` if these are not its keys.
    pub(super) fn open(&self, packet: &Packet<'_>) -> Option<Vec<u8>> {
        let Packet {
            bytes, number_at, ..
        } = *packet;
        let sample_at = number_at + SAMPLE_AT;
        let sample: [u8; SAMPLE] = bytes.get(sample_at..sample_at + SAMPLE)?.try_into().ok()?;
        let mut mask = sample.into();
        self.header.encrypt_block(&mut mask);
        let first = bytes[0] ^ (mask[0] & 0x0f);
        let number_len = usize::from(first & 3) + 1;
        let mut head = bytes.get(..number_at + number_len)?.to_vec();
        head[0] = first;
        let mut nonce = self.nonce;
        for at in 0..number_len {
            head[number_at + at] ^= mask[1 + at];
            nonce[12 - number_len + at] ^= head[number_at + at];
        }
        let sealed = Payload {
            msg: bytes.get(number_at + number_len..)?,
            aad: &head,
        };
        self.payload.decrypt(Nonce::from_slice(&nonce), sealed).ok()
    }
}

/// Key, nonce and header protection.
pub(super) fn derive(version: Version, destination: &[u8]) -> ([u8; 16], [u8; 12], [u8; 16]) {
    let secret = client_secret(version, destination);
    // As long as a hash: this cannot fail.
    let secret = Hkdf::<Sha256>::from_prk(&secret).unwrap_or_else(|_| Hkdf::new(None, &secret));
    let [key, nonce, header] = version.labels();
    (
        expand(&secret, key),
        expand(&secret, nonce),
        expand(&secret, header),
    )
}

fn client_secret(version: Version, destination: &[u8]) -> [u8; 32] {
    let initial = Hkdf::<Sha256>::new(Some(&version.salt()), destination);
    expand(&initial, b"client in")
}

/// HKDF-Expand-Label of TLS 1.3 (RFC 8446, 7.1), without a context.
fn expand<const N: usize>(secret: &Hkdf<Sha256>, label: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    let length = (N as u16).to_be_bytes();
    let named = [6 + label.len() as u8];
    let info = [&length[..], &named, b"tls13 ", label, &[0]];
    // Fails for outputs of more than 8 KiB only.
    let _ = secret.expand_multi_info(&info, &mut out);
    out
}
