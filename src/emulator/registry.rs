//! Accounts and registered clients, each found without a search.

use std::collections::HashMap;

use super::people::{Person, RegisteredClient};
use crate::ids::{OAuthClientId, Sub};

/// A person's account and what is wrong with it.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) person: Person,
    pub(super) trouble: Trouble,
}

/// What makes the refreshes of one person fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) deleted: bool,
    pub(super) disabled: bool,
    pub(super) reauth: bool,
    pub(super) admin_policy: bool,
}

/// Everybody with an account.
#[derive(Debug, Default)]
pub(super) struct People {
    accounts: HashMap<Sub, Account>,
    order: Vec<Sub>,
    by_email: HashMap<String, Sub>,
}

impl People {
    pub(super) fn account(&self, sub: &Sub) -> Option<&Account> {
        self.accounts.get(sub)
    }

    pub(super) fn account_mut(&mut self, sub: &Sub) -> Option<&mut Account> {
        self.accounts.get_mut(sub)
    }

    /// By `sub` or by address.
    pub(super) fn find(&self, who: &str) -> Option<&Account> {
        let by_email =
            || self.by_email.get(&who.trim().to_lowercase()).and_then(|sub| self.accounts.get(sub));
        who.parse::<Sub>().ok().and_then(|sub| self.accounts.get(&sub)).or_else(by_email)
    }

    /// In the order in which they were added, without deleted accounts.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Account> {
        self.order.iter().filter_map(|sub| self.accounts.get(sub)).filter(|account| !account.trouble.deleted)
    }

    pub(super) fn put(&mut self, person: Person) {
        let sub = person.sub.clone();
        self.by_email.insert(person.email.to_lowercase(), sub.clone());
        if let Some(account) = self.accounts.get_mut(&sub) {
            if !account.person.email.eq_ignore_ascii_case(&person.email) {
                self.by_email.remove(&account.person.email.to_lowercase());
            }
            account.person = person;
        } else {
            self.order.push(sub.clone());
            self.accounts.insert(sub, Account { person, trouble: Trouble::default() });
        }
    }
}

/// Every registered client, by position and by id.
#[derive(Debug, Default)]
pub(super) struct Clients {
    list: Vec<RegisteredClient>,
    positions: HashMap<OAuthClientId, u32>,
    /// Clients that only members of one organisation may use.
    pub(super) organisations: HashMap<u32, String>,
}

impl Clients {
    pub(super) fn position(&self, id: &OAuthClientId) -> Option<u32> {
        self.positions.get(id).copied()
    }

    pub(super) fn at(&self, position: u32) -> &RegisteredClient {
        &self.list[position as usize]
    }

    pub(super) fn find(&self, id: &str) -> Option<(u32, &RegisteredClient)> {
        let position = self.position(&id.parse().ok()?)?;
        Some((position, self.at(position)))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &RegisteredClient> {
        self.list.iter()
    }

    /// Whether the person may use the client at all.
    pub(super) fn admits(&self, position: u32, person: &Person) -> bool {
        self.organisations.get(&position).is_none_or(|hd| person.hd.as_ref() == Some(hd))
    }

    pub(super) fn put(&mut self, client: RegisteredClient) {
        if let Some(position) = self.position(&client.client_id) {
            self.list[position as usize] = client;
        } else {
            let position = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
            self.positions.insert(client.client_id.clone(), position);
            self.list.push(client);
        }
    }
}
