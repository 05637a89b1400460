//! The store of chat completions: `storage.stores.inference`.

use super::Reader;
use crate::KeptCompletions;
use crate::document::Store;
use crate::path::Path;

/// The sizes that the original has.
pub(super) const QUEUE_SIZE: usize = 10_000;
pub(super) const WRITERS: usize = 4;
/// More writers than connections would wait for each other.
const MOST_WRITERS: u64 = 64;

impl Reader<'_, '_> {
    pub(super) fn completions(&mut self, store: Option<&Store>) {
        let path = Path::default().key("storage").key("stores").key("inference");
        let Some(store) = store else {
            // Who asks for a completion to be kept has a place for it wherever files and jobs have one.
            if self
                .default_backend()
                .is_some_and(|name| !self.found.unavailable.contains(&name))
            {
                self.plan.completions.kept = KeptCompletions::Asked;
            }
            return;
        };
        self.sizes(store, &path);
        let named = store.backend.as_deref();
        if let Some(name) = named.filter(|name| !self.found.unavailable.contains(*name)) {
            self.check_name("sql", name, &path.clone().key("backend"));
        }
        if store.enabled == Some(false) {
            return;
        }
        let default = self.default_backend();
        match named.or(default.as_deref()) {
            Some(name) if self.found.unavailable.contains(name) => {
                self.missing.add(
                    &path,
                    "the store of chat completions",
                    format!("its backend `{name}` is not available in this binary"),
                );
            }
            Some(_) => {
                self.plan.completions.kept = KeptCompletions::All;
                self.plan.completions.tables.backend.clone_from(&store.backend);
                self.plan.completions.tables.table_name.clone_from(&store.table_name);
            }
            None => self.problem(
                &path.key("backend"),
                "is required where not one backend is of a type `sql_…`, or several are and none is `sql_default`",
                Some("name one of `storage.backends`"),
            ),
        }
    }

    /// The backend for tables that is meant where none is named.
    fn default_backend(&self) -> Option<String> {
        let names = self.found.names.get("sql")?;
        let mut names = names.iter().filter(|name| names.len() == 1 || *name == "sql_default");
        names.next().cloned()
    }

    fn sizes(&mut self, store: &Store, path: &Path) {
        for (key, size, most) in [
            ("max_write_queue_size", store.max_write_queue_size, u64::MAX),
            ("num_writers", store.num_writers, MOST_WRITERS),
        ] {
            let Some(size) = size else { continue };
            if size == 0 || size > most {
                let right = match most {
                    u64::MAX => "1 or more".to_owned(),
                    most => format!("from 1 to {most}"),
                };
                self.problem(&path.clone().key(key), format!("must be {right}, not {size}"), None);
                continue;
            }
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            match key {
                "num_writers" => self.plan.completions.num_writers = size,
                _ => self.plan.completions.max_write_queue_size = size,
            }
        }
    }
}
