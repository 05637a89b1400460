//! Idle connections, kept by the thread that used them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Weak;
use std::time::{Duration, Instant};

use tokio::runtime;

use crate::connection::{Connection, Usability};

/// How many idle connections a thread keeps to one server.
const MAX_IDLE: usize = 256;

/// After which time an idle connection is closed.
const MAX_AGE: Duration = Duration::from_secs(60);

// The server runs one runtime on each of its threads, and a connection belongs to the runtime that made it. So no lock is needed, and no
// request is woken across threads.
thread_local! {
    static SHELVES: RefCell<HashMap<u64, Shelf>> = RefCell::default();
}

/// The idle connections of one client, the last used at the end.
struct Shelf {
    /// Gone when the client is.
    owner: Weak<()>,
    #[expect(
        clippy::vec_box,
        reason = "a connection is large, and moves between here and its users all the time"
    )]
    idle: Vec<Box<Connection>>,
}

/// An idle connection of this client that can take a request, the most recently used first.
pub(crate) fn take(client: u64) -> Option<Box<Connection>> {
    let runtime = runtime::Handle::try_current().ok()?.id();
    SHELVES.with_borrow_mut(|shelves| {
        let shelf = shelves.get_mut(&client)?;
        let mut i = shelf.idle.len();
        while i > 0 {
            i -= 1;
            if shelf.idle[i].runtime() != runtime {
                continue;
            }
            match shelf.idle[i].is_usable() {
                Usability::Now => return Some(shelf.idle.remove(i)),
                Usability::NotYet => {}
                Usability::Never => {
                    shelf.idle.remove(i);
                }
            }
        }
        None
    })
}

/// Keeps a connection for the next request of its client.
pub(crate) fn put(client: u64, owner: &Weak<()>, connection: Box<Connection>) {
    // The thread may be ending, in which case there is no next request.
    let _ = SHELVES.try_with(|shelves| {
        let Ok(mut shelves) = shelves.try_borrow_mut() else {
            return;
        };
        if !shelves.contains_key(&client) {
            shelves.retain(|_, shelf| shelf.owner.strong_count() > 0);
        }
        let shelf = shelves.entry(client).or_insert_with(|| Shelf {
            owner: owner.clone(),
            idle: Vec::new(),
        });
        // The oldest stand first.
        let now = Instant::now();
        let old = shelf
            .idle
            .iter()
            .take_while(|idle| now.duration_since(idle.last_used()) > MAX_AGE)
            .count();
        let excess = (shelf.idle.len() + 1).saturating_sub(MAX_IDLE);
        shelf.idle.drain(..old.max(excess));
        shelf.idle.push(connection);
    });
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::pin::pin;
    use std::sync::mpsc;

    use http::Method;

    use super::*;
    use crate::body::Body;
    use crate::client::{Client, ClientSettings, Request};
    use crate::network::NetworkConfig;

    fn idle(client: &Client) -> usize {
        SHELVES.with_borrow(|shelves| shelves.get(&client.pool_key().0).map_or(0, |shelf| shelf.idle.len()))
    }

    fn answer(stream: &mut TcpStream, answer: &str) {
        let mut seen = Vec::new();
        while !seen.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            seen.push(byte[0]);
        }
        stream.write_all(answer.as_bytes()).unwrap();
    }

    fn client(base_url: String) -> Client {
        Client::new(ClientSettings {
            name: "x".to_owned(),
            base_url,
            network: NetworkConfig::default(),
        })
        .unwrap()
    }

    fn request(client: &Client) -> Request {
        Request {
            method: Method::GET,
            endpoint: client.endpoint("/").unwrap(),
            headers: client.headers().clone(),
            body: Body::empty(),
            deadline: None,
        }
    }

    async fn get(client: &Client) -> bytes::Bytes {
        client
            .send(request(client))
            .await
            .unwrap()
            .body
            .bytes(100)
            .await
            .unwrap()
    }

    // The server runs beside the runtime, and the runtime gets no turn between the server's closing and the next request: it cannot have
    // heard of it.
    async fn close_between_two_requests(idle_for: Duration) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let (close, wait_close) = mpsc::channel();
        let (closed, wait_closed) = mpsc::channel();
        let server = std::thread::spawn(move || {
            let (mut first, _) = listener.accept().unwrap();
            answer(&mut first, "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1");
            wait_close.recv().unwrap();
            drop(first);
            closed.send(()).unwrap();
            let (mut second, _) = listener.accept().unwrap();
            answer(&mut second, "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n2");
        });
        let client = client(base_url);
        assert_eq!(get(&client).await, "1");
        assert_eq!(idle(&client), 1);
        close.send(()).unwrap();
        wait_closed.recv().unwrap();
        SHELVES.with_borrow_mut(|shelves| {
            for connection in &mut shelves.get_mut(&client.pool_key().0).unwrap().idle {
                connection.grow_older(idle_for);
            }
        });
        assert_eq!(get(&client).await, "2");
        server.join().unwrap();
    }

    #[tokio::test]
    async fn a_connection_that_was_closed_while_idle_is_not_used() {
        close_between_two_requests(Duration::from_secs(1)).await;
    }

    #[tokio::test]
    async fn a_request_on_a_connection_that_was_just_closed_is_sent_again() {
        close_between_two_requests(Duration::ZERO).await;
    }

    #[tokio::test]
    async fn a_request_is_sent_again_only_once_and_on_a_new_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut first, _) = listener.accept().unwrap();
            answer(&mut first, "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1");
            // The second request is read and not answered, on the kept connection and on the new one.
            answer(&mut first, "");
            drop(first);
            let (mut second, _) = listener.accept().unwrap();
            answer(&mut second, "");
        });
        let client = client(base_url);
        assert_eq!(get(&client).await, "1");
        let error = client.send(request(&client)).await.unwrap_err();
        assert!(error.message().contains("closed the connection"), "{error}");
        server.join().unwrap();
    }

    #[tokio::test]
    async fn a_request_that_the_server_had_for_a_while_is_not_sent_again() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let (close, wait_close) = mpsc::channel();
        let server = std::thread::spawn(move || {
            let (mut first, _) = listener.accept().unwrap();
            answer(&mut first, "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1");
            answer(&mut first, "");
            wait_close.recv().unwrap();
        });
        let client = client(base_url);
        assert_eq!(get(&client).await, "1");
        let mut call = pin!(client.send(request(&client)));
        assert!(futures::poll!(&mut call).is_pending());
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(2)).await;
        tokio::time::resume();
        close.send(()).unwrap();
        let error = call.await.unwrap_err();
        assert!(error.message().contains("closed the connection"), "{error}");
        server.join().unwrap();
    }

    #[tokio::test]
    async fn the_connections_of_a_client_that_is_gone_are_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        // A connection that the server has closed is not kept, so it keeps both.
        let server = std::thread::spawn(move || {
            [(); 2].map(|()| {
                let (mut stream, _) = listener.accept().unwrap();
                answer(&mut stream, "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1");
                stream
            })
        });
        let first = client(base_url.clone());
        get(&first).await;
        let key = first.pool_key().0;
        drop(first);
        get(&client(base_url)).await;
        assert!(!SHELVES.with_borrow(|shelves| shelves.contains_key(&key)));
        drop(server.join().unwrap());
    }
}
