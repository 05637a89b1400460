//! Where a configuration comes from.

use std::path::PathBuf;

/// A configuration to read.
#[derive(Debug, Clone)]
pub enum Source {
    /// A file. Its last path component names it in messages.
    File(PathBuf),
    /// A text in memory, such as the configuration that a binary carries.
    Text {
        /// What messages call it, such as `starter/config.yaml`.
        name: String,
        /// The YAML.
        text: String,
    },
}
