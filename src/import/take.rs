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

/// What is told with why a store was not opened.
pub(super) const UNOPENED: &str = "the store can't be opened (DATABASE_URL)";

/// What became of lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// How many there are.
    pub lines: u64,
    /// Those that are in the store now; of a check, those that would be.
    pub written: u64,
    /// Those that were.
    pub same: u64,
    /// Those that are not taken.
    pub refused: u64,
}

/// What became of the lines of files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Of all.
    pub all: Counts,
    /// Of those of each type, where something was taken in.
    pub of_types: BTreeMap<&'static str, Counts>,
    /// What was not taken, or is wrong: each with its file and line.
    pub problems: Vec<String>,
    /// Whether they were only tried.
    pub is_check: bool,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (written, same) = if self.is_check {
            ("can be written", "are there already")
        } else {
            ("written", "were there already")
        };
        let told = |counts: &Counts| {
            format!("{} {written}, {} {same}", grouped(counts.written), grouped(counts.same))
        };
        write!(f, "{} lines: {}.", grouped(self.all.lines), told(&self.all))?;
        if self.is_check && self.all.refused == 0 {
            f.write_str(" Nothing is wrong with them.")?;
        }
        for (kind, counts) in &self.of_types {
            write!(f, "\n{kind}: {}", told(counts))?;
            if counts.refused > 0 {
                write!(f, ", {} not taken in", grouped(counts.refused))?;
            }
        }
        Ok(())
    }
}

/// Takes the lines of files into a copy of the store, and tells what is wrong with them: just that which an
/// import would tell. Nothing is written to the store, whoever works with it.
///
/// # Errors
/// When a file or the store can't be read, or the store not copied.
pub async fn check(config: &Config, paths: Vec<PathBuf>) -> Result<Summary> {
    let read = read(config, paths).await?;
    let folder = files::scratch(&config.data);
    let db = Db::open_aside(&config.database, &config.data, Clock::system(), &folder);
    let db = db.await.context(UNOPENED)?;
    let tried = take(&db, config, read, true).await;
    db.close().await;
    tried
}

/// Takes the lines of files in. When something is wrong with one of them by itself, or with what it is to the
/// others, none is.
///
/// # Errors
/// When a file can't be read, or the store fails.
pub async fn import(config: &Config, paths: Vec<PathBuf>) -> Result<Summary> {
    // Before the files are read: who has to wait for it is told at once.
    let db = Db::open_to_fill(&config.database, &config.data, Clock::system(), config.patience());
    let db = db.await.context(UNOPENED)?;
    let taken = match read(config, paths).await {
        Ok(read) => take(&db, config, read, false).await,
        Err(error) => Err(error),
    };
    db.close().await;
    taken
}

async fn take(
    db: &Db,
    config: &Config,
    (inputs, mut checked): (Vec<Input>, Checked),
    is_check: bool,
) -> Result<Summary> {
    checked.compare(&inputs, db).await?;
    let Checked { lines, order, mut problems, .. } = checked;
    let mut summary = Summary { is_check, ..Summary::default() };
    summary.all.lines = lines;
    if !problems.is_empty() {
        summary.all.refused = problems.lines()?;
        summary.problems = problems.told(&inputs);
        return Ok(summary);
    }
    let most = if db.is_own_file() { MAX_IN_FILE } else { MAX_ON_SERVER };
    let problems = Problems::new(files::scratch(&config.data));
    let mut taking = Taking { db, at_once: most, inputs: &inputs, summary, problems };
    let mut progress = Progress::new(if is_check { "tried" } else { "taken in" });
    let mut portion = Portion::default();
    let mut records = order.peekable();
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
            let Counts { written, same, refused, .. } = taking.summary.all;
            progress.tell(written + same + refused, Some(lines));
        }
    }
    progress.end();
    let Taking { mut summary, problems, .. } = taking;
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
                    let lines = portion.lines[done..upto].iter().zip(&portion.at[done..upto]);
                    for ((line, at), outcome) in lines.zip(outcomes) {
                        self.note(line, *at, outcome)?;
                    }
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

    fn note(&mut self, line: &Incoming, at: At, outcome: Outcome) -> Result<()> {
        let Summary { all, of_types, .. } = &mut self.summary;
        let own = of_types.entry(line.kind).or_default();
        own.lines += 1;
        match outcome {
            Outcome::Written => (all.written, own.written) = (all.written + 1, own.written + 1),
            Outcome::Same => (all.same, own.same) = (all.same + 1, own.same + 1),
            Outcome::Other(sentence) => {
                (all.refused, own.refused) = (all.refused + 1, own.refused + 1);
                let what = check::name(line);
                self.problems.add(at, format!("{what}: {sentence}"))?;
            }
        }
        Ok(())
    }

    fn failure(&self, at: At, error: &Error) -> String {
        let file = &self.inputs[usize::from(at.file)].name;
        let why = error.causes();
        let why = why.unwrap_or_else(|| error.detail().to_owned());
        let then = if self.summary.is_check {
            "Nothing was written"
        } else {
            "What was before is there; import again to go on"
        };
        format!("{file}:{} and lines that go with it were not taken in: {why}. {then}", at.line)
    }
}
