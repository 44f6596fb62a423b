//! Reads a Rust source as the list of paths it names: enough of the grammar to see who uses what.
//!
//! Comments and literals are left out, `use` trees are spread (`use a::{b, c::d}` names `a::b` and `a::c::d`),
//! and every path knows its line, the inline modules around it and whether it is test code.

/// One path in a source, as written: `crate::vault::Vault`, `tokio::spawn`, `Instant::now`.
#[derive(Debug)]
pub struct Reference {
    pub path: Vec<String>,
    pub line: usize,
    /// How many `mod name { … }` of the same file stand around it.
    pub inline_modules: usize,
    /// Whether it stands in an item under `#[cfg(test)]`.
    pub in_test: bool,
}

pub fn references(text: &str) -> Vec<Reference> {
    let tokens = tokens(text);
    let places = places(&tokens);
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at].is_word() {
            let mut paths = Vec::new();
            let end = spread(&tokens, at, &mut Vec::new(), &mut paths);
            found.extend(paths.into_iter().map(|path| Reference {
                path,
                line: tokens[at].line,
                inline_modules: places[at].inline_modules,
                in_test: places[at].in_test,
            }));
            at = end;
        } else {
            at += 1;
        }
    }
    found
}

#[derive(Debug)]
struct Token {
    text: String,
    line: usize,
}

impl Token {
    fn is_word(&self) -> bool {
        self.text.starts_with(|first: char| first.is_alphabetic() || first == '_')
    }
}

/// Words and punctuation; `::` is one token, everything else of punctuation is one character.
fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < chars.len() {
        let end = skip_blank_or_literal(&chars, at);
        if end > at {
            line += chars[at..end].iter().filter(|c| **c == '\n').count();
            at = end;
            continue;
        }
        let length = if is_word_char(chars[at]) {
            chars[at..].iter().take_while(|c| is_word_char(**c)).count()
        } else if chars[at..].starts_with(&[':', ':']) {
            2
        } else {
            1
        };
        tokens.push(Token { text: chars[at..at + length].iter().collect(), line });
        at += length;
    }
    tokens
}

fn is_word_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The end of the white space, comment or literal that begins at `at`; `at` if none does.
fn skip_blank_or_literal(chars: &[char], at: usize) -> usize {
    let rest = &chars[at..];
    let length = match rest {
        [c, ..] if c.is_whitespace() => 1,
        ['/', '/', ..] => rest.iter().take_while(|c| **c != '\n').count(),
        ['/', '*', ..] => block_comment(rest),
        ['"', ..] => quoted(rest),
        ['b' | 'c', '"', ..] => 1 + quoted(&rest[1..]),
        ['b', 'r', '#' | '"', ..] | ['c', 'r', '#' | '"', ..] => 1 + raw(&rest[1..]),
        ['r', '#' | '"', ..] => raw(rest),
        ['b', '\'', ..] => 1 + character(&rest[1..]),
        ['\'', ..] => character(rest),
        _ => 0,
    };
    at + length
}

fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match &rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted(rest: &[char]) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != '"' {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// A raw string, or the `r#` of a raw word.
fn raw(rest: &[char]) -> usize {
    let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
    if rest.get(1 + hashes) != Some(&'"') {
        return 1 + hashes;
    }
    let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let body = 2 + hashes;
    let length =
        rest[body..].windows(end.len()).position(|window| window == end).unwrap_or(rest.len() - body);
    body + length + end.len()
}

/// A character literal, or the quote of a lifetime.
fn character(rest: &[char]) -> usize {
    match rest {
        ['\'', '\\', _, tail @ ..] => 3 + tail.iter().take_while(|c| **c != '\'').count() + 1,
        ['\'', _, '\'', ..] => 3,
        _ => 1,
    }
}

#[derive(Clone, Copy)]
struct Place {
    inline_modules: usize,
    in_test: bool,
}

/// Where each token stands.
fn places(tokens: &[Token]) -> Vec<Place> {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let mut places = Vec::with_capacity(tokens.len());
    let mut depth = 0_usize;
    let mut modules: Vec<usize> = Vec::new();
    // The depth at which an item under `#[cfg(test)]` began; its end is a `;` or a `}` at that depth.
    let mut test_item: Option<usize> = None;
    for at in 0..tokens.len() {
        if test_item.is_none()
            && (0..7).map(|step| text(at + step)).eq(["#", "[", "cfg", "(", "test", ")", "]"])
        {
            test_item = Some(depth);
        }
        places.push(Place { inline_modules: modules.len(), in_test: test_item.is_some() });
        match text(at) {
            "{" => {
                depth += 1;
                if at >= 2 && text(at - 2) == "mod" {
                    modules.push(depth);
                }
            }
            "}" => {
                if modules.last() == Some(&depth) {
                    modules.pop();
                }
                depth = depth.saturating_sub(1);
                test_item = test_item.filter(|began| *began != depth);
            }
            ";" => test_item = test_item.filter(|began| *began != depth),
            _ => {}
        }
    }
    places
}

/// Spreads the path that begins at `at`, with the groups of a `use`; returns where it ends.
fn spread(tokens: &[Token], mut at: usize, prefix: &mut Vec<String>, paths: &mut Vec<Vec<String>>) -> usize {
    let is = |at: usize, text: &str| tokens.get(at).is_some_and(|token| token.text == text);
    let before = prefix.len();
    while let Some(token) = tokens.get(at) {
        if is(at, "{") {
            at += 1;
            while at < tokens.len() && !is(at, "}") {
                if tokens[at].is_word() || is(at, "*") {
                    at = spread(tokens, at, prefix, paths);
                } else {
                    at += 1;
                }
            }
            prefix.truncate(before);
            return at + 1;
        }
        if !token.is_word() && !is(at, "*") {
            break;
        }
        prefix.push(token.text.clone());
        at += 1;
        if !is(at, "::") || is(at + 1, "<") {
            break;
        }
        at += 1;
    }
    paths.push(prefix.clone());
    prefix.truncate(before);
    at
}
