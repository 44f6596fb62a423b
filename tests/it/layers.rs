//! The architecture of `src/lib.rs`, checked on the sources: who may import whom, and who may use what.
//!
//! `clippy.toml` forbids the ambient calls by name; this test knows the layers, which no linter does, and
//! holds for the made-up sources below exactly the complaints it should.

mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use source::{Reference, references};

/// Each module of the crate root, by layer. `main` and `lib` are the two roots.
const LAYERS: &[(&str, &[&str], &[&str])] = &[
    // layer, its modules, the layers it may import beside itself
    (
        "ground",
        &[
            "clock",
            "grant",
            "ids",
            "jwt",
            "lifecycle",
            "metrics",
            "outbound",
            "rng",
            "scopes",
            "secret",
            "telemetry",
            "turns",
        ],
        &[],
    ),
    ("google", &["google"], &["ground"]),
    ("vault", &["vault"], &["ground"]),
    ("config", &["config"], &["ground"]),
    (
        "services",
        &[
            "api_keys",
            "app_data",
            "clients",
            "counts",
            "events",
            "mirror",
            "owner_sessions",
            "provider",
            "sessions",
            "sign_in",
            "tokens",
            "users",
        ],
        &["ground", "google", "vault", "config"],
    ),
    ("state", &["state"], &["ground", "google", "vault", "config", "services"]),
    ("server", &["server"], &["ground", "google", "vault", "config", "services", "state"]),
    ("emulator", &["emulator"], &["ground"]),
    ("cli", &["cli"], &["ground", "google", "vault", "config", "services", "state", "server", "emulator"]),
    ("main", &["main", "lib"], &["config", "cli"]),
];

/// What only some modules may name outside of tests. A pattern is a run of path segments; a one-word pattern
/// is a crate or a type.
const HOMES: &[(&[&str], &[&str])] = &[
    (&["actix_web"], &["server", "emulator"]),
    (&["actix_cors"], &["server"]),
    (&["governor"], &["server"]),
    (&["rusqlite"], &["vault"]),
    (&["figment"], &["config"]),
    (&["clap"], &["cli"]),
    (&["anyhow"], &["cli"]),
    (&["rustls"], &["outbound"]),
    (&["reqwest"], &["outbound", "google", "cli"]),
    // Building clients, as against using one.
    (&["reqwest", "Client", "new"], &["outbound"]),
    (&["reqwest", "Client", "builder"], &["outbound"]),
    (&["ClientBuilder"], &["outbound"]),
    (&["Client", "builder"], &["outbound"]),
    // The environment.
    (&["env", "var"], &["config"]),
    (&["env", "var_os"], &["config"]),
    (&["env", "vars"], &["config"]),
    (&["env", "vars_os"], &["config"]),
    (&["env", "set_var"], &["config"]),
    (&["env", "remove_var"], &["config"]),
    // The time.
    (&["SystemTime", "now"], &["clock"]),
    (&["Instant", "now"], &["clock"]),
    (&["Timestamp", "now"], &["clock"]),
    (&["Zoned", "now"], &["clock"]),
    // Randomness. ring signs with no other generator than its own: see the head of src/jwt.rs. The emulator's
    // RSA signatures (PKCS #1 v1.5) take one and draw nothing from it.
    (&["SystemRandom"], &["rng", "jwt", "emulator"]),
    (&["rand"], &["rng"]),
    (&["getrandom"], &["rng"]),
    // Tasks.
    (&["tokio", "spawn"], &["lifecycle"]),
    (&["task", "spawn"], &["lifecycle"]),
    (&["task", "spawn_local"], &["lifecycle"]),
    (&["rt", "spawn"], &["lifecycle"]),
    (&["JoinSet"], &["lifecycle"]),
    // The exit code is returned from main.
    (&["process", "exit"], &[]),
];

/// A source file: where it is, whose it is, and what it names.
struct Source {
    file: PathBuf,
    module: String,
    /// How many modules of their own files stand between it and the crate root.
    depth: usize,
    is_test: bool,
    references: Vec<Reference>,
}

impl Source {
    /// `file` is the path under `src/`.
    fn parse(file: &Path, text: &str) -> Self {
        let parts: Vec<String> =
            file.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
        let root = matches!(parts[0].as_str(), "lib" | "main") && parts.len() == 1;
        Self {
            file: file.to_owned(),
            module: parts[0].clone(),
            depth: if root { 0 } else { parts.len() },
            is_test: parts[1..].iter().any(|part| part == "tests"),
            references: references(text),
        }
    }

    /// The module of the crate root that `reference` leads to, if it leads to one.
    fn target<'r>(&self, reference: &'r Reference) -> Option<&'r str> {
        let path = &reference.path;
        let above = path.iter().take_while(|segment| *segment == "super").count();
        let after = match path[0].as_str() {
            "crate" => 1,
            "locum" if self.module == "main" => 1,
            "super" if above == self.depth + reference.inline_modules => above,
            _ => return None,
        };
        path.get(after).map(String::as_str)
    }

    fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        let Some(layer) = layer(&self.module) else {
            return vec![format!("{}: `{}` is in no layer", self.file.display(), self.module)];
        };
        for reference in &self.references {
            let mut complain = |what: String| {
                complaints.push(format!("{}:{}: {what}", self.file.display(), reference.line));
            };
            let in_test = self.is_test || reference.in_test;
            // lib.rs only declares the modules; its documentation is no code.
            if let Some(target) = self.target(reference).filter(|target| *target != self.module) {
                match layer_of_target(target) {
                    // A loopback Google is what tests are there to use.
                    Some(("emulator", ..)) if in_test => {}
                    None => complain(format!("`{target}` is no module that is in a layer")),
                    Some(other) if other.0 != layer.0 && !layer.2.contains(&other.0) => {
                        complain(format!(
                            "{} ({}) must not import {target} ({})",
                            self.module, layer.0, other.0
                        ));
                    }
                    Some(_) => {}
                }
            }
            if in_test {
                continue;
            }
            for (pattern, homes) in HOMES {
                if !homes.contains(&self.module.as_str()) && names(&reference.path, pattern) {
                    complain(format!("{} must not use {}", self.module, pattern.join("::")));
                }
            }
        }
        complaints
    }
}

type Layer = (&'static str, &'static [&'static str], &'static [&'static str]);

fn layer(module: &str) -> Option<&'static Layer> {
    LAYERS.iter().find(|(_, modules, _)| modules.contains(&module))
}

fn layer_of_target(target: &str) -> Option<&'static Layer> {
    layer(target).filter(|layer| layer.0 != "main")
}

/// Whether the path names what the pattern says. A crate's name counts only at the start of a path: the
/// module `google::figment` would be no crate.
fn names(path: &[String], pattern: &[&str]) -> bool {
    match pattern {
        [word] if word.starts_with(char::is_lowercase) => path[0] == *word && path.len() > 1,
        _ => path.windows(pattern.len()).any(|window| window == pattern),
    }
}

/// A circle of modules that import each other, test code apart, if there is one.
fn circle(sources: &[Source]) -> Option<Vec<String>> {
    let mut imports: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for source in sources.iter().filter(|source| !source.is_test) {
        for reference in source.references.iter().filter(|reference| !reference.in_test) {
            if let Some(target) = source.target(reference).filter(|target| *target != source.module) {
                imports.entry(&source.module).or_default().insert(target);
            }
        }
    }
    imports.keys().find_map(|start| {
        let mut open = vec![vec![*start]];
        let mut seen = BTreeSet::new();
        while let Some(way) = open.pop() {
            for next in way.last().and_then(|last| imports.get(last)).into_iter().flatten() {
                let way: Vec<&str> = way.iter().copied().chain([*next]).collect();
                if next == start {
                    return Some(way.into_iter().map(str::to_owned).collect());
                }
                if seen.insert(*next) {
                    open.push(way);
                }
            }
        }
        None
    })
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of sources") {
            let path = entry.expect("a readable folder").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("a readable source");
                sources.push(Source::parse(path.strip_prefix(&root).expect("under src"), &text));
            }
        }
    }
    sources
}

#[test]
fn the_sources_keep_to_their_layers() {
    let sources = sources();
    let complaints: Vec<String> = sources.iter().flat_map(Source::complaints).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert_eq!(circle(&sources), None, "modules must not import each other in a circle");
}

#[test]
fn every_module_of_the_table_exists_and_is_seen() {
    let sources = sources();
    for module in LAYERS.iter().flat_map(|(_, modules, _)| *modules) {
        let of_module: Vec<&Source> = sources.iter().filter(|source| source.module == *module).collect();
        assert!(!of_module.is_empty(), "src/{module}.rs is in the table and not in src");
    }
    let state = sources.iter().find(|source| source.module == "state").expect("src/state.rs");
    for service in ["tokens", "sign_in", "vault", "config"] {
        assert!(
            state.references.iter().any(|reference| state.target(reference) == Some(service)),
            "the reader does not see that state imports {service}"
        );
    }
    // A rule about a name that the reader never sees would hold whatever the sources do.
    for (name, home) in [
        ("actix_web", "emulator"),
        ("rusqlite", "vault"),
        ("figment", "config"),
        ("clap", "cli"),
        ("anyhow", "cli"),
        ("reqwest", "google"),
        ("rustls", "outbound"),
        ("SystemRandom", "rng"),
    ] {
        let seen = sources
            .iter()
            .filter(|source| source.module == home)
            .any(|source| source.references.iter().any(|reference| names(&reference.path, &[name])));
        assert!(seen, "the reader does not see that {home} uses {name}");
    }
}

/// Sources that break one rule each, with the complaint they must bring.
const BROKEN: &[(&str, &str, &str)] = &[
    ("google.rs", "use crate::vault::Vault;", "google.rs:1: google (google) must not import vault (vault)"),
    ("vault/users.rs", "use crate::{clock::Clock, config::Config};", "must not import config"),
    (
        "config.rs",
        "fn f() {\n    crate::google::pkce();\n}",
        "config.rs:2: config (config) must not import google",
    ),
    ("clock.rs", "use crate::state::AppState;", "clock (ground) must not import state"),
    ("tokens/cache.rs", "use crate::server::problem;", "tokens (services) must not import server"),
    ("state.rs", "use crate::cli;", "state (state) must not import cli"),
    ("server/routes.rs", "use crate::emulator::World;", "server (server) must not import emulator"),
    ("emulator/oauth.rs", "use crate::tokens::Tokens;", "emulator (emulator) must not import tokens"),
    ("google.rs", "use super::vault::Vault;", "must not import vault"),
    ("google/oauth.rs", "use super::super::vault::Vault;", "must not import vault"),
    ("google.rs", "mod inner { use super::super::vault::Vault; }", "must not import vault"),
    (
        "google.rs",
        "#[cfg(test)]\nmod tests { use crate::vault::Vault; }",
        "google.rs:2: google (google) must not",
    ),
    ("main.rs", "fn main() { locum::vault::open(); }", "main (main) must not import vault"),
    ("tokens.rs", "use crate::*;", "`*` is no module"),
    ("tokens.rs", "use crate::helpers::x;", "`helpers` is no module"),
    ("helpers.rs", "", "`helpers` is in no layer"),
    ("tokens.rs", "use actix_web::web;", "tokens must not use actix_web"),
    ("cli/serve.rs", "#[actix_web::main]\nasync fn f() {}", "cli must not use actix_web"),
    ("tokens.rs", "fn f(row: &rusqlite::Row) {}", "tokens must not use rusqlite"),
    ("cli.rs", "use figment::Figment;", "cli must not use figment"),
    ("config.rs", "#[derive(clap::ValueEnum)]\nenum E { A }", "config must not use clap"),
    ("vault.rs", "fn f() -> anyhow::Result<()> { Ok(()) }", "vault must not use anyhow"),
    ("cli.rs", "fn f() { std::env::var(\"X\"); }", "cli must not use env::var"),
    ("cli.rs", "use std::{env::{self, vars}, fs};", "cli must not use env::vars"),
    (
        "sessions.rs",
        "use std::time::Instant;\nfn f() { Instant::now(); }",
        "sessions.rs:2: sessions must not use Instant::now",
    ),
    ("sessions.rs", "fn f() { tokio::time::Instant::now(); }", "sessions must not use Instant::now"),
    ("vault/seal.rs", "use ring::rand::{SecureRandom, SystemRandom};", "vault must not use SystemRandom"),
    ("vault.rs", "fn f() { rand::random::<u8>(); }", "vault must not use rand"),
    ("google.rs", "fn f() { reqwest::Client::new(); }", "google must not use reqwest::Client::new"),
    (
        "google.rs",
        "use reqwest::Client;\nfn f() { Client::builder(); }",
        "google must not use Client::builder",
    ),
    ("tokens.rs", "use reqwest::Response;", "tokens must not use reqwest"),
    ("tokens.rs", "fn f() { tokio::spawn(async {}); }", "tokens must not use tokio::spawn"),
    ("server.rs", "use actix_web::rt;\nfn f() { rt::spawn(async {}); }", "server must not use rt::spawn"),
    ("tokens.rs", "use tokio::task::{self, JoinSet};", "tokens must not use JoinSet"),
    ("cli.rs", "fn f() { std::process::exit(1); }", "cli must not use process::exit"),
];

#[test]
fn a_source_that_breaks_a_rule_is_seen() {
    for (file, text, expected) in BROKEN {
        let complaints = Source::parse(Path::new(file), text).complaints();
        assert!(
            complaints.len() == 1 && complaints[0].contains(expected),
            "{file}: {text}\nexpected: {expected}\ngot: {complaints:?}"
        );
    }
}

#[test]
fn a_circle_of_services_is_seen() {
    let parse = |file: &str, text: &str| Source::parse(Path::new(file), text);
    let line = [parse("sign_in.rs", "use crate::tokens::T;"), parse("tokens.rs", "use crate::provider::P;")];
    assert_eq!(circle(&line), None);
    let [first, second] = line;
    let ring = [first, second, parse("provider/cache.rs", "use crate::sign_in::S;")];
    let circle = circle(&ring).expect("a circle");
    assert_eq!(circle.first(), circle.last());
    assert_eq!(circle.len(), 4, "{circle:?}");
}

#[test]
fn what_only_looks_like_a_breach_is_let_be() {
    for (file, text) in [
        ("google.rs", "// use crate::vault::Vault;\n/* tokio::spawn /* nested */ figment::X */"),
        ("google.rs", "const A: &str = \"crate::vault\"; const B: &str = r#\"\"tokio::spawn\"\"#;"),
        ("google.rs", "const C: u8 = b'\"'; const D: char = '\\''; fn f<'a>(x: &'a str) {} // rusqlite::X"),
        ("google.rs", "#[cfg(test)]\nmod tests { use super::*; fn f() { tokio::spawn(async {}); } }"),
        ("google/tests/server.rs", "fn f() { std::env::var(\"X\"); std::time::Instant::now(); }"),
        ("google/oauth.rs", "use super::vault::Vault;"),
        ("cli.rs", "fn f() { std::env::args_os(); }"),
        ("lifecycle.rs", "fn f() { tokio::spawn(async {}); }"),
        ("tokens.rs", "use crate::{clock::{self, Clock}, google::Google, vault::Vault};"),
        ("tokens.rs", "fn f(clap: u8) -> u8 { clap }"),
    ] {
        let complaints = Source::parse(Path::new(file), text).complaints();
        assert!(complaints.is_empty(), "{file}: {text}\ngot: {complaints:?}");
    }
    // The end of test code is seen: what follows it counts again.
    let text =
        "#[cfg(test)]\nmod tests { fn f() { tokio::spawn(async {}); } }\nfn g() { tokio::spawn(async {}); }";
    let complaints = Source::parse(Path::new("google.rs"), text).complaints();
    assert_eq!(complaints, ["google.rs:3: google must not use tokio::spawn"]);
}
