//! Sorts more than memory holds: records of so many bytes, by these bytes. What is too much is kept in files
//! without a name, which end with the process.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs::File,
    io::{self, BufReader, BufWriter, Read, Seek, Write},
    path::{Path, PathBuf},
};

/// Bytes that are sorted at once.
const CHUNK: usize = 24 << 20;

/// Bytes that are read at once of each file.
const READ: usize = 64 << 10;

/// Takes records.
pub(super) struct Sorter<const N: usize> {
    records: Vec<[u8; N]>,
    files: Vec<File>,
    /// Where its files are.
    folder: PathBuf,
}

impl<const N: usize> Sorter<N> {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { records: Vec::new(), files: Vec::new(), folder }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn add(&mut self, record: [u8; N]) -> io::Result<()> {
        self.records.push(record);
        if self.records.len() * N >= CHUNK { self.put_aside() } else { Ok(()) }
    }

    fn put_aside(&mut self) -> io::Result<()> {
        self.records.sort_unstable();
        let mut file = BufWriter::new(tempfile::tempfile_in(&self.folder)?);
        for record in &self.records {
            file.write_all(record)?;
        }
        let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        self.files.push(file);
        self.records.clear();
        Ok(())
    }

    /// All of them in their order.
    pub(super) fn sorted(mut self) -> io::Result<Sorted<N>> {
        self.records.sort_unstable();
        self.records.reverse();
        let mut files: Vec<_> =
            self.files.into_iter().map(|file| BufReader::with_capacity(READ, file)).collect();
        let mut first = BinaryHeap::new();
        for (index, file) in files.iter_mut().enumerate() {
            first.extend(next(file)?.map(|record| Reverse((record, index))));
        }
        Ok(Sorted { records: self.records, files, first })
    }
}

/// Gives records back.
pub(super) struct Sorted<const N: usize> {
    /// What fitted into memory, the last first.
    records: Vec<[u8; N]>,
    files: Vec<BufReader<File>>,
    /// The first of each file.
    first: BinaryHeap<Reverse<([u8; N], usize)>>,
}

impl<const N: usize> Iterator for Sorted<N> {
    type Item = io::Result<[u8; N]>;

    fn next(&mut self) -> Option<Self::Item> {
        let in_memory = self.records.last();
        let Some(Reverse((record, index))) = self.first.peek().copied() else {
            return self.records.pop().map(Ok);
        };
        if in_memory.is_some_and(|first| *first <= record) {
            return self.records.pop().map(Ok);
        }
        self.first.pop();
        match next(&mut self.files[index]) {
            Ok(following) => self.first.extend(following.map(|next| Reverse((next, index)))),
            Err(error) => return Some(Err(error)),
        }
        Some(Ok(record))
    }
}

fn next<const N: usize>(file: &mut impl Read) -> io::Result<Option<[u8; N]>> {
    let mut record = [0; N];
    match file.read_exact(&mut record) {
        Ok(()) => Ok(Some(record)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_more_than_memory_holds_is_sorted_too() {
        let mut sorter = Sorter::<8>::new(std::env::temp_dir());
        // So many that three files are written, and some stay in memory.
        let count = (3 * CHUNK / 8 + 1000) as u64;
        // Steps that visit each number once.
        let number = |index: u64| (index * 7_368_787) % count;
        for index in 0..count {
            sorter.add(number(index).to_be_bytes()).unwrap();
        }
        assert_eq!(sorter.files.len(), 3);
        let mut expected = 0;
        for record in sorter.sorted().unwrap() {
            assert_eq!(u64::from_be_bytes(record.unwrap()), expected);
            expected += 1;
        }
        assert_eq!(expected, count);
    }
}
