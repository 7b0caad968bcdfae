//! All rows of a query.

use rusqlite::{Connection, Params, Row};

use super::project::Result;

/// Each row as `of` reads it, in the query's order.
pub fn rows<T, All: FromIterator<T>>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    of: impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<All> {
    connection.prepare_cached(sql)?.query_and_then(params, of)?.collect()
}
