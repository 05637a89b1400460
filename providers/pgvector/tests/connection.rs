//! A database that cannot be reached is unavailable, and used again when it can be. The server is the one that `PUNA_TEST_POSTGRES` names.
#![expect(clippy::unwrap_used, reason = "what fails in a helper of a test fails the test")]

use std::process::ExitCode;
use std::time::Duration;

use libtest_mimic::{Arguments, Trial};
use puna_api::{ErrorKind, Metric, Services, VectorIndex};
use puna_testkit::{TestHost, context};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

fn main() -> ExitCode {
    let name = "postgres::connection::is_mended";
    let trial = match puna_testkit::live_setting("PUNA_TEST_POSTGRES") {
        Some(url) => Trial::test(name, move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(is_mended(&url));
            Ok(())
        }),
        None => {
            let reason = "`PUNA_TEST_POSTGRES` names no server";
            Trial::test(name, move || Err(reason.into()))
                .with_kind(format!("not run: {reason}"))
                .with_ignored_flag(true)
        }
    };
    libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit_code()
}

/// What stands between the provider and the server; gone, nobody listens and no connection is left.
struct Between(JoinSet<()>);

impl Between {
    async fn at(port: u16, server: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let server = server.to_owned();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let mut far = TcpStream::connect(&server).await.unwrap();
                connections.spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await.map(drop) });
            }
        });
        Self(tasks)
    }

    async fn end(mut self) {
        self.0.shutdown().await;
    }
}

async fn is_mended(url: &str) {
    let (start, rest) = url.rsplit_once('@').unwrap();
    let (server, database) = rest.split_once('/').unwrap();
    let port = TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let host = TestHost::new().unwrap();
    let provider = puna_provider_pgvector::PROVIDER;
    let config = json!({
        "connection_string": format!("{start}@127.0.0.1:{port}/{database}"),
        "table_name": format!("t_connection_{port}"),
    });
    let services = provider
        .build(provider.check(config).unwrap(), host.host())
        .await
        .unwrap();
    let health = services.health.clone().unwrap();
    for _ in 0..2 {
        assert_eq!(create(&services).await, Some(ErrorKind::Unavailable));
        assert_eq!(health.check().await.unwrap_err().kind(), ErrorKind::Unavailable);
        let between = Between::at(port, server).await;
        assert_eq!(create(&services).await, None);
        health.check().await.unwrap();
        between.end().await;
    }
    let between = Between::at(port, server).await;
    let vector_io = services.vector_io.unwrap();
    vector_io.delete_index(&context(), "vs_connection").await.unwrap();
    between.end().await;
}

async fn create(services: &Services) -> Option<ErrorKind> {
    let index = VectorIndex {
        index_id: "vs_connection".to_owned(),
        dimension: 2,
        metric: Metric::Cosine,
    };
    let vector_io = services.vector_io.clone().unwrap();
    let made = tokio::time::timeout(Duration::from_secs(30), async move {
        vector_io.create_index(&context(), index).await
    });
    made.await.unwrap().err().map(|error| error.kind())
}
