//! The pages in English.

use super::words::{Ending, Scope, Text, Words};

pub(super) static ENGLISH: Words = Words {
    ending,
    account: "Account",
    asked_by: "For",
    server: "At",
    site: "Site",
    asked_for: "Asks to",
    not_granted: "Not granted",
    code: "Problem",
    again: "Try again",
    back: "Back to the site",
    going_on: Text {
        title: "On to Google",
        what: "Google will ask you whether you agree.",
        next: "If nothing happens, press the button.",
    },
    go: "Continue to Google",
    invitation: Text {
        title: "Connect your Google account",
        what: "You are asked to connect the account below. Google will show you what is asked for, and you decide there.",
        next: "You can end this at any time in your Google Account, under third-party connections. If you do not know who sent you this, close the page.",
    },
    begin: "Continue with Google",
    until: "Good until",
    sign_in: Text {
        title: "Sign in",
        what: "The dashboard is for whoever runs this service. On its machine, this command prints a link that opens it:",
        next: "A link works once, for ten minutes. If you came here to connect your account, go back to the app or the link that sent you.",
    },
    enter: Text {
        title: "Open the dashboard",
        what: "This link signs this browser in. It works once.",
        next: "Do this on a device of your own only: whoever uses this browser can then do everything that the owner can.",
    },
    enter_button: "Sign in",
    opening: Text {
        title: "One moment",
        what: "The dashboard opens.",
        next: "If nothing happens, press the button.",
    },
    open: "Open the dashboard",
    scope,
};

const fn text(title: &'static str, what: &'static str, next: &'static str) -> Text {
    Text { title, what, next }
}

fn ending(ending: Ending) -> Text {
    match ending {
        Ending::Connected => {
            text("You are connected", "Your Google account is connected.", "You can close this page.")
        }
        Ending::Partial => text(
            "You are connected, in part",
            "Your Google account is connected. Some of what was asked for was not ticked, so it stays closed.",
            "If that is what you want, you can close this page. If not, try again and tick it.",
        ),
        Ending::Temporary => text(
            "You are connected, for now",
            "You are signed in, but Google gave no lasting permission, so nothing can be done for you later.",
            "Remove the app in your Google Account, under third-party connections, then sign in again.",
        ),
        Ending::Denied => text(
            "Nothing was connected",
            "You said no at Google’s page, or closed it. Nothing was stored.",
            "If you meant to say yes, try again. If not, you can close this page.",
        ),
        Ending::Expired => text(
            "This sign-in is over",
            "It took longer than ten minutes, or it was finished before.",
            "Go back to where you began and sign in again.",
        ),
        Ending::OtherBrowser => text(
            "This browser did not begin the sign-in",
            "A sign-in must end in the browser that it began in. Either it was begun elsewhere, or this browser does not keep cookies. Nothing was connected.",
            "Sign in again from the beginning, in one browser, with cookies allowed. If you did not begin it yourself, close this page.",
        ),
        Ending::WrongAccount => text(
            "That was another account",
            "This link is for another Google account than the one you chose. Nothing was stored.",
            "Try again and choose the account that the link is for.",
        ),
        Ending::NotAllowed => text(
            "This account may not connect",
            "The owner of this service has not listed your account. Nothing was stored.",
            "Ask the owner to let your account in, or try again with another one.",
        ),
        Ending::LinkGone => text(
            "This link is no longer good",
            "It was used before, was withdrawn, or its time is over.",
            "Ask whoever sent it to you for a new one.",
        ),
        Ending::LoginLinkGone => text(
            "This link is no longer good",
            "A login link works once and for ten minutes, and a restart of the service ends it.",
            "On the machine of the service, this command prints another:",
        ),
        Ending::NotOwner => text(
            "This account may not open the dashboard",
            "Only accounts that are listed for it may, by an address that Google has verified. Nothing was stored.",
            "Try again with another account, or have yours listed by whoever runs this service.",
        ),
        Ending::Foreign => text(
            "This came from somewhere else",
            "The request was begun on another site, or under an address that is not this service’s own. Nothing was done.",
            "Open this service at its own address and begin there. If it stands behind a proxy, the proxy must pass on the host that the browser asked for.",
        ),
        Ending::Later => text(
            "Not at the moment",
            "Google or this service cannot be reached just now.",
            "Wait a minute, then try again.",
        ),
        Ending::Blocked => text(
            "Your organisation does not allow this",
            "An administrator of your Google account has blocked this app.",
            "Ask your administrator, or use an account of your own.",
        ),
        Ending::Owner => text(
            "This service is not set up for that",
            "Google refused the service itself, or signing in here is not set up. It is not your fault.",
            "Tell the owner of this service, and name the problem below.",
        ),
        Ending::Site => text(
            "The link that led here is wrong",
            "What the site asked for cannot be done. It is not your fault.",
            "Go back and tell whoever runs the site, and name the problem below.",
        ),
        Ending::UnderWay => text("One moment", "Google is being asked.", "This page goes on by itself."),
        Ending::Failed => text(
            "The sign-in failed",
            "Something went wrong between Google and this service. Nothing was connected.",
            "Sign in again. If it fails again, tell the owner of this service and name the problem below.",
        ),
    }
}

fn scope(scope: Scope) -> &'static str {
    match scope {
        Scope::Identity => "know who you are",
        Scope::Email => "see your e-mail address",
        Scope::Profile => "see your name and picture",
        Scope::AppData => "keep its own data in your Drive",
        Scope::DriveFile => "see and change the Drive files you use with it",
        Scope::Drive => "see, change and delete all your Drive files",
        Scope::DriveReadOnly => "see all your Drive files",
        Scope::Calendar => "see and change your calendars",
        Scope::CalendarReadOnly => "see your calendars",
        Scope::Mail => "read, send and delete your mail",
        Scope::MailReadOnly => "read your mail",
        Scope::Contacts => "see your contacts",
        Scope::Photos => "see your photos",
    }
}
