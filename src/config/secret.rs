//! The development secret: a key of this installation's own, so that a first start needs no
//! settings and tokens outlive a restart. Production refuses to do without a configured key.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use secrecy::SecretString;

use super::{auth::MIN_SECRET_BYTES, error::ConfigError};

/// The file's name in the data folder.
const FILE: &str = "jwt-secret";

/// Random bytes of the secret.
const BYTES: usize = 48;

/// The development secret is in use; `auth.jwt_secret` holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevelopmentSecret {
    /// Where it is kept.
    pub path: PathBuf,
    /// Whether it was made just now.
    pub made: bool,
}

/// The secret of an installation with this data folder, made where there is none.
///
/// # Errors
/// When the folder or the file cannot be made or read, or the secret is too short.
pub(super) fn ensure(data: &Path) -> Result<(DevelopmentSecret, SecretString), ConfigError> {
    let path = data.join(FILE);
    let made = !path.exists() && make(data, &path)?;
    let secret = read(&path)?;
    Ok((DevelopmentSecret { path, made }, secret))
}

/// The secret of an installation with this data folder.
///
/// # Errors
/// When there is none, or it cannot be read or is too short.
pub(super) fn find(data: &Path) -> Result<SecretString, ConfigError> {
    let path = data.join(FILE);
    if path.try_exists().map_err(|cause| ConfigError::file(&path, cause))? {
        return read(&path);
    }
    // As a whole, since the folder is one of the working directory's.
    let path = std::path::absolute(&path).unwrap_or(path);
    let detail = "there is no key here, and no JWT_SECRET: a server makes this file when it starts; \
        run this in its folder, or name its data folder with --data";
    Err(ConfigError::content(&path, detail))
}

fn read(path: &Path) -> Result<SecretString, ConfigError> {
    let text = fs::read_to_string(path).map_err(|cause| ConfigError::file(path, cause))?;
    let secret = text.trim_end();
    if secret.len() < MIN_SECRET_BYTES {
        let detail = format!(
            "this development secret has less than {MIN_SECRET_BYTES} bytes; remove the file to have a new one made"
        );
        return Err(ConfigError::content(path, detail));
    }
    Ok(secret.into())
}

/// Writes a new secret aside and links it into place, so that nobody reads half of one and of two
/// servers that start together the second takes the first one's. False for the second.
fn make(folder: &Path, path: &Path) -> Result<bool, ConfigError> {
    create_folder(folder).map_err(|cause| ConfigError::file(folder, cause))?;
    let aside = folder.join(format!("{FILE}.{:016x}", rand::random::<u64>()));
    let secret = BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; BYTES]>());
    let written =
        write_private(&aside, secret.as_bytes()).and_then(|()| match fs::hard_link(&aside, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            linked => linked.map(|()| true),
        });
    let removed = fs::remove_file(&aside);
    let made = written.map_err(|cause| ConfigError::file(path, cause))?;
    removed.map_err(|cause| ConfigError::file(&aside, cause))?;
    Ok(made)
}

fn create_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.write(true).create_new(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use secrecy::ExposeSecret;

    use super::*;
    use crate::config::{Config, Environment};

    fn without_key(data: &Path) -> Config {
        let mut config = Config::for_tests();
        config.data = data.to_owned();
        config.auth.jwt_secret = None;
        config
    }

    fn secret_of(config: &Config) -> String {
        config.auth.jwt_secret.as_ref().unwrap().expose_secret().to_owned()
    }

    #[test]
    fn a_secret_is_made_once_and_then_reused() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("deep/data");
        let (mut first, mut second) = (without_key(&data), without_key(&data));
        let path = data.join(FILE);
        let expect = |made| Some(DevelopmentSecret { path: path.clone(), made });
        assert_eq!(first.ensure_key().unwrap(), expect(true));
        assert_eq!(second.ensure_key().unwrap(), expect(false));
        assert_eq!(secret_of(&first), secret_of(&second));
        assert_eq!(BASE64_URL_SAFE_NO_PAD.decode(secret_of(&first)).unwrap().len(), BYTES);
        assert!(first.validate().is_ok());
        assert_eq!(fs::read_dir(&data).unwrap().count(), 1, "nothing is left aside");
    }

    #[test]
    fn who_speaks_to_a_server_makes_no_secret_and_is_told_where_there_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let refused = without_key(&data).find_key().unwrap_err().to_string();
        let place = data.join(FILE).display().to_string();
        assert!(refused.starts_with(&place) && refused.contains("--data"), "{refused}");
        assert!(!data.exists());
        let mut server = without_key(&data);
        server.ensure_key().unwrap();
        let mut other = without_key(&data);
        other.find_key().unwrap();
        assert_eq!(secret_of(&other), secret_of(&server));
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        without_key(&data).ensure_key().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&data), 0o700);
        assert_eq!(mode(&data.join(FILE)), 0o600);
    }

    #[test]
    fn servers_that_start_together_agree_on_one() {
        let folder = tempfile::tempdir().unwrap();
        let starts = std::thread::scope(|scope| {
            let start = || {
                let mut config = without_key(folder.path());
                let made = config.ensure_key().unwrap().unwrap().made;
                (made, secret_of(&config))
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(starts.iter().filter(|(made, _)| *made).count(), 1);
        assert_eq!(starts.iter().map(|(_, secret)| secret).collect::<HashSet<_>>().len(), 1);
    }

    #[test]
    fn a_secret_that_is_too_short_is_refused_without_being_shown() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), "short").unwrap();
        let error = without_key(folder.path()).ensure_key().unwrap_err().to_string();
        assert!(error.contains("jwt-secret: this development secret has less than 32"), "{error}");
        assert!(!error.contains("short"), "{error}");
    }

    #[test]
    fn a_configured_key_and_production_make_none() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let mut keyed = without_key(&data);
        keyed.auth.jwt_jwks = Some("jwks.json".to_owned());
        let mut production = without_key(&data);
        production.environment = Environment::Production;
        for mut config in [keyed, production] {
            assert_eq!(config.ensure_key().unwrap(), None);
            assert!(config.auth.jwt_secret.is_none());
        }
        assert!(!data.exists());
    }
}
