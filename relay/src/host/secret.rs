//! The room's secret: asked for wherever others than this machine can connect.

use crate::driver::data_directory::replace_file;
use crate::driver::random_bytes;
use data_encoding::BASE32_NOPAD;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const FILE_NAME: &str = "secret";

/// 128 bits: nobody guesses it.
const SECRET_BYTES: usize = 16;

/// A shorter one could be guessed.
const SECRET_CHARS_MIN: usize = 8;

#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("the secret in {} cannot be read: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("the secret in {} is shorter than {SECRET_CHARS_MIN} characters: choose a longer one", path.display())]
    TooShort { path: PathBuf },
    #[error("the secret cannot be kept in {}: {source}", path.display())]
    Unwritable { path: PathBuf, source: io::Error },
}

/// The secret of `file`, or the one kept in `directory`, made on the first start. `None`: only this machine can connect.
pub(super) fn of_room(
    loopback: bool,
    file: Option<&Path>,
    directory: &Path,
) -> Result<Option<String>, SecretError> {
    match file {
        Some(path) => read(path).map(Some),
        None if loopback => Ok(None),
        None => {
            let path = directory.join(FILE_NAME);
            if path.exists() { read(&path).map(Some) } else { make(directory).map(Some) }
        }
    }
}

fn read(path: &Path) -> Result<String, SecretError> {
    let text = fs::read_to_string(path)
        .map_err(|source| SecretError::Unreadable { path: path.to_owned(), source })?;
    let secret = text.trim();
    if secret.chars().count() < SECRET_CHARS_MIN {
        return Err(SecretError::TooShort { path: path.to_owned() });
    }
    Ok(secret.to_owned())
}

fn make(directory: &Path) -> Result<String, SecretError> {
    let secret = BASE32_NOPAD.encode(&random_bytes::<SECRET_BYTES>()).to_ascii_lowercase();
    replace_file(directory, FILE_NAME, secret.as_bytes())
        .map_err(|source| SecretError::Unwritable { path: directory.join(FILE_NAME), source })?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_needs_none_and_others_keep_theirs() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(of_room(true, None, directory.path()).unwrap(), None);
        let made = of_room(false, None, directory.path()).unwrap();
        assert!(made.as_ref().is_some_and(|secret| secret.len() == 26));
        assert_eq!(of_room(false, None, directory.path()).unwrap(), made);
    }

    #[test]
    fn a_file_of_ones_own_is_trimmed_and_must_not_be_guessable() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("mine");
        assert!(matches!(of_room(true, Some(&file), directory.path()), Err(SecretError::Unreadable { .. })));
        fs::write(&file, "open sesame\n").unwrap();
        assert_eq!(of_room(true, Some(&file), directory.path()).unwrap().as_deref(), Some("open sesame"));
        fs::write(&file, "short\n").unwrap();
        assert!(matches!(of_room(true, Some(&file), directory.path()), Err(SecretError::TooShort { .. })));
    }
}
