//! A trial: a name, what it takes to run, and what it does.

use std::sync::Arc;

use futures::future::BoxFuture;
use puna_api::{Metric, SearchMode};

use super::subject::Subject;
use super::target::Target;
use crate::conformance::outcome::{Failure, Verdict};

/// One trial of the suite.
#[derive(Clone)]
pub(super) struct Trial {
    pub(super) name: &'static str,
    needs: Vec<Need>,
    act: fn(Subject) -> BoxFuture<'static, Verdict>,
}

/// What it takes to run a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// The provider declares this search mode.
    Mode(SearchMode),
    /// The provider does not declare this search mode.
    NoMode(SearchMode),
    /// The provider declares this metric.
    Metric(Metric),
    /// The provider does not declare this metric.
    NoMetric(Metric),
    /// The target has a record that a configuration can name.
    Spec,
}

/// Makes a [`Trial`] of an async function, named by module and function.
macro_rules! trial {
    ($module:literal, $function:ident $(, $need:expr)* $(,)?) => {
        $crate::conformance::vector_io::trial::Trial::new(
            concat!($module, "::", stringify!($function)),
            vec![$($need),*],
            |subject| Box::pin($function(subject)),
        )
    };
}

pub(super) use trial;

impl Trial {
    pub(super) fn new(name: &'static str, needs: Vec<Need>, act: fn(Subject) -> BoxFuture<'static, Verdict>) -> Self {
        Self { name, needs, act }
    }

    /// Whether it is about what the target does.
    pub(super) fn is_meant_for(&self, target: &Target) -> bool {
        let capabilities = target.capabilities;
        self.needs.iter().all(|need| match need {
            Need::Mode(mode) => capabilities.modes.contains(mode),
            Need::NoMode(mode) => !capabilities.modes.contains(mode),
            Need::Metric(metric) => capabilities.metrics.contains(metric),
            Need::NoMetric(metric) => !capabilities.metrics.contains(metric),
            Need::Spec => target.provider.is_some(),
        })
    }

    /// Runs the trial on a runtime of its own, with a provider of its own.
    pub(super) fn run(&self, target: &Arc<Target>) -> Verdict {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let patience = target.patience;
        let act = self.act;
        let verdict = runtime.block_on(async move {
            let whole = async { act(Subject::build(target).await?).await };
            tokio::time::timeout(patience, whole)
                .await
                .unwrap_or_else(|_| Err(Failure::from(format!("the trial did not end within {patience:?}"))))
        });
        // A provider may still be busy on a blocking thread; the verdict does not wait for that.
        runtime.shutdown_background();
        verdict
    }
}
