//! The lines of points, and what of them stands in a user's line: their code, who referred them, and the level
//! that they were told of (docs/moving.md).

use garde::Validate;
use serde::{Deserialize, Serialize};

use super::{
    documents::{PointsTransaction, Referral},
    store::{self, moved},
};
use crate::{
    clock::Timestamp,
    db::Tx,
    error::{Error, Result},
    id::Id,
    moving::{self, Facts, Key, Line, Outcome, Place, Tag},
    text::{self, PersonName},
};

/// The most points that one entry brings or takes.
const MAX_POINTS: i64 = 1_000_000_000;

/// An entry of a user's ledger.
#[derive(Debug, PartialEq, Serialize, Deserialize, Validate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct PointsLine {
    #[serde(rename = "type", default, skip_serializing)]
    line: Tag,
    id: Id,
    user_id: Id,
    /// Which of the user's it is. Without it, they are numbered by time.
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<u64>,
    #[garde(range(min = -MAX_POINTS, max = MAX_POINTS))]
    points: i64,
    #[garde(length(chars, min = 1, max = 200), custom(text::line))]
    reason: String,
    #[garde(inner(length(chars, min = 1, max = 256), custom(text::line)))]
    reference: Option<String>,
    referred_user_id: Option<Id>,
    created_at: Timestamp,
}

/// What of points stands in a user's line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Validate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct PointsPart {
    /// The highest level that they were told of.
    #[serde(skip_serializing_if = "Option::is_none")]
    told_level: Option<u32>,
    /// The code that they hand on.
    #[garde(inner(length(chars, min = 1, max = 64), custom(text::line)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    referral_code: Option<String>,
    /// Who referred them.
    #[serde(skip_serializing_if = "Option::is_none")]
    referred_by: Option<ReferrerPart>,
}

/// Who referred a user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ReferrerPart {
    user_id: Id,
    /// The name under which they heard of it.
    name: PersonName,
    joined_at: Timestamp,
}

/// A walk through the users of whom something is kept here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserWalk {
    /// Those with points.
    Points,
    /// Those with a code.
    Codes,
    /// Those who were referred.
    Referred,
}

impl UserWalk {
    /// All walks.
    pub const ALL: [Self; 3] = [Self::Points, Self::Codes, Self::Referred];

    /// The next users after one.
    ///
    /// # Errors
    /// The store's.
    pub async fn next(self, tx: &mut Tx<'_>, after: &str) -> Result<Vec<Id>> {
        match self {
            Self::Points => moved::accounts_after(tx, after, moving::ROWS).await,
            Self::Codes => moved::codes_after(tx, after, moving::ROWS).await,
            Self::Referred => {
                let referrals = moved::referrals_after(tx, after, moving::ROWS).await?;
                Ok(referrals.into_iter().map(|referral| referral.referred_user_id).collect())
            }
        }
    }

    /// Whether a user is met on it.
    #[must_use]
    pub fn meets(self, part: &PointsPart) -> bool {
        match self {
            Self::Points => part.told_level.is_some(),
            Self::Codes => part.referral_code.is_some(),
            Self::Referred => part.referred_by.is_some(),
        }
    }
}

impl PointsPart {
    /// What is kept of a user.
    ///
    /// # Errors
    /// The store's.
    pub async fn of(tx: &mut Tx<'_>, user: &Id) -> Result<Self> {
        let account = store::account(tx, user).await?;
        let referral = store::referral(tx, user).await?;
        Ok(Self {
            told_level: (account.entries > 0 || account.told_level > 0)
                .then_some(account.told_level),
            referral_code: store::code_of(tx, user).await?,
            referred_by: referral.map(|referral| ReferrerPart {
                user_id: referral.referrer_id,
                name: referral.name,
                joined_at: referral.joined_at,
            }),
        })
    }

    /// What it is, and no other may be.
    #[must_use]
    pub fn keys(&self) -> Vec<Key> {
        self.referral_code.iter().map(|code| Key::own("referralCode", code)).collect()
    }

    /// What it says, and where it says nothing, what is kept; the level may have risen.
    #[must_use]
    pub fn or_kept(&self, kept: &Self) -> Self {
        let Self { told_level, referral_code, referred_by } = self.clone();
        Self {
            told_level: told_level.max(kept.told_level),
            referral_code: referral_code.or_else(|| kept.referral_code.clone()),
            referred_by: referred_by.or_else(|| kept.referred_by.clone()),
        }
    }

    /// Keeps what is not kept of a user; false when the code is somebody else's, or they have another.
    ///
    /// # Errors
    /// The store's.
    pub async fn import(self, tx: &mut Tx<'_>, user: &Id) -> Result<bool> {
        let mut is_theirs = true;
        if let Some(code) = &self.referral_code
            && !store::insert_code(tx, user, code).await?
        {
            is_theirs = store::code_of(tx, user).await?.as_ref() == Some(code);
        }
        if let Some(ReferrerPart { user_id, name, joined_at }) = self.referred_by {
            let (referrer_id, referred_user_id) = (user_id, user.clone());
            let referral = Referral { referrer_id, referred_user_id, name, joined_at };
            store::insert_referral(tx, &referral).await?;
        }
        if let Some(level) = self.told_level {
            moved::set_told_level(tx, user, level).await?;
        }
        Ok(is_theirs)
    }
}

impl PointsLine {
    fn of(number: Option<u64>, entry: PointsTransaction) -> Self {
        Self {
            line: Tag,
            id: entry.id,
            user_id: entry.user_id,
            number,
            points: entry.points,
            reason: entry.reason,
            reference: entry.reference,
            referred_user_id: entry.referred_user_id,
            created_at: entry.created_at,
        }
    }

    /// The entry that is in its place: of its reference, or of its id.
    async fn kept(&self, tx: &mut Tx<'_>) -> Result<Option<PointsTransaction>> {
        let (referred, reference) = (self.referred_user_id.as_ref(), self.reference.as_deref());
        match store::find(tx, &self.user_id, referred, reference).await? {
            None => moved::entry(tx, &self.id).await,
            found => Ok(found),
        }
    }
}

impl Line for PointsLine {
    const TYPE: &'static str = "points";

    fn check(&self) -> Result<()> {
        if self.points == 0 {
            return Err(Error::invalid("/points", "is not 0"));
        }
        if self.reference.is_none() && self.referred_user_id.is_none() {
            return Err(Error::invalid("/reference", "is required but for a referral's reward"));
        }
        Ok(())
    }

    fn facts(&self) -> Facts {
        let referred = self.referred_user_id.as_ref().map_or("", Id::as_str);
        let reference = self.reference.as_deref().unwrap_or_default();
        let entry = format!("{} {referred} {reference}", self.user_id);
        let place = Place::among(&self.user_id, self.number, self.created_at);
        let keys = vec![Key::own("points", &self.id), Key::own("reference of that user", entry)];
        Facts { place, keys }
    }

    async fn import(self, tx: &mut Tx<'_>) -> Result<Outcome> {
        let before = store::account_for_update(tx, &self.user_id).await?;
        if let Some(kept) = self.kept(tx).await? {
            return Outcome::compared(&self, &Self::of(self.number, kept));
        }
        let sum = |before: i64| before.checked_add(self.points).filter(|after| *after >= 0);
        let (Some(points), Some(lifetime)) = (sum(before.points), sum(before.lifetime)) else {
            return Ok(Outcome::other("takes more points than there are"));
        };
        let after = store::Account { points, lifetime, entries: before.entries + 1, ..before };
        let transaction = PointsTransaction {
            underscore_id: self.id.clone(),
            id: self.id,
            user_id: self.user_id,
            points: self.points,
            balance: points,
            reason: self.reason,
            reference: self.reference,
            referred_user_id: self.referred_user_id,
            created_at: self.created_at,
        };
        store::append(tx, &transaction, after).await?;
        Ok(Outcome::Written)
    }

    async fn next(tx: &mut Tx<'_>, after: &str) -> Result<(Vec<Self>, Option<String>)> {
        let after = moving::user_and_number(after)?;
        let entries = moved::entries_after(tx, after, moving::ROWS).await?;
        let next =
            moving::behind(&entries, |(number, entry)| format!("{number} {}", entry.user_id));
        let line =
            |(number, entry): (i64, PointsTransaction)| Self::of(u64::try_from(number).ok(), entry);
        Ok((entries.into_iter().map(line).collect(), next))
    }
}
