//! The conformance suite.

#![expect(clippy::unwrap_used, reason = "what writes the files of a test may fail loudly")]

mod fixtures;

use std::process::ExitCode;

use fixtures::{DOCX, PPTX, XLSX, pdf, pptx, sample_docx, xlsx};
use puna_testkit::conformance::file_processors::{self, Sample, Target};
use serde_json::json;

fn main() -> ExitCode {
    let text = |name, media_type, text: &str, says| Sample {
        name,
        bytes: text.as_bytes().to_vec(),
        media_type,
        says,
        breaks: false,
    };
    let packed = |name, media_type, bytes, says| Sample {
        name,
        bytes,
        media_type,
        says,
        breaks: true,
    };
    let target = Target::new(puna_provider_documents::PROVIDER, json!({}))
        .sample(text(
            "a.txt",
            "text/plain",
            "Llamas live in the puna.\n",
            &["Llamas live"],
        ))
        .sample(text(
            "a.md",
            "text/markdown",
            "# Llamas\n\nThey live in the puna.\n",
            &["# Llamas", "They live"],
        ))
        .sample(text(
            "a.html",
            "text/html",
            "<!doctype html><title>x</title><h1>Llamas</h1><p>They live in the <b>puna</b>.</p>",
            &["# Llamas", "They live in the **puna**."],
        ))
        .sample(text(
            "a.csv",
            "text/csv",
            "animal,height\nllama,1.8\nalpaca,0.9\n",
            &["llama,1.8"],
        ))
        .sample(text(
            "a.json",
            "application/json",
            r#"{"animal": "llama", "height": 1.8}"#,
            &[r#""llama""#],
        ))
        .sample(text(
            "a.jsonl",
            "application/jsonl",
            "{\"a\": 1}\n{\"a\": 2}\n",
            &["{\"a\": 2}"],
        ))
        .sample(text(
            "a.py",
            "text/x-python",
            "def llama():\n    return 1.8\n",
            &["def llama"],
        ))
        .sample(Sample {
            name: "a.pdf",
            bytes: pdf(&[&["Llamas", "They live in the puna."], &["Alpacas", "So do they."]]),
            media_type: "application/pdf",
            says: &["Llamas", "They live in the puna.", "Alpacas"],
            // What is there of its pages can be read.
            breaks: false,
        })
        .sample(packed(
            "a.docx",
            DOCX,
            sample_docx(),
            &[
                "# Llamas",
                "Llamas live in the puna & eat grass.",
                "| llama | 1.8 m |",
                "Grüße",
            ],
        ))
        .sample(packed(
            "a.pptx",
            PPTX,
            pptx(&[("Llamas", "They live in the puna."), ("Alpacas", "So do they.")]),
            &["Llamas", "They live in the puna.", "So do they."],
        ))
        .sample(packed(
            "a.xlsx",
            XLSX,
            xlsx(&[
                ("Herd", &[&["animal", "height"], &["llama", "1.8"]]),
                ("Grass", &[&["Ichu"]]),
            ]),
            &["Herd", "| llama | 1.8 |", "Grass", "Ichu"],
        ));
    file_processors::main(&target)
}
