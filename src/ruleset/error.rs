//! What is wrong with a rule file, and where.

use super::Origin;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// A file's text under the name that messages give it.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// What messages call it.
    pub name: Arc<str>,
    /// All of it.
    pub text: Arc<str>,
}

impl SourceFile {
    /// Line and column of a byte offset.
    pub fn origin(&self, offset: usize) -> Origin {
        let offset = floor_char_boundary(&self.text, offset);
        let before = self.text.get(..offset).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        let line = memchr::memchr_iter(b'\n', before.as_bytes()).count() + 1;
        Origin {
            file: Arc::clone(&self.name),
            line,
            column,
        }
    }
}

fn floor_char_boundary(text: &str, offset: usize) -> usize {
    let offset = offset.min(text.len());
    (0..=offset)
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(0)
}

/// One mistake in a file. Prints as `file:line:column` with the line and a caret.
#[derive(Clone, Debug)]
pub struct Mistake {
    file: SourceFile,
    span: Range<usize>,
    message: String,
    label: String,
}

impl Mistake {
    /// What is wrong at a place (`message`), and what belongs there (`label`).
    pub fn new(
        file: &SourceFile,
        span: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Self {
        let start = floor_char_boundary(&file.text, span.start);
        let end = floor_char_boundary(&file.text, span.end).max(start);
        Self {
            file: file.clone(),
            span: start..end,
            message: message.into(),
            label: label.into(),
        }
    }

    /// Where it is.
    pub fn origin(&self) -> Origin {
        self.file.origin(self.span.start)
    }

    /// What is wrong, in one line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What is wrong and what belongs there, in one line.
    pub fn explained(&self) -> String {
        format!("{}: {}", self.message, self.label)
    }

    fn render(&self, renderer: &Renderer) -> String {
        let mark = AnnotationKind::Primary
            .span(self.span.clone())
            .label(self.label.as_str());
        let snippet = Snippet::source(self.file.text.as_ref())
            .path(self.file.name.as_ref())
            .annotation(mark);
        renderer.render(&[Level::ERROR
            .primary_title(self.message.as_str())
            .element(snippet)])
    }
}

/// Why there is no rule set.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// A file or folder could not be read.
    #[error("cannot read {}: {error}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A folder without a single rule file.
    #[error("no rule file (*.toml) in {}: with --rules, its files come before the built-in ones", .0.display())]
    Empty(PathBuf),
    /// Mistakes in the files, in their order.
    #[error("{}", Plain(.0))]
    Invalid(Vec<Mistake>),
}

impl RulesError {
    /// The text for a reader; `color` puts terminal colours into it.
    pub fn render(&self, color: bool) -> String {
        match self {
            Self::Invalid(mistakes) if color => render_all(mistakes, &Renderer::styled()),
            other => other.to_string(),
        }
    }
}

fn render_all(mistakes: &[Mistake], renderer: &Renderer) -> String {
    let parts: Vec<_> = mistakes
        .iter()
        .map(|mistake| mistake.render(renderer))
        .collect();
    parts.join("\n\n")
}

/// Mistakes, as a reader without colours sees them.
#[derive(Debug)]
pub struct Plain<'a>(pub &'a [Mistake]);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&render_all(self.0, &Renderer::plain()))
    }
}
