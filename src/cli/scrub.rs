//! `imwarden scrub`: a small capture to send to somebody.

use super::progress::Progress;
use super::{CliError, DONE, UNREADABLE, output};
use crate::capture::Writer;
use crate::ruleset::RuleSet;
use crate::scrub::{self, ScrubError, Scrubbed};
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

/// Write a small capture with names and text replaced that still gives the same verdicts
///
/// Only packets of messengers are kept, and of those only as many as their verdicts take. Every payload byte that no
/// verdict rests on is replaced; accounts get other names, the same one everywhere. Addresses, ports, times and the
/// lengths of texts stay.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The capture
    #[arg(value_name = "IN")]
    capture: PathBuf,

    /// Where to write it (pcapng)
    #[arg(value_name = "OUT.pcapng")]
    out: PathBuf,

    /// Use the rule files of this folder instead of the built-in ones
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
}

/// Runs it.
pub fn run(args: &Args) -> Result<u8, CliError> {
    let rules = match &args.rules {
        Some(folder) => RuleSet::load_dir(folder)?,
        None => RuleSet::builtin()?,
    };
    if args.capture == Path::new("-") {
        return Err(CliError::Usage(
            "scrub reads the capture several times, which standard input does not allow; save it to a file first",
        ));
    }
    if let (Ok(from), Ok(to)) = (fs::canonicalize(&args.capture), fs::canonicalize(&args.out))
        && from == to
    {
        return Err(CliError::Usage("IN and OUT.pcapng are the same file"));
    }
    let stop = super::stop_on_interrupt()?;
    let mut progress = Progress::flows("scrubbing");
    let scrubbed = scrub::scrub(&args.capture, &rules, &stop, &mut |done, all| {
        progress.at(done, Some(all));
    });
    progress.done();
    let done = scrubbed.map_err(|error| match error {
        ScrubError::Capture(error) => CliError::Capture(error),
        ScrubError::Stopped => CliError::Usage("stopped: nothing was written"),
    })?;
    write(&done, &args.out).map_err(|source| CliError::Write {
        what: args.out.display().to_string(),
        source,
    })?;
    Ok(tell(&done, &args.out))
}

fn write(done: &Scrubbed, out: &Path) -> io::Result<()> {
    let mut writer = Writer::new(BufWriter::new(File::create(out)?))?;
    for scrap in &done.frames {
        writer.frame(&scrap.frame(), Some(&scrap.comment))?;
    }
    writer.finish()?;
    Ok(())
}

/// Says what became of the capture; the exit code.
fn tell(done: &Scrubbed, out: &Path) -> u8 {
    let mut code = DONE;
    if let Some(error) = &done.damaged {
        code = UNREADABLE;
        output::complain(&format!("{error}; what came before it is in"));
    }
    if !done.left_out.is_empty() {
        code = UNREADABLE;
        output::complain(&format!(
            "left out, since they would be told otherwise once scrubbed: flows {}",
            list(&done.left_out)
        ));
    }
    if !done.poorer.is_empty() {
        output::complain(&format!(
            "too long to be kept as a whole, so that only what they are is the same: flows {}",
            list(&done.poorer)
        ));
    }
    if !done.named.is_empty() {
        output::complain(&format!(
            "look before you send it: an account's name is also a word that the verdict rests on, and stays in flows {}",
            list(&done.named)
        ));
    }
    let percent = (done.kept * 100).div_ceil(done.bytes.max(1));
    output::complain(&format!(
        "{} flows in {} of {} packets written to {}; {percent}% of {} payload bytes are as they were",
        done.flows - done.left_out.len(),
        done.frames.len(),
        done.packets,
        out.display(),
        done.bytes
    ));
    code
}

fn list(flows: &[u64]) -> String {
    let flows: Vec<String> = flows.iter().map(u64::to_string).collect();
    flows.join(", ")
}
