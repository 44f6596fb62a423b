//! The owner's routes and the other two listeners.

use serde_json::json;

use super::super::routes;
use super::site::Site;
use crate::api_keys::Action;
use crate::secret::SecretKey;
use crate::vault::{RootSecret, Vault};

#[tokio::test]
async fn the_owner_needs_no_key_on_the_admin_socket() {
    let site = Site::start().await;
    site.connect(site.alice()).await;
    let status = site.send(site.as_owner("GET", "/v1/status")).await;
    assert_eq!(status.status, 200, "{}", status.text);
    let parsed: routes::Status = serde_json::from_value(status.json).expect("what commands read");
    assert_eq!((parsed.users, parsed.grants[0].count, parsed.grants[0].state.as_str()), (1, 1, "active"));
    assert!(parsed.google.keys_loaded && !parsed.vault.failed && parsed.clients[0].paused.is_none());
    let token = site.send(site.as_owner("GET", &format!("/v1/users/{}/token", site.alice().email))).await;
    assert_eq!(token.status, 200, "{}", token.text);
}

#[tokio::test]
async fn a_backup_is_streamed_whole_and_leaves_nothing_behind() {
    let site = Site::start().await;
    site.connect(site.alice()).await;
    let reply = site.send(site.as_owner("POST", "/v1/vault/backup")).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let facts: serde_json::Value = serde_json::from_str(reply.header("locum-backup")).expect("JSON");
    assert_eq!((&facts["users"], &facts["grants"]), (&json!(1), &json!(1)));
    assert_eq!(facts["root_id"], site.state.vault.root_id().to_string());
    assert_eq!(facts["size"].to_string(), reply.header("content-length"));

    let raw = site.outbound_bytes("/v1/vault/backup").await;
    assert!(raw.starts_with(b"SQLite format 3\0"));
    let copy = site.dir.path().join("copy.db");
    std::fs::write(&copy, &raw).expect("written");
    let root = RootSecret::Key(SecretKey::new([0x5a; 32]));
    let restored = Vault::restore(&copy, &site.dir.path().join("restored").join("locum.db"), &root);
    assert_eq!(restored.expect("a good backup").users, 1);
    let left: Vec<_> = std::fs::read_dir(site.dir.path())
        .expect("the directory")
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().contains(".backup-"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn copies_left_by_a_crash_are_removed_and_nothing_else() {
    let directory = tempfile::tempdir().expect("a directory");
    let names = ["locum.db", "locum.db-wal", "locum.db.backup-17", "other.db.backup-1", "locum.db.bak"];
    for name in names {
        std::fs::write(directory.path().join(name), b"x").expect("written");
    }
    routes::remove_leftovers(&directory.path().join("locum.db"));
    let left = names.map(|name| directory.path().join(name).exists());
    assert_eq!(left, [true, true, false, true, true]);
}

#[tokio::test]
async fn the_metrics_listener_knows_metrics_and_health_only() {
    let site = Site::start().await;
    site.connect(site.alice()).await;
    let address = site.server.as_ref().and_then(|server| server.metrics_address).expect("a listener");
    let ask = async |path: &str| site.send(site.absolute(&format!("http://{address}{path}"))).await;
    let metrics = ask("/metrics").await;
    assert_eq!(metrics.status, 200);
    assert!(metrics.header("content-type").starts_with("text/plain"));
    for line in [
        r#"locum_grants{state="active",cause="",client="main"} 1"#,
        r#"locum_exchanges_total{outcome="connected"} 1"#,
        r#"locum_http_requests_total{route="/v1/exchange",status="2xx"} 1"#,
        r#"locum_client_paused{client="main"} 0"#,
        "locum_vault_failed 0",
    ] {
        assert!(metrics.text.lines().any(|found| found == line), "{line}\n{}", metrics.text);
    }
    assert!(!metrics.text.contains(site.alice().email.as_str()));
    assert_eq!(ask("/healthz").await.status, 200);
    for path in ["/v1/users", "/v1/keys", "/v1/status"] {
        assert_eq!(ask(path).await.code(), "not_found", "{path}");
    }
    // Elsewhere it takes a key, whose use the table test checks.
    let key = site.key(&[Action::MetricsRead]).await;
    assert_eq!(site.send(site.get("/metrics").bearer_auth(&key)).await.status, 200);
}

#[tokio::test]
async fn ready_means_that_codes_can_be_exchanged() {
    let site = Site::start().await;
    let ready = site.send(site.get("/readyz")).await;
    assert_eq!((ready.status, ready.code()), (503, "google_keys_unavailable"));
    assert_eq!(site.send(site.get("/healthz")).await.json["status"], "ok");
    site.state.provider.refetch_step().await;
    assert_eq!(site.send(site.get("/readyz")).await.status, 200);
    assert_eq!(site.send(site.request("HEAD", "/readyz")).await.status, 200);
}

#[tokio::test]
async fn a_listener_open_to_strangers_is_not_used() {
    use std::net::TcpListener;
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::net::UnixListener;

    use super::super::{Listener, Listeners, Server};

    let site = Site::start().await;
    let public = || Some(Listener::Tcp(TcpListener::bind("127.0.0.1:0").expect("a free port")));
    let path = site.dir.path().join("open.sock");
    let open = UnixListener::bind(&path).expect("a socket");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).expect("ours");
    let everywhere = TcpListener::bind("0.0.0.0:0").expect("a free port");
    for listeners in [
        Listeners { public: public(), admin: Some(open), metrics: None },
        Listeners { public: public(), admin: None, metrics: Some(everywhere) },
    ] {
        let refused = Server::start(site.state.clone(), listeners).expect_err("open to strangers");
        assert_eq!(refused.kind(), std::io::ErrorKind::PermissionDenied);
    }
}

#[tokio::test]
async fn a_public_unix_socket_makes_nobody_the_owner() {
    use std::os::unix::net::UnixListener;

    use super::super::{Listener, Listeners, Server};

    let site = Site::start().await;
    let path = site.dir.path().join("public.sock");
    let public = Some(Listener::Unix(UnixListener::bind(&path).expect("a socket")));
    let listeners = Listeners { public, admin: None, metrics: None };
    let server = Server::start(site.state.clone(), listeners).expect("a server");
    assert_eq!(server.address, None);
    let alive = site.send(site.through(&path, "GET", "/healthz")).await;
    assert_eq!(alive.status, 200);
    let keys = site.send(site.through(&path, "GET", "/v1/keys")).await;
    assert_eq!((keys.status, keys.code()), (401, "credentials_missing"));
}
