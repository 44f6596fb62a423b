//! Field masks: `a,b/c,d(e,f),*`, read, checked against what there is, and applied.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::refusal::{Reason, Refused};

/// Parentheses deeper than any answer.
const MAX_DEPTH: usize = 16;

/// What a mask may name.
pub(super) enum Schema {
    /// A value, a list of values, or an object of free keys.
    Leaf,
    /// An object, or a list of such objects.
    Object(&'static [(&'static str, Schema)]),
}

/// A mask that names only what there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mask(Selection);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Selection {
    All,
    Only(BTreeMap<String, Selection>),
}

impl Selection {
    fn add(&mut self, name: &str, inner: Self) {
        let Self::Only(names) = self else { return };
        match names.get_mut(name) {
            None => {
                names.insert(name.to_owned(), inner);
            }
            Some(known) => match inner {
                Self::All => *known = Self::All,
                Self::Only(inner) => inner.into_iter().for_each(|(name, inner)| known.add(&name, inner)),
            },
        }
    }

    /// The first name that is not in the schema.
    fn stranger<'a>(&'a self, schema: &Schema) -> Option<&'a str> {
        let Self::Only(names) = self else { return None };
        names.iter().find_map(|(name, inner)| {
            let known = match schema {
                Schema::Leaf => None,
                Schema::Object(members) => members.iter().find(|(known, _)| known == name),
            };
            known.map_or(Some(name.as_str()), |(_, schema)| inner.stranger(schema))
        })
    }

    fn apply(&self, value: &Value) -> Value {
        match (self, value) {
            (Self::All, _) => value.clone(),
            (_, Value::Array(items)) => items.iter().map(|item| self.apply(item)).collect(),
            (Self::Only(names), Value::Object(members)) => {
                let kept = members
                    .iter()
                    .filter_map(|(name, value)| Some((name.clone(), names.get(name)?.apply(value))));
                Value::Object(kept.collect::<Map<_, _>>())
            }
            _ => value.clone(),
        }
    }
}

struct Reader<'a> {
    left: &'a str,
}

impl<'a> Reader<'a> {
    fn eat(&mut self, mark: char) -> bool {
        let rest = self.left.trim_start().strip_prefix(mark);
        rest.map(|rest| self.left = rest).is_some()
    }

    fn name(&mut self) -> Option<&'a str> {
        let text = self.left.trim_start();
        let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        self.left = rest;
        (!name.is_empty()).then_some(name)
    }

    fn list(&mut self, depth: usize) -> Option<Selection> {
        let mut all = false;
        let mut selection = Selection::Only(BTreeMap::new());
        loop {
            if self.eat('*') {
                all = true;
            } else {
                let (name, inner) = self.item(depth)?;
                selection.add(name, inner);
            }
            if !self.eat(',') {
                return Some(if all { Selection::All } else { selection });
            }
        }
    }

    fn item(&mut self, depth: usize) -> Option<(&'a str, Selection)> {
        if depth == MAX_DEPTH {
            return None;
        }
        let name = self.name()?;
        let inner = if self.eat('/') {
            if self.eat('*') {
                Selection::All
            } else {
                let (inner_name, inner) = self.item(depth + 1)?;
                Selection::Only(BTreeMap::from([(inner_name.to_owned(), inner)]))
            }
        } else if self.eat('(') {
            let inner = self.list(depth + 1)?;
            if !self.eat(')') {
                return None;
            }
            inner
        } else {
            Selection::All
        };
        Some((name, inner))
    }
}

impl Mask {
    /// Reads a mask.
    ///
    /// # Errors
    /// 400 `invalidParameter` at `fields`, with the name that is not in the schema.
    pub(super) fn parse(text: &str, schema: &Schema) -> Result<Self, Refused> {
        let invalid = |what: &str| Refused {
            message: Some(format!("Invalid field selection {what}")),
            ..Reason::InvalidParameter.into()
        };
        let mut reader = Reader { left: text };
        let selection = reader.list(0).filter(|_| reader.left.trim().is_empty());
        let selection = selection.ok_or_else(|| invalid(text))?;
        match selection.stranger(schema) {
            Some(name) => Err(invalid(name)),
            None => Ok(Self(selection)),
        }
    }

    /// What the mask leaves of an answer.
    pub(super) fn apply(&self, answer: &Value) -> Value {
        self.0.apply(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema::{FILE, FILE_LIST};
    use super::*;
    use serde_json::json;

    fn masked(mask: &str) -> Value {
        let list = json!({ "kind": "drive#fileList", "nextPageToken": "t", "files": [
            { "id": "1", "name": "a", "size": "3", "appProperties": { "k": "v" } },
            { "id": "2", "name": "b" },
        ]});
        Mask::parse(mask, &FILE_LIST).unwrap_or_else(|refused| panic!("{refused:?}")).apply(&list)
    }

    #[test]
    fn masks_choose() {
        assert_eq!(masked("nextPageToken"), json!({ "nextPageToken": "t" }));
        let ids = json!({ "files": [{ "id": "1" }, { "id": "2" }] });
        assert_eq!(masked("files(id)"), ids);
        assert_eq!(masked("files/id"), ids);
        assert_eq!(masked(" files ( id ) "), ids);
        let two = json!({ "files": [{ "id": "1", "size": "3" }, { "id": "2" }], "nextPageToken": "t" });
        assert_eq!(masked("files/id,nextPageToken,files(size)"), two);
        assert_eq!(masked("files(id),files")["files"][1], json!({ "id": "2", "name": "b" }));
        assert_eq!(masked("files/*")["files"][0]["appProperties"]["k"], "v");
        assert_eq!(masked("*")["kind"], "drive#fileList");
        assert_eq!(masked("kind,*")["nextPageToken"], "t");
        assert_eq!(masked("files(appProperties)")["files"][0], json!({ "appProperties": { "k": "v" } }));
    }

    #[test]
    fn bad_masks_are_refused() {
        let deep = "files(".repeat(5000);
        for mask in
            ["", ",", "id", "files(", "files()", "files(id", "files)", "files(id)x", "files/id/x", "a b"]
                .into_iter()
                .chain([deep.as_str()])
        {
            let refused = Mask::parse(mask, &FILE_LIST).expect_err(mask);
            assert_eq!(
                (refused.reason, refused.location),
                (Reason::InvalidParameter, Some(("parameter", "fields")))
            );
        }
        let refused = Mask::parse("id,nonsense", &FILE).expect_err("unknown");
        assert_eq!(refused.message.as_deref(), Some("Invalid field selection nonsense"));
    }
}
