//! A disk that alters bits: what is read is the old value, an error, or nothing; never another value.

use super::*;

const FLIPS: usize = 300;

#[tokio::test]
async fn a_flipped_bit_never_reads_as_another_value() {
    let (home, before) = Home::furnished(60).await;
    let whole = std::fs::read(home.path()).expect("readable");
    let used: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] != 0).collect();
    let rng = Rng::seeded(61);
    let index = |bound: usize| usize::try_from(rng.below(bound as u64)).expect("fits");
    let (mut errors, mut missing, mut unseen) = (0, 0, 0);
    for n in 0..FLIPS {
        // Most of a young file is zeros that nobody reads: every second flip hits something written.
        let at = if n % 2 == 0 { used[index(used.len())] } else { index(whole.len()) };
        let mut bent = whole.clone();
        bent[at] ^= 1 << index(8);
        std::fs::write(home.path(), &bent).expect("written");
        let vault = match home.open_with(root(1)) {
            Ok(vault) => vault,
            Err(_) => {
                errors += 1;
                continue;
            }
        };
        let after = read_all(&vault).await;
        let mut seen = None;
        for (what, value) in &after {
            match value {
                Ok(_) if before.get(what) == Some(value) => {}
                Ok(value) if is_absence(what, value) => seen = seen.max(Some(1)),
                Ok(other) => panic!("byte {at}: {what} now reads {other}"),
                Err(_) => seen = Some(2),
            }
        }
        if before.keys().any(|what| !after.contains_key(what)) {
            seen = seen.max(Some(1));
        }
        match seen {
            Some(2) => errors += 1,
            Some(_) => missing += 1,
            None => unseen += 1,
        }
    }
    // The instrument works: flips were noticed, and some hit nothing that is read.
    assert!(errors > FLIPS / 10 && unseen > 0, "{errors} errors, {missing} missing, {unseen} unseen");
}
