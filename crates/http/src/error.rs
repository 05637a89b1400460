//! What can go wrong between here and a server, as the one error type.

use std::io;
use std::time::Duration;

use puna_api::Error;

use crate::connect::ConnectError;
use crate::proxy::TunnelError;

/// Why there is no answer, or no whole answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// There is no connection.
    Connect(ConnectError),
    /// The connection ended before the answer, or in the middle of it, or what came was not HTTP.
    Broken(hyper::Error),
    /// Nothing came for this long.
    ReadTimeout(Duration),
    /// The request's own deadline passed.
    Deadline,
    /// The answer is longer than this many bytes.
    TooLarge { limit: usize },
    /// The answer came in an encoding that was not asked for.
    Encoded(String),
}

impl Failure {
    /// The error for the client, which names the provider but no address, with the address in the context. `what` is method and URL.
    pub(crate) fn into_error(self, name: &str, what: String) -> Error {
        let seconds = |duration: Duration| duration.as_secs_f64();
        let error = match self {
            Self::Connect(error) => return connect_error(error, name).with_context(what),
            Self::Broken(error) if error.is_user() => content_error(error),
            Self::Broken(error) if error.is_parse() => {
                Error::unavailable(format!("provider `{name}` answered with something that is not HTTP"))
                    .with_source(error)
            }
            Self::Broken(error) => Error::unavailable(format!(
                "provider `{name}` closed the connection before its answer was complete"
            ))
            .with_source(error),
            Self::ReadTimeout(limit) => {
                Error::timeout(format!("provider `{name}` sent nothing for {} s", seconds(limit)))
            }
            Self::Deadline => Error::timeout(format!(
                "provider `{name}` did not answer before the request's deadline"
            )),
            Self::TooLarge { limit } => {
                Error::unavailable(format!("the answer of provider `{name}` is longer than {limit} bytes"))
            }
            Self::Encoded(encoding) => Error::unavailable(format!(
                "provider `{name}` answered with content encoding `{encoding}`, which was not asked for"
            )),
        };
        error.with_context(what)
    }
}

/// The fault that a body of our own ended with.
fn content_error(error: hyper::Error) -> Error {
    let fault = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<Error>());
    match fault {
        Some(fault) => Error::new(fault.kind(), fault.message()).with_source(error),
        None => Error::internal("the body of a request could not be sent").with_source(error),
    }
}

fn connect_error(error: ConnectError, name: &str) -> Error {
    match error {
        ConnectError::Forbidden(refusal) => Error::permission_denied(format!(
            "the requested address is not one that this server may call: it is, or resolves to, a {} address",
            refusal.kind
        ))
        .with_code("address_not_allowed")
        .with_context(refusal.to_string()),
        ConnectError::Timeout => Error::timeout(format!("provider `{name}` did not accept a connection in time")),
        ConnectError::Resolve(error) => Error::unavailable(format!(
            "provider `{name}` cannot be reached: its host name has no address"
        ))
        .with_source(error),
        ConnectError::Refused(error) => Error::unavailable(match error.kind() {
            io::ErrorKind::ConnectionRefused => format!("provider `{name}` cannot be reached: connection refused"),
            _ => format!("provider `{name}` cannot be reached"),
        })
        .with_source(error),
        ConnectError::Tls(error) => {
            Error::unavailable(format!("no secure connection to provider `{name}` could be made")).with_source(error)
        }
        ConnectError::TlsSettings(message) => {
            Error::unavailable(format!("no secure connection to provider `{name}` could be made")).with_context(message)
        }
        ConnectError::Tunnel(TunnelError::Io(error)) => {
            Error::unavailable(format!("the proxy before provider `{name}` closed the connection")).with_source(error)
        }
        ConnectError::Tunnel(TunnelError::Answer(answer)) => {
            Error::unavailable(format!("the proxy before provider `{name}` refused to connect to it"))
                .with_context(format!("the proxy answered: {answer}"))
        }
    }
}
