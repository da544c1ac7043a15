//! The input of a handler: the call, the parameters that the path captured, and typed parameters. One
//! declaration defines the struct, the table of fields and the reader.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::auth::Granted;
use crate::ca::time::Timestamp;
use crate::engine::limiter::IssuanceSlot;
use crate::secret::Secret;

use super::field::{Field, FieldKind};
use super::fields::{FieldError, convert};
use super::names;

/// One permitted request. [`Permitted`](super::located::Permitted) alone makes it.
/// No `Debug`: passwords of key stores are among the parameters.
pub struct Call {
    /// The instant of this request.
    pub now: Timestamp,
    /// The granted action and its caller.
    pub grant: Granted,
    /// The parameters that the path captured.
    pub captures: Captures,
    /// The parameters of body or query.
    pub fields: Fields,
    /// Bytes of a body that is not JSON.
    pub raw: bytes::Bytes,
    /// The slot of a route of [`Class::Issue`](super::route::Class::Issue).
    pub slot: Option<IssuanceSlot>,
}

impl Call {
    /// Takes a group of parameters out of the sent ones.
    pub fn read<P: Parameters>(&mut self) -> P {
        P::read(&mut self.fields)
    }

    /// The framework's warnings: what was ignored, what was replaced.
    pub fn warnings(&self) -> &[String] {
        self.fields.warnings()
    }
}

/// The parameters that a path captured: names and texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captures(Vec<(&'static str, String)>);

impl Captures {
    pub(super) const fn new(captured: Vec<(&'static str, String)>) -> Self {
        Self(captured)
    }

    /// The text of a parameter; empty if the pattern does not have it, which a test of every table rules
    /// out.
    pub fn get(&self, name: &str) -> &str {
        self.optional(name).unwrap_or_default()
    }

    /// The text of a parameter that only some patterns of a handler have.
    pub fn optional(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, text)| text.as_str())
    }

    /// Every parameter.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, text)| (*name, text.as_str()))
    }
}

/// How many parameters without effect get advice of their own.
const MOST_ADVICE: usize = 4;

/// The parameters of one request, converted.
/// No `Debug`: passwords of key stores are among them.
#[derive(Clone, Default)]
pub struct Fields {
    // Few parameters: a linear search is faster than hashing a name.
    values: Vec<(&'static str, Value)>,
    warnings: Vec<String>,
}

impl Fields {
    /// Converts the sent parameters. Those of the path take precedence over the body.
    ///
    /// # Errors
    /// The first parameter that cannot be converted.
    pub fn read(
        sent: Map<String, Value>,
        captures: &[&str],
        groups: &[&'static [Field]],
    ) -> Result<Self, FieldError> {
        let known = |name: &str| {
            groups.iter().flat_map(|group| group.iter()).find(|field| field.name == name)
        };
        let mut ignored = Vec::new();
        let mut replaced = Vec::new();
        let mut values = Vec::with_capacity(sent.len());
        for (name, value) in sent {
            if captures.contains(&name.as_str()) {
                replaced.push(name);
            } else if let Some(field) = known(&name) {
                values.push((field.name, convert(field.name, field.kind, value)?));
            } else {
                ignored.push(name);
            }
        }
        let known = || groups.iter().flat_map(|group| group.iter()).map(|field| field.name);
        let mut advice = Vec::new();
        for name in ignored.iter().take(MOST_ADVICE) {
            advice.extend(names::advice(name, known()));
        }
        let mut warnings = Vec::new();
        for (names, text) in [
            (&mut ignored, "Endpoint ignored these unrecognized parameters"),
            (
                &mut replaced,
                "Endpoint replaced the value of these parameters with the values captured from the endpoint's path",
            ),
        ] {
            if !names.is_empty() {
                names.sort();
                warnings.push(format!("{text}: [{}]", names.join(" ")));
            }
        }
        warnings.extend(advice);
        Ok(Self { values, warnings })
    }

    /// The framework's warnings: what was ignored, what was replaced.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Whether it was sent.
    pub fn has(&self, name: &str) -> bool {
        self.values.iter().any(|(known, _)| *known == name)
    }

    /// Takes out the parameter of this name, converted to the kind of its field.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        let at = self.values.iter().position(|(known, _)| *known == name)?;
        Some(self.values.swap_remove(at).1)
    }

    /// The sent parameters, for an audit record.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.values.iter().map(|(name, value)| (*name, value))
    }
}

/// The name on the wire of a member: `r#type` is `type`.
pub const fn plain(name: &'static str) -> &'static str {
    match name.as_bytes() {
        [b'r', b'#', ..] => name.split_at(2).1,
        _ => name,
    }
}

/// A type that a parameter is read into.
pub trait Parameter: Sized {
    /// What the parameter may be on the wire.
    const KIND: FieldKind;
    /// An audit log never shows it in clear.
    const SENSITIVE: bool = false;

    /// The value that was sent, already converted to [`Self::KIND`]; `None` if nothing was.
    fn read(sent: Option<Value>) -> Self;
}

/// A number of seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seconds(pub i64);

/// A list in which a text that is a JSON array is one entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListOrJson(pub Vec<String>);

/// An object whose values are texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyValues(pub BTreeMap<String, String>);

fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        _ => String::new(),
    }
}

fn list(value: Value) -> Vec<String> {
    match value {
        Value::Array(entries) => entries.into_iter().map(text).collect(),
        _ => Vec::new(),
    }
}

/// A type whose value is a default if nothing was sent, and the same type in an `Option`.
macro_rules! parameter {
    ($type:ty, $kind:ident, $sensitive:literal, $convert:expr) => {
        impl Parameter for $type {
            const KIND: FieldKind = FieldKind::$kind;
            const SENSITIVE: bool = $sensitive;

            fn read(sent: Option<Value>) -> Self {
                sent.map($convert).unwrap_or_default()
            }
        }

        impl Parameter for Option<$type> {
            const KIND: FieldKind = FieldKind::$kind;
            const SENSITIVE: bool = $sensitive;

            fn read(sent: Option<Value>) -> Self {
                sent.map($convert)
            }
        }
    };
}

parameter!(String, String, false, text);
parameter!(bool, Bool, false, |value| value.as_bool().unwrap_or_default());
parameter!(i64, Integer, false, |value| value.as_i64().unwrap_or_default());
parameter!(Seconds, Seconds, false, |value| Seconds(value.as_i64().unwrap_or_default()));
parameter!(Vec<String>, List, false, list);
parameter!(ListOrJson, ListOrJson, false, |value| ListOrJson(list(value)));
parameter!(KeyValues, KeyValues, false, |value| match value {
    Value::Object(object) => {
        KeyValues(object.into_iter().map(|(key, value)| (key, text(value))).collect())
    }
    _ => KeyValues::default(),
});
parameter!(Map<String, Value>, Object, false, |value| match value {
    Value::Object(object) => object,
    _ => Map::new(),
});

impl Parameter for Option<Secret<String>> {
    const KIND: FieldKind = FieldKind::String;
    const SENSITIVE: bool = true;

    fn read(sent: Option<Value>) -> Self {
        sent.map(|value| Secret::new(text(value)))
    }
}

/// A group of parameters that a route takes.
pub trait Parameters: Sized {
    /// Takes its parameters out of what was sent.
    fn read(fields: &mut Fields) -> Self;
}

/// Declares a group of parameters: the struct, its table `FIELDS`, and its reader. The documentation of
/// a member is the help that people see, so it is one line. What follows `accepts` is converted and has no
/// effect: clients of Vault send it.
///
/// ```text
/// params! {
///     /// Names and validity.
///     pub(super) struct Names {
///         /// Common name of the subject.
///         common_name: String,
///     } accepts {
///         /// Path of the mount; it has no effect.
///         backend: String,
///     }
/// }
/// ```
macro_rules! params {
    ($(#[doc = $about:literal])+ $visibility:vis struct $name:ident {
        $(#[doc = $help:literal] $field:ident: $type:ty,)*
    } $(accepts {
        $(#[doc = $accepted_help:literal] $accepted:ident: $accepted_type:ty,)*
    })?) => {
        $(#[doc = $about])+
        $visibility struct $name {
            $(#[doc = $help] pub(super) $field: $type,)*
        }

        impl $name {
            /// Its parameters, as data.
            $visibility const FIELDS: &'static [$crate::backend::field::Field] = &[
                $($crate::backend::field::Field {
                    name: $crate::backend::call::plain(stringify!($field)),
                    kind: <$type as $crate::backend::call::Parameter>::KIND,
                    sensitive: <$type as $crate::backend::call::Parameter>::SENSITIVE,
                    help: $help.trim_ascii(),
                },)*
                $($($crate::backend::field::Field {
                    name: $crate::backend::call::plain(stringify!($accepted)),
                    kind: <$accepted_type as $crate::backend::call::Parameter>::KIND,
                    sensitive: <$accepted_type as $crate::backend::call::Parameter>::SENSITIVE,
                    help: $accepted_help.trim_ascii(),
                },)*)?
            ];
        }

        impl $crate::backend::call::Parameters for $name {
            fn read(fields: &mut $crate::backend::call::Fields) -> Self {
                Self {
                    $($field: $crate::backend::call::Parameter::read(
                        fields.take($crate::backend::call::plain(stringify!($field))),
                    ),)*
                }
            }
        }
    };
}
pub(crate) use params;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    params! {
        /// What this test takes.
        struct Example {
            /// Common name of the subject.
            common_name: String,
            /// Names beside it.
            alt_names: Option<String>,
            /// Requested time to live.
            ttl: Seconds,
            /// Uniform resource identifiers.
            uri_sans: Vec<String>,
            /// Leave the common name out of the SANs.
            exclude_cn_from_sans: bool,
            /// Password of the key store.
            pkcs12_password: Option<Secret<String>>,
        }
    }

    #[test]
    fn one_declaration_gives_the_table_and_the_reader() {
        let kinds: Vec<_> = Example::FIELDS.iter().map(|field| (field.name, field.kind)).collect();
        assert_eq!(kinds[0], ("common_name", FieldKind::String));
        assert_eq!(kinds[2], ("ttl", FieldKind::Seconds));
        assert_eq!(Example::FIELDS[0].help, "Common name of the subject.");
        let sensitive: Vec<_> = Example::FIELDS.iter().filter(|field| field.sensitive).collect();
        assert_eq!(sensitive.len(), 1);
        assert_eq!(sensitive[0].name, "pkcs12_password");

        let Value::Object(sent) = json!({ "common_name": "a", "ttl": "1h", "uri_sans": "x,y" })
        else {
            unreachable!()
        };
        let mut fields = Fields::read(sent, &[], &[Example::FIELDS]).unwrap();
        let example = Example::read(&mut fields);
        assert_eq!((example.common_name.as_str(), example.ttl), ("a", Seconds(3600)));
        assert_eq!(example.uri_sans, ["x", "y"]);
        assert!(example.alt_names.is_none() && example.pkcs12_password.is_none());
        assert!(!example.exclude_cn_from_sans);
    }
}
