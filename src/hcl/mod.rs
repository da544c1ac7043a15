//! HCL 1, the language of Vault's server, agent and policy files, and its JSON form.
//!
//! The reader returns a tree with positions and does not interpret keys. It accepts more
//! than the language in one case: `path "a" = { … }` is read as `path "a" { … }`,
//! since existing files contain it. Values are not interpolated: `${…}` stays as it is.

mod reader;

use std::fmt;

pub use reader::parse;

/// A position in a text: both numbers start at 1, columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The character within the line.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.line, self.column)
    }
}

/// Why a text is not HCL, and where the reader stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// The position of the error.
    pub position: Position,
    /// What is wrong, and what is expected.
    pub message: String,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.position, self.message)
    }
}

impl std::error::Error for SyntaxError {}

/// The content of braces or of a file: entries in their order, with repetitions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Body {
    /// The entries.
    pub entries: Vec<HclEntry>,
}

/// `key = value`, or a block: `key "label" { … }`.
#[derive(Clone, Debug, PartialEq)]
pub struct HclEntry {
    /// The first word.
    pub key: Word,
    /// The words between it and the brace; empty where there is an equals sign.
    pub labels: Vec<Word>,
    /// Its value; the value of a block is an object.
    pub value: Value,
}

/// A key or a label, quoted or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// Where it begins.
    pub position: Position,
    /// The word, without quotes.
    pub text: String,
}

/// A value and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// Where it begins.
    pub position: Position,
    /// The value itself.
    pub kind: ValueKind,
}

/// The kinds of value.
#[derive(Clone, Debug, PartialEq)]
pub enum ValueKind {
    /// Text in quotes, or a heredoc.
    String(String),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// `true` or `false`.
    Bool(bool),
    /// Values in brackets.
    List(Vec<Value>),
    /// Entries in braces.
    Object(Body),
}

impl ValueKind {
    /// The name of the kind, for messages.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::String(_) => "a string",
            Self::Integer(_) | Self::Float(_) => "a number",
            Self::Bool(_) => "a boolean",
            Self::List(_) => "a list",
            Self::Object(_) => "a block",
        }
    }
}

/// A block with its labels, in whichever of the equivalent forms it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Block<'a> {
    /// The position of the block's key.
    pub position: Position,
    /// The labels, as many as requested.
    pub labels: Vec<&'a Word>,
    /// Its content.
    pub body: &'a Body,
}

impl HclEntry {
    /// This entry as blocks with `labels` labels: `a "b" { … }`, `a = { b = { … } }` and JSON's
    /// `"a": [{"b": { … }}]` are the same.
    ///
    /// # Errors
    /// The position at which a block or a label is expected and missing.
    pub fn blocks(&self, labels: usize) -> Result<Vec<Block<'_>>, SyntaxError> {
        if self.labels.len() > labels {
            let position = self.labels.get(labels).map_or(self.key.position, |word| word.position);
            let message = format!("`{}` takes {labels} names before its brace", self.key.text);
            return Err(SyntaxError { position, message });
        }
        let mut blocks = Vec::new();
        let given = self.labels.iter().collect();
        self.gather(&self.value, given, labels, &mut blocks)?;
        Ok(blocks)
    }

    fn gather<'a>(
        &'a self,
        value: &'a Value,
        labels: Vec<&'a Word>,
        wanted: usize,
        blocks: &mut Vec<Block<'a>>,
    ) -> Result<(), SyntaxError> {
        match &value.kind {
            ValueKind::Object(body) if labels.len() == wanted => {
                blocks.push(Block { position: self.key.position, labels, body });
            }
            ValueKind::Object(body) => {
                for entry in &body.entries {
                    let mut deeper = labels.clone();
                    deeper.push(&entry.key);
                    deeper.extend(&entry.labels);
                    if deeper.len() > wanted {
                        let message = format!("`{}` has too many names", self.key.text);
                        return Err(SyntaxError { position: entry.key.position, message });
                    }
                    self.gather(&entry.value, deeper, wanted, blocks)?;
                }
            }
            ValueKind::List(values) => {
                for value in values {
                    self.gather(value, labels.clone(), wanted, blocks)?;
                }
            }
            other => {
                let message = if labels.len() < wanted {
                    format!(
                        "`{}` needs a name and a block: {} \"name\" {{ … }}",
                        self.key.text, self.key.text
                    )
                } else {
                    format!("`{}` is a block in braces, not {}", self.key.text, other.name())
                };
                return Err(SyntaxError { position: value.position, message });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
