//! TLS hellos as clients make them, down to the order of their extensions.

/// One in the making.
#[derive(Clone, Copy)]
pub struct Hello<'a> {
    /// The server that is asked for; nobody, if `None`.
    pub name: Option<&'a str>,
    /// Numbers of the extensions before the name, and behind it.
    pub before: &'a [u16],
    pub behind: &'a [u16],
    /// What the random number begins with.
    pub random: &'a [u8],
    /// Bytes of the session id.
    pub session: u8,
}

/// Supported groups, algorithms, protocols, keys: what most have.
pub const USUAL: [u16; 4] = [0x000A, 0x000D, 0x0010, 0x0033];

impl Default for Hello<'_> {
    fn default() -> Self {
        Self {
            name: None,
            before: &[],
            behind: &USUAL,
            random: b"",
            session: 32,
        }
    }
}

impl Hello<'_> {
    /// For this server, as OpenSSL would make it.
    pub fn to(name: &str) -> Vec<u8> {
        Hello {
            name: Some(name),
            ..Hello::default()
        }
        .bytes()
    }

    /// The whole record.
    pub fn bytes(&self) -> Vec<u8> {
        let mut extensions = Vec::new();
        let others = |all: &[u16]| -> Vec<u8> {
            all.iter()
                .flat_map(|number| extension(*number, &[1, 2, 3, 4]))
                .collect()
        };
        extensions.extend(others(self.before));
        if let Some(name) = self.name {
            let entry = [&[0][..], &counted(name.as_bytes())].concat();
            extensions.extend(extension(0, &counted(&entry)));
        }
        extensions.extend(others(self.behind));
        let mut body = vec![3, 3];
        let mut random = self.random.to_vec();
        random.resize(32, 0x55);
        body.extend(random);
        body.push(self.session);
        body.extend(std::iter::repeat_n(0x66, self.session.into()));
        body.extend(counted(&[0x13, 0x01, 0x13, 0x02]));
        body.extend([1, 0]);
        body.extend(counted(&extensions));
        let mut hello = vec![1, 0];
        hello.extend(counted(&body));
        [&[0x16, 3, 1][..], &counted(&hello)].concat()
    }
}

fn extension(number: u16, body: &[u8]) -> Vec<u8> {
    [&number.to_be_bytes()[..], &counted(body)].concat()
}

/// With its length before it.
fn counted(bytes: &[u8]) -> Vec<u8> {
    [
        &u16::try_from(bytes.len()).unwrap().to_be_bytes()[..],
        bytes,
    ]
    .concat()
}
