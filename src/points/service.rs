//! The rules of points. Each change is one unit of work that locks the account of its user, so that
//! the balance is the sum of the ledger, whoever else awards something at the same time.

use std::sync::Arc;

use super::{
    announcements,
    documents::{PointsAccount, PointsTransaction, Referral},
    levels::Levels,
    requests::{Award, CreateReferral, Referrer, Reward},
    store::{self, Account},
};
use crate::{
    auth::Identity,
    config::{Level, PointsConfig},
    db::{Db, Tx},
    error::{Code, Error, Result},
    id::{Id, Ids, readable_code},
    rest::list::{List, Page},
    text::PersonName,
};

/// How many codes are tried before it is said that there is none.
const CODES_TRIED: usize = 8;

/// What a reward for a referral is for.
const REFERRAL: &str = "referral";

/// Points of users. Cheap to clone.
#[derive(Clone)]
pub struct PointsService {
    db: Db,
    ids: Ids,
    levels: Levels,
}

/// What comes to a ledger.
struct Entry {
    user_id: Id,
    points: i64,
    reason: String,
    reference: Option<String>,
    referred_user_id: Option<Id>,
}

impl PointsService {
    /// Points in this store.
    #[must_use]
    pub fn new(db: Db, ids: Ids, config: &PointsConfig) -> Self {
        Self { db, ids, levels: Levels::new(config) }
    }

    /// Awards points in a unit of work of another room. With a reference that the user's ledger has
    /// already it changes nothing and gives that entry back, with false.
    ///
    /// # Errors
    /// [`Code::Conflict`] when the reference stands for something else, or a correction takes more
    /// than there is; the store's.
    pub async fn award(&self, tx: &mut Tx<'_>, award: Award) -> Result<(PointsTransaction, bool)> {
        let entry = Entry {
            user_id: award.user_id,
            points: award.points,
            reason: award.reason,
            reference: Some(award.reference),
            referred_user_id: None,
        };
        self.append(tx, entry).await
    }

    /// Writes down in a unit of work of another room that someone signed up with a referral code, and
    /// tells its owner. Again it changes nothing.
    ///
    /// # Errors
    /// [`Code::InvalidPayload`] when it is nobody's code, or their own; [`Code::Conflict`] when
    /// somebody else referred them; the store's.
    pub async fn sign_up(
        &self,
        tx: &mut Tx<'_>,
        code: &str,
        referred_user_id: Id,
        name: PersonName,
    ) -> Result<()> {
        refer(tx, Referrer::Code(code.to_owned()), referred_user_id, name).await.map(drop)
    }

    /// The code that a user hands on to those whom they refer, made when there is none.
    ///
    /// # Errors
    /// The store's.
    pub async fn referral_code(&self, tx: &mut Tx<'_>, user: &Id) -> Result<String> {
        for _ in 0..CODES_TRIED {
            if let Some(code) = store::code_of(tx, user).await? {
                return Ok(code);
            }
            let code = readable_code();
            if store::insert_code(tx, user, &code).await? {
                return Ok(code);
            }
        }
        Err(Error::internal("every referral code that was tried is taken"))
    }

    /// The same where there is one, for a unit that only reads.
    ///
    /// # Errors
    /// The store's.
    pub async fn known_referral_code(&self, tx: &mut Tx<'_>, user: &Id) -> Result<Option<String>> {
        store::code_of(tx, user).await
    }

    /// Awards points.
    pub(super) async fn give(&self, award: Award) -> Result<(PointsTransaction, bool)> {
        let service = self.clone();
        self.db.write(async move |tx: &mut Tx<'_>| service.award(tx, award).await).await
    }

    /// Writes a referral down; the same again gives the first back, with false.
    pub(super) async fn refer(&self, mut request: CreateReferral) -> Result<(Referral, bool)> {
        let referrer = request.referrer()?;
        let CreateReferral { referred_user_id, name, .. } = request;
        let unit = async move |tx: &mut Tx<'_>| refer(tx, referrer, referred_user_id, name).await;
        self.db.write(unit).await
    }

    /// Rewards whoever referred a user, once for each reference.
    pub(super) async fn reward(&self, reward: Reward) -> Result<(PointsTransaction, bool)> {
        let service = self.clone();
        let unit = async move |tx: &mut Tx<'_>| {
            let Some(referral) = store::referral(tx, &reward.referred_user_id).await? else {
                return Err(Error::new(Code::NotFound, "Nobody referred this user."));
            };
            let entry = Entry {
                user_id: referral.referrer_id,
                points: reward.points,
                reason: REFERRAL.to_owned(),
                reference: reward.reference,
                referred_user_id: Some(reward.referred_user_id),
            };
            service.append(tx, entry).await
        };
        self.db.write(unit).await
    }

    /// What the caller has.
    pub(super) async fn account(&self, caller: Arc<Identity>) -> Result<PointsAccount> {
        let user = caller.user_id.clone();
        let unit = async move |tx: &mut Tx<'_>| {
            Ok((store::account(tx, &user).await?, store::code_of(tx, &user).await?))
        };
        let (account, code) = self.db.read(unit).await?;
        let referral_code = match code {
            Some(code) => code,
            None => self.new_code(caller.user_id.clone()).await?,
        };
        let (level, next) = self.levels.of(account.lifetime);
        Ok(PointsAccount {
            points: account.points,
            lifetime_points: account.lifetime,
            level: level.level,
            next_level: next.cloned(),
            perks: level.perks.clone(),
            referral_code,
        })
    }

    async fn new_code(&self, user: Id) -> Result<String> {
        let service = self.clone();
        self.db.write(async move |tx: &mut Tx<'_>| service.referral_code(tx, &user).await).await
    }

    /// The caller's ledger, newest first.
    pub(super) async fn ledger(
        &self,
        caller: Arc<Identity>,
        page: Page,
    ) -> Result<List<PointsTransaction>> {
        let before = page.after()?.unwrap_or(i64::MAX);
        let unit = async move |tx: &mut Tx<'_>| {
            let limit = i64::try_from(page.fetch()).unwrap_or(i64::MAX);
            let rows = store::ledger(tx, &caller.user_id, before, limit).await?;
            Ok(List::of(rows, &page, |(ordinal, _)| *ordinal, |(_, transaction)| transaction))
        };
        self.db.read(unit).await
    }

    /// The levels, the lowest first.
    pub(super) fn levels(&self) -> &[Level] {
        self.levels.all()
    }

    /// Adds to a ledger, and tells of what that brings; with false the entry that is there already.
    async fn append(&self, tx: &mut Tx<'_>, entry: Entry) -> Result<(PointsTransaction, bool)> {
        let before = store::account_for_update(tx, &entry.user_id).await?;
        let (referred, reference) = (entry.referred_user_id.as_ref(), entry.reference.as_deref());
        if let Some(there) = store::find(tx, &entry.user_id, referred, reference).await? {
            if (there.points, &there.reason) == (entry.points, &entry.reason) {
                return Ok((there, false));
            }
            let sentence = "This reference stands for other points, or for another reason.";
            return Err(Error::new(Code::Conflict, sentence).with_reason("reference_used"));
        }
        let lifetime = sum(before.lifetime, entry.points)?;
        let ((old, _), (new, _)) = (self.levels.of(before.lifetime), self.levels.of(lifetime));
        let after = Account {
            points: sum(before.points, entry.points)?,
            lifetime,
            entries: before.entries + 1,
            told_level: before.told_level.max(old.level).max(new.level),
        };
        let id = Id::from(self.ids.next());
        let transaction = PointsTransaction {
            underscore_id: id.clone(),
            id,
            user_id: entry.user_id,
            points: entry.points,
            balance: after.points,
            reason: entry.reason,
            reference: entry.reference,
            referred_user_id: entry.referred_user_id,
            created_at: tx.now(),
        };
        store::append(tx, &transaction, after).await?;
        if let Some(referred) = transaction.referred_user_id.clone() {
            tx.announce(announcements::rewarded(&transaction, referred));
        }
        // After a correction what was told of once is not told of again.
        let told = before.told_level.max(old.level);
        if new.level > told {
            tx.announce(announcements::level_up(&transaction.user_id, told, new, lifetime));
        }
        Ok((transaction, true))
    }
}

/// Writes a referral down, and tells the referrer; the same again gives the first back, with false.
async fn refer(
    tx: &mut Tx<'_>,
    referrer: Referrer,
    referred_user_id: Id,
    name: PersonName,
) -> Result<(Referral, bool)> {
    let (referrer_id, pointer) = match referrer {
        Referrer::User(user) => (user, "/referrerId"),
        Referrer::Code(code) => {
            let owner = store::of_code(tx, &code.trim().to_ascii_uppercase()).await?;
            let none = || Error::invalid("/referralCode", "is nobody's referral code");
            (owner.ok_or_else(none)?, "/referralCode")
        }
    };
    if referrer_id == referred_user_id {
        return Err(Error::invalid(pointer, "is of the one who is referred"));
    }
    let referral = Referral { referrer_id, referred_user_id, name, joined_at: tx.now() };
    if store::insert_referral(tx, &referral).await? {
        tx.announce(announcements::signed_up(&referral));
        return Ok((referral, true));
    }
    match store::referral(tx, &referral.referred_user_id).await? {
        Some(first) if first.referrer_id == referral.referrer_id => Ok((first, false)),
        _ => {
            let sentence = "Somebody else referred this user.";
            Err(Error::new(Code::Conflict, sentence).with_reason("referred_already"))
        }
    }
}

/// What there is with an entry: never less than nothing.
fn sum(before: i64, points: i64) -> Result<i64> {
    let after = before.checked_add(points).filter(|after| *after >= 0);
    after.ok_or_else(|| {
        let sentence = "A correction takes at most the points that there are.";
        Error::new(Code::Conflict, sentence).with_reason("insufficient_points")
    })
}
