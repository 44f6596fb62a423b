//! `config.toml.example` and `docs/configuration.md`, made from the table of keys and kept equal to it.
//!
//! After a change to the table: `cargo test -- --ignored write_the_reference`.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::keys::{Absent, KEYS, Key, Kind, SECRET_FORMS, SECTIONS, is_list};

const EXAMPLE_HEAD: &str = "\
# locum's configuration: every key there is.
#
# A line `#key = value` shows a key that may be left out: its default, or an example where it has none.
# Relative paths start at this file's folder; `~` is not expanded. Durations are texts such as \"10m\" or
# numbers of seconds. Every value can also be set by an environment variable, which wins over the file:
# server.listen is LOCUM_SERVER__LISTEN. `locum config check` finds mistakes, `locum config show` prints
# what is in force and where it came from. docs/configuration.md says the same as a table.
";

const DOCS_HEAD: &str = "\
# Configuration

locum reads one TOML file, the first of: `--config FILE`, `$LOCUM_CONFIG`, `./locum.toml`, `locum/config.toml` in the
XDG configuration folder (`~/.config`), `/etc/locum/config.toml`. A file is not needed where variables say everything.

**Variables.** Each value can be set by an environment variable, which wins over the file: `LOCUM_SECTION__KEY`, so
`server.listen` is `LOCUM_SERVER__LISTEN` and `allow_users` is `LOCUM_ALLOW_USERS`. A client is addressed by its name in
capitals with `_` for `-`: `LOCUM_CLIENTS__MAIN__SOURCES`; a name that the file does not have makes a new client. A mirror is
addressed by its place in the file: `LOCUM_MIRROR__1__FOLDER` belongs to the first. Lists are
TOML (`[\"a\", \"b\"]`) or words between commas. An empty variable counts as not set. locum removes every `LOCUM_` variable
from its process as soon as it has started.

**Secrets.** `root_key`, `passphrase`, `client_secret` and `second_client_secret` are given in exactly one of five forms; where
variables give one, the file's does not count.

| form | value |
|---|---|
";

const DOCS_MIDDLE: &str = "
A command runs without a shell, with `PATH`, `HOME` and little else in its environment, and has 10 seconds. The file of a
root key or a pass-phrase must be a regular file (no symbolic link) that belongs to root or to the user locum runs as,
and that nobody else has a right to (mode 0600 or 0400). A pass-phrase has at least 16 characters.

**Values.** Relative paths start at the configuration file's folder, or in a variable at the folder locum was started
in; `~` is not expanded. Durations are texts such as `\"90s\"`, `\"1h30m\"`, `\"7d\"`, or numbers of seconds. Sizes are texts such as
`\"64KiB\"`, or numbers of bytes. Plain `http` addresses are accepted for loopback hosts only.

`locum config check` finds every mistake in one go; `locum config show` prints the values in force with their sources.
";

/// A value as TOML writes it.
fn toml(kind: Kind, text: &str) -> String {
    let bare = matches!(kind, Kind::Count { .. } | Kind::Flag) || text.starts_with('[');
    if bare { text.to_owned() } else { format!("\"{text}\"") }
}

/// What the example shows for one form of a secret.
fn secret_sample(key: &Key, ending: &str, file: &str) -> String {
    let name = key.name.replace('_', "-");
    match ending {
        "" => match key.name {
            "root_key" => "\"64 digits of hex or 44 characters of base64\"".to_owned(),
            "passphrase" => "\"six or more words that nobody would guess\"".to_owned(),
            _ => "\"GOCSPX-…\"".replace('…', "your-secret"),
        },
        "_file" => format!("\"{file}\""),
        "_env" => format!("\"LOCUM_{}\"", key.name.to_ascii_uppercase()),
        "_command" => format!("[\"pass\", \"show\", \"locum/{name}\"]"),
        _ => format!("\"{name}\""),
    }
}

fn example() -> String {
    let mut text = EXAMPLE_HEAD.to_owned();
    for (section, words) in SECTIONS {
        match section {
            "" => {}
            // Nobody has a mirror by leaving the example as it is.
            "mirror" => write!(text, "\n# {words}\n#[[mirror]]\n").expect("to a string"),
            _ if is_list(section) => write!(text, "\n# {words}\n[[{section}]]\n").expect("to a string"),
            _ => write!(text, "\n# {words}\n[{section}]\n").expect("to a string"),
        }
        for key in KEYS.iter().filter(|key| key.section == section) {
            write!(text, "\n# {}\n", key.words).expect("to a string");
            let (Absent::Default(sample) | Absent::Nothing(sample) | Absent::Mistake(sample)) = key.absent;
            let needed = matches!(key.absent, Absent::Mistake(_)) && section != "mirror";
            if key.kind == Kind::Secret {
                let order = ["_file", "_credential", "_command", "_env", ""];
                for ending in order {
                    let mark = if needed && ending == "_file" { "" } else { "#" };
                    let value = secret_sample(key, ending, sample);
                    writeln!(text, "{mark}{}{ending} = {value}", key.name).expect("to a string");
                }
            } else {
                let mark = if needed || key.name == "client_secret_json" { "" } else { "#" };
                writeln!(text, "{mark}{} = {}", key.name, toml(key.kind, sample)).expect("to a string");
            }
        }
    }
    text
}

fn docs() -> String {
    let mut text = DOCS_HEAD.to_owned();
    for (ending, words) in SECRET_FORMS {
        writeln!(text, "| `x{ending}` | {words} |").expect("to a string");
    }
    text.push_str(DOCS_MIDDLE);
    for (section, words) in SECTIONS {
        let heading = match section {
            "" => "The top".to_owned(),
            _ if is_list(section) => format!("`[[{section}]]`"),
            _ => format!("`[{section}]`"),
        };
        write!(
            text,
            "\n## {heading}\n\n{words}\n\n| key | what | value | when absent |\n|---|---|---|---|\n"
        )
        .expect("to a string");
        for key in KEYS.iter().filter(|key| key.section == section) {
            let names: Vec<String> = key.names().map(|name| format!("`{name}`")).collect();
            let absent = match key.absent {
                Absent::Default(value) => format!("`{}`", toml(key.kind, value)),
                Absent::Nothing(_) => String::new(),
                Absent::Mistake(_) => "must be given".to_owned(),
            };
            let expected = key.kind.expected();
            writeln!(text, "| {} | {} | {expected} | {absent} |", names.join(", "), key.words)
                .expect("to a string");
        }
    }
    text
}

fn files() -> [(PathBuf, String); 2] {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    [(root.join("config.toml.example"), example()), (root.join("docs/configuration.md"), docs())]
}

#[test]
fn the_reference_says_what_the_table_says() {
    for (path, expected) in files() {
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            written == expected,
            "{} differs from the table of keys; run `cargo test -- --ignored write_the_reference`",
            path.display()
        );
    }
}

#[test]
#[ignore = "writes the two files"]
fn write_the_reference() {
    for (path, text) in files() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("folder");
        std::fs::write(path, text).expect("write");
    }
}
