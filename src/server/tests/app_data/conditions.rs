//! Preconditions, revalidation and ranges.

use futures_util::future::join_all;
use serde_json::Value;

use super::{stage, status_and_code};

#[tokio::test]
async fn preconditions_bind_and_tell_the_current_tag() {
    let s = stage().await;
    let put = |name: &'static str, value: &str, content: &'static str| {
        s.ask("PUT", "/a").header(name, value.to_owned()).body(content)
    };
    let absent = s.send(put("if-match", "*", "0")).await;
    assert_eq!(status_and_code(&absent), (412, "precondition_failed"));
    assert_eq!(absent.json["current"], Value::Null);
    let first = s.send(put("if-none-match", "*", "1")).await;
    assert_eq!(first.status, 201);
    let tag = first.header("etag").to_owned();
    let exists = s.send(put("if-none-match", "*", "2")).await;
    assert_eq!(status_and_code(&exists), (412, "precondition_failed"));
    assert_eq!((exists.json["current"].as_str(), exists.header("etag")), (Some(&*tag), &*tag));
    assert_eq!(s.send(put("if-match", "\"other\"", "2")).await.status, 412);
    assert_eq!(s.send(put("if-match", &format!("W/{tag}"), "2")).await.status, 412);
    let second = s.send(put("if-match", &format!("\"x\", {tag}"), "2")).await;
    assert_eq!(second.status, 200);
    assert_eq!(s.send(put("if-match", &tag, "3")).await.status, 412);
    assert_eq!(s.send(put("if-match", "*", "3")).await.status, 200);
    let stale = s.send(s.ask("DELETE", "/a").header("if-match", &tag)).await;
    assert_eq!(status_and_code(&stale), (412, "precondition_failed"));
    assert_eq!(s.theirs.read("a").expect("there"), "3");
    let current = stale.header("etag").to_owned();
    assert_eq!(s.send(s.ask("DELETE", "/a").header("if-match", current)).await.status, 204);
    for (name, value) in [
        ("if-match", "no-quotes"),
        ("if-none-match", "\"a\""),
        ("content-range", "bytes 0-0/2"),
        ("if-unmodified-since", "Sun, 22 Nov 2026 17:36:12 GMT"),
        ("content-type", "nonsense"),
        ("content-type", "application/vnd.google-apps.folder"),
    ] {
        let refused = s.send(put(name, value, "x")).await;
        assert_eq!(status_and_code(&refused), (400, "header_invalid"), "{name}: {value}");
    }
    let encoded = s.send(put("content-encoding", "gzip", "x")).await;
    assert_eq!(status_and_code(&encoded), (415, "content_encoding_unsupported"));
    assert!(s.theirs.files().is_empty());
}

#[tokio::test]
async fn of_many_that_write_on_one_tag_exactly_one_wins() {
    let s = stage().await;
    let tag = s.put("/a", "0").await.header("etag").to_owned();
    let writes = (1..=8).map(|n| s.send(s.ask("PUT", "/a").header("if-match", &tag).body(n.to_string())));
    let replies = join_all(writes).await;
    let won: Vec<_> = replies.iter().filter(|reply| reply.status == 200).collect();
    assert_eq!(won.len(), 1);
    assert!(replies.iter().all(|reply| matches!(reply.status, 200 | 412)));
    let now = s.get("/a").await;
    assert_eq!(now.header("etag"), won[0].header("etag"));
    let makes = (1..=8).map(|n| s.send(s.ask("PUT", "/b").header("if-none-match", "*").body(n.to_string())));
    let made = join_all(makes).await.into_iter().filter(|reply| reply.status == 201).count();
    assert_eq!((made, s.theirs.files().len()), (1, 2));
}

#[tokio::test]
async fn what_the_caller_has_already_is_not_sent_again() {
    let s = stage().await;
    let tag = s.put("/a", "hello").await.header("etag").to_owned();
    s.site.emulator.world.reset_drive_counts();
    for method in ["GET", "HEAD"] {
        for value in [tag.clone(), format!("\"x\", W/{tag}"), "*".to_owned()] {
            let reply = s.send(s.ask(method, "/a").header("if-none-match", &value)).await;
            assert_eq!(
                (reply.status, reply.header("etag"), reply.text.as_str()),
                (304, &*tag, ""),
                "{value}"
            );
        }
        assert_eq!(s.send(s.ask(method, "/a").header("if-none-match", "\"x\"")).await.status, 200);
        let failed = s.send(s.ask(method, "/a").header("if-match", "\"x\"")).await;
        assert_eq!((failed.status, failed.header("etag")), (412, &*tag));
    }
    assert_eq!(s.site.emulator.world.drive_counts().downloads, 1);
}

#[tokio::test]
async fn one_range_at_a_time() {
    let s = stage().await;
    let tag = s.put("/a", "0123456789").await.header("etag").to_owned();
    let ask = |range: &str| s.ask("GET", "/a").header("range", range.to_owned());
    for (range, text, field) in [
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-2", "89", "bytes 8-9/10"),
        ("bytes=8-99", "89", "bytes 8-9/10"),
        ("bytes=0-", "0123456789", "bytes 0-9/10"),
    ] {
        let reply = s.send(ask(range)).await;
        assert_eq!((reply.status, reply.text.as_str()), (206, text), "{range}");
        assert_eq!(reply.header("content-range"), field, "{range}");
        assert_eq!(reply.header("content-length"), text.len().to_string(), "{range}");
    }
    for ignored in ["bytes=0-1,4-5", "lines=0-1", "bytes=4-2", "nonsense"] {
        let reply = s.send(ask(ignored)).await;
        assert_eq!(
            (reply.status, reply.header("content-range"), reply.text.len()),
            (200, "", 10),
            "{ignored}"
        );
    }
    for outside in ["bytes=10-", "bytes=99-100", "bytes=-0"] {
        let reply = s.send(ask(outside)).await;
        assert_eq!(status_and_code(&reply), (416, "range_not_satisfiable"), "{outside}");
        assert_eq!(reply.header("content-range"), "bytes */10", "{outside}");
    }
    assert_eq!(s.send(ask("bytes=2-4").header("if-range", &tag)).await.status, 206);
    assert_eq!(s.send(ask("bytes=2-4").header("if-range", "\"x\"")).await.status, 200);
    let head = s.send(s.ask("HEAD", "/a").header("range", "bytes=2-4")).await;
    assert_eq!((head.status, head.header("content-length")), (200, "10"));
}
