//! Lists in pages: `?limit=` and an opaque cursor in, `{items, nextCursor}` out
//! (contract/rest.md, "Conventions").

use axum::extract::FromRequestParts;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::request::Parts;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use utoipa::{IntoParams, ToSchema};

use super::body::Query;
use crate::error::{Error, Result};

/// Which page of a list the caller wants; an extractor, beside which a [`Query`] may stand.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Page {
    /// How many items: 1–100.
    #[serde(default = "default_limit")]
    #[param(minimum = 1, maximum = 100, default = 50)]
    pub limit: usize,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

const fn default_limit() -> usize {
    50
}

impl Page {
    /// Where the page before ended, as [`List::of`] wrote it.
    ///
    /// # Errors
    /// [`Code::InvalidPayload`](crate::error::Code::InvalidPayload) when it is not a cursor of this
    /// list.
    pub fn after<K: DeserializeOwned>(&self) -> Result<Option<K>> {
        let Some(cursor) = self.cursor.as_deref().filter(|cursor| !cursor.is_empty()) else {
            return Ok(None);
        };
        read_cursor(cursor)
            .map(Some)
            .ok_or_else(|| Error::invalid("/cursor", "is not a cursor of this list"))
    }

    /// The same page with fewer items, where more of them would be too large.
    #[must_use]
    pub fn at_most(&self, items: usize) -> Self {
        Self { limit: self.limit.min(items), cursor: self.cursor.clone() }
    }

    /// How many rows to ask the store for: one more than shown tells whether there is a next page.
    #[must_use]
    pub const fn fetch(&self) -> usize {
        self.limit + 1
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Page {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let Query(page) = Query::<Self>::from_request_parts(parts, state).await?;
        if (1..=100).contains(&page.limit) {
            Ok(page)
        } else {
            Err(Error::invalid("/limit", "must be from 1 to 100"))
        }
    }
}

/// Where a page ended, from a cursor that [`List::of`] wrote; none from anything else.
#[must_use]
pub fn read_cursor<K: DeserializeOwned>(cursor: &str) -> Option<K> {
    let json = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    serde_json::from_slice(&json).ok()
}

/// One page of a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct List<T> {
    /// The items of this page.
    pub items: Vec<T>,
    /// Asks for the next page; null on the last one.
    pub next_cursor: Option<String>,
}

impl<T> List<T> {
    /// The page of up to [`Page::fetch`] rows; `key` is where the next page goes on after an item.
    pub fn of<K: Serialize>(mut rows: Vec<T>, page: &Page, key: impl Fn(&T) -> K) -> Self {
        let more = rows.len() > page.limit;
        rows.truncate(page.limit);
        let next_cursor = rows.last().filter(|_| more).and_then(|last| {
            let json = serde_json::to_vec(&key(last)).ok()?;
            Some(URL_SAFE_NO_PAD.encode(json))
        });
        Self { items: rows, next_cursor }
    }

    /// The same page with its items as something else, such as rows as documents.
    pub fn map<U>(self, item: impl FnMut(T) -> U) -> List<U> {
        List { items: self.items.into_iter().map(item).collect(), next_cursor: self.next_cursor }
    }
}

impl<T: Serialize> axum::response::IntoResponse for List<T> {
    fn into_response(self) -> axum::response::Response {
        axum::Json(self).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    async fn page(uri: &str) -> Result<Page> {
        let (mut parts, ()) = http::Request::get(uri).body(()).unwrap().into_parts();
        Page::from_request_parts(&mut parts, &()).await
    }

    #[tokio::test]
    async fn a_limit_is_50_unless_asked_and_at_most_100() {
        assert_eq!(page("/x").await.unwrap().limit, 50);
        assert_eq!(page("/x?limit=100&status=open").await.unwrap().limit, 100);
        for bad in ["0", "101", "-1", "many", ""] {
            let error = page(&format!("/x?limit={bad}")).await.unwrap_err();
            assert_eq!(error.code(), Code::InvalidPayload, "{bad}");
            assert_eq!(error.fields()[0].pointer, "/limit", "{bad}");
        }
    }

    #[tokio::test]
    async fn cursors_lead_through_a_whole_list() {
        let all: Vec<(u32, String)> = (0..7).map(|n| (n / 2, format!("id-{n}"))).collect();
        let (mut seen, mut uri) = (Vec::new(), "/x?limit=3".to_owned());
        for _ in 0..3 {
            let page = page(&uri).await.unwrap();
            let after: Option<(u32, String)> = page.after().unwrap();
            let rows = all.iter().filter(|row| after.as_ref().is_none_or(|after| *row > after));
            let list = List::of(rows.take(page.fetch()).cloned().collect(), &page, Clone::clone);
            seen.extend(list.items);
            match list.next_cursor {
                Some(cursor) => uri = format!("/x?limit=3&cursor={cursor}"),
                None => break,
            }
        }
        assert_eq!(seen, all);
    }

    #[tokio::test]
    async fn a_cursor_of_another_making_is_refused() {
        for bad in ["%20", "AAAA", "e30", "x=y"] {
            let error = page(&format!("/x?cursor={bad}")).await.unwrap().after::<(u32, String)>();
            assert_eq!(error.unwrap_err().fields()[0].pointer, "/cursor", "{bad}");
        }
        assert_eq!(page("/x?cursor=").await.unwrap().after::<u32>().unwrap(), None);
    }

    #[test]
    fn the_last_page_has_no_cursor() {
        let page = Page { limit: 2, cursor: None };
        let list = List::of(vec![1, 2], &page, |n| *n).map(|n| n * 10);
        let json = serde_json::to_value(list).unwrap();
        assert_eq!(json, serde_json::json!({"items": [10, 20], "nextCursor": null}));
    }
}
