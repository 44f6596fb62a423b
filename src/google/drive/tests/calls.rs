//! Lists and changes, tokens and repeats.

use super::*;
use crate::google::Outage;
use crate::google::drive::{ChangesEnd, Move, PageToken, Patience};

#[tokio::test]
async fn a_list_asks_for_app_data_only_and_goes_on_with_its_token() {
    let first = format!(r#"{{"files":[{}],"nextPageToken":"a&b=c"}}"#, described(b"x", "r1"));
    let (drive, server, tokens) = scripted(vec![ok(&first), ok(r#"{"files":[]}"#)]).await;
    let page = drive.list(&tokens, None).await.expect("a page");
    assert_eq!(page.items[0].id, id("f1"));
    let end = drive.list(&tokens, page.next.as_ref()).await.expect("the last page");
    assert!(end.items.is_empty() && end.next.is_none());
    let lines = lines(&server);
    assert!(
        lines[0].starts_with("GET /drive/v3/files?spaces=appDataFolder&pageSize=1000&fields="),
        "{lines:?}"
    );
    assert!(lines[1].contains("&pageToken=a%26b%3Dc "), "{lines:?}");
    assert_eq!(field(&server.requests()[0], "authorization").as_deref(), Some("Bearer t1"));
    assert_eq!(tokens.units(), 200);
}

#[tokio::test]
async fn a_search_escapes_the_name_and_takes_exact_ones_only() {
    let file = described(b"x", "r1");
    let other = file.replace(r#""f1""#, r#""f2""#).replace(r#""name":"name""#, r#""name":"NAME""#);
    let (drive, server, tokens) = scripted(vec![ok(&format!(r#"{{"files":[{file},{other}]}}"#))]).await;
    let found = drive.find(&tokens, "name", &id("top")).await.expect("a list");
    assert_eq!(found.iter().map(|file| file.id.as_str()).collect::<Vec<_>>(), ["f1"]);
    assert!(
        lines(&server)[0].contains("q=name+%3D+%27name%27+and+%27top%27+in+parents"),
        "{:?}",
        lines(&server)
    );
}

#[tokio::test]
async fn changes_end_or_are_refused() {
    let page = r#"{"changes":[{"changeType":"file","fileId":"f1","removed":true}],"newStartPageToken":"9"}"#;
    let (drive, _server, tokens) =
        scripted(vec![ok(page), refused(400, "invalid"), refused(400, "invalid")]).await;
    let from = PageToken("7".to_owned());
    let page = drive.changes(&tokens, &from).await.expect("a page");
    assert_eq!(page.end, ChangesEnd::Done(PageToken("9".to_owned())));
    assert_eq!(page.changes[0].file, None);
    assert_eq!(failure(drive.changes(&tokens, &from).await), DriveError::PageTokenRefused);
    assert_eq!(failure(drive.list(&tokens, Some(&from)).await), DriveError::PageTokenRefused);
}

#[tokio::test]
async fn the_small_questions() {
    let quota = r#"{"storageQuota":{"limit":"100","usage":"7","usageInDrive":"5"}}"#;
    let root = r#"{"id":"0Real","name":"Application Data","mimeType":"application/vnd.google-apps.folder"}"#;
    let steps = vec![ok(root), ok(r#"{"ids":["a","b"]}"#), ok(r#"{"startPageToken":"42"}"#), ok(quota)];
    let (drive, server, tokens) = scripted(steps).await;
    assert_eq!(drive.root(&tokens).await, Ok(id("0Real")));
    assert_eq!(drive.generate_ids(&tokens, 2).await, Ok(vec![id("a"), id("b")]));
    assert_eq!(drive.start_page_token(&tokens).await, Ok(PageToken("42".to_owned())));
    assert_eq!(drive.quota(&tokens).await.expect("a quota").limit, Some(100));
    let lines = lines(&server);
    assert!(lines[0].starts_with("GET /drive/v3/files/appDataFolder?fields="), "{lines:?}");
    assert!(lines[1].contains("count=2&space=appDataFolder"), "{lines:?}");
    assert!(lines[3].contains("fields="), "about refuses to answer without: {lines:?}");
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let (drive, server, tokens) = scripted(vec![refused(401, "authError"), ok(r#"{"ids":["a"]}"#)]).await;
    drive.generate_ids(&tokens, 1).await.expect("the second token is good");
    assert_eq!(*tokens.refused.lock().expect("not poisoned"), ["t1"]);
    assert_eq!(field(&server.requests()[1], "authorization").as_deref(), Some("Bearer t2"));

    let (drive, server, tokens) = scripted(vec![refused(401, "authError"), refused(401, "authError")]).await;
    assert_eq!(failure(drive.generate_ids(&tokens, 1).await), DriveError::TokenRefused);
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn what_a_moment_may_cure_is_asked_again() {
    let good = || ok(r#"{"startPageToken":"1"}"#);
    for step in [
        refused(403, "userRateLimitExceeded"),
        refused(429, "rateLimitExceeded"),
        answer(503, &[("retry-after", "3")], "<html>"),
        answer(404, &[], "<html>a proxy's"),
        broken(),
        ok(r#"{"startPage"#).cut(),
    ] {
        let (drive, server, tokens) = scripted(vec![step, good()]).await;
        drive.start_page_token(&tokens).await.expect("the second answer");
        assert_eq!(server.requests().len(), 2);
    }
}

#[tokio::test]
async fn what_no_moment_cures_is_not_asked_again() {
    for (step, error) in [
        (refused(403, "dailyLimitExceeded"), DriveError::DailyLimit),
        (refused(403, "storageQuotaExceeded"), DriveError::StorageFull),
        (refused(404, "notFound"), DriveError::NotFound),
        (ok("{}"), DriveError::NotAnAnswer),
    ] {
        let (drive, server, tokens) = scripted(vec![step, ok(r#"{"startPageToken":"1"}"#)]).await;
        assert_eq!(failure(drive.start_page_token(&tokens).await), error);
        assert_eq!(server.requests().len(), 1, "{error}");
    }
    let late = answer(503, &[("retry-after", "60")], "");
    let (drive, server, tokens) = scripted(vec![late, ok("{}")]).await;
    let DriveError::Unavailable { retry_after, .. } = failure(drive.start_page_token(&tokens).await) else {
        panic!("an outage");
    };
    assert_eq!(retry_after.map(|wait| wait.as_secs()), Some(60));
    assert_eq!(server.requests().len(), 1, "nobody who waits is kept waiting for a minute");
}

#[tokio::test]
async fn patience_has_an_end() {
    for (patience, attempts) in [(Patience::Caller, 5), (Patience::Background, 9)] {
        let steps = (0..12).map(|_| answer(500, &[], "")).collect();
        let (drive, server, tokens) = scripted(steps).await;
        let drive = drive.with_patience(patience);
        let error = failure(drive.start_page_token(&tokens).await);
        assert_eq!(error, DriveError::Unavailable { retry_after: None, what: Outage::ServerError(500) });
        assert!((attempts - 1..=attempts).contains(&server.requests().len()), "{patience:?}");
    }
}

#[tokio::test]
async fn a_repeated_change_finds_its_own_work() {
    let (drive, _server, tokens) = scripted(vec![broken(), refused(404, "notFound")]).await;
    assert_eq!(drive.delete(&tokens, &id("f1")).await, Ok(()), "the lost answer was a yes");
    let (drive, _server, tokens) = scripted(vec![refused(404, "notFound")]).await;
    assert_eq!(failure(drive.delete(&tokens, &id("f1")).await), DriveError::NotFound);

    let moved = described(b"x", "r1").replace(r#"["top"]"#, r#"["new"]"#);
    let steps = vec![answer(500, &[], ""), refused(404, "notFound"), ok(&moved)];
    let (drive, server, tokens) = scripted(steps).await;
    let (from, to) = (id("top"), id("new"));
    let way = Move { from: &from, to: &to };
    let there = drive.relocate(&tokens, &id("f1"), Some("name"), Some(way)).await.expect("moved");
    assert_eq!(there.parent, Some(to.clone()));
    assert!(lines(&server)[0].contains("&addParents=new&removeParents=top"), "{:?}", lines(&server));

    let folder =
        r#"{"id":"d1","name":"dir","parents":["top"],"mimeType":"application/vnd.google-apps.folder"}"#;
    let (drive, _server, tokens) = scripted(vec![broken(), refused(409, "fileIdInUse"), ok(folder)]).await;
    drive.create_folder(&tokens, &id("d1"), "dir", &id("top")).await.expect("made by the first attempt");
    let (drive, _server, tokens) = scripted(vec![refused(409, "fileIdInUse"), ok(folder)]).await;
    let other = drive.create_folder(&tokens, &id("d1"), "other", &id("top")).await;
    assert_eq!(failure(other), DriveError::IdInUse);
}

#[tokio::test]
async fn no_token_no_call() {
    let (drive, server, tokens) = scripted(vec![]).await;
    tokens.refused.lock().expect("not poisoned").extend((0..4).map(|n| n.to_string()));
    assert_eq!(drive.root(&tokens).await, Err(CallError::Token(Dry)));
    assert!(server.requests().is_empty());
}
