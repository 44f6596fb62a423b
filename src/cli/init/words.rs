//! What `init` tells the owner.

use std::path::Path;

use crate::clients::registrations;
use crate::config::Loaded;

/// Which of Google's files is meant.
pub(super) const WHICH_FILE: &str = "the JSON of the *Web application* client, the one in GIDServerClientID; iOS and Android clients have no secret and are not needed here";

/// What is left to do at Google, with the root key, and here.
pub(super) fn afterwards(loaded: &Loaded, root_key_file: &Path, root_key_id: &str) -> String {
    let mut lines = Vec::new();
    for client in &loaded.config.clients {
        lines.push(format!("At Google and in your apps, for the client {}:", client.client_id));
        let all = registrations(client, &loaded.config.server);
        lines.extend(all.iter().map(|registration| format!("  {registration}")));
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
