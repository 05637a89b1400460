//! Prompts with images: what the engine is given, and what it takes that to be.
//!
//! The engine looks at images only in messages that it lays out itself. So a model that looks at images is loaded with a template that
//! passes on the one text that it is given, which the provider laid out by the model's own template.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::DynamicImage;
use mistralrs::{MultimodalMessages, RequestLike, RequestMessage, TextMessageRole};
use puna_api::{Error, Result};
use serde_json::Value;

use super::Engine;
use crate::checkpoint::Vision;
use crate::template::TemplateSource;

/// Passes on the text of the one message, whichever way the engine hands it over.
const PASS_ON: &str = "{% if messages[0].content is string %}{{ messages[0].content }}{% else %}{% for part in messages[0].content \
     %}{% if part.type == 'text' %}{{ part.text }}{% endif %}{% endfor %}{% endif %}";

/// The images of a prompt, and the text that they are marked in. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Sight {
    text: Arc<str>,
    images: Arc<[DynamicImage]>,
    /// The tokens that stand for images, which an answer must not have: the engine would look for the images.
    tokens: Arc<[u32]>,
}

impl fmt::Debug for Sight {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Sight")
            .field("images", &self.images.len())
            .finish_non_exhaustive()
    }
}

impl Sight {
    /// The tokens that the answer must not have.
    pub(super) fn tokens(&self) -> Arc<[u32]> {
        Arc::clone(&self.tokens)
    }
}

impl Engine {
    /// How the model looks at images, if it does.
    pub(crate) fn vision(&self) -> Option<&Vision> {
        self.vision.as_ref()
    }

    /// The most tokens that images add to a prompt, which has their marks already.
    pub(crate) fn tokens_of_images(&self, images: &[DynamicImage]) -> usize {
        let vision = self.vision();
        let tokens = images.iter().filter_map(|image| Some(vision?.tokens_of(image)));
        tokens.fold(0, usize::saturating_add)
    }

    /// The images of a prompt, which is given as text and as tokens; nothing where there are none. Fails as an invalid request when the
    /// text has other marks than one for each image.
    pub(crate) fn sight(&self, text: &str, prompt: &[u32], images: Vec<DynamicImage>) -> Result<Option<Sight>> {
        let Some(vision) = self.vision().filter(|_| !images.is_empty()) else {
            return Ok(None);
        };
        for mark in vision.reserved {
            let expected = vision.mark.matches(mark).count() * images.len();
            let found = text.matches(mark).count();
            if found != expected {
                return Err(Error::invalid_request(format!(
                    "the conversation has {} images, but `{mark}`, which stands for an image in this model, {found} times; it must \
                     not be in names, tools or calls",
                    images.len()
                ))
                .with_param("messages"));
            }
        }
        Ok(Some(Sight {
            text: self.as_encoded(text, prompt)?.into(),
            images: images.into(),
            tokens: Arc::clone(&self.image_tokens),
        }))
    }

    /// The text that has these tokens once the engine has added those that every text of this model begins with.
    fn as_encoded<'a>(&self, text: &'a str, prompt: &[u32]) -> Result<&'a str> {
        let begin = self.begin_text.as_deref().and_then(|begin| text.strip_prefix(begin));
        for text in [Some(text), begin].into_iter().flatten() {
            if self.tokenizer.encode(text, true)? == prompt {
                return Ok(text);
            }
        }
        let message = "the model's chat template and its tokenizer do not agree on how a text begins";
        Err(Error::unsupported(message).with_param("messages"))
    }
}

/// What the engine is given of a prompt.
pub(super) fn message(tokens: Vec<u32>, sight: Option<Sight>) -> RequestMessage {
    match sight {
        None => RequestMessage::CompletionTokens(tokens),
        Some(Sight { text, images, .. }) => MultimodalMessages::new()
            .add_image_message(TextMessageRole::User, text, images.to_vec())
            .take_messages(),
    }
}

/// The chat template in a model's folder: a file of its own, or a part of another.
pub(super) fn own_template(folder: &Path) -> Result<Option<TemplateSource>> {
    let read = |name: &str| {
        let file = folder.join(name);
        let text = file.is_file().then(|| fs::read_to_string(&file)).transpose();
        text.map_err(|cause| {
            Error::configuration(format!("cannot read the chat template {}: {cause}", file.display()))
                .with_source(cause)
        })
    };
    if let Some(default) = read("chat_template.jinja")? {
        return Ok(Some(TemplateSource {
            default,
            tool_use: None,
        }));
    }
    for name in ["chat_template.json", "tokenizer_config.json"] {
        let found = read(name)?.and_then(|text| source(&serde_json::from_str::<Value>(&text).ok()?["chat_template"]));
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// A template, or a list of them by name.
fn source(value: &Value) -> Option<TemplateSource> {
    if let Some(default) = value.as_str() {
        return Some(TemplateSource {
            default: default.to_owned(),
            tool_use: None,
        });
    }
    let named = |name: &str| {
        let mut all = value.as_array()?.iter();
        let entry = all.find(|entry| entry["name"] == name)?;
        entry["template"].as_str().map(str::to_owned)
    };
    Some(TemplateSource {
        default: named("default")?,
        tool_use: named("tool_use"),
    })
}

/// A file with the template that passes the text on, for as long as this lives.
pub(super) struct PassedOn(PathBuf);

impl PassedOn {
    /// Writes it into a folder. The model's own template is in a comment: the engine looks there for the tokens that end an answer.
    pub(super) fn write(folder: &Path, own: Option<&TemplateSource>) -> Result<Self> {
        let own = own.map_or("", |own| &own.default).replace("#}", "# }");
        let file = folder.join(format!("passed-on-{}.jinja", uuid::Uuid::new_v4().simple()));
        fs::write(&file, format!("{PASS_ON}{{# {own} #}}")).map_err(|cause| {
            Error::configuration(format!("cannot write {}: {cause}", file.display())).with_source(cause)
        })?;
        Ok(Self(file))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for PassedOn {
    fn drop(&mut self) {
        // What cannot be removed is a small file in the provider's own folder.
        let _ = fs::remove_file(&self.0);
    }
}
