//! Filters: SQL expressions over the columns of records, evaluated over whole batches.
//!
//! An expression is split at its top-level `AND`s. A part that reads only *codes* (text columns with few
//! different values, known by their interned ids) is **remembered**: its verdict is looked up by the ids, and
//! DataFusion is asked only about ids that were never met together before. Other parts, such as comparisons of
//! amounts, are evaluated by DataFusion over the batch, and only over rows that passed what is remembered.
//! Splitting changes nothing: a row passes when every part is true, and false and NULL are both "not passed".
//!
//! All expressions over one type of record are kept in one [`FilterSet`], whose answer for a row is one word
//! with a bit for each expression.

mod compile;
mod function;
mod memory;
#[cfg(test)]
mod tests;

pub use compile::{Compiler, FilterError, MAX_LENGTH};

use super::rule::{CLASSES, Classes};
use crate::record::types::Record;
use crate::record::{Code, Ids};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringArray};
use arrow::compute::prep_null_mask_filter;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion_expr::Expr;
use datafusion_expr::utils::split_conjunction;
use datafusion_physical_expr::PhysicalExpr;
use memory::{Key, MAX_KEYS, Memory};
use std::sync::Arc;

/// The answers of a filter set for one row: bit *n* is set when the row passes expression *n*.
pub type Verdicts = u64;

/// The most expressions of a set. The top bits of a word are left to marks of other kinds.
pub const MAX_EXPRESSIONS: usize = 60;

/// The derived column with the class of `med_type`.
const MED_CLASS: &str = "med_class";
/// The column that [`MED_CLASS`] is derived from.
const MED_TYPE: &str = "med_type";

/// Codes that are different in nearly every record: remembering their verdicts would be of no use.
const IDENTITIES: [&str; 5] = ["check_id", "init_setl_id", "mdtrt_id", "psn_no", "setl_id"];

/// Rows that filters can read.
pub trait Columns: Sized + 'static {
    /// How messages call a row, for example `settlement`.
    const OF: &'static str;

    /// The names of all columns, without those that filters derive themselves.
    fn names() -> &'static [&'static str];

    /// A column of many rows; `None` where there is no column of that name.
    fn column(rows: &mut dyn Iterator<Item = &Self>, name: &str, ids: &Ids) -> Option<ArrayRef>;

    /// The interned id in a column of codes, 0 where absent; `None` where the column is no code.
    fn code(&self, name: &str) -> Option<u32>;

    /// Whether [`Columns::code`] answers for a column of texts.
    fn is_code(_name: &str) -> bool {
        true
    }
}

impl<R: Record> Columns for R {
    const OF: &'static str = R::TYPE;

    fn names() -> &'static [&'static str] {
        <R as Record>::names()
    }

    fn column(rows: &mut dyn Iterator<Item = &Self>, name: &str, ids: &Ids) -> Option<ArrayRef> {
        <R as Record>::column(rows, name, ids)
    }

    fn code(&self, name: &str) -> Option<u32> {
        <R as Record>::code(self, name)
    }

    fn is_code(name: &str) -> bool {
        R::ABSENT.code(name).is_some()
    }
}

/// Puts a [`FilterSet`] together.
pub struct FilterSetBuilder {
    of: &'static str,
    compiler: Compiler,
    is_code: fn(&str) -> bool,
    /// The compiled form of every expression, which tells equal ones.
    expressions: Vec<Expr>,
    parts: Vec<Part>,
}

/// A conjunct: one of the parts that an expression is the `AND` of.
struct Part {
    conjunct: Expr,
    columns: Vec<&'static str>,
    /// The expressions that it is a part of.
    expressions: Verdicts,
}

impl FilterSetBuilder {
    /// An empty set over rows of type `R`.
    pub fn new<R: Columns>(ids: &Ids) -> Self {
        let column = |name: &'static str| {
            R::column(&mut std::iter::empty(), name, ids).map(|array| (name, array.data_type().clone()))
        };
        let mut columns: Vec<_> = R::names().iter().filter_map(|name| column(name)).collect();
        if columns.iter().any(|(name, _)| *name == MED_TYPE) {
            columns.push((MED_CLASS, DataType::Utf8));
        }
        Self {
            of: R::OF,
            compiler: Compiler::new(R::OF, columns),
            is_code: R::is_code,
            expressions: Vec::new(),
            parts: Vec::new(),
        }
    }

    /// Adds an expression and returns its number. Equal expressions share one.
    ///
    /// # Errors
    /// What is wrong with the expression, or that there are too many.
    pub fn add(&mut self, sql: &str) -> Result<u8, FilterError> {
        let expression = self.compiler.parse(sql)?;
        if let Some(known) = self.expressions.iter().position(|known| *known == expression) {
            return Ok(known as u8);
        }
        if self.expressions.len() == MAX_EXPRESSIONS {
            return Err(FilterError::TooMany { of: self.of, most: MAX_EXPRESSIONS });
        }
        let number = self.expressions.len();
        for conjunct in split_conjunction(&expression) {
            let at = match self.parts.iter().position(|known| known.conjunct == *conjunct) {
                Some(known) => known,
                None => {
                    let columns = self.compiler.columns_of(conjunct);
                    self.parts.push(Part { conjunct: conjunct.clone(), columns, expressions: 0 });
                    self.parts.len() - 1
                }
            };
            self.parts[at].expressions |= 1 << number;
        }
        self.expressions.push(expression);
        Ok(number as u8)
    }

    /// The columns whose ids decide over a part, where it can be remembered.
    fn keys(&self, part: &Part) -> Option<Vec<&'static str>> {
        let mut keys = Vec::new();
        for name in &part.columns {
            let key = if *name == MED_CLASS { MED_TYPE } else { name };
            if !self.compiler.is_text(key) || !(self.is_code)(key) || IDENTITIES.contains(&key) {
                return None;
            }
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys.sort_unstable();
        (keys.len() <= MAX_KEYS).then_some(keys)
    }

    /// The finished set.
    pub fn finish(self) -> FilterSet {
        let mut remembered: Vec<(Vec<&'static str>, Vec<&Part>)> = Vec::new();
        let mut plain = Vec::new();
        for part in &self.parts {
            match self.keys(part) {
                None => plain.push(part),
                Some(keys) => match remembered.iter_mut().find(|(known, _)| *known == keys) {
                    Some((_, parts)) => parts.push(part),
                    None => remembered.push((keys, vec![part])),
                },
            }
        }
        let group = |(keys, parts): (_, Vec<&Part>)| {
            let sheet = Sheet::new(&self.compiler, &parts);
            Group { keys, sheet, memory: Memory::default() }
        };
        FilterSet {
            of: self.of,
            count: self.expressions.len(),
            groups: remembered.into_iter().map(group).collect(),
            plain: Sheet::new(&self.compiler, &plain),
        }
    }
}

/// Conjuncts that are evaluated together, over a batch of just the columns that they read.
struct Sheet {
    schema: SchemaRef,
    /// Each with the expressions that it is a part of.
    parts: Vec<(Arc<dyn PhysicalExpr>, Verdicts)>,
}

impl Sheet {
    fn new(compiler: &Compiler, parts: &[&Part]) -> Self {
        let mut columns: Vec<&'static str> = parts.iter().flat_map(|part| part.columns.iter().copied()).collect();
        columns.sort_unstable();
        columns.dedup();
        let schema = compiler.schema_of(&columns);
        let parts = parts.iter().map(|part| (compiler.tie(&part.conjunct, &schema), part.expressions)).collect();
        Self { schema, parts }
    }

    /// The expressions that have a part here.
    fn expressions(&self) -> Verdicts {
        self.parts.iter().fold(0, |all, (_, expressions)| all | expressions)
    }

    /// For each row a word in which the bits of expressions with a part that is not true are cleared.
    fn evaluate<R: Columns>(&self, rows: &[&R], ids: &Ids, classes: &Classes) -> Vec<Verdicts> {
        let columns = self.schema.fields().iter().map(|field| column(rows, field.name(), ids, classes)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
            .expect("the schema was made from the same columns");
        let mut verdicts = vec![Verdicts::MAX; rows.len()];
        for (expression, mask) in &self.parts {
            clear_failed(expression.as_ref(), &batch, *mask, &mut verdicts);
        }
        verdicts
    }
}

/// Clears the bits of `mask` in the verdicts of rows for which the expression is not true. Where an evaluation
/// fails (a cast, a division by zero), only the rows that make it fail are not passed.
fn clear_failed(expression: &dyn PhysicalExpr, batch: &RecordBatch, mask: Verdicts, verdicts: &mut [Verdicts]) {
    let rows = batch.num_rows();
    let result = expression.evaluate(batch).and_then(|value| value.into_array(rows));
    match result {
        Ok(array) => {
            let passed = passed(&array);
            for (row, verdict) in verdicts.iter_mut().enumerate() {
                if !passed.value(row) {
                    *verdict &= !mask;
                }
            }
        }
        Err(_) if rows > 1 => {
            let half = rows / 2;
            let (first, second) = verdicts.split_at_mut(half);
            clear_failed(expression, &batch.slice(0, half), mask, first);
            clear_failed(expression, &batch.slice(half, rows - half), mask, second);
        }
        Err(_) => verdicts.iter_mut().for_each(|verdict| *verdict &= !mask),
    }
}

/// NULL is not passed.
fn passed(array: &ArrayRef) -> BooleanArray {
    let boolean = array.as_boolean();
    if boolean.null_count() == 0 { boolean.clone() } else { prep_null_mask_filter(boolean) }
}

/// A column, derived ones too.
fn column<R: Columns>(rows: &[&R], name: &str, ids: &Ids, classes: &Classes) -> ArrayRef {
    if let Some(array) = R::column(&mut rows.iter().copied(), name, ids) {
        return array;
    }
    debug_assert_eq!(name, MED_CLASS, "the columns were checked when the set was made");
    let class = |row: &&R| {
        let code = Code(row.code(MED_TYPE).unwrap_or(0));
        code.get().map(|code| CLASSES[usize::from(classes.get(&code).copied().unwrap_or(0))])
    };
    Arc::new(rows.iter().map(class).collect::<StringArray>())
}

/// Remembered conjuncts that read the same columns of codes.
struct Group {
    keys: Vec<&'static str>,
    sheet: Sheet,
    memory: Memory,
}

impl Group {
    fn key<R: Columns>(&self, row: &R) -> Key {
        let mut key = [0; MAX_KEYS];
        for (slot, name) in key.iter_mut().zip(&self.keys) {
            *slot = row.code(name).unwrap_or(0);
        }
        key
    }

    fn apply<R: Columns>(&self, rows: &[&R], ids: &Ids, classes: &Classes, verdicts: &mut [Verdicts]) {
        let mut unknown: Vec<(usize, Key)> = Vec::new();
        {
            let known = self.memory.read();
            for (at, row) in rows.iter().enumerate() {
                let key = self.key(*row);
                match known.get(&key) {
                    Some(verdict) => verdicts[at] &= verdict,
                    None => unknown.push((at, key)),
                }
            }
        }
        if unknown.is_empty() {
            return;
        }
        let mut keys: Vec<(Key, usize)> = unknown.iter().map(|(at, key)| (*key, *at)).collect();
        keys.sort_unstable();
        keys.dedup_by_key(|(key, _)| *key);
        let samples: Vec<&R> = keys.iter().map(|(_, at)| rows[*at]).collect();
        let learnt = self.sheet.evaluate(&samples, ids, classes);
        for (at, key) in unknown {
            if let Ok(found) = keys.binary_search_by_key(&key, |(key, _)| *key) {
                verdicts[at] &= learnt[found];
            }
        }
        self.memory.learn(keys.iter().map(|(key, _)| *key).zip(learnt));
    }
}

/// All filter expressions over one type of record.
pub struct FilterSet {
    of: &'static str,
    count: usize,
    groups: Vec<Group>,
    plain: Sheet,
}

impl FilterSet {
    /// A set without expressions.
    pub fn empty() -> Self {
        let plain = Sheet { schema: Arc::new(Schema::empty()), parts: Vec::new() };
        Self { of: "", count: 0, groups: Vec::new(), plain }
    }

    /// Whether it holds no expression.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many expressions it holds.
    pub fn len(&self) -> usize {
        self.count
    }

    /// The verdicts for each row. An empty set answers 0 for all.
    ///
    /// `classes` must be the same in all calls: verdicts are remembered.
    pub fn evaluate<R: Columns>(&self, rows: &[&R], ids: &Ids, classes: &Classes) -> Vec<Verdicts> {
        let mut verdicts = vec![(1 << self.count) - 1; rows.len()];
        if self.is_empty() || rows.is_empty() {
            return verdicts;
        }
        debug_assert_eq!(self.of, R::OF, "a set is over one type of rows");
        for group in &self.groups {
            group.apply(rows, ids, classes, &mut verdicts);
        }
        if self.plain.parts.is_empty() {
            return verdicts;
        }
        let pending = self.plain.expressions();
        let left: Vec<usize> = (0..rows.len()).filter(|at| verdicts[*at] & pending != 0).collect();
        if !left.is_empty() {
            let rows: Vec<&R> = left.iter().map(|at| rows[*at]).collect();
            for (at, verdict) in left.iter().zip(self.plain.evaluate(&rows, ids, classes)) {
                verdicts[*at] &= verdict;
            }
        }
        verdicts
    }

    /// The same verdicts with nothing remembered: every part by DataFusion over all rows. For tests and
    /// measurements.
    pub fn evaluate_plainly<R: Columns>(&self, rows: &[&R], ids: &Ids, classes: &Classes) -> Vec<Verdicts> {
        let mut verdicts = vec![(1 << self.count) - 1; rows.len()];
        for sheet in self.groups.iter().map(|group| &group.sheet).chain([&self.plain]) {
            for (verdict, part) in verdicts.iter_mut().zip(sheet.evaluate(rows, ids, classes)) {
                *verdict &= part;
            }
        }
        verdicts
    }

    /// Forgets all remembered verdicts. To be called after ids were given back ([`Interner::forget`]), since
    /// they may come to stand for other texts.
    ///
    /// [`Interner::forget`]: crate::record::intern::Interner::forget
    pub fn forget(&self) {
        for group in &self.groups {
            group.memory.forget();
        }
    }
}
