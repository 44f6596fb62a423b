//! What `init` tells the owner.

use std::path::Path;

use crate::config::{Loaded, Source};

/// Which of Google's files is meant.
pub(super) const WHICH_FILE: &str = "the JSON of the *Web application* client, the one in GIDServerClientID; iOS and Android clients have no secret and are not needed here";

/// What is left to do at Google, with the root key, and here.
pub(super) fn afterwards(loaded: &Loaded, root_key_file: &Path, root_key_id: &str) -> String {
    let mut lines = Vec::new();
    let callback = loaded.config.server.sign_in_callback();
    for client in &loaded.config.clients {
        lines.push(format!("At Google and in your apps, for the client {}:", client.client_id));
        for source in &client.sources {
            lines.push(format!("  {}", registration(*source, client, callback.as_ref())));
        }
        let scopes: Vec<&str> = client.scopes.iter().collect();
        lines.push(format!("  consent screen: list the scopes {}", scopes.join(" ")));
    }
    lines.extend([
        String::new(),
        "Publish the app (Google Cloud console, Audience, \"Publish app\"): while the project is in Testing, Google ends".to_owned(),
        "every grant after seven days, and everybody has to sign in again.".to_owned(),
        String::new(),
        format!("Copy {} now to a place that is neither this machine nor beside the backups,", root_key_file.display()),
        format!("such as a password manager. Its id is {root_key_id}, which `locum status` and every backup name."),
        "Whoever has it and the vault can act for everybody; without it the vault is lost.".to_owned(),
        String::new(),
        "Next: `locum config check`, then `locum serve`; `locum status` tells how everybody is.".to_owned(),
    ]);
    lines.join("\n")
}

fn registration(source: Source, client: &crate::config::Client, callback: Option<&url::Url>) -> String {
    match source {
        Source::Ios => "ios: set GIDServerClientID in Info.plist to this client id; nothing to register at it, the app has an iOS client of its own beside it".to_owned(),
        Source::Android => {
            "android: request offline access with this client id; nothing to register at it, the app has an Android client of its own beside it".to_owned()
        }
        Source::Web => {
            let own = callback.map(|url| format!("{url} (locum's own sign-in, at /v1/sign-in)"));
            let uris: Vec<String> = client.redirect_uris.iter().cloned().chain(own).collect();
            format!("web: register as authorized redirect URI: {}", uris.join(", "))
        }
        Source::Popup => {
            "popup: register the origin of each page as authorized JavaScript origin".to_owned()
        }
        Source::Desktop => {
            "desktop: loopback addresses need no registration with a Desktop client; a Web application client needs each one registered".to_owned()
        }
        Source::Device => {
            "device: needs a client of the type \"TVs and Limited Input devices\"".to_owned()
        }
    }
}
