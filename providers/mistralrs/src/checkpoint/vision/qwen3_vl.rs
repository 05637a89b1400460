//! Models of the kind Qwen3-VL: an image keeps about its size, within bounds, and each square of patches becomes a token.

use std::path::Path;

use image::imageops::FilterType;
use image::{DynamicImage, Rgba, RgbaImage};
use puna_api::{Error, Result};
use serde_json::Value;

use super::super::{damaged, read_json};
use super::{Processor, View, Vision};
use crate::images::MAX_SIDE;

/// How many times longer than wide an image may be.
const LONGEST: u32 = 200;

/// The marks of images and videos, and the fields with their tokens.
const MARKS: [(&str, &str); 4] = [
    ("<|vision_start|>", "vision_start_token_id"),
    ("<|vision_end|>", "vision_end_token_id"),
    ("<|image_pad|>", "image_token_id"),
    ("<|video_pad|>", "video_token_id"),
];

/// How an image is cut into what becomes tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Patches {
    /// The side in pixels of what becomes a token.
    pub(crate) side: u32,
    /// The fewest pixels of an image as the model sees it.
    pub(crate) min_pixels: u32,
    /// The most pixels of an image as the model sees it.
    pub(crate) max_pixels: u32,
    /// How pixels are made of pixels.
    pub(crate) filter: FilterType,
}

impl Patches {
    /// The image in the size in which the model sees it, so that the engine, which fails over small and thin images, finds nothing to
    /// do. Fails as an invalid request where there is no such size.
    pub(super) fn prepare(&self, image: &DynamicImage) -> Result<DynamicImage> {
        let (width, height) = (image.width(), image.height());
        let size = self.size(width, height).ok_or_else(|| {
            Error::invalid_request(format!(
                "the image has {width} by {height} pixels, which is a shape that the model does not see"
            ))
        })?;
        let image = image.resize_exact(size.0, size.1, self.filter);
        Ok(DynamicImage::ImageRgba8(stamped(&image)))
    }

    /// How many tokens more than its mark a prepared image takes.
    pub(super) fn tokens_of(&self, image: &DynamicImage) -> usize {
        let tokens = (image.width() / self.side) * (image.height() / self.side);
        tokens.saturating_sub(1) as usize
    }

    /// The size in which an image of so many pixels is seen, as transformers has it; none for what is too long, too wide, or has no
    /// size within the bounds.
    fn size(&self, width: u32, height: u32) -> Option<(u32, u32)> {
        if is_too_long(width, height) {
            return None;
        }
        let (side, sides) = (f64::from(self.side), [width, height].map(f64::from));
        let (min, max) = (f64::from(self.min_pixels), f64::from(self.max_pixels));
        let pixels = sides[0] * sides[1];
        let mut fitted = sides.map(|length| (length / side).round_ties_even() * side);
        let area = fitted[0] * fitted[1];
        if area > max {
            let times = (pixels / max).sqrt();
            fitted = sides.map(|length| (length / times / side).floor().max(1.0) * side);
        } else if area < min {
            let times = (min / pixels).sqrt();
            fitted = sides.map(|length| (length * times / side).ceil() * side);
        }
        let is_within = (min..=max).contains(&(fitted[0] * fitted[1]));
        let [width, height] = fitted.map(|length| length as u32);
        (is_within && !is_too_long(width, height)).then_some((width, height))
    }
}

fn is_too_long(width: u32, height: u32) -> bool {
    u64::from(width.max(height)) > u64::from(width.min(height)) * u64::from(LONGEST)
}

/// The image with its width in the transparency of its first pixels, which the engine drops. The engine knows an image again by its
/// bytes alone, and would take a tall one for a wide one of the same bytes.
fn stamped(image: &DynamicImage) -> RgbaImage {
    let mut image = image.to_rgba8();
    let stamp = image.width().to_be_bytes();
    for (Rgba(pixel), byte) in image.pixels_mut().zip(stamp) {
        pixel[3] = byte;
    }
    image
}

pub(super) fn find(folder: &Path, config: &Value, processor: &Processor) -> Result<Vision> {
    check_config(config).map_err(|cause| damaged(&folder.join("config.json"), &cause))?;
    let patches = patches(config, processor).map_err(|cause| damaged(&processor.file, &cause))?;
    let file = folder.join("tokenizer.json");
    let tokenizer = read_json(&file)?.unwrap_or_default();
    check_marks(config, &tokenizer).map_err(|cause| damaged(&file, &cause))?;
    Ok(Vision {
        mark: "<|vision_start|><|image_pad|><|vision_end|>",
        // The last one is the engine's own.
        reserved: &[
            "<|vision_start|>",
            "<|vision_end|>",
            "<|image_pad|>",
            "<|video_pad|>",
            "<|placeholder|>",
        ],
        view: View::Patches(patches),
    })
}

/// Checks what the engine does not: where it would divide by nothing, or compute another model than this.
fn check_config(config: &Value) -> Result<(), String> {
    let (text, vision) = (&config["text_config"], &config["vision_config"]);
    let rope = &text["rope_scaling"];
    let sections = rope["mrope_section"].as_array();
    if !sections.is_some_and(|sections| sections.len() == 3 && sections.iter().all(Value::is_u64)) {
        let sections = &rope["mrope_section"];
        return Err(format!(
            "`text_config.rope_scaling.mrope_section` must be three numbers, not {sections}"
        ));
    }
    for name in ["rope_type", "type"] {
        let kind = &rope[name];
        if !(kind.is_null() || kind == "default" || kind == "mrope") {
            return Err(format!(
                "`text_config.rope_scaling.{name}` must be \"default\", not {kind}"
            ));
        }
    }
    if text["attention_bias"] == true {
        return Err("`text_config.attention_bias` must be false".to_owned());
    }
    let number = |name: &str| {
        positive(&vision[name]).ok_or_else(|| not_positive(&format!("vision_config.{name}"), &vision[name]))
    };
    for name in ["patch_size", "spatial_merge_size", "temporal_patch_size"] {
        number(name)?;
    }
    let heads = number("num_heads")?;
    if number("hidden_size")? % heads.saturating_mul(4) != 0 {
        return Err(
            "`vision_config.hidden_size` must be four times `vision_config.num_heads`, or a multiple of it".to_owned(),
        );
    }
    let places = number("num_position_embeddings")?;
    if places.isqrt().pow(2) != places {
        return Err(format!(
            "`vision_config.num_position_embeddings` must be the square of a number, not {places}"
        ));
    }
    Ok(())
}

fn patches(config: &Value, processor: &Processor) -> Result<Patches, String> {
    let images = &processor.images;
    // What the engine does in any case.
    for name in ["do_resize", "do_rescale", "do_normalize"] {
        if !(images[name].is_null() || images[name] == true) {
            return Err(format!("`{name}` must be true, not {}", images[name]));
        }
    }
    let factor = &images["rescale_factor"];
    if !(factor.is_null()
        || factor
            .as_f64()
            .is_some_and(|factor| (factor * 255.0 - 1.0).abs() < 1e-6))
    {
        return Err(format!("`rescale_factor` must be 1/255, not {factor}"));
    }
    for name in ["image_mean", "image_std"] {
        let is_colour = |colours: &Vec<Value>| colours.len() == 3 && colours.iter().all(Value::is_number);
        if !(images[name].is_null() || images[name].as_array().is_some_and(is_colour)) {
            return Err(format!("`{name}` must be three numbers, not {}", images[name]));
        }
    }
    let same = |name: &str, of_model: &str| {
        let (number, expected) = (&images[name], &config["vision_config"][of_model]);
        positive(number).filter(|_| number == expected).ok_or_else(|| {
            format!("`{name}` must be {expected}, as `vision_config.{of_model}` in config.json, not {number}")
        })
    };
    let frames = same("temporal_patch_size", "temporal_patch_size")?;
    if frames != 2 {
        return Err(format!("`temporal_patch_size` must be 2, not {frames}"));
    }
    let side = same("patch_size", "patch_size")?.saturating_mul(same("merge_size", "spatial_merge_size")?);
    if side > MAX_SIDE {
        return Err(format!(
            "`patch_size` times `merge_size` must be at most {MAX_SIDE}, not {side}"
        ));
    }
    let bound = |name: &str, edge: &str| {
        let (name, number) = match &images[name] {
            Value::Null => (format!("size.{edge}"), &images["size"][edge]),
            number => (name.to_owned(), number),
        };
        positive(number).ok_or_else(|| not_positive(&name, number))
    };
    let (min_pixels, max_pixels) = (
        bound("min_pixels", "shortest_edge")?,
        bound("max_pixels", "longest_edge")?,
    );
    // Else there would be shapes between the bounds that no image can have.
    if max_pixels < min_pixels.max(side.saturating_mul(side)).saturating_mul(4) {
        return Err(format!(
            "the most pixels of an image, {max_pixels}, must be four times the fewest, {min_pixels}, and enough for four tokens"
        ));
    }
    Ok(Patches {
        side,
        min_pixels,
        max_pixels,
        filter: processor.filter(FilterType::CatmullRom)?,
    })
}

/// Checks that the tokenizer writes each mark as the token that the model has for it.
fn check_marks(config: &Value, tokenizer: &Value) -> Result<(), String> {
    let added = tokenizer["added_tokens"].as_array().map_or(&[][..], Vec::as_slice);
    for (mark, field) in MARKS {
        let id = &config[field];
        if !added.iter().any(|token| token["content"] == mark && token["id"] == *id) {
            return Err(format!(
                "`added_tokens` must have `{mark}` as {id}, which is `{field}` in config.json"
            ));
        }
    }
    Ok(())
}

fn positive(value: &Value) -> Option<u32> {
    value
        .as_u64()
        .and_then(|number| u32::try_from(number).ok())
        .filter(|number| *number > 0)
}

fn not_positive(name: &str, value: &Value) -> String {
    format!("`{name}` must be a number above 0, not {value}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCHES: Patches = Patches {
        side: 32,
        min_pixels: 65_536,
        max_pixels: 16_777_216,
        filter: FilterType::CatmullRom,
    };

    #[test]
    fn sizes_are_those_of_the_reference() {
        let fixture: Value = serde_json::from_str(include_str!("../../../tests/reference/qwen3_vl.json")).unwrap();
        let sizes: Vec<[u32; 4]> = serde_json::from_value(fixture["sizes"].clone()).unwrap();
        assert!(sizes.len() > 10);
        for [width, height, fitted_width, fitted_height] in sizes {
            assert_eq!(
                PATCHES.size(width, height),
                Some((fitted_width, fitted_height)),
                "{width} {height}"
            );
        }
    }

    #[test]
    fn every_size_is_one_that_the_engine_leaves_alone_or_none() {
        let patches = Patches {
            min_pixels: 16_384,
            max_pixels: 65_536,
            ..PATCHES
        };
        let sides: Vec<u32> = (0..15).flat_map(|power| [1 << power, (1 << power) * 5 / 4]).collect();
        for (&width, &height) in sides
            .iter()
            .flat_map(|width| sides.iter().map(move |height| (width, height)))
        {
            let Some(size) = patches.size(width, height) else {
                let times = f64::from(width.max(height)) / f64::from(width.min(height));
                assert!(times > 60.0, "{width} {height}");
                continue;
            };
            assert!(size.0 % 32 == 0 && size.1 % 32 == 0 && size.0 > 0 && size.1 > 0);
            assert!((16_384..=65_536).contains(&(size.0 * size.1)), "{size:?}");
            assert_eq!(patches.size(size.0, size.1), Some(size));
        }
    }

    #[test]
    fn an_image_is_made_into_its_size_and_told_from_one_of_the_same_bytes() {
        let grey =
            |width, height| DynamicImage::ImageRgb8(image::RgbImage::from_pixel(width, height, image::Rgb([7; 3])));
        let (tall, wide) = (grey(300, 500), grey(500, 300));
        let seen = [&tall, &wide].map(|image| PATCHES.prepare(image).unwrap());
        assert_eq!((seen[0].width(), seen[0].height()), (288, 512));
        assert_eq!(PATCHES.tokens_of(&seen[0]), 9 * 16 - 1);
        assert_eq!(seen[0].as_bytes().len(), seen[1].as_bytes().len());
        assert_ne!(seen[0].as_bytes(), seen[1].as_bytes());
        assert_eq!(seen[0].to_rgb8(), grey(288, 512).to_rgb8());

        let error = PATCHES.prepare(&grey(1, 201)).unwrap_err();
        assert_eq!(error.kind(), puna_api::ErrorKind::InvalidRequest);
        assert!(error.message().contains("1 by 201 pixels"), "{error}");
        let dot = PATCHES.prepare(&grey(1, 1)).unwrap();
        assert_eq!((dot.width(), dot.height()), (256, 256));
    }
}
