//! The rules that we ship, with the tables of a world.

use crate::reference::Tables;
use fundwatch::record::Ids;
use fundwatch::rules::{Folder, RuleSet};
use std::fmt::Write;

/// The rules of the contract with these tables.
pub fn of_tables(tables: &Tables, ids: &Ids) -> RuleSet {
    let mut exclusive = String::from("main,included,scope\n");
    for (main, included, scope) in &tables.exclusive {
        let _ = writeln!(exclusive, "{main},{included},{scope}");
    }
    let mut limits = String::from("item,limit\n");
    for (item, limit) in &tables.limits {
        let _ = writeln!(limits, "{item},{limit}");
    }
    let mut persons = String::from("psn_no,gend,brdy,die_date\n");
    for (person, date) in &tables.deaths {
        let _ = writeln!(persons, "{person},,,{date}");
    }
    let mut folder = Folder::built_in();
    folder.put("knowledge/exclusive_items.csv", exclusive.into_bytes());
    folder.put("knowledge/daily_limits.csv", limits.into_bytes());
    folder.put("registry/persons.csv", persons.into_bytes());
    RuleSet::of_folder(folder, ids).unwrap_or_else(|mistakes| panic!("{}", mistakes.render(false)))
}
