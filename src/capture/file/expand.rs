//! From what the user named to the files to read.

use super::super::CaptureError;
use super::is_capture;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// Replaces each folder by the captures in it and below, in sorted order; they are told by content, and other
/// files are passed over in silence. Anything else than a folder is kept as it is, so a file that was named
/// is always tried (and its error told), and so is `-`.
///
/// A symbolic link inside a folder is not followed: it would bring a capture in twice, or lead out of the
/// folder, or round in circles. What cannot be looked at is kept too, so that opening it says why.
pub fn expand<P: AsRef<Path>>(paths: &[P]) -> Result<Vec<PathBuf>, CaptureError> {
    let mut found = Vec::new();
    for path in paths {
        let path = path.as_ref();
        if path.is_dir() {
            walk(path, &mut found)?;
        } else {
            found.push(path.to_path_buf());
        }
    }
    Ok(found)
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), CaptureError> {
    let before = found.len();
    let mut files = 0;
    for entry in WalkDir::new(folder).sort_by_file_name() {
        match entry {
            // Regular files only: looking into a pipe would wait for ever.
            Ok(entry) if entry.file_type().is_file() => {
                files += 1;
                if is_capture(entry.path()).unwrap_or(true) {
                    found.push(entry.into_path());
                }
            }
            Ok(_) => {}
            Err(error) => found.extend(error.path().map(Path::to_path_buf)),
        }
    }
    if found.len() == before {
        return Err(CaptureError::NoCaptures {
            name: folder.display().to_string(),
            files,
        });
    }
    Ok(())
}
