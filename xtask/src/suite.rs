//! `cargo xtask test`: every check and test, in the order in which a mistake shows soonest.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use crate::args::{BuildArgs, CodegenArgs, NewProviderArgs, TestArgs};
use crate::distributions::ENGINE;
use crate::workspace::Workspace;
use crate::{Result, codegen, distributions, new_provider, shared_builds, tidy};

type Run = fn(&Suite<'_>) -> Result<Option<String>>;

/// A step ends well, is left out for a reason, or fails.
const STEPS: &[(&str, Run)] = &[
    ("fmt", fmt),
    ("tidy", |suite| done(tidy::check(suite.workspace))),
    ("deny", deny),
    ("shared", shared),
    ("clippy", clippy),
    ("doc", doc),
    ("doctest", doctest),
    ("distributions", build_and_validate),
    ("codegen", check_generated),
    ("clients", clients),
    ("live", live),
    ("postgres", postgres),
    ("chroma", chroma),
    ("replicas", replicas),
    ("crash", crash),
    ("outside", outside),
    ("nextest", nextest),
];

struct Suite<'a> {
    workspace: &'a Workspace,
    fast: bool,
}

struct Outcome {
    step: &'static str,
    time: Duration,
    result: Result<Option<String>>,
}

pub(crate) fn run(workspace: &Workspace, args: &TestArgs) -> Result {
    if let Some(unknown) = args
        .only
        .iter()
        .find(|name| !STEPS.iter().any(|(step, _)| step == name))
    {
        let known: Vec<&str> = STEPS.iter().map(|(step, _)| *step).collect();
        return Err(format!("there is no step `{unknown}`; there are {}", known.join(", ")).into());
    }
    // Without the engine's folder there is nothing to wait for.
    let suite = Suite {
        workspace,
        fast: args.fast || !has_engine(workspace),
    };
    let mut outcomes = Vec::new();
    for (step, run) in STEPS {
        if !args.only.is_empty() && !args.only.iter().any(|name| name == step) {
            continue;
        }
        println!("\n== {step}");
        let start = Instant::now();
        let result = run(&suite);
        if let Err(error) = &result {
            println!("error: {error}");
        }
        outcomes.push(Outcome {
            step,
            time: start.elapsed(),
            result,
        });
    }
    summarize(&outcomes)
}

fn summarize(outcomes: &[Outcome]) -> Result {
    println!();
    for Outcome { step, time, result } in outcomes {
        let what = match result {
            Ok(None) => "passed".to_owned(),
            Ok(Some(left_out)) => format!("passed, but for {left_out}"),
            Err(_) => "FAILED".to_owned(),
        };
        println!("{step:<14} {:>7.1}s  {what}", time.as_secs_f64());
    }
    let failed: Vec<&str> = outcomes
        .iter()
        .filter(|it| it.result.is_err())
        .map(|it| it.step)
        .collect();
    println!(
        "steps: {} passed, {} failed",
        outcomes.len() - failed.len(),
        failed.len()
    );
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("failed: {}", failed.join(", ")).into())
    }
}

fn has_engine(workspace: &Workspace) -> bool {
    workspace.path("providers/mistralrs").is_dir()
}

fn done(result: Result) -> Result<Option<String>> {
    result.map(|()| None)
}

impl Suite<'_> {
    /// The packages that a cargo command is about.
    fn packages(&self) -> &'static [&'static str] {
        if self.fast {
            &["--workspace", "--exclude", ENGINE]
        } else {
            &["--workspace"]
        }
    }
}

fn fmt(suite: &Suite<'_>) -> Result<Option<String>> {
    done(suite.workspace.cargo(["fmt", "--all", "--check"]).run())
}

fn clippy(suite: &Suite<'_>) -> Result<Option<String>> {
    let arguments = [
        &["clippy"],
        suite.packages(),
        &["--all-targets", "--", "--deny", "warnings"],
    ]
    .concat();
    done(suite.workspace.cargo(arguments).run())
}

fn doc(suite: &Suite<'_>) -> Result<Option<String>> {
    let arguments = [&["doc"], suite.packages(), &["--no-deps", "--document-private-items"]].concat();
    done(
        suite
            .workspace
            .cargo(arguments)
            .env("RUSTDOCFLAGS", "--deny warnings")
            .run(),
    )
}

fn doctest(suite: &Suite<'_>) -> Result<Option<String>> {
    done(
        suite
            .workspace
            .cargo([&["test", "--doc"], suite.packages()].concat())
            .run(),
    )
}

fn nextest(suite: &Suite<'_>) -> Result<Option<String>> {
    if !suite.workspace.cargo(["nextest", "--version"]).succeeds() {
        suite.workspace.cargo(["install", "--locked", "cargo-nextest"]).run()?;
    }
    done(
        suite
            .workspace
            .cargo([&["nextest", "run"], suite.packages()].concat())
            .run(),
    )
}

/// Licences, sources, bans; and advisories where their database can be had.
fn deny(suite: &Suite<'_>) -> Result<Option<String>> {
    let workspace = suite.workspace;
    if !workspace.cargo(["deny", "--version"]).succeeds() {
        println!("cargo-deny is not here; installing it takes some minutes, once");
        workspace.cargo(["install", "--locked", "cargo-deny"]).run()?;
    }
    workspace
        .cargo(["deny", "--log-level", "error", "check", "bans", "licenses", "sources"])
        .run()?;
    if !workspace.cargo(["deny", "fetch", "db"]).succeeds() {
        return Ok(Some(
            "advisories: their database cannot be reached from here".to_owned(),
        ));
    }
    done(
        workspace
            .cargo(["deny", "--log-level", "error", "check", "advisories"])
            .run(),
    )
}

fn distributions(suite: &Suite<'_>) -> Result<Vec<String>> {
    if suite.fast {
        distributions::without_engine(suite.workspace)
    } else {
        distributions::names(suite.workspace)
    }
}

/// Whether the engine's tests and the distributions share one build of it.
fn shared(suite: &Suite<'_>) -> Result<Option<String>> {
    if !has_engine(suite.workspace) {
        return Ok(Some("all: there is no local engine".to_owned()));
    }
    let args = BuildArgs {
        generate_only: true,
        ..BuildArgs::of("starter")
    };
    let generated = distributions::build(suite.workspace, &args)?.generated;
    // Compiling the engine twice costs minutes and breaks nothing: it is told, and fails no build.
    shared_builds::check(suite.workspace, &generated)
}

/// Builds each distribution, and has its own binary check its own configuration.
fn build_and_validate(suite: &Suite<'_>) -> Result<Option<String>> {
    let workspace = suite.workspace;
    let mut left_out = Vec::new();
    if suite.fast {
        left_out.push("the distributions with the local engine".to_owned());
    }
    for name in distributions(suite)? {
        if let Some(lacking) = distributions::lacking(workspace, &name)? {
            // What can be done without: the crate is generated, and a binary with the same providers checks the configuration.
            let args = BuildArgs {
                generate_only: true,
                ..BuildArgs::of(&name)
            };
            distributions::build(workspace, &args)?;
            let binary = distributions::output(workspace, &BuildArgs::of(codegen::EVERYTHING))?.binary;
            let config = workspace.path(format!("distributions/{name}/config.yaml"));
            workspace
                .command(&binary, ["validate".as_ref(), config.as_os_str()])
                .run()?;
            left_out.push(format!("compiling `{name}`: it needs {lacking}"));
            continue;
        }
        let output = distributions::output(workspace, &BuildArgs::of(&name))?;
        workspace
            .command(&output.binary, ["validate".as_ref(), output.config.as_os_str()])
            .run()?;
    }
    Ok((!left_out.is_empty()).then(|| left_out.join("; ")))
}

fn check_generated(suite: &Suite<'_>) -> Result<Option<String>> {
    let args = CodegenArgs { check: true };
    if suite.fast {
        codegen::run_without_engine(suite.workspace, &args)?;
        return Ok(Some("what the local engine's provider has its say in".to_owned()));
    }
    done(codegen::run(suite.workspace, &args))
}

/// The client libraries that users have, against the starter distribution.
fn clients(suite: &Suite<'_>) -> Result<Option<String>> {
    if suite.fast {
        return Ok(Some("all: they talk to the local engine".to_owned()));
    }
    let starter = distributions::output(suite.workspace, &BuildArgs::of("starter"))?;
    with_llama_cpp(suite, [OsString::from("--distribution"), starter.folder.into()])
}

/// The conformance suites of remote providers, against the server of llama.cpp.
fn live(suite: &Suite<'_>) -> Result<Option<String>> {
    // The packages of the other steps, so that nothing is compiled again.
    let command = [
        &["--", "cargo", "test", "--quiet"],
        suite.packages(),
        &["--test", "conformance", "--", "live::"],
    ]
    .concat();
    with_llama_cpp(suite, command.into_iter().map(OsString::from))
}

/// The trials of every suite that are about PostgreSQL, against an older and a newer one that are started for them.
fn postgres(suite: &Suite<'_>) -> Result<Option<String>> {
    let work = suite.workspace.target()?.join("postgres");
    let command = [
        &["cargo", "test", "--quiet"],
        suite.packages(),
        &[
            "--test",
            "conformance",
            "--test",
            "files_conformance",
            "--test",
            "connection",
            "--",
            "postgres::",
        ],
    ]
    .concat();
    for version in ["16", "18"] {
        let own: [OsString; 6] = [
            "tests/postgres/run.py".into(),
            "--work".into(),
            work.clone().into(),
            "--version".into(),
            version.into(),
            "--".into(),
        ];
        let arguments = own.into_iter().chain(command.iter().map(OsString::from));
        suite.workspace.command("python3", arguments).run()?;
    }
    Ok(None)
}

/// The trials of every suite that are about Chroma, against a server that is started for them.
fn chroma(suite: &Suite<'_>) -> Result<Option<String>> {
    let own: [OsString; 4] = [
        "tests/chroma/run.py".into(),
        "--work".into(),
        suite.workspace.target()?.join("chroma").into(),
        "--".into(),
    ];
    // The packages of the other steps, so that nothing is compiled again.
    let command = [
        &["cargo", "test", "--quiet"],
        suite.packages(),
        &["--test", "conformance", "--", "chroma::"],
    ]
    .concat();
    let arguments = own.into_iter().chain(command.into_iter().map(OsString::from));
    done(suite.workspace.command("python3", arguments).run())
}

/// Servers of the distribution `postgres` that share a database and a bucket.
fn replicas(suite: &Suite<'_>) -> Result<Option<String>> {
    if suite.fast {
        return Ok(Some("all: the servers have the local engine".to_owned()));
    }
    let distribution = distributions::output(suite.workspace, &BuildArgs::of("postgres"))?;
    let target = suite.workspace.target()?;
    suite
        .workspace
        .cargo([&["build"], suite.packages(), &["--example", "s3_server"]].concat())
        .run()?;
    let mut arguments: Vec<OsString> = ["tests/postgres/run.py", "--version", "18", "--work"]
        .map(OsString::from)
        .into();
    arguments.push(target.join("postgres").into());
    arguments.extend(["--", "python3", "tests/replicas/run.py", "--distribution"].map(OsString::from));
    arguments.push(distribution.folder.into());
    arguments.push("--s3-server".into());
    arguments.push(target.join("debug/examples/s3_server").into());
    arguments.push("--work".into());
    arguments.push(target.join("clients").into());
    done(suite.workspace.command("python3", arguments).run())
}

/// A server of the distribution `starter` that is killed again and again.
fn crash(suite: &Suite<'_>) -> Result<Option<String>> {
    if suite.fast {
        return Ok(Some("all: the server that is killed has the local engine".to_owned()));
    }
    let starter = distributions::output(suite.workspace, &BuildArgs::of("starter"))?;
    let clients = suite.workspace.target()?.join("clients");
    let arguments: [OsString; 5] = [
        "tests/crash/run.py".into(),
        "--distribution".into(),
        starter.folder.into(),
        "--work".into(),
        clients.into(),
    ];
    done(suite.workspace.command("python3", arguments).run())
}

/// Runs the client tests' script, which starts the server of llama.cpp on the tiny model.
fn with_llama_cpp(suite: &Suite<'_>, arguments: impl IntoIterator<Item = OsString>) -> Result<Option<String>> {
    let target = suite.workspace.target()?;
    let model = target.join("tiny-model-gguf");
    puna_tiny_model::write_gguf(&model)?;
    let own: [OsString; 5] = [
        "tests/clients/run.py".into(),
        "--tiny-model".into(),
        model.into(),
        "--work".into(),
        target.join("clients").into(),
    ];
    done(
        suite
            .workspace
            .command("python3", own.into_iter().chain(arguments))
            .run(),
    )
}

/// Provider crates outside the workspace: the one that is kept, and one written now, each with its own checks.
fn outside(suite: &Suite<'_>) -> Result<Option<String>> {
    let folder = suite.workspace.target()?.join("outside/macaw");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    let args = NewProviderArgs {
        name: "macaw".to_owned(),
        api: "inference".to_owned(),
        outside: Some(folder.clone()),
    };
    new_provider::write(suite.workspace, &args)?;
    for folder in [suite.workspace.path("tests/third-party/parrot"), folder] {
        // The versions of the workspace, so that there is less to compile.
        std::fs::copy(suite.workspace.path("Cargo.lock"), folder.join("Cargo.lock"))?;
        let outside = Workspace::at(&folder);
        outside.cargo(["fmt", "--check"]).run()?;
        outside
            .cargo(["test", "--quiet"])
            .env("CARGO_TARGET_DIR", suite.workspace.target()?)
            .run()?;
    }
    Ok(None)
}
