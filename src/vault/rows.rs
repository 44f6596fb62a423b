//! Row ids that keep what belongs to one person together.

use crate::rng::Rng;

/// The row ids of one person: those of `users` and `grants` begin with the same 40 bits of the keyed
/// lookup of the person's `sub`, and the other 23 are random.
///
/// A person's rows are found by one walk down the table itself, without an index between, and the grants
/// of a person share a page. Somebody else's rows may fall into the same range, so whoever searches one
/// also compares what the rows say; and without the index key nobody can tell an id from a random one.
/// A person who is forgotten and comes back gets other ids: what was bound to the old ones stays unbound.
#[derive(Clone, Copy)]
pub(super) struct Cluster(i64);

const RANDOM_BITS: u32 = 23;
const RANDOM: i64 = (1 << RANDOM_BITS) - 1;

impl Cluster {
    /// Where the rows of the person with this lookup are.
    pub(super) fn of_lookup(lookup: &[u8; 32]) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = *lookup;
        // Row ids are positive: one bit less.
        Self(i64::from_be_bytes([a, b, c, d, e, f, g, h]) & i64::MAX & !RANDOM)
    }

    /// Where the other rows of this row's person are.
    pub(super) const fn of_row(id: i64) -> Self {
        Self(id & !RANDOM)
    }

    /// The lowest id.
    pub(super) const fn first(self) -> i64 {
        self.0
    }

    /// The highest id.
    pub(super) const fn last(self) -> i64 {
        self.0 | RANDOM
    }

    /// A new id, never 0.
    pub(super) fn new_id(self, rng: &Rng) -> i64 {
        self.0 | rng.row_id() & RANDOM
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_lies_in_its_cluster_and_leads_back_to_it() {
        let rng = Rng::seeded(1);
        for byte in [0x00, 0x01, 0x7f, 0x80, 0xff] {
            let cluster = Cluster::of_lookup(&[byte; 32]);
            let id = cluster.new_id(&rng);
            assert!(id > 0 && (cluster.first()..=cluster.last()).contains(&id), "{byte:#x}");
            assert_eq!(Cluster::of_row(id).first(), cluster.first());
            assert_ne!(id, cluster.new_id(&rng));
        }
        let (one, other) = (Cluster::of_lookup(&[1; 32]), Cluster::of_lookup(&[2; 32]));
        assert!(one.last() < other.first());
    }
}
