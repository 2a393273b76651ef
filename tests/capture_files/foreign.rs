//! What is no capture is named.

use super::build::Order;
use super::compressed::{gzip, zstd};
use super::read;
use imwarden::capture::{CaptureError, open};

fn found(bytes: &[u8]) -> String {
    match read(bytes).error {
        Some(CaptureError::NotACapture { found, .. }) => found,
        other => panic!("{other:?}"),
    }
}

#[test]
fn says_what_it_is_instead() {
    assert_eq!(
        found(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR and so on"),
        "a PNG image"
    );
    assert_eq!(
        found(b"GET / HTTP/1.1\r\n"),
        "text that begins with \"GET / HTTP/1.1\""
    );
    assert_eq!(found(b"{\"a\":1}"), "JSON");
    assert_eq!(found(b"x"), "text that begins with \"x\"");
    assert_eq!(
        found(&[0; 4096]),
        "data that begins with the bytes 00 00 00 00 00 00 00 00"
    );
    // The byte order of no machine.
    assert_eq!(
        found(&[0xa1, 0xb2, 0xd4, 0xc3, 0, 2, 0, 4]),
        "data that begins with the bytes a1 b2 d4 c3 00 02 00 04"
    );
    // Begins like a pcapng section but has no byte-order magic: text with blank lines.
    assert_eq!(
        found(b"\n\r\r\nhello, here is text"),
        "text that begins with \"hello, here is text\""
    );
    let mut tar = vec![b'a'; 100];
    tar.resize(512, 0);
    tar[257..262].copy_from_slice(b"ustar");
    assert_eq!(found(&tar), "a tar archive; unpack it first");
}

#[test]
fn looks_into_compressed_files() {
    assert_eq!(
        found(&gzip(b"<!DOCTYPE html><html>")),
        "a gzip file that holds an HTML page"
    );
    assert_eq!(
        found(&zstd(b"\x7fELF\x02\x01\x01\0 and more")),
        "a zstd file that holds an ELF program"
    );
    assert_eq!(found(&gzip(b"")), "a gzip file that holds nothing");
    let capture = Order::Little.pcap_header(0xa1b2_c3d4, 1);
    assert_eq!(
        found(&gzip(&gzip(&capture))),
        "a gzip file that holds yet another compressed file"
    );
}

#[test]
fn an_empty_file_is_called_empty() {
    let outcome = read(b"");
    assert!(
        matches!(outcome.error, Some(CaptureError::Empty { .. })),
        "{:?}",
        outcome.error
    );
    assert!(outcome.error.unwrap().to_string().contains("0 bytes"));
}

#[test]
fn a_folder_and_a_missing_file_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(
        open(folder.path()),
        Err(CaptureError::Folder { .. })
    ));
    let missing = folder.path().join("missing.pcap");
    let Err(error) = open(&missing) else {
        panic!("opened")
    };
    assert!(matches!(error, CaptureError::Open { .. }));
    assert!(error.to_string().contains("missing.pcap"));
}
