//! `GET /api/why`: whether somebody heard an event, for operators.

use axum::{
    Json,
    extract::{FromRef, State},
};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::documents::Why;
use crate::{
    auth::{Authenticator, OperatorCaller},
    error::{Error, Result},
    failures,
    id::Id,
    realtime::Realtime,
    rest::body::Query,
};

failures! {
    /// It is older than what is kept, was sent without being kept, or never was.
    NotKept = NotFound("event_not_kept"),
        "No such event is kept: it is older than the retention, was sent without being kept, or never was.";
}

/// The route.
pub(in crate::realtime) fn routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Authenticator: FromRef<S>,
    Realtime: FromRef<S>,
{
    OpenApiRouter::new().routes(routes!(why))
}

/// Who, and which event.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Question {
    /// The user.
    #[param(value_type = String)]
    user: Id,
    /// The event: the id that `POST /api/emit` answered, a stream and a number such as
    /// `conversation/c1:42`, or a position.
    event: String,
}

/// Tells whether a user heard an event.
///
/// Needs the role `service` or `admin`. Of every event that is kept: who it was for, whether the user was
/// connected and in its rooms when it was sent, and what became of it for each of their sockets. `written`
/// is what is known where the client did not come back to show more. Where `complete` is false, not
/// everything of that time was noted.
#[utoipa::path(
    get,
    path = "/api/why",
    tag = "Operations",
    params(Question),
    responses((status = 200, description = "What is known.", body = Why), NotKept)
)]
async fn why(
    State(realtime): State<Realtime>,
    _operator: OperatorCaller,
    Query(Question { user, event }): Query<Question>,
) -> Result<Json<Why>> {
    let event = event
        .parse()
        .map_err(|error: super::store::InvalidEvent| Error::invalid("/event", error.to_string()))?;
    Ok(Json(realtime.why(user, event).await?))
}
