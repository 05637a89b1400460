#![doc = include_str!("../README.md")]

mod answer;
mod bounds;
mod failure;
mod input;
mod program;
mod role;

pub use bounds::Bounds;
pub use failure::Failure;
pub use input::Input;
pub use program::{Job, Program};
pub use role::{Role, role};
