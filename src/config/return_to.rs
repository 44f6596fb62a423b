//! Where a browser may be sent back to after a sign-in.
//!
//! What must stay true: the address that was checked is, byte for byte, the one that is sent. So an
//! address is accepted only in the form in which the URL standard writes it, and nothing is joined,
//! decoded or mended.

use std::fmt;

use url::Url;

use super::values::web_url;

/// What the query of a return address must not hold: it is what locum adds itself.
const OURS: [&str; 2] = ["locum_code", "locum_error"];

/// One entry of `sign_in.return_to`: scheme, host and port, and the path that others must begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedReturn(Url);

/// Where a site wants the browser back. Written as the URL standard writes it; not yet allowed.
#[derive(Clone, PartialEq, Eq)]
pub struct ReturnAddress(Url);

/// The query is the site's own and may be about a person.
impl fmt::Debug for ReturnAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReturnAddress(…)")
    }
}

impl ReturnAddress {
    /// Reads an address: `https`, or `http` on loopback; no user name, no fragment, no encoded slash, dot,
    /// backslash or control character in the path, and no spelling but the standard's own.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > 2048 {
            return None;
        }
        let url = web_url(text)?;
        // Only an address without a path may leave out the slash.
        let canonical = url.as_str() == text
            || url.path() == "/" && url.query().is_none() && url.as_str().strip_suffix('/') == Some(text);
        let plain_query = url.query_pairs().all(|(name, _)| !OURS.contains(&name.as_ref()));
        (canonical && url.fragment().is_none() && is_plain_path(url.path()) && plain_query)
            .then_some(Self(url))
    }

    /// The address itself.
    pub fn as_url(&self) -> &Url {
        &self.0
    }

    /// The address with one more query parameter.
    pub fn with(&self, name: &str, value: &str) -> Url {
        let mut url = self.0.clone();
        url.query_pairs_mut().append_pair(name, value);
        url
    }
}

impl AllowedReturn {
    /// Reads an entry: as a return address, and without a query.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let ReturnAddress(url) = ReturnAddress::parse(text)?;
        url.query().is_none().then_some(Self(url))
    }

    /// Whether the address has this origin, and this path or one below it.
    pub fn allows(&self, address: &ReturnAddress) -> bool {
        let (own, other) = (&self.0, &address.0);
        // Hosts and ports are compared as parsed: a default port is the same as none.
        let origin = own.scheme() == other.scheme()
            && own.host() == other.host()
            && own.port_or_known_default() == other.port_or_known_default();
        let below = other
            .path()
            .strip_prefix(own.path())
            .is_some_and(|rest| own.path().ends_with('/') || rest.is_empty() || rest.starts_with('/'));
        origin && below
    }

    /// As it is written in the configuration.
    pub(super) fn text(&self) -> String {
        self.0.to_string()
    }
}

/// What one program reads as part of a segment, another may read as the end of it.
fn is_plain_path(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let controls = (0..0x20).chain([0x7f]).map(|byte| format!("%{byte:02x}"));
    let hidden = ["%2e", "%2f", "%5c", "%25"].into_iter().map(str::to_owned).chain(controls);
    !path.contains("//") && !path.contains(';') && hidden.into_iter().all(|hidden| !lower.contains(&hidden))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> Vec<AllowedReturn> {
        ["https://app.example.org/done", "http://localhost:5173/", "https://other.example.org:8443/a/"]
            .iter()
            .map(|text| AllowedReturn::parse(text).expect("an entry"))
            .collect()
    }

    fn allowed(text: &str) -> bool {
        ReturnAddress::parse(text).is_some_and(|address| list().iter().any(|entry| entry.allows(&address)))
    }

    #[test]
    fn what_is_listed_is_allowed() {
        for good in [
            "https://app.example.org/done",
            "https://app.example.org/done/",
            "https://app.example.org/done/here",
            "https://app.example.org/done?next=%2Fhome&x=a%20b",
            "http://localhost:5173",
            "http://localhost:5173/",
            "http://localhost:5173/any/path?q",
            "https://other.example.org:8443/a/b",
        ] {
            assert!(allowed(good), "{good}");
        }
        let address = ReturnAddress::parse("https://app.example.org/done?x=1").expect("an address");
        assert_eq!(
            address.with("locum_code", "a b").as_str(),
            "https://app.example.org/done?x=1&locum_code=a+b"
        );
    }

    #[test]
    fn tricks_lead_nowhere_else() {
        for bad in TRICKS {
            assert!(!allowed(bad), "{bad:?}");
        }
        assert!(TRICKS.len() >= 60);
        assert!(!allowed(&format!("https://app.example.org/done/{}", "a".repeat(2048))));
    }

    #[test]
    fn an_entry_is_an_address_without_a_query() {
        assert!(AllowedReturn::parse("https://app.example.org").is_some());
        for bad in
            ["https://app.example.org/?x", "https://app.example.org/#x", "http://app.example.org/", "*"]
        {
            assert!(AllowedReturn::parse(bad).is_none(), "{bad}");
        }
    }

    const TRICKS: &[&str] = &[
        "",
        "/",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/done",
        "done",
        "https:",
        "https://",
        "https:///app.example.org/done",
        "https:/app.example.org/done",
        "https:app.example.org/done",
        "https:\\\\app.example.org\\done",
        "https://evil.example",
        "https://evil.example/app.example.org/done",
        "https://evil.example/?https://app.example.org/done",
        "https://evil.example#https://app.example.org/done",
        "https://app.example.org@evil.example/done",
        "https://app.example.org:443@evil.example/done",
        "https://app.example.org%40evil.example/done",
        "https://app.example.org%2f@evil.example/done",
        "https://app.example.org\\@evil.example/done",
        "https://evil.example\\@app.example.org/done",
        "https://user@app.example.org/done",
        "https://user:pass@app.example.org/done",
        "https://@app.example.org/done",
        "https://:@app.example.org/done",
        "https://app.example.org.evil.example/done",
        "https://evil-app.example.org/done",
        "https://app.example.org./done",
        "https://app.example.org,evil.example/done",
        "https://app.example.orgevil.example/done",
        "https://example.org/done",
        "https://x.app.example.org/done",
        "https://app.example.org:444/done",
        "https://app.example.org:80/done",
        "https://app.example.org:443/done",
        "https://app.example.org:/done",
        "https://app.example.org:0443/done",
        "http://app.example.org/done",
        "ftp://app.example.org/done",
        "javascript:alert(1)",
        "javascript://app.example.org/done%0aalert(1)",
        "data:text/html,https://app.example.org/done",
        "blob:https://app.example.org/done",
        "HTTPS://app.example.org/done",
        "https://APP.example.org/done",
        "https://\u{ff41}pp.example.org/done",
        "https://app\u{3002}example.org/done",
        "https://app.example.org/Done",
        "https://app.example.org/doner",
        "https://app.example.org/done.evil",
        "https://app.example.org/done@evil.example",
        "https://app.example.org/done/../evil",
        "https://app.example.org/done/..",
        "https://app.example.org/done/%2e%2e/evil",
        "https://app.example.org/done/%2E%2e/evil",
        "https://app.example.org/done/..%2fevil",
        "https://app.example.org/done%2f..%2fevil",
        "https://app.example.org/done/%252e%252e/evil",
        "https://app.example.org/done/%5c..%5cevil",
        "https://app.example.org/done\\..\\evil",
        "https://app.example.org/done//evil.example",
        "https://app.example.org/done/;/evil",
        "https://app.example.org//done",
        "https://app.example.org/done/./x",
        "https://app.example.org/done%00",
        "https://app.example.org/done/%0d%0aSet-Cookie:x",
        "https://app.example.org/done\r\nSet-Cookie: x",
        "https://app.example.org/done\tx",
        "\thttps://app.example.org/done",
        " https://app.example.org/done",
        "https://app.example.org/done ",
        "https://app.example.org/done#",
        "https://app.example.org/done#x",
        "https://app.example.org/done?locum_code=x",
        "https://app.example.org/done?locum%5Fcode=x",
        "https://app.example.org/done?locum_error=x",
        "https://app.example.org/done?x=\"",
        "http://127.0.0.1:5173/",
        "http://localhost/",
        "http://localhost:5174/",
        "http://localhost.evil.example:5173/",
        "http://localhost:5173@evil.example/",
        "https://localhost:5173/",
        "https://other.example.org:8443/a",
        "https://other.example.org:8443/b/",
        "https://other.example.org/a/",
    ];
}
