//! The provider as a whole.

use super::super::outcome::{Verdict, ensure, ensure_eq};
use super::upload::{details, keep, read};
use super::{Act, FilesSubject, trials};
use crate::host::context;

pub(super) fn trials() -> Vec<(&'static str, Act)> {
    trials!(
        "provider",
        the_sample_configuration_is_accepted,
        an_unknown_key_is_refused,
        another_server_over_the_same_state_has_the_files
    )
}

async fn the_sample_configuration_is_accepted(subject: FilesSubject) -> Verdict {
    let sample = subject.target.spec.sample()?;
    let checked = subject.target.spec.check(sample);
    ensure!(checked.is_ok(), "the sample is refused: {:?}", checked.err());
    Ok(())
}

async fn an_unknown_key_is_refused(subject: FilesSubject) -> Verdict {
    let mut config = (subject.target.config)(subject.folder.path());
    config["no_such_key"] = true.into();
    let Err(problem) = subject.target.spec.check(config) else {
        return Err("an unknown key was taken".into());
    };
    ensure_eq!(problem.path, "no_such_key", "the place of the problem");
    Ok(())
}

async fn another_server_over_the_same_state_has_the_files(subject: FilesSubject) -> Verdict {
    let kept = keep(&*subject.files, details("a.txt"), b"hello").await?;
    let deleted = keep(&*subject.files, details("b.txt"), b"world").await?;
    subject.files.delete(&context(), &deleted.id).await?;
    let (second, _host) = subject.second().await?;
    ensure_eq!(second.get(&context(), &kept.id).await?, kept, "the file");
    ensure_eq!(read(&*second, &kept.id, None).await?, b"hello", "its bytes");
    ensure!(
        second.get(&context(), &deleted.id).await.is_err(),
        "a deleted file came back"
    );
    Ok(())
}
