//! The Stack: builds the providers of a plan in dependency order, keeps the registry of models, routes requests to providers, and ends it
//! all cleanly.
//!
//! A surface calls [`Stack`] with a model id and the request as it came in; the Stack finds the provider and hands the request on. It looks
//! at nothing in the body.

mod assembly;
mod linked;
mod listing;
mod neighbours;
mod registration;
mod registrations;
mod registry;
mod resources;
mod routed;
mod stack;
mod storage;
mod suggestions;
mod tasks;
mod vector_stores;

pub use linked::check_linked;
pub use registration::ModelRegistration;
pub use resources::Resources;
pub use stack::{ProviderEntry, Stack};
