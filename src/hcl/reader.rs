//! Parses a text into a tree, one character at a time; the first error ends it.

use crate::hcl::{Body, HclEntry, Position, SyntaxError, Value, ValueKind, Word};

/// The maximum depth of nested blocks and lists: no real file reaches it, and the stack holds it.
const DEPTH: usize = 64;

/// Parses a text; one whose first character is `{` is read as JSON.
///
/// # Errors
/// The first position that is not HCL. No text makes it panic.
pub fn parse(text: &str) -> Result<Body, SyntaxError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let json = text.trim_start().starts_with('{');
    let mut reader = Reader { rest: text, at: Position { line: 1, column: 1 }, json };
    if !json {
        return reader.body(None, 0);
    }
    reader.skip_space()?;
    let opened = reader.at;
    reader.bump();
    let body = reader.body(Some(opened), 0)?;
    reader.skip_space()?;
    match reader.peek() {
        None => Ok(body),
        Some(_) => Err(reader.wrong("nothing may follow the closing brace")),
    }
}

struct Reader<'a> {
    rest: &'a str,
    at: Position,
    json: bool,
}

const fn starts_word(character: char) -> bool {
    character.is_ascii_alphabetic() || character == '_'
}

fn continues_word(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '-' | '.')
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let character = characters.next()?;
        self.rest = characters.as_str();
        if character == '\n' {
            self.at = Position { line: self.at.line.saturating_add(1), column: 1 };
        } else {
            self.at.column = self.at.column.saturating_add(1);
        }
        Some(character)
    }

    fn wrong(&self, message: impl Into<String>) -> SyntaxError {
        SyntaxError { position: self.at, message: message.into() }
    }

    /// Skips white space and comments.
    fn skip_space(&mut self) -> Result<(), SyntaxError> {
        loop {
            if self.rest.starts_with('#') || self.rest.starts_with("//") {
                while self.peek().is_some_and(|character| character != '\n') {
                    self.bump();
                }
            } else if self.rest.starts_with("/*") {
                let opened = self.at;
                self.bump();
                self.bump();
                while !self.rest.starts_with("*/") {
                    if self.bump().is_none() {
                        let message = "this comment is not closed: `*/` is missing".to_owned();
                        return Err(SyntaxError { position: opened, message });
                    }
                }
                self.bump();
                self.bump();
            } else if self.peek().is_some_and(char::is_whitespace) {
                self.bump();
            } else {
                return Ok(());
            }
        }
    }

    /// Entries up to the brace that closes `opened`, or to the end of the text.
    fn body(&mut self, opened: Option<Position>, depth: usize) -> Result<Body, SyntaxError> {
        if depth > DEPTH {
            return Err(self.wrong("blocks are nested too deep"));
        }
        let mut body = Body::default();
        loop {
            self.skip_space()?;
            match (self.peek(), opened) {
                (None, None) => return Ok(body),
                (None, Some(position)) => {
                    let message = "this brace is not closed: `}` is missing".to_owned();
                    return Err(SyntaxError { position, message });
                }
                (Some('}'), Some(_)) => {
                    self.bump();
                    return Ok(body);
                }
                (Some('}'), None) => return Err(self.wrong("this brace closes nothing")),
                (Some(_), _) => {}
            }
            body.entries.push(self.entry(depth)?);
            self.skip_space()?;
            if self.peek() == Some(',') {
                self.bump();
            }
        }
    }

    fn entry(&mut self, depth: usize) -> Result<HclEntry, SyntaxError> {
        let key = self.word()?;
        let mut labels = Vec::new();
        loop {
            self.skip_space()?;
            match self.peek() {
                Some('{') => return Ok(HclEntry { key, labels, value: self.value(depth)? }),
                Some(sign) if sign == if self.json { ':' } else { '=' } => {
                    self.bump();
                    self.skip_space()?;
                    let value = self.value(depth)?;
                    if !labels.is_empty() && !matches!(value.kind, ValueKind::Object(_)) {
                        let message = format!(
                            "after names, a block in braces is expected, not {}",
                            value.kind.name()
                        );
                        return Err(SyntaxError { position: value.position, message });
                    }
                    return Ok(HclEntry { key, labels, value });
                }
                Some(character) if character == '"' || starts_word(character) => {
                    labels.push(self.word()?);
                }
                _ => {
                    return Err(self.wrong(format!(
                        "`{}` is followed by neither a value nor a block",
                        key.text
                    )));
                }
            }
        }
    }

    fn word(&mut self) -> Result<Word, SyntaxError> {
        let position = self.at;
        let text = match self.peek() {
            Some('"') => self.string()?,
            Some(character) if starts_word(character) => self.bare_word(),
            Some(character) => {
                return Err(self.wrong(format!("a key is expected here, not {character:?}")));
            }
            None => return Err(self.wrong("a key is expected here, not the end")),
        };
        Ok(Word { position, text })
    }

    fn bare_word(&mut self) -> String {
        let mut word = String::new();
        while let Some(character) = self.peek().filter(|character| continues_word(*character)) {
            word.push(character);
            self.bump();
        }
        word
    }

    fn value(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        let position = self.at;
        let kind = match self.peek() {
            Some('"') => ValueKind::String(self.string()?),
            Some('<') => ValueKind::String(self.heredoc()?),
            Some('[') => ValueKind::List(self.list(depth.saturating_add(1))?),
            Some('{') => {
                self.bump();
                ValueKind::Object(self.body(Some(position), depth.saturating_add(1))?)
            }
            Some('0'..='9' | '-' | '+') => self.number()?,
            Some(character) if starts_word(character) => match self.bare_word().as_str() {
                "true" => ValueKind::Bool(true),
                "false" => ValueKind::Bool(false),
                word => {
                    let message = format!("text stands in quotes: \"{word}\"");
                    return Err(SyntaxError { position, message });
                }
            },
            Some(character) => {
                return Err(self.wrong(format!("a value is expected here, not {character:?}")));
            }
            None => return Err(self.wrong("a value is expected here, not the end")),
        };
        Ok(Value { position, kind })
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Value>, SyntaxError> {
        let position = self.at;
        if depth > DEPTH {
            return Err(self.wrong("lists are nested too deep"));
        }
        self.bump();
        let mut values = Vec::new();
        loop {
            self.skip_space()?;
            if self.peek() == Some(']') {
                self.bump();
                return Ok(values);
            }
            if self.peek().is_none() {
                let message = "this bracket is not closed: `]` is missing".to_owned();
                return Err(SyntaxError { position, message });
            }
            values.push(self.value(depth)?);
            self.skip_space()?;
            match self.peek() {
                Some(',') => {
                    self.bump();
                }
                Some(']') | None => {}
                Some(_) => return Err(self.wrong("`,` or `]` is expected after a value of a list")),
            }
        }
    }

    fn number(&mut self) -> Result<ValueKind, SyntaxError> {
        let position = self.at;
        let mut text = String::new();
        while let Some(character) =
            self.peek().filter(|character| continues_word(*character) || *character == '+')
        {
            text.push(character);
            self.bump();
        }
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None => ("", text.strip_prefix('+').unwrap_or(&text)),
        };
        let (radix, digits) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"))
        {
            Some(digits) => (16, digits),
            None if digits.len() > 1
                && digits.starts_with('0')
                && !digits.contains(['.', 'e', 'E']) =>
            {
                (8, digits)
            }
            None => (10, digits),
        };
        let of_digits = digits.starts_with(|character: char| character.is_digit(radix));
        let integer = i64::from_str_radix(&format!("{sign}{digits}"), radix).ok();
        let float = || text.parse::<f64>().ok().filter(|number| number.is_finite());
        let overflow = || digits.bytes().all(|digit| digit.is_ascii_digit());
        match integer {
            Some(number) if of_digits => Some(ValueKind::Integer(number)),
            None if of_digits && radix == 10 && !overflow() => float().map(ValueKind::Float),
            _ => None,
        }
        .ok_or_else(|| SyntaxError { position, message: format!("`{text}` is not a number") })
    }

    /// A string in quotes; the reader is at the first of them.
    fn string(&mut self) -> Result<String, SyntaxError> {
        let opened = self.at;
        let unclosed = || SyntaxError {
            position: opened,
            message: "this text is not closed: `\"` is missing on its line".to_owned(),
        };
        self.bump();
        let mut text = String::new();
        // Quotes between `${` and its brace do not end the text.
        let mut braces = 0_u32;
        loop {
            let at = self.at;
            let opens = !self.json && self.rest.starts_with("${");
            match self.bump().ok_or_else(unclosed)? {
                '"' if braces == 0 => return Ok(text),
                '\n' if braces == 0 => return Err(unclosed()),
                '\\' if braces == 0 => text.push(self.escape(at)?),
                '$' if opens && braces == 0 => {
                    self.bump();
                    text.push_str("${");
                    braces = 1;
                }
                character => {
                    if braces > 0 && character == '{' {
                        braces = braces.saturating_add(1);
                    } else if braces > 0 && character == '}' {
                        braces = braces.saturating_sub(1);
                    }
                    text.push(character);
                }
            }
        }
    }

    /// The character of the escape whose backslash is at `at`.
    fn escape(&mut self, at: Position) -> Result<char, SyntaxError> {
        let unknown = || SyntaxError {
            position: at,
            message: "unknown escape; a backslash itself is written `\\\\`".to_owned(),
        };
        match self.bump().ok_or_else(unknown)? {
            'n' => Ok('\n'),
            't' => Ok('\t'),
            'r' => Ok('\r'),
            'a' => Ok('\u{7}'),
            'b' => Ok('\u{8}'),
            'f' => Ok('\u{c}'),
            'v' => Ok('\u{b}'),
            character @ ('\\' | '"' | '\'' | '/') => Ok(character),
            'x' => self.code(2, 16).and_then(char::from_u32).ok_or_else(unknown),
            'u' => self.unicode().ok_or_else(unknown),
            'U' => self.code(8, 16).and_then(char::from_u32).ok_or_else(unknown),
            first @ '0'..='3' => {
                let high = first.to_digit(8).ok_or_else(unknown)?.saturating_mul(64);
                let low = self.code(2, 8).ok_or_else(unknown)?;
                char::from_u32(high.saturating_add(low)).ok_or_else(unknown)
            }
            _ => Err(unknown()),
        }
    }

    fn code(&mut self, digits: u32, radix: u32) -> Option<u32> {
        let mut code = 0_u32;
        for _ in 0..digits {
            let digit = self.peek()?.to_digit(radix)?;
            self.bump();
            code = code.checked_mul(radix)?.checked_add(digit)?;
        }
        Some(code)
    }

    /// The four digits after `\u`; two such escapes where UTF-16 needs a surrogate pair.
    fn unicode(&mut self) -> Option<char> {
        let first = self.code(4, 16)?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first);
        }
        if self.bump() != Some('\\') || self.bump() != Some('u') {
            return None;
        }
        let second = self.code(4, 16).filter(|second| (0xdc00..0xe000).contains(second))?;
        let pair = [u16::try_from(first).ok()?, u16::try_from(second).ok()?];
        char::decode_utf16(pair).next()?.ok()
    }

    /// `<<WORD`, lines, `WORD`; after `<<-` the indentation of the last line is removed
    /// from every line, if every line has it.
    fn heredoc(&mut self) -> Result<String, SyntaxError> {
        let opened = self.at;
        let wrong = |message: &str| SyntaxError { position: opened, message: message.to_owned() };
        self.bump();
        if self.bump() != Some('<') {
            return Err(wrong("a text of several lines begins with `<<WORD`"));
        }
        let indented = self.peek() == Some('-');
        if indented {
            self.bump();
        }
        let anchor = self.line().ok_or_else(|| wrong("this text has no end"))?;
        let anchor = anchor.trim_end();
        if anchor.is_empty() || !anchor.chars().all(continues_word) {
            return Err(wrong("a text of several lines begins with `<<WORD` alone on the line"));
        }
        let mut lines = Vec::new();
        loop {
            let line = self.line().ok_or_else(|| {
                wrong(&format!("this text has no end: a line with `{anchor}` is missing"))
            })?;
            if line.trim() == anchor {
                let prefix: String = line.chars().take_while(|c| c.is_whitespace()).collect();
                let strip = indented && lines.iter().all(|line: &String| line.starts_with(&prefix));
                let cut = if strip { prefix.len() } else { 0 };
                return Ok(lines.iter().filter_map(|line| line.get(cut..)).collect());
            }
            lines.push(line);
        }
    }

    /// The rest of this line with its end; `None` at the end of the text.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        while let Some(character) = self.bump() {
            line.push(character);
            if character == '\n' {
                break;
            }
        }
        (!line.is_empty()).then_some(line)
    }
}
