//! Values of the configuration that TOML has no type for: durations, sizes, retention, secrets, properties.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What stands in the place of a secret.
pub const MASK: &str = "****";

const DURATION_UNITS: [(&str, u64); 6] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Reads a duration: whole numbers with units, as in `10s`, `1h30m`, `400d`.
///
/// # Errors
/// What is wrong, in words.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let mut rest = text.trim();
    let mut millis = 0_u64;
    let wrong = || format!("`{text}` is no duration; write for example \"500ms\", \"10s\", \"5m\", \"1h\" or \"400d\"");
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let (number, after) = split_digits(rest);
        let unit_end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let (_, factor) = DURATION_UNITS.iter().find(|(name, _)| *name == unit.trim()).ok_or_else(wrong)?;
        let part = number.checked_mul(*factor).ok_or_else(wrong)?;
        millis = millis.checked_add(part).ok_or_else(wrong)?;
        rest = after;
    }
    Ok(Duration::from_millis(millis))
}

/// Writes a duration so that [`parse_duration`] reads it back, with the largest unit that divides it.
pub fn duration_text(duration: Duration) -> String {
    let millis = duration.as_millis();
    for (unit, factor) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
        if millis.is_multiple_of(factor) && millis > 0 {
            return format!("{}{unit}", millis / factor);
        }
    }
    if millis == 0 { "0s".to_owned() } else { format!("{millis}ms") }
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

/// Durations as texts, for `#[serde(with)]`.
pub mod duration {
    use super::*;

    /// Reads a duration.
    ///
    /// # Errors
    /// Anything but a text that [`parse_duration`] takes.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        parse_duration(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }

    /// Writes a duration.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&duration_text(*value))
    }
}

/// Paths of which an empty one is none, for `#[serde(with)]`.
pub mod optional_path {
    use super::*;
    use std::path::PathBuf;

    /// Reads a path.
    ///
    /// # Errors
    /// Anything but a text.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
        let path = PathBuf::deserialize(deserializer)?;
        Ok((!path.as_os_str().is_empty()).then_some(path))
    }

    /// Writes a path.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(value: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
        value.clone().unwrap_or_default().serialize(serializer)
    }
}

/// A number of bytes, written with a unit: `64MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

const SIZE_UNITS: [(&str, u64); 8] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("KB", 1_000),
    ("B", 1),
];

impl Bytes {
    /// As a number for buffers.
    pub fn get(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl std::str::FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no size; write for example \"64KiB\", \"64MiB\" or \"1GiB\"");
        let (number, unit) = split_digits(text.trim());
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let (_, factor) = SIZE_UNITS.iter().find(|(name, _)| *name == unit.trim()).ok_or_else(wrong)?;
        number.checked_mul(*factor).map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, factor) = SIZE_UNITS.iter().find(|(_, factor)| self.0.is_multiple_of(*factor)).unwrap_or(&("B", 1));
        match self.0 {
            0 => f.write_str("0B"),
            bytes => write!(f, "{}{unit}", bytes / factor),
        }
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How long records are kept, in whole days of event time; `None`: for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention(pub Option<u32>);

impl std::str::FromStr for Retention {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "unlimited" {
            return Ok(Self(None));
        }
        let wrong = || format!("`{text}` is no retention; write whole days as in \"400d\", or \"unlimited\"");
        let (number, unit) = split_digits(text.trim());
        match unit {
            "d" => number.parse().ok().filter(|days| *days > 0).map(|days| Self(Some(days))).ok_or_else(wrong),
            _ => Err(wrong()),
        }
    }
}

impl<'de> Deserialize<'de> for Retention {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl Serialize for Retention {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(days) => serializer.collect_str(&format_args!("{days}d")),
            None => serializer.serialize_str("unlimited"),
        }
    }
}

/// A text that is never shown: it prints and serializes as `****`, empty as nothing.
#[derive(Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself: for the one place that uses it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "" } else { MASK })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An address that may carry a password or a token: shown without what stands before `@` and after `?`.
#[derive(Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(transparent)]
pub struct Address(String);

impl Address {
    /// The whole address: for the one place that uses it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("://").map_or(("", &*self.0), |(scheme, rest)| (scheme, rest));
        if !scheme.is_empty() {
            write!(f, "{scheme}://")?;
        }
        let (plain, query) = match rest.split_once('?') {
            Some((plain, _)) => (plain, true),
            None => (rest, false),
        };
        let host_end = plain.find('/').unwrap_or(plain.len());
        match plain[..host_end].rfind('@') {
            Some(at) => write!(f, "{MASK}{}", &plain[at..])?,
            None => f.write_str(plain)?,
        }
        if query { write!(f, "?{MASK}") } else { Ok(()) }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Properties of librdkafka by name. Those that hold secrets print and serialize as `****`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Properties(pub BTreeMap<String, String>);

/// What the names of secret properties contain: the `sensitive` properties of librdkafka's configuration
/// (`sasl.password`, `ssl.key.password`, `ssl.key.pem`, `ssl.keystore.password`, `sasl.oauthbearer.config`,
/// `sasl.oauthbearer.client.secret`, `sasl.oauthbearer.assertion.private.key.…`) and what is likely to follow.
const SECRET_PARTS: [&str; 6] =
    ["password", "secret", "ssl.key.pem", "sasl.oauthbearer.config", "private.key", "passphrase"];

impl Properties {
    /// Whether a property's value must not be shown.
    pub fn is_secret(name: &str) -> bool {
        SECRET_PARTS.iter().any(|part| name.contains(part))
    }

    /// Names and values, the secret ones in clear: for the client that uses them.
    pub fn reveal(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A value in clear.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn shown(&self) -> impl Iterator<Item = (&str, &str)> {
        self.reveal().map(|(name, value)| (name, if Self::is_secret(name) { MASK } else { value }))
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.shown()).finish()
    }
}

impl Serialize for Properties {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.shown())
    }
}

impl<'de> Deserialize<'de> for Properties {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// A value as people write it: `"1"`, `1` or `true`.
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a property is a text, a number or true/false")]
        enum Plain {
            Text(String),
            Whole(i64),
            Flag(bool),
            Real(f64),
        }
        let plain = BTreeMap::<String, Plain>::deserialize(deserializer)?;
        let text = |value| match value {
            Plain::Text(text) => text,
            Plain::Whole(number) => number.to_string(),
            Plain::Flag(flag) => flag.to_string(),
            Plain::Real(number) => number.to_string(),
        };
        Ok(Self(plain.into_iter().map(|(name, value)| (name, text(value))).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        for (text, millis) in
            [("500ms", 500), ("10s", 10_000), ("1h30m", 5_400_000), ("400d", 34_560_000_000), ("0s", 0)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
            let written = duration_text(Duration::from_millis(millis));
            assert_eq!(parse_duration(&written), Ok(Duration::from_millis(millis)), "{written}");
        }
        for text in ["", "10", "s", "10 seconds", "-1s", "1.5s", "99999999999999999999s", "18446744073709551615d"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_read_and_written() {
        for (text, bytes) in [("64MiB", 64 << 20), ("1kB", 1_000), ("0B", 0), ("3GiB", 3 << 30), ("17B", 17)] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
            assert_eq!(Bytes(bytes).to_string().parse(), Ok(Bytes(bytes)));
        }
        for text in ["", "64", "64M", "MiB", "-1B", "18446744073709551615GiB"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let mut properties = Properties::default();
        for name in ["sasl.password", "ssl.key.password", "ssl.key.pem", "sasl.oauthbearer.client.secret"] {
            properties.0.insert(name.to_owned(), "hidden-value".to_owned());
        }
        properties.0.insert("sasl.username".to_owned(), "bureau".to_owned());
        let shown = format!(
            "{properties:?} {} {:?}",
            toml::to_string(&properties).expect("a table"),
            Secret::new("hidden-value")
        );
        assert!(!shown.contains("hidden-value"), "{shown}");
        assert!(shown.contains("bureau"));
        for (address, shown) in [
            ("https://u:p@host.example/a@b?token=1", "https://****@host.example/a@b?****"),
            ("http://127.0.0.1:80/hook", "http://127.0.0.1:80/hook"),
            ("", ""),
        ] {
            assert_eq!(Address(address.to_owned()).to_string(), shown);
        }
    }
}
