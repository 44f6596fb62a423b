use super::*;
use crate::config::{Client, Config, Environment, Server};

pub(in super::super) fn client(sources: &[Source], scopes: &str) -> Client {
    Client {
        name: "main".parse().expect("name"),
        client_id: "402839145520-x.apps.googleusercontent.com".parse().expect("id"),
        secrets: vec![crate::secret::ClientSecret::new("GOCSPX-one")],
        sources: sources.to_vec(),
        redirect_uris: vec!["https://app.example.org/cb".to_owned()],
        javascript_origins: vec!["https://app.example.org".to_owned()],
        popup_redirect_uri: "postmessage".to_owned(),
        scopes: ScopeSet::parse(scopes),
        authorized_parties: vec![],
    }
}

pub(in super::super) fn server(public_url: Option<&str>) -> Server {
    let folder = std::path::Path::new("/nowhere");
    let environment = Environment::given(folder, Vec::<(String, String)>::new());
    let url = public_url.map(|url| format!("[server]\npublic_url = {url:?}\n")).unwrap_or_default();
    let text = format!(
        "allow_users = \"anyone\"\n{url}[vault]\nroot_key_file = \"root.key\"\n[[clients]]\nname = \"main\"\n\
         client_id = \"402839145520-x.apps.googleusercontent.com\"\nclient_secret = \"GOCSPX-x\"\nsources = [\"ios\"]\n"
    );
    Config::parse(&text, &folder.join("locum.toml"), &environment).expect("valid").config.server
}

fn outcome(facts: &Facts<'_>, id: &str) -> Option<Outcome> {
    let all = checks(facts);
    assert!(
        all.iter().all(
            |check| !check.title.is_empty() && check.detail.ends_with('.') || check.detail.ends_with('?')
        )
    );
    all.iter().find(|check| check.id == id).map(|check| check.state)
}

#[test]
fn what_is_configured_is_judged() {
    use Outcome::{Failed, Ok, Warning};
    const PUBLIC: Option<&str> = Some("https://locum.example.org");
    for (id, sources, scopes, url, expected) in [
        ("client_type", &[Source::Ios, Source::Web][..], "openid", PUBLIC, Some(Ok)),
        ("client_type", &[Source::Ios, Source::Desktop], "openid", PUBLIC, Some(Warning)),
        ("client_type", &[Source::Ios, Source::Device], "openid", PUBLIC, Some(Failed)),
        ("public_url", &[Source::Ios], "openid", PUBLIC, Some(Ok)),
        ("public_url", &[Source::Ios], "openid", None, Some(Warning)),
        ("public_url", &[Source::Web], "openid", None, Some(Failed)),
        ("public_url", &[Source::Device], "openid", None, Some(Ok)),
        ("public_url", &[Source::Web], "openid", Some("http://localhost:8787"), Some(Warning)),
        ("redirect_uri", &[Source::Ios], "openid", PUBLIC, None),
        ("redirect_uri", &[Source::Web], "openid", PUBLIC, Some(Ok)),
        ("redirect_uri", &[Source::Web], "openid", Some("http://localhost:8787"), Some(Ok)),
        ("redirect_uri", &[Source::Web], "openid", Some("https://192.168.1.5"), Some(Failed)),
        ("redirect_uri", &[Source::Web], "openid", Some("https://pi.local"), Some(Failed)),
        ("scopes", &[Source::Ios], "openid drive.appdata", PUBLIC, Some(Ok)),
        ("scopes", &[Source::Ios], "openid https://example.org/new", PUBLIC, Some(Ok)),
        (
            "scopes",
            &[Source::Ios],
            "openid https://www.googleapis.com/auth/calendar.readonly",
            PUBLIC,
            Some(Warning),
        ),
        ("scopes", &[Source::Ios], "https://www.googleapis.com/auth/drive", PUBLIC, Some(Warning)),
        ("device_scopes", &[Source::Ios], "openid", PUBLIC, None),
        ("device_scopes", &[Source::Device], "openid drive.appdata", PUBLIC, Some(Ok)),
        (
            "device_scopes",
            &[Source::Device],
            "https://www.googleapis.com/auth/calendar.readonly",
            PUBLIC,
            Some(Failed),
        ),
        ("second_secret", &[Source::Ios], "openid", PUBLIC, None),
    ] {
        let (client, server) = (client(sources, scopes), server(url));
        let facts = Facts { client: &client, server: &server, seven_days: 0 };
        assert_eq!(outcome(&facts, id), expected, "{id} {sources:?} {scopes} {url:?}");
        assert_eq!(outcome(&facts, "testing"), Some(Ok));
    }
}

#[test]
fn a_change_of_secrets_and_the_seven_days_are_told() {
    let (mut client, server) = (client(&[Source::Ios], "openid"), server(None));
    client.secrets.push(crate::secret::ClientSecret::new("GOCSPX-two"));
    let facts = Facts { client: &client, server: &server, seven_days: 3 };
    assert_eq!(outcome(&facts, "second_secret"), Some(Outcome::Warning));
    assert_eq!(outcome(&facts, "testing"), Some(Outcome::Warning));
    let told = serde_json::to_string(&checks(&facts)).expect("JSON");
    assert!(told.contains("3 grants") && !told.contains("GOCSPX"), "{told}");
}

#[test]
fn no_redirect_uri_at_all_is_a_failure() {
    let (mut client, server) = (client(&[Source::Web], "openid"), server(None));
    client.redirect_uris.clear();
    let facts = Facts { client: &client, server: &server, seven_days: 0 };
    assert_eq!(outcome(&facts, "redirect_uri"), Some(Outcome::Failed));
}

#[test]
fn what_google_refuses_to_register_is_known() {
    for (uri, refused) in [
        ("https://app.example.org/cb", false),
        ("http://app.example.org/cb", true),
        ("http://127.0.0.1:8787/cb", false),
        ("http://[::1]:8787/cb", false),
        ("http://localhost/cb", false),
        ("https://10.0.0.1/cb", true),
        ("https://[2001:db8::1]/cb", true),
        ("https://box/cb", true),
        ("https://box.home.arpa/cb", true),
        ("https://box.local/cb", true),
        ("https://app.example.org/cb#x", true),
        ("nonsense", true),
    ] {
        assert_eq!(refused_by_google(uri).is_some(), refused, "{uri}");
    }
}
