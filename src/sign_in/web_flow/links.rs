//! Links that lead a named person, new or known, through consent. An invitation and a reconnection are the
//! same thing.
//!
//! A link is looked at as often as anybody likes (chats fetch previews) and followed once. It is spent when
//! the way to Google is open, not before: an outage costs nobody their invitation.

use url::Url;

use super::round::wanted;
use super::{Ask, Begun, Inner, WebError, WebFlow};
use crate::clock::Timestamp;
use crate::events::{Actor, Kind, NewEvent};
use crate::ids::{ClientName, UserId};
use crate::scopes::ScopeSet;
use crate::secret::SecretText;
use crate::sign_in::{NamedPerson, SignInError};
use crate::vault::{ConnectLinkRecord, LinkedPerson};

/// What a link is to be made for.
#[derive(Clone, Debug)]
pub struct LinkOrder {
    /// Who.
    pub person: NamedPerson,
    /// With which client; may be left out where browsers can use only one.
    pub client: Option<ClientName>,
    /// What to ask for instead of the client's scopes.
    pub scopes: Option<ScopeSet>,
    /// For how many seconds.
    pub lifetime: i64,
}

/// A link that was just made. Its address is shown this once.
pub struct MadeLink {
    /// Its number, by which it can be withdrawn.
    pub id: LinkId,
    /// The address to send to the person. Whoever has it can look at whom it is for.
    pub url: Url,
    /// The client.
    pub client: ClientName,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// The number of a link, which opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkId(i64);

impl std::fmt::Display for LinkId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl std::str::FromStr for LinkId {
    type Err = WebError;

    fn from_str(text: &str) -> Result<Self, WebError> {
        let digits = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let id = i64::from_str_radix(text, 16).ok().filter(|_| digits);
        id.map(Self).ok_or(WebError::LinkGone)
    }
}

/// What the page of a link shows.
#[derive(Clone, Debug)]
pub struct LinkView {
    /// What it leads to.
    pub ask: Ask,
    /// What will be asked for, whatever the person has granted before.
    pub scopes: ScopeSet,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// A link that waits to be followed. Its address cannot be told again.
#[derive(Clone, Debug)]
pub struct OpenLink {
    /// Its number, by which it can be withdrawn.
    pub id: LinkId,
    /// Whom it is for.
    pub person: LinkedPerson,
    /// The client; such links as are for one that is no longer configured lead nowhere and are not told.
    pub client: ClientName,
    /// What it asks for instead of the client's scopes.
    pub scopes: Option<ScopeSet>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl From<NamedPerson> for LinkedPerson {
    fn from(person: NamedPerson) -> Self {
        match person {
            NamedPerson::Sub(sub, email) => Self { sub: Some(sub), email },
            NamedPerson::Email(email) => Self { sub: None, email: Some(email) },
        }
    }
}

impl Inner {
    /// The row of a person who is connected, to tell of; nobody where that cannot be found out.
    async fn row_of(&self, person: &LinkedPerson) -> Option<UserId> {
        match (&person.sub, &person.email) {
            (Some(sub), _) => self.vault.find_user_by_sub(sub).await.ok().flatten(),
            (None, Some(email)) => match self.vault.find_users_by_email(email).await.ok()?.as_slice() {
                [only] => Some(*only),
                _ => None,
            },
            (None, None) => None,
        }
    }
}

impl WebFlow {
    /// The client that a link will be for.
    ///
    /// # Errors
    /// When it is unknown, not named, or not set up for browsers.
    pub fn client_of_link(&self, client: Option<ClientName>) -> Result<ClientName, WebError> {
        self.0.client(client).map(|client| client.name.clone())
    }

    /// Makes a link.
    ///
    /// # Errors
    /// As [`WebFlow::client_of_link`], and [`SignInError::UserNotAllowed`] for an address that no entry of
    /// `allow_users` can ever admit.
    pub async fn make_link(&self, order: LinkOrder, actor: &Actor) -> Result<MadeLink, WebError> {
        let inner = &self.0;
        let client = inner.client(order.client)?;
        if let NamedPerson::Email(email) = &order.person
            && !inner.config.allow_users.may_admit(email)
        {
            return Err(SignInError::UserNotAllowed.into());
        }
        let person = LinkedPerson::from(order.person);
        let secret = SecretText::new(inner.rng.token(32));
        let url = inner.config.server.public_route(&["v1", "connect", secret.expose()]);
        let url = url.ok_or(WebError::NotConfigured)?;
        let now = inner.clock.now();
        let link = ConnectLinkRecord {
            id: 0,
            person,
            client_id: client.client_id.clone(),
            scopes: order.scopes,
            created_at: now,
            expires_at: now.plus(order.lifetime),
        };
        let (this, actor) = (inner.clone(), actor.clone());
        let work = async move {
            let link = this.vault.save_connect_link(&secret, link).await?;
            let event = NewEvent::new(Kind::ConnectLinkCreated, &actor).client(&link.client_id);
            let event =
                event.about(this.row_of(&link.person).await).with("link", LinkId(link.id).to_string());
            this.events.record(event.with("expires_at", link.expires_at.to_string())).await;
            Ok::<_, WebError>(link)
        };
        let link = inner.lifecycle.run(work).await.unwrap_or(Err(SignInError::Interrupted.into()))?;
        Ok(MadeLink { id: LinkId(link.id), url, client: client.name.clone(), expires_at: link.expires_at })
    }

    /// The links that wait to be followed, the latest first, at most `limit`; and how many more cannot be
    /// read because their rows are damaged.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn open_links(&self, limit: usize) -> Result<(Vec<OpenLink>, u64), WebError> {
        let inner = &self.0;
        let (mut links, mut damaged) = (Vec::new(), 0);
        for link in inner.vault.list_connect_links(limit).await? {
            let link = match link {
                Ok(link) => link,
                Err(error) => {
                    tracing::error!(%error, "a connect link cannot be listed");
                    damaged += 1;
                    continue;
                }
            };
            let Some(client) = inner.config.client_by_id(&link.client_id) else { continue };
            links.push(OpenLink {
                id: LinkId(link.id),
                person: link.person,
                client: client.name.clone(),
                scopes: link.scopes,
                created_at: link.created_at,
                expires_at: link.expires_at,
            });
        }
        Ok((links, damaged))
    }

    /// What a link is for. Uses nothing up.
    ///
    /// # Errors
    /// [`WebError::LinkGone`] for one that is unknown, used, withdrawn or over, or whose client is gone.
    pub async fn look_at_link(&self, secret: &SecretText) -> Result<LinkView, WebError> {
        self.found(secret).await.map(|(_, view)| view)
    }

    /// Follows a link: begins a sign-in for its person alone, and the link is spent.
    ///
    /// # Errors
    /// As [`WebFlow::look_at_link`] and [`WebFlow::begin`]; only a success spends it.
    pub async fn follow_link(&self, secret: &SecretText, actor: &Actor) -> Result<Begun, WebError> {
        let (id, view) = self.found(secret).await?;
        let (client, person) = (view.ask.client.clone(), view.ask.person.clone());
        let begun = self.begin(view.ask).await?;
        if !self.0.vault.delete_connect_link(id.0).await? {
            return Err(WebError::LinkGone);
        }
        let mut event = NewEvent::new(Kind::ConnectLinkFollowed, actor).with("link", id.to_string());
        if let Some(client) = self.0.config.client(&client) {
            event = event.client(&client.client_id);
        }
        if let Some(person) = person {
            event = event.about(self.0.row_of(&person.into()).await);
        }
        self.0.events.note(event);
        Ok(begun)
    }

    /// Withdraws a link.
    ///
    /// # Errors
    /// [`WebError::LinkGone`] when there is none of this number.
    pub async fn withdraw_link(&self, id: LinkId, actor: &Actor) -> Result<(), WebError> {
        let (this, actor) = (self.0.clone(), actor.clone());
        let work = async move {
            if !this.vault.delete_connect_link(id.0).await? {
                return Err(WebError::LinkGone);
            }
            let event = NewEvent::new(Kind::ConnectLinkWithdrawn, &actor).with("link", id.to_string());
            this.events.record(event).await;
            Ok(())
        };
        self.0.lifecycle.run(work).await.unwrap_or(Err(SignInError::Interrupted.into()))
    }

    async fn found(&self, secret: &SecretText) -> Result<(LinkId, LinkView), WebError> {
        let inner = &self.0;
        let link = inner.vault.load_connect_link(secret).await?.ok_or(WebError::LinkGone)?;
        let client = inner.config.client_by_id(&link.client_id).ok_or(WebError::LinkGone)?;
        let person = match link.person {
            LinkedPerson { sub: Some(sub), email } => NamedPerson::Sub(sub, email),
            LinkedPerson { sub: None, email: Some(email) } => NamedPerson::Email(email),
            LinkedPerson { sub: None, email: None } => return Err(WebError::LinkGone),
        };
        let ask = Ask {
            client: client.name.clone(),
            return_to: None,
            challenge: None,
            person: Some(person),
            scopes: link.scopes,
            for_dashboard: false,
        };
        let scopes = wanted(client, &ask);
        Ok((LinkId(link.id), LinkView { ask, scopes, expires_at: link.expires_at }))
    }
}
