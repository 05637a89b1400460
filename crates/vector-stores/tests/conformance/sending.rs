//! What the engine does can be done on any thread: servers move the futures of requests.

use puna_api::RequestContext;
use puna_vector_stores::{
    AttachFile, ContentQuery, CreateFileBatch, CreateStore, FilesQuery, InsertChunks, InsertDocument, PageQuery,
    QueryChunks, SearchStore, UpdateStore, VectorStores,
};

fn can_be_sent(_: impl Send) {}

/// Never called: that it compiles is the test.
#[expect(dead_code, reason = "that it compiles is the test")]
fn all_futures_can_be_sent(
    stores: &VectorStores,
    context: &RequestContext,
    id: &str,
    page: &PageQuery,
    files: &FilesQuery,
) {
    can_be_sent(stores.create(context, CreateStore::default()));
    can_be_sent(stores.get(context, id));
    can_be_sent(stores.list(context, page));
    can_be_sent(stores.update(context, id, UpdateStore::default()));
    can_be_sent(stores.delete(context, id));
    can_be_sent(stores.attach(context, id, AttachFile::new("")));
    can_be_sent(stores.files(context, id, files));
    can_be_sent(stores.file(context, id, id));
    can_be_sent(stores.file_content(context, id, id, &ContentQuery::default()));
    can_be_sent(stores.set_file_attributes(context, id, id, Default::default()));
    can_be_sent(stores.detach(context, id, id));
    can_be_sent(stores.detach_everywhere(context, id));
    can_be_sent(stores.create_batch(context, id, CreateFileBatch::default()));
    can_be_sent(stores.batch(context, id, id));
    can_be_sent(stores.batch_files(context, id, id, files));
    can_be_sent(stores.cancel_batch(context, id, id));
    can_be_sent(stores.search(context, id, SearchStore::new("")));
    can_be_sent(stores.insert_chunks(context, id, InsertChunks { chunks: Vec::new() }));
}

#[expect(dead_code, reason = "that it compiles is the test")]
fn the_others_too(stores: &VectorStores, context: &RequestContext, query: QueryChunks, document: InsertDocument) {
    can_be_sent(stores.query_chunks(context, "", query));
    can_be_sent(stores.insert_document(context, "", document));
}
