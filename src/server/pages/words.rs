//! What the pages say: the ends of a sign-in, and the shape of a language's table.

/// How a sign-in by a browser ended, as far as its page is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Ending {
    /// All is granted.
    Connected,
    /// Something was not ticked.
    Partial,
    /// Google sent nothing that lasts.
    Temporary,
    /// The person said no.
    Denied,
    /// Too long ago, used before, or never begun.
    Expired,
    /// Begun elsewhere.
    OtherBrowser,
    /// Another account than the one the link names.
    WrongAccount,
    /// Not in `allow_users`.
    NotAllowed,
    /// A link that is used or over.
    LinkGone,
    /// A login link that is used or over.
    LoginLinkGone,
    /// Not in `dashboard.emails`.
    NotOwner,
    /// A form of another site, or under an address that is not locum's.
    Foreign,
    /// Google or the vault is not to be had at the moment.
    Later,
    /// An administrator of the person's forbids it.
    Blocked,
    /// The owner of this locum has to mend something.
    Owner,
    /// The site that sent the person here has to mend something.
    Site,
    /// Google is being asked at this moment.
    UnderWay,
    /// Everything else.
    Failed,
}

impl Ending {
    /// Whether somebody is connected.
    pub(super) const fn tone(self) -> &'static str {
        match self {
            Self::Connected | Self::Partial | Self::Temporary => "good",
            Self::UnderWay => "",
            _ => "bad",
        }
    }

    #[cfg(test)]
    pub(super) const ALL: [Self; 18] = [
        Self::Connected,
        Self::Partial,
        Self::Temporary,
        Self::Denied,
        Self::Expired,
        Self::OtherBrowser,
        Self::WrongAccount,
        Self::NotAllowed,
        Self::LinkGone,
        Self::LoginLinkGone,
        Self::NotOwner,
        Self::Foreign,
        Self::Later,
        Self::Blocked,
        Self::Owner,
        Self::Site,
        Self::UnderWay,
        Self::Failed,
    ];
}

/// One page's text: its heading, what happened, what to do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text {
    pub(super) title: &'static str,
    pub(super) what: &'static str,
    pub(super) next: &'static str,
}

/// Everything the pages say in one language. Each field is a whole sentence or a label: nothing is put
/// together from pieces, since other languages put them in another order.
#[derive(Debug)]
pub(super) struct Words {
    pub(super) ending: fn(Ending) -> Text,
    pub(super) account: &'static str,
    pub(super) asked_by: &'static str,
    pub(super) server: &'static str,
    pub(super) site: &'static str,
    pub(super) asked_for: &'static str,
    pub(super) not_granted: &'static str,
    pub(super) code: &'static str,
    pub(super) again: &'static str,
    pub(super) back: &'static str,
    pub(super) going_on: Text,
    pub(super) go: &'static str,
    pub(super) invitation: Text,
    pub(super) begin: &'static str,
    pub(super) until: &'static str,
    /// The page at `/` for whoever is not signed in.
    pub(super) sign_in: Text,
    /// The page of a login link.
    pub(super) enter: Text,
    pub(super) enter_button: &'static str,
    /// On the way to the dashboard.
    pub(super) opening: Text,
    pub(super) open: &'static str,
    pub(super) scope: fn(Scope) -> &'static str,
}

/// The scopes that there are plain words for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Identity,
    Email,
    Profile,
    AppData,
    DriveFile,
    Drive,
    DriveReadOnly,
    Calendar,
    CalendarReadOnly,
    Mail,
    MailReadOnly,
    Contacts,
    Photos,
}

impl Scope {
    /// The scope of this name, if there are words for it.
    pub(super) fn of(name: &str) -> Option<Self> {
        let short = name.strip_prefix("https://www.googleapis.com/auth/").unwrap_or(name);
        Some(match short {
            "openid" => Self::Identity,
            "userinfo.email" => Self::Email,
            "userinfo.profile" => Self::Profile,
            "drive.appdata" => Self::AppData,
            "drive.file" => Self::DriveFile,
            "drive" => Self::Drive,
            "drive.readonly" => Self::DriveReadOnly,
            "calendar" => Self::Calendar,
            "calendar.readonly" => Self::CalendarReadOnly,
            "https://mail.google.com/" => Self::Mail,
            "gmail.readonly" => Self::MailReadOnly,
            "contacts.readonly" => Self::Contacts,
            "photoslibrary.readonly" => Self::Photos,
            _ => return None,
        })
    }

    #[cfg(test)]
    pub(super) const ALL: [Self; 13] = [
        Self::Identity,
        Self::Email,
        Self::Profile,
        Self::AppData,
        Self::DriveFile,
        Self::Drive,
        Self::DriveReadOnly,
        Self::Calendar,
        Self::CalendarReadOnly,
        Self::Mail,
        Self::MailReadOnly,
        Self::Contacts,
        Self::Photos,
    ];
}
