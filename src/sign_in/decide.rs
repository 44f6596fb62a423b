//! What becomes of a person and their grant when they sign in.
//!
//! What must stay true: a stored refresh token is never replaced by none, nor by one that opens less
//! while it works; and the scopes of a grant are those of its refresh token.
//!
//! The decision is made inside the transaction that carries it out, on what is stored at that moment. It
//! asks nobody: where it takes a call to Google to decide, it says so, and is asked again with the outcome.

use std::sync::Arc;

use super::NamedPerson;
use super::answer::{AnswerUser, ExchangeAnswer, Remembered, RememberedRefusal, redemption, warnings};
use crate::clock::Timestamp;
use crate::config::{Admission, Config};
use crate::google::{IdClaims, TokenAnswer};
use crate::grant::{GrantEvent, GrantState};
use crate::ids::{ClientName, OAuthClientId, UserId, UserRef};
use crate::scopes::ScopeSet;
use crate::vault::{
    AccessChange, CodeMarks, Grant, GrantChange, NewConnection, NewGrant, Profile, RefreshChange, User,
    WholePerson,
};

/// Google's tokens and the person they are of, verified.
pub(super) struct Arrival {
    pub(super) config: Arc<Config>,
    pub(super) client: ClientName,
    pub(super) client_id: OAuthClientId,
    /// What the client wants.
    pub(super) wanted: ScopeSet,
    pub(super) marks: CodeMarks,
    pub(super) answer: TokenAnswer,
    /// When the answer came.
    pub(super) at: Timestamp,
    pub(super) claims: IdClaims,
    /// Only this person will do.
    pub(super) only: Option<NamedPerson>,
}

/// What is told of a sign-in once it is on disk.
pub(super) struct Told {
    pub(super) answer: ExchangeAnswer,
    /// Every name under which the person, or somebody else, may be remembered wrongly from now on.
    pub(super) names: Vec<UserRef>,
}

/// Why nothing is written.
pub(super) enum Hold {
    /// The person does not come in.
    Refused(Refused),
    /// It depends on whether Google still honours the refresh token of this grant.
    Doubt(Box<Grant>),
}

/// Who does not come in, and why.
#[derive(Clone, Copy)]
pub(super) struct Refused {
    /// The row of whoever is connected already.
    pub(super) known: Option<UserId>,
    pub(super) refusal: RememberedRefusal,
}

/// What a call to Google said of a stored refresh token. It counts while the grant stays as it is.
pub(super) struct Weighed {
    pub(super) grant: Grant,
    pub(super) works: bool,
}

impl NamedPerson {
    /// Whether Google says that this is the person. An address counts where Google has verified it.
    fn is(&self, claims: &IdClaims) -> bool {
        match self {
            Self::Sub(sub, _) => claims.sub == *sub,
            Self::Email(email) => claims.email_verified && claims.email.as_ref() == Some(email),
        }
    }
}

/// What becomes of the tokens.
struct Decided {
    scopes: ScopeSet,
    offline: bool,
    expires_in: Option<i64>,
    change: GrantChange,
}

impl Arrival {
    /// What is written about the person as they are known now.
    pub(super) fn judge(
        &self,
        known: Option<&WholePerson>,
        weighed: Option<&Weighed>,
    ) -> Result<(NewConnection, Told), Hold> {
        let user = known.map(|(user, _)| user);
        let admission = self.admit(user).map_err(Hold::Refused)?;
        let stored = known.and_then(|(_, grants)| grants.iter().find(|g| g.client_id == self.client_id));
        let decided = self.decide(stored, weighed)?;
        let profile = self.profile(&admission, user);
        let answer = ExchangeAnswer {
            user: AnswerUser::from(&profile),
            client: self.client.clone(),
            missing_scopes: self.wanted.minus(&decided.scopes),
            scopes: decided.scopes,
            offline_access: decided.offline,
            refresh_token_expires_at: decided.expires_in.map(|seconds| self.at.plus(seconds)),
            warnings: warnings(decided.offline, decided.expires_in),
            created: user.is_none(),
        };
        // Everybody begins in epoch 0.
        let session_epoch = user.map_or(0, |user| user.session_epoch);
        let redemption = redemption(self.marks, || Remembered::success(answer.clone(), session_epoch));
        let names = changed_names(user, &profile);
        let grant = NewGrant { client_id: self.client_id.clone(), change: decided.change };
        Ok((NewConnection { profile, grant, redemption: Some(redemption) }, Told { answer, names }))
    }

    /// The entry that admits the person: the one that did before, while it is listed, or another.
    pub(super) fn admit(&self, user: Option<&User>) -> Result<Admission, Refused> {
        let (claims, allowed) = (&self.claims, &self.config.allow_users);
        let refused = |refusal| Refused { known: user.map(|user| user.id), refusal };
        if self.only.as_ref().is_some_and(|only| !only.is(claims)) {
            return Err(refused(RememberedRefusal::WrongAccount));
        }
        let before = user.and_then(|user| user.profile.admitted_by.parse::<Admission>().ok());
        before
            .filter(|admission| allowed.still_lists(admission))
            .or_else(|| {
                let email = claims.email.as_ref().filter(|_| claims.email_verified);
                allowed.admits(email, claims.hd.as_deref())
            })
            .ok_or_else(|| refused(RememberedRefusal::UserNotAllowed))
    }

    /// What is known of the person from now on. Google leaves out what the sign-in did not ask for, and now and
    /// then a name or a picture: that is no reason to forget it. Only `hd` that is absent means something: no organisation.
    fn profile(&self, admission: &Admission, user: Option<&User>) -> Profile {
        let claims = &self.claims;
        let before = user.map(|user| &user.profile);
        let kept = |field: fn(&Profile) -> &Option<String>| before.and_then(|before| field(before).clone());
        let mut profile = Profile {
            sub: claims.sub.clone(),
            email: claims.email.clone(),
            email_verified: claims.email_verified,
            name: claims.name.clone(),
            given_name: claims.given_name.clone(),
            family_name: claims.family_name.clone(),
            picture: claims.picture.clone().or_else(|| kept(|before| &before.picture)),
            locale: claims.locale.clone().or_else(|| kept(|before| &before.locale)),
            hd: claims.hd.clone(),
            admitted_by: admission.to_string(),
        };
        if let Some(before) = before.filter(|_| profile.email.is_none()) {
            (profile.email, profile.email_verified) = (before.email.clone(), before.email_verified);
        }
        // Some people have one name only, so the three are told together or not at all.
        if profile.name.is_none() && profile.given_name.is_none() && profile.family_name.is_none() {
            profile.name = kept(|before| &before.name);
            profile.given_name = kept(|before| &before.given_name);
            profile.family_name = kept(|before| &before.family_name);
        }
        profile
    }

    /// Which refresh token, access token and scopes the grant has from now on.
    fn decide(&self, stored: Option<&Grant>, weighed: Option<&Weighed>) -> Result<Decided, Hold> {
        let (now, answer) = (self.at, &self.answer);
        // RFC 6749 §5.1: no scope in the answer means all that were asked for.
        let granted = answer.scope.as_ref().unwrap_or(&self.wanted);
        let access = AccessChange::Replace {
            token: answer.access_token.clone(),
            expires_at: now.plus(answer.expires_in),
        };
        let state = |offline| {
            let before = stored.map_or(GrantState::Active, |grant| grant.state);
            before.after(GrantEvent::Connected { offline })
        };
        if let Some(grant) = self.keeps(stored, granted, weighed)? {
            // The scopes stay those of the stored refresh token. A new one that opens less is let go
            // unrevoked, since revoking it would end both; an access token that opens something else is
            // not stored beside scopes that are not its own.
            let same = *granted == grant.scopes && answer.refresh_token.is_none();
            let change = GrantChange {
                state: state(true),
                access: if same { access } else { AccessChange::Keep },
                ..GrantChange::default()
            };
            let (scopes, expires_in) =
                (grant.scopes.clone(), grant.refresh_expires_at.map(|at| at.since(now)));
            return Ok(Decided { scopes, offline: true, expires_in, change });
        }
        let offline = answer.refresh_token.is_some();
        let expires_in = answer.refresh_token_expires_in.filter(|_| offline);
        let refresh = match &answer.refresh_token {
            Some(token) => RefreshChange::Replace {
                token: token.clone(),
                expires_at: expires_in.map(|seconds| now.plus(seconds)),
            },
            None => RefreshChange::Keep,
        };
        let change = GrantChange {
            state: state(offline),
            scopes: Some(granted.clone()),
            refresh,
            access,
            refreshed: true,
            revoke_until: None,
        };
        Ok(Decided { scopes: granted.clone(), offline, expires_in, change })
    }

    /// The stored grant if its refresh token stays.
    fn keeps<'a>(
        &self,
        stored: Option<&'a Grant>,
        granted: &ScopeSet,
        weighed: Option<&Weighed>,
    ) -> Result<Option<&'a Grant>, Hold> {
        let Some(grant) = stored.filter(|grant| grant.has_refresh_token()) else { return Ok(None) };
        let opens_less = *granted != grant.scopes && granted.is_subset(&grant.scopes);
        let stays = match (&self.answer.refresh_token, grant.state) {
            // Of a person who connects while they are being forgotten: Google sends none exactly because
            // the old one lives, and nothing is asked of Google with that one meanwhile.
            (sent, GrantState::Revoking) => sent.is_none(),
            (Some(_), _) if !opens_less => false,
            (None, GrantState::Active | GrantState::Suspended(_)) if granted.is_subset(&grant.scopes) => true,
            _ => match weighed.filter(|weighed| weighed.grant.is_unchanged(grant)) {
                Some(weighed) => weighed.works,
                None => return Err(Hold::Doubt(Box::new(grant.clone()))),
            },
        };
        Ok(stays.then_some(grant))
    }
}

fn changed_names(before: Option<&User>, after: &Profile) -> Vec<UserRef> {
    let emails = [before.and_then(|user| user.profile.verified_email()), after.verified_email()];
    emails
        .into_iter()
        .flatten()
        .map(|email| UserRef::Email(email.clone()))
        .chain([UserRef::Sub(after.sub.clone())])
        .collect()
}
