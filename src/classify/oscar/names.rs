//! Text from the wire that may be shown: account names and what clients say about themselves.

/// The longest account name kept: an e-mail address, the longest form that signs on, stays below.
const MAX_NAME: usize = 97;
/// The longest self-description kept.
const MAX_TEXT: usize = 128;

/// An account name in one spelling: AIM ignores spaces and case. `None` for what cannot be a name.
pub fn account(bytes: &[u8]) -> Option<String> {
    let name: String = bytes
        .iter()
        .filter(|b| **b != b' ')
        .map(|b| char::from(b.to_ascii_lowercase()))
        .collect();
    let plausible =
        !name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(|b| b.is_ascii_graphic());
    plausible.then_some(name)
}

/// Whether a name is an ICQ number.
pub fn is_uin(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit())
}

/// Readable text without control characters, cut to a sane length.
pub fn text(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?.trim_matches(['\0', ' ']);
    if text.is_empty() || text.chars().any(char::is_control) {
        return None;
    }
    Some(text.chars().take(MAX_TEXT).collect())
}

#[cfg(test)]
mod tests {
    use super::{account, is_uin, text};

    #[test]
    fn names_have_one_spelling() {
        assert_eq!(account(b"Alice In Chat").as_deref(), Some("aliceinchat"));
        assert_eq!(
            account(b"bob@example.com").as_deref(),
            Some("bob@example.com")
        );
        assert_eq!(account(b"  "), None);
        assert_eq!(account(b"bob\0"), None);
        assert_eq!(account(&[b'a'; 98]), None);
        assert_eq!(account("böb".as_bytes()), None);
    }

    #[test]
    fn numbers_are_icq() {
        assert!(is_uin("1000001"));
        assert!(!is_uin("alice1"));
        assert!(!is_uin(""));
    }

    #[test]
    fn text_is_shown_only_when_readable() {
        assert_eq!(text(b"Example/1.0\0").as_deref(), Some("Example/1.0"));
        assert_eq!(text(b"a\x1b[2J"), None);
        assert_eq!(text(&[0xFF, 0xFE]), None);
        assert_eq!(text(&[b'x'; 500]).map(|t| t.len()), Some(128));
    }
}
