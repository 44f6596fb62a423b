//! What Google's scopes allow, in plain English, and how Google sorts them: the one place that says either.
//!
//! The words are locum's own, close to those of Google's consent page. A scope that is not in the table is
//! shown as it is and nothing is said about its class. Google may sort a scope anew: its console, under Data
//! Access, has the last word, and nothing here but advice goes by the class.

use serde::{Deserialize, Serialize};

use super::{PREFIX, ScopeSet, normalise};

/// How Google sorts a scope. For the latter two it reviews an app before strangers may use it without a
/// warning page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sensitivity {
    /// No review.
    NonSensitive,
    /// A review.
    Sensitive,
    /// A review, and a yearly security assessment where the data touches servers.
    Restricted,
}

/// A scope and what it allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeInWords {
    /// Its name.
    pub scope: String,
    /// What it allows; the name again for one that is not known here.
    pub words: String,
}

use Sensitivity::{NonSensitive as N, Restricted as R, Sensitive as S};

/// Name (without Google's prefix where it has that), class, words.
const TABLE: &[(&str, Sensitivity, &str)] = &[
    ("openid", N, "Know who you are at Google"),
    ("userinfo.email", N, "See your e-mail address"),
    ("userinfo.profile", N, "See your name, picture and language"),
    ("drive.appdata", N, "See, create and delete its own data in Drive (app data)"),
    ("drive.file", N, "See, change and delete the files in Drive that it made or that you opened with it"),
    ("drive.install", N, "Appear under \"Open with\" in Drive"),
    ("drive.apps.readonly", S, "See the list of apps that you use with Drive"),
    ("drive", R, "See, change, create and delete all your files in Drive"),
    ("drive.readonly", R, "See and download all your files in Drive"),
    ("drive.metadata", R, "See and change what is known about your files in Drive, not their contents"),
    ("drive.metadata.readonly", R, "See what is known about your files in Drive, not their contents"),
    ("drive.activity", R, "See and add to the record of activity on your files in Drive"),
    ("drive.activity.readonly", R, "See the record of activity on your files in Drive"),
    ("drive.meet.readonly", R, "See and download your files in Drive that Meet made"),
    ("drive.scripts", R, "Change how your Apps Script programs behave"),
    ("documents", S, "See, change, create and delete all your Google Docs"),
    ("documents.readonly", S, "See all your Google Docs"),
    ("spreadsheets", S, "See, change, create and delete all your Google Sheets"),
    ("spreadsheets.readonly", S, "See all your Google Sheets"),
    ("presentations", S, "See, change, create and delete all your Google Slides"),
    ("presentations.readonly", S, "See all your Google Slides"),
    ("calendar", S, "See, change, share and delete all your calendars"),
    ("calendar.readonly", S, "See and download your calendars"),
    ("calendar.events", S, "See and change the events of all your calendars"),
    ("calendar.events.readonly", S, "See the events of all your calendars"),
    ("calendar.app.created", N, "Make calendars, and see, change and delete those and their events"),
    ("calendar.freebusy", N, "See when you are free or busy"),
    ("contacts", S, "See, change, download and delete your contacts"),
    ("contacts.readonly", S, "See and download your contacts"),
    ("contacts.other.readonly", S, "See the people you have written to (other contacts)"),
    ("directory.readonly", S, "See your organisation's directory"),
    ("user.birthday.read", S, "See your date of birth"),
    ("user.phonenumbers.read", S, "See your phone numbers"),
    ("user.addresses.read", S, "See your street addresses"),
    ("tasks", S, "See, change, create and delete all your tasks"),
    ("tasks.readonly", S, "See your tasks"),
    ("gmail.send", S, "Send e-mail on your behalf"),
    ("gmail.labels", N, "See and change your e-mail labels"),
    ("gmail.readonly", R, "See your e-mail and its settings"),
    ("gmail.compose", R, "Write drafts and send e-mail"),
    ("gmail.insert", R, "Add e-mail to your mailbox"),
    ("gmail.modify", R, "Read, write and send e-mail, and move it to the bin"),
    ("gmail.metadata", R, "See labels and headers of your e-mail, not its text"),
    ("gmail.settings.basic", R, "See and change your e-mail settings and filters"),
    ("https://mail.google.com/", R, "Read, write, send and delete all your e-mail for good"),
    ("photoslibrary.appendonly", S, "Add to your Google Photos"),
    ("photoslibrary.readonly.appcreateddata", S, "See the photos and albums in Google Photos that it added"),
    ("photoslibrary.edit.appcreateddata", S, "Change the photos and albums in Google Photos that it added"),
    ("photospicker.mediaitems.readonly", S, "See the photos that you pick for it"),
    ("youtube", S, "Manage your YouTube account"),
    ("youtube.readonly", S, "See your YouTube account"),
    ("youtube.upload", S, "Manage your YouTube videos"),
    ("fitness.activity.read", R, "See your physical activity in Google Fit"),
    ("cloud-platform", S, "See, change and delete your Google Cloud data"),
];

fn known(scope: &str) -> Option<&'static (&'static str, Sensitivity, &'static str)> {
    let name = normalise(scope);
    let short = name.strip_prefix(PREFIX).unwrap_or(name);
    TABLE.iter().find(|(known, ..)| *known == short)
}

impl ScopeSet {
    /// Each scope with what it allows.
    pub fn in_words(&self) -> Vec<ScopeInWords> {
        let words = |scope: &str| known(scope).map_or(scope, |(_, _, words)| *words).to_owned();
        self.iter().map(|scope| ScopeInWords { scope: scope.to_owned(), words: words(scope) }).collect()
    }

    /// The scopes that Google is known to sort so.
    pub fn of_class(&self, class: Sensitivity) -> Self {
        self.iter().filter(|scope| known(scope).is_some_and(|(_, of, _)| *of == class)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(scope: &str) -> String {
        ScopeSet::parse(scope).in_words().remove(0).words
    }

    #[test]
    fn every_spelling_has_the_same_words_and_the_unknown_its_own() {
        for scope in ["drive.appfolder", "https://www.googleapis.com/auth/drive.appdata"] {
            assert_eq!(words(scope), "See, create and delete its own data in Drive (app data)", "{scope}");
        }
        assert_eq!(words("email"), words("https://www.googleapis.com/auth/userinfo.email"));
        assert_eq!(
            words("https://mail.google.com/"),
            "Read, write, send and delete all your e-mail for good"
        );
        let unknown = "https://www.googleapis.com/auth/something.new";
        assert_eq!(words(unknown), unknown);
    }

    #[test]
    fn classes_are_told_apart_and_no_scope_stands_twice() {
        let all = ScopeSet::parse(
            "openid gmail.send https://www.googleapis.com/auth/gmail.send https://www.googleapis.com/auth/drive x",
        );
        assert_eq!(
            all.of_class(Sensitivity::Restricted),
            ScopeSet::parse("https://www.googleapis.com/auth/drive")
        );
        assert!(all.of_class(Sensitivity::Sensitive).contains("https://www.googleapis.com/auth/gmail.send"));
        assert!(!all.of_class(Sensitivity::NonSensitive).contains("x"));
        let mut names: Vec<_> = TABLE.iter().map(|(name, ..)| *name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
    }
}
