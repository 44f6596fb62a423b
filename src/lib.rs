//! locum
pub mod clock;
pub mod grant;
pub mod ids;
pub mod lifecycle;
pub mod outbound;
pub mod rng;
pub mod scopes;
pub mod secret;
pub mod telemetry;
