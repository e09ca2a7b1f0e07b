//! Takes lines in: checks all of them, then writes them in portions. What was cut off goes on when it is
//! done again, since what is there already is passed over.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};
use tokio::{task::spawn_blocking, time::sleep};

use super::{
    check::{self, Checked},
    families::family,
    files::{self, At, Input},
    order::LineRecord,
    progress::{Problems, Progress, grouped},
};
use crate::{
    clock::Clock,
    config::Config,
    db::{Db, Tx},
    error::{Code, Error},
    moving::{Incoming, Outcome},
};

/// Lines of one unit, at most: a file takes many for the price of one flush, a server is asked again for
/// most of them.
const MAX_IN_FILE: usize = 4000;
const MAX_ON_SERVER: usize = 500;

/// Bytes of one unit, at most.
const MAX_BYTES: usize = 4 << 20;

/// How often a portion is tried again that a busy store did not take, or tell, and after how long.
pub(super) const TRIES: usize = 6;
pub(super) const TRY_AGAIN: Duration = Duration::from_secs(1);

/// What became of the lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many were read.
    pub lines: u64,
    /// How many are of each type.
    pub of_types: BTreeMap<&'static str, u64>,
    /// Those that are in the store now.
    pub written: u64,
    /// Those that were.
    pub same: u64,
    /// What was not taken, or is wrong: each with its file and line.
    pub problems: Vec<String>,
    /// How many those are.
    pub refused: u64,
    /// Whether lines were only read.
    pub is_check: bool,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lines, written, same, .. } = self;
        if self.is_check {
            let of_type = |(kind, count): (&&str, &u64)| format!("{} {kind}", grouped(*count));
            let of_types: Vec<_> = self.of_types.iter().map(of_type).collect();
            let of_types = of_types.join(", ");
            return write!(f, "{} lines: {of_types}. Nothing is wrong with them.", grouped(*lines));
        }
        write!(
            f,
            "{} lines: {} written, {} were there already.",
            grouped(*lines),
            grouped(*written),
            grouped(*same)
        )
    }
}

/// Reads files and tells what is wrong with them; nothing is written.
///
/// # Errors
/// When a file can't be read, or the store where it has to be asked.
pub async fn check(config: &Config, paths: Vec<PathBuf>) -> Result<Summary> {
    let (inputs, mut checked) = read(config, paths).await?;
    if let Some(db) = checked.compare(&inputs, async || open(config).await).await? {
        db.close().await;
    }
    let refused = checked.problems.count();
    let Checked { lines, of_types, problems, .. } = checked;
    let problems = problems.told(&inputs);
    Ok(Summary { lines, of_types, problems, refused, is_check: true, ..Summary::default() })
}

/// Takes the lines of files in. When something is wrong with one of them, none is.
///
/// # Errors
/// When a file can't be read, or the store fails.
pub async fn import(config: &Config, paths: Vec<PathBuf>) -> Result<Summary> {
    // Before the files are read: who has to wait for it is told at once.
    let db = open(config).await?;
    let taken = into(&db, config, paths).await;
    db.close().await;
    taken
}

async fn into(db: &Db, config: &Config, paths: Vec<PathBuf>) -> Result<Summary> {
    let (inputs, mut checked) = read(config, paths).await?;
    checked.compare(&inputs, async || Ok(db.clone())).await?;
    let lines = checked.lines;
    if checked.problems.count() > 0 {
        let refused = checked.problems.count();
        let problems = checked.problems.told(&inputs);
        return Ok(Summary { lines, problems, refused, ..Summary::default() });
    }
    let most = if db.is_own_file() { MAX_IN_FILE } else { MAX_ON_SERVER };
    let mut taking = Taking {
        db,
        at_once: most,
        inputs: &inputs,
        summary: Summary::default(),
        problems: Problems::default(),
    };
    let mut progress = Progress::new("taken in");
    let mut portion = Portion::default();
    let mut records = checked.order.peekable();
    while let Some(bytes) = records.next() {
        let record = LineRecord::from_bytes(&bytes.context("sorting the lines")?);
        let next = match records.peek() {
            Some(Ok(next)) => Some(LineRecord::from_bytes(next)),
            _ => None,
        };
        let is_next = |next: LineRecord| (next.family, next.group) == (record.family, record.group);
        let ends = record.group == 0 || !next.is_some_and(is_next);
        portion.add(&inputs, record, ends)?;
        if portion.is_full(most) || next.is_none_or(|next| next.family != record.family) {
            taking.take(std::mem::take(&mut portion)).await?;
            let done = taking.summary.written + taking.summary.same + taking.problems.count();
            progress.tell(done, Some(lines));
        }
    }
    progress.end();
    let Taking { mut summary, problems, .. } = taking;
    summary.lines = lines;
    summary.refused = problems.count();
    summary.problems = problems.told(&inputs);
    Ok(summary)
}

async fn read(config: &Config, paths: Vec<PathBuf>) -> Result<(Vec<Input>, Checked)> {
    let folder = files::scratch(&config.data);
    let read = spawn_blocking(move || {
        let inputs = files::open(&paths, &folder)?;
        let checked = check::read(&inputs, &folder)?;
        Ok((inputs, checked))
    });
    read.await?
}

/// Opens the store that is configured.
pub(super) async fn open(config: &Config) -> Result<Db> {
    Db::open(&config.database, &config.data, Clock::system(), config.patience())
        .await
        .context("the store can't be opened (DATABASE_URL)")
}

/// Lines that are taken in together.
#[derive(Default)]
struct Portion {
    family: u8,
    lines: Vec<Incoming>,
    at: Vec<At>,
    bytes: usize,
}

impl Portion {
    fn add(&mut self, inputs: &[Input], record: LineRecord, ends: bool) -> Result<()> {
        let json = inputs[usize::from(record.at.file)].line(record.at)?;
        self.bytes += json.len();
        self.family = record.family;
        self.at.push(record.at);
        let kind = family(record.family).types()[usize::from(record.kind)];
        self.lines.push(Incoming { kind, json, ends });
        Ok(())
    }

    fn is_full(&self, most: usize) -> bool {
        self.lines.len() >= most || self.bytes >= MAX_BYTES
    }
}

struct Taking<'t> {
    db: &'t Db,
    /// Lines of one unit.
    at_once: usize,
    inputs: &'t [Input],
    summary: Summary,
    problems: Problems,
}

impl Taking<'_> {
    /// Takes lines in, fewer at once where the store finds them too much.
    async fn take(&mut self, portion: Portion) -> Result<()> {
        let movable = family(portion.family);
        let (mut done, mut tries) = (0, 0);
        while done < portion.lines.len() {
            let upto = portion.lines.len().min(done + self.at_once);
            let lines = portion.lines[done..upto].to_vec();
            let unit = async move |tx: &mut Tx<'_>| movable.import(tx, &lines).await;
            match self.db.write(unit).await {
                Ok(outcomes) => {
                    self.note(&portion.at[done..upto], outcomes);
                    (done, tries) = (upto, 0);
                }
                Err(error) if error.code() == Code::Unavailable && tries < TRIES => {
                    tries += 1;
                    self.at_once = (self.at_once / 4).max(1);
                    sleep(TRY_AGAIN).await;
                }
                Err(error) => bail!(self.failure(portion.at[done], &error)),
            }
        }
        self.at_once = self.at_once.saturating_mul(2).min(MAX_IN_FILE);
        Ok(())
    }

    fn note(&mut self, at: &[At], outcomes: Vec<Outcome>) {
        for (at, outcome) in at.iter().zip(outcomes) {
            match outcome {
                Outcome::Written => self.summary.written += 1,
                Outcome::Same => self.summary.same += 1,
                Outcome::Other(sentence) => self.problems.add(*at, sentence),
            }
        }
    }

    fn failure(&self, at: At, error: &Error) -> String {
        let file = &self.inputs[usize::from(at.file)].name;
        let why = error.causes();
        let why = why.unwrap_or_else(|| error.detail().to_owned());
        format!(
            "{file}:{} and lines that go with it were not taken in: {why}. What was before is there; \
             import again to go on",
            at.line
        )
    }
}
