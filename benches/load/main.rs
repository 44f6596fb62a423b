//! Speed, as ratios within one run: locum beside bare programs on the same stack, on this machine.
//!
//! `cargo bench --bench load` runs everything with up to 100,000 grants; `-- --full` goes to 1,000,000;
//! `-- --smoke` makes a few hundred requests of each kind, to see that the instrument works; `-- --only reads`
//! and `-- --only exchanges` do half of it. Only
//! loopback is spoken to, and every run is bounded by its number of requests.

#![expect(
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    unreachable_pub,
    reason = "a stopwatch on the real clock is what this is; counts stay far below 2^52"
)]

mod bare;
mod child;
mod client;
mod durable;
mod locum_server;

use std::sync::Arc;

use child::Server;
use client::{Make, Run};

const CONNECTIONS: usize = 64;

struct Plan {
    reads: u64,
    cold_reads: u64,
    exchanges: u64,
    grants: Vec<u64>,
    rounds: usize,
}

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(role) = value(&arguments, "--role") {
        return actix_web::rt::System::new().block_on(play(role, &arguments));
    }
    let plan = if arguments.iter().any(|a| a == "--smoke") || cfg!(debug_assertions) {
        Plan { reads: 500, cold_reads: 500, exchanges: 200, grants: vec![100], rounds: 1 }
    } else if arguments.iter().any(|a| a == "--full") {
        Plan {
            reads: 400_000,
            cold_reads: 200_000,
            exchanges: 60_000,
            grants: vec![1_000, 100_000, 1_000_000],
            rounds: 3,
        }
    } else {
        Plan {
            reads: 300_000,
            cold_reads: 150_000,
            exchanges: 40_000,
            grants: vec![1_000, 100_000],
            rounds: 3,
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure(&plan, value(&arguments, "--only")))
}

async fn play(role: &str, arguments: &[String]) -> std::io::Result<()> {
    let argument = |name| value(arguments, name).unwrap_or_default().to_owned();
    match role {
        "json" => bare::json().await,
        "post" => bare::post(argument("--token-endpoint")).await,
        "durable" => durable::post(argument("--provider"), argument("--directory").as_ref()).await,
        "provider" => bare::provider().await,
        "locum" => {
            locum_server::serve(locum_server::Settings {
                directory: argument("--directory").into(),
                provider: argument("--provider"),
                grants: argument("--grants").parse().unwrap_or(0),
                cache_bytes: argument("--cache-bytes").parse().unwrap_or(16 << 20),
            })
            .await
        }
        other => Err(std::io::Error::other(format!("no role {other}"))),
    }
}

fn value<'a>(arguments: &'a [String], name: &str) -> Option<&'a str> {
    arguments.iter().position(|a| a == name).and_then(|at| arguments.get(at + 1)).map(String::as_str)
}

/// One measured run: requests a second and CPU for each.
#[derive(Clone, Copy)]
struct Figure {
    per_second: f64,
    cpu_micros: f64,
}

/// The best of several rounds: on a shared machine the noise only ever slows a run down.
async fn best(
    server: &Server,
    rounds: usize,
    requests: u64,
    offset: u64,
    make: &Make,
) -> std::io::Result<Figure> {
    let mut best = Figure { per_second: 0.0, cpu_micros: f64::MAX };
    for round in 0..rounds as u64 + 1 {
        let make = make.clone();
        let start = offset + round * requests;
        let numbered: Make = Arc::new(move |n| make(start + n));
        // The first round only warms up.
        let requests = if round == 0 { (requests / 10).max(CONNECTIONS as u64) } else { requests };
        let before = server.cpu();
        let run: Run = client::run(server.address, CONNECTIONS, requests, numbered).await?;
        if run.failures > 0 {
            return Err(std::io::Error::other(format!(
                "{} of {} requests failed",
                run.failures, run.requests
            )));
        }
        if round > 0 {
            let cpu_micros = (server.cpu() - before).as_secs_f64() * 1e6 / requests as f64;
            if run.per_second() > best.per_second {
                best = Figure { per_second: run.per_second(), cpu_micros };
            }
        }
    }
    Ok(best)
}

fn line(what: &str, figure: Figure, base: Option<Figure>) {
    let ratio = base.map_or(String::new(), |base| format!("{:>6.2}", figure.per_second / base.per_second));
    println!("{what:<58} {:>9.0}/s {:>7.1} µs CPU {ratio}", figure.per_second, figure.cpu_micros);
}

async fn measure(plan: &Plan, only: Option<&str>) -> std::io::Result<()> {
    println!("{CONNECTIONS} connections, {} workers; the ratio is to the bare program above", bare::WORKERS);
    let provider = Server::start("provider", &[])?;
    if only != Some("exchanges") {
        let json = Server::start("json", &[])?;
        let get: Make = Arc::new(|_| b"GET / HTTP/1.1\r\nhost: bench\r\n\r\n".to_vec());
        let bare_json = best(&json, plan.rounds, plan.reads, 0, &get).await?;
        println!();
        line("bare actix-web: one JSON answer", bare_json, None);
        drop(json);
        for grants in &plan.grants {
            reads(plan, *grants, &provider, bare_json).await?;
        }
    }
    if only != Some("reads") {
        exchanges(plan, &provider).await?;
    }
    Ok(())
}

async fn reads(plan: &Plan, grants: u64, provider: &Server, bare: Figure) -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let start = |cache: u64| {
        Server::start(
            "locum",
            &[
                "--directory".into(),
                directory.path().display().to_string(),
                "--provider".into(),
                provider.address.to_string(),
                "--grants".into(),
                grants.to_string(),
                "--cache-bytes".into(),
                cache.to_string(),
            ],
        )
    };
    // The first start fills the vault; the second one shows how long an opening takes.
    drop(start(16 << 20)?);
    let locum = start(16 << 20)?;
    let idle = locum.resident();
    println!("\n{grants} grants: ready after {} ms, {idle:.1} MiB resident", locum.facts[1]);
    let key = locum.facts[0].clone();
    let hot_users = grants.min(1_000);
    let hot: Make = Arc::new(move |n| read(n % hot_users, &key));
    line("  token from memory", best(&locum, plan.rounds, plan.reads, 0, &hot).await?, Some(bare));
    let key = locum.facts[0].clone();
    // A step coprime to any number of grants here visits all of them before it repeats one.
    let all: Make = Arc::new(move |n| read(n.wrapping_mul(7_919) % grants, &key));
    line(
        "  token of any user, default cache",
        best(&locum, plan.rounds, plan.cold_reads, 0, &all).await?,
        Some(bare),
    );
    println!("  after that {:.1} MiB resident", locum.resident());
    drop(locum);
    let locum = start(64 << 10)?;
    let key = locum.facts[0].clone();
    let cold: Make = Arc::new(move |n| read(n.wrapping_mul(7_919) % grants, &key));
    line(
        "  token from the vault, cache next to none",
        best(&locum, plan.rounds, plan.cold_reads, 0, &cold).await?,
        Some(bare),
    );
    Ok(())
}

async fn exchanges(plan: &Plan, provider: &Server) -> std::io::Result<()> {
    let endpoint = format!("http://{}/token", provider.address);
    let post = Server::start("post", &["--token-endpoint".into(), endpoint])?;
    let form: Make = Arc::new(|n| {
        let body = format!(
            "grant_type=authorization_code&code={}&client_id={}&client_secret={}&redirect_uri=",
            bare::code(n).replace('/', "%2F"),
            bare::CLIENT_ID,
            bare::CLIENT_SECRET
        );
        format!(
            "POST / HTTP/1.1\r\nhost: bench\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    });
    println!();
    let bare_post = best(&post, plan.rounds, plan.exchanges, 0, &form).await?;
    line("bare actix-web: the same call upstream", bare_post, None);
    drop(post);
    let directory = tempfile::tempdir()?;
    let path = directory.path().display().to_string();
    let durable = Server::start(
        "durable",
        &["--provider".into(), provider.address.to_string(), "--directory".into(), path],
    )?;
    let least = best(&durable, plan.rounds, plan.exchanges, 0, &form).await?;
    line("bare: the same call, RS256, one row of clear text on disk", least, Some(bare_post));
    drop(durable);
    let directory = tempfile::tempdir()?;
    let locum = Server::start(
        "locum",
        &[
            "--directory".into(),
            directory.path().display().to_string(),
            "--provider".into(),
            provider.address.to_string(),
            "--grants".into(),
            "0".into(),
        ],
    )?;
    let exchange: Make = Arc::new(|n| {
        let body = format!("{{\"code\":\"{}\"}}", bare::code(n));
        format!(
            "POST /v1/exchange HTTP/1.1\r\nhost: bench\r\nx-requested-with: bench\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    });
    let figure = best(&locum, plan.rounds, plan.exchanges, 0, &exchange).await?;
    line("exchange, verified and durable before the answer", figure, Some(bare_post));
    println!("  after that {:.1} MiB resident", locum.resident());
    Ok(())
}

fn read(n: u64, key: &str) -> Vec<u8> {
    let sub = bare::sub(n);
    format!("GET /v1/users/{sub}/token HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {key}\r\n\r\n")
        .into_bytes()
}
