//! The bytes of a layer: those captured, and how many more there were on the wire.

use super::Reason;

/// No packet is longer (Linux merges segments to at most 512 KiB): a declared length beyond is no length.
pub(super) const MAX_WIRE: usize = 1 << 20;

#[derive(Clone, Copy, Debug)]
pub(super) struct Span<'a> {
    data: &'a [u8],
    missing: usize,
}

impl<'a> Span<'a> {
    /// These bytes, and so many behind them that are not there.
    pub const fn new(data: &'a [u8], missing: usize) -> Self {
        Self { data, missing }
    }

    /// A whole frame.
    pub fn frame(data: &'a [u8], wire_len: u32) -> Self {
        let wire_len = usize::try_from(wire_len)
            .ok()
            .filter(|len| *len <= MAX_WIRE)
            .unwrap_or(0);
        Self {
            data,
            missing: wire_len.saturating_sub(data.len()),
        }
    }

    /// The captured bytes.
    pub const fn data(&self) -> &'a [u8] {
        self.data
    }

    /// Bytes behind them that were on the wire but not captured.
    pub const fn missing(&self) -> usize {
        self.missing
    }

    /// Length on the wire.
    pub const fn wire_len(&self) -> usize {
        self.data.len().saturating_add(self.missing)
    }

    /// A header of `N` bytes, and what follows it.
    pub fn split<const N: usize>(self) -> Result<(&'a [u8; N], Self), Reason> {
        let (header, data) = self
            .data
            .split_first_chunk::<N>()
            .ok_or_else(|| self.too_short())?;
        Ok((header, Self { data, ..self }))
    }

    /// What follows a header of `n` bytes.
    pub fn skip(self, n: usize) -> Result<Self, Reason> {
        let data = self.data.get(n..).ok_or_else(|| self.too_short())?;
        Ok(Self { data, ..self })
    }

    /// What follows a header of `n` bytes on the wire, even if the capture ends inside it.
    pub fn skip_on_wire(self, n: usize) -> Result<Self, Reason> {
        if let Some(data) = self.data.get(n..) {
            return Ok(Self { data, ..self });
        }
        let missing = self.wire_len().checked_sub(n).ok_or(Reason::Malformed)?;
        Ok(Self { data: &[], missing })
    }

    /// These bytes end after `wire_len` bytes, as a header says: what lies behind is padding, and what is not
    /// there was cut off, whatever the outer layers believe. (Tools that shorten frames often forget to keep
    /// the frame's true length, but do not touch the headers.)
    #[must_use]
    pub fn limit(self, wire_len: usize) -> Self {
        match self.data.get(..wire_len) {
            Some(data) => Self { data, missing: 0 },
            None => Self {
                data: self.data,
                missing: wire_len - self.data.len(),
            },
        }
    }

    /// Why a header does not fit: the capture cut it off, or it never was there.
    pub const fn too_short(&self) -> Reason {
        if self.missing > 0 {
            Reason::TruncatedHeader
        } else {
            Reason::Malformed
        }
    }
}
