//! How chunks are found.

use puna_api::{Error, Filter, Fusion, Result, SearchMode};
use puna_vector_stores::{QueryChunks, Ranker, RankingOptions};
use schemars::JsonSchema;
use serde::Deserialize;

/// How many chunks are found by default, as in the original.
const MAX_CHUNKS: u32 = 3;

/// How chunks are found. (Llama Stack: the keys that its own stores know)
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "QueryChunksParams")]
pub(super) struct QueryParams {
    /// The most chunks to look at, 1 to 1,000; 3 when absent.
    #[serde(default)]
    max_chunks: Option<u32>,
    /// The most chunks to answer, when that is less than `max_chunks`.
    #[serde(default)]
    max_num_results: Option<u32>,
    /// What the search goes by; the configured mode, or `vector`, when absent.
    #[serde(default)]
    mode: Option<SearchMode>,
    /// The lowest score, as the provider has them; any when absent.
    #[serde(default)]
    score_threshold: Option<f32>,
    /// Which chunks may be found, by their metadata or, for chunks of files, by the file's attributes.
    #[serde(default)]
    filters: Option<Filter>,
    /// How the two lists of a hybrid search become one, or a model orders what was found.
    #[serde(default)]
    reranker_type: Option<RankerName>,
    /// The settings of that.
    #[serde(default)]
    reranker_params: Option<RankerParams>,
    /// Both in one, as they were sent up to 0.3.
    #[serde(default)]
    ranker: Option<NestedRanker>,
}

/// What orders chunks. (Llama Stack)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum RankerName {
    /// Reciprocal rank fusion.
    Rrf,
    /// The weighted mean of scores.
    Weighted,
    /// A rerank model.
    Neural,
}

/// The settings of what orders chunks. (Llama Stack)
#[derive(Debug, Default, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RankerParams {
    /// How little first ranks count for `rrf`, above 0; 60 when absent.
    #[serde(default, alias = "k")]
    impact_factor: Option<f32>,
    /// The weight of vectors for `weighted`, 0 to 1; 0.5 when absent.
    #[serde(default)]
    alpha: Option<f32>,
    /// The model for `neural`.
    #[serde(default)]
    model: Option<String>,
}

/// What orders chunks, with its settings. (Llama Stack up to 0.3)
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NestedRanker {
    /// What orders.
    #[serde(rename = "type", alias = "strategy")]
    name: RankerName,
    /// For `rrf`.
    #[serde(default)]
    impact_factor: Option<f32>,
    /// For `weighted`.
    #[serde(default)]
    alpha: Option<f32>,
    /// The same.
    #[serde(default)]
    params: Option<RankerParams>,
}

/// The parameters of a query, checked.
#[derive(Debug)]
pub(super) struct CheckedParams {
    pub(super) mode: Option<SearchMode>,
    pub(super) filter: Option<Filter>,
    pub(super) max_chunks: u32,
    /// The most chunks to answer.
    pub(super) most: usize,
    pub(super) ranking: RankingOptions,
}

impl QueryParams {
    /// Checks what their types cannot say. An error names the place below `params`.
    pub(super) fn check(self) -> Result<CheckedParams> {
        let max_chunks = count("max_chunks", self.max_chunks, MAX_CHUNKS)?;
        let most = count("max_num_results", self.max_num_results, max_chunks)?;
        if let Some(filter) = &self.filters {
            filter.check("params.filters")?;
        }
        if self.score_threshold.is_some_and(|threshold| !threshold.is_finite()) {
            return Err(invalid("score_threshold", "it must be a finite number"));
        }
        let (name, params, place) = match (self.reranker_type, self.reranker_params, self.ranker) {
            (None, None, Some(nested)) => {
                let params = nested.params.unwrap_or_default();
                let params = RankerParams {
                    impact_factor: params.impact_factor.or(nested.impact_factor),
                    alpha: params.alpha.or(nested.alpha),
                    model: params.model,
                };
                (Some(nested.name), params, "ranker")
            }
            (_, _, Some(_)) => {
                return Err(invalid(
                    "ranker",
                    "it goes with neither `reranker_type` nor `reranker_params`",
                ));
            }
            (None, Some(_), None) => return Err(invalid("reranker_params", "it needs a `reranker_type`")),
            (name, params, None) => (name, params.unwrap_or_default(), "reranker_params"),
        };
        Ok(CheckedParams {
            mode: self.mode,
            filter: self.filters,
            max_chunks,
            most: most as usize,
            ranking: RankingOptions {
                score_threshold: self.score_threshold,
                ..ranking(name, params, place)?
            },
        })
    }
}

/// What orders chunks, as the engine has it; settings of another ranker are refused.
fn ranking(name: Option<RankerName>, params: RankerParams, place: &str) -> Result<RankingOptions> {
    let RankerParams {
        impact_factor,
        alpha,
        model,
    } = params;
    let others = [
        ("impact_factor", impact_factor.is_some(), RankerName::Rrf),
        ("alpha", alpha.is_some(), RankerName::Weighted),
        ("model", model.is_some(), RankerName::Neural),
    ];
    if let Some((field, ..)) = others
        .iter()
        .find(|(_, is_sent, goes_with)| *is_sent && name != Some(*goes_with))
    {
        return Err(invalid(&format!("{place}.{field}"), "it goes with another ranker"));
    }
    let ranker = match name {
        None => None,
        Some(RankerName::Rrf) => {
            let factor = impact_factor.unwrap_or(60.0);
            Fusion::Rrf { impact_factor: factor }.check(&format!("params.{place}"))?;
            Some(Ranker::Rrf)
        }
        Some(RankerName::Weighted) => {
            let alpha = alpha.unwrap_or(0.5);
            Fusion::Weighted { alpha }.check(&format!("params.{place}"))?;
            Some(Ranker::Weighted)
        }
        Some(RankerName::Neural) => Some(Ranker::Neural),
    };
    Ok(RankingOptions {
        ranker,
        impact_factor,
        alpha,
        model,
        ..RankingOptions::default()
    })
}

fn count(name: &str, sent: Option<u32>, default: u32) -> Result<u32> {
    let number = sent.unwrap_or(default);
    if (1..=QueryChunks::MOST).contains(&number) {
        return Ok(number);
    }
    let problem = format!("it is {number}; send a whole number from 1 to {}", QueryChunks::MOST);
    Err(invalid(name, &problem))
}

fn invalid(name: &str, problem: &str) -> Error {
    let param = format!("params.{name}");
    Error::invalid_request(format!("`{param}`: {problem}")).with_param(param)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(params: Value) -> Result<CheckedParams> {
        serde_json::from_value::<QueryParams>(params).unwrap().check()
    }

    #[test]
    fn both_spellings_of_a_ranker_mean_the_same() {
        let expected = RankingOptions {
            ranker: Some(Ranker::Weighted),
            alpha: Some(0.25),
            ..RankingOptions::default()
        };
        for params in [
            json!({ "reranker_type": "weighted", "reranker_params": { "alpha": 0.25 } }),
            json!({ "ranker": { "strategy": "weighted", "params": { "alpha": 0.25 } } }),
            json!({ "ranker": { "type": "weighted", "alpha": 0.25 } }),
        ] {
            assert_eq!(check(params).unwrap().ranking, expected);
        }
        let plain = check(json!({})).unwrap();
        assert_eq!(
            (plain.max_chunks, plain.most, plain.ranking),
            (3, 3, RankingOptions::default())
        );
        let counted = check(json!({ "max_chunks": 20, "max_num_results": 5 })).unwrap();
        assert_eq!((counted.max_chunks, counted.most), (20, 5));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (params, place) in [
            (json!({ "max_chunks": 0 }), "params.max_chunks"),
            (json!({ "max_chunks": 1001 }), "params.max_chunks"),
            (json!({ "max_num_results": 0 }), "params.max_num_results"),
            (
                json!({ "filters": { "type": "eq", "key": "", "value": 1 } }),
                "params.filters.key",
            ),
            (json!({ "reranker_params": {} }), "params.reranker_params"),
            (
                json!({ "reranker_type": "rrf", "ranker": { "type": "rrf" } }),
                "params.ranker",
            ),
            (
                json!({ "reranker_type": "rrf", "reranker_params": { "alpha": 0.5 } }),
                "params.reranker_params.alpha",
            ),
            (
                json!({ "reranker_type": "weighted", "reranker_params": { "alpha": 2 } }),
                "params.reranker_params.alpha",
            ),
            (
                json!({ "ranker": { "type": "rrf", "impact_factor": 0 } }),
                "params.ranker.impact_factor",
            ),
        ] {
            let error = check(params.clone()).unwrap_err();
            assert_eq!(error.param(), Some(place), "{params}: {error}");
        }
    }
}
