//! The limits of calls that move content.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::lifecycle::Lifecycle;

const IDLE: Duration = Duration::from_millis(200);

/// A server for one connection, and where it is. It gets the head of the request, with what came along.
async fn server<F>(serve: impl FnOnce(TcpStream, Vec<u8>) -> F + Send + 'static) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    Lifecycle::new().spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut read = Vec::new();
        while !read.windows(4).any(|four| four == b"\r\n\r\n") {
            stream.read_buf(&mut read).await.expect("readable");
        }
        serve(stream, read).await;
    });
    format!("http://{address}/")
}

/// Reads until the other side closes.
async fn to_the_end(mut stream: TcpStream) {
    while stream.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {}
}

fn moving() -> Outbound {
    Outbound::new(Limits { time: TimeLimit::Idle(IDLE), ..Limits::default() })
}

#[tokio::test]
async fn silence_before_or_in_an_answer_ends_the_call() {
    let silent = server(|stream, _| to_the_end(stream)).await;
    let client = moving().client().expect("a client");
    let outcome = moving().open(client.get(silent), None).await;
    assert_eq!(outcome.expect_err("nobody answers"), OutboundError::Timeout);

    let half = server(|mut stream, _| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nabc").await.expect("written");
        to_the_end(stream).await;
    });
    let mut incoming = moving().open(client.get(half.await), None).await.expect("a head");
    assert_eq!(incoming.chunk().await, Ok(Some(Bytes::from("abc"))));
    assert_eq!(incoming.chunk().await, Err(OutboundError::Timeout));
}

#[tokio::test]
async fn a_body_in_parts_has_a_length_and_may_be_empty() {
    for (parts, expected) in [
        (vec![Bytes::from("abc"), Bytes::new(), Bytes::from(vec![b'd'; 2 * PIECE + 1])], 2 * PIECE + 4),
        (vec![], 0),
    ] {
        let (send, receive) = tokio::sync::oneshot::channel();
        let url = server(move |mut stream, mut read| async move {
            let head = read.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
            while read.len() < head + expected {
                stream.read_buf(&mut read).await.expect("readable");
            }
            let text = String::from_utf8(read[..head].to_vec()).expect("a head").to_lowercase();
            stream.write_all(b"HTTP/1.1 204 N\r\n\r\n").await.expect("written");
            send.send((text, read.len() - head)).expect("somebody waits");
        });
        let client = moving().client().expect("a client");
        moving().open(client.put(url.await), Some(parts)).await.expect("an answer");
        let (head, received) = receive.await.expect("a request");
        assert_eq!(received, expected);
        assert!(head.contains(&format!("\r\ncontent-length: {expected}\r\n")), "{head}");
        assert!(!head.contains("transfer-encoding"), "{head}");
    }
}
