//! Header fields of messages, invitations and session requests: `Name: value` lines up to an empty line.

/// Fields of one header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a>(&'a str);

impl<'a> Fields<'a> {
    /// The first value of that name, whatever its case (libpurple writes `Ipv4Internal-Port`).
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.0.lines().find_map(|line| {
            let (key, rest) = line.trim_start().split_at_checked(name.len())?;
            let value = rest.trim_start().strip_prefix(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The first line, which a request has before its fields.
    pub fn first_line(&self) -> &'a str {
        self.0.lines().next().unwrap_or_default()
    }

    /// The media type, without parameters.
    pub fn content_type(&self) -> &'a str {
        self.get("Content-Type")
            .and_then(|value| value.split(';').next())
            .unwrap_or_default()
            .trim()
    }
}

/// Parts a message into its header and what follows the empty line. Without one, all of it is header.
pub(super) fn split(message: &[u8]) -> (Fields<'_>, &[u8]) {
    let (head, body) = match memchr::memmem::find(message, b"\r\n\r\n") {
        Some(end) => (message.get(..end), message.get(end + 4..)),
        None => (Some(message), None),
    };
    (fields(head.unwrap_or_default()), body.unwrap_or_default())
}

/// Fields without a body, up to the first byte that is no UTF-8.
pub(super) fn fields(bytes: &[u8]) -> Fields<'_> {
    Fields(match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => bytes
            .get(..error.valid_up_to())
            .and_then(|good| std::str::from_utf8(good).ok())
            .unwrap_or(""),
    })
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn names_have_no_case_and_the_body_keeps_its_bytes() {
        let (head, body) = split(
            b"MIME-Version: 1.0\r\ncontent-type: text/plain; charset=UTF-8\r\n\r\nHey\r\n\r\nBob",
        );
        assert_eq!(head.content_type(), "text/plain");
        assert_eq!(head.get("mime-VERSION"), Some("1.0"));
        assert_eq!(head.get("X-None"), None);
        assert_eq!(body, b"Hey\r\n\r\nBob");
    }

    #[test]
    fn a_header_without_end_or_with_foreign_bytes_is_read_as_far_as_it_goes() {
        let (head, body) = split(b"A: 1\r\nB: \xff2");
        assert_eq!(head.get("A"), Some("1"));
        assert_eq!(head.get("B"), Some(""));
        assert!(body.is_empty());
    }
}
