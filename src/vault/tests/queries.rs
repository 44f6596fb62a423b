//! No query that runs often reads a whole table: each statement in the vault's sources is taken from
//! there and explained, so that a new one cannot be forgotten.

use super::*;

/// Statements that read a whole table because that is what they are for: at the start, for a check of
/// the whole file, or to count.
const WHOLE: [&str; 15] = [
    "SELECT count(*) FROM sqlite_schema",
    "SELECT count(*) FROM users",
    "SELECT state, cause, client_id, count(*) FROM grants GROUP BY 1, 2, 3",
    "SELECT purpose, term, root_id, wrapped, check_value FROM data_keys ORDER BY term",
    "SELECT id, kid, private_key, public_key, created_at, mac FROM signing_keys ORDER BY created_at",
    "SELECT * FROM api_keys ORDER BY created_at DESC, key_id",
    "SELECT * FROM users",
    "SELECT * FROM grants",
    "SELECT * FROM redemptions",
    "SELECT * FROM mirrors",
    "SELECT * FROM connect_links ORDER BY id",
    "SELECT * FROM events ORDER BY id",
    "SELECT * FROM counts ORDER BY id",
    // SQLite's own table of one row.
    "SELECT max(coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0), \
     coalesce((SELECT id FROM events ORDER BY id DESC LIMIT 1), 0))",
    // At the start alone, and there are at most some dozens.
    "SELECT * FROM owner_sessions ORDER BY id",
];

/// The text of every string literal of a source file, its line continuations joined.
fn literals(source: &str) -> Vec<String> {
    let code: String = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let mut literals = Vec::new();
    let mut chars = code.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '"' {
            continue;
        }
        let mut text = String::new();
        while let Some(c) = chars.next() {
            match c {
                '"' => break,
                '\\' if chars.peek() == Some(&'\n') => {
                    while chars.next_if(|c| c.is_whitespace()).is_some() {}
                }
                '\\' => text.extend(chars.next()),
                _ => text.push(c),
            }
        }
        literals.push(text);
    }
    literals
}

/// Every statement that looks for rows, by the file it stands in.
fn statements() -> Vec<(String, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/vault");
    let mut sources = files(&directory);
    for entry in std::fs::read_dir(&directory).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() && !path.ends_with("tests") {
            sources.extend(files(&path));
        }
    }
    let root = directory.with_extension("rs");
    sources.insert(root.clone(), std::fs::read(root).expect("readable"));
    sources.remove(&directory.join("tests.rs"));
    let mut statements = Vec::new();
    for (path, source) in sources.into_iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "rs"))
    {
        // What stands in grants/load.rs is about grants.
        let within = path.parent().filter(|parent| parent.parent() == Some(&directory));
        let table = within.unwrap_or(&path).file_stem().expect("a name").to_string_lossy().into_owned();
        for text in literals(&String::from_utf8(source).expect("UTF-8")) {
            let text = text.replace("{COLUMNS}", "*");
            if text.ends_with(&format!(" FROM {table} ")) {
                // The head of several: what follows is a literal of its own, empty for the whole table.
            } else if text.is_empty() && ["users", "grants", "redemptions"].contains(&&*table) {
                statements.push((table.clone(), format!("SELECT * FROM {table}")));
            } else if text.starts_with("WHERE ") || text.starts_with("NOT INDEXED ") {
                statements.push((table.clone(), format!("SELECT * FROM {table} {text}")));
            } else if ["SELECT ", "UPDATE ", "DELETE "].iter().any(|verb| text.starts_with(verb)) {
                statements.push((table.clone(), text));
            }
        }
    }
    statements
}

#[test]
fn no_query_that_runs_often_scans_a_table() {
    let home = Home::new(120);
    let vault = home.open();
    let statements = statements();
    assert!(statements.len() >= 30, "only {} statements were found", statements.len());
    let (mut whole, mut walks) = (Vec::new(), 0);
    for (file, statement) in statements {
        let plan = vault.read(|conn| {
            let mut explain = conn.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).map_err(sql)?;
            // Parameters are only given values so that there are any.
            for n in 1..=explain.parameter_count() {
                explain.raw_bind_parameter(n, 1).map_err(sql)?;
            }
            let mut rows = explain.raw_query();
            let mut plan = Vec::new();
            while let Some(row) = rows.next().map_err(sql)? {
                plan.push(row.get::<_, String>(3).map_err(sql)?);
            }
            Ok(plan)
        });
        let plan = plan.unwrap_or_else(|error| panic!("{statement}: {error}"));
        if plan.iter().any(|step| step.starts_with("SCAN") && step != "SCAN CONSTANT ROW") {
            assert!(WHOLE.contains(&&*statement), "{file}: {statement}\n{plan:#?}");
            whole.push(statement);
        } else if statement.contains("id BETWEEN") {
            // A person's rows are one walk down the table, with no index before it and nothing sorted after.
            let walk = format!("SEARCH {file} USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)");
            assert_eq!(plan, [walk], "{statement}");
            walks += 1;
        } else if statement.contains("ORDER BY refreshed_day LIMIT") {
            // A batch of idle grants must not sort all of them.
            assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{plan:#?}");
        }
    }
    assert!(walks >= 3, "only {walks} statements look for a person's rows");
    for statement in WHOLE {
        assert!(whole.iter().any(|found| found == statement), "{statement} is no longer there");
    }
}
