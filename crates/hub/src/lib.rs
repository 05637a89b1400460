#![doc = include_str!("../README.md")]

mod cache;
mod checksum;
mod client;
mod disk;
mod error;
mod lock;
mod name;
mod progress;
mod pull;
mod registrable;
mod removal;
mod select;
mod settings;
mod transfer;

pub use cache::{Cache, CachedFile, CachedModel};
pub use name::ModelName;
pub use progress::{Progress, Silent};
pub use pull::{Hub, PullRequest, Pulled, SkippedFile};
pub use registrable::{check_open_folders, check_registrable, refused};
pub use removal::Removed;
pub use settings::HubSettings;
