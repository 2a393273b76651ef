//! Small helpers to write protocol units down.

/// Joins parts of a unit.
pub fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// A 16-bit big-endian number.
pub fn be16(n: usize) -> [u8; 2] {
    u16::try_from(n).expect("fits 16 bits").to_be_bytes()
}

/// A 32-bit big-endian number.
pub fn be32(n: usize) -> [u8; 4] {
    u32::try_from(n).expect("fits 32 bits").to_be_bytes()
}

/// A 16-bit little-endian number.
pub fn le16(n: usize) -> [u8; 2] {
    u16::try_from(n).expect("fits 16 bits").to_le_bytes()
}

/// A 32-bit little-endian number.
pub fn le32(n: usize) -> [u8; 4] {
    u32::try_from(n).expect("fits 32 bits").to_le_bytes()
}

/// Bytes that look random and are the same every time (xorshift64*).
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8
        })
        .collect()
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(u32::from(digit), 16))
        .collect()
}

/// Base64 with padding.
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let mut word = [0; 4];
        word[1..=group.len()].copy_from_slice(group);
        let word = u32::from_be_bytes(word);
        for position in 0..4 {
            if position <= group.len() {
                let index = (word >> (18 - 6 * position)) & 0x3f;
                text.push(char::from(ALPHABET[index as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}
