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
    http::{
        body::{Path, Query, ValidBody},
        list::{List, Page},
    },
    id::Id,
    idempotency::{self, Subject, answer},
};

/// The routes.
pub fn routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Authenticator: FromRef<S>,
    NotificationService: FromRef<S>,
{
    OpenApiRouter::new()
        .routes(routes!(send_notification, list_notifications))
        .routes(routes!(get_unread_count))
        .routes(routes!(read_all_notifications))
        .routes(routes!(read_notification))
        .routes(routes!(delete_notification))
}

/// Sends a notification to one user or to many, for a backend or an admin.
///
/// More than 200 users are told 200 at a time. When the server stops between two of these, those who
/// have been told stay told: the same request with the same `Idempotency-Key` goes on with the others.
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

/// Lists the caller's notifications, newest first.
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

/// Returns how many of the caller's notifications are unread.
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

/// Marks all notifications of the caller as read.
#[utoipa::path(
    post,
    path = "/api/notifications/read-all",
    tag = "Notifications",
    responses((status = 200, description = "All are read.", body = ReadResult))
)]
async fn read_all_notifications(
    State(notifications): State<NotificationService>,
    caller: Caller,
) -> Result<Json<ReadResult>> {
    answer(notifications.read_all(caller.identity), Json).await
}

/// Marks a notification of the caller as read. The same again changes nothing.
#[utoipa::path(
    post,
    path = "/api/notifications/{id}/read",
    tag = "Notifications",
    params(("id" = String, Path, description = "The notification.")),
    responses((status = 200, description = "It is read.", body = ReadResult))
)]
async fn read_notification(
    State(notifications): State<NotificationService>,
    caller: Caller,
    Path(id): Path<Id>,
) -> Result<Json<ReadResult>> {
    answer(notifications.read(caller.identity, id), Json).await
}

/// Deletes a notification of the caller.
#[utoipa::path(
    delete,
    path = "/api/notifications/{id}",
    tag = "Notifications",
    params(("id" = String, Path, description = "The notification.")),
    responses((status = 204, description = "Deleted."))
)]
async fn delete_notification(
    State(notifications): State<NotificationService>,
    caller: Caller,
    Path(id): Path<Id>,
) -> Result<StatusCode> {
    notifications.delete(caller.identity, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
