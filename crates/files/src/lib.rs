#![doc = include_str!("../README.md")]

mod stored;
mod sweep;
mod table;

pub use stored::{OpenBlobs, StoredFiles, StoredFilesSettings};
