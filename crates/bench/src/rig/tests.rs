//! Mock and load against each other, with nothing between.

use std::net::TcpListener;
use std::time::Duration;

use super::*;
use crate::answers::{MODEL, completion_body};
use crate::pass_through;
use crate::request::{ChatRequest, chat_body};

const SHAPE: StreamShape = StreamShape {
    chunks: 5,
    interval: Duration::from_millis(2),
};

fn rig() -> Rig {
    Rig::start(RigSettings {
        stream: SHAPE,
        ..RigSettings::default()
    })
    .unwrap()
}

fn workload(target: SocketAddr, path: &str, prompt_bytes: usize, streaming: bool) -> Workload {
    Workload {
        target,
        request: ChatRequest {
            target,
            path,
            api_key: None,
        }
        .with_body(&chat_body(MODEL, prompt_bytes, streaming)),
        streaming,
        connections: 3,
        spacing: Duration::ZERO,
        warm_up: Duration::ZERO,
        duration: Duration::from_secs(60),
        requests_per_connection: Some(4),
        keep_answer: true,
    }
}

#[test]
fn each_connection_sends_its_requests_and_each_is_measured() {
    let rig = rig();
    for prompt_bytes in [10, 3_000_000] {
        let chat = workload(rig.mock_address(), "/v1/chat/completions", prompt_bytes, false);
        let outcome = rig.run(chat).unwrap();
        assert_eq!(outcome.first_failure, None);
        assert_eq!(
            (outcome.answered, outcome.answered_in_time, outcome.unfinished),
            (12, 12, 0)
        );
        assert_eq!(outcome.latencies.count(), 12);
        assert_eq!(outcome.answer, completion_body().as_bytes());
        assert!(outcome.busy > 0.0 && outcome.busy <= 1.05, "{}", outcome.busy);
    }
}

#[test]
fn nothing_of_the_warm_up_counts() {
    let rig = rig();
    let warm_up = Duration::from_secs(60);
    let chat = Workload {
        warm_up,
        ..workload(rig.mock_address(), "/v1/chat/completions", 10, false)
    };
    let outcome = rig.run(chat).unwrap();
    assert_eq!(
        (outcome.answered, outcome.answered_in_time, outcome.latencies.count()),
        (12, 0, 0)
    );
}

#[test]
fn every_chunk_of_every_stream_is_measured() {
    let rig = rig();
    let outcome = rig
        .run(workload(rig.mock_address(), "/v1/chat/completions", 10, true))
        .unwrap();
    assert_eq!(outcome.first_failure, None);
    assert_eq!(outcome.answered, 12);
    assert_eq!(outcome.first_chunks.count(), 12);
    assert_eq!(outcome.gaps.count(), 12 * 4);
    assert_eq!(outcome.lengthenings.count(), 12 * 4);
    // The sum of the gaps of a stream is its length, but for what arrives late at either end.
    let total: u64 = outcome.gaps.kept().iter().sum();
    assert!(total >= 12 * SHAPE.length().as_nanos() as u64 / 2, "{total}");
}

#[test]
fn an_answer_that_is_not_200_is_a_failure_that_shows_it() {
    let rig = rig();
    let outcome = rig.run(workload(rig.mock_address(), "/elsewhere", 10, false)).unwrap();
    assert_eq!((outcome.answered, outcome.failed), (0, 3));
    let failure = outcome.first_failure.unwrap();
    assert!(
        failure.contains("404 Not Found") && failure.contains("no such path"),
        "{failure}"
    );
}

#[test]
fn an_answer_that_is_no_stream_is_a_failure_when_one_is_asked_for() {
    let rig = rig();
    let plain = workload(rig.mock_address(), "/v1/chat/completions", 10, false);
    let outcome = rig
        .run(Workload {
            streaming: true,
            ..plain
        })
        .unwrap();
    assert!(outcome.first_failure.unwrap().contains("without its data: [DONE]"));
}

#[test]
fn a_server_that_is_not_there_is_a_failure_and_the_rig_goes_on() {
    let rig = rig();
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap();
    let outcome = rig.run(workload(nobody, "/", 10, false)).unwrap();
    assert!(outcome.first_failure.unwrap().contains("failed to connect"));
    let outcome = rig
        .run(workload(rig.mock_address(), "/v1/chat/completions", 10, false))
        .unwrap();
    assert_eq!(outcome.answered, 12);
}

#[test]
fn bytes_that_pass_are_told_from_bytes_that_do_not() {
    let rig = rig();
    let chat = ChatRequest {
        target: rig.mock_address(),
        path: "/v1/chat/completions",
        api_key: None,
    };
    pass_through::check(&rig, chat, MODEL, SHAPE).unwrap();
    let other = StreamShape { chunks: 4, ..SHAPE };
    let complaint = pass_through::check(&rig, chat, MODEL, other).unwrap_err().to_string();
    assert!(
        complaint.contains("the answer for a stream does not come back as it was sent"),
        "{complaint}"
    );
}
