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
