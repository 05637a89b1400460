use puna_api::Error;

/// An index that is not there.
pub(crate) fn no_index(index_id: &str) -> Error {
    Error::not_found(format!("there is no index `{index_id}`")).with_param("index_id")
}

/// Whether a statement failed because a table is not there.
pub(crate) fn is_gone(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.as_deref() == Some("42P01")
}
