//! The tiny model: writing it, training it, measuring it.

use std::fs;
use std::path::PathBuf;

use puna_tiny_model::training::{MERGES_FILE, Stage, write_merges, write_tokens};

use crate::Result;
use crate::args::TinyModelArgs;
use crate::workspace::Workspace;

/// Where the trained weights lie.
const WEIGHTS: &str = "crates/tiny-model/weights";
const TRAINING: &str = "crates/tiny-model/training/run.py";

/// Tokens of training text for each stage: more than an hour of training on two cores reads.
const TOKENS: [(Stage, u64, usize); 2] = [(Stage::Copying, 1 << 40, 10_000_000), (Stage::All, 2 << 40, 64_000_000)];

pub(crate) fn run(workspace: &Workspace, args: &TinyModelArgs) -> Result {
    if args.train {
        return train(workspace, args.new_merges, args.minutes);
    }
    if let Some(prompts) = args.evaluate {
        evaluate(prompts, args.wrong);
        return Ok(());
    }
    let out = match &args.out {
        Some(out) => out.clone(),
        None => workspace.target()?.join("tiny-model"),
    };
    if args.gguf {
        puna_tiny_model::write_gguf(&out)?;
    } else {
        puna_tiny_model::write(&out)?;
    }
    println!("{}", out.display());
    Ok(())
}

fn train(workspace: &Workspace, new_merges: bool, minutes: u32) -> Result {
    let folder = workspace.target()?.join("tiny-model-training");
    fs::create_dir_all(&folder)?;
    let merges = if new_merges {
        write_merges(&folder)?
    } else {
        let merges = folder.join(MERGES_FILE);
        fs::copy(workspace.path(WEIGHTS).join(MERGES_FILE), &merges)?;
        merges
    };
    for (stage, seed, tokens) in TOKENS {
        println!("{}", write_tokens(&folder, stage, seed, tokens, &merges)?.display());
    }
    let arguments: [PathBuf; 9] = [
        TRAINING.into(),
        "--work".into(),
        folder.join("python"),
        "--data".into(),
        folder,
        "--out".into(),
        WEIGHTS.into(),
        "--minutes".into(),
        minutes.to_string().into(),
    ];
    workspace.command("python3", arguments).run()?;
    println!("{WEIGHTS} is new: `cargo xtask tiny-model --evaluate` measures it");
    Ok(())
}

/// Prints a table for the crate's README.
fn evaluate(prompts: u64, wrong: usize) {
    println!("| task | right of {prompts} |\n| --- | ---: |");
    let scores = puna_tiny_model::evaluate(prompts);
    for score in &scores {
        println!("| {} | {:.1} % |", score.task.title(), score.percent());
    }
    for (example, answer) in scores.iter().flat_map(|score| score.wrong.iter().take(wrong)) {
        println!("\n{:?}: {:#?}", example.task, example.conversation.messages);
        println!("expected {:?}, got {answer:?}", example.expected);
    }
}
