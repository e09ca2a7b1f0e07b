//! What is known of people, in the table `profiles`, whose names the store of chat joins to its own.

use crate::{
    auth::{Role, Roles},
    clock::Timestamp,
    db::{Row, Tx},
    error::{Error, Result},
    id::Id,
    params,
    users::{documents::Profile, names::Names},
};

/// A user's row.
pub(in crate::users) async fn find(tx: &mut Tx<'_>, user: &Id) -> Result<Option<Row>> {
    const FIND: &str = "SELECT * FROM profiles WHERE user_id = $1";
    Ok(tx.optional(FIND, &params![user]).await?)
}

/// What is known of a user.
pub(in crate::users) async fn profile(tx: &mut Tx<'_>, user: &Id) -> Result<Option<Profile>> {
    let Some(row) = find(tx, user).await? else { return Ok(None) };
    let roles: String = row.get("roles")?;
    let roles: Vec<String> = serde_json::from_str(&roles).map_err(Error::internal)?;
    let id: Id = row.get("user_id")?;
    Ok(Some(Profile {
        underscore_id: id.clone(),
        id,
        first_name: row.get("first_name")?,
        last_name: row.get("last_name")?,
        name: row.get("name")?,
        avatar_url: row.get("avatar_url")?,
        email: row.get("email")?,
        roles: roles.iter().filter_map(|name| Role::from_name(name)).collect::<Roles>(),
        updated_at: row.get("updated_at")?,
        block: None,
    }))
}

/// Keeps what a backend tells of a user, instead of what was known.
pub(in crate::users) async fn put(tx: &mut Tx<'_>, profile: &Profile) -> Result<()> {
    const PUT: &str = "
        INSERT INTO profiles
            (user_id, first_name, last_name, name, avatar_url, email, roles, named_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
        ON CONFLICT (user_id) DO UPDATE SET first_name = $2, last_name = $3, name = $4,
            avatar_url = $5, email = $6, roles = $7, named_at = $8, updated_at = $8";
    let roles = serde_json::to_string(&profile.roles).map_err(Error::internal)?;
    let now = tx.now();
    let row = params![
        &profile.id,
        profile.first_name.clone(),
        profile.last_name.clone(),
        profile.name.clone(),
        profile.avatar_url.clone(),
        profile.email.clone(),
        roles,
        now,
    ];
    tx.execute(PUT, &row).await?;
    Ok(())
}

/// Forgets what is known of a user.
pub(in crate::users) async fn forget(tx: &mut Tx<'_>, user: &Id) -> Result<()> {
    const FORGET: &str = "DELETE FROM profiles WHERE user_id = $1";
    tx.execute(FORGET, &params![user]).await?;
    Ok(())
}

/// Notes names, unless newer ones have come meanwhile.
pub(in crate::users) async fn note(
    tx: &mut Tx<'_>,
    user: &Id,
    names: &Names,
    named_at: Timestamp,
) -> Result<()> {
    const NOTE: &str = "
        INSERT INTO profiles (user_id, first_name, last_name, name, roles, named_at, updated_at)
        VALUES ($1, $2, $3, $4, '[]', $5, $6)
        ON CONFLICT (user_id) DO UPDATE SET first_name = $2, last_name = $3, name = $4,
            named_at = $5, updated_at = $6
        WHERE profiles.named_at <= $5";
    let Names { first_name, last_name, name } = names.clone();
    let now = tx.now();
    tx.execute(NOTE, &params![user, first_name, last_name, name, named_at, now]).await?;
    Ok(())
}
