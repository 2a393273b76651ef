//! VLAN tags (IEEE 802.1Q), as many as there are.

use super::link::ethernet;
use super::{Next, Reason, Span};
use crate::model::{Layer, LayerPath};

pub(super) fn read<'a>(span: Span<'a>, path: &mut LayerPath) -> Result<Next<'a>, Reason> {
    let (&[high, low, kind @ ..], span) = span.split::<4>()?;
    // 3 bits priority, 1 bit drop eligible, 12 bits id.
    let id = u16::from_be_bytes([high, low]) & 0x0fff;
    if !path.push(Layer::Vlan(id)) {
        return Err(Reason::TooManyLayers);
    }
    ethernet::type_or_length(u16::from_be_bytes(kind), span)
}
