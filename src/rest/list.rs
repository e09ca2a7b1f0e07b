//! Lists in pages: `?limit=` and an opaque cursor in, `{items, nextCursor}` out
//! (docs/contract/rest.md#conventions). A page is bounded in bytes, too: it ends before the item
//! that would make it too large.

use axum::extract::FromRequestParts;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::request::Parts;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use utoipa::{IntoParams, ToSchema};

use super::{body::Query, json};
use crate::error::{Error, Result};

/// How many bytes of JSON the items of a page come to at most, but for its first one: 60 kB with what
/// is around them.
const MAX_BYTES: usize = 59_000;

/// Which page of a list the caller wants; an extractor, beside which a [`Query`] may stand.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Page {
    /// At most how many items: 1–100. A page has fewer where more would be over 60 kB.
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

/// What [`read_cursor`] reads.
fn cursor(last: &impl Serialize) -> String {
    let json = serde_json::to_vec(last).unwrap_or_default();
    URL_SAFE_NO_PAD.encode(json)
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
    /// The page of up to [`Page::fetch`] rows, each as the `item` that is shown; `key` is where the
    /// next page goes on after a row.
    pub fn of<R, K: Serialize>(
        rows: Vec<R>,
        page: &Page,
        key: impl Fn(&R) -> K,
        item: impl Fn(R) -> T,
    ) -> Self
    where
        T: Serialize,
    {
        let mut list = Self { items: Vec::with_capacity(rows.len()), next_cursor: None };
        let (mut reached, mut bytes) = (None, 0);
        for row in rows {
            let after = key(&row);
            let item = item(row);
            // And the comma behind it.
            bytes += json::bytes(&item) + 1;
            let full = list.items.len() >= page.limit || bytes > MAX_BYTES;
            if let Some(last) = reached.filter(|_| full) {
                list.next_cursor = Some(cursor(&last));
                return list;
            }
            list.items.push(item);
            reached = Some(after);
        }
        list
    }
}

impl<T: Serialize> axum::response::IntoResponse for List<T> {
    fn into_response(self) -> axum::response::Response {
        axum::Json(self).into_response()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::identity;

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
            let rows = rows.take(page.fetch()).cloned().collect();
            let list = List::of(rows, &page, Clone::clone, identity);
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
    fn a_page_ends_before_it_is_too_large_and_has_one_item_at_least() {
        let page = Page { limit: 100, cursor: None };
        // Their sizes as JSON, which is more than what they are made of.
        let control = |bytes: usize| "\u{1}".repeat(bytes / 6);
        for (sizes, shown) in [
            (vec![200_000], 1),
            (vec![200_000, 1], 1),
            (vec![1_200, 200_000, 1], 1),
            (vec![30_000, 28_000, 6_000], 2),
            (vec![1_200; 101], 49),
            (vec![12; 101], 100),
        ] {
            let all = sizes.len();
            let rows = sizes.into_iter().map(control).enumerate().collect();
            let list = List::of(rows, &page, |(at, _)| *at, |(_, text)| text);
            assert_eq!(list.items.len(), shown);
            let next = list.next_cursor.as_deref().and_then(read_cursor::<usize>);
            assert_eq!(next, (shown < all).then(|| shown - 1));
            let bytes = serde_json::to_vec(&list).unwrap().len();
            assert!(shown == 1 || bytes <= 60_000, "{bytes}");
        }
    }

    #[test]
    fn the_last_page_has_no_cursor() {
        let page = Page { limit: 2, cursor: None };
        let list = List::of(vec![1, 2], &page, |n| *n, |n| n * 10);
        let json = serde_json::to_value(list).unwrap();
        assert_eq!(json, serde_json::json!({"items": [10, 20], "nextCursor": null}));
    }
}
