//! What `config` of a `remote::s3` provider holds.

use puna_api::{Error, Result, Secret};
use puna_storage::{S3Settings, SqlReference, TableName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Files in an object store that speaks S3.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct S3Config {
    /// The bucket for the files' bytes.
    pub bucket_name: String,
    /// The bucket's region; `us-east-1` by default.
    #[serde(default = "region")]
    pub region: String,
    /// The id of an access key. By default what the machine's role or the container allows.
    #[serde(default)]
    pub aws_access_key_id: Option<String>,
    /// The access key.
    #[serde(default, skip_serializing)]
    pub aws_secret_access_key: Option<Secret<String>>,
    /// The token that belongs to an access key for a limited time.
    #[serde(default, skip_serializing)]
    pub aws_session_token: Option<Secret<String>>,
    /// Where the object store is, such as `http://minio:9000`; AWS by default. Without `https` nothing is encrypted on the way.
    #[serde(default)]
    pub endpoint_url: Option<String>,
    /// Whether the bucket is made where it is not there.
    #[serde(default)]
    pub auto_create_bucket: bool,
    /// The table for what is known of each file. By default `files_metadata` in the backend `sql_default`.
    #[serde(default)]
    pub metadata_store: Option<SqlReference>,
}

fn region() -> String {
    "us-east-1".to_owned()
}

impl S3Config {
    /// Checks what the types alone do not say.
    pub(crate) fn validate(&self) -> Result<()> {
        let wrong = |param: &str, message: &str| Err(Error::configuration(message).with_param(param));
        let is_bucket = (3..=63).contains(&self.bucket_name.len())
            && self
                .bucket_name
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_'));
        if !is_bucket {
            return wrong(
                "bucket_name",
                "must have 3 to 63 lower-case letters, digits, `-` and `.`, as the name of a bucket has",
            );
        }
        if self.region.is_empty()
            || !self
                .region
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        {
            return wrong("region", "must be the name of a region, such as `eu-central-1`");
        }
        match (&self.aws_access_key_id, &self.aws_secret_access_key) {
            (Some(_), None) => return wrong("aws_secret_access_key", "is required beside `aws_access_key_id`"),
            (None, Some(_)) => return wrong("aws_access_key_id", "is required beside `aws_secret_access_key`"),
            (None, None) if self.aws_session_token.is_some() => {
                return wrong("aws_session_token", "belongs to an access key, and none is given");
            }
            _ => {}
        }
        let endpoint = self.endpoint_url.as_deref().unwrap_or("https://");
        if !endpoint.starts_with("https://") && !endpoint.starts_with("http://") {
            return wrong("endpoint_url", "must start with `https://` or `http://`");
        }
        let table = self
            .metadata_store
            .as_ref()
            .and_then(|store| store.table_name.as_deref());
        table.map_or(Ok(()), |table| {
            TableName::new(table)
                .map(drop)
                .map_err(|error| error.with_param("metadata_store.table_name"))
        })
    }

    pub(crate) fn settings(&self) -> S3Settings {
        S3Settings {
            bucket: self.bucket_name.clone(),
            region: self.region.clone(),
            credentials: self.aws_access_key_id.clone().zip(self.aws_secret_access_key.clone()),
            session_token: self.aws_session_token.clone(),
            endpoint: self.endpoint_url.clone(),
            create_bucket: self.auto_create_bucket,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn every_mistake_is_named() {
        let check = |config| crate::PROVIDER.check(config);
        assert!(check(crate::PROVIDER.sample().unwrap()).is_ok());
        assert!(check(json!({ "bucket_name": "files" })).is_ok());
        for (config, path) in [
            (json!({}), ""),
            (json!({ "bucket_name": "A bucket" }), "bucket_name"),
            (json!({ "bucket_name": "files", "region": "" }), "region"),
            (
                json!({ "bucket_name": "files", "aws_access_key_id": "a" }),
                "aws_secret_access_key",
            ),
            (
                json!({ "bucket_name": "files", "aws_secret_access_key": "a" }),
                "aws_access_key_id",
            ),
            (
                json!({ "bucket_name": "files", "aws_session_token": "a" }),
                "aws_session_token",
            ),
            (
                json!({ "bucket_name": "files", "endpoint_url": "minio:9000" }),
                "endpoint_url",
            ),
            (
                json!({ "bucket_name": "files", "metadata_store": { "table_name": "" } }),
                "metadata_store.table_name",
            ),
        ] {
            assert_eq!(check(config.clone()).unwrap_err().path, path, "{config}");
        }
    }
}
