//! A page of people by search and order, as the dashboard shows it.

use serde::{Deserialize, Serialize};

use super::directory::PeopleQuery;
use super::{UserView, Users, UsersError};
use crate::grant::StateCounts;
use crate::tokens::Reach;
use crate::vault::VaultError;

/// A page of people, and the numbers around it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PeoplePage {
    /// In the order asked for.
    pub people: Vec<UserView>,
    /// How many people the question means, on all pages.
    pub total: u64,
    /// How many people have a grant in each state, of those that the question means whatever state it asks
    /// for.
    pub states: StateCounts,
    /// How many people there are.
    pub all: u64,
    /// How many of them cannot be read because a row of theirs is damaged.
    pub damaged: u64,
}

impl Users {
    /// Reads everybody by and by, because they are about to be searched: so that not even the first search waits.
    /// Does nothing where they are at hand.
    pub fn expect_search(&self) {
        let users = self.clone();
        self.0.lifecycle.spawn(async move {
            if let Err(error) = users.people(PeopleQuery::default()).await {
                tracing::debug!(%error, "the people could not be read ahead of a search");
            }
        });
    }

    /// The page of people that `query` asks for. The first call after a while reads everybody; later ones
    /// cost some milliseconds for 100,000 people.
    ///
    /// # Errors
    /// [`UsersError::UnknownClient`] for a client that is not configured, [`UsersError::TooMany`] when there
    /// are more people than can be searched.
    pub async fn people(&self, query: PeopleQuery) -> Result<PeoplePage, UsersError> {
        let inner = self.0.clone();
        if query.client.as_ref().is_some_and(|name| inner.config.client(name).is_none()) {
            return Err(UsersError::UnknownClient);
        }
        let lifecycle = inner.lifecycle.clone();
        let work = move || {
            let found = inner.find_people(&query)?;
            let mut page = PeoplePage {
                people: Vec::with_capacity(found.page.len()),
                total: found.total,
                states: found.states,
                all: found.all,
                damaged: found.damaged,
            };
            for id in found.page {
                match inner.vault.read_person(id) {
                    Ok(Some((user, grants))) => {
                        page.people.extend(inner.view(user, &grants, 0, &Reach::EVERYTHING));
                    }
                    // Forgotten a moment ago.
                    Ok(None) => {}
                    Err(error @ VaultError::Damaged { .. }) => {
                        tracing::error!(%error, "a person cannot be listed");
                        page.damaged += 1;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(page)
        };
        lifecycle.run_blocking(work).await.unwrap_or(Err(UsersError::Interrupted))
    }
}
