//! From the text of a search to a [`Query`].

use super::super::times;
use super::{Operator, Query, Term};

/// Nesting deeper than any real query.
const MAX_DEPTH: usize = 64;

/// Reads a whole text.
pub(super) fn read(text: &str) -> Option<Query> {
    let tokens = tokens(text)?;
    let mut reader = Reader { tokens: &tokens };
    reader.any(0).filter(|_| reader.tokens.is_empty())
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Mark(&'static str),
}

const MARKS: [&str; 10] = ["!=", "<=", ">=", "=", "<", ">", "(", ")", "{", "}"];

fn tokens(text: &str) -> Option<Vec<Token>> {
    let (mut found, mut left) = (Vec::new(), text.trim_start());
    while let Some(first) = left.chars().next() {
        if first == '\'' {
            let (value, rest) = quoted(&left[1..])?;
            found.push(Token::Text(value));
            left = rest;
        } else if let Some(mark) = MARKS.iter().find(|mark| left.starts_with(**mark)) {
            found.push(Token::Mark(mark));
            left = &left[mark.len()..];
        } else {
            let end = left.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(left.len());
            if end == 0 {
                return None;
            }
            found.push(Token::Word(left[..end].to_owned()));
            left = &left[end..];
        }
        left = left.trim_start();
    }
    Some(found)
}

/// A text up to its closing quote, where `\'` and `\\` stand for the second character.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((place, letter)) = letters.next() {
        match letter {
            '\'' => return Some((value, &text[place + 1..])),
            '\\' => {
                value.push(letters.next().map(|(_, letter)| letter).filter(|c| matches!(c, '\'' | '\\'))?)
            }
            _ => value.push(letter),
        }
    }
    None
}

struct Reader<'a> {
    tokens: &'a [Token],
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<&'a Token> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let there = matches!(self.tokens.first(), Some(Token::Word(found)) if found == word);
        there.then(|| self.next()).is_some()
    }

    fn eat(&mut self, mark: &str) -> bool {
        let there = matches!(self.tokens.first(), Some(Token::Mark(found)) if *found == mark);
        there.then(|| self.next()).is_some()
    }

    fn text(&mut self) -> Option<String> {
        match self.next()? {
            Token::Text(text) => Some(text.clone()),
            _ => None,
        }
    }

    fn any(&mut self, depth: usize) -> Option<Query> {
        let mut parts = vec![self.all(depth)?];
        while self.eat_word("or") {
            parts.push(self.all(depth)?);
        }
        Some(if parts.len() == 1 { parts.remove(0) } else { Query::Or(parts) })
    }

    fn all(&mut self, depth: usize) -> Option<Query> {
        let mut parts = vec![self.one(depth)?];
        while self.eat_word("and") {
            parts.push(self.one(depth)?);
        }
        Some(if parts.len() == 1 { parts.remove(0) } else { Query::And(parts) })
    }

    fn one(&mut self, depth: usize) -> Option<Query> {
        if depth == MAX_DEPTH {
            return None;
        }
        if self.eat_word("not") {
            return Some(Query::Not(Box::new(self.one(depth + 1)?)));
        }
        if self.eat("(") {
            let inner = self.any(depth + 1)?;
            return self.eat(")").then_some(inner);
        }
        self.term().map(Query::Term)
    }

    fn term(&mut self) -> Option<Term> {
        let field = match self.next()? {
            Token::Text(id) => {
                let whole = self.eat_word("in") && self.eat_word("parents");
                return whole.then(|| Term::InParents(id.clone()));
            }
            Token::Word(field) => field.as_str(),
            Token::Mark(_) => return None,
        };
        if matches!(field, "properties" | "appProperties") {
            return self.property(field == "appProperties");
        }
        let operator = self.operator()?;
        match field {
            "name" => Some(Term::Name(operator, self.text()?)),
            "mimeType" => Some(Term::MimeType(operator, self.text()?)),
            "modifiedTime" | "createdTime" if operator != Operator::Contains => {
                let ms = times::parse(&self.text()?)?;
                Some(if field == "modifiedTime" {
                    Term::Modified(operator, ms)
                } else {
                    Term::Created(operator, ms)
                })
            }
            "trashed" | "starred" => {
                let wanted =
                    if self.eat_word("true") { true } else { self.eat_word("false").then_some(false)? };
                match operator {
                    Operator::Equal => Some(Term::Constant(!wanted)),
                    Operator::NotEqual => Some(Term::Constant(wanted)),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn operator(&mut self) -> Option<Operator> {
        match self.next()? {
            Token::Word(word) if word == "contains" => Some(Operator::Contains),
            Token::Mark("=") => Some(Operator::Equal),
            Token::Mark("!=") => Some(Operator::NotEqual),
            Token::Mark("<") => Some(Operator::Less),
            Token::Mark("<=") => Some(Operator::LessOrEqual),
            Token::Mark(">") => Some(Operator::Greater),
            Token::Mark(">=") => Some(Operator::GreaterOrEqual),
            _ => None,
        }
    }

    /// `has { key='k' and value='v' }`
    fn property(&mut self, private: bool) -> Option<Term> {
        let head = self.eat_word("has") && self.eat("{") && self.eat_word("key") && self.eat("=");
        let key = if head { self.text()? } else { return None };
        let middle = self.eat_word("and") && self.eat_word("value") && self.eat("=");
        let value = if middle { self.text()? } else { return None };
        self.eat("}").then_some(Term::Property(private, key, value))
    }
}
