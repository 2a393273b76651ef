//! Type-length-value lists: type u16, length u16, value, big-endian.

use super::bytes::Bytes;

/// One element of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// Its type; the meaning depends on the list.
    pub kind: u16,
    /// Its value.
    pub value: &'a [u8],
}

/// Goes through a list and stops at the first element that does not fit.
#[derive(Clone, Debug)]
pub struct Tlvs<'a>(Bytes<'a>);

impl<'a> Tlvs<'a> {
    /// What follows the elements seen so far.
    pub const fn rest(&self) -> &'a [u8] {
        self.0.rest()
    }
}

impl<'a> Iterator for Tlvs<'a> {
    type Item = Tlv<'a>;

    fn next(&mut self) -> Option<Tlv<'a>> {
        let mut bytes = self.0;
        let kind = bytes.be16()?;
        let len = bytes.be16()?;
        let value = bytes.take(usize::from(len))?;
        self.0 = bytes;
        Some(Tlv { kind, value })
    }
}

/// The list that fills `bytes`.
pub const fn list(bytes: &[u8]) -> Tlvs<'_> {
    Tlvs(Bytes::new(bytes))
}

/// Whether the list ends exactly where `bytes` end.
pub fn tiles(bytes: &[u8]) -> bool {
    let mut tlvs = list(bytes);
    tlvs.by_ref().for_each(drop);
    tlvs.rest().is_empty()
}

/// The value of the first element of this type.
pub fn find(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    list(bytes)
        .find(|tlv| tlv.kind == kind)
        .map(|tlv| tlv.value)
}

/// Whether there is an element of this type.
pub fn has(bytes: &[u8], kind: u16) -> bool {
    find(bytes, kind).is_some()
}

/// The first element of this type, as a big-endian u16.
pub fn find_be16(bytes: &[u8], kind: u16) -> Option<u16> {
    Bytes::new(find(bytes, kind)?).be16()
}

/// Splits `bytes` behind the first `count` elements; `None` when there are fewer.
pub fn split_counted(bytes: &[u8], count: u16) -> Option<(&[u8], &[u8])> {
    let mut tlvs = list(bytes);
    for _ in 0..count {
        tlvs.next()?;
    }
    bytes.split_at_checked(bytes.len().checked_sub(tlvs.rest().len())?)
}

#[cfg(test)]
mod tests {
    use super::{find, find_be16, has, list, split_counted, tiles};

    #[test]
    fn a_list_tiles_only_when_it_ends_exactly() {
        assert!(tiles(&[]));
        assert!(tiles(&[0, 1, 0, 2, 9, 9, 0, 0x4B, 0, 0]));
        assert!(!tiles(&[0, 1, 0, 2, 9, 9, 0]));
        assert!(!tiles(&[0, 1, 0, 3, 9, 9]));
        assert!(!tiles(&[0, 1, 0xFF, 0xFF]));
    }

    #[test]
    fn the_first_of_a_type_counts() {
        let bytes = [0, 5, 0, 2, 0x14, 0x46, 0, 0x10, 0, 0, 0, 5, 0, 0];
        assert_eq!(find_be16(&bytes, 5), Some(0x1446));
        assert!(has(&bytes, 0x10));
        assert_eq!(find(&bytes, 6), None);
        assert_eq!(list(&bytes).count(), 3);
    }

    #[test]
    fn counted_lists_split() {
        let bytes = [0, 1, 0, 0, 0, 2, 0, 1, 7, 0, 3, 0, 0];
        assert_eq!(split_counted(&bytes, 2), Some((&bytes[..9], &bytes[9..])));
        assert_eq!(split_counted(&bytes, 4), None);
    }
}
