//! One request does not disturb another, and what nobody waits for is cancelled.

use futures::future::join_all;
use futures::{FutureExt, StreamExt};
use puna_api::Capability;
use serde_json::{Value, json};

use super::outcome::{Verdict, ensure, ensure_eq, text};
use super::stream::joined;
use super::subject::{HELLO, Subject, chat_body, read};
use super::trial::{Need, Trial, trial};
use crate::host::context;
use crate::stub::{Fault, Outcome};

pub(super) fn trials() -> Vec<Trial> {
    const CHAT: Need = Need::Can(Capability::Chat);
    vec![
        trial!("isolation", requests_at_once_keep_apart, CHAT),
        trial!("isolation", streams_at_once_keep_apart, CHAT),
        trial!("isolation", a_dropped_stream_disturbs_nobody, CHAT),
        trial!("isolation", a_dropped_future_disturbs_nobody, CHAT),
        trial!("isolation", unread_streams_hold_nobody_back, CHAT),
        trial!("isolation", a_stream_outlives_what_opened_it, CHAT),
        trial!("isolation", a_dropped_stream_is_cancelled_upstream, CHAT, Need::Stub),
        trial!("isolation", a_dropped_future_is_cancelled_upstream, CHAT, Need::Stub),
        trial!(
            "isolation",
            a_dropped_stream_that_never_began_is_cancelled_upstream,
            CHAT,
            Need::Stub
        ),
    ]
}

const CHAT_PATH: &str = "/v1/chat/completions";

fn streamed(text: &str, fields: Value) -> Value {
    let mut body = chat_body(text, fields);
    body["stream"] = json!(true);
    body
}

/// A stream of this many words for a model that echoes; else as much as a small model may write.
fn long(subject: &Subject, words: usize) -> Value {
    if subject.echoes {
        streamed(&" word".repeat(words), json!({ "max_tokens": null }))
    } else {
        streamed(HELLO, json!({ "max_tokens": 200 }))
    }
}

fn different_texts() -> Vec<String> {
    (0..12)
        .map(|number| format!("{HELLO} This is text number {number}."))
        .collect()
}

async fn requests_at_once_keep_apart(subject: Subject) -> Verdict {
    let texts = different_texts();
    let bodies: Vec<Value> = texts.iter().map(|text| chat_body(text, json!({}))).collect();
    let answers = join_all(bodies.iter().map(|body| subject.chat(body))).await;
    for (body, answer) in bodies.iter().zip(answers) {
        let alone = subject.chat(body).await?;
        if subject.echoes {
            ensure_eq!(text(&answer?)?, text(&alone)?, "the answer among others");
        } else {
            // A batch may be computed in another order of operations, which may tip the choice of a token.
            text(&answer?)?;
        }
    }
    Ok(())
}

async fn streams_at_once_keep_apart(subject: Subject) -> Verdict {
    let texts = different_texts();
    let bodies: Vec<Value> = texts.iter().map(|text| streamed(text, json!({}))).collect();
    for (said, chunks) in texts
        .iter()
        .zip(join_all(bodies.iter().map(|body| subject.chat_chunks(body))).await)
    {
        let answered: Vec<String> = joined(&chunks?).into_values().collect();
        ensure_eq!(answered.len(), 1, "the number of choices");
        if subject.echoes {
            ensure_eq!(answered[0], *said, "the stream among others");
        }
    }
    Ok(())
}

/// The answer that a later request must still have.
async fn still_serves(subject: &Subject, before: &Value) -> Verdict {
    let after = subject.chat(&chat_body(HELLO, json!({}))).await?;
    ensure_eq!(text(&after)?, text(before)?, "the answer afterwards");
    Ok(())
}

async fn a_dropped_stream_disturbs_nobody(subject: Subject) -> Verdict {
    let before = subject.chat(&chat_body(HELLO, json!({}))).await?;
    let body = long(&subject, 1_000);
    // More than the queues and batches of an engine hold.
    for _ in 0..40 {
        let mut stream = subject.open_chat_stream(&body).await?;
        let first = stream.next().await.ok_or("the stream is empty")?;
        first?;
    }
    still_serves(&subject, &before).await
}

async fn a_dropped_future_disturbs_nobody(subject: Subject) -> Verdict {
    let before = subject.chat(&chat_body(HELLO, json!({}))).await?;
    for _ in 0..40 {
        let body = chat_body(HELLO, json!({}));
        let mut asking = Box::pin(subject.chat(&body));
        // Begins the work without waiting for it; some answer at once.
        if let Some(answer) = asking.as_mut().now_or_never() {
            answer?;
        }
        drop(asking);
        tokio::task::yield_now().await;
    }
    still_serves(&subject, &before).await
}

async fn unread_streams_hold_nobody_back(subject: Subject) -> Verdict {
    let before = subject.chat(&chat_body(HELLO, json!({}))).await?;
    // More than fits into the buffers on the way.
    let body = long(&subject, 20_000);
    let mut unread = Vec::new();
    for _ in 0..8 {
        unread.push(subject.open_chat_stream(&body).await?);
    }
    still_serves(&subject, &before).await?;
    let chunks = subject.chat_chunks(&streamed(HELLO, json!({}))).await?;
    ensure_eq!(
        joined(&chunks).into_values().collect::<Vec<_>>(),
        [text(&before)?],
        "a stream beside unread ones"
    );
    drop(unread);
    still_serves(&subject, &before).await
}

async fn a_stream_outlives_what_opened_it(subject: Subject) -> Verdict {
    let whole = subject.chat(&chat_body(HELLO, json!({}))).await?;
    let stream = {
        let context = context();
        let request = subject.chat_request(streamed(HELLO, json!({})).to_string());
        subject.inference().chat_completion_stream(&context, request).await?
    };
    let (chunks, fault) = read(stream).await;
    ensure!(fault.is_none(), "the stream failed: {fault:?}");
    ensure_eq!(
        joined(&chunks).into_values().collect::<Vec<_>>(),
        [text(&whole)?],
        "the chunks joined"
    );
    Ok(())
}

/// Waits until the stub has seen the client go.
async fn abandoned(subject: &Subject) -> Verdict {
    let requests = subject.stub()?.requests_to(CHAT_PATH);
    let request = requests.last().ok_or("the stub received no chat")?;
    ensure_eq!(
        request.outcome().await,
        Outcome::Abandoned,
        "how the upstream's answer ended"
    );
    Ok(())
}

async fn a_dropped_stream_is_cancelled_upstream(subject: Subject) -> Verdict {
    subject.stub()?.fail(CHAT_PATH, Fault::StallAfter(3));
    let mut stream = subject.open_chat_stream(&streamed(HELLO, json!({}))).await?;
    for _ in 0..2 {
        stream.next().await.ok_or("the stream ended early")??;
    }
    drop(stream);
    abandoned(&subject).await
}

async fn a_dropped_future_is_cancelled_upstream(subject: Subject) -> Verdict {
    subject.stub()?.fail(CHAT_PATH, Fault::Hang);
    let body = chat_body(HELLO, json!({}));
    {
        let asking = subject.chat(&body);
        let arrived = subject.stub()?.received(CHAT_PATH);
        tokio::select! {
            answer = asking => return Err(format!("an upstream that hangs was answered with {answer:?}").into()),
            () = arrived => {}
        }
    }
    abandoned(&subject).await
}

async fn a_dropped_stream_that_never_began_is_cancelled_upstream(subject: Subject) -> Verdict {
    subject.stub()?.fail(CHAT_PATH, Fault::Hang);
    let body = streamed(HELLO, json!({}));
    {
        // Whether the stream opens before or after the upstream's first byte is the provider's choice.
        let opening = async {
            match subject.open_chat_stream(&body).await {
                Ok(mut stream) => stream.next().await.map(|item| item.map(drop)),
                Err(error) => Some(Err(error)),
            }
        };
        let arrived = subject.stub()?.received(CHAT_PATH);
        tokio::select! {
            outcome = opening => return Err(format!("an upstream that hangs gave {outcome:?}").into()),
            () = arrived => {}
        }
    }
    abandoned(&subject).await
}
