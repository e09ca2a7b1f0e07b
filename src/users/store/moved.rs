//! What is kept of users, taken in from a file or written into one.

use crate::{
    auth::Role,
    clock::Timestamp,
    db::{Row, Tx},
    error::{Error, Result},
    id::Id,
    params,
    text::PersonName,
    users::documents::BlockView,
};

/// What is known of a user, with since when.
pub(in crate::users) struct ProfileRow {
    pub(in crate::users) first_name: Option<PersonName>,
    pub(in crate::users) last_name: Option<PersonName>,
    pub(in crate::users) name: Option<PersonName>,
    pub(in crate::users) avatar_url: Option<String>,
    pub(in crate::users) email: Option<String>,
    pub(in crate::users) roles: Vec<Role>,
    pub(in crate::users) named_at: Timestamp,
    pub(in crate::users) updated_at: Timestamp,
}

/// A user's.
pub(in crate::users) async fn profile(tx: &mut Tx<'_>, user: &Id) -> Result<Option<ProfileRow>> {
    let Some(row) = super::profiles::find(tx, user).await? else { return Ok(None) };
    let name = |column: &str| -> Result<Option<PersonName>> {
        let name: Option<String> = row.get(column)?;
        Ok(name.as_deref().and_then(PersonName::from_lossy))
    };
    let roles: String = row.get("roles")?;
    let roles: Vec<String> = serde_json::from_str(&roles).map_err(Error::internal)?;
    Ok(Some(ProfileRow {
        first_name: name("first_name")?,
        last_name: name("last_name")?,
        name: name("name")?,
        avatar_url: row.get("avatar_url")?,
        email: row.get("email")?,
        roles: roles.iter().filter_map(|name| Role::from_name(name)).collect(),
        named_at: row.get("named_at")?,
        updated_at: row.get("updated_at")?,
    }))
}

/// Keeps it as it was.
pub(in crate::users) async fn insert_profile(
    tx: &mut Tx<'_>,
    user: &Id,
    profile: &ProfileRow,
) -> Result<()> {
    const INSERT: &str = "
        INSERT INTO profiles
            (user_id, first_name, last_name, name, avatar_url, email, roles, named_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        ON CONFLICT (user_id) DO NOTHING";
    let name = |name: &Option<PersonName>| name.clone().map(String::from);
    let row = params![
        user,
        name(&profile.first_name),
        name(&profile.last_name),
        name(&profile.name),
        profile.avatar_url.as_ref(),
        profile.email.as_ref(),
        serde_json::to_string(&profile.roles).map_err(Error::internal)?,
        profile.named_at,
        profile.updated_at,
    ];
    tx.execute(INSERT, &row).await?;
    Ok(())
}

/// A user's block, over or not.
pub(in crate::users) async fn block(tx: &mut Tx<'_>, user: &Id) -> Result<Option<BlockView>> {
    const BLOCK: &str = "SELECT * FROM blocks WHERE user_id = $1";
    let Some(row) = tx.optional(BLOCK, &params![user]).await? else { return Ok(None) };
    Ok(Some(BlockView {
        since: row.get("since")?,
        until: row.get("ends_at")?,
        reason: row.get("reason")?,
        blocked_by: row.get("blocked_by")?,
    }))
}

/// When somebody last asked to have a user erased, which is not done.
pub(in crate::users) async fn erasure(tx: &mut Tx<'_>, user: &Id) -> Result<Option<Timestamp>> {
    const ASKED: &str = "SELECT asked_at FROM erasures WHERE user_id = $1";
    let row = tx.optional(ASKED, &params![user]).await?;
    Ok(row.map(|row| row.get("asked_at")).transpose()?)
}

/// Notes when it was asked.
pub(in crate::users) async fn insert_erasure(
    tx: &mut Tx<'_>,
    user: &Id,
    asked_at: Timestamp,
) -> Result<()> {
    const ASK: &str = "
        INSERT INTO erasures (user_id, asked_at) VALUES ($1, $2)
        ON CONFLICT (user_id) DO NOTHING";
    tx.execute(ASK, &params![user, asked_at]).await?;
    Ok(())
}

/// The users after this one of whom something is known.
pub(in crate::users) async fn profiles_after(
    tx: &mut Tx<'_>,
    after: &str,
    limit: i64,
) -> Result<Vec<Id>> {
    const AFTER: &str = "SELECT user_id FROM profiles WHERE user_id > $1 ORDER BY user_id LIMIT $2";
    ids(&tx.all(AFTER, &params![after, limit]).await?)
}

/// The users after this one who are blocked.
pub(in crate::users) async fn blocks_after(
    tx: &mut Tx<'_>,
    after: &str,
    limit: i64,
) -> Result<Vec<Id>> {
    const AFTER: &str = "SELECT user_id FROM blocks WHERE user_id > $1 ORDER BY user_id LIMIT $2";
    ids(&tx.all(AFTER, &params![after, limit]).await?)
}

/// The users after this one who are to be erased.
pub(in crate::users) async fn erasures_after(
    tx: &mut Tx<'_>,
    after: &str,
    limit: i64,
) -> Result<Vec<Id>> {
    const AFTER: &str = "SELECT user_id FROM erasures WHERE user_id > $1 ORDER BY user_id LIMIT $2";
    ids(&tx.all(AFTER, &params![after, limit]).await?)
}

fn ids(rows: &[Row]) -> Result<Vec<Id>> {
    rows.iter().map(|row| Ok(row.get("user_id")?)).collect()
}

/// A revocation as it is kept.
#[derive(Clone, Debug)]
pub(in crate::users) struct RevocationRow {
    pub(in crate::users) kind: String,
    pub(in crate::users) subject: String,
    pub(in crate::users) issued_before: Timestamp,
    pub(in crate::users) older_than: Timestamp,
    pub(in crate::users) ends_at: Timestamp,
}

/// The revocations after that of a kind and a subject.
pub(in crate::users) async fn revocations_after(
    tx: &mut Tx<'_>,
    (kind, subject): (&str, &str),
    limit: i64,
) -> Result<Vec<RevocationRow>> {
    const AFTER: &str = "
        SELECT * FROM revocations WHERE (kind, subject) > ($1, $2)
        ORDER BY kind, subject LIMIT $3";
    tx.all(AFTER, &params![kind, subject, limit]).await?.iter().map(revocation).collect()
}

/// A revocation.
pub(in crate::users) async fn find_revocation(
    tx: &mut Tx<'_>,
    kind: &str,
    subject: &str,
) -> Result<Option<RevocationRow>> {
    const FIND: &str = "SELECT * FROM revocations WHERE kind = $1 AND subject = $2";
    tx.optional(FIND, &params![kind, subject]).await?.as_ref().map(revocation).transpose()
}

/// Keeps it; what was kept before is not taken back.
pub(in crate::users) async fn insert_revocation(
    tx: &mut Tx<'_>,
    revoked: &RevocationRow,
) -> Result<()> {
    const INSERT: &str = "
        INSERT INTO revocations (kind, subject, issued_before, older_than, ends_at)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (kind, subject) DO UPDATE SET issued_before = excluded.issued_before,
            older_than = excluded.older_than, ends_at = excluded.ends_at";
    let RevocationRow { kind, subject, issued_before, older_than, ends_at } = revoked;
    tx.execute(INSERT, &params![kind, subject, *issued_before, *older_than, *ends_at]).await?;
    Ok(())
}

fn revocation(row: &Row) -> Result<RevocationRow> {
    Ok(RevocationRow {
        kind: row.get("kind")?,
        subject: row.get("subject")?,
        issued_before: row.get("issued_before")?,
        older_than: row.get("older_than")?,
        ends_at: row.get("ends_at")?,
    })
}
