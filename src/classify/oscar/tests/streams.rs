//! Bytes of known meaning: builders, and vectors after public captures and specifications with other names.

/// Bytes from hexadecimal text.
pub fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

pub fn flap(channel: u8, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len()).unwrap();
    [
        &[b'*', channel][..],
        &sequence.to_be_bytes(),
        &len.to_be_bytes(),
        payload,
    ]
    .concat()
}

pub fn snac(family: u16, subtype: u16, body: &[u8]) -> Vec<u8> {
    [
        &family.to_be_bytes()[..],
        &subtype.to_be_bytes(),
        &[0; 5],
        &[1],
        body,
    ]
    .concat()
}

pub fn data(sequence: u16, family: u16, subtype: u16, body: &[u8]) -> Vec<u8> {
    flap(2, sequence, &snac(family, subtype, body))
}

pub fn tlv(kind: u16, value: &[u8]) -> Vec<u8> {
    let len = u16::try_from(value.len()).unwrap();
    [&kind.to_be_bytes()[..], &len.to_be_bytes(), value].concat()
}

pub fn short(name: &str) -> Vec<u8> {
    [&[u8::try_from(name.len()).unwrap()][..], name.as_bytes()].concat()
}

pub fn hello(sequence: u16) -> Vec<u8> {
    flap(1, sequence, &[0, 0, 0, 1])
}

/// A hello with the server's limits, 18 bytes.
pub fn server_hello() -> Vec<u8> {
    hex("2a017a2b000c00000001800100040000fffe")
}

/// The sign-on with the cookie of an earlier connection.
pub fn cookie_hello() -> Vec<u8> {
    let cookie: Vec<u8> = (0..=255).collect();
    flap(
        1,
        1,
        &[
            &[0, 0, 0, 1][..],
            &tlv(6, &cookie),
            &tlv(3, b"Example/1.0"),
            &tlv(0x4A, &[1]),
        ]
        .concat(),
    )
}

/// 0017/0006: asks for the key.
pub fn key_request() -> Vec<u8> {
    hex("2a0200020020 0017 0006 0000 00000001 0001000a 616c69636574657374 31 004b0000 005a0000")
}

/// 0017/0007: the key, a length and text.
pub fn key_answer() -> Vec<u8> {
    hex("2a0220300015 0017 0007 0000 00000001 0009 393631383439363032")
}

/// 0017/0002: the hash.
pub fn md5_login(twice: bool) -> Vec<u8> {
    let mut body = [tlv(1, b"Alice Test 1"), tlv(0x25, &[0x46; 16])].concat();
    if twice {
        body.extend(tlv(0x4C, &[]));
    }
    body.extend(tlv(3, b"AOL Instant Messenger, version 5.1.3036/WIN32"));
    data(3, 0x17, 2, &body)
}

/// 0017/0003: the next server, its cookie, and under `tls` that it wants TLS.
pub fn login_answer(server: &str, tls: Option<u8>) -> Vec<u8> {
    let mut body = [
        tlv(1, b"alicetest1"),
        tlv(5, server.as_bytes()),
        tlv(6, &[0xAB; 256]),
    ]
    .concat();
    body.extend(tls.map(|state| tlv(0x8E, &[state])).unwrap_or_default());
    data(4, 0x17, 3, &body)
}

/// An ICQ sign-on with UIN 123456 and the password under XOR.
pub fn roast_hello() -> Vec<u8> {
    hex("2a0100010083 00000001 00010006313233343536 000200088347f2b74ee9a9f6 00030033
         49435120496e632e202d2050726f64756374206f66204943512028544d292e32303033612e352e34352e312e333737372e3835
         00160002010a 001700020005 001800020002 0019 0002 0001 001a 0002 0ec1 0014 0004 00000055 000f 0002 656e 000e00027573")
}

/// Its answer, in channel 4.
pub fn channel_4_answer() -> Vec<u8> {
    hex(
        "2a042031002f 00010006313233343536 0005000d31302e302e302e353a35313931 00060010000102030405060708090a0b0c0d0e0f",
    )
}

/// The text of a channel 1 message.
const TEXT: &[u8] = b"\x05\x01\x00\x01\x01\x01\x01\x00\x10\x00\x00\x00\x00meet at noon";

/// 0004/0006: a message to somebody.
pub fn message_to(name: &str) -> Vec<u8> {
    let body = [
        &b"4628778\0\0\x01"[..],
        &short(name),
        &tlv(2, TEXT),
        &tlv(6, &[]),
    ]
    .concat();
    data(0x61, 4, 6, &body)
}

/// 0004/0007: a message from somebody, with two TLVs of user info.
pub fn message_from(name: &str) -> Vec<u8> {
    let info = [&[0, 0, 0, 2][..], &tlv(1, &[0, 0x10]), &tlv(3, &[0x41; 4])].concat();
    let body = [
        &b"\x01\x02\x03\x04\x05\x06\x07\x08\x00\x01"[..],
        &short(name),
        &info,
        &tlv(2, TEXT),
    ]
    .concat();
    data(0x62, 4, 7, &body)
}

/// 0009/0003 and the like: a unit that says nothing by itself.
pub fn dull(sequence: u16) -> Vec<u8> {
    data(sequence, 9, 2, &[])
}

/// The UUID of one of AOL's capabilities.
pub fn capability(code: u16) -> Vec<u8> {
    [
        &[0x09, 0x46][..],
        &code.to_be_bytes(),
        &hex("4c7f11d18222444553540000"),
    ]
    .concat()
}

/// The body of 0004/0006 with a channel 2 block: kind, cookie, capability, TLVs.
pub fn proposal_body(name: &str, kind: u16, code: u16, tlvs: &[u8]) -> Vec<u8> {
    let block = [
        &kind.to_be_bytes()[..],
        b"7174647\0",
        &capability(code),
        tlvs,
    ]
    .concat();
    [&b"7174647\0\0\x02"[..], &short(name), &tlv(5, &block)].concat()
}

/// A file offered to bob, after a real one of 128 bytes: listens on 192.168.1.158:5190.
pub fn file_offer() -> Vec<u8> {
    hex("2a020063007a 0004 0006 0000 00000000 3731373436343700 0002 0b 626f626279757365723031 0003 0000
         0005 0052 0000 3731373436343700 094613434c7f11d18222444553540000
         00020004c0a8019e 00030004c0a8019e 000500021446 000a00020001 000f0000
         27110014 0001 0001 00002ee8 7265706f72742e646f63780000")
        .into_iter()
        .take(128)
        .collect()
}

/// What a TOC client says, up to and with its sign-on: user toctest1, password "password".
pub fn toc_client() -> Vec<u8> {
    hex("464c41504f4e0d0a0d0a 2a010001001000000001 00010008746f637465737431
         2a0200020053 746f635f7369676e6f6e206c6f67696e2e6f736361722e616f6c2e636f6d203531393020746f637465737431
         2030783234303831303563323330303131333020656e676c69736820225449433a746573742200")
}

pub fn toc_line(text: &str) -> Vec<u8> {
    flap(2, 7, text.as_bytes())
}

/// An OFT header of 256 bytes.
pub fn oft(kind: u16, size: u32, received: u32) -> Vec<u8> {
    let mut bytes = vec![0; 256];
    bytes[..6].copy_from_slice(b"OFT2\x01\x00");
    bytes[6..8].copy_from_slice(&kind.to_be_bytes());
    bytes[21] = 1;
    bytes[32..36].copy_from_slice(&size.to_be_bytes());
    bytes[60..64].copy_from_slice(&received.to_be_bytes());
    bytes[68..80].copy_from_slice(b"Cool FileXfe");
    bytes[192..202].copy_from_slice(b"report.doc");
    bytes
}

/// An ODC header and its payload.
pub fn odc(sender: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = hex("4f444332004c00010006000031323334353637380000000000000000");
    bytes.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
    bytes.extend([0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]);
    bytes.extend(sender.as_bytes());
    bytes.resize(76, 0);
    bytes.extend(payload);
    bytes
}

/// A client asks the proxy for a meeting to send a file.
pub fn ars_create() -> Vec<u8> {
    hex(
        "002d044a0002000000000000 06746573746572 3132333435363738 00010010094613434c7f11d18222444553540000",
    )
}

/// The proxy's answers: a number and an address; both are there.
pub fn ars_created() -> Vec<u8> {
    hex("0010044a0003000000000000 1234 0a000009")
}
pub fn ars_ready() -> Vec<u8> {
    hex("000a044a0005000000000000")
}
