//! Metadata and content in one body (`multipart/related`, RFC 2387).

use bytes::Bytes;
use http::HeaderValue;
use serde_json::Value;

use super::names::MediaType;
use crate::rng::Rng;

/// The body in parts, and its own media type.
pub(super) fn body(
    rng: &Rng,
    metadata: &Value,
    mime_type: &MediaType,
    content: Vec<Bytes>,
) -> (HeaderValue, Vec<Bytes>) {
    // 144 random bits do not occur in any content. base64url has only letters that a boundary may have.
    let boundary = rng.token(18);
    let head = format!(
        "--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{metadata}\r\n\
         --{boundary}\r\nContent-Type: {mime_type}\r\n\r\n"
    );
    let mut parts = vec![Bytes::from(head)];
    parts.extend(content);
    parts.push(Bytes::from(format!("\r\n--{boundary}--\r\n")));
    let kind = HeaderValue::from_str(&format!("multipart/related; boundary={boundary}"))
        .expect("base64url letters may stand in a header field");
    (kind, parts)
}
