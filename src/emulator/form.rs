//! Parameters of a query or of a form body, in the order they came, with repetitions noticed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::reply::Refusal;

/// Parsed `application/x-www-form-urlencoded` parameters.
#[derive(Clone, Debug, Default)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Reads parameters; what is no such text reads as odd parameters, never as an error.
    pub fn parse(text: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(text).into_owned().collect())
    }

    /// The value of a parameter, empty values included.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter that counts only when it is not empty (RFC 6749 §3.1).
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.field(name).filter(|value| !value.is_empty())
    }

    /// Every value of a parameter that may repeat.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A required parameter.
    ///
    /// # Errors
    /// Google's `invalid_request` with the name.
    pub fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.filled(name).ok_or_else(|| Refusal::request(format!("Missing required parameter: {name}")))
    }

    /// No parameter may come twice (RFC 6749 §3.1 and §3.2).
    ///
    /// # Errors
    /// Google's `invalid_request` with the name.
    pub fn single_valued(&self) -> Result<(), Refusal> {
        let mut names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => {
                Err(Refusal::request(format!("OAuth 2 parameters can only have a single value: {}", pair[0])))
            }
            None => Ok(()),
        }
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Form {
    fn from(pairs: [(&str, &str); N]) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

/// The client id and secret of an `Authorization: Basic` header, both form-encoded inside it
/// (RFC 6749 §2.3.1).
pub fn basic_credentials(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    let decode = |text: &str| {
        let pair = format!("x={text}");
        url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned())
    };
    Some((decode(id)?, decode(secret)?))
}

/// The token of an `Authorization: Bearer` header (RFC 6750 §2.1).
pub fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_values_are_kept_and_repetitions_found() {
        let form = Form::parse(b"redirect_uri=&code=4%2F0A&code=x");
        assert_eq!(form.field("redirect_uri"), Some(""));
        assert_eq!(form.filled("redirect_uri"), None);
        assert_eq!(form.field("code"), Some("4/0A"));
        assert!(form.single_valued().is_err_and(|error| error.description.ends_with(": code")));
        assert_eq!(form.all("code").count(), 2);
    }

    #[test]
    fn authorization_headers_are_read() {
        // "a%3Ab:c+d" in base64.
        assert_eq!(basic_credentials("Basic YSUzQWI6Yytk"), Some(("a:b".to_owned(), "c d".to_owned())));
        assert_eq!(basic_credentials("Bearer YSUzQWI6Yytk"), None);
        assert_eq!(bearer("bearer ya29.x"), Some("ya29.x"));
        assert_eq!(bearer("Bearer "), None);
    }
}
