//! A small population to try things with.

use super::people::{ClientKind, Person, RegisteredClient};
use super::world::World;
use crate::ids::{OAuthClientId, Sub};
use crate::secret::ClientSecret;

/// What [`World::seed_demo`] made.
#[derive(Clone, Debug)]
pub struct Seeded {
    /// A Workspace member, a consumer, and a person whose name runs from right to left.
    pub people: Vec<Person>,
    /// A web client with one secret and no redirect URI yet.
    pub web: RegisteredClient,
    /// A "TVs and Limited Input devices" client of the same project.
    pub device: RegisteredClient,
}

impl World {
    /// Adds three people, and a web and a device client of one project.
    pub fn seed_demo(&self) -> Seeded {
        let person = |name: &str, email: &str, hd| Person::new(self.new_sub(), email, name, hd);
        let mut people = vec![
            person("Alice Example", "alice@example.org", Some("example.org")),
            person("Bob Sample", "bob.sample@gmail.com", None),
            person("ליאת דוגמה", "liat.dugma@gmail.com", None),
        ];
        people[2].locale = "he".to_owned();
        people.iter().cloned().for_each(|person| self.add_person(person));
        let project = self.new_project();
        let web = RegisteredClient::web(self.new_client_id(&project), self.new_secret());
        let device = RegisteredClient {
            kind: ClientKind::Device,
            ..RegisteredClient::web(self.new_client_id(&project), self.new_secret())
        };
        self.add_client(web.clone());
        self.add_client(device.clone());
        Seeded { people, web, device }
    }

    fn digits(&self, count: usize) -> String {
        (0..count).map(|_| char::from(b'0' + (self.rng().below(10) as u8))).collect()
    }

    /// A `sub` in Google's shape: 21 digits.
    pub(super) fn new_sub(&self) -> Sub {
        format!("1{}", self.digits(20)).parse().expect("21 digits are a user id")
    }

    /// A project number: 12 digits.
    pub(super) fn new_project(&self) -> String {
        format!("4{}", self.digits(11))
    }

    /// A client id in Google's shape.
    pub(super) fn new_client_id(&self, project: &str) -> OAuthClientId {
        let letters = b"abcdefghijklmnopqrstuvwxyz0123456789";
        let middle: String = self
            .rng()
            .bytes::<32>()
            .iter()
            .map(|b| char::from(letters[usize::from(*b) % letters.len()]))
            .collect();
        format!("{project}-{middle}.apps.googleusercontent.com")
            .parse()
            .expect("a project of digits and 32 letters make a client_id")
    }

    /// A client secret in Google's shape: `GOCSPX-` and 28 characters.
    pub(super) fn new_secret(&self) -> ClientSecret {
        ClientSecret::new(format!("GOCSPX-{}", self.rng().token(21)))
    }
}
