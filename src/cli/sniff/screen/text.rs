//! Words, cut and folded to columns of a terminal.

use ratatui::style::Style;
use ratatui::text::Span;
use std::time::Duration;

/// Which characters and colours the terminal takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Looks {
    pub colours: bool,
    pub utf8: bool,
}

impl Looks {
    /// As the environment says: <https://no-color.org>, and the locale.
    pub fn of_environment() -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
            .into_iter()
            .find_map(variable);
        let utf8 = locale.is_some_and(|locale| {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        });
        Self {
            colours: variable("NO_COLOR").is_none(),
            utf8,
        }
    }

    /// What stands where a text was cut.
    pub const fn cut(self) -> &'static str {
        if self.utf8 { "…" } else { "~" }
    }

    /// Which way a column is sorted.
    pub const fn arrow(self, descending: bool) -> &'static str {
        match (self.utf8, descending) {
            (true, true) => "▼",
            (true, false) => "▲",
            (false, true) => "v",
            (false, false) => "^",
        }
    }

    /// A terminal that does not take UTF-8 is given none.
    pub fn plain(self, text: String) -> String {
        if self.utf8 || text.is_ascii() {
            return text;
        }
        text.chars()
            .map(|c| if c.is_ascii() { c } else { '?' })
            .collect()
    }
}

/// Columns that a text takes.
pub fn width(text: &str) -> usize {
    Span::raw(text).width()
}

fn graphemes(text: &str) -> Vec<&str> {
    let span = Span::raw(text);
    let parts: Vec<usize> = span
        .styled_graphemes(Style::new())
        .map(|part| part.symbol.as_ptr() as usize - text.as_ptr() as usize)
        .collect();
    let ends = parts.iter().skip(1).copied().chain([text.len()]);
    parts
        .iter()
        .zip(ends)
        .filter_map(|(from, to)| text.get(*from..to))
        .collect()
}

/// As much of a text as goes into so many columns, and the rest.
fn split(text: &str, columns: usize) -> (&str, &str) {
    let (mut used, mut at) = (0, 0);
    for part in graphemes(text) {
        let more = width(part);
        if used + more > columns {
            break;
        }
        used += more;
        at += part.len();
    }
    (text.get(..at).unwrap_or(text), text.get(at..).unwrap_or(""))
}

/// A text in exactly so many columns: cut with a mark, or filled up.
pub fn fit(text: &str, columns: usize, right: bool, looks: Looks) -> String {
    let cut;
    let text = if width(text) > columns {
        let (kept, _) = split(text, columns.saturating_sub(1));
        cut = format!("{kept}{}", looks.cut());
        split(&cut, columns).0
    } else {
        text
    };
    let fill = " ".repeat(columns.saturating_sub(width(text)));
    if right {
        format!("{fill}{text}")
    } else {
        format!("{text}{fill}")
    }
}

/// A list in so many columns: whole items, and how many more there are.
pub fn fit_list(items: &str, columns: usize, looks: Looks) -> String {
    if width(items) <= columns {
        return fit(items, columns, false, looks);
    }
    let all: Vec<&str> = items.split(", ").collect();
    for kept in (1..all.len()).rev() {
        let shorter = format!(
            "{} +{}",
            all.get(..kept).unwrap_or_default().join(", "),
            all.len() - kept
        );
        if width(&shorter) <= columns {
            return fit(&shorter, columns, false, looks);
        }
    }
    fit(items, columns, false, looks)
}

/// A text in so many columns, cut after a word where that leaves most of it.
pub fn fit_words(text: &str, columns: usize, looks: Looks) -> String {
    if width(text) > columns {
        let (kept, _) = split(text, columns);
        let word = kept.rsplit_once(' ').map_or(kept, |(words, _)| words);
        if width(word) * 2 >= columns {
            return fit(&format!("{word}{}", looks.cut()), columns, false, looks);
        }
    }
    fit(text, columns, false, looks)
}

/// A text in lines of so many columns, broken between words where that can be.
pub fn fold(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let mut word = word;
        let joined = width(&line) + usize::from(!line.is_empty()) + width(word);
        if joined > columns && !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        while width(word) > columns {
            let (part, rest) = split(word, columns);
            // A character that is wider than the column.
            if part.is_empty() {
                break;
            }
            lines.push(part.to_owned());
            word = rest;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

/// `12.3K`: bytes, in steps of 1024.
pub fn bytes(count: u64) -> String {
    scaled(count, 1024, &["", "K", "M", "G", "T", "P"])
}

/// `12.3 Mbit/s`
pub fn bits(count: u64) -> String {
    let text = scaled(count, 1000, &["", "k", "M", "G", "T", "P"]);
    match text.strip_suffix(|c: char| c.is_ascii_alphabetic()) {
        Some(number) => {
            let unit = text.get(number.len()..).unwrap_or_default();
            format!("{number} {unit}bit/s")
        }
        None => format!("{text} bit/s"),
    }
}

fn scaled(count: u64, step: u64, units: &[&str]) -> String {
    let mut unit = 0;
    let mut scale = 1_u64;
    // Up to four digits are not rounded away.
    while unit + 1 < units.len() && count / scale >= 10_000.min(step * 10) {
        scale = scale.saturating_mul(step);
        unit += 1;
    }
    let name = units.get(unit).copied().unwrap_or_default();
    if unit == 0 {
        return count.to_string();
    }
    let (count, scale) = (u128::from(count), u128::from(scale));
    let tenths = (count * 10 + scale / 2) / scale;
    if tenths < 1000 {
        format!("{}.{}{name}", tenths / 10, tenths % 10)
    } else {
        format!("{}{name}", (count + scale / 2) / scale)
    }
}

/// How much a second, if it was so much in this time.
pub fn rate(count: u64, passed: Duration) -> u64 {
    let rate = u128::from(count) * 1_000_000 / passed.as_micros().max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

/// `12 345`, in groups of three: easier to read at a glance.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1d 02:03:04`
pub fn duration(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let clock = format!("{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
    if days == 0 {
        clock
    } else {
        format!("{days}d {clock}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOKS: Looks = Looks {
        colours: false,
        utf8: true,
    };

    #[test]
    fn texts_are_cut_to_columns_and_not_to_bytes() {
        assert_eq!(fit("alice", 8, false, LOOKS), "alice   ");
        assert_eq!(fit("12", 5, true, LOOKS), "   12");
        assert_eq!(fit("alice@example.com", 8, false, LOOKS), "alice@e…");
        // Each takes two columns: half of one does not fit.
        assert_eq!(fit("漢字漢字", 6, false, LOOKS), "漢字… ");
        assert_eq!(width(&fit("漢字漢字", 6, false, LOOKS)), 6);
        assert_eq!(fit("漢", 1, false, LOOKS), "…");
        assert_eq!(fit("abc", 0, false, LOOKS), "");
        let ascii = Looks {
            utf8: false,
            ..LOOKS
        };
        assert_eq!(fit("alice@example.com", 8, false, ascii), "alice@e~");
        assert_eq!(ascii.plain("Jürgen".into()), "J?rgen");
    }

    #[test]
    fn lists_lose_whole_items() {
        let list = "message, file-transfer, voice";
        assert_eq!(fit_list(list, 29, LOOKS), list);
        assert_eq!(fit_list(list, 25, LOOKS), "message, file-transfer +1");
        assert_eq!(fit_list(list, 12, LOOKS), "message +2  ");
        assert_eq!(fit_list(list, 5, LOOKS), "mess…");
        assert_eq!(fit_words("one two three", 11, LOOKS), "one two…   ");
        assert_eq!(fit_words("one two three", 13, LOOKS), "one two three");
        assert_eq!(fit_words("a longishword", 8, LOOKS), "a longi…");
    }

    #[test]
    fn lines_break_between_words() {
        assert_eq!(fold("one two three", 8), ["one two", "three"]);
        assert_eq!(fold("abcdefghij kl", 4), ["abcd", "efgh", "ij", "kl"]);
        assert_eq!(fold("", 4), [""]);
        assert_eq!(fold("漢字", 1), ["漢字"]);
        assert!(fold("漢字漢字 x", 5).iter().all(|line| width(line) <= 5));
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(bytes(0), "0");
        assert_eq!(bytes(9_999), "9999");
        assert_eq!(bytes(10_240), "10.0K");
        assert_eq!(bytes(256 << 20), "256M");
        assert_eq!(bytes(u64::MAX), "16384P");
        assert_eq!(bits(640), "640 bit/s");
        assert_eq!(bits(12_345_678), "12.3 Mbit/s");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(12), "12");
        assert_eq!(duration(93_784), "1d 02:03:04");
    }
}
