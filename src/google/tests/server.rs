//! A server on loopback that reads whole requests and answers with scripted bytes.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use url::{Url, form_urlencoded};

use crate::lifecycle::Lifecycle;

/// What happens to one connection after its request was read.
pub(in crate::google) enum Step {
    /// These bytes are sent and the connection is closed.
    Send(Vec<u8>),
    /// Nothing is sent until the caller gives up.
    Hang,
}

impl Step {
    /// The same, its last byte missing.
    pub(in crate::google) fn cut(self) -> Self {
        match self {
            Self::Send(mut bytes) => {
                bytes.pop();
                Self::Send(bytes)
            }
            Self::Hang => Self::Hang,
        }
    }
}

/// A complete answer.
pub(in crate::google) fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Step {
    let mut head =
        format!("HTTP/1.1 {status} Status\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    Step::Send(format!("{head}\r\n{body}").into_bytes())
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(in crate::google) struct Request {
    /// Request line and header fields.
    pub(in crate::google) head: String,
    /// The body.
    pub(in crate::google) body: String,
}

impl Request {
    /// The form's field of this name.
    pub(in crate::google) fn field(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.body.as_bytes())
            .find_map(|(field, value)| (field == name).then(|| value.into_owned()))
    }
}

/// The running server. Once its steps are used up it refuses connections.
pub(in crate::google) struct Server {
    /// `http://127.0.0.1:PORT/`
    pub(in crate::google) base: Url,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Starts a server that answers one connection per step.
    pub(in crate::google) async fn start(steps: Vec<Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        Lifecycle::new().spawn(async move {
            for step in steps {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                let request = read_request(&mut stream).await;
                seen.lock().expect("not poisoned").push(request);
                match step {
                    Step::Send(bytes) => {
                        // The caller may hang up early on purpose.
                        stream.write_all(&bytes).await.ok();
                        stream.shutdown().await.ok();
                    }
                    Step::Hang => drop(stream.read(&mut [0; 1]).await),
                }
            }
        });
        Self { base: format!("http://{address}/").parse().expect("a URL"), requests }
    }

    /// What has arrived so far.
    pub(in crate::google) fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("not poisoned").clone()
    }
}

async fn read_request(stream: &mut TcpStream) -> Request {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).expect("a text");
            let length = head
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .map_or(0, |(_, value)| value.trim().parse().expect("a number"));
            if bytes.len() >= end + 4 + length {
                let body = String::from_utf8(bytes[end + 4..].to_vec()).expect("a text");
                return Request { head, body };
            }
        }
        let read = stream.read(&mut buffer).await.expect("a readable socket");
        assert_ne!(read, 0, "the caller hung up in the middle of a request");
        bytes.extend_from_slice(&buffer[..read]);
    }
}
