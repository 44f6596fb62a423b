//! The questions of `init`. Each is asked only where no flag has answered it, and again until the answer
//! can be read.

use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};

use super::Arguments;
use super::words::WHICH_FILE;
use crate::config::{Admission, Source};

/// Fills in what the flags left open. `judge` says what the configuration would have against a key of it.
pub(super) fn ask(
    arguments: &mut Arguments,
    directory: &Path,
    judge: &dyn Fn(&Arguments, &str) -> Option<String>,
    input: &mut impl BufRead,
    output: &mut impl Write,
) -> io::Result<()> {
    let mut terminal = Terminal { input, output };
    if arguments.client_secret_json.is_none() {
        let found = downloaded(directory);
        let question = format!("Google's client_secret_*.json\n({WHICH_FILE})");
        let answer = terminal.answer(&question, found.as_deref(), |text| {
            if !directory.join(text).is_file() {
                return Err("there is no such file".to_owned());
            }
            let tried = Arguments { client_secret_json: Some(text.into()), ..arguments.clone() };
            judge(&tried, "client_secret_json").map_or_else(|| Ok(PathBuf::from(text)), Err)
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
        arguments.redirect_uri = terminal.answer(question, Some(""), |text| {
            let tried = Arguments { redirect_uri: optional_words(text), ..arguments.clone() };
            // None is right where the file has some, or where locum has an address of its own.
            let problem = judge(&tried, "redirect_uris").filter(|_| !tried.redirect_uri.is_empty());
            problem.map_or(Ok(tried.redirect_uri), Err)
        })?;
    }
    if arguments.allow.is_empty() {
        let question = "Who may connect? E-mail addresses, Workspace domains, or anyone";
        arguments.allow = terminal.answer(question, None, |text| {
            words(text, "addresses, domains or the word anyone", |word| word.parse::<Admission>().ok())
        })?;
    }
    if arguments.scope.is_empty() {
        let question = "Scopes beside openid, email and profile, such as https://www.googleapis.com/auth/drive.appdata (none: empty)";
        arguments.scope = terminal.answer(question, Some(""), |text| {
            let tried = Arguments { scope: optional_words(text), ..arguments.clone() };
            judge(&tried, "scopes").map_or(Ok(tried.scope), Err)
        })?;
    }
    if arguments.public_url.is_none() {
        let question = "The address of locum as apps see it, such as https://locum.example.org (none: this machine only)";
        arguments.public_url = terminal.answer(question, Some(""), |text| {
            let url = Some(text.to_owned()).filter(|url| !url.is_empty());
            let tried = Arguments { public_url: url, ..arguments.clone() };
            judge(&tried, "public_url").map_or(Ok(tried.public_url), Err)
        })?;
    }
    if arguments.public_url.is_some() && arguments.trusted_proxy.is_empty() {
        let question = "The network of the TLS proxy in front of it";
        arguments.trusted_proxy = terminal.answer(question, Some("127.0.0.1"), |text| {
            let tried = Arguments { trusted_proxy: optional_words(text), ..arguments.clone() };
            judge(&tried, "trusted_proxies").map_or(Ok(tried.trusted_proxy), Err)
        })?;
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
        read: impl Fn(&str) -> Result<T, String>,
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

fn words<T>(text: &str, expected: &str, read: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, String> {
    let read: Option<Vec<T>> = split(text).map(read).collect();
    read.filter(|list| !list.is_empty()).ok_or_else(|| expected.to_owned())
}

fn optional_words(text: &str) -> Vec<String> {
    split(text).map(str::to_owned).collect()
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
