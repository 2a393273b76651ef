//! A picture for web pages: grey noise that any viewer can show.

use super::bytes::{be16, be32, join, le16, noise};

/// CRC-32 as PNG wants it.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            let carry = if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
            (crc >> 1) ^ carry
        })
    })
}

fn chunk(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
    let named = join(&[&kind, body]);
    join(&[&be32(body.len()), &named, &crc(&named).to_be_bytes()])
}

/// A PNG of 8-bit grey, its pixels in one stored block.
pub fn png(seed: u64, width: usize, height: usize) -> Vec<u8> {
    let rows: Vec<u8> = noise(seed, width * height)
        .chunks(width)
        .flat_map(|row| join(&[&[0], row]))
        .collect();
    let (low, high) = rows
        .iter()
        .fold((1, 0), |(low, high): (usize, usize), byte| {
            let low = (low + usize::from(*byte)) % 65_521;
            (low, (high + low) % 65_521)
        });
    let stored = join(&[
        &[0x78, 0x01, 0x01],
        &le16(rows.len()),
        &le16(0xffff - rows.len()),
        &rows,
        &be16(high),
        &be16(low),
    ]);
    join(&[
        b"\x89PNG\r\n\x1a\n",
        &chunk(
            *b"IHDR",
            &join(&[&be32(width), &be32(height), &[8, 0, 0, 0, 0]]),
        ),
        &chunk(*b"IDAT", &stored),
        &chunk(*b"IEND", &[]),
    ])
}
