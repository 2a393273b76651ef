//! `risks.toml`: how bad each risk is, what it means and what to do about it.

use super::error::{Mistake, SourceFile};
use super::read;
use crate::model::{Risk, Severity, risk};
use serde::Deserialize;
use toml::Spanned;

/// The file's name: it stands among the messengers' files.
pub(super) const FILE: &str = "risks.toml";

const MAX_TEXT: usize = 400;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    risk: Vec<RawRisk>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRisk {
    id: Spanned<String>,
    title: Spanned<String>,
    severity: Spanned<String>,
    about: Spanned<String>,
    advice: Spanned<String>,
}

/// Reads the file; every risk that can be seen must be described, and no other.
pub(super) fn parse(file: &SourceFile) -> Result<Vec<Risk>, Vec<Mistake>> {
    let raw: RawFile = read::toml(file, "not a risk file").map_err(|mistake| vec![mistake])?;
    let mut mistakes = Vec::new();
    let mut risks: Vec<Risk> = Vec::new();
    for raw in raw.risk {
        let id = raw.id.get_ref();
        if !risk::ALL.contains(&id.as_str()) {
            let known = risk::ALL.join(", ");
            let message = format!("no risk of this name is looked for; known are {known}");
            mistakes.push(Mistake::new(file, raw.id.span(), message, "unknown"));
            continue;
        }
        if risks.iter().any(|known| known.id == *id) {
            let message = format!("{id} is described twice");
            mistakes.push(Mistake::new(file, raw.id.span(), message, "again"));
            continue;
        }
        let wanted = raw.severity.get_ref();
        let severity = Severity::ALL
            .into_iter()
            .find(|severity| severity.name() == wanted);
        if severity.is_none() {
            let message = "severity is one of info, low, medium, high, critical";
            mistakes.push(Mistake::new(file, raw.severity.span(), message, "here"));
        }
        for text in [&raw.title, &raw.about, &raw.advice] {
            let value = text.get_ref();
            if value.is_empty() || value.len() > MAX_TEXT || value.chars().any(char::is_control) {
                let message = format!("a text of 1 to {MAX_TEXT} bytes on one line is wanted");
                mistakes.push(Mistake::new(file, text.span(), message, "here"));
            }
        }
        risks.push(Risk {
            id: id.clone(),
            title: raw.title.into_inner(),
            severity: severity.unwrap_or(Severity::Medium),
            about: raw.about.into_inner(),
            advice: raw.advice.into_inner(),
        });
    }
    let missing: Vec<&str> = risk::ALL
        .into_iter()
        .filter(|id| risks.iter().all(|risk| risk.id != *id))
        .collect();
    if mistakes.is_empty() && !missing.is_empty() {
        let message = format!("not described: {}", missing.join(", "));
        let end = file.text.len();
        mistakes.push(Mistake::new(file, end..end, message, "missing here"));
    }
    if mistakes.is_empty() {
        Ok(risks)
    } else {
        Err(mistakes)
    }
}
