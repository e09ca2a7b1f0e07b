//! Notifications over REST (docs/contract/rest.md#notifications).

use axum::{
    Extension, Json,
    extract::{FromRef, State},
};
use http::{HeaderMap, Method, StatusCode, Uri};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    events::Notification,
    requests::{CreateNotification, Filter, ReadResult, Sent, UnreadCount},
    service::NotificationService,
};
use crate::{
    auth::{Authenticator, Caller, OperatorCaller},
    error::Result,
    failures,
    id::Id,
    idempotency::{self, Subject, answer},
    rest::{
        body::{Path, Query, ValidBody},
        list::{List, Page},
        openapi,
    },
};

failures! {
    /// The notification does not exist, or is not the caller's.
    NoNotification = NotFound, "There is no such notification.";
}

/// The routes.
pub fn routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Authenticator: FromRef<S>,
    NotificationService: FromRef<S>,
{
    openapi::under("Notifications", "What users are told, and whether they have read it.")
        .routes(routes!(send_notification, list_notifications))
        .routes(routes!(get_unread_count))
        .routes(routes!(read_all_notifications))
        .routes(routes!(read_notification))
        .routes(routes!(delete_notification))
}

/// Sends a notification.
///
/// Needs the role `service` or `admin`. Takes either `userId` or `userIds`.
///
/// More than 200 users are told 200 at a time. When the server stops in between, those who have
/// been told stay told: the same request with the same `Idempotency-Key` continues with the others.
#[utoipa::path(
    post,
    path = "/api/notifications",
    tag = "Notifications",
    request_body = CreateNotification,
    responses((status = 201, description = "Sent.", body = Sent))
)]
async fn send_notification(
    State(notifications): State<NotificationService>,
    operator: OperatorCaller,
    uri: Uri,
    headers: HeaderMap,
    ValidBody(request): ValidBody<CreateNotification>,
) -> Result<(StatusCode, Extension<Subject>, Json<Sent>)> {
    let caller = (operator.kind, &operator.identity.user_id);
    let name = idempotency::name_of(caller, &Method::POST, uri.path(), &headers)?;
    let (notice, users) = request.read()?;
    answer(notifications.send(notice, users, name), |sent| {
        (StatusCode::CREATED, Extension(Subject(sent.notification.id.clone())), Json(sent))
    })
    .await
}

/// Lists the caller's notifications.
///
/// The newest come first.
#[utoipa::path(
    get,
    path = "/api/notifications",
    tag = "Notifications",
    params(Filter, Page),
    responses((status = 200, description = "A page of notifications.", body = List<Notification>))
)]
async fn list_notifications(
    State(notifications): State<NotificationService>,
    caller: Caller,
    Query(filter): Query<Filter>,
    page: Page,
) -> Result<List<Notification>> {
    notifications.list(caller.identity, filter.unread, page).await
}

/// Returns the number of the caller's unread notifications.
///
/// It costs the same however many there are.
#[utoipa::path(
    get,
    path = "/api/notifications/unread-count",
    tag = "Notifications",
    responses((status = 200, description = "How many are unread.", body = UnreadCount))
)]
async fn get_unread_count(
    State(notifications): State<NotificationService>,
    caller: Caller,
) -> Result<Json<UnreadCount>> {
    let unread_count = notifications.unread_count(caller.identity).await?;
    Ok(Json(UnreadCount { unread_count }))
}

/// Marks all of the caller's notifications as read.
///
/// Their other tabs and devices are told the new count.
#[utoipa::path(
    post,
    path = "/api/notifications/read-all",
    tag = "Notifications",
    responses(
        (
            status = 200,
            description = "How many notifications that changed, and how many are left.",
            body = ReadResult,
        ),
    )
)]
async fn read_all_notifications(
    State(notifications): State<NotificationService>,
    caller: Caller,
) -> Result<Json<ReadResult>> {
    answer(notifications.read_all(caller.identity), Json).await
}

/// Marks one of the caller's notifications as read.
///
/// Marking it again changes nothing.
#[utoipa::path(
    post,
    path = "/api/notifications/{id}/read",
    tag = "Notifications",
    params(("id" = String, Path, description = "The notification.")),
    responses(
        (
            status = 200,
            description = "How many notifications that changed, and how many are left.",
            body = ReadResult,
        ),
        NoNotification,
    )
)]
async fn read_notification(
    State(notifications): State<NotificationService>,
    caller: Caller,
    Path(id): Path<Id>,
) -> Result<Json<ReadResult>> {
    answer(notifications.read(caller.identity, id), Json).await
}

/// Deletes one of the caller's notifications.
///
/// What other users have of the same notification stays.
#[utoipa::path(
    delete,
    path = "/api/notifications/{id}",
    tag = "Notifications",
    params(("id" = String, Path, description = "The notification.")),
    responses((status = 204, description = "Deleted."), NoNotification)
)]
async fn delete_notification(
    State(notifications): State<NotificationService>,
    caller: Caller,
    Path(id): Path<Id>,
) -> Result<StatusCode> {
    notifications.delete(caller.identity, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
