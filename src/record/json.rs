//! A strict JSON scanner that hands out raw values: what is not asked for costs a glance, and the text of a
//! number reaches the exact parsers untouched.
//!
//! It works on text that is known to be UTF-8. It checks the JSON grammar (RFC 8259) of everything it passes,
//! wanted or not, without recursion.

/// A value as it stands in the record. Strings are without their quotes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Raw<'a> {
    /// A string without escapes.
    Text(&'a str),
    /// A string with escapes; see [`unescape`].
    Escaped(&'a str),
    /// A number, in the words of the record.
    Number(&'a str),
    /// `true`
    True,
    /// `false`
    False,
    /// `null`
    Null,
    /// An object or an array, braces and brackets included.
    Nested(&'a str),
}

impl Raw<'_> {
    /// Whether the contract takes it for an absent field.
    pub fn is_absent(self) -> bool {
        matches!(self, Self::Null | Self::Text(""))
    }
}

/// Where the text stops being JSON, in bytes from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotJson(pub usize);

/// A position in a text that is read as JSON.
pub struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

type Scanned<T> = Result<T, NotJson>;

impl<'a> Scanner<'a> {
    /// Starts at the beginning of a text.
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    /// The byte at hand; 0 at the end, which no JSON token starts with.
    fn here(&self) -> u8 {
        self.bytes().get(self.at).copied().unwrap_or(0)
    }

    fn fail<T>(&self) -> Scanned<T> {
        Err(NotJson(self.at))
    }

    /// Passes white space and returns the byte after it.
    pub fn peek(&mut self) -> u8 {
        loop {
            match self.here() {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                byte => return byte,
            }
        }
    }

    /// Passes white space and one expected byte.
    ///
    /// # Errors
    /// Where something else stands there.
    pub fn expect(&mut self, byte: u8) -> Scanned<()> {
        if self.peek() != byte {
            return self.fail();
        }
        self.at += 1;
        Ok(())
    }

    /// Whether only white space is left.
    ///
    /// # Errors
    /// Where something else is.
    pub fn end(&mut self) -> Scanned<()> {
        self.peek();
        if self.at == self.text.len() { Ok(()) } else { self.fail() }
    }

    /// The next key of an object whose `{` is passed, up to and with its colon; `None` after its `}`.
    /// `first` is cleared.
    ///
    /// # Errors
    /// Where there is no key.
    pub fn key(&mut self, first: &mut bool) -> Scanned<Option<Raw<'a>>> {
        let mut byte = self.peek();
        if byte == b'}' {
            self.at += 1;
            return Ok(None);
        }
        if !*first {
            self.expect(b',')?;
            byte = self.peek();
        }
        *first = false;
        if byte != b'"' {
            return self.fail();
        }
        let key = self.string()?;
        self.expect(b':')?;
        Ok(Some(key))
    }

    /// Steps to the next element of an array whose `[` is passed; `false` after its `]`. `first` is cleared.
    ///
    /// # Errors
    /// Where there is no element.
    pub fn element(&mut self, first: &mut bool) -> Scanned<bool> {
        if self.peek() == b']' && *first {
            self.at += 1;
            return Ok(false);
        }
        if !*first {
            match self.peek() {
                b',' => self.at += 1,
                b']' => {
                    self.at += 1;
                    return Ok(false);
                }
                _ => return self.fail(),
            }
        }
        *first = false;
        Ok(true)
    }

    /// The next value, whatever it is.
    ///
    /// # Errors
    /// Where there is none.
    pub fn value(&mut self) -> Scanned<Raw<'a>> {
        match self.peek() {
            b'"' => self.string(),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.literal("true", Raw::True),
            b'f' => self.literal("false", Raw::False),
            b'n' => self.literal("null", Raw::Null),
            b'{' | b'[' => self.nested(),
            _ => self.fail(),
        }
    }

    fn literal(&mut self, word: &str, value: Raw<'a>) -> Scanned<Raw<'a>> {
        if !self.bytes()[self.at..].starts_with(word.as_bytes()) {
            return self.fail();
        }
        self.at += word.len();
        Ok(value)
    }

    fn string(&mut self) -> Scanned<Raw<'a>> {
        let start = self.at + 1;
        self.at = start;
        let mut escaped = false;
        loop {
            self.skip_plain();
            match self.here() {
                b'"' => {
                    let text = &self.text[start..self.at];
                    self.at += 1;
                    return Ok(if escaped { Raw::Escaped(text) } else { Raw::Text(text) });
                }
                b'\\' => {
                    escaped = true;
                    match self.bytes().get(self.at + 1) {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
                        Some(b'u') => {
                            let digits = self.bytes().get(self.at + 2..self.at + 6);
                            if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                                return self.fail();
                            }
                            self.at += 6;
                        }
                        _ => return self.fail(),
                    }
                }
                _ => return self.fail(),
            }
        }
    }

    /// Passes bytes of a string up to a quote, a backslash, a control character or the end; eight at a time.
    fn skip_plain(&mut self) {
        const ONES: u64 = 0x0101_0101_0101_0101;
        const HIGH: u64 = 0x8080_8080_8080_8080;
        let bytes = self.bytes();
        while let Some(chunk) = bytes.get(self.at..self.at + 8) {
            let word = u64::from_le_bytes(chunk.try_into().expect("eight bytes"));
            let zero_in = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
            let quote = zero_in(word ^ (ONES * b'"' as u64));
            let backslash = zero_in(word ^ (ONES * b'\\' as u64));
            let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
            let stop = quote | backslash | control;
            if stop != 0 {
                self.at += (stop.trailing_zeros() / 8) as usize;
                return;
            }
            self.at += 8;
        }
        while bytes.get(self.at).is_some_and(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)) {
            self.at += 1;
        }
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.here().is_ascii_digit() {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Scanned<Raw<'a>> {
        let start = self.at;
        if self.here() == b'-' {
            self.at += 1;
        }
        let zero = self.here() == b'0';
        match self.digits() {
            0 => return self.fail(),
            1 => {}
            _ if zero => return self.fail(),
            _ => {}
        }
        if self.here() == b'.' {
            self.at += 1;
            if self.digits() == 0 {
                return self.fail();
            }
        }
        if matches!(self.here(), b'e' | b'E') {
            self.at += 1;
            if matches!(self.here(), b'+' | b'-') {
                self.at += 1;
            }
            if self.digits() == 0 {
                return self.fail();
            }
        }
        Ok(Raw::Number(&self.text[start..self.at]))
    }

    /// Passes a whole object or array.
    fn nested(&mut self) -> Scanned<Raw<'a>> {
        let start = self.at;
        // One entry for each open bracket: whether it is an object.
        let mut open: Vec<bool> = Vec::new();
        loop {
            match self.peek() {
                b'{' => {
                    self.at += 1;
                    open.push(true);
                    if self.key(&mut true)?.is_some() {
                        continue;
                    }
                    open.pop();
                }
                b'[' => {
                    self.at += 1;
                    open.push(false);
                    if self.element(&mut true)? {
                        continue;
                    }
                    open.pop();
                }
                _ => {
                    self.value()?;
                }
            }
            // A value is complete: go on in what holds it, closing all that ends here.
            loop {
                match open.last() {
                    None => return Ok(Raw::Nested(&self.text[start..self.at])),
                    Some(true) => {
                        if self.key(&mut false)?.is_some() {
                            break;
                        }
                    }
                    Some(false) => {
                        if self.element(&mut false)? {
                            break;
                        }
                    }
                }
                open.pop();
            }
        }
    }
}

/// Resolves the escapes of a scanned string; `None` where a surrogate stands alone, which is no text.
pub fn unescape(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    let unit = |digits: &str| u32::from_str_radix(digits, 16).ok();
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        let escape = rest.as_bytes().get(at + 1)?;
        let mut passed = at + 2;
        plain.push(match escape {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let high = unit(rest.get(at + 2..at + 6)?)?;
                passed = at + 6;
                if (0xd800..0xdc00).contains(&high) {
                    let low = unit(rest.get(at + 6..at + 12)?.strip_prefix("\\u")?)?;
                    passed = at + 12;
                    let low = low.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
                    char::from_u32(0x10000 + ((high - 0xd800) << 10) + low)?
                } else {
                    char::from_u32(high)?
                }
            }
            other => char::from(*other),
        });
        rest = &rest[passed..];
    }
    plain.push_str(rest);
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn accepts(text: &str) -> bool {
        let mut scanner = Scanner::new(text);
        scanner.value().and_then(|_| scanner.end()).is_ok()
    }

    #[test]
    fn json_is_accepted_and_nothing_else() {
        for text in [
            "{}",
            "[]",
            " [ ] ",
            "[1,2]",
            "{\"a\":[{}],\"b\":{\"c\":null}}",
            "\"\\u4e2d\\n\"",
            "-0.5e+10",
            "[[[[1]]]]",
            "{\"a\":1,\"a\":2}",
            "0",
            "[true,false,null]",
            "\"\u{7f}中文\"",
            "[\"\\ud800\"]",
        ] {
            assert!(accepts(text), "{text}");
        }
        for text in [
            "",
            "{",
            "}",
            "[1,]",
            "[,1]",
            "{,}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "01",
            "1.",
            ".1",
            "+1",
            "1e",
            "\"",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\n\"",
            "tru",
            "nulll",
            "[1 2]",
            "{\"a\" 1}",
            "[1]]",
            "{}{}",
            "--1",
            "{\"a\":1 \"b\":2}",
            "\u{feff}{}",
            "'a'",
            "[\"\t\"]",
            "\"\\",
            "[}",
            "{]",
            "{\"a\":[}",
        ] {
            assert!(!accepts(text), "{text}");
        }
        assert!(accepts(&format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000))), "depth costs no stack");
    }

    #[test]
    fn escapes_are_resolved() {
        for (text, plain) in [
            ("a\\n\\t\\\"\\\\\\/\\b\\f\\r", "a\n\t\"\\/\u{8}\u{c}\r"),
            ("\\u4e2d\\u0041", "中A"),
            ("\\ud83d\\ude00!", "😀!"),
        ] {
            assert_eq!(unescape(text).as_deref(), Some(plain));
        }
        for text in ["\\ud800", "\\ud800x", "\\udc00", "\\ud800\\u0041"] {
            assert_eq!(unescape(text), None);
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_serde_json(text in "[\\[\\]{}\",:0-9eE.+\\-\\\\u ntrfalse]{0,24}") {
            let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            prop_assert_eq!(accepts(&text), theirs);
        }
    }
}
