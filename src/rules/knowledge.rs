//! The tables that rules read: knowledge of the items, the dictionary of `med_type`, the law, the registry.

use super::csv_table::CsvTable;
use super::folder::Folder;
use super::mistake::{Desk, Mistake, one_of};
use super::rule::{Bilingual, CLASSES, Classes, Map};
use crate::record::{Code, Day, Ids, PersonId, Quantity};
use std::collections::BTreeMap;

/// Charges that exclude each other.
pub const EXCLUSIVE_ITEMS: &str = "knowledge/exclusive_items.csv";
/// The most units of an item a day.
pub const DAILY_LIMITS: &str = "knowledge/daily_limits.csv";
/// The dictionary of `med_type`.
pub const MED_TYPES: &str = "knowledge/med_types.csv";
/// What the keys of the law stand for.
pub const LEGAL_BASIS: &str = "knowledge/legal_basis.csv";
/// Persons and their dates of death.
pub const PERSONS: &str = "registry/persons.csv";
/// Institutions and their names.
pub const INSTITUTIONS: &str = "registry/institutions.csv";
/// The other tables of the registry: nothing reads them yet, but they must be tables.
const OTHERS: [&str; 2] = ["registry/doctors.csv", "registry/items.csv"];
/// The longest code of an item.
const LONGEST_ITEM: usize = 50;
/// The longest code of a person or an institution.
const LONGEST_ID: usize = 30;

/// A row of the table of exclusive items.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExclusiveRow {
    /// The item that includes the other.
    pub main: String,
    /// The item that must not be charged besides.
    pub included: String,
    /// Over what: `day`, `visit`, or a scope that rules may come to read.
    pub scope: String,
}

/// All tables, read.
#[derive(Debug, Clone, Default)]
pub struct Knowledge {
    /// Exclusive items, each pair of a scope once. `None`: there is no such table.
    pub exclusive: Option<Vec<ExclusiveRow>>,
    /// Limits by item in units of 10^-4, of several the smallest. `None`: there is no such table.
    pub limits: Option<BTreeMap<String, i64>>,
    /// Numbers of classes by code of `med_type`.
    pub med_types: BTreeMap<String, u8>,
    /// What the keys of the law stand for.
    pub laws: BTreeMap<String, Bilingual>,
    /// Dates of death by person, of several the earliest.
    pub deaths: BTreeMap<String, Day>,
    /// Names of institutions by code.
    pub institutions: BTreeMap<String, String>,
}

impl Knowledge {
    /// Reads the tables of a folder. A table that is not there is empty; the dictionary and the law fall back to
    /// the built-in ones.
    pub fn read(folder: &Folder, mistakes: &mut Vec<Mistake>) -> Self {
        let built_in = Folder::built_in();
        let mut read = |path: &str, columns: &[&'static str], row: &mut dyn FnMut(&Row<'_, '_>)| {
            let bytes = folder.get(path)?;
            read_table(&folder.path_of(path), bytes, columns, mistakes, row);
            Some(())
        };
        let mut knowledge = Self::default();

        let mut exclusive = Vec::new();
        let there =
            read(EXCLUSIVE_ITEMS, &["main", "included", "scope"], &mut |row| exclusive.extend(exclusive_row(row)));
        exclusive.sort();
        exclusive.dedup();
        knowledge.exclusive = there.map(|()| exclusive);

        let mut limits = BTreeMap::new();
        let there = read(DAILY_LIMITS, &["item", "limit"], &mut |row| {
            if let Some((item, limit)) = limit_row(row) {
                let least = limits.entry(item).or_insert(limit);
                *least = limit.min(*least);
            }
        });
        knowledge.limits = there.map(|()| limits);

        let med_types = &mut knowledge.med_types;
        let mut med_type = |row: &Row<'_, '_>| {
            if let Some((code, class)) = class_row(row)
                && let Some(before) = med_types.insert(code.clone(), class)
                && before != class
            {
                row.note(0, format!("`{code}` is already of class {}", CLASSES[usize::from(before)]), None);
            }
        };
        if read(MED_TYPES, &["code", "class"], &mut med_type).is_none() {
            read_table(
                MED_TYPES,
                built_in.get(MED_TYPES).unwrap_or_default(),
                &["code", "class"],
                &mut Vec::new(),
                &mut med_type,
            );
        }

        let laws = &mut knowledge.laws;
        let mut law = |row: &Row<'_, '_>| {
            let [key, zh, en] = [0, 1, 2].map(|at| row.value(at).to_owned());
            if !key.is_empty() {
                laws.insert(key, Bilingual { zh, en });
            }
        };
        let columns = ["key", "zh", "en"];
        if read(LEGAL_BASIS, &columns, &mut law).is_none() {
            read_table(LEGAL_BASIS, built_in.get(LEGAL_BASIS).unwrap_or_default(), &columns, &mut Vec::new(), &mut law);
        }

        let deaths = &mut knowledge.deaths;
        read(PERSONS, &["psn_no", "die_date"], &mut |row| {
            if let Some((person, day)) = death_row(row) {
                let earliest = deaths.entry(person).or_insert(day);
                *earliest = day.min(*earliest);
            }
        });
        let institutions = &mut knowledge.institutions;
        read(INSTITUTIONS, &["fixmedins_code", "fixmedins_name"], &mut |row| {
            if let Some(code) = row.code(0, "fixmedins_code", LONGEST_ID) {
                institutions.insert(code, row.value(1).to_owned());
            }
        });
        for path in OTHERS {
            read(path, &[], &mut |_| {});
        }
        knowledge
    }

    /// The pairs of a scope with interned codes: included items by main item.
    pub fn pairs(&self, scope: &str, ids: &Ids) -> Map<Code, Vec<Code>> {
        let mut pairs: Map<Code, Vec<Code>> = Map::default();
        for row in self.exclusive.iter().flatten().filter(|row| row.scope == scope) {
            let code = |text: &str| Code(ids.codes.intern(text));
            pairs.entry(code(&row.main)).or_default().push(code(&row.included));
        }
        pairs
    }

    /// The limits with interned codes.
    pub fn limits(&self, ids: &Ids) -> Map<Code, i64> {
        self.limits.iter().flatten().map(|(item, limit)| (Code(ids.codes.intern(item)), *limit)).collect()
    }

    /// The dictionary with interned codes.
    pub fn classes(&self, ids: &Ids) -> Classes {
        self.med_types.iter().map(|(code, class)| (Code(ids.codes.intern(code)), *class)).collect()
    }

    /// The dates of death with interned persons.
    pub fn deaths(&self, ids: &Ids) -> Map<PersonId, Day> {
        self.deaths.iter().map(|(person, day)| (PersonId(ids.persons.intern(person)), *day)).collect()
    }
}

/// A row of a table: the values of the columns that were asked for.
struct Row<'t, 'd> {
    desk: &'d Desk<'d>,
    table: &'t CsvTable<'t>,
    number: usize,
    columns: &'t [usize],
}

impl Row<'_, '_> {
    fn value(&self, at: usize) -> &str {
        self.table.value(self.number, self.columns[at])
    }

    fn note(&self, at: usize, message: String, hint: Option<String>) {
        self.desk.note(self.table.span(self.number, self.columns[at]), message, hint);
    }

    /// A code that must be there.
    fn code(&self, at: usize, name: &str, longest: usize) -> Option<String> {
        let value = self.value(at);
        if value.is_empty() {
            self.note(at, format!("a row without `{name}`"), None);
            return None;
        }
        if value.chars().count() > longest {
            self.note(at, format!("`{name}` is longer than {longest} characters"), None);
            return None;
        }
        Some(value.to_owned())
    }
}

fn read_table(
    name: &str,
    bytes: &[u8],
    columns: &[&'static str],
    mistakes: &mut Vec<Mistake>,
    row: &mut dyn FnMut(&Row<'_, '_>),
) {
    let Some(text) = text_of(name, bytes, mistakes) else {
        return;
    };
    let desk = Desk::new(name, text);
    if let Some(table) = CsvTable::read(&desk)
        && let Some(columns) = table.columns(&desk, columns)
    {
        for number in 0..table.rows() {
            row(&Row { desk: &desk, table: &table, number, columns: &columns });
        }
    }
    mistakes.extend(desk.finish());
}

/// The text of a file; spreadsheets put a mark before it.
pub fn text_of<'b>(name: &str, bytes: &'b [u8], mistakes: &mut Vec<Mistake>) -> Option<&'b str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(error) => {
            let line = bytes.iter().take(error.valid_up_to()).filter(|byte| **byte == b'\n').count() + 1;
            mistakes.push(Mistake {
                file: name.to_owned(),
                place: None,
                message: format!("this file is not UTF-8, first in line {line}"),
                hint: Some("save it as UTF-8; spreadsheets often write GBK".to_owned()),
            });
            None
        }
    }
}

fn exclusive_row(row: &Row<'_, '_>) -> Option<ExclusiveRow> {
    let (main, included) = (row.code(0, "main", LONGEST_ITEM), row.code(1, "included", LONGEST_ITEM));
    let scope = row.code(2, "scope", LONGEST_ITEM);
    Some(ExclusiveRow { main: main?, included: included?, scope: scope? })
}

fn limit_row(row: &Row<'_, '_>) -> Option<(String, i64)> {
    let item = row.code(0, "item", LONGEST_ITEM);
    let limit = match Quantity::parse(row.value(1).as_bytes()).map(Quantity::units) {
        Ok(limit) if limit >= 0 => Some(limit),
        Ok(_) => {
            row.note(1, "`limit` must not be negative".to_owned(), None);
            None
        }
        Err(refusal) => {
            row.note(1, format!("`limit` {refusal}"), Some("a number such as 1 or 0.5".to_owned()));
            None
        }
    };
    Some((item?, limit?))
}

fn class_row(row: &Row<'_, '_>) -> Option<(String, u8)> {
    let code = row.code(0, "code", 6);
    let class = CLASSES.iter().position(|class| *class == row.value(1));
    if class.is_none() {
        row.note(1, format!("`{}` is no class of `med_type`", row.value(1)), Some(one_of(row.value(1), CLASSES)));
    }
    Some((code?, class? as u8))
}

fn death_row(row: &Row<'_, '_>) -> Option<(String, Day)> {
    let person = row.code(0, "psn_no", LONGEST_ID);
    if row.value(1).is_empty() {
        return None;
    }
    let day = Day::parse(row.value(1).as_bytes());
    if day.is_none() {
        row.note(1, format!("`{}` is no date", row.value(1)), Some("a date is written yyyy-MM-dd".to_owned()));
    }
    Some((person?, day?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)]) -> (Knowledge, Vec<String>) {
        let mut folder = Folder::default();
        for (path, text) in files {
            folder.put(path, text.as_bytes().to_vec());
        }
        let mut mistakes = Vec::new();
        let knowledge = Knowledge::read(&folder, &mut mistakes);
        let told = mistakes.iter().map(|mistake| {
            let line = mistake.place.as_ref().map_or(0, |place| place.line);
            format!("{}:{line}: {}", mistake.file, mistake.message)
        });
        (knowledge, told.collect())
    }

    #[test]
    fn a_pair_counts_once_and_the_smaller_limit_holds() {
        let (knowledge, mistakes) = read(&[
            (
                EXCLUSIVE_ITEMS,
                "\u{feff}source,main,included,scope\r\nx,A,B,day\r\ny,A,B,day\r\nx,A,B,visit\r\nx,A,C,6h\r\n",
            ),
            (DAILY_LIMITS, "item,limit,unit\nA,24,hour\nA,1.5,day\nB,0.0001,day\n\n"),
        ]);
        assert_eq!(mistakes, [""; 0]);
        assert_eq!(knowledge.exclusive.as_ref().map(Vec::len), Some(3));
        let ids = Ids::new(1);
        assert_eq!(knowledge.pairs("day", &ids).len(), 1);
        assert_eq!(knowledge.limits, Some(BTreeMap::from([("A".to_owned(), 15_000), ("B".to_owned(), 1)])));
        assert_eq!(knowledge.med_types.get("21"), Some(&5), "the default dictionary holds where there is none");
        assert!(knowledge.laws.contains_key("TL38(1)"));
    }

    #[test]
    fn every_mistake_is_told_with_its_line() {
        let (_, mistakes) = read(&[
            (EXCLUSIVE_ITEMS, "main,includes,scope\nA,B,day\n"),
            (DAILY_LIMITS, "item,limit\nA,1.00001\n,1\nB,-1\nC,\n"),
            (MED_TYPES, "code,class\n11,OUTPATIENT\n11,PHARMACY\n21,INPATENT\n"),
            (PERSONS, "psn_no,gend,brdy,die_date\nP1,1,,2026-02-29\nP2,1,,\nP3,2,,2026-02-28\nP3,2,,2026-02-01\n"),
        ]);
        assert_eq!(
            mistakes,
            [
                "/knowledge/exclusive_items.csv:1: the table has no column `included`",
                "/knowledge/daily_limits.csv:2: `limit` has more than 4 decimals",
                "/knowledge/daily_limits.csv:3: a row without `item`",
                "/knowledge/daily_limits.csv:4: `limit` must not be negative",
                "/knowledge/daily_limits.csv:5: `limit` is not a number",
                "/knowledge/med_types.csv:3: `11` is already of class OUTPATIENT",
                "/knowledge/med_types.csv:4: `INPATENT` is no class of `med_type`",
                "/registry/persons.csv:2: `2026-02-29` is no date",
            ]
        );
        let (knowledge, _) = read(&[(PERSONS, "psn_no,die_date\nP3,2026-02-28\nP3,2026-02-01\nP4,\n")]);
        assert_eq!(knowledge.deaths, BTreeMap::from([("P3".to_owned(), Day::parse(b"2026-02-01").expect("a date"))]));
    }

    #[test]
    fn institutions_have_names() {
        let table = "fixmedins_code,hosp_lv,fixmedins_name\nH1,03,第一医院\nH2,09,\n,09,无名\n";
        let (knowledge, mistakes) = read(&[(INSTITUTIONS, table)]);
        assert_eq!(mistakes, ["/registry/institutions.csv:4: a row without `fixmedins_code`"]);
        let expected = [("H1", "第一医院"), ("H2", "")].map(|(code, name)| (code.to_owned(), name.to_owned()));
        assert_eq!(knowledge.institutions, BTreeMap::from(expected));
    }
}
