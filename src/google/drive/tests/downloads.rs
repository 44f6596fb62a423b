//! Content that comes back.

use super::*;
use crate::google::drive::{ByteRange, Download, Span};

const TEXT: &[u8] = b"0123456789";

fn metadata() -> Step {
    ok(&described(TEXT, "r1"))
}

/// Bytes of an answer that says it has `length`.
fn bytes(status: u16, headers: &str, length: usize, bytes: &[u8]) -> Step {
    let head =
        format!("HTTP/1.1 {status} S\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n");
    Step::Send([head.as_bytes(), bytes].concat())
}

async fn open<'t>(
    drive: &Drive,
    tokens: &'t Tokens,
    range: Option<ByteRange>,
) -> Result<Download<&'t Tokens>, CallError<Dry>> {
    drive.download(tokens, &id("f1"), range).await
}

/// What came before the end, and the end.
async fn read(mut download: Download<&Tokens>) -> (Vec<u8>, Result<(), CallError<Dry>>) {
    let mut read = Vec::new();
    loop {
        match download.chunk().await {
            Ok(Some(bytes)) => read.extend_from_slice(&bytes),
            Ok(None) => return (read, Ok(())),
            Err(error) => return (read, Err(error)),
        }
    }
}

#[tokio::test]
async fn a_whole_file_is_checked() {
    let (drive, server, tokens) = scripted(vec![metadata(), bytes(200, "", 10, TEXT)]).await;
    let download = open(&drive, &tokens, None).await.expect("opened");
    assert_eq!((download.size(), download.span()), (10, Span { first: 0, end: 10 }));
    assert_eq!(read(download).await, (TEXT.to_vec(), Ok(())));
    assert!(lines(&server)[1].starts_with("GET /drive/v3/files/f1?alt=media "));
    assert_eq!(field(&server.requests()[1], "accept-encoding").as_deref(), Some("identity"));
    assert_eq!(tokens.units(), 205);

    let (drive, _server, tokens) = scripted(vec![metadata(), bytes(200, "", 10, b"01234x6789")]).await;
    let (before, end) = read(open(&drive, &tokens, None).await.expect("opened")).await;
    assert_eq!(end, Err(DriveError::Mismatch.into()));
    assert!(before.len() < 10, "the last bytes are held back, so that nobody takes it for whole");
}

#[tokio::test]
async fn another_length_is_seen_at_once() {
    let (drive, _server, tokens) = scripted(vec![metadata(), bytes(200, "", 9, &TEXT[..9])]).await;
    assert_eq!(failure(open(&drive, &tokens, None).await), DriveError::Mismatch);
}

#[tokio::test]
async fn a_part_is_asked_for_and_checked() {
    let part = bytes(206, "content-range: bytes 7-9/10\r\n", 3, b"789");
    let (drive, server, tokens) = scripted(vec![metadata(), part]).await;
    let download = open(&drive, &tokens, Some(ByteRange::Last(3))).await.expect("opened");
    assert_eq!(read(download).await, (b"789".to_vec(), Ok(())));
    assert_eq!(field(&server.requests()[1], "range").as_deref(), Some("bytes=7-9"));

    // A server that knows no ranges.
    let (drive, _server, tokens) = scripted(vec![metadata(), bytes(200, "", 10, TEXT)]).await;
    let download = open(&drive, &tokens, Some(ByteRange::FromTo(2, 4))).await.expect("opened");
    assert_eq!(read(download).await, (b"234".to_vec(), Ok(())));

    let (drive, server, tokens) = scripted(vec![metadata()]).await;
    let outcome = open(&drive, &tokens, Some(ByteRange::From(10))).await;
    assert_eq!(failure(outcome), DriveError::RangeNotSatisfiable { size: Some(10) });
    assert_eq!(server.requests().len(), 1);

    for wrong in [
        bytes(206, "content-range: bytes 6-8/10\r\n", 3, b"678"),
        bytes(206, "content-range: bytes 7-9/11\r\n", 3, b"789"),
        bytes(416, "content-range: bytes */5\r\n", 0, b""),
    ] {
        let (drive, _server, tokens) = scripted(vec![metadata(), wrong]).await;
        let outcome = open(&drive, &tokens, Some(ByteRange::From(7))).await;
        assert_eq!(failure(outcome), DriveError::Mismatch);
    }
}

#[tokio::test]
async fn an_interrupted_one_goes_on_where_it_broke() {
    let rest = bytes(206, "content-range: bytes 4-9/10\r\n", 6, &TEXT[4..]);
    let steps = vec![metadata(), bytes(200, "", 10, &TEXT[..4]), metadata(), rest];
    let (drive, server, tokens) = scripted(steps).await;
    assert_eq!(read(open(&drive, &tokens, None).await.expect("opened")).await, (TEXT.to_vec(), Ok(())));
    assert_eq!(field(&server.requests()[3], "range").as_deref(), Some("bytes=4-9"));
}

#[tokio::test]
async fn two_revisions_are_never_mixed() {
    for now in [described(TEXT, "r2"), described(b"0123456780", "r1"), described(b"", "r1")] {
        let steps = vec![metadata(), bytes(200, "", 10, &TEXT[..4]), ok(&now)];
        let (drive, _server, tokens) = scripted(steps).await;
        let (before, end) = read(open(&drive, &tokens, None).await.expect("opened")).await;
        assert_eq!((&*before, end), (&TEXT[..4], Err(DriveError::Mismatch.into())));
    }
}

#[tokio::test]
async fn one_that_gets_nowhere_ends() {
    let mut steps = vec![metadata(), bytes(200, "", 10, &TEXT[..1])];
    for _ in 0..20 {
        steps.extend([metadata(), bytes(206, "content-range: bytes 1-9/10\r\n", 9, b"")]);
    }
    let (drive, server, tokens) = scripted(steps).await;
    let (_, end) = read(open(&drive, &tokens, None).await.expect("opened")).await;
    assert!(matches!(end, Err(CallError::Drive(DriveError::Unavailable { .. }))), "{end:?}");
    assert!(server.requests().len() <= 2 + 2 * 5, "{}", server.requests().len());
}

#[tokio::test]
async fn empty_and_contentless_files() {
    let (drive, server, tokens) = scripted(vec![ok(&described(b"", "r1"))]).await;
    assert_eq!(read(open(&drive, &tokens, None).await.expect("opened")).await, (vec![], Ok(())));
    assert_eq!(server.requests().len(), 1);
    let folder = r#"{"id":"f1","name":"dir","mimeType":"application/vnd.google-apps.folder"}"#;
    let (drive, _server, tokens) = scripted(vec![ok(folder)]).await;
    assert!(matches!(failure(open(&drive, &tokens, None).await), DriveError::NotAllowed { .. }));
}
