//! Over sockets: connections, bounds on what is sent, shutdown.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use puna_server::{Limits, Listeners, ServerSettings};
use tokio::sync::oneshot;

use crate::client::chat_body;
use crate::scripted::{CONFIG, Probe, stack};

/// A server on threads of its own; it ends with the test.
struct Running {
    address: SocketAddr,
    probe: Arc<Probe>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn start(workers: usize, limits: Limits) -> Self {
        let listeners = Listeners::bind("127.0.0.1", 0, NonZeroUsize::new(workers).unwrap()).unwrap();
        let address = listeners.address();
        let (end, ended) = oneshot::channel();
        let (send_probe, probe) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let (stack, probe) = stack(CONFIG).await;
                send_probe.send(probe).unwrap();
                let settings = ServerSettings {
                    limits,
                    ..ServerSettings::default()
                };
                let ended = async {
                    let _ = ended.await;
                };
                puna_server::serve(stack, listeners, &settings, ended).await.unwrap();
            });
        });
        Self {
            address,
            probe: probe.recv().unwrap(),
            end: Some(end),
            thread: Some(thread),
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream
    }

    fn begin_shutdown(&mut self) {
        drop(self.end.take());
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.begin_shutdown();
        if !std::thread::panicking() {
            self.join();
        }
    }
}

fn post(body: &str, more: &str) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n{more}\r\n{body}",
        body.len()
    )
}

/// Reads until the text has come, or to the end.
fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => read.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("{error}: {}", String::from_utf8_lossy(&read)),
        }
        if String::from_utf8_lossy(&read).contains(text) {
            break;
        }
    }
    String::from_utf8_lossy(&read).into_owned()
}

#[test]
fn every_worker_serves_and_connections_are_kept() {
    let server = Running::start(2, Limits::default());
    for _ in 0..8 {
        let mut stream = server.connect();
        for _ in 0..3 {
            stream.write_all(post(&chat_body("echo", ""), "").as_bytes()).unwrap();
            let answer = read_until(&mut stream, "\"finish_reason\":\"stop\"}]}");
            assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        }
    }
}

#[test]
fn a_stream_is_written_as_it_comes() {
    let server = Running::start(1, Limits::default());
    let mut stream = server.connect();
    stream
        .write_all(post(&chat_body("hangs", r#","stream":true"#), "").as_bytes())
        .unwrap();
    // The second chunk never comes; the first is here all the same.
    let answer = read_until(&mut stream, "\n\n\r\n");
    assert!(
        answer.contains("transfer-encoding: chunked") && answer.contains("data: {"),
        "{answer}"
    );
}

#[test]
fn a_client_that_leaves_cancels_the_work() {
    let server = Running::start(1, Limits::default());
    for (i, more) in ["", r#","stream":true"#].into_iter().enumerate() {
        let mut stream = server.connect();
        stream
            .write_all(post(&chat_body("hangs", more), "").as_bytes())
            .unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(server.probe.begun.notified());
        drop(stream);
        runtime.block_on(server.probe.drop.notified());
        assert_eq!(server.probe.dropped.load(Ordering::SeqCst), i + 1);
    }
}

#[test]
fn headers_are_bounded() {
    let server = Running::start(
        1,
        Limits {
            max_header_bytes: 8192,
            ..Limits::default()
        },
    );
    let mut stream = server.connect();
    let large = format!("x-large: {}\r\n", "x".repeat(10_000));
    let _ = stream.write_all(post(&chat_body("echo", ""), &large).as_bytes());
    assert!(read_until(&mut stream, "\r\n\r\n").starts_with("HTTP/1.1 431"));
    let mut stream = server.connect();
    let small = format!("x-large: {}\r\n", "x".repeat(7000));
    stream
        .write_all(post(&chat_body("echo", ""), &small).as_bytes())
        .unwrap();
    assert!(read_until(&mut stream, "\r\n\r\n").starts_with("HTTP/1.1 200"));
}

#[test]
fn a_client_that_sends_too_much_sees_why() {
    let server = Running::start(
        1,
        Limits {
            max_body_bytes: 1 << 20,
            ..Limits::default()
        },
    );
    let mut stream = server.connect();
    let body = " ".repeat((1 << 20) + 500_000);
    stream.write_all(post(&body, "").as_bytes()).unwrap();
    let answer = read_until(&mut stream, "max_body_bytes");
    assert!(
        answer.starts_with("HTTP/1.1 413") && answer.contains("max_body_bytes"),
        "{answer}"
    );

    // Who asks first is told before anything is sent.
    let mut stream = server.connect();
    let asked =
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 9000000\r\nexpect: 100-continue\r\n\r\n";
    stream.write_all(asked.as_bytes()).unwrap();
    assert!(read_until(&mut stream, "max_body_bytes").starts_with("HTTP/1.1 413"));
}

#[test]
fn a_client_that_sends_no_headers_is_let_go() {
    let server = Running::start(
        1,
        Limits {
            header_timeout: Duration::from_millis(50),
            ..Limits::default()
        },
    );
    let mut stream = server.connect();
    stream.write_all(b"POST /v1/chat/comp").unwrap();
    assert!(!read_until(&mut stream, "never").contains("200 OK"));
}

#[test]
fn a_shutdown_lets_running_requests_end() {
    let mut server = Running::start(2, Limits::default());
    let mut idle = server.connect();
    idle.write_all(b"GET /v1/health HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    read_until(&mut idle, "{\"status\":\"OK\"}");
    let mut busy = server.connect();
    let body = chat_body("echo", "");
    let head = post(&body, "");
    let (first, rest) = head.split_at(head.len() - 5);
    busy.write_all(first.as_bytes()).unwrap();
    // The request has begun once the server has answered on another connection of the same kind; then it is told to end.
    for _ in 0..4 {
        let mut other = server.connect();
        other
            .write_all(b"GET /v1/health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .unwrap();
        read_until(&mut other, "{\"status\":\"OK\"}");
    }
    server.begin_shutdown();
    // An idle connection is closed; that it is tells that the shutdown has begun.
    assert_eq!(read_until(&mut idle, "never"), "");
    busy.write_all(rest.as_bytes()).unwrap();
    let answer = read_until(&mut busy, "\"finish_reason\":\"stop\"}]}");
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    server.join();
    assert!(TcpStream::connect(server.address).is_err());
}

#[test]
fn a_shutdown_cancels_what_does_not_end() {
    let mut server = Running::start(
        1,
        Limits {
            shutdown_grace: Duration::from_millis(50),
            ..Limits::default()
        },
    );
    let mut stream = server.connect();
    stream
        .write_all(post(&chat_body("hangs", r#","stream":true"#), "").as_bytes())
        .unwrap();
    read_until(&mut stream, "\n\n\r\n");
    server.begin_shutdown();
    server.join();
    assert_eq!(server.probe.dropped.load(Ordering::SeqCst), 1);
    // The stream was cut, which a client can tell from an end.
    assert!(!read_until(&mut stream, "never").contains("0\r\n\r\n"));
}
