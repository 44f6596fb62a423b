//! The main job: one code, one exchange, one commit.

use std::sync::Arc;
use std::time::Duration;

use super::answer::{Remembered, RememberedRefusal, redemption};
use super::claims::Claim;
use super::decide::{Arrival, Hold, Refused, Weighed};
use super::{ExchangeRequest, Exchanged, Inner, NamedPerson, SignIn, SignInError};
use crate::config::{Client, RedirectProblem, RedirectUri, Source};
use crate::events::{Actor, Kind, NewEvent};
use crate::google::{ClientCredentials, CodeExchange, Expectation, GoogleError, RevocableToken, TokenAnswer};
use crate::ids::{ClientName, OAuthClientId, UserId};
use crate::scopes::ScopeSet;
use crate::tokens::{Reach, TokenError};
use crate::vault::{CodeMarks, Grant, VaultError, WholePerson};

/// Google's limit for a code is 256 bytes; anything much longer is something else.
const MAX_CODE: usize = 512;
/// How often a commit is tried that others get in the way of.
const TRIES: u32 = 50;
/// How long a full queue of writes is given to empty before the next try: 5 s in all.
const BUSY_PAUSE: Duration = Duration::from_millis(100);

impl SignIn {
    /// Trades a code for a grant, once.
    ///
    /// One call to Google (two if the client's first secret is refused), one commit. With an
    /// idempotency key the first answer is given again for ten minutes. `actor` is who sent it.
    ///
    /// # Errors
    /// See [`SignInError`]; nothing is stored unless the answer is a success.
    pub async fn redeem(&self, request: ExchangeRequest, actor: &Actor) -> Result<Exchanged, SignInError> {
        self.redeem_on(request, Terms::default(), actor).await
    }

    /// As [`SignIn::redeem`], on terms that the sign-in was begun on.
    pub(super) async fn redeem_on(
        &self,
        request: ExchangeRequest,
        terms: Terms,
        actor: &Actor,
    ) -> Result<Exchanged, SignInError> {
        check_code(request.code.expose())?;
        let plan = self.0.plan(&request, actor)?;
        let marks = self.0.marks(&request, &plan);
        let inner = self.0.clone();
        self.0
            .lifecycle
            .run(async move { inner.redeem_once(request, plan, marks, &terms).await })
            .await
            .unwrap_or(Err(SignInError::Interrupted))
    }
}

/// What a sign-in was begun on.
#[derive(Clone, Debug, Default)]
pub(super) struct Terms {
    /// Only this person will do.
    pub(super) person: Option<NamedPerson>,
    /// The scopes that were asked for; the client's where nothing is said.
    pub(super) asked: Option<ScopeSet>,
}

/// What the configuration says about a request.
struct Plan {
    client: ClientName,
    redirect_uri: RedirectUri,
    origin: Origin,
}

/// Where a code came from, for what is told of it.
pub(super) struct Origin {
    pub(super) actor: Actor,
    pub(super) source: Source,
}

fn check_code(code: &str) -> Result<(), SignInError> {
    if code.is_empty() {
        Err(SignInError::CodeMissing)
    } else if code.len() > MAX_CODE {
        Err(SignInError::CodeMalformed("it is longer than any code of Google's"))
    } else if code.contains('%') {
        Err(SignInError::CodeEncoded)
    } else if !code.bytes().all(|b| b.is_ascii_graphic()) {
        Err(SignInError::CodeMalformed("it has a space, a line break or a character outside ASCII"))
    } else {
        Ok(())
    }
}

impl Inner {
    fn client(&self, plan: &Plan) -> Result<&Client, SignInError> {
        self.config.client(&plan.client).ok_or(SignInError::Interrupted)
    }

    /// Client, source and redirect URI of a request, as far as they can be told apart.
    fn plan(&self, request: &ExchangeRequest, actor: &Actor) -> Result<Plan, SignInError> {
        let names = || self.config.clients.iter().map(|client| client.name.clone()).collect();
        let client = match (&request.client, self.config.clients.as_slice()) {
            (Some(name), _) => {
                self.config.client(name).ok_or_else(|| SignInError::UnknownClient { known: names() })?
            }
            (None, [only]) => only,
            (None, _) => return Err(SignInError::ClientRequired { clients: names() }),
        };
        // Codes come from everywhere but the device flow, which has none.
        let sources: Vec<Source> = client.sources.iter().copied().filter(|s| *s != Source::Device).collect();
        let source = match (request.source, sources.as_slice()) {
            (Some(source), _) => source,
            (None, [only]) => *only,
            (None, _) => return Err(SignInError::SourceRequired { client: client.name.clone(), sources }),
        };
        let redirect_uri = self
            .config
            .redirect_uri_for(client, source, request.redirect_uri.as_deref())
            .map_err(|problem| match problem {
                RedirectProblem::SourceNotConfigured | RedirectProblem::NoCode => {
                    SignInError::SourceNotAllowed { client: client.name.clone(), sources }
                }
                RedirectProblem::Needed | RedirectProblem::NotConfigured | RedirectProblem::NotLoopback => {
                    SignInError::RedirectUriNotAllowed
                }
            })?;
        Ok(Plan {
            client: client.name.clone(),
            redirect_uri,
            origin: Origin { actor: actor.clone(), source },
        })
    }

    fn marks(&self, request: &ExchangeRequest, plan: &Plan) -> CodeMarks {
        let verifier = request.code_verifier.as_ref().map_or("", |verifier| verifier.expose());
        let parts = [
            request.code.expose(),
            plan.client.as_str(),
            plan.redirect_uri.as_str(),
            verifier,
            request.nonce.as_deref().unwrap_or(""),
        ];
        let parts = parts.map(str::as_bytes);
        self.vault.code_marks(request.code.expose(), request.idempotency_key.as_deref(), &parts)
    }

    async fn redeem_once(
        self: Arc<Self>,
        request: ExchangeRequest,
        plan: Plan,
        marks: CodeMarks,
        terms: &Terms,
    ) -> Result<Exchanged, SignInError> {
        match self.claims.claim(&marks) {
            Claim::Mine(held) => {
                let outcome = self.redeem_first(&request, &plan, marks, terms).await;
                held.settle(outcome.clone());
                outcome
            }
            Claim::Same(first) => first.outcome().await,
            Claim::TakenCode => Err(SignInError::CodeSpent),
            Claim::TakenKey => Err(SignInError::IdempotencyKeyReused),
        }
    }

    async fn redeem_first(
        &self,
        request: &ExchangeRequest,
        plan: &Plan,
        marks: CodeMarks,
        terms: &Terms,
    ) -> Result<Exchanged, SignInError> {
        if let Some(known) = self.vault.load_redemption(&marks).await? {
            return match (known.answer, known.user) {
                _ if known.same_key && !known.same_request => Err(SignInError::IdempotencyKeyReused),
                (Some(answer), user) if known.same_key => self.replay(&answer, user).await,
                _ => Err(SignInError::CodeSpent),
            };
        }
        let client = self.client(plan)?;
        let endpoints = self.provider.endpoints().await.map_err(SignInError::from_discovery)?;
        // Without keys nobody can tell whose tokens come back, and the code would be spent for nothing.
        self.provider.load_keys().await.map_err(|error| SignInError::from_verification(error, false))?;
        let credentials =
            ClientCredentials { client_id: client.client_id.clone(), secrets: client.secrets.clone() };
        let exchange = CodeExchange {
            code: request.code.clone(),
            redirect_uri: plan.redirect_uri.as_str().to_owned(),
            code_verifier: request.code_verifier.clone(),
        };
        match self.google.exchange(&endpoints, &credentials, &exchange).await {
            Ok(mut answer) => {
                self.tokens.client_answered(client, None);
                // RFC 6749 §5.1: no scope in the answer means all that were asked for.
                answer.scope = answer.scope.or_else(|| terms.asked.clone());
                self.complete(client, request, marks, answer, terms.person.as_ref(), &plan.origin).await
            }
            Err(error) => {
                match &error {
                    GoogleError::CodeRefused(refusal) => {
                        self.remember(marks, RememberedRefusal::from_google(*refusal)).await;
                    }
                    GoogleError::ClientFault(fault) => self.tokens.client_answered(client, Some(*fault)),
                    _ => {}
                }
                Err(SignInError::from_google(error, &client.name))
            }
        }
    }

    /// From Google's tokens to a verified person, and from there to a decision and its commit.
    pub(super) async fn complete(
        &self,
        client: &Client,
        request: &ExchangeRequest,
        marks: CodeMarks,
        answer: TokenAnswer,
        only: Option<&NamedPerson>,
        origin: &Origin,
    ) -> Result<Exchanged, SignInError> {
        let at = self.clock.now();
        let Some(id_token) = &answer.id_token else {
            self.remember(marks, RememberedRefusal::NoIdToken).await;
            return Err(SignInError::NoIdToken);
        };
        let expect = Expectation {
            audiences: std::slice::from_ref(&client.client_id),
            authorized_parties: &client.authorized_parties,
            issuer: self.provider.issuer(),
            nonce: request.nonce.as_deref(),
            access_token: Some(&answer.access_token),
        };
        let claims = match self.provider.verify(id_token, &expect).await {
            Ok(claims) => claims,
            Err(error) => {
                self.remember(marks, RememberedRefusal::Spent).await;
                return Err(SignInError::from_verification(error, true));
            }
        };
        let arrival = Arc::new(Arrival {
            config: self.config.clone(),
            client: client.name.clone(),
            client_id: client.client_id.clone(),
            wanted: client.scopes.clone(),
            marks,
            answer,
            at,
            claims,
            only: only.cloned(),
        });
        let (mut tries, mut weighed) = (0, None);
        loop {
            let (judging, known_to) = (arrival.clone(), weighed.clone());
            let judge = move |known: Option<&WholePerson>| judging.judge(known, known_to.as_deref());
            let error = match self.vault.connect(&arrival.claims.sub, judge).await {
                Ok(Ok((connected, told))) => {
                    self.tokens.changed(connected.user.id, told.names);
                    let exchanged = Exchanged {
                        answer: told.answer,
                        user: connected.user.id,
                        session_epoch: connected.user.session_epoch,
                        client: client.name.clone(),
                    };
                    self.tell_connected(client, origin, &exchanged);
                    return Ok(exchanged);
                }
                Ok(Err(Hold::Refused(refused))) => {
                    return Err(self.refuse(client, origin, &arrival, refused).await);
                }
                Ok(Err(Hold::Doubt(grant))) => match self.weigh(&grant).await {
                    Ok(verdict) => {
                        weighed = verdict.map(Arc::new);
                        VaultError::Conflict
                    }
                    Err(error) => error,
                },
                Err(error) => error,
            };
            match error {
                // Google gives these tokens once.
                VaultError::Busy if tries < TRIES => self.clock.sleep(BUSY_PAUSE).await,
                // There is a verdict now, or the grant is another one since; or a row id was taken.
                VaultError::Conflict if tries < TRIES => {}
                error => {
                    // A vault that cannot be written is no reason to keep the tokens of whoever is not let in.
                    let Ok(known) = self.vault.load_connected(&arrival.claims.sub).await else {
                        return Err(error.into());
                    };
                    return Err(match arrival.admit(known.as_ref().map(|(user, _)| user)) {
                        Ok(_) => error.into(),
                        Err(refused) => self.refuse(client, origin, &arrival, refused).await,
                    });
                }
            }
            tries += 1;
        }
    }

    /// What Google says of the refresh token of this grant, and the grant as it is after that; `None` when
    /// another one came in its place.
    async fn weigh(&self, grant: &Grant) -> Result<Option<Weighed>, VaultError> {
        let works = self.still_works(grant).await?;
        let now = self.vault.load_grant(grant.id).await?;
        // A provider may give another refresh token in the place of the one that it has just honoured.
        let same = |now: &Grant| works || now.token_generation == grant.token_generation;
        Ok(now.filter(same).map(|grant| Weighed { grant, works }))
    }

    /// Whether the stored refresh token is still honoured, found out by using it. An outage is no
    /// reason to give up a token that worked so far.
    async fn still_works(&self, grant: &Grant) -> Result<bool, VaultError> {
        let client = self.config.client_by_id(&grant.client_id).map(|client| client.name.clone());
        match self.tokens.refresh_now(grant.user, client.as_ref(), &Reach::EVERYTHING).await {
            Ok(_) => Ok(true),
            Err(
                TokenError::GoogleUnavailable { .. }
                | TokenError::ClientPaused { .. }
                | TokenError::Interrupted,
            ) => Ok(grant.state.is_usable()),
            Err(TokenError::Vault(error)) => Err(error),
            Err(_) => Ok(false),
        }
    }

    fn tell_connected(&self, client: &Client, origin: &Origin, exchanged: &Exchanged) {
        let answer = &exchanged.answer;
        let scopes: Vec<&str> = answer.scopes.iter().collect();
        let event = NewEvent::new(Kind::UserConnected, &origin.actor).about(exchanged.user);
        let event = event.client(&client.client_id).with("created", answer.created).with("scopes", scopes);
        self.events.note(event.with("source", origin.source.as_str()).with("offline", answer.offline_access));
    }

    async fn refuse(
        &self,
        client: &Client,
        origin: &Origin,
        arrival: &Arrival,
        refused: Refused,
    ) -> SignInError {
        let Refused { known, refusal } = refused;
        self.remember(arrival.marks, refusal).await;
        let why = match refusal {
            RememberedRefusal::WrongAccount => "wrong_account",
            _ => "not_allowed",
        };
        let event = NewEvent::new(Kind::UserRefused, &origin.actor).client(&client.client_id);
        let event = event.about(known).with("why", why);
        self.events.note(event.with("source", origin.source.as_str()));
        // Whoever is connected here keeps what they have: revoking would end it.
        if known.is_none() {
            self.give_back(&arrival.answer);
        }
        refusal.into()
    }

    /// Gives the tokens of a person who may not come in back to Google. Nobody waits for it.
    fn give_back(&self, answer: &TokenAnswer) {
        let (google, provider) = (self.google.clone(), self.provider.clone());
        let (refresh, access) = (answer.refresh_token.clone(), answer.access_token.clone());
        self.lifecycle.spawn(async move {
            let Ok(endpoints) = provider.endpoints().await else { return };
            let token = match &refresh {
                Some(token) => RevocableToken::Refresh(token),
                None => RevocableToken::Access(&access),
            };
            if let Err(error) = google.revoke(&endpoints, token).await {
                tracing::warn!(%error, "the tokens of a person who is not allowed could not be revoked");
            }
        });
    }

    /// Remembers a final refusal. That it could not be remembered changes nothing about it.
    async fn remember(&self, marks: CodeMarks, refusal: RememberedRefusal) {
        let redemption = redemption(marks, || Remembered::Refused(refusal));
        if let Err(error) = self.vault.save_redemption(redemption).await {
            tracing::warn!(%error, "a refused code could not be remembered");
        }
    }

    /// The first answer again, for the same code and idempotency key.
    async fn replay(&self, remembered: &[u8], user: Option<UserId>) -> Result<Exchanged, SignInError> {
        match serde_json::from_slice(remembered) {
            Ok(Remembered::Success { answer, session_epoch }) => {
                // An answer is also a session: none after the person's sessions were ended.
                let user = self
                    .vault
                    .load_user(user.ok_or(SignInError::CodeSpent)?)
                    .await?
                    .filter(|user| user.session_epoch == session_epoch)
                    .ok_or(SignInError::CodeSpent)?;
                let client = answer.client.clone();
                Ok(Exchanged { answer: *answer, user: user.id, session_epoch: user.session_epoch, client })
            }
            Ok(Remembered::Refused(refusal)) => Err(refusal.into()),
            // Written by another version: what is sure is that the code is spent.
            Err(_) => Err(SignInError::CodeSpent),
        }
    }
}

/// The clients whose ID tokens are accepted.
pub(super) fn audiences(clients: &[Client]) -> Vec<OAuthClientId> {
    clients.iter().map(|client| client.client_id.clone()).collect()
}
