//! Content in one request, both ways.

use super::*;

#[actix_web::test]
async fn multipart_brings_metadata_and_content() {
    let drive = start().await;
    let metadata = json!({ "name": "notes.txt", "parents": ["appDataFolder"] });
    let answer = drive.send(drive.multipart(None, &metadata, b"abc")).await;
    let file = value(&answer);
    assert_eq!(answer.status, 200, "{file}");
    assert_eq!((&file["size"], &file["mimeType"]), (&json!("3"), &json!("text/plain")));
    assert_eq!(file["md5Checksum"], "900150983cd24fb0d6963f7d28e17f72");
    assert_eq!(file["originalFilename"], "notes.txt");
    let id = file["id"].as_str().expect("an id");
    assert_eq!(drive.app_data().read("notes.txt").expect("content"), "abc");

    let answer = drive.send(drive.multipart(Some(id), &json!({ "mimeType": "text/x-new" }), b"abcd")).await;
    let replaced = value(&answer);
    assert_eq!((&replaced["size"], &replaced["mimeType"]), (&json!("4"), &json!("text/x-new")));
    assert_ne!(replaced["headRevisionId"], file["headRevisionId"]);
    assert_eq!(replaced["version"], "2");
    let counts = drive.emulator.world.drive_counts();
    assert_eq!((counts.uploads, counts.files_made, counts.contents_replaced), (2, 1, 1));
    assert_eq!((counts.upload_bytes, counts.units), (7, 100));
}

#[actix_web::test]
async fn media_replaces_content_alone() {
    let drive = start().await;
    let id = drive.app_data().put("a", "old").expect("room");
    let request = drive.request(Method::PATCH, &format!("{UPLOAD}/{id}?uploadType=media"));
    let answer = drive.send(request.header("Content-Type", "image/png").body("new")).await;
    assert_eq!((answer.status, &value(&answer)["mimeType"]), (200, &json!("image/png")));
    assert_eq!(drive.app_data().read("a").expect("content"), "new");
    // Without metadata a new file would belong to the person's own Drive.
    let request = drive.request(Method::POST, &format!("{UPLOAD}?uploadType=media")).body("x");
    let (status, body) = seen(&drive.send(request).await);
    assert_eq!((status, reason(&body)), (403, "insufficientParentPermissions"));
}

#[actix_web::test]
async fn content_comes_whole_or_in_ranges() {
    let drive = start().await;
    let all = bytes(3 << 20);
    for (name, content) in [("large", &all[..]), ("small", &all[..1000])] {
        let id = drive.app_data().put(name, content).expect("room");
        let whole = drive.download(&id, None).await.expect("an answer");
        assert_eq!((whole.status, &whole.body[..]), (200, content));
        assert_eq!(field(&whole, "content-length"), content.len().to_string());
        assert_eq!(field(&whole, "content-type"), "application/octet-stream");
        let part = drive.download(&id, Some("bytes=100-199")).await.expect("an answer");
        assert_eq!((part.status, &part.body[..]), (206, &content[100..200]));
        assert_eq!(field(&part, "content-range"), format!("bytes 100-199/{}", content.len()));
        assert_eq!(field(&part, "content-length"), "100");
        let tail = drive.download(&id, Some("bytes=-5")).await.expect("an answer");
        assert_eq!(&tail.body[..], &content[content.len() - 5..]);
        let past = drive.download(&id, Some(&format!("bytes={}-", content.len()))).await.expect("an answer");
        assert_eq!((past.status, reason(&value(&past))), (416, "requestedRangeNotSatisfiable"));
        assert_eq!(field(&past, "content-range"), format!("bytes */{}", content.len()));
    }
    let empty = drive.app_data().put("empty", "").expect("room");
    let whole = drive.download(&empty, None).await.expect("an answer");
    assert_eq!((whole.status, whole.body.len(), field(&whole, "content-length")), (200, 0, "0"));
    assert_eq!(drive.download(&empty, Some("bytes=0-")).await.expect("an answer").status, 416);
    let folder = drive.app_data().folder("d").expect("room");
    let refused = drive.download(&folder, None).await.expect("an answer");
    assert_eq!((refused.status, reason(&value(&refused))), (403, "fileNotDownloadable"));
    let counts = drive.emulator.world.drive_counts();
    assert_eq!(counts.downloads, 11);
    assert_eq!(counts.download_bytes, (3 << 20) + 1000 + 2 * 105);
}
