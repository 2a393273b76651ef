//! Other names for accounts: the same one for the same account, as long as it was, letters for letters and digits for
//! digits, so that what tells an ICQ number from a screen name still does.

use super::material::{Material, Place};
use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};

/// Shorter ones are found everywhere; they are replaced like any other text.
const SHORTEST: usize = 3;

/// What accounts are called instead.
pub struct Pseudonyms {
    /// Longest first: one may be a part of another.
    names: Vec<Name>,
    secret: RandomState,
}

struct Name {
    /// In lower case, without spaces: what a protocol compares.
    letters: Vec<u8>,
    uin: Option<u32>,
}

/// One occurrence: where it stands, and what is to stand there.
pub type Occurrence = Vec<(Place, u8)>;

/// Whether an account gets another name.
pub fn is_told(name: &str) -> bool {
    name.bytes().filter(|byte| *byte != b' ').count() >= SHORTEST
}

impl Pseudonyms {
    /// For these accounts.
    pub fn new(names: &BTreeSet<String>) -> Self {
        let letters = |name: &String| {
            let letters = name.bytes().filter(|byte| *byte != b' ');
            letters.map(|byte| byte.to_ascii_lowercase()).collect()
        };
        let told = names.iter().filter(|name| is_told(name));
        let known: BTreeSet<Vec<u8>> = told.map(letters).collect();
        let mut names: Vec<Name> = known
            .into_iter()
            .map(|letters| Name {
                uin: std::str::from_utf8(&letters)
                    .ok()
                    .and_then(|digits| digits.parse().ok())
                    .filter(|uin| *uin >= 10_000),
                letters,
            })
            .collect();
        names.sort_by_key(|name| std::cmp::Reverse(name.letters.len()));
        Self {
            names,
            secret: RandomState::new(),
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.names.len()
    }

    /// Where a name stands: as text of any case, in 8 or 16 bits a letter, and as a number.
    pub fn find(&self, name: usize, material: &Material) -> Vec<Occurrence> {
        let Some(name) = self.names.get(name) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for stream in material.streams() {
            let mut at = 0;
            while at < stream.len() {
                let places = stream.get(at..).unwrap_or_default();
                let occurrence = [1, 2]
                    .into_iter()
                    .find_map(|step| self.text(name, material, places, step))
                    .or_else(|| self.number(name, material, places));
                at += occurrence.as_ref().map_or(1, Vec::len);
                found.extend(occurrence);
            }
        }
        found
    }

    /// The name as text that begins there, `step` bytes a letter.
    fn text(
        &self,
        name: &Name,
        material: &Material,
        places: &[Place],
        step: usize,
    ) -> Option<Occurrence> {
        let mut occurrence = Vec::new();
        let mut places = places.iter();
        for (index, wanted) in name.letters.iter().enumerate() {
            let mut place = places.next()?;
            let mut value = material.at(*place);
            if index > 0 && step == 2 {
                // Between two letters there is nothing in UTF-16, of whichever byte order.
                if value != 0 {
                    return None;
                }
                place = places.next()?;
                value = material.at(*place);
            }
            // Spaces do not count in a screen name, wherever they are.
            while index > 0 && value == b' ' && step == 1 {
                place = places.next()?;
                value = material.at(*place);
            }
            if value == b'%' && !wanted.is_ascii_alphanumeric() && step == 1 {
                let high = char::from(material.at(*places.next()?)).to_digit(16)?;
                let low = char::from(material.at(*places.next()?)).to_digit(16)?;
                if high * 16 + low != u32::from(*wanted) {
                    return None;
                }
                continue;
            }
            if value.to_ascii_lowercase() != *wanted {
                return None;
            }
            occurrence.push((*place, self.instead(&name.letters, index, value)));
        }
        Some(occurrence)
    }

    /// The account's number in four bytes, of either order.
    fn number(&self, name: &Name, material: &Material, places: &[Place]) -> Option<Occurrence> {
        let uin = name.uin?;
        let places = places.first_chunk::<4>()?;
        let bytes = places.map(|place| material.at(place));
        let instead = self.digits(&name.letters)?;
        let new = if bytes == uin.to_le_bytes() {
            instead.to_le_bytes()
        } else if bytes == uin.to_be_bytes() {
            instead.to_be_bytes()
        } else {
            return None;
        };
        Some(places.iter().copied().zip(new).collect())
    }

    /// What the number is instead.
    fn digits(&self, letters: &[u8]) -> Option<u32> {
        let digits: Vec<u8> = (0..letters.len())
            .zip(letters)
            .map(|(index, digit)| self.instead(letters, index, *digit))
            .collect();
        std::str::from_utf8(&digits).ok()?.parse().ok()
    }

    /// What stands instead of one letter.
    fn instead(&self, letters: &[u8], index: usize, value: u8) -> u8 {
        let number = self.secret.hash_one((letters, index));
        // A number does not begin with 0, and one of ten digits is below 2^31.
        let digit = match (index, letters.len()) {
            (0, 10..) => 1,
            (0, _) => 1 + number % 9,
            _ => number % 10,
        };
        substitute(value, number, digit as u8)
    }

    /// Something that is the same wherever the same bytes stood, and tells nothing of them: any bytes, or with `kind`
    /// bytes of the same kind. What is empty stays empty.
    pub fn token(&self, bytes: &[u8], kind: bool) -> Vec<u8> {
        let byte = |(index, value): (usize, &u8)| {
            let number = self.secret.hash_one((bytes, index));
            match *value {
                0 => 0,
                value if kind => substitute(value, number, (number % 10) as u8),
                _ => (number % 255) as u8 + 1,
            }
        };
        bytes.iter().enumerate().map(byte).collect()
    }
}

/// Another byte of the same kind.
const fn substitute(value: u8, number: u64, digit: u8) -> u8 {
    let letter = (number % 26) as u8;
    match value {
        b'a'..=b'z' => b'a' + letter,
        b'A'..=b'Z' => b'A' + letter,
        b'0'..=b'9' => b'0' + digit,
        0x80.. => b'x',
        other => other,
    }
}
