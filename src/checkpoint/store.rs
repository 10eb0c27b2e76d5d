//! Where checkpoints lie: a local folder or a bucket, through the same code.

use super::http::Http;
use super::manifest::{Manifest, SegmentInfo, Unusable, sha256};
use crate::config;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use std::sync::Arc;

/// Segments that are fetched at once.
const AT_ONCE: usize = 4;

/// Checkpoints in a place.
#[derive(Clone)]
pub struct Checkpoints {
    objects: Arc<dyn ObjectStore>,
    prefix: ObjectPath,
    runtime: Arc<tokio::runtime::Runtime>,
    /// As people write it.
    place: String,
}

/// Why a place of checkpoints could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The address makes no sense.
    #[error("{place} is no place for checkpoints: {reason}")]
    Place {
        /// The address.
        place: String,
        /// Why.
        reason: String,
    },
    /// The place refused.
    #[error("failed to {action} {object} in {place}: {source}")]
    Object {
        /// What was tried, as a verb.
        action: &'static str,
        /// The object.
        object: String,
        /// The place.
        place: String,
        /// Why.
        source: Box<object_store::Error>,
    },
    /// A checkpoint cannot be put into bytes.
    #[error("failed to pack a checkpoint: {0}")]
    Pack(std::io::Error),
    /// Another process writes there.
    #[error("another process has written checkpoint {number} in {place} in the meantime: two must not share a place")]
    Fenced {
        /// The number.
        number: u64,
        /// The place.
        place: String,
    },
    /// The system has no threads left.
    #[error("failed to start a thread for checkpoints: {0}")]
    Thread(std::io::Error),
}

const MANIFEST: &str = "checkpoint-";

impl Checkpoints {
    /// Checkpoints at an address: a folder, or `s3://bucket/prefix` with `options` such as `endpoint` and
    /// `region`; what they leave out comes from the usual `AWS_…` variables.
    ///
    /// # Errors
    /// The address makes no sense, or the folder cannot be made.
    pub fn open<'a>(place: &str, options: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, StoreError> {
        let wrong = |reason: String| StoreError::Place { place: place.to_owned(), reason };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("checkpoints")
            .enable_all()
            .build()
            .map_err(StoreError::Thread)?;
        let (objects, prefix): (Arc<dyn ObjectStore>, ObjectPath) = match place.strip_prefix("s3://") {
            Some(rest) => {
                let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
                let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_http_connector(Http);
                for (key, value) in options {
                    let key = key.parse().map_err(|_| wrong(format!("`{key}` is no option of an S3 store")))?;
                    builder = builder.with_config(key, value);
                }
                (Arc::new(builder.build().map_err(|error| wrong(error.to_string()))?), ObjectPath::from(prefix))
            }
            None if place.contains("://") => return Err(wrong("only folders and s3:// are known".to_owned())),
            None => {
                std::fs::create_dir_all(place).map_err(|error| wrong(error.to_string()))?;
                let folder = LocalFileSystem::new_with_prefix(place).map_err(|error| wrong(error.to_string()))?;
                (Arc::new(folder.with_fsync(true)), ObjectPath::default())
            }
        };
        Ok(Self { objects, prefix, runtime: Arc::new(runtime), place: place.to_owned() })
    }

    /// Checkpoints where a configuration keeps them.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn of_config(config: &config::State) -> Result<Self, StoreError> {
        if !config.url.is_empty() {
            return Self::open(&config.url, config.properties.reveal());
        }
        let folder = config.folder();
        let reason = || StoreError::Place { place: folder.display().to_string(), reason: "it is not UTF-8".to_owned() };
        Self::open(folder.to_str().ok_or_else(reason)?, [])
    }

    /// Checkpoints in any object store, for tests.
    ///
    /// # Errors
    /// The system has no threads left.
    pub fn of(objects: Arc<dyn ObjectStore>) -> Result<Self, StoreError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StoreError::Thread)?;
        Ok(Self { objects, prefix: ObjectPath::default(), runtime: Arc::new(runtime), place: "memory".to_owned() })
    }

    /// The address, as people write it.
    pub fn place(&self) -> &str {
        &self.place
    }

    fn path(&self, name: &str) -> ObjectPath {
        self.prefix.clone().join(name)
    }

    fn error(&self, action: &'static str, object: &str) -> impl FnOnce(object_store::Error) -> StoreError {
        let (object, place) = (object.to_owned(), self.place.clone());
        move |source| StoreError::Object { action, object, place, source: Box::new(source) }
    }

    /// The names of all objects.
    ///
    /// # Errors
    /// The place cannot be listed.
    pub fn objects(&self) -> Result<Vec<String>, StoreError> {
        let list = self.objects.list(Some(&self.prefix));
        let names = list.map_ok(|object| object.location.filename().unwrap_or_default().to_owned());
        self.runtime.block_on(names.try_collect()).map_err(self.error("list", "the checkpoints"))
    }

    /// The numbers of all checkpoints, newest first.
    ///
    /// # Errors
    /// The place cannot be listed.
    pub fn numbers(&self) -> Result<Vec<u64>, StoreError> {
        Ok(Self::numbers_among(&self.objects()?))
    }

    /// The numbers of the checkpoints among objects, newest first.
    pub fn numbers_among(objects: &[String]) -> Vec<u64> {
        let number = |name: &String| name.strip_prefix(MANIFEST)?.strip_suffix(".json")?.parse::<u64>().ok();
        let mut numbers: Vec<u64> = objects.iter().filter_map(number).collect();
        numbers.sort_unstable_by(|one, other| other.cmp(one));
        numbers
    }

    /// The manifest of a checkpoint.
    ///
    /// # Errors
    /// It cannot be fetched; or, inside, it cannot be used.
    pub fn manifest(&self, number: u64) -> Result<Result<Manifest, Unusable>, StoreError> {
        Ok(Manifest::of_bytes(&self.get(&Self::manifest_name(number))?))
    }

    fn get(&self, name: &str) -> Result<Bytes, StoreError> {
        let path = self.path(name);
        let fetched = self.runtime.block_on(async { self.objects.get(&path).await?.bytes().await });
        fetched.map_err(self.error("read", name))
    }

    /// All segments of a checkpoint, in its order; an error says which is missing or damaged.
    ///
    /// # Errors
    /// One is missing or not as it was written.
    pub fn segments(&self, manifest: &Manifest) -> Result<Vec<Bytes>, Unusable> {
        let fetch = |segment: &SegmentInfo| {
            let (objects, path, segment) = (self.objects.clone(), self.path(&segment.name), segment.clone());
            async move {
                let damaged = |reason: String| Unusable::Damaged(format!("segment {} {reason}", segment.name));
                let fetched = async { objects.get(&path).await?.bytes().await };
                let bytes = fetched.await.map_err(|error| damaged(format!("cannot be read: {error}")))?;
                if bytes.len() as u64 != segment.bytes {
                    return Err(damaged(format!("has {} bytes instead of {}", bytes.len(), segment.bytes)));
                }
                let hashed = bytes.clone();
                let hash = tokio::task::spawn_blocking(move || sha256(&hashed)).await;
                if hash.ok().as_deref() != Some(segment.sha256.as_str()) {
                    return Err(damaged("does not fit its checksum".to_owned()));
                }
                Ok(bytes)
            }
        };
        let all = futures_util::stream::iter(manifest.segments.iter().map(fetch)).buffered(AT_ONCE);
        self.runtime.block_on(all.try_collect())
    }

    /// Writes a segment. When this returns, it survives a loss of power.
    ///
    /// # Errors
    /// It could not be written.
    pub fn put_segment(&self, name: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        let path = self.path(name);
        let put = self.objects.put(&path, PutPayload::from(bytes));
        self.runtime.block_on(put).map_err(self.error("write", name)).map(drop)
    }

    /// Publishes a checkpoint, at once or not at all.
    ///
    /// # Errors
    /// It could not be written, or another process has written this number.
    pub fn publish(&self, number: u64, manifest: Vec<u8>) -> Result<(), StoreError> {
        let name = Self::manifest_name(number);
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let path = self.path(&name);
        let payload = PutPayload::from(manifest.clone());
        match self.runtime.block_on(self.objects.put_opts(&path, payload, options)) {
            Ok(_) => Ok(()),
            // It may be ours, of an attempt whose answer was lost.
            Err(object_store::Error::AlreadyExists { .. }) if self.get(&name)? == manifest => Ok(()),
            Err(object_store::Error::AlreadyExists { .. }) => {
                Err(StoreError::Fenced { number, place: self.place.clone() })
            }
            Err(error) => Err(self.error("write", &name)(error)),
        }
    }

    /// Removes objects; those that are gone already are no mistake.
    ///
    /// # Errors
    /// One could not be removed.
    pub fn remove(&self, names: &[String]) -> Result<(), StoreError> {
        for name in names {
            match self.runtime.block_on(self.objects.delete(&self.path(name))) {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(self.error("remove", name)(error)),
            }
        }
        Ok(())
    }

    /// The name of a checkpoint's manifest.
    pub fn manifest_name(number: u64) -> String {
        format!("{MANIFEST}{number:012}.json")
    }
}
