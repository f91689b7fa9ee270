//! Texts that a command is given: files, or the standard input.

use super::failure::Failure;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

/// A file, or `-` for the standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// None for the standard input.
    path: Option<PathBuf>,
    name: String,
}

impl Input {
    pub fn new(path: PathBuf) -> Input {
        if path.as_os_str() == "-" {
            return Input { path: None, name: "standard input".to_owned() };
        }
        let name = path.to_string_lossy().into_owned();
        Input { path: Some(path), name }
    }

    /// As it stands in messages and reports.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name that a stored document gets: that of the file, without the directories on the way to it.
    pub fn document_name(&self) -> String {
        let file = self.path.as_deref().and_then(|path| path.file_name());
        file.map_or_else(|| self.name.clone(), |file| file.to_string_lossy().into_owned())
    }

    pub fn is_standard_input(&self) -> bool {
        self.path.is_none()
    }

    pub fn open(&self) -> Result<Box<dyn Read + Send>, Failure> {
        match &self.path {
            None => Ok(Box::new(io::stdin())),
            Some(path) => {
                let open = || {
                    let file = File::open(path)?;
                    // A directory can be opened, and fails only when it is read.
                    match file.metadata()?.is_dir() {
                        true => Err(io::Error::from(io::ErrorKind::IsADirectory)),
                        false => Ok(file),
                    }
                };
                Ok(Box::new(open().map_err(|error| Failure::input(&self.name, &error))?))
            }
        }
    }

    /// Bytes of the text, where that is known beforehand.
    pub fn bytes(&self) -> Option<u64> {
        let metadata = self.path.as_ref()?.metadata().ok()?;
        metadata.is_file().then_some(metadata.len())
    }
}

/// Turns arguments into inputs. Finds out early about those that cannot be read, and that no stream is read twice.
pub fn all(paths: Vec<PathBuf>) -> Result<Vec<Input>, Failure> {
    let inputs: Vec<Input> = paths.into_iter().map(Input::new).collect();
    if inputs.iter().filter(|input| input.is_standard_input()).count() > 1 {
        return Err(Failure::usage("the standard input (-) can be given once only"));
    }
    for input in inputs.iter().filter(|input| input.bytes().is_some() || input.is_missing_or_directory()) {
        input.open()?;
    }
    Ok(inputs)
}

impl Input {
    /// Anything else, a named pipe for instance, is opened once, when its turn has come.
    fn is_missing_or_directory(&self) -> bool {
        self.path.as_ref().is_some_and(|path| path.metadata().map_or(true, |metadata| metadata.is_dir()))
    }
}
