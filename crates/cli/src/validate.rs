//! `puna validate`.

use std::fmt::Write;

use puna_api::Result;
use puna_config::{Overrides, Plan};

use crate::Invocation;
use crate::args::ValidateArgs;
use crate::config_file;
use crate::output;

pub(crate) fn validate(invocation: &Invocation, args: &ValidateArgs) -> Result<()> {
    let (path, plan) = config_file::plan(invocation, &args.config, Overrides::default())?;
    let providers: Vec<&str> = plan.providers.iter().map(|provider| provider.id.as_str()).collect();
    let mut text = format!("{} is valid: distribution `{}`", path.display(), plan.name);
    let _ = writeln!(
        text,
        ", {} provider(s){}{}",
        providers.len(),
        if providers.is_empty() { "" } else { ": " },
        providers.join(", ")
    );
    text.push_str(&left_out(&plan));
    text.push_str(&switches(&plan));
    output::say(&text)
}

/// One paragraph on what the file asks for and this binary does not have; empty when there is nothing of the kind.
pub(crate) fn left_out(plan: &Plan) -> String {
    let mut text = String::new();
    if !plan.missing.is_empty() {
        text.push_str("left out, because this binary does not have it:\n");
    }
    for part in &plan.missing {
        let _ = writeln!(text, "  {}: {} ({})", part.path, part.what, part.reason);
    }
    text
}

/// One paragraph on the environment variables that would switch on more providers of this binary.
pub(crate) fn switches(plan: &Plan) -> String {
    let mut text = String::new();
    for disabled in plan
        .disabled
        .iter()
        .filter(|disabled| disabled.linked && !disabled.env.is_empty())
    {
        if text.is_empty() {
            text.push_str("set these to switch on more:\n");
        }
        let _ = writeln!(text, "  {:<24} {}", disabled.env.join(", "), disabled.provider_type);
    }
    text
}
