//! From folders to files.

use super::build::Order;
use super::compressed::{gzip, zstd};
use imwarden::capture::{CaptureError, expand};
use std::fs;
use std::path::PathBuf;

#[test]
fn takes_captures_by_content_in_sorted_order() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let pcap = Order::Big.pcap_header(0xa1b2_3c4d, 1);
    fs::create_dir_all(at("b/deep")).unwrap();
    for (name, content) in [
        ("z.pcap", &pcap[..]),
        ("c.log", &Order::Little.section()),
        ("b/deep/no-name", &gzip(&pcap)),
        ("b/a.zst", &zstd(&Order::Big.section())),
        // None of these is one.
        ("a.pcap", b"text"),
        ("b/empty.pcap", b""),
        ("b/page.gz", &gzip(b"<html>")),
        ("b/broken.gz", &gzip(&pcap)[..12]),
    ] {
        fs::write(at(name), content).unwrap();
    }
    assert_eq!(
        expand(&[folder.path()]).unwrap(),
        [
            at("b/a.zst"),
            at("b/deep/no-name"),
            at("c.log"),
            at("z.pcap")
        ]
    );
}

#[test]
fn named_files_are_kept_whatever_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("notes.txt");
    fs::write(&text, "text").unwrap();
    let named = [text, PathBuf::from("-"), folder.path().join("missing")];
    assert_eq!(expand(&named).unwrap(), named);
}

#[test]
fn a_folder_without_captures_is_an_error_that_counts_its_files() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("notes.txt"), "text").unwrap();
    match expand(&[folder.path()]) {
        Err(CaptureError::NoCaptures { files, .. }) => assert_eq!(files, 1),
        other => panic!("{other:?}"),
    }
}

#[cfg(unix)]
#[test]
fn links_lead_neither_round_in_circles_nor_to_the_same_capture_twice() {
    let folder = tempfile::tempdir().unwrap();
    let capture = folder.path().join("a.pcap");
    fs::write(&capture, Order::Big.pcap_header(0xa1b2_c3d4, 1)).unwrap();
    std::os::unix::fs::symlink(folder.path(), folder.path().join("loop")).unwrap();
    std::os::unix::fs::symlink(&capture, folder.path().join("latest")).unwrap();
    assert_eq!(expand(&[folder.path()]).unwrap(), [capture]);
}
