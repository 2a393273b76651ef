//! OFT2 and ODC2, what two AIM or ICQ users exchange without a server.

use super::bytes::{be16, be32, join};
use super::talk::Talk;

/// The 32-bit checksum of OFT: 16-bit words are taken away from all ones, with end-around borrow.
fn checksum(bytes: &[u8]) -> u32 {
    let mut check: u32 = 0xffff;
    for (index, byte) in bytes.iter().enumerate() {
        let value = u32::from(*byte) << if index % 2 == 0 { 8 } else { 0 };
        let before = check;
        check = check.wrapping_sub(value);
        if check > before {
            check = check.wrapping_sub(1);
        }
    }
    check = (check & 0xffff) + (check >> 16);
    check = (check & 0xffff) + (check >> 16);
    check << 16
}

/// An OFT2 header of 256 bytes.
fn oft2(kind: usize, cookie: [u8; 8], name: &str, file: &[u8], received: bool) -> Vec<u8> {
    let size = be32(file.len());
    let sum = checksum(file).to_be_bytes();
    let none = [0xff, 0xff, 0, 0];
    let (got, got_sum) = if received {
        (size, sum)
    } else {
        ([0; 4], none)
    };
    let mut header = join(&[
        b"OFT2",
        &be16(256),
        &be16(kind),
        &cookie,
        // Encryption, compression, files, files left, parts, parts left.
        &[0, 0, 0, 0, 0, 1, 0, 1, 0, 1, 0, 1],
        &size,
        &size,
        // Modification time and checksum.
        &be32(1_767_200_000),
        &sum,
        // Resource fork: checksum, size, creation time, checksum.
        &none,
        &[0; 8],
        &none,
        &got,
        &got_sum,
    ]);
    header.extend(b"Cool FileXfer");
    header.resize(100, 0);
    header.extend([0x20, 0x1c, 0x11]);
    header.resize(192, 0);
    header.extend(name.as_bytes());
    header.resize(256, 0);
    header
}

/// A file between two users. The receiver dials; the sender, who listens, speaks first.
pub fn oft(
    receiver: &str,
    sender: &str,
    start_ms: u64,
    cookie: [u8; 8],
    name: &str,
    file: &[u8],
) -> Talk {
    Talk::tcp(receiver, sender, start_ms)
        // The prompt has no cookie; acknowledgement and end have the proposal's.
        .server(oft2(0x0101, [0; 8], name, file, false))
        .client(oft2(0x0202, cookie, name, file, false))
        .server(file)
        .client(oft2(0x0204, cookie, name, file, true))
}

/// An ODC2 frame: a header of 76 bytes with the sender's name, then text or nothing.
pub fn odc2(cookie: [u8; 8], flags: usize, name: &str, payload: &[u8]) -> Vec<u8> {
    let mut frame = join(&[b"ODC2", &be16(76), &be16(1), &be16(6), &[0; 2], &cookie]);
    frame.resize(28, 0);
    frame.extend(be32(payload.len()));
    frame.extend([0; 6]);
    frame.extend(be16(flags));
    frame.resize(44, 0);
    frame.extend(name.as_bytes());
    frame.resize(76, 0);
    frame.extend(payload);
    frame
}
