use super::*;
use std::os::unix::fs::PermissionsExt as _;

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("folder");
    let json = serde_json::json!({"web": {
        "client_id": "402839145520-r7d1s0example.apps.googleusercontent.com",
        "client_secret": "GOCSPX-EXAMPLE-locum-test-vector",
        "redirect_uris": ["https://app.example.org/cb"],
    }});
    let path = folder.path().join("client_secret_402839145520.json");
    std::fs::write(&path, json.to_string()).expect("write");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("mode");
    folder
}

fn arguments() -> Arguments {
    Arguments {
        client_secret_json: Some("client_secret_402839145520.json".into()),
        source: vec![Source::Ios, Source::Web],
        allow: vec!["alice@example.org".parse().expect("entry"), "example.com".parse().expect("entry")],
        scope: vec!["https://www.googleapis.com/auth/drive.appdata".to_owned()],
        public_url: Some("https://locum.example.org".to_owned()),
        trusted_proxy: vec!["127.0.0.1".to_owned()],
        name: "main".to_owned(),
        non_interactive: true,
        ..Arguments::default()
    }
}

fn init(folder: &Path, arguments: Arguments) -> Result<Exit, Failure> {
    let environment = Environment::given(folder, [("LOCUM_SERVER__LISTEN", "not an address")]);
    run(&Context { environment: &environment, config: None, json: false, quiet: false }, arguments)
}

#[test]
fn what_init_writes_is_a_valid_configuration_with_its_key() {
    let folder = folder();
    assert_eq!(init(folder.path(), arguments()).expect("done"), Exit::Done);
    let path = folder.path().join("locum.toml");
    let environment = Environment::given(folder.path(), Vec::<(String, String)>::new());
    let loaded = Config::load(Some(&path), &environment).expect("valid");
    assert_eq!(loaded.warnings, Vec::<String>::new());
    assert_eq!(loaded.config.clients[0].sources, [Source::Ios, Source::Web]);
    assert!(loaded.config.clients[0].scopes.contains("drive.appfolder"));
    loaded.config.vault.root_key.load(&environment).expect("the root key");
    for name in ["locum.toml", "root.key"] {
        let mode = std::fs::metadata(folder.path().join(name)).expect("written").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let text = std::fs::read_to_string(path).expect("text");
    assert!(!text.contains("GOCSPX"), "the secret stays in Google's file");
}

#[test]
fn nothing_that_exists_is_overwritten() {
    for name in ["locum.toml", "root.key", "vault"] {
        let folder = folder();
        std::fs::write(folder.path().join(name), "precious").expect("write");
        let failure = init(folder.path(), arguments()).expect_err("refused");
        assert_eq!(failure.exit, Exit::Usage);
        let mut names: Vec<_> = std::fs::read_dir(folder.path())
            .expect("folder")
            .map(|entry| entry.expect("entry").file_name().into_string().expect("text"))
            .collect();
        names.sort();
        assert_eq!(names, ["client_secret_402839145520.json", name]);
        assert_eq!(std::fs::read_to_string(folder.path().join(name)).expect("text"), "precious");
    }
}

#[test]
fn a_wrong_answer_writes_nothing() {
    let folder = folder();
    let wrong = Arguments { public_url: Some("http://locum.example.org".to_owned()), ..arguments() };
    let failure = init(folder.path(), wrong).expect_err("refused");
    assert_eq!(failure.exit, Exit::Usage);
    assert!(failure.error.to_string().contains("server.public_url"), "{}", failure.error);
    assert!(!folder.path().join("root.key").exists() && !folder.path().join("locum.toml").exists());
}

#[test]
fn everything_missing_is_named_at_once() {
    let folder = folder();
    let failure = init(folder.path(), Arguments { non_interactive: true, ..Arguments::default() })
        .expect_err("missing");
    let words = failure.error.to_string();
    for flag in ["--client-secret-json", "--source", "--allow"] {
        assert!(words.contains(flag), "{words}");
    }
}

#[test]
fn questions_fill_in_what_flags_left_open() {
    let folder = folder();
    let mut arguments = Arguments { name: "main".to_owned(), ..Arguments::default() };
    let answers = "service.json\n\nsun\nios, web\nnot a url\n\nnobody\nalice@example.org example.com\n\n\
                   locum.example.org\nhttps://locum.example.org\nfoo\n\n";
    std::fs::write(folder.path().join("service.json"), r#"{"type": "service_account"}"#).expect("write");
    let plan = Plan::beside(&folder.path().join("locum.toml")).expect("free");
    let judge = |arguments: &Arguments, key: &str| plan.problem(arguments, folder.path(), key);
    let mut asked = Vec::new();
    questions::ask(&mut arguments, folder.path(), &judge, &mut answers.as_bytes(), &mut asked)
        .expect("answers");
    assert_eq!(arguments.client_secret_json, Some("client_secret_402839145520.json".into()));
    assert_eq!(arguments.source, [Source::Ios, Source::Web]);
    assert_eq!(arguments.allow.len(), 2);
    assert_eq!(arguments.public_url.as_deref(), Some("https://locum.example.org"));
    assert_eq!(arguments.trusted_proxy, ["127.0.0.1"]);
    let asked = String::from_utf8(asked).expect("text");
    for question in ["client_secret_*.json", "Redirect URIs", "as apps see it", "TLS proxy"] {
        assert_eq!(asked.matches(question).count(), 2, "{question}\n{asked}");
    }
    assert!(asked.contains("service account"), "{asked}");
    assert_eq!(asked.matches("Where do codes come from?").count(), 2, "{asked}");
    assert_eq!(asked.matches("Who may connect?").count(), 2, "{asked}");

    let ended = questions::ask(
        &mut Arguments::default(),
        folder.path(),
        &judge,
        &mut "\n".as_bytes(),
        &mut Vec::new(),
    );
    assert_eq!(ended.expect_err("no answers").kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn the_owner_is_told_what_to_do() {
    let folder = folder();
    let plan = Plan::beside(&folder.path().join("locum.toml")).expect("free");
    let (loaded, root_key_id) = plan.write(&arguments(), folder.path()).expect("written");
    let told = words::afterwards(&loaded, &plan.root_key_file, &root_key_id);
    assert!(told.contains(&root_key_id), "{told}");
    for words in [
        "GIDServerClientID",
        "https://app.example.org/cb",
        "seven days",
        "neither this machine nor beside the backups",
    ] {
        assert!(told.contains(words), "{words}\n{told}");
    }
}
