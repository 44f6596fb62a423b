//! What Drive refuses, and how it says so.

use super::*;

#[actix_web::test]
async fn tokens_open_only_what_they_are_for() {
    let mut drive = start().await;
    let path = format!("{FILES}?spaces=appDataFolder");
    let client = drive.outbound.client().expect("TLS roots");
    let answer = drive.send(client.get(drive.url(&path))).await;
    assert_eq!((answer.status, reason(&value(&answer))), (401, "required"));
    assert_eq!(field(&answer, "www-authenticate"), r#"Bearer realm="https://accounts.google.com/""#);

    drive.emulator.world.end_access_token(&AccessToken::new(drive.token.as_str()));
    let answer = drive.send(drive.request(Method::GET, &path)).await;
    let body = value(&answer);
    assert_eq!((answer.status, reason(&body)), (401, "authError"));
    assert_eq!(
        (&body["error"]["status"], &body["error"]["errors"][0]["location"]),
        (&json!("UNAUTHENTICATED"), &json!("Authorization"))
    );
    assert!(field(&answer, "www-authenticate").ends_with(r#"error="invalid_token""#));

    drive.token = drive.token_of(1, "openid email").await;
    let answer = drive.send(drive.request(Method::GET, &path)).await;
    let body = value(&answer);
    assert_eq!((answer.status, reason(&body)), (403, "insufficientPermissions"));
    assert_eq!(body["error"]["details"][0]["reason"], "ACCESS_TOKEN_SCOPE_INSUFFICIENT");
    assert!(field(&answer, "www-authenticate").contains("insufficient_scope"));

    drive.token = drive.token_of(2, "https://www.googleapis.com/auth/drive.appfolder").await;
    assert_eq!(drive.get(&path).await.0, 200, "the older name of the scope");
}

#[actix_web::test]
async fn the_hidden_folder_has_no_trash_and_no_documents() {
    let drive = start().await;
    let id = drive.app_data().put("a", "x").expect("room");
    let (status, body) = drive.update(&id, "", &json!({ "trashed": true })).await;
    assert_eq!((status, reason(&body)), (403, "notSupportedForAppDataFolderFiles"));
    let message = "Method not supported for files within the Application Data folder.";
    assert_eq!(body["error"]["message"], message);
    let document =
        json!({ "mimeType": "application/vnd.google-apps.document", "parents": ["appDataFolder"] });
    assert_eq!(reason(&drive.create("", &document).await.1), "notSupportedForAppDataFolderFiles");
    assert_eq!(reason(&drive.create("", &json!({ "name": "a" })).await.1), "insufficientParentPermissions");
    let (status, body) = drive.create("", &json!({ "parents": ["nowhere"] })).await;
    assert_eq!((status, &body["error"]["message"]), (404, &json!("File not found: nowhere.")));
    assert_eq!(drive.app_data().files().len(), 1);
}

#[actix_web::test]
async fn a_full_storage_takes_nothing_more() {
    let drive = start().await;
    let (world, sub) = (&drive.emulator.world, &drive.seeded.people[0].sub);
    let id = drive.app_data().put("a", bytes(600)).expect("room");
    world.set_drive_quota(sub, Some(1000));
    let about = "/drive/v3/about?fields=storageQuota,user(emailAddress,permissionId),maxUploadSize";
    let (_, said) = drive.get(about).await;
    let quota = json!({ "limit": "1000", "usage": "600", "usageInDrive": "600", "usageInDriveTrash": "0" });
    assert_eq!((&said["storageQuota"], &said["maxUploadSize"]), (&quota, &json!("5497558138880")));
    assert_eq!(said["user"]["emailAddress"], "alice@example.org");
    let (status, body) = drive.get("/drive/v3/about").await;
    assert_eq!((status, reason(&body)), (400, "required"));
    assert_eq!(body["error"]["message"], "The 'fields' parameter is required for this method.");

    let metadata = json!({ "name": "b", "parents": ["appDataFolder"] });
    let (status, body) = seen(&drive.send(drive.multipart(None, &metadata, &bytes(401))).await);
    assert_eq!((status, reason(&body)), (403, "storageQuotaExceeded"));
    let start = drive.request(Method::POST, &format!("{UPLOAD}?uploadType=resumable")).json(&metadata);
    let (status, body) = seen(&drive.send(start.header("X-Upload-Content-Length", 401)).await);
    assert_eq!((status, reason(&body)), (403, "storageQuotaExceeded"));
    let address = drive.begin("b", None).await;
    let answer = drive.put(&address, None, &bytes(401)).await.expect("an answer");
    assert_eq!((answer.status, reason(&value(&answer))), (403, "storageQuotaExceeded"));
    // What replaces content needs only the difference.
    assert_eq!(drive.send(drive.multipart(Some(&id), &json!({}), &bytes(1000))).await.status, 200);
    world.set_drive_quota(sub, None);
    let (_, said) = drive.get(about).await;
    assert_eq!(said["storageQuota"].get("limit"), None);
    assert_eq!(drive.send(drive.multipart(None, &metadata, &bytes(401))).await.status, 200);
}
