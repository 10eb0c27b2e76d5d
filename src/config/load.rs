//! From layers of TOML to one [`Config`]: the defaults, then a file, then the environment.
//!
//! Every value remembers which layer it came from and where it stands there, so that each mistake names its
//! place; all mistakes are found at once.

use super::value::Properties;
use super::{Config, DEFAULT, check};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::Path;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

/// What the names of environment variables begin with; it also stands between the parts of a key.
const PREFIX: &str = "FUNDWATCH__";

/// The table under whose name any key is taken.
const PROPERTIES: &str = "properties";

/// A mistake in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// `file:line:column`, or the name of an environment variable.
    pub place: String,
    /// What is wrong, in words that name the key.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// All mistakes of a configuration, in the order in which they stand there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, mistake) in self.0.iter().enumerate() {
            let line_end = if number == 0 { "" } else { "\n" };
            write!(f, "{line_end}{}: {}", mistake.place, mistake.message)?;
            if let Some(hint) = &mistake.hint {
                write!(f, "\n  hint: {hint}")?;
            }
        }
        Ok(())
    }
}

/// One source of values: a text of TOML with a name.
#[derive(Debug, Clone)]
struct Layer {
    name: String,
    text: String,
    /// Whether places in it are lines; a variable is a place as a whole.
    lines: bool,
}

impl Layer {
    fn place(&self, span: &Range<usize>) -> String {
        if !self.lines {
            return self.name.clone();
        }
        let before = self.text.get(..span.start).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.matches('\n').count() + 1;
        format!("{}:{line}:{}", self.name, before[line_start..].chars().count() + 1)
    }
}

/// The layers of a configuration, the weakest first.
#[derive(Debug, Clone)]
pub struct Layers(Vec<Layer>);

impl Default for Layers {
    fn default() -> Self {
        Self::new()
    }
}

impl Layers {
    /// The defaults alone.
    pub fn new() -> Self {
        Self(vec![Layer { name: "built-in defaults".to_owned(), text: DEFAULT.to_owned(), lines: true }])
    }

    /// Adds the text of a file, under the name that mistakes show.
    pub fn file(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.0.push(Layer { name: name.into(), text: text.into(), lines: true });
        self
    }

    /// Adds those variables that are meant for the configuration.
    pub fn environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let defaults = default_table();
        let mut layers: Vec<Layer> = variables
            .into_iter()
            .filter_map(|(name, value)| {
                let text = assignment(&defaults, name.strip_prefix(PREFIX)?, &value);
                Some(Layer { name, text, lines: false })
            })
            .collect();
        layers.sort_by(|one, other| one.name.cmp(&other.name));
        self.0.extend(layers);
        self
    }

    /// Merges the layers and checks the result.
    ///
    /// # Errors
    /// Every mistake in every layer.
    pub fn resolve(&self) -> Result<Config, Mistakes> {
        let defaults = default_table();
        let mut merged = Merged { layers: &self.0, leaves: BTreeMap::new(), mistakes: Vec::new() };
        for (number, layer) in self.0.iter().enumerate() {
            match DeTable::parse(&layer.text) {
                Ok(table) => merged.table(number, &mut Vec::new(), table.into_inner(), &defaults),
                Err(error) => {
                    let place = layer.place(&error.span().unwrap_or(0..0));
                    merged.mistakes.push(Mistake { place, message: error.message().to_owned(), hint: None });
                }
            }
        }
        merged.finish()
    }
}

/// Loads the configuration: the defaults, `file` where one is named, and the environment of the process.
///
/// # Errors
/// Every mistake, or that the file cannot be read.
pub fn load(file: Option<&Path>) -> Result<Config, Mistakes> {
    let mut layers = Layers::new();
    if let Some(path) = file {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let message = format!("cannot read the configuration: {error}");
            Mistakes(vec![Mistake { place: path.display().to_string(), message, hint: None }])
        })?;
        layers = layers.file(path.display().to_string(), text);
    }
    layers
        .environment(
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        )
        .resolve()
}

fn default_table() -> Table {
    DEFAULT.parse().expect("a test reads the default file")
}

/// The line of TOML that a variable stands for. `name` is without the prefix.
fn assignment(defaults: &Table, name: &str, value: &str) -> String {
    let lower = name.to_lowercase();
    let mut parts: Vec<String> = lower.split("__").map(str::to_owned).collect();
    if let Some(at) = parts.iter().position(|part| part == PROPERTIES) {
        let property = parts.split_off(at + 1).join(".").replace('_', ".");
        parts.push(property);
    }
    let mut known = None;
    let mut table = Some(defaults);
    for part in &parts {
        known = table.and_then(|table| table.get(part));
        table = known.and_then(Value::as_table);
    }
    let text = |value: &str| Value::String(value.to_owned()).to_string();
    let value = match known {
        Some(Value::String(_)) | None => text(value),
        Some(Value::Array(_)) if !value.trim_start().starts_with('[') => {
            let items: Vec<String> = value.split(',').filter(|item| !item.is_empty()).map(text).collect();
            format!("[{}]", items.join(", "))
        }
        Some(_) if format!("x = {value}").parse::<Table>().is_ok_and(|table| table.len() == 1) => value.to_owned(),
        Some(_) => text(value),
    };
    let key: Vec<String> = parts.iter().map(|part| text(part)).collect();
    format!("{} = {value}", key.join("."))
}

/// A value that is in force, and where it stands.
struct Leaf<'a> {
    value: DeValue<'a>,
    layer: usize,
    span: Range<usize>,
}

struct Merged<'a> {
    layers: &'a [Layer],
    /// By the parts of the key.
    leaves: BTreeMap<Vec<String>, Leaf<'a>>,
    mistakes: Vec<Mistake>,
}

impl<'a> Merged<'a> {
    fn mistake(&mut self, layer: usize, span: &Range<usize>, message: String, hint: Option<String>) {
        self.mistakes.push(Mistake { place: self.layers[layer].place(span), message, hint });
    }

    /// Takes the values of a table of a layer; `known` is what the defaults have in its place.
    fn table(&mut self, layer: usize, path: &mut Vec<String>, table: DeTable<'a>, known: &Table) {
        for (key, value) in table {
            let (key_span, span) = (key.span(), value.span());
            path.push(key.into_inner().into_owned());
            self.entry(layer, path, key_span, span, value.into_inner(), known);
            path.pop();
        }
    }

    fn entry(
        &mut self,
        layer: usize,
        path: &mut Vec<String>,
        key_span: Range<usize>,
        span: Range<usize>,
        value: DeValue<'a>,
        known: &Table,
    ) {
        let name = path.join(".");
        let key = path.last().map(String::as_str).unwrap_or_default();
        match (value, known.get(key)) {
            (DeValue::Table(properties), Some(Value::Table(_))) if key == PROPERTIES => {
                self.properties(layer, path, "", properties);
            }
            (DeValue::Table(table), Some(Value::Table(known))) => self.table(layer, path, table, known),
            (_, None) => {
                let hint = hint(key, path, known);
                self.mistake(layer, &key_span, format!("unknown key `{name}`"), Some(hint));
            }
            (DeValue::Table(_), Some(_)) => {
                self.mistake(layer, &key_span, format!("`{name}` is one value, not a section"), None);
            }
            (_, Some(Value::Table(_))) => {
                self.mistake(layer, &span, format!("`{name}` is a section: write [{name}]"), None);
            }
            (value, Some(default)) => {
                let wanted = kind(default.type_str());
                let fits = value.type_str() == default.type_str() || (default.is_float() && value.is_integer());
                if fits {
                    self.leaves.insert(path.clone(), Leaf { value, layer, span });
                } else {
                    let message = format!("`{name}` must be {wanted}, not {}", kind(value.type_str()));
                    self.mistake(layer, &span, message, Some(format!("the default is {default}")));
                }
            }
        }
    }

    /// Takes properties. `sasl.password = "…"` without quotes around the key is a table in a table for TOML,
    /// but the same name for librdkafka.
    fn properties(&mut self, layer: usize, path: &mut Vec<String>, before: &str, table: DeTable<'a>) {
        for (key, value) in table {
            let name = format!("{before}{}", key.get_ref());
            let span = value.span();
            match value.into_inner() {
                DeValue::Table(nested) => self.properties(layer, path, &format!("{name}."), nested),
                DeValue::Array(_) | DeValue::Datetime(_) => {
                    let message = format!("property `{name}` must be a text, a number or true/false");
                    self.mistake(layer, &span, message, None);
                }
                value => {
                    path.push(name);
                    self.leaves.insert(path.clone(), Leaf { value, layer, span });
                    path.pop();
                }
            }
        }
    }

    fn finish(mut self) -> Result<Config, Mistakes> {
        if !self.mistakes.is_empty() {
            return Err(Mistakes(self.mistakes));
        }
        // The span of each value is its number, by which its place is found again when it is refused.
        let mut places: BTreeMap<String, String> = BTreeMap::new();
        let mut by_number = Vec::new();
        let mut root = Tree::default();
        for (path, leaf) in std::mem::take(&mut self.leaves) {
            let place = self.layers[leaf.layer].place(&leaf.span);
            let number = by_number.len();
            by_number.push((path.join("."), place.clone()));
            places.insert(path.join("."), place);
            root.insert(&path, numbered(leaf.value, number));
        }
        // Sections of properties have no key of their own in the defaults.
        for section in ["source.kafka", "sinks.kafka", "dead_letters", "late", "state"] {
            root.section(section.split('.').chain([PROPERTIES]));
        }
        let mut config = Config::deserialize(toml::Deserializer::from(root.table())).map_err(|error| {
            let found = error.span().and_then(|span| by_number.get(span.start));
            let (name, place) = found.cloned().unwrap_or_default();
            Mistakes(vec![Mistake { place, message: format!("`{name}`: {}", error.message()), hint: None }])
        })?;
        let wrong = check::cross_checks(&config);
        if wrong.is_empty() {
            check::inherit_connection(&mut config);
            return Ok(config);
        }
        let mistakes = wrong.into_iter().map(|wrong| {
            let place = places.get(wrong.key).cloned().unwrap_or_else(|| wrong.key.to_owned());
            Mistake { place, message: wrong.message, hint: None }
        });
        Err(Mistakes(mistakes.collect()))
    }
}

/// A value that shows its number as its place, as do its parts.
fn numbered(value: DeValue<'_>, number: usize) -> Spanned<DeValue<'_>> {
    let value = match value {
        DeValue::Array(items) => {
            DeValue::Array(items.into_iter().map(|item| numbered(item.into_inner(), number)).collect())
        }
        other => other,
    };
    Spanned::new(number..number, value)
}

/// A table that is put together from paths.
#[derive(Default)]
struct Tree<'a> {
    leaves: Vec<(String, Spanned<DeValue<'a>>)>,
    sections: BTreeMap<String, Tree<'a>>,
}

impl<'a> Tree<'a> {
    fn section<'p>(&mut self, path: impl IntoIterator<Item = &'p str>) -> &mut Self {
        path.into_iter().fold(self, |tree, part| tree.sections.entry(part.to_owned()).or_default())
    }

    fn insert(&mut self, path: &[String], value: Spanned<DeValue<'a>>) {
        if let Some((key, sections)) = path.split_last() {
            self.section(sections.iter().map(String::as_str)).leaves.push((key.clone(), value));
        }
    }

    fn table(self) -> Spanned<DeTable<'a>> {
        // A number that no value has.
        let nowhere = usize::MAX..usize::MAX;
        let mut table = DeTable::new();
        for (key, value) in self.leaves {
            table.insert(Spanned::new(nowhere.clone(), key.into()), value);
        }
        for (key, section) in self.sections {
            let section = section.table().into_inner();
            table.insert(
                Spanned::new(nowhere.clone(), key.into()),
                Spanned::new(nowhere.clone(), DeValue::Table(section)),
            );
        }
        Spanned::new(nowhere, table)
    }
}

fn kind(type_str: &str) -> &'static str {
    match type_str {
        "string" => "a text",
        "integer" => "a whole number",
        "float" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "table" => "a section",
        _ => "a date",
    }
}

/// What an unknown key may have meant: a like name beside it, the same name elsewhere, or what there is.
fn hint(key: &str, path: &[String], known: &Table) -> String {
    if let Some(name) = nearest(key, known.keys().map(String::as_str)) {
        return format!("did you mean `{name}`?");
    }
    let mut elsewhere = Vec::new();
    find(key, &default_table(), "", &mut elsewhere);
    if let [section] = &*elsewhere {
        return format!("`{key}` belongs in [{section}]");
    }
    if Properties::is_secret(key) || key.contains('.') {
        return "properties of librdkafka belong in the `properties` section".to_owned();
    }
    let names: Vec<&str> = known.keys().map(String::as_str).collect();
    let section = path.split_last().map(|(_, section)| section.join(".")).filter(|section| !section.is_empty());
    format!("{} has {}", section.map_or("the file".to_owned(), |name| format!("[{name}]")), names.join(", "))
}

fn find(key: &str, table: &Table, path: &str, found: &mut Vec<String>) {
    for (name, value) in table {
        let dotted = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        if name == key && !path.is_empty() {
            found.push(path.to_owned());
        }
        if let Value::Table(table) = value {
            find(key, table, &dotted, found);
        }
    }
}

/// The name that is most like `text`, if one is like it.
pub fn nearest<'n>(text: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    names
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(text, name), name))
        .filter(|(distance, name)| *distance <= (name.chars().count().max(3) / 3).min(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}
