//! The engine without a server: a program of its provider's that calls it and says how fast it was.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::engine::EngineOptions;
use crate::engine::streams::Streams;
use crate::error::{Context as _, Error, Result};

/// What both sides are asked to go on from.
pub(crate) const PROMPT: &str = "The puna is the high grassland where llamas live. It is cold at night, and the sun is strong at noon. \
     Herders know every spring and every path. In the dry months the grass is yellow, and the animals walk far to find water.";

/// Runs the program once: it loads the model, warms up, and makes `streams` answers at the same time.
pub(crate) fn run(
    program: &Path,
    model: &Path,
    withheld: &BTreeSet<u64>,
    streams: usize,
    options: &EngineOptions,
) -> Result<Streams> {
    let withheld: Vec<String> = withheld.iter().map(u64::to_string).collect();
    let output = Command::new(program)
        .arg(model)
        .args([
            streams.to_string(),
            options.tokens.to_string(),
            options.at_once.to_string(),
        ])
        .arg(withheld.join(","))
        .arg(PROMPT)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .while_trying(|| format!("run {}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let said: Option<Value> = text.lines().last().and_then(|line| serde_json::from_str(line).ok());
    let misunderstood = || {
        Error::new(format!(
            "{} ended with {} and said {:?}; expected a line of JSON",
            program.display(),
            output.status,
            text.trim()
        ))
    };
    let said = said.filter(|_| output.status.success()).ok_or_else(misunderstood)?;
    let seconds = |value: &Value| value.as_f64().and_then(|it| Duration::try_from_secs_f64(it).ok());
    let first_tokens = said["first_token_seconds"].as_array().ok_or_else(misunderstood)?;
    Ok(Streams {
        tokens: said["tokens"].as_u64().ok_or_else(misunderstood)?,
        took: seconds(&said["seconds"]).ok_or_else(misunderstood)?,
        first_tokens: first_tokens.iter().filter_map(seconds).collect(),
    })
}
