use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::checkpoint::files;
use crate::error::{Error, failed};
use crate::gguf::gguf;

/// Name of the file that [`write_gguf`] writes.
pub const GGUF_FILE: &str = "model.gguf";

/// Writes the model's files into a folder, and makes the folder when there is none.
///
/// A file that is there and intact is left alone. Any other is written beside its place and then renamed, so a reader
/// sees an old file or a whole new one, also when several processes write at once. Files of other names are not touched.
///
/// # Errors
/// When the folder cannot be made or a file in it cannot be read, written or renamed.
pub fn write(directory: &Path) -> Result<(), Error> {
    create_directory(directory)?;
    for (name, bytes) in files() {
        write_file(&directory.join(name), &bytes)?;
    }
    Ok(())
}

/// Writes the model as one GGUF file, [`GGUF_FILE`], into a folder, with the promises of [`write`](write()), and returns the
/// file's path.
///
/// # Errors
/// When the folder cannot be made or the file cannot be read, written or renamed.
pub fn write_gguf(directory: &Path) -> Result<PathBuf, Error> {
    create_directory(directory)?;
    let path = directory.join(GGUF_FILE);
    write_file(&path, &gguf())?;
    Ok(path)
}

/// Writes files into a folder and folders in it, with the promises of [`write`](write()).
pub(crate) fn write_files(directory: &Path, files: &[(&str, Vec<u8>)]) -> Result<(), Error> {
    for (name, bytes) in files {
        let path = directory.join(name);
        create_directory(path.parent().unwrap_or(directory))?;
        write_file(&path, bytes)?;
    }
    Ok(())
}

fn create_directory(directory: &Path) -> Result<(), Error> {
    fs::create_dir_all(directory).map_err(failed("create", directory))
}

/// Writes a file with the promises of [`write`](write()), and makes its bytes only where none of this CRC-32 are there.
pub(crate) fn write_large(path: &Path, checksum: u32, make: impl FnOnce() -> Vec<u8>) -> Result<(), Error> {
    match read(path)? {
        Some(present) if crc32fast::hash(&present) == checksum => Ok(()),
        _ => replace(path, &make()),
    }
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    match read(path)? {
        Some(present) if present == bytes => Ok(()),
        _ => replace(path, bytes),
    }
}

fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let aside = aside(path);
    let written = fs::write(&aside, bytes)
        .map_err(failed("write", &aside))
        .and_then(|()| fs::rename(&aside, path).map_err(failed("replace", path)));
    if written.is_err() {
        // The first error is the one to report; what is left behind is at worst a file of its own name.
        let _ = fs::remove_file(&aside);
    }
    written
}

/// The bytes of a file, if there is one.
fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path)(error)),
    }
}

/// A name in the same folder that no other writer uses.
fn aside(path: &Path) -> PathBuf {
    static WRITERS: AtomicUsize = AtomicUsize::new(0);
    let writer = WRITERS.fetch_add(1, Ordering::Relaxed);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}-{writer}.partial", std::process::id()));
    path.with_file_name(name)
}
