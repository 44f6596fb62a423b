//! The changes feed, and two devices on it.

use super::*;

async fn start_token(drive: &Drive) -> String {
    let (_, body) = drive.get("/drive/v3/changes/startPageToken").await;
    assert_eq!(body["kind"], "drive#startPageToken");
    body["startPageToken"].as_str().expect("a token").to_owned()
}

async fn changes(drive: &Drive, token: &str, more: &str) -> Value {
    let (status, body) = drive.get(&format!("/drive/v3/changes?pageToken={token}{more}")).await;
    assert_eq!(status, 200, "{body}");
    body
}

#[actix_web::test]
async fn changes_are_a_set_of_files_in_their_latest_state() {
    let drive = start().await;
    let app_data = drive.app_data();
    app_data.put("before", "x").expect("room");
    let token = start_token(&drive).await;
    let a = app_data.put("a", "1").expect("room");
    app_data.put("gone", "1").expect("room");
    app_data.put("a", "2").expect("room");
    app_data.rename("a", "b").expect("there");
    assert!(app_data.remove("gone"));

    let space = "&spaces=appDataFolder";
    let first = changes(&drive, &token, &format!("{space}&pageSize=1")).await;
    assert_eq!(first["changes"][0]["fileId"], a.as_str());
    assert_eq!(first["changes"][0]["file"]["name"], "b");
    assert_eq!(first["changes"][0]["removed"], false);
    assert_eq!(first.get("newStartPageToken"), None);
    let next = first["nextPageToken"].as_str().expect("more");
    let second = changes(&drive, next, &format!("{space}&pageSize=1&fields=*")).await;
    assert_eq!(second["changes"][0]["removed"], true);
    assert_eq!((second["changes"][0].get("file"), second.get("nextPageToken")), (None, None));
    let end = second["newStartPageToken"].as_str().expect("the end");
    let quiet = changes(&drive, end, space).await;
    assert_eq!((&quiet["changes"], &quiet["newStartPageToken"]), (&json!([]), &json!(end)));

    let elsewhere = changes(&drive, &token, "").await;
    assert_eq!(elsewhere["changes"], json!([]), "app data is told only where it is asked for");
    let hidden = changes(&drive, &token, &format!("{space}&restrictToMyDrive=true")).await;
    assert_eq!(hidden["changes"], json!([]));
    let kept = changes(&drive, &token, &format!("{space}&includeRemoved=false&fields=changes/removed")).await;
    assert_eq!(kept, json!({ "changes": [{ "removed": false }] }));
}

#[actix_web::test]
async fn refused_tokens_ask_for_a_new_start() {
    let drive = start().await;
    let token = start_token(&drive).await;
    let (status, body) = drive.get("/drive/v3/changes?spaces=appDataFolder").await;
    assert_eq!((status, reason(&body)), (400, "required"));
    drive.app_data().refuse_page_tokens();
    let (status, body) =
        drive.get(&format!("/drive/v3/changes?spaces=appDataFolder&pageToken={token}")).await;
    assert_eq!((status, reason(&body)), (400, "invalid"));
    assert_eq!(body["error"]["errors"][0]["location"], "pageToken");
    let token = start_token(&drive).await;
    assert_eq!(changes(&drive, &token, "").await["newStartPageToken"], token.as_str());
}

#[actix_web::test]
async fn erased_app_data_has_a_new_top_folder() {
    let drive = start().await;
    let app_data = drive.app_data();
    app_data.put("a/b", "x").expect("room");
    let (token, root) = (start_token(&drive).await, app_data.root());
    let project = drive.seeded.web.client_id.project();
    drive.emulator.world.erase_app_data(&drive.seeded.people[0].sub, project);
    assert!(app_data.files().is_empty());
    assert_eq!(drive.get(&format!("{FILES}/{root}")).await.0, 404);
    let (_, now) = drive.get(&format!("{FILES}/appDataFolder")).await;
    assert_ne!(now["id"], root.as_str());
    let feed = changes(&drive, &token, "&spaces=appDataFolder").await;
    let removed: Vec<_> =
        feed["changes"].as_array().expect("changes").iter().map(|c| &c["removed"]).collect();
    assert_eq!(removed, [true, true]);
}

#[actix_web::test]
async fn everybody_has_their_own() {
    let mut drive = start().await;
    drive.app_data().put("a", "x").expect("room");
    let list = format!("{FILES}?spaces=appDataFolder");
    assert_eq!(names(&drive.get(&list).await.1), ["a"]);
    drive.token = drive.token_of(1, SCOPE).await;
    assert!(names(&drive.get(&list).await.1).is_empty());
}
