//! Refreshes of idle grants for their own sake: Google drops a refresh token that lay unused for six
//! months.

use futures_util::StreamExt as _;

use super::refresher::Goal;
use super::{TokenError, Tokens};

/// Grants refreshed in one step. Once a minute this keeps two million grants alive in a week.
const BATCH: usize = 200;
/// Refreshes of a step under way together: few, since nobody waits for them.
const TOGETHER: usize = 8;

impl Tokens {
    /// Refreshes up to [`BATCH`] grants of each client that Google has not seen for
    /// `tokens.keep_alive`. Stops early while Google is unavailable. Returns how many it refreshed.
    ///
    /// # Errors
    /// When the vault fails.
    pub async fn keep_alive_step(&self) -> Result<usize, TokenError> {
        let inner = &self.0;
        let before = inner.clock.now() - inner.config.tokens.keep_alive;
        let mut refreshed = 0;
        for client in &inner.config.clients {
            if inner.pauses.get(&client.client_id).is_some_and(|pause| inner.clock.now() < pause.next_probe) {
                continue;
            }
            let idle = inner.vault.load_idle_grants(&client.client_id, before, BATCH).await?;
            let mut refreshes = futures_util::stream::iter(idle)
                .map(|grant| inner.fly(grant.id, None, Goal::Now))
                .buffer_unordered(TOGETHER);
            while let Some((_, outcome)) = refreshes.next().await {
                match outcome {
                    Ok(_) => refreshed += 1,
                    Err(TokenError::GoogleUnavailable { .. } | TokenError::ClientPaused { .. }) => break,
                    // What Google says of one grant is written down and no reason to stop.
                    Err(_) => {}
                }
            }
        }
        Ok(refreshed)
    }
}
