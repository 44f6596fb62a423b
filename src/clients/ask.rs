//! The checks that ask Google.
//!
//! Each secret is tried with a refresh token that cannot exist. Google looks at the client before it looks
//! at the token, so `invalid_grant` says that id and secret are right, and `invalid_client` says that they
//! are not; nobody's grant is behind such a token, so none can be touched.

use super::{Check, Inner, Outcome};
use crate::config::Client;
use crate::google::{ClientCredentials, ClientFault, Endpoints, GoogleError};
use crate::provider::SKEW_NOTICE;
use crate::secret::{ClientSecret, RefreshToken};

impl Inner {
    pub(super) async fn ask(&self, client: &Client) -> Vec<Check> {
        let provider = &self.config.google;
        let discovery = match self.google.fetch_discovery(&provider.discovery_url, &provider.issuer).await {
            Ok(fetched) => fetched,
            Err(error) => return vec![document("discovery", "the discovery document", &error)],
        };
        let mut checks = vec![Check::new(
            "discovery",
            Outcome::Ok,
            "The discovery document is there",
            format!("{} answers and names its endpoints.", provider.issuer),
        )];
        checks.push(match self.google.fetch_keys(&discovery.value.jwks).await {
            Ok(_) => Check::new(
                "keys",
                Outcome::Ok,
                "The signing keys are there",
                "ID tokens can be verified with them.",
            ),
            Err(error) => document("keys", "the signing keys", &error),
        });
        if let Some(theirs) = discovery.server_date {
            checks.push(clock(theirs.since(discovery.fetched_at)));
        }
        let secrets = &client.secrets;
        if secrets.is_empty() {
            checks.push(self.try_secret(&discovery.value, client, None, "secret", "the client").await);
        }
        for (i, secret) in secrets.iter().enumerate() {
            let (id, words) = match (i, secrets.len()) {
                (_, 1) => ("secret", "the secret"),
                (0, _) => ("secret", "the first secret"),
                _ => ("second_secret", "the second secret"),
            };
            checks.push(self.try_secret(&discovery.value, client, Some(secret), id, words).await);
        }
        checks
    }

    async fn try_secret(
        &self,
        endpoints: &Endpoints,
        client: &Client,
        secret: Option<&ClientSecret>,
        id: &str,
        words: &str,
    ) -> Check {
        let credentials = ClientCredentials {
            client_id: client.client_id.clone(),
            secrets: secret.cloned().into_iter().collect(),
        };
        // In the shape of Google's, and random: nobody has it.
        let nobodys = RefreshToken::new(format!("1//0locum-check-{}", self.rng.token(32)));
        let answer = self.google.refresh(endpoints, &credentials, &nobodys, None).await;
        verdict(id, words, answer.map(drop))
    }
}

/// What an answer to a token that cannot exist says about the client.
fn verdict(id: &str, words: &str, answer: Result<(), GoogleError>) -> Check {
    let check = |state, title: String, detail: &str| Check::new(id, state, title, detail);
    let capital = format!("{}{}", words[..1].to_uppercase(), &words[1..]);
    match answer {
        Err(GoogleError::GrantDead(_)) => check(
            Outcome::Ok,
            format!("Google takes {words}"),
            "Client id and secret belong together. No grant was touched: the token that was tried does not exist.",
        ),
        Err(GoogleError::ClientFault(ClientFault::WrongSecret)) => check(
            Outcome::Failed,
            format!("{capital} is wrong"),
            "Google knows the client and refuses its secret. Make a new secret at the client in Google's console, put it into the configuration, and restart locum.",
        ),
        Err(GoogleError::ClientFault(ClientFault::NotFound)) => check(
            Outcome::Failed,
            "Google knows no such client".to_owned(),
            "Compare `client_id` with Google's console, letter by letter.",
        ),
        Err(GoogleError::ClientFault(ClientFault::Deleted)) => check(
            Outcome::Failed,
            "The client was deleted at Google".to_owned(),
            "It can be restored for thirty days: Google Cloud console, Clients, Restore deleted clients.",
        ),
        Err(GoogleError::ClientFault(ClientFault::Disabled)) => check(
            Outcome::Failed,
            "The client is disabled at Google".to_owned(),
            "Enable it in Google's console, or see there why Google disabled it.",
        ),
        Err(GoogleError::ClientFault(ClientFault::Unauthorized)) => check(
            Outcome::Warning,
            "Google does not let the client ask for this".to_owned(),
            "Google answered unauthorized_client to a token that does not exist. Look at the type of the client in Google's console: it must be one that gets refresh tokens.",
        ),
        Err(GoogleError::Unavailable { what, .. }) => check(
            Outcome::Warning,
            format!("{capital} could not be tried"),
            &format!(
                "Google gave no usable answer: {what}. Nothing is known about the client; check again later."
            ),
        ),
        Err(error) => check(
            Outcome::Warning,
            format!("Google says something else about {words}"),
            &format!("{error}. That is no word against the client; check again later."),
        ),
        Ok(()) => check(
            Outcome::Warning,
            "The provider takes tokens that do not exist".to_owned(),
            "It gave an access token for a refresh token that was made up. Is `google.issuer` a provider for tests?",
        ),
    }
}

fn document(id: &str, words: &str, error: &GoogleError) -> Check {
    let detail = match error {
        GoogleError::Unavailable { .. } => {
            format!(
                "{error}. Look at this machine's network, name resolution and proxy; locum goes on with the documents it has."
            )
        }
        _ => format!("{error}. Look at `google.issuer` and `google.discovery_url`."),
    };
    Check::new(id, Outcome::Failed, format!("No way to {words}"), detail)
}

fn clock(skew: i64) -> Check {
    if skew.abs() <= SKEW_NOTICE {
        return Check::new("clock", Outcome::Ok, "The clock is right", "It agrees with Google's.");
    }
    Check::new(
        "clock",
        Outcome::Warning,
        format!("The clock is {} seconds {}", skew.abs(), if skew > 0 { "behind" } else { "ahead" }),
        "Good sign-ins are refused by a wrong clock: let this machine set its time by NTP.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::google::Outage;
    use crate::grant::DeathCause;

    #[test]
    fn each_answer_says_what_it_means_for_the_client() {
        use Outcome::{Failed, Ok as Good, Warning};
        let fault = |fault| Err(GoogleError::ClientFault(fault));
        for (answer, state, words) in [
            (Err(GoogleError::GrantDead(DeathCause::Rejected)), Good, "takes the secret"),
            (fault(ClientFault::WrongSecret), Failed, "The secret is wrong"),
            (fault(ClientFault::NotFound), Failed, "no such client"),
            (fault(ClientFault::Deleted), Failed, "deleted"),
            (fault(ClientFault::Disabled), Failed, "disabled"),
            (fault(ClientFault::Unauthorized), Warning, "does not let"),
            (
                Err(GoogleError::Unavailable {
                    retry_after: None,
                    outcome_unknown: true,
                    what: Outage::ServerError(503),
                }),
                Warning,
                "could not be tried",
            ),
            (Err(GoogleError::Refused { error: "odd".into() }), Warning, "something else"),
            (Ok(()), Warning, "do not exist"),
        ] {
            let check = verdict("secret", "the secret", answer);
            assert!(check.state == state && check.title.contains(words), "{check:?}");
        }
    }

    #[test]
    fn a_clock_is_judged_by_how_far_it_is_off() {
        assert_eq!(clock(-30).state, Outcome::Ok);
        assert!(clock(31).title.contains("31 seconds behind"));
        assert!(clock(-90).title.contains("90 seconds ahead"));
    }
}
