//! Uploads in pieces.

use super::*;
use crate::google::drive::{Content, ContentBroke, MediaType, NewContent, SourceFault};

const PIECE: usize = 256 << 10;

/// Two and a half pieces of letters.
fn content() -> String {
    (0..PIECE * 5 / 2).map(|n| char::from(b'a' + u8::try_from(n % 23).expect("small"))).collect()
}

/// A stream of it in small bites, of unknown length.
fn bites(content: &str) -> Content {
    let bites: Vec<_> = content.as_bytes().chunks(50_000).map(|bite| Ok(bite.to_vec().into())).collect();
    Content::stream(None, futures_util::stream::iter(bites))
}

fn file(content: &str) -> Content {
    use std::io::Write as _;
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(content.as_bytes()).expect("written");
    Content::file(file, content.len() as u64)
}

fn began() -> Step {
    answer(200, &[("location", "/upload/session?upload_id=SECRET")], "")
}

/// Drive has so many bytes.
fn has(bytes: usize) -> Step {
    match bytes.checked_sub(1) {
        None => answer(308, &[], ""),
        Some(last) => answer(308, &[("range", &format!("bytes=0-{last}"))], ""),
    }
}

fn done() -> Step {
    ok(&described(content().as_bytes(), "r2"))
}

async fn update(drive: &Drive, tokens: &Tokens, content: Content) -> Result<(), CallError<Dry>> {
    let mime_type: MediaType = "text/plain".parse().expect("a media type");
    let new = NewContent { mime_type: &mime_type, modified_ms: None };
    drive.update(tokens, &id("f1"), &new, content).await.map(drop)
}

/// Runs an upload of a file against the steps and returns the ranges that were sent.
async fn ranges(steps: Vec<Step>, content: Content) -> Vec<String> {
    let (drive, server, tokens) = scripted(steps).await;
    update(&drive, &tokens, content).await.expect("stored");
    server.requests().iter().filter_map(|request| field(request, "content-range")).collect()
}

#[tokio::test]
async fn a_large_file_goes_in_pieces() {
    let text = content();
    let (drive, server, tokens) = scripted(vec![began(), has(PIECE), has(2 * PIECE), done()]).await;
    update(&drive, &tokens, file(&text)).await.expect("stored");
    let requests = server.requests();
    assert!(requests[0].head.starts_with("PATCH /upload/drive/v3/files/f1?uploadType=resumable&fields="));
    assert_eq!(field(&requests[0], "x-upload-content-length").as_deref(), Some("655360"));
    assert_eq!(field(&requests[0], "x-upload-content-type").as_deref(), Some("text/plain"));
    assert_eq!(requests[0].body, r#"{"mimeType":"text/plain"}"#);
    let sent: String = requests[1..].iter().map(|request| request.body.as_str()).collect();
    assert!(sent == text, "the pieces are the content");
    assert!(requests[1].head.starts_with("PUT /upload/session?upload_id=SECRET "));
    let range = |n: usize| field(&requests[n], "content-range").expect("a range");
    assert_eq!(range(1), "bytes 0-262143/655360");
    assert_eq!(range(3), "bytes 524288-655359/655360");
    assert_eq!(tokens.units(), 50, "the pieces belong to one upload");
}

#[tokio::test]
async fn a_stream_of_unknown_length_says_so() {
    let text = content();
    let ranges = ranges(vec![began(), has(PIECE), has(2 * PIECE), done()], bites(&text)).await;
    assert_eq!(ranges, ["bytes 0-262143/*", "bytes 262144-524287/*", "bytes 524288-655359/655360"]);
}

#[tokio::test]
async fn what_was_not_kept_is_sent_again() {
    for content in [file(&content()), bites(&content())] {
        let steps =
            vec![began(), has(0), has(100_000), has(100_000 + PIECE), has(100_000 + 2 * PIECE), done()];
        let ranges = ranges(steps, content).await;
        let ends: Vec<&str> = ranges.iter().filter_map(|range| range.split('/').next()).collect();
        assert_eq!(
            ends,
            [
                "bytes 0-262143",
                "bytes 0-262143",
                "bytes 100000-362143",
                "bytes 362144-624287",
                "bytes 624288-655359"
            ]
        );
    }
}

#[tokio::test]
async fn after_a_cut_drive_is_asked_what_it_has() {
    for cut in [|| broken(), || answer(503, &[], ""), || refused(429, "rateLimitExceeded")] {
        let steps = vec![began(), has(PIECE), cut(), has(PIECE + 1000), has(2 * PIECE + 1000), done()];
        let ranges = ranges(steps, bites(&content())).await;
        assert_eq!(
            ranges,
            [
                "bytes 0-262143/*",
                "bytes 262144-524287/*",
                "bytes */*",
                "bytes 263144-525287/*",
                "bytes 525288-655359/655360"
            ]
        );
    }
    // The last answer is lost: the question after it is answered with the file.
    let ranges = ranges(vec![began(), has(PIECE), has(2 * PIECE), broken(), done()], file(&content())).await;
    assert_eq!(ranges.last().map(String::as_str), Some("bytes */655360"));
}

#[tokio::test]
async fn a_lost_session_is_begun_again_where_the_source_allows() {
    let lost = || vec![began(), has(PIECE), answer(404, &[], ""), began()];
    let mut steps = lost();
    steps.extend([has(PIECE), has(2 * PIECE), done()]);
    let sent = ranges(steps, file(&content())).await;
    assert_eq!(sent[2], "bytes 0-262143/655360");

    let (drive, _server, tokens) = scripted(lost()).await;
    let error = failure(update(&drive, &tokens, bites(&content())).await);
    assert_eq!(error, DriveError::SourceChanged(SourceFault::Spent));
    assert!(error.is_transient());

    let steps = (0..4).flat_map(|_| [began(), answer(410, &[], "")]).collect();
    let (drive, server, tokens) = scripted(steps).await;
    let error = failure(update(&drive, &tokens, file(&content())).await);
    assert!(matches!(error, DriveError::Unavailable { .. }), "{error:?}");
    assert_eq!(server.requests().len(), 8);
}

#[tokio::test]
async fn a_token_that_runs_out_on_the_way_is_replaced() {
    let steps = vec![began(), has(PIECE), refused(401, "authError"), has(2 * PIECE), done()];
    let (drive, server, tokens) = scripted(steps).await;
    update(&drive, &tokens, bites(&content())).await.expect("stored");
    let requests = server.requests();
    assert!(requests[2].body == requests[3].body, "the refused piece is sent again");
    let shown: Vec<_> = requests.iter().filter_map(|request| field(request, "authorization")).collect();
    assert_eq!(shown, ["Bearer t1", "Bearer t1", "Bearer t1", "Bearer t2", "Bearer t2"]);
}

#[tokio::test]
async fn a_session_leads_nowhere_else() {
    for elsewhere in ["https://example.org/x", "http://127.0.0.1:1/x", "//example.org/x"] {
        let (drive, server, tokens) = scripted(vec![answer(200, &[("location", elsewhere)], "")]).await;
        let error = failure(update(&drive, &tokens, file(&content())).await);
        assert_eq!(error, DriveError::NotAnAnswer);
        assert_eq!(server.requests().len(), 1);
        assert!(!format!("{error:?}{error}").contains("example"));
    }
    let moved = answer(308, &[("range", "bytes=0-262143"), ("location", "/upload/elsewhere")], "");
    let (drive, server, tokens) = scripted(vec![began(), moved, has(2 * PIECE), done()]).await;
    update(&drive, &tokens, file(&content())).await.expect("stored");
    assert!(lines(&server)[2].starts_with("PUT /upload/elsewhere "), "{:?}", lines(&server));
}

#[tokio::test]
async fn what_drive_cannot_have_is_no_answer() {
    for step in
        [has(PIECE + 1), answer(308, &[("range", "bytes=5-9")], ""), answer(308, &[("range", "x")], "")]
    {
        let (drive, _server, tokens) = scripted(vec![began(), step]).await;
        assert_eq!(failure(update(&drive, &tokens, file(&content())).await), DriveError::NotAnAnswer);
    }
    // Complete before its end.
    let (drive, _server, tokens) = scripted(vec![began(), done()]).await;
    assert_eq!(failure(update(&drive, &tokens, file(&content())).await), DriveError::Mismatch);
}

#[tokio::test]
async fn an_upload_that_gets_nowhere_ends() {
    let mut steps = vec![began()];
    steps.extend((0..20).map(|_| has(0)));
    let (drive, server, tokens) = scripted(steps).await;
    let error = failure(update(&drive, &tokens, file(&content())).await);
    assert!(matches!(error, DriveError::Unavailable { .. }), "{error:?}");
    assert!(server.requests().len() <= 6);
}

#[tokio::test]
async fn full_storage_ends_an_upload_at_once() {
    let (drive, server, tokens) =
        scripted(vec![began(), has(PIECE), refused(403, "storageQuotaExceeded")]).await;
    assert_eq!(failure(update(&drive, &tokens, file(&content())).await), DriveError::StorageFull);
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn content_that_breaks_off_gives_the_session_back() {
    let half = content()[..PIECE + 5].to_owned();
    let broken = futures_util::stream::iter([Ok(half.into()), Err(ContentBroke)]);
    let (drive, server, tokens) = scripted(vec![began(), has(PIECE), answer(499, &[], "")]).await;
    let error = failure(update(&drive, &tokens, Content::stream(None, broken)).await);
    assert_eq!(error, DriveError::SourceChanged(SourceFault::Unreadable));
    assert!(lines(&server)[2].starts_with("DELETE /upload/session?"), "{:?}", lines(&server));
}
