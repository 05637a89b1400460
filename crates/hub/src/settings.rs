//! Where the hub is, who asks, and where its models go.

use std::path::{Path, PathBuf};
use std::time::Duration;

use puna_api::{Error, Result, Secret};
use url::Url;

use crate::Cache;

/// The hub itself.
const HUB: &str = "https://huggingface.co";

/// How to reach the hub.
#[derive(Debug, Clone)]
pub struct HubSettings {
    /// The hub, or what stands in for it; no slash at its end. Default `https://huggingface.co`.
    pub endpoint: Url,
    /// Sent to the endpoint, and to nobody else.
    pub token: Option<Secret<String>>,
    /// The folder of all models. Default `~/.cache/huggingface/hub`.
    pub cache: PathBuf,
    /// Whether nothing may be asked of the hub. Default false.
    pub offline: bool,
    /// How long to wait before a broken transfer is taken up again; doubles with each failure in a row. Default 1 s.
    pub retry_wait: Duration,
}

impl HubSettings {
    /// Settings from variables as `huggingface_hub` reads them: `HF_ENDPOINT`, `HF_TOKEN` (else the file that `hf auth login` writes:
    /// `HF_TOKEN_PATH`, by default `token` in `HF_HOME`), `HF_HUB_CACHE`, `HF_HOME`, `XDG_CACHE_HOME`, `HOME`, `HF_HUB_OFFLINE`.
    ///
    /// Fails as a configuration error where the endpoint is no URL, or no folder can be told.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let endpoint = set("HF_ENDPOINT").unwrap_or_else(|| HUB.to_owned());
        let endpoint = Url::parse(endpoint.trim().trim_end_matches('/'))
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none())
            // They would be shown wherever the URL is; the token has a variable of its own.
            .filter(|url| url.username().is_empty() && url.password().is_none())
            .ok_or_else(|| {
                // What comes before an `@` may be a password.
                let (_, shown) = endpoint.rsplit_once('@').unwrap_or(("", &endpoint));
                let message = format!("`HF_ENDPOINT` (`{shown}`) must be a URL such as `{HUB}`, without credentials");
                Error::configuration(message).with_param("HF_ENDPOINT")
            })?;

        let folders = Folders::from_variables(&variable);
        let cache = folders.cache()?;

        let stored = || std::fs::read_to_string(folders.token?).ok();
        let token = set("HF_TOKEN")
            .or_else(|| set("HUGGING_FACE_HUB_TOKEN"))
            .or_else(stored)
            .map(|token| token.trim().to_owned())
            .filter(|token| !token.is_empty());
        if token
            .as_ref()
            .is_some_and(|token| !token.bytes().all(|b| b.is_ascii_graphic()))
        {
            let message =
                "the token for the hub holds characters that a header cannot; set `HF_TOKEN` to one such as `hf_…`";
            return Err(Error::configuration(message).with_param("HF_TOKEN"));
        }
        Ok(Self {
            endpoint,
            token: token.map(Secret::new),
            cache,
            offline: set("HF_HUB_OFFLINE")
                .is_some_and(|value| matches!(value.to_ascii_lowercase().as_str(), "1" | "on" | "yes" | "true")),
            retry_wait: Duration::from_secs(1),
        })
    }
}

impl Cache {
    /// The cache that `HF_HUB_CACHE`, `HF_HOME`, `XDG_CACHE_HOME` or `HOME` leads to. Fails as a configuration error where none of them is set.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        Folders::from_variables(variable).cache().map(Self::new)
    }
}

/// Where `huggingface_hub` keeps things.
struct Folders {
    cache: Option<PathBuf>,
    /// The file with the token of `hf auth login`.
    token: Option<PathBuf>,
}

impl Folders {
    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let home = set("HOME").map(PathBuf::from);
        let path = |name: &str| set(name).map(|path| expanded(&path, home.as_deref()));
        let base = path("HF_HOME").or_else(|| {
            let caches = path("XDG_CACHE_HOME").or_else(|| Some(home.as_ref()?.join(".cache")))?;
            Some(caches.join("huggingface"))
        });
        let below = |name: &str| base.as_ref().map(|base| base.join(name));
        Self {
            cache: path("HF_HUB_CACHE")
                .or_else(|| path("HUGGINGFACE_HUB_CACHE"))
                .or_else(|| below("hub")),
            token: path("HF_TOKEN_PATH").or_else(|| below("token")),
        }
    }

    fn cache(&self) -> Result<PathBuf> {
        self.cache
            .clone()
            .ok_or_else(|| Error::configuration("no folder for models is known; set `HF_HOME`").with_param("HF_HOME"))
    }
}

fn expanded(path: &str, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> Result<HubSettings> {
        HubSettings::from_variables(|name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_folder_is_the_one_that_python_uses() {
        for (variables, cache) in [
            (&[("HOME", "/h")][..], "/h/.cache/huggingface/hub"),
            (&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")], "/x/huggingface/hub"),
            (&[("HOME", "/h"), ("HF_HOME", "~/hf")], "/h/hf/hub"),
            (&[("HOME", "/h"), ("HF_HOME", "/hf"), ("HF_HUB_CACHE", "/c")], "/c"),
            (&[("HF_HUB_CACHE", "/c"), ("HF_HOME", " ")], "/c"),
        ] {
            assert_eq!(settings(variables).unwrap().cache, Path::new(cache), "{variables:?}");
        }
        assert!(settings(&[]).unwrap_err().message().contains("HF_HOME"));
    }

    #[test]
    fn the_rest_is_read_as_python_reads_it() {
        let home = ("HOME", "/nonexistent");
        let plain = settings(&[home]).unwrap();
        assert_eq!(plain.endpoint.as_str(), "https://huggingface.co/");
        assert!(plain.token.is_none() && !plain.offline);

        let set = settings(&[
            home,
            ("HF_TOKEN", "hf_x\n"),
            ("HF_ENDPOINT", "http://mirror:81/hub/"),
            ("HF_HUB_OFFLINE", "ON"),
        ])
        .unwrap();
        assert_eq!(set.endpoint.as_str(), "http://mirror:81/hub");
        assert_eq!(set.token.unwrap().expose(), "hf_x");
        assert!(set.offline);
        assert!(!settings(&[home, ("HF_HUB_OFFLINE", "0")]).unwrap().offline);

        for (name, value) in [
            ("HF_ENDPOINT", "mirror"),
            ("HF_ENDPOINT", "ftp://mirror"),
            ("HF_ENDPOINT", "https://me:secret@mirror"),
            ("HF_TOKEN", "ä"),
        ] {
            let error = settings(&[home, (name, value)]).unwrap_err();
            assert_eq!(error.param(), Some(name), "{error}");
            assert!(!error.message().contains("secret"), "{error}");
        }
    }

    #[test]
    fn the_token_of_a_login_is_found() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "hf_stored\n").unwrap();
        let home = folder.path().to_str().unwrap();
        assert_eq!(
            settings(&[("HF_HOME", home)]).unwrap().token.unwrap().expose(),
            "hf_stored"
        );
        let both = settings(&[("HF_HOME", home), ("HF_TOKEN", "hf_set")]).unwrap();
        assert_eq!(both.token.unwrap().expose(), "hf_set");
    }
}
