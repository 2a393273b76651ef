//! One datagram that fragments are coming of, and what can be read of it.

use super::Fragment;
use super::pieces::{Contradiction, Pieces, Range};
use super::table::Key;
use crate::model::{Packet, Transport};
use crate::packet::ip::{Addresses, Datagram, MAX_DATAGRAM};
use crate::packet::{Decoded, FrameMeta, Span, resume};
use etherparse::IpNumber;

#[derive(Debug)]
pub(super) struct Unfinished {
    pub pieces: Pieces,
    /// Of the last fragment that came, with the length of all frames since the last packet.
    meta: FrameMeta,
    /// Of the fragment that brought the first byte.
    protocol: u8,
    /// Frames that brought it.
    pub frames: u32,
    /// Its beginning was passed on already.
    pub told: bool,
    /// Memory that it was charged for.
    pub charged: usize,
}

impl Unfinished {
    /// A datagram of which this fragment will be the first to be added.
    pub fn new(fragment: &Fragment<'_>, charged: usize) -> Self {
        Self {
            pieces: Pieces::default(),
            meta: FrameMeta {
                wire_len: 0,
                ..fragment.meta
            },
            protocol: fragment.protocol,
            frames: 0,
            told: false,
            charged,
        }
    }

    /// Takes a fragment.
    pub fn add(
        &mut self,
        fragment: &Fragment<'_>,
        range: &Range<'_>,
    ) -> Result<bool, Contradiction> {
        if range.offset == 0 && !self.pieces.has_first() {
            self.protocol = fragment.protocol;
        }
        self.frames = self.frames.saturating_add(fragment.frames);
        self.meta = FrameMeta {
            wire_len: self.meta.wire_len.saturating_add(fragment.meta.wire_len),
            ..fragment.meta
        };
        self.pieces.add(range)
    }

    /// Reads the datagram, all of which came by.
    pub fn read<'a>(&'a mut self, key: &'a Key) -> Decoded<'a> {
        let beginning = self.pieces.beginning();
        resume(
            self.meta,
            key.path,
            Datagram {
                protocol: IpNumber(self.protocol),
                addresses: Addresses::Known {
                    src: &key.src,
                    dst: &key.dst,
                },
                hops: 0,
                payload: Span::new(beginning.data, beginning.missing),
            },
        )
    }

    /// Reads what is there of the beginning.
    pub fn read_beginning<'a>(&'a mut self, key: &'a Key) -> Decoded<'a> {
        let beginning = self.pieces.beginning();
        let known = beginning.missing;
        let missing = if beginning.end_known {
            known
        } else {
            // Without the last fragment only what is inside can say how long it is: a UDP header would be taken for a
            // lie if the datagram were thought to end here.
            MAX_DATAGRAM - beginning.data.len()
        };
        let datagram = Datagram {
            protocol: IpNumber(self.protocol),
            addresses: Addresses::Known {
                src: &key.src,
                dst: &key.dst,
            },
            hops: 0,
            payload: Span::new(beginning.data, missing),
        };
        let mut decoded = resume(self.meta, key.path, datagram);
        if let Decoded::Packet(packet) = &mut decoded
            && packet.path == key.path
            && (packet.transport() == Transport::Tcp || packet.cut == missing)
        {
            // Nothing inside said so: what other fragments say is all there is to know.
            packet.cut = packet.cut.saturating_sub(missing - known);
        }
        decoded
    }

    /// Passes the beginning of a TCP segment on.
    pub fn tell_tcp(&mut self, key: &Key, deliver: &mut dyn FnMut(&Packet<'_>)) {
        if let Decoded::Packet(packet) = self.read_beginning(key)
            && packet.transport() == Transport::Tcp
        {
            deliver(&Packet { cut: 0, ..packet });
            self.told = true;
            self.meta.wire_len = 0;
        }
    }
}
