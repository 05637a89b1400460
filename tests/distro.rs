//! Building distributions, with crates from outside the workspace among them.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "what stands beside the test functions is part of the tests"
)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use puna_distro::{Artifacts, BuildSettings, Error, Step, WithCrate, build};
use serde_json::{Value, json};
use tempfile::TempDir;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn parrot() -> PathBuf {
    workspace().join("tests/third-party/parrot")
}

/// A distribution in a folder of its own. Nobody has published what it lists: `--with` must put a local crate in its place.
fn distribution(name: &str, config: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("build.yaml"),
        format!("name: {name}\ncrates:\n  - name: puna-provider-parrot\n    version: \"9\"\n"),
    )
    .unwrap();
    fs::write(folder.path().join("config.yaml"), config).unwrap();
    folder
}

fn settings(folder: &TempDir, with: &[(&str, &Path)]) -> BuildSettings {
    let with = with.iter().map(|(name, path)| WithCrate {
        name: (*name).to_owned(),
        version: None,
        path: Some((*path).to_owned()),
    });
    BuildSettings {
        workspace: workspace(),
        folder: folder.path().to_owned(),
        with: with.collect(),
        features: Vec::new(),
        release: false,
        generate_only: false,
        out: Some(folder.path().join("out")),
        cargo: PathBuf::from("cargo"),
    }
}

fn run(settings: &BuildSettings) -> Result<Artifacts, Error> {
    build(settings, &mut |step| eprintln!("{step}"))
}

const PARROT_CONFIG: &str = "\
version: 2
image_name: outside
apis: [inference]
providers:
  inference:
    - provider_id: polly
      provider_type: inline::parrot
      config:
        models: [macaw]
";

/// A server, ended with the test.
struct Server {
    process: Child,
    address: String,
    /// Kept open, because the server goes on to write.
    _output: BufReader<ChildStdout>,
}

impl Server {
    fn start(binary: &Path, config: &Path, home: &Path) -> Self {
        let mut process = Command::new(binary)
            .arg("run")
            .arg(config)
            .args(["--port", "0"])
            .env("PUNA_HOME", home)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut said = String::new();
        while output.read_line(&mut said).unwrap() > 0 {
            if let Some((_, rest)) = said.split_once("http://") {
                let address = rest
                    .split(|c: char| c.is_whitespace() || c == '/')
                    .next()
                    .unwrap()
                    .to_owned();
                return Self {
                    process,
                    address,
                    _output: output,
                };
            }
        }
        let status = process.wait().unwrap();
        panic!("the server ended without telling its address ({status}): {said}");
    }

    fn post(&self, path: &str, body: &Value) -> (u16, String) {
        let body = body.to_string();
        let mut connection = TcpStream::connect(&self.address).unwrap();
        write!(
            connection,
            "POST {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_provider_from_outside_is_built_in_and_answers() {
    let folder = distribution("outside", PARROT_CONFIG);
    let artifacts = run(&settings(&folder, &[("puna-provider-parrot", parrot().as_path())])).unwrap();
    let output = artifacts.output.unwrap();
    assert_eq!(output.folder, folder.path().join("out"));
    let held: Vec<_> = output
        .description
        .providers
        .iter()
        .map(|it| (&*it.provider_type, &*it.crate_name))
        .collect();
    assert_eq!(held, [("inline::parrot", "puna-provider-parrot")]);

    let main = fs::read_to_string(artifacts.generated.join("src/main.rs")).unwrap();
    assert!(main.contains("puna_provider_parrot::PROVIDER,"), "{main}");
    check_bill_of_materials(&output.sbom);
    assert!(
        fs::read_to_string(&output.containerfile)
            .unwrap()
            .contains("COPY puna ")
    );

    let server = Server::start(&output.binary, &output.config, folder.path());
    let messages = json!([{ "role": "user", "content": "pieces of eight" }]);
    let (status, answer) = server.post(
        "/v1/chat/completions",
        &json!({ "model": "polly/macaw", "messages": messages }),
    );
    let answer: Value = serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{answer}"));
    assert_eq!(
        (status, &answer["choices"][0]["message"]["content"]),
        (200, &json!("pieces of eight")),
        "{answer}"
    );
    let (status, stream) = server.post(
        "/v1/chat/completions",
        &json!({ "model": "polly/macaw", "messages": messages, "stream": true }),
    );
    assert_eq!(status, 200);
    assert!(
        stream.contains(r#""content":"pieces ""#) && stream.contains("data: [DONE]"),
        "{stream}"
    );
    drop(server);

    // What the binary does not hold is named, with what it does hold.
    let other = folder.path().join("other.yaml");
    fs::write(&other, PARROT_CONFIG.replace("inline::parrot", "inline::macaw")).unwrap();
    let refused = Command::new(&output.binary)
        .arg("validate")
        .arg(&other)
        .output()
        .unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success());
    assert!(
        said.contains("other.yaml:6:") && said.contains("inline::macaw") && said.contains("inline::parrot"),
        "{said}"
    );
}

fn check_bill_of_materials(path: &Path) {
    let sbom: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    assert_eq!(
        (&sbom["bomFormat"], &sbom["metadata"]["component"]["name"]),
        (&json!("CycloneDX"), &json!("puna-outside"))
    );
    let components = sbom["components"].as_array().unwrap();
    let component = |name: &str| {
        components
            .iter()
            .find(|it| it["name"] == name)
            .unwrap_or_else(|| panic!("{name} is missing"))
    };
    assert_eq!(
        component("puna-provider-parrot")["licenses"],
        json!([{ "expression": "MIT OR Apache-2.0" }])
    );
    assert_eq!(component("serde_json")["scope"], "required");
    assert_eq!(
        component("serde_json")["hashes"][0]["content"].as_str().unwrap().len(),
        64
    );
    assert_eq!(component("serde_derive")["scope"], "excluded");
    assert!(
        components.iter().all(|it| it["name"] != "libtest-mimic"),
        "test dependencies are not part of it"
    );
    let references: Vec<&str> = components.iter().map(|it| it["bom-ref"].as_str().unwrap()).collect();
    for dependency in sbom["dependencies"].as_array().unwrap() {
        for reference in dependency["dependsOn"].as_array().unwrap() {
            assert!(
                references.contains(&reference.as_str().unwrap()),
                "{reference} is no component"
            );
        }
    }
}

#[test]
fn two_crates_that_claim_one_type_are_named() {
    let folder = distribution("twice", PARROT_CONFIG);
    let mimic = copy_of_parrot(&folder, "puna-provider-mimic", |manifest| manifest);
    let with = [("puna-provider-parrot", parrot()), ("puna-provider-mimic", mimic)];
    let error = run(&settings(
        &folder,
        &with.each_ref().map(|(name, path)| (*name, path.as_path())),
    ))
    .unwrap_err();
    assert_eq!(error.step(), Step::Describe);
    let message = error.message();
    assert!(
        message.contains("inline::parrot is claimed by puna-provider-parrot 0.1.0 and puna-provider-mimic 0.1.0"),
        "{message}"
    );
    assert!(!folder.path().join("out").exists());
}

#[test]
fn a_crate_made_for_another_contract_is_refused_before_compiling() {
    // Another version, and a copy of the same version: cargo treats them differently.
    for version in ["0.0.9", "0.1.0"] {
        let folder = distribution("stale", PARROT_CONFIG);
        let contract = folder.path().join("api");
        let said = match version {
            "0.0.9" => "make puna-provider-stale 0.1.0 depend on puna-api 0.1.0".to_owned(),
            _ => contract.display().to_string(),
        };
        copy(&workspace().join("crates/api"), &contract);
        let manifest = fs::read_to_string(contract.join("Cargo.toml")).unwrap();
        fs::write(contract.join("Cargo.toml"), standing_alone(&manifest, version)).unwrap();
        let stale = copy_of_parrot(&folder, "puna-provider-stale", |manifest| {
            manifest.replace(
                &format!("{}/crates/api", workspace().display()),
                contract.to_str().unwrap(),
            )
        });
        let with = [("puna-provider-parrot", parrot()), ("puna-provider-stale", stale)];
        let error = run(&settings(
            &folder,
            &with.each_ref().map(|(name, path)| (*name, path.as_path())),
        ))
        .unwrap_err();
        let message = error.message();
        assert_eq!(error.step(), Step::CheckContract, "{message}");
        assert!(
            message.contains(&said) && message.contains("there must be one"),
            "{message}"
        );
    }
}

#[test]
fn what_cannot_be_built_is_told_before_compiling() {
    let folder = distribution("wrong", PARROT_CONFIG);
    let parrot = parrot();
    let with = [("puna-provider-parrot", parrot.as_path())];

    let cuda = BuildSettings {
        features: vec!["cuda".to_owned()],
        ..settings(&folder, &with)
    };
    let error = run(&cuda).unwrap_err();
    assert!(
        error
            .message()
            .contains("no provider crate of `wrong` has the feature `cuda`"),
        "{error}"
    );

    let error = run(&settings(
        &folder,
        &[("puna-provider-owl", folder.path().join("owl").as_path())],
    ))
    .unwrap_err();
    assert_eq!(error.step(), Step::Read);
    assert!(error.message().contains("puna-provider-owl: there is no"), "{error}");

    let error = run(&settings(&folder, &[with[0], ("puna-provider-owl", parrot.as_path())])).unwrap_err();
    assert_eq!(error.step(), Step::Resolve);
    assert!(error.message().contains("puna-provider-owl"), "{error}");

    fs::write(folder.path().join("build.yaml"), "name: wrong\ncrates:\n  - nmae: x\n").unwrap();
    let error = run(&settings(&folder, &with)).unwrap_err();
    assert_eq!(error.step(), Step::Read);
    assert!(
        error.message().contains("build.yaml:3:") && error.message().contains("nmae"),
        "{error}"
    );
}

#[test]
fn a_generated_crate_can_be_had_without_compiling() {
    let folder = distribution("generated", PARROT_CONFIG);
    let parrot = parrot();
    let settings = BuildSettings {
        generate_only: true,
        ..settings(&folder, &[("puna-provider-parrot", parrot.as_path())])
    };
    let artifacts = run(&settings).unwrap();
    assert!(artifacts.output.is_none() && !folder.path().join("out").exists());
    let main = artifacts.generated.join("src/main.rs");
    let before = fs::metadata(&main).unwrap().modified().unwrap();
    run(&settings).unwrap();
    assert_eq!(
        fs::metadata(&main).unwrap().modified().unwrap(),
        before,
        "an unchanged crate is not written again"
    );
}

#[test]
fn any_provider_folder_can_be_deleted() {
    let providers: Vec<String> = names(&workspace().join("providers"));
    assert!(providers.len() > 1);
    for deleted in &providers {
        let root = tempfile::tempdir().unwrap();
        for file in ["Cargo.toml", "Cargo.lock"] {
            fs::copy(workspace().join(file), root.path().join(file)).unwrap();
        }
        for folder in ["crates", "tests", "xtask"] {
            link(&workspace().join(folder), &root.path().join(folder));
        }
        fs::create_dir(root.path().join("providers")).unwrap();
        for kept in providers.iter().filter(|name| *name != deleted) {
            link(
                &workspace().join("providers").join(kept),
                &root.path().join("providers").join(kept),
            );
        }
        let resolved = Command::new("cargo")
            .args(["metadata", "--offline", "--format-version=1", "--manifest-path"])
            .arg(root.path().join("Cargo.toml"))
            .output()
            .unwrap();
        assert!(
            resolved.status.success(),
            "without {deleted}: {}",
            String::from_utf8_lossy(&resolved.stderr)
        );
    }
}

fn names(folder: &Path) -> Vec<String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[cfg(unix)]
fn link(from: &Path, to: &Path) {
    std::os::unix::fs::symlink(from, to).unwrap();
}

#[cfg(not(unix))]
fn link(from: &Path, to: &Path) {
    copy(from, to);
}

/// The crate of `tests/third-party/parrot` under another name, in the test's own folder.
fn copy_of_parrot(folder: &TempDir, name: &str, change: impl Fn(String) -> String) -> PathBuf {
    let path = folder.path().join(name);
    copy(&parrot(), &path);
    let manifest = fs::read_to_string(path.join("Cargo.toml")).unwrap();
    let manifest = manifest
        .replace("puna-provider-parrot", name)
        .replace("../../../crates", &format!("{}/crates", workspace().display()));
    fs::write(path.join("Cargo.toml"), change(manifest)).unwrap();
    path
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// A member's manifest as one of a crate on its own: what it takes from the workspace is written out.
fn standing_alone(manifest: &str, version: &str) -> String {
    let root = fs::read_to_string(workspace().join("Cargo.toml")).unwrap();
    let versions = |name: &str| {
        let line = root
            .lines()
            .find(|line| line.starts_with(&format!("{name} = ")))
            .unwrap_or_else(|| panic!("{name}"));
        line.replace("path = \"", &format!("path = \"{}/", workspace().display()))
    };
    let mut text = String::new();
    for line in manifest.lines() {
        match line.strip_suffix(".workspace = true") {
            Some("version") => text.push_str(&format!("version = \"{version}\"")),
            Some("edition") => text.push_str("edition = \"2024\""),
            Some("rust-version" | "license") => {}
            Some(dependency) => text.push_str(&versions(dependency)),
            None => text.push_str(line),
        }
        text.push('\n');
    }
    text.replace("[lints]\nworkspace = true\n", "[workspace]\n")
}
