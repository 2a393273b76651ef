//! Units of a stream, read one after the other when enough of each is there.

use crate::model::Direction;

/// What was done with the bytes that a unit begins.
pub enum Step {
    /// It takes so many bytes, which may be more than are there: the rest is passed over.
    Past(usize),
    /// More bytes are needed.
    Wait,
    /// So many bytes are needed, with those that are there: nobody asks again before.
    WaitFor(usize),
    /// Nobody knows any more where a unit begins.
    Lost,
}

/// One direction.
#[derive(Debug, Default)]
pub struct Units {
    fed: bool,
    held: Vec<u8>,
    /// What is held is not looked at before there is so much.
    wanted: usize,
    /// Bytes that are passed over.
    skip: usize,
    lost: bool,
}

impl Units {
    /// The next bytes, of which `most` at a time are held while `read` waits.
    pub fn feed(&mut self, bytes: &[u8], most: usize, mut read: impl FnMut(&[u8]) -> Step) {
        if self.lost {
            return;
        }
        self.fed = true;
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        self.held.extend_from_slice(&bytes[skipped..]);
        if self.held.len() < self.wanted {
            return;
        }
        self.wanted = 0;
        let mut at = 0;
        while at < self.held.len() {
            match read(&self.held[at..]) {
                Step::Past(length) => at = at.saturating_add(length),
                Step::Wait => break,
                Step::WaitFor(total) => {
                    self.wanted = total;
                    break;
                }
                Step::Lost => return self.give_up(),
            }
        }
        self.skip += at.saturating_sub(self.held.len());
        self.held.drain(..at.min(self.held.len()));
        self.held.shrink_to(most);
    }

    /// Bytes are missing.
    pub fn gap(&mut self, missing: u64) {
        match usize::try_from(missing) {
            Ok(missing) if missing <= self.skip => self.skip -= missing,
            // Where a stream is joined in the middle, what is missing may be nothing at all.
            _ if !self.fed => {}
            _ => self.give_up(),
        }
    }

    fn give_up(&mut self) {
        self.lost = true;
        self.held = Vec::new();
    }

    /// Whether nothing more can be read.
    pub const fn is_lost(&self) -> bool {
        self.lost
    }

    /// Bytes held on the heap.
    pub fn memory(&self) -> usize {
        self.held.capacity()
    }
}

/// Both directions.
#[derive(Debug, Default)]
pub struct Sides([Units; 2]);

impl Sides {
    /// The next bytes of one of them; see [`Units::feed`].
    pub fn feed(
        &mut self,
        direction: Direction,
        bytes: &[u8],
        most: usize,
        read: impl FnMut(&[u8]) -> Step,
    ) {
        self.0[direction.index()].feed(bytes, most, read);
    }

    /// Bytes of one of them are missing.
    pub fn gap(&mut self, direction: Direction, missing: u64) {
        self.0[direction.index()].gap(missing);
    }

    /// Whether nothing more can be read of either.
    pub fn are_lost(&self) -> bool {
        self.0.iter().all(Units::is_lost)
    }

    /// Bytes held on the heap.
    pub fn memory(&self) -> usize {
        self.0.iter().map(Units::memory).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::{Step, Units};

    /// A length of one byte, then so many bytes; 255 is none. Only three bytes of a unit are wanted.
    fn read(units: &mut Units, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut seen = Vec::new();
        units.feed(bytes, 8, |held| match held[0] {
            255 => Step::Lost,
            length => match held.get(1..1 + usize::from(length).min(3)) {
                Some(wanted) => {
                    seen.push(wanted.to_vec());
                    Step::Past(1 + usize::from(length))
                }
                None => Step::Wait,
            },
        });
        seen
    }

    #[test]
    fn what_is_too_short_is_not_looked_at_again() {
        let mut units = Units::default();
        let (mut asked, mut read) = (0, Vec::new());
        for byte in 0..25 {
            units.feed(&[byte], 16, |held| {
                asked += 1;
                if held.len() < 10 {
                    return Step::WaitFor(10);
                }
                read.push(held[0]);
                Step::Past(10)
            });
        }
        assert_eq!((read, asked), (vec![0, 10], 5));
    }

    #[test]
    fn units_are_read_once_whatever_the_cut_and_what_is_missing() {
        let mut units = Units::default();
        assert_eq!(read(&mut units, &[2, 7]), Vec::<Vec<u8>>::new());
        assert_eq!(
            read(&mut units, &[8, 9, 1, 2, 3, 4]),
            [vec![7, 8], vec![1, 2, 3]]
        );
        units.gap(5);
        assert_eq!(
            read(&mut units, &[1, 6]),
            [vec![6]],
            "what was passed over may be missing"
        );
        units.gap(1);
        assert!(units.is_lost() && read(&mut units, &[1, 6]).is_empty());

        let mut units = Units::default();
        units.gap(u64::MAX);
        assert_eq!(read(&mut units, &[1, 6]), [vec![6]], "joined in the middle");
        assert!(
            read(&mut units, &[255, 1, 6]).is_empty() && units.is_lost() && units.memory() == 0
        );
    }
}
