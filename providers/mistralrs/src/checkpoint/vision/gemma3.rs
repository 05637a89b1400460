//! Models of the kind Gemma 3: every image is made into one size, and takes as many tokens.

use image::imageops::FilterType;
use puna_api::Result;

use super::super::damaged;
use super::{ImageSize, Processor, View, Vision};

/// What the model writes around the tokens of an image, at the most: two marks, and line breaks on both sides.
const FRAME: usize = 6;

pub(super) fn find(processor: &Processor) -> Result<Vision> {
    let size = size(processor).map_err(|cause| damaged(&processor.file, &cause))?;
    let image_tokens = ["image_seq_length", "image_seq_len"]
        .iter()
        .find_map(|name| processor.whole[*name].as_u64())
        .unwrap_or(256);
    Ok(Vision {
        mark: "<start_of_image>",
        reserved: &["<start_of_image>", "<end_of_image>", "<image_soft_token>"],
        view: View::Alike {
            tokens: usize::try_from(image_tokens)
                .unwrap_or(usize::MAX)
                .saturating_add(FRAME),
            size,
        },
    })
}

fn size(processor: &Processor) -> Result<Option<ImageSize>, String> {
    let images = &processor.images;
    if images["do_pan_and_scan"] == true {
        return Err("`do_pan_and_scan`, with which an image becomes several, must be false".to_owned());
    }
    for name in ["do_rescale", "do_normalize", "do_resize"] {
        if !images[name].is_boolean() {
            return Err(format!("`{name}` must be true or false, not {}", images[name]));
        }
    }
    if !images["rescale_factor"].is_number() {
        let factor = &images["rescale_factor"];
        return Err(format!("`rescale_factor` must be a number, not {factor}"));
    }
    let side = |name: &str| {
        let side = &images["size"][name];
        let pixels = side.as_u64().and_then(|pixels| u32::try_from(pixels).ok());
        let pixels = pixels.filter(|pixels| (1..=crate::images::MAX_SIDE).contains(pixels));
        pixels.ok_or_else(|| format!("`size.{name}` must be a number of pixels, not {side}"))
    };
    let (width, height) = (side("width")?, side("height")?);
    let filter = processor.filter(FilterType::Triangle)?;
    let resizes = images["do_resize"] == true;
    Ok(resizes.then_some(ImageSize { width, height, filter }))
}
