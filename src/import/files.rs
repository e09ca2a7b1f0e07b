//! The files that are read: twice, so what comes by a pipe is put into one first.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

/// Bytes of a line, at most.
const MAX_LINE: usize = 16 << 20;

/// Bytes that are read at once.
const READ: usize = 256 << 10;

/// A file.
pub(super) struct Input {
    /// As it is told.
    pub(super) name: String,
    file: File,
}

/// A line, and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    /// Which of the files.
    pub(super) file: u16,
    /// From 1.
    pub(super) line: u64,
    pub(super) offset: u64,
    pub(super) bytes: u32,
}

/// Opens the files; `-` is what comes by standard input.
pub(super) fn open(paths: &[PathBuf], folder: &Path) -> Result<Vec<Input>> {
    ensure!(u16::try_from(paths.len()).is_ok(), "too many files");
    let mut inputs = Vec::with_capacity(paths.len());
    for path in paths {
        let name = path.display().to_string();
        let file = if name == "-" {
            let mut file = tempfile::tempfile_in(folder).context("a file for what comes by -")?;
            io::copy(&mut io::stdin().lock(), &mut file).context("what comes by -")?;
            file
        } else {
            File::open(path).with_context(|| name.clone())?
        };
        let metadata = file.metadata().with_context(|| name.clone())?;
        ensure!(metadata.is_file(), "{name}: is no file that can be read twice; give it as -");
        inputs.push(Input { name, file });
    }
    Ok(inputs)
}

/// A folder for what memory does not hold: beside the store where it is a file, else where the system puts
/// such things.
pub(super) fn scratch(data: &Path) -> PathBuf {
    if data.is_dir() { data.to_owned() } else { std::env::temp_dir() }
}

impl Input {
    /// Hands each line that is not empty to `each`, without its end.
    pub(super) fn each_line(
        &self,
        file: u16,
        mut each: impl FnMut(At, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut reader = BufReader::with_capacity(READ, FromStart { file: &self.file, at: 0 });
        let (mut line, mut offset, mut json) = (0, 0, Vec::new());
        loop {
            json.clear();
            let bytes = io::Read::take(&mut reader, MAX_LINE as u64 + 1)
                .read_until(b'\n', &mut json)
                .with_context(|| self.name.clone())?;
            if bytes == 0 {
                return Ok(());
            }
            line += 1;
            ensure!(bytes <= MAX_LINE, "{}:{line}: the line has more than 16 MiB", self.name);
            let mark = if line == 1 { self.mark(&json)? } else { 0 };
            let at = At {
                file,
                line,
                offset: offset + mark as u64,
                bytes: u32::try_from(bytes - mark)?,
            };
            offset += bytes as u64;
            json.drain(..mark);
            if !json.trim_ascii().is_empty() {
                each(at, &json)?;
            }
        }
    }

    /// Bytes of the mark with which some programs begin a text.
    fn mark(&self, first: &[u8]) -> Result<usize> {
        const UTF_8: &[u8] = b"\xef\xbb\xbf";
        let is_utf_16 = first.starts_with(b"\xff\xfe") || first.starts_with(b"\xfe\xff");
        ensure!(!is_utf_16, "{}: is UTF-16; lines are UTF-8", self.name);
        Ok(if first.starts_with(UTF_8) { UTF_8.len() } else { 0 })
    }

    /// A line once more.
    pub(super) fn line(&self, at: At) -> Result<Vec<u8>> {
        let mut json = vec![0; usize::try_from(at.bytes)?];
        self.file
            .read_exact_at(&mut json, at.offset)
            .with_context(|| format!("{}:{}", self.name, at.line))?;
        Ok(json)
    }
}

/// Reads a file from its start, whatever else reads it.
struct FromStart<'f> {
    file: &'f File,
    at: u64,
}

impl io::Read for FromStart<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.file.read_at(buffer, self.at)?;
        self.at += bytes as u64;
        Ok(bytes)
    }
}
