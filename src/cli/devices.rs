//! `imwarden devices`: the interfaces that can be listened on.

use super::CliError;
use crate::capture::live;
use std::io::Write;

/// Lists them, one a line: name, state, addresses, description.
pub fn run(out: &mut dyn Write) -> Result<(), CliError> {
    for device in live::devices().map_err(CliError::Devices)? {
        let addresses: Vec<String> = device.addresses.iter().map(ToString::to_string).collect();
        let addresses = if addresses.is_empty() {
            "-".into()
        } else {
            addresses.join(" ")
        };
        let line = format!(
            "{:<16} {:<12} {addresses:<48} {}",
            device.name,
            device.state.unwrap_or("-"),
            device.description
        );
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}
