//! The HTML report in a real browser: it loads without a complaint, shows what was found, and what comes from the wire
//! stays text.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

#[path = "../examples/make-samples/scenario/mod.rs"]
#[allow(dead_code, unreachable_pub)]
mod scenario;

use scenario::talk::{Scenario, Talk};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Chromium, or `None` where there is none; in CI there must be one.
fn browser() -> Option<PathBuf> {
    let found = ["chromium", "chromium-browser", "google-chrome"]
        .iter()
        .flat_map(|name| {
            std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
                .map(move |folder| folder.join(name))
                .collect::<Vec<_>>()
        })
        .find(|path| path.is_file());
    if found.is_none() {
        assert!(
            std::env::var_os("IMWARDEN_REQUIRE_BROWSER").is_none(),
            "no Chromium, and IMWARDEN_REQUIRE_BROWSER is set"
        );
        eprintln!(
            "NOT TESTED: no Chromium to open the HTML report in (Debian: apt-get install chromium)"
        );
    }
    found
}

/// The page as the browser has it after its script ran, and what the browser complained of.
fn open(browser: &Path, page: &Path) -> (String, String) {
    let profile = tempfile::tempdir().unwrap();
    let Output {
        stdout,
        stderr,
        status,
    } = Command::new(browser)
        .args([
            "--headless",
            "--disable-gpu",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--enable-logging=stderr",
            "--virtual-time-budget=3000",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let complaints = text(stderr)
        .lines()
        .filter(|line| line.contains(":CONSOLE"))
        .collect::<Vec<_>>()
        .join("\n");
    (text(stdout), complaints)
}

fn report(captures: &[PathBuf], page: &Path) -> String {
    let run = Command::new(assert_cmd::cargo::cargo_bin("imwarden"))
        .args(["analyze", "--format", "html", "-o"])
        .arg(page)
        .args(captures)
        .output()
        .unwrap();
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    std::fs::read_to_string(page).unwrap()
}

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("sample-pcaps")
        .join(name)
}

#[test]
fn the_page_shows_what_was_found_and_asks_for_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("report.html");
    let source = report(&[sample("office.pcap"), sample("risk-files.pcap")], &page);
    for words in [
        "href=\"http",
        "href='http",
        "src=",
        "url(",
        "@import",
        "fetch(",
    ] {
        assert!(!source.contains(words), "the page refers to {words}");
    }
    let Some(browser) = browser() else { return };
    let (dom, complaints) = open(&browser, &page);
    assert_eq!(complaints, "");
    for words in [
        "alice77",
        "1000001",
        "carol_y",
        "holiday.jpg.exe",
        "A program was offered or sent",
        "Proposed policy",
        "Who talks to whom",
        "<svg",
        "tcp dport",
    ] {
        assert!(dom.contains(words), "{words} is missing");
    }
}

#[test]
fn nothing_found_is_a_page_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("report.html");
    let source = report(&[sample("baits-names.pcap")], &page);
    assert!(source.contains("No messenger found"));
    let Some(browser) = browser() else { return };
    assert_eq!(open(&browser, &page).1, "");
}

#[test]
fn what_the_wire_says_stays_text() {
    // A screen name that would run in a page that believed it.
    let name = "<img/src=x/onerror=document.title='owned'>";
    let talk = Talk::tcp("10.0.0.5:50000", "192.0.2.7:1863", 100)
        .client("USR 1 alice@example.com 989048851.1851137130\r\n")
        .server("USR 1 OK alice@example.com Alice\r\n");
    let said = format!(
        "MIME-Version: 1.0\r\nContent-Type: text/x-clientcaps\r\n\r\nClient-Name: {name}\r\n"
    );
    let talk = talk.client(format!("MSG 2 U {}\r\n{said}", said.len()));
    let capture = scenario::wire::capture(&Scenario {
        name: "hostile",
        about: "",
        talks: vec![talk],
    });
    let folder = tempfile::tempdir().unwrap();
    let (file, page) = (
        folder.path().join("hostile.pcap"),
        folder.path().join("report.html"),
    );
    std::fs::write(&file, capture).unwrap();
    let source = report(&[file], &page);
    assert!(source.contains("onerror"), "the name is shown");
    assert!(!source.contains("<img"), "as text");
    let Some(browser) = browser() else { return };
    let (dom, complaints) = open(&browser, &page);
    assert_eq!(complaints, "");
    assert!(dom.contains("onerror") && !dom.contains("<img"));
    assert!(dom.contains("<title>Instant messengers"));
}
