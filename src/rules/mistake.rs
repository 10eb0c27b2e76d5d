//! Mistakes in rule files and tables: where, what, and what to do about it.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use std::cell::RefCell;
use std::fmt;
use std::ops::Range;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The file, as people find it.
    pub file: String,
    /// Where in the file; `None` where the file as a whole is meant.
    pub place: Option<Place>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// A place in a file: some lines of it, and the part of them that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The number of the first of the lines, from 1.
    pub line: usize,
    /// The lines.
    pub text: String,
    /// The bytes of the text that are wrong.
    pub wrong: Range<usize>,
}

/// The most bytes of a file that are shown for one mistake.
const MAX_SHOWN: usize = 600;

impl Place {
    /// The lines of `source` around some of its bytes.
    pub fn of(source: &str, wrong: Range<usize>) -> Self {
        let floor = |at: usize| (0..=at.min(source.len())).rev().find(|at| source.is_char_boundary(*at)).unwrap_or(0);
        let (from, to) = (floor(wrong.start), floor(wrong.end.max(wrong.start)));
        let bytes = source.as_bytes();
        let line_start = bytes[..from].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let line_end =
            |at: usize| bytes[at..].iter().position(|byte| *byte == b'\n').map_or(source.len(), |end| at + end);
        // A value over many lines is shown by its first ones, an endless line by its middle.
        let start = floor(line_start.max(from.saturating_sub(MAX_SHOWN / 2)));
        let end = floor(line_end(to).min(start + MAX_SHOWN)).max(start);
        let text = source[start..end].trim_end_matches('\r');
        let within = |at: usize| at.saturating_sub(start).min(text.len());
        Self {
            line: bytes[..from].iter().filter(|byte| **byte == b'\n').count() + 1,
            text: text.to_owned(),
            wrong: within(from)..within(to),
        }
    }
}

/// Everything that is wrong with a folder of rules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mistakes(pub Vec<Mistake>);

impl Mistakes {
    /// A single mistake about a file as a whole.
    pub fn one(file: impl Into<String>, message: impl Into<String>, hint: Option<String>) -> Self {
        Self(vec![Mistake { file: file.into(), place: None, message: message.into(), hint }])
    }

    /// All of them as text for people: the lines in question with the wrong part underlined, and hints.
    pub fn render(&self, coloured: bool) -> String {
        let renderer = if coloured { Renderer::styled() } else { Renderer::plain() };
        let mut text = String::new();
        for mistake in &self.0 {
            if !text.is_empty() {
                text.push_str("\n\n");
            }
            text.push_str(&renderer.render(&mistake.groups()));
        }
        text
    }
}

impl Mistake {
    fn groups(&self) -> Vec<Group<'_>> {
        let title = Level::ERROR.primary_title(self.message.as_str());
        let hint = self.hint.as_ref().map(|hint| Level::HELP.message(hint.as_str()));
        let group = match &self.place {
            Some(place) => title.element(
                Snippet::source(place.text.as_str())
                    .line_start(place.line)
                    .path(self.file.as_str())
                    .annotation(AnnotationKind::Primary.span(place.wrong.clone())),
            ),
            None => title.element(annotate_snippets::Origin::path(self.file.as_str())),
        };
        vec![match hint {
            Some(hint) => group.element(hint),
            None => group,
        }]
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Mistakes {}

/// Where mistakes in one file are noted while it is read.
pub struct Desk<'a> {
    /// The file, as people find it.
    pub file: &'a str,
    source: &'a str,
    mistakes: RefCell<Vec<Mistake>>,
}

impl<'a> Desk<'a> {
    /// For a file with this text.
    pub fn new(file: &'a str, source: &'a str) -> Self {
        Self { file, source, mistakes: RefCell::default() }
    }

    /// The text of the file.
    pub fn source(&self) -> &'a str {
        self.source
    }

    /// Notes a mistake at some bytes of the file.
    pub fn note(&self, at: Range<usize>, message: impl Into<String>, hint: Option<String>) {
        let place = Some(Place::of(self.source, at));
        let mistake = Mistake { file: self.file.to_owned(), place, message: message.into(), hint };
        let mut mistakes = self.mistakes.borrow_mut();
        if !mistakes.contains(&mistake) {
            mistakes.push(mistake);
        }
    }

    /// Notes a mistake of the file as a whole.
    pub fn note_file(&self, message: impl Into<String>, hint: Option<String>) {
        let mistake = Mistake { file: self.file.to_owned(), place: None, message: message.into(), hint };
        self.mistakes.borrow_mut().push(mistake);
    }

    /// How many were noted.
    pub fn count(&self) -> usize {
        self.mistakes.borrow().len()
    }

    /// Hands over what was noted, in the order of the file.
    pub fn finish(self) -> Vec<Mistake> {
        let mut mistakes = self.mistakes.into_inner();
        mistakes.sort_by_key(|mistake| mistake.place.as_ref().map_or((0, 0), |place| (place.line, place.wrong.start)));
        mistakes
    }
}

/// The valid name that a wrong one was probably meant to be.
pub fn nearest<'n>(wrong: &str, valid: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let wrong = wrong.to_lowercase();
    let valid: Vec<&'n str> = valid.into_iter().collect();
    if wrong.len() > 2
        && let Some(name) = valid.iter().filter(|name| name.to_lowercase().starts_with(&wrong)).min()
    {
        return Some(name);
    }
    let near = |name: &'n str| (strsim::damerau_levenshtein(&wrong, &name.to_lowercase()), name);
    let (distance, name) = valid.into_iter().map(near).min()?;
    (distance <= 1 + name.chars().count() / 3).then_some(name)
}

/// A hint that names the nearest valid word, or all of them.
pub fn one_of<'n>(wrong: &str, valid: impl IntoIterator<Item = &'n str> + Clone) -> String {
    match nearest(wrong, valid.clone()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => {
            format!("valid here: {}", valid.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_shows_its_line_underlined() {
        let source = "id = \"X\"\nname = \"分解住院\"\nstatus = \"life\"\n";
        let desk = Desk::new("rules/a.toml", source);
        let at = source.find("\"life\"").expect("it is there");
        desk.note(at..at + 6, "`life` is no status", Some(one_of("life", ["draft", "live"])));
        let text = Mistakes(desk.finish()).to_string();
        for part in
            ["error: `life` is no status", "rules/a.toml:3:10", "status = \"life\"", "^^^^^^", "did you mean `live`?"]
        {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }

    #[test]
    fn no_place_is_too_odd_to_show() {
        let long = "长".repeat(5_000);
        for source in ["", "\n", "a", "中文", "a\r\nb\r\n", "\u{feff}x", "\0\u{7f}\t", long.as_str()] {
            for start in [0, 1, 2, 3, 7, source.len(), source.len() + 9] {
                for length in [0, 1, 5, 100_000] {
                    let place = Some(Place::of(source, start..start + length));
                    let mistake = Mistake { file: "f".into(), place, message: "m".into(), hint: None };
                    assert!(!Mistakes(vec![mistake]).render(true).is_empty());
                }
            }
        }
    }
}
