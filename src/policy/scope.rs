//! Whom a policy is about, besides addresses: interfaces, ways to know a messenger by, the byte of the mark, days.

use jiff::civil::Date;
use std::fmt;
use std::str::FromStr;

/// The kernel's limit, less the final NUL.
const LONGEST_INTERFACE: usize = 15;

/// The name of a network interface; nothing that could break out of a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interface(String);

impl Interface {
    /// The name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl FromStr for Interface {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-@:".contains(c);
        if name.is_empty() || name.len() > LONGEST_INTERFACE || !name.chars().all(plain) {
            return Err(
                "an interface's name has 1 to 15 letters, digits, '.', '_', '-', '@' and ':'",
            );
        }
        Ok(Self(name.to_owned()))
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Which way connections must take to be judged; no interface means any.
///
/// Where there is no such side (what this machine opens comes in nowhere), that side is not asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interfaces {
    /// Where the opener's packets come in.
    pub incoming: Vec<Interface>,
    /// Where they go out.
    pub outgoing: Vec<Interface>,
}

impl Interfaces {
    /// Whether any way is meant.
    pub const fn is_any(&self) -> bool {
        self.incoming.is_empty() && self.outgoing.is_empty()
    }

    /// Adds `in:NAME` or `out:NAME`.
    pub fn add(&mut self, text: &str) -> Result<(), &'static str> {
        let (side, name) = match text.split_once(':') {
            Some(("in", name)) => (&mut self.incoming, name),
            Some(("out", name)) => (&mut self.outgoing, name),
            _ => return Err("write in:NAME or out:NAME, such as in:eth0"),
        };
        side.push(name.parse()?);
        side.sort_unstable();
        side.dedup();
        Ok(())
    }

    /// Whether a connection that takes this way is meant; `None` where there is no such side.
    pub fn take(&self, incoming: Option<&str>, outgoing: Option<&str>) -> bool {
        let any = |wanted: &[Interface], is: Option<&str>| {
            is.is_none_or(|is| wanted.is_empty() || wanted.iter().any(|it| it.name() == is))
        };
        any(&self.incoming, incoming) && any(&self.outgoing, outgoing)
    }
}

/// `in:eth0, out:wan0`.
impl fmt::Display for Interfaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let incoming = self.incoming.iter().map(|it| format!("in:{it}"));
        let outgoing = self.outgoing.iter().map(|it| format!("out:{it}"));
        let all: Vec<String> = incoming.chain(outgoing).collect();
        f.write_str(&all.join(", "))
    }
}

/// By what a messenger is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a way by itself, and any of them go together"
)]
pub struct Matching {
    /// The ports of the tables.
    pub ports: bool,
    /// The addresses that host names stand for: sets that a resolver fills.
    pub names: bool,
    /// What a connection opens with, on whatever port.
    pub signatures: bool,
    /// The name that a TLS client asks its server for (SNI), on whatever port.
    pub sni: bool,
}

impl Default for Matching {
    fn default() -> Self {
        Self {
            ports: true,
            names: false,
            signatures: false,
            sni: false,
        }
    }
}

/// A byte of the connection mark that is ours, and what we write into it. The rest is left to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    shift: u32,
    value: u8,
}

impl Default for Mark {
    fn default() -> Self {
        Self {
            shift: 16,
            value: 0x49,
        }
    }
}

impl Mark {
    /// The byte.
    pub const fn mask(self) -> u32 {
        0xff << self.shift
    }

    /// What is written there.
    pub const fn value(self) -> u32 {
        (self.value as u32) << self.shift
    }

    /// Another value of the same byte, for the opposite of what this one says. It is no policy's usual one.
    #[must_use]
    pub fn opposite(self) -> Self {
        let taken = |value: &u8| *value == 0 || *value == Self::default().value;
        let others = [self.value ^ 0x80, self.value ^ 0x40];
        let value = others.into_iter().find(|value| !taken(value));
        Self {
            value: value.unwrap_or(u8::MAX),
            ..self
        }
    }
}

impl FromStr for Mark {
    type Err = &'static str;

    /// `0x00490000/0x00ff0000`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str =
            "write VALUE/MASK, where the mask is one whole byte, such as 0x490000/0xff0000";
        let number = |text: &str| match text.trim().strip_prefix("0x") {
            Some(hex) if hex.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                u32::from_str_radix(hex, 16).ok()
            }
            _ => None,
        };
        let (value, mask) = text.split_once('/').ok_or(WRONG)?;
        let (value, mask) = (number(value).ok_or(WRONG)?, number(mask).ok_or(WRONG)?);
        let shift = mask.trailing_zeros();
        if !matches!(shift, 0 | 8 | 16 | 24) || mask != 0xff << shift || value & !mask != 0 {
            return Err(WRONG);
        }
        let value = (value >> shift) as u8;
        if value == 0 {
            return Err("a mark of 0 is no mark: every connection begins with it");
        }
        Ok(Self { shift, value })
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}/{:#x}", self.value(), self.mask())
    }
}

/// Whether something that ends with a day is over. The day itself still counts.
pub(super) fn is_over(until: Option<Date>, as_of: Option<Date>) -> bool {
    matches!((until, as_of), (Some(until), Some(today)) if until < today)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_one_byte_of_its_own() {
        let mark: Mark = "0x490000/0xff0000".parse().unwrap();
        assert_eq!(mark, Mark::default());
        assert_eq!(mark.to_string(), "0x490000/0xff0000");
        assert_eq!("0x1/0xff".parse::<Mark>().unwrap().value(), 1);
        assert_eq!(
            "0x80000000/0xff000000".parse::<Mark>().unwrap().mask(),
            0xff00_0000
        );
        for wrong in [
            "",
            "0x49",
            "49/255",
            "0x490000/0xffff0000",
            "0x4900/0xff0000",
            "0x0/0xff",
            "0x490000/0x0ff00000",
            "0x1/0x0",
            "0x+1/0xff",
        ] {
            assert!(wrong.parse::<Mark>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_opposite_of_a_mark_is_another_that_is_one() {
        for value in 1..=u8::MAX {
            let mark = Mark { shift: 8, value };
            let other = mark.opposite();
            assert!(other.value != value && other.value != 0, "{mark}");
            assert_ne!(other.value, Mark::default().value, "{mark}");
            assert_eq!(other.mask(), mark.mask());
        }
    }

    #[test]
    fn an_interface_is_a_name_and_nothing_else() {
        let mut all = Interfaces::default();
        for right in ["in:eth0", "out:wan.7", "in:br-lan", "in:eth0"] {
            all.add(right).unwrap();
        }
        assert_eq!(all.to_string(), "in:br-lan, in:eth0, out:wan.7");
        assert!(all.take(Some("eth0"), Some("wan.7")));
        assert!(all.take(None, Some("wan.7")));
        assert!(!all.take(Some("eth0"), Some("eth0")));
        for wrong in [
            "eth0",
            "in:",
            "in:a\" drop",
            "in:averyverylongname",
            "in:a b",
            "in:eth+",
            "up:eth0",
        ] {
            assert!(all.add(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_last_day_still_counts() {
        let day = |text: &str| text.parse::<Date>().ok();
        assert!(!is_over(day("2026-11-28"), day("2026-11-28")));
        assert!(is_over(day("2026-11-27"), day("2026-11-28")));
        assert!(!is_over(None, day("2026-11-28")));
        assert!(!is_over(day("2026-11-27"), None));
    }
}
