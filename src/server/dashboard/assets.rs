//! The dashboard's files, which are in the binary: as they are, and compressed by `build.rs`.
//!
//! They hold no secret and are the same for everybody. What must stay true: a name is looked up in the
//! list of what was built in, and never in a folder.

use std::borrow::Cow;

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use bytes::Bytes;

use crate::server::problem::{Code, Problem};

// `Files`, as `build.rs` has laid them out.
include!(concat!(env!("OUT_DIR"), "/dashboard.rs"));

/// The one page that the dashboard is.
const INDEX: &str = "index.html";

/// What the page may do: run and load what is locum's own, and put no text of others into markup.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'";

/// How long a browser keeps what it asked for by the version of its content.
const FOR_GOOD: &str = "public, max-age=31536000, immutable";

/// The media type of a file that is served by name; `build.rs` has the same list.
fn media_type(name: &str) -> Option<&'static str> {
    Some(match name.rsplit_once('.')?.1 {
        "css" => "text/css; charset=utf-8",
        "ico" => "image/x-icon",
        "js" => "text/javascript; charset=utf-8",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        _ => return None,
    })
}

/// A file in one of its forms.
struct Form {
    content: Cow<'static, [u8]>,
    brotli: bool,
    /// The beginning of the SHA-256 of the content itself, in hex.
    version: String,
}

impl Form {
    /// The content where it lies in the program: it is copied nowhere.
    fn content(self) -> Bytes {
        match self.content {
            Cow::Borrowed(content) => Bytes::from_static(content),
            Cow::Owned(content) => Bytes::from(content),
        }
    }
}

fn form(name: &str, headers: &HeaderMap) -> Option<Form> {
    let file = Files::get(name)?;
    let version = file.metadata.sha256_hash()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    let compressed = takes_brotli(headers).then(|| Files::get(&format!("{name}.br"))).flatten();
    Some(match compressed {
        Some(compressed) => Form { content: compressed.data, brotli: true, version },
        None => Form { content: file.data, brotli: false, version },
    })
}

/// Whether the client can read brotli (RFC 9110 §12.5.3). One that says nothing gets the file as it is.
fn takes_brotli(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::ACCEPT_ENCODING).filter_map(|line| line.to_str().ok());
    let mut any = None;
    for entry in lines.flat_map(|line| line.split(',')) {
        let (coding, weight) = entry.split_once(';').unwrap_or((entry, ""));
        let weight = weight.trim().to_ascii_lowercase();
        let refused = weight.strip_prefix("q=").is_some_and(|q| q.trim().parse() == Ok(0.0));
        match coding.trim() {
            coding if coding.eq_ignore_ascii_case("br") => return !refused,
            "*" => any = Some(!refused),
            _ => {}
        }
    }
    any.unwrap_or(false)
}

/// The dashboard's page.
pub(in crate::server) fn index(headers: &HeaderMap) -> Result<HttpResponse, Problem> {
    let form = form(INDEX, headers).ok_or_else(|| Problem::new(Code::NotFound))?;
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")))
        .insert_header((header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)))
        .insert_header(("cross-origin-opener-policy", "same-origin"))
        .insert_header(("cross-origin-resource-policy", "same-origin"))
        .insert_header(("x-frame-options", "DENY"))
        .insert_header((header::REFERRER_POLICY, HeaderValue::from_static("same-origin")))
        .insert_header((header::VARY, HeaderValue::from_static("cookie, accept-encoding")));
    if form.brotli {
        response.insert_header((header::CONTENT_ENCODING, HeaderValue::from_static("br")));
    }
    Ok(response.body(form.content()))
}

/// A file by its name; `version` is what its address asks for.
pub(in crate::server) fn file(
    name: &str,
    version: Option<&str>,
    headers: &HeaderMap,
) -> Result<HttpResponse, Problem> {
    let found = media_type(name).zip(form(name, headers));
    let (media_type, form) = found.ok_or_else(|| Problem::new(Code::NotFound))?;
    let tag = format!("\"{}{}\"", form.version, if form.brotli { "-br" } else { "" });
    let keep = if version == Some(form.version.as_str()) { FOR_GOOD } else { "no-cache" };
    let unchanged = is_among(headers, &tag);
    let mut response = if unchanged { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((header::ETAG, tag))
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static(keep)))
        .insert_header((header::VARY, HeaderValue::from_static("accept-encoding")))
        .insert_header(("cross-origin-resource-policy", "same-origin"));
    if unchanged {
        return Ok(response.finish());
    }
    response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(media_type)));
    if form.brotli {
        response.insert_header((header::CONTENT_ENCODING, HeaderValue::from_static("br")));
    }
    Ok(response.body(form.content()))
}

/// Whether the client has this form of the file already (RFC 9110 §13.1.2).
fn is_among(headers: &HeaderMap, tag: &str) -> bool {
    let lines = headers.get_all(header::IF_NONE_MATCH).filter_map(|line| line.to_str().ok());
    lines
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .any(|own| own == "*" || own.strip_prefix("W/").unwrap_or(own) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brotli_is_for_those_who_ask() {
        for (accepted, brotli) in [
            ("gzip, deflate, br, zstd", true),
            ("br;q=0.5", true),
            ("BR", true),
            ("*", true),
            ("br;q=0, *", false),
            ("br; Q=0.0", false),
            ("*;q=0", false),
            ("gzip", false),
            ("identity", false),
            ("brotli", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_str(accepted).expect("a value"));
            assert_eq!(takes_brotli(&headers), brotli, "{accepted}");
        }
        assert!(!takes_brotli(&HeaderMap::new()));
    }

    #[test]
    fn every_file_has_a_type_or_is_the_page() {
        let names: Vec<_> = Files::iter().collect();
        assert!(names.iter().any(|name| name == INDEX), "{names:?}");
        for name in names {
            let own = name.strip_suffix(".br").unwrap_or(&name);
            assert!(media_type(own).is_some() || own == INDEX, "{name}");
        }
    }
}
