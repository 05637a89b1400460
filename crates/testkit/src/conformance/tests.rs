//! The suite passes providers that do what they should, and fails those that do not.

use std::sync::Arc;
use std::time::Duration;

use puna_api::{Capabilities, Capability};

use super::target::{Place, Target};
use super::trial::Selection;
use super::{all_trials, listed};
use crate::stub::StubUpstream;

mod inline;
mod records;
mod remote;

use inline::Defect as InlineDefect;
use remote::Defect as RemoteDefect;

/// Short enough to wait for what never ends, and long enough for what does.
fn patience(hangs: bool) -> Duration {
    Duration::from_secs(if hangs { 2 } else { 30 })
}

fn without(capability: Option<Capability>) -> Capabilities {
    let kept: Vec<Capability> = Capability::ALL
        .iter()
        .copied()
        .filter(|one| Some(*one) != capability)
        .collect();
    Capabilities::of(&kept)
}

fn inline_target(defect: Option<InlineDefect>) -> Target {
    let stated = without(defect.and_then(InlineDefect::hidden_capability));
    Target::built_by(move |host| Box::pin(async move { Ok(inline::services(defect, &host)) }))
        .capabilities(stated)
        .chat_model(StubUpstream::CHAT_MODEL)
        .embedding_model(StubUpstream::EMBEDDING_MODEL)
        .rerank_model(StubUpstream::RERANK_MODEL)
        .echoes()
        .patience(patience(defect.is_some_and(InlineDefect::hangs)))
}

fn remote_target(defect: Option<RemoteDefect>) -> Target {
    Target::remote_built_by(move |endpoint, _| Box::pin(async move { Ok(remote::services(defect, endpoint)) }))
        .capabilities(Capabilities::all())
        .patience(patience(defect.is_some_and(RemoteDefect::hangs)))
}

fn place(target: Target) -> Arc<Place> {
    let place = target.places().into_iter().next().unwrap();
    Arc::new(place.unwrap_or_else(|absent| panic!("{}", absent.reason)))
}

/// Every trial that a sound provider does not pass, with what it says.
fn failures(target: Target, names: Option<&[&'static str]>) -> Vec<(&'static str, String)> {
    let place = place(target);
    let chosen = all_trials()
        .into_iter()
        .filter(|trial| names.is_none_or(|names| names.contains(&trial.name)));
    chosen
        .filter_map(|trial| {
            assert!(
                matches!(trial.selected_by(&place), Selection::Runs | Selection::IsNotMeant),
                "{}",
                trial.name
            );
            match trial.selected_by(&place) {
                Selection::Runs => trial.run(&place).err().map(|failure| (trial.name, failure.to_string())),
                Selection::CannotRun(_) | Selection::IsNotMeant => None,
            }
        })
        .collect()
}

/// Checks that each defect fails the trials that are about it.
fn assert_found<D: Copy + std::fmt::Debug>(defects: &[(D, &[&'static str])], target: impl Fn(Option<D>) -> Target) {
    let mut missed = Vec::new();
    for (defect, trials) in defects {
        for trial in *trials {
            assert!(
                all_trials().iter().any(|known| known.name == *trial),
                "there is no trial {trial}"
            );
            if failures(target(Some(*defect)), Some(&[*trial])).is_empty() {
                missed.push(format!("{defect:?} passes {trial}"));
            }
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn a_sound_inline_provider_passes() {
    assert_eq!(failures(inline_target(None), None), []);
}

#[test]
fn a_provider_serves_less_where_its_target_says_so() {
    let target = inline_target(Some(InlineDefect::ServesNoModels)).without_models();
    assert_eq!(failures(target, None), []);
    let target = inline_target(Some(InlineDefect::ServesNoHealth)).without_health();
    assert_eq!(failures(target, None), []);
}

#[test]
fn a_sound_remote_provider_passes() {
    assert_eq!(failures(remote_target(None), None), []);
}

#[test]
fn defects_of_inline_providers_are_found() {
    assert_found(InlineDefect::ALL, inline_target);
}

#[test]
fn defects_of_remote_providers_are_found() {
    assert_found(RemoteDefect::ALL, remote_target);
}

#[test]
fn a_sound_record_passes() {
    assert_eq!(failures(records::target(records::SOUND), Some(records::TRIALS)), []);
}

#[test]
fn defects_of_records_are_found() {
    let failed: Vec<_> = failures(records::target(records::SLOPPY), Some(records::TRIALS))
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(failed, records::TRIALS);
}

#[test]
fn a_provider_that_hangs_fails_in_time() {
    let target = inline_target(Some(InlineDefect::Hangs)).patience(Duration::from_millis(100));
    let failures = failures(target, Some(&["chat::shows_the_requested_model"]));
    assert!(failures[0].1.contains("did not end within 100ms"), "{failures:?}");
}

#[test]
fn a_live_service_without_an_address_is_listed_with_the_reason() {
    let target = remote_target(None).live(super::Live::at("PUNA_TESTKIT_NO_SUCH_VARIABLE"));
    let listed = listed(target);
    let live: Vec<_> = listed.iter().filter(|trial| trial.name().starts_with("live")).collect();
    assert_eq!(live.len(), 1);
    assert!(live[0].has_ignored_flag());
    assert_eq!(live[0].kind(), "not run: PUNA_TESTKIT_NO_SUCH_VARIABLE is not set");
    assert!(
        listed
            .iter()
            .any(|trial| trial.name() == "stub::chat::shows_the_requested_model")
    );
}

#[test]
fn a_trial_without_its_model_is_listed_with_the_reason() {
    let target = Target::built_by(|host| Box::pin(async move { Ok(inline::services(None, &host)) }))
        .capabilities(Capabilities::all())
        .chat_model(StubUpstream::CHAT_MODEL);
    let listed = listed(target);
    let find = |name: &str| listed.iter().find(|trial| trial.name() == name).unwrap();
    let embeddings = find("inline::embeddings::keeps_the_order_of_the_input");
    assert!(embeddings.has_ignored_flag());
    assert!(
        embeddings.kind().contains("no embedding model is named"),
        "{}",
        embeddings.kind()
    );
    let echo = find("inline::chat::echoes_the_last_message");
    assert!(echo.kind().contains("not known in advance"), "{}", echo.kind());
    assert!(!find("inline::chat::counts_tokens").has_ignored_flag());
    assert!(
        !listed
            .iter()
            .any(|trial| trial.name().contains("::lacking::") || trial.name().contains("::wire::"))
    );
}

#[test]
fn what_is_not_stated_has_to_be_refused() {
    let nothing = Target::built_by(|host| Box::pin(async move { Ok(inline::services(None, &host)) }));
    let names: Vec<String> = listed(nothing).iter().map(|trial| trial.name().to_owned()).collect();
    for name in [
        "chat_is_unsupported",
        "completion_is_unsupported",
        "embeddings_are_unsupported",
    ] {
        assert!(names.contains(&format!("inline::lacking::{name}")), "{names:?}");
    }
    assert!(!names.iter().any(|name| name.contains("::chat::")), "{names:?}");
}
