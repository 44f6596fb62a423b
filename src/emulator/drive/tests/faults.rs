//! Bad days on order, and what the control interface shows of it all.

use super::*;
use crate::emulator::{DriveReason, DriveRefusal, Endpoint, Fault};

#[actix_web::test]
async fn a_refusal_answers_with_drives_own_words() {
    let drive = start().await;
    let faults = drive.emulator.world.faults();
    faults.once(Endpoint::Drive, Fault::drive(DriveReason::UserRateLimitExceeded));
    let slow =
        DriveRefusal { retry_after: Some(7), ..DriveReason::RateLimitExceeded.into() }.with_status(429);
    faults.once(Endpoint::Drive, Fault::Drive(slow));
    faults.once(Endpoint::Drive, Fault::drive(DriveReason::AuthError));
    let path = format!("{FILES}/appDataFolder");
    let (status, body) = drive.get(&path).await;
    assert_eq!((status, reason(&body)), (403, "userRateLimitExceeded"));
    assert_eq!(body["error"]["errors"][0]["domain"], "usageLimits");
    let answer = drive.send(drive.request(Method::GET, &path)).await;
    assert_eq!((answer.status, field(&answer, "retry-after")), (429, "7"));
    assert_eq!(drive.get(&path).await.0, 401);
    assert_eq!(drive.get(&path).await.0, 200);
    assert_eq!(drive.emulator.world.drive_counts().gets, 4, "each once, refused or not");
}

#[actix_web::test]
async fn a_refused_page_token_waits_for_a_request_with_one() {
    let drive = start().await;
    for name in ["a", "b"] {
        drive.app_data().put(name, "x").expect("room");
    }
    drive.emulator.world.faults().once(Endpoint::DriveList, Fault::drive(DriveReason::Invalid));
    let path = format!("{FILES}?spaces=appDataFolder&pageSize=1");
    let (_, first) = drive.get(&path).await;
    let next = format!("{path}&pageToken={}", first["nextPageToken"].as_str().expect("more"));
    let (status, body) = drive.get(&next).await;
    assert_eq!((status, &body["error"]["errors"][0]["location"]), (400, &json!("pageToken")));
    assert_eq!(drive.get(&next).await.0, 200);
}

#[actix_web::test]
async fn answers_to_uploads_come_after_the_body() {
    let drive = start().await;
    drive.emulator.world.faults().once(Endpoint::DriveUpload, Fault::retry_after(503, 1));
    let metadata = json!({ "name": "a", "parents": ["appDataFolder"] });
    let content = bytes(5 << 20);
    assert_eq!(drive.send(drive.multipart(None, &metadata, &content)).await.status, 503);
    drive.emulator.world.faults().once(Endpoint::DriveUpload, Fault::CutUpload { at: 1000 });
    drive.try_send(drive.multipart(None, &metadata, &content)).await.expect_err("cut");
    drive.emulator.world.faults().once(Endpoint::DriveUpload, Fault::DropAfterDoing);
    drive.try_send(drive.multipart(None, &metadata, &content)).await.expect_err("dropped");
    let files = drive.app_data().files();
    assert_eq!(files.len(), 1, "only the last was carried out");
    assert_eq!(files[0].size, content.len() as u64);
}

#[actix_web::test]
async fn downloads_break_and_lie_on_order() {
    let drive = start().await;
    let all = bytes(1 << 20);
    let id = drive.app_data().put("a", &all).expect("room");
    let faults = drive.emulator.world.faults();
    faults.once(Endpoint::DriveDownload, Fault::FlipByte { at: 70_000 });
    let part = drive.download(&id, Some("bytes=0-69999")).await.expect("an answer");
    assert_eq!(part.body[..], all[..70_000], "the byte is not in this part");
    let whole = drive.download(&id, None).await.expect("an answer");
    let wrong: Vec<usize> = (0..all.len()).filter(|n| whole.body[*n] != all[*n]).collect();
    assert_eq!(wrong, [70_000]);

    faults.once(Endpoint::DriveDownload, Fault::CutDownload { at: 100_000 });
    let request = drive.request(Method::GET, &format!("{FILES}/{id}?alt=media"));
    let mut response = request.send().await.expect("a head");
    assert_eq!(response.content_length(), Some(1 << 20));
    let mut got = Vec::new();
    let broken = loop {
        match response.chunk().await {
            Ok(Some(piece)) => got.extend_from_slice(&piece),
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(broken && got.len() <= 100_000 && all.starts_with(&got));
    faults.once(Endpoint::DriveDownload, Fault::Malformed);
    assert_eq!(drive.download(&id, None).await.expect("an answer").body[..], all[..1 << 19]);
    assert_eq!(drive.download(&id, None).await.expect("an answer").body[..], all[..]);
}

async fn steer(drive: &Drive, path: &str, order: Value) -> (u16, Value) {
    seen(&drive.send(drive.request(Method::POST, path).json(&order)).await)
}

#[actix_web::test]
async fn programs_steer_it_over_http() {
    let drive = start().await;
    let order = |more: Value| {
        let mut order = json!({ "person": "alice@example.org" });
        order.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        order
    };
    let path = "/emulator/drive";
    let (status, made) =
        steer(&drive, path, order(json!({ "action": "put", "path": "a/b.txt", "text": "hello" }))).await;
    assert_eq!((status, made["id"].as_str().map(str::len)), (200, Some(44)));
    let (_, list) = steer(&drive, path, order(json!({ "action": "list" }))).await;
    let seen: Vec<_> =
        list["files"].as_array().expect("files").iter().map(|f| (&f["path"], &f["size"])).collect();
    assert_eq!(seen, [(&json!("a"), &json!(0)), (&json!("a/b.txt"), &json!(5))]);
    let (_, content) = steer(&drive, path, order(json!({ "action": "read", "path": "a/b.txt" }))).await;
    assert_eq!(content, json!({ "text": "hello", "base64": "aGVsbG8=" }));
    let (_, removed) = steer(&drive, path, order(json!({ "action": "remove", "path": "a" }))).await;
    assert_eq!(removed["removed"], true);
    steer(&drive, path, order(json!({ "action": "quota", "limit": 3 }))).await;
    let (status, full) =
        steer(&drive, path, order(json!({ "action": "put", "path": "c", "base64": "AAECAw==" }))).await;
    assert_eq!((status, reason(&full)), (403, "storageQuotaExceeded"));
    let (status, odd) = steer(&drive, path, order(json!({ "action": "put", "pth": "c" }))).await;
    assert!(status == 400 && odd["detail"].as_str().is_some_and(|detail| detail.contains("pth")));
    assert_eq!(steer(&drive, path, json!({ "person": "nobody", "action": "list" })).await.0, 422);
    let root = list["root"].clone();
    let (_, erased) = steer(&drive, path, order(json!({ "action": "erase" }))).await;
    assert!(erased["root"].is_string() && erased["root"] != root);

    let fault = json!({ "endpoint": "drive_get", "fault": "drive", "reason": "dailyLimitExceeded" });
    assert_eq!(steer(&drive, "/emulator/faults", fault).await.0, 200);
    assert_eq!(reason(&drive.get(&format!("{FILES}/appDataFolder")).await.1), "dailyLimitExceeded");
    let (_, state) = drive.get("/emulator/state").await;
    assert_eq!((&state["drive_counts"]["gets"], &state["drive_counts"]["units"]), (&json!(1), &json!(5)));
    let (_, counts) = steer(&drive, path, order(json!({ "action": "reset_counts" }))).await;
    assert_eq!(counts["gets"], 0);
}
