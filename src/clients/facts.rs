//! What the checks that ask nobody go by.

use crate::config::{Client, Server};

/// All of it.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The client.
    pub client: &'a Client,
    /// How locum is reached.
    pub server: &'a Server,
    /// How many of its grants Google ends seven days after they were made.
    pub seven_days: u64,
}
