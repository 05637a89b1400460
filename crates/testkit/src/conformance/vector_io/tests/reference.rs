//! A provider that keeps chunks in a list, scans it, and writes it to a file as a whole; and the ways in which it can be broken.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use puna_api::{
    Chunk, ChunkPage, ChunkQuery, ChunkSelection, DeleteChunks, Error, Filter, Fusion, Host, ListChunks, Metric,
    RequestContext, Result, ScoredChunk, SearchChunks, SearchMode, Services, UpsertChunks, VectorCapabilities,
    VectorIndex, VectorIo,
};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::conformance::vector_io::material::score;

/// A way in which the provider is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Defect {
    DeclaresLess,
    Lacks(SearchMode),
    LacksMetric(Metric),
    ForgetsEverything,
    ForgetsDeletions,
    ForgetsMetrics,
    MakesIndexesAnew,
    KeepsDeletedIndexes,
    SharesChunks,
    FoldsIds,
    TakesAnyIndexId,
    MakesWhatIsMissing,
    KeepsNamesakes,
    KeepsOldWords,
    KeepsHalves,
    ChecksNothing,
    RoundsNumbers,
    DropsMetadata,
    SortsPlacesAsText,
    NeverHasMore,
    IgnoresLimits,
    IgnoresThresholds,
    SearchesBackwards,
    MixesUpMetrics,
    SquaresDistances,
    OrdersEqualsBackwards,
    SeesLittle,
    FiltersAfterwards,
    FiltersLoosely,
    IgnoresEmptyFilters,
    TakesOperators,
    MindsCase,
    FindsEverything,
    CountsNoWords,
    FusesShallowLists,
    IgnoresFactors,
    FusesVectorsOnly,
    Hangs,
}

impl Defect {
    /// Each with trials that are about it.
    pub(super) const ALL: &'static [(Self, &'static [&'static str])] = &[
        (Self::DeclaresLess, &["provider::declares_what_the_target_states"]),
        (
            Self::Lacks(SearchMode::Keyword),
            &["lacking::keyword_search_is_refused_by_name"],
        ),
        (
            Self::Lacks(SearchMode::Hybrid),
            &["lacking::hybrid_search_is_refused_by_name"],
        ),
        (
            Self::Lacks(SearchMode::Vector),
            &["lacking::vector_search_is_refused_by_name"],
        ),
        (
            Self::LacksMetric(Metric::Cosine),
            &["lacking::cosine_is_refused_by_name"],
        ),
        (Self::LacksMetric(Metric::Dot), &["lacking::dot_is_refused_by_name"]),
        (Self::LacksMetric(Metric::L2), &["lacking::l2_is_refused_by_name"]),
        (
            Self::ForgetsEverything,
            &[
                "durability::all_is_there_after_a_restart",
                "durability::every_restart_goes_on",
                "indexes::made_at_once_there_is_one",
            ],
        ),
        (
            Self::ForgetsDeletions,
            &[
                "durability::deletions_hold_after_a_restart",
                "chunks::are_deleted_by_their_document",
            ],
        ),
        (Self::ForgetsMetrics, &["durability::all_is_there_after_a_restart"]),
        (
            Self::MakesIndexesAnew,
            &[
                "indexes::made_again_nothing_changes",
                "indexes::another_dimension_is_a_conflict",
                "indexes::another_metric_is_a_conflict",
            ],
        ),
        (
            Self::KeepsDeletedIndexes,
            &[
                "indexes::deleted_it_is_gone",
                "indexes::deleted_and_made_again_it_is_empty",
            ],
        ),
        (Self::SharesChunks, &["indexes::know_nothing_of_each_other"]),
        (Self::FoldsIds, &["indexes::ids_of_odd_characters_are_kept_apart"]),
        (
            Self::TakesAnyIndexId,
            &[
                "indexes::ids_of_other_characters_are_refused",
                "indexes::a_dimension_out_of_bounds_is_refused",
            ],
        ),
        (Self::MakesWhatIsMissing, &["indexes::a_missing_one_is_not_found"]),
        (
            Self::KeepsNamesakes,
            &[
                "chunks::a_namesake_takes_the_place",
                "chunks::a_namesake_may_change_the_document",
                "chunks::the_last_of_namesakes_in_a_request_stays",
            ],
        ),
        (
            Self::KeepsOldWords,
            &["chunks::a_namesake_takes_the_place_in_searches_by_words"],
        ),
        (
            Self::KeepsHalves,
            &[
                "chunks::none_of_a_request_with_another_dimension_is_kept",
                "chunks::numbers_that_are_none_are_refused",
            ],
        ),
        (
            Self::ChecksNothing,
            &[
                "chunks::none_of_a_request_with_another_dimension_is_kept",
                "chunks::numbers_that_are_none_are_refused",
                "chunks::ids_without_characters_are_refused",
                "chunks::a_limit_of_0_is_refused",
                "vector::a_query_of_another_dimension_is_refused",
                "vector::a_threshold_that_is_no_number_is_refused",
                "hybrid::a_fusion_that_makes_no_sense_is_refused",
                "hybrid::a_query_of_another_dimension_is_refused",
                "filters::what_is_out_of_bounds_is_refused_with_its_place",
            ],
        ),
        (Self::RoundsNumbers, &["chunks::come_back_as_they_came"]),
        (Self::DropsMetadata, &["chunks::come_back_as_they_came"]),
        (Self::SortsPlacesAsText, &["chunks::are_listed_in_their_order_by_pages"]),
        (Self::NeverHasMore, &["chunks::are_listed_in_their_order_by_pages"]),
        (Self::IgnoresLimits, &["vector::answers_no_more_than_asked_for"]),
        (
            Self::IgnoresThresholds,
            &[
                "vector::a_threshold_keeps_lower_scores_out",
                "keyword::a_threshold_keeps_lower_scores_out",
                "hybrid::a_threshold_keeps_lower_scores_out",
            ],
        ),
        (
            Self::SearchesBackwards,
            &[
                "vector::cosine_finds_the_nearest",
                "keyword::more_and_rarer_words_count_more",
            ],
        ),
        (
            Self::MixesUpMetrics,
            &["vector::cosine_finds_the_nearest", "vector::dot_finds_the_nearest"],
        ),
        (Self::SquaresDistances, &["vector::l2_finds_the_nearest"]),
        (
            Self::OrdersEqualsBackwards,
            &[
                "vector::equal_scores_come_by_their_ids",
                "keyword::equal_scores_come_by_their_ids",
            ],
        ),
        (
            Self::SeesLittle,
            &[
                "vector::among_many_most_of_the_nearest_are_found",
                "vector::vectors_that_all_look_alike_are_told_apart",
                "chunks::a_big_batch_is_kept_whole",
            ],
        ),
        (
            Self::FiltersAfterwards,
            &[
                "filters::hold_before_the_best_are_chosen",
                "filters::hold_before_the_best_of_many_are_chosen",
            ],
        ),
        (
            Self::FiltersLoosely,
            &[
                "filters::each_operator_means_what_it_should",
                "filters::random_ones_mean_what_they_should",
            ],
        ),
        (
            Self::IgnoresEmptyFilters,
            &[
                "filters::each_operator_means_what_it_should",
                "filters::hold_before_the_best_are_chosen",
            ],
        ),
        (Self::TakesOperators, &["keyword::no_character_is_an_operator"]),
        (Self::MindsCase, &["keyword::finds_chunks_with_the_words"]),
        (
            Self::FindsEverything,
            &[
                "keyword::finds_chunks_with_the_words",
                "keyword::without_words_nothing_is_found",
            ],
        ),
        (Self::CountsNoWords, &["keyword::more_and_rarer_words_count_more"]),
        (Self::FusesShallowLists, &["hybrid::is_the_fusion_of_both_lists"]),
        (Self::IgnoresFactors, &["hybrid::is_the_fusion_of_both_lists"]),
        (Self::FusesVectorsOnly, &["hybrid::finds_what_either_finds"]),
    ];

    /// What the target says of a provider with the defect.
    pub(super) fn stated(self, has: VectorCapabilities) -> VectorCapabilities {
        let modes = match self {
            Self::Lacks(SearchMode::Vector) => &[SearchMode::Keyword],
            Self::Lacks(_) => &[SearchMode::Vector],
            Self::DeclaresLess => SearchMode::ALL,
            _ => has.modes,
        };
        let metrics = match self {
            Self::LacksMetric(Metric::Cosine) => &[Metric::Dot],
            Self::LacksMetric(_) => &[Metric::Cosine],
            _ => has.metrics,
        };
        VectorCapabilities { modes, metrics }
    }

    /// What a provider with the defect has.
    pub(super) fn has(self, all: VectorCapabilities) -> VectorCapabilities {
        match self {
            Self::DeclaresLess => VectorCapabilities {
                modes: &[SearchMode::Vector, SearchMode::Keyword],
                ..all
            },
            _ => all,
        }
    }
}

pub(super) fn services(defect: Option<Defect>, capabilities: VectorCapabilities, host: &Host) -> Result<Services> {
    let file = host.data_dir()?.join("indexes.json");
    let indexes = match std::fs::read(&file) {
        Ok(bytes) if defect != Some(Defect::ForgetsEverything) => read(&bytes, defect),
        _ => BTreeMap::new(),
    };
    Ok(Services::default().with_vector_io(Arc::new(Reference {
        defect,
        capabilities,
        file,
        indexes: Mutex::new(indexes),
    })))
}

struct Reference {
    defect: Option<Defect>,
    capabilities: VectorCapabilities,
    file: PathBuf,
    indexes: Mutex<BTreeMap<String, Index>>,
}

struct Index {
    index: VectorIndex,
    chunks: Vec<Chunk>,
    /// What chunks said before they were replaced.
    old_words: BTreeMap<String, String>,
}

impl Reference {
    fn is(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    fn key(&self, index_id: &str) -> String {
        match self.defect {
            Some(Defect::FoldsIds) => index_id.to_lowercase().replace('.', "_"),
            Some(Defect::SharesChunks) => "all".to_owned(),
            _ => index_id.to_owned(),
        }
    }

    fn save(&self, indexes: &BTreeMap<String, Index>) -> Result<()> {
        let saved: Vec<Value> = indexes.values().map(shown).collect();
        std::fs::write(&self.file, json!(saved).to_string()).map_err(|error| Error::internal(error.to_string()))
    }

    fn score(&self, metric: Metric, query: &[f32], chunk: &Chunk) -> f32 {
        match (self.defect, metric) {
            (Some(Defect::MixesUpMetrics), Metric::Cosine) => score(Metric::Dot, query, &chunk.vector),
            (Some(Defect::MixesUpMetrics), Metric::Dot) => score(Metric::Cosine, query, &chunk.vector),
            (Some(Defect::SquaresDistances), Metric::L2) => {
                let distance = 1.0 / score(metric, query, &chunk.vector) - 1.0;
                1.0 / (1.0 + distance * distance)
            }
            _ => score(metric, query, &chunk.vector),
        }
    }

    fn by_vector(&self, index: &Index, query: &[f32], filter: &Filter, limit: usize) -> Vec<(String, f32)> {
        let chunks = index.chunks.iter().enumerate();
        let seen = chunks.filter(|(place, _)| !self.is(Defect::SeesLittle) || place % 3 == 0);
        let scored = seen.map(|(_, chunk)| (chunk, self.score(index.index.metric, query, chunk)));
        self.best(scored.collect(), filter, limit)
    }

    fn by_words(&self, index: &Index, text: &str, filter: &Filter, limit: usize) -> Vec<(String, f32)> {
        let asked: BTreeSet<String> = self.words(text).into_iter().collect();
        if self.is(Defect::TakesOperators) && text.contains(['"', '*', '(', ':', '^']) {
            return Vec::new();
        }
        let said: Vec<Vec<String>> = index
            .chunks
            .iter()
            .map(|chunk| {
                let old = index.old_words.get(&chunk.chunk_id).map_or("", String::as_str);
                self.words(&format!("{} {old}", chunk.text))
            })
            .collect();
        let count = said.len() as f32;
        let weights: Vec<(&String, f32)> = asked
            .iter()
            .map(|word| {
                let with = said.iter().filter(|said| said.contains(word)).count() as f32;
                (word, (1.0 + (count - with + 0.5) / (with + 0.5)).ln())
            })
            .collect();
        let scored = index.chunks.iter().zip(&said).filter_map(|(chunk, said)| {
            let score: f32 = weights
                .iter()
                .map(|(word, weight)| {
                    let times = said.iter().filter(|said| said == word).count() as f32;
                    let worth = 2.2 * times / (times + 1.2);
                    if self.is(Defect::CountsNoWords) {
                        f32::from(times > 0.0)
                    } else {
                        weight * worth
                    }
                })
                .sum();
            (score > 0.0 || self.is(Defect::FindsEverything)).then_some((chunk, score))
        });
        self.best(scored.collect(), filter, limit)
    }

    fn words(&self, text: &str) -> Vec<String> {
        let text = if self.is(Defect::MindsCase) {
            text.to_owned()
        } else {
            text.to_lowercase()
        };
        // Scripts without spaces: each character is a word.
        let mut spaced = String::new();
        for character in text.chars() {
            let is_alone =
                matches!(character, '\u{e00}'..='\u{e7f}' | '\u{3040}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}');
            spaced.push_str(&if is_alone {
                format!(" {character} ")
            } else {
                character.to_string()
            });
        }
        let words = spaced.split(|character: char| !character.is_alphanumeric());
        words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    fn best(&self, mut scored: Vec<(&Chunk, f32)>, filter: &Filter, limit: usize) -> Vec<(String, f32)> {
        if !self.is(Defect::FiltersAfterwards) {
            scored.retain(|(chunk, _)| self.lets_through(filter, chunk));
        }
        scored.sort_by(|(one, score), (other, other_score)| {
            let order = other_score.total_cmp(score);
            let order = if self.is(Defect::SearchesBackwards) {
                order.reverse()
            } else {
                order
            };
            let by_id = one.chunk_id.cmp(&other.chunk_id);
            order.then(if self.is(Defect::OrdersEqualsBackwards) {
                by_id.reverse()
            } else {
                by_id
            })
        });
        if !self.is(Defect::IgnoresLimits) {
            scored.truncate(limit);
        }
        scored.retain(|(chunk, _)| self.lets_through(filter, chunk));
        scored
            .into_iter()
            .map(|(chunk, score)| (chunk.chunk_id.clone(), score))
            .collect()
    }

    fn lets_through(&self, filter: &Filter, chunk: &Chunk) -> bool {
        match (self.defect, filter) {
            (Some(Defect::IgnoresEmptyFilters), Filter::Or { filters }) if filters.is_empty() => true,
            (Some(Defect::FiltersLoosely), Filter::Ne { key, .. }) if !chunk.attributes.contains_key(key) => false,
            _ => filter.matches(&chunk.attributes),
        }
    }

    fn found(&self, index: &Index, request: &SearchChunks) -> Vec<(String, f32)> {
        let everything = Filter::And { filters: Vec::new() };
        let filter = request.filter.as_ref().unwrap_or(&everything);
        match &request.query {
            ChunkQuery::Vector(vector) => self.by_vector(index, vector, filter, request.limit),
            ChunkQuery::Keyword(text) => self.by_words(index, text, filter, request.limit),
            ChunkQuery::Hybrid { vector, text, fusion } => {
                let depth = if self.is(Defect::FusesShallowLists) {
                    request.limit
                } else {
                    Fusion::depth(request.limit)
                };
                let fusion = if self.is(Defect::IgnoresFactors) {
                    Fusion::default()
                } else {
                    *fusion
                };
                let by_vector = self.by_vector(index, vector, filter, depth);
                let by_words = self.by_words(index, text, filter, depth);
                let by_words = if self.is(Defect::FusesVectorsOnly) {
                    &[]
                } else {
                    by_words.as_slice()
                };
                let mut fused = fusion.fuse(&by_vector, by_words);
                fused.truncate(request.limit);
                fused
            }
        }
    }
}

#[async_trait]
impl VectorIo for Reference {
    fn capabilities(&self) -> VectorCapabilities {
        self.capabilities
    }

    async fn create_index(&self, _: &RequestContext, index: VectorIndex) -> Result<()> {
        let able = if self.is(Defect::TakesAnyIndexId) {
            Ok(())
        } else {
            index.check(self.capabilities)
        };
        able?;
        let mut indexes = self.indexes.lock().await;
        let key = self.key(&index.index_id);
        if let Some(there) = indexes.get(&key)
            && !self.is(Defect::MakesIndexesAnew)
        {
            let same = there.index.dimension == index.dimension && there.index.metric == index.metric;
            let tolerant = matches!(
                self.defect,
                Some(Defect::SharesChunks | Defect::FoldsIds | Defect::KeepsDeletedIndexes)
            );
            return if same || tolerant {
                Ok(())
            } else {
                Err(Error::conflict("another index"))
            };
        }
        let chunks = Vec::new();
        let old_words = BTreeMap::new();
        indexes.insert(
            key,
            Index {
                index,
                chunks,
                old_words,
            },
        );
        self.save(&indexes)
    }

    async fn delete_index(&self, _: &RequestContext, index_id: &str) -> Result<()> {
        let mut indexes = self.indexes.lock().await;
        if !self.is(Defect::KeepsDeletedIndexes) {
            indexes.remove(&self.key(index_id));
        }
        self.save(&indexes)
    }

    async fn upsert_chunks(&self, _: &RequestContext, request: UpsertChunks) -> Result<()> {
        let mut indexes = self.indexes.lock().await;
        let key = self.key(&request.index_id);
        if self.is(Defect::MakesWhatIsMissing) && !indexes.contains_key(&key) {
            let index = VectorIndex {
                index_id: request.index_id.clone(),
                dimension: 2,
                metric: Metric::Dot,
            };
            let (chunks, old_words) = (Vec::new(), BTreeMap::new());
            indexes.insert(
                key.clone(),
                Index {
                    index,
                    chunks,
                    old_words,
                },
            );
        }
        let index = indexes.get_mut(&key).ok_or_else(|| missing(&request.index_id))?;
        let checked = request.check(&index.index);
        if self.is(Defect::KeepsHalves) && checked.is_err() {
            index.chunks.extend(request.chunks.first().cloned());
        }
        if !matches!(self.defect, Some(Defect::ChecksNothing | Defect::SharesChunks)) {
            checked?;
        }
        if self.is(Defect::KeepsNamesakes) {
            index.chunks.extend(request.chunks);
            return self.save(&indexes);
        }
        let new: BTreeMap<String, Chunk> = request
            .chunks
            .into_iter()
            .map(|chunk| (chunk.chunk_id.clone(), self.kept(chunk)))
            .collect();
        let (old, mut chunks): (Vec<Chunk>, Vec<Chunk>) = std::mem::take(&mut index.chunks)
            .into_iter()
            .partition(|chunk| new.contains_key(&chunk.chunk_id));
        chunks.extend(new.into_values());
        index.chunks = chunks;
        if self.is(Defect::KeepsOldWords) {
            index
                .old_words
                .extend(old.into_iter().map(|old| (old.chunk_id, old.text)));
        }
        self.save(&indexes)
    }

    async fn delete_chunks(&self, _: &RequestContext, request: DeleteChunks) -> Result<()> {
        let mut indexes = self.indexes.lock().await;
        let Some(index) = indexes.get_mut(&self.key(&request.index_id)) else {
            return Ok(());
        };
        match request.selection {
            ChunkSelection::Chunks(ids) => {
                let ids: BTreeSet<String> = ids.into_iter().collect();
                index.chunks.retain(|chunk| !ids.contains(&chunk.chunk_id));
            }
            ChunkSelection::Document(_) if self.is(Defect::ForgetsDeletions) => {}
            ChunkSelection::Document(id) => index.chunks.retain(|chunk| chunk.document_id != id),
        }
        if self.is(Defect::ForgetsDeletions) {
            return Ok(());
        }
        self.save(&indexes)
    }

    async fn list_chunks(&self, _: &RequestContext, request: ListChunks) -> Result<ChunkPage> {
        if !self.is(Defect::ChecksNothing) {
            request.check()?;
        }
        let indexes = self.indexes.lock().await;
        let index = indexes
            .get(&self.key(&request.index_id))
            .ok_or_else(|| missing(&request.index_id))?;
        let of_it = index.chunks.iter().filter(|chunk| {
            chunk.document_id == request.document_id && request.after.is_none_or(|after| chunk.position > after)
        });
        let mut chunks: Vec<Chunk> = of_it.cloned().collect();
        chunks.sort_by_key(|chunk| chunk.position);
        if self.is(Defect::SortsPlacesAsText) {
            chunks.sort_by_key(|chunk| chunk.position.to_string());
        }
        let has_more = chunks.len() > request.limit && !self.is(Defect::NeverHasMore);
        chunks.truncate(request.limit);
        Ok(ChunkPage { chunks, has_more })
    }

    async fn search_chunks(&self, _: &RequestContext, request: SearchChunks) -> Result<Vec<ScoredChunk>> {
        if self.is(Defect::Hangs) {
            std::future::pending::<()>().await;
        }
        let indexes = self.indexes.lock().await;
        let index = indexes
            .get(&self.key(&request.index_id))
            .ok_or_else(|| missing(&request.index_id))?;
        if !matches!(self.defect, Some(Defect::ChecksNothing | Defect::SharesChunks)) {
            request.check(self.capabilities, &index.index)?;
        }
        let mut found = self.found(index, &request);
        if let Some(threshold) = request.score_threshold
            && !self.is(Defect::IgnoresThresholds)
        {
            found.retain(|(_, score)| *score >= threshold);
        }
        let chunk = |id: &String| index.chunks.iter().find(|chunk| chunk.chunk_id == *id).cloned();
        let found = found.into_iter().filter_map(|(id, score)| {
            Some(ScoredChunk {
                chunk: chunk(&id)?,
                score,
            })
        });
        Ok(found.collect())
    }
}

impl Reference {
    fn kept(&self, mut chunk: Chunk) -> Chunk {
        if self.is(Defect::DropsMetadata) {
            chunk.metadata.clear();
        }
        if self.is(Defect::RoundsNumbers) {
            for value in chunk.attributes.values_mut() {
                if let puna_api::AttributeValue::Number(number) = value {
                    *number = f64::from(*number as f32);
                }
            }
        }
        chunk
    }
}

fn missing(index_id: &str) -> Error {
    Error::not_found(format!("there is no index `{index_id}`"))
}

fn shown(index: &Index) -> Value {
    let chunks = index.chunks.iter().map(|chunk| {
        json!([
            chunk.chunk_id,
            chunk.document_id,
            chunk.position,
            chunk.text,
            chunk.vector,
            chunk.attributes,
            chunk.metadata
        ])
    });
    json!([
        index.index.index_id,
        index.index.dimension,
        index.index.metric,
        chunks.collect::<Vec<_>>()
    ])
}

fn read(bytes: &[u8], defect: Option<Defect>) -> BTreeMap<String, Index> {
    fn part<T: serde::de::DeserializeOwned>(value: &Value) -> T {
        serde_json::from_value(value.clone()).unwrap()
    }
    let saved: Vec<Value> = serde_json::from_slice(bytes).unwrap();
    let index = |saved: &Value| {
        let chunk = |chunk: &Value| Chunk {
            chunk_id: part(&chunk[0]),
            document_id: part(&chunk[1]),
            position: part(&chunk[2]),
            text: part(&chunk[3]),
            vector: part(&chunk[4]),
            attributes: part(&chunk[5]),
            metadata: part(&chunk[6]),
        };
        let index = VectorIndex {
            index_id: part(&saved[0]),
            dimension: part(&saved[1]),
            metric: if defect == Some(Defect::ForgetsMetrics) {
                Metric::L2
            } else {
                part(&saved[2])
            },
        };
        let chunks = saved[3].as_array().unwrap().iter().map(chunk).collect();
        let old_words = BTreeMap::new();
        (
            index.index_id.clone(),
            Index {
                index,
                chunks,
                old_words,
            },
        )
    };
    saved.iter().map(index).collect()
}
