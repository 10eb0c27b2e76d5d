//! A rule file as a whole: what the engine runs, what people read, and its tests.

use super::detection::{self, ALL_AMOUNTS, ALL_SUBJECTS, Context, ShownField, amounts, reads, subjects};
use super::example::{self, Example, Kind};
use super::folder::Folder;
use super::knowledge::{DAILY_LIMITS, EXCLUSIVE_ITEMS, MED_TYPES};
use super::mistake::{Desk, Mistake, one_of};
use super::parameter::{Parameter, Parameters};
use super::reader::{At, Table};
use super::rule::{Amount, Bilingual, Conclusion, Detection, Rule, Status};
use super::severity;
use toml::de::DeTable;

/// The longest id of a rule.
const LONGEST_ID: usize = 30;

/// A rule file, read.
#[derive(Debug)]
pub struct RuleFile {
    /// Its path in the rules folder.
    pub path: String,
    /// What the engine runs.
    pub rule: Rule,
    /// What it finds, in words.
    pub definition: Bilingual,
    /// Its parameters.
    pub parameters: Vec<Parameter>,
    /// What it leaves out on purpose.
    pub exemptions: Vec<Bilingual>,
    /// What it finds wrongly, as experience tells.
    pub false_positives: Vec<Bilingual>,
    /// What an investigation should ask for.
    pub ask_for: Vec<Bilingual>,
    /// The fields of its detection.
    pub fields: Vec<ShownField>,
    /// Its tests.
    pub examples: Vec<Example>,
}

impl RuleFile {
    /// Reads a rule file and compiles it into a context.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn read(folder: &Folder, path: &str, context: &mut Context<'_>) -> Result<Self, Vec<Mistake>> {
        let name = folder.path_of(path);
        let mut mistakes = Vec::new();
        let bytes = folder.get(path).unwrap_or_default();
        let Some(source) = super::knowledge::text_of(&name, bytes, &mut mistakes) else {
            return Err(mistakes);
        };
        let desk = Desk::new(&name, source);
        let (document, errors) = DeTable::parse_recoverable(source);
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            desk.note(span, format!("this is no TOML: {}", error.message()), None);
        }
        // After a syntax error what is missing may be there, so only the syntax is told.
        let read = if desk.count() == 0 {
            let table = Table::new(&desk, "the rule", 0..0, document.get_ref());
            read_rule(&table, folder, path, context)
        } else {
            None
        };
        let mistakes = desk.finish();
        match read {
            Some(read) if mistakes.is_empty() => Ok(read),
            _ => Err(mistakes),
        }
    }
}

fn read_rule<'a>(table: &Table<'a>, folder: &Folder, path: &str, context: &mut Context<'_>) -> Option<RuleFile> {
    let desk = table.desk;
    let parameters = Parameters::read(desk, table.optional_table("parameters"));
    let id = table.text("id").filter(|id| check_id(desk, id, path));
    let family = table.text("family").filter(|family| check_family(desk, family, path));
    let status = table.choice(
        "status",
        &[("draft", Status::Draft), ("shadow", Status::Shadow), ("live", Status::Live), ("retired", Status::Retired)],
    );
    let result = table.choice(
        "result",
        &[
            ("violation", Conclusion::Violation),
            ("suspicious", Conclusion::Suspicious),
            ("clue", Conclusion::Clue),
            ("technical", Conclusion::Technical),
        ],
    );
    let name = table.bilingual("name");
    let definition = table.table("definition").and_then(|table| read_texts(&table, &parameters, false, None));
    let exemptions = table.bilinguals("exemptions");
    let (false_positives, ask_for) = (table.bilinguals("false_positives"), table.bilinguals("ask_for"));
    let legal_basis = legal_basis(table, context);
    // Only rules that run take a place among the filters.
    let runs = context.every_status || matches!(status, Some(Status::Live | Status::Shadow) | None);
    let mut aside;
    let place = if runs {
        &mut *context
    } else {
        aside = Context::new(context.ids, context.knowledge);
        &mut aside
    };
    let found = table.table("detection").and_then(|table| detection::read(&table, &parameters, place));
    // What depends on the kind of detection is checked as far as it can be without.
    let (detection, fields) = found.map_or((None, Vec::new()), |(detection, fields)| (Some(detection), fields));
    let kind = detection.as_ref();
    let severity = table.table("severity").and_then(|table| severity::read(&table, &parameters, kind));
    let subject = table.choice("subject", kind.map_or(&ALL_SUBJECTS, subjects));
    let amount = table.choice("amount", kind.map_or(&ALL_AMOUNTS, amounts));
    let identity = identity(table, kind);
    let message = table.table("message").and_then(|table| read_texts(&table, &parameters, true, kind));
    let reads = read_reads(table, kind.zip(amount), &fields);
    let tests = table.tables("tests");
    if status == Some(Status::Live) {
        check_tests(table, &tests);
    }
    let examples = example::read(tests, identity.as_deref());
    table.finish();
    let detection = detection?;
    let parameters = parameters.finish();
    let version = version(folder, path, reads.as_deref().unwrap_or_default());
    let rule = Rule {
        id: id?.value.to_owned(),
        version,
        name: name?,
        family: family?.value.to_owned(),
        reads: reads?,
        result: result?,
        status: status?,
        subject: subject?,
        detection,
        severity: severity?,
        amount: amount?,
        identity: identity?,
        message: message?,
        legal_basis,
    };
    Some(RuleFile {
        path: path.to_owned(),
        rule,
        definition: definition?,
        parameters,
        exemptions,
        false_positives,
        ask_for,
        fields,
        examples,
    })
}

/// `STY-01`; the file's name begins with it.
fn check_id(desk: &Desk<'_>, id: &At<&str>, path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-';
    if id.value.len() > LONGEST_ID
        || !id.value.bytes().all(plain)
        || !id.value.starts_with(|first: char| first.is_ascii_uppercase())
    {
        let hint = "capital letters, digits and `-`, for example `STY-01`".to_owned();
        desk.note(id.span.clone(), format!("`{}` is no id of a rule", id.value), Some(hint));
        return false;
    }
    let file = path.rsplit('/').next().unwrap_or(path);
    let rest = file.strip_prefix(id.value);
    if !rest.is_some_and(|rest| rest == ".toml" || rest.starts_with('-')) {
        let hint = format!("rename the file to `{}-….toml`, or change the id", id.value);
        desk.note(id.span.clone(), format!("the file of rule `{}` is called `{file}`", id.value), Some(hint));
        return false;
    }
    true
}

/// The folder's name.
fn check_family(desk: &Desk<'_>, family: &At<&str>, path: &str) -> bool {
    let Some((folder, file)) = path.split_once('/') else {
        let hint = format!("move it to `{}/{path}`", family.value);
        desk.note(family.span.clone(), "a rule file lies in the folder of its family", Some(hint));
        return false;
    };
    if file.contains('/') {
        desk.note(family.span.clone(), "a rule file lies in the folder of its family, and in none below", None);
        return false;
    }
    if folder != family.value {
        let hint = format!("`family = \"{folder}\"`, or move the file to `{}/`", family.value);
        desk.note(
            family.span.clone(),
            format!("the folder of this rule is `{folder}`, not `{}`", family.value),
            Some(hint),
        );
        return false;
    }
    true
}

fn legal_basis(table: &Table<'_>, context: &Context<'_>) -> Vec<String> {
    let keys = table.texts("legal_basis");
    if keys.is_empty() && table.get("legal_basis").is_none() {
        table.desk.note(table.span.clone(), "the rule lacks `legal_basis`", None);
    }
    let laws = &context.knowledge.laws;
    for key in keys.iter().filter(|key| !laws.contains_key(key.value)) {
        let hint = one_of(key.value, laws.keys().map(String::as_str));
        let message = format!("`{}` is not in knowledge/legal_basis.csv", key.value);
        table.desk.note(key.span.clone(), message, Some(hint));
    }
    keys.into_iter().map(|key| key.value.to_owned()).collect()
}

/// The identity names every part that its kind of detection offers: with fewer, different findings would share an
/// alert.
fn identity(table: &Table<'_>, kind: Option<&Detection>) -> Option<Vec<String>> {
    let value = table.require("identity")?;
    let parts = table.texts("identity");
    let kind = kind?;
    let offered = kind.identities();
    let mut complete = true;
    for part in parts.iter().filter(|part| !offered.contains(&part.value)) {
        let message = format!("`{}` is no part of the identity of `{}`", part.value, kind.word());
        table.desk.note(part.span.clone(), message, Some(one_of(part.value, offered.iter().copied())));
        complete = false;
    }
    let names: Vec<&str> = parts.iter().map(|part| part.value).collect();
    if complete && (names.len() != offered.len() || offered.iter().any(|part| !names.contains(part))) {
        let hint = format!("`identity = [\"{}\"]`", offered.join("\", \""));
        table.desk.note(value.span(), "the identity names each of its parts once", Some(hint));
        complete = false;
    }
    complete.then(|| names.into_iter().map(str::to_owned).collect())
}

/// Reads a text in both languages with names in braces: `{$parameter}`, and in messages what a finding shows.
fn read_texts<'a>(
    table: &Table<'a>,
    parameters: &Parameters<'a>,
    message: bool,
    kind: Option<&Detection>,
) -> Option<Bilingual> {
    let (zh, en) = (table.text("zh"), table.text("en"));
    table.finish();
    let names = kind.map(shown_names);
    // In a message of an unknown kind any name may be right.
    let known = if message { names.as_deref() } else { Some(&[] as &[String]) };
    let fill = |text: At<&str>| fill_in(table.desk, &text, parameters, known);
    let (zh, en) = (zh.and_then(fill), en.and_then(fill));
    Some(Bilingual { zh: zh?, en: en? })
}

/// What a message can show of a finding.
fn shown_names(detection: &Detection) -> Vec<String> {
    let limited = detection.figures().iter().filter(|figure| detection::figure_unit(detection, figure).1);
    let limits = limited.map(|figure| format!("{figure}_limit"));
    let figures = detection.figures().iter().chain(detection.identities()).map(|name| (*name).to_owned());
    figures.chain(limits).chain(["amount".to_owned()]).collect()
}

/// Checks the names in braces, and writes the values of parameters in their place.
fn fill_in(desk: &Desk<'_>, text: &At<&str>, parameters: &Parameters<'_>, known: Option<&[String]>) -> Option<String> {
    let mut filled = String::new();
    let mut complete = true;
    let mut rest = text.value.trim();
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            let hint = "`{` begins a name in braces such as `{amount}`".to_owned();
            desk.note(text.span.clone(), "a brace is not closed", Some(hint));
            return None;
        };
        rest = after;
        if name.starts_with('$') {
            match parameters.find(name, super::parameter::within(desk, text, name)) {
                Some(parameter) => filled.push_str(&parameter.shown()),
                None => complete = false,
            }
        } else if known.is_none_or(|known| known.iter().any(|valid| valid == name)) {
            filled.push('{');
            filled.push_str(name);
            filled.push('}');
        } else {
            let hint = match known.unwrap_or_default() {
                [] => "only parameters can be shown here: `{$name}`".to_owned(),
                known => one_of(name, known.iter().map(String::as_str)),
            };
            let span = super::parameter::within(desk, text, &format!("{{{name}}}"));
            desk.note(span, format!("`{name}` cannot be shown here"), Some(hint));
            complete = false;
        }
    }
    filled.push_str(rest);
    complete.then_some(filled)
}

/// What the rule says it reads must be what it does read.
fn read_reads(table: &Table<'_>, kind: Option<(&Detection, Amount)>, fields: &[ShownField]) -> Option<Vec<String>> {
    let value = table.require("reads")?;
    let written: Vec<&str> = table.texts("reads").into_iter().map(|name| name.value).collect();
    let (detection, amount) = kind?;
    let needed = reads(detection, amount, fields);
    let same = written.len() == needed.len() && needed.iter().all(|name| written.contains(name));
    if !same {
        let hint = format!("`reads = [\"{}\"]`", needed.join("\", \""));
        table.desk.note(value.span(), "this is not what the rule reads", Some(hint));
    }
    same.then(|| written.into_iter().map(str::to_owned).collect())
}

fn check_tests(table: &Table<'_>, tests: &[Table<'_>]) {
    let kind = |test: &Table<'_>| test.get("kind").and_then(|kind| kind.get_ref().as_str().map(str::to_owned));
    let kinds: Vec<Option<String>> = tests.iter().map(kind).collect();
    let missing = Kind::WORDS.iter().map(|(word, _)| *word);
    let missing: Vec<&str> = missing.filter(|word| !kinds.iter().any(|kind| kind.as_deref() == Some(*word))).collect();
    if !missing.is_empty() {
        let span = table.get("status").map_or(table.span.clone(), toml::Spanned::span);
        let message =
            format!("a live rule has tests of all kinds, and this one has none that is {}", missing.join(" or "));
        table.desk.note(span, message, Some("add `[[tests]]`, or set the status to `draft` or `shadow`".to_owned()));
    }
}

/// The content hash of the rule with the knowledge tables that it reads.
fn version(folder: &Folder, path: &str, reads: &[String]) -> String {
    // By what they are: a rule file with another name is the same rule.
    let mut files = vec![("rule", path)];
    for (name, table) in
        [("exclusive_items", EXCLUSIVE_ITEMS), ("daily_limits", DAILY_LIMITS), ("med_types", MED_TYPES)]
    {
        if reads.iter().any(|read| read == name) {
            files.push((name, table));
        }
    }
    folder.hash_of(&files)
}
