//! The one request that a browser brings back to this machine (RFC 8252 §7.3).
//!
//! Whoever else asks (a program that tries ports, the browser for its icon) gets nothing and ends nothing:
//! only the state of this sign-in does.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::secret::{self, AuthorizationCode, SecretText};

/// The head of a request; a code's address has some 500 bytes.
const MAX_HEAD: usize = 16 * 1024;
/// How long one connection may take: browsers open some that they never use.
const LIMIT: Duration = Duration::from_secs(20);

/// What came back with the browser.
#[derive(Debug)]
pub(super) enum CameBack {
    /// A code.
    Code(AuthorizationCode),
    /// Google's error.
    Error(String),
}

/// Reads a query; `None` when it is not of this sign-in.
pub(super) fn came_back(query: &str, state: &SecretText) -> Option<CameBack> {
    let [mut own, mut code, mut error] = [None, None, None];
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let place = match name.as_ref() {
            "state" => &mut own,
            "code" => &mut code,
            "error" => &mut error,
            _ => continue,
        };
        if place.replace(value.into_owned()).is_some() {
            return None;
        }
    }
    if SecretText::new(own?) != *state {
        return None;
    }
    match (error, code) {
        (Some(error), _) => Some(CameBack::Error(error)),
        (None, Some(code)) => Some(CameBack::Code(AuthorizationCode::new(code))),
        (None, None) => None,
    }
}

/// Waits for the browser.
pub(super) async fn wait(listener: &TcpListener, state: &SecretText) -> std::io::Result<CameBack> {
    let mut open = FuturesUnordered::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => open.push(tokio::time::timeout(LIMIT, answer(accepted?.0, state))),
            Some(ended) = open.next() => if let Ok(Some(came)) = ended {
                return Ok(came);
            },
        }
    }
}

async fn answer(mut connection: TcpStream, state: &SecretText) -> Option<CameBack> {
    let mut head = zeroize::Zeroizing::new(Vec::new());
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        let mut piece = [0; 2048];
        let read = connection.read(&mut piece).await.ok().filter(|read| *read > 0)?;
        secret::append(&mut head, &piece[..read]);
        if head.len() > MAX_HEAD {
            return None;
        }
    }
    let line = std::str::from_utf8(&head).ok()?.lines().next()?;
    let query = line.strip_prefix("GET /?").and_then(|rest| rest.split(' ').next());
    let came = query.and_then(|query| came_back(query, state));
    let (status, words) = match &came {
        Some(CameBack::Code(_)) => {
            ("200 OK", "Google has answered. Close this page; the terminal says how it went.")
        }
        Some(CameBack::Error(_)) => {
            ("200 OK", "Nothing was connected. Close this page; the terminal says why.")
        }
        None => ("404 Not Found", "There is nothing here."),
    };
    let response = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         Referrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n{words}",
        words.len()
    );
    // Whether the page could be shown changes nothing about the code.
    let _ = connection.write_all(response.as_bytes()).await;
    let _ = connection.shutdown().await;
    came
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_address_of_this_sign_in_counts() {
        let state = SecretText::new("right");
        let read = |query: &str| came_back(query, &state);
        assert!(
            matches!(read("state=right&code=4%2F0A&scope=x"), Some(CameBack::Code(code)) if code.expose() == "4/0A")
        );
        assert!(
            matches!(read("error=access_denied&state=right"), Some(CameBack::Error(error)) if error == "access_denied")
        );
        for wrong in [
            "",
            "code=x",
            "state=wrong&code=x",
            "state=right",
            "state=right&state=right&code=x",
            "state=right&code=x&code=y",
        ] {
            assert!(read(wrong).is_none(), "{wrong}");
        }
    }
}
