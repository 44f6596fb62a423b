//! Over real connections.

use serde_json::{Value, json};

use super::*;
use crate::outbound::{Answer, Limits, Outbound, OutboundError};

struct Google {
    emulator: Emulator,
    seed: Seed,
    outbound: Outbound,
}

async fn start() -> Google {
    let clock = Clock::manual(Timestamp::from_unix(NOW));
    let settings = EmulatorSettings::new(clock.clone(), Rng::seeded(1));
    let emulator = Emulator::start(settings).await.expect("loopback is there");
    let seed = seed_world(emulator.world.clone(), clock);
    Google { emulator, seed, outbound: Outbound::new(Limits::default()) }
}

impl Google {
    fn url(&self, path: &str) -> Url {
        self.emulator.base_url().join(path).expect("a path")
    }

    async fn get(&self, path: &str) -> Result<Answer, OutboundError> {
        let client = self.outbound.client().expect("TLS roots");
        self.outbound.send(client.get(self.url(path))).await
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Result<Answer, OutboundError> {
        let client = self.outbound.client().expect("TLS roots");
        self.outbound.send(client.post(self.url(path)).form(form)).await
    }

    async fn steer(&self, path: &str, body: Value) -> (u16, Value) {
        let client = self.outbound.client().expect("TLS roots");
        let answer = self.outbound.send(client.post(self.url(path)).json(&body)).await.expect("an answer");
        (answer.status, value(&answer))
    }

    async fn exchange(&self, code: &str) -> Result<Answer, OutboundError> {
        self.post(
            "/token",
            &[
                ("grant_type", "authorization_code"),
                ("client_id", self.seed.web().as_str()),
                ("client_secret", self.seed.secret()),
                ("redirect_uri", ""),
                ("code", code),
            ],
        )
        .await
    }

    fn code(&self) -> String {
        let request = CodeRequest::mobile(self.seed.web(), self.seed.alice(), "openid email");
        self.emulator.world.issue_code(request).expose().to_owned()
    }
}

fn value(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).expect("JSON")
}

fn field<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers[name].to_str().expect("text")
}

#[actix_web::test]
async fn a_code_from_the_control_interface_becomes_tokens() {
    let google = start().await;
    let (status, made) = google.steer("/emulator/codes", json!({ "person": "alice@example.org" })).await;
    assert_eq!(status, 200);
    let answer = google.exchange(made["code"].as_str().expect("a code")).await.expect("an answer");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["cache-control"], "no-cache, no-store, max-age=0, must-revalidate");
    let tokens = value(&answer);
    assert!(
        tokens["refresh_token"].as_str().is_some_and(|token| token.starts_with("1//0") && token.len() == 103)
    );
    assert_eq!(google.emulator.world.counts().codes_redeemed, 1);
    google.emulator.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn it_runs_on_a_plain_tokio_runtime_too() {
    let google = start().await;
    let document = value(&google.get("/.well-known/openid-configuration").await.expect("an answer"));
    assert_eq!(document["issuer"], "https://accounts.google.com");
    assert_eq!(document["jwks_uri"], google.url("/oauth2/v3/certs").as_str());
    let keys = google.get("/oauth2/v3/certs").await.expect("an answer");
    assert_eq!(keys.headers["cache-control"], "public, max-age=23641, must-revalidate, no-transform");
    assert_eq!(keys.headers["age"], "1234");
    assert_eq!(keys.headers.get_all("date").iter().count(), 1);
    assert_eq!(value(&keys)["keys"].as_array().map(Vec::len), Some(2));
    google.emulator.stop().await;
}

#[actix_web::test]
async fn it_refuses_to_listen_beyond_loopback() {
    let mut settings = EmulatorSettings::new(Clock::system(), Rng::seeded(1));
    settings.listener = Some(TcpListener::bind("0.0.0.0:0").expect("a port"));
    let error = Emulator::start(settings).await.expect_err("not loopback");
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
}

#[actix_web::test]
async fn only_a_post_of_a_form_is_a_token_request() {
    let google = start().await;
    assert_eq!(google.get("/token").await.expect("an answer").status, 405);
    let (status, body) = google.steer("/token", json!({ "grant_type": "authorization_code" })).await;
    assert_eq!((status, &body["error"]), (400, &"unsupported_grant_type".into()));
    assert_eq!(google.get("/nowhere").await.expect("an answer").status, 404);
}

#[actix_web::test]
async fn a_dropped_request_was_not_carried_out_and_a_dropped_answer_was() {
    let google = start().await;
    let world = &google.emulator.world;
    let code = google.code();
    world.faults().once(Endpoint::Exchange, Fault::Drop);
    assert_eq!(google.exchange(&code).await.expect_err("cut"), OutboundError::Broken);
    assert_eq!((world.counts().exchanges, world.counts().codes_redeemed), (1, 0));
    world.faults().once(Endpoint::Token, Fault::DropAfterDoing);
    assert_eq!(google.exchange(&code).await.expect_err("cut"), OutboundError::Broken);
    assert_eq!(world.counts().codes_redeemed, 1);
    assert_eq!(google.exchange(&code).await.expect("an answer").status, 400);
}

#[actix_web::test]
async fn scripted_answers_come_as_written() {
    let google = start().await;
    let faults = google.emulator.world.faults();
    faults.once(Endpoint::Jwks, Fault::retry_after(429, 7));
    faults.once(Endpoint::Jwks, Fault::Html(502));
    faults.once(Endpoint::Jwks, Fault::Malformed);
    faults.once(Endpoint::Jwks, Fault::oauth(400, "invalid_grant", "Bad Request"));
    faults.once(Endpoint::Jwks, Fault::Delay(Duration::from_millis(1)));
    let busy = google.get("/oauth2/v3/certs").await.expect("an answer");
    assert_eq!((busy.status, field(&busy, "retry-after")), (429, "7"));
    let html = google.get("/oauth2/v3/certs").await.expect("an answer");
    assert_eq!((html.status, field(&html, "content-type")), (502, "text/html; charset=UTF-8"));
    let cut = google.get("/oauth2/v3/certs").await.expect("an answer");
    assert!(cut.status == 200 && serde_json::from_slice::<Value>(&cut.body).is_err());
    let refused = google.get("/oauth2/v3/certs").await.expect("an answer");
    assert_eq!((refused.status, &value(&refused)["error_description"]), (400, &"Bad Request".into()));
    let delayed = google.get("/oauth2/v3/certs").await.expect("an answer");
    assert!(delayed.status == 200 && value(&delayed)["keys"].is_array());
    assert_eq!(google.emulator.world.counts().jwks, 5);
}

#[actix_web::test]
async fn huge_and_slow_answers_are_what_they_say() {
    let google = start().await;
    let faults = google.emulator.world.faults();
    faults.times(2, Endpoint::Discovery, Fault::Huge(150_000));
    let huge = google.get("/.well-known/openid-configuration").await.expect("within a mebibyte");
    assert_eq!(huge.body.len(), 150_000);
    assert!(value(&huge)["padding"].is_string());
    assert!(!huge.headers.contains_key("content-length"));
    let tight = Outbound::new(Limits { max_body: 1000, ..Limits::default() });
    let client = tight.client().expect("TLS roots");
    let outcome = tight.send(client.get(google.emulator.discovery_url())).await;
    assert_eq!(outcome.expect_err("too large"), OutboundError::TooLarge(1000));
    faults.once(Endpoint::Discovery, Fault::SlowDrip { piece: 500, every: Duration::from_millis(1) });
    let slow = google.get("/.well-known/openid-configuration").await.expect("an answer");
    assert_eq!(value(&slow)["subject_types_supported"], json!(["public"]));
}

#[actix_web::test]
async fn a_hold_keeps_requests_until_released() {
    let google = start().await;
    let world = google.emulator.world.clone();
    let (one, two) = (google.code(), google.code());
    let hold = world.faults().hold(Endpoint::Exchange);
    let done = futures_util::future::join(google.exchange(&one), google.exchange(&two));
    let steer = async {
        hold.reached(2).await;
        assert_eq!(world.counts().codes_redeemed, 0);
        world.faults().clear(Endpoint::Exchange);
        hold.release();
    };
    let ((one, two), ()) = futures_util::future::join(done, steer).await;
    assert_eq!((one.expect("an answer").status, two.expect("an answer").status), (200, 200));

    let hold = world.faults().hold_answer(Endpoint::Exchange);
    let code = google.code();
    let steer = async {
        hold.reached(1).await;
        assert_eq!(world.counts().codes_redeemed, 3, "carried out, though not answered");
        hold.release();
    };
    let (answer, ()) = futures_util::future::join(google.exchange(&code), steer).await;
    assert_eq!(answer.expect("an answer").status, 200);
}

#[actix_web::test]
async fn faults_can_be_scripted_over_http() {
    let google = start().await;
    let order = json!({ "endpoint": "revoke", "fault": "status", "status": 503, "times": 2,
        "headers": { "Retry-After": 3 } });
    let (status, scripted) = google.steer("/emulator/faults", order).await;
    assert_eq!((status, &scripted["faults"][0]["endpoint"]), (200, &"revoke".into()));
    let failed = google.post("/revoke", &[("token", "x")]).await.expect("an answer");
    assert_eq!((failed.status, field(&failed, "retry-after")), (503, "3"));
    let (_, cleared) = google.steer("/emulator/faults", json!({ "clear": "all" })).await;
    assert_eq!(cleared["faults"], json!([]));
    assert_eq!(google.post("/revoke", &[("token", "x")]).await.expect("an answer").status, 400);
    let (status, odd) =
        google.steer("/emulator/faults", json!({ "endpoint": "revoke", "falt": "drop" })).await;
    assert!(status == 400 && odd["detail"].as_str().is_some_and(|detail| detail.contains("falt")));
    assert_eq!(google.steer("/emulator/faults", json!({ "endpoint": "revoke" })).await.0, 400);
}

#[actix_web::test]
async fn the_world_can_be_steered_over_http() {
    let google = start().await;
    let (status, dana) = google
        .steer("/emulator/people", json!({ "email": "dana@example.net", "name": "Dana Example" }))
        .await;
    assert!(status == 200 && dana["sub"].as_str().is_some_and(|sub| sub.len() == 21));
    let order = json!({ "kind": "web", "redirect_uris": ["https://app.example.org/"], "testing": true });
    let (_, client) = google.steer("/emulator/clients", order).await;
    assert!(
        client["secrets"][0]
            .as_str()
            .is_some_and(|secret| secret.starts_with("GOCSPX-") && secret.len() == 35)
    );
    let order = json!({ "client_id": client["client_id"], "person": "dana@example.net",
        "scopes": "openid https://www.googleapis.com/auth/drive" });
    let (_, made) = google.steer("/emulator/codes", order).await;
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", client["client_id"].as_str().expect("an id")),
        ("client_secret", client["secrets"][0].as_str().expect("a secret")),
        ("redirect_uri", ""),
        ("code", made["code"].as_str().expect("a code")),
    ];
    let tokens = value(&google.post("/token", &form).await.expect("an answer"));
    assert_eq!(tokens["refresh_token_expires_in"], 604_799);
    let (_, settings) = google.steer("/emulator/settings", json!({ "access_token_lifetime": 5 })).await;
    assert_eq!(settings["access_token_lifetime"], 5);
    assert_eq!(google.steer("/emulator/settings", json!({ "lifetime": 5 })).await.0, 400);
    let before = google.emulator.world.key_ids();
    let (_, rotated) = google.steer("/emulator/keys/rotate", json!({})).await;
    assert_eq!(rotated["kids"][0], before[1].as_str());
    let order = json!({ "person": "dana@example.net", "project": client["client_id"] });
    assert_eq!(google.steer("/emulator/withdraw", order.clone()).await.1["withdrawn"], true);
    assert_eq!(google.steer("/emulator/withdraw", order).await.1["withdrawn"], false);
    let state = value(&google.get("/emulator/state").await.expect("an answer"));
    assert_eq!(state["people"].as_array().map(Vec::len), Some(4));
    assert_eq!(state["counts"]["exchanges"], 1);
    assert_eq!(google.steer("/emulator/codes", json!({ "person": "nobody@example.org" })).await.0, 422);
}

#[actix_web::test]
async fn web_pages_cannot_steer_it() {
    let google = start().await;
    let client = google.outbound.client().expect("TLS roots");
    let rebound = client.get(google.url("/emulator/state")).header("Host", "evil.example:80");
    assert_eq!(google.outbound.send(rebound).await.expect("an answer").status, 403);
    let form = google.post("/emulator/people", &[("email", "x@example.org")]).await.expect("an answer");
    assert_eq!(form.status, 415);
}

#[actix_web::test]
async fn pages_come_with_a_strict_policy_and_their_style() {
    let google = start().await;
    let index = google.get("/").await.expect("an answer");
    assert!(index.headers["content-security-policy"].to_str().is_ok_and(|policy| policy.contains("'none'")));
    let body = String::from_utf8(index.body.to_vec()).expect("UTF-8");
    assert!(body.contains("/emulator/codes") && body.contains("Alice Example"));
    let css = google.get("/emulator.css").await.expect("an answer");
    assert_eq!(css.headers["content-type"], "text/css; charset=utf-8");
}
