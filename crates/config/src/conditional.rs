//! Expands a whole file, and sets aside what its variables switch off.

use crate::expand::{Operator, Piece, Reference, expand, pieces};
use crate::path::{Path, Step};
use crate::report::Site;
use crate::yaml::{Content, Node};
use crate::{Environment, Problem};

/// What an entry's id may say to switch it off.
const DISABLED: &str = "__disabled__";

/// A provider entry whose id or type expanded to nothing.
#[derive(Debug)]
pub(crate) struct DisabledEntry {
    pub(crate) api: String,
    /// The id that it would have.
    pub(crate) id: Option<String>,
    pub(crate) provider_type: String,
    pub(crate) variables: Vec<String>,
}

/// Expands every `${env.…}` of a file. Entries that are switched off are left out and returned; what they hold is neither expanded nor
/// checked. A text that cannot be expanded is left out and reported.
pub(crate) fn expand_file(
    file: &str,
    root: &mut Node,
    environment: &Environment,
    problems: &mut Vec<Problem>,
) -> Vec<DisabledEntry> {
    let faults_in = root.clone();
    let mut expansion = Expansion {
        site: Site::root(file, &faults_in),
        environment,
        problems,
        disabled: Vec::new(),
    };
    expansion.node(root, &Path::default());
    expansion.disabled
}

struct Expansion<'a> {
    site: Site<'a>,
    environment: &'a Environment,
    problems: &'a mut Vec<Problem>,
    disabled: Vec<DisabledEntry>,
}

impl Expansion<'_> {
    fn node(&mut self, node: &mut Node, path: &Path) {
        if self.is_switched_off(node, path) {
            node.content = Content::Omitted;
            return;
        }
        match &mut node.content {
            Content::Scalar(scalar) if scalar.value.is_string() => match expand(&scalar.text, self.environment) {
                Ok(None) => {}
                Ok(Some(expanded)) => scalar.unexpanded = Some(std::mem::replace(&mut scalar.text, expanded)),
                Err(faults) => {
                    for fault in faults {
                        self.problems
                            .push(self.site.problem(path, fault.message, Some(fault.hint)));
                    }
                    node.content = Content::Omitted;
                }
            },
            Content::Scalar(_) | Content::Omitted => {}
            Content::List(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.node(item, &path.clone().index(index));
                }
            }
            Content::Map(entries) => {
                for entry in entries {
                    self.node(&mut entry.value, &path.clone().key(&entry.key));
                }
            }
        }
    }

    fn is_switched_off(&mut self, node: &Node, path: &Path) -> bool {
        let steps: Vec<&str> = path
            .steps()
            .iter()
            .map(|step| match step {
                Step::Key(key) => key.as_str(),
                Step::Index(_) => "[]",
            })
            .collect();
        match steps.as_slice() {
            ["providers", api, "[]"] => {
                let [id, provider_type] = ["provider_id", "provider_type"].map(|key| self.switch(node, key));
                if !id.is_off && !provider_type.is_off {
                    return false;
                }
                let mut variables = Vec::new();
                for switch in [id.clone(), provider_type.clone()]
                    .into_iter()
                    .filter(|switch| switch.is_off)
                {
                    variables.extend(switch.variables);
                }
                self.disabled.push(DisabledEntry {
                    api: (*api).to_owned(),
                    id: id.when_on,
                    provider_type: provider_type.when_on.unwrap_or_default(),
                    variables,
                });
                true
            }
            ["registered_resources", kind, "[]"] | [kind, "[]"] => resource_id(kind)
                .is_some_and(|id| self.switch(node, id).is_off || self.switch(node, "provider_id").is_off),
            ["server", "auth", "provider_config"] => self.switch(node, "type").is_off,
            _ => false,
        }
    }

    /// What an entry's key says about whether the entry is on.
    fn switch(&self, entry: &Node, key: &str) -> Switch {
        let Some(text) = entry.get(key).and_then(Node::text) else {
            return Switch::default();
        };
        let Ok(pieces) = pieces(text) else {
            return Switch::default();
        };
        let references: Vec<Reference<'_>> = pieces
            .iter()
            .filter_map(|piece| match piece {
                Piece::Reference(reference) => Some(reference.clone()),
                Piece::Literal(_) => None,
            })
            .collect();
        let when_on: String = pieces
            .iter()
            .map(|piece| match piece {
                Piece::Literal(text) => text,
                Piece::Reference(Reference {
                    operator: Operator::Default(text) | Operator::IfSet(text),
                    ..
                }) => text,
                Piece::Reference(Reference {
                    operator: Operator::Required,
                    ..
                }) => "",
            })
            .collect();
        let expanded = expand(text, self.environment);
        let is_off = match &expanded {
            Ok(Some(expanded)) => expanded.is_empty() || expanded == DISABLED,
            Ok(None) => text == DISABLED,
            Err(_) => false,
        };
        let when_on = match expanded {
            Ok(Some(expanded)) if !is_off => expanded,
            _ => when_on,
        };
        Switch {
            is_off,
            variables: references
                .into_iter()
                .map(|reference| reference.name.to_owned())
                .collect(),
            when_on: Some(when_on).filter(|text| !text.is_empty() && text != DISABLED),
        }
    }
}

/// What a key says about whether its entry is on.
#[derive(Debug, Clone, Default)]
struct Switch {
    is_off: bool,
    /// The variables that it depends on.
    variables: Vec<String>,
    /// What it is when it is on.
    when_on: Option<String>,
}

/// The key that names a resource of this kind.
pub(crate) fn resource_id(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "models" => "model_id",
        "shields" => "shield_id",
        "vector_stores" => "vector_store_id",
        "vector_dbs" => "vector_db_id",
        "datasets" => "dataset_id",
        "scoring_fns" => "scoring_fn_id",
        "benchmarks" => "benchmark_id",
        "tool_groups" => "toolgroup_id",
        "connectors" => "connector_id",
        _ => return None,
    })
}
