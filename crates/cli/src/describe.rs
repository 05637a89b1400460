//! `puna describe`: what the binary holds.

use puna_api::{Api, Error, Result};
use serde_json::{Value, json};

use crate::Invocation;
use crate::args::DescribeArgs;
use crate::output;

pub(crate) fn describe(invocation: &Invocation, args: &DescribeArgs) -> Result<()> {
    let mut linked = invocation.linked.to_vec();
    linked.sort_by_key(|spec| spec.provider_type);
    if args.json {
        let providers: Vec<Value> = linked
            .iter()
            .map(|spec| {
                Ok(json!({
                    "provider_type": spec.provider_type,
                    "aliases": spec.aliases,
                    "apis": spec.apis.iter().map(|api| api.name()).collect::<Vec<_>>(),
                    "summary": spec.summary,
                    "crate": spec.crate_name,
                    "version": spec.crate_version,
                    "schema": spec.schema(),
                    "sample": spec.sample()?,
                }))
            })
            .collect::<Result<_>>()?;
        let text =
            serde_json::to_string_pretty(&json!({ "version": env!("CARGO_PKG_VERSION"), "providers": providers }))
                .map_err(|error| Error::internal("failed to encode the description").with_source(error))?;
        return output::say(&(text + "\n"));
    }
    let mut text = format!("puna {}\n", env!("CARGO_PKG_VERSION"));
    for api in Api::ALL {
        let rows: Vec<Vec<String>> = linked
            .iter()
            .filter(|spec| spec.apis.contains(api))
            .map(|spec| {
                vec![
                    format!("  {}", spec.provider_type),
                    format!("{} {}", spec.crate_name, spec.crate_version),
                    spec.summary.to_owned(),
                ]
            })
            .collect();
        if !rows.is_empty() {
            text.push_str(&format!("\n{api}\n{}", output::columns(&rows)));
        }
    }
    output::say(&text)
}
