//! A server that speaks gRPC as Qdrant does: it notes what it is asked and gives the answers that a test has prepared.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use prost::Message;
use qdrant_client::qdrant::{
    CollectionExists, CollectionExistsResponse, CollectionInfo, CollectionOperationResponse, CountResponse,
    CountResult, GetCollectionInfoResponse, GetResponse, HealthCheckReply, PointsOperationResponse, QueryResponse,
    RetrievedPoint, ScoredPoint, ScrollResponse,
};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tonic::Code;

use crate::shown::shown;

/// A request as it was received.
#[derive(Clone)]
pub(crate) struct Asked {
    /// Service and method, such as `Points/Query`.
    pub(crate) method: String,
    /// The message, decoded and encoded again as text.
    pub(crate) shown: String,
    pub(crate) message: Bytes,
    pub(crate) api_key: Option<String>,
}

/// What to answer.
pub(crate) enum Answer {
    Message(Vec<u8>),
    Refusal(Code, &'static str),
    /// None at all.
    Silence,
}

impl Answer {
    fn of(message: &impl Message) -> Self {
        Self::Message(message.encode_to_vec())
    }

    pub(crate) fn exists(exists: bool) -> Self {
        Self::of(&CollectionExistsResponse {
            result: Some(CollectionExists { exists }),
            time: 0.001,
        })
    }

    pub(crate) fn done() -> Self {
        Self::of(&CollectionOperationResponse {
            result: true,
            time: 0.001,
        })
    }

    pub(crate) fn info(info: CollectionInfo) -> Self {
        Self::of(&GetCollectionInfoResponse {
            result: Some(info),
            time: 0.001,
        })
    }

    pub(crate) fn written() -> Self {
        Self::of(&PointsOperationResponse::default())
    }

    pub(crate) fn found(points: Vec<ScoredPoint>) -> Self {
        Self::of(&QueryResponse {
            result: points,
            ..QueryResponse::default()
        })
    }

    pub(crate) fn points(points: Vec<RetrievedPoint>) -> Self {
        Self::of(&GetResponse {
            result: points,
            ..GetResponse::default()
        })
    }

    pub(crate) fn page(points: Vec<RetrievedPoint>) -> Self {
        Self::of(&ScrollResponse {
            result: points,
            ..ScrollResponse::default()
        })
    }

    pub(crate) fn count(count: u64) -> Self {
        Self::of(&CountResponse {
            result: Some(CountResult { count }),
            ..CountResponse::default()
        })
    }

    pub(crate) fn healthy() -> Self {
        Self::of(&HealthCheckReply {
            title: "qdrant - vector search engine".to_owned(),
            version: "1.20.0".to_owned(),
            ..HealthCheckReply::default()
        })
    }

    pub(crate) fn gone() -> Self {
        Self::Refusal(Code::NotFound, "Not found: Collection `puna_vs` doesn't exist!")
    }
}

/// The server, which ends when it is dropped.
pub(crate) struct Server {
    pub(crate) port: u16,
    state: Arc<State>,
    _task: JoinSet<()>,
}

#[derive(Default)]
struct State {
    answers: Mutex<VecDeque<Answer>>,
    asked: Mutex<Vec<Asked>>,
}

impl Server {
    pub(crate) async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let state = Arc::new(State {
            answers: Mutex::new(answers.into_iter().collect()),
            asked: Mutex::default(),
        });
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut task = JoinSet::new();
        let serving = Arc::clone(&state);
        task.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let state = Arc::clone(&serving);
                connections.spawn(async move {
                    let service = service_fn(|request| answer(Arc::clone(&state), request));
                    let builder = auto::Builder::new(TokioExecutor::new());
                    _ = builder.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self {
            port,
            state,
            _task: task,
        }
    }

    /// What it was asked; all that was prepared must have been needed.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        assert_eq!(
            self.state.answers.lock().unwrap().len(),
            0,
            "answers that nobody wanted"
        );
        self.state.asked.lock().unwrap().clone()
    }

    /// The requests as one text.
    pub(crate) fn shown(&self) -> String {
        let asked = self.asked();
        let texts = asked.iter().map(|asked| format!("{}: {}", asked.method, asked.shown));
        texts.collect::<Vec<_>>().join("\n\n")
    }
}

async fn answer(
    state: Arc<State>,
    request: Request<Incoming>,
) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    let method = request.uri().path().trim_start_matches("/qdrant.").to_owned();
    let api_key = request
        .headers()
        .get("api-key")
        .map(|key| key.to_str().unwrap().to_owned());
    let body = request.into_body().collect().await.unwrap().to_bytes();
    // One message: whether it is compressed, its length, itself.
    assert_eq!(body[0], 0);
    assert_eq!(
        u32::from_be_bytes([body[1], body[2], body[3], body[4]]) as usize,
        body.len() - 5
    );
    let message = body.slice(5..);
    let shown = shown(&method, &message);
    let asked = Asked {
        method,
        shown,
        message,
        api_key,
    };
    state.asked.lock().unwrap().push(asked);
    let answer = state.answers.lock().unwrap().pop_front();
    let response = Response::builder().header("content-type", "application/grpc");
    Ok(match answer {
        Some(Answer::Message(message)) => {
            let mut body = BytesMut::new();
            body.put_u8(0);
            body.put_u32(message.len() as u32);
            body.put_slice(&message);
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().unwrap());
            let body = Full::new(body.freeze()).with_trailers(std::future::ready(Some(Ok(trailers))));
            response.body(body.boxed()).unwrap()
        }
        Some(Answer::Silence) => std::future::pending().await,
        refusal => {
            let (code, text) = match refusal {
                Some(Answer::Refusal(code, text)) => (code, text),
                _ => (Code::DataLoss, "nothing was prepared"),
            };
            let response = response
                .header("grpc-status", i32::from(code))
                .header("grpc-message", text);
            response.body(Empty::new().boxed()).unwrap()
        }
    })
}
