//! A generated block in a file that people write.

use super::COMMAND;
use crate::Result;

/// Replaces what lies between the block's first and last line. The file must have them: where the block belongs is a person's choice.
pub(super) fn replace(path: &str, text: &str, name: &str, block: &str) -> Result<String> {
    let first = format!("<!-- {name}: written by `{COMMAND}` -->");
    let last = format!("<!-- end of {name} -->");
    let missing = |line: &str| {
        format!("{path} lacks the line `{line}`, between which and its other one the block `{name}` is written")
    };
    let start = text.find(&first).ok_or_else(|| missing(&first))? + first.len();
    let end = start + text[start..].find(&last).ok_or_else(|| missing(&last))?;
    Ok(format!("{}\n\n{}\n\n{}", &text[..start], block.trim(), &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_between_the_lines_is_replaced() {
        let text = "# x\n<!-- t: written by `cargo xtask codegen` -->\nold\n<!-- end of t -->\nrest\n";
        let once = replace("x.md", text, "t", "new").unwrap();
        assert_eq!(
            once,
            "# x\n<!-- t: written by `cargo xtask codegen` -->\n\nnew\n\n<!-- end of t -->\nrest\n"
        );
        assert_eq!(replace("x.md", &once, "t", "new").unwrap(), once);
        let error = replace("x.md", "# x", "t", "new").unwrap_err().to_string();
        assert!(error.starts_with("x.md lacks the line `<!-- t: "), "{error}");
    }
}
