//! What a checkpoint says of how its model looks at images. The engine panics over what is missing there, so it is looked at first.

use std::path::Path;

use image::imageops::FilterType;
use puna_api::{Error, Result};
use serde_json::Value;

use super::{damaged, read_json};

/// What Gemma 3 writes around the tokens of an image, at the most: two marks, and line breaks on both sides.
const GEMMA3_FRAME: usize = 6;

/// How a model looks at images.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Vision {
    /// What the chat template writes where an image is.
    pub(crate) mark: &'static str,
    /// All texts that stand for images, or for parts of them.
    pub(crate) reserved: &'static [&'static str],
    /// The most tokens that an image takes, the marks around it included.
    pub(crate) tokens_per_image: usize,
    /// What every image is made into before the model sees it; none for a model that sees images as they come.
    pub(crate) size: Option<ImageSize>,
}

/// What an image is made into.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ImageSize {
    /// Its width in pixels.
    pub(crate) width: u32,
    /// Its height in pixels.
    pub(crate) height: u32,
    /// How pixels are made of pixels.
    pub(crate) filter: FilterType,
}

/// Whether the model looks at images in a way that is known, and how. Fails as a configuration error that says what its files lack.
pub(super) fn find(folder: &Path, config: &Value) -> Result<Option<Vision>> {
    let is_gemma3 = config["architectures"]
        .as_array()
        .is_some_and(|names| names.iter().any(|name| name == "Gemma3ForConditionalGeneration"));
    if !is_gemma3 || !config["vision_config"].is_object() {
        return Ok(None);
    }
    let processor = read_json(&folder.join("processor_config.json"))?.unwrap_or_default();
    if !processor["chat_template"].is_null() {
        let message = "its `chat_template` is not read from there; put it into chat_template.jinja";
        return Err(damaged(&folder.join("processor_config.json"), message));
    }
    let file = folder.join("preprocessor_config.json");
    let preprocessor = match read_json(&file)? {
        Some(preprocessor) => preprocessor,
        None if processor["image_processor"].is_object() => processor["image_processor"].clone(),
        None => {
            return Err(Error::configuration(format!(
                "the model folder {} has no preprocessor_config.json, which says how images are prepared",
                folder.display()
            )));
        }
    };
    let size = gemma3_size(&preprocessor).map_err(|cause| damaged(&file, &cause))?;
    let image_tokens = ["image_seq_length", "image_seq_len"]
        .iter()
        .find_map(|name| processor[*name].as_u64())
        .unwrap_or(256);
    Ok(Some(Vision {
        mark: "<start_of_image>",
        reserved: &["<start_of_image>", "<end_of_image>", "<image_soft_token>"],
        tokens_per_image: usize::try_from(image_tokens).unwrap_or(usize::MAX) + GEMMA3_FRAME,
        size,
    }))
}

fn gemma3_size(preprocessor: &Value) -> Result<Option<ImageSize>, String> {
    if preprocessor["do_pan_and_scan"] == true {
        return Err("`do_pan_and_scan`, with which an image becomes several, must be false".to_owned());
    }
    for name in ["do_rescale", "do_normalize", "do_resize"] {
        if !preprocessor[name].is_boolean() {
            return Err(format!("`{name}` must be true or false, not {}", preprocessor[name]));
        }
    }
    if !preprocessor["rescale_factor"].is_number() {
        let factor = &preprocessor["rescale_factor"];
        return Err(format!("`rescale_factor` must be a number, not {factor}"));
    }
    let side = |name: &str| {
        let side = &preprocessor["size"][name];
        let pixels = side.as_u64().and_then(|pixels| u32::try_from(pixels).ok());
        let pixels = pixels.filter(|pixels| (1..=crate::images::MAX_SIDE).contains(pixels));
        pixels.ok_or_else(|| format!("`size.{name}` must be a number of pixels, not {side}"))
    };
    let (width, height) = (side("width")?, side("height")?);
    // Numbers as in Pillow, and what the engine makes of them.
    let filter = match &preprocessor["resample"] {
        Value::Null => FilterType::Triangle,
        number => match number.as_u64() {
            Some(0 | 4) => FilterType::Nearest,
            Some(1) => FilterType::Lanczos3,
            Some(2) => FilterType::Triangle,
            Some(3) => FilterType::CatmullRom,
            _ => return Err(format!("`resample` must be from 0 to 4, not {number}")),
        },
    };
    let resizes = preprocessor["do_resize"] == true;
    Ok(resizes.then_some(ImageSize { width, height, filter }))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    fn config() -> Value {
        json!({"architectures": ["Gemma3ForConditionalGeneration"], "vision_config": {}})
    }

    fn preprocessor() -> Value {
        json!({
            "do_rescale": true, "rescale_factor": 0.004, "do_normalize": true, "do_resize": true, "resample": 3,
            "size": {"height": 28, "width": 14},
        })
    }

    #[test]
    fn a_model_tells_how_it_looks_at_images() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, value: &Value| fs::write(folder.path().join(name), value.to_string()).unwrap();
        assert_eq!(
            find(folder.path(), &json!({"architectures": ["LlamaForCausalLM"]})).unwrap(),
            None
        );
        let error = find(folder.path(), &config()).unwrap_err();
        assert!(error.message().contains("has no preprocessor_config.json"), "{error}");
        write("preprocessor_config.json", &preprocessor());
        write("processor_config.json", &json!({"image_seq_length": 16}));
        let vision = find(folder.path(), &config()).unwrap().unwrap();
        assert_eq!(vision.tokens_per_image, 22);
        let size = ImageSize {
            width: 14,
            height: 28,
            filter: FilterType::CatmullRom,
        };
        assert_eq!(vision.size, Some(size));
        for (name, value, message) in [
            ("do_pan_and_scan", json!(true), "`do_pan_and_scan`"),
            ("do_resize", json!(null), "`do_resize` must be true or false, not null"),
            (
                "rescale_factor",
                json!("x"),
                "`rescale_factor` must be a number, not \"x\"",
            ),
            (
                "size",
                json!({"width": 3}),
                "`size.height` must be a number of pixels, not null",
            ),
            (
                "size",
                json!({"width": 0, "height": 1}),
                "`size.width` must be a number of pixels, not 0",
            ),
            ("resample", json!(9), "`resample` must be from 0 to 4, not 9"),
        ] {
            let mut wrong = preprocessor();
            wrong[name] = value;
            write("preprocessor_config.json", &wrong);
            let error = find(folder.path(), &config()).unwrap_err();
            assert!(error.message().contains(message), "{error}");
        }
        write("preprocessor_config.json", &preprocessor());
        write("processor_config.json", &json!({"chat_template": "x"}));
        let error = find(folder.path(), &config()).unwrap_err();
        assert!(error.message().contains("chat_template.jinja"), "{error}");
    }
}
