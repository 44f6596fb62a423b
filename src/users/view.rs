//! People as the owner sees them.

use serde::{Deserialize, Serialize};

use super::{Inner, Users, UsersError};
use crate::clock::Timestamp;
use crate::grant::GrantState;
use crate::ids::{ClientName, Email, OAuthClientId, Sub, UserId};
use crate::scopes::{ScopeInWords, ScopeSet};
use crate::tokens::Reach;
use crate::vault::{FoundGrants, Grant, User, VaultError};

/// Rows looked at for one page at the most, so that a filter that matches few people does not read a
/// whole vault in one request. A page may then be short, or empty with a `next`.
const MAX_SCAN: usize = 5_000;

/// One person with the grants within the caller's reach.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UserView {
    /// Google's `sub`.
    pub id: Sub,
    /// The address, verified or not.
    pub email: Option<Email>,
    /// Whether Google has verified it.
    pub email_verified: bool,
    /// The full name.
    pub name: Option<String>,
    /// Address of a picture.
    pub picture: Option<String>,
    /// The organisation's domain.
    pub hd: Option<String>,
    /// When they first connected.
    pub created_at: Timestamp,
    /// Their grants.
    pub grants: Vec<GrantView>,
    /// Records of grants that do not match their seal, and so can only be restored or forgotten. Told to who
    /// reaches every client: whose they are cannot be known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub damaged: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
pub(super) fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// One grant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GrantView {
    /// The client's name; `null` when it is no longer configured.
    pub client: Option<ClientName>,
    /// The client's id at Google.
    pub client_id: OAuthClientId,
    /// `active`, `needs_consent`, `dead`, `blocked`, `suspended` or `revoking`.
    pub state: String,
    /// Why.
    pub cause: Option<String>,
    /// What the state means and what ends it.
    pub explanation: String,
    /// Since when.
    pub since: Timestamp,
    /// What was granted.
    pub scopes: ScopeSet,
    /// Whether a refresh token is stored.
    pub offline_access: bool,
    /// When the refresh token runs out, if Google said so.
    pub refresh_token_expires_at: Option<Timestamp>,
    /// When the stored access token runs out.
    pub access_token_expires_at: Option<Timestamp>,
    /// The last sign-in.
    pub connected_at: Timestamp,
    /// When Google last accepted the refresh token.
    pub refreshed_at: Timestamp,
    /// What only the view of one person says.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub detail: Option<GrantDetail>,
}

/// What is said of a grant where one person is looked at.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GrantDetail {
    /// When the refresh token is used next for its own sake if nobody asks for a token before, so that
    /// Google does not drop it; `null` for a grant that is not refreshed.
    pub next_refresh_at: Option<Timestamp>,
    /// From when on a request for a token starts a refresh ahead of the stored one's end; `null` while none
    /// is stored or the grant is not refreshed.
    pub refresh_ahead_from: Option<Timestamp>,
    /// What the granted scopes allow, in their order.
    pub scopes_in_words: Vec<ScopeInWords>,
    /// What the client is configured to want and the person did not grant.
    pub missing_scopes: ScopeSet,
}

/// Which people to list.
#[derive(Clone, Debug, Default)]
pub struct UserFilter {
    /// Only people with a grant in this state.
    pub state: Option<String>,
    /// Only the people with this verified address.
    pub email: Option<Email>,
    /// Only these rows, for a caller that is bound to them.
    pub only: Option<Vec<UserId>>,
}

/// A page of people.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UserPage {
    /// The people.
    pub users: Vec<UserView>,
    /// The cursor of the next page; `null` on the last.
    pub next: Option<String>,
    /// How many people of this page have damaged records. Who cannot be told at all is not listed.
    pub damaged: u64,
}

impl Users {
    /// One person.
    ///
    /// # Errors
    /// [`UsersError::NotFound`] when there is nobody, or nothing of theirs, within reach.
    pub async fn show(&self, user: UserId, reach: &Reach) -> Result<UserView, UsersError> {
        let inner = &self.0;
        let user = inner.vault.load_user(user).await?.ok_or(UsersError::NotFound)?;
        let FoundGrants { sound: grants, damaged } = inner.vault.load_grants_of(user.id).await?;
        let mut view = inner.view(user, &grants, damaged.len(), reach).ok_or(UsersError::NotFound)?;
        for shown in &mut view.grants {
            let of_client = |grant: &&Grant| grant.client_id == shown.client_id;
            shown.detail = grants.iter().find(of_client).map(|grant| inner.detail(grant));
        }
        Ok(view)
    }

    /// A page of up to `limit` people, in no particular but a steady order.
    ///
    /// # Errors
    /// [`UsersError::BadCursor`] for a cursor that was not given out here.
    pub async fn list(
        &self,
        cursor: Option<&str>,
        limit: usize,
        filter: &UserFilter,
        reach: &Reach,
    ) -> Result<UserPage, UsersError> {
        let mut after = cursor.map(parse_cursor).transpose()?;
        let mut page = UserPage { users: Vec::new(), next: None, damaged: 0 };
        if let Some(rows) = self.0.named_rows(filter).await? {
            // A short list of known rows: one page.
            for row in rows {
                if let Some(user) = self.0.vault.load_user(row).await.transpose() {
                    self.0.add(&mut page, user, filter, reach).await?;
                }
            }
            return Ok(page);
        }
        let mut scanned = 0;
        while page.users.len() < limit && scanned < MAX_SCAN {
            let batch = self.0.vault.list_users(after, limit).await?;
            let last_batch = batch.len() < limit;
            scanned += batch.len();
            for (id, user) in batch {
                if page.users.len() == limit {
                    page.next = after.map(cursor_of);
                    return Ok(page);
                }
                after = Some(id);
                self.0.add(&mut page, user, filter, reach).await?;
            }
            if last_batch {
                return Ok(page);
            }
        }
        page.next = after.map(cursor_of);
        Ok(page)
    }
}

impl UserFilter {
    fn matches(&self, view: &UserView) -> bool {
        self.state.as_ref().is_none_or(|state| view.grants.iter().any(|grant| grant.state == *state))
    }
}

impl Inner {
    /// The rows that the filter names outright, if it does.
    async fn named_rows(&self, filter: &UserFilter) -> Result<Option<Vec<UserId>>, UsersError> {
        let by_email = match &filter.email {
            Some(email) => Some(self.vault.find_users_by_email(email).await?),
            None => None,
        };
        Ok(match (by_email, &filter.only) {
            (Some(found), Some(only)) => Some(found.into_iter().filter(|id| only.contains(id)).collect()),
            (Some(found), None) => Some(found),
            (None, Some(only)) => Some(only.clone()),
            (None, None) => None,
        })
    }

    /// Adds a person to a page, or to the number of those who cannot be read: one damaged row must not
    /// hide everybody else.
    async fn add(
        &self,
        page: &mut UserPage,
        user: Result<User, VaultError>,
        filter: &UserFilter,
        reach: &Reach,
    ) -> Result<(), UsersError> {
        let whole = match user {
            Ok(user) => self.vault.load_grants_of(user.id).await.map(|found| (user, found)),
            Err(error) => Err(error),
        };
        match whole {
            Ok((user, FoundGrants { sound: grants, damaged })) => {
                for grant in &damaged {
                    tracing::error!(grant = grant.0, "a damaged grant cannot be shown");
                }
                let view = self.view(user, &grants, damaged.len(), reach);
                page.damaged += u64::from(view.as_ref().is_some_and(|view| view.damaged > 0));
                page.users.extend(view.filter(|view| filter.matches(view)));
            }
            Err(error @ VaultError::Damaged { .. }) => {
                tracing::error!(%error, "a person cannot be listed");
                page.damaged += 1;
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// The person with what is within reach; `None` when a bound caller reaches nothing of theirs.
    pub(super) fn view(
        &self,
        user: User,
        grants: &[Grant],
        damaged: usize,
        reach: &Reach,
    ) -> Option<UserView> {
        let grants: Vec<GrantView> = grants
            .iter()
            .map(|grant| self.view_grant(grant))
            .filter(|grant| reach.includes(grant.client.as_ref()))
            .collect();
        if grants.is_empty() && reach.clients.is_some() {
            return None;
        }
        let profile = user.profile;
        Some(UserView {
            id: profile.sub,
            email: profile.email,
            email_verified: profile.email_verified,
            name: profile.name,
            picture: profile.picture,
            hd: profile.hd,
            created_at: user.created_at,
            grants,
            damaged: if reach.clients.is_none() { damaged } else { 0 },
        })
    }

    pub(super) fn client_name(&self, id: &OAuthClientId) -> Option<ClientName> {
        self.config.client_by_id(id).map(|client| client.name.clone())
    }

    pub(super) fn seen_state(&self, grant: &Grant) -> GrantState {
        match self.config.client_by_id(&grant.client_id) {
            Some(_) => grant.state,
            None => grant.state.seen_without_client(),
        }
    }

    fn view_grant(&self, grant: &Grant) -> GrantView {
        let state = self.seen_state(grant);
        GrantView {
            client: self.client_name(&grant.client_id),
            client_id: grant.client_id.clone(),
            state: state.code().into(),
            cause: state.cause().map(str::to_owned),
            explanation: state.words().into(),
            since: grant.since,
            scopes: grant.scopes.clone(),
            offline_access: grant.has_refresh_token(),
            refresh_token_expires_at: grant.refresh_expires_at,
            access_token_expires_at: grant.access_expires_at,
            connected_at: grant.connected_at,
            refreshed_at: grant.refreshed_at,
            detail: None,
        }
    }

    fn detail(&self, grant: &Grant) -> GrantDetail {
        let settings = &self.config.tokens;
        let is_refreshed = self.seen_state(grant).is_usable() && grant.has_refresh_token();
        let wanted =
            self.config.client_by_id(&grant.client_id).map(|client| client.scopes.minus(&grant.scopes));
        GrantDetail {
            next_refresh_at: is_refreshed.then(|| grant.refreshed_at + settings.keep_alive),
            refresh_ahead_from: grant
                .access_expires_at
                .filter(|_| is_refreshed)
                .map(|end| end.plus(-settings.ahead(end.since(grant.refreshed_at)))),
            scopes_in_words: grant.scopes.in_words(),
            missing_scopes: wanted.unwrap_or_default(),
        }
    }
}

fn cursor_of(id: UserId) -> String {
    format!("{:x}", id.0)
}

fn parse_cursor(text: &str) -> Result<UserId, UsersError> {
    i64::from_str_radix(text, 16).ok().filter(|id| *id > 0).map(UserId).ok_or(UsersError::BadCursor)
}
