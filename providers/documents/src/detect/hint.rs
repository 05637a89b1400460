//! What a file's name and media type say.

use crate::detect::TextKind;
use crate::document::Form;

/// How long the ending of a name may be that means anything.
const LONGEST_ENDING: usize = 16;

/// What a file's name and media type say of its text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Hint {
    pub(crate) text: Option<TextKind>,
    /// Whether it claims to be HTML.
    pub(crate) html: bool,
}

/// Kinds of text by the ending of a name.
const BY_ENDING: &[(&str, TextKind)] = &[
    ("md", TextKind::MARKDOWN),
    ("markdown", TextKind::MARKDOWN),
    ("mdx", TextKind::MARKDOWN),
    ("csv", TextKind::CSV),
    ("tsv", TextKind::CSV),
    ("txt", TextKind::PLAIN),
    ("bash", code("application/x-sh")),
    ("c", code("text/x-c")),
    ("cc", code("text/x-c++")),
    ("cpp", code("text/x-c++")),
    ("cs", code("text/x-csharp")),
    ("css", code("text/css")),
    ("go", code("text/x-golang")),
    ("h", code("text/x-c")),
    ("hpp", code("text/x-c++")),
    ("java", code("text/x-java")),
    ("js", code("text/javascript")),
    ("jsx", code("text/javascript")),
    ("kt", code("text/x-kotlin")),
    ("lua", code("text/x-lua")),
    ("mjs", code("text/javascript")),
    ("php", code("text/x-php")),
    ("pl", code("text/x-perl")),
    ("proto", code("text/x-protobuf")),
    ("py", code("text/x-python")),
    ("r", code("text/x-r")),
    ("rb", code("text/x-ruby")),
    ("rs", code("text/x-rust")),
    ("scala", code("text/x-scala")),
    ("sh", code("application/x-sh")),
    ("sql", code("application/sql")),
    ("svg", code("application/xml")),
    ("swift", code("text/x-swift")),
    ("tex", code("text/x-tex")),
    ("toml", code("application/toml")),
    ("ts", code("application/typescript")),
    ("tsx", code("application/typescript")),
    ("xml", code("application/xml")),
    ("yaml", code("application/yaml")),
    ("yml", code("application/yaml")),
    ("zig", code("text/x-zig")),
];

const fn code(media_type: &'static str) -> TextKind {
    TextKind::new(media_type, Form::Code)
}

/// The ending of a name, in small letters, if it is of a length that endings have.
pub(crate) fn ending_of(name: &str) -> Option<String> {
    let (_, ending) = name.rsplit_once('.')?;
    let usual = ending.len() <= LONGEST_ENDING && ending.bytes().all(|byte| byte.is_ascii_alphanumeric());
    usual.then(|| ending.to_ascii_lowercase())
}

impl Hint {
    /// What the ending of a name, in small letters, and a media type say.
    pub(crate) fn new(ending: Option<&str>, media_type: Option<&str>) -> Self {
        let media_type = media_type
            .and_then(|media_type| media_type.split(';').next())
            .map(str::trim);
        let by_ending = BY_ENDING.iter().find(|(known, _)| Some(*known) == ending);
        // `text/plain` is what senders say who do not know.
        let by_media_type = BY_ENDING.iter().map(|(_, kind)| kind).find(|kind| {
            **kind != TextKind::PLAIN && media_type.is_some_and(|said| said.eq_ignore_ascii_case(kind.media_type))
        });
        Self {
            text: by_ending.map(|(_, kind)| *kind).or(by_media_type.copied()),
            html: matches!(ending, Some("html" | "htm" | "xhtml"))
                || media_type.is_some_and(|said| said.eq_ignore_ascii_case("text/html")),
        }
    }
}
