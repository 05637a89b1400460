//! TLS: what is trusted, who the client is, and the way through a proxy.

#![expect(clippy::unwrap_used, reason = "what fails in a helper of a test fails the test")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::Method;
use puna_api::{ErrorKind, Result};
use puna_http::{Body, Client, ClientSettings, NetworkConfig, Request};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A certificate authority, a server and a client that it signed for, as files and as a server's settings.
struct Pki {
    dir: tempfile::TempDir,
    acceptor: TlsAcceptor,
}

impl Pki {
    fn new(wants_client_certificate: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(dir.path().join("ca.pem"), authority.pem()).unwrap();

        let issue = |name: &str| {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            (params.signed_by(&key, &authority).unwrap(), key)
        };
        let (client, client_key) = issue("client");
        std::fs::write(dir.path().join("client.pem"), client.pem()).unwrap();
        std::fs::write(dir.path().join("client.key"), client_key.serialize_pem()).unwrap();

        let (server, server_key) = issue("localhost");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if wants_client_certificate {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .unwrap();
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::try_from(server_key.serialize_der()).unwrap();
        let config = builder.with_single_cert(vec![server.der().clone()], key).unwrap();
        Self {
            dir,
            acceptor: TlsAcceptor::from(Arc::new(config)),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    stream
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        .await
        .unwrap();
    stream.flush().await.unwrap();
}

/// Serves one connection. A handshake that fails is the client's finding.
async fn serve(listener: TcpListener, acceptor: TlsAcceptor) {
    let (stream, _) = listener.accept().await.unwrap();
    if let Ok(stream) = acceptor.accept(stream).await {
        answer(stream).await;
    }
}

async fn get(base_url: String, network: Value) -> Result<bytes::Bytes> {
    let network: NetworkConfig = serde_json::from_value(network).unwrap();
    let client = Client::new(ClientSettings {
        name: "up".to_owned(),
        base_url,
        network,
    })?;
    let request = Request {
        method: Method::GET,
        endpoint: client.endpoint("/").unwrap(),
        headers: client.headers().clone(),
        body: Body::empty(),
        deadline: None,
    };
    client.send(request).await?.body.bytes(10).await
}

async fn try_with(pki: &Pki, host: &str, network: Value) -> Result<bytes::Bytes> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("https://{host}:{}", listener.local_addr().unwrap().port());
    let acceptor = pki.acceptor.clone();
    let call = get(base_url, network);
    tokio::select! {
        result = call => result,
        // Poll the server as long as the client is at work, and no longer.
        never = async { serve(listener, acceptor).await; std::future::pending().await } => never,
    }
}

#[tokio::test]
async fn a_certificate_is_checked_against_the_authorities_that_are_configured() {
    let pki = Pki::new(false);
    let ca = pki.file("ca.pem");
    assert_eq!(
        try_with(&pki, "localhost", json!({ "tls": { "verify": ca } }))
            .await
            .unwrap(),
        "ok"
    );
    assert_eq!(
        try_with(&pki, "localhost", json!({ "tls": { "verify": false } }))
            .await
            .unwrap(),
        "ok"
    );
    assert_eq!(
        try_with(&pki, "localhost", json!({ "proxy": { "cacert": ca } }))
            .await
            .unwrap(),
        "ok"
    );
    let suites = json!({ "tls": { "verify": ca, "min_version": "TLSv1.3", "ciphers": ["TLS_AES_128_GCM_SHA256"] } });
    assert_eq!(try_with(&pki, "localhost", suites).await.unwrap(), "ok");
    // An authority that nobody knows, and a name that the certificate does not have.
    for (host, tls) in [("localhost", json!({})), ("127.0.0.1", json!({ "verify": ca }))] {
        let error = try_with(&pki, host, json!({ "tls": tls })).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(error.message(), "no secure connection to provider `up` could be made");
    }
}

#[tokio::test]
async fn the_client_shows_its_certificate_where_one_is_wanted() {
    let pki = Pki::new(true);
    let ca = pki.file("ca.pem");
    let tls = json!({ "verify": ca, "client_cert": pki.file("client.pem"), "client_key": pki.file("client.key") });
    assert_eq!(try_with(&pki, "localhost", json!({ "tls": tls })).await.unwrap(), "ok");
    let error = try_with(&pki, "localhost", json!({ "tls": { "verify": ca } }))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn files_are_read_when_the_client_is_made() {
    let pki = Pki::new(false);
    for (tls, param) in [
        (
            json!({ "client_cert": pki.file("ca.pem"), "client_key": Path::new("/nowhere") }),
            "network.tls.client_key",
        ),
        (
            json!({ "client_cert": pki.file("client.key"), "client_key": pki.file("client.key") }),
            "network.tls.client_cert",
        ),
        (json!({ "verify": "/nowhere" }), "network.tls.verify"),
    ] {
        let error = get("https://localhost:1".to_owned(), json!({ "tls": tls }))
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.param()),
            (ErrorKind::Configuration, Some(param)),
            "{error:?}"
        );
    }
}

/// A proxy that opens one tunnel, to wherever it is told that `target` is.
async fn tunnel(mut client: impl AsyncRead + AsyncWrite + Unpin, target: &TcpListener) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    let mut server = TcpStream::connect(target.local_addr().unwrap()).await.unwrap();
    client
        .write_all(b"HTTP/1.1 200 Connection established\r\nvia: x\r\n\r\n")
        .await
        .unwrap();
    copy_bidirectional(&mut client, &mut server).await.unwrap();
    String::from_utf8(head).unwrap()
}

#[tokio::test]
async fn secure_requests_go_through_a_tunnel_even_of_a_secure_proxy() {
    let pki = Pki::new(false);
    for scheme in ["http", "https"] {
        let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{scheme}://u:p@localhost:{}", proxy.local_addr().unwrap().port());
        let network = json!({ "tls": { "verify": pki.file("ca.pem") }, "proxy": { "https": url } });
        // Only the proxy knows where this name leads; the certificate names it nevertheless.
        let call = get("https://localhost:4433/v1".to_owned(), network);
        let serve = async {
            let (stream, _) = target.accept().await.unwrap();
            answer(pki.acceptor.accept(stream).await.unwrap()).await;
        };
        let forward = async {
            let (stream, _) = proxy.accept().await.unwrap();
            if scheme == "https" {
                tunnel(pki.acceptor.accept(stream).await.unwrap(), &target).await
            } else {
                tunnel(stream, &target).await
            }
        };
        let forwarded = futures::future::select(
            Box::pin(forward),
            Box::pin(async {
                assert_eq!(futures::join!(call, serve).0.unwrap(), "ok");
            }),
        );
        // The client keeps its connection, so the tunnel stays open; the answer is what was waited for.
        assert!(matches!(forwarded.await, futures::future::Either::Right(_)), "{scheme}");
    }
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_as_such() {
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://localhost:{}", proxy.local_addr().unwrap().port());
    let call = get("https://up.invalid".to_owned(), json!({ "proxy": { "url": url } }));
    let refuse = async {
        let (mut stream, _) = proxy.accept().await.unwrap();
        let mut head = [0; 17];
        stream.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"CONNECT up.invali");
        stream
            .write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            .await
            .unwrap();
        stream
    };
    let (result, _) = futures::join!(call, refuse);
    let error = result.unwrap_err();
    assert_eq!(
        error.message(),
        "the proxy before provider `up` refused to connect to it"
    );
    assert_eq!(
        error.context()[0],
        "the proxy answered: HTTP/1.1 407 Proxy Authentication Required"
    );
}
