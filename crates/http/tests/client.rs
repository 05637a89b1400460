//! The client against servers that are a script of bytes.

#![expect(clippy::unwrap_used, reason = "what fails in a helper of a test fails the test")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderName, HeaderValue, Method};
use puna_api::{Error, ErrorKind};
use puna_http::{Body, Client, ClientSettings, EgressPolicy, NetworkConfig, Request, RequestHeaders};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const STREAM: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

struct Server(TcpListener);

struct Received {
    head: String,
    body: String,
}

impl Server {
    async fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    fn url(&self) -> String {
        format!("http://{}/v1", self.0.local_addr().unwrap())
    }

    async fn accept(&self) -> TcpStream {
        self.0.accept().await.unwrap().0
    }

    /// Accepts one connection and answers one request on it.
    async fn answer(&self, answer: &str) -> (TcpStream, Received) {
        let mut stream = self.accept().await;
        let received = receive(&mut stream).await;
        stream.write_all(answer.as_bytes()).await.unwrap();
        (stream, received)
    }
}

async fn receive(stream: &mut TcpStream) -> Received {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    Received {
        head,
        body: String::from_utf8(body).unwrap(),
    }
}

fn network(config: serde_json::Value) -> NetworkConfig {
    serde_json::from_value(config).unwrap()
}

fn client_with(base_url: String, network: NetworkConfig) -> Client {
    Client::new(ClientSettings {
        name: "up".to_owned(),
        base_url,
        network,
    })
    .unwrap()
}

fn client(server: &Server) -> Client {
    client_with(server.url(), NetworkConfig::default())
}

fn post(client: &Client, body: &'static str) -> Request {
    Request {
        method: Method::POST,
        endpoint: client.endpoint("/chat").unwrap(),
        headers: client.headers().clone(),
        body: Body::from(Bytes::from_static(body.as_bytes())),
        deadline: None,
    }
}

#[tokio::test]
async fn a_request_in_pieces_is_one_message_and_the_connection_is_kept() {
    let server = Server::start().await;
    let client = client_with(server.url(), network(json!({ "headers": { "x-team": "a" } })));
    let calls = async {
        let segments = ["{\"a\":", "", "1", "}"].map(Bytes::from).to_vec();
        let mut headers = client.headers().clone();
        headers.set(
            HeaderName::from_static("content-type"),
            HeaderValue::from_static("application/json"),
        );
        let request = Request {
            headers,
            body: Body::from(segments),
            ..post(&client, "")
        };
        let response = client.send(request).await.unwrap();
        assert_eq!(
            (response.status.as_u16(), &response.body.bytes(2).await.unwrap()[..]),
            (200, &b"ok"[..])
        );
        let response = client.send(post(&client, "two")).await.unwrap();
        assert_eq!(response.body.bytes(2).await.unwrap(), "ok");
    };
    let serve = async {
        let (mut stream, first) = server.answer(OK).await;
        assert!(first.head.starts_with("POST /v1/chat HTTP/1.1\r\n"), "{}", first.head);
        let host = format!("host: {}\r\n", server.0.local_addr().unwrap());
        for line in [
            "content-length: 7\r\n",
            "content-type: application/json\r\n",
            "x-team: a\r\n",
            "user-agent: puna/",
            &host,
        ] {
            assert!(first.head.contains(line), "{line} in {}", first.head);
        }
        assert!(!first.head.contains("accept-encoding") && !first.head.contains("transfer-encoding"));
        assert_eq!(first.body, "{\"a\":1}");
        assert_eq!(receive(&mut stream).await.body, "two");
        stream.write_all(OK.as_bytes()).await.unwrap();
    };
    futures::join!(calls, serve);
}

#[tokio::test]
async fn a_large_body_goes_out_whole_and_comes_back_whole() {
    let server = Server::start().await;
    let client = client(&server);
    let large = Bytes::from(vec![b'x'; 3 << 20]);
    let calls = async {
        let request = Request {
            body: Body::from(large.clone()),
            ..post(&client, "")
        };
        client.send(request).await.unwrap().body.bytes(3 << 20).await.unwrap()
    };
    let serve = async {
        let mut stream = server.accept().await;
        let received = receive(&mut stream).await;
        stream
            .write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 3 << 20).as_bytes())
            .await
            .unwrap();
        stream.write_all(received.body.as_bytes()).await.unwrap();
    };
    let (back, ()) = futures::join!(calls, serve);
    assert_eq!(back, large);
}

#[tokio::test]
async fn pieces_of_a_stream_arrive_as_they_are_sent_and_dropping_it_closes_the_connection() {
    let server = Server::start().await;
    let client = client(&server);
    let serve = async {
        let (mut stream, _) = server.answer(STREAM).await;
        stream.write_all(b"1\r\na\r\n").await.unwrap();
        stream
    };
    let call = async { client.send(post(&client, "")).await.unwrap().body };
    let (mut stream, mut body) = futures::join!(serve, call);
    assert_eq!(body.next().await.unwrap().unwrap(), "a");
    stream.write_all(b"2\r\nbc\r\n").await.unwrap();
    assert_eq!(body.next().await.unwrap().unwrap(), "bc");
    drop(body);
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn dropping_a_request_that_waits_closes_the_connection() {
    let server = Server::start().await;
    let client = client(&server);
    let call = client.send(post(&client, "x"));
    let serve = async {
        let mut stream = server.accept().await;
        receive(&mut stream).await;
        stream
    };
    let stream = futures::future::select(Box::pin(call), Box::pin(serve)).await;
    let futures::future::Either::Right((mut stream, call)) = stream else {
        panic!("nobody answered")
    };
    drop(call);
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_finished_stream_gives_its_connection_back_once_its_end_has_arrived() {
    let server = Server::start().await;
    let client = client(&server);
    let serve = async {
        let (mut stream, _) = server.answer(STREAM).await;
        stream.write_all(b"1\r\na\r\n").await.unwrap();
        stream
    };
    let call = async {
        let mut body = client.send(post(&client, "")).await.unwrap().body;
        assert_eq!(body.next().await.unwrap().unwrap(), "a");
        body.finish();
    };
    let (mut first, ()) = futures::join!(serve, call);

    // The end has not arrived, so the next request takes a connection of its own.
    let call = async {
        client
            .send(post(&client, "x"))
            .await
            .unwrap()
            .body
            .bytes(2)
            .await
            .unwrap()
    };
    let (_, (second, received)) = futures::join!(call, server.answer(OK));
    assert_eq!(received.body, "x");
    drop(second);

    first.write_all(b"0\r\n\r\n").await.unwrap();
    // The runtime hears of the end, and of the other connection's, when it next looks.
    tokio::time::sleep(Duration::from_millis(1)).await;
    let call = async {
        client
            .send(post(&client, "y"))
            .await
            .unwrap()
            .body
            .bytes(2)
            .await
            .unwrap()
    };
    let serve = async {
        assert_eq!(receive(&mut first).await.body, "y");
        first.write_all(OK.as_bytes()).await.unwrap();
    };
    futures::join!(call, serve);
}

#[tokio::test]
async fn waiting_ends() {
    let server = Server::start().await;
    let client = client_with(server.url(), network(json!({ "timeout": { "read": 0.05 } })));
    // Nobody answers.
    let error = client.send(post(&client, "")).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::Timeout, "provider `up` sent nothing for 0.05 s")
    );
    assert_eq!(error.context(), [format!("POST {}/chat", server.url())]);
    // The deadline comes first.
    let request = Request {
        deadline: Some(std::time::Instant::now() + Duration::from_millis(20)),
        ..post(&client, "")
    };
    let error = client.send(request).await.unwrap_err();
    assert_eq!(
        error.message(),
        "provider `up` did not answer before the request's deadline"
    );
}

#[tokio::test]
async fn a_stream_that_falls_silent_ends() {
    let server = Server::start().await;
    let client = client_with(server.url(), network(json!({ "timeout": { "read": 0.05 } })));
    let call = async {
        let mut body = client.send(post(&client, "")).await.unwrap().body;
        assert_eq!(body.next().await.unwrap().unwrap(), "a");
        body.next().await.unwrap().unwrap_err()
    };
    let serve = async {
        let (mut stream, _) = server.answer(STREAM).await;
        stream.write_all(b"1\r\na\r\n").await.unwrap();
        stream
    };
    let (error, mut stream) = futures::join!(call, serve);
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::Timeout, "provider `up` sent nothing for 0.05 s")
    );
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn faults_of_the_server_are_told_apart_without_its_address() {
    for (answer, limit, expected) in [
        (
            "",
            9,
            "provider `up` closed the connection before its answer was complete",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab",
            9,
            "provider `up` closed the connection before its answer was complete",
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab",
            9,
            "provider `up` closed the connection before its answer was complete",
        ),
        (
            "220 mail.example ESMTP\r\n",
            9,
            "provider `up` answered with something that is not HTTP",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n0123456789",
            9,
            "the answer of provider `up` is longer than 9 bytes",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 1\r\n\r\nx",
            9,
            "provider `up` answered with content encoding `gzip`, which was not asked for",
        ),
    ] {
        let server = Server::start().await;
        let client = client(&server);
        let call = async { client.send(post(&client, "x")).await?.body.bytes(limit).await };
        let serve = async { drop(server.answer(answer).await) };
        let (result, ()) = futures::join!(call, serve);
        let error = result.unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::Unavailable, expected));
        assert!(error.context()[0].contains("127.0.0.1"));
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let server = Server::start().await;
    let client = client(&server);
    drop(server);
    let error = client.send(post(&client, "")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.message(), "provider `up` cannot be reached: connection refused");

    let client = client_with("http://nowhere.invalid".to_owned(), NetworkConfig::default());
    let error = client.send(post(&client, "")).await.unwrap_err();
    assert_eq!(
        error.message(),
        "provider `up` cannot be reached: its host name has no address"
    );
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let server = Server::start().await;
    let client = client(&server);
    let call = async { client.send(post(&client, "")).await.unwrap().status.as_u16() };
    let serve =
        server.answer("HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(futures::join!(call, serve).0, 307);
}

#[tokio::test]
async fn urls_that_a_request_chose_do_not_lead_inside_and_take_no_secrets_along() {
    let server = Server::start().await;
    let network = network(json!({ "headers": { "x-operator": "s3cret" } }));
    let client = client_with("http://operator.invalid".to_owned(), network);
    let port = server.0.local_addr().unwrap().port();
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "0x7f.1"] {
        let url = format!("http://{host}:{port}/v1");
        let guarded = client
            .for_untrusted_url(&url, Arc::new(EgressPolicy::default()))
            .unwrap();
        let error = guarded.send(post(&guarded, "")).await.unwrap_err();
        // Not every resolver knows the last spelling.
        let refused =
            error.kind() == ErrorKind::PermissionDenied || (host == "0x7f.1" && error.kind() == ErrorKind::Unavailable);
        assert!(refused, "{host}: {error:?}");
    }
    let policy = Arc::new(EgressPolicy::allowing([format!("127.0.0.1:{port}").as_str()]).unwrap());
    let guarded = client.for_untrusted_url(&server.url(), policy).unwrap();
    let call = async { client_ok(&guarded).await };
    let ((), (_, received)) = futures::join!(call, server.answer(OK));
    assert!(!received.head.contains("s3cret"));
    for url in ["file:///etc/passwd", "gopher://x/", "http://u:p@x/", "x"] {
        let error = client.for_untrusted_url(url, Arc::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{url}");
    }
}

async fn client_ok(client: &Client) {
    assert_eq!(
        client
            .send(post(client, ""))
            .await
            .unwrap()
            .body
            .bytes(2)
            .await
            .unwrap(),
        "ok"
    );
}

#[tokio::test]
async fn a_proxy_gets_the_whole_url_and_its_credentials() {
    let proxy = Server::start().await;
    let url = format!("http://user:pass@{}", proxy.0.local_addr().unwrap());
    let client = client_with(
        "http://up.invalid/v1".to_owned(),
        network(json!({ "proxy": { "url": url } })),
    );
    let ((), (_, received)) = futures::join!(client_ok(&client), proxy.answer(OK));
    assert!(
        received
            .head
            .starts_with("POST http://up.invalid:80/v1/chat HTTP/1.1\r\n"),
        "{}",
        received.head
    );
    assert!(received.head.contains("host: up.invalid\r\n"));
    assert!(received.head.contains("proxy-authorization: Basic dXNlcjpwYXNz\r\n"));
}

#[tokio::test]
async fn what_a_caller_sets_cannot_break_the_message() {
    let mut headers = RequestHeaders::default();
    for name in [
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "proxy-authorization",
        "upgrade",
        "te",
    ] {
        headers.set(HeaderName::from_static(name), HeaderValue::from_static("1"));
    }
    let server = Server::start().await;
    let client = client(&server);
    let call = async {
        client
            .send(Request {
                headers,
                ..post(&client, "abc")
            })
            .await
            .unwrap()
    };
    let (_, (_, received)) = futures::join!(call, server.answer(OK));
    assert_eq!(received.body, "abc");
    assert_eq!(
        received.head.lines().filter(|line| line.contains(": ")).count(),
        2,
        "{}",
        received.head
    );
}

#[tokio::test]
async fn a_streamed_body_has_a_length_and_a_connection_of_its_own() {
    let server = Server::start().await;
    let client = client(&server);
    let streamed = |length, pieces: Vec<puna_api::Result<Bytes>>| Request {
        body: Body::stream(length, futures::stream::iter(pieces).boxed()),
        ..post(&client, "")
    };
    let whole = || Vec::from(["ab", "", "cde"].map(|piece| Ok(Bytes::from(piece))));
    let calls = async {
        client
            .send(post(&client, "one"))
            .await
            .unwrap()
            .body
            .bytes(2)
            .await
            .unwrap();
        let response = client.send(streamed(5, whole())).await.unwrap();
        assert_eq!(response.body.bytes(2).await.unwrap(), "ok");
    };
    let serve = async {
        let (_kept, _) = server.answer(OK).await;
        let (_own, received) = server.answer(OK).await;
        assert!(received.head.contains("\r\ncontent-length: 5\r\n"), "{}", received.head);
        assert_eq!(received.body, "abcde");
    };
    tokio::join!(calls, serve);

    let broken = vec![Ok(Bytes::from("ab")), Err(Error::too_large("that is enough"))];
    for (length, pieces, kind, said) in [
        (5, broken, ErrorKind::TooLarge, "that is enough"),
        (6, whole(), ErrorKind::Internal, "ended 1 bytes before"),
        (4, whole(), ErrorKind::Internal, "longer than it was said to be"),
    ] {
        let (error, _connection) = tokio::join!(client.send(streamed(length, pieces)), server.accept());
        let error = error.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(said), "{error}");
    }
}
