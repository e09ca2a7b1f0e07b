//! Brings the layers together, key by key, and remembers where each value came from, so that an
//! error can say which variable, flag or file to look at.

mod dotenv;

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
};

use toml::{Table, Value};

use super::{
    error::{BadValue, ConfigError},
    names::{OF_COMMANDS, PLAIN_NAMES, SECRETS},
    sections::Config,
};

/// The embedded defaults, which are the documentation too.
const DEFAULTS: &str = include_str!("../../config/default.toml");

/// Letters by which a variable that is meant for one of ours differs from it, at most.
const NEAR: usize = 2;

/// Allowed origins. Their defaults are a developer's pages: in production only those count that
/// somebody named.
const ORIGINS: [&str; 2] = ["server.client_url", "server.frontend_url"];

/// Flags of every verb; they win over the environment.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Flags {
    /// A TOML file with the keys of config/default.toml that differ
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address that the server listens on
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub host: Option<IpAddr>,
    /// Port that the server listens on; it takes a free one for 0
    #[arg(long, global = true)]
    pub port: Option<u16>,
    /// Folder for the database and the development secret
    #[arg(id = "data-folder", long = "data", global = true, value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// error, warn, info, debug, trace, or a filter such as info,stoa=debug
    #[arg(long, global = true, value_name = "FILTER")]
    pub log_level: Option<String>,
    /// pretty or json
    #[arg(long, global = true, value_name = "FORMAT")]
    pub log_format: Option<String>,
}

/// A valid configuration.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What counts.
    pub config: Config,
    /// What an operator should know, for the log once there is one.
    pub warnings: Vec<String>,
}

/// Loads the configuration from the process's environment, over `.env` in the working directory
/// where there is one.
///
/// # Errors
/// Those of [`load`], and when `.env` is there and cannot be read.
pub fn load_here(flags: &Flags) -> Result<Loaded, ConfigError> {
    let (mut environment, twice) = dotenv::read(Path::new(".env"))?;
    let misspelt = dotenv::misspelt(environment.keys());
    environment.extend(
        std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }),
    );
    let mut loaded = load(flags, environment)?;
    loaded.warnings.extend(twice.into_iter().chain(misspelt));
    Ok(loaded)
}

/// Loads the configuration: defaults < `--config` < `env` < flags, then validates it.
///
/// # Errors
/// The first layer that cannot be read, or every value that is not valid.
pub fn load(
    flags: &Flags,
    env: impl IntoIterator<Item = (String, String)>,
) -> Result<Loaded, ConfigError> {
    let mut layers = Layers::new()?;
    if let Some(path) = &flags.config {
        layers.file(path)?;
    }
    layers.environment(env.into_iter().collect())?;
    layers.flags(flags);
    layers.finish()
}

impl Config {
    /// A valid configuration for tests: the defaults on a free port of this machine, with a key.
    /// Tests that write set `data` to a folder of their own.
    #[must_use]
    #[expect(
        clippy::expect_used,
        clippy::missing_panics_doc,
        reason = "the defaults are valid, and a test shows it"
    )]
    pub fn for_tests() -> Self {
        let environment = [
            ("HOST", "127.0.0.1"),
            ("PORT", "0"),
            ("JWT_SECRET", "a secret that every test knows, 48 bytes long ..."),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let flags = Flags { data: Some(std::env::temp_dir().join("stoa")), ..Flags::default() };
        load(&flags, environment).expect("valid defaults").config
    }
}

/// Every key by its dotted name.
struct Layers {
    /// Values of the embedded file: which keys exist, and of which type.
    defaults: BTreeMap<String, Value>,
    /// Values of the other layers with their origin; later ones have replaced earlier ones.
    set: BTreeMap<String, (Value, String)>,
    warnings: Vec<String>,
}

impl Layers {
    fn new() -> Result<Self, ConfigError> {
        let mut defaults = BTreeMap::new();
        flatten(parse(Path::new("default.toml"), DEFAULTS)?, "", &mut |key, value| {
            match value {
                // An empty one is a value: its keys are the operator's.
                Value::Table(table) if !table.is_empty() => return Some(table),
                value => defaults.insert(key, value),
            };
            None
        });
        Ok(Self { defaults, set: BTreeMap::new(), warnings: Vec::new() })
    }

    fn file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text = fs::read_to_string(path).map_err(|cause| ConfigError::file(path, cause))?;
        let origin = path.display().to_string();
        flatten(parse(path, &text)?, "", &mut |key, value| {
            match value {
                value if self.defaults.contains_key(&key) => {
                    self.set.insert(key, (value, origin.clone()));
                }
                Value::Table(table) => return Some(table),
                value if self.defaults.keys().any(|known| is_within(known, &key)) => {
                    self.set.insert(key, (value, origin.clone()));
                }
                _ => self.warnings.push(format!("{origin}: the unknown key {key} is ignored")),
            }
            None
        });
        Ok(())
    }

    fn environment(&mut self, env: BTreeMap<String, String>) -> Result<(), ConfigError> {
        let mut names = BTreeMap::new();
        for (name, text) in env {
            if text.trim().is_empty() {
                continue;
            }
            let (key, text) = if let Some(key) = self.key_of(&name) {
                (key, text)
            } else if let Some(key) = self.file_key_of(&name) {
                let read = read_secret(Path::new(&text)).map_err(|why| {
                    let detail = format!("{text}: {why}");
                    let (key, origin) = (key.clone(), Some(name.clone()));
                    ConfigError::Values(vec![BadValue { key, origin, detail }])
                })?;
                (key, read)
            } else {
                if name.starts_with("STOA_") && !OF_COMMANDS.contains(&name.as_str()) {
                    let near = self.nearest(&name).map(|near| format!("; {near} is one"));
                    let near = near.unwrap_or_default();
                    self.warnings.push(format!("the unknown variable {name} is ignored{near}"));
                }
                continue;
            };
            match names.entry(key.clone()) {
                Entry::Occupied(first) => {
                    return Err(ConfigError::Twice { first: first.remove(), second: name, key });
                }
                Entry::Vacant(slot) => slot.insert(name.clone()),
            };
            // A secret is taken as it is: others that share it do not trim it either.
            let text = if SECRETS.contains(&key.as_str()) { &text } else { text.trim() };
            let value = typed(text, self.defaults.get(&key)).map_err(|detail| {
                let (origin, detail) = (Some(name.clone()), self.with_example(&key, &detail));
                ConfigError::Values(vec![BadValue { key: key.clone(), origin, detail }])
            })?;
            self.set.insert(key, (value, name));
        }
        Ok(())
    }

    /// The key that a variable sets.
    fn key_of(&self, name: &str) -> Option<String> {
        let plain = PLAIN_NAMES.iter().find(|(plain, _)| *plain == name);
        let key = match plain {
            Some((_, key)) => (*key).to_owned(),
            None => name.strip_prefix("STOA_")?.to_ascii_lowercase().replace("__", "."),
        };
        self.defaults.contains_key(&key).then_some(key)
    }

    /// The variable that one of nobody's is most likely meant for.
    fn nearest(&self, name: &str) -> Option<String> {
        let of_key = |key: &String| format!("STOA_{}", key.to_ascii_uppercase().replace('.', "__"));
        let plain = PLAIN_NAMES.iter().map(|(plain, _)| (*plain).to_owned());
        let far = |known: &String| {
            let bare = strsim::osa_distance(known, name.trim_start_matches("STOA_"));
            bare.min(strsim::osa_distance(known, name))
        };
        // Of those that are as near, the plain name, which comes first.
        let near = plain.chain(self.defaults.keys().map(of_key)).map(|known| (far(&known), known));
        near.filter(|(far, _)| *far <= NEAR).min_by_key(|(far, _)| *far).map(|(_, known)| known)
    }

    /// What is wrong with a value, with one that is right: the default, where there is one.
    fn with_example(&self, key: &str, detail: &str) -> String {
        match self.defaults.get(key) {
            Some(Value::String(text)) if !text.is_empty() => {
                format!("{detail} (an example: {text})")
            }
            Some(Value::Integer(number)) => format!("{detail} (an example: {number})"),
            _ => detail.to_owned(),
        }
    }

    /// The secret key that a variable names a file for.
    fn file_key_of(&self, name: &str) -> Option<String> {
        let key = self.key_of(name.strip_suffix("_FILE")?)?;
        SECRETS.contains(&key.as_str()).then_some(key)
    }

    fn flags(&mut self, flags: &Flags) {
        let path = |path: &PathBuf| Value::String(path.display().to_string());
        let settings = [
            ("server.host", "--host", flags.host.map(|host| Value::String(host.to_string()))),
            ("server.port", "--port", flags.port.map(|port| Value::Integer(port.into()))),
            ("data", "--data", flags.data.as_ref().map(path)),
            ("log.level", "--log-level", flags.log_level.clone().map(Value::String)),
            ("log.format", "--log-format", flags.log_format.clone().map(Value::String)),
        ];
        for (key, flag, value) in settings {
            if let Some(value) = value {
                self.set.insert(key.to_owned(), (value, flag.to_owned()));
            }
        }
    }

    fn finish(mut self) -> Result<Loaded, ConfigError> {
        self.set.retain(|_, (value, _)| !is_unset(value));
        let mut table = Table::new();
        // A value in the place of a section comes first, for serde to refuse it.
        for (key, (value, _)) in &self.set {
            insert(&mut table, key, Some(value.clone()));
        }
        let environment = self.set.get("environment").map(|(value, _)| value);
        let production = environment.is_some_and(|value| value.as_str() == Some("production"));
        for (key, default) in &self.defaults {
            if !self.set.contains_key(key) {
                let default = match default {
                    Value::Array(_) if production && ORIGINS.contains(&key.as_str()) => {
                        Value::Array(Vec::new())
                    }
                    default => default.clone(),
                };
                insert(&mut table, key, (!is_unset(&default)).then_some(default));
            }
        }
        let config: Config =
            serde_path_to_error::deserialize(Value::Table(table)).map_err(|error| {
                let key = error.path().to_string();
                let is_secret = |secret: &&str| key.starts_with(secret) || is_within(secret, &key);
                let hide = SECRETS.iter().any(is_secret);
                let message = error.inner().message();
                // These name keys, and no values.
                let hide = hide
                    && !["missing field", "unknown field"]
                        .iter()
                        .any(|start| message.starts_with(start));
                let detail = if hide { "has the wrong type" } else { message };
                let detail = self.with_example(&key, detail);
                self.refuse([(key, detail.as_str())])
            })?;
        config.validate().map_err(|report| {
            self.refuse(report.iter().map(|(path, error)| (path.to_string(), error.message())))
        })?;
        self.warnings.extend(config.warnings());
        Ok(Loaded { config, warnings: self.warnings })
    }

    /// Says of each bad value where it came from.
    fn refuse<'a>(&self, values: impl IntoIterator<Item = (String, &'a str)>) -> ConfigError {
        let bad = |(path, detail): (String, &str)| {
            let key = path.split('[').next().unwrap_or_default();
            let origin = self.set.get(key).map(|(_, origin)| origin.clone());
            BadValue { key: path, origin, detail: detail.to_owned() }
        };
        ConfigError::Values(values.into_iter().map(bad).collect())
    }
}

/// Whether a key is one of a section.
fn is_within(key: &str, section: &str) -> bool {
    key.strip_prefix(section).is_some_and(|rest| rest.starts_with('.'))
}

fn is_unset(value: &Value) -> bool {
    value.as_str().is_some_and(str::is_empty)
}

fn parse(path: &Path, text: &str) -> Result<Table, ConfigError> {
    text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        ConfigError::content(path, format!("line {line}: {}", error.message()))
    })
}

/// Gives `leaf` every value by its dotted name; a table that it gives back is walked too.
fn flatten(table: Table, prefix: &str, leaf: &mut impl FnMut(String, Value) -> Option<Table>) {
    for (name, value) in table {
        let key = format!("{prefix}{name}");
        if let Some(table) = leaf(key.clone(), value) {
            flatten(table, &format!("{key}."), leaf);
        }
    }
}

/// Puts a value at its dotted name; without a value, the section is there all the same.
fn insert(table: &mut Table, key: &str, value: Option<Value>) {
    match key.split_once('.') {
        None => table.extend(value.map(|value| (key.to_owned(), value))),
        Some((section, rest)) => {
            let inner = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

/// The text of a variable as a value of the default's type.
fn typed(text: &str, default: Option<&Value>) -> Result<Value, String> {
    match default {
        Some(Value::Integer(_)) => {
            let number = text.parse().map_err(|_| format!("`{text}` is not a whole number"));
            number.map(Value::Integer)
        }
        Some(Value::Boolean(_)) => match text {
            "on" | "true" => Ok(Value::Boolean(true)),
            "off" | "false" => Ok(Value::Boolean(false)),
            _ => Err(format!("`{text}` is neither on nor off")),
        },
        Some(Value::Array(_)) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Ok(Value::Array(items.map(|item| Value::String(item.to_owned())).collect()))
        }
        Some(Value::Table(_)) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            let pairs = items.map(|item| match item.split_once('=') {
                Some((key, value)) => {
                    Ok((key.trim().to_owned(), Value::String(value.trim().to_owned())))
                }
                None => Err(format!("`{item}` is not of the form key=value")),
            });
            pairs.collect::<Result<_, _>>().map(Value::Table)
        }
        _ => Ok(Value::String(text.to_owned())),
    }
}

/// A secret that a file holds, without the newline at its end.
fn read_secret(path: &Path) -> Result<String, String> {
    let text = fs::read_to_string(path).map_err(|cause| cause.to_string())?;
    let secret = text.strip_suffix('\n').unwrap_or(&text);
    let secret = secret.strip_suffix('\r').unwrap_or(secret);
    if secret.trim().is_empty() {
        return Err("the file is empty".to_owned());
    }
    Ok(secret.to_owned())
}

#[cfg(test)]
mod tests;
