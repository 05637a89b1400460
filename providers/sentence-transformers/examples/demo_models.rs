//! Writes the small models into a folder, for `tests/reference.py`.

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or("give a folder to write to")?);
    puna_tiny_model::write_embedding(&folder.join("embedding"))?;
    puna_tiny_model::write_reranker(&folder.join("reranker"))?;
    puna_tiny_model::write_qwen3_embedding(&folder.join("qwen3-embedding"))?;
    Ok(())
}
