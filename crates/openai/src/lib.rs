#![doc = include_str!("../README.md")]

mod answer;
mod client;
mod edit;
mod error;
mod files;
mod form;
mod image;
mod models;
mod request;
mod rerank;
mod settings;
pub mod sse;
mod stream;
mod upstream;

pub use client::OpenAiCompatible;
pub use files::{FilesSettings, FilesUpstream, OutgoingFile, UploadFailure, UpstreamFile, UpstreamPage};
pub use settings::{HealthProbe, KnownModel, ProviderDataKeys, Quirk, RerankPath, Settings};

/// The base URL with `/v1` at its end, whether it was there or not, for upstreams whose URL is known in both forms.
pub fn versioned(base_url: &str) -> String {
    let base_url = base_url.trim_end_matches('/');
    if base_url.ends_with("/v1") {
        base_url.to_owned()
    } else {
        format!("{base_url}/v1")
    }
}

#[cfg(test)]
mod tests {
    use super::versioned;

    #[test]
    fn the_version_is_there_once() {
        for url in ["http://h", "http://h/", "http://h/v1", "http://h/v1//"] {
            assert_eq!(versioned(url), "http://h/v1");
        }
        assert_eq!(versioned("http://h/openai"), "http://h/openai/v1");
    }
}
