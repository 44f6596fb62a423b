//! JSON objects, and only objects: a derived reader would take a list as a struct's fields in order.
//!
//! [`StrictObject`] also refuses repeated names. RFC 7515 §4 and RFC 7519 §4 let a reader either refuse a repeated name or take the last one. Two
//! readers that choose differently can be shown two different tokens, so this one refuses. Only the
//! outermost object is checked: nothing here reads deeper.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value;

/// Reads a JSON object; anything else is `None`.
pub(super) fn read_object<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return None;
    }
    serde_json::from_slice(bytes).ok()
}

/// A JSON object without repeated names.
#[derive(Clone, PartialEq)]
pub(super) struct StrictObject(BTreeMap<String, Value>);

impl StrictObject {
    /// Reads an object; anything else, trailing text or a repeated name is `None`.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        read_object(bytes)
    }

    /// The member of this name, whatever its type; `null` counts as a member.
    pub(super) fn member(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// The member of this name if it is a text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.member(name).and_then(Value::as_str)
    }
}

impl<'de> Deserialize<'de> for StrictObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = StrictObject;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object without repeated names")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<StrictObject, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if members.insert(name, value).is_some() {
                        return Err(A::Error::custom("a name is repeated"));
                    }
                }
                Ok(StrictObject(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_name_is_refused_even_when_escaped() {
        assert!(StrictObject::parse(br#"{"aud":"a","iss":"b"}"#).is_some());
        assert!(StrictObject::parse(br#"{"aud":"a","aud":"a"}"#).is_none());
        assert!(StrictObject::parse(br#"{"aud":"a","\u0061ud":"b"}"#).is_none());
    }

    #[test]
    fn only_one_object_and_nothing_else() {
        for text in ["", "[]", "null", "1", "\"a\"", "{} x", "{}{}", "{", "{\"a\":1,}"] {
            assert!(StrictObject::parse(text.as_bytes()).is_none(), "{text:?}");
        }
    }
}
