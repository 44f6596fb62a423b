//! The configuration in force, as it is shown to its owner: by `locum config show` and by the dashboard.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{Loaded, Shown};

/// Every value in force with where it came from, secrets redacted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Effective {
    /// The file it was read from; `null` when variables alone describe it.
    pub file: Option<PathBuf>,
    /// The values.
    pub values: Vec<EffectiveValue>,
    /// What is allowed and yet worth a word to the owner.
    pub warnings: Vec<String>,
}

/// One value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EffectiveValue {
    /// The key's path, such as `clients[main].sources`.
    pub key: String,
    /// The value as it is used; of a secret only that it is set.
    pub value: Json,
    /// `file`, `environment` or `default`.
    pub source: String,
    /// Which file or variable; `null` for a default.
    pub place: Option<String>,
    /// Whether it is a secret, and `value` only words about it.
    pub secret: bool,
}

impl Loaded {
    /// What to show of it.
    pub fn effective(&self) -> Effective {
        let values = self.shown.iter().map(|shown| self.value(shown)).collect();
        Effective { file: self.path.clone(), values, warnings: self.warnings.clone() }
    }

    fn value(&self, shown: &Shown) -> EffectiveValue {
        let file = self.path.as_ref().map(|path| path.display().to_string());
        let source = if shown.source == Shown::DEFAULT {
            "default"
        } else if file.as_ref() == Some(&shown.source) {
            "file"
        } else {
            "environment"
        };
        EffectiveValue {
            key: shown.key.clone(),
            value: shown.value.clone(),
            source: source.to_owned(),
            place: Some(shown.source.clone()).filter(|_| source != "default"),
            secret: shown.secret,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Environment};

    #[test]
    fn each_value_says_where_it_came_from_and_secrets_only_that_they_are_set() {
        let folder = tempfile::tempdir().expect("a folder");
        let environment = Environment::given(
            folder.path(),
            [("LOCUM_LOG__FILTER", "debug"), ("LOCUM_CLIENTS__MAIN__CLIENT_SECRET", "GOCSPX-EXAMPLE-needle")],
        );
        let path = folder.path().join("locum.toml");
        let text = "allow_users = \"anyone\"\n[vault]\nroot_key_file = \"root.key\"\n\
                    [[clients]]\nname = \"main\"\nclient_id = \"402839145520-x.apps.googleusercontent.com\"\nsources = [\"ios\"]\n";
        let shown = Config::parse(text, &path, &environment).expect("valid").effective();
        let value = |key: &str| shown.values.iter().find(|value| value.key == key).expect("shown");
        let place = path.display().to_string();
        for (key, source, of) in [
            ("allow_users", "file", Some(place.as_str())),
            ("log.filter", "environment", Some("LOCUM_LOG__FILTER")),
            ("server.listen", "default", None),
        ] {
            assert_eq!((value(key).source.as_str(), value(key).place.as_deref()), (source, of), "{key}");
        }
        let secret = value("clients[main].client_secret");
        assert!(secret.secret && secret.value == "set", "{secret:?}");
        assert_eq!(shown.file.as_ref(), Some(&path));
        assert!(!serde_json::to_string(&shown).expect("JSON").contains("needle"));
    }
}
