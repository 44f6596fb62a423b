//! The only road to an access token.
