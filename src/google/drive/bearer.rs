//! On whose behalf a call is made, and what it costs there.

use crate::secret::AccessToken;

/// Gives tokens to Drive calls on one person's behalf, and is told what they cost.
///
/// It is asked before every single request, so an upload that takes longer than a token lives goes on
/// with the next one.
pub trait Bearer: Sync {
    /// Why there is no token.
    type Error: Send;

    /// A token that opens the person's app data. `refused`: Drive answered 401 to this one; it must never
    /// be given again.
    fn token(
        &self,
        refused: Option<&AccessToken>,
    ) -> impl Future<Output = Result<AccessToken, Self::Error>> + Send;

    /// A request of this cost was sent.
    fn spent(&self, cost: Cost) {
        let _ = cost;
    }
}

impl<B: Bearer> Bearer for &B {
    type Error = B::Error;

    fn token(
        &self,
        refused: Option<&AccessToken>,
    ) -> impl Future<Output = Result<AccessToken, Self::Error>> + Send {
        (**self).token(refused)
    }

    fn spent(&self, cost: Cost) {
        (**self).spent(cost);
    }
}

/// What Drive counts a request as (usage limits of 2026-05-01). A person may spend 325,000 units a minute
/// in one project, all people together a million.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cost {
    /// Metadata of one file.
    Read,
    /// A page of a list or of the changes.
    List,
    /// Making, changing or deleting a file; an upload, however many pieces it has.
    Edit,
    /// Content.
    Download,
    /// Anything else.
    Other,
    /// A further piece of an upload, which is counted at its start.
    Nothing,
}

impl Cost {
    /// How many quota units that is.
    pub const fn units(self) -> u32 {
        match self {
            Self::Nothing => 0,
            Self::Read | Self::Other => 5,
            Self::Edit => 50,
            Self::List => 100,
            Self::Download => 200,
        }
    }
}
