//! The versions whose Initial packets can be opened: the standard's, its drafts and those of vendors, which old captures
//! are full of.
//!
//! Numbers and salts: RFC 9001 (5.2), RFC 9369 (3.3), draft-ietf-quic-tls-22 to -34 (5.2); of Google's and Meta's versions, Wireshark
//! `epan/dissectors/packet-quic.c` and nDPI `src/lib/protocols/quic.c`.

/// A version, or several that are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// RFC 9000 and 9001, and the last two drafts of them.
    V1,
    /// RFC 9369.
    V2,
    /// Draft 22, and what Meta made of it.
    Draft22,
    /// Drafts 23 to 28, and what Meta made of them.
    Draft23,
    /// Drafts 29 to 32.
    Draft29,
    /// Google's, with its own handshake.
    Q050,
    /// Google's, with TLS.
    T050,
    T051,
}

impl Version {
    /// Every one.
    #[cfg(test)]
    pub(super) const ALL: [Self; 8] = [
        Self::V1,
        Self::V2,
        Self::Draft22,
        Self::Draft23,
        Self::Draft29,
        Self::Q050,
        Self::T050,
        Self::T051,
    ];

    pub(super) const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            1 | 0xff00_0021 | 0xff00_0022 => Self::V1,
            0x6b33_43cf => Self::V2,
            0xff00_0016 | 0xface_b001 => Self::Draft22,
            0xff00_0017..=0xff00_001c | 0xface_b002 | 0xface_b00e => Self::Draft23,
            0xff00_001d..=0xff00_0020 => Self::Draft29,
            0x5130_3530 => Self::Q050,
            0x5430_3530 => Self::T050,
            0x5430_3531 => Self::T051,
            _ => return None,
        })
    }

    /// As it is told.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::V1 => "Initial packet, version 1",
            Self::V2 => "Initial packet, version 2",
            Self::Draft22 => "Initial packet, draft 22",
            Self::Draft23 => "Initial packet, drafts 23 to 28",
            Self::Draft29 => "Initial packet, drafts 29 to 32",
            Self::Q050 => "Initial packet, version Q050",
            Self::T050 => "Initial packet, version T050",
            Self::T051 => "Initial packet, version T051",
        }
    }

    /// The long header's type that is Initial.
    pub(super) const fn initial(self) -> u8 {
        match self {
            Self::V2 => 0b01,
            _ => 0b00,
        }
    }

    /// The type of frame that carries the handshake.
    pub(super) const fn crypto_frame(self) -> usize {
        match self {
            Self::Q050 | Self::T050 | Self::T051 => 8,
            _ => 6,
        }
    }

    pub(super) const fn salt(self) -> [u8; 20] {
        match self {
            Self::V1 => [
                0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8,
                0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a,
            ],
            Self::V2 => [
                0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26,
                0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9,
            ],
            Self::Draft22 => [
                0x7f, 0xbc, 0xdb, 0x0e, 0x7c, 0x66, 0xbb, 0xe9, 0x19, 0x3a, 0x96, 0xcd, 0x21, 0x51,
                0x9e, 0xbd, 0x7a, 0x02, 0x64, 0x4a,
            ],
            Self::Draft23 => [
                0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7, 0xd2, 0x43, 0x2b, 0xb4,
                0x63, 0x65, 0xbe, 0xf9, 0xf5, 0x02,
            ],
            Self::Draft29 => [
                0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97, 0x86, 0xf1, 0x9c, 0x61,
                0x11, 0xe0, 0x43, 0x90, 0xa8, 0x99,
            ],
            Self::Q050 => [
                0x50, 0x45, 0x74, 0xef, 0xd0, 0x66, 0xfe, 0x2f, 0x9d, 0x94, 0x5c, 0xfc, 0xdb, 0xd3,
                0xa7, 0xf0, 0xd3, 0xb5, 0x6b, 0x45,
            ],
            Self::T050 => [
                0x7f, 0xf5, 0x79, 0xe5, 0xac, 0xd0, 0x72, 0x91, 0x55, 0x80, 0x30, 0x4c, 0x43, 0xa2,
                0x36, 0x7c, 0x60, 0x48, 0x83, 0x10,
            ],
            Self::T051 => [
                0x7a, 0x4e, 0xde, 0xf4, 0xe7, 0xcc, 0xee, 0x5f, 0xa4, 0x50, 0x6c, 0x19, 0x12, 0x4f,
                0xc8, 0xcc, 0xda, 0x6e, 0x03, 0x3d,
            ],
        }
    }

    /// Labels of key, nonce and header protection.
    pub(super) const fn labels(self) -> [&'static [u8]; 3] {
        match self {
            Self::V2 => [b"quicv2 key", b"quicv2 iv", b"quicv2 hp"],
            _ => [b"quic key", b"quic iv", b"quic hp"],
        }
    }
}
