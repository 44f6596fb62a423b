//! Requests byte by byte, for what a client library would not send.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use super::Stage;

/// A connection on which nothing has been sent yet.
pub(super) fn connect(s: &Stage) -> TcpStream {
    let stream = TcpStream::connect(s.site.address()).expect("connected");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    stream
}

/// The head of a request of the program's.
pub(super) fn head(s: &Stage, method: &str, path: &str, fields: &str) -> String {
    format!(
        "{method} /v1/users/{}/app-data{path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n{fields}\r\n",
        super::ALICE,
        s.key
    )
}

/// Everything that comes until the server closes.
pub(super) async fn rest(mut stream: TcpStream) -> Vec<u8> {
    tokio::task::spawn_blocking(move || {
        let mut answer = Vec::new();
        // A reset is an end, too.
        let _ = stream.read_to_end(&mut answer);
        answer
    })
    .await
    .expect("read")
}

/// Sends a whole request that ends its connection, and returns the answer.
pub(super) async fn exchange(s: &Stage, method: &str, path: &str, fields: &str) -> String {
    let mut stream = connect(s);
    stream
        .write_all(head(s, method, path, &format!("connection: close\r\n{fields}")).as_bytes())
        .expect("sent");
    String::from_utf8_lossy(&rest(stream).await).into_owned()
}
