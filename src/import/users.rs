//! The lines of users: of each all that the rooms keep of who they are.

use garde::Validate;
use serde::{Deserialize, Serialize};

use crate::{
    accounts::AccountPart,
    clock::Timestamp,
    db::Tx,
    error::{Error, Result},
    id::Id,
    moving::{Facts, Key, Line, Outcome, Place, Tag},
    points::{PointsPart, PointsWalk},
    users::{BlockPart, ProfilePart, UserPart, UserWalk},
};

/// A user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Validate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct UserLine {
    #[serde(rename = "type", default, skip_serializing)]
    line: Tag,
    id: Id,
    /// Who they are.
    #[garde(dive)]
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<ProfilePart>,
    /// What they sign in with here.
    #[garde(dive)]
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<AccountPart>,
    /// Their referral code, who referred them, and the level that they were told of.
    #[serde(default)]
    #[garde(dive)]
    points: PointsPart,
    /// That they are shut out.
    #[garde(dive)]
    #[serde(skip_serializing_if = "Option::is_none")]
    block: Option<BlockPart>,
    /// When somebody asked to have them erased, which is still to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    erasure_asked_at: Option<Timestamp>,
}

/// The walks through all users of whom something is kept: each meets those whom the ones before did not.
#[derive(Clone, Copy)]
enum Walk {
    User(UserWalk),
    Account,
    Points(PointsWalk),
}

fn walks() -> impl Iterator<Item = Walk> {
    UserWalk::ALL
        .into_iter()
        .map(Walk::User)
        .chain([Walk::Account])
        .chain(PointsWalk::ALL.into_iter().map(Walk::Points))
}

impl Walk {
    async fn next(self, tx: &mut Tx<'_>, after: &str) -> Result<Vec<Id>> {
        match self {
            Self::User(walk) => walk.next(tx, after).await,
            Self::Account => AccountPart::users_after(tx, after).await,
            Self::Points(walk) => walk.next(tx, after).await,
        }
    }

    fn meets(self, line: &UserLine) -> bool {
        match self {
            Self::User(walk) => walk.meets(&line.known()),
            Self::Account => line.account.is_some(),
            Self::Points(walk) => walk.meets(&line.points),
        }
    }
}

impl UserLine {
    async fn of(tx: &mut Tx<'_>, user: &Id) -> Result<Self> {
        let UserPart { profile, block, erasure_asked_at } = UserPart::of(tx, user).await?;
        Ok(Self {
            line: Tag,
            id: user.clone(),
            profile,
            account: AccountPart::of(tx, user).await?,
            points: PointsPart::of(tx, user).await?,
            block,
            erasure_asked_at,
        })
    }

    fn known(&self) -> UserPart {
        UserPart {
            profile: self.profile.clone(),
            block: self.block.clone(),
            erasure_asked_at: self.erasure_asked_at,
        }
    }

    /// Whether something is kept of them.
    fn is_known(&self) -> bool {
        walks().any(|walk| walk.meets(self))
    }

    /// What it says, and where it says nothing, what is kept.
    fn or_kept(&self, kept: &Self) -> Self {
        let UserPart { profile, block, erasure_asked_at } = self.known().or_kept(&kept.known());
        let account = match (&self.account, &kept.account) {
            (Some(own), Some(kept)) => Some(own.or_kept(kept)),
            (own, kept) => own.as_ref().or(kept.as_ref()).cloned(),
        };
        let points = self.points.or_kept(&kept.points);
        Self { line: Tag, id: self.id.clone(), profile, account, points, block, erasure_asked_at }
    }
}

impl Line for UserLine {
    const TYPE: &'static str = "user";

    fn facts(&self) -> Facts {
        let mut keys = vec![Key::own("user", &self.id)];
        keys.extend(self.account.iter().flat_map(AccountPart::keys));
        keys.extend(self.points.keys());
        Facts { place: Place::default(), keys }
    }

    async fn import(self, tx: &mut Tx<'_>) -> Result<Outcome> {
        let kept = Self::of(tx, &self.id).await?;
        if kept.is_known() && self.or_kept(&kept) == kept {
            return Ok(Outcome::Same);
        }
        let user = &self.id;
        // Of what a live server knows already the rest may be missing.
        if let Some(account) = self.account.clone().filter(|_| kept.account.is_none())
            && !account.import(tx, user).await?
        {
            return Ok(Outcome::other("has the e-mail address of another account"));
        }
        self.known().import(tx, user, &kept.known()).await?;
        if !self.points.clone().import(tx, user).await? {
            return Ok(Outcome::other("has a referral code that is another's; the rest is there"));
        }
        if !kept.is_known() {
            return Ok(Outcome::Written);
        }
        let kept = Self::of(tx, user).await?;
        Ok(match Outcome::compared(&self.or_kept(&kept), &kept)? {
            Outcome::Same => Outcome::Written,
            other => other,
        })
    }

    async fn next(tx: &mut Tx<'_>, after: &str) -> Result<(Vec<Self>, Option<String>)> {
        let (number, after) = after.split_once(' ').unwrap_or(("0", ""));
        let number: usize = number.parse().map_err(Error::internal)?;
        let Some(walk) = walks().nth(number) else { return Ok((Vec::new(), None)) };
        let users = walk.next(tx, after).await?;
        let mut lines = Vec::with_capacity(users.len());
        for user in &users {
            let line = Self::of(tx, user).await?;
            if !walks().take(number).any(|before| before.meets(&line)) {
                lines.push(line);
            }
        }
        let next = match users.last() {
            Some(last) => format!("{number} {last}"),
            None => format!("{} ", number + 1),
        };
        Ok((lines, Some(next)))
    }
}
