//! What a request says about the order of results, as the engine carries it out.

use puna_api::{Error, Fusion, Result, SearchMode};

use super::VectorStores;
use crate::{Ranker, RankingOptions};

/// How results are ordered.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ranking {
    /// How the lists of a hybrid search become one.
    pub(super) fusion: Fusion,
    /// The lowest score that is answered; any when absent.
    pub(super) threshold: Option<f32>,
    /// The model that orders what was found.
    pub(super) rerank: Option<Rerank>,
}

/// A model that orders what was found.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rerank {
    pub(super) model: String,
    /// How much its score counts beside the score of the search, above 0 and at most 1.
    pub(super) weight: f32,
}

impl VectorStores {
    /// Checks the options of a search. Those that say how two lists become one are allowed in every mode, and mean something in a hybrid one.
    pub(super) fn ranking(&self, options: &RankingOptions, mode: SearchMode) -> Result<Ranking> {
        let RankingOptions {
            ranker,
            score_threshold,
            alpha,
            impact_factor,
            weights,
            model,
        } = options;
        let defaults = &self.settings().retrieval;
        let ranker = ranker.unwrap_or_default();
        let only_for = |field: &str, ranker: &str| {
            let message = format!("`ranking_options.{field}` goes with the ranker `{ranker}` alone");
            Err(Error::invalid_request(message).with_param(format!("ranking_options.{field}")))
        };
        let is_open = matches!(ranker, Ranker::Auto | Ranker::Default20241115);
        if alpha.is_some() && !(is_open || ranker == Ranker::Weighted) {
            return only_for("alpha", "weighted");
        }
        if impact_factor.is_some() && !(is_open || ranker == Ranker::Rrf) {
            return only_for("impact_factor", "rrf");
        }
        let mut neural = if ranker == Ranker::Neural { 1.0 } else { 0.0 };
        let mut fusion = match (ranker, alpha, impact_factor) {
            (Ranker::Weighted, alpha, _) => Fusion::Weighted {
                alpha: alpha.unwrap_or(defaults.alpha),
            },
            (Ranker::Rrf, _, impact_factor) => Fusion::Rrf {
                impact_factor: impact_factor.unwrap_or(defaults.impact_factor),
            },
            (_, Some(_), Some(_)) => return only_for("impact_factor", "rrf"),
            (_, Some(alpha), None) => Fusion::Weighted { alpha: *alpha },
            (_, None, Some(impact_factor)) => Fusion::Rrf {
                impact_factor: *impact_factor,
            },
            (_, None, None) => defaults.fusion,
        };
        if let Some(weights) = weights {
            let all = [weights.vector, weights.keyword, weights.neural];
            let sum: f32 = all.iter().sum();
            if all.iter().any(|weight| !(0.0..=1.0).contains(weight)) || (sum - 1.0).abs() > 0.01 {
                let message = format!("`ranking_options.weights` must be from 0 to 1 and sum to 1, not to {sum}");
                return Err(Error::invalid_request(message).with_param("ranking_options.weights"));
            }
            neural = weights.neural;
            let lists = weights.vector + weights.keyword;
            if lists > 0.0 {
                fusion = Fusion::Weighted {
                    alpha: weights.vector / lists,
                };
            }
        }
        if mode == SearchMode::Hybrid {
            fusion.check("ranking_options")?;
        }
        let rerank = match (neural > 0.0, model) {
            (false, Some(_)) => return only_for("model", "neural"),
            (false, None) => None,
            (true, model) => Some(Rerank {
                model: self.rerank_model(model.as_deref())?,
                weight: neural,
            }),
        };
        Ok(Ranking {
            fusion,
            threshold: *score_threshold,
            rerank,
        })
    }

    fn rerank_model(&self, asked: Option<&str>) -> Result<String> {
        let model = asked.or(self.settings().default_rerank_model.as_deref());
        model.map(str::to_owned).ok_or_else(|| {
            let message = "the ranker `neural` needs `ranking_options.model`: this server's configuration names no model to rerank with";
            Error::invalid_request(message).with_param("ranking_options.model")
        })
    }
}
