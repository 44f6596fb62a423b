//! The addresses under which browsers reach this locum, and so which pages are its own.
//!
//! What must stay true: a browser that is signed in is served under these alone. Another name that leads
//! here may be a stranger's, who changed where it leads while their page was open (DNS rebinding). What a
//! proxy says about the host in `X-Forwarded-*` is not read: it must pass on `Host`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use actix_web::http::header::{self, HeaderMap, HeaderValue};
use url::{Host, Url};

use super::problem::{Code, Problem};

/// Where this locum can be reached.
pub(super) struct OwnAddresses {
    public: Option<Url>,
    listen: Option<SocketAddr>,
}

/// The address that a request was sent to, which is one of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Own {
    /// As browsers write it in `Origin`.
    pub(super) origin: String,
    /// Whether browsers reach it by https.
    pub(super) secure: bool,
    /// Whether it is `server.public_url`.
    pub(super) public: bool,
}

impl OwnAddresses {
    pub(super) fn new(public: Option<Url>, listen: Option<SocketAddr>) -> Self {
        Self { public, listen }
    }

    /// Where the owner is sent: `server.public_url`, else the address of the listener.
    pub(super) fn base(&self) -> Option<Url> {
        if let Some(public) = &self.public {
            return Some(public.clone());
        }
        let mut listen = self.listen?;
        if listen.ip().is_unspecified() {
            listen.set_ip(match listen {
                SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        Url::parse(&format!("http://{listen}/")).ok()
    }

    /// Which of our addresses the request was sent to.
    pub(super) fn of(&self, headers: &HeaderMap) -> Option<Own> {
        let mut hosts = headers.get_all(header::HOST);
        let host = hosts.next()?.to_str().ok().filter(|host| is_plain(host))?;
        if hosts.next().is_some() {
            return None;
        }
        if let Some(public) = &self.public {
            let asked = Url::parse(&format!("{}://{host}/", public.scheme())).ok()?;
            if asked.origin() == public.origin() {
                let (origin, secure) = (public.origin().ascii_serialization(), public.scheme() == "https");
                return Some(Own { origin, secure, public: true });
            }
        }
        let asked = Url::parse(&format!("http://{host}/")).ok()?;
        let port = asked.port_or_known_default();
        let listens = |ip: IpAddr| self.listen.is_some_and(|own| own.ip() == ip && Some(own.port()) == port);
        let ours = match asked.host()? {
            // Through a tunnel the port may be any.
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(ip) => ip.is_loopback() || listens(ip.into()),
            Host::Ipv6(ip) => ip.is_loopback() || listens(ip.into()),
        };
        ours.then(|| Own { origin: asked.origin().ascii_serialization(), secure: false, public: false })
    }
}

/// A name or an address with or without a port, and nothing that a URL would read as anything else.
fn is_plain(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b))
}

/// What a browser says about where a request comes from (Fetch Metadata, Fetch §3.2).
fn word<'h>(headers: &'h HeaderMap, name: &str) -> Option<Result<&'h str, ()>> {
    let mut values = headers.get_all(name);
    let first = values.next()?;
    Some(
        first
            .to_str()
            .map_err(drop)
            .and_then(|word| if values.next().is_some() { Err(()) } else { Ok(word) }),
    )
}

fn comes_from(headers: &HeaderMap, own: &Own) -> (Option<bool>, Option<Site>) {
    let origin = word(headers, "origin").map(|origin| origin == Ok(own.origin.as_str()));
    let site = word(headers, "sec-fetch-site").map(|site| match site {
        Ok("same-origin") => Site::Own,
        Ok("none") => Site::Nobody,
        _ => Site::Other,
    });
    (origin, site)
}

/// Who made a browser send a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Site {
    /// A page of ours.
    Own,
    /// The person, by the address bar or a bookmark.
    Nobody,
    /// Another site, or another port of this machine.
    Other,
}

/// A call of a browser that is signed in. What changes something must be a page's of our own, and show it
/// by a header that no other site's page can send without being asked first (CORS), which never happens.
pub(super) fn check_call(reads: bool, headers: &HeaderMap, own: &Own) -> Result<(), Problem> {
    let (origin, site) = comes_from(headers, own);
    let foreign = origin == Some(false)
        || match site {
            Some(Site::Other) => true,
            Some(Site::Nobody) => !reads,
            Some(Site::Own) | None => false,
        };
    if foreign {
        return Err(Problem::new(Code::ForeignRequest));
    }
    if !reads && !headers.contains_key("x-requested-with") {
        return Err(Problem::new(Code::MissingRequestedWith));
    }
    Ok(())
}

/// A form, which cannot send a header of its own: the browser must say that it is a page's of ours.
pub(super) fn check_form(headers: &HeaderMap, own: &Own) -> Result<(), Problem> {
    match comes_from(headers, own) {
        (Some(false), _) | (None, None) | (_, Some(Site::Other | Site::Nobody)) => {
            Err(Problem::new(Code::ForeignRequest))
        }
        (Some(true), _) | (None, Some(Site::Own)) => Ok(()),
    }
}

/// Whether another site's page led a browser here, so that it kept its `SameSite=Strict` cookie back.
pub(super) fn led_here_from_elsewhere(headers: &HeaderMap) -> bool {
    let is = |name, expected| word(headers, name) == Some(Ok(expected));
    (is("sec-fetch-site", "cross-site") || is("sec-fetch-site", "same-site"))
        && is("sec-fetch-mode", "navigate")
        && is("sec-fetch-dest", "document")
}

/// Pages whose forms are checked: browsers hide the origin of a form from a page without referrers.
pub(super) fn show_origin_of_forms(headers: &mut HeaderMap) {
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderName;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"));
        }
        headers
    }

    fn seen(public: Option<&str>, listen: &str, host: &str) -> Option<(String, bool)> {
        let public = public.map(|url| Url::parse(url).expect("a URL"));
        let own = OwnAddresses::new(public, Some(listen.parse().expect("an address")));
        own.of(&headers(&[("host", host)])).map(|own| (own.origin, own.secure))
    }

    #[test]
    fn a_host_is_ours_or_not() {
        let public = Some("https://locum.example.org/");
        let local = "127.0.0.1:8787";
        for (host, origin, secure) in [
            ("locum.example.org", "https://locum.example.org", true),
            ("LOCUM.example.org:443", "https://locum.example.org", true),
            ("127.0.0.1:8787", "http://127.0.0.1:8787", false),
            ("localhost:9999", "http://localhost:9999", false),
            ("[::1]:8787", "http://[::1]:8787", false),
        ] {
            assert_eq!(seen(public, local, host), Some((origin.to_owned(), secure)), "{host}");
        }
        for host in [
            "locum.example.org:8443",
            "locum.example.org.evil.example",
            "evil.example",
            "evil.example:8787",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "192.168.1.5:8787",
            "127.0.0.1:8787@evil.example",
            "evil.example/127.0.0.1",
            "127.0.0.1:8787, evil.example",
            "127.0.0.1:99999",
            "",
        ] {
            assert_eq!(seen(public, local, host), None, "{host}");
        }
        assert_eq!(
            seen(None, "192.168.1.5:8787", "192.168.1.5:8787"),
            Some(("http://192.168.1.5:8787".to_owned(), false))
        );
        assert_eq!(seen(None, "192.168.1.5:8787", "192.168.1.5"), None);
        assert_eq!(seen(None, "0.0.0.0:8787", "192.168.1.5:8787"), None);
        let two = headers(&[("host", "127.0.0.1:8787"), ("host", "evil.example")]);
        assert_eq!(OwnAddresses::new(None, None).of(&two), None);
        assert_eq!(OwnAddresses::new(None, None).of(&headers(&[])), None);
    }

    #[test]
    fn links_lead_where_a_browser_can_go() {
        let base = |public: Option<&str>, listen: Option<&str>| {
            let public = public.map(|url| Url::parse(url).expect("a URL"));
            let listen = listen.map(|listen| listen.parse().expect("an address"));
            OwnAddresses::new(public, listen).base().map(|url| url.to_string())
        };
        let public = Some("https://locum.example.org/");
        assert_eq!(base(public, Some("127.0.0.1:1")).as_deref(), public);
        assert_eq!(base(None, Some("127.0.0.1:8787")).as_deref(), Some("http://127.0.0.1:8787/"));
        assert_eq!(base(None, Some("0.0.0.0:8787")).as_deref(), Some("http://127.0.0.1:8787/"));
        assert_eq!(base(None, Some("[::]:8787")).as_deref(), Some("http://[::1]:8787/"));
        assert_eq!(base(None, None), None);
    }

    fn own() -> Own {
        Own { origin: "https://locum.example.org".to_owned(), secure: true, public: true }
    }

    #[test]
    fn a_form_must_be_a_page_s_of_ours() {
        for (pairs, good) in [
            (&[("origin", "https://locum.example.org")][..], true),
            (&[("origin", "https://locum.example.org"), ("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "same-origin")], true),
            (&[], false),
            (&[("origin", "null")], false),
            (&[("origin", "null"), ("sec-fetch-site", "same-origin")], false),
            (&[("origin", "https://evil.example")], false),
            (&[("origin", "http://locum.example.org")], false),
            (&[("origin", "https://locum.example.org:8443")], false),
            (&[("origin", "https://locum.example.org"), ("sec-fetch-site", "same-site")], false),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("sec-fetch-site", "SAME-ORIGIN")], false),
            (&[("origin", "https://locum.example.org"), ("origin", "https://locum.example.org")], false),
        ] {
            assert_eq!(check_form(&headers(pairs), &own()).is_ok(), good, "{pairs:?}");
        }
    }
}
