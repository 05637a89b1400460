//! Making connections: addresses, the egress guard, proxies, TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_rustls::TlsConnector;

use crate::address::Origin;
use crate::egress::{EgressPolicy, Refusal};
use crate::proxy::{ProxyServer, TunnelError, open_tunnel};
use crate::tls::Tls;
use crate::transport::{Probe, Transport};

/// How often a connection is tried, and how long between the tries. Nothing has been sent yet, so trying again is safe.
const ATTEMPTS: usize = 2;
const PAUSE: Duration = Duration::from_millis(50);

/// Makes connections to one origin.
pub(crate) struct Connector {
    pub(crate) origin: Origin,
    pub(crate) proxy: Option<ProxyServer>,
    pub(crate) tls: Arc<Tls>,
    /// Set where a request chose the origin.
    pub(crate) guard: Option<Arc<EgressPolicy>>,
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum ConnectError {
    /// The host has no address.
    Resolve(io::Error),
    /// The egress guard refused an address.
    Forbidden(Refusal),
    /// No address accepted a connection.
    Refused(io::Error),
    /// Time ran out.
    Timeout,
    /// The TLS handshake failed.
    Tls(io::Error),
    /// There are no usable TLS settings.
    TlsSettings(String),
    /// The proxy gave no tunnel.
    Tunnel(TunnelError),
}

impl Connector {
    /// Whether requests go to the proxy as they are, with absolute URLs, rather than through a tunnel or directly.
    pub(crate) fn uses_absolute_form(&self) -> bool {
        // Where the guard is set, the proxy must not look up the name by itself.
        self.proxy.is_some() && !self.origin.secure && self.guard.is_none()
    }

    /// Connects, until `deadline`.
    pub(crate) async fn connect(&self, deadline: Instant) -> Result<(Transport, Probe), ConnectError> {
        timeout_at(deadline, async {
            let mut attempt = 1;
            loop {
                match self.try_connect(deadline).await {
                    Err(ConnectError::Refused(_)) if attempt < ATTEMPTS => {
                        attempt += 1;
                        sleep(PAUSE).await;
                    }
                    result => return result,
                }
            }
        })
        .await
        .unwrap_or(Err(ConnectError::Timeout))
    }

    async fn try_connect(&self, deadline: Instant) -> Result<(Transport, Probe), ConnectError> {
        let probe = Probe::default();
        let transport = match &self.proxy {
            None => {
                let addresses = self.target_addresses().await?;
                dial(&addresses, &probe, deadline).await?
            }
            Some(proxy) => self.through(proxy, &probe, deadline).await?,
        };
        if !self.origin.secure {
            return Ok((transport, probe));
        }
        Ok((self.secure(transport, &self.origin.host).await?, probe))
    }

    async fn through(&self, proxy: &ProxyServer, probe: &Probe, deadline: Instant) -> Result<Transport, ConnectError> {
        // A guarded target is looked up here and named to the proxy by its address, so that the proxy connects to what was checked.
        let target = match &self.guard {
            None => self.origin.authority(),
            Some(_) => match self.target_addresses().await?.first() {
                Some(address) => address.to_string(),
                None => self.origin.authority(),
            },
        };
        let mut transport = dial(&resolve(&proxy.origin).await?, probe, deadline).await?;
        if proxy.origin.secure {
            transport = self.secure(transport, &proxy.origin.host).await?;
        }
        if !self.uses_absolute_form() {
            open_tunnel(&mut transport, &target, proxy.authorization.as_ref())
                .await
                .map_err(ConnectError::Tunnel)?;
        }
        Ok(transport)
    }

    /// The addresses of the origin, past the guard.
    async fn target_addresses(&self) -> Result<Vec<SocketAddr>, ConnectError> {
        let addresses = resolve(&self.origin).await?;
        if let Some(guard) = &self.guard {
            guard.check(&self.origin, &addresses).map_err(ConnectError::Forbidden)?;
        }
        Ok(addresses)
    }

    async fn secure(&self, transport: Transport, host: &str) -> Result<Transport, ConnectError> {
        let config = if self.tls.is_ready() {
            self.tls.config()
        } else {
            // Reading the system's certificate authorities takes some milliseconds that other requests need not wait for.
            let tls = Arc::clone(&self.tls);
            tokio::task::spawn_blocking(move || tls.config())
                .await
                .unwrap_or_else(|error| Err(error.to_string()))
        };
        let config = config.map_err(ConnectError::TlsSettings)?;
        let name = ServerName::try_from(host.to_owned()).map_err(|error| {
            ConnectError::TlsSettings(format!("`{host}` cannot be checked against a certificate: {error}"))
        })?;
        let stream = TlsConnector::from(config)
            .connect(name, transport)
            .await
            .map_err(ConnectError::Tls)?;
        Ok(Transport::Tls(Box::new(stream)))
    }
}

/// The addresses of a host, at least one.
async fn resolve(origin: &Origin) -> Result<Vec<SocketAddr>, ConnectError> {
    if let Some(address) = origin.address() {
        return Ok(vec![SocketAddr::new(address, origin.port)]);
    }
    let addresses: Vec<_> = lookup_host((origin.host.as_str(), origin.port))
        .await
        .map_err(ConnectError::Resolve)?
        .collect();
    if addresses.is_empty() {
        return Err(ConnectError::Resolve(io::Error::new(
            io::ErrorKind::NotFound,
            "the host has no address",
        )));
    }
    Ok(addresses)
}

/// Connects to the first address that accepts. Each gets an equal part of the time that is left, so that one that swallows packets does not
/// keep the next from its turn.
async fn dial(addresses: &[SocketAddr], probe: &Probe, deadline: Instant) -> Result<Transport, ConnectError> {
    let mut failure = io::Error::from(io::ErrorKind::TimedOut);
    for (i, address) in addresses.iter().enumerate() {
        let now = Instant::now();
        let share = deadline.saturating_duration_since(now) / u32::try_from(addresses.len() - i).unwrap_or(u32::MAX);
        match timeout_at(now + share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Small writes must not wait for acknowledgements, and a peer that vanished must be noticed at last.
                stream.set_nodelay(true).map_err(ConnectError::Refused)?;
                let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(60));
                SockRef::from(&stream)
                    .set_tcp_keepalive(&keepalive)
                    .map_err(ConnectError::Refused)?;
                return Ok(Transport::Plain {
                    stream,
                    probe: probe.clone(),
                });
            }
            Ok(Err(error)) => failure = error,
            Err(_) => {}
        }
    }
    match failure.kind() {
        io::ErrorKind::TimedOut => Err(ConnectError::Timeout),
        _ => Err(ConnectError::Refused(failure)),
    }
}
