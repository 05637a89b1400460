//! The `apis` and `providers` parts.

use std::collections::BTreeMap;

use puna_api::{Api, ProviderSpec};
use serde_json::{Map, Value};

use crate::check::{Background, check};
use crate::conditional::DisabledEntry;
use crate::document::ProviderEntry;
use crate::missing::{ALWAYS_SERVED, Missing, OTHER_APIS};
use crate::nearest::{list, nearest};
use crate::path::Path;
use crate::redact::redact;
use crate::report::Site;
use crate::schema::Schema;
use crate::storage::Backends;
use crate::value::convert;
use crate::yaml::{Content, Node};
use crate::{DisabledProvider, Problem, ProviderPlan};

/// Why an API is missing.
const NOT_SERVED: &str = "this version does not serve it";

/// Why an API of this version is missing.
const NO_PROVIDER: &str = "no provider of this binary serves it";

/// What the two parts come to.
#[derive(Debug, Default)]
pub(crate) struct Providers {
    pub(crate) apis: Vec<Api>,
    pub(crate) plans: Vec<ProviderPlan>,
    pub(crate) disabled: Vec<DisabledProvider>,
    /// Ids of entries whose provider this binary does not have.
    pub(crate) missing: Vec<String>,
    /// Ids of entries that have problems.
    pub(crate) broken: Vec<String>,
}

/// What the two parts are checked against.
pub(crate) struct Here<'a> {
    /// The providers of this binary.
    pub(crate) linked: &'a [ProviderSpec],
    /// The storage that providers may name.
    pub(crate) storage: &'a Backends,
}

/// Checks the two parts against what is here.
pub(crate) fn read(
    site: &Site<'_>,
    apis: Option<&[String]>,
    entries: &BTreeMap<String, Vec<ProviderEntry>>,
    disabled: Vec<DisabledEntry>,
    here: &Here<'_>,
    missing: &mut Missing<'_>,
    problems: &mut Vec<Problem>,
) -> Providers {
    let linked = here.linked;
    let disabled = disabled
        .into_iter()
        .map(|entry| DisabledProvider {
            linked: find(linked, &entry.provider_type).is_some(),
            id: entry.id,
            api: entry.api,
            provider_type: entry.provider_type,
            env: entry.variables,
        })
        .collect();
    let found = Providers {
        disabled,
        ..Providers::default()
    };
    let mut reader = Reader {
        site,
        linked,
        storage: here.storage,
        missing,
        problems,
        configs: BTreeMap::new(),
        found,
    };
    let top = Path::default().key("providers");
    let mut by_place: Vec<_> = entries.iter().filter(|(_, entries)| !entries.is_empty()).collect();
    by_place.sort_by_key(|(name, _)| site.locate(&top.clone().key(name), true).position);
    reader.apis(apis, entries);
    for (name, entries) in by_place {
        let path = top.clone().key(name);
        match Api::from_name(name) {
            Some(api) => reader.entries(api, entries, &path),
            None if OTHER_APIS.contains(&name.as_str()) => reader.missing_api(name, entries, apis, &path),
            None => reader.unknown_api(name, &path, true),
        }
    }
    reader.found
}

struct Reader<'a, 'b> {
    site: &'a Site<'a>,
    linked: &'a [ProviderSpec],
    storage: &'a Backends,
    missing: &'a mut Missing<'b>,
    problems: &'a mut Vec<Problem>,
    /// What each provider's first entry says.
    configs: BTreeMap<String, Value>,
    found: Providers,
}

impl Reader<'_, '_> {
    fn apis(&mut self, apis: Option<&[String]>, entries: &BTreeMap<String, Vec<ProviderEntry>>) {
        let Some(apis) = apis else {
            let with_providers = entries.iter().filter(|(_, entries)| !entries.is_empty());
            self.found.apis = with_providers.filter_map(|(name, _)| Api::from_name(name)).collect();
            return;
        };
        for (index, name) in apis.iter().enumerate() {
            let path = Path::default().key("apis").index(index);
            match Api::from_name(name) {
                Some(api) if self.found.apis.contains(&api) => {}
                Some(api) if self.linked.iter().any(|spec| spec.apis.contains(&api)) => self.found.apis.push(api),
                Some(_) => {
                    // Its providers have lines of their own.
                    if entries.get(name).is_none_or(Vec::is_empty) {
                        self.missing.add(&path, format!("the API `{name}`"), NO_PROVIDER);
                    }
                }
                None if ALWAYS_SERVED.contains(&name.as_str()) => {}
                None if OTHER_APIS.contains(&name.as_str()) => {
                    // One line for the API and its providers is enough.
                    if entries.get(name).is_none_or(Vec::is_empty) {
                        self.missing.add(&path, format!("the API `{name}`"), NOT_SERVED);
                    }
                }
                None => self.unknown_api(name, &path, false),
            }
        }
    }

    fn unknown_api(&mut self, name: &str, path: &Path, is_key: bool) {
        let known = || {
            Api::ALL
                .iter()
                .map(|api| api.name())
                .chain(ALWAYS_SERVED.iter().copied())
                .chain(OTHER_APIS.iter().copied())
        };
        let hint = match nearest(name, known()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", list(known())),
        };
        let mut problem = self.site.problem(path, format!("there is no API `{name}`"), Some(hint));
        problem.position = Some(self.site.locate(path, is_key).position);
        self.problems.push(problem);
    }

    fn missing_api(&mut self, name: &str, entries: &[ProviderEntry], apis: Option<&[String]>, path: &Path) {
        let ids: Vec<&str> = entries.iter().map(|entry| entry.provider_id.as_str()).collect();
        let path = match apis.and_then(|apis| apis.iter().position(|api| api == name)) {
            Some(index) => Path::default().key("apis").index(index),
            None => path.clone(),
        };
        let what = format!("the API `{name}` (with {})", list(ids));
        self.missing.add(&path, what, NOT_SERVED);
    }

    fn entries(&mut self, api: Api, entries: &[ProviderEntry], path: &Path) {
        let mut ids: Vec<(&str, Path)> = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let path = path.clone().index(index);
            let before = self.problems.len();
            let stands = |key: &str, text: &str| {
                let node = self.site.locate(&path.clone().key(key), false).node;
                node.and_then(Node::text) == Some(text)
            };
            // An entry without a proper id or type is reported already, and what stands in for it means nothing.
            if !stands("provider_type", &entry.provider_type) || !stands("provider_id", &entry.provider_id) {
                self.found.broken.push(entry.provider_id.clone());
                continue;
            }
            self.check_id(&entry.provider_id, &path.clone().key("provider_id"));
            if let (Some((first, _)), false) = (ids.first(), api.takes_several()) {
                let message = format!("`{api}` takes one provider, and `{first}` is one already");
                let hint = "nothing in a request would tell them apart; remove one of them".to_owned();
                self.problems.push(self.site.problem(&path, message, Some(hint)));
            }
            if let Some((_, first)) = ids.iter().find(|(id, _)| *id == entry.provider_id) {
                let first = self.site.locate(first, false);
                let hint = format!("the first one is `{}`; give each provider an id of its own", first.path);
                let message = format!("the id `{}` is given to a second provider", entry.provider_id);
                self.problems
                    .push(self.site.problem(&path.clone().key("provider_id"), message, Some(hint)));
            } else {
                ids.push((&entry.provider_id, path.clone()));
                self.entry(api, entry, &path);
            }
            if self.problems.len() > before {
                self.found.broken.push(entry.provider_id.clone());
            }
        }
    }

    fn check_id(&mut self, id: &str, path: &Path) {
        let fault = if id.is_empty() {
            "must not be empty"
        } else if id == "all" {
            "must not be `all`, which models use for any provider"
        } else if id.contains('/') {
            "must not hold a slash, which stands between provider and model in a model id"
        } else if id.chars().any(|c| c.is_whitespace() || c.is_control()) {
            "must not hold white space"
        } else {
            return;
        };
        self.problems.push(self.site.problem(path, fault, None));
    }

    fn entry(&mut self, api: Api, entry: &ProviderEntry, path: &Path) {
        let ProviderEntry {
            provider_id,
            provider_type,
            module,
            ..
        } = entry;
        let Some(spec) = find(self.linked, provider_type) else {
            let reason = self.absent(provider_type, module.as_deref());
            self.found.missing.push(provider_id.clone());
            self.missing.add(
                path,
                format!("provider `{provider_id}` of type `{provider_type}`"),
                reason,
            );
            return;
        };
        if let Some(module) = module {
            let hint = format!("remove it: this binary holds `{provider_type}` itself");
            let message = format!("the Python package `{module}` cannot be used");
            self.problems
                .push(self.site.problem(&path.clone().key("module"), message, Some(hint)));
        }
        if !spec.apis.contains(&api) {
            let message = format!("`{provider_type}` does not serve `{api}`");
            let hint = format!("it serves {}", list(spec.apis.iter().map(|api| api.name())));
            self.problems.push(
                self.site
                    .problem(&path.clone().key("provider_type"), message, Some(hint)),
            );
            return;
        }
        if let Some(same) = self.found.plans.iter_mut().find(|plan| plan.id == *provider_id) {
            // One id under several APIs is one provider.
            same.apis.push(api);
            let is_same_config = entry.config.is_null() || self.configs.get(provider_id) == Some(&entry.config);
            if same.spec.provider_type != spec.provider_type || !is_same_config {
                let message =
                    format!("the id `{provider_id}` belongs to a provider with another type or configuration");
                let hint = "give each provider an id of its own".to_owned();
                self.problems
                    .push(self.site.problem(&path.clone().key("provider_id"), message, Some(hint)));
            }
            return;
        }
        self.configs.insert(provider_id.clone(), entry.config.clone());
        if let Some(plan) = self.plan(api, provider_id, *spec, path) {
            self.found.plans.push(plan);
        }
    }

    fn plan(&mut self, api: Api, id: &str, spec: ProviderSpec, path: &Path) -> Option<ProviderPlan> {
        let schema = spec.schema();
        let schema = Schema::new(&schema);
        let sample = spec.sample().ok();
        let config_path = path.clone().key("config");
        let place = self.site.locate(&config_path, false);
        let nothing = Node {
            position: place.position,
            content: Content::Map(Vec::new()),
        };
        let config = Site {
            file: self.site.file,
            node: place.node.unwrap_or(&nothing),
            path: place.path,
        };
        let mut converted = convert(config.node, &schema);
        if converted.value.is_null() {
            converted.value = Value::Object(Map::new());
        }
        let shown = redact(&converted.value, &schema);
        let before = self.problems.len();
        self.problems
            .extend(self.storage.unknown_names(&converted.value, &schema, &config));
        let names_backends = self.problems.len() == before;
        let veil = |path: &Path| config.veil(path, &schema);
        let background = Background {
            schema: &schema,
            sample: sample.as_ref(),
            settled: &converted.settled,
            veil: &veil,
        };
        let (checked, findings) = check(converted.value, &background, |value| spec.check(value));
        let is_faultless = findings.is_empty() && converted.settled.is_empty() && names_backends;
        self.problems.extend(
            findings
                .into_iter()
                .map(|finding| config.finding(finding, &schema, &converted.emptied)),
        );
        let config = checked.filter(|_| is_faultless)?;
        Some(ProviderPlan {
            id: id.to_owned(),
            apis: vec![api],
            spec,
            config,
            shown,
        })
    }

    /// Why there is no provider of this type. The whole list stands in the first such line only.
    fn absent(&self, provider_type: &str, module: Option<&str>) -> String {
        let names = self
            .linked
            .iter()
            .flat_map(|spec| spec.aliases.iter().copied().chain([spec.provider_type]));
        // `remote::` alone makes no two types alike.
        let name = |provider_type: &'_ str| provider_type.rsplit("::").next().unwrap_or_default().to_owned();
        let near = names.clone().find(|known| {
            let known_name = name(known);
            nearest(&name(provider_type), [known_name.as_str()]).is_some()
        });
        let python = module.map(|module| {
            format!("`{module}` is a Python package, and a provider here is a crate that `build.yaml` names")
        });
        let near = near.map(|near| format!("did you mean `{near}`?"));
        let is_first = self.found.missing.is_empty();
        let held = is_first.then(|| {
            format!(
                "this binary has {}",
                list(self.linked.iter().map(|spec| spec.provider_type))
            )
        });
        let parts: Vec<String> = [python, held, near].into_iter().flatten().collect();
        match parts.is_empty() {
            true => "this binary has no provider of this type".to_owned(),
            false => parts.join("; "),
        }
    }
}

fn find<'a>(linked: &'a [ProviderSpec], provider_type: &str) -> Option<&'a ProviderSpec> {
    linked.iter().find(|spec| spec.answers_to(provider_type))
}

#[cfg(test)]
mod tests {
    use puna_api::{Host, Provider, Result, Services};
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::load::read_as;
    use crate::yaml;

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct LampConfig {
        watts: u8,
    }

    struct Lamp;

    impl Provider for Lamp {
        const TYPE: &'static str = "inline::lamp";
        const SUMMARY: &'static str = "Shines.";
        const APIS: &'static [Api] = &[Api::Inference];
        type Config = LampConfig;

        fn sample() -> LampConfig {
            LampConfig { watts: 5 }
        }

        async fn build(_: LampConfig, _: Host) -> Result<Services> {
            Ok(Services::default())
        }
    }

    /// Reads the lists of one API as if each were that of an API of its own.
    fn read_lists(text: &str) -> (Vec<ProviderPlan>, Vec<String>) {
        let root = yaml::read("c", text, &mut Vec::new()).unwrap();
        let site = Site::root("c", &root);
        let linked = [ProviderSpec::of::<Lamp>()];
        let (mut missing, mut problems) = (Missing::new(&site), Vec::new());
        let mut reader = Reader {
            site: &site,
            linked: &linked,
            storage: &Backends::default(),
            missing: &mut missing,
            problems: &mut problems,
            configs: BTreeMap::new(),
            found: Providers::default(),
        };
        for entry in root.entries() {
            let schema = Value::Bool(true);
            let entries = convert(&entry.value, &Schema::new(&schema)).value;
            let entries: Vec<ProviderEntry> = read_as(entries).unwrap();
            reader.entries(Api::Inference, &entries, &Path::default().key(&entry.key));
        }
        let plans = reader.found.plans;
        (plans, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn one_id_under_several_apis_is_one_provider() {
        let lamp = |config: &str| format!("[{{provider_id: a, provider_type: 'inline::lamp'{config}}}]");
        let first = lamp(", config: {watts: 5}");
        for second in [&first, &lamp("")] {
            let (plans, problems) = read_lists(&format!("one: {first}\ntwo: {second}\n"));
            assert_eq!((plans.len(), plans[0].apis.len(), problems.len()), (1, 2, 0));
        }
        let (_, problems) = read_lists(&format!("one: {first}\ntwo: {}\n", lamp(", config: {watts: 6}")));
        assert_eq!(
            problems,
            [
                "c:2:21 two[0].provider_id: the id `a` belongs to a provider with another type or configuration \
              (give each provider an id of its own)"
            ]
        );
    }
}
