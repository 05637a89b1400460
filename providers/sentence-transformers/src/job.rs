//! The work of a request: texts in batches, computed turn by turn.

use std::collections::VecDeque;
use std::sync::Arc;

use puna_api::Result;

use crate::encoder::Abandoned;
use crate::error;
use crate::tokens::Tokens;
use crate::workers::{Turn, Workers};

/// A model as far as its work goes.
pub(crate) trait Model: Send + Sync + 'static {
    /// What is computed for each text.
    type Output: Send + 'static;

    /// Computes a batch, in its order.
    fn compute(&self, texts: &[&Tokens], abandoned: Abandoned<'_>) -> Result<Vec<Self::Output>>;
}

/// The work of one request.
pub(crate) struct Job<M: Model> {
    model: Arc<M>,
    texts: Vec<Tokens>,
    batches: VecDeque<Vec<usize>>,
    outputs: Vec<Option<M::Output>>,
}

impl<M: Model> Job<M> {
    /// The work of these texts, which is still to be cut into batches.
    pub(crate) fn new(model: Arc<M>, texts: Vec<Tokens>) -> Self {
        Self {
            batches: VecDeque::new(),
            outputs: texts.iter().map(|_| None).collect(),
            model,
            texts,
        }
    }

    /// How many tokens there are, filling left out.
    pub(crate) fn tokens(&self) -> u64 {
        self.texts.iter().map(|text| text.ids.len() as u64).sum()
    }

    /// Cuts the texts into batches of at most so many tokens, filling included, the longest texts first.
    fn cut(&mut self, max_batch_tokens: usize) {
        let lengths: Vec<usize> = self.texts.iter().map(|text| text.ids.len()).collect();
        self.batches = batches(&lengths, max_batch_tokens);
    }

    /// Computes the next batch, if one is left.
    fn step(&mut self, abandoned: Abandoned<'_>) -> Result<()> {
        let Some(batch) = self.batches.pop_front() else {
            return Ok(());
        };
        let texts: Vec<&Tokens> = batch.iter().map(|text| &self.texts[*text]).collect();
        let outputs = self.model.compute(&texts, abandoned)?;
        if outputs.len() != batch.len() {
            return Err(error::failed("a batch has another number of results than of texts"));
        }
        for (text, output) in batch.into_iter().zip(outputs) {
            self.outputs[text] = Some(output);
        }
        Ok(())
    }

    fn finish(self) -> Result<Vec<M::Output>> {
        let count = self.outputs.len();
        let outputs: Vec<M::Output> = self.outputs.into_iter().flatten().collect();
        if outputs.len() == count {
            return Ok(outputs);
        }
        Err(error::failed("a text was left out"))
    }
}

/// Makes a job and does it: the first batch in the turn in which it is made, each other one in a turn of its own. What is returned
/// beside the results is what `plan` returned beside the job. When the future is dropped, no further batch is begun.
pub(crate) async fn work<M: Model, P: Send + 'static>(
    workers: &Workers,
    plan: impl FnOnce(Abandoned<'_>) -> Result<(Job<M>, P)> + Send + 'static,
) -> Result<(Vec<M::Output>, P)> {
    let turn = workers.first_turn().await?;
    let max_batch_tokens = workers.max_batch_tokens();
    let (mut job, beside) = workers
        .run(turn, move |abandoned| {
            let (mut job, beside) = plan(abandoned)?;
            job.cut(max_batch_tokens);
            job.step(abandoned)?;
            Ok((job, beside))
        })
        .await?;
    while !job.batches.is_empty() {
        let turn: Turn = workers.another_turn().await?;
        job = workers
            .run(turn, move |abandoned| {
                job.step(abandoned)?;
                Ok(job)
            })
            .await?;
    }
    Ok((job.finish()?, beside))
}

/// Texts of similar length together, the longest first, each batch with no more tokens than `most` once filled up.
fn batches(lengths: &[usize], most: usize) -> VecDeque<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|text| std::cmp::Reverse(lengths[*text]));
    let mut batches: VecDeque<Vec<usize>> = VecDeque::new();
    let mut longest = 0;
    for text in order {
        match batches.back_mut() {
            Some(batch) if (batch.len() + 1) * longest <= most => batch.push(text),
            _ => {
                longest = lengths[text];
                batches.push_back(vec![text]);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_similar_length_share_a_batch() {
        let cut = |lengths: &[usize], most| Vec::from(batches(lengths, most));
        assert_eq!(cut(&[3, 9, 2, 8, 3], 18), [vec![1, 3], vec![0, 4, 2]]);
        assert_eq!(cut(&[50, 1, 1], 10), [vec![0], vec![1, 2]]);
        assert_eq!(cut(&[2, 2, 2], 4), [vec![0, 1], vec![2]]);
        assert!(cut(&[], 4).is_empty());
    }
}
