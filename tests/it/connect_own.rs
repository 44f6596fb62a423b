//! `locum connect`: the owner's own account, by a browser on this machine, by the clipboard, or by a code that
//! is typed elsewhere.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Stdio};
use std::time::Duration;

use locum::emulator::ClientKind;
use locum::events::Actor;
use locum::scopes::ScopeSet;
use locum::secret::SecretText;
use locum::sign_in::SignInError;
use locum::sign_in::own_account::{OwnAccountError, Polled};
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::harness::{TestLocum, client};
use crate::program::{Ended, Folder, Google, post_json, text, words};

/// A locum with a client for devices beside the one for apps.
async fn with_device(more: &str) -> TestLocum {
    let locum = TestLocum::start().await;
    let device = &locum.seeded.device;
    let tables = format!(
        "[[clients]]\nname = \"tv\"\nclient_id = \"{}\"\nclient_secret = \"{}\"\nsources = [\"device\"]\n{more}",
        device.client_id,
        device.secrets[0].expose(),
    );
    locum.restart_with(&tables).await
}

async fn begin(locum: &TestLocum) -> (String, SecretText) {
    let (name, code) = locum.state.sign_in.begin_device(None).await.expect("begun");
    assert_eq!((name, code.interval), (client("tv"), 5));
    assert!(code.verification_url.ends_with("/device"), "{}", code.verification_url);
    (code.user_code, code.device_code)
}

async fn poll(locum: &TestLocum, code: &SecretText) -> Result<Polled, OwnAccountError> {
    locum.clock.advance(Duration::from_secs(5));
    locum.state.sign_in.poll_device(&client("tv"), code.clone(), &Actor::locum()).await
}

#[actix_web::test]
async fn a_typed_code_connects_with_offline_access() {
    let locum =
        with_device("scopes = [\"openid\", \"https://www.googleapis.com/auth/drive.appdata\"]\n").await;
    let (typed, code) = begin(&locum).await;
    assert!(matches!(poll(&locum, &code).await, Ok(Polled::Pending { slow_down: false })));
    let hasty = locum.state.sign_in.poll_device(&client("tv"), code.clone(), &Actor::locum()).await;
    assert!(matches!(hasty, Ok(Polled::Pending { slow_down: true })), "{hasty:?}");
    assert_eq!(locum.emulator.world.approve_device(&typed, &locum.alice().sub), Ok(true));
    let Ok(Polled::Connected(exchanged)) = poll(&locum, &code).await else { panic!("the answer was yes") };
    assert!(exchanged.answer.offline_access && exchanged.answer.missing_scopes.is_empty());
    assert_eq!(exchanged.answer.user.email.as_ref().map(|email| email.as_str()), Some("alice@example.org"));
    locum.token_of(exchanged.user, "tv").await.expect("a token");
    let again = poll(&locum, &code).await;
    assert!(matches!(again, Err(OwnAccountError::SignIn(SignInError::CodeRefused(_)))), "{again:?}");
}

#[actix_web::test]
async fn a_no_and_an_old_code_store_nothing() {
    let locum = with_device("").await;
    let (typed, code) = begin(&locum).await;
    assert!(locum.emulator.world.deny_device(&typed));
    assert_eq!(poll(&locum, &code).await.expect_err("no"), OwnAccountError::Denied);
    let (_, code) = begin(&locum).await;
    locum.clock.advance(Duration::from_secs(1800));
    assert!(matches!(poll(&locum, &code).await, Err(OwnAccountError::SignIn(SignInError::CodeRefused(_)))));
    assert_eq!(locum.state.vault.count_users().await, Ok(0));
}

#[actix_web::test]
async fn scopes_that_google_refuses_to_devices_are_named_before_it_is_asked() {
    let mail = "https://www.googleapis.com/auth/gmail.readonly";
    let locum = with_device(&format!("scopes = [\"openid\", \"{mail}\"]\n")).await;
    let refused = locum.state.sign_in.begin_device(None).await.expect_err("refused");
    assert_eq!(refused, OwnAccountError::ScopesRefused(ScopeSet::parse(mail)));
    assert_eq!(locum.emulator.world.counts().device, 0);
}

#[actix_web::test]
async fn a_client_of_another_type_pauses_nobody() {
    let locum = with_device("").await;
    let mut request = crate::harness::request(locum.code(locum.alice()));
    request.client = Some(client("main"));
    let user = locum.state.sign_in.redeem(request, &Actor::locum()).await.expect("a good code").user;
    let id = locum.seeded.device.client_id.clone();
    assert!(locum.emulator.world.change_client(&id, |client| client.kind = ClientKind::Web));
    for _ in 0..3 {
        let refused = locum.state.sign_in.begin_device(None).await.expect_err("refused");
        assert_eq!(refused, OwnAccountError::WrongClientType(client("tv")));
    }
    let (_, code) = {
        assert!(locum.emulator.world.change_client(&id, |client| client.kind = ClientKind::Device));
        begin(&locum).await
    };
    assert!(locum.emulator.world.change_client(&id, |client| client.kind = ClientKind::Web));
    let refused = poll(&locum, &code).await;
    assert!(matches!(refused, Err(OwnAccountError::SignIn(SignInError::ClientFault { .. }))), "{refused:?}");
    // Those of the others are refreshed as ever, and so are the client's own.
    locum.clock.advance(Duration::from_secs(3600));
    locum.token(user).await.expect("a fresh token");
    assert!(locum.emulator.world.change_client(&id, |client| client.kind = ClientKind::Device));
    begin(&locum).await;
}

#[actix_web::test]
async fn only_a_client_for_it_is_taken() {
    let locum = TestLocum::start().await;
    let none = locum.state.sign_in.begin_device(None).await.expect_err("none");
    assert!(matches!(none, OwnAccountError::NoClientFor(_)));
    let wrong = locum.state.sign_in.begin_device(Some(&client("main"))).await.expect_err("another source");
    assert!(matches!(wrong, OwnAccountError::NoClientFor(_)));
    let unknown = locum.state.sign_in.begin_device(Some(&client("nobody"))).await.expect_err("unknown");
    assert!(matches!(unknown, OwnAccountError::SignIn(SignInError::UnknownClient { .. })));
}

const ALICE: &str = "alice@example.org";

/// A folder whose second client is for programs on people's machines.
async fn desktop(google: &Google) -> Folder {
    let order = json!({ "kind": "desktop" });
    let answer = post_json(&format!("{}/emulator/clients", google.base), &order).await;
    assert_eq!(answer.status, 200, "{}", words(&answer));
    let made: Value = serde_json::from_slice(&answer.body).expect("JSON");
    Folder::configured(
        google,
        &format!(
            "\n[[clients]]\nname = \"own\"\nclient_id = {}\nclient_secret = {}\nsources = [\"desktop\"]\n",
            made["client_id"], made["secrets"][0]
        ),
    )
}

/// A command that goes on running, and the address that it wants opened.
struct Running {
    child: Child,
    address: String,
}

impl Running {
    fn start(folder: &Folder, arguments: &[&str]) -> Self {
        let mut child = folder
            .locum(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut lines = BufReader::new(child.stderr.as_mut().expect("piped")).lines();
        let address = lines
            .by_ref()
            .map(|line| line.expect("text"))
            .find(|line| line.starts_with("http://"))
            .expect("an address");
        Self { child, address }
    }

    fn end(self) -> Ended {
        Ended(self.child.wait_with_output().expect("it ends"))
    }
}

/// Where Google's page leads.
async fn consent(address: &str, decision: &str) -> String {
    let form = [("person", ALICE), ("decision", decision)];
    let back = Browser::new().fetch("POST", address, &form).await;
    back.location().unwrap_or_else(|| panic!("Google keeps the browser: {}", back.body)).into()
}

#[actix_web::test]
async fn a_browser_on_this_machine_brings_the_code() {
    let google = Google::start();
    let folder = desktop(&google).await;
    let command = Running::start(&folder, &["--json", "connect"]);
    let back = consent(&command.address, "allow").await;
    assert!(back.starts_with("http://127.0.0.1:"), "{back}");
    // Whoever else comes gets nothing and ends nothing.
    let mut browser = Browser::new();
    let here = back.split("/?").next().expect("an address").to_owned();
    for other in ["/favicon.ico", "/?state=x&code=y", "/?code=y", "/"] {
        assert_eq!(browser.fetch("GET", &format!("{here}{other}"), &[]).await.status, 404, "{other}");
    }
    let seen = browser.fetch("GET", &back, &[]).await;
    assert_eq!((seen.status, seen.header("cache-control")), (200, "no-store"));
    let answer = command.end().json(0);
    assert_eq!((text(&answer["user"]["email"]), text(&answer["client"])), (ALICE, "own"));
    assert!(answer.get("session").is_none() && answer["offline_access"] == true, "{answer}");
    let list = folder.run(&["--json", "user", "list"]).json(0);
    assert_eq!(list["users"].as_array().map(Vec::len), Some(1));
}

#[actix_web::test]
async fn without_a_browser_the_address_is_pasted() {
    let google = Google::start();
    let folder = desktop(&google).await;
    let mut command = Running::start(&folder, &["connect", "--paste", "--client", "own"]);
    let back = consent(&command.address, "allow").await;
    writeln!(command.child.stdin.as_mut().expect("piped"), " {back} ").expect("written");
    let ended = command.end().expect(0);
    assert_eq!(ended.stdout().trim_end().len(), 21, "the person's id: {}", ended.stdout());
    assert!(ended.stderr().contains(ALICE), "{}", ended.stderr());

    let mut command = Running::start(&folder, &["connect", "--paste"]);
    writeln!(command.child.stdin.as_mut().expect("piped"), "{back}").expect("written");
    let ended = command.end().expect(2);
    assert!(
        ended.stderr().contains("not the address") && !ended.stderr().contains("4/0A"),
        "{}",
        ended.stderr()
    );

    let command = Running::start(&folder, &["connect"]);
    let back = consent(&command.address, "deny").await;
    Browser::new().fetch("GET", &back, &[]).await;
    let ended = command.end().expect(3);
    assert!(ended.stderr().contains("was no"), "{}", ended.stderr());
}

#[test]
fn a_command_without_a_client_for_it_says_what_to_make() {
    let google = Google::start();
    let folder = Folder::configured(&google, "");
    for (arguments, source) in [(&["connect"][..], "desktop"), (&["connect", "--device"], "device")] {
        let ended = folder.run(arguments).expect(2);
        assert!(ended.stderr().contains(&format!("`{source}`")), "{}", ended.stderr());
    }
    folder.run(&["connect", "--device", "--paste"]).expect(2);
}
