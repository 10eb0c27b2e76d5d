//! A rule as a page that a hearing can read.

use crate::rules::rule::{Amount, Bilingual, Conclusion, Severity, Status};
use crate::rules::severity::{self, SeverityBands};
use crate::rules::{Library, RuleFile};
use std::fmt::Write;

/// A conclusion in Chinese and English.
pub fn result(result: Conclusion) -> (&'static str, &'static str) {
    match result {
        Conclusion::Violation => ("违规", "violation"),
        Conclusion::Suspicious => ("可疑", "suspicious"),
        Conclusion::Clue => ("线索", "clue"),
        Conclusion::Technical => ("数据质量", "technical"),
    }
}

/// A status in Chinese and English.
pub fn status(status: Status) -> (&'static str, &'static str) {
    match status {
        Status::Draft => ("草拟", "draft"),
        Status::Shadow => ("试运行", "shadow"),
        Status::Live => ("启用", "live"),
        Status::Retired => ("停用", "retired"),
    }
}

/// All severities that a rule can give, mildest first.
pub fn severities(bands: &SeverityBands) -> String {
    let mut all: Vec<Severity> = bands.bands.iter().map(|band| band.severity).chain([bands.otherwise]).collect();
    all.sort_unstable();
    all.dedup();
    all.into_iter().map(Severity::word).collect::<Vec<_>>().join(", ")
}

fn severity_zh(severity: Severity) -> &'static str {
    match severity {
        Severity::Low => "低风险",
        Severity::Medium => "中风险",
        Severity::High => "高风险",
        Severity::Critical => "严重",
    }
}

fn amount(amount: Amount) -> (&'static str, &'static str) {
    match amount {
        Amount::None => ("不计算", "none"),
        Amount::FundOfViolating => {
            ("违规结算的基金支付总额之和", "the sum of fund_pay_sumamt of the violating settlements")
        }
        Amount::InscpOfViolating => {
            ("违规明细纳入基金范围的金额之和", "the sum of the violating details' amounts in the fund's scope")
        }
        Amount::Excess => (
            "纳入基金范围的金额×超出数量÷总数量，四舍五入到分",
            "amount in the fund's scope × units above what is allowed ÷ all units, rounded half up to the fen",
        ),
        Amount::FundOfVisit => {
            ("该次就诊各笔结算的基金支付总额之和", "the sum of fund_pay_sumamt of the visit's settlements")
        }
        Amount::OverRefund => (
            "退费记录纳入基金范围的金额超出原明细的部分；仅数量超出、金额未超出的不计算",
            "what refund rows take back in the fund's scope beyond the detail's own amount; none where only their count exceeds it",
        ),
    }
}

/// The page.
pub fn write(library: &Library, file: &RuleFile) -> String {
    let rule = &file.rule;
    let mut page = String::new();
    let title = format!("{}  {} / {}", rule.id, rule.name.zh, rule.name.en);
    line(&mut page, &title);
    line(&mut page, &"=".repeat(72));
    let (result, status) = (result(rule.result), status(rule.status));
    line(&mut page, &format!("版本 version   {}", rule.version));
    line(&mut page, &format!("状态 status    {} {}", status.0, status.1));
    line(&mut page, &format!("结论 result    {} {}", result.0, result.1));
    line(&mut page, &format!("文件 file      {}", library.folder.path_of(&file.path)));

    heading(&mut page, "规则定义", "Definition");
    both(&mut page, &file.definition);

    heading(&mut page, "参数", "Parameters");
    if file.parameters.is_empty() {
        line(&mut page, "  无 / none");
    }
    for parameter in &file.parameters {
        let unit = parameter.unit;
        line(&mut page, &format!("  {} = {} {} {}", parameter.name, parameter.shown(), unit.chinese(), unit.word()));
        item(&mut page, "    ", &parameter.meaning.zh);
        item(&mut page, "    ", &parameter.meaning.en);
    }

    heading(&mut page, "判定方法", "Detection");
    for field in &file.fields {
        item(&mut page, "  ", &format!("{} = {}", field.key, field.value));
    }
    item(&mut page, "  ", &format!("数据 reads: {}", file.rule.reads.join(", ")));
    item(&mut page, "  ", &format!("同一线索 identity: {}", rule.identity.join(", ")));

    heading(&mut page, "风险等级", "Severity");
    for band in &rule.severity.bands {
        let words = severity::in_words(band, &rule.detection);
        line(&mut page, &format!("  {} {}: {words}", severity_zh(band.severity), band.severity.word()));
    }
    let otherwise = rule.severity.otherwise;
    let rest = if rule.severity.bands.is_empty() { "" } else { ": 其他 otherwise" };
    line(&mut page, &format!("  {} {}{rest}", severity_zh(otherwise), otherwise.word()));

    heading(&mut page, "涉及金额", "Amount at issue");
    let amount = amount(rule.amount);
    item(&mut page, "  ", amount.0);
    item(&mut page, "  ", amount.1);

    list(&mut page, "不适用情形", "Exemptions", &file.exemptions);
    list(&mut page, "易误判情形", "Known false positives", &file.false_positives);

    heading(&mut page, "法律依据", "Legal basis");
    for key in &rule.legal_basis {
        line(&mut page, &format!("  [{key}]"));
        if let Some(text) = library.knowledge.laws.get(key) {
            both(&mut page, text);
        }
    }
    list(&mut page, "核查要点", "What to ask for", &file.ask_for);

    heading(&mut page, "线索表述", "Message");
    both(&mut page, &rule.message);
    line(&mut page, "");
    line(&mut page, &format!("测试 tests: {}", file.examples.len()));
    page
}

fn heading(page: &mut String, zh: &str, en: &str) {
    line(page, "");
    line(page, &format!("{zh} / {en}"));
    line(page, &"-".repeat(72));
}

fn list(page: &mut String, zh: &str, en: &str, items: &[Bilingual]) {
    heading(page, zh, en);
    if items.is_empty() {
        line(page, "  无 / none");
    }
    for (number, item) in items.iter().enumerate() {
        let number = format!("  {}. ", number + 1);
        paragraph(page, &number, "     ", &item.zh);
        paragraph(page, "     ", "     ", &item.en);
    }
}

fn both(page: &mut String, text: &Bilingual) {
    item(page, "  ", &text.zh);
    item(page, "  ", &text.en);
}

fn item(page: &mut String, indent: &str, text: &str) {
    paragraph(page, indent, &format!("{indent}  "), text);
}

/// Writes a text in lines that are not too long.
fn paragraph(page: &mut String, first: &str, rest: &str, text: &str) {
    let (mut written, mut at) = (first.to_owned(), width(first));
    let mut chars = text.char_indices().peekable();
    while let Some((start, character)) = chars.next() {
        // What stays together: a wide character, or all up to the next blank or wide one.
        let mut end = start + character.len_utf8();
        while let Some((next, other)) = chars.peek().copied() {
            let sticks =
                is_closing(other) || !(is_wide(character) || is_wide(other) || character == ' ' || other == ' ');
            if !sticks {
                break;
            }
            end = next + other.len_utf8();
            chars.next();
        }
        let piece = &text[start..end];
        if at + width(piece) > WIDTH && at > width(rest) {
            line(page, written.trim_end());
            written = rest.to_owned();
            at = width(rest);
            if piece == " " {
                continue;
            }
        }
        written.push_str(piece);
        at += width(piece);
    }
    line(page, written.trim_end());
}

/// Columns of a page.
const WIDTH: usize = 88;

fn is_wide(character: char) -> bool {
    matches!(u32::from(character), 0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f | 0xff00..=0xff60 | 0x2_0000..=0x3_ffff)
}

/// Marks that do not begin a line.
fn is_closing(character: char) -> bool {
    "\u{ff0c}\u{3002}\u{ff1b}\u{ff1a}\u{3001}\u{ff09}\u{300b}\u{3015}\u{201d}".contains(character)
}

fn width(text: &str) -> usize {
    text.chars().map(|character| 1 + usize::from(is_wide(character))).sum()
}

fn line(page: &mut String, text: &str) {
    // Writing into a text cannot fail.
    let _ = writeln!(page, "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_short_and_nothing_is_lost() {
        let text = "Two stays of one person at one institution, ".repeat(6)
            + &"同一参保人员\u{ff0c}在同一定点医疗机构。".repeat(12)
            + &"x".repeat(200);
        let mut page = String::new();
        item(&mut page, "  ", &text);
        for line in page.lines().filter(|line| !line.contains("xxx")) {
            assert!(width(line) <= WIDTH + 2, "{line}");
            assert!(!line.trim_start().starts_with(is_closing), "{line}");
        }
        let squeeze = |text: &str| text.split_whitespace().collect::<String>();
        assert_eq!(squeeze(&page), squeeze(&text));
    }
}
