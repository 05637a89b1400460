//! What a file is for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a file is for: the values of OpenAI's `File.purpose` and `CreateFileRequest.purpose`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FilePurpose {
    /// To be read by assistants, and to be searched.
    Assistants,
    /// Made by an assistant.
    AssistantsOutput,
    /// The requests of a batch.
    Batch,
    /// The answers of a batch.
    BatchOutput,
    /// Examples to train with.
    #[serde(rename = "fine-tune")]
    FineTune,
    /// What a training reports.
    #[serde(rename = "fine-tune-results")]
    FineTuneResults,
    /// Images to train with.
    Vision,
    /// Anything.
    UserData,
    /// Data to evaluate with.
    Evals,
}

impl FilePurpose {
    /// Every purpose.
    pub const ALL: &'static [Self] = &[
        Self::Assistants,
        Self::AssistantsOutput,
        Self::Batch,
        Self::BatchOutput,
        Self::FineTune,
        Self::FineTuneResults,
        Self::Vision,
        Self::UserData,
        Self::Evals,
    ];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Assistants => "assistants",
            Self::AssistantsOutput => "assistants_output",
            Self::Batch => "batch",
            Self::BatchOutput => "batch_output",
            Self::FineTune => "fine-tune",
            Self::FineTuneResults => "fine-tune-results",
            Self::Vision => "vision",
            Self::UserData => "user_data",
            Self::Evals => "evals",
        }
    }

    /// The purpose of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|purpose| purpose.name() == name)
    }

    /// Whether a client may upload files of it; the others are made by the server.
    pub const fn is_for_uploads(self) -> bool {
        !matches!(self, Self::AssistantsOutput | Self::BatchOutput | Self::FineTuneResults)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purpose_has_one_name() {
        for purpose in FilePurpose::ALL {
            assert_eq!(FilePurpose::from_name(purpose.name()), Some(*purpose));
            assert_eq!(serde_json::to_value(purpose).unwrap(), purpose.name());
        }
    }
}
