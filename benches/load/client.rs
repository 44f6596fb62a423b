//! A load generator that costs little: prepared bytes over kept-alive connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What one run did.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    pub requests: u64,
    pub failures: u64,
    pub elapsed: Duration,
}

impl Run {
    pub fn per_second(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }
}

/// Makes the `n`th request. Called from every connection with numbers that are never repeated.
pub type Make = Arc<dyn Fn(u64) -> Vec<u8> + Send + Sync>;

/// Sends `requests` requests over `connections` connections and waits for each answer before the
/// connection's next request. Any status but 200 is a failure.
pub async fn run(address: SocketAddr, connections: usize, requests: u64, make: Make) -> std::io::Result<Run> {
    let (next, failures) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut streams = Vec::new();
    for _ in 0..connections {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        streams.push(stream);
    }
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for stream in streams {
        let (next, failures, make) = (next.clone(), failures.clone(), make.clone());
        tasks.spawn(async move {
            let mut connection = Connection { stream, buffer: Vec::with_capacity(16 * 1024) };
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= requests {
                    return Ok(());
                }
                if connection.ask(&make(n)).await? != 200 {
                    failures.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }
    while let Some(outcome) = tasks.join_next().await {
        outcome.map_err(std::io::Error::other).and_then(|outcome: std::io::Result<()>| outcome)?;
    }
    Ok(Run { requests, failures: failures.load(Ordering::Relaxed), elapsed: start.elapsed() })
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// One request, one answer with a `Content-Length`; returns the status.
    async fn ask(&mut self, request: &[u8]) -> std::io::Result<u16> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let mut end = None;
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            if end.is_none() {
                end = head_end(&self.buffer).map(|head| head + content_length(&self.buffer[..head]));
            }
            if end.is_some_and(|end| self.buffer.len() >= end) {
                let status = self.buffer.get(9..12).and_then(|s| std::str::from_utf8(s).ok());
                return Ok(status.and_then(|s| s.parse().ok()).unwrap_or(0));
            }
        }
    }
}

fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

fn content_length(head: &[u8]) -> usize {
    const NAME: &[u8] = b"content-length: ";
    let at = head.windows(NAME.len()).position(|window| window.eq_ignore_ascii_case(NAME));
    at.map_or(0, |at| {
        let digits = head[at + NAME.len()..].iter().take_while(|b| b.is_ascii_digit());
        digits.fold(0, |n, digit| n * 10 + usize::from(digit - b'0'))
    })
}
