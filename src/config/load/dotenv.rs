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
