//! `cargo xtask codegen`: what is written in code once, and read in documents.

mod blocks;
mod pages;
mod providers;

use std::fs;

use crate::args::{BuildArgs, CodegenArgs};
use crate::codegen::providers::Catalog;
use crate::workspace::Workspace;
use crate::{Result, distributions};

/// The command that generated files name.
const COMMAND: &str = "cargo xtask codegen";

/// The distribution that holds every provider of the workspace.
pub(crate) const EVERYTHING: &str = "full";

/// A file, as its path below the root, and what should be in it.
struct Generated {
    path: String,
    text: String,
}

pub(crate) fn run(workspace: &Workspace, args: &CodegenArgs) -> Result {
    let output = distributions::output(workspace, &BuildArgs::of(EVERYTHING))?;
    let catalog = Catalog::of(workspace, &output.binary)?;
    let mut files = vec![openapi(workspace)?];
    files.extend(pages::provider_pages(workspace, &catalog)?);
    files.extend(pages::provider_readmes(workspace, &catalog)?);
    files.extend(pages::distribution_readmes(workspace, &catalog)?);
    files.push(pages::readme(workspace, &catalog)?);
    settle(workspace, args, &files, &surplus_pages(workspace, &files)?)
}

/// The part of it that can be done without compiling the engine.
pub(crate) fn run_without_engine(workspace: &Workspace, args: &CodegenArgs) -> Result {
    let without = distributions::without_engine(workspace)?;
    let name = without.first().ok_or("every distribution holds the local engine")?;
    let output = distributions::output(workspace, &BuildArgs::of(name))?;
    let catalog = Catalog::of(workspace, &output.binary)?;
    let mut files = vec![openapi(workspace)?];
    files.extend(pages::provider_pages(workspace, &catalog)?);
    files.extend(pages::provider_readmes(workspace, &catalog)?);
    settle(workspace, args, &files, &[])
}

fn openapi(workspace: &Workspace) -> Result<Generated> {
    let document = workspace
        .cargo(["run", "--quiet", "--package", "puna-server", "--example", "openapi"])
        .output()?;
    let document: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&document)?;
    let mut marked = serde_json::Map::new();
    marked.insert("x-generated-by".to_owned(), COMMAND.into());
    marked.extend(document);
    Ok(Generated {
        path: "docs/reference/openapi.json".to_owned(),
        text: serde_json::to_string_pretty(&marked)? + "\n",
    })
}

/// Pages of providers that are gone.
fn surplus_pages(workspace: &Workspace, files: &[Generated]) -> Result<Vec<String>> {
    let mut surplus = Vec::new();
    for entry in fs::read_dir(workspace.path(pages::PAGES)).into_iter().flatten() {
        let path = format!("{}/{}", pages::PAGES, entry?.file_name().to_string_lossy());
        if !files.iter().any(|file| file.path == path) {
            surplus.push(path);
        }
    }
    Ok(surplus)
}

/// Writes the files, or says which are stale.
fn settle(workspace: &Workspace, args: &CodegenArgs, files: &[Generated], surplus: &[String]) -> Result {
    let mut stale = Vec::new();
    for file in files {
        let path = workspace.path(&file.path);
        if fs::read_to_string(&path).is_ok_and(|old| old == file.text) {
            continue;
        }
        stale.push(file.path.as_str());
        if !args.check {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(&path, &file.text)?;
        }
    }
    for path in surplus {
        stale.push(path);
        if !args.check {
            fs::remove_file(workspace.path(path))?;
        }
    }
    if args.check && !stale.is_empty() {
        return Err(format!("stale, run `{COMMAND}`: {}", stale.join(", ")).into());
    }
    for path in stale {
        println!("wrote {path}");
    }
    Ok(())
}
