//! A trial: a name, what it takes to run, and what it does.

use std::sync::Arc;

use futures::future::BoxFuture;
use puna_api::Capability;

use super::outcome::{Failure, Verdict};
use super::subject::Subject;
use super::target::Place;

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
    /// The target states this capability.
    Can(Capability),
    /// The target does not state this capability.
    Cannot(Capability),
    /// The target serves reranking.
    Rerank,
    /// The target lists its models.
    Models,
    /// The target tells its health.
    Health,
    /// Answers are known in advance: the text of the last message, or of the prompt.
    Echo,
    /// The target calls a stub upstream.
    Stub,
    /// The target works in this process.
    Inline,
    /// The target has a record that a configuration can name.
    Spec,
    /// The target's answers to faulty requests are its own or the stub's, not those of a service out of reach.
    Ours,
}

/// Whether a trial runs at a place.
pub(super) enum Selection {
    Runs,
    /// It would be meant for it, but something is missing.
    CannotRun(String),
    /// It is about something that the target does not do.
    IsNotMeant,
}

/// Makes a [`Trial`] of an async function, named by module and function.
macro_rules! trial {
    ($module:literal, $function:ident, $($need:expr),* $(,)?) => {
        $crate::conformance::trial::Trial::new(
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

    pub(super) fn selected_by(&self, place: &Place) -> Selection {
        // What the target does not do comes first: such a trial is not even listed.
        for need in &self.needs {
            let meant = match need {
                Need::Can(capability) => place.capabilities().has(*capability),
                Need::Cannot(capability) => !place.capabilities().has(*capability),
                Need::Rerank => place.serves_rerank(),
                Need::Models => place.lists_models(),
                Need::Health => place.tells_health(),
                Need::Stub => place.has_stub(),
                Need::Inline => place.is_inline(),
                Need::Spec => place.provider().is_some() && !place.is_live(),
                Need::Ours => !place.is_live(),
                Need::Echo => true,
            };
            if !meant {
                return Selection::IsNotMeant;
            }
        }
        for need in &self.needs {
            let missing = match need {
                Need::Echo if !place.echoes() => Some("what the model says is not known in advance".to_owned()),
                Need::Can(Capability::Chat | Capability::Completion) if place.chat_model().is_none() => {
                    Some(format!("no chat model is named{}", place.how_to_name("chat")))
                }
                Need::Can(Capability::Embeddings) if place.embedding_model().is_none() => {
                    Some(format!("no embedding model is named{}", place.how_to_name("embedding")))
                }
                Need::Rerank if place.rerank_model().is_none() => {
                    Some(format!("no rerank model is named{}", place.how_to_name("rerank")))
                }
                _ => None,
            };
            if let Some(reason) = missing {
                return Selection::CannotRun(reason);
            }
        }
        Selection::Runs
    }

    /// Runs the trial on a runtime of its own, with a provider of its own.
    pub(super) fn run(&self, place: &Arc<Place>) -> Verdict {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let patience = place.patience();
        let act = self.act;
        let verdict = runtime.block_on(async move {
            let whole = async {
                let subject = Subject::build(place).await?;
                act(subject).await
            };
            tokio::time::timeout(patience, whole)
                .await
                .unwrap_or_else(|_| Err(Failure::from(format!("the trial did not end within {patience:?}"))))
        });
        // A provider may still be busy on a blocking thread; the verdict does not wait for that.
        runtime.shutdown_background();
        verdict
    }
}
