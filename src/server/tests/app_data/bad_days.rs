//! Lines that break, people who hang up, a Drive that refuses.

use std::io::{Read as _, Write as _};

use serde_json::json;

use super::raw::{connect, exchange, head, rest};
use super::{content, stage, stage_with, status_and_code};
use crate::emulator::{DriveReason, Endpoint, Fault};

/// More than goes to Drive in one request.
const LARGE: usize = 9_000_000;

#[tokio::test]
async fn what_can_be_mended_is_mended() {
    let s = stage().await;
    let bytes = content(LARGE);
    for (endpoint, fault) in [
        (Endpoint::DriveChunk, Fault::drive(DriveReason::AuthError)),
        (Endpoint::DriveList, Fault::drive(DriveReason::AuthError)),
        (Endpoint::DriveStart, Fault::drive(DriveReason::UserRateLimitExceeded)),
        (Endpoint::DriveList, Fault::drive(DriveReason::RateLimitExceeded)),
        (Endpoint::DriveChunk, Fault::CutUpload { at: 3_000_000 }),
        (Endpoint::DriveChunk, Fault::KeepUpTo { at: 1 << 20 }),
        (Endpoint::DriveIds, Fault::status(503)),
    ] {
        let seen = format!("{endpoint:?} {fault:?}");
        s.theirs.remove("a");
        s.fault(endpoint, fault);
        let reply = s.put("/a", bytes.clone()).await;
        assert_eq!(reply.status, 201, "{seen} {}", reply.text);
        assert!(s.theirs.read("a").expect("there") == bytes, "{seen}");
        s.all_met();
    }
    for fault in [
        Fault::CutDownload { at: 4_000_000 },
        Fault::drive(DriveReason::AuthError),
        Fault::drive(DriveReason::UserRateLimitExceeded),
        Fault::Drop,
    ] {
        let seen = format!("{fault:?}");
        s.fault(Endpoint::DriveDownload, fault);
        let response = s.ask("GET", "/a").send().await.expect("an answer");
        assert!(response.bytes().await.expect("whole") == bytes, "{seen}");
        s.all_met();
    }
    // Gone between the look and the reading: once more, and then it is told.
    s.fault(Endpoint::DriveDownload, Fault::drive(DriveReason::NotFound));
    assert_eq!(s.ask("GET", "/a").send().await.expect("an answer").status(), 200);
    s.all_met();
    s.site.emulator.world.faults().times(2, Endpoint::DriveDownload, Fault::drive(DriveReason::NotFound));
    assert_eq!(status_and_code(&s.get("/a").await), (404, "file_not_found"));
    s.fault(Endpoint::DriveUpload, Fault::drive(DriveReason::NotFound));
    assert_eq!(status_and_code(&s.put("/a", "1").await), (409, "app_data_changed"));
}

#[tokio::test]
async fn what_cannot_be_mended_says_who_can() {
    let s = stage().await;
    for (reason, expected, cause) in [
        (DriveReason::StorageQuotaExceeded, (507, "storage_full"), json!(null)),
        (DriveReason::InsufficientPermissions, (403, "scope_missing"), json!(null)),
        (DriveReason::AccessNotConfigured, (502, "drive_setting_needed"), json!("api_disabled")),
        (DriveReason::DomainPolicy, (502, "drive_setting_needed"), json!("domain_policy")),
        (DriveReason::DailyLimitExceeded, (502, "drive_setting_needed"), json!("daily_limit")),
        (DriveReason::NotSupportedForAppDataFolderFiles, (502, "drive_refused"), json!(null)),
    ] {
        s.fault(Endpoint::DriveUpload, Fault::drive(reason));
        let reply = s.put("/a", "1").await;
        assert_eq!(status_and_code(&reply), expected, "{reason:?}");
        assert_eq!(reply.json["cause"], cause, "{reason:?}");
        reply.problem();
    }
    s.site.emulator.world.faults().until_cleared(Endpoint::DriveList, Fault::drive(DriveReason::AuthError));
    let reply = s.get("/a").await;
    assert_eq!(status_and_code(&reply), (409, "consent_required"));
    assert_eq!(reply.json["cause"], "drive_refuses_tokens");
    s.site.emulator.world.faults().clear_all();
    s.site.emulator.world.faults().until_cleared(Endpoint::DriveList, Fault::retry_after(503, 120));
    let reply = s.get("").await;
    assert_eq!(status_and_code(&reply), (503, "drive_unavailable"));
    assert_eq!(reply.header("retry-after"), "120");
}

#[tokio::test]
async fn a_full_storage_stays_as_it_was() {
    let s = stage().await;
    s.put("/a", "small").await;
    s.site.emulator.world.set_drive_quota(&s.site.alice().sub, Some(1000));
    for path in ["/a", "/b"] {
        assert_eq!(status_and_code(&s.put(path, content(LARGE)).await), (507, "storage_full"), "{path}");
    }
    assert_eq!(s.theirs.read("a").expect("there"), "small");
    assert_eq!(s.theirs.files().len(), 1);
}

#[tokio::test]
async fn a_wrong_byte_or_a_lasting_cut_ends_the_connection_before_the_end() {
    let s = stage().await;
    let bytes = content(3_000_000);
    s.put("/a", bytes.clone()).await;
    let faults = s.site.emulator.world.faults();
    for fault in [Fault::FlipByte { at: 1_234_567 }, Fault::CutDownload { at: 1_000_000 }] {
        let seen = format!("{fault:?}");
        faults.until_cleared(Endpoint::DriveDownload, fault);
        // A cut that never ends: the first answer began well, and what follows is refused.
        faults.until_cleared(Endpoint::DriveGet, Fault::drive(DriveReason::NotFound));
        let answer = {
            let mut stream = connect(&s);
            stream.write_all(head(&s, "GET", "/a", "").as_bytes()).expect("sent");
            rest(stream).await
        };
        faults.clear_all();
        let start = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
        let head = String::from_utf8_lossy(&answer[..start]);
        assert!(
            head.starts_with("HTTP/1.1 200") && head.contains("content-length: 3000000"),
            "{seen} {head}"
        );
        assert!(answer.len() - start < bytes.len(), "{seen}: the connection ended by itself, and too early");
    }
    let whole = s.ask("GET", "/a").send().await.expect("an answer").bytes().await.expect("whole");
    assert!(whole == bytes, "and harms no other request");
}

#[tokio::test]
async fn whoever_hangs_up_in_an_upload_stores_nothing() {
    let s = stage().await;
    s.put("/there", "before").await;
    let pieces = "10000\r\n".len() + 0x10000 + 2;
    for path in ["/there", "/new"] {
        for (fields, sent) in [
            ("content-length: 9000000\r\n", 1000),
            ("content-length: 9000000\r\n", 6_000_000),
            ("transfer-encoding: chunked\r\n", 3 * pieces),
            ("transfer-encoding: chunked\r\n", 90 * pieces),
        ] {
            let mut stream = connect(&s);
            stream.write_all(head(&s, "PUT", path, fields).as_bytes()).expect("sent");
            let body = if fields.starts_with("content") {
                vec![7; sent]
            } else {
                [b"10000\r\n".as_slice(), &[7; 0x10000], b"\r\n"].concat().repeat(sent / pieces)
            };
            stream.write_all(&body).expect("sent");
            // The half of it that says that nothing more comes.
            stream.shutdown(std::net::Shutdown::Write).expect("closed");
            let answer = String::from_utf8_lossy(&rest(stream).await).into_owned();
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{path} {fields} {answer}");
        }
    }
    // Whatever is still under way for somebody who went away comes to its end first.
    assert!(s.site.state.lifecycle.stop(std::time::Duration::from_secs(20)).await);
    assert_eq!(s.theirs.read("there").expect("there"), "before");
    assert_eq!(s.theirs.file("new"), None);
}

#[tokio::test]
async fn an_upload_over_the_limit_is_refused_before_it_is_read_or_while() {
    let s = stage_with("max_body = \"4KiB\"", "[app_data]\nmax_bytes = \"64KiB\"\n").await;
    let announced = exchange(&s, "PUT", "/a", "content-length: 99999999999\r\n").await;
    assert!(announced.starts_with("HTTP/1.1 413"), "{announced}");
    assert!(
        announced.contains("content_too_large") && announced.contains("\"max_bytes\":65536"),
        "{announced}"
    );
    assert_eq!(s.site.emulator.world.drive_counts().requests(), 0);
    let stream = |count: usize| {
        let pieces = (0..count).map(|_| Ok::<_, std::io::Error>(vec![7; 16 << 10])).collect::<Vec<_>>();
        reqwest::Body::wrap_stream(futures_util::stream::iter(pieces))
    };
    assert_eq!(status_and_code(&s.put("/a", stream(5)).await), (413, "content_too_large"));
    assert!(s.theirs.files().is_empty());
    assert_eq!(s.put("/a", stream(4)).await.status, 201, "server.max_body is for other bodies");
}

#[tokio::test]
async fn a_body_that_stands_still_is_given_up_and_a_slow_one_is_not() {
    let s = stage_with("body_timeout = \"1s\"", "").await;
    let mut stream = connect(&s);
    stream.write_all(head(&s, "PUT", "/a", "content-length: 100\r\n").as_bytes()).expect("sent");
    stream.write_all(b"only this").expect("sent");
    let answer = String::from_utf8_lossy(&rest(stream).await).into_owned();
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("body_timeout"), "{answer}");
    assert!(s.theirs.files().is_empty());

    // Longer in all than the limit, but it is Drive that holds it up and not whoever sends it.
    s.fault(Endpoint::DriveStart, Fault::Delay(std::time::Duration::from_millis(1500)));
    let reply = s.put("/b", content(LARGE)).await;
    assert_eq!(reply.status, 201, "{}", reply.text);
}

#[tokio::test]
async fn a_reader_takes_its_time() {
    let s = stage().await;
    let bytes = content(LARGE);
    s.put("/a", bytes.clone()).await;
    let mut stream = connect(&s);
    let asked = head(&s, "GET", "/a", "connection: close\r\n");
    stream.write_all(asked.as_bytes()).expect("sent");
    let mut first = [0; 1024];
    let (stream, begun) = tokio::task::spawn_blocking(move || {
        let count = stream.read(&mut first).expect("the head");
        (stream, first[..count].to_vec())
    })
    .await
    .expect("read");
    // While it reads nothing, others are served, and Drive has not been emptied into memory for it.
    assert_eq!(s.get("").await.status, 200);
    let answer = [begun, rest(stream).await].concat();
    assert!(answer.ends_with(&bytes[LARGE - 1000..]) && answer.len() > LARGE);
}

#[tokio::test]
async fn a_refused_upload_is_answered_before_it_has_all_come() {
    let s = stage().await;
    s.put("/a", "1").await;
    let mut stream = connect(&s);
    let fields = "if-none-match: *\r\ncontent-length: 900000000\r\n";
    stream.write_all(head(&s, "PUT", "/a", fields).as_bytes()).expect("sent");
    // As much as is read ahead of a decision.
    stream.write_all(&vec![7; 5 << 20]).expect("sent");
    let answer = String::from_utf8_lossy(&rest(stream).await).into_owned();
    assert!(answer.starts_with("HTTP/1.1 412"), "{answer}");
}
