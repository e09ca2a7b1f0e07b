//! The first look at the lines, before anything is written: each by itself, then what they are to each
//! other.

use std::{borrow::Cow, path::Path};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    families::{Kind, family, is_beside_its_type, kind, types},
    files::{At, Input},
    order::{LINE, LineRecord, NAME, NameRecord},
    progress::{Problems, Progress},
    sort::{Sorted, Sorter},
};
use crate::{
    db::{Db, Tx},
    error::Error,
    id::Id,
    moving::{Incoming, Movable, Names, differences},
};

/// Names that the store is asked for at once.
const ASKED: usize = 500;

/// The fields of a line that are told, at most.
const MAX_FIELDS: usize = 5;

/// What is known of the lines by now.
pub(super) struct Checked {
    /// How many there are.
    pub(super) lines: u64,
    /// In the order in which they are taken in.
    pub(super) order: Sorted<LINE>,
    /// What they name, until that is compared.
    names: Option<Sorted<NAME>>,
    numbers: Names,
    pub(super) problems: Problems,
}

/// What a line says of itself first.
#[derive(Deserialize)]
struct Typed<'j> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'j, str>,
}

/// Reads every line.
pub(super) fn read(inputs: &[Input], folder: &Path) -> Result<Checked> {
    let mut order = Sorter::<LINE>::new(folder.to_owned());
    let mut keys = Sorter::<NAME>::new(folder.to_owned());
    let mut problems = Problems::new(folder.to_owned());
    let (numbers, mut lines) = (Names::default(), 0);
    let mut progress = Progress::new("checked");
    for (input, number) in inputs.iter().zip(0_u16..) {
        input.each_line(number, |at, json| {
            lines += 1;
            progress.tell(lines, None);
            let Kind { family: own, kind: which } = match kind_of(json) {
                Ok(kind) => kind,
                Err(sentence) => {
                    return problems.add(at, sentence);
                }
            };
            let movable = family(own);
            let facts = match movable.facts(movable.types()[usize::from(which)], json) {
                Ok(facts) => facts,
                Err(error) => {
                    problems.add(at, sentence(&error))?;
                    // What refers to it is not wrong because of that.
                    let kind = movable.types()[usize::from(which)];
                    for (space, name) in names(movable, kind, json) {
                        let number = numbers.number(space, &name);
                        let record = NameRecord { number, is_own: true, at };
                        keys.add(record.to_bytes()).context("sorting the names")?;
                    }
                    return Ok(());
                }
            };
            let record = LineRecord::new(own, which, &facts.place, &numbers, at);
            order.add(record.to_bytes()).context("sorting the lines")?;
            for key in facts.keys {
                let number = numbers.number(key.space, &key.name);
                let record = NameRecord { number, is_own: key.is_own, at };
                keys.add(record.to_bytes()).context("sorting the names")?;
            }
            Ok(())
        })?;
    }
    progress.end();
    let (order, names) = (order.sorted()?, Some(keys.sorted()?));
    Ok(Checked { lines, order, names, numbers, problems })
}

fn kind_of(json: &[u8]) -> Result<Kind, String> {
    let typed: Typed<'_> = serde_json::from_slice(json).map_err(|error| {
        // The line has a number of its own.
        let sentence = error.to_string();
        let sentence = sentence.split(" at line ").next().unwrap_or_default();
        match error.classify() {
            serde_json::error::Category::Data if !is_object(json) => "is no JSON object".to_owned(),
            serde_json::error::Category::Data if sentence.starts_with("duplicate field") => {
                "has `type` twice".to_owned()
            }
            serde_json::error::Category::Data if sentence.starts_with("invalid type") => {
                format!("has a `type` that is no text; it is one of {}", types())
            }
            serde_json::error::Category::Data => format!("has no type; it is one of {}", types()),
            _ => format!("is no JSON: {sentence}, at column {}", error.column()),
        }
    })?;
    // A list would be taken for an object's fields.
    if !is_object(json) {
        return Err("is no JSON object".to_owned());
    }
    kind(&typed.kind).ok_or_else(|| format!("is of no type that there is; these are {}", types()))
}

fn is_object(json: &[u8]) -> bool {
    json.trim_ascii_start().starts_with(b"{")
}

/// What others may refer to a line by that has something wrong with it, as far as it says that.
fn names(movable: &dyn Movable, kind: &'static str, json: &[u8]) -> Vec<(&'static str, String)> {
    let fields: Map<String, Value> = serde_json::from_slice(json).unwrap_or_default();
    let id = |field: &&str| Id::deserialize(fields.get(*field)?).ok().map(|id| id.to_string());
    let spaces = [(kind, &["id"][..])].into_iter().chain(movable.spaces(kind).iter().copied());
    let named = spaces.filter_map(|(space, fields)| {
        let ids: Vec<String> = fields.iter().map(id).collect::<Option<_>>()?;
        Some((space, ids.join(" ")))
    });
    named.collect()
}

/// What a line is, for who is told of it: its type, and by which name it is known.
pub(super) fn name(line: &Incoming) -> String {
    let facts = kind(line.kind).map(|kind| family(kind.family).facts(line.kind, &line.json));
    match facts.transpose().ok().flatten().and_then(|facts| facts.keys.into_iter().next()) {
        Some(own) => format!("{} {}", line.kind, own.name),
        None => line.kind.to_owned(),
    }
}

/// What is wrong with a line.
fn sentence(error: &Error) -> String {
    if error.fields().is_empty() {
        return error.detail().to_owned();
    }
    let fields = error.fields().iter().take(MAX_FIELDS);
    let told: Vec<String> = fields
        .map(|field| {
            let separator = if field.pointer.is_empty() { "" } else { ": " };
            format!("{}{separator}{}", field.pointer, field.detail)
        })
        .collect();
    told.join("; ")
}

impl Checked {
    /// Looks whether names are told once, and whether what is referred to is there: in the files, or in the
    /// store.
    pub(super) async fn compare(&mut self, inputs: &[Input], db: &Db) -> Result<()> {
        let mut unknown = Unknown { asked: Vec::new(), db };
        let (mut own, mut missing): (Option<NameRecord>, Option<u128>) = (None, None);
        for bytes in self.names.take().into_iter().flatten() {
            let name = NameRecord::from_bytes(&bytes.context("sorting the names")?);
            if own.is_some_and(|own| own.number == name.number) {
                if let Some(first) = own.filter(|_| name.is_own)
                    && let Some(differences) = differ(inputs, first.at, name.at)?
                {
                    let what = what(&self.numbers, inputs, &name)?;
                    if is_beside_its_type(what) {
                        // That is told of its id.
                        continue;
                    }
                    let (file, line) = (&inputs[usize::from(first.at.file)].name, first.at.line);
                    let differences = match what {
                        "id" => format!(", and other content{differences}"),
                        _ => String::new(),
                    };
                    let sentence = format!("has the same {what} as {file}:{line}{differences}");
                    self.problems.add(name.at, sentence)?;
                }
                continue;
            }
            if name.is_own {
                own = Some(name);
            } else if missing != Some(name.number) {
                missing = Some(name.number);
                unknown.asked.push(name);
                if unknown.asked.len() >= ASKED {
                    unknown.ask(&self.numbers, inputs, &mut self.problems).await?;
                }
            }
        }
        unknown.ask(&self.numbers, inputs, &mut self.problems).await
    }
}

/// In which fields two lines differ; none where they say the same.
fn differ(inputs: &[Input], one: At, other: At) -> Result<Option<String>> {
    if one == other {
        // It says something twice that may be there once.
        return Ok(Some(String::new()));
    }
    let read = |at: At| -> Result<Value> {
        let json = inputs[usize::from(at.file)].line(at)?;
        Ok(serde_json::from_slice(&json).unwrap_or_default())
    };
    let (one, other) = (read(one)?, read(other)?);
    Ok((one != other).then(|| differences(&one, &other)))
}

/// What the space and the name of a record are: the line says them once more.
fn spelled(
    numbers: &Names,
    inputs: &[Input],
    record: &NameRecord,
) -> Result<Option<(&'static str, String)>> {
    let json = inputs[usize::from(record.at.file)].line(record.at)?;
    let changed = || {
        let name = &inputs[usize::from(record.at.file)].name;
        anyhow::anyhow!("{name}:{}: the file was changed while it was read", record.at.line)
    };
    let found = kind_of(&json).map_err(|_| changed())?;
    let movable = family(found.family);
    // Of one that has something wrong with it only the id is known.
    let Ok(facts) = movable.facts(movable.types()[usize::from(found.kind)], &json) else {
        return Ok(None);
    };
    let mut same = facts.keys.into_iter();
    let same = same.find(|key| numbers.number(key.space, &key.name) == record.number);
    Ok(same.map(|key| (key.space, key.name)))
}

fn what(numbers: &Names, inputs: &[Input], record: &NameRecord) -> Result<&'static str> {
    let spelled = spelled(numbers, inputs, record)?;
    Ok(spelled.map_or("id", |(space, _)| if kind(space).is_some() { "id" } else { space }))
}

/// What no line is, and the store may have.
struct Unknown<'d> {
    asked: Vec<NameRecord>,
    db: &'d Db,
}

impl Unknown<'_> {
    async fn ask(
        &mut self,
        numbers: &Names,
        inputs: &[Input],
        problems: &mut Problems,
    ) -> Result<()> {
        let asked = std::mem::take(&mut self.asked);
        if asked.is_empty() {
            return Ok(());
        }
        let mut by_space: Vec<(&'static str, Vec<(At, String)>)> = Vec::new();
        for record in asked {
            let Some((space, name)) = spelled(numbers, inputs, &record)? else { continue };
            match by_space.iter_mut().find(|(of, _)| *of == space) {
                Some((_, names)) => names.push((record.at, name)),
                None => by_space.push((space, vec![(record.at, name)])),
            }
        }
        for (space, asked) in by_space {
            let Some(owner) = owner(space) else { continue };
            let names: Vec<String> = asked.iter().map(|(_, name)| name.clone()).collect();
            let movable = family(owner);
            let unit = async move |tx: &mut Tx<'_>| movable.are_there(tx, space, &names).await;
            let there = self.db.read(unit).await?;
            for ((at, name), is_there) in asked.into_iter().zip(there) {
                if !is_there {
                    let name = name.rsplit(' ').next().unwrap_or_default();
                    problems
                        .add(at, format!("refers to the {space} {name}, which is not there"))?;
                }
            }
        }
        Ok(())
    }
}

/// Whose space it is: of the type with which its name begins.
fn owner(space: &str) -> Option<u8> {
    kind(space.split(' ').next().unwrap_or_default()).map(|kind| kind.family)
}
