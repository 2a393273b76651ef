//! The shape of RTP (RFC 3550, 5.1): one source that counts its packets.

use crate::model::Direction;

const HEADER: usize = 12;
/// Packets of a source in a row before they are believed.
const IN_A_ROW: u8 = 5;
/// What may be lost between two of them.
const MOST_LOST: u16 = 32;
/// Types that RTCP's look like where both share a port (RFC 5761, 4).
const CONTROL: std::ops::RangeInclusive<u8> = 64..=95;

/// Waits for voice or video in a flow that something else named.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watch {
    sources: [Option<Source>; 2],
    found: bool,
}

#[derive(Clone, Copy, Debug)]
struct Source {
    id: [u8; 4],
    number: u16,
    seen: u8,
}

/// Its source and its number.
fn header(bytes: &[u8]) -> Option<([u8; 4], u16)> {
    let header = bytes.first_chunk::<HEADER>()?;
    let version = header[0] >> 6;
    let kind = header[1] & 0x7f;
    let id = [header[8], header[9], header[10], header[11]];
    let sources = usize::from(header[0] & 0x0f);
    let fits = version == 2
        && !CONTROL.contains(&kind)
        && id != [0; 4]
        && bytes.len() > HEADER + 4 * sources;
    fits.then(|| (id, u16::from_be_bytes([header[2], header[3]])))
}

impl Watch {
    /// The next datagram; `true` when it completes the proof.
    pub fn feed(&mut self, direction: Direction, bytes: &[u8]) -> bool {
        if self.found {
            return false;
        }
        let Some((id, number)) = header(bytes) else {
            return false;
        };
        let source = &mut self.sources[direction.index()];
        match source {
            Some(source) if source.id == id => {
                let step = number.wrapping_sub(source.number);
                // A packet that comes again or late says nothing, neither way.
                if (1..=MOST_LOST).contains(&step) {
                    source.seen += 1;
                    source.number = number;
                } else if (MOST_LOST..=u16::MAX - MOST_LOST).contains(&step) {
                    *source = Source {
                        id,
                        number,
                        seen: 1,
                    };
                }
                self.found = source.seen >= IN_A_ROW;
            }
            _ => {
                *source = Some(Source {
                    id,
                    number,
                    seen: 1,
                });
            }
        }
        self.found
    }

    /// Whether it was found.
    pub const fn is_done(&self) -> bool {
        self.found
    }
}
