//! The lines of revocations: tokens that are not believed any more.

use garde::Validate;
use serde::{Deserialize, Serialize};

use crate::{
    auth::TokenKey,
    clock::Timestamp,
    db::Tx,
    error::{Error, Result},
    id::Id,
    moving::{self, Facts, Key, Line, Outcome, Place, Tag},
    users::store::moved::{self, RevocationRow},
};

/// Tokens that are revoked.
#[derive(Debug, PartialEq, Serialize, Deserialize, Validate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct RevocationLine {
    #[serde(rename = "type", default, skip_serializing)]
    line: Tag,
    /// Whose tokens, or that it is one.
    kind: RevocationKind,
    /// The user, or the hash of the token's id; nothing for everyone's.
    #[serde(default)]
    #[garde(length(bytes, max = 1024))]
    subject: String,
    /// Those that say that they were issued before.
    issued_before: Timestamp,
    /// Those that were issued before by this server's clock.
    older_than: Timestamp,
    /// Until when it is remembered.
    ends_at: Timestamp,
}

/// Which tokens are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RevocationKind {
    Token,
    User,
    Everyone,
}

impl RevocationKind {
    const ALL: [Self; 3] = [Self::Token, Self::User, Self::Everyone];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::User => "user",
            Self::Everyone => "everyone",
        }
    }
}

impl Line for RevocationLine {
    const TYPE: &'static str = "revocation";

    fn check(&self) -> Result<()> {
        let subject = &self.subject;
        let (is_one, rule) = match self.kind {
            RevocationKind::Token => {
                (subject.parse::<TokenKey>().is_ok(), "is no hash of a token's id")
            }
            RevocationKind::User => (subject.parse::<Id>().is_ok(), "is no user's id"),
            RevocationKind::Everyone => (subject.is_empty(), "is empty where everyone is meant"),
        };
        if is_one { Ok(()) } else { Err(Error::invalid("/subject", rule)) }
    }

    fn facts(&self) -> Facts {
        let name = format!("{} {}", self.kind.as_str(), self.subject);
        Facts { place: Place::default(), keys: vec![Key::own("revocation", name)] }
    }

    async fn import(self, tx: &mut Tx<'_>) -> Result<Outcome> {
        let Self { kind, subject, issued_before, older_than, ends_at, .. } = self;
        let mut row = RevocationRow {
            kind: kind.as_str().to_owned(),
            subject,
            issued_before,
            older_than,
            ends_at,
        };
        if let Some(kept) = moved::find_revocation(tx, &row.kind, &row.subject).await? {
            if row.issued_before <= kept.issued_before
                && row.older_than <= kept.older_than
                && row.ends_at <= kept.ends_at
            {
                return Ok(Outcome::Same);
            }
            row.issued_before = row.issued_before.max(kept.issued_before);
            row.older_than = row.older_than.max(kept.older_than);
            row.ends_at = row.ends_at.max(kept.ends_at);
        }
        moved::insert_revocation(tx, &row).await?;
        Ok(Outcome::Written)
    }

    async fn next(tx: &mut Tx<'_>, after: &str) -> Result<(Vec<Self>, Option<String>)> {
        let after = after.split_once(' ').unwrap_or_default();
        let rows = moved::revocations_after(tx, after, moving::ROWS).await?;
        let next = moving::behind(&rows, |row| format!("{} {}", row.kind, row.subject));
        let line = |row: RevocationRow| {
            let kind = RevocationKind::ALL.into_iter().find(|kind| kind.as_str() == row.kind);
            let kind = kind.ok_or_else(|| Error::internal("a revocation of another kind"))?;
            Ok(Self {
                line: Tag,
                kind,
                subject: row.subject,
                issued_before: row.issued_before,
                older_than: row.older_than,
                ends_at: row.ends_at,
            })
        };
        Ok((rows.into_iter().map(line).collect::<Result<_>>()?, next))
    }
}
