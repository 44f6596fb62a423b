//! Sealing a value to its place, and a MAC over the row that holds it.
//!
//! A sealed value opens only in the vault, table, column and row it was sealed for, since those are
//! its associated data; a row whose plain columns were edited, or whose sealed columns were swapped
//! for older or foreign ones, does not match its MAC and refuses to load. The layout of both is
//! written down in `docs/security.md`; [`FORMAT`] is its version.
//!
//! Every value has a key of its own (HKDF-SHA-256 of the term's record key and 32 random bytes), so
//! neither a repeated nonce nor the limit of 2³² encryptions under one AES-GCM key can matter.

use std::fmt;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::{hkdf, hmac};
use zeroize::Zeroizing;

use crate::rng::Rng;
use crate::secret::SecretKey;

/// First byte of every sealed value.
const FORMAT: u8 = 1;
/// Second byte: AES-256-GCM under a key derived by HKDF-SHA-256.
const ALGORITHM: u8 = 1;
const SALT_LEN: usize = 32;
const TAG_LEN: usize = 16;
const HEADER_LEN: usize = 2 + 4 + SALT_LEN + NONCE_LEN;
/// Plaintexts are padded to a multiple of this, so that lengths say little.
const PADDING: usize = 64;

/// A sealed value or a row did not open: it was changed, moved, cut, or sealed under other keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damaged;

/// Where a sealed value lives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) table: &'static str,
    pub(super) column: &'static str,
    pub(super) row: i64,
}

/// A value in its sealed form.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Sealed(pub(super) Vec<u8>);

impl Sealed {
    /// The authentication tag, which stands for the value in the row's MAC.
    fn tag(&self) -> &[u8] {
        &self.0[self.0.len().saturating_sub(TAG_LEN)..]
    }

    /// Which data key the value is sealed under.
    pub(super) fn term(&self) -> Option<u32> {
        let bytes = self.0.get(2..6)?;
        bytes.try_into().ok().map(u32::from_be_bytes)
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

/// Appends `part` with its length, so that no two lists of parts read the same.
pub(super) fn push_part(buffer: &mut Vec<u8>, part: &[u8]) {
    let len = u32::try_from(part.len()).expect("no part of a row reaches 4 GiB");
    buffer.extend_from_slice(&len.to_be_bytes());
    buffer.extend_from_slice(part);
}

/// A labelled 32-byte key from another one (HKDF-Expand, RFC 5869 §2.3; the input is uniformly
/// random, so the extract step is not needed).
pub(super) fn derive(key: &SecretKey, label: &[u8]) -> SecretKey {
    let mut out = Zeroizing::new([0; 32]);
    expand(&hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, key.expose()), &[label], &mut *out);
    SecretKey::new(*out)
}

/// A labelled value of another length, for ids and check values.
pub(super) fn derive_public<const N: usize>(key: &SecretKey, label: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    expand(&hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, key.expose()), &[label], &mut out);
    out
}

fn expand(prk: &hkdf::Prk, info: &[&[u8]], out: &mut [u8]) {
    struct Len(usize);
    impl hkdf::KeyType for Len {
        fn len(&self) -> usize {
            self.0
        }
    }
    prk.expand(info, Len(out.len()))
        .and_then(|okm| okm.fill(out))
        .expect("HKDF-SHA-256 gives up to 8,160 bytes, and no more than 32 are asked for");
}

/// The working keys of one data key term.
pub(super) struct TermKeys {
    term: u32,
    records: hkdf::Prk,
    rows: hmac::Key,
}

impl TermKeys {
    pub(super) fn new(term: u32, data_key: &SecretKey) -> Self {
        let records = derive(data_key, b"locum/1/rec");
        let rows = derive(data_key, b"locum/1/mac");
        Self {
            term,
            records: hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, records.expose()),
            rows: hmac::Key::new(hmac::HMAC_SHA256, rows.expose()),
        }
    }

    fn record_key(&self, salt: &[u8]) -> LessSafeKey {
        let mut key = Zeroizing::new([0; 32]);
        expand(&self.records, &[b"locum/1/record", salt], &mut *key);
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &*key).expect("an AES-256 key has 32 bytes"))
    }

    fn associated_data(&self, vault_id: &[u8; 16], place: Place) -> Vec<u8> {
        let mut ad = Vec::with_capacity(96);
        push_part(&mut ad, vault_id);
        push_part(&mut ad, place.table.as_bytes());
        push_part(&mut ad, place.column.as_bytes());
        push_part(&mut ad, &place.row.to_be_bytes());
        push_part(&mut ad, &self.term.to_be_bytes());
        ad
    }

    pub(super) fn seal(&self, rng: &Rng, vault_id: &[u8; 16], place: Place, plaintext: &[u8]) -> Sealed {
        let padded = (4 + plaintext.len()).next_multiple_of(PADDING);
        let mut out = Vec::with_capacity(HEADER_LEN + padded + TAG_LEN);
        out.extend_from_slice(&[FORMAT, ALGORITHM]);
        out.extend_from_slice(&self.term.to_be_bytes());
        let mut random = [0; SALT_LEN + NONCE_LEN];
        rng.fill(&mut random);
        out.extend_from_slice(&random);
        let (salt, nonce) = random.split_at(SALT_LEN);

        let body = out.len();
        push_part(&mut out, plaintext);
        out.resize(body + padded, 0);
        let nonce = Nonce::try_assume_unique_for_key(nonce).expect("the nonce has 12 bytes");
        let ad = Aad::from(self.associated_data(vault_id, place));
        let tag = self
            .record_key(salt)
            .seal_in_place_separate_tag(nonce, ad, &mut out[body..])
            .expect("no sealed value nears AES-GCM's limit of 64 GiB");
        out.extend_from_slice(tag.as_ref());
        Sealed(out)
    }

    pub(super) fn open(
        &self,
        vault_id: &[u8; 16],
        place: Place,
        sealed: &Sealed,
    ) -> Result<Zeroizing<Vec<u8>>, Damaged> {
        let (header, body) = sealed.0.split_at_checked(HEADER_LEN).ok_or(Damaged)?;
        if header[..2] != [FORMAT, ALGORITHM] || sealed.term() != Some(self.term) {
            return Err(Damaged);
        }
        let (salt, nonce) = header[6..].split_at(SALT_LEN);
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Damaged)?;
        let ad = Aad::from(self.associated_data(vault_id, place));
        let mut body = Zeroizing::new(body.to_vec());
        let opened = self.record_key(salt).open_in_place(nonce, ad, &mut body).map_err(|_| Damaged)?;
        let len = opened.first_chunk().map(|n| u32::from_be_bytes(*n) as usize).ok_or(Damaged)?;
        let plaintext = 4..len.checked_add(4).filter(|end| *end <= opened.len()).ok_or(Damaged)?;
        // In its own place: a copy would be one more to wipe.
        body.truncate(plaintext.end);
        body.drain(..plaintext.start);
        Ok(body)
    }

    /// The row's MAC with the term it was made under: 4 + 32 bytes.
    pub(super) fn row_mac(&self, row: &RowFields) -> Vec<u8> {
        let mut out = self.term.to_be_bytes().to_vec();
        out.extend_from_slice(hmac::sign(&self.rows, &row.0).as_ref());
        out
    }

    pub(super) fn verify_row(&self, row: &RowFields, mac: &[u8]) -> Result<(), Damaged> {
        let mac = mac.get(4..).ok_or(Damaged)?;
        hmac::verify(&self.rows, &row.0, mac).map_err(|_| Damaged)
    }
}

/// The columns of a row that its MAC covers, in their order.
pub(super) struct RowFields(Vec<u8>);

impl RowFields {
    pub(super) fn new(vault_id: &[u8; 16], table: &'static str, row: i64) -> Self {
        // A grant's are some 650 bytes.
        let mut buffer = Vec::with_capacity(768);
        push_part(&mut buffer, vault_id);
        push_part(&mut buffer, table.as_bytes());
        push_part(&mut buffer, &row.to_be_bytes());
        Self(buffer)
    }

    pub(super) fn bytes(mut self, value: &[u8]) -> Self {
        self.0.push(1);
        push_part(&mut self.0, value);
        self
    }

    fn absent(mut self) -> Self {
        self.0.push(0);
        self
    }

    pub(super) fn text(self, value: &str) -> Self {
        self.bytes(value.as_bytes())
    }

    pub(super) fn int(self, value: i64) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    pub(super) fn maybe_text(self, value: Option<&str>) -> Self {
        self.maybe_bytes(value.map(str::as_bytes))
    }

    pub(super) fn maybe_int(self, value: Option<i64>) -> Self {
        match value {
            Some(value) => self.int(value),
            None => self.absent(),
        }
    }

    pub(super) fn maybe_bytes(self, value: Option<&[u8]>) -> Self {
        match value {
            Some(value) => self.bytes(value),
            None => self.absent(),
        }
    }

    pub(super) fn sealed(self, value: Option<&Sealed>) -> Self {
        self.maybe_bytes(value.map(Sealed::tag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop, prop_assert_eq, proptest};

    const PLACE: Place = Place { table: "grants", column: "refresh_token", row: 7 };
    const VAULT: [u8; 16] = [3; 16];

    fn keys(term: u32) -> TermKeys {
        TermKeys::new(term, &SecretKey::new([9; 32]))
    }

    #[test]
    fn a_value_opens_only_in_its_place() {
        let keys = keys(1);
        let sealed = keys.seal(&Rng::seeded(1), &VAULT, PLACE, b"1//0EXAMPLE");
        assert_eq!(keys.open(&VAULT, PLACE, &sealed).expect("opens").as_slice(), b"1//0EXAMPLE");
        for place in [
            Place { table: "users", ..PLACE },
            Place { column: "access_token", ..PLACE },
            Place { row: 8, ..PLACE },
        ] {
            assert_eq!(keys.open(&VAULT, place, &sealed), Err(Damaged));
        }
        assert_eq!(keys.open(&[4; 16], PLACE, &sealed), Err(Damaged));
        assert_eq!(super::tests::keys(2).open(&VAULT, PLACE, &sealed), Err(Damaged));
    }

    #[test]
    fn lengths_within_a_step_look_alike() {
        let rng = Rng::seeded(1);
        let len = |n| keys(1).seal(&rng, &VAULT, PLACE, &vec![b'x'; n]).0.len();
        assert_eq!(len(0), len(60));
        assert_ne!(len(60), len(61));
    }

    #[test]
    fn a_field_cannot_pass_for_its_neighbour() {
        let row = || RowFields::new(&VAULT, "grants", 1);
        let keys = keys(1);
        let mac = keys.row_mac(&row().text("ab").text("c"));
        assert_eq!(keys.verify_row(&row().text("ab").text("c"), &mac), Ok(()));
        assert_eq!(keys.verify_row(&row().text("a").text("bc"), &mac), Err(Damaged));
        assert_eq!(keys.verify_row(&row().text("abc"), &mac), Err(Damaged));
        assert_eq!(keys.verify_row(&row().text("ab").text("c").absent(), &mac), Err(Damaged));
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_and_a_flipped_bit_does_not(
            plaintext in proptest::collection::vec(any::<u8>(), 0..600),
            seed in any::<u64>(),
            flip in any::<prop::sample::Index>(),
            bit in 0u8..8,
        ) {
            let keys = keys(5);
            let sealed = keys.seal(&Rng::seeded(seed), &VAULT, PLACE, &plaintext);
            prop_assert_eq!(keys.open(&VAULT, PLACE, &sealed).expect("opens").to_vec(), plaintext);
            let mut bent = sealed.clone();
            let at = flip.index(bent.0.len());
            bent.0[at] ^= 1 << bit;
            prop_assert_eq!(keys.open(&VAULT, PLACE, &bent), Err(Damaged));
            bent = sealed.clone();
            bent.0.truncate(at);
            prop_assert_eq!(keys.open(&VAULT, PLACE, &bent), Err(Damaged));
        }
    }
}
