//! Reads tables of a rule file key by key. What is asked for is what is valid: whatever else is written there
//! is a mistake, told with the nearest valid name. Reading goes on after a mistake, so that all are found.

use super::mistake::{Desk, one_of};
use super::rule::Bilingual;
use std::cell::RefCell;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value with the place where it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Its bytes in the file.
    pub span: Range<usize>,
}

/// A table that is being read.
pub struct Table<'a> {
    /// Where mistakes go.
    pub desk: &'a Desk<'a>,
    /// How it is called in messages, for example `[detection]`.
    name: String,
    /// Where it stands.
    pub span: Range<usize>,
    entries: &'a DeTable<'a>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Table<'a> {
    /// A table called `name` in messages, standing at `span`.
    pub fn new(desk: &'a Desk<'a>, name: impl Into<String>, span: Range<usize>, entries: &'a DeTable<'a>) -> Self {
        Self { desk, name: name.into(), span, entries, asked: RefCell::default() }
    }

    /// The entries of a table whose keys are free.
    pub fn entries(&self) -> impl Iterator<Item = (At<&'a str>, &'a Spanned<DeValue<'a>>)> {
        let at = |key: &'a Spanned<toml::de::DeString<'a>>| At { value: key.get_ref().as_ref(), span: key.span() };
        self.entries.iter().map(move |(key, value)| (at(key), value))
    }

    /// The value of a key, if it is there.
    pub fn get(&self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        let mut asked = self.asked.borrow_mut();
        if !asked.contains(&key) {
            asked.push(key);
        }
        self.entries.iter().find(|(name, _)| name.get_ref().as_ref() == key).map(|(_, value)| value)
    }

    /// The value of a key that must be there.
    pub fn require(&self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        let found = self.get(key);
        if found.is_none() {
            self.desk.note(self.span.clone(), format!("{} lacks `{key}`", self.name), None);
        }
        found
    }

    /// A text that must be there and must not be empty.
    pub fn text(&self, key: &'static str) -> Option<At<&'a str>> {
        text(self.desk, key, self.require(key)?)
    }

    /// A text that may be missing.
    pub fn optional_text(&self, key: &'static str) -> Option<At<&'a str>> {
        text(self.desk, key, self.get(key)?)
    }

    /// One of some words.
    pub fn choice<T: Copy>(&self, key: &'static str, words: &[(&'static str, T)]) -> Option<T> {
        let text = self.text(key)?;
        let found = words.iter().find(|(word, _)| *word == text.value).map(|(_, value)| *value);
        if found.is_none() {
            let hint = one_of(text.value, words.iter().map(|(word, _)| *word));
            self.desk.note(text.span, format!("`{}` is no valid `{key}`", text.value), Some(hint));
        }
        found
    }

    /// A table that must be there.
    pub fn table(&self, key: &'static str) -> Option<Table<'a>> {
        let value = self.require(key)?;
        table(self.desk, format!("`{key}`"), value)
    }

    /// A table that may be missing.
    pub fn optional_table(&self, key: &'static str) -> Option<Table<'a>> {
        let value = self.get(key)?;
        table(self.desk, format!("`{key}`"), value)
    }

    /// A text in both languages that must be there: `{ zh = "…", en = "…" }`.
    pub fn bilingual(&self, key: &'static str) -> Option<Bilingual> {
        let table = self.table(key)?;
        let text = table.both();
        table.finish();
        text
    }

    /// The keys `zh` and `en` of this table.
    pub fn both(&self) -> Option<Bilingual> {
        let (zh, en) = (self.text("zh"), self.text("en"));
        Some(Bilingual { zh: zh?.value.trim().to_owned(), en: en?.value.trim().to_owned() })
    }

    /// A list that must be there.
    pub fn list(&self, key: &'static str) -> Option<At<&'a [Spanned<DeValue<'a>>]>> {
        list(self.desk, key, self.require(key)?)
    }

    /// A list of texts; none where the key is missing.
    pub fn texts(&self, key: &'static str) -> Vec<At<&'a str>> {
        let Some(values) = self.get(key).and_then(|value| list(self.desk, key, value)) else {
            return Vec::new();
        };
        values.value.iter().filter_map(|value| text(self.desk, key, value)).collect()
    }

    /// A list of tables; none where the key is missing.
    pub fn tables(&self, key: &'static str) -> Vec<Table<'a>> {
        let Some(values) = self.get(key).and_then(|value| list(self.desk, key, value)) else {
            return Vec::new();
        };
        values.value.iter().filter_map(|value| table(self.desk, format!("`{key}`"), value)).collect()
    }

    /// A list of texts in both languages; none where the key is missing.
    pub fn bilinguals(&self, key: &'static str) -> Vec<Bilingual> {
        let read = |table: Table<'a>| {
            let text = table.both();
            table.finish();
            text
        };
        self.tables(key).into_iter().filter_map(read).collect()
    }

    /// Notes every key that was not asked for.
    pub fn finish(&self) {
        let asked = self.asked.borrow();
        for (key, _) in self.entries() {
            if !asked.contains(&key.value) {
                let hint = one_of(key.value, asked.iter().copied());
                self.desk.note(key.span, format!("{} knows no `{}`", self.name, key.value), Some(hint));
            }
        }
    }
}

fn wrong_kind(desk: &Desk<'_>, key: &str, value: &Spanned<DeValue<'_>>, wanted: &str) {
    let kind = value.get_ref().type_str();
    desk.note(value.span(), format!("`{key}` must be {wanted}, and this is of kind {kind}"), None);
}

/// A value as a text that is not empty.
pub fn text<'a>(desk: &Desk<'_>, key: &str, value: &'a Spanned<DeValue<'a>>) -> Option<At<&'a str>> {
    match value.get_ref().as_str() {
        Some(text) if !text.trim().is_empty() => Some(At { value: text, span: value.span() }),
        Some(_) => {
            desk.note(value.span(), format!("`{key}` must not be empty"), None);
            None
        }
        None => {
            wrong_kind(desk, key, value, "a text");
            None
        }
    }
}

/// A value as a list.
pub fn list<'a>(desk: &Desk<'_>, key: &str, value: &'a Spanned<DeValue<'a>>) -> Option<At<&'a [Spanned<DeValue<'a>>]>> {
    match value.get_ref() {
        DeValue::Array(values) => Some(At { value: values, span: value.span() }),
        _ => {
            wrong_kind(desk, key, value, "a list");
            None
        }
    }
}

/// A value as a table called `name` in messages.
pub fn table<'a>(desk: &'a Desk<'a>, name: String, value: &'a Spanned<DeValue<'a>>) -> Option<Table<'a>> {
    match value.get_ref() {
        DeValue::Table(entries) => Some(Table::new(desk, name, value.span(), entries)),
        _ => {
            wrong_kind(desk, name.trim_matches('`'), value, "a table");
            None
        }
    }
}
