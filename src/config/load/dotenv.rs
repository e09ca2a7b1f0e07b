//! `.env` in the working directory: read where there is one, and looked through for names that are
//! nearly ours.

use std::{collections::BTreeMap, path::Path};

use super::{ConfigError, PLAIN_NAMES, SECRETS, UNSERVED};

/// Letters by which a name that is meant for one of ours differs from it, at most.
const NEAR: usize = 2;

/// The variables of a file; none where there is no file.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, String>, ConfigError> {
    let refuse = |error| match error {
        dotenvy::Error::Io(cause) => ConfigError::file(path, cause),
        _ => ConfigError::content(path, "a line is not NAME=value"),
    };
    match dotenvy::from_path_iter(path) {
        Err(error) if error.not_found() => Ok(BTreeMap::new()),
        Err(error) => Err(refuse(error)),
        Ok(lines) => lines.collect::<Result<_, _>>().map_err(refuse),
    }
}

/// A warning for each name that is none of ours and nearly is. Others are another program's.
pub(super) fn misspelt<'a>(names: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    let secret = |key: &str| SECRETS.contains(&key);
    let files = PLAIN_NAMES.iter().filter(|(_, key)| secret(key));
    let ours: Vec<String> = PLAIN_NAMES
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .chain(UNSERVED.iter().map(|(name, _)| (*name).to_owned()))
        .chain(files.map(|(name, _)| format!("{name}_FILE")))
        .collect();
    let warning = |name: &String| {
        let upper = name.to_ascii_uppercase();
        let far = |ours: &&String| strsim::osa_distance(ours, &upper);
        let ours = ours.iter().min_by_key(far)?;
        // In a short name they make another word.
        let is_near = far(&ours) <= NEAR.min(name.len() / 5);
        is_near.then(|| format!(".env: the unknown variable {name} is ignored; {ours} is one"))
    };
    names.into_iter().filter(|name| !ours.contains(name)).filter_map(warning).collect()
}
