//! The documents name only what exists: files, commands, flags, routes, settings, codes, dependencies.

mod names;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use names::{code_spans, fenced, links, locum_commands, paths_of_locum, route_matches, statuses_with_codes};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// README, changes, and everything in docs.
fn documents() -> Vec<(PathBuf, String)> {
    let mut names = vec![PathBuf::from("README.md"), PathBuf::from("CHANGELOG.md")];
    names.extend(files("docs", "md"));
    names.into_iter().map(|name| (name.clone(), read(name))).collect()
}

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    std::fs::read_dir(root().join(folder))
        .expect("a folder")
        .map(|entry| Path::new(folder).join(entry.expect("readable").file_name()))
        .filter(|path| extension.is_empty() || path.extension().is_some_and(|own| own == extension))
        .collect()
}

#[test]
fn links_and_files_exist() {
    let tops =
        ["src/", "tests/", "docs/", "packaging/", "assets/", "benches/", "config.toml.example", "deny.toml"];
    let mut missing = Vec::new();
    for (name, text) in documents() {
        let folder = root().join(&name).parent().expect("a folder").to_owned();
        for link in links(&text) {
            let target = link.split('#').next().unwrap_or_default();
            if !link.contains("://") && !target.is_empty() && !folder.join(target).exists() {
                missing.push(format!("{}: the link {link}", name.display()));
            }
        }
        for span in code_spans(&text) {
            let path = span.split([':', ' ']).next().unwrap_or_default();
            if tops.iter().any(|top| path.starts_with(top))
                && !path.contains('*')
                && !root().join(path).exists()
            {
                missing.push(format!("{}: the file {span}", name.display()));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn commands_and_flags_exist() {
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    for (name, text) in documents() {
        for command in locum_commands(&text) {
            if !seen.insert(command.clone()) {
                continue;
            }
            // The configuration's own variables must not reach the program.
            let output = Command::new(env!("CARGO_BIN_EXE_locum"))
                .args(&command.words)
                .arg("--help")
                .env_clear()
                .output()
                .expect("locum runs");
            let help = String::from_utf8_lossy(&output.stdout);
            let usage = help.lines().find(|line| line.starts_with("Usage:")).unwrap_or_default();
            let expected = format!("locum {}", command.words.join(" "));
            if !output.status.success() || !usage.contains(expected.trim_end()) {
                wrong.push(format!("{}: `{expected}` is no command", name.display()));
            }
            for flag in &command.flags {
                if !help.contains(flag.as_str()) {
                    wrong.push(format!("{}: `{expected}` knows no {flag}", name.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen.len() > 15, "the reader sees the commands of the documents: {seen:?}");
}

#[test]
fn routes_exist() {
    let table = read("src/server/routes.rs");
    let table = table.split("table! {").nth(1).expect("the table of routes");
    let routes: Vec<&str> = table
        .lines()
        .filter_map(|line| line.trim().strip_prefix('"')?.split('"').next())
        .filter(|path| path.starts_with('/'))
        .collect();
    assert!(routes.contains(&"/v1/exchange"), "the reader sees the table: {routes:?}");
    let mut texts = documents();
    texts.extend(files("docs/examples", "").into_iter().map(|name| (name.clone(), read(name))));
    let mut named = 0;
    for (name, text) in texts {
        for path in paths_of_locum(&text) {
            named += 1;
            assert!(
                routes.iter().any(|route| route_matches(route, &path)),
                "{}: {path} is no route",
                name.display()
            );
        }
    }
    assert!(named > 15, "the reader sees the paths of the documents: {named}");
}

/// Sections and keys, from the page that another test holds against the code.
fn settings() -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    let mut section = String::new();
    for line in read("docs/configuration.md").lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            let name = heading.trim_matches(|c| matches!(c, '`' | '[' | ']'));
            section = if heading.starts_with('`') { format!("{name}.") } else { String::new() };
        } else if let Some(cell) = line.strip_prefix("| `") {
            let cell = cell.split(" | ").next().unwrap_or_default();
            keys.extend(cell.split(',').map(|key| format!("{section}{}", key.trim().trim_matches('`'))));
        }
    }
    keys
}

#[test]
fn settings_exist() {
    let known = settings();
    assert!(
        known.contains("server.trusted_proxies") && known.contains("vault.root_key_credential"),
        "{known:?}"
    );
    let sections: BTreeSet<&str> =
        known.iter().filter_map(|key| key.split_once('.')).map(|(name, _)| name).collect();
    let mut wrong = Vec::new();
    let mut named = 0;
    for (name, text) in documents() {
        let mut check = |key: &str| {
            named += 1;
            if !known.contains(key) {
                wrong.push(format!("{}: {key}", name.display()));
            }
        };
        for span in code_spans(&text) {
            let key = span.split([' ', '=']).next().unwrap_or_default();
            let plain = key.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'.'));
            let file = ["toml", "key", "rs", "md"].iter().any(|end| key.ends_with(&format!(".{end}")));
            // A kind of event may begin like a section.
            let kind = locum::events::Kind::from_code(key).is_some();
            if plain
                && !file
                && !kind
                && key.split_once('.').is_some_and(|(section, _)| sections.contains(section))
            {
                check(key);
            }
        }
        for block in fenced(&text, "toml") {
            let table: toml::Table = toml::from_str(&block).expect("an example in TOML");
            for (section, value) in &table {
                let tables = match value {
                    toml::Value::Array(list) => list.iter().collect(),
                    value => vec![value],
                };
                for table in tables.into_iter().filter_map(toml::Value::as_table) {
                    table.keys().for_each(|key| check(&format!("{section}.{key}")));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(named > 10, "the reader sees the settings of the documents: {named}");
}

#[test]
fn codes_of_problems_exist() {
    let errors = read("docs/errors.md");
    for name in ["README.md", "docs/apps.md", "docs/app-data.md"] {
        let codes = statuses_with_codes(&read(name));
        assert!(!codes.is_empty(), "{name} names problems");
        for (status, code) in codes {
            let row = errors.lines().find(|line| line.contains(&format!("`{code}`")));
            assert!(
                row.is_some_and(|row| row.contains(&status)),
                "{name}: {status} `{code}` is not in docs/errors.md"
            );
        }
    }
}

#[test]
fn dependencies_are_listed_and_no_other() {
    let manifest: toml::Table = toml::from_str(&read("Cargo.toml")).expect("a manifest");
    let mut expected: BTreeSet<String> = BTreeSet::new();
    for table in ["dependencies", "build-dependencies", "dev-dependencies"] {
        expected.extend(manifest[table].as_table().expect("a table").keys().cloned());
    }
    let page = read("docs/dependencies.md");
    let tables = page.split("## Outside of Cargo").next().unwrap_or_default();
    let listed: BTreeSet<String> = tables
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .map(str::to_owned)
        .collect();
    assert_eq!(listed, expected, "docs/dependencies.md and Cargo.toml");

    let lock = read("Cargo.lock");
    let others = lock.lines().filter(|line| *line == "[[package]]").count() - 1;
    assert!(
        page.contains(&format!("names {others} crates")),
        "Cargo.lock names {others} crates beside locum"
    );
}

/// What the tree must not hold, whoever brings it: see deny.toml.
#[test]
fn there_is_one_tls_stack_and_one_provider() {
    let lock = read("Cargo.lock");
    let has = |name: &str| lock.contains(&format!("\nname = \"{name}\"\n"));
    assert!(has("ring") && has("rustls"));
    for name in ["openssl", "openssl-sys", "native-tls", "aws-lc-rs", "aws-lc-sys", "actix-governor"] {
        assert!(!has(name), "{name} is in Cargo.lock");
    }
}

/// A package ships what there is, and the unit starts it where the package puts it.
#[test]
fn packaging_names_what_exists() {
    let manifest: toml::Table = toml::from_str(&read("Cargo.toml")).expect("a manifest");
    let deb = &manifest["package"]["metadata"]["deb"];
    let unit = read("packaging/systemd/locum.service");
    for asset in deb["assets"].as_array().expect("assets") {
        let (source, target) = (asset[0].as_str().expect("a source"), asset[1].as_str().expect("a target"));
        let source = source.trim_end_matches("*.md").trim_end_matches('*');
        if let Some(program) = source.strip_prefix("target/release/") {
            assert!(
                unit.contains(&format!("\nExecStart=/{target}{program} ")),
                "the unit starts /{target}{program}"
            );
        } else {
            assert!(root().join(source).exists(), "{source} is in the package and not here");
        }
    }
    assert!(root().join(deb["maintainer-scripts"].as_str().expect("a folder")).join("postinst").exists());
    assert!(unit.contains("\nLoadCredential=root-key:/etc/locum/root.key\n"));
    assert!(read("docs/server.md").contains("\nroot_key_credential = \"root-key\"\n"));
}
