//! JSON as the two kinds of runtime read its text, into one tree that forgets nothing: members keep their order and their doubles, numbers their digits.
//!
//! *Go* (runc: `encoding/json`, by `Decoder.Decode`): the first value counts, invalid UTF-8 and lone surrogates are replaced.
//! *yajl* (crun): the whole text is one value, and strings are C strings, which end at a NUL.

/// Whose reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    Go,
    Yajl,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Null,
    Bool(bool),
    Number(Vec<u8>),
    Text(Vec<u8>),
    Array(Vec<Value>),
    Object(Vec<(Vec<u8>, Value)>),
}

/// What was read.
#[derive(Debug)]
pub struct Document {
    pub value: Value,
    /// Some text is not what it seems: a NUL, a lone surrogate, invalid UTF-8; or there is more behind it, if only white space of yajl's.
    pub odd: bool,
    /// Some text is written with a `\\`.
    pub escapes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Malformed,
    /// Deeper than this reader follows; the runtimes may.
    TooDeep,
}

const MOST_DEPTH: usize = 500;

/// # Errors
/// The runtime refuses the text, or it is too deep to say.
pub fn read(text: &[u8], reader: Reader) -> Result<Document, Fault> {
    let mut parser = Parser { text, at: 0, reader, odd: false };
    parser.space();
    let value = parser.value(0)?;
    parser.space();
    let has_more = parser.at < text.len();
    if reader == Reader::Yajl && has_more {
        return Err(Fault::Malformed);
    }
    Ok(Document { value, odd: parser.odd || has_more, escapes: text.contains(&b'\\') })
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    reader: Reader,
    odd: bool,
}

impl Parser<'_> {
    fn next(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.next() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn space(&mut self) {
        while matches!(self.next(), Some(b' ' | b'\t' | b'\r' | b'\n')) || (self.reader == Reader::Yajl && matches!(self.next(), Some(0x0b | 0x0c))) {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, Fault> {
        if depth > MOST_DEPTH {
            return Err(Fault::TooDeep);
        }
        match self.next() {
            Some(b'"') => Ok(Value::Text(self.text()?)),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Result<Value, Fault> {
        for (word, value) in [("null", Value::Null), ("true", Value::Bool(true)), ("false", Value::Bool(false))] {
            if self.text[self.at..].starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(Fault::Malformed)
    }

    fn number(&mut self) -> Result<Value, Fault> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        Ok(Value::Number(self.text[start..self.at].to_vec()))
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while matches!(self.next(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(Fault::Malformed) }
    }

    fn array(&mut self, depth: usize) -> Result<Value, Fault> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.take(b']') {
            return Ok(Value::Array(items));
        }
        loop {
            self.space();
            items.push(self.value(depth + 1)?);
            self.space();
            if self.take(b']') {
                return Ok(Value::Array(items));
            }
            if !self.take(b',') {
                return Err(Fault::Malformed);
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, Fault> {
        self.at += 1;
        let mut members = Vec::new();
        self.space();
        if self.take(b'}') {
            return Ok(Value::Object(members));
        }
        loop {
            self.space();
            let name = if self.next() == Some(b'"') { self.text()? } else { return Err(Fault::Malformed) };
            self.space();
            if !self.take(b':') {
                return Err(Fault::Malformed);
            }
            self.space();
            members.push((name, self.value(depth + 1)?));
            self.space();
            if self.take(b'}') {
                return Ok(Value::Object(members));
            }
            if !self.take(b',') {
                return Err(Fault::Malformed);
            }
        }
    }

    fn text(&mut self) -> Result<Vec<u8>, Fault> {
        self.at += 1;
        let mut decoded = Vec::new();
        loop {
            let byte = self.next().ok_or(Fault::Malformed)?;
            self.at += 1;
            match byte {
                b'"' => break,
                b'\\' => self.escape(&mut decoded)?,
                ..0x20 => return Err(Fault::Malformed),
                byte => decoded.push(byte),
            }
        }
        if std::str::from_utf8(&decoded).is_err() {
            self.odd = true;
            if self.reader == Reader::Go {
                return Ok(String::from_utf8_lossy(&decoded).into_owned().into_bytes());
            }
        }
        if let Some(end) = decoded.iter().position(|byte| *byte == 0) {
            self.odd = true;
            if self.reader == Reader::Yajl {
                decoded.truncate(end);
            }
        }
        Ok(decoded)
    }

    fn escape(&mut self, decoded: &mut Vec<u8>) -> Result<(), Fault> {
        let byte = self.next().ok_or(Fault::Malformed)?;
        self.at += 1;
        decoded.push(match byte {
            b'"' | b'\\' | b'/' => byte,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => return self.code_point(decoded),
            _ => return Err(Fault::Malformed),
        });
        Ok(())
    }

    fn code_point(&mut self, decoded: &mut Vec<u8>) -> Result<(), Fault> {
        let first = self.hex()?;
        let mut code = first;
        if (0xd800..0xdc00).contains(&first) && self.text[self.at..].starts_with(b"\\u") {
            let back = self.at;
            self.at += 2;
            let second = self.hex()?;
            if (0xdc00..0xe000).contains(&second) {
                code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            } else {
                self.at = back;
            }
        }
        let character = char::from_u32(code);
        self.odd |= character.is_none();
        // So does Go; yajl writes `?`, or the half pair.
        decoded.extend(character.unwrap_or('\u{fffd}').encode_utf8(&mut [0; 4]).bytes());
        Ok(())
    }

    fn hex(&mut self) -> Result<u32, Fault> {
        let digits = self.text.get(self.at..self.at + 4).ok_or(Fault::Malformed)?;
        self.at += 4;
        digits.iter().try_fold(0, |code, digit| Some(code * 16 + char::from(*digit).to_digit(16)?)).ok_or(Fault::Malformed)
    }
}
