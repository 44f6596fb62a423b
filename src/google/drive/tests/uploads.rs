//! Small uploads, and what is made of what arrived.

use super::*;
use crate::google::drive::{Content, ContentBroke, MediaType, NewContent, NewFile, SourceFault};

fn plain() -> MediaType {
    "text/plain".parse().expect("a media type")
}

async fn create(drive: &Drive, tokens: &Tokens, content: Content) -> Result<(), CallError<Dry>> {
    let (file, top, mime_type) = (id("f1"), id("top"), plain());
    let modified_ms = Some(1_795_368_972_345);
    let new = NewFile { id: &file, name: "name", parent: &top, mime_type: &mime_type, modified_ms };
    drive.create(tokens, &new, content).await.map(|made| assert_eq!(made.id, file))
}

#[tokio::test]
async fn a_small_file_is_one_request() {
    let (drive, server, tokens) = scripted(vec![ok(&described(b"hello", "r1"))]).await;
    create(&drive, &tokens, Content::bytes("hello")).await.expect("stored");
    let request = &server.requests()[0];
    assert!(request.head.starts_with("POST /upload/drive/v3/files?uploadType=multipart&fields="));
    let kind = field(request, "content-type").expect("a type");
    let boundary = kind.strip_prefix("multipart/related; boundary=").expect("a boundary");
    let expected = format!(
        "--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n\
         {{\"id\":\"f1\",\"mimeType\":\"text/plain\",\"modifiedTime\":\"2026-11-22T17:36:12.345Z\",\
         \"name\":\"name\",\"parents\":[\"top\"]}}\r\n\
         --{boundary}\r\nContent-Type: text/plain\r\n\r\nhello\r\n--{boundary}--\r\n"
    );
    assert_eq!(request.body, expected);
    assert_eq!(field(request, "content-length"), Some(expected.len().to_string()));
    assert_eq!(tokens.units(), 50);
}

#[tokio::test]
async fn a_repeat_that_finds_its_own_file_is_done() {
    let hello = described(b"hello", "r1");
    let steps = || vec![broken(), refused(409, "fileIdInUse"), ok(&hello)];
    let (drive, server, tokens) = scripted(steps()).await;
    create(&drive, &tokens, Content::bytes("hello")).await.expect("stored by the first attempt");
    let requests = server.requests();
    assert_eq!(requests[0].body, requests[1].body);

    let (drive, _server, tokens) = scripted(steps()).await;
    assert_eq!(failure(create(&drive, &tokens, Content::bytes("hallo")).await), DriveError::IdInUse);
    let elsewhere = hello.replace("\"top\"", "\"other\"");
    let (drive, _server, tokens) = scripted(vec![refused(409, "fileIdInUse"), ok(&elsewhere)]).await;
    assert_eq!(failure(create(&drive, &tokens, Content::bytes("hello")).await), DriveError::IdInUse);
}

#[tokio::test]
async fn what_arrived_wrong_is_taken_back() {
    for wrong in [described(b"hallo", "r1"), described(b"hello!", "r1")] {
        let (drive, server, tokens) = scripted(vec![ok(&wrong), answer(204, &[], "")]).await;
        assert_eq!(failure(create(&drive, &tokens, Content::bytes("hello")).await), DriveError::Mismatch);
        assert!(lines(&server)[1].starts_with("DELETE /drive/v3/files/f1 "), "{:?}", lines(&server));
    }
    let new = NewContent { mime_type: &plain(), modified_ms: None };
    let (drive, server, tokens) = scripted(vec![ok(&described(b"hallo", "r2"))]).await;
    let outcome = drive.update(&tokens, &id("f1"), &new, Content::bytes("hello")).await;
    assert_eq!(failure(outcome), DriveError::Mismatch);
    assert_eq!(server.requests().len(), 1, "an old file is not deleted");
    assert!(lines(&server)[0].starts_with("PATCH /upload/drive/v3/files/f1?uploadType=multipart"));
}

#[tokio::test]
async fn an_answer_without_a_sum_is_asked_for_it() {
    let bare = r#"{"id":"f1","name":"name","mimeType":"text/plain"}"#;
    let (drive, server, tokens) = scripted(vec![ok(bare), ok(&described(b"hello", "r1"))]).await;
    create(&drive, &tokens, Content::bytes("hello")).await.expect("stored");
    assert!(lines(&server)[1].starts_with("GET /drive/v3/files/f1?"));
}

#[tokio::test]
async fn content_that_breaks_off_early_is_never_sent() {
    let broken = futures_util::stream::iter([Ok("hel".into()), Err(ContentBroke)]);
    let (drive, server, tokens) = scripted(vec![]).await;
    let outcome = create(&drive, &tokens, Content::stream(Some(5), broken)).await;
    assert_eq!(failure(outcome), DriveError::SourceChanged(SourceFault::Unreadable));
    assert!(server.requests().is_empty());
}
