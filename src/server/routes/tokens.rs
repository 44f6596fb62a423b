//! `GET /v1/users/{user}/token`, the route locum is there for, and `POST …/refresh`.

use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use super::super::auth::{Allowed, TokensRead, UsersWrite};
use super::super::context::Context;
use super::super::problem::{Code, Problem};
use super::super::query;
use crate::clock::Timestamp;
use crate::ids::ClientName;
use crate::metrics::TokenFrom;
use crate::scopes::ScopeSet;
use crate::tokens::{HandedToken, MAX_MIN_TTL, Reach, TokenRequest, TokenSource};

#[derive(Serialize)]
struct Answer<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: i64,
    expires_at: Timestamp,
    scope: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stale: bool,
}

pub(super) async fn token(
    caller: Allowed<TokensRead>,
    context: web::Data<Context>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let [client, scope, min_ttl, rejected] =
        query::parameters(request.query_string(), ["client", "scope", "min_ttl", "rejected"])?;
    let client = query::client(client.as_deref())?;
    within_reach(client.as_ref(), caller.reach())?;
    let min_ttl: Option<i64> = query::parsed("min_ttl", min_ttl.as_deref(), MIN_TTL)?;
    if min_ttl.is_some_and(|seconds| !(0..=MAX_MIN_TTL).contains(&seconds)) {
        return Err(query::invalid("min_ttl", MIN_TTL));
    }
    let rejected = rejected.as_deref().map(digest).transpose()?;
    let person = caller.resolve_person(&context, &query::user(&request)?).await?;
    let handed = context
        .state
        .tokens
        .token(TokenRequest {
            person,
            client: client.as_ref(),
            scopes: scope.as_deref().map(ScopeSet::parse).filter(|scopes| !scopes.is_empty()),
            min_ttl,
            rejected,
            reach: caller.reach(),
        })
        .await
        .map_err(|error| context.token_problem(error))?;
    context.state.metrics.token_read(source_of(&handed));
    let answer = Answer {
        access_token: handed.access_token.expose(),
        token_type: "Bearer",
        expires_in: handed.expires_at.since(context.state.clock.now()).max(0),
        expires_at: handed.expires_at,
        scope: handed.scopes.as_str(),
        stale: handed.stale,
    };
    super::ok(&answer)
}

const MIN_TTL: &str = "must be a whole number of seconds from 0 to 1800";

#[derive(Serialize)]
struct Refreshed<'a> {
    refreshed: bool,
    expires_in: i64,
    expires_at: Timestamp,
    scope: &'a str,
}

/// Refreshes now. The answer holds no token: who may write users may not necessarily read tokens.
pub(super) async fn refresh(
    caller: Allowed<UsersWrite>,
    context: web::Data<Context>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let [client] = query::parameters(request.query_string(), ["client"])?;
    let client = query::client(client.as_deref())?;
    within_reach(client.as_ref(), caller.reach())?;
    let user = caller.resolve(&context, &query::user(&request)?).await?;
    let fresh = context
        .state
        .tokens
        .refresh_by_hand(user, client.as_ref(), caller.reach(), &caller.actor(&context, &request))
        .await;
    let fresh = fresh.map_err(|error| context.token_problem(error))?;
    super::ok(&Refreshed {
        refreshed: true,
        expires_in: fresh.expires_at.since(context.state.clock.now()).max(0),
        expires_at: fresh.expires_at,
        scope: fresh.scopes.as_str(),
    })
}

/// A client out of reach looks like one that is not configured.
pub(super) fn within_reach(client: Option<&ClientName>, reach: &Reach) -> Result<(), Problem> {
    match client {
        Some(client) if !reach.includes(Some(client)) => Err(Problem::new(Code::ClientUnknown)),
        _ => Ok(()),
    }
}

/// SHA-256 in hex or unpadded base64url.
fn digest(text: &str) -> Result<[u8; 32], Problem> {
    let invalid = || {
        query::invalid("rejected", "must be the SHA-256 of the refused token, as 64 hex digits or base64url")
    };
    let mut bytes = [0; 32];
    if text.len() == 64 {
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digit = |place: usize| char::from(pair[place]).to_digit(16);
            let value = digit(0).zip(digit(1)).map(|(high, low)| high << 4 | low);
            *byte = value.and_then(|value| value.try_into().ok()).ok_or_else(invalid)?;
        }
        return Ok(bytes);
    }
    match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
        Ok(32) => Ok(bytes),
        _ => Err(invalid()),
    }
}

const fn source_of(handed: &HandedToken) -> TokenFrom {
    match handed.source {
        _ if handed.stale => TokenFrom::Stale,
        TokenSource::Memory => TokenFrom::Memory,
        TokenSource::Vault => TokenFrom::Vault,
        TokenSource::Google => TokenFrom::Google,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_of_min_ttl_is_what_its_words_say() {
        assert!(MIN_TTL.ends_with(&format!("from 0 to {MAX_MIN_TTL}")));
    }

    #[test]
    fn a_digest_is_read_in_both_writings() {
        let hex = "00ff".repeat(16);
        let bytes = digest(&hex).expect("hex");
        assert_eq!(bytes[..2], [0, 255]);
        assert_eq!(digest(&URL_SAFE_NO_PAD.encode(bytes)).expect("base64url"), bytes);
        for bad in ["", "00", &"0g".repeat(32), &"é".repeat(32), &"A".repeat(42), &"A".repeat(44)] {
            assert_eq!(digest(bad).expect_err(bad).code(), Code::ParameterInvalid);
        }
    }
}
