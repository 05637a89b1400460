//! What the provider declares.

use puna_api::Api;

use super::subject::Subject;
use super::trial::{Need, Trial, trial};
use crate::conformance::outcome::{Failure, Verdict, ensure_eq};
use crate::conformance::record;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial!("provider", declares_what_the_target_states),
        trial!("provider", ends_its_tasks_at_shutdown),
        trial!("provider", its_type_says_where_it_works, Need::Spec),
        trial!("provider", its_sample_configuration_is_valid, Need::Spec),
        trial!("provider", an_unknown_configuration_key_is_refused, Need::Spec),
        trial!("provider", every_configuration_key_is_documented, Need::Spec),
    ]
}

async fn declares_what_the_target_states(subject: Subject) -> Verdict {
    ensure_eq!(
        subject.vector_io().capabilities(),
        subject.capabilities(),
        "the provider's capabilities"
    );
    Ok(())
}

async fn ends_its_tasks_at_shutdown(subject: Subject) -> Verdict {
    subject.restarted().await.map(drop)
}

fn provider(subject: &Subject) -> Result<&puna_api::ProviderSpec, Failure> {
    let provider = subject.target.provider.as_ref();
    provider.ok_or_else(|| "the target was not made from a provider's record".into())
}

async fn its_type_says_where_it_works(subject: Subject) -> Verdict {
    record::its_type_says_where_it_works(provider(&subject)?, Api::VectorIo)
}

async fn its_sample_configuration_is_valid(subject: Subject) -> Verdict {
    record::its_sample_configuration_is_valid(provider(&subject)?)
}

async fn an_unknown_configuration_key_is_refused(subject: Subject) -> Verdict {
    record::an_unknown_configuration_key_is_refused(provider(&subject)?)
}

async fn every_configuration_key_is_documented(subject: Subject) -> Verdict {
    record::every_configuration_key_is_documented(provider(&subject)?)
}
