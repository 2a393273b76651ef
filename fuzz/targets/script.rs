//! What an input of a stream target says: who speaks, what, and what is missing.
//!
//! Plain bytes are content. A mark and a control byte begin the next step, so that a fuzzer may insert, remove and splice
//! content without breaking anything else.

use imwarden::model::Direction;

/// Begins a step. Two bytes that no protocol here uses together.
const MARK: [u8; 2] = [0xb5, 0xb6];

/// One step of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which of eight flows, for the targets that have several.
    pub flow: usize,
    /// Who speaks.
    pub direction: Direction,
    /// What comes.
    pub what: What,
}

/// Content, or the lack of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Bytes that one side writes at once; one datagram of UDP.
    Bytes(Vec<u8>),
    /// Bytes that the capture does not have.
    Gap(u64),
}

/// Reads steps: bit 0 of a control byte is the direction, bits 1 to 3 the flow; with bit 7, bits 0 to 5 are how many
/// bytes are missing in the direction and flow of the step before, as a power of two.
pub fn steps(mut data: &[u8]) -> Vec<Step> {
    let mut steps = Vec::new();
    let (mut flow, mut direction) = (0, Direction::ToServer);
    while !data.is_empty() {
        let mark = data.windows(2).position(|pair| pair == MARK);
        let (content, rest) = data.split_at(mark.unwrap_or(data.len()));
        if !content.is_empty() {
            let what = What::Bytes(content.to_vec());
            steps.push(Step {
                flow,
                direction,
                what,
            });
        }
        let Some(control) = rest.get(2).copied() else {
            break;
        };
        data = &rest[3..];
        if control & 0x80 == 0 {
            direction = Direction::BOTH[usize::from(control & 1)];
            flow = usize::from(control >> 1 & 7);
        } else {
            // One step more than a power of two, so that there are gaps that end inside a unit.
            let what = What::Gap((1_u64 << (control & 0x3f)) | 1);
            steps.push(Step {
                flow,
                direction,
                what,
            });
        }
    }
    steps
}

/// The reverse of [`steps`], to make inputs. Gaps are rounded.
pub fn write(steps: &[Step]) -> Vec<u8> {
    let mut out = Vec::new();
    for step in steps {
        let control = (step.flow as u8 & 7) << 1 | step.direction.index() as u8;
        out.extend(MARK);
        out.push(control);
        match &step.what {
            What::Bytes(bytes) => out.extend(bytes),
            What::Gap(missing) => {
                out.extend(MARK);
                out.push(0x80 | missing.checked_ilog2().unwrap_or(0) as u8);
            }
        }
    }
    out
}

/// How content is cut into pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cuts {
    /// Not at all.
    Whole,
    /// Into single bytes.
    Ones,
    /// Anyhow; the number makes the difference.
    Random(u64),
}

impl Cuts {
    /// The pieces of some content; none of nothing.
    pub fn pieces<'a>(&mut self, mut bytes: &'a [u8]) -> Vec<&'a [u8]> {
        let mut pieces = Vec::new();
        while !bytes.is_empty() {
            let length = match self {
                Self::Whole => bytes.len(),
                Self::Ones => 1,
                Self::Random(state) => {
                    let step = random(state);
                    // Mostly short, sometimes the most of what there is.
                    1 + (step >> 8) as usize % (1 << (step & 7)).min(bytes.len()).max(1)
                }
            };
            let (piece, rest) = bytes.split_at(length.min(bytes.len()));
            pieces.push(piece);
            bytes = rest;
        }
        pieces
    }
}

/// The next number of a small generator (xorshift64*).
pub fn random(state: &mut u64) -> u64 {
    *state |= u64::from(*state == 0);
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    state.wrapping_mul(0x2545_f491_4f6c_dd1d)
}

/// A number that depends on all of the bytes (FNV-1a).
pub fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Numbers out of an input; zeroes behind its end.
#[derive(Debug)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// One byte.
    pub fn u8(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    /// Two bytes.
    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.u8(), self.u8()])
    }

    /// Four bytes.
    pub fn u32(&mut self) -> u32 {
        u32::from(self.u16()) << 16 | u32::from(self.u16())
    }

    /// At most so many bytes.
    pub fn take(&mut self, most: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        taken
    }
}
