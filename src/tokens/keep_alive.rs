//! Refreshes of idle grants for their own sake: Google drops a refresh token that lay unused for six
//! months.

use futures_util::StreamExt as _;

use super::{Goal, TokenError, Tokens};
use crate::vault::Grant;

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
        let now = inner.clock.now();
        let mut refreshed = 0;
        for client in &inner.config.clients {
            if inner.pauses.holds(&client.client_id, now) {
                continue;
            }
            // Grants that Google refuses stay the longest idle; they must not stand in the others' way.
            let troubled = |grant: &Grant| (grant.id, grant.token_generation);
            let idle = inner
                .vault
                .load_idle_grants(
                    &client.client_id,
                    now - inner.config.tokens.keep_alive,
                    BATCH + inner.troubled.len(),
                )
                .await?
                .into_iter()
                .filter(|grant| !inner.troubled.holds(&troubled(grant), now))
                .take(BATCH);
            let mut refreshes = futures_util::stream::iter(idle)
                .map(async |grant| (troubled(&grant), inner.land(grant.id, None, Goal::Now).await))
                .buffer_unordered(TOGETHER);
            while let Some((key, outcome)) = refreshes.next().await {
                match outcome {
                    _ if inner.lifecycle.is_stopping() => return Ok(refreshed),
                    Ok(_) => refreshed += 1,
                    Err(TokenError::GoogleUnavailable { .. } | TokenError::ClientPaused { .. })
                        if !inner.troubled.contains(&key) =>
                    {
                        break;
                    }
                    // What Google has against one grant is written down and no reason to stop.
                    Err(_) => {}
                }
            }
        }
        Ok(refreshed)
    }
}
