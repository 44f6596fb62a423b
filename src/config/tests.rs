//! The configuration from outside: files, variables, mistakes, and what their words must not hold.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::keys::{Absent, KEYS, Kind};
use super::*;

const CLIENT_ID: &str = "402839145520-r7d1s0example.apps.googleusercontent.com";

fn client_json() -> String {
    serde_json::json!({"web": {
        "client_id": CLIENT_ID,
        "client_secret": "GOCSPX-EXAMPLE-locum-test-vector",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": "https://oauth2.googleapis.com/token",
        "redirect_uris": ["https://locum.example.org/cb"],
    }})
    .to_string()
}

const GOOD: &str = r#"
allow_users = ["alice@example.org"]
[vault]
root_key_file = "root.key"
[[clients]]
name = "main"
client_secret_json = "client_secret.json"
sources = ["ios"]
"#;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().expect("folder"));
        folder.write("client_secret.json", &client_json());
        folder.write("client_secret.txt", "GOCSPX-EXAMPLE-locum-first\n");
        folder.write("client_secret_2.txt", "GOCSPX-EXAMPLE-locum-second\n");
        folder.write("client-secret", "GOCSPX-EXAMPLE-locum-credential");
        folder.write("second-client-secret", "GOCSPX-EXAMPLE-locum-other-credential");
        folder
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, text).expect("write");
        path
    }

    fn load_with(&self, text: &str, variables: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
        let path = self.write("locum.toml", text);
        Config::load(Some(&path), &Environment::given(self.path(), variables.iter().copied()))
    }

    fn load(&self, text: &str) -> Result<Loaded, ConfigError> {
        self.load_with(text, &[])
    }

    fn mistakes(&self, text: &str, variables: &[(&str, &str)]) -> Vec<Mistake> {
        match self.load_with(text, variables) {
            Err(ConfigError::Mistakes(mistakes)) => mistakes,
            other => panic!("expected mistakes, not {other:?}"),
        }
    }

    fn only_mistake(&self, text: &str) -> Mistake {
        let mut mistakes = self.mistakes(text, &[]);
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
        mistakes.remove(0)
    }
}

#[test]
fn a_small_file_gives_a_whole_configuration() {
    let folder = Folder::new();
    let loaded = folder.load(GOOD).expect("good");
    let config = loaded.config;
    assert_eq!(config.server.listen, Listen::Tcp("127.0.0.1:8787".parse().expect("address")));
    assert_eq!(config.vault.path, folder.path().join("vault/locum.db"));
    assert_eq!(config.server.admin_socket, folder.path().join("vault/admin.sock"));
    assert_eq!(
        config.google.discovery_url.as_str(),
        "https://accounts.google.com/.well-known/openid-configuration"
    );
    assert_eq!(config.tokens.keep_alive, Duration::from_secs(7 * 86_400));
    let client = config.client(&"main".parse().expect("name")).expect("the client");
    assert_eq!(client.client_id.as_str(), CLIENT_ID);
    assert_eq!(client.redirect_uris, ["https://locum.example.org/cb"]);
    assert_eq!(client.secrets[0].expose(), "GOCSPX-EXAMPLE-locum-test-vector");
    assert_eq!(config.client_by_id(&client.client_id).map(|c| &c.name), Some(&client.name));
    assert!(config.client_by_id(&"another".parse().expect("id")).is_none());
}

#[test]
fn variables_lie_over_the_file() {
    let folder = Folder::new();
    let variables = [
        ("LOCUM_SERVER__LISTEN", "unix:/run/locum.sock"),
        ("LOCUM_SERVER__MAX_BODY", "128KiB"),
        ("LOCUM_ALLOW_USERS", r#"["bob@example.org", "example.com"]"#),
        ("LOCUM_CLIENTS__MAIN__SOURCES", "ios, web"),
        ("LOCUM_LIMITS__ENABLED", "false"),
        ("LOCUM_TOKENS__REFRESH_AHEAD", "300"),
        ("LOCUM_LOG__FORMAT", ""),
        ("LOCUM_CONFIG", "/nonexistent"),
        ("HOME", "/nonexistent"),
    ];
    let loaded = folder.load_with(GOOD, &variables).expect("good");
    let config = &loaded.config;
    assert_eq!(config.server.listen, Listen::Unix("/run/locum.sock".into()));
    assert_eq!(config.server.max_body, 128 << 10);
    assert_eq!(
        config.allow_users.admits(None, Some("example.com")),
        Some(Admission::Domain("example.com".into()))
    );
    assert_eq!(config.clients.len(), 1);
    assert_eq!(config.clients[0].sources, [Source::Ios, Source::Web]);
    assert!(!config.limits.enabled);
    assert_eq!(config.tokens.refresh_ahead, Duration::from_secs(300));

    let source =
        |key: &str| loaded.shown.iter().find(|shown| shown.key == key).map(|shown| shown.source.clone());
    assert_eq!(source("server.listen").as_deref(), Some("LOCUM_SERVER__LISTEN"));
    assert_eq!(source("clients[main].sources").as_deref(), Some("LOCUM_CLIENTS__MAIN__SOURCES"));
    let file = folder.path().join("locum.toml").display().to_string();
    assert_eq!(source("clients[main].name"), Some(file.clone()));
    assert_eq!(source("vault.root_key_file"), Some(file));
    assert_eq!(source("log.format").as_deref(), Some("default"));
}

#[test]
fn variables_alone_are_enough() {
    let folder = Folder::new();
    let variables = [
        ("LOCUM_ALLOW_USERS", "anyone"),
        ("LOCUM_VAULT__ROOT_KEY_ENV", "LOCUM_MY_ROOT"),
        ("LOCUM_MY_ROOT", "needle"),
        ("LOCUM_CLIENTS__MY_APP__CLIENT_ID", CLIENT_ID),
        ("LOCUM_CLIENTS__MY_APP__CLIENT_SECRET", "GOCSPX-EXAMPLE-needle"),
        ("LOCUM_CLIENTS__MY_APP__SOURCES", "android"),
    ];
    let loaded = Config::load(None, &Environment::given(folder.path(), variables)).expect("good");
    assert_eq!(loaded.path, None);
    assert_eq!(loaded.config.allow_users, AllowUsers::Anyone);
    assert_eq!(loaded.config.clients[0].name.as_str(), "my_app");
    assert_eq!(loaded.config.vault.path, folder.path().join("vault/locum.db"));
    assert!(loaded.warnings.iter().any(|warning| warning.contains("weakest")), "{:?}", loaded.warnings);
    let told = format!("{:?} {:?}", loaded.shown, loaded.warnings);
    assert!(!told.contains("needle"), "{told}");
}

#[test]
fn the_first_place_with_a_file_counts() {
    let folder = Folder::new();
    let places = || ["absent.toml", "second.toml", "third.toml"].map(PathBuf::from);
    folder.write("second.toml", GOOD);
    folder.write("third.toml", "not even TOML");
    let environment = |variables: &[(&str, &str)]| {
        Environment::given(folder.path(), variables.iter().copied()).looking_in(places())
    };
    let path = |variables| Config::load(None, &environment(variables)).map(|loaded| loaded.path);
    assert_eq!(path(&[]).expect("good"), Some("second.toml".into()));
    folder.write("named.toml", GOOD);
    assert_eq!(path(&[("LOCUM_CONFIG", "named.toml")]).expect("good"), Some("named.toml".into()));
    let missing = path(&[("LOCUM_CONFIG", "nowhere.toml")]);
    assert!(matches!(missing, Err(ConfigError::Unreadable { kind: std::io::ErrorKind::NotFound, .. })));
}

#[test]
fn nothing_configured_is_said_in_three_lines_of_help() {
    let folder = Folder::new();
    let error = Config::load(None, &Environment::given(folder.path(), [("HOME", "/")])).expect_err("nothing");
    assert!(matches!(error, ConfigError::NothingConfigured));
    let text = error.to_string();
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(text.contains("locum demo") && text.contains("locum init"));
}

#[test]
fn every_mistake_is_told_in_one_go() {
    let folder = Folder::new();
    let text = r#"
        alow_users = "anyone"
        [server]
        lisen = "127.0.0.1:1"
        max_body = "huge"
        [tokens]
        keep_alive = "1y"
        [[clients]]
        name = "main"
        client_id = "x"
        sources = ["ios", "windows"]
    "#;
    let mistakes =
        folder.mistakes(text, &[("LOCUM_SERVER__WORKERS", "many"), ("LOCUM_SESSION__LIFETIME", "1h")]);
    let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    for expected in [
        "alow_users: unknown; did you mean `allow_users`?",
        "allow_users: is missing",
        "server.lisen: unknown; did you mean `listen`?",
        "server.max_body: expected a size",
        "tokens.keep_alive: expected a duration",
        "clients[main].client_id: expected a client id",
        "clients[main].sources: expected a list",
        "clients[main].client_secret_file: is missing. Needed is the *Web application* client",
        "vault.root_key_file: is missing",
        "LOCUM_SERVER__WORKERS (server.workers): expected a whole number",
        "LOCUM_SESSION__LIFETIME (session): unknown; did you mean",
    ] {
        assert!(told.iter().any(|line| line.contains(expected)), "{expected}\n{told:#?}");
    }
    let file = folder.path().join("locum.toml").display().to_string();
    assert!(told.iter().all(|line| line.starts_with(&file) || line.starts_with("LOCUM_")), "{told:#?}");
}

#[test]
fn sections_must_agree() {
    let folder = Folder::new();
    let with = |from: &str, to: &str| GOOD.replace(from, to);
    let second = |name: &str, id: &str| {
        format!(
            "{GOOD}[[clients]]\nname = \"{name}\"\nclient_id = \"{id}\"\nclient_secret_file = \"client_secret.txt\"\nsources = [\"ios\"]\n"
        )
    };
    let other = "9-x.apps.googleusercontent.com";
    assert!(folder.load(&second("other", other)).is_ok());
    for (text, key, word) in [
        (second("main", other), "clients[main].name", "two clients are named main"),
        (second("other", CLIENT_ID), "clients[other].client_id", "same client_id"),
        (with("[vault]", "[vault]\npassphrase_file = \"x\""), "vault.root_key_file", "exactly one of"),
        (
            with("sources", "client_secret_env = \"LOCUM_X\"\nsources"),
            "clients[main].client_secret_env",
            "gives the secret already",
        ),
        (
            with("sources", "client_id = \"1-x.apps.googleusercontent.com\"\nsources"),
            "clients[main].client_id",
            "differs",
        ),
        (with("[\"ios\"]", "[]"), "clients[main].sources", "expected a list of one or more"),
        (with("[\"alice@example.org\"]", "[]"), "allow_users", "expected \"anyone\""),
        (with("[vault]", "[metrics]\nlisten = \"10.0.0.1:1\"\n[vault]"), "metrics.listen", "loopback"),
        (
            with("[vault]", "[server]\npublic_url = \"http://locum.example.org\"\n[vault]"),
            "server.public_url",
            "https",
        ),
        (
            with("[vault]", "[server]\nlisten = \"unix:locum.sock\"\n[vault]"),
            "server.listen",
            "unix:/absolute/path",
        ),
        (with("[vault]", "vault = 7\n[x]"), "vault", "expected a section"),
        (
            with("sources", "scopes = [\"https://www.googleapis.com/auth/drive.appdata\"]\nsources"),
            "clients[main].scopes",
            "openid",
        ),
    ] {
        let mistakes = folder.mistakes(&text, &[]);
        let told = format!("{mistakes:#?}");
        assert!(mistakes.iter().any(|m| m.key == key && m.problem.contains(word)), "{key} {word}\n{told}");
    }
    let none = folder.only_mistake("allow_users = \"anyone\"\n[vault]\nroot_key_file = \"x\"");
    assert!(none.key == "clients" && none.problem.contains("locum init"), "{none:?}");

    folder.write("client_secret.json", &client_json().replace("\"redirect_uris\"", "\"x\""));
    let web = folder.only_mistake(&with("\"ios\"", "\"web\""));
    assert_eq!(web.key, "clients[main].redirect_uris");
}

fn mirror(user: &str, folder: &str) -> String {
    format!("[[mirror]]\nuser = \"{user}\"\nclient = \"main\"\nfolder = \"{folder}\"\n")
}

#[test]
fn a_mirror_is_a_table_that_variables_can_change() {
    let folder = Folder::new();
    let text = format!("{GOOD}{}{}", mirror("Alice@example.org", "a"), mirror("1234", "/b"));
    let config = folder.load(&text).expect("good").config;
    let [first, second] = &*config.mirrors else { panic!("{:?}", config.mirrors) };
    assert_eq!(first.user, "alice@example.org".parse().expect("an address"));
    assert_eq!((&*first.folder, first.direction), (&*folder.path().join("a"), Direction::Pull));
    assert_eq!((&*second.folder, second.interval), (Path::new("/b"), Duration::from_secs(300)));
    let variables = [("LOCUM_MIRROR__2__DIRECTION", "both"), ("LOCUM_MIRROR__2__KEEP_VERSIONS", "30d")];
    let config = folder.load_with(&text, &variables).expect("good").config;
    assert_eq!(config.mirrors[0].direction, Direction::Pull);
    assert_eq!(config.mirrors[1].direction, Direction::Both);
    assert_eq!(config.mirrors[1].keep_versions, Duration::from_secs(30 * 86_400));
}

#[test]
fn mirrors_must_not_lie_in_each_other_or_in_the_vault() {
    let folder = Folder::new();
    let good = |folder: &str| format!("{GOOD}{}", mirror("a@example.org", folder));
    for (text, key, word) in [
        (good("/"), "mirror[1].folder", "root of the file system"),
        (good("a/../b"), "mirror[1].folder", "without `..`"),
        (good("vault/a"), "mirror[1].folder", "inside each other"),
        (good("."), "mirror[1].folder", "inside each other"),
        (good("a") + &mirror("b@example.org", "a/b"), "mirror[2].folder", "inside each other"),
        (good("a/b") + &mirror("b@example.org", "a"), "mirror[2].folder", "inside each other"),
        (good("a") + &mirror("A@example.org", "b"), "mirror[2].user", "one mirror for each"),
        (
            good("a").replace("client = \"main\"", "client = \"x\""),
            "mirror[1].client",
            "no client of this name",
        ),
        (good("a").replace("a@example.org", "me"), "mirror[1].user", "e-mail address"),
        (good("a") + "direction = \"up\"", "mirror[1].direction", "\"pull\""),
        (good("a") + "intervall = 1", "mirror[1].intervall", "did you mean `interval`"),
        (GOOD.replace("[vault]", "mirror = 1\n[vault]"), "mirror", "[[mirror]]"),
    ] {
        let mistakes = folder.mistakes(&text, &[]);
        let told = format!("{mistakes:#?}");
        assert!(mistakes.iter().any(|m| m.key == key && m.problem.contains(word)), "{key} {word}\n{told}");
    }
    let mistakes = folder.mistakes(GOOD, &[("LOCUM_MIRROR__FOLDER", "x")]);
    assert!(mistakes[0].problem.contains("LOCUM_MIRROR__1__FOLDER"), "{mistakes:?}");
}

#[test]
fn the_file_of_the_wrong_client_is_told_apart() {
    let folder = Folder::new();
    for (content, word) in [
        ("{\"type\": \"service_account\"}", "service account"),
        ("{\"web\": {\"client_id\": \"x\"}}", "iOS and Android clients have no secret"),
        (&*client_json().replace("oauth2.googleapis.com", "evil.example"), "token_uri is not Google's"),
    ] {
        folder.write("client_secret.json", content);
        let mistake = folder.only_mistake(GOOD);
        assert_eq!(mistake.key, "clients[main].client_secret_json");
        assert!(mistake.problem.contains(word), "{mistake}");
    }
    let local = "[google]\ndiscovery_url = \"http://127.0.0.1:9/x\"\n[vault]";
    assert!(folder.load(&GOOD.replace("[vault]", local)).is_err(), "evil.example stays refused");
    folder.write(
        "client_secret.json",
        &client_json().replace("https://oauth2.googleapis.com", "http://localhost:9"),
    );
    assert!(folder.load(GOOD).is_err());
    assert!(folder.load(&GOOD.replace("[vault]", local)).is_ok());
}

#[test]
fn two_secrets_are_tried_in_their_order() {
    let folder = Folder::new();
    let text = GOOD.replace("sources", "second_client_secret_file = \"client_secret_2.txt\"\nsources");
    let config = folder.load(&text).expect("good").config;
    let secrets: Vec<&str> = config.clients[0].secrets.iter().map(|secret| secret.expose()).collect();
    assert_eq!(secrets, ["GOCSPX-EXAMPLE-locum-test-vector", "GOCSPX-EXAMPLE-locum-second"]);
    let same = GOOD.replace("client_secret_json = \"client_secret.json\"", &format!(
        "client_id = \"{CLIENT_ID}\"\nclient_secret_file = \"client_secret.txt\"\nsecond_client_secret_file = \"client_secret.txt\""
    ));
    assert!(folder.only_mistake(&same).problem.contains("same as the first"));
}

#[test]
fn what_is_risky_is_allowed_with_a_warning() {
    let folder = Folder::new();
    let warned = |text: &str, word: &str| {
        let warnings = folder.load(text).expect("good").warnings;
        assert!(warnings.iter().any(|warning| warning.contains(word)), "{word}: {warnings:?}");
    };
    warned(&GOOD.replace("[vault]", "[server]\nlisten = \"0.0.0.0:80\"\n[vault]"), "plain HTTP");
    warned(&GOOD.replace("_file = \"root.key\"", " = \"needle\""), "in the configuration itself");
    warned(&GOOD.replace("_file = \"root.key\"", "_env = \"LOCUM_X\""), "weakest");
    use std::os::unix::fs::PermissionsExt as _;
    let json = folder.path().join("client_secret.json");
    std::fs::set_permissions(&json, std::fs::Permissions::from_mode(0o644)).expect("mode");
    warned(GOOD, "client_secret.json");
    std::fs::set_permissions(&json, std::fs::Permissions::from_mode(0o600)).expect("mode");
    assert_eq!(folder.load(GOOD).expect("good").warnings, Vec::<String>::new());
}

#[test]
fn the_place_of_a_server_needs_no_secret_and_no_flawless_file() {
    let folder = Folder::new();
    let path = folder.write("locum.toml", "[vault]\npath = \"/var/lib/locum/vault.db\"\n[log]\nformat = 7\n");
    let environment = Environment::given(folder.path(), Vec::<(String, String)>::new());
    let place = Config::locate(Some(&path), &environment).expect("a place");
    assert_eq!(place.admin_socket, PathBuf::from("/var/lib/locum/admin.sock"));
    assert_eq!(place.config_file, Some(path));
}

#[test]
fn no_error_holds_an_offending_value() {
    const NEEDLE: &str = "GOCSPX-needle-7f3a";
    let folder = Folder::new();
    let forms = [
        "\"GOCSPX-needle-7f3a\"",
        "[\"GOCSPX-needle-7f3a\"]",
        "{ x = \"GOCSPX-needle-7f3a\" }",
        "[[\"GOCSPX-needle-7f3a\"]]",
    ];
    let mut tried = 0;
    for key in KEYS {
        for name in key.names() {
            for form in forms {
                let line = format!("{name} = {form}");
                let text = match key.section {
                    "" => line.clone(),
                    "clients" => format!("[[clients]]\n{line}"),
                    section => format!("[{section}]\n{line}"),
                };
                let told = told(folder.load(&text));
                // The path of a file that is not there is named: without it nobody could mend it.
                let is_place = key.kind == Kind::Path || name.ends_with("_file");
                assert!(!told.contains(NEEDLE) || is_place, "{line}\n{told}");
                tried += 1;
            }
            let variable = match key.section {
                "" => format!("LOCUM_{}", name.to_uppercase()),
                "clients" => format!("LOCUM_CLIENTS__X__{}", name.to_uppercase()),
                section => format!("LOCUM_{}__{}", section.to_uppercase(), name.to_uppercase()),
            };
            if key.kind != Kind::Path && !name.ends_with("_file") {
                let told = told(folder.load_with("", &[(&variable, NEEDLE)]));
                assert!(told.contains("missing") && !told.contains(NEEDLE), "{variable}\n{told}");
            }
        }
    }
    assert!(tried > 200, "{tried}");
    for broken in [
        "client_secret = \"GOCSPX-needle-7f3a",
        "client_secret = GOCSPX-needle-7f3a",
        "x = \"a\"\nx = \"GOCSPX-needle-7f3a\"",
        "[vault]\nroot_key = 'GOCSPX-needle-7f3a' trailing",
        "\u{1}GOCSPX-needle-7f3a",
    ] {
        let error = folder.load(broken).expect_err("not TOML");
        assert!(matches!(error, ConfigError::NotToml { .. }), "{error:?}");
        assert!(!error.to_string().contains(NEEDLE) && !format!("{error:?}").contains(NEEDLE), "{error}");
    }
}

fn told(outcome: Result<Loaded, ConfigError>) -> String {
    let error = outcome.expect_err("the rest is missing");
    format!("{error}\n{error:?}")
}

#[test]
fn a_break_in_the_file_is_found_by_line_and_column() {
    let folder = Folder::new();
    let error = folder.load("allow_users = \"anyone\"\n[vault]\npath = = 1\n").expect_err("broken");
    assert!(matches!(error, ConfigError::NotToml { line: 3, column: 8, .. }), "{error:?}");
}

fn example() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config.toml.example"))
        .expect("the example")
}

/// A commented-out key of the example, which stands directly after its `#`.
fn commented_key(line: &str) -> Option<&str> {
    line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()))
}

const MIRROR: &str = "#[[mirror]]";

/// The example with its mirror, as far as one needs keys.
fn with_mirror(example: &str) -> String {
    let (before, mirror) = example.split_once(MIRROR).expect("a mirror, commented out");
    let needed = |line: &str| ["#user", "#client", "#folder"].iter().any(|key| line.starts_with(key));
    let uncomment = |line: &str| if needed(line) { line[1..].to_owned() } else { line.to_owned() };
    let mirror: Vec<String> = mirror.lines().map(uncomment).collect();
    format!("{before}{}{}\n", &MIRROR[1..], mirror.join("\n"))
}

#[test]
fn the_example_loads_as_it_is_and_with_each_key_uncommented() {
    let folder = Folder::new();
    let example = example().replace("\"pass\", \"show\"", "\"/bin/echo\"");
    let variables = [
        ("CREDENTIALS_DIRECTORY", folder.path().to_str().expect("text")),
        ("LOCUM_CLIENT_SECRET", "GOCSPX-EXAMPLE-locum-a"),
        ("LOCUM_SECOND_CLIENT_SECRET", "GOCSPX-EXAMPLE-locum-b"),
    ];
    let load = |text: &str| folder.load_with(text, &variables);
    let shown = |loaded: &Loaded| loaded.shown.clone();
    // The two variables are named by keys that are commented out.
    let plain = folder.load(&example).expect("the example as it is");

    let secret = |line: &str, name: &str| {
        line.split(" = ").next().is_some_and(|key| {
            KEYS.iter().any(|known| known.name == name && known.names().any(|form| form == key))
        })
    };
    let keys: Vec<&str> = example.lines().filter_map(commented_key).collect();
    let mirrored = with_mirror(&example);
    for key in &keys {
        let mut text = String::new();
        let is_mirrors = !mirrored.contains(&format!("#{key}\n"))
            || example.find(&format!("#{key}\n")) > example.find(MIRROR);
        let example = if is_mirrors { &mirrored } else { &example };
        for line in example.lines() {
            let is_key = commented_key(line) == Some(key);
            let other_way = (secret(key, "root_key") || secret(key, "passphrase"))
                && line.starts_with("root_key")
                || secret(key, "client_secret") && line.starts_with("client_secret_json");
            let needs_id = secret(key, "client_secret") && line.starts_with("#client_id");
            match commented_key(line) {
                Some(key) if is_key || needs_id => text.push_str(key),
                _ if other_way => {}
                _ => text.push_str(line),
            }
            text.push('\n');
        }
        let named: Vec<_> = variables
            .iter()
            .copied()
            .filter(|(name, _)| *name == "CREDENTIALS_DIRECTORY" || key.contains(&format!("\"{name}\"")))
            .collect();
        let loaded = folder.load_with(&text, &named).unwrap_or_else(|error| panic!("{key}: {error}"));
        assert_ne!(shown(&loaded), shown(&plain), "{key} changes nothing");
    }
    let all: String = mirrored
        .lines()
        .map(|line| match commented_key(line) {
            Some(key)
                if ["root_key", "passphrase", "client_secret", "second_client_secret"]
                    .iter()
                    .any(|name| secret(key, name)) =>
            {
                line
            }
            Some(key) => key,
            None => line,
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    let error = load(&all).expect_err("two variables are named by nothing");
    assert!(error.to_string().starts_with("2 mistakes"), "{error}");
    assert!(folder.load(&all).is_ok());
}

#[test]
fn the_example_has_every_key_and_no_other() {
    let example = example();
    let mut section = "";
    let mut found = Vec::new();
    for line in example.lines() {
        if let Some(name) = line.trim_start_matches('#').strip_prefix('[') {
            section = name.trim_matches(['[', ']']);
        } else if let Some((name, _)) = commented_key(line).unwrap_or(line).split_once(" = ")
            && !line.starts_with("# ")
        {
            found.push((section.to_owned(), name.to_owned()));
        }
    }
    let mut known: Vec<(String, String)> =
        KEYS.iter().flat_map(|key| key.names().map(|name| (key.section.to_owned(), name))).collect();
    found.sort();
    known.sort();
    assert_eq!(found, known);
}

/// A list that nobody could sign in with is a mistake, and its words repeat nothing of it.
#[test]
fn who_may_open_the_dashboard_can_also_sign_in() {
    let folder = Folder::new();
    let good = GOOD.replace("[\"ios\"]", "[\"ios\", \"web\"]");
    let with = |base: &str, url: &str, client: &str| {
        format!("{base}\n[server]\n{url}\n[dashboard]\nemails = [\" You@Example.ORG\"]\n{client}\n")
    };
    let (url, main) = ("public_url = \"https://locum.example.org\"", "client = \"main\"");
    let config = folder.load(&with(&good, url, main)).expect("sound").config;
    assert_eq!(config.dashboard.google().map(ClientName::as_str), Some("main"));
    assert_eq!(config.dashboard.emails[0].as_str(), "you@example.org");
    assert_eq!(config.dashboard.idle, Duration::from_secs(3_600));
    assert_eq!(config.dashboard.absolute, Duration::from_secs(7 * 86_400));
    for (text, key, words) in [
        (with(&good, url, ""), "dashboard.emails", "`client`"),
        (with(&good, url, "client = \"other\""), "dashboard.client", "no client"),
        (with(GOOD, url, main), "dashboard.client", "\"web\""),
        (with(&good, "", main), "dashboard.client", "server.public_url"),
    ] {
        let mistake = folder.only_mistake(&text);
        assert_eq!(mistake.key, key);
        assert!(mistake.problem.contains(words) && !mistake.problem.contains("ample"), "{mistake:?}");
    }
    let loaded = folder.load(&format!("{good}\n[dashboard]\n{main}\n")).expect("sound");
    assert_eq!(loaded.config.dashboard.google(), None);
    assert!(loaded.warnings.iter().any(|warning| warning.contains("dashboard.emails")));
}

#[test]
fn defaults_in_the_example_are_the_defaults() {
    let folder = Folder::new();
    let loaded = folder.load(&with_mirror(&example())).expect("good");
    for key in KEYS.iter().filter(|key| matches!(key.absent, Absent::Default(_))) {
        let path = match key.section {
            "clients" => format!("clients[main].{}", key.name),
            "mirror" => format!("mirror[1].{}", key.name),
            section => format!("{section}.{}", key.name),
        };
        let shown = loaded.shown.iter().find(|shown| shown.key == path).unwrap_or_else(|| panic!("{path}"));
        assert_eq!(shown.source, "default", "{path}");
    }
}

#[test]
fn own_sign_in_is_its_own_redirect_uri_and_returns_where_it_is_told() {
    let folder = Folder::new();
    let text = |server: &str, list: &str| {
        format!(
            "allow_users = \"anyone\"\n[server]\n{server}\n[vault]\nroot_key_file = \"root.key\"\n[sign_in]\nreturn_to = {list}\n\
             [[clients]]\nname = \"main\"\nclient_id = \"{CLIENT_ID}\"\nclient_secret_file = \"client_secret.txt\"\nsources = [\"web\"]\n"
        )
    };
    let public = "public_url = \"https://locum.example.org/under\"";
    let config = folder.load(&text(public, "[\"https://app.example.org/done\"]")).expect("right").config;
    let own = "https://locum.example.org/under/v1/sign-in/callback";
    let client = &config.clients[0];
    let redirect =
        |asked| config.redirect_uri_for(client, Source::Web, Some(asked)).map(|uri| uri.as_str().to_owned());
    assert_eq!(redirect(own), Ok(own.to_owned()));
    assert_eq!(
        redirect("https://locum.example.org/under/v1/sign-in/callback/"),
        Err(RedirectProblem::NotConfigured)
    );
    assert_eq!(
        config.redirect_uri_for(client, Source::Ios, Some(own)),
        Err(RedirectProblem::SourceNotConfigured)
    );
    let back = ReturnAddress::parse("https://app.example.org/done/x").expect("an address");
    assert!(config.sign_in.return_to.iter().any(|entry| entry.allows(&back)));

    assert_eq!(folder.only_mistake(&text("", "[]")).key, "clients[main].redirect_uris");
    for bad in [
        "[\"https://app.example.org/#x\"]",
        "[\"*\"]",
        "[\"http://app.example.org/\"]",
        "[\"https://a.org/?x\"]",
        "true",
    ] {
        assert_eq!(folder.only_mistake(&text(public, bad)).key, "sign_in.return_to", "{bad}");
    }
}

#[test]
fn what_is_missing_is_told_where_the_rest_is_written() {
    let folder = Folder::new();
    let mistyped = folder.mistakes(GOOD, &[("LOCUM_CLIENTS__MIAN__SOURCES", "ios")]);
    assert_eq!(mistyped.len(), 1, "{mistyped:?}");
    assert_eq!(mistyped[0].key, "clients[mian].client_id");
    assert!(mistyped[0].origin.to_string().contains("LOCUM_CLIENTS__MIAN__SOURCES"), "{mistyped:?}");
    let secret = "GOCSPX-EXAMPLE-locum-test-vector";
    let same = folder.mistakes(GOOD, &[("LOCUM_CLIENTS__MAIN__SECOND_CLIENT_SECRET", secret)]);
    assert!(same[0].origin.to_string().contains("LOCUM_CLIENTS__MAIN__SECOND_CLIENT_SECRET"), "{same:?}");
    // In the file, whatever a variable adds.
    let text = GOOD.replace("client_secret_json = \"client_secret.json\"\n", "");
    let written = folder.mistakes(&text, &[("LOCUM_CLIENTS__MAIN__SCOPES", "openid")]);
    assert!(written[0].origin.to_string().ends_with("locum.toml"), "{written:?}");
    // What an unreadable file would give is not missed.
    let gone = folder
        .mistakes(&GOOD.replace("client_secret.json", "gone.json").replace("[\"ios\"]", "[\"web\"]"), &[]);
    assert_eq!(gone.len(), 1, "{gone:?}");
}
