use std::fs;
use std::hash::Hasher;

use tokenizers::Tokenizer;

use super::{WEIGHTS, bert, cross_encoder, embedding_gemma, qwen3};
use crate::{write_embedding, write_embedding_gemma, write_qwen3_embedding, write_reranker};

type Files = Vec<super::File>;

fn models() -> [(&'static str, Files); 4] {
    [
        ("embedding", embedding()),
        ("reranker", cross_encoder::files()),
        ("qwen3 embedding", qwen3::files()),
        ("embedding gemma", embedding_gemma::files()),
    ]
}

fn embedding() -> Files {
    let mut files = bert::files();
    files.push((WEIGHTS, bert::weights()));
    files
}

fn file<'a>(files: &'a Files, name: &str) -> &'a [u8] {
    &files.iter().find(|(path, _)| *path == name).unwrap().1
}

/// A change here is a change of the models that everyone sees.
const PINNED: [u64; 4] = [
    0x80B5_F053_6723_33B8,
    0x0A74_6E24_C036_151B,
    0xB6D6_570A_6150_B502,
    0x6A32_BF5F_5912_4D61,
];

#[test]
fn every_run_makes_the_same_bytes() {
    let made = models().map(|(_, files)| {
        let mut hasher = Fnv(0xCBF2_9CE4_8422_2325);
        for (name, bytes) in files {
            hasher.write(name.as_bytes());
            hasher.write(&bytes);
        }
        hasher.finish()
    });
    assert_eq!(made, PINNED, "\n{made:#018x?}");
}

#[test]
fn weights_that_are_not_made_anew_are_the_ones_that_would_be() {
    assert_eq!(crc32fast::hash(&bert::weights()), bert::CHECKSUM);
}

#[test]
fn the_models_are_small() {
    for (name, files) in models() {
        let total: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!((500_000..15_000_000).contains(&total), "{name}: {total} bytes");
    }
}

#[test]
fn weights_are_finite_and_have_the_shapes_of_the_configuration() {
    for (name, files) in models() {
        let config: serde_json::Value = serde_json::from_slice(file(&files, "config.json")).unwrap();
        let bytes = file(&files, "model.safetensors");
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
        let words = header
            .as_object()
            .unwrap()
            .iter()
            .find(|(name, _)| name.ends_with("word_embeddings.weight") || name.starts_with("embed_tokens"));
        let shape = &words.unwrap().1["shape"];
        assert_eq!(
            (&shape[0], &shape[1]),
            (&config["vocab_size"], &config["hidden_size"]),
            "{name}"
        );
        let (values, rest) = bytes[8 + length..].as_chunks::<4>();
        assert!(rest.is_empty());
        assert!(
            values.iter().all(|value| f32::from_le_bytes(*value).is_finite()),
            "{name}"
        );
    }
}

#[test]
fn texts_are_cut_into_words_and_pairs_of_letters() {
    let cut = |files: &Files, text: &str| {
        let tokenizer = Tokenizer::from_bytes(file(files, "tokenizer.json")).unwrap();
        tokenizer.encode(text, true).unwrap().get_tokens().join("|")
    };
    let (embedding, reranker) = (bert::files(), cross_encoder::files());
    assert_eq!(
        cut(&embedding, "Where do Llamas LIVE?"),
        "[CLS]|where|do|ll|##am|##as|live|?|[SEP]"
    );
    assert_eq!(cut(&embedding, "the certificates"), "[CLS]|the|certificate|##s|[SEP]");
    assert_eq!(
        cut(&reranker, "Where do Llamas LIVE?"),
        "[CLS]|where|do|ll|##am|##as|li|##ve|?|[SEP]"
    );
    for files in [&embedding, &reranker] {
        assert_eq!(cut(files, "vicuña 42"), "[CLS]|vi|##cu|##na|4|##2|[SEP]");
        assert_eq!(cut(files, "мир"), "[CLS]|м|##и|##р|[SEP]");
        let tokenizer = Tokenizer::from_bytes(file(files, "tokenizer.json")).unwrap();
        let pair = tokenizer.encode(("the llama", "the puna"), true).unwrap();
        assert_eq!(pair.get_type_ids(), [0, 0, 0, 0, 0, 0, 1, 1, 1, 1]);
    }
}

#[test]
fn the_causal_model_knows_the_same_words_and_ends_each_text() {
    let tokenizer = Tokenizer::from_bytes(file(&qwen3::files(), "tokenizer.json")).unwrap();
    let tokens = |text: &str| tokenizer.encode(text, true).unwrap().get_tokens().join("|");
    assert_eq!(
        tokens("In the Puna, ina"),
        "\u{120}in|\u{120}the|\u{120}pu|na|,|\u{120}in|a|<|endoftext|>"
    );
    for text in ["in the puna", "vicuña \u{1F999}\n\n  x", "мир", "a_b 42!"] {
        let ids = tokenizer.encode(text, false).unwrap();
        assert_eq!(tokenizer.decode(ids.get_ids(), false).unwrap(), format!(" {text}"));
    }
    let vocabulary: serde_json::Value = serde_json::from_slice(file(&qwen3::files(), "config.json")).unwrap();
    assert_eq!(vocabulary["vocab_size"], tokenizer.get_vocab_size(true));
}

#[test]
fn files_of_modules_go_to_their_folders_and_damage_is_repaired() {
    let directory = tempfile::tempdir().unwrap();
    for (name, write, files) in [
        ("a", write_embedding as fn(&std::path::Path) -> _, embedding()),
        ("b", write_reranker, cross_encoder::files()),
        ("c", write_qwen3_embedding, qwen3::files()),
        ("d", write_embedding_gemma, embedding_gemma::files()),
    ] {
        let model = directory.path().join(name);
        write(&model).unwrap();
        for damaged in ["config.json", WEIGHTS] {
            fs::write(model.join(damaged), "{").unwrap();
        }
        write(&model).unwrap();
        for (path, bytes) in files {
            assert_eq!(fs::read(model.join(path)).unwrap(), bytes, "{name}/{path}");
        }
    }
}

/// The FNV-1a hash: enough to notice a change.
struct Fnv(u64);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
