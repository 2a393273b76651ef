//! Text from the wire, made safe for a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Escapes what could steer a terminal or turn the text around: control characters, and the invisible
/// formatting characters (bidirectional overrides, zero-width) that make one name look like another.
pub fn clean(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_unsafe(c) {
            // Writing to a String cannot fail.
            let _ = write!(out, "{}", c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn names_pass_and_terminal_sequences_do_not() {
        assert_eq!(clean("Jürgen 漢字 🦀"), "Jürgen 漢字 🦀");
        assert_eq!(
            clean("a\x1b[2Jb\r\n\u{9b}c"),
            "a\\u{1b}[2Jb\\u{d}\\u{a}\\u{9b}c"
        );
        assert_eq!(clean("evil\u{202e}exe"), "evil\\u{202e}exe");
    }
}
