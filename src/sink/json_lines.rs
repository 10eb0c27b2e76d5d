//! JSON Lines in a file: one item a line, rotation by size, on disk before it counts as delivered.

use super::{Context, Sink, SinkError};
use crate::alert::{Alert, stored};
use crate::fault;
use serde::Serialize;
use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a process that was killed may take to die: about 200 ms for each GB of its memory, measured.
const DYING: Duration = Duration::from_secs(5);

/// When a new file is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// The size at which a new file is begun.
    pub bytes: u64,
    /// Old files that are kept: `alerts.jsonl.1` is the youngest.
    pub keep: usize,
}

/// A JSON Lines file.
pub struct JsonLines {
    name: &'static str,
    path: PathBuf,
    rotation: Option<Rotation>,
    /// Lines that are not on disk yet.
    lines: Vec<u8>,
    file: Option<Opened>,
}

struct Opened {
    file: File,
    /// Bytes known to be on disk; a failed write is cut back to here.
    durable: u64,
    /// Whether it is a file with a length, and not a pipe or a terminal.
    regular: bool,
}

impl JsonLines {
    /// Opens a file, or makes it with its folder, to append to it. A last line that a crash cut off is removed:
    /// it was not acknowledged.
    ///
    /// # Errors
    /// The file cannot be opened, or another process writes it.
    pub fn open(name: &'static str, path: impl Into<PathBuf>, rotation: Option<Rotation>) -> Result<Self, SinkError> {
        let mut sink = Self { name, path: path.into(), rotation, lines: Vec::new(), file: None };
        let opened = sink.reopen()?;
        sink.file = Some(opened);
        Ok(sink)
    }

    /// Adds a line, which [`sync`](Self::sync) brings to disk.
    ///
    /// # Errors
    /// The item cannot be written as JSON.
    pub fn append(&mut self, item: &impl Serialize) -> Result<(), SinkError> {
        let before = self.lines.len();
        if let Err(error) = serde_json::to_writer(&mut self.lines, item) {
            self.lines.truncate(before);
            return Err(error.into());
        }
        self.lines.push(b'\n');
        Ok(())
    }

    /// Brings all lines to disk. After an error the file ends with the last whole batch of lines, and the next
    /// call tries again.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn sync(&mut self) -> Result<(), SinkError> {
        if self.lines.is_empty() {
            return Ok(());
        }
        let mut opened = match self.file.take() {
            Some(opened) => opened,
            None => self.reopen()?,
        };
        if let Some(rotation) = self.rotation
            && opened.regular
            && opened.durable >= rotation.bytes
        {
            drop(opened);
            self.rotate(rotation).map_err(|source| self.error("rotate", source))?;
            opened = self.reopen()?;
        }
        // Only a file that was written without error is kept open; another is looked at afresh.
        opened.write(&self.lines).map_err(|source| self.error("write", source))?;
        self.lines.clear();
        self.file = Some(opened);
        Ok(())
    }

    /// The alerts in the file, and in those that were rotated, beyond a mark; all where there is none or the file it
    /// names is gone. What is no alert is passed over.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn recall(&self, mark: Option<&str>) -> Result<Vec<Alert>, SinkError> {
        let fail = |source| self.error("read", source);
        let mark = mark.and_then(|mark| mark.split_once(':'));
        let mark = mark.and_then(|(file, length)| Some((file.parse::<u64>().ok()?, length.parse::<u64>().ok()?)));
        let mut alerts = Vec::new();
        let keep = self.rotation.map_or(0, |rotation| rotation.keep);
        // From the youngest to that of the mark.
        for path in std::iter::once(self.path.clone()).chain((1..=keep).map(|number| self.numbered(number))) {
            let mut file = match File::open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) => return Err(fail(error)),
            };
            let about = file.metadata().map_err(fail)?;
            if !about.is_file() {
                break;
            }
            let marked = mark.filter(|(inode, length)| *inode == about.ino() && *length <= about.len());
            file.seek(SeekFrom::Start(marked.map_or(0, |(_, length)| length))).map_err(fail)?;
            for line in BufReader::new(file).lines() {
                alerts.extend(stored::alert(&line.map_err(fail)?, false).ok());
            }
            if marked.is_some() {
                break;
            }
        }
        Ok(alerts)
    }

    fn numbered(&self, number: usize) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(format!(".{number}"));
        name.into()
    }

    fn error(&self, action: &'static str, source: io::Error) -> SinkError {
        SinkError::File { action, path: self.path.clone(), source }
    }

    fn reopen(&self) -> Result<Opened, SinkError> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).map_err(|source| self.error("make the folder of", source))?;
        }
        let open = |path: &Path| OpenOptions::new().read(true).append(true).create(true).open(path);
        // A pipe cannot be opened for reading and writing.
        let file = open(&self.path).or_else(|_| OpenOptions::new().append(true).open(&self.path));
        let mut file = file.map_err(|source| self.error("open", source))?;
        let regular = file.metadata().map_err(|source| self.error("open", source))?.is_file();
        let mut durable = 0;
        if regular {
            if !lock(&file) {
                let reason = format!("{} is being written by another process", self.path.display());
                return Err(SinkError::Setting { sink: self.name, reason });
            }
            durable = whole_lines(&mut file).map_err(|source| self.error("read the end of", source))?;
            file.set_len(durable).map_err(|source| self.error("cut a broken line off", source))?;
        }
        Ok(Opened { file, durable, regular })
    }

    /// `alerts.jsonl` becomes `alerts.jsonl.1`, that one `.2`, and so on; the last one goes.
    fn rotate(&self, rotation: Rotation) -> io::Result<()> {
        let numbered = |number: usize| self.numbered(number);
        if rotation.keep == 0 {
            return std::fs::remove_file(&self.path);
        }
        let present = |path: &Path| path.try_exists();
        for number in (1..rotation.keep).rev() {
            if present(&numbered(number))? {
                std::fs::rename(numbered(number), numbered(number + 1))?;
            }
        }
        std::fs::rename(&self.path, numbered(1))?;
        if let Some(folder) = self.path.parent() {
            // An empty parent is the working folder.
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }
}

impl Opened {
    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let written = self
            .file
            .write_all(lines)
            .inspect(|()| fault::point("file-written"))
            .and_then(|()| if self.regular { self.file.sync_data() } else { self.file.flush() });
        if written.is_err() && self.regular {
            // Where even this fails, the next opening cuts off what is no whole line.
            self.file.set_len(self.durable)?;
        }
        written?;
        fault::point("file-synced");
        self.durable += lines.len() as u64;
        Ok(())
    }
}

/// Takes the lock of a file; whether it could. Waits a little: what a killed process held is free only when its memory
/// is given back.
fn lock(file: &File) -> bool {
    let until = Instant::now() + DYING;
    while let Err(TryLockError::WouldBlock) = file.try_lock() {
        if Instant::now() >= until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

/// The length of a file up to the end of its last whole line.
fn whole_lines(file: &mut File) -> io::Result<u64> {
    const CHUNK: u64 = 64 << 10;
    let mut end = file.metadata()?.len();
    let mut chunk = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(CHUNK);
        chunk.resize((end - start) as usize, 0);
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut chunk)?;
        if let Some(at) = chunk.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

impl<T: Serialize> Sink<T> for JsonLines {
    fn name(&self) -> &'static str {
        self.name
    }

    /// The file and its length.
    fn mark(&self) -> Option<String> {
        let opened = self.file.as_ref().filter(|opened| opened.regular)?;
        Some(format!("{}:{}", opened.file.metadata().ok()?.ino(), opened.durable))
    }

    fn write(&mut self, item: &T) -> Result<(), SinkError> {
        self.append(item)
    }

    fn flush(&mut self, _context: &Context) -> Result<(), SinkError> {
        self.sync()
    }
}
