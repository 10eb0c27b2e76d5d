//! Files: JSON Lines, CSV and Parquet, plain or packed with gzip or Zstandard.
//!
//! What a file is shows in its first bytes (gzip, Zstandard, Parquet) and its name (`.csv`); all else is JSON Lines.
//! Files are read one after the other and make one stream.

use super::json_row::type_of_name;
use super::lines::{self, BUFFER, Ended, Pace};
use super::{Filling, Limits, Outlet, Source, SourceError, csv_rows, parquet_rows};
use crate::checkpoint::manifest::Positions;
use crate::record::Origin;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The path that means standard input.
const STDIN: &str = "-";

/// Files and folders, read one after the other.
pub struct FileSource {
    paths: Vec<PathBuf>,
    limits: Limits,
    progress: Progress,
    read: Positions,
}

/// How far files are read, in bytes as they lie on the disk.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    passed: Arc<AtomicU64>,
    total: Arc<AtomicU64>,
}

impl Progress {
    /// Bytes that were read.
    pub fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }

    /// Bytes of all files, once they are known.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }
}

impl FileSource {
    /// A source of files; a folder stands for all files in it, in order of their names. `-` is standard input.
    pub fn new(paths: Vec<PathBuf>, limits: Limits) -> Self {
        Self { paths, limits, progress: Progress::default(), read: Positions::new() }
    }

    /// Passes over what was read before.
    pub fn after(mut self, read: Positions) -> Self {
        self.read = read;
        self
    }

    /// How far it is, to be watched from elsewhere.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

impl Source for FileSource {
    fn name(&self) -> String {
        match &*self.paths {
            [path] => format!("file: {}", path.display()),
            paths => format!("{} files and folders", paths.len()),
        }
    }

    fn run(self: Box<Self>, outlet: &Outlet) -> Result<(), SourceError> {
        let files = expand(&self.paths)?;
        let size = |file: &PathBuf| std::fs::metadata(file).map_or(0, |data| data.len());
        self.progress.total.store(files.iter().map(size).sum(), Ordering::Relaxed);
        let mut filling = Filling::after(self.limits, self.read);
        for path in files {
            let read = One { path: &path, progress: &self.progress }.read(&mut filling, outlet);
            match read {
                Ok(Ended::AtEnd) => {}
                Ok(Ended::Stopped) => return Ok(()),
                Err(error) => {
                    // What was read before counts.
                    let _stopping = outlet.flush(&mut filling);
                    return Err(error);
                }
            }
        }
        let _stopping = outlet.flush(&mut filling);
        Ok(())
    }
}

/// The files that paths stand for. Of a folder those that are not hidden; folders in it are not looked into.
///
/// # Errors
/// A path that is not there, or a folder that cannot be read.
pub fn expand(paths: &[PathBuf]) -> Result<Vec<PathBuf>, SourceError> {
    let mut files = Vec::new();
    for path in paths {
        let fail = |source| SourceError::File { action: "read", path: path.clone(), source };
        if path == Path::new(STDIN) || !std::fs::metadata(path).map_err(fail)?.is_dir() {
            files.push(path.clone());
            continue;
        }
        let mut inside = Vec::new();
        for entry in std::fs::read_dir(path).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            // Of a link what it leads to counts.
            if !hidden && std::fs::metadata(entry.path()).map_err(fail)?.is_file() {
                inside.push(entry.path());
            }
        }
        inside.sort();
        files.extend(inside);
    }
    Ok(files)
}

/// One file.
struct One<'a> {
    path: &'a Path,
    progress: &'a Progress,
}

impl One<'_> {
    fn fail(&self, action: &'static str) -> impl FnOnce(io::Error) -> SourceError {
        let path = self.path.to_owned();
        move |source| SourceError::File { action, path, source }
    }

    fn read(&self, filling: &mut Filling, outlet: &Outlet) -> Result<Ended, SourceError> {
        let name = self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let origin = |default_type: Option<&str>| {
            let name = self.path.display().to_string();
            Arc::new(Origin { name, separator: ':', default_type: default_type.map(str::to_owned) })
        };
        if self.path == Path::new(STDIN) {
            return super::stdin::feed(None, filling, outlet);
        }
        let file = File::open(self.path).map_err(self.fail("open"))?;
        let counted = Counted { inner: file, passed: self.progress.passed.clone() };
        let mut reader = BufReader::with_capacity(BUFFER, counted);
        let start = reader.fill_buf().map_err(self.fail("read"))?;
        if start.starts_with(b"PAR1") {
            return self.read_parquet(reader, &origin(type_of_name(&name)), filling, outlet);
        }
        let packed = start.get(..4).unwrap_or_default();
        let unpacked: Box<dyn Read> = match packed {
            [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(reader)),
            [0x28, 0xb5, 0x2f, 0xfd] => {
                Box::new(zstd::stream::read::Decoder::with_buffer(reader).map_err(self.fail("unpack"))?)
            }
            _ => Box::new(reader),
        };
        let lower = name.to_ascii_lowercase();
        let plain_name = [".gz", ".zst"].iter().find_map(|end| lower.strip_suffix(end)).unwrap_or(&lower);
        let ended = if plain_name.ends_with(".csv") {
            csv_rows::feed(unpacked, &origin(type_of_name(&name)), filling, outlet)
        } else {
            let mut reader = BufReader::with_capacity(BUFFER, unpacked);
            lines::feed(&mut reader, &origin(None), Pace::Steady, filling, outlet)
        };
        ended.map_err(self.fail("read"))
    }

    fn read_parquet(
        &self,
        reader: BufReader<Counted<File>>,
        origin: &Arc<Origin>,
        filling: &mut Filling,
        outlet: &Outlet,
    ) -> Result<Ended, SourceError> {
        let file = reader.into_inner().inner;
        let before = self.progress.passed();
        let size = file.metadata().map_or(0, |data| data.len());
        let passed = |share: f64| {
            let bytes = (size as f64 * share) as u64;
            self.progress.passed.fetch_max(before + bytes.saturating_sub(BUFFER as u64), Ordering::Relaxed);
        };
        parquet_rows::feed(file, origin, filling, outlet, &passed)
            .map_err(|reason| SourceError::Parquet { path: self.path.to_owned(), reason })
    }
}

/// Counts what passes.
struct Counted<R> {
    inner: R,
    passed: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.passed.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::super::channel::{Event, Received};
    use super::*;
    use std::io::Write;
    use std::time::Duration;

    fn read(paths: Vec<PathBuf>) -> (Vec<(String, String)>, Result<(), SourceError>) {
        let source = FileSource::new(paths, Limits::bulk());
        let progress = source.progress();
        let running = super::super::start(Box::new(source), 100).expect("a thread");
        let mut records = Vec::new();
        while let Received::Event(Event::Batch(delivery)) = running.inlet.receive(Duration::from_secs(30)) {
            let batch = delivery.batch;
            for message in &batch.messages {
                let position = batch.position(message);
                let name = position.rsplit('/').next().unwrap_or_default().to_owned();
                let tag = batch.origins[message.origin as usize].default_type.clone().unwrap_or_default();
                records.push((name, tag + &String::from_utf8_lossy(batch.payload(message))));
            }
        }
        let ended = running.join();
        if ended.is_ok() {
            assert_eq!(progress.passed(), progress.total());
        }
        (records, ended)
    }

    #[test]
    fn a_folder_is_all_files_in_it_in_every_form() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let write = |name: &str, bytes: &[u8]| std::fs::write(path(name), bytes).expect("written");
        write("a.jsonl", b"{\"n\":1}\n\n{\"n\":2}");
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"{\"n\":3}\n").expect("memory");
        let member = gzip.finish().expect("memory");
        write("b.jsonl.gz", &[member.as_slice(), &member].concat());
        write("c.jsonl.zst", &zstd::encode_all(b"{\"n\":4}\n".as_slice(), 1).expect("memory"));
        write("d_settlement.csv", b"n\n5\n");
        write("settlement_2026.csv", b"n\n6\n");
        write("unnamed", &zstd::encode_all(b"{\"n\":7}".as_slice(), 1).expect("memory"));
        write("empty.jsonl", b"");
        write(".hidden", b"{\"n\":8}");
        std::fs::create_dir(path("inner")).expect("a folder");
        write("inner/x.jsonl", b"{\"n\":9}");
        let (records, ended) = read(vec![folder.path().to_owned(), path("a.jsonl")]);
        ended.expect("readable");
        let found: Vec<(&str, &str)> = records.iter().map(|(at, record)| (at.as_str(), record.as_str())).collect();
        assert_eq!(
            found,
            [
                ("a.jsonl:1", "{\"n\":1}"),
                ("a.jsonl:3", "{\"n\":2}"),
                ("b.jsonl.gz:1", "{\"n\":3}"),
                ("b.jsonl.gz:2", "{\"n\":3}"),
                ("c.jsonl.zst:1", "{\"n\":4}"),
                ("d_settlement.csv:2", "{\"n\":\"5\"}"),
                ("settlement_2026.csv:2", "settlement{\"n\":\"6\"}"),
                ("unnamed:1", "{\"n\":7}"),
                ("a.jsonl:1", "{\"n\":1}"),
                ("a.jsonl:3", "{\"n\":2}"),
            ]
        );
    }

    #[test]
    fn what_cannot_be_read_is_named_and_what_came_before_counts() {
        let folder = tempfile::tempdir().expect("a folder");
        let missing = folder.path().join("nowhere.jsonl");
        let (records, ended) = read(vec![missing]);
        assert!(records.is_empty());
        assert!(ended.expect_err("missing").to_string().contains("nowhere.jsonl"));
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all("{\"n\":1}\n".repeat(10_000).as_bytes()).expect("memory");
        let whole = gzip.finish().expect("memory");
        let cut = folder.path().join("cut.jsonl.gz");
        std::fs::write(&cut, &whole[..whole.len() - 20]).expect("written");
        let (records, ended) = read(vec![cut]);
        assert!(records.len() > 5_000);
        assert!(ended.expect_err("cut").to_string().contains("cut.jsonl.gz"));
    }
}
