//! How a chunk is shown in a context.

/// A text with places for what is known of a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ChunkTemplate(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Index,
    Content,
    Metadata,
}

impl ChunkTemplate {
    /// Reads a template; an error tells what is wrong with it.
    pub(super) fn parse(template: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rest = template;
        while let Some(at) = rest.find(['{', '}']) {
            text.push_str(&rest[..at]);
            let brace = &rest[at..at + 1];
            rest = &rest[at + 1..];
            if let Some(behind) = rest.strip_prefix(brace) {
                text.push_str(brace);
                rest = behind;
                continue;
            }
            let name = (brace == "{").then(|| rest.split_once('}')).flatten();
            let Some((name, behind)) = name else {
                return Err(format!(
                    "has a `{brace}` by itself; write `{brace}{brace}` for the character"
                ));
            };
            let piece = match name {
                "index" => Piece::Index,
                "chunk.content" => Piece::Content,
                "metadata" => Piece::Metadata,
                other => {
                    let shown: String = other.chars().take(50).collect();
                    return Err(format!(
                        "has the place `{{{shown}}}`; there are `{{index}}`, `{{chunk.content}}` and `{{metadata}}`"
                    ));
                }
            };
            pieces.push(Piece::Text(std::mem::take(&mut text)));
            pieces.push(piece);
            rest = behind;
        }
        text.push_str(rest);
        pieces.push(Piece::Text(text));
        if !pieces.contains(&Piece::Content) {
            return Err("has no `{chunk.content}` where the chunk's text goes".to_owned());
        }
        Ok(Self(pieces))
    }

    /// The template with its places filled.
    pub(super) fn render(&self, index: usize, content: &str, metadata: &str) -> String {
        let index = index.to_string();
        let pieces = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => text.as_str(),
            Piece::Index => &index,
            Piece::Content => content,
            Piece::Metadata => metadata,
        });
        pieces.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_once() {
        let template = ChunkTemplate::parse("{{{index}}} {chunk.content}/{metadata}\n").unwrap();
        let rendered = template.render(2, "the {index} of it", "{}");
        assert_eq!(rendered, "{2} the {index} of it/{}\n");
    }

    #[test]
    fn what_is_no_template_is_told() {
        for (template, says) in [
            ("", "no `{chunk.content}`"),
            ("{index}", "no `{chunk.content}`"),
            ("{chunk.content} {chunk}", "`{chunk}`"),
            ("{chunk.content} {", "`{` by itself"),
            ("{chunk.content} }", "`}` by itself"),
            ("{chunk.content!r}", "`{chunk.content!r}`"),
        ] {
            let problem = ChunkTemplate::parse(template).unwrap_err();
            assert!(problem.contains(says), "{template}: {problem}");
        }
    }
}
