//! Models that are in no configuration, and that may be registered while a server runs.

use std::path::{Component, Path, PathBuf};

use puna_api::{Error, ErrorKind, Result};

use crate::ModelName;

/// Checks the folders of a configuration whose models may be registered by their paths.
///
/// # Errors
/// A configuration error that names the first one that is no absolute path, as `registrable.folders[PLACE]`.
pub fn check_open_folders(folders: &[PathBuf]) -> Result<()> {
    match folders.iter().position(|folder| !folder.is_absolute()) {
        None => Ok(()),
        Some(place) => {
            let message = format!("must be an absolute path, not `{}`", folders[place].display());
            Err(Error::configuration(message).with_param(format!("registrable.folders[{place}]")))
        }
    }
}

/// Checks that a model may be registered by this id, beside those of the configuration, which are given by their ids and paths: a name
/// of the hub, or an absolute path into one of the folders.
///
/// # Errors
/// - Not found, as `model_not_found`, where it is neither a name nor a path.
/// - A configuration error where the path leads into none of the folders, where the name is a wrong one, or where the configuration
///   has the model.
pub fn check_registrable<'a>(
    id: &str,
    folders: &[PathBuf],
    mut configured: impl Iterator<Item = (&'a str, &'a Path)>,
) -> Result<()> {
    let path = Path::new(id);
    let name = ModelName::of_path(path).map_err(|cause| Error::configuration(cause.message()))?;
    if name.is_none() && !path.is_absolute() {
        let there: Vec<&str> = configured.map(|(id, _)| id).collect();
        let message = format!(
            "the model `{id}` is not configured; there are: {}; others go by `hf:ORG/NAME`, once `puna model pull` got them, or by their path in \
             one of the folders of `registrable.folders`",
            there.join(", ")
        );
        return Err(Error::not_found(message)
            .with_code("model_not_found")
            .with_param("model"));
    }
    if name.is_none() && !folders.iter().any(|folder| is_inside(path, folder)) {
        return Err(Error::configuration(format!(
            "`{id}` is in none of the folders whose models may be registered (`registrable.folders`)"
        )));
    }
    match configured.find(|(_, other)| *other == path) {
        // Loaded twice, it would take twice the memory.
        Some((configured, _)) => Err(Error::configuration(format!(
            "the configuration has the model `{id}` already; it goes by `{configured}` there"
        ))),
        None => Ok(()),
    }
}

/// What a registration is answered with for which a model cannot be found or used: what is wrong is the request.
pub fn refused(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Configuration | ErrorKind::NotFound => Error::invalid_request(error.message()).with_source(error),
        _ => error,
    }
}

/// Whether a path leads into a folder, or to it. Links are the operator's to place.
fn is_inside(path: &Path, folder: &Path) -> bool {
    path.strip_prefix(folder)
        .is_ok_and(|rest| rest.components().all(|part| matches!(part, Component::Normal(_))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_operator_opened_can_be_registered() {
        let folders = ["/models", "/one/model"].map(PathBuf::from);
        let check = |id: &str| {
            let configured = [
                ("demo", Path::new("puna/demo")),
                ("pulled", Path::new("hf:team/pulled")),
            ];
            check_registrable(id, &folders, configured.into_iter())
        };
        for id in [
            "/models/a",
            "/models/deep/a.gguf",
            "/models//a",
            "/one/model",
            "hf:team/tiny",
            "hf:team/tiny@v2",
        ] {
            check(id).unwrap();
        }
        for id in ["a", "models/a", "./a", "../models/a", "puna/demo", ""] {
            let error = check(id).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound, "{id}");
            assert!(error.message().contains("there are: demo, pulled;"), "{id}: {error}");
        }
        for (ids, message) in [
            (
                &[
                    "/",
                    "/etc",
                    "/modelsx/a",
                    "/models/../etc",
                    "/models/a/../../etc",
                    "/one",
                ][..],
                "`registrable.folders`",
            ),
            (&["hf:a/b/c"], "names no model of the hub"),
            (&["hf:team/pulled"], "it goes by `pulled` there"),
        ] {
            for id in ids {
                let error = check(id).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Configuration, "{id}");
                assert!(error.message().contains(message), "{id}: {error}");
                assert_eq!(refused(error).kind(), ErrorKind::InvalidRequest);
            }
        }
    }

    #[test]
    fn open_folders_are_absolute() {
        check_open_folders(&["/a".into(), "/b/c".into()]).unwrap();
        let error = check_open_folders(&["/a".into(), "b".into()]).unwrap_err();
        assert_eq!(error.param(), Some("registrable.folders[1]"));
        assert_eq!(error.message(), "must be an absolute path, not `b`");
    }
}
