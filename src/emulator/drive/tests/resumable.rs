//! Resumable uploads, on good days and bad ones.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use super::*;
use crate::emulator::{Endpoint, Fault};

/// The 308 that says how much is there.
fn assert_incomplete(answer: &Answer, kept: usize) {
    assert_eq!(answer.status, 308, "{}", value(answer));
    let range = if kept == 0 { String::new() } else { format!("bytes=0-{}", kept - 1) };
    assert_eq!(field(answer, "range"), range);
}

#[actix_web::test]
async fn one_go_and_chunks_make_the_same_file() {
    let drive = start().await;
    let all = bytes(2 * GRAIN + 100);
    let address = drive.begin("one", Some(all.len())).await;
    let whole = drive.put(&address, None, &all).await.expect("an answer");
    assert_eq!((whole.status, &value(&whole)["name"]), (200, &json!("one")));

    let address = drive.begin("chunks", Some(all.len())).await;
    let total = all.len();
    let first = format!("bytes 0-{}/{total}", GRAIN - 1);
    assert_incomplete(&drive.put(&address, Some(&first), &all[..GRAIN]).await.expect("an answer"), GRAIN);
    let asked = drive.put(&address, Some(&format!("bytes */{total}")), b"").await.expect("an answer");
    assert_incomplete(&asked, GRAIN);
    let rest = format!("bytes {GRAIN}-{}/{total}", total - 1);
    let done = drive.put(&address, Some(&rest), &all[GRAIN..]).await.expect("an answer");
    assert_eq!(done.status, 200);
    // Asked again, it says again what became of it.
    let asked = drive.put(&address, Some("bytes */*"), b"").await.expect("an answer");
    assert_eq!((asked.status, &asked.body), (200, &done.body));

    let files = drive.app_data().files();
    assert_eq!(files.len(), 2);
    assert!(files.iter().all(|file| file.md5 == files[0].md5 && file.mime_type == "text/csv"));
    assert_eq!(drive.app_data().read("chunks").expect("content"), all);
    let counts = drive.emulator.world.drive_counts();
    assert_eq!((counts.starts, counts.chunks, counts.statuses), (2, 3, 2));
    assert_eq!((counts.upload_bytes, counts.units), (2 * all.len() as u64, 100));
}

#[actix_web::test]
async fn a_total_may_come_last_or_with_the_question() {
    let drive = start().await;
    let all = bytes(GRAIN + 7);
    let address = drive.begin("late", None).await;
    let first = format!("bytes 0-{}/*", GRAIN - 1);
    assert_incomplete(&drive.put(&address, Some(&first), &all[..GRAIN]).await.expect("an answer"), GRAIN);
    let last = format!("bytes {GRAIN}-{}/{}", all.len() - 1, all.len());
    assert_eq!(drive.put(&address, Some(&last), &all[GRAIN..]).await.expect("an answer").status, 200);

    let address = drive.begin("even", None).await;
    drive.put(&address, Some(&first), &all[..GRAIN]).await.expect("an answer");
    let closing = format!("bytes */{GRAIN}");
    assert_eq!(drive.put(&address, Some(&closing), b"").await.expect("an answer").status, 200);
    assert_eq!(drive.app_data().file("even").expect("made").size, GRAIN as u64);

    let address = drive.begin("empty", None).await;
    assert_eq!(drive.put(&address, None, b"").await.expect("an answer").status, 200);
    assert_eq!(drive.app_data().read("empty").expect("content"), "");
}

#[actix_web::test]
async fn ill_fitting_chunks_are_refused_and_change_nothing() {
    let drive = start().await;
    let address = drive.begin("a", Some(3 * GRAIN)).await;
    let total = 3 * GRAIN;
    let chunk = bytes(GRAIN);
    for (range, body) in [
        (format!("bytes 0-99/{total}"), &chunk[..100]),
        (format!("bytes 0-{}/{total}", GRAIN - 1), &chunk[..100]),
        (format!("bytes {GRAIN}-{}/{total}", 2 * GRAIN - 1), &chunk[..]),
        (format!("bytes 0-{}/{}", GRAIN - 1, total + 1), &chunk[..]),
        ("bytes a-b/c".to_owned(), &chunk[..]),
    ] {
        let answer = drive.put(&address, Some(&range), body).await.expect("an answer");
        assert_eq!(answer.status, 400, "{range}");
    }
    assert_eq!(drive.put(&address, None, &chunk).await.expect("an answer").status, 400);
    assert_incomplete(&drive.put(&address, Some("bytes */*"), b"").await.expect("an answer"), 0);
    // What is there already is passed over.
    let first = format!("bytes 0-{}/{total}", GRAIN - 1);
    drive.put(&address, Some(&first), &chunk).await.expect("an answer");
    let both = format!("bytes 0-{}/{total}", 2 * GRAIN - 1);
    let answer = drive.put(&address, Some(&both), &bytes(2 * GRAIN)).await.expect("an answer");
    assert_incomplete(&answer, 2 * GRAIN);
    let again = drive.put(&address, Some(&first), &chunk).await.expect("an answer");
    assert_incomplete(&again, 2 * GRAIN);
}

#[actix_web::test]
async fn a_cut_upload_keeps_what_came_and_goes_on() {
    let drive = start().await;
    let faults = drive.emulator.world.faults();
    let all = bytes(3 * GRAIN);
    let at = 300_001;
    faults.once(Endpoint::DriveChunk, Fault::CutUpload { at: at as u64 });
    let address = drive.begin("a", Some(all.len())).await;
    // The byte is not in the first chunk, so nothing happens to that.
    let first = format!("bytes 0-{}/{}", GRAIN - 1, all.len());
    assert_incomplete(&drive.put(&address, Some(&first), &all[..GRAIN]).await.expect("an answer"), GRAIN);
    let rest = format!("bytes {GRAIN}-{}/{}", all.len() - 1, all.len());
    drive.put(&address, Some(&rest), &all[GRAIN..]).await.expect_err("cut");
    let question = format!("bytes */{}", all.len());
    assert_incomplete(&drive.put(&address, Some(&question), b"").await.expect("an answer"), at);
    let rest = format!("bytes {at}-{}/{}", all.len() - 1, all.len());
    assert_eq!(drive.put(&address, Some(&rest), &all[at..]).await.expect("an answer").status, 200);
    assert_eq!(drive.app_data().read("a").expect("content"), all);

    // In one go, from the first byte on: nothing at all is kept.
    faults.once(Endpoint::DriveChunk, Fault::CutUpload { at: 0 });
    let address = drive.begin("b", None).await;
    drive.put(&address, None, &all).await.expect_err("cut");
    assert_incomplete(&drive.put(&address, Some("bytes */*"), b"").await.expect("an answer"), 0);
    assert!(faults.pending().is_empty());
}

#[actix_web::test]
async fn the_server_may_keep_less_than_was_sent() {
    let drive = start().await;
    let all = bytes(2 * GRAIN);
    for (name, kept) in [("some", GRAIN), ("none", 0)] {
        drive.emulator.world.faults().once(Endpoint::DriveChunk, Fault::KeepUpTo { at: kept as u64 });
        let address = drive.begin(name, None).await;
        assert_incomplete(&drive.put(&address, None, &all).await.expect("an answer"), kept);
        assert!(drive.app_data().file(name).is_none());
        let rest = format!("bytes {kept}-{}/{}", all.len() - 1, all.len());
        assert_eq!(drive.put(&address, Some(&rest), &all[kept..]).await.expect("an answer").status, 200);
        assert_eq!(drive.app_data().read(name).expect("content"), all);
    }
}

#[actix_web::test]
async fn uploads_end_by_age_by_fault_and_by_their_caller() {
    let mut drive = start().await;
    let old = drive.begin("old", None).await;
    drive.clock.advance(Duration::from_secs(7 * 86_400 - 1));
    assert_incomplete(&drive.put(&old, Some("bytes */*"), b"").await.expect("an answer"), 0);
    drive.clock.advance(Duration::from_secs(1));
    assert_eq!(drive.put(&old, Some("bytes */*"), b"").await.expect("an answer").status, 404);

    drive.token = drive.token_of(0, SCOPE).await;
    let world = &drive.emulator.world;
    let lost = drive.begin("lost", None).await;
    world.faults().once(Endpoint::DriveChunk, Fault::ForgetUpload);
    let gone = drive.put(&lost, None, &bytes(GRAIN)).await.expect("an answer");
    assert_eq!((gone.status, reason(&value(&gone))), (404, "notFound"));
    assert_eq!(drive.put(&lost, None, b"x").await.expect("an answer").status, 404);

    let given_up = drive.begin("given up", None).await;
    let client = drive.outbound.client().expect("TLS roots");
    assert_eq!(drive.send(client.delete(given_up.clone())).await.status, 499);
    assert_eq!(drive.put(&given_up, None, b"x").await.expect("an answer").status, 404);
    assert!(drive.app_data().files().is_empty());
    assert_eq!(world.drive_uploads(), 0);
}

#[actix_web::test]
async fn content_is_replaced_resumably_too() {
    let drive = start().await;
    let id = drive.app_data().put("a", "old").expect("room");
    let request =
        drive.request(Method::PATCH, &format!("{UPLOAD}/{id}?uploadType=resumable&fields=size,name"));
    let answer = drive.send(request.body("")).await;
    let address: Url = field(&answer, "location").parse().expect("an address");
    let done = drive.put(&address, None, b"newer").await.expect("an answer");
    assert_eq!(value(&done), json!({ "size": "5", "name": "a" }));
    assert_eq!(drive.app_data().read("a").expect("content"), "newer");
    let request = drive.request(Method::PATCH, &format!("{UPLOAD}/nobody?uploadType=resumable"));
    assert_eq!(drive.send(request.body("")).await.status, 404);
    // The address opens it, but a token that is shown must be good, and of the same person.
    let address = drive.begin("b", None).await;
    let client = drive.outbound.client().expect("TLS roots");
    let stranger = drive.token_of(1, SCOPE).await;
    for (token, status) in [("dead", 401), (stranger.as_str(), 404), (drive.token.as_str(), 200)] {
        let answer = drive.send(client.put(address.clone()).bearer_auth(token).body("x")).await;
        assert_eq!(answer.status, status);
    }
}

/// A caller that hangs up in the middle may ask again before the server has noticed.
#[actix_web::test]
async fn a_caller_that_hangs_up_goes_on_where_it_was() {
    let drive = start().await;
    let all = bytes(3 * GRAIN);
    for sent in [0, 1, 100_000, all.len() - 1] {
        let name = format!("after {sent}");
        let address = drive.begin(&name, Some(all.len())).await;
        let mut socket =
            TcpStream::connect(address.socket_addrs(|| None).expect("an address")[0]).expect("there");
        let target = format!("{}?{}", address.path(), address.query().unwrap_or_default());
        write!(socket, "PUT {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", all.len())
            .expect("written");
        socket.write_all(&all[..sent]).expect("written");
        drop(socket);
        let asked = drive.put(&address, Some("bytes */*"), b"").await.expect("an answer");
        assert_eq!(asked.status, 308);
        let kept = field(&asked, "range")
            .strip_prefix("bytes=0-")
            .map_or(0, |last| 1 + last.parse::<usize>().expect("a number"));
        assert!(kept <= sent);
        let rest = format!("bytes {kept}-{}/{}", all.len() - 1, all.len());
        assert_eq!(drive.put(&address, Some(&rest), &all[kept..]).await.expect("an answer").status, 200);
        assert_eq!(drive.app_data().read(&name).expect("content"), all);
    }
}
