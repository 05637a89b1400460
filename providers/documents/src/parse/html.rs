//! HTML to Markdown.

use std::sync::{Arc, Mutex, PoisonError};

use htmd::element_handler::Handlers;
use htmd::options::{BulletListMarker, Options};
use htmd::{Element, HtmlToMarkdownBuilder};
use puna_api::Result;

use super::{cleaned, trimmed};
use crate::document::{Document, Form};
use crate::error::broken;

/// Elements that say nothing to a reader.
const UNSEEN: [&str; 8] = [
    "script", "style", "noscript", "template", "iframe", "svg", "canvas", "object",
];

pub(super) fn parse(html: &str, clean: bool) -> Result<Document> {
    let title = Arc::new(Mutex::new(None));
    let found = Arc::clone(&title);
    let converter = HtmlToMarkdownBuilder::new()
        .options(Options {
            bullet_list_marker: BulletListMarker::Dash,
            ul_bullet_spacing: 1,
            ol_number_spacing: 1,
            ..Options::default()
        })
        .skip_tags(UNSEEN.to_vec())
        .add_handler(vec!["title"], move |handlers: &dyn Handlers, element: Element<'_>| {
            let text = handlers.walk_children(element.node).content;
            found.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(text);
            None
        })
        // A picture's address is of no use to a reader, and may hold the whole picture.
        .add_handler(vec!["img"], |_: &dyn Handlers, element: Element<'_>| {
            let words = element.attrs.iter().find(|attribute| &*attribute.name.local == "alt")?;
            Some(words.value.to_string().into())
        })
        .build();
    let text = converter
        .convert(html)
        .map_err(|error| broken("the HTML cannot be read", error))?;
    drop(converter);
    let text = if clean { cleaned(&text) } else { trimmed(&text) };
    let title = title.lock().unwrap_or_else(PoisonError::into_inner).take();
    Ok(Document {
        title,
        ..Document::of_text("text/html", Form::Markdown, text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reader_sees_becomes_markdown() {
        let html = "<!doctype html><html><head><title>The\n  puna &amp; more</title><style>p { color: red }</style></head><body>\
            <h1>Puna</h1><p>Llamas <b>live</b> here.</p><script>alert('no')</script>\
            <ul><li>one</li><li>two</li></ul><img alt='a llama' src='data:image/png;base64,AAAA'>\
            <table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table></body></html>";
        let document = parse(html, true).unwrap();
        assert_eq!(document.title.as_deref(), Some("The puna & more"));
        let text = document.text;
        for seen in ["# Puna", "Llamas **live** here.", "- one", "a llama", "| 1 "] {
            assert!(text.contains(seen), "{seen} is not in {text}");
        }
        for unseen in ["alert", "color", "base64", "more"] {
            assert!(!text.contains(unseen), "{unseen} is in {text}");
        }
    }
}
