//! The handshake's bytes, put together out of CRYPTO frames in any order.

use super::initial::Cursor;

/// Longest beginning of the handshake that is waited for.
const MAX_HANDSHAKE: usize = 16 * 1024;
/// Pieces that wait for what is before them; clients cut a hello into a dozen at most.
const MAX_PIECES: usize = 64;

/// What is known of the handshake.
#[derive(Debug, Default)]
pub(super) struct Crypto {
    /// From its first byte on, without a hole.
    whole: Vec<u8>,
    /// What waits, by its offset.
    pieces: Vec<(usize, Vec<u8>)>,
}

impl Crypto {
    /// The frames of one packet (RFC 9000, 12.4: PADDING, PING, ACK and CRYPTO before anything else is sent). The last of these
    /// has this type.
    pub(super) fn take_frames(&mut self, frames: &[u8], crypto: usize) {
        let mut cursor = Cursor {
            bytes: frames,
            at: 0,
        };
        while self.frame(&mut cursor, crypto).is_some() {}
    }

    /// `None` at the end, and at what is not read.
    fn frame(&mut self, cursor: &mut Cursor<'_>, crypto: usize) -> Option<()> {
        match cursor.varint()? {
            // PADDING, PING.
            0 | 1 => {}
            // ACK, with counts of marked packets in the second kind.
            kind @ (2 | 3) => {
                cursor.varint()?;
                cursor.varint()?;
                let ranges = cursor.varint()?;
                cursor.varint()?;
                for _ in 0..ranges {
                    cursor.varint()?;
                    cursor.varint()?;
                }
                if kind == 3 {
                    for _ in 0..3 {
                        cursor.varint()?;
                    }
                }
            }
            kind if kind == crypto => {
                let offset = cursor.varint()?;
                let length = cursor.varint()?;
                self.add(offset, cursor.take(length)?);
            }
            _ => return None,
        }
        Some(())
    }

    fn add(&mut self, offset: usize, bytes: &[u8]) {
        let fits = offset.saturating_add(bytes.len()) <= MAX_HANDSHAKE;
        if bytes.is_empty() || !fits || self.pieces.len() >= MAX_PIECES {
            return;
        }
        let known = |piece: &(usize, Vec<u8>)| piece.0 == offset && piece.1.len() >= bytes.len();
        if offset > self.whole.len() {
            if !self.pieces.iter().any(known) {
                self.pieces.push((offset, bytes.to_vec()));
            }
            return;
        }
        self.append(offset, bytes);
        // What waited may follow now.
        loop {
            let end = self.whole.len();
            let Some(at) = self.pieces.iter().position(|(offset, _)| *offset <= end) else {
                break;
            };
            let (offset, bytes) = self.pieces.swap_remove(at);
            self.append(offset, &bytes);
        }
    }

    /// The first copy counts.
    fn append(&mut self, offset: usize, bytes: &[u8]) {
        let known = self.whole.len() - offset;
        self.whole
            .extend_from_slice(bytes.get(known..).unwrap_or_default());
    }

    /// The beginning, as far as it is known.
    pub(super) fn beginning(&self) -> &[u8] {
        &self.whole
    }

    /// Whether no more is taken.
    pub(super) fn is_full(&self) -> bool {
        self.whole.len() >= MAX_HANDSHAKE || self.pieces.len() >= MAX_PIECES
    }

    /// Bytes held on the heap.
    pub(super) fn memory(&self) -> usize {
        let pieces = self.pieces.iter().map(|(_, bytes)| bytes.capacity());
        self.whole.capacity()
            + pieces.sum::<usize>()
            + self.pieces.capacity() * size_of::<(usize, Vec<u8>)>()
    }
}
