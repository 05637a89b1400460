//! The suite passes a provider that does what it should, and fails those that do not.

use std::sync::Arc;
use std::time::Duration;

use puna_api::{Metric, SearchMode, VectorCapabilities};

use super::target::Target;
use super::{all_trials, listed};

mod reference;

use reference::Defect;

const ALL: VectorCapabilities = VectorCapabilities {
    modes: SearchMode::ALL,
    metrics: Metric::ALL,
};

fn target(defect: Option<Defect>, capabilities: VectorCapabilities) -> Target {
    Target::built_by(
        move |host| Box::pin(async move { reference::services(defect, capabilities, &host) }),
        defect.map_or(capabilities, |defect| defect.stated(capabilities)),
    )
    .patience(Duration::from_secs(300))
}

/// Every trial that the provider does not pass, with what it says.
fn failures(target: Target, names: Option<&[&'static str]>) -> Vec<(&'static str, String)> {
    let target = Arc::new(target);
    let chosen = all_trials()
        .into_iter()
        .filter(|trial| names.is_none_or(|names| names.contains(&trial.name)) && trial.is_meant_for(&target));
    chosen
        .filter_map(|trial| {
            trial
                .run(&target)
                .err()
                .map(|failure| (trial.name, failure.to_string()))
        })
        .collect()
}

#[test]
fn a_sound_provider_passes() {
    assert_eq!(failures(target(None, ALL), None), []);
}

#[test]
fn a_sound_provider_of_little_passes() {
    let little = VectorCapabilities {
        modes: &[SearchMode::Vector],
        metrics: &[Metric::L2],
    };
    let listed: Vec<String> = listed(target(None, little))
        .iter()
        .map(|trial| trial.name().to_owned())
        .collect();
    for name in ["keyword_search", "hybrid_search", "cosine", "dot"] {
        assert!(
            listed.contains(&format!("inline::lacking::{name}_is_refused_by_name")),
            "{listed:?}"
        );
    }
    assert!(!listed.iter().any(|name| name.contains("::keyword::")), "{listed:?}");
    assert_eq!(failures(target(None, little), None), []);
}

#[test]
fn defects_are_found() {
    let mut missed = Vec::new();
    for (defect, trials) in Defect::ALL {
        for trial in *trials {
            assert!(
                all_trials().iter().any(|known| known.name == *trial),
                "there is no trial {trial}"
            );
            if failures(target(Some(*defect), defect.has(ALL)), Some(&[*trial])).is_empty() {
                missed.push(format!("{defect:?} passes {trial}"));
            }
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn a_provider_that_hangs_fails_in_time() {
    let target = target(Some(Defect::Hangs), ALL).patience(Duration::from_millis(100));
    let failures = failures(target, Some(&["vector::answers_no_more_than_asked_for"]));
    assert!(failures[0].1.contains("did not end within 100ms"), "{failures:?}");
}
