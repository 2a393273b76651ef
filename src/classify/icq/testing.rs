//! What the tests of this family share.
#![allow(clippy::unwrap_used)]

pub fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap())
        .collect()
}

// Made for tests, not captured; their self check ties the bytes together, so the account stays as it was made.
/// Version 5: UIN 123456 signs on, session 0x11223344.
pub const LOGIN_V5: &str = "05000000000040e20100ef87645752b74746cdb4fef9c021c605c68ce649c2b44f46cdd12534c7c07774902c4646a974ee47c3b04646cbb44046acb44046c8b44646a3b4444698b51646cbb44546b0b44646cbb4";
/// Version 5: UIN 123456 writes to UIN 654321.
pub const MESSAGE_V5: &str =
    "05000000000040e20100070a2f955c380e846739fef9c021fc7f4a390c845c3965e13a556284";
/// Version 5: the server delivers a message of UIN 654321; its check code is arbitrary.
pub const DELIVERED_V5: &str = "0500004433221104010100000040e2010078563412f1fb090001000300686900";
/// Version 2: UIN 123456 signs on.
pub const LOGIN_V2: &str = "0200e803010040e2010005040000090073656372657431320072000400c0a801050400000200000000000000000000000000";
