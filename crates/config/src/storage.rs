//! The `storage` part.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path as FilePath, PathBuf};
use std::time::Duration;

use puna_api::Secret;
use serde_json::Value;

use crate::document::{Backend, Storage, Store, Tables};
use crate::missing::Missing;
use crate::nearest::{list, nearest};
use crate::path::Path;
use crate::report::Site;
use crate::schema::Schema;
use crate::{
    BackendPlan, CompletionsPlan, Environment, KeptCompletions, LocationPlan, PostgresPlan, Problem, StoragePlan,
    StorePlan, TablesPlan,
};

mod completions;

/// The files of the embedded backends, by their names in the original.
const KV_FILE: &str = "kvstore.db";
const SQL_FILE: &str = "sql_store.db";
/// What to use in place of what is not available.
const INSTEAD: &str = "use SQLite with a file, or PostgreSQL for several replicas";
/// The namespace of the registry that names none.
const REGISTRY: &str = "registry";
const SSL_MODES: &[&str] = &["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// What the part comes to.
#[derive(Debug, Default)]
pub(crate) struct Backends {
    /// None when something is wrong, which is reported.
    pub(crate) plan: Option<StoragePlan>,
    /// The names of all backends, those with mistakes too, by kind.
    names: BTreeMap<&'static str, BTreeSet<String>>,
    /// The names of those that this binary does not have.
    unavailable: BTreeSet<String>,
}

/// Checks the part. Without one, state is kept in SQLite, in the state folder.
pub(crate) fn read(
    site: &Site<'_>,
    storage: Option<Storage>,
    state_dir: Option<&FilePath>,
    environment: &Environment,
    missing: &mut Missing<'_>,
    problems: &mut Vec<Problem>,
) -> Backends {
    let (backends, stores) = match storage {
        Some(Storage { backends, stores }) => (backends, stores),
        None => Default::default(),
    };
    let embedded = |file: &str, path: Option<String>| {
        let path = path.filter(|path| !path.is_empty());
        path.map(|path| environment.under_home(&path))
            .or_else(|| Some(state_dir?.join(file)))
    };
    let mut reader = Reader {
        site,
        problems,
        missing,
        found: Backends::default(),
        plan: StoragePlan {
            kv: BTreeMap::new(),
            sql: BTreeMap::new(),
            registry: StorePlan {
                backend: String::new(),
                namespace: REGISTRY.to_owned(),
            },
            jobs: TablesPlan::default(),
            vector_stores: None,
            completions: CompletionsPlan {
                kept: KeptCompletions::None,
                tables: TablesPlan::default(),
                max_write_queue_size: completions::QUEUE_SIZE,
                num_writers: completions::WRITERS,
            },
        },
    };
    let before = reader.problems.len();
    if backends.is_empty() {
        let sqlite = |path: Option<PathBuf>| path.map(|path| plain(LocationPlan::Sqlite(path)));
        reader.add_kv("kv_default", sqlite(embedded(KV_FILE, None)));
        reader.add_sql("sql_default", sqlite(embedded(SQL_FILE, None)));
    }
    for (name, backend) in backends {
        reader.backend(&name, backend, &embedded);
    }
    reader.registry(stores.metadata.as_ref());
    reader.jobs(stores.jobs);
    reader.vector_stores(stores.vector_stores);
    reader.completions(stores.inference.as_ref());
    for (key, store, kind, what) in [
        ("conversations", &stores.conversations, "sql", "conversations"),
        ("responses", &stores.responses, "sql", "responses"),
        ("prompts", &stores.prompts, "kv", "prompts"),
        ("connectors", &stores.connectors, "kv", "connectors"),
    ] {
        let Some(store) = store else { continue };
        let path = Path::default().key("storage").key("stores").key(key);
        // What is not kept needs no backend that is available, but one that is there.
        if let Some(backend) = store
            .backend
            .as_ref()
            .filter(|name| !reader.found.unavailable.contains(*name))
        {
            reader.check_name(kind, backend, &path.clone().key("backend"));
        }
        if store.enabled != Some(false) {
            reader
                .missing
                .add(&path, format!("the store of {what}"), "this version keeps none");
        }
    }
    let is_faultless = reader.problems.len() == before;
    let Reader { mut found, plan, .. } = reader;
    found.plan = (is_faultless && state_dir.is_some()).then_some(plan);
    found
}

impl Backends {
    /// A problem for each text in a provider's configuration that names a backend which is not there.
    pub(crate) fn unknown_names(&self, config: &Value, schema: &Schema<'_>, site: &Site<'_>) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut waiting = vec![(Path::default(), config)];
        while let Some((path, value)) = waiting.pop() {
            match value {
                Value::Object(map) => {
                    waiting.extend(map.iter().map(|(key, below)| (path.clone().key(key), below)));
                }
                Value::Array(items) => {
                    let items = items.iter().enumerate();
                    waiting.extend(items.map(|(index, below)| (path.clone().index(index), below)));
                }
                Value::String(name) => {
                    let kind = schema.follow(&path).named_backend();
                    problems.extend(kind.and_then(|kind| self.unknown_name(kind, name, site, &path)));
                }
                Value::Null | Value::Bool(_) | Value::Number(_) => {}
            }
        }
        problems
    }

    fn unknown_name(&self, kind: &str, name: &str, site: &Site<'_>, path: &Path) -> Option<Problem> {
        let of_kind = self.names.get(kind);
        if self.unavailable.contains(name) {
            let message = format!("the storage backend `{name}` is not available in this binary");
            return Some(site.problem(path, message, Some(INSTEAD.to_owned())));
        }
        if of_kind.is_some_and(|names| names.contains(name)) {
            return None;
        }
        let known = || of_kind.into_iter().flatten().map(String::as_str);
        let is_other_kind = self.names.values().any(|names| names.contains(name));
        let message = match is_other_kind {
            true => format!("the storage backend `{name}` is of another kind; one of a type `{kind}_…` is needed here"),
            false => format!("there is no storage backend `{name}`"),
        };
        let hint = match nearest(name, known()).filter(|_| !is_other_kind) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known().next().is_none() => format!("add one of a type `{kind}_…` to `storage.backends`"),
            None => format!("of a type `{kind}_…` there are {}", list(known())),
        };
        Some(site.problem(path, message, Some(hint)))
    }
}

struct Reader<'a, 'b> {
    site: &'a Site<'a>,
    problems: &'a mut Vec<Problem>,
    missing: &'a mut Missing<'b>,
    found: Backends,
    plan: StoragePlan,
}

impl Reader<'_, '_> {
    fn backend(&mut self, name: &str, backend: Backend, embedded: &dyn Fn(&str, Option<String>) -> Option<PathBuf>) {
        let path = Path::default().key("storage").key("backends").key(name);
        match backend {
            Backend::KvSqlite { db_path, namespace } => {
                let location = self.sqlite(name, embedded(KV_FILE, db_path), &path);
                self.add_kv(
                    name,
                    location.map(|location| BackendPlan {
                        namespace,
                        ..plain(location)
                    }),
                );
            }
            Backend::SqlSqlite { db_path } => {
                let location = self.sqlite(name, embedded(SQL_FILE, db_path), &path);
                self.add_sql(name, location.map(plain));
            }
            Backend::KvPostgres {
                host,
                port,
                db,
                user,
                password,
                connection_string,
                ssl_mode,
                ca_cert_path,
                table_name,
                namespace,
            } => {
                let server = PostgresServer {
                    host,
                    port,
                    db,
                    user,
                    password,
                    connection_string,
                    ssl_mode,
                    ca_cert_path,
                };
                let server = self.postgres(server, &path);
                self.add_kv(
                    name,
                    server.map(|server| BackendPlan {
                        table_name,
                        namespace,
                        ..plain(LocationPlan::Postgres(Box::new(server)))
                    }),
                );
            }
            Backend::SqlPostgres {
                host,
                port,
                db,
                user,
                password,
                connection_string,
                ssl_mode,
                ca_cert_path,
                command_timeout,
                pool_size,
                max_overflow,
                pool_recycle,
                pool_pre_ping,
            } => {
                let server = PostgresServer {
                    host,
                    port,
                    db,
                    user,
                    password,
                    connection_string,
                    ssl_mode,
                    ca_cert_path,
                };
                let max_connections = pool_size.unwrap_or(10).saturating_add(max_overflow.unwrap_or(20));
                if max_connections == 0 {
                    let message = "with `max_overflow` 0 there must be 1 connection at least";
                    self.problem(&path.clone().key("pool_size"), message, None);
                }
                let statement_timeout = command_timeout.and_then(|seconds| {
                    let timeout = Duration::try_from_secs_f64(seconds)
                        .ok()
                        .filter(|timeout| !timeout.is_zero());
                    if timeout.is_none() {
                        let message = format!("must be more than 0 seconds, not {seconds}");
                        self.problem(&path.clone().key("command_timeout"), message, None);
                    }
                    timeout
                });
                let server = self.postgres(server, &path).map(|server| PostgresPlan {
                    max_connections,
                    max_lifetime: pool_recycle
                        .and_then(|seconds| u64::try_from(seconds).ok())
                        .filter(|seconds| *seconds > 0)
                        .map(Duration::from_secs),
                    test_before_use: pool_pre_ping.unwrap_or(true),
                    statement_timeout,
                    ..server
                });
                self.add_sql(
                    name,
                    server.map(|server| plain(LocationPlan::Postgres(Box::new(server)))),
                );
            }
            Backend::KvRedis { .. } => {
                self.unavailable("which is Redis", name, &path);
                self.add_kv(name, None);
            }
            Backend::KvMongodb { .. } => {
                self.unavailable("which is MongoDB", name, &path);
                self.add_kv(name, None);
            }
        }
    }

    /// What nobody uses may be left out; whoever names it is told.
    fn unavailable(&mut self, what: &str, name: &str, path: &Path) {
        self.missing
            .add(path, format!("the storage backend `{name}`, {what},"), INSTEAD);
        self.found.unavailable.insert(name.to_owned());
    }

    fn sqlite(&mut self, name: &str, file: Option<PathBuf>, path: &Path) -> Option<LocationPlan> {
        let file = file?;
        if file.as_os_str() == ":memory:" {
            self.unavailable("which is in memory and lost at the end", name, path);
            return None;
        }
        Some(LocationPlan::Sqlite(file))
    }

    fn postgres(&mut self, server: PostgresServer, path: &Path) -> Option<PostgresPlan> {
        let before = self.problems.len();
        let parts = server.host.is_some() || server.db.is_some() || server.user.is_some() || server.password.is_some();
        if server.connection_string.is_some() && (parts || server.port.is_some()) {
            let hint = "keep `connection_string`, or `host`, `port`, `db`, `user` and `password`";
            self.problem(
                &path.clone().key("connection_string"),
                "says what other keys here say too",
                Some(hint),
            );
        }
        if server.connection_string.is_none() && server.user.is_none() {
            self.problem(
                &path.clone().key("user"),
                "is required",
                Some("who connects to the database"),
            );
        }
        if let Some(mode) = server.ssl_mode.as_deref().filter(|mode| !SSL_MODES.contains(mode)) {
            let hint = format!("one of {}", list(SSL_MODES.iter().copied()));
            self.problem(
                &path.clone().key("ssl_mode"),
                format!("there is no mode `{mode}`"),
                Some(&hint),
            );
        }
        (self.problems.len() == before).then(|| PostgresPlan {
            host: server.host.unwrap_or_else(|| "localhost".to_owned()),
            port: server.port.unwrap_or(5432),
            database: server.db.unwrap_or_else(|| "llamastack".to_owned()),
            user: server.user.unwrap_or_default(),
            password: server.password,
            connection_string: server.connection_string,
            ssl_mode: server.ssl_mode,
            ca_cert_path: server.ca_cert_path.map(PathBuf::from),
            max_connections: 30,
            max_lifetime: None,
            test_before_use: true,
            statement_timeout: None,
        })
    }

    fn add_kv(&mut self, name: &str, backend: Option<BackendPlan>) {
        self.found.names.entry("kv").or_default().insert(name.to_owned());
        self.plan.kv.extend(backend.map(|backend| (name.to_owned(), backend)));
    }

    fn add_sql(&mut self, name: &str, backend: Option<BackendPlan>) {
        self.found.names.entry("sql").or_default().insert(name.to_owned());
        self.plan.sql.extend(backend.map(|backend| (name.to_owned(), backend)));
    }

    fn registry(&mut self, store: Option<&Store>) {
        let path = Path::default().key("storage").key("stores").key("metadata");
        if let Some(namespace) = store
            .and_then(|store| store.namespace.as_deref())
            .filter(|it| !it.is_empty())
        {
            self.plan.registry.namespace = namespace.to_owned();
        }
        if let Some(backend) = store.and_then(|store| store.backend.as_deref()) {
            self.check_name("kv", backend, &path.key("backend"));
            self.plan.registry.backend = backend.to_owned();
            return;
        }
        let names = self.found.names.get("kv").cloned().unwrap_or_default();
        let default = names.iter().find(|name| names.len() == 1 || *name == "kv_default");
        match default {
            Some(name) => {
                self.plan.registry.backend.clone_from(name);
                self.check_name("kv", name, &Path::default().key("storage").key("backends").key(name));
            }
            None if names.is_empty() => self.problem(
                &Path::default().key("storage").key("backends"),
                "none is of a type `kv_…`, and the registry of models needs one",
                Some("add one, such as `kv_default: {type: kv_sqlite}`"),
            ),
            None => self.problem(
                &path.key("backend"),
                "is required where several backends are of a type `kv_…` and none is `kv_default`",
                None,
            ),
        }
    }

    fn jobs(&mut self, tables: Option<Tables>) {
        let Some(Tables { backend, table_name }) = tables else {
            return;
        };
        let path = Path::default().key("storage").key("stores").key("jobs").key("backend");
        if let Some(backend) = &backend {
            self.check_name("sql", backend, &path);
        }
        self.plan.jobs = TablesPlan { backend, table_name };
    }

    /// They are in the database of the jobs that ingest their files.
    fn vector_stores(&mut self, tables: Option<Tables>) {
        let Some(Tables { backend, table_name }) = tables else {
            return;
        };
        let path = Path::default()
            .key("storage")
            .key("stores")
            .key("vector_stores")
            .key("backend");
        if let Some(backend) = backend {
            self.check_name("sql", &backend, &path);
            let of_jobs = self.plan.jobs.backend.get_or_insert_with(|| backend.clone());
            if *of_jobs != backend {
                let message =
                    format!("must be the backend of `storage.stores.jobs`, which is `{of_jobs}`, not `{backend}`");
                let hint = "a file of a store and the job that ingests it are written together";
                self.problem(&path, message, Some(hint));
            }
        }
        self.plan.vector_stores = table_name;
    }

    fn check_name(&mut self, kind: &str, name: &str, path: &Path) {
        let problem = self.found.unknown_name(kind, name, self.site, path);
        self.problems.extend(problem);
    }

    fn problem(&mut self, path: &Path, message: impl Into<String>, hint: Option<&str>) {
        self.problems
            .push(self.site.problem(path, message, hint.map(str::to_owned)));
    }
}

/// What both kinds of backends say of a server.
struct PostgresServer {
    host: Option<String>,
    port: Option<u16>,
    db: Option<String>,
    user: Option<String>,
    password: Option<Secret<String>>,
    connection_string: Option<Secret<String>>,
    ssl_mode: Option<String>,
    ca_cert_path: Option<String>,
}

fn plain(location: LocationPlan) -> BackendPlan {
    BackendPlan {
        location,
        table_name: None,
        namespace: None,
    }
}
