//! Work that is carried to its end even when the caller who asked for it hangs up.

use tracing::Instrument;

use super::{accompanied, companion};
use crate::error::{Error, Result};

/// Does something in a task of its own, with the companion of this one: a handler is dropped with its
/// connection, and what it began and has to follow up would be left halfway.
///
/// # Errors
/// Those of the work; [`Code::Internal`](crate::error::Code::Internal) when it panicked.
pub async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    tokio::spawn(accompanied(companion(), work).in_current_span()).await.map_err(Error::internal)?
}
