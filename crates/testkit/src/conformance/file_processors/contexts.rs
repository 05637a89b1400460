//! Chunks that a model puts in their context.

use puna_api::{ContextualChunking, ErrorKind};

use super::subject::{Act, Subject, long_text, trials};
use super::writer::{FAILING, SILENT, WORDLESS, WRITER};
use crate::conformance::outcome::{Verdict, ensure, ensure_eq, expect_error, expect_named};

pub(super) fn trials() -> Vec<(&'static str, Act)> {
    trials![
        "contexts",
        each_chunk_has_its_own,
        the_model_is_told_the_document_and_the_chunk,
        no_more_are_asked_for_at_once_than_allowed,
        a_model_that_fails_fails_the_file,
        a_model_that_says_nothing_fails_the_file,
        a_model_that_is_silent_is_given_up,
        an_unknown_model_is_not_found,
        bounds_that_cannot_be_are_named,
    ]
}

fn contextual(model: &str) -> ContextualChunking {
    ContextualChunking {
        model_id: Some(model.to_owned()),
        max_chunk_size_tokens: 200,
        chunk_overlap_tokens: 0,
        ..ContextualChunking::default()
    }
}

async fn each_chunk_has_its_own(subject: Subject) -> Verdict {
    let chunks = subject.in_context(long_text(), contextual(WRITER)).await?;
    ensure!(chunks.len() > 3, "{} chunks", chunks.len());
    ensure_eq!(
        subject.writer.asked().len(),
        chunks.len(),
        "how often the model was asked"
    );
    let mut contexts: Vec<&str> = chunks.iter().filter_map(|chunk| chunk.context.as_deref()).collect();
    contexts.sort_unstable();
    contexts.dedup();
    ensure_eq!(contexts.len(), chunks.len(), "the number of different contexts");
    for chunk in &chunks {
        ensure!(
            chunk.content().starts_with("context number ") && chunk.content().ends_with(&chunk.text),
            "the context does not stand before the text: {chunk:?}"
        );
        let alone = subject.read(chunk.content().into_owned()).await?;
        ensure_eq!(chunk.tokens, alone.chunks[0].tokens, "the tokens of context and text");
    }
    Ok(())
}

async fn the_model_is_told_the_document_and_the_chunk(subject: Subject) -> Verdict {
    let chunking = ContextualChunking {
        context_prompt: Some("<all>{{WHOLE_DOCUMENT}}</all><one>{{CHUNK_CONTENT}}</one>".to_owned()),
        ..contextual(WRITER)
    };
    // What stands in a document is never taken for a place in the prompt.
    let text = "The words {{CHUNK_CONTENT}} and {{WHOLE_DOCUMENT}} mean nothing here.";
    subject.in_context(text, chunking).await?;
    let asked = subject.writer.asked();
    ensure_eq!(asked.len(), 1, "how often the model was asked");
    let prompt = format!("<all>{text}</all><one>{text}</one>");
    ensure!(asked[0].contains(&prompt), "the model was told {}", asked[0]);
    // The provider's own prompt has both places too.
    subject
        .in_context("Llamas live in the puna.", contextual(WRITER))
        .await?;
    let asked = subject.writer.asked();
    ensure_eq!(
        asked[1].matches("Llamas live in the puna.").count(),
        2,
        "how often the text stands in {}",
        asked[1]
    );
    Ok(())
}

async fn no_more_are_asked_for_at_once_than_allowed(subject: Subject) -> Verdict {
    for most in [1, 3] {
        let chunking = ContextualChunking {
            max_concurrency: Some(most),
            ..contextual(WRITER)
        };
        subject.in_context(long_text(), chunking).await?;
        ensure_eq!(
            subject.writer.most_running(),
            most as usize,
            "the requests at the same time"
        );
    }
    Ok(())
}

async fn a_model_that_fails_fails_the_file(subject: Subject) -> Verdict {
    let outcome = subject.in_context(long_text(), contextual(FAILING)).await;
    let error = expect_error(outcome, &[ErrorKind::Unavailable], "a model that fails")?;
    ensure!(
        error.message().contains("the writer is out"),
        "the model's error is lost: {error:?}"
    );
    Ok(())
}

async fn a_model_that_says_nothing_fails_the_file(subject: Subject) -> Verdict {
    let outcome = subject.in_context(long_text(), contextual(WORDLESS)).await;
    let error = expect_error(outcome, &[ErrorKind::Unavailable], "a model that says nothing")?;
    ensure!(
        error.message().contains(WORDLESS),
        "the error does not name the model: {error:?}"
    );
    Ok(())
}

async fn a_model_that_is_silent_is_given_up(subject: Subject) -> Verdict {
    let chunking = ContextualChunking {
        timeout_seconds: Some(1),
        ..contextual(SILENT)
    };
    let outcome = subject.in_context("Llamas live in the puna.", chunking).await;
    expect_error(outcome, &[ErrorKind::Timeout], "a model that is silent")?;
    Ok(())
}

async fn an_unknown_model_is_not_found(subject: Subject) -> Verdict {
    let outcome = subject.in_context("Llamas", contextual("no-such-model")).await;
    let error = expect_error(outcome, &[ErrorKind::NotFound], "an unknown model")?;
    ensure!(
        error.message().contains("no-such-model"),
        "the error does not name the model: {error:?}"
    );
    Ok(())
}

async fn bounds_that_cannot_be_are_named(subject: Subject) -> Verdict {
    let chunking = ContextualChunking {
        chunk_overlap_tokens: 200,
        ..contextual(WRITER)
    };
    expect_named(
        subject.in_context("Llamas", chunking).await,
        &[ErrorKind::InvalidRequest],
        "chunk_overlap_tokens",
        "an overlap as large as the chunk",
    )?;
    ensure!(
        subject.writer.asked().is_empty(),
        "the model was asked for a request that cannot be"
    );
    Ok(())
}
