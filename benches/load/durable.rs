//! The least an exchange can be: the same call upstream, the signature of the ID token, one durable row.
//! No vault (nothing is sealed, checked or found again), no session, no limits, no metrics.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use actix_web::{App, HttpResponse, HttpServer, web};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use locum::outbound::{Limits, Outbound};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::bare;

type Row = (web::Bytes, oneshot::Sender<()>);

/// `POST /` asks the provider, checks who signed in, and answers once the tokens are on disk.
pub async fn post(provider: String, directory: &Path) -> std::io::Result<()> {
    locum::jwt::install();
    let outbound = Outbound::new(Limits::default());
    let certs = get(&outbound, format!("http://{provider}/certs")).await?;
    let keys: JwkSet = serde_json::from_slice(&certs)?;
    let key = keys.keys.first().ok_or(std::io::ErrorKind::InvalidData)?;
    let key = DecodingKey::from_jwk(key).map_err(std::io::Error::other)?;
    let rows = writer(directory)?;
    let listener = bare::listen()?;
    let address = listener.local_addr()?;
    let server = HttpServer::new(move || {
        let (outbound, key, rows) = (outbound.clone(), key.clone(), rows.clone());
        let endpoint = format!("http://{provider}/token");
        App::new().route(
            "/",
            web::post().to(move |body: web::Bytes| {
                let (outbound, key, rows) = (outbound.clone(), key.clone(), rows.clone());
                let endpoint = endpoint.clone();
                async move {
                    match exchange(&outbound, endpoint, body, &key, &rows).await {
                        Some(answer) => HttpResponse::Ok().content_type("application/json").body(answer),
                        None => HttpResponse::BadGateway().finish(),
                    }
                }
            }),
        )
    })
    .workers(bare::WORKERS)
    .listen(listener)?
    .run();
    bare::ready(address, "");
    server.await
}

async fn get(outbound: &Outbound, url: String) -> std::io::Result<Vec<u8>> {
    let client = outbound.client().map_err(std::io::Error::other)?;
    let answer = outbound.send(client.get(url)).await.map_err(std::io::Error::other)?;
    Ok(answer.body.to_vec())
}

async fn exchange(
    outbound: &Outbound,
    endpoint: String,
    body: web::Bytes,
    key: &DecodingKey,
    rows: &SyncSender<Row>,
) -> Option<web::Bytes> {
    #[derive(serde::Deserialize)]
    struct Tokens<'a> {
        id_token: &'a str,
    }
    #[derive(serde::Deserialize)]
    struct Claims {
        #[expect(dead_code, reason = "what an exchange reads first")]
        sub: String,
    }
    let client = outbound.client().ok()?;
    let request = client.post(endpoint).header("content-type", "application/x-www-form-urlencoded");
    let answer = outbound.send(request.body(body)).await.ok()?;
    let tokens: Tokens<'_> = serde_json::from_slice(&answer.body).ok()?;
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_audience(&[bare::CLIENT_ID]);
    jsonwebtoken::decode::<Claims>(tokens.id_token, key, &validation).ok()?;
    let (written, on_disk) = oneshot::channel();
    let answer = web::Bytes::copy_from_slice(&answer.body);
    rows.try_send((answer.clone(), written)).ok()?;
    on_disk.await.ok()?;
    Some(answer)
}

/// A thread that commits together what has queued up.
fn writer(directory: &Path) -> std::io::Result<SyncSender<Row>> {
    let conn = Connection::open(directory.join("rows.db")).map_err(std::io::Error::other)?;
    conn.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 8192;
         CREATE TABLE rows (id INTEGER PRIMARY KEY, answer BLOB NOT NULL) STRICT;",
    )
    .map_err(std::io::Error::other)?;
    let (sender, queue) = sync_channel(4096);
    std::thread::Builder::new().name("writer".into()).spawn(move || write(&conn, &queue))?;
    Ok(sender)
}

fn write(conn: &Connection, queue: &Receiver<Row>) {
    while let Ok(first) = queue.recv() {
        let group: Vec<Row> = std::iter::once(first).chain(queue.try_iter()).collect();
        let commit = || {
            conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
            let mut insert = conn.prepare_cached("INSERT INTO rows (answer) VALUES (?)")?;
            for (answer, _) in &group {
                insert.execute([&**answer])?;
            }
            conn.prepare_cached("COMMIT")?.execute([])
        };
        if commit().is_err() {
            return;
        }
        for (_, written) in group {
            let _ = written.send(());
        }
    }
}
