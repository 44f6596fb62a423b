//! The text of an API key: `locum_<id>_<secret><checksum>`.
//!
//! The id is 12 characters of `a-z0-9` and public. The secret is 32 random bytes as 43 digits of
//! base 62, the checksum the CRC-32 of all before it as 6 such digits: scanners that look for leaked
//! keys can tell one from look-alikes without asking, and a mistyped or cut key is refused before
//! anything is looked up. `locum_[a-z0-9]{12}_[0-9A-Za-z]{49}` finds one in a text.

use std::fmt;
use std::str::FromStr;

use zeroize::Zeroizing;

use crate::ids::ApiKeyId;
use crate::rng::Rng;
use crate::secret::SecretKey;

const PREFIX: &str = "locum_";
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const SECRET_LEN: usize = 43;
const CHECKSUM_LEN: usize = 6;
/// How many characters a key has.
pub(super) const KEY_LEN: usize = PREFIX.len() + ApiKeyId::LEN + 1 + SECRET_LEN + CHECKSUM_LEN;

/// An API key in clear. It exists while a key is being made and while one is being shown to locum.
#[derive(Clone)]
pub struct PlainApiKey {
    id: ApiKeyId,
    secret: SecretKey,
}

/// The text is not an API key: another shape, or a checksum that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an API key: `locum_`, 12 characters, `_`, 49 characters, and a checksum that fits")]
pub struct MalformedApiKey;

impl PlainApiKey {
    /// A new key.
    pub(super) fn generate(rng: &Rng) -> Self {
        const ID_DIGITS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
        let id: String = (0..ApiKeyId::LEN)
            .map(|_| char::from(ID_DIGITS[usize::try_from(rng.below(36)).unwrap_or(0)]))
            .collect();
        Self {
            id: id.parse().expect("12 characters of a-z and 0-9 are an id"),
            secret: SecretKey::new(rng.bytes()),
        }
    }

    /// The id of one key with the secret of another.
    #[cfg(test)]
    pub(super) fn crossed(id: &Self, secret: &Self) -> Self {
        Self { id: id.id.clone(), secret: secret.secret.clone() }
    }

    /// The public half.
    pub const fn id(&self) -> &ApiKeyId {
        &self.id
    }

    pub(super) const fn secret(&self) -> &SecretKey {
        &self.secret
    }

    /// The whole text, to be shown once.
    pub fn expose(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(KEY_LEN));
        text.push_str(PREFIX);
        text.push_str(self.id.as_str());
        text.push('_');
        push_base62(&mut text, self.secret.expose());
        let checksum = crc32(text.as_bytes());
        push_number(&mut text, checksum);
        text
    }
}

impl fmt::Debug for PlainApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlainApiKey({}, …)", self.id)
    }
}

impl FromStr for PlainApiKey {
    type Err = MalformedApiKey;

    fn from_str(text: &str) -> Result<Self, MalformedApiKey> {
        let presented = Presented::parse(text)?;
        Ok(Self {
            id: presented.id.parse().map_err(|_| MalformedApiKey)?,
            secret: SecretKey::new(*presented.secret),
        })
    }
}

/// A well-formed key as it came, without a copy of anything but the secret's bytes.
pub(super) struct Presented<'a> {
    pub(super) id: &'a str,
    pub(super) secret: Zeroizing<[u8; 32]>,
}

impl<'a> Presented<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, MalformedApiKey> {
        // Only ASCII passes, so cutting at byte positions is cutting at characters.
        if text.len() != KEY_LEN || !text.is_ascii() {
            return Err(MalformedApiKey);
        }
        let (signed, checksum) = text.split_at(KEY_LEN - CHECKSUM_LEN);
        let rest = signed.strip_prefix(PREFIX).ok_or(MalformedApiKey)?;
        let (id, secret) = rest.split_at(ApiKeyId::LEN);
        let secret = secret.strip_prefix('_').ok_or(MalformedApiKey)?;
        if !id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
            return Err(MalformedApiKey);
        }
        if number(checksum.as_bytes()) != Some(u64::from(crc32(signed.as_bytes()))) {
            return Err(MalformedApiKey);
        }
        Ok(Self { id, secret: read_base62(secret.as_bytes()).ok_or(MalformedApiKey)? })
    }
}

/// The number of up to ten digits of base 62, which fit 60 bits.
fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |value, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'A'..=b'Z' => digit - b'A' + 10,
            b'a'..=b'z' => digit - b'a' + 36,
            _ => return None,
        };
        Some(value * 62 + u64::from(digit))
    })
}

fn push_number(text: &mut String, number: u32) {
    let mut digits = [0_u8; CHECKSUM_LEN];
    let mut rest = number;
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    text.extend(digits.map(char::from));
}

/// 256 bits, most significant first, as 43 digits.
fn push_base62(text: &mut String, bytes: &[u8; 32]) {
    let mut rest = Zeroizing::new(*bytes);
    let mut digits = Zeroizing::new([0_u8; SECRET_LEN]);
    for digit in digits.iter_mut().rev() {
        let mut carry = 0_u32;
        for byte in rest.iter_mut() {
            let value = carry << 8 | u32::from(*byte);
            *byte = u8::try_from(value / 62).expect("the carry is below 62, so the quotient is below 256");
            carry = value % 62;
        }
        *digit = DIGITS[carry as usize];
    }
    text.extend(digits.iter().map(|digit| char::from(*digit)));
}

/// Reads 43 digits back; `None` for another character or a number of more than 256 bits.
fn read_base62(digits: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    // Ten digits at a time keep the multiplications few: this runs on every request.
    let mut limbs = Zeroizing::new([0_u64; 4]);
    for chunk in digits.chunks(10) {
        let factor = 62_u64.pow(u32::try_from(chunk.len()).ok()?);
        let mut carry = u128::from(number(chunk)?);
        for limb in limbs.iter_mut().rev() {
            let value = u128::from(*limb) * u128::from(factor) + carry;
            *limb = u64::try_from(value & u128::from(u64::MAX)).ok()?;
            carry = value >> 64;
        }
        if carry != 0 {
            return None;
        }
    }
    let mut bytes = Zeroizing::new([0; 32]);
    for (place, limb) in bytes.chunks_exact_mut(8).zip(limbs.iter()) {
        place.copy_from_slice(&limb.to_be_bytes());
    }
    Some(bytes)
}

/// CRC-32 as in zip and PNG (ISO 3309, reflected, polynomial 0xEDB88320).
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut i = 0;
        while i < 256 {
            let mut value = i as u32;
            let mut bit = 0;
            while bit < 8 {
                value = if value & 1 == 1 { value >> 1 ^ 0xEDB8_8320 } else { value >> 1 };
                bit += 1;
            }
            table[i] = value;
            i += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |crc: u32, byte| crc >> 8 ^ TABLE[((crc ^ u32::from(*byte)) & 0xFF) as usize])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(id: &str, secret: [u8; 32]) -> PlainApiKey {
        PlainApiKey { id: id.parse().expect("an id"), secret: SecretKey::new(secret) }
    }

    #[test]
    fn the_checksum_is_the_well_known_crc() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn a_key_never_prints_its_secret() {
        let plain = key("abcdef012345", [7; 32]);
        assert_eq!(format!("{plain:?}"), "PlainApiKey(abcdef012345, …)");
    }

    #[test]
    fn the_largest_secret_fits_and_a_larger_number_is_refused() {
        let text = key("aaaaaaaaaaaa", [0xFF; 32]).expose();
        assert_eq!(text.len(), KEY_LEN);
        assert!(text.parse::<PlainApiKey>().is_ok());
        let mut larger = format!("{PREFIX}aaaaaaaaaaaa_{}", "z".repeat(SECRET_LEN));
        let checksum = crc32(larger.as_bytes());
        push_number(&mut larger, checksum);
        assert_eq!(larger.parse::<PlainApiKey>().expect_err("more than 256 bits"), MalformedApiKey);
    }

    proptest! {
        #[test]
        fn every_key_is_read_back(id in "[a-z0-9]{12}", secret in any::<[u8; 32]>()) {
            let text = key(&id, secret).expose();
            let back: PlainApiKey = text.parse().expect("its own text");
            prop_assert_eq!(back.id().as_str(), id);
            prop_assert_eq!(back.secret().expose(), &secret);
            prop_assert_eq!(back.expose(), text);
        }

        #[test]
        fn one_wrong_character_is_noticed(
            secret in any::<[u8; 32]>(), place in 0..KEY_LEN, with in "[ -~]"
        ) {
            let text = key("abcdef012345", secret).expose();
            let mut wrong = text.to_string();
            wrong.replace_range(place..=place, &with);
            prop_assume!(wrong != *text);
            prop_assert!(wrong.parse::<PlainApiKey>().is_err());
        }

        #[test]
        fn nonsense_is_refused_and_harmless(text in any::<String>()) {
            prop_assert!(text.parse::<PlainApiKey>().is_err());
        }

        #[test]
        fn nonsense_of_the_right_shape_is_refused(text in "locum_[a-z0-9]{12}_[0-9A-Za-zé]{49}") {
            // Six digits of checksum let one in 4,000,000,000 through, which a proptest does not meet.
            prop_assert!(text.parse::<PlainApiKey>().is_err());
        }
    }
}
