//! Options at the end of a block: code u16, length u16, value padded to 4 bytes; code 0 ends them.

use super::super::order::Order;

/// The options from `at` on. Broken ones end the list: an option is never worth losing the packets for.
pub(super) fn options(
    order: Order,
    body: &[u8],
    mut at: usize,
) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let code = order.u16(body, at).filter(|code| *code != 0)?;
        let length = usize::from(order.u16(body, at + 2)?);
        let value = body.get(at + 4..at + 4 + length)?;
        at += 4 + length.next_multiple_of(4);
        Some((code, value))
    })
}
