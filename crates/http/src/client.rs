//! The client: one server, its connections, and the way a request takes.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Uri, header};
use hyper::body::Incoming;
use puna_api::{Error, Result};
use tokio::time::{Instant, timeout_at};

use crate::address::BaseUrl;
use crate::body::Body;
use crate::connect::{ConnectError, Connector};
use crate::connection::{Connection, SendError};
use crate::egress::EgressPolicy;
use crate::error::Failure;
use crate::headers::RequestHeaders;
use crate::network::{NetworkConfig, ProxyConfig, Timeouts};
use crate::pool;
use crate::proxy::ProxyServer;
use crate::response::{Response, ResponseBody, earlier};
use crate::tls::Tls;

/// What names this program to servers.
const USER_AGENT: &str = concat!("puna/", env!("CARGO_PKG_VERSION"));

/// How soon a server hangs up that closed the connection before it saw the request: a way there and back. One that takes longer may have begun
/// the work, which must not be done twice.
const MAX_HANG_UP: Duration = Duration::from_secs(1);

/// How often a request is handed to a connection that turns out to be closed before anything was sent.
const MAX_UNSENT: usize = 3;

/// What a [`Client`] is made of.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// The provider's id, for error messages.
    pub name: String,
    /// The URL below which everything lies, from the operator's configuration: it is trusted.
    pub base_url: String,
    /// TLS, proxy, timeouts and headers.
    pub network: NetworkConfig,
}

/// A client of one server. Cheap to clone; all clones share their connections, which each thread keeps for itself.
///
/// It speaks HTTP/1.1, follows no redirects, asks for no compression, and repeats a request only as long as nothing of it was sent.
/// Dropping a request's future or an answer's body closes the connection, and so cancels the work behind it.
#[derive(Clone)]
pub struct Client(Arc<Fields>);

struct Fields {
    id: u64,
    /// What the threads' pools watch to see whether the client is still there.
    _alive: Arc<()>,
    weak: Weak<()>,
    name: String,
    base: BaseUrl,
    connector: Connector,
    timeouts: Timeouts,
    headers: RequestHeaders,
    host: HeaderValue,
    /// For a proxy that takes requests as they are.
    proxy_authorization: Option<HeaderValue>,
    proxy: Option<ProxyConfig>,
}

/// A path below a client's base URL, ready to be called.
#[derive(Debug, Clone)]
pub struct Endpoint {
    uri: Uri,
}

/// A request.
#[derive(Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Where to.
    pub endpoint: Endpoint,
    /// Its headers; start from [`Client::headers`].
    pub headers: RequestHeaders,
    /// Its body.
    pub body: Body,
    /// When the answer, to its last byte, is of no use any more.
    pub deadline: Option<std::time::Instant>,
}

impl Client {
    /// Makes a client, without connecting. Files that the configuration names are read. The error's parameter is `base_url`, or a path
    /// that starts with `network`.
    pub fn new(settings: ClientSettings) -> Result<Self> {
        let ClientSettings {
            name,
            base_url,
            network,
        } = settings;
        network.validate()?;
        let base = BaseUrl::parse(&base_url).map_err(|error| error.with_param("base_url"))?;
        let cacert = network.proxy.as_ref().and_then(|proxy| proxy.cacert.as_deref());
        let tls = Arc::new(Tls::new(network.tls.as_ref(), cacert)?);
        let mut headers = RequestHeaders::default();
        headers.set(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        headers.extend(&network.request_headers()?);
        Self::assemble(name, base, network.timeouts()?, tls, network.proxy, None, headers)
    }

    /// Checks a base URL as [`Client::new`] would, without any I/O.
    pub fn validate_base_url(base_url: &str) -> Result<()> {
        BaseUrl::parse(base_url)
            .and_then(|base| base.origin.host_header())
            .map(drop)
    }

    /// A client with the same settings for a URL that a request chose. It goes through the egress guard, and takes along none of the
    /// operator's headers and no client certificate. Fails as an invalid request.
    pub fn for_untrusted_url(&self, base_url: &str, policy: Arc<EgressPolicy>) -> Result<Self> {
        let base = BaseUrl::parse(base_url).map_err(|error| Error::invalid_request(error.message()))?;
        let mut headers = RequestHeaders::default();
        headers.set(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        let tls = self.0.connector.tls.without_identity();
        let Fields {
            name, timeouts, proxy, ..
        } = &*self.0;
        Self::assemble(name.clone(), base, *timeouts, tls, proxy.clone(), Some(policy), headers)
    }

    fn assemble(
        name: String,
        base: BaseUrl,
        timeouts: Timeouts,
        tls: Arc<Tls>,
        proxy: Option<ProxyConfig>,
        guard: Option<Arc<EgressPolicy>>,
        headers: RequestHeaders,
    ) -> Result<Self> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        let server = match &proxy {
            None => None,
            Some(proxy) => ProxyServer::for_origin(proxy, &base.origin)?,
        };
        let host = base.origin.host_header()?;
        let connector = Connector {
            origin: base.origin.clone(),
            proxy: server,
            tls,
            guard,
        };
        let proxy_authorization = match &connector.proxy {
            Some(proxy) if connector.uses_absolute_form() => proxy.authorization.clone(),
            _ => None,
        };
        let alive = Arc::new(());
        Ok(Self(Arc::new(Fields {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            weak: Arc::downgrade(&alive),
            _alive: alive,
            name,
            base,
            connector,
            timeouts,
            headers,
            host,
            proxy_authorization,
            proxy,
        })))
    }

    /// The name in error messages.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The headers that every request starts from.
    pub fn headers(&self) -> &RequestHeaders {
        &self.0.headers
    }

    /// The path of the base URL: empty, or starting with `/` and not ending in one.
    pub fn base_path(&self) -> &str {
        &self.0.base.path
    }

    /// A path (and query) below the base URL, such as `/models`.
    pub fn endpoint(&self, path: &str) -> Result<Endpoint> {
        self.endpoint_at(&format!("{}{path}", self.0.base.path))
    }

    /// A path (and query) from the server's root, such as `/health`.
    pub fn endpoint_at(&self, path: &str) -> Result<Endpoint> {
        let problem =
            |error: http::Error| Error::configuration(format!("`{path}` is not a path of a URL")).with_source(error);
        let path_and_query = PathAndQuery::try_from(path).map_err(|error| problem(error.into()))?;
        let uri = if self.0.connector.uses_absolute_form() {
            Uri::builder()
                .scheme("http")
                .authority(self.0.base.origin.authority())
                .path_and_query(path_and_query)
                .build()
                .map_err(problem)?
        } else {
            Uri::from(path_and_query)
        };
        Ok(Endpoint { uri })
    }

    /// Sends a request and waits for the head of the answer, whatever its status.
    ///
    /// A server may close a connection that it said it would keep, at the moment when the next request is on its way. Such a request, of
    /// which nothing was answered, is sent a second time, on a new connection. One that the server had for a while before it hung up is not, and
    /// neither is one whose body is a stream.
    ///
    /// The time to wait for an answer counts from the last piece of a streamed body.
    ///
    /// Fails as unavailable when the server cannot be reached or breaks off, as a timeout when it is too slow, and as permission denied when
    /// the egress guard refuses its address.
    pub async fn send(&self, request: Request) -> Result<Response> {
        let Request {
            method,
            endpoint,
            headers,
            body,
            deadline,
        } = request;
        let call = Call {
            method: method.clone(),
            uri: endpoint.uri.clone(),
        };
        let deadline = deadline.map(Instant::from_std);
        let mut message = http::Request::new(body);
        *message.method_mut() = method;
        *message.uri_mut() = endpoint.uri;
        *message.headers_mut() = self.header_map(headers);
        let (answer, connection) = match self.exchange(message, deadline).await {
            Ok(done) => done,
            Err(failure) => return Err(self.error(failure, &call)),
        };
        let (parts, incoming) = answer.into_parts();
        if let Some(encoding) = parts.headers.get(header::CONTENT_ENCODING)
            && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
        {
            let encoding = String::from_utf8_lossy(encoding.as_bytes()).into_owned();
            return Err(self.error(Failure::Encoded(encoding), &call));
        }
        let body = ResponseBody::new(self.clone(), incoming, connection, deadline, call);
        Ok(Response {
            status: parts.status,
            headers: parts.headers,
            body,
        })
    }

    async fn exchange(
        &self,
        mut message: http::Request<Body>,
        deadline: Option<Instant>,
    ) -> Result<(http::Response<Incoming>, Box<Connection>), Failure> {
        let Timeouts { connect, read } = self.0.timeouts;
        let progress = message.body().progress();
        let mut unsent = 0;
        // What can be sent only once goes over a connection of which it is certain that the server has not closed it.
        let mut kept = progress.is_none();
        loop {
            let taken = if kept { pool::take(self.0.id) } else { None };
            let again = if taken.is_some() { again(&message) } else { None };
            let mut connection = match taken {
                Some(connection) => connection,
                None => {
                    let due = earlier(connect, deadline);
                    let (transport, probe) = match self.0.connector.connect(due).await {
                        Ok(connected) => connected,
                        Err(ConnectError::Timeout) if deadline.is_some_and(|deadline| deadline <= due) => {
                            return Err(Failure::Deadline);
                        }
                        Err(error) => return Err(Failure::Connect(error)),
                    };
                    Box::new(Connection::open(transport, probe).await.map_err(Failure::Broken)?)
                }
            };
            let sent = Instant::now();
            match in_time(connection.send(message), progress.as_deref(), read, deadline).await {
                Ok(Ok(answer)) => return Ok((answer, connection)),
                Ok(Err(SendError {
                    unsent: Some(again), ..
                })) if unsent < MAX_UNSENT => {
                    unsent += 1;
                    message = again;
                }
                Ok(Err(SendError { error, .. })) => match again {
                    Some(again) if is_hang_up(&error) && sent.elapsed() < MAX_HANG_UP => {
                        kept = false;
                        message = again;
                    }
                    _ => return Err(Failure::Broken(error)),
                },
                Err(due) if deadline.is_some_and(|deadline| deadline <= due) => return Err(Failure::Deadline),
                Err(_) => return Err(Failure::ReadTimeout(read)),
            }
        }
    }

    fn header_map(&self, headers: RequestHeaders) -> HeaderMap {
        let mut map = headers.into_map(self.0.host.clone());
        if let Some(authorization) = &self.0.proxy_authorization {
            map.insert(header::PROXY_AUTHORIZATION, authorization.clone());
        }
        map
    }

    pub(crate) fn error(&self, failure: Failure, call: &Call) -> Error {
        let Call { method, uri } = call;
        let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        failure.into_error(&self.0.name, format!("{method} {}{path}", self.0.base.origin))
    }

    pub(crate) fn timeouts(&self) -> Timeouts {
        self.0.timeouts
    }

    /// Whose connections these are, for the pool.
    pub(crate) fn pool_key(&self) -> (u64, &Weak<()>) {
        (self.0.id, &self.0.weak)
    }
}

/// The same request again, where its body can be had twice.
fn again(message: &http::Request<Body>) -> Option<http::Request<Body>> {
    let mut again = http::Request::new(message.body().again()?);
    *again.method_mut() = message.method().clone();
    *again.uri_mut() = message.uri().clone();
    *again.headers_mut() = message.headers().clone();
    Some(again)
}

/// Waits for an answer, at most `read` from the last piece of the body on. The error is when the time was up.
async fn in_time<T>(
    sending: impl Future<Output = T>,
    progress: Option<&AtomicU64>,
    read: Duration,
    deadline: Option<Instant>,
) -> Result<T, Instant> {
    let mut sending = pin!(sending);
    let mut before = 0;
    loop {
        let due = earlier(read, deadline);
        if let Ok(done) = timeout_at(due, &mut sending).await {
            return Ok(done);
        }
        let now = progress.map_or(before, |progress| progress.load(Ordering::Relaxed));
        if now == before || deadline.is_some_and(|deadline| deadline <= due) {
            return Err(due);
        }
        before = now;
    }
}

/// Whether the server closed the connection in place of an answer.
fn is_hang_up(error: &hyper::Error) -> bool {
    let kind = || error.source()?.downcast_ref::<io::Error>().map(io::Error::kind);
    error.is_incomplete_message()
        || matches!(
            kind(),
            Some(io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted)
        )
}

/// What was called, for the log.
#[derive(Debug)]
pub(crate) struct Call {
    method: Method,
    uri: Uri,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("name", &self.0.name)
            .field("origin", &format_args!("{}", self.0.base.origin))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn as_long_as_a_body_goes_out_there_is_time() {
        let sent = AtomicU64::new(0);
        let slow = async {
            for _ in 0..5 {
                tokio::time::sleep(READ - Duration::from_secs(1)).await;
                sent.fetch_add(1, Ordering::Relaxed);
            }
        };
        assert_eq!(in_time(slow, Some(&sent), READ, None).await, Ok(()));
        let stuck = std::future::pending::<()>();
        assert!(in_time(stuck, Some(&sent), READ, None).await.is_err());
        let begun = Instant::now();
        let endless = async {
            loop {
                tokio::time::sleep(READ / 2).await;
                sent.fetch_add(1, Ordering::Relaxed);
            }
        };
        let deadline = begun + READ * 3;
        assert_eq!(
            in_time::<()>(endless, Some(&sent), READ, Some(deadline)).await,
            Err(deadline)
        );
    }
}
