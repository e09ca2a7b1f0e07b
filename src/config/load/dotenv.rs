//! `.env` in the working directory: read where there is one, and looked through for names that are
//! nearly ours.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, Read},
    path::Path,
    rc::Rc,
};

use crate::config::{
    error::ConfigError,
    names::{PLAIN_NAMES, SECRETS},
};

/// Letters by which a name that is meant for one of ours differs from it, at most.
const NEAR: usize = 2;

/// In a name that is shorter than this one letter makes another word (`POST`), or another program's
/// name (`PORT1`): there only the order of letters is taken for a slip.
const LONG: usize = 5;

/// Well-known names of others that are near to some of ours.
const FOREIGN: [&str; 1] = ["APP_KEY"];

/// The variables of a file, and a warning for each that it names twice; none where there is no file. The
/// last line counts, as Node's dotenv has it.
pub(super) fn read(path: &Path) -> Result<(BTreeMap<String, String>, Vec<String>), ConfigError> {
    let text = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        text => text.map_err(|cause| ConfigError::file(path, cause))?,
    };
    let begun = Rc::new(Cell::new(0));
    let lines = Lines { unread: &text, is_within: false, begun: begun.clone() };
    let refuse = |error| {
        let (number, why) = match error {
            // A quote that nothing ends has what comes after it, too.
            dotenvy::Error::LineParse(lines, _) => {
                (begun.get() + 1 - lines.lines().count().max(1), "it is not NAME=value")
            }
            _ => (begun.get(), "it is no text in UTF-8"),
        };
        ConfigError::content(path, format!("line {number}: {why}"))
    };
    let (mut read, mut twice) = (BTreeMap::new(), BTreeSet::new());
    for line in dotenvy::Iter::new(lines) {
        let (name, value) = line.map_err(refuse)?;
        if read.insert(name.clone(), value).is_some() {
            twice.insert(name);
        }
    }
    let warning = |name| format!(".env: {name} is there more than once; the last one counts");
    Ok((read, twice.into_iter().map(warning).collect()))
}

/// A file that is given to its reader line by line, so that it is known at which that is.
struct Lines<'a> {
    unread: &'a [u8],
    /// Whether a part of a line was given, and not its end.
    is_within: bool,
    begun: Rc<Cell<usize>>,
}

impl Read for Lines<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let end = self.unread.iter().position(|byte| *byte == b'\n');
        let mut line = &self.unread[..end.map_or(self.unread.len(), |end| end + 1)];
        let given = line.read(into)?;
        if given > 0 {
            self.begun.update(|begun| begun + usize::from(!self.is_within));
            self.is_within = self.unread[given - 1] != b'\n';
            self.unread = &self.unread[given..];
        }
        Ok(given)
    }
}

/// A warning for each name that is none of ours and nearly is. Others are another program's.
pub(super) fn misspelt<'a>(names: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    let files = PLAIN_NAMES.iter().filter(|(_, key)| SECRETS.contains(key));
    let ours: Vec<String> = PLAIN_NAMES
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .chain(files.map(|(name, _)| format!("{name}_FILE")))
        .collect();
    let warning = |name: &String| {
        let upper = name.to_ascii_uppercase();
        if FOREIGN.contains(&upper.as_str()) {
            return None;
        }
        let near = ours.iter().filter(|ours| is_near(ours, &upper));
        let ours = near.min_by_key(|ours| strsim::osa_distance(ours, &upper))?;
        Some(format!(".env: the unknown variable {name} is ignored; {ours} is one"))
    };
    names.into_iter().filter(|name| !ours.contains(name)).filter_map(warning).collect()
}

fn is_near(ours: &str, name: &str) -> bool {
    let far = strsim::osa_distance(ours, name);
    if ours.len().min(name.len()) >= LONG {
        return far <= NEAR;
    }
    let letters = |text: &str| {
        let mut letters: Vec<char> = text.chars().collect();
        letters.sort_unstable();
        letters
    };
    far <= 1 && letters(ours) == letters(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn dotenv_is_read_when_present() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        let (found, twice) = read(&path).unwrap();
        assert!(found.is_empty() && twice.is_empty());
        fs::write(&path, "# a comment\nPORT=4000\nJWT_SECRET='with $ and space'\n").unwrap();
        let (found, twice) = read(&path).unwrap();
        let found: Vec<_> = found.into_iter().collect();
        assert_eq!(found, env(&[("JWT_SECRET", "with $ and space"), ("PORT", "4000")]));
        assert!(twice.is_empty());
        fs::write(&path, "PORT=4000\nHOST=::\nPORT=4001\n").unwrap();
        let (found, twice) = read(&path).unwrap();
        assert_eq!(found["PORT"], "4001");
        assert_eq!(twice, [".env: PORT is there more than once; the last one counts"]);
    }

    #[test]
    fn a_bad_line_of_dotenv_is_named_by_its_number_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        let long = format!("A={}\n", "a".repeat(20_000));
        for (before, bad, after) in [
            ("", "JWT_SECRET=hush hush hush", ""),
            ("# a comment\n\nPORT=1\n", "hush", "\nHOST=::\n"),
            ("A='one\ntwo'\r\n", "hush", "\r\n"),
            (long.as_str(), "hush=\"hush\nhush\nhush\n", ""),
            ("PORT=1\n", "hush=hu\u{fffd}sh", "\nB=2\n"),
        ] {
            // What stands for a byte that is none of UTF-8's.
            let text = format!("{before}{bad}{after}").replace('\u{fffd}', "\0").into_bytes();
            let text: Vec<_> = text.into_iter().map(|b| if b == 0 { 0xff } else { b }).collect();
            fs::write(&path, text).unwrap();
            let error = read(&path).unwrap_err().to_string();
            let number = before.matches('\n').count() + 1;
            assert!(error.contains(&format!(".env: line {number}: it is no")), "{bad:?}: {error}");
            assert!(!error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn names_that_are_nearly_ours_are_warned_of() {
        let of = |name: &str| misspelt([&name.to_owned()]);
        for (name, meant) in [
            ("PROT", "PORT"),
            ("HSOT", "HOST"),
            ("port", "PORT"),
            ("HANDSHAK", "HANDSHAKE"),
            ("HANDSHK", "HANDSHAKE"),
            ("MAXPAYLOD", "MAX_PAYLOAD"),
            ("LIMTIS", "LIMITS"),
            ("APIKEY", "API_KEYS"),
            ("REDIS_URI_FILE", "REDIS_URL_FILE"),
            ("HANDHSAKE", "HANDSHAKE"),
            ("handshake", "HANDSHAKE"),
            ("JWT_SECRETS", "JWT_SECRET"),
            ("JWT_SECRT_FILE", "JWT_SECRET_FILE"),
            ("CLIENT_URLS", "CLIENT_URL"),
            ("REDIS_URI", "REDIS_URL"),
            ("ROOM_POLICI", "ROOM_POLICY"),
        ] {
            let warnings = of(name);
            assert_eq!(warnings.len(), 1, "{name}");
            assert!(
                warnings[0].contains(name) && warnings[0].ends_with(&format!("{meant} is one"))
            );
        }
        let ours = "HANDSHAKE PORT JWT_SECRET_FILE WEBHOOK_SECRET_FILE";
        let others = "HOSTNAME HOME PATH PWD OLDPWD USER LOGNAME SHELL SHLVL TERM TZ LANG LC_ALL EDITOR \
        PAGER TMPDIR DISPLAY NODE_ENV NODE_PORT PORT1 PORTS HOSTS POST HOSTIP DEBUG CI APP_ENV \
        APP_KEY APP_URL APP_NAME BASE_URL SITE_URL DB_HOST DB_URL DB_NAME MONGO_URL MONGODB_URI \
        PGHOST PGUSER POSTGRES_URL SMTP_HOST SMTP_PORT MAIL_HOST HTTP_PROXY HTTPS_PROXY NO_PROXY \
        SESSION_SECRET SECRET_KEY RUST_LOG RUST_BACKTRACE LOG_FILE SENTRY_DSN STRIPE_KEY S3_BUCKET \
        VITE_API_URL NEXTAUTH_URL NEXTAUTH_SECRET AWS_REGION JWT_EXPIRES_IN COOKIE_SECRET TIMEOUT";
        for name in ours.split_whitespace().chain(others.split_whitespace()) {
            assert!(of(name).is_empty(), "{name}: {:?}", of(name));
        }
    }
}
