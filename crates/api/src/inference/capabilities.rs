//! What an inference provider can do.

use std::fmt;

/// Something that not every inference provider can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Capability {
    /// Chat completions, whole and streamed.
    Chat,
    /// Text completions, whole and streamed.
    Completion,
    /// Embeddings.
    Embeddings,
    /// Embeddings shortened by `dimensions`.
    EmbeddingDimensions,
    /// `tools` that the model may call, and their results fed back.
    Tools,
    /// `tool_choice` that forces a call.
    ForcedToolChoice,
    /// `response_format` of a JSON object or a JSON schema.
    StructuredOutput,
    /// `logprobs`.
    Logprobs,
    /// `seed`: the same seed gives the same text.
    Seed,
    /// `n` above 1.
    MultipleChoices,
    /// `stop` sequences.
    Stop,
    /// Images in messages.
    ImageInput,
}

/// A set of [`Capability`].
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities(u32);

impl Capability {
    /// Every capability.
    pub const ALL: &'static [Self] = &[
        Self::Chat,
        Self::Completion,
        Self::Embeddings,
        Self::EmbeddingDimensions,
        Self::Tools,
        Self::ForcedToolChoice,
        Self::StructuredOutput,
        Self::Logprobs,
        Self::Seed,
        Self::MultipleChoices,
        Self::Stop,
        Self::ImageInput,
    ];
}

impl Capabilities {
    /// These, and no others.
    pub const fn of(capabilities: &[Capability]) -> Self {
        let mut bits = 0;
        let mut i = 0;
        while i < capabilities.len() {
            bits |= 1 << capabilities[i] as u32;
            i += 1;
        }
        Self(bits)
    }

    /// All of them.
    pub const fn all() -> Self {
        Self::of(Capability::ALL)
    }

    /// Whether this one is among them.
    pub const fn has(self, capability: Capability) -> bool {
        self.0 & (1 << capability as u32) != 0
    }

    /// Those in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(Capability::ALL.iter().filter(|capability| self.has(**capability)))
            .finish()
    }
}
