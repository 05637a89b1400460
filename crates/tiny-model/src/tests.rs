use std::fs;
use std::hash::Hasher;

use tokenizers::Tokenizer;

use crate::tokenizer::Vocabulary;
use crate::training::{Encoder, Split, Task, example};
use crate::{CONTEXT_LENGTH, GGUF_FILE, VOCABULARY_SIZE, evaluate, files, gguf, write, write_gguf};

/// A change here is a change of the model that everyone sees: what it answers changes with it.
const PINNED: [(&str, u64); 6] = [
    ("config.json", 0xC6E9_AE62_3EE0_C36E),
    ("generation_config.json", 0x30C3_4273_826D_2A94),
    ("tokenizer.json", 0xF867_B1D1_3FDC_9768),
    ("tokenizer_config.json", 0x4C20_1944_80FE_96BC),
    ("model.safetensors", 0x33A4_83A7_1164_5E23),
    (GGUF_FILE, 0xF701_16BE_8519_BD16),
];

#[test]
fn every_run_makes_the_same_bytes() {
    let mut made: Vec<(&str, u64)> = files().into_iter().map(|(name, bytes)| (name, fnv(&bytes))).collect();
    made.push((GGUF_FILE, fnv(&gguf())));
    assert_eq!(made, PINNED, "\n{made:#018x?}");
}

#[test]
fn the_committed_weights_are_those_that_the_recipe_made() {
    let manifest: serde_json::Value = serde_json::from_str(include_str!("../weights/manifest.json")).unwrap();
    let merges = include_bytes!("../weights/merges.txt");
    for (key, bytes) in [("weights", crate::weights::TRAINED), ("merges", merges)] {
        assert_eq!(manifest[key], format!("{:016x}", fnv(bytes)), "{key}");
    }
}

#[test]
fn the_model_is_small() {
    assert!((1_500_000..5_000_000).contains(&crate::weights::TRAINED.len()));
    let total: usize = files().iter().map(|(_, bytes)| bytes.len()).sum();
    assert!((2_000_000..10_000_000).contains(&total), "{total} bytes");
}

#[test]
fn tokenizer_gives_back_every_text() {
    let tokenizer = tokenizer();
    let every_character: String = (0..0x3000).filter_map(char::from_u32).collect();
    let texts = [
        "",
        " ",
        "Hello, llama!",
        "  two  spaces\tand\r\n\r\nlines ",
        "vicuña \u{1F999} \u{10FFFF} e\u{301} \u{202E}right to left",
        &every_character,
    ];
    for text in texts {
        let tokens = tokenizer.encode(text, true).unwrap();
        assert_eq!(tokenizer.decode(tokens.get_ids(), false).unwrap(), text);
    }
}

#[test]
fn tokenizer_knows_its_special_tokens() {
    let tokenizer = tokenizer();
    assert_eq!(tokenizer.get_vocab_size(true), VOCABULARY_SIZE);
    let tokens = tokenizer
        .encode("<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>", false)
        .unwrap();
    let ids = tokens.get_ids();
    assert_eq!((ids[0], ids[ids.len() - 1]), (1021, 1023));
    assert_eq!(tokenizer.decode(ids, true).unwrap(), "user\n\nHi");
}

#[test]
fn trained_and_published_tokenizers_agree() {
    let tokenizer = tokenizer();
    let mut encoder = Encoder::new(Vocabulary::load().bpe);
    for task in Task::ALL {
        for seed in 0..10 {
            let conversation = example(task, Split::HeldOut, seed).conversation;
            let tokens = encoder.prompt(&conversation);
            let text = tokenizer.decode(&tokens, false).unwrap();
            assert_eq!(
                tokenizer.encode(text.as_str(), false).unwrap().get_ids(),
                tokens,
                "{text}"
            );
        }
    }
}

/// Few prompts, so that a test is quick; the README tells how many of a hundred are answered.
#[test]
fn held_out_prompts_are_answered() {
    for score in evaluate(5) {
        let least = match score.task {
            Task::Passage | Task::NotInPassage | Task::ToolCall => 3,
            _ => 4,
        };
        assert!(score.right >= least, "{score:#?}");
    }
}

#[test]
fn weights_are_finite_and_laid_out_as_the_header_says() {
    let files = files();
    let bytes = &files.iter().find(|(name, _)| *name == "model.safetensors").unwrap().1;
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let values = &bytes[8 + length..];
    assert_eq!(header["lm_head.weight"]["data_offsets"][1], values.len());
    assert_eq!(
        header["lm_head.weight"]["shape"],
        serde_json::json!([VOCABULARY_SIZE, 192])
    );
    let (values, rest) = values.as_chunks::<4>();
    assert!(rest.is_empty());
    assert!(values.iter().all(|value| f32::from_le_bytes(*value).is_finite()));
}

#[test]
fn gguf_holds_the_same_weights() {
    let gguf = gguf();
    let files = files();
    let safetensors = &files.iter().find(|(name, _)| *name == "model.safetensors").unwrap().1;
    assert_eq!(&gguf[..8], b"GGUF\x03\0\0\0");
    // Both end with the output matrix, which is the same in both.
    let output = VOCABULARY_SIZE * 192 * 4;
    assert_eq!(gguf[gguf.len() - output..], safetensors[safetensors.len() - output..]);
    assert!(
        gguf.windows(b"llama.context_length".len())
            .any(|window| window == b"llama.context_length")
    );
    assert_eq!(CONTEXT_LENGTH, 4096);
}

#[test]
fn writing_repairs_what_is_damaged_and_leaves_the_rest() {
    let directory = tempfile::tempdir().unwrap();
    let model = directory.path().join("models/tiny");
    write(&model).unwrap();
    let intact = fs::metadata(model.join("tokenizer.json")).unwrap().modified().unwrap();
    fs::write(model.join("config.json"), "{").unwrap();
    fs::remove_file(model.join("model.safetensors")).unwrap();
    fs::write(model.join("notes.txt"), "mine").unwrap();

    write(&model).unwrap();

    for (name, bytes) in files() {
        assert_eq!(fs::read(model.join(name)).unwrap(), bytes, "{name}");
    }
    assert_eq!(
        fs::metadata(model.join("tokenizer.json")).unwrap().modified().unwrap(),
        intact
    );
    assert_eq!(fs::read_to_string(model.join("notes.txt")).unwrap(), "mine");
    assert_eq!(
        fs::read_dir(&model).unwrap().count(),
        files().len() + 1,
        "something was left behind"
    );
}

#[test]
fn several_writers_at_once_leave_a_whole_file() {
    let directory = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| write_gguf(directory.path()).unwrap());
        }
    });
    assert_eq!(fs::read(directory.path().join(GGUF_FILE)).unwrap(), gguf());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn an_unwritable_place_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let error = write(&file.join("model")).unwrap_err().to_string();
    assert!(
        error.starts_with("cannot create ") && error.contains("file/model: "),
        "{error}"
    );
}

fn tokenizer() -> Tokenizer {
    let files = files();
    let bytes = &files.iter().find(|(name, _)| *name == "tokenizer.json").unwrap().1;
    Tokenizer::from_bytes(bytes).unwrap()
}

/// The FNV-1a hash: enough to notice a change.
fn fnv(bytes: &[u8]) -> u64 {
    #[derive(Default)]
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
    let mut hasher = Fnv(0xCBF2_9CE4_8422_2325);
    hasher.write(bytes);
    hasher.finish()
}
