//! Documents that nobody should have written.

use std::io::{Cursor, Seek, Write};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use puna_api::{Error, ErrorKind, FileSource, ProcessFile, ProcessedFile, Result};
use puna_worker::Program;
use serde_json::json;

use crate::fixtures::{Object, deflated, docx, pages, paragraph, pdf, pdf_of, sample_docx};
use crate::reader::Reader;

/// The error of a file that is refused as its sender's fault.
fn refused(outcome: Result<ProcessedFile>, what: &str) -> Error {
    let error = match outcome {
        Err(error) => error,
        Ok(processed) => panic!("{what} was read: {:.200}", format!("{processed:?}")),
    };
    assert!(
        matches!(
            error.kind(),
            ErrorKind::InvalidRequest | ErrorKind::TooLarge | ErrorKind::Unsupported
        ),
        "{what}: {error:?}"
    );
    assert_eq!(error.param(), Some("file"), "{what}: {error:?}");
    error
}

/// Checks that a file after a hostile one is read as ever.
async fn works_as_ever(reader: &Reader) {
    let processed = reader.read(b"Llamas live in the puna.".to_vec()).await.unwrap();
    assert_eq!(processed.chunks[0].text, "Llamas live in the puna.");
}

pub(crate) async fn a_password_is_asked_for_by_name(program: Program) {
    let reader = Reader::new(program, json!({})).await;
    // What Word writes: the package, encrypted, in a container of another kind.
    let mut container = cfb::CompoundFile::create(Cursor::new(Vec::new())).unwrap();
    for name in ["/EncryptionInfo", "/EncryptedPackage"] {
        container.create_stream(name).unwrap().write_all(&[7; 5000]).unwrap();
    }
    let word = container.into_inner().into_inner();
    // A key that the empty password does not lead to.
    let key = "5a".repeat(32);
    let encryption = format!("<< /Filter /Standard /V 2 /R 3 /Length 128 /P -44 /O <{key}> /U <{key}> >>");
    let mut objects = pages(vec![Object::stream("", b"BT /F1 12 Tf (x) Tj ET".to_vec())]);
    objects.push(Object::new(encryption));
    let id = "00112233445566778899aabbccddeeff";
    let trailer = format!("/Encrypt {} 0 R /ID [<{id}> <{id}>]", objects.len());
    for (what, bytes) in [("Word", word), ("PDF", pdf_of(&objects, &trailer))] {
        let error = refused(reader.read(bytes).await, what);
        assert_eq!(error.code(), Some("encrypted_file"), "{what}: {error:?}");
        assert!(error.message().contains("password"), "{what}: {error}");
    }
}

pub(crate) async fn a_package_that_unpacks_without_end_is_refused(program: Program) {
    let reader = Reader::new(program, json!({ "max_memory_bytes": 256 << 20, "timeout_seconds": 60 })).await;
    // A gigabyte of spaces is a megabyte when packed.
    let bomb = docx(&format!("<w:p>{}</w:p>", " ".repeat(1 << 30)), true);
    assert!(bomb.len() < 2 << 20, "{} bytes", bomb.len());
    refused(reader.read(bomb).await, "a gigabyte of spaces");
    works_as_ever(&reader).await;
}

pub(crate) async fn a_package_that_is_only_large_is_refused_by_memory(program: Program) {
    let reader = Reader::new(program, json!({ "max_memory_bytes": 48 << 20 })).await;
    let body: String = (0..200_000)
        .map(|number| paragraph(None, &format!("llama {number}")))
        .collect();
    let error = refused(reader.read(docx(&body, false)).await, "a large package");
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error:?}");
    assert!(error.message().contains("50331648 bytes of memory"), "{error}");
    works_as_ever(&reader).await;
}

pub(crate) async fn a_pdf_that_unpacks_without_end_does_no_harm(program: Program) {
    let reader = Reader::new(program, json!({ "max_memory_bytes": 256 << 20, "timeout_seconds": 60 })).await;
    let once = deflated(&vec![b' '; 1 << 30]);
    let twice = deflated(&once);
    assert!(twice.len() < 20_000, "{} bytes", twice.len());
    for (filters, stream) in [("/FlateDecode", once), ("[/FlateDecode /FlateDecode]", twice)] {
        let content = Object::stream(&format!("/Filter {filters}"), stream);
        refused(reader.read(pdf_of(&pages(vec![content]), "")).await, filters);
    }
    works_as_ever(&reader).await;
}

pub(crate) async fn a_pdf_whose_pages_go_in_circles_does_no_harm(program: Program) {
    let reader = Reader::new(program, json!({ "timeout_seconds": 20 })).await;
    let circle = [
        Object::new("<< /Type /Catalog /Pages 2 0 R >>"),
        Object::new("<< /Type /Pages /Count 2 /Kids [2 0 R 3 0 R] /Parent 3 0 R >>"),
        Object::new("<< /Type /Pages /Count 1 /Kids [2 0 R] /Parent 2 0 R >>"),
    ];
    refused(reader.read(pdf_of(&circle, "")).await, "pages in a circle");
    works_as_ever(&reader).await;
}

pub(crate) async fn what_is_nested_too_deeply_does_no_harm(program: Program) {
    let reader = Reader::new(program, json!({ "timeout_seconds": 5 })).await;
    const DEPTH: usize = 100_000;
    let nested = |open: &str, close: &str| format!("{}llama{}", open.repeat(DEPTH), close.repeat(DEPTH));
    let tables = nested("<w:tbl><w:tr><w:tc>", "</w:tc></w:tr></w:tbl>");
    let arrays = [
        Object::new("<< /Type /Catalog /Pages 2 0 R >>"),
        Object::new(nested("[", "]")),
    ];
    for (what, bytes) in [
        (
            "HTML",
            format!("<!doctype html>{}", nested("<div>", "</div>")).into_bytes(),
        ),
        ("JSON", nested("[", "]").into_bytes()),
        ("Markdown", format!("# x\n\n{}", nested("> ", "")).into_bytes()),
        ("Word", docx(&tables, false)),
        ("PDF", pdf_of(&arrays, "")),
    ] {
        // Some parsers can take it. None may take the server with it.
        match reader.chunks(bytes, 800, 400).await {
            Ok(processed) => assert!(processed.chunks.len() < 10_000, "{what}: {}", processed.chunks.len()),
            Err(error) => drop(refused(Err(error), what)),
        }
        works_as_ever(&reader).await;
    }
}

pub(crate) async fn a_file_that_is_too_large_is_refused_before_it_is_read(program: Program) {
    let reader = Reader::new(program, json!({ "max_file_bytes": 1000 })).await;
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&[b'x'; 1001]).unwrap();
    file.rewind().unwrap();
    let endless = futures::stream::repeat_with(|| Ok(Bytes::from_static(&[b'x'; 100]))).boxed();
    for content in [
        FileSource::Bytes(Bytes::from_static(&[b'x'; 1001])),
        FileSource::File(file),
        FileSource::Stream(endless),
    ] {
        let what = format!("{content:?}");
        let error = refused(reader.process(ProcessFile::new(content)).await, &what);
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{what}: {error:?}");
        assert!(error.message().contains("1000 bytes"), "{what}: {error}");
    }
    assert!(reader.read(vec![b'x'; 1000]).await.is_ok());
}

pub(crate) async fn a_file_that_takes_too_long_is_given_up(program: Program) {
    let reader = Reader::new(program, json!({ "timeout_seconds": 1 })).await;
    let endless = FileSource::Stream(futures::stream::pending().boxed());
    let work = reader.process(ProcessFile::new(endless));
    let outcome = tokio::time::timeout(Duration::from_secs(60), work).await.unwrap();
    let error = refused(outcome, "a file that never comes");
    assert!(error.message().contains("more than 1 s"), "{error}");
    works_as_ever(&reader).await;
}

pub(crate) async fn noise_does_no_harm(program: Program) {
    let reader = Reader::new(program, json!({ "timeout_seconds": 60 })).await;
    let sound = [pdf(&[&["Llamas", "They live in the puna."]]), sample_docx()];
    // The same noise in each run.
    let mut state = 0x9e37_79b9_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as usize
    };
    for bytes in sound {
        for _ in 0..10 {
            let mut noisy = bytes.clone();
            for _ in 0..20 {
                let place = next() % noisy.len();
                noisy[place] = next().to_le_bytes()[0];
            }
            // Some can still be read.
            if let Err(error) = reader.read(noisy).await {
                refused(Err(error), "noise");
            }
        }
    }
    works_as_ever(&reader).await;
}

pub(crate) async fn more_text_than_allowed_is_refused(program: Program) {
    let reader = Reader::new(program, json!({ "max_output_bytes": 10_000 })).await;
    let error = refused(reader.read(vec![b'x'; 20_000]).await, "a long text");
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.message().contains("10000 bytes"), "{error}");
}
