//! The changes feed, and what Drive says about a person.

use serde_json::{Value, json};

use super::calls::{Call, Outcome, answer};
use super::refusal::Refused;
use super::schema;
use super::times;

/// 5 TB, the largest upload.
const MAX_UPLOAD: u64 = 5_497_558_138_880;

/// `GET /drive/v3/changes/startPageToken`.
pub(super) fn start_token(call: &Call) -> Outcome {
    let mask = call.mask(&schema::START_TOKEN, "*")?;
    let token = call.on_store(|store| Ok(store.feed.token()))?;
    Ok(answer(&mask, &json!({ "kind": "drive#startPageToken", "startPageToken": token })))
}

/// `GET /drive/v3/changes`: without `spaces=appDataFolder` nothing of the app data is in it.
pub(super) fn changes(call: &Call) -> Outcome {
    let mask = call.mask(&schema::CHANGE_LIST, schema::CHANGE_LIST_DEFAULT)?;
    let token = call.query.filled("pageToken").ok_or_else(|| Refused::required("pageToken"))?;
    let size = call.number("pageSize", 100)?;
    let app_data = call.wants_app_data("spaces")? && !call.flag("restrictToMyDrive", false)?;
    let include_removed = call.flag("includeRemoved", true)?;
    let body = call.on_store(|store| {
        let page = store.feed.page(token, size)?;
        if !app_data {
            return Ok(json!({
                "kind": "drive#changeList", "newStartPageToken": store.feed.token(), "changes": [],
            }));
        }
        let shown = |(id, time): &(std::sync::Arc<str>, crate::clock::Timestamp)| {
            let file = store.known(id);
            (file.is_some() || include_removed).then(|| {
                let mut change = json!({
                    "kind": "drive#change",
                    "type": "file",
                    "changeType": "file",
                    "time": times::text(time.unix() * 1000),
                    "removed": file.is_none(),
                    "fileId": &**id,
                });
                if let Some(file) = file {
                    change["file"] = file.shown();
                }
                change
            })
        };
        let changes: Vec<Value> = page.changes.iter().filter_map(shown).collect();
        let mut body = json!({ "kind": "drive#changeList", "changes": changes });
        let name = if page.is_last { "newStartPageToken" } else { "nextPageToken" };
        body[name] = page.next.to_string().into();
        Ok(body)
    })?;
    Ok(answer(&mask, &body))
}

/// `GET /drive/v3/about`.
pub(super) fn about(call: &Call) -> Outcome {
    let (person, owner) = call.person()?;
    let Some(fields) = call.query.filled("fields") else {
        return Err(Refused {
            message: Some("The 'fields' parameter is required for this method.".to_owned()),
            ..Refused::required("fields")
        });
    };
    let mask = super::fields::Mask::parse(fields, &schema::ABOUT)?;
    let (usage, limit) = {
        let state = call.world.state();
        (state.drive.usage(&owner.sub), state.drive.quotas.get(&owner.sub).copied())
    };
    let mut body = json!({
        "kind": "drive#about",
        "user": {
            "kind": "drive#user",
            "displayName": person.name,
            "photoLink": person.picture,
            "me": true,
            // The number of the account, which is not the `sub`.
            "permissionId": person.sub.as_str().chars().rev().collect::<String>(),
            "emailAddress": person.email,
        },
        "storageQuota": { "usage": usage.to_string(), "usageInDrive": usage.to_string(), "usageInDriveTrash": "0" },
        "maxUploadSize": MAX_UPLOAD.to_string(),
        "appInstalled": false,
        "canCreateDrives": false,
    });
    if let Some(limit) = limit {
        body["storageQuota"]["limit"] = limit.to_string().into();
    }
    Ok(answer(&mask, &body))
}
