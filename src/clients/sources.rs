//! The checks that ask nobody: whether what is configured can work at Google.

use url::{Host, Url};

use super::{Check, Facts, Outcome};
use crate::config::Source;
use crate::google::refused_to_devices;
use crate::scopes::{ScopeSet, Sensitivity};

/// Every check that applies to the client.
pub(super) fn checks(facts: &Facts<'_>) -> Vec<Check> {
    [
        Some(kind(facts)),
        Some(public_url(facts)),
        redirect_uris(facts),
        secrets(facts),
        Some(scopes(facts)),
        device_scopes(facts),
        Some(testing(facts)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn has(facts: &Facts<'_>, source: Source) -> bool {
    facts.client.sources.contains(&source)
}

/// Google has clients of different types, and each gives codes of its own kind only.
fn kind(facts: &Facts<'_>) -> Check {
    let type_of = |source: &Source| match source {
        Source::Ios | Source::Android | Source::Web | Source::Popup => "Web application",
        Source::Desktop => "Desktop app",
        Source::Device => "TVs and Limited Input devices",
    };
    let mut types: Vec<_> = facts.client.sources.iter().map(type_of).collect();
    types.sort_unstable();
    types.dedup();
    match types.as_slice() {
        [one] => Check::new(
            "client_type",
            Outcome::Ok,
            format!("A client of the type {one}"),
            "Its sources all go with this type. Google's console shows a client's type beside its name.",
        ),
        several => Check::new(
            "client_type",
            if has(facts, Source::Device) { Outcome::Failed } else { Outcome::Warning },
            "Its sources go with different types of clients",
            format!(
                "At Google the sources {} need clients of the types {}. Make a client of each type, and a [[clients]] table for each.",
                facts.client.sources.iter().map(|source| source.as_str()).collect::<Vec<_>>().join(", "),
                several.join(", ")
            ),
        ),
    }
}

fn public_url(facts: &Facts<'_>) -> Check {
    const ID: &str = "public_url";
    match &facts.server.public_url {
        Some(url) if url.scheme() == "https" => Check::new(
            ID,
            Outcome::Ok,
            "locum has a public address",
            format!("Apps and browsers reach it at {url}."),
        ),
        Some(url) => Check::new(
            ID,
            Outcome::Warning,
            "The public address is for this machine only",
            format!(
                "{url} is reached from this machine alone. For everybody else set `server.public_url` to an https address."
            ),
        ),
        None if has(facts, Source::Web) => Check::new(
            ID,
            Outcome::Failed,
            "There is no public address",
            "Signing in by a browser and connect links need one: set `server.public_url` and restart locum.",
        ),
        None if facts.client.sources.iter().all(|s| matches!(s, Source::Desktop | Source::Device)) => {
            Check::new(
                ID,
                Outcome::Ok,
                "No public address is needed",
                "People connect on their own machine or by a device code.",
            )
        }
        None => Check::new(
            ID,
            Outcome::Warning,
            "There is no public address",
            "Exchanges work without one, but connect links and session tokens name it: set `server.public_url`.",
        ),
    }
}

fn redirect_uris(facts: &Facts<'_>) -> Option<Check> {
    const ID: &str = "redirect_uri";
    if !has(facts, Source::Web) {
        return None;
    }
    let own = facts.server.sign_in_callback().map(String::from);
    let uris: Vec<String> = facts.client.redirect_uris.iter().cloned().chain(own).collect();
    if uris.is_empty() {
        return Some(Check::new(
            ID,
            Outcome::Failed,
            "There is no redirect URI",
            "The source web needs one: set `server.public_url`, or list your site's own in `redirect_uris`.",
        ));
    }
    let wrong: Vec<_> =
        uris.iter().filter_map(|uri| refused_by_google(uri).map(|why| format!("{uri} {why}"))).collect();
    Some(if wrong.is_empty() {
        Check::new(
            ID,
            Outcome::Ok,
            "Google takes the redirect URIs",
            format!(
                "Each has to stand at the client in Google's console, byte for byte; locum cannot see whether it does: {}. \
                 If one is missing, Google's page says redirect_uri_mismatch.",
                uris.join(", ")
            ),
        )
    } else {
        Check::new(
            ID,
            Outcome::Failed,
            "Google refuses a redirect URI",
            format!("{}. Use https on a public name, or http on localhost.", wrong.join("; ")),
        )
    })
}

/// Why Google lets nobody register the URI, if that is so.
fn refused_by_google(uri: &str) -> Option<&'static str> {
    let Ok(url) = Url::parse(uri) else { return Some("is no URL") };
    let loopback = match url.host()? {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
    };
    match url.host()? {
        _ if loopback => None,
        _ if url.scheme() != "https" => Some("is not https"),
        Host::Ipv4(_) | Host::Ipv6(_) => Some("has a bare IP address"),
        Host::Domain(name) if !name.contains('.') || is_private(name) => Some("is on no public name"),
        Host::Domain(_) if url.fragment().is_some() => Some("has a fragment"),
        Host::Domain(_) => None,
    }
}

/// Names that no public suffix ends.
fn is_private(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    ["local", "localhost", "internal", "lan", "home", "corp", "intranet", "test", "invalid"]
        .iter()
        .any(|suffix| name.rsplit('.').next() == Some(suffix))
        || name.ends_with(".home.arpa")
}

fn secrets(facts: &Facts<'_>) -> Option<Check> {
    (facts.client.secrets.len() > 1).then(|| {
        Check::new(
            "second_secret",
            Outcome::Warning,
            "A second secret is configured",
            "That is for the days of a change. Check the client here: when Google takes the second one, make it the first, take the old one out of the configuration, and delete it at Google.",
        )
    })
}

fn scopes(facts: &Facts<'_>) -> Check {
    const ID: &str = "scopes";
    let of = |class| facts.client.scopes.of_class(class);
    let (sensitive, restricted) = (of(Sensitivity::Sensitive), of(Sensitivity::Restricted));
    let list = |scopes: &ScopeSet| scopes.iter().collect::<Vec<_>>().join(", ");
    if !restricted.is_empty() {
        return Check::new(
            ID,
            Outcome::Warning,
            "Google restricts some of the scopes",
            format!(
                "{}: Google reviews the app before strangers may use it without a warning page, and wants a yearly security assessment. Until then at most a hundred people can sign in. Could a narrower scope do, such as drive.file or drive.appdata?",
                list(&restricted)
            ),
        );
    }
    if !sensitive.is_empty() {
        return Check::new(
            ID,
            Outcome::Warning,
            "Google calls some of the scopes sensitive",
            format!(
                "{}: Google reviews the app before strangers may use it without a warning page. Until then at most a hundred people can sign in.",
                list(&sensitive)
            ),
        );
    }
    let unknown = facts.client.scopes.minus(&of(Sensitivity::NonSensitive));
    if unknown.is_empty() {
        Check::new(
            ID,
            Outcome::Ok,
            "No scope needs a review by Google",
            "All of them are non-sensitive: once the app is published, everybody can sign in without a warning page.",
        )
    } else {
        Check::new(
            ID,
            Outcome::Ok,
            "No scope is known to need a review by Google",
            format!("Google's console, under Data Access, says how it sorts {}.", list(&unknown)),
        )
    }
}

fn device_scopes(facts: &Facts<'_>) -> Option<Check> {
    const ID: &str = "device_scopes";
    if !has(facts, Source::Device) {
        return None;
    }
    let refused = refused_to_devices(&facts.client.scopes);
    Some(if refused.is_empty() {
        Check::new(
            ID,
            Outcome::Ok,
            "Devices may ask for its scopes",
            "Google lets a device ask for all of them.",
        )
    } else {
        Check::new(
            ID,
            Outcome::Failed,
            "Google refuses scopes to devices",
            format!(
                "{}: by a device code people can grant openid, email, profile, drive.appdata, drive.file and YouTube's scopes only. Take the others out, or use the source web or desktop.",
                refused.iter().collect::<Vec<_>>().join(", ")
            ),
        )
    })
}

fn testing(facts: &Facts<'_>) -> Check {
    const ID: &str = "testing";
    match facts.seven_days {
        0 => Check::new(
            ID,
            Outcome::Ok,
            "No grant ends after seven days",
            "A project in Testing would show here: there, Google ends every grant seven days after it was made.",
        ),
        number => Check::new(
            ID,
            Outcome::Warning,
            format!(
                "Google ends {} after seven days",
                if number == 1 { "a grant".to_owned() } else { format!("{number} grants") }
            ),
            "That is what a project in Testing does. Publish it: Google Cloud console, Audience, \"Publish app\". Whoever connected before has to sign in once more; if it is published already, only that is left.",
        ),
    }
}

#[cfg(test)]
pub(super) mod tests;
