//! Documents as people write them.

use puna_api::{ChunkingStrategy, FileSource, ProcessFile};
use puna_worker::Program;
use serde_json::json;

use crate::fixtures::{DOCX, PPTX, XLSX, pdf, pptx, sample_docx, xlsx};
use crate::reader::Reader;

pub(crate) async fn a_pdf_keeps_its_pages_and_metadata(program: Program) {
    let reader = Reader::new(program, json!({})).await;
    let bytes = pdf(&[&["Llamas", "They live in the puna."], &[], &["Alpacas", "So do they."]]);
    let processed = reader.read(bytes).await.unwrap();
    assert_eq!(processed.document.media_type, "application/pdf");
    assert_eq!(processed.document.page_count, Some(3));
    assert_eq!(processed.document.title.as_deref(), Some("Of llamas"));
    assert_eq!(processed.document.author.as_deref(), Some("A. Herder"));
    let whole = &processed.chunks[0];
    assert_eq!((whole.first_page, whole.last_page), (Some(1), Some(3)));
    assert!(whole.text.contains("They live in the puna."), "{}", whole.text);
}

pub(crate) async fn a_word_document_keeps_its_headings_and_tables(program: Program) {
    let reader = Reader::new(program, json!({})).await;
    let processed = reader.read(sample_docx()).await.unwrap();
    assert_eq!(processed.document.media_type, DOCX);
    assert_eq!(processed.document.title.as_deref(), Some("Of llamas"));
    assert_eq!(processed.document.page_count, None);
    let text = &processed.chunks[0].text;
    let places = [
        "# Llamas",
        "Llamas live in the puna & eat grass.",
        "## Measures",
        "| llama | 1.8 m |",
        "Grüße aus Peru.",
    ]
    .map(|words| text.find(words).unwrap_or_else(|| panic!("{words:?} is not in {text}")));
    assert!(places.is_sorted(), "{text}");
}

pub(crate) async fn slides_are_pages(program: Program) {
    let reader = Reader::new(program, json!({})).await;
    let filler = "Llamas walk over the high grassland. ".repeat(12);
    let processed = reader
        .chunks(pptx(&[("One", &filler), ("Two", &filler), ("Three", &filler)]), 150, 0)
        .await
        .unwrap();
    assert_eq!(processed.document.media_type, PPTX);
    assert_eq!(processed.document.page_count, Some(3));
    let pages: Vec<_> = processed.chunks.iter().map(|chunk| chunk.first_page).collect();
    assert_eq!(pages, [Some(1), Some(2), Some(3)], "{:?}", processed.chunks);
    let second = &processed.chunks[1];
    assert!(
        second.text.starts_with("# Two") && second.headings.is_empty(),
        "{second:?}"
    );
}

pub(crate) async fn sheets_are_pages_with_their_names(program: Program) {
    let reader = Reader::new(program, json!({})).await;
    let rows: Vec<Vec<String>> = (0..60)
        .map(|number| vec![format!("llama {number}"), format!("{number}.5")])
        .collect();
    let rows: Vec<Vec<&str>> = rows
        .iter()
        .map(|row| row.iter().map(String::as_str).collect())
        .collect();
    let rows: Vec<&[&str]> = rows.iter().map(Vec::as_slice).collect();
    let processed = reader
        .chunks(xlsx(&[("Herd", &rows), ("Grass", &rows)]), 200, 0)
        .await
        .unwrap();
    assert_eq!(processed.document.media_type, XLSX);
    assert_eq!(processed.document.page_count, Some(2));
    let turn = processed.chunks.iter().find(|chunk| chunk.text.contains("## Grass"));
    assert_eq!(turn.unwrap().last_page, Some(2), "{turn:?}");
    let last = processed.chunks.last().unwrap();
    assert_eq!(
        (last.first_page, last.headings.as_slice()),
        (Some(2), ["Grass".to_owned()].as_slice())
    );
    let middle = &processed.chunks[1];
    assert_eq!(
        (middle.first_page, middle.headings.as_slice()),
        (Some(1), ["Herd".to_owned()].as_slice())
    );
    assert!(
        middle.text.starts_with('|') && middle.text.ends_with('|'),
        "a row is cut: {middle:?}"
    );
}

pub(crate) async fn a_page_of_html_keeps_its_title(program: Program) {
    let reader = Reader::new(program, json!({})).await;
    let html = "<html><head><title>Of llamas</title></head><body><h2>Where</h2><p>In the puna.</p></body></html>";
    let processed = reader.read(html.as_bytes().to_vec()).await.unwrap();
    assert_eq!(processed.document.title.as_deref(), Some("Of llamas"));
    assert_eq!(processed.chunks[0].text, "## Where\n\nIn the puna.");
}

pub(crate) async fn metadata_can_be_left_out(program: Program) {
    let reader = Reader::new(program, json!({ "extract_metadata": false })).await;
    let processed = reader.read(sample_docx()).await.unwrap();
    assert_eq!((processed.document.title, processed.document.author), (None, None));
}

pub(crate) async fn texts_in_other_encodings_are_read(program: Program) {
    let reader = Reader::new(program, json!({})).await;
    let text = "Die Lamas grüßen und fressen Gräser.";
    let utf_16: Vec<u8> = std::iter::once(0xfeff)
        .chain(text.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let latin_1: Vec<u8> = text
        .chars()
        .map(|character| u8::try_from(u32::from(character)).unwrap())
        .collect();
    for bytes in [utf_16, latin_1, format!("\u{feff}{text}").into_bytes()] {
        assert_eq!(reader.read(bytes).await.unwrap().chunks[0].text, text);
    }
}

pub(crate) async fn chunks_of_a_pdf_know_their_pages_and_headings(program: Program) {
    let reader = Reader::new(program, json!({})).await;
    let line = "Llamas walk over the high grassland and rest in the shade of rocks.";
    let page = |title| {
        let mut lines = vec![title];
        lines.extend([line; 14]);
        lines
    };
    let (one, two) = (page("Herds of the north"), page("Herds of the south"));
    let processed = reader.chunks(pdf(&[&one, &two]), 120, 20).await.unwrap();
    assert!(processed.chunks.len() >= 4, "{:?}", processed.chunks);
    for chunk in &processed.chunks {
        let (first, last) = (chunk.first_page.unwrap(), chunk.last_page.unwrap());
        assert!(first <= last && last <= 2, "{chunk:?}");
        if chunk.text.contains("Herds of the south") {
            assert_eq!(last, 2, "{chunk:?}");
        }
    }
    let last = processed.chunks.last().unwrap();
    assert_eq!((last.first_page, last.last_page), (Some(2), Some(2)));
}

pub(crate) async fn what_the_configuration_says_is_what_auto_does(program: Program) {
    let config = json!({ "default_chunk_size_tokens": 120, "default_chunk_overlap_tokens": 0 });
    let reader = Reader::new(program, config).await;
    let text = "Llamas walk over the high grassland. ".repeat(200);
    let processed = reader
        .process(ProcessFile {
            chunking: Some(ChunkingStrategy::Auto {}),
            ..ProcessFile::new(FileSource::Bytes(text.into()))
        })
        .await
        .unwrap();
    assert!(processed.chunks.len() > 10);
    for pair in processed.chunks.windows(2) {
        assert!(pair[0].tokens <= 120 && pair[0].end <= pair[1].start, "{pair:?}");
    }
}
