//! How a model on a GPU keeps keys and values.

use std::num::NonZeroUsize;

use mistralrs::paged_attn_supported;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Device;

/// The sizes of blocks that there are kernels for.
const BLOCK_SIZES: [usize; 3] = [8, 16, 32];

/// Whether a model keeps its keys and values in blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PagedAttention {
    /// Where the device is an NVIDIA GPU.
    #[default]
    Auto,
    /// Always; a device that cannot is an error.
    On,
    /// Never.
    Off,
}

impl PagedAttention {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How much room there is for keys and values, and in what pieces.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KvCache {
    /// The part of the GPU's whole memory that may be in use when the room is made, weights included: above 0 and below 1. Default: 0.9,
    /// unless `tokens` is given. With several models on a GPU, each but the last needs its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_share: Option<f32>,

    /// The tokens of all answers together, prompts included, that there is room for, in place of `memory_share`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<NonZeroUsize>,

    /// Tokens in a block: 8, 16 or 32. Default: 32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_size: Option<usize>,

    /// Whether what was computed of a prompt is kept, while there is room, for prompts that begin alike. Default: true.
    #[serde(default = "yes")]
    pub keeps_prefixes: bool,
}

impl Default for KvCache {
    fn default() -> Self {
        Self {
            memory_share: None,
            tokens: None,
            block_size: None,
            keeps_prefixes: yes(),
        }
    }
}

fn yes() -> bool {
    true
}

/// Checks what types alone cannot say: the field that is wrong, and why.
pub(super) fn validate(
    device: Device,
    paged_attention: PagedAttention,
    kv_cache: Option<&KvCache>,
) -> Result<(), (&'static str, String)> {
    if paged_attention == PagedAttention::On && device == Device::Cpu {
        return Err((
            "paged_attention",
            "must be `auto` or `off` for a model on a CPU, which cannot do it".to_owned(),
        ));
    }
    if paged_attention == PagedAttention::On && !paged_attn_supported() {
        let message = "must be `auto` or `off`: this binary was built without the features `cuda` and `metal`";
        return Err(("paged_attention", message.to_owned()));
    }
    let Some(kv_cache) = kv_cache else { return Ok(()) };
    if device == Device::Cpu || paged_attention == PagedAttention::Off {
        let message = "is for models with `paged_attention`, on a GPU; leave it out";
        return Err(("kv_cache", message.to_owned()));
    }
    if kv_cache.memory_share.is_some() && kv_cache.tokens.is_some() {
        let message = "must not be set together with `memory_share`";
        return Err(("kv_cache.tokens", message.to_owned()));
    }
    if let Some(share) = kv_cache.memory_share
        && !(share > 0.0 && share < 1.0)
    {
        return Err((
            "kv_cache.memory_share",
            format!("must be above 0 and below 1, such as 0.9, not {share}"),
        ));
    }
    match kv_cache.block_size {
        Some(size) if !BLOCK_SIZES.contains(&size) => {
            Err(("kv_cache.block_size", format!("must be 8, 16 or 32, not {size}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::MistralrsConfig;

    fn checked(fields: &serde_json::Value) -> Result<(), (Option<String>, String)> {
        let mut model = json!({"path": "x"});
        model
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        let config: MistralrsConfig = serde_json::from_value(json!({"models": [model]})).unwrap();
        let checked = config.validate();
        checked.map_err(|error| (error.param().map(str::to_owned), error.message().to_owned()))
    }

    #[test]
    fn what_a_device_cannot_do_is_named() {
        for (fields, field, message) in [
            (
                json!({"paged_attention": "on", "device": "cpu"}),
                "paged_attention",
                "on a CPU",
            ),
            (
                json!({"kv_cache": {"tokens": 4096}, "device": "cpu"}),
                "kv_cache",
                "on a GPU",
            ),
            (
                json!({"kv_cache": {}, "paged_attention": "off"}),
                "kv_cache",
                "leave it out",
            ),
            (
                json!({"kv_cache": {"tokens": 4096, "memory_share": 0.5}}),
                "kv_cache.tokens",
                "must not be set together with `memory_share`",
            ),
            (
                json!({"kv_cache": {"memory_share": 1.5}}),
                "kv_cache.memory_share",
                "must be above 0 and below 1, such as 0.9, not 1.5",
            ),
            (
                json!({"kv_cache": {"memory_share": 0.0}}),
                "kv_cache.memory_share",
                "must be above 0",
            ),
            (
                json!({"kv_cache": {"block_size": 64}}),
                "kv_cache.block_size",
                "must be 8, 16 or 32, not 64",
            ),
        ] {
            let (param, found) = checked(&fields).unwrap_err();
            assert_eq!(param, Some(format!("models[0].{field}")));
            assert!(found.contains(message), "{found}");
        }
        checked(&json!({"paged_attention": "auto", "device": "cpu"})).unwrap();
        checked(&json!({"kv_cache": {"memory_share": 0.5, "block_size": 16}})).unwrap();
        let on = checked(&json!({"paged_attention": "on"}));
        assert_eq!(on.is_ok(), mistralrs::paged_attn_supported(), "{on:?}");
    }
}
