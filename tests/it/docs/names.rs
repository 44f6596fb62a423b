//! Finds in a document what it names.

/// `](target)` of every link.
pub fn links(text: &str) -> Vec<String> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).map(str::to_owned).collect()
}

/// The fenced blocks of a language.
pub fn fenced(text: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<(bool, String)> = None;
    for line in text.lines() {
        match (line.trim().strip_prefix("```"), open.as_mut()) {
            (Some(name), None) => open = Some((name == language, String::new())),
            (Some(_), Some(_)) => {
                blocks.extend(open.take().filter(|(wanted, _)| *wanted).map(|(_, block)| block));
            }
            (None, Some((_, block))) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

/// Every `` `span` `` outside of fenced blocks.
pub fn code_spans(text: &str) -> Vec<String> {
    let mut spans = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if line.trim().starts_with("```") {
            inside = !inside;
        } else if !inside {
            spans.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    spans
}

/// A command as a document names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    pub words: Vec<String>,
    pub flags: Vec<String>,
}

/// Every `locum …` in spans and shell blocks; in a table, later spans of a cell share the first one's command.
pub fn locum_commands(text: &str) -> Vec<Named> {
    let mut commands: Vec<Named> = code_spans(text).iter().filter_map(|span| command(span)).collect();
    for block in fenced(text, "sh") {
        let joined = block.replace("\\\n", " ");
        commands.extend(joined.lines().filter_map(|line| command(line.trim_start_matches("sudo ").trim())));
    }
    for cell in text.lines().filter_map(|line| line.strip_prefix("| `locum ")?.split(" | ").next()) {
        let mut spans = cell.split('`').step_by(2);
        let first: Vec<&str> = spans.next().unwrap_or_default().split(' ').collect();
        if let [group, _] = first.as_slice() {
            let single = spans.filter(|span| !span.starts_with("locum "));
            commands.extend(
                single.map(|word| Named { words: vec![(*group).to_owned(), word.to_owned()], flags: vec![] }),
            );
        }
    }
    commands
}

fn command(line: &str) -> Option<Named> {
    let rest = line.split('#').next()?.strip_prefix("locum ")?;
    let rest = rest.split('(').next()?.replace("--config /etc/locum/config.toml", "");
    let is_word = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase()) && !word.is_empty();
    let mut parts = rest.split_whitespace().peekable();
    let mut words = Vec::new();
    // A group has one subcommand below it; what follows are arguments.
    let groups = ["config", "user", "key", "vault", "drive"];
    while let Some(word) = parts.next_if(is_word) {
        words.push(word.to_owned());
        if !groups.contains(&words[0].as_str()) || words.len() == 2 {
            break;
        }
    }
    let flags = parts.filter(|part| part.starts_with("--")).map(str::to_owned).collect();
    (!words.is_empty()).then_some(Named { words, flags })
}

/// The paths under which documents and examples reach locum.
pub fn paths_of_locum(text: &str) -> Vec<String> {
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '?' | ')' | ',' | ';');
    let mut paths = Vec::new();
    for start in ["/v1/", "\"v1/", "/.well-known/jwks", "`/healthz", "`/readyz", "`/metrics"] {
        for (at, _) in text.match_indices(start) {
            let rest = &text[at..];
            let rest = rest.strip_prefix(['"', '`']).unwrap_or(rest);
            let path = rest.split(ends).next().unwrap_or_default();
            // Another service's address is no business of locum's.
            let before = text[..at].split(ends).next_back().unwrap_or_default();
            if !before.contains("googleapis.com") && !before.contains("google.com") {
                paths.push(if path.starts_with('/') { path.to_owned() } else { format!("/{path}") });
            }
        }
    }
    paths
}

/// Whether a path is one of the route's; `{…}` of the route, and an expression in an example, stand for any segment.
pub fn route_matches(route: &str, path: &str) -> bool {
    let path = path.split("{urllib.parse.quote(user").next().map_or(path.to_owned(), |head| {
        if head.len() < path.len() { format!("{head}x/token") } else { path.to_owned() }
    });
    // A path of names has as many segments as there are names.
    if let Some(before) = route.strip_suffix("{path:.*}") {
        let names = path.splitn(before.matches('/').count() + 1, '/').last().unwrap_or_default();
        let start = path.strip_suffix(names).unwrap_or_default();
        return !names.is_empty() && route_matches(before, start);
    }
    let (route, path): (Vec<&str>, Vec<&str>) = (route.split('/').collect(), path.split('/').collect());
    route.len() == path.len() && route.iter().zip(&path).all(|(r, p)| r == p || r.starts_with('{'))
}

/// ``409 `consent_required` `` as status and code.
pub fn statuses_with_codes(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices(" `") {
        let status: String = text[..at].chars().rev().take(3).collect::<Vec<_>>().into_iter().rev().collect();
        let code = text[at + 2..].split('`').next().unwrap_or_default();
        let is_status = status.bytes().all(|byte| byte.is_ascii_digit()) && status.len() == 3;
        if is_status && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
            found.push((status, code.to_owned()));
        }
    }
    found
}
