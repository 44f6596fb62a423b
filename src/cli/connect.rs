//! `locum connect`: one's own account, without an app: by a browser on this machine, by one anywhere and the
//! clipboard, or by a code that is typed elsewhere.

mod loopback;

use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::Url;

use self::loopback::CameBack;
use super::admin::{Admin, Vault};
use super::running::until_signalled;
use super::{Context, Exit, Failure, output};
use crate::google::pkce;
use crate::ids::ClientName;
use crate::rng::Rng;
use crate::secret::SecretText;
use crate::sign_in::ExchangeAnswer;

/// How long the browser may take.
const PATIENCE: Duration = Duration::from_secs(600);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Which client; may be left out where one has the source desktop (device with --device)
    #[arg(long, value_name = "NAME")]
    client: Option<ClientName>,
    /// For a machine without a browser: open the address anywhere, then paste the address of the page that
    /// fails to load
    #[arg(long, conflicts_with = "device")]
    paste: bool,
    /// Type a code at Google on another device; only for few scopes, drive.appdata and drive.file among them
    #[arg(long)]
    device: bool,
}

pub(super) fn run(context: &Context<'_>, arguments: Arguments) -> Result<Exit, Failure> {
    until_signalled(async {
        let admin = Admin::reach(context, Vault::MayBeMade).await?;
        let outcome = if arguments.device {
            by_code(&admin, arguments.client).await
        } else {
            by_browser(&admin, arguments.client, arguments.paste).await
        };
        admin.leave().await;
        told(context, outcome?)
    })
}

#[derive(Deserialize)]
struct Authorization {
    client: ClientName,
    url: String,
}

async fn by_browser(admin: &Admin, client: Option<ClientName>, paste: bool) -> Result<Value, Failure> {
    let rng = Rng::system();
    // Bound also where the browser is elsewhere: a port of this machine's that nobody else has.
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let redirect_uri = format!("http://127.0.0.1:{}/", listener.local_addr()?.port());
    let verifier = pkce::new_verifier(&rng);
    let (state, nonce) = (SecretText::new(rng.token(24)), rng.token(16));
    let body = json!({
        "client": client, "redirect_uri": redirect_uri, "challenge": pkce::challenge(&verifier),
        "state": state.expose(), "nonce": nonce,
    });
    let began: Authorization =
        admin.request(Method::POST, &["v1", "authorizations"]).json(&body).read().await?;
    output::note(&format!("Open this address in a browser:\n\n{}\n", began.url));
    let came = if paste {
        drop(listener);
        pasted(&state).await?
    } else {
        let waiting = tokio::time::timeout(PATIENCE, loopback::wait(&listener, &state)).await;
        waiting.map_err(|_| Failure::later(anyhow::anyhow!("nobody came back within ten minutes")))??
    };
    let code = match came {
        CameBack::Code(code) => code,
        CameBack::Error(error) => return Err(refused(&error)),
    };
    let body = json!({
        "code": code.expose(), "client": began.client, "source": "desktop", "redirect_uri": redirect_uri,
        "code_verifier": verifier.expose(), "nonce": nonce,
    });
    let exchange = admin
        .request(Method::POST, &["v1", "exchange"])
        .header(http::HeaderName::from_static("x-requested-with"), "locum connect");
    exchange.json(&body).send().await
}

/// Google's word for why there is no code.
fn refused(error: &str) -> Failure {
    let words = match error {
        "access_denied" => "nothing was connected: the answer at Google's page was no",
        _ => "nothing was connected: Google refused the sign-in; look at the client in Google's console",
    };
    Failure { exit: Exit::NeedsPerson, error: anyhow::anyhow!("{words}"), problem: None }
}

/// The address of the page that did not load, from standard input.
async fn pasted(state: &SecretText) -> Result<CameBack, Failure> {
    output::note("The browser will end at a page that does not load. Paste that page's whole address here:");
    output::ask("> ");
    let line = tokio::task::spawn_blocking(|| {
        let mut line = zeroize::Zeroizing::new(String::new());
        std::io::stdin().read_line(&mut line).map(|_| line)
    });
    let line = line.await.context("standard input cannot be read")??;
    let address = Url::parse(line.trim()).ok().and_then(|url| url.query().map(str::to_owned));
    let came = address.as_deref().and_then(|query| loopback::came_back(query, state));
    came.ok_or_else(|| {
        Failure::usage(anyhow::anyhow!(
            "this is not the address of the page that this sign-in led to (http://127.0.0.1:…/?…&code=…); run the command again"
        ))
    })
}

#[derive(Deserialize)]
struct Device {
    client: ClientName,
    device_code: SecretText,
    user_code: String,
    verification_url: String,
    expires_in: u64,
    interval: u64,
}

#[derive(Deserialize)]
struct Poll {
    pending: bool,
    slow_down: bool,
}

async fn by_code(admin: &Admin, client: Option<ClientName>) -> Result<Value, Failure> {
    let route = ["v1", "device-sign-ins"];
    let began: Device = admin.request(Method::POST, &route).json(&json!({ "client": client })).read().await?;
    output::note(&format!(
        "Open {} on any device and type the code {}",
        output::plain(&began.verification_url),
        output::plain(&began.user_code)
    ));
    let body = json!({ "client": began.client, "device_code": began.device_code.expose() });
    let (mut interval, mut waited) = (began.interval, 0);
    while waited < began.expires_in {
        tokio::time::sleep(Duration::from_secs(interval)).await;
        waited += interval;
        let answer = admin.request(Method::POST, &route).json(&body).send().await?;
        let poll = Poll::deserialize(&answer).context("the server's answer cannot be read")?;
        if !poll.pending {
            return Ok(answer);
        }
        // RFC 8628 §3.5: five seconds more from now on.
        interval += if poll.slow_down { 5 } else { 0 };
    }
    Err(Failure::later(anyhow::anyhow!("nobody typed the code in time; run the command again")))
}

fn told(context: &Context<'_>, mut answer: Value) -> Result<Exit, Failure> {
    if let Some(answer) = answer.as_object_mut() {
        // A session is for apps, and the rest is between this command and the server.
        ["session", "pending", "slow_down"].into_iter().for_each(|name| drop(answer.remove(name)));
    }
    let connected = ExchangeAnswer::deserialize(&answer).context("the server's answer cannot be read")?;
    if context.json {
        output::json(&answer)?;
    } else {
        output::data(connected.user.id.as_str())?;
    }
    let who = connected.user.email.as_ref().map_or(connected.user.id.as_str(), |email| email.as_str());
    output::note(&format!("Connected: {} with the client {}.", output::plain(who), connected.client));
    if !connected.missing_scopes.is_empty() {
        output::warn(&format!("not granted: {}", output::plain(&connected.missing_scopes.to_string())));
    }
    connected.warnings.iter().for_each(|warning| output::warn(&warning.detail));
    Ok(Exit::Done)
}
