//! Reading a table of the lake whole: some files at a time, for what an engine keeps of each file of a query (dozens
//! of measurements) it keeps until the query ends. What is asked is not said here.

use arrow_array::RecordBatch;
use datafusion::prelude::SessionContext;
use futures_util::StreamExt;

use super::error::LakeError;
use super::session::{forget, register};
use super::source::{Lake, LakeFile};

/// Files of a query: ten days of hours. An engine keeps some ten kilobytes of each.
const FILES: usize = 256;

/// Puts a question to some files of a table after the others, and hands on the rows of each answer.
pub(super) async fn read_in_turns(
    (context, lake): (&SessionContext, &Lake),
    (table, files): (&str, &[LakeFile]),
    (doing, query): (&'static str, &str),
    mut each: impl FnMut(RecordBatch) -> Result<(), LakeError>,
) -> Result<(), LakeError> {
    let failed = LakeError::query(doing);
    for files in files.chunks(FILES) {
        forget(context, table)?;
        register(context, lake, table, files)?;
        let frame = context.sql(query).await.map_err(&failed)?;
        let mut batches = frame.execute_stream().await.map_err(&failed)?;
        while let Some(batch) = batches.next().await {
            each(batch.map_err(&failed)?)?;
        }
    }
    forget(context, table)
}
