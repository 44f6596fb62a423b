//! Forgetting: unusable at once, revoked at Google, then gone.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::at_google::AtGoogle;
use super::view::is_zero;
use super::{Inner, Users, UsersError};
use crate::clock::Timestamp;
use crate::events::{Actor, Kind, NewEvent};
use crate::grant::{GrantEvent, GrantState};
use crate::ids::{ClientName, GrantId, UserId, UserRef};
use crate::mirror::MirrorError;
use crate::vault::{FoundGrants, Grant, GrantChange, LinkedPerson, VaultError};

/// How long a revocation is tried while Google is down: a day.
const REVOKE_FOR: i64 = 86_400;
/// Grants looked at in one step of the job.
const BATCH: usize = 100;
/// Revocations that may fail in one step before the rest is left to the next: Google is probably down.
const FAILURES: usize = 5;

/// What to do at Google. Revoking there ends the grant for the person's whole Google project.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Revoke {
    /// Revoke unless another grant here belongs to the same project.
    #[default]
    Auto,
    /// Revoke, and let the other grants of the project end with it.
    Project,
    /// Leave Google alone; only locum forgets.
    No,
}

impl Revoke {
    /// The word for it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Project => "project",
            Self::No => "no",
        }
    }
}

/// The text is none of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("revoke is one of auto, project and no")]
pub struct UnknownRevoke;

impl FromStr for Revoke {
    type Err = UnknownRevoke;

    fn from_str(text: &str) -> Result<Self, UnknownRevoke> {
        match text {
            "auto" => Ok(Self::Auto),
            "project" => Ok(Self::Project),
            "no" => Ok(Self::No),
            _ => Err(UnknownRevoke),
        }
    }
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgotten {
    /// Clients (by name, or by id where they are no longer configured) whose grants are forgotten.
    pub forgotten: Vec<String>,
    /// Whether Google has revoked, or had nothing left to revoke.
    pub revoked: bool,
    /// Clients whose grants ended with the revocation, since they share its project.
    pub also_ended: Vec<String>,
    /// Google could not be reached: unusable here, revoked and deleted as soon as it can.
    pub pending: bool,
    /// Records of grants that do not match their seal. They are deleted; nobody can tell what to revoke.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub damaged: usize,
}

/// What forgetting would do, to be shown before it is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForgetPreview {
    /// Clients whose grants would be forgotten.
    pub would_forget: Vec<String>,
    /// Whether Google would be asked to revoke.
    pub would_revoke: bool,
    /// Clients whose grants would end with it.
    pub would_also_end: Vec<String>,
    /// Records of grants that do not match their seal. They would be deleted and not revoked.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub would_delete_damaged: usize,
}

/// The grants of one request, sorted out.
struct Plan {
    /// To be forgotten, and whether each is to be revoked.
    chosen: Vec<(Grant, bool)>,
    /// Other grants that end with a revocation.
    ending: Vec<Grant>,
    /// To be deleted, whatever they were.
    damaged: Vec<GrantId>,
}

impl Users {
    /// Says what [`Users::forget`] would do.
    ///
    /// # Errors
    /// As [`Users::forget`].
    pub async fn preview_forget(
        &self,
        user: UserId,
        client: Option<&ClientName>,
        revoke: Revoke,
    ) -> Result<ForgetPreview, UsersError> {
        let plan = self.0.plan(user, client, revoke).await?;
        Ok(ForgetPreview {
            would_forget: plan.chosen.iter().map(|(grant, _)| self.0.label(grant)).collect(),
            would_revoke: plan.chosen.iter().any(|(_, revoke)| *revoke),
            would_also_end: plan.ending.iter().map(|grant| self.0.label(grant)).collect(),
            would_delete_damaged: plan.damaged.len(),
        })
    }

    /// Forgets a person, or their grant of one client.
    ///
    /// # Errors
    /// [`UsersError::NotFound`] when there is nothing to forget, [`UsersError::NoGrant`] when there is none of this
    /// client.
    pub async fn forget(
        &self,
        user: UserId,
        client: Option<&ClientName>,
        revoke: Revoke,
        actor: &Actor,
    ) -> Result<Forgotten, UsersError> {
        let (inner, client, actor) = (self.0.clone(), client.cloned(), actor.clone());
        self.0
            .lifecycle
            .run(async move { inner.forget(user, client.as_ref(), revoke, &actor).await })
            .await
            .unwrap_or(Err(UsersError::Interrupted))
    }

    /// Goes on with what could not be revoked yet. Called by a job and once at the start.
    ///
    /// # Errors
    /// When the vault fails.
    pub async fn revoke_step(&self) -> Result<(), UsersError> {
        let (mut failures, mut outcome) = (0, Ok(()));
        for grant in self.0.vault.load_revoking_grants(BATCH).await? {
            match self.0.finish(&grant, &Actor::locum()).await {
                Ok(Progress::Pending) => failures += 1,
                Ok(_) => {}
                // One row that cannot be written keeps no other waiting.
                Err(error) => outcome = Err(error),
            }
            if failures >= FAILURES || self.0.lifecycle.is_stopping() {
                break;
            }
        }
        outcome
    }
}

/// How far one forgotten grant came.
enum Progress {
    Deleted {
        revoked: bool,
        /// Grants that ended at Google with this one.
        ended: Vec<Grant>,
    },
    Pending,
    /// The person connected again in the meantime.
    Overtaken,
}

impl Inner {
    fn label(&self, grant: &Grant) -> String {
        self.client_name(&grant.client_id)
            .map_or_else(|| grant.client_id.to_string(), |name| name.to_string())
    }

    async fn plan(
        &self,
        user: UserId,
        client: Option<&ClientName>,
        revoke: Revoke,
    ) -> Result<Plan, UsersError> {
        let client = match client {
            Some(name) => Some(self.config.client(name).ok_or(UsersError::UnknownClient)?),
            None => None,
        };
        let found = self.vault.load_grants_of(user).await?;
        let damage = found.damage();
        let FoundGrants { sound, mut damaged } = found;
        let (chosen, others): (Vec<Grant>, Vec<Grant>) = sound
            .into_iter()
            .partition(|grant| client.is_none_or(|client| client.client_id == grant.client_id));
        if client.is_some() {
            if chosen.is_empty() {
                // The damaged one may be it, but nobody can tell.
                return Err(damage.map_or(UsersError::NoGrant, UsersError::Vault));
            }
            damaged.clear();
        }
        if chosen.is_empty() && damaged.is_empty() {
            return Err(UsersError::NotFound);
        }
        let shared = |grant: &Grant| {
            let project = grant.client_id.project();
            others
                .iter()
                .any(|other| other.client_id.project() == project && other.state != GrantState::Revoking)
        };
        let chosen: Vec<(Grant, bool)> = chosen
            .into_iter()
            .map(|grant| {
                let revokes = match revoke {
                    Revoke::No => false,
                    Revoke::Project => true,
                    Revoke::Auto => !shared(&grant),
                };
                (grant, revokes)
            })
            .collect();
        let revoked_projects: BTreeSet<String> = chosen
            .iter()
            .filter(|(_, revokes)| *revokes)
            .map(|(grant, _)| grant.client_id.project().to_owned())
            .collect();
        let ending = others
            .into_iter()
            .filter(|grant| revoked_projects.contains(grant.client_id.project()) && grant.state.is_usable())
            .collect();
        Ok(Plan { chosen, ending, damaged })
    }

    async fn forget(
        self: Arc<Self>,
        user: UserId,
        client: Option<&ClientName>,
        revoke: Revoke,
        actor: &Actor,
    ) -> Result<Forgotten, UsersError> {
        let plan = self.plan(user, client, revoke).await?;
        let mut asked =
            NewEvent::new(Kind::UserForgetRequested, actor).about(user).with("revoke", revoke.code());
        if let Some(client) = client.and_then(|name| self.config.client(name)) {
            asked = asked.client(&client.client_id);
        }
        self.events.record(asked).await;
        self.end_sessions(user).await?;
        self.delete_links(user, client).await?;
        let mut outcome = Forgotten {
            forgotten: Vec::new(),
            revoked: false,
            also_ended: Vec::new(),
            pending: false,
            damaged: self.delete_damaged(user, plan.damaged, actor).await?,
        };
        let mut marked = Vec::new();
        for (grant, revokes) in plan.chosen {
            marked.extend(self.mark(grant, revokes).await?);
        }
        for grant in marked {
            match self.finish(&grant, actor).await? {
                Progress::Deleted { revoked, ended } => {
                    outcome.revoked |= revoked;
                    outcome.also_ended.extend(ended.iter().map(|grant| self.label(grant)));
                }
                Progress::Pending => outcome.pending = true,
                Progress::Overtaken => continue,
            }
            outcome.forgotten.push(self.label(&grant));
        }
        Ok(outcome)
    }

    /// Deletes rows that nobody can read, and says how many.
    async fn delete_damaged(
        &self,
        user: UserId,
        damaged: Vec<GrantId>,
        actor: &Actor,
    ) -> Result<usize, UsersError> {
        if damaged.is_empty() {
            return Ok(0);
        }
        // Everything of the person is on its way out, and which project a damaged row was for is unknown.
        self.forget_mirrors(user, None).await?;
        let names = self.names_of(user).await;
        let mut deleted = 0;
        for grant in damaged {
            let event = NewEvent::new(Kind::UserForgotten, actor).about(user).with("revoked", false);
            let event = self.events.prepare(event.with("damaged", true));
            match self.vault.delete_damaged_grant(grant, user, event).await {
                Ok(_) => deleted += 1,
                Err(VaultError::Gone) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.check_again(user);
        self.tokens.changed(user, names);
        self.events.committed().await;
        Ok(deleted)
    }

    /// First of all, so that a crash in between leaves no session of somebody who is being forgotten.
    async fn end_sessions(&self, user: UserId) -> Result<(), UsersError> {
        match self.vault.end_sessions(user).await {
            // A damaged row admits no session, and must not keep a person from being forgotten.
            Ok(()) | Err(VaultError::Gone | VaultError::Damaged { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Nobody who is forgotten is led back by a link that was sent before.
    async fn delete_links(&self, user: UserId, client: Option<&ClientName>) -> Result<(), UsersError> {
        // A damaged row must not keep a person from being forgotten.
        let Ok(Some(user)) = self.vault.load_user(user).await else { return Ok(()) };
        let email = user.profile.verified_email().cloned();
        let person = LinkedPerson { sub: Some(user.profile.sub), email };
        let client = client.and_then(|name| self.config.client(name)).map(|client| &client.client_id);
        Ok(self.vault.delete_connect_links_of(&person, client).await?)
    }

    /// Every name under which memory may know the person.
    async fn names_of(&self, user: UserId) -> Vec<UserRef> {
        // A damaged row must not keep a person from being forgotten.
        let Ok(Some(user)) = self.vault.load_user(user).await else { return Vec::new() };
        let email = user.profile.verified_email().cloned().map(UserRef::Email);
        email.into_iter().chain([UserRef::Sub(user.profile.sub)]).collect()
    }

    /// Commits `revoking`. `None` when the grant is gone already.
    async fn mark(&self, grant: Grant, revokes: bool) -> Result<Option<Grant>, UsersError> {
        let mut current = grant;
        loop {
            let state = current.state.after(GrantEvent::ForgetRequested).unwrap_or(GrantState::Revoking);
            let change = GrantChange {
                state: Some(state),
                revoke_until: revokes.then(|| self.clock.now().plus(REVOKE_FOR)),
                ..GrantChange::default()
            };
            match self.vault.update_grant(&current, change).await {
                Err(VaultError::Conflict) => match self.vault.load_grant(current.id).await? {
                    Some(reloaded) => current = reloaded,
                    None => return Ok(None),
                },
                marked => {
                    self.tokens.changed(current.user, []);
                    return Ok(Some(marked?));
                }
            }
        }
    }

    /// With the last grant of a project (or of all) goes what was kept of the person's app data there.
    async fn forget_mirrors(&self, user: UserId, project: Option<&str>) -> Result<(), UsersError> {
        match self.mirrors.forget(user, project).await {
            Err(MirrorError::Vault(VaultError::Damaged { table, row })) => {
                tracing::error!(
                    table,
                    row,
                    "a damaged mirror is forgotten, but its kept versions stay on the disk"
                );
                Ok(())
            }
            outcome => Ok(outcome?),
        }
    }

    /// Revokes at Google if that is wanted, and deletes.
    async fn finish(&self, grant: &Grant, actor: &Actor) -> Result<Progress, UsersError> {
        let others = self.others_of_project(grant).await?;
        // Revoking would end what the person has granted since this was asked for.
        let overtaken =
            |until: Timestamp| others.iter().any(|other| other.connected_at > until.plus(-REVOKE_FOR));
        let at_google = match grant.revoke_until {
            Some(until) if !overtaken(until) => self.revoke_at_google(grant).await,
            _ => AtGoogle::NotTold,
        };
        if at_google == AtGoogle::OutOfReach {
            if grant.revoke_until.is_some_and(|until| self.clock.now() < until) {
                return Ok(Progress::Pending);
            }
            tracing::warn!(
                grant = grant.id.0,
                "Google could not be reached for a day; the grant is forgotten here but not revoked there"
            );
        }
        // The person may have connected again while Google was asked.
        match self.vault.load_grant(grant.id).await {
            Ok(Some(now)) if now.state != GrantState::Revoking => return Ok(Progress::Overtaken),
            Ok(_) | Err(VaultError::Damaged { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        if others.is_empty() {
            self.forget_mirrors(grant.user, Some(grant.client_id.project())).await?;
        }
        let mut ended = Vec::new();
        if at_google == AtGoogle::Revoked {
            for other in others.into_iter().filter(|other| other.state.is_usable()) {
                ended.extend(self.note_ended(other).await?);
            }
        }
        let names = self.names_of(grant.user).await;
        let revoked = matches!(at_google, AtGoogle::Revoked | AtGoogle::NothingLeft);
        let event = NewEvent::new(Kind::UserForgotten, actor).about(grant.user).client(&grant.client_id);
        let event = self.events.prepare(event.with("revoked", revoked));
        match self.vault.delete_grant(grant.id, Some(event)).await {
            Ok(_) | Err(VaultError::Gone) => {
                self.check_again(grant.user);
                self.tokens.changed(grant.user, names);
                self.events.committed().await;
                Ok(Progress::Deleted { revoked, ended })
            }
            Err(VaultError::Conflict) => Ok(Progress::Overtaken),
            Err(error) => Err(error.into()),
        }
    }
}
