//! Access tokens that carry what they open, sealed.
//!
//! The emulator also stands behind load tests, where remembering tens of thousands of tokens a second
//! would fill the memory. So a token holds its grant, client, scopes and end, masked and authenticated
//! under a key of this process; whether it still works is asked of the grant.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use ring::hmac;
use subtle::ConstantTimeEq as _;

use crate::clock::Timestamp;
use crate::rng::Rng;

/// How Google's access tokens begin.
pub(super) const PREFIX: &str = "ya29.a0";
const RANDOM: usize = 114;
const FIELDS: usize = 24;
const MAC: usize = 24;

/// What an access token opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opens {
    /// The project-wide grant.
    pub(super) grant: u64,
    /// Position of the client.
    pub(super) client: u32,
    /// Position of the scope set.
    pub(super) scopes: u32,
    /// When it ends.
    pub(super) expires: Timestamp,
}

/// The keys that make access tokens.
#[derive(Debug)]
pub(super) struct Sealer {
    mask: hmac::Key,
    mac: hmac::Key,
}

impl Sealer {
    /// Fresh keys.
    pub(super) fn new(rng: &Rng) -> Self {
        let key = || hmac::Key::new(hmac::HMAC_SHA256, &rng.bytes::<32>());
        Self { mask: key(), mac: key() }
    }

    fn masked(&self, random: &[u8], fields: [u8; FIELDS]) -> [u8; FIELDS] {
        let mask = hmac::sign(&self.mask, random);
        let mut masked = fields;
        masked.iter_mut().zip(mask.as_ref()).for_each(|(byte, mask)| *byte ^= mask);
        masked
    }

    /// A token of 223 characters.
    pub(super) fn seal(&self, rng: &Rng, opens: Opens) -> String {
        let mut bytes = [0; RANDOM + FIELDS + MAC];
        let (random, rest) = bytes.split_at_mut(RANDOM);
        rng.fill(random);
        let mut fields = [0; FIELDS];
        fields[..8].copy_from_slice(&opens.grant.to_be_bytes());
        fields[8..12].copy_from_slice(&opens.client.to_be_bytes());
        fields[12..16].copy_from_slice(&opens.scopes.to_be_bytes());
        fields[16..].copy_from_slice(&opens.expires.unix().to_be_bytes());
        rest[..FIELDS].copy_from_slice(&self.masked(random, fields));
        let mac = hmac::sign(&self.mac, &bytes[..RANDOM + FIELDS]);
        bytes[RANDOM + FIELDS..].copy_from_slice(&mac.as_ref()[..MAC]);
        let mut token = String::with_capacity(PREFIX.len() + 216);
        token.push_str(PREFIX);
        B64.encode_string(bytes, &mut token);
        token
    }

    /// What a token made here opens; `None` for any other text.
    pub(super) fn open(&self, token: &str) -> Option<Opens> {
        let bytes = B64.decode(token.strip_prefix(PREFIX)?).ok()?;
        let bytes: [u8; RANDOM + FIELDS + MAC] = bytes.try_into().ok()?;
        let (sealed, mac) = bytes.split_at(RANDOM + FIELDS);
        let expected = hmac::sign(&self.mac, sealed);
        if !bool::from(expected.as_ref()[..MAC].ct_eq(mac)) {
            return None;
        }
        let (random, fields) = sealed.split_at(RANDOM);
        let fields = self.masked(random, fields.try_into().ok()?);
        Some(Opens {
            grant: u64::from_be_bytes(fields[..8].try_into().ok()?),
            client: u32::from_be_bytes(fields[8..12].try_into().ok()?),
            scopes: u32::from_be_bytes(fields[12..16].try_into().ok()?),
            expires: Timestamp::from_unix(i64::from_be_bytes(fields[16..].try_into().ok()?)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_where_it_was_made_and_nowhere_else() {
        let rng = Rng::seeded(1);
        let (here, there) = (Sealer::new(&rng), Sealer::new(&rng));
        let opens = Opens { grant: 7, client: 1, scopes: 3, expires: Timestamp::from_unix(1_795_368_972) };
        let token = here.seal(&rng, opens);
        assert_eq!(token.len(), 223);
        assert_eq!(here.open(&token), Some(opens));
        assert_eq!(there.open(&token), None);
        assert_ne!(here.seal(&rng, opens), token);
        let mut changed = token.into_bytes();
        changed[100] ^= 1;
        assert_eq!(here.open(&String::from_utf8(changed).expect("ASCII")), None);
        assert_eq!(here.open("ya29.other"), None);
    }
}
