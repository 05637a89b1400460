//! Who is asking: API keys as bearer tokens.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use puna_api::{Error, Principal, Result};
use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};

use crate::settings::ApiKey;

/// The accepted keys, as hashes: the time that a comparison takes tells nothing of a key.
pub(crate) struct ApiKeys(Vec<AcceptedKey>);

struct AcceptedKey {
    hash: [u8; SHA256_OUTPUT_LEN],
    principal: Principal,
}

impl ApiKeys {
    /// Hashes the keys.
    pub(crate) fn new(keys: &[ApiKey]) -> Self {
        let accepted = |(i, key): (usize, &ApiKey)| AcceptedKey {
            hash: hash(key.key.expose().as_bytes()),
            principal: Principal {
                name: key.name.clone().unwrap_or_else(|| format!("api-key-{}", i + 1)),
                attributes: Default::default(),
            },
        };
        Self(keys.iter().enumerate().map(accepted).collect())
    }

    /// The caller; `None` where no keys are set, so that everyone is served.
    pub(crate) fn authenticate(&self, headers: &HeaderMap) -> Result<Option<Principal>> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let Some(header) = headers.get(AUTHORIZATION) else {
            return Err(Error::unauthenticated(
                "no API key was sent; send one as the header `Authorization: Bearer KEY`",
            ));
        };
        let Some(token) = bearer_token(header.as_bytes()) else {
            return Err(Error::unauthenticated(
                "the header `Authorization` holds no bearer token; send `Authorization: Bearer KEY`",
            ));
        };
        let sent = hash(token);
        // All keys are compared, and all bytes of each.
        let mut found = None;
        for key in &self.0 {
            if key
                .hash
                .iter()
                .zip(&sent)
                .fold(0, |differences, (a, b)| differences | (a ^ b))
                == 0
            {
                found = Some(&key.principal);
            }
        }
        match found {
            Some(principal) => Ok(Some(principal.clone())),
            None => Err(Error::unauthenticated("the API key is not one of this server's").with_code("invalid_api_key")),
        }
    }
}

fn hash(key: &[u8]) -> [u8; SHA256_OUTPUT_LEN] {
    let mut hash = [0; SHA256_OUTPUT_LEN];
    hash.copy_from_slice(digest(&SHA256, key).as_ref());
    hash
}

fn bearer_token(header: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = header.split_at_checked(7)?;
    (scheme.eq_ignore_ascii_case(b"bearer ") && !token.is_empty()).then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use puna_api::Secret;

    use super::*;

    fn sent(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn without_keys_everyone_is_served() {
        assert_eq!(ApiKeys::new(&[]).authenticate(&sent("Bearer anything")).unwrap(), None);
    }

    #[test]
    fn a_key_names_its_principal() {
        let key = |name: Option<&str>, key: &str| ApiKey {
            name: name.map(str::to_owned),
            key: Secret::new(key.to_owned()),
        };
        let keys = ApiKeys::new(&[key(Some("alice"), "first"), key(None, "second")]);
        for (header, principal) in [("Bearer first", "alice"), ("bearer  second", "api-key-2")] {
            assert_eq!(keys.authenticate(&sent(header)).unwrap().unwrap().name, principal);
        }
        for header in [
            "Bearer third",
            "Bearer ",
            "Bearer",
            "Basic first",
            "first",
            "Bearer firstly",
            "Bearer firs",
        ] {
            assert!(keys.authenticate(&sent(header)).is_err(), "{header}");
        }
        assert!(keys.authenticate(&HeaderMap::new()).is_err());
    }
}
