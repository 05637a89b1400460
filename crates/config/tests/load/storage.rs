//! The `storage` part.

use puna_api::{Api, ProviderSpec};
use puna_config::{BackendPlan, KeptCompletions, LocationPlan, Overrides, Plan, PostgresPlan, Source};

use crate::support::{Mountain, config, environment, load, load_with, report};

const VARIABLES: &[(&str, &str)] = &[("PASSWORD", "s3cret"), ("POOL", "4")];

fn plan(storage: &str) -> Plan {
    load_with(&config(storage), VARIABLES, &Overrides::default()).unwrap()
}

fn sqlite(backend: &BackendPlan) -> &str {
    match &backend.location {
        LocationPlan::Sqlite(path) => path.to_str().unwrap(),
        LocationPlan::Postgres(_) => "postgres",
    }
}

fn postgres(backend: &BackendPlan) -> &PostgresPlan {
    match &backend.location {
        LocationPlan::Postgres(plan) => plan,
        LocationPlan::Sqlite(path) => panic!("{}", path.display()),
    }
}

#[test]
fn without_a_storage_state_is_kept_in_the_state_folder() {
    for text in ["", "storage: {}\n", "storage: { backends: {} }\n"] {
        let storage = plan(text).storage;
        let folder = "/home/jo/.puna/distributions/test";
        assert_eq!(sqlite(&storage.kv["kv_default"]), format!("{folder}/kvstore.db"));
        assert_eq!(sqlite(&storage.sql["sql_default"]), format!("{folder}/sql_store.db"));
        assert_eq!(
            (storage.registry.backend.as_str(), storage.registry.namespace.as_str()),
            ("kv_default", "registry")
        );
        assert_eq!((storage.jobs.backend, storage.jobs.table_name), (None, None));
    }
}

#[test]
fn the_backends_of_the_original_are_read() {
    let storage = plan(
        "storage:
  backends:
    kv_default: { type: kv_sqlite, db_path: '${env.STORE:=~/state}/kv.db', namespace: mine }
    plain: { type: sql_sqlite, db_path: ~/a.db }
    embedded: { type: sql_sqlite }
    sql_default:
      type: sql_postgres
      host: db
      port: ${env.PORT:=5433}
      db: puna
      user: jo
      password: ${env.PASSWORD}
      pool_size: ${env.POOL}
      max_overflow: 1
      pool_recycle: 60
      pool_pre_ping: false
      command_timeout: 2.5
    kv_url: { type: kv_postgres, connection_string: 'postgres://jo:s3cret@db/puna', table_name: kv_table, ssl_mode: verify-full }
  stores:
    metadata: { backend: kv_url, namespace: models }
    jobs: { backend: plain, table_name: work }
",
    )
    .storage;
    assert_eq!(sqlite(&storage.kv["kv_default"]), "/home/jo/state/kv.db");
    assert_eq!(storage.kv["kv_default"].namespace.as_deref(), Some("mine"));
    assert_eq!(sqlite(&storage.sql["plain"]), "/home/jo/a.db");
    assert_eq!(
        sqlite(&storage.sql["embedded"]),
        "/home/jo/.puna/distributions/test/sql_store.db"
    );
    let server = postgres(&storage.sql["sql_default"]);
    assert_eq!(
        (
            server.host.as_str(),
            server.port,
            server.database.as_str(),
            server.user.as_str()
        ),
        ("db", 5433, "puna", "jo")
    );
    assert_eq!(server.password.as_ref().unwrap().expose(), "s3cret");
    assert_eq!((server.max_connections, server.test_before_use), (5, false));
    assert_eq!(server.max_lifetime.unwrap().as_secs(), 60);
    assert_eq!(server.statement_timeout.unwrap().as_millis(), 2500);
    let url = &storage.kv["kv_url"];
    assert_eq!(url.table_name.as_deref(), Some("kv_table"));
    assert!(postgres(url).connection_string.is_some());
    assert_eq!(
        (storage.registry.backend.as_str(), storage.registry.namespace.as_str()),
        ("kv_url", "models")
    );
    assert_eq!(
        (storage.jobs.backend.as_deref(), storage.jobs.table_name.as_deref()),
        (Some("plain"), Some("work"))
    );
    assert!(!format!("{storage:?}").contains("s3cret"));
}

#[test]
fn jobs_are_kept_in_tables() {
    let told = report(&config("storage:\n  stores:\n    jobs: { backend: kv_default }\n"));
    assert!(
        told.contains("storage.stores.jobs.backend") && told.contains("`sql_…`"),
        "{told}"
    );
}

#[test]
fn which_chat_completions_are_kept_is_told_by_the_store() {
    let kept = |storage: &str| {
        let completions = plan(storage).storage.completions;
        (
            completions.kept,
            completions.tables.backend,
            completions.max_write_queue_size,
        )
    };
    let (asked, all, none) = (KeptCompletions::Asked, KeptCompletions::All, KeptCompletions::None);
    assert_eq!(kept(""), (asked, None, 10_000));
    assert_eq!(kept("storage:\n  stores:\n    inference: {}\n"), (all, None, 10_000));
    let store = |more: &str| format!("storage:\n  stores:\n    inference: {{ backend: sql_default, {more} }}\n");
    assert_eq!(
        kept(&store("max_write_queue_size: 7, num_writers: 2, table_name: t")),
        (all, Some("sql_default".to_owned()), 7)
    );
    assert_eq!(kept(&store("enabled: false")), (none, None, 10_000));
    // Where it cannot be told which backend is meant, nothing can be kept.
    for backends in [
        "kv_default: { type: kv_sqlite }",
        "kv_default: { type: kv_sqlite }, a: { type: sql_sqlite }, b: { type: sql_sqlite }",
    ] {
        let backends = format!("storage:\n  backends: {{ {backends} }}\n");
        assert_eq!(kept(&backends).0, none);
        insta::allow_duplicates! {
            insta::assert_snapshot!(report(&config(&(backends + "  stores: { inference: {} }\n"))), @"config.yaml:5:24 storage.stores.inference.backend: is required where not one backend is of a type `sql_…`, or several are and none is `sql_default` (name one of `storage.backends`)");
        }
    }
    insta::assert_snapshot!(report(&config(&store("max_write_queue_size: 0, num_writers: 65"))), @r"
    config.yaml:5:62 storage.stores.inference.max_write_queue_size: must be 1 or more, not 0
    config.yaml:5:78 storage.stores.inference.num_writers: must be from 1 to 64, not 65
    ");
}

#[test]
fn what_is_wrong_in_a_storage_is_reported_together() {
    insta::assert_snapshot!(report(&config(
        "storage:
  backends:
    kv_default: { type: kv_redis, host: cache }
    kv_other: { type: kv_sqlite, db_path: ':memory:' }
    sql_default: { type: sql_postgres, host: db, command_timeout: 0, pool_size: 0, max_overflow: 0, ssl_mode: maybe }
    sql_url: { type: sql_postgres, connection_string: 'postgres://db', host: db }
    odd: { type: kv_files }
  stores:
    metadata: { backend: sql_default }
    inference: { backend: sql_defualt, table_name: a }
    prompts: { backend: nowhere }
"
    )));
    insta::assert_snapshot!(report(&config(
        "storage:
  backends:
    sql_default: { type: sql_sqlite }
"
    )));
}

#[test]
fn a_provider_that_names_a_backend_names_one_that_is_there() {
    let text = |backend: &str| {
        config(&format!(
            "storage:
  backends:
    kv_default: {{ type: kv_sqlite }}
    sql_default: {{ type: sql_sqlite }}
providers:
  inference:
  - provider_id: m
    provider_type: remote::mountain
    config:
      base_url: http://h/v1
      store: {{ backend: {backend} }}
"
        ))
    };
    assert!(load(&text("sql_default")).is_ok());
    insta::assert_snapshot!(report(&text("sql_defalt")), @"config.yaml:13:25 providers.inference[0].config.store.backend: there is no storage backend `sql_defalt` (did you mean `sql_default`?)");
    insta::assert_snapshot!(report(&text("kv_default")), @"config.yaml:13:25 providers.inference[0].config.store.backend: the storage backend `kv_default` is of another kind; one of a type `sql_…` is needed here (of a type `sql_…` there are `sql_default`)");
}

#[test]
fn an_api_whose_providers_cannot_be_told_apart_takes_one() {
    let mut linked = ProviderSpec::of::<Mountain>();
    linked.apis = &[Api::Files];
    let entry = |id: &str| {
        format!("  - {{ provider_id: {id}, provider_type: 'remote::mountain', config: {{ base_url: 'http://h' }} }}\n")
    };
    let load = |entries: String| {
        let source = Source::Text {
            name: "config.yaml".to_owned(),
            text: config(&format!("providers:\n  files:\n{entries}")),
        };
        puna_config::load(&source, &[linked], &environment(&[]), &Overrides::default())
    };
    assert_eq!(load(entry("a")).unwrap().apis, [Api::Files]);
    insta::assert_snapshot!(load(entry("a") + &entry("b")).unwrap_err(), @"config.yaml:6:5 providers.files[1]: `files` takes one provider, and `a` is one already (nothing in a request would tell them apart; remove one of them)");
}

#[test]
fn a_model_belongs_to_a_provider_of_models() {
    let mut files = ProviderSpec::of::<Mountain>();
    files.apis = &[Api::Files];
    files.provider_type = "remote::cellar";
    let load = |model: &str| {
        let source = Source::Text {
            name: "config.yaml".to_owned(),
            text: config(&format!(
                "providers:
  files: [{{ provider_id: cellar, provider_type: 'remote::cellar', config: {{ base_url: 'http://h' }} }}]
  inference: [{{ provider_id: m, provider_type: 'remote::mountain', config: {{ base_url: 'http://h' }} }}]
models: [{model}]
"
            )),
        };
        let linked = [files, ProviderSpec::of::<Mountain>()];
        puna_config::load(&source, &linked, &environment(&[]), &Overrides::default())
    };
    assert_eq!(load("{ model_id: a }").unwrap().models[0].provider_id, "m");
    insta::assert_snapshot!(
        load("{ model_id: a, provider_id: cellar }").unwrap_err(),
        @"config.yaml:6:38 models[0].provider_id: there is no provider `cellar` (there are `m`, and `all`)"
    );
}
