//! What was asked for, where words alone do not show that it makes no sense.

use super::Args;
use crate::capture::live;
use crate::cli::CliError;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What was asked for, as far as it makes sense.
pub struct Wishes<'a> {
    /// The interfaces, each once.
    pub interfaces: Vec<String>,
    /// The file for records.
    pub output: Option<&'a Path>,
}

impl<'a> Wishes<'a> {
    /// Of these words.
    pub fn of(args: &'a Args) -> Result<Self, CliError> {
        if args.interfaces.is_empty() {
            return Err(CliError::WhichInterface(format!(
                "which interface? -i NAME says it; there are: {} (imwarden devices tells more)",
                live::names().join(", ")
            )));
        }
        Ok(Self {
            interfaces: interfaces(args)?,
            output: output(args)?,
        })
    }
}

/// The interfaces, each once.
fn interfaces(args: &Args) -> Result<Vec<String>, CliError> {
    let mut names: Vec<String> = Vec::new();
    for name in &args.interfaces {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    if names.len() > 1 && names.iter().any(|name| name == "any") {
        return Err(CliError::Usage(
            "-i any has the packets of all interfaces: another -i beside it would see them twice",
        ));
    }
    Ok(names)
}

/// The file for records; `-` is stdout, as elsewhere.
fn output(args: &Args) -> Result<Option<&Path>, CliError> {
    if args.write.as_deref() == Some(Path::new("-")) {
        return Err(CliError::Usage(
            "-w writes to a file, not to standard output (tcpdump -w - does that)",
        ));
    }
    let output = args.output.as_deref().filter(|it| *it != Path::new("-"));
    if output.is_none() && args.rotation().is_on() {
        return Err(CliError::Usage(
            "standard output cannot begin anew: --rotate-... needs -o FILE",
        ));
    }
    if let (Some(records), Some(packets)) = (output, args.write.as_deref())
        && is_same(records, packets)
    {
        return Err(CliError::Usage(
            "-o and -w name the same file: records and packets need one each",
        ));
    }
    Ok(output)
}

/// Whether both are the same file, or would be once they are there.
fn is_same(one: &Path, other: &Path) -> bool {
    match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => {
            one.is_file() && (one.dev(), one.ino()) == (other.dev(), other.ino())
        }
        (Err(_), Err(_)) => {
            let place = |path: &Path| {
                Some((
                    folder(path).canonicalize().ok()?,
                    path.file_name()?.to_owned(),
                ))
            };
            place(one).is_some_and(|it| Some(it) == place(other))
        }
        _ => false,
    }
}

/// Where a file is, or is to be.
pub fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Why a file cannot be opened; a folder that is not there is not the file's fault.
pub fn explained(path: &Path, error: io::Error) -> io::Error {
    let folder = folder(path);
    if error.kind() == io::ErrorKind::NotFound && !folder.exists() {
        let folder = folder.display();
        return io::Error::new(
            error.kind(),
            format!("there is no folder {folder}; mkdir -p {folder} makes it"),
        );
    }
    error
}
