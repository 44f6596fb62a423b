//! Metadata: folders, names, listings, masks, ids, moves.

use super::*;

#[actix_web::test]
async fn the_top_folder_has_a_real_id_and_two_aliases() {
    let drive = start().await;
    let root = drive.app_data().root();
    for alias in ["appDataFolder", "appfolder", root.as_str()] {
        let (status, folder) = drive.get(&format!("{FILES}/{alias}")).await;
        let expected = json!({ "kind": "drive#file", "id": root, "name": "AppData",
            "mimeType": "application/vnd.google-apps.folder" });
        assert_eq!((status, folder), (200, expected));
    }
    let (status, refused) = drive.delete("appDataFolder").await;
    assert_eq!((status, reason(&refused)), (403, "insufficientFilePermissions"));
    let (status, refused) = drive.update(&root, "", &json!({ "name": "x" })).await;
    assert_eq!((status, reason(&refused)), (403, "insufficientFilePermissions"));
}

#[actix_web::test]
async fn files_and_folders_are_made_listed_changed_and_deleted() {
    let drive = start().await;
    let folder = json!({ "name": "saves", "mimeType": "application/vnd.google-apps.folder", "parents": ["appDataFolder"] });
    let (status, folder) = drive.create("?fields=id,parents,size", &folder).await;
    assert_eq!((status, &folder["parents"]), (200, &json!([drive.app_data().root()])));
    assert_eq!(folder.get("size"), None);
    let metadata = json!({ "name": "a.json", "parents": [folder["id"]], "mimeType": "application/json",
        "modifiedTime": "2026-01-02T03:04:05.678Z", "appProperties": { "gen": "1" } });
    let (_, file) = drive.create("?fields=*", &metadata).await;
    assert_eq!(file["modifiedTime"], "2026-01-02T03:04:05.678Z");
    assert_eq!((&file["size"], &file["version"]), (&json!("0"), &json!("1")));
    assert_eq!(file["md5Checksum"], "d41d8cd98f00b204e9800998ecf8427e");
    assert_eq!((&file["spaces"], &file["appProperties"]["gen"]), (&json!(["appDataFolder"]), &json!("1")));
    let id = file["id"].as_str().expect("an id");

    let change = json!({ "name": "b.json", "appProperties": { "gen": null, "by": "me" } });
    let (_, changed) =
        drive.update(id, "?fields=name,version,appProperties,modifiedTime,headRevisionId", &change).await;
    let expected = json!({ "name": "b.json", "version": "2", "appProperties": { "by": "me" },
        "modifiedTime": "2026-11-22T17:36:12.000Z", "headRevisionId": file["headRevisionId"] });
    assert_eq!(changed, expected);

    let (_, list) = drive.get(&format!("{FILES}?spaces=appDataFolder&orderBy=name")).await;
    assert_eq!(names(&list), ["b.json", "saves"]);
    assert_eq!((&list["kind"], &list["incompleteSearch"]), (&json!("drive#fileList"), &json!(false)));
    let keys: Vec<_> = list["files"][0].as_object().expect("a file").keys().collect();
    assert_eq!(keys, ["id", "kind", "mimeType", "name"]);
    let (_, elsewhere) = drive.get(FILES).await;
    assert!(names(&elsewhere).is_empty(), "app data is listed only where it is asked for");

    let answer = drive
        .send(drive.request(Method::DELETE, &format!("{FILES}/{}", folder["id"].as_str().expect("id"))))
        .await;
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    let (status, gone) = drive.get(&format!("{FILES}/{id}")).await;
    assert_eq!((status, reason(&gone)), (404, "notFound"));
    assert_eq!(gone["error"]["message"], format!("File not found: {id}."));
    assert!(drive.app_data().files().is_empty());
    assert_eq!(drive.emulator.world.drive_counts().requests(), 7);
}

#[actix_web::test]
async fn listings_have_pages_and_queries() {
    let drive = start().await;
    let app_data = drive.app_data();
    for n in 0..7 {
        app_data.put(&format!("n{n}"), "x").expect("room");
    }
    app_data.put("sub/it's", "x").expect("room");
    app_data.touch("n0", 1_000_007).expect("there");
    assert_eq!(app_data.file("n0").expect("there").modified_time(), "1970-01-01T00:16:40.007Z");
    let mut seen = Vec::new();
    let mut token = String::new();
    for _ in 0..4 {
        let path = format!(
            "{FILES}?spaces=appDataFolder&orderBy=name&pageSize=3&q='appDataFolder'+in+parents{token}"
        );
        let (_, list) = drive.get(&path).await;
        seen.extend(names(&list).into_iter().map(str::to_owned));
        match list["nextPageToken"].as_str() {
            Some(next) => token = format!("&pageToken={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ["n0", "n1", "n2", "n3", "n4", "n5", "n6", "sub"]);
    assert_eq!(drive.emulator.world.drive_counts().lists, 3);
    let query = "q=name+%3D+'it%5C's'+and+trashed+%3D+false&fields=files(name,parents)";
    let (_, list) = drive.get(&format!("{FILES}?spaces=appDataFolder&{query}")).await;
    let folder = app_data.file("sub").expect("a folder").id;
    assert_eq!(list, json!({ "files": [{ "name": "it's", "parents": [folder] }] }));
    for (wrong, location) in [
        ("pageSize=0", "pageSize"),
        ("pageSize=1001", "pageSize"),
        ("pageToken=x", "pageToken"),
        ("orderBy=size", "orderBy"),
        ("q=nonsense", "q"),
        ("fields=files(nonsense)", "fields"),
        ("spaces=moon", "spaces"),
    ] {
        let (status, body) = drive.get(&format!("{FILES}?{wrong}&spaces=appDataFolder")).await;
        assert_eq!((status, &body["error"]["errors"][0]["location"]), (400, &json!(location)), "{wrong}");
    }
}

#[actix_web::test]
async fn ids_come_first_and_serve_once() {
    let drive = start().await;
    let (_, made) = drive.get(&format!("{FILES}/generateIds?count=3&space=appDataFolder")).await;
    assert_eq!((&made["kind"], &made["space"]), (&json!("drive#generatedIds"), &json!("appDataFolder")));
    let ids: Vec<&str> = made["ids"].as_array().expect("ids").iter().filter_map(Value::as_str).collect();
    assert_eq!(ids.len(), 3);
    let metadata = |id: &str| json!({ "id": id, "name": "a", "parents": ["appDataFolder"] });
    assert_eq!(drive.create("", &metadata(ids[0])).await.1["id"], ids[0]);
    let (status, body) = drive.create("", &metadata(ids[0])).await;
    assert_eq!((status, reason(&body)), (409, "fileIdInUse"));
    assert_eq!(drive.delete(ids[0]).await.0, 204);
    assert_eq!(drive.create("", &metadata(ids[0])).await.0, 409, "an id is never used again");
    let (status, body) = drive.create("", &metadata("mine")).await;
    assert_eq!((status, reason(&body)), (400, "invalid"));
    let (_, elsewhere) = drive.get(&format!("{FILES}/generateIds?count=1")).await;
    let id = elsewhere["ids"][0].as_str().expect("an id");
    assert_eq!(drive.create("", &metadata(id)).await.0, 400, "made for another space");
    let (_, ten) = drive.get(&format!("{FILES}/generateIds")).await;
    assert_eq!(ten["ids"].as_array().map(Vec::len), Some(10));
    assert_eq!(drive.get(&format!("{FILES}/generateIds?count=1001")).await.0, 400);
}

#[actix_web::test]
async fn files_move_between_folders_and_keep_one_parent() {
    let drive = start().await;
    let app_data = drive.app_data();
    let file = app_data.put("a/f", "x").expect("room");
    let (a, root) = (app_data.folder("a").expect("room"), app_data.root());
    let inner = app_data.folder("a/inner").expect("room");
    let (status, body) = drive.update(&file, &format!("?addParents={inner}"), &json!({})).await;
    assert_eq!((status, reason(&body)), (403, "cannotAddParent"));
    let query = format!("?addParents={inner}&removeParents={a}&fields=parents,modifiedTime");
    drive.clock.advance(std::time::Duration::from_secs(60));
    let (status, moved) = drive.update(&file, &query, &json!({})).await;
    let expected = json!({ "parents": [inner], "modifiedTime": "2026-11-22T17:36:12.000Z" });
    assert_eq!((status, moved), (200, expected));
    assert_eq!(app_data.file("a/inner/f").map(|seen| seen.id).as_deref(), Some(file.as_str()));
    let (status, body) =
        drive.update(&a, &format!("?addParents={inner}&removeParents={root}"), &json!({})).await;
    assert_eq!((status, reason(&body)), (400, "invalid"), "a folder cannot go into itself");
    let (status, body) =
        drive.update(&a, &format!("?addParents={file}&removeParents={root}"), &json!({})).await;
    assert_eq!((status, reason(&body)), (403, "parentNotAFolder"));
    let (status, body) = drive.update(&file, "", &json!({ "parents": ["appDataFolder"] })).await;
    assert_eq!((status, reason(&body)), (403, "fieldNotWritable"));
}
