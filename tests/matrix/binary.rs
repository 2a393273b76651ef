//! The program itself, from a file and from standard input, whatever the capture is kept in.

use super::files::Capture;
use super::{How, Wire, scenario, sent, wires};
use assert_cmd::Command;
use scenario::talk::Scenario;

fn imwarden() -> Command {
    let mut command = Command::cargo_bin("imwarden").unwrap();
    command.args(["analyze", "--format", "ndjson", "--all"]);
    command
}

fn said(command: &mut Command) -> String {
    let run = command.assert().success();
    String::from_utf8(run.get_output().stdout.clone()).unwrap()
}

#[test]
fn a_file_and_standard_input_give_the_same_records_in_every_container() {
    let folder = tempfile::tempdir().unwrap();
    let samples: Vec<Scenario> = scenario::all()
        .into_iter()
        .filter(|scenario| ["aim-direct-im", "msn-p2p-direct"].contains(&scenario.name))
        .collect();
    assert_eq!(samples.len(), 2);
    let plain = Wire {
        name: "pcap",
        how: How::File(Capture::pcap),
        left: super::Left::All,
    };
    for sample in samples {
        let mut wanted: Option<String> = None;
        let containers = wires()
            .into_iter()
            .filter(|wire| matches!(wire.how, How::File(_)));
        for wire in std::iter::once(plain).chain(containers) {
            let (_, bytes) = sent(sample.clone(), &[wire]);
            let file = folder.path().join(sample.name);
            std::fs::write(&file, &bytes).unwrap();
            let from_file = said(imwarden().arg(&file));
            let from_stdin = said(imwarden().arg("-").write_stdin(bytes));
            assert_eq!(from_file, from_stdin, "{} as {}", sample.name, wire.name);
            let wanted = wanted.get_or_insert_with(|| from_file.clone());
            assert_eq!(&from_file, wanted, "{} as {}", sample.name, wire.name);
            assert!(wanted.lines().count() > 2, "{wanted}");
        }
    }
}
