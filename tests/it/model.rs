//! Random sequences of what can happen to three people and two clients, held after each step against
//! what the emulator knows and a small model of what locum may know.
//!
//! A failure prints the seed and the steps that led to it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use locum::emulator::{Endpoint, Fault, RegisteredClient};
use locum::events::Actor;
use locum::grant::GrantState;
use locum::ids::{OAuthClientId, Sub, UserId, UserRef};
use locum::rng::Rng;
use locum::scopes::ScopeSet;
use locum::secret::{AccessToken, ClientSecret, RefreshToken};
use locum::sign_in::SignInError;
use locum::tokens::{HandedToken, Reach, TokenError, TokenRequest};
use locum::users::{Revoke, UsersError};
use locum::vault::{FoundGrants, Grant};
use ring::digest::{SHA256, digest};

use crate::harness::{SCOPES, TestLocum, client, request};

const STEPS: usize = 200;
const NAMES: [&str; 2] = ["main", "second"];
const SETS: [&str; 4] =
    ["openid", "openid email", "openid https://www.googleapis.com/auth/drive.appdata", SCOPES];

/// One of three people and one of two clients.
type Pair = (usize, usize);

#[derive(Clone, Copy, Debug)]
enum Step {
    Connect { scopes: usize, offline: bool, force: bool },
    Token { explicit: bool },
    Narrowed { bound: usize },
    Rejected,
    RefreshNow,
    Expire,
    Wait,
    Withdraw,
    EndToken,
    Forget { everything: bool, revoke: Revoke },
    Outage { token: bool, revoke: bool },
    GoOnRevoking,
    KeepAlive,
    Restart,
}

struct Run {
    locum: TestLocum,
    rng: Rng,
    subs: Vec<Sub>,
    clients: [OAuthClientId; 2],
    /// Whose last wish was to be connected, and whose to be forgotten.
    connected: BTreeSet<Pair>,
    /// The refresh token that worked when it was last looked at, and what it opens.
    worked: BTreeMap<Pair, (RefreshToken, ScopeSet)>,
    /// What was last handed out, whole and narrowed.
    handed: BTreeMap<Pair, AccessToken>,
    token_outage: bool,
    revoke_outage: bool,
}

impl Run {
    async fn start(seed: u64) -> Self {
        let rng = Rng::seeded(seed);
        let locum = TestLocum::start().await;
        // One project with two clients, or two projects.
        let project =
            if seed.is_multiple_of(2) { locum.seeded.web.client_id.project() } else { "777000777000" };
        let id = format!("{project}-second.apps.googleusercontent.com").parse().expect("an id");
        let second = RegisteredClient::web(id, ClientSecret::new("GOCSPX-second"));
        locum.emulator.world.add_client(second.clone());
        let tables = [("main", &locum.seeded.web), ("second", &second)].map(|(name, registered)| {
            format!(
                "[[clients]]\nname = {name:?}\nclient_id = {:?}\nclient_secret = {:?}\nsources = [\"ios\"]\nscopes = [\"openid\"]\n",
                registered.client_id.as_str(),
                registered.secrets[0].expose()
            )
        });
        let clients = [locum.seeded.web.client_id.clone(), second.client_id];
        let locum = locum.restart_with(&tables.concat()).await;
        let subs = locum.seeded.people.iter().take(3).map(|person| person.sub.clone()).collect();
        Self {
            locum,
            rng,
            subs,
            clients,
            connected: BTreeSet::new(),
            worked: BTreeMap::new(),
            handed: BTreeMap::new(),
            token_outage: false,
            revoke_outage: false,
        }
    }

    fn below(&self, end: usize) -> usize {
        usize::try_from(self.rng.below(end as u64)).expect("small")
    }

    fn flip(&self) -> bool {
        self.below(2) == 0
    }

    /// Mostly the pair of the step before: trouble comes from what happens to one grant in a row.
    fn draw(&self, last: Pair) -> (Pair, Step) {
        let pair = if self.below(4) > 0 { last } else { (self.below(3), self.below(2)) };
        let set = || self.below(SETS.len() + 2).min(SETS.len() - 1);
        let step = match self.below(40) {
            0..10 => Step::Connect { scopes: set(), offline: self.below(5) > 0, force: self.below(3) == 0 },
            10..14 => Step::Token { explicit: self.flip() },
            14..21 => Step::Narrowed { bound: self.below(SETS.len()) },
            21..23 => Step::Rejected,
            23 => Step::RefreshNow,
            24..26 => Step::Expire,
            26 => Step::Wait,
            27..31 => Step::Withdraw,
            31 => Step::EndToken,
            32..34 => Step::Forget {
                everything: self.flip(),
                revoke: [Revoke::Auto, Revoke::Project, Revoke::No][self.below(3)],
            },
            34..37 => Step::Outage { token: self.below(4) == 0, revoke: self.below(3) == 0 },
            37 => Step::GoOnRevoking,
            38 => Step::KeepAlive,
            _ => Step::Restart,
        };
        (pair, step)
    }

    async fn user(&self, pair: Pair) -> Option<UserId> {
        self.locum
            .state
            .tokens
            .resolve(&UserRef::Sub(self.subs[pair.0].clone()))
            .await
            .ok()
            .map(|person| person.id)
    }

    async fn grant(&self, pair: Pair) -> Option<Grant> {
        let user =
            self.locum.state.vault.find_user_by_sub(&self.subs[pair.0]).await.expect("the vault works")?;
        let grants = self
            .locum
            .state
            .vault
            .load_grants_of(user)
            .await
            .and_then(FoundGrants::whole)
            .expect("the vault works");
        grants.into_iter().find(|grant| grant.client_id == self.clients[pair.1])
    }

    async fn stored(&self, pair: Pair) -> Option<RefreshToken> {
        let grant = self.grant(pair).await?;
        self.locum.state.vault.open_refresh_token(&grant).expect("sound")
    }

    /// Whether Google honours what locum has stored.
    async fn works(&self, pair: Pair) -> bool {
        self.stored(pair).await.is_some_and(|token| self.locum.emulator.world.refresh_token_is_live(&token))
    }

    /// What an outage must not change.
    async fn picture(&self) -> Vec<String> {
        let mut picture = Vec::new();
        for pair in pairs() {
            picture.push(match self.grant(pair).await {
                Some(grant) => {
                    format!(
                        "{} {} {} {}",
                        grant.state,
                        grant.scopes,
                        grant.token_generation,
                        grant.has_refresh_token()
                    )
                }
                None => String::new(),
            });
        }
        picture
    }

    async fn ask(
        &self,
        pair: Pair,
        bound: Option<&str>,
        min_ttl: Option<i64>,
        rejected: Option<&AccessToken>,
    ) -> Result<HandedToken, TokenError> {
        let Some(user) = self.user(pair).await else { return Err(TokenError::NotFound) };
        let (client, reach) =
            (client(NAMES[pair.1]), Reach { clients: None, scopes: bound.map(ScopeSet::parse) });
        let hash =
            |token: &AccessToken| digest(&SHA256, token.expose().as_bytes()).as_ref().try_into().expect("32");
        let rejected = rejected.map(hash);
        let client = Some(&client);
        self.locum
            .state
            .tokens
            .token(TokenRequest {
                person: user.into(),
                client,
                scopes: None,
                min_ttl,
                rejected,
                reach: &reach,
            })
            .await
    }

    /// What must hold of every answer to a request for a token.
    async fn check(
        &mut self,
        pair: Pair,
        bound: Option<&str>,
        answer: Result<HandedToken, TokenError>,
        before: Before,
    ) {
        match answer {
            Ok(token) => {
                assert!(self.connected.contains(&pair), "handed out after a forget");
                assert!(before.usable, "handed out although the grant was not usable");
                let opens = token.scopes;
                if let Some(bound) = bound {
                    assert!(opens.is_subset(&ScopeSet::parse(bound)), "wider than its bounds");
                }
                match self.locum.emulator.world.access(token.access_token.expose()) {
                    Some(access) => {
                        assert_eq!(access.person.sub, self.subs[pair.0], "another person's");
                        assert_eq!(access.client_id, self.clients[pair.1], "another client's");
                        assert_eq!(access.scopes, opens, "it opens something else than it says");
                    }
                    None => assert!(!before.works, "a dead token although the grant lives at Google"),
                }
                self.handed.insert(pair, token.access_token);
            }
            Err(TokenError::NotFound | TokenError::NoGrant) => {
                assert!(before.state.is_none(), "there is a grant")
            }
            Err(TokenError::ConsentRequired { .. }) => {
                assert!(!before.usable || !before.works, "the stored token works");
                assert!(!before.usable || !self.token_outage, "an outage is no refusal");
            }
            Err(TokenError::ScopeMissing { .. }) => assert!(bound.is_some()),
            Err(TokenError::GoogleUnavailable { .. }) => assert!(self.token_outage, "there is no outage"),
            Err(error) => panic!("{error:?}"),
        }
    }

    async fn before(&self, pair: Pair) -> Before {
        let state = self.grant(pair).await.map(|grant| grant.state);
        Before { state, usable: state.is_some_and(GrantState::is_usable), works: self.works(pair).await }
    }

    /// Does one step. Returns how many refreshes it may cost.
    async fn step(&mut self, pair: Pair, step: Step) -> u64 {
        let attempts = if self.token_outage { 3 } else { 1 };
        let before = self.before(pair).await;
        let world = self.locum.emulator.world.clone();
        match step {
            Step::Connect { scopes, offline, force } => {
                self.connect(pair, scopes, offline, force).await;
                attempts
            }
            Step::Token { explicit } => {
                let answer = self.ask(pair, None, explicit.then_some(600), None).await;
                self.check(pair, None, answer, before).await;
                if before.usable { attempts } else { 0 }
            }
            Step::Narrowed { bound } => {
                let answer = self.ask(pair, Some(SETS[bound]), None, None).await;
                self.check(pair, Some(SETS[bound]), answer, before).await;
                if before.usable { attempts } else { 0 }
            }
            Step::Rejected => {
                let Some(refused) = self.handed.get(&pair).cloned() else { return 0 };
                world.end_access_token(&refused);
                // It may have been a narrowed one, which callers of every bound must be rid of.
                let mut cost = 0;
                for bound in [None].into_iter().chain(SETS.map(Some)) {
                    let before = self.before(pair).await;
                    let answer = self.ask(pair, bound, None, Some(&refused)).await;
                    assert!(
                        answer.as_ref().map_or(true, |token| token.access_token != refused),
                        "the refused one"
                    );
                    self.check(pair, bound, answer, before).await;
                    cost += attempts;
                }
                cost
            }
            Step::RefreshNow => {
                let Some(user) = self.user(pair).await else { return 0 };
                let client = client(NAMES[pair.1]);
                let answer =
                    self.locum.state.tokens.refresh_now(user, Some(&client), &Reach::EVERYTHING).await;
                if !self.token_outage && self.connected.contains(&pair) {
                    assert_eq!(answer.is_ok(), before.works, "Google decides: {answer:?}");
                }
                attempts
            }
            Step::Expire => self.pass(3600),
            Step::Wait => self.pass(5),
            Step::Withdraw => {
                world.withdraw_consent(&self.subs[pair.0], self.clients[pair.1].project());
                0
            }
            Step::EndToken => {
                self.stored(pair).await.inspect(|token| world.end_refresh_token(token));
                0
            }
            Step::Forget { everything, revoke } => {
                self.forget(pair, everything, revoke, before).await;
                0
            }
            Step::Outage { token, revoke } => {
                (self.token_outage, self.revoke_outage) = (token, revoke);
                world.faults().clear_all();
                for (down, endpoint) in [(token, Endpoint::Token), (revoke, Endpoint::Revoke)] {
                    if down {
                        world.faults().until_cleared(endpoint, Fault::status(503));
                    }
                }
                0
            }
            Step::GoOnRevoking => {
                self.locum.state.users.revoke_step().await.expect("the vault works");
                0
            }
            Step::KeepAlive => {
                self.locum.state.tokens.keep_alive_step().await.expect("the vault works");
                6 * attempts
            }
            // Done by the loop, which owns the run.
            Step::Restart => 0,
        }
    }

    fn pass(&self, seconds: u64) -> u64 {
        self.locum.clock.advance(Duration::from_secs(seconds));
        0
    }

    async fn connect(&mut self, pair: Pair, scopes: usize, offline: bool, force: bool) {
        let code = self.locum.emulator.world.issue_code(locum::emulator::CodeRequest {
            offline,
            force_consent: force,
            ..locum::emulator::CodeRequest::mobile(&self.clients[pair.1], &self.subs[pair.0], SETS[scopes])
        });
        let mut ask = request(code);
        ask.client = Some(client(NAMES[pair.1]));
        match self.locum.state.sign_in.redeem(ask, &Actor::locum()).await {
            Ok(exchanged) => {
                assert!(!self.token_outage);
                self.connected.insert(pair);
                let grant = self.grant(pair).await.expect("just connected");
                assert_eq!(grant.scopes, exchanged.answer.scopes);
                assert_eq!(grant.state.is_usable(), exchanged.answer.offline_access);
                assert!(!exchanged.answer.offline_access || grant.has_refresh_token());
            }
            Err(SignInError::GoogleUnavailable { .. }) => assert!(self.token_outage),
            Err(error) => panic!("{error:?}"),
        }
    }

    async fn forget(&mut self, pair: Pair, everything: bool, revoke: Revoke, before: Before) {
        let Some(user) = self.user(pair).await else { return };
        let only = client(NAMES[pair.1]);
        match self
            .locum
            .state
            .users
            .forget(user, (!everything).then_some(&only), revoke, &Actor::locum())
            .await
        {
            Ok(forgotten) => {
                self.connected.retain(|other| other.0 != pair.0 || (!everything && other.1 != pair.1));
                if forgotten.revoked
                    && !forgotten.pending
                    && before.works
                    && let Some(token) = self.handed.get(&pair)
                {
                    assert!(!self.locum.emulator.world.token_is_live(token), "revoked, yet it lives");
                }
            }
            Err(UsersError::NotFound | UsersError::NoGrant) => assert!(before.state.is_none()),
            Err(error) => panic!("{error:?}"),
        }
    }

    /// What must hold after every step.
    async fn check_everything(&mut self) {
        for pair in pairs() {
            let grant = self.grant(pair).await;
            let state = grant.as_ref().map(|grant| grant.state);
            if self.connected.contains(&pair) {
                assert!(state.is_some_and(|state| state != GrantState::Revoking), "{pair:?} was lost");
                if let Some((token, scopes)) = self.worked.get(&pair)
                    && self.locum.emulator.world.refresh_token_is_live(token)
                {
                    assert!(self.works(pair).await, "{pair:?} had a refresh token that still works");
                    let opens = grant.as_ref().map(|grant| grant.scopes.clone()).unwrap_or_default();
                    let less = opens != *scopes && opens.is_subset(scopes);
                    assert!(!less, "{pair:?} had a refresh token that opens more and still works");
                }
            } else {
                assert!(state.is_none_or(|state| state == GrantState::Revoking), "{pair:?} was forgotten");
            }
            let live = |token: &RefreshToken| self.locum.emulator.world.refresh_token_is_live(token);
            match (self.stored(pair).await.filter(live), grant) {
                (Some(token), Some(grant)) if self.connected.contains(&pair) => {
                    self.worked.insert(pair, (token, grant.scopes));
                }
                _ => drop(self.worked.remove(&pair)),
            }
            if !state.is_some_and(GrantState::is_usable) {
                for bound in [None].into_iter().chain(SETS.map(Some)) {
                    self.ask(pair, bound, None, None).await.expect_err("it is not usable");
                }
            }
        }
    }
}

/// A grant before a step.
#[derive(Clone, Copy, Debug)]
struct Before {
    state: Option<GrantState>,
    usable: bool,
    works: bool,
}

fn pairs() -> impl Iterator<Item = Pair> {
    (0..3).flat_map(|person| (0..2).map(move |client| (person, client)))
}

/// Prints what was done when a check fails.
struct Trace(u64, Vec<(Pair, Step)>);

impl Drop for Trace {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}, after {:#?}", self.0, self.1);
        }
    }
}

async fn run(seed: u64) {
    let mut run = Run::start(seed).await;
    let mut trace = Trace(seed, Vec::new());
    for _ in 0..STEPS {
        let last = trace.1.last().map_or((0, 0), |(pair, _)| *pair);
        let (pair, step) = run.draw(last);
        trace.1.push((pair, step));
        let (picture, refreshes) = (run.picture().await, run.locum.emulator.world.counts().refreshes);
        if matches!(step, Step::Restart) {
            run.locum = run.locum.restart().await;
        }
        let allowed = run.step(pair, step).await;
        let cost = run.locum.emulator.world.counts().refreshes - refreshes;
        assert!(cost <= allowed, "{cost} refreshes where {allowed} would do");
        if run.token_outage && !matches!(step, Step::Forget { .. } | Step::GoOnRevoking) {
            assert_eq!(run.picture().await, picture, "an outage changed something");
        }
        run.check_everything().await;
        let settled = run.locum.emulator.world.counts().refreshes - refreshes;
        assert_eq!(settled, cost, "who asks for what is not usable must not reach Google");
    }
}

#[actix_web::test]
async fn whatever_happens_in_one_project() {
    for seed in (2..18).step_by(2) {
        run(seed).await;
    }
}

#[actix_web::test]
async fn whatever_happens_in_two_projects() {
    for seed in (1..17).step_by(2) {
        run(seed).await;
    }
}
