//! A plain JSON reader that keeps numbers as they are written.
//!
//! Numbers must stay exact (`1.25e1`, a 20-digit code), so they are raw text; of a repeated key
//! the caller takes the last, because an object is the list of its members as they stand.

/// A JSON value; a number is its literal text.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// Reads one JSON document; anything but blanks after it is an error.
pub fn parse(text: &str) -> Result<Json, String> {
    let mut reader = Reader { chars: text.chars().collect(), at: 0 };
    reader.blanks();
    let value = reader.value()?;
    reader.blanks();
    if reader.at < reader.chars.len() {
        return Err("not JSON: something follows the value".into());
    }
    Ok(value)
}

/// Whether the text is a number of the JSON grammar, from its first to its last character.
pub fn is_number(text: &str) -> bool {
    let mut reader = Reader { chars: text.chars().collect(), at: 0 };
    reader.number().is_ok() && reader.at == reader.chars.len()
}

struct Reader {
    chars: Vec<char>,
    at: usize,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Result<char, String> {
        let found = self.peek().ok_or("not JSON: it ends too early")?;
        self.at += 1;
        Ok(found)
    }

    fn expect(&mut self, wanted: char) -> Result<(), String> {
        let found = self.next()?;
        if found == wanted { Ok(()) } else { Err(format!("not JSON: {found:?} for {wanted:?}")) }
    }

    fn word(&mut self, word: &str, value: Json) -> Result<Json, String> {
        for wanted in word.chars() {
            self.expect(wanted)?;
        }
        Ok(value)
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\n' | '\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self) -> Result<Json, String> {
        match self.peek() {
            Some('n') => self.word("null", Json::Null),
            Some('t') => self.word("true", Json::Bool(true)),
            Some('f') => self.word("false", Json::Bool(false)),
            Some('"') => Ok(Json::Text(self.string()?)),
            Some('[') => self.array(),
            Some('{') => self.object(),
            _ => Ok(Json::Number(self.number()?)),
        }
    }

    fn array(&mut self) -> Result<Json, String> {
        self.expect('[')?;
        let mut elements = Vec::new();
        self.blanks();
        if self.peek() == Some(']') {
            self.at += 1;
            return Ok(Json::Array(elements));
        }
        loop {
            self.blanks();
            elements.push(self.value()?);
            self.blanks();
            match self.next()? {
                ',' => {}
                ']' => return Ok(Json::Array(elements)),
                other => return Err(format!("not JSON: {other:?} in an array")),
            }
        }
    }

    fn object(&mut self) -> Result<Json, String> {
        self.expect('{')?;
        let mut members = Vec::new();
        self.blanks();
        if self.peek() == Some('}') {
            self.at += 1;
            return Ok(Json::Object(members));
        }
        loop {
            self.blanks();
            let name = self.string()?;
            self.blanks();
            self.expect(':')?;
            self.blanks();
            members.push((name, self.value()?));
            self.blanks();
            match self.next()? {
                ',' => {}
                '}' => return Ok(Json::Object(members)),
                other => return Err(format!("not JSON: {other:?} in an object")),
            }
        }
    }

    fn string(&mut self) -> Result<String, String> {
        self.expect('"')?;
        let mut text = String::new();
        loop {
            match self.next()? {
                '"' => return Ok(text),
                '\\' => text.push(self.escape()?),
                control if control < ' ' => return Err("not JSON: a bare control character".into()),
                other => text.push(other),
            }
        }
    }

    fn escape(&mut self) -> Result<char, String> {
        match self.next()? {
            same @ ('"' | '\\' | '/') => Ok(same),
            'b' => Ok('\u{8}'),
            'f' => Ok('\u{c}'),
            'n' => Ok('\n'),
            'r' => Ok('\r'),
            't' => Ok('\t'),
            'u' => {
                let first = self.four_hex_digits()?;
                if !(0xD800..0xDC00).contains(&first) {
                    return char::from_u32(first).ok_or("not JSON: half a surrogate pair".into());
                }
                self.expect('\\')?;
                self.expect('u')?;
                let second = self.four_hex_digits()?;
                if !(0xDC00..0xE000).contains(&second) {
                    return Err("not JSON: half a surrogate pair".into());
                }
                let joined = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                char::from_u32(joined).ok_or("not JSON: no such character".into())
            }
            other => Err(format!("not JSON: unknown escape {other:?}")),
        }
    }

    fn four_hex_digits(&mut self) -> Result<u32, String> {
        let mut number = 0;
        for _ in 0..4 {
            let digit = self.next()?.to_digit(16).ok_or("not JSON: not a hex digit")?;
            number = number * 16 + digit;
        }
        Ok(number)
    }

    fn digits(&mut self, text: &mut String) -> Result<(), String> {
        let before = text.len();
        while let Some(digit @ '0'..='9') = self.peek() {
            text.push(digit);
            self.at += 1;
        }
        if text.len() == before { Err("not JSON: a digit is missing".into()) } else { Ok(()) }
    }

    /// `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`
    fn number(&mut self) -> Result<String, String> {
        let mut text = String::new();
        if self.peek() == Some('-') {
            text.push(self.next()?);
        }
        if self.peek() == Some('0') {
            text.push(self.next()?);
        } else {
            self.digits(&mut text)?;
        }
        if self.peek() == Some('.') {
            text.push(self.next()?);
            self.digits(&mut text)?;
        }
        if let Some('e' | 'E') = self.peek() {
            text.push(self.next()?);
            if let Some('+' | '-') = self.peek() {
                text.push(self.next()?);
            }
            self.digits(&mut text)?;
        }
        Ok(text)
    }
}

#[test]
fn numbers_keep_their_text_and_objects_their_repeated_keys() {
    let value = parse(r#" {"a":1.250e+1,"\u0061":"\u4e2d\ud83d\ude00\n","b":[null,true,-0]} "#);
    let expected = Json::Object(vec![
        ("a".into(), Json::Number("1.250e+1".into())),
        ("a".into(), Json::Text("中😀\n".into())),
        ("b".into(), Json::Array(vec![Json::Null, Json::Bool(true), Json::Number("-0".into())])),
    ]);
    assert_eq!(value, Ok(expected));
}

#[test]
fn what_is_not_json_is_refused() {
    for text in [
        "",
        "{",
        "{}x",
        "{a:1}",
        "[1,]",
        "01",
        "+1",
        ".5",
        "1.",
        "1e",
        "nul",
        "NaN",
        "'a'",
        "\"\t\"",
        r#""\x""#,
        r#""\ud800""#,
        "{\"a\":1,}",
        "\u{feff}{}",
        "tru",
        "-",
    ] {
        assert!(parse(text).is_err(), "{text:?} is not JSON");
    }
    for text in ["1", "-0", "0.10", "1E-2", "12"] {
        assert!(is_number(text), "{text:?} is a number");
    }
    for text in ["", " 1", "1 ", "+1", "01", "1.", ".5", "0x1", "1_0", "NaN"] {
        assert!(!is_number(text), "{text:?} is no number");
    }
}
