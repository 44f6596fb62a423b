//! Every problem locum can answer with, once: its code, its status, whether trying again helps, and
//! the words for its reader. `docs/errors.md` is tested to be this table.

use actix_web::http::StatusCode;

macro_rules! codes {
    ($($(#[$group:meta])* $heading:literal { $(
        $name:ident = $code:literal, $status:ident $(or $also:ident)?, $retry:ident, $title:literal, $detail:literal;
    )+ })+) => {
        /// The stable name of a problem. A code keeps its meaning for ever; details may be reworded.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($(
            #[doc = $title]
            $name,
        )+)+ }

        impl Code {
            /// Every code there is, in the order of the documentation.
            #[cfg(test)]
            pub(in crate::server) const ALL: &'static [Self] = &[$($(Self::$name),+),+];

            /// The headings of the documentation with the number of codes under each.
            #[cfg(test)]
            pub(super) const HEADINGS: &'static [(&'static str, usize)] =
                &[$(($heading, [$(stringify!($name)),+].len())),+];

            /// The code as clients see it.
            pub const fn as_str(self) -> &'static str {
                match self { $($(Self::$name => $code),+),+ }
            }

            /// The HTTP status that goes with it.
            pub const fn status(self) -> StatusCode {
                match self { $($(Self::$name => StatusCode::$status),+),+ }
            }

            /// Another status that some routes answer with.
            #[cfg(test)]
            pub(super) const fn other_status(self) -> Option<StatusCode> {
                match self { $($(Self::$name => codes!(@also $($also)?)),+),+ }
            }

            /// Whether the same request may succeed later with nothing changed.
            pub const fn retryable(self) -> bool {
                match self { $($(Self::$name => codes!(@retry $retry)),+),+ }
            }

            /// What is wrong, in a few words that do not change from case to case.
            pub const fn title(self) -> &'static str {
                match self { $($(Self::$name => $title),+),+ }
            }

            /// What is wrong and what to do, where a case has nothing of its own to say.
            pub const fn detail(self) -> &'static str {
                match self { $($(Self::$name => $detail),+),+ }
            }
        }
    };
    (@also) => { None };
    (@also $status:ident) => { Some(StatusCode::$status) };
    (@retry later) => { true };
    (@retry never) => { false };
}

codes! {
    "Requests" {
        NotFound = "not_found", NOT_FOUND, never, "There is nothing at this address",
            "No such route. Check the path; a user's address or id in it must be percent-encoded once.";
        MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, never, "This method does not apply here",
            "Use one of the methods in the Allow header.";
        BadRequest = "bad_request", BAD_REQUEST, never, "The request cannot be understood",
            "The request is not valid HTTP for this route. Check how the client builds it.";
        RateLimited = "rate_limited", TOO_MANY_REQUESTS, later, "Too many requests",
            "Wait as long as the Retry-After header says, then go on more slowly.";
        BodyMissing = "body_missing", BAD_REQUEST, never, "The request has no body",
            "Send the fields as a JSON object or as a form in the body of the request.";
        BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE, never, "The body is too large",
            "Send a smaller body; the owner sets the limit with `server.max_body`.";
        BodyTimeout = "body_timeout", REQUEST_TIMEOUT, later, "The body took too long",
            "The body did not arrive within the time limit. Send the request again.";
        BodyBroken = "body_broken", BAD_REQUEST, later, "The body broke off",
            "The body ended before it was complete. Send the request again.";
        ContentType = "content_type_unsupported", UNSUPPORTED_MEDIA_TYPE, never, "The content type is not supported",
            "Send the body as `application/json` in UTF-8, or where the route takes a form as `application/x-www-form-urlencoded`.";
        ContentEncoding = "content_encoding_unsupported", UNSUPPORTED_MEDIA_TYPE, never, "The body is compressed",
            "Send the body without Content-Encoding.";
        NotUtf8 = "not_utf8", BAD_REQUEST, never, "The body is not UTF-8",
            "Encode the body in UTF-8.";
        NotJson = "not_json", BAD_REQUEST, never, "The body is not the JSON that is expected",
            "Send one JSON object.";
        DuplicateField = "duplicate_field", BAD_REQUEST, never, "A field or parameter was given twice",
            "Give each field once, and the code under one of its names.";
        FieldMissing = "field_missing", BAD_REQUEST, never, "A field is missing",
            "Add the field.";
        FieldInvalid = "field_invalid", BAD_REQUEST, never, "A field has a wrong value",
            "Correct the field.";
        FieldUnknown = "field_unknown", BAD_REQUEST, never, "A field is unknown",
            "Remove or correct the field: a mistyped one would change what is asked for.";
        ParameterUnknown = "parameter_unknown", BAD_REQUEST, never, "The query has an unknown parameter",
            "Remove or correct the parameter: a mistyped one would change what is asked for.";
        ParameterInvalid = "parameter_invalid", BAD_REQUEST, never, "A query parameter has a wrong value",
            "Correct the parameter.";
        HeaderInvalid = "header_invalid", BAD_REQUEST, never, "A header field has a wrong value",
            "Correct the header field.";
        UserInvalid = "user_invalid", BAD_REQUEST, never, "The user in the path is not one",
            "Name the user by the `user.id` of an answer, by an e-mail address, or as `me` with a session; percent-encode it once.";
        IdempotencyKeyInvalid = "idempotency_key_invalid", BAD_REQUEST, never, "The Idempotency-Key cannot be used",
            "Send one Idempotency-Key header of 1 to 255 printable ASCII characters, for example a UUID.";
        OriginNotAllowed = "origin_not_allowed", FORBIDDEN, never, "This web origin may not call locum",
            "The owner lists the origins of pages that may call locum in `server.cors_origins`; origin, method and headers must all be allowed.";
        ForeignRequest = "foreign_request", FORBIDDEN, never, "The request comes from another site",
            "A browser that is signed in to the dashboard is served for pages of locum's own only. Open the dashboard at its own address; a proxy in front of locum must pass on the Host that the browser sent.";
        HostNotServed = "host_not_served", FORBIDDEN, never, "locum is not at this address",
            "The Host header names neither `server.public_url`, nor the address locum listens on, nor this machine. Open the dashboard under one of those; a proxy in front of locum must pass on the Host that the browser sent.";
        TooManyStreams = "too_many_streams", SERVICE_UNAVAILABLE, later, "Too many read along",
            "So many streams of events are open already. Close one, or try again after the time in the Retry-After header.";
        Internal = "internal_error", INTERNAL_SERVER_ERROR, later, "locum failed",
            "Something went wrong inside locum. The owner finds the cause in the log under this request_id.";
        Interrupted = "interrupted", INTERNAL_SERVER_ERROR, later, "The work was interrupted",
            "locum was interrupted while it worked on this. Look at the state before you try again.";
        Stopping = "stopping", SERVICE_UNAVAILABLE, later, "locum is stopping",
            "locum is being stopped or restarted. Try again in a moment.";
    }
    "Who asks" {
        CredentialsMissing = "credentials_missing", UNAUTHORIZED, never, "Nobody is named",
            "Send `Authorization: Bearer` with an API key, or with a session token where the route is for an app's user.";
        DashboardSessionOver = "dashboard_session_over", UNAUTHORIZED, never, "The dashboard's session is over",
            "Sign in again: `locum admin link` prints a link.";
        LoginLinkGone = "login_link_gone", GONE, never, "The login link is no longer good",
            "A login link works once and for ten minutes, and a restart ends it. `locum admin link` prints another.";
        OwnerNotListed = "owner_not_listed", FORBIDDEN, never, "This account may not open the dashboard",
            "The accounts that may are listed in `dashboard.emails`, and Google must have verified the address. Use another account, or `locum admin link`.";
        DashboardAddressUnknown = "dashboard_address_unknown", CONFLICT, never, "Nobody knows the dashboard's address",
            "locum listens on a unix socket, so that a link needs `server.public_url`. Set it and restart.";
        ApiKeyInvalid = "api_key_invalid", UNAUTHORIZED, never, "The API key is not valid",
            "Send the whole key as it was shown when it was made. If it is lost, the owner makes another with `locum key create`.";
        ApiKeyExpired = "api_key_expired", UNAUTHORIZED, never, "The API key has expired",
            "The owner makes another key with `locum key create`.";
        ApiKeyRevoked = "api_key_revoked", UNAUTHORIZED, never, "The API key was revoked",
            "The owner makes another key with `locum key create`.";
        ActionNotAllowed = "action_not_allowed", FORBIDDEN, never, "The API key does not allow this",
            "Use a key that allows the action.";
        OwnerRequired = "owner_required", FORBIDDEN, never, "This is for the owner",
            "Use the admin socket, sign in to the dashboard, or use an API key that allows `admin` and is bound to no users, clients, scopes or hosts.";
        ApiKeyRequired = "api_key_required", UNAUTHORIZED, never, "This needs an API key",
            "A session reaches only the routes under `/v1/users/me`. Use an API key here.";
        SessionRequired = "session_required", UNAUTHORIZED, never, "This needs a session",
            "`me` is the user of a session. Send a session token, or name the user.";
        SessionInvalid = "session_invalid", UNAUTHORIZED, never, "The session token is not valid",
            "Renew the session at `/v1/session` with an ID token, or sign in again.";
        SessionExpired = "session_expired", UNAUTHORIZED, never, "The session has expired",
            "Renew the session at `/v1/session` with an ID token, or sign in again.";
        SessionEnded = "session_ended", UNAUTHORIZED, never, "The session was ended",
            "The user was forgotten or signed out everywhere. Sign in again.";
    }
    "Exchanging a code, renewing a session" {
        MissingRequestedWith = "missing_requested_with", FORBIDDEN, never, "The X-Requested-With header is missing",
            "Send an `X-Requested-With` header with any value, for example `XMLHttpRequest`. Web pages of others cannot, which keeps them from posting here.";
        CodeMissing = "code_missing", BAD_REQUEST, never, "There is no authorization code",
            "Send `code`. The iOS SDK gives a `serverAuthCode` only when `GIDServerClientID` is set to the Web application client, and only at a fresh sign-in, not when a previous one is restored; the Android SDK only when `requestOfflineAccess` (or `requestServerAuthCode`) names that client.";
        CodeEncoded = "code_still_encoded", BAD_REQUEST, never, "The code is still percent-encoded",
            "Decode the code once before sending it: it begins with `4/`, not with `4%2F`.";
        CodeMalformed = "code_malformed", BAD_REQUEST, never, "This is not an authorization code",
            "Send the code exactly as Google's SDK or redirect gave it, whole and without spaces. An ID token or an access token is no code.";
        CodeSpent = "code_spent", CONFLICT, never, "The code is spent",
            "A code works once and for about ten minutes, and only for the client it was issued to. Sign in again to get a new one. To make a lost answer repeatable, send an Idempotency-Key with the first try.";
        ClientUnknown = "client_unknown", NOT_FOUND or BAD_REQUEST, never, "There is no such client",
            "Name a client of the configuration.";
        ClientRequired = "client_required", BAD_REQUEST, never, "A client must be named",
            "Several clients come into question. Send `client` with one of `clients`.";
        SourceRequired = "source_required", BAD_REQUEST, never, "The source of the code must be named",
            "The client takes codes from several sources. Send `source` with one of `sources`.";
        SourceNotAllowed = "source_not_allowed", BAD_REQUEST, never, "The client does not take codes from this source",
            "Send one of `sources`, or let the owner add the source to the client's `sources`.";
        RedirectUriNotAllowed = "redirect_uri_not_allowed", BAD_REQUEST, never, "The redirect_uri is not configured",
            "Send the `redirect_uri` the code was made with. It must be equal, byte for byte, to one in the client's `redirect_uris`; a desktop code needs its loopback address.";
        RedirectUriMismatch = "redirect_uri_mismatch", BAD_REQUEST, never, "The code was made with another redirect_uri",
            "Google issued the code for another `redirect_uri` than the `source` implies. Check `source` and `redirect_uri`, then sign in again.";
        VerifierMissing = "code_verifier_missing", BAD_REQUEST, never, "The code needs its code_verifier",
            "The sign-in used PKCE. Sign in again and send its `code_verifier` along with the code.";
        VerifierWrong = "code_verifier_wrong", BAD_REQUEST, never, "The code_verifier does not belong to the code",
            "Send the `code_verifier` whose challenge the same sign-in used. Sign in again to get a new code.";
        IdempotencyKeyReused = "idempotency_key_reused", UNPROCESSABLE_ENTITY, never, "The Idempotency-Key was used for another request",
            "Use a new Idempotency-Key for each code, and the same one only to repeat the very same request.";
        IdTokenMissing = "id_token_missing", BAD_REQUEST, never, "Google sent no ID token",
            "Without one nobody knows who signed in. Let the app ask for the scope `openid`, and sign in again.";
        IdTokenRefused = "id_token_refused", UNAUTHORIZED, never, "The ID token is not accepted",
            "Get a fresh ID token from Google's SDK, for a client of this locum.";
        UserNotAllowed = "user_not_allowed", FORBIDDEN, never, "This person may not connect",
            "The owner says in `allow_users` who may connect. Nothing was stored.";
        NotConnected = "not_connected", NOT_FOUND, never, "This person is not connected",
            "Sign in with an authorization code first (`/v1/exchange`).";
        GoogleBlocked = "google_blocked", FORBIDDEN, never, "A setting at Google forbids this",
            "A setting of Google's or of the person's organisation blocks the app.";
        ClientMisconfigured = "client_misconfigured", BAD_GATEWAY, never, "Google refuses the OAuth client",
            "The owner has to put the OAuth client right: compare `client_id` and the client secret with Google's console.";
        GoogleRefused = "google_refused", BAD_GATEWAY, never, "Google refused",
            "Google refused the request for a reason that has no cure of its own here. Sign in again; if that does not help, the owner looks at the client in Google's console.";
    }
    "Signing in by a browser" {
        SignInNotConfigured = "sign_in_not_configured", NOT_FOUND, never, "Signing in by a browser is not set up",
            "The owner sets `server.public_url`, adds `web` to the `sources` of the client, and registers the public URL with `/v1/sign-in/callback` behind it at Google as authorized redirect URI.";
        ReturnToNotAllowed = "return_to_not_allowed", BAD_REQUEST, never, "This address to return to is not allowed",
            "The owner lists where browsers may be sent back to in `sign_in.return_to`. Send the address as a browser writes it, without user name, fragment or encoded slashes.";
        ChallengeUnusable = "challenge_unusable", BAD_REQUEST, never, "The challenge cannot be used",
            "Send `challenge` as the S256 of a verifier, 43 characters of base64url, and `return_to` with it: the `locum_code` goes there.";
        SignInExpired = "sign_in_expired", GONE, never, "The sign-in is over",
            "It took longer than ten minutes, was finished before, or locum was restarted. Begin again at `/v1/sign-in`.";
        SignInOtherBrowser = "sign_in_other_browser", FORBIDDEN, never, "The sign-in was begun in another browser",
            "A sign-in ends in the browser that began it, by a cookie. Begin again at `/v1/sign-in`, with cookies allowed.";
        ConsentDenied = "consent_denied", FORBIDDEN, never, "The person said no",
            "The person refused at Google's page, or closed it. Nothing was stored. Let them sign in again when they want to.";
        DeviceScopesRefused = "device_scopes_refused", BAD_REQUEST, never, "Google refuses these scopes to devices",
            "By a code typed elsewhere, Google lets people grant `openid`, `email`, `profile`, `drive.appdata`, `drive.file` and YouTube's scopes only. For the others use `locum connect --paste` with a client of the source `desktop`, or `locum invite`.";
        WrongAccount = "wrong_account", FORBIDDEN, never, "This is another account",
            "The sign-in was for another Google account. Nothing was stored. Sign in again with the account that the link is for.";
        ConnectLinkGone = "connect_link_gone", GONE, never, "The connect link is no longer good",
            "It was used before, was withdrawn, or its time is over. Make another with `locum invite` or `POST /v1/connect-links`.";
        ConnectLinkNotFound = "connect_link_not_found", NOT_FOUND, never, "There is no such connect link",
            "It was used, was withdrawn before, or its time is over. Send the `id` of the answer that the link was made with.";
        LocumCodeSpent = "locum_code_spent", CONFLICT, never, "The locum_code is spent",
            "A `locum_code` is good once and for a minute. Begin again at `/v1/sign-in`.";
    }
    "Google" {
        GoogleUnavailable = "google_unavailable", SERVICE_UNAVAILABLE, later, "Google is unavailable",
            "Google gave no usable answer. Try again after the time in the Retry-After header; no grant was touched.";
        KeysUnavailable = "google_keys_unavailable", SERVICE_UNAVAILABLE, later, "Google's signing keys are not at hand",
            "ID tokens cannot be verified before Google's keys can be fetched. Try again.";
        ClientPaused = "client_paused", SERVICE_UNAVAILABLE, later, "Refreshes of this client are paused",
            "Google refuses the OAuth client itself, so no refresh can succeed. The owner has to put the client right; `locum status` says what is wrong.";
    }
    "Tokens" {
        UserNotFound = "user_not_found", NOT_FOUND, never, "There is no such user",
            "Nobody of this name is connected, or the API key does not reach them.";
        GrantNotFound = "grant_not_found", NOT_FOUND, never, "The person has no grant with this client",
            "They are connected with another client: `GET /v1/users/{user}`, or `locum user show`, tells which. Name that one, or let the person sign in with this one.";
        UserAmbiguous = "user_ambiguous", CONFLICT, never, "Several people have this address",
            "The address has changed hands. Name the user by id instead (`user.id` in answers).";
        ConsentRequired = "consent_required", CONFLICT, never, "The person must sign in again",
            "No access token can be had before the person has been through Google's consent again: in the app, at `connect_url` where there is one, or by a link of `POST /v1/connect-links`.";
        ClientAmbiguous = "client_ambiguous", CONFLICT, never, "Several grants match",
            "The user has grants with several clients. Send `client` with one of `clients`.";
        ScopeMissing = "scope_missing", FORBIDDEN, never, "Scopes are missing",
            "The grant, or the API key, does not cover `missing_scopes`. Let the person sign in again and tick them, or use another key.";
        ScopeWithheld = "scope_withheld", FORBIDDEN, never, "Google's token opens too much for this API key",
            "The key is bound to scopes and Google answered with a token of more, so it was withheld. Use a key bound to the whole grant.";
    }
    "App data" {
        PathInvalid = "path_invalid", BAD_REQUEST, never, "The path cannot be used",
            "Names are separated by single slashes and percent-encoded once; none is empty, `.` or `..`, has a slash or a control character in it, or is longer than 255 bytes; a path has at most 32 names and 1024 bytes.";
        FileNotFound = "file_not_found", NOT_FOUND, never, "There is no such file",
            "The path leads to nothing that apps of this Google project have written. List the app data to see what there is.";
        IsFolder = "is_folder", CONFLICT, never, "The path leads to a folder",
            "Only files have content. List what is in a folder with `prefix`; a folder itself cannot be removed here.";
        NotAFolder = "not_a_folder", CONFLICT, never, "A name on the way is a file",
            "A file cannot hold others. Choose another path, or remove that file first.";
        PreconditionFailed = "precondition_failed", PRECONDITION_FAILED, never, "The file is not as demanded",
            "Somebody else wrote or removed it first, or it exists already; nothing was changed. Read it again, decide anew, and send its `current` tag as If-Match.";
        ContentTooLarge = "content_too_large", PAYLOAD_TOO_LARGE, never, "The content is too large",
            "Nothing was stored. The owner sets the limit with `app_data.max_bytes`.";
        ContentBroke = "content_broke", BAD_REQUEST, later, "The content did not arrive whole",
            "It broke off or had another length than announced. Nothing was stored; send it again.";
        RangeNotSatisfiable = "range_not_satisfiable", RANGE_NOT_SATISFIABLE, never, "The range lies outside of the file",
            "The Content-Range header says how long the file is.";
        AppDataChanged = "app_data_changed", CONFLICT, later, "The app data changed meanwhile",
            "Another program changed it at the same moment, or what arrived at Google was not what was sent. Send the request again.";
        TooManyFiles = "too_many_files", UNPROCESSABLE_ENTITY, never, "There are too many files",
            "The person's app data has more files or folders than locum looks through in one call. Fewer, larger files help.";
        AppDataBusy = "app_data_busy", SERVICE_UNAVAILABLE, later, "Too much is under way",
            "Other reads or writes of this person's app data, or too many in all, are under way. Try again after the time in the Retry-After header.";
        DriveUnavailable = "drive_unavailable", SERVICE_UNAVAILABLE, later, "Drive is unavailable",
            "Google Drive cannot be reached, fails, or asks for fewer calls. Try again after the time in the Retry-After header.";
        StorageFull = "storage_full", INSUFFICIENT_STORAGE, never, "The person's Google storage is full",
            "Nothing was stored. The person has to make room in their Google account, or remove other app data.";
        DriveSettingNeeded = "drive_setting_needed", BAD_GATEWAY, never, "A setting at Google stands in the way",
            "Somebody has to change a setting at Google; `cause` says which.";
        DriveRefused = "drive_refused", BAD_GATEWAY, never, "Drive refused",
            "Google Drive refused for a reason that has no cure of its own here. The owner finds it in the log under this request_id.";
    }
    "Mirrors" {
        MirrorNotFound = "mirror_not_found", NOT_FOUND, never, "There is no such mirror or version",
            "The configuration has no [[mirror]] for this user and client, or it has never run, or no version of this id is kept.";
        MirrorHeld = "mirror_held", CONFLICT, never, "The run waits for the owner",
            "Nothing was changed. The owner looks at what it would do (`locum drive sync --dry-run`) and accepts it (`locum drive sync --accept`).";
        MirrorBusy = "mirror_busy", CONFLICT, later, "A run is under way",
            "A run of this mirror is under way already, in this process or another one. Try again when it is over.";
        MirrorFolder = "mirror_folder", CONFLICT, never, "The mirror's folder cannot be used",
            "Nothing was changed.";
        MirrorNeedsPerson = "mirror_needs_person", CONFLICT, never, "A person has to act before the mirror can run",
            "Nothing was changed.";
        MirrorFailed = "mirror_failed", BAD_GATEWAY, later, "The mirror could not run",
            "Nothing was changed.";
    }
    "People and keys" {
        CursorInvalid = "cursor_invalid", BAD_REQUEST, never, "This is not a cursor",
            "Send the `next` of the page before, unchanged, or leave `cursor` out to begin anew.";
        TooManyPeople = "too_many_people", UNPROCESSABLE_ENTITY, never, "There are too many people to search",
            "Among more than 200,000 people nobody is searched for by a part of a name. Use `GET /v1/users`, with `email` for one person or page by page.";
        RevokeReachesFurther = "revoke_reaches_further", FORBIDDEN, never, "Revoking would end other grants",
            "Revoking at Google would also end grants that this API key does not reach. Use `revoke=no`, or another key.";
        ApiKeyNotFound = "api_key_not_found", NOT_FOUND, never, "There is no such API key",
            "`locum key list` shows the ids.";
        ApiKeyEnded = "api_key_ended", CONFLICT, never, "The API key has ended already",
            "It cannot be rotated any more. Make another with `locum key create`.";
    }
    "The vault" {
        VaultBusy = "vault_busy", SERVICE_UNAVAILABLE, later, "Too much is being written",
            "Too many writes are waiting. Try again in a moment.";
        VaultConflict = "conflict", CONFLICT, later, "Somebody else changed it first",
            "It was changed at the same time by another request. Look again, then decide again.";
        VaultFull = "vault_full", SERVICE_UNAVAILABLE, later, "The disk is full",
            "The disk that holds the vault is full. The owner has to free some space; locum then goes on by itself.";
        VaultReadOnly = "vault_read_only", SERVICE_UNAVAILABLE, later, "The vault cannot be written",
            "The vault's file, its directory or the whole file system is read-only. The owner has to make it writable.";
        VaultFailed = "vault_failed", SERVICE_UNAVAILABLE, later, "The disk failed",
            "The disk failed under a write and locum writes no more. The owner has to look at the disk and restart locum.";
        VaultDamaged = "vault_damaged", INTERNAL_SERVER_ERROR, never, "A record of the vault is damaged",
            "A record does not match its seal: it was altered outside locum, or the disk damaged it. The owner finds it in the log under this request_id and restores a backup, or forgets the person, who can then connect again.";
        VaultUnavailable = "vault_unavailable", SERVICE_UNAVAILABLE, later, "The vault cannot be read or written",
            "The owner finds the cause in the log under this request_id.";
    }
}
