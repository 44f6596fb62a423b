//! The questions of `init`. Each is asked only where no flag has answered it, and again until the answer
//! can be read.

use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};

use super::Arguments;
use super::words::WHICH_FILE;
use crate::config::{Admission, Source};

/// Fills in what the flags left open.
pub(super) fn ask(
    arguments: &mut Arguments,
    directory: &Path,
    input: &mut impl BufRead,
    output: &mut impl Write,
) -> io::Result<()> {
    let mut terminal = Terminal { input, output };
    if arguments.client_secret_json.is_none() {
        let found = downloaded(directory);
        let question = format!("Google's client_secret_*.json\n({WHICH_FILE})");
        let answer = terminal.answer(&question, found.as_deref(), |text| {
            if directory.join(text).is_file() {
                Ok(PathBuf::from(text))
            } else {
                Err("there is no such file")
            }
        })?;
        arguments.client_secret_json = Some(answer);
    }
    if arguments.source.is_empty() {
        let question = "Where do codes come from? Any of ios, android, web, popup, desktop, device";
        arguments.source = terminal.answer(question, None, |text| {
            words(text, "any of ios, android, web, popup, desktop, device", |word| {
                word.parse::<Source>().ok()
            })
        })?;
    }
    if arguments.source.contains(&Source::Web) && arguments.redirect_uri.is_empty() {
        let question =
            "Redirect URIs of the web flow, as registered at Google (none: those in Google's file)";
        arguments.redirect_uri = terminal.answer(question, Some(""), optional_words)?;
    }
    if arguments.allow.is_empty() {
        let question = "Who may connect? E-mail addresses, Workspace domains, or anyone";
        arguments.allow = terminal.answer(question, None, |text| {
            words(text, "addresses, domains or the word anyone", |word| word.parse::<Admission>().ok())
        })?;
    }
    if arguments.scope.is_empty() {
        let question = "Scopes beside openid, email and profile, such as https://www.googleapis.com/auth/drive.appdata (none: empty)";
        arguments.scope = terminal.answer(question, Some(""), optional_words)?;
    }
    if arguments.public_url.is_none() {
        let question = "The address of locum as apps see it, such as https://locum.example.org (none: this machine only)";
        let answer = terminal.answer(question, Some(""), |text| Ok(text.to_owned()))?;
        arguments.public_url = Some(answer).filter(|url| !url.is_empty());
    }
    if arguments.public_url.is_some() && arguments.trusted_proxy.is_empty() {
        let question = "The network of the TLS proxy in front of it";
        arguments.trusted_proxy = terminal.answer(question, Some("127.0.0.1"), optional_words)?;
    }
    Ok(())
}

struct Terminal<'a, I, O> {
    input: &'a mut I,
    output: &'a mut O,
}

impl<I: BufRead, O: Write> Terminal<'_, I, O> {
    /// Asks until `read` understands the answer. An empty answer is the default, where there is one.
    fn answer<T>(
        &mut self,
        question: &str,
        default: Option<&str>,
        read: impl Fn(&str) -> Result<T, &'static str>,
    ) -> io::Result<T> {
        loop {
            match default {
                Some(default) if !default.is_empty() => write!(self.output, "{question}\n[{default}] > ")?,
                _ => write!(self.output, "{question}\n> ")?,
            }
            self.output.flush()?;
            let mut line = String::new();
            if self.input.read_line(&mut line)? == 0 {
                let words = "the questions were not answered; nothing is written";
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, words));
            }
            let text = match (line.trim(), default) {
                ("", Some(default)) => default,
                (text, _) => text,
            };
            match read(text) {
                Ok(answer) => return Ok(answer),
                Err(problem) => writeln!(self.output, "{problem}")?,
            }
        }
    }
}

fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ' ', '\t']).filter(|word| !word.is_empty())
}

fn words<T>(
    text: &str,
    expected: &'static str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, &'static str> {
    let read: Option<Vec<T>> = split(text).map(read).collect();
    read.filter(|list| !list.is_empty()).ok_or(expected)
}

fn optional_words(text: &str) -> Result<Vec<String>, &'static str> {
    Ok(split(text).map(str::to_owned).collect())
}

/// The one file in the folder that looks like Google's, if there is one.
fn downloaded(directory: &Path) -> Option<String> {
    let names: Vec<String> = std::fs::read_dir(directory)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with("client_secret") && name.ends_with(".json"))
        .collect();
    match &*names {
        [only] => Some(only.clone()),
        _ => None,
    }
}
