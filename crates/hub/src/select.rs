//! Which files of a model are fetched.

use puna_api::{Error, Result};

use crate::client::ListedFile;
use crate::disk::shown;

/// Weights in formats that hold numbers and nothing else.
const WEIGHTS: &[&str] = &["safetensors", "gguf", "uqff"];
/// What stands beside weights: configurations, tokenizers, chat templates.
const BESIDE: &[&str] = &["json", "jinja", "model", "tiktoken", "txt"];
/// Formats of Python's `pickle`, whose loading runs what the file says.
const PICKLE: &[&str] = &["bin", "ckpt", "pickle", "pkl", "pt", "pth"];

/// What a file is to a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Weights,
    Beside,
    Pickle,
    Other,
}

/// The files to fetch, and those that are left out because they can run code when they are loaded.
pub(crate) struct Selection<'a> {
    pub(crate) wanted: Vec<&'a ListedFile>,
    pub(crate) pickles: Vec<&'a ListedFile>,
}

/// Without patterns: everything that a model is loaded from. With patterns, in which `*` stands for anything: what matches one of them.
pub(crate) fn select<'a>(files: &'a [ListedFile], patterns: &[String]) -> Result<Selection<'a>> {
    if patterns.is_empty() {
        return usual(files);
    }
    let mut wanted: Vec<&ListedFile> = Vec::new();
    for pattern in patterns {
        let matching: Vec<_> = files.iter().filter(|file| matches(pattern, &file.name)).collect();
        if matching.is_empty() {
            let listed = listing(files.iter().filter(|file| kind(&file.name) != Kind::Other));
            return Err(
                Error::not_found(format!("the model has no file `{pattern}`; it has:{listed}"))
                    .with_code("entry_not_found"),
            );
        }
        if let Some(pickle) = matching.iter().find(|file| kind(&file.name) == Kind::Pickle) {
            let name = &pickle.name;
            return Err(Error::invalid_request(format!(
                "`{name}` may be a pickle, which can run code when it is loaded; Puna reads safetensors, GGUF and UQFF"
            ))
            .with_code("pickle_refused"));
        }
        for file in matching {
            if !wanted.iter().any(|there| there.name == file.name) {
                wanted.push(file);
            }
        }
    }
    Ok(Selection {
        wanted,
        pickles: Vec::new(),
    })
}

fn usual(files: &[ListedFile]) -> Result<Selection<'_>> {
    let of = |kinds: &[Kind]| {
        files
            .iter()
            .filter(|file| kinds.contains(&kind(&file.name)))
            .collect::<Vec<_>>()
    };
    let (wanted, pickles) = (of(&[Kind::Weights, Kind::Beside]), of(&[Kind::Pickle]));
    let weights = of(&[Kind::Weights]);
    if weights.is_empty() {
        let reason = match pickles.first() {
            Some(pickle) => format!(
                "its weights are pickles such as `{}`, which can run code when they are loaded",
                pickle.name
            ),
            None => "it has none".to_owned(),
        };
        return Err(Error::unsupported(format!(
            "the model has no weights in a format that Puna reads (safetensors, GGUF, UQFF): {reason}; fetch single files with `--file`"
        ))
        .with_code("no_weights"));
    }
    // A repository of GGUF files has one model in many precisions, and nobody wants them all.
    let mut choices: Vec<&str> = weights
        .iter()
        .filter(|file| file.name.to_ascii_lowercase().ends_with(".gguf"))
        .map(|file| without_shard(&file.name))
        .collect();
    choices.dedup();
    if choices.len() > 1 {
        let listed = listing(weights.iter().copied());
        return Err(Error::invalid_request(format!(
            "the model has {} GGUF files to choose from; name those to fetch with `--file`, such as `--file '*Q4_K_M*'`:{listed}",
            choices.len()
        ))
        .with_code("file_needed"));
    }
    Ok(Selection { wanted, pickles })
}

fn kind(name: &str) -> Kind {
    let extension = name
        .rsplit_once('.')
        .map(|(_, extension)| extension.to_ascii_lowercase());
    let is_in = |list: &[&str]| extension.as_deref().is_some_and(|extension| list.contains(&extension));
    if is_in(WEIGHTS) {
        Kind::Weights
    } else if is_in(BESIDE) {
        Kind::Beside
    } else if is_in(PICKLE) {
        Kind::Pickle
    } else {
        Kind::Other
    }
}

/// `x-Q4-00001-of-00003.gguf` is a part of what `x-Q4` is.
fn without_shard(name: &str) -> &str {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let is_number = |text: &str| text.len() == 5 && text.bytes().all(|b| b.is_ascii_digit());
    if let Some((rest, count)) = stem.rsplit_once("-of-")
        && let Some((rest, number)) = rest.rsplit_once('-')
        && is_number(count)
        && is_number(number)
    {
        return rest;
    }
    stem
}

fn listing<'a>(files: impl Iterator<Item = &'a ListedFile>) -> String {
    let mut listed = String::new();
    for (at, file) in files.enumerate() {
        if at == 50 {
            listed.push_str("\n  …");
            break;
        }
        let size = file
            .bytes
            .map_or_else(String::new, |bytes| format!("  {}", shown(bytes)));
        listed.push_str(&format!("\n  {}{size}", file.name));
    }
    listed
}

/// Whether a name is what a pattern says, in which `*` stands for any text and every other character for itself.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<_> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(files: &[&str], patterns: &[&str]) -> Result<(Vec<String>, usize)> {
        let file = |name: &&str| ListedFile {
            name: (*name).to_owned(),
            bytes: Some(1500),
            checksum: None,
        };
        let files: Vec<_> = files.iter().map(file).collect();
        let patterns: Vec<_> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        let selection = select(&files, &patterns)?;
        Ok((
            selection.wanted.iter().map(|file| file.name.clone()).collect(),
            selection.pickles.len(),
        ))
    }

    #[test]
    fn a_model_is_its_weights_and_what_they_need() {
        let files = [
            ".gitattributes",
            "README.md",
            "config.json",
            "tokenizer.model",
            "merges.txt",
            "chat_template.jinja",
            "image.png",
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            "pytorch_model.bin",
            "original/consolidated.00.pth",
        ];
        let (wanted, pickles) = chosen(&files, &[]).unwrap();
        assert_eq!(
            wanted,
            [
                "config.json",
                "tokenizer.model",
                "merges.txt",
                "chat_template.jinja",
                "model-00001-of-00002.safetensors",
                "model-00002-of-00002.safetensors"
            ]
        );
        assert_eq!(pickles, 2);
    }

    #[test]
    fn one_of_many_gguf_files_is_asked_for() {
        let files = [
            "x-Q4.gguf",
            "x-Q8-00001-of-00002.gguf",
            "x-Q8-00002-of-00002.gguf",
            "README.md",
        ];
        let error = chosen(&files, &[]).unwrap_err();
        assert_eq!(error.code(), Some("file_needed"));
        assert!(
            error.message().contains("has 2 GGUF files") && error.message().contains("x-Q4.gguf  1.5 kB"),
            "{error}"
        );
        assert_eq!(chosen(&files, &["*Q8*"]).unwrap().0.len(), 2);
        assert_eq!(chosen(&files[1..], &[]).unwrap().0.len(), 2);
    }

    #[test]
    fn pickles_are_never_fetched() {
        let files = ["pytorch_model.bin", "config.json"];
        assert_eq!(chosen(&files, &[]).unwrap_err().code(), Some("no_weights"));
        for pattern in ["pytorch_model.bin", "*"] {
            assert_eq!(chosen(&files, &[pattern]).unwrap_err().code(), Some("pickle_refused"));
        }
        assert_eq!(chosen(&files, &["config.json", "*.json"]).unwrap().0, ["config.json"]);
        let error = chosen(&files, &["confg.json"]).unwrap_err();
        assert!(error.message().contains("config.json"), "{error}");
    }

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, name, expected) in [
            ("a.json", "a.json", true),
            ("a.json", "a.jsonl", false),
            ("*.json", "deep/a.json", true),
            ("*Q4*K*", "x-Q4_K_M.gguf", true),
            ("*Q4*K*", "x-K_Q4.gguf", false),
            ("a*a", "a", false),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
