//! What a document had more of before.

use puna_api::{ChunkPage, ChunkSelection, DeleteChunks, ListChunks, RequestContext, Result, VectorIo};

/// How many chunks are taken away at once.
const PAGE: usize = 500;

/// Takes away the chunks of a document behind this place; all of them where there is none.
pub(super) async fn trim(
    provider: &dyn VectorIo,
    context: &RequestContext,
    index_id: &str,
    document_id: &str,
    after: Option<u32>,
) -> Result<()> {
    let delete = |selection| DeleteChunks {
        index_id: index_id.to_owned(),
        selection,
    };
    let Some(after) = after else {
        let all = ChunkSelection::Document(document_id.to_owned());
        return provider.delete_chunks(context, delete(all)).await;
    };
    loop {
        let behind = ListChunks {
            index_id: index_id.to_owned(),
            document_id: document_id.to_owned(),
            after: Some(after),
            limit: PAGE,
        };
        let ChunkPage { chunks, .. } = provider.list_chunks(context, behind).await?;
        if chunks.is_empty() {
            return Ok(());
        }
        let ids = chunks.into_iter().map(|chunk| chunk.chunk_id).collect();
        provider
            .delete_chunks(context, delete(ChunkSelection::Chunks(ids)))
            .await?;
    }
}
