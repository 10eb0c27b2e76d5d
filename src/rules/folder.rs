//! The files of a rules folder, wherever they come from: a directory, or the copy in the program.

use super::mistake::{Mistake, Mistakes};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Files larger than this are no rule files and no tables of rules.
const MAX_RULE_BYTES: u64 = 1 << 20;
/// Tables may be this large.
const MAX_TABLE_BYTES: u64 = 4 << 30;
/// How deep folders are looked into.
const MAX_DEPTH: usize = 3;

/// Where rules come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RulesDir {
    /// A directory.
    Directory(PathBuf),
    /// The copy of `rules/` that was built into the program.
    BuiltIn,
}

impl RulesDir {
    /// The directory that was asked for; else `rules` where the program was started, if there is one; else the
    /// built-in copy.
    pub fn or_default(asked: Option<PathBuf>) -> Self {
        let here = || Some(PathBuf::from("rules")).filter(|here| here.is_dir());
        asked.or_else(here).map_or(Self::BuiltIn, Self::Directory)
    }

    /// Reads all files.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn read(&self) -> Result<Folder, Mistakes> {
        match self {
            Self::Directory(directory) => Folder::read(directory),
            Self::BuiltIn => Ok(Folder::built_in()),
        }
    }
}

impl std::fmt::Display for RulesDir {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Directory(directory) => write!(f, "{}", directory.display()),
            Self::BuiltIn => f.write_str("the built-in rules"),
        }
    }
}

impl From<&Path> for RulesDir {
    fn from(directory: &Path) -> Self {
        Self::Directory(directory.to_owned())
    }
}

/// Files by their path inside of the folder, with `/` between names.
#[derive(Debug, Clone, Default)]
pub struct Folder {
    /// How people find the folder.
    pub name: String,
    files: BTreeMap<String, Cow<'static, [u8]>>,
}

impl Folder {
    /// The copy in the program.
    pub fn built_in() -> Self {
        let files = super::built_in::FILES.iter().map(|(path, bytes)| ((*path).to_owned(), Cow::Borrowed(*bytes)));
        Self { name: "rules".to_owned(), files: files.collect() }
    }

    /// Reads a directory: rule files and tables. Names that begin with a point are left out.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn read(directory: &Path) -> Result<Self, Mistakes> {
        let name = directory.display().to_string();
        let mut files = BTreeMap::new();
        let mut mistakes = Mistakes::default();
        let paths = match list(directory) {
            Ok(paths) => paths,
            Err(error) => {
                let hint = "the folder with rule files, as `rules/` of the project is".to_owned();
                return Err(Mistakes::one(name, format!("this folder cannot be read: {error}"), Some(hint)));
            }
        };
        for (path, file) in paths {
            match read_file(&file, &path) {
                Ok(bytes) => {
                    files.insert(path, Cow::Owned(bytes));
                }
                Err(message) => {
                    mistakes.0.push(Mistake { file: file.display().to_string(), place: None, message, hint: None })
                }
            }
        }
        if mistakes.0.is_empty() { Ok(Self { name, files }) } else { Err(mistakes) }
    }

    /// How people find a file of the folder.
    pub fn path_of(&self, path: &str) -> String {
        format!("{}/{path}", self.name.trim_end_matches('/'))
    }

    /// The bytes of a file.
    pub fn get(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(Cow::as_ref)
    }

    /// Puts a file in, for tests and for tables that a rule's tests bring along.
    pub fn put(&mut self, path: &str, bytes: Vec<u8>) {
        self.files.insert(path.to_owned(), Cow::Owned(bytes));
    }

    /// Puts the files of another folder in place of a part of this one.
    pub fn replace(&mut self, part: &str, other: Self) {
        let prefix = format!("{part}/");
        self.files.retain(|path, _| !path.starts_with(&prefix));
        self.files.extend(other.files.into_iter().map(|(path, bytes)| (format!("{prefix}{path}"), bytes)));
    }

    /// The paths of all rule files.
    pub fn rule_files(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str).filter(|path| path.ends_with(".toml"))
    }

    /// A hash of everything in it.
    pub fn hash(&self) -> String {
        let mut hash = Sha256::new();
        for (path, bytes) in &self.files {
            hash_file(&mut hash, path, bytes);
        }
        short(hash)
    }

    /// A hash of some files of it, each with what it is.
    pub fn hash_of(&self, files: &[(&str, &str)]) -> String {
        let mut hash = Sha256::new();
        for (what, path) in files {
            hash_file(&mut hash, what, self.get(path).unwrap_or_default());
        }
        short(hash)
    }
}

/// Names and lengths are part of it, so that no two folders look the same. Line ends are not: a checkout on
/// another system is the same rule.
fn hash_file(hash: &mut Sha256, path: &str, bytes: &[u8]) {
    let lines = bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    hash.update(path.as_bytes());
    hash.update([0]);
    for line in lines {
        hash.update((line.len() as u64).to_le_bytes());
        hash.update(line);
    }
    hash.update([0]);
}

fn short(hash: Sha256) -> String {
    let digest = hash.finalize();
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The files of a directory that belong to rules, by their path inside of it.
///
/// # Errors
/// Where a folder cannot be listed.
pub fn list(directory: &Path) -> std::io::Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![(String::new(), directory.to_owned(), 0)];
    while let Some((prefix, folder, depth)) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            if name.starts_with('.') {
                continue;
            }
            let path = format!("{prefix}{name}");
            // Follows links, as mounted configuration often is one.
            let kind = std::fs::metadata(entry.path())?;
            if kind.is_dir() && depth < MAX_DEPTH {
                folders.push((format!("{path}/"), entry.path(), depth + 1));
            } else if kind.is_file() && (name.ends_with(".toml") || name.ends_with(".csv")) {
                found.insert(path, entry.path());
            }
        }
    }
    Ok(found)
}

fn read_file(file: &Path, path: &str) -> Result<Vec<u8>, String> {
    let most = if path.ends_with(".csv") { MAX_TABLE_BYTES } else { MAX_RULE_BYTES };
    let length = std::fs::metadata(file).map_err(|error| format!("this file cannot be read: {error}"))?.len();
    if length > most {
        return Err(format!("this file is too large: {length} bytes, and at most {most} are read"));
    }
    std::fs::read(file).map_err(|error| format!("this file cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_copy_is_the_folder() {
        let folder = Folder::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("rules")).expect("the project's rules");
        let built_in = Folder::built_in();
        let names = |folder: &Folder| folder.files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&built_in), names(&folder), "src/rules/built_in.rs lists every file");
        assert_eq!(built_in.hash(), folder.hash());
    }

    #[test]
    fn hashes_tell_contents_and_names_but_not_line_ends() {
        let folder = |path: &str, text: &str| {
            let mut folder = Folder::default();
            folder.put(path, text.as_bytes().to_vec());
            folder.hash()
        };
        assert_eq!(folder("a", "1\n2\n"), folder("a", "1\r\n2\r\n"));
        assert_ne!(folder("a", "1\n2\n"), folder("a", "1\n3\n"));
        assert_ne!(folder("a", "1"), folder("b", "1"));
        assert_eq!(folder("a", "1").len(), 16);
    }
}
