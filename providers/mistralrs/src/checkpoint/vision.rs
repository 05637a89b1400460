//! What a checkpoint says of how its model looks at images. The engine panics over what is missing there, so it is looked at first.

use std::path::{Path, PathBuf};

use image::DynamicImage;
use image::imageops::FilterType;
use puna_api::{Error, Result};
use serde_json::Value;

use super::{damaged, read_json};

mod gemma3;
mod qwen3_vl;

use qwen3_vl::Patches;

/// Kinds of models whose answers about images the engine gets wrong. It puts the tokens of an answer a place too far behind the prompt,
/// or fails over the second of them; it fails where their text would be written with more tokens; and it takes the third image for
/// another.
const WRONG: [&str; 2] = ["Qwen2VLForConditionalGeneration", "Qwen2_5_VLForConditionalGeneration"];

/// How a model looks at images.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Vision {
    /// What the chat template writes where an image is.
    pub(crate) mark: &'static str,
    /// All texts that stand for images, or for parts of them.
    pub(crate) reserved: &'static [&'static str],
    /// What it makes of an image.
    pub(crate) view: View,
}

/// What a model makes of an image.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum View {
    /// As many tokens of every image, as models of the kind Gemma 3 do.
    Alike {
        /// The most tokens that an image takes, the marks around it included.
        tokens: usize,
        /// What every image is made into before the model sees it; none for a model that sees images as they come.
        size: Option<ImageSize>,
    },
    /// More tokens of a larger image, as models of the kind Qwen3-VL do.
    Patches(Patches),
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

impl Vision {
    /// An image as the model is going to see it. Fails as an invalid request when the model cannot see one of that shape.
    pub(crate) fn prepare(&self, image: DynamicImage) -> Result<DynamicImage> {
        match &self.view {
            View::Alike { size: None, .. } => Ok(image),
            View::Alike { size: Some(size), .. } => Ok(image.resize_exact(size.width, size.height, size.filter)),
            View::Patches(patches) => patches.prepare(&image),
        }
    }

    /// Whether the engine may work on one answer at a time only, and may keep nothing of prompts for others that begin alike. It gives
    /// the tokens of several answers wrong places where images are of several sizes, and loses the rest of an image that it kept a part of.
    pub(crate) fn is_alone(&self) -> bool {
        matches!(self.view, View::Patches(_))
    }

    /// The most tokens that a prepared image adds to a prompt, which has its mark already.
    pub(crate) fn tokens_of(&self, image: &DynamicImage) -> usize {
        match &self.view {
            View::Alike { tokens, .. } => *tokens,
            View::Patches(patches) => patches.tokens_of(image),
        }
    }
}

/// Whether the model looks at images in a way that is known, and how. Fails as a configuration error that says what its files lack.
pub(super) fn find(folder: &Path, config: &Value) -> Result<Option<Vision>> {
    let names = config["architectures"].as_array().map_or(&[][..], Vec::as_slice);
    if let Some(name) = WRONG.iter().find(|wrong| names.iter().any(|name| name == **wrong)) {
        return Err(Error::configuration(format!(
            "the model folder {} has a model of the kind {name}, whose answers about images the engine gets wrong; Qwen3-VL and \
             Gemma 3 are served",
            folder.display()
        )));
    }
    if !config["vision_config"].is_object() {
        return Ok(None);
    }
    let is = |kind: &str| names.iter().any(|name| name == kind);
    if is("Gemma3ForConditionalGeneration") {
        gemma3::find(&Processor::read(folder)?).map(Some)
    } else if is("Qwen3VLForConditionalGeneration") {
        qwen3_vl::find(folder, config, &Processor::read(folder)?).map(Some)
    } else {
        Ok(None)
    }
}

/// What a checkpoint says of how images are prepared.
struct Processor {
    /// How their pixels are, and the file that says so.
    images: Value,
    file: PathBuf,
    /// What `processor_config.json` says, which not every checkpoint has.
    whole: Value,
}

impl Processor {
    fn read(folder: &Path) -> Result<Self> {
        let whole_file = folder.join("processor_config.json");
        let whole = read_json(&whole_file)?.unwrap_or_default();
        if !whole["chat_template"].is_null() {
            let message = "its `chat_template` is not read from there; put it into chat_template.jinja";
            return Err(damaged(&whole_file, message));
        }
        let file = folder.join("preprocessor_config.json");
        if let Some(images) = read_json(&file)? {
            return Ok(Self { images, file, whole });
        }
        if whole["image_processor"].is_object() {
            return Ok(Self {
                images: whole["image_processor"].clone(),
                file: whole_file,
                whole,
            });
        }
        Err(Error::configuration(format!(
            "the model folder {} has no preprocessor_config.json, which says how images are prepared",
            folder.display()
        )))
    }

    /// How pixels are made of pixels, as numbered in Pillow, and what the engine makes of it.
    fn filter(&self, default: FilterType) -> Result<FilterType, String> {
        match &self.images["resample"] {
            Value::Null => Ok(default),
            number => match number.as_u64() {
                Some(0 | 4) => Ok(FilterType::Nearest),
                Some(1) => Ok(FilterType::Lanczos3),
                Some(2) => Ok(FilterType::Triangle),
                Some(3) => Ok(FilterType::CatmullRom),
                _ => Err(format!("`resample` must be from 0 to 4, not {number}")),
            },
        }
    }
}

#[cfg(test)]
mod tests;
