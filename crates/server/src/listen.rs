//! The sockets that a server listens on.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::num::NonZeroUsize;

use puna_api::{Error, Result};
use socket2::{Domain, Protocol, Socket, Type};

/// Connections that wait to be accepted, for each worker.
const BACKLOG: i32 = 1024;

/// Bound sockets, one for each worker; the kernel spreads connections over them.
#[derive(Debug)]
pub struct Listeners {
    address: SocketAddr,
    sockets: Vec<TcpListener>,
}

impl Listeners {
    /// Listens on a host's first address. Port 0 takes a free port.
    ///
    /// Fails as a configuration error where the host is not known, the address is not this machine's, the port is in use, or it may not be used.
    pub fn bind(host: &str, port: u16, workers: NonZeroUsize) -> Result<Self> {
        let refused = |error: io::Error| cannot_listen(host, port, error);
        let wanted = (host, port).to_socket_addrs().map_err(refused)?.next().ok_or_else(|| {
            Error::configuration(format!("the host `{host}` has no address to listen on")).with_param("server.host")
        })?;
        if workers.get() == 1 {
            let socket = listen(wanted, Sharing::Alone).map_err(refused)?;
            return Ok(Self {
                address: socket.local_addr().map_err(refused)?,
                sockets: vec![socket],
            });
        }
        // Sockets that share a port also share it with those of another server of the same user, silently; so first see that it is free.
        if port != 0 {
            bind(wanted, Sharing::Alone).map_err(refused)?;
        }
        let first = listen(wanted, Sharing::Shared).map_err(refused)?;
        let address = first.local_addr().map_err(refused)?;
        let mut sockets = vec![first];
        for _ in 1..workers.get() {
            sockets.push(listen(address, Sharing::Shared).map_err(refused)?);
        }
        Ok(Self { address, sockets })
    }

    /// The address, with the port that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many workers will serve.
    pub fn workers(&self) -> usize {
        self.sockets.len()
    }

    pub(crate) fn into_sockets(self) -> Vec<TcpListener> {
        self.sockets
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    Alone,
    Shared,
}

fn bind(address: SocketAddr, sharing: Sharing) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A port whose last connections are still being closed can be taken again.
    socket.set_reuse_address(true)?;
    if sharing == Sharing::Shared {
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn listen(address: SocketAddr, sharing: Sharing) -> io::Result<TcpListener> {
    let socket = bind(address, sharing)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn cannot_listen(host: &str, port: u16, error: io::Error) -> Error {
    let (why, param) = match error.kind() {
        io::ErrorKind::AddrInUse => (
            "the port is in use; stop what listens there, or choose another port",
            "server.port",
        ),
        io::ErrorKind::PermissionDenied => ("this user may not use the port; choose one from 1024 on", "server.port"),
        io::ErrorKind::AddrNotAvailable => ("the host is not an address of this machine", "server.host"),
        _ => {
            return Error::configuration(format!("failed to listen on {host}:{port}: {error}"))
                .with_param("server.host")
                .with_source(error);
        }
    };
    Error::configuration(format!("failed to listen on {host}:{port}: {why}"))
        .with_param(param)
        .with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workers(number: usize) -> NonZeroUsize {
        NonZeroUsize::new(number).unwrap()
    }

    #[test]
    fn all_workers_share_one_port() {
        let listeners = Listeners::bind("127.0.0.1", 0, workers(3)).unwrap();
        assert_ne!(listeners.address().port(), 0);
        assert_eq!(listeners.workers(), 3);
        for socket in listeners.into_sockets() {
            assert!(socket.local_addr().unwrap().ip().is_loopback());
        }
    }

    #[test]
    fn a_port_in_use_is_told() {
        for (held, wanted) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
            let first = Listeners::bind("127.0.0.1", 0, workers(held)).unwrap();
            let port = first.address().port();
            let error = Listeners::bind("127.0.0.1", port, workers(wanted)).unwrap_err();
            assert_eq!(error.param(), Some("server.port"));
            assert!(
                error
                    .message()
                    .contains(&format!("127.0.0.1:{port}: the port is in use")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_foreign_address_is_told() {
        let error = Listeners::bind("192.0.2.1", 0, workers(1)).unwrap_err();
        assert_eq!(error.param(), Some("server.host"), "{error}");
    }
}
