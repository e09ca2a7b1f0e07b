//! What of people stands in a user's line: who they are, whether they are shut out or to be erased.

use garde::Validate;
use serde::{Deserialize, Serialize};

use crate::{
    auth::Role,
    clock::Timestamp,
    db::Tx,
    error::Result,
    id::Id,
    moving,
    rest::json,
    text::{self, PersonName},
    users::{
        documents::BlockView,
        requests::{mail_address, web_address},
        store::{
            moved::{self, ProfileRow},
            shut_out,
        },
    },
};

/// What is kept of a user.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UserPart {
    /// Who they are.
    pub profile: Option<ProfilePart>,
    /// That they are shut out.
    pub block: Option<BlockPart>,
    /// When somebody asked to have them erased, which is still to be done.
    pub erasure_asked_at: Option<Timestamp>,
}

/// Who a user is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Validate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct ProfilePart {
    first_name: Option<PersonName>,
    last_name: Option<PersonName>,
    name: Option<PersonName>,
    #[garde(inner(custom(web_address)))]
    avatar_url: Option<String>,
    #[garde(inner(custom(mail_address)))]
    email: Option<String>,
    #[serde(default, deserialize_with = "json::or_default")]
    #[garde(length(max = 5))]
    roles: Vec<Role>,
    /// Since when the names hold: those of a newer token win. Without it: as long as nobody says others.
    named_at: Option<Timestamp>,
    updated_at: Option<Timestamp>,
}

/// That they are shut out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Validate)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct BlockPart {
    since: Timestamp,
    until: Option<Timestamp>,
    #[garde(inner(length(chars, min = 1, max = 500), custom(text::line)))]
    reason: Option<String>,
    blocked_by: Id,
}

/// A walk through the users of whom something is kept here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserWalk {
    /// Those of whom something is known.
    Profiles,
    /// Those who are blocked.
    Blocks,
    /// Those who are to be erased.
    Erasures,
}

impl UserWalk {
    /// All walks.
    pub const ALL: [Self; 3] = [Self::Profiles, Self::Blocks, Self::Erasures];

    /// The next users after one.
    ///
    /// # Errors
    /// The store's.
    pub async fn next(self, tx: &mut Tx<'_>, after: &str) -> Result<Vec<Id>> {
        match self {
            Self::Profiles => moved::profiles_after(tx, after, moving::ROWS).await,
            Self::Blocks => moved::blocks_after(tx, after, moving::ROWS).await,
            Self::Erasures => moved::erasures_after(tx, after, moving::ROWS).await,
        }
    }

    /// Whether a user is met on it.
    #[must_use]
    pub fn meets(self, part: &UserPart) -> bool {
        match self {
            Self::Profiles => part.profile.is_some(),
            Self::Blocks => part.block.is_some(),
            Self::Erasures => part.erasure_asked_at.is_some(),
        }
    }
}

impl UserPart {
    /// What is kept of a user.
    ///
    /// # Errors
    /// The store's.
    pub async fn of(tx: &mut Tx<'_>, user: &Id) -> Result<Self> {
        let profile = moved::profile(tx, user).await?.map(|row| ProfilePart {
            first_name: row.first_name,
            last_name: row.last_name,
            name: row.name,
            avatar_url: row.avatar_url,
            email: row.email,
            roles: row.roles,
            named_at: Some(row.named_at),
            updated_at: Some(row.updated_at),
        });
        let block = moved::block(tx, user).await?.map(|block| BlockPart {
            since: block.since,
            until: block.until,
            reason: block.reason,
            blocked_by: block.blocked_by,
        });
        Ok(Self { profile, block, erasure_asked_at: moved::erasure(tx, user).await? })
    }

    /// What it says, and where it says nothing, what is kept.
    #[must_use]
    pub fn or_kept(&self, kept: &Self) -> Self {
        let Self { mut profile, block, erasure_asked_at } = self.clone();
        if let (Some(own), Some(kept)) = (&mut profile, &kept.profile) {
            own.named_at = own.named_at.or(kept.named_at);
            own.updated_at = own.updated_at.or(kept.updated_at);
        }
        Self {
            profile: profile.or_else(|| kept.profile.clone()),
            block: block.or_else(|| kept.block.clone()),
            erasure_asked_at: erasure_asked_at.or(kept.erasure_asked_at),
        }
    }

    /// Keeps what is not kept of a user; of them there is this already.
    ///
    /// # Errors
    /// The store's.
    pub async fn import(self, tx: &mut Tx<'_>, user: &Id, kept: &Self) -> Result<()> {
        if let Some(profile) = self.profile.filter(|_| kept.profile.is_none()) {
            let never = Timestamp::from_millis(0);
            let row = ProfileRow {
                first_name: profile.first_name,
                last_name: profile.last_name,
                name: profile.name,
                avatar_url: profile.avatar_url,
                email: profile.email,
                roles: profile.roles,
                named_at: profile.named_at.unwrap_or(never),
                updated_at: profile.updated_at.or(profile.named_at).unwrap_or(tx.now()),
            };
            moved::insert_profile(tx, user, &row).await?;
        }
        if let Some(BlockPart { since, until, reason, blocked_by }) =
            self.block.filter(|_| kept.block.is_none())
        {
            let block = BlockView { since, until, reason, blocked_by };
            shut_out::block(tx, user, &block).await?;
        }
        if let Some(asked_at) = self.erasure_asked_at {
            moved::insert_erasure(tx, user, asked_at).await?;
        }
        Ok(())
    }
}
