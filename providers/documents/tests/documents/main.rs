//! Documents of each kind, sound, broken and hostile, read by workers as a server has them read.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the functions of a test without a harness are tests all the same"
)]

#[path = "../fixtures/mod.rs"]
mod fixtures;
mod hostile;
mod meters;
mod reader;
mod sound;

puna_testkit::worker_tests!(
    puna_provider_documents::PROVIDER,
    [
        sound::a_pdf_keeps_its_pages_and_metadata,
        sound::a_word_document_keeps_its_headings_and_tables,
        sound::slides_are_pages,
        sound::sheets_are_pages_with_their_names,
        sound::a_page_of_html_keeps_its_title,
        sound::metadata_can_be_left_out,
        sound::texts_in_other_encodings_are_read,
        sound::chunks_of_a_pdf_know_their_pages_and_headings,
        sound::what_the_configuration_says_is_what_auto_does,
        meters::the_stages_of_reading_are_measured,
        hostile::a_password_is_asked_for_by_name,
        hostile::a_package_that_unpacks_without_end_is_refused,
        hostile::a_package_that_is_only_large_is_refused_by_memory,
        hostile::a_pdf_that_unpacks_without_end_does_no_harm,
        hostile::a_pdf_whose_pages_go_in_circles_does_no_harm,
        hostile::what_is_nested_too_deeply_does_no_harm,
        hostile::a_file_that_is_too_large_is_refused_before_it_is_read,
        hostile::a_file_that_takes_too_long_is_given_up,
        hostile::noise_does_no_harm,
        hostile::more_text_than_allowed_is_refused,
    ]
);
