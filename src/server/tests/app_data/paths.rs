//! What a path may be made of, byte by byte: client libraries tidy up what is tried here.

use super::raw::exchange;
use super::{stage, status_and_code};

#[tokio::test]
async fn tricks_with_paths_are_refused_with_the_rule() {
    let s = stage().await;
    s.theirs.put("secret", "1").expect("made");
    for (path, rule) in [
        ("/", "empty"),
        ("/../secret", "dots"),
        ("/a/../secret", "dots"),
        ("/a/%2e%2e/secret", "dots"),
        ("/a/.%2E/secret", "dots"),
        ("/./secret", "dots"),
        ("//secret", "empty_name"),
        ("/a//b", "empty_name"),
        ("/secret/", "empty_name"),
        ("/a%2Fb", "slash_in_name"),
        ("/..%2Fsecret", "slash_in_name"),
        ("/a%00", "control_character"),
        ("/a%0d%0ax:y", "control_character"),
        ("/a%C2%85", "control_character"),
        ("/%FF", "encoding"),
        ("/%C0%AE%C0%AE", "encoding"),
        ("/%", "encoding"),
        ("/a%2", "encoding"),
        (&format!("/{}", "a".repeat(256)), "name_too_long"),
        (&format!("/{}", vec!["a".repeat(250); 5].join("/")), "path_too_long"),
        (&format!("/{}", vec!["a"; 33].join("/")), "too_deep"),
    ] {
        for method in ["GET", "PUT", "DELETE"] {
            let answer = exchange(&s, method, path, "").await;
            assert!(answer.starts_with("HTTP/1.1 400"), "{method} {path}: {answer}");
            assert!(answer.contains("\"code\":\"path_invalid\""), "{method} {path}: {answer}");
            assert!(answer.contains(&format!("\"rule\":\"{rule}\"")), "{method} {path}: {answer}");
            assert!(!answer.to_lowercase().contains("\nx:y"), "{answer}");
        }
    }
    let files: Vec<_> = s.theirs.files().into_iter().map(|file| file.path).collect();
    assert_eq!(files, ["secret"]);
    assert_eq!(s.site.emulator.world.drive_counts().requests(), 0, "nothing of this comes to Drive");
}

#[tokio::test]
async fn names_are_taken_as_they_are() {
    let s = stage().await;
    for (path, name) in [
        ("/a%2520b", "a%20b"),
        ("/%252e%252e", "%2e%2e"),
        ("/it's%20%22quoted%22", "it's \"quoted\""),
        ("/back%5Cslash", "back\\slash"),
        ("/a+b", "a+b"),
        ("/q%3Fa=1%23f", "q?a=1#f"),
        ("/%E2%80%AEevil", "\u{202e}evil"),
        ("/e%CC%81", "e\u{301}"),
        ("/...", "..."),
        ("/app-data", "app-data"),
    ] {
        assert_eq!(s.put(path, "x").await.json["entry"]["path"], name, "{path}");
        assert_eq!(s.theirs.read(name).expect(name), "x");
        let composed = s.get("/%C3%A9").await;
        assert_eq!(status_and_code(&composed), (404, "file_not_found"), "nothing is normalised");
        assert_eq!(s.send(s.ask("DELETE", path)).await.status, 204, "{path}");
    }
    assert!(s.theirs.files().is_empty());
}
