//! `puna model`: models on this machine, and from the hub.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use puna_api::Result;
use puna_hub::{Cache, CachedModel, Hub, HubSettings, ModelName, Progress, PullRequest};
use serde_json::{Value, json};

use crate::Invocation;
use crate::args::{ModelCommand, ModelListArgs, ModelPullArgs, ModelRmArgs, ModelShowArgs};
use crate::output;
use crate::runtime::block_on;
use crate::transfer::size;

pub(crate) fn model(invocation: &Invocation, command: ModelCommand) -> Result<()> {
    let variable = |name: &str| invocation.environment.get(name).map(str::to_owned);
    match command {
        ModelCommand::Pull(args) => pull(HubSettings::from_variables(variable)?, args),
        // What is here does not depend on how the hub is reached.
        ModelCommand::List(args) => list(&Cache::from_variables(variable)?, &args),
        ModelCommand::Show(args) => show(&Cache::from_variables(variable)?, &args),
        ModelCommand::Rm(args) => remove(&Cache::from_variables(variable)?, &args),
    }
}

fn pull(settings: HubSettings, args: ModelPullArgs) -> Result<()> {
    let request = PullRequest {
        name: name(&args.name)?,
        files: args.files,
        to: args.to,
    };
    let bars = Bars::new();
    let pulled = block_on(async { Hub::new(settings)?.pull(&request, &bars).await });
    bars.clear();
    let pulled = pulled?;
    for file in &pulled.skipped {
        output::remark(&format!(
            "left out {}{}: it may be a pickle, which can run code when it is loaded",
            file.name,
            file.bytes
                .map_or_else(String::new, |bytes| format!(" ({})", size(bytes)))
        ));
    }
    output::remark(&format!(
        "{} at {}: {} file(s), {} fetched",
        request.name,
        pulled.commit,
        pulled.files,
        size(pulled.fetched_bytes)
    ));
    output::say(&format!("{}\n", pulled.folder.display()))
}

fn list(cache: &Cache, args: &ModelListArgs) -> Result<()> {
    let models = cache.models()?;
    if args.json {
        return output::say(&format!("{}\n", Value::from_iter(models.iter().map(described))));
    }
    if models.is_empty() {
        return output::say(&format!(
            "no model in {}; get one with `puna model pull hf:ORG/NAME`\n",
            cache.folder().display()
        ));
    }
    let mut rows = vec![
        ["MODEL", "REVISION", "COMMIT", "FILES", "SIZE"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(models.iter().map(|model| {
        vec![
            format!("hf:{}", model.id),
            model.revisions.join(", "),
            model.commit.chars().take(12).collect(),
            model.files.len().to_string(),
            size(model.bytes()),
        ]
    }));
    output::say(&output::columns(&rows))
}

fn show(cache: &Cache, args: &ModelShowArgs) -> Result<()> {
    let model = cache.show(&name(&args.name)?)?;
    if args.json {
        return output::say(&format!("{}\n", described(&model)));
    }
    let mut rows = vec![
        vec!["model".to_owned(), format!("hf:{}", model.id)],
        vec!["commit".to_owned(), model.commit.clone()],
        vec!["revisions".to_owned(), model.revisions.join(", ")],
        vec!["folder".to_owned(), model.folder.display().to_string()],
        vec!["size".to_owned(), size(model.bytes())],
    ];
    rows.retain(|row| row.iter().all(|cell| !cell.is_empty()));
    let files: Vec<_> = model
        .files
        .iter()
        .map(|file| vec![format!("  {}", file.name), size(file.bytes)])
        .collect();
    output::say(&format!("{}files\n{}", output::columns(&rows), output::columns(&files)))
}

fn remove(cache: &Cache, args: &ModelRmArgs) -> Result<()> {
    let name = name(&args.name)?;
    let removed = cache.remove(&name)?;
    output::say(&format!(
        "removed {name}: {} commit(s), {} freed\n",
        removed.commits.len(),
        size(removed.bytes)
    ))
}

fn name(text: &str) -> Result<ModelName> {
    // What a person copies from the hub's pages has no `hf:`.
    if text.contains(':') {
        text.parse()
    } else {
        format!("hf:{text}").parse()
    }
}

fn described(model: &CachedModel) -> Value {
    let file = |file: &puna_hub::CachedFile| json!({ "name": file.name, "bytes": file.bytes });
    json!({
        "model": format!("hf:{}", model.id),
        "commit": model.commit,
        "revisions": model.revisions,
        "folder": model.folder,
        "bytes": model.bytes(),
        "files": model.files.iter().map(file).collect::<Vec<_>>(),
    })
}

/// A bar for each file on its way; without a terminal, a line for each that is there.
struct Bars {
    all: MultiProgress,
    files: Mutex<HashMap<String, ProgressBar>>,
    is_terminal: bool,
}

impl Bars {
    fn new() -> Self {
        Self {
            all: MultiProgress::new(),
            files: Mutex::default(),
            is_terminal: std::io::stderr().is_terminal(),
        }
    }

    fn clear(&self) {
        // A terminal that went away shows nothing.
        let _ = self.all.clear();
    }

    fn with(&self, file: &str, act: impl FnOnce(&ProgressBar)) {
        if let Some(bar) = self.files.lock().unwrap_or_else(PoisonError::into_inner).get(file) {
            act(bar);
        }
    }
}

impl Progress for Bars {
    fn begin(&self, file: &str, bytes: u64, have: u64) {
        const TEMPLATE: &str =
            "{msg:<40!} {wide_bar} {decimal_bytes:>10} of {decimal_total_bytes} {decimal_bytes_per_sec:>12} {eta:>4}";
        let style = ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = self.all.add(ProgressBar::new(bytes).with_style(style));
        bar.set_message(file.to_owned());
        bar.set_position(have);
        // The rate is that of what comes, without what was there.
        bar.reset_eta();
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.insert(file.to_owned(), bar);
    }

    fn advance(&self, file: &str, bytes: u64) {
        self.with(file, |bar| bar.inc(bytes));
    }

    fn restart(&self, file: &str) {
        self.with(file, |bar| bar.set_position(0));
    }

    fn end(&self, file: &str) {
        self.with(file, |bar| {
            if !self.is_terminal {
                output::remark(&format!("{file} ({})", size(bar.length().unwrap_or_default())));
            }
            bar.finish_and_clear();
        });
    }

    fn note(&self, text: &str) {
        if self.is_terminal {
            // Above the bars, which would be torn otherwise.
            let _ = self.all.println(text);
        } else {
            output::remark(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_with_and_without_their_scheme() {
        for text in ["hf:org/name@v1", "org/name@v1"] {
            assert_eq!(name(text).unwrap().to_string(), "hf:org/name@v1");
        }
        assert!(name("s3:org/name").is_err());
    }
    #[test]
    fn models_that_are_here_are_seen_however_the_hub_is_set() {
        let environment = [
            ("HF_HUB_CACHE", "/nonexistent"),
            ("HF_ENDPOINT", "no URL"),
            ("HF_TOKEN", "no token"),
        ];
        let invocation = Invocation {
            linked: &[],
            environment: environment.into_iter().collect(),
        };
        model(&invocation, ModelCommand::List(ModelListArgs { json: true })).unwrap();
        let name = || "org/name".to_owned();
        let show = ModelShowArgs {
            name: name(),
            json: true,
        };
        for command in [ModelCommand::Show(show), ModelCommand::Rm(ModelRmArgs { name: name() })] {
            let error = model(&invocation, command).unwrap_err();
            assert_eq!(error.code(), Some("model_not_pulled"), "{error}");
        }
    }
}
