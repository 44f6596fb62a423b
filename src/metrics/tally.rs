//! What is counted for the charts, each of its kinds once.

/// What the dashboard's charts show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tally {
    /// Exchanges that connected somebody.
    Exchanges,
    /// Exchanges that did not.
    ExchangesFailed,
    /// Refreshes that brought a token.
    Refreshes,
    /// Refreshes that did not.
    RefreshesFailed,
    /// Access tokens handed out.
    Tokens,
}

impl Tally {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Exchanges, Self::ExchangesFailed, Self::Refreshes, Self::RefreshesFailed, Self::Tokens];

    /// The stable name.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Exchanges => "exchanges",
            Self::ExchangesFailed => "exchanges_failed",
            Self::Refreshes => "refreshes",
            Self::RefreshesFailed => "refreshes_failed",
            Self::Tokens => "tokens",
        }
    }
}
