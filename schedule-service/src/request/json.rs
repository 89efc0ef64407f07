//! JSON into a type, strictly, and with a pointer to what does not fit.
//!
//! serde's derived types also read an object's fields from an array, by position, and say nothing
//! of where in the document an error is. This deserializer takes objects for structs only, and each
//! level that an error passes on its way up adds its part of the pointer.

use std::borrow::Cow;
use std::fmt;

use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, Visitor,
};
use serde_json::{Map, Value};

use crate::domain::FieldErrors;

/// Why a body cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyError {
    /// It is not JSON.
    Malformed(String),
    /// It is JSON, but not what was asked for.
    Invalid(FieldErrors),
}

impl From<FieldErrors> for BodyError {
    fn from(errors: FieldErrors) -> Self {
        Self::Invalid(errors)
    }
}

/// Reads JSON.
pub fn parse(body: &[u8]) -> Result<Value, BodyError> {
    serde_json::from_slice(body).map_err(|error| BodyError::Malformed(error.to_string()))
}

/// Reads JSON into a type.
pub fn from_slice<T: DeserializeOwned>(body: &[u8]) -> Result<T, BodyError> {
    Ok(from_value(&parse(body)?)?)
}

/// Reads a JSON value into a type.
pub fn from_value<T: DeserializeOwned>(value: &Value) -> Result<T, FieldErrors> {
    T::deserialize(Strict(value)).map_err(|misfit| FieldErrors::one(misfit.pointer, misfit.message))
}

/// A pointer with one more part at its end.
pub(super) fn pointer_to(base: &str, part: impl fmt::Display) -> String {
    let part = part.to_string();
    format!("{base}/{}", escaped(&part))
}

fn escaped(part: &str) -> Cow<'_, str> {
    if part.contains(['~', '/']) {
        Cow::Owned(part.replace('~', "~0").replace('/', "~1"))
    } else {
        Cow::Borrowed(part)
    }
}

#[derive(Debug)]
struct Misfit {
    pointer: String,
    message: String,
}

impl Misfit {
    fn at(part: &str, message: impl Into<String>) -> Self {
        Self {
            pointer: pointer_to("", part),
            message: message.into(),
        }
    }

    fn under(mut self, part: impl fmt::Display) -> Self {
        self.pointer = pointer_to("", part) + &self.pointer;
        self
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.pointer, self.message)
    }
}

impl std::error::Error for Misfit {}

impl de::Error for Misfit {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self {
            pointer: String::new(),
            message: message.to_string(),
        }
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::at(
            field,
            format!("no such field; there are: {}", expected.join(", ")),
        )
    }

    fn missing_field(field: &'static str) -> Self {
        Self::at(field, "must be given")
    }
}

#[derive(Clone, Copy)]
struct Strict<'a>(&'a Value);

impl Strict<'_> {
    fn unexpected(&self) -> Unexpected<'_> {
        match self.0 {
            Value::Null => Unexpected::Other("null"),
            Value::Bool(value) => Unexpected::Bool(*value),
            Value::Number(number) => number
                .as_f64()
                .map_or(Unexpected::Other("number"), Unexpected::Float),
            Value::String(text) => Unexpected::Str(text),
            Value::Array(_) => Unexpected::Other("array"),
            Value::Object(_) => Unexpected::Other("object"),
        }
    }
}

impl<'de> Deserializer<'de> for Strict<'de> {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => {
                if let Some(value) = number.as_u64() {
                    visitor.visit_u64(value)
                } else if let Some(value) = number.as_i64() {
                    visitor.visit_i64(value)
                } else {
                    visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN))
                }
            }
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(items) => visitor.visit_seq(Items { items, next: 0 }),
            Value::Object(members) => visitor.visit_map(Members::of(members)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        if self.0.is_null() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::Object(members) => visitor.visit_map(Members::of(members)),
            _ => Err(de::Error::invalid_type(self.unexpected(), &"an object")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::String(text) if variants.contains(&text.as_str()) => {
                visitor.visit_enum(text.as_str().into_deserializer())
            }
            _ => Err(de::Error::custom(format_args!(
                "must be one of: {}",
                variants.join(", ")
            ))),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

struct Items<'de> {
    items: &'de [Value],
    next: usize,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Misfit;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Misfit> {
        let index = self.next;
        let Some(item) = self.items.get(index) else {
            return Ok(None);
        };
        self.next += 1;
        seed.deserialize(Strict(item))
            .map(Some)
            .map_err(|misfit| misfit.under(index))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len() - self.next)
    }
}

struct Members<'de> {
    rest: serde_json::map::Iter<'de>,
    current: Option<(&'de str, &'de Value)>,
}

impl<'de> Members<'de> {
    fn of(members: &'de Map<String, Value>) -> Self {
        Self {
            rest: members.iter(),
            current: None,
        }
    }
}

impl<'de> MapAccess<'de> for Members<'de> {
    type Error = Misfit;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Misfit> {
        let Some((name, value)) = self.rest.next() else {
            return Ok(None);
        };
        self.current = Some((name, value));
        seed.deserialize(de::value::BorrowedStrDeserializer::new(name))
            .map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Misfit> {
        let (name, value) = self.current.take().ok_or_else(|| {
            <Misfit as de::Error>::custom("a value was asked for before its name")
        })?;
        seed.deserialize(Strict(value))
            .map_err(|misfit| misfit.under(name))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Outer {
        inner: Vec<Inner>,
        maybe: Option<u32>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        kind: Kind,
        count: u32,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "camelCase")]
    enum Kind {
        OnLeave,
    }

    fn pointer_of(body: &str) -> String {
        match from_slice::<Outer>(body.as_bytes()) {
            Err(BodyError::Invalid(errors)) => errors
                .iter()
                .map(|error| error.pointer.clone())
                .collect::<Vec<_>>()
                .join(" "),
            other => panic!("{body} gave {other:?}"),
        }
    }

    #[test]
    fn a_body_that_fits_is_read() {
        let body = br#"{"inner": [{"kind": "onLeave", "count": 3}], "maybe": null}"#;
        let expected = Outer {
            inner: vec![Inner {
                kind: Kind::OnLeave,
                count: 3,
            }],
            maybe: None,
        };
        assert_eq!(from_slice::<Outer>(body), Ok(expected));
    }

    #[test]
    fn what_does_not_fit_is_pointed_at() {
        for (body, pointer) in [
            (r#"{"inner": [], "maybe": "x"}"#, "/maybe"),
            (r#"{"inner": [], "maybe": -1}"#, "/maybe"),
            (r#"{"inner": [], "maybe": 1.5}"#, "/maybe"),
            (r#"{"inner": [], "maybe": 4294967296}"#, "/maybe"),
            (r#"{"inner": [], "may/be~": 1}"#, "/may~1be~0"),
            (r#"{"maybe": 1}"#, "/inner"),
            (r#"{"inner": {}}"#, "/inner"),
            (
                r#"{"inner": [{"kind": "onLeave", "count": 1}, {"kind": "onLeave"}]}"#,
                "/inner/1/count",
            ),
            (
                r#"{"inner": [{"kind": "away", "count": 1}]}"#,
                "/inner/0/kind",
            ),
            (
                r#"{"inner": [{"kind": {"onLeave": null}, "count": 1}]}"#,
                "/inner/0/kind",
            ),
            (r#"{"inner": [["onLeave", 1]]}"#, "/inner/0"),
            ("[[], 1]", ""),
            (r#""text""#, ""),
        ] {
            assert_eq!(pointer_of(body), pointer, "{body}");
        }
    }

    #[test]
    fn what_is_not_json_is_told_apart() {
        for body in [&b"{"[..], b"", b"{\"a\":1,}", b"\xff", b"{} {}"] {
            assert!(matches!(
                from_slice::<Outer>(body),
                Err(BodyError::Malformed(_))
            ));
        }
    }
}
