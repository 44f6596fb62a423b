//! Which kept contents may go.

use std::collections::HashMap;
use std::time::Duration;

use super::Why;
use crate::clock::Timestamp;
use crate::vault::MirrorVersion;

/// Nothing younger goes for want of space.
const DAY: i64 = 86_400;

/// How long and how much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Longer than this nothing is kept, but the last version of what a pull saw deleted.
    pub age: Duration,
    /// The most bytes that versions older than a day may take.
    pub bytes: u64,
}

impl Retention {
    /// The versions that may go, of a list that begins with the oldest.
    pub(super) fn expired(self, versions: &[MirrorVersion], now: Timestamp) -> Vec<MirrorVersion> {
        let mut last_of: HashMap<&str, i64> = HashMap::new();
        for version in versions.iter().filter(|version| version.kept.why == Why::GoneAtDrive.code()) {
            last_of.insert(&version.kept.path, version.id);
        }
        let may_go = |version: &&MirrorVersion| last_of.get(&*version.kept.path) != Some(&version.id);
        let age = i64::try_from(self.age.as_secs()).unwrap_or(i64::MAX);
        let (mut expired, rest): (Vec<&MirrorVersion>, Vec<&MirrorVersion>) =
            versions.iter().filter(may_go).partition(|version| now.since(version.kept.kept_at) > age);
        let mut bytes: u64 = rest.iter().map(|version| version.kept.size).sum();
        for version in rest {
            if bytes <= self.bytes {
                break;
            }
            if now.since(version.kept.kept_at) > DAY {
                bytes -= version.kept.size;
                expired.push(version);
            }
        }
        expired.into_iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::NewMirrorVersion;

    const NOW: Timestamp = Timestamp::from_unix(1_795_368_972);

    fn version(id: i64, path: &str, why: Why, days: i64, size: u64) -> MirrorVersion {
        let (file, path, why) = (id.to_string(), path.to_owned(), why.code().to_owned());
        let kept_at = NOW.plus(-days * DAY - 1);
        MirrorVersion {
            id,
            kept: NewMirrorVersion { file, path, md5: [0; 16], size, why, kept_at, own: true },
        }
    }

    fn expired(age: u64, bytes: u64, versions: &[MirrorVersion]) -> Vec<i64> {
        let retention = Retention { age: Duration::from_secs(age * 86_400), bytes };
        retention.expired(versions, NOW).iter().map(|version| version.id).collect()
    }

    #[test]
    fn what_is_too_old_goes_and_what_is_too_much() {
        let versions = [
            version(1, "a", Why::ReplacedHere, 30, 10),
            version(2, "a", Why::DeletedAtDrive, 9, 10),
            version(3, "b", Why::ReplacedHere, 5, 10),
            version(4, "b", Why::ReplacedHere, 0, 10),
        ];
        assert_eq!(expired(20, 100, &versions), [1]);
        assert_eq!(expired(20, 25, &versions), [1, 2]);
        assert_eq!(expired(100, 0, &versions), [1, 2, 3], "nothing of the last day");
    }

    #[test]
    fn the_last_version_of_what_a_pull_saw_deleted_never_goes() {
        let versions = [
            version(1, "a", Why::GoneAtDrive, 900, 10),
            version(2, "a", Why::GoneAtDrive, 800, 10),
            version(3, "b", Why::GoneAtDrive, 700, 10),
            version(4, "c", Why::DeletedHere, 600, 10),
        ];
        assert_eq!(expired(1, 0, &versions), [1, 4]);
    }
}
