//! What a command writes: data on standard output, everything else on standard error.

use std::io::{self, Write as _};

use comfy_table::{ContentArrangement, Table, presets};

/// Prints data.
///
/// # Errors
/// When standard output cannot be written; a closed pipe is told by [`is_closed_pipe`].
pub(super) fn data(text: &str) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// Prints a value as JSON for programs.
///
/// # Errors
/// As [`data`].
pub(super) fn json(value: &impl serde::Serialize) -> io::Result<()> {
    data(&serde_json::to_string_pretty(value)?)
}

/// Prints a value as JSON on one line: a program that goes on running is read line by line.
///
/// # Errors
/// As [`data`].
pub(super) fn json_line(value: &impl serde::Serialize) -> io::Result<()> {
    data(&serde_json::to_string(value)?)
}

/// Says something that is not data. When nobody can hear it, there is nobody to tell that.
pub(super) fn note(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Says the beginning of a line that the reader ends.
pub(super) fn ask(text: &str) {
    let mut out = anstream::stderr().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Says a warning.
pub(super) fn warn(text: &str) {
    note(&format!("warning: {text}"));
}

/// Whether the reader of standard output went away, as `head` does.
pub(super) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// A table for people: a head and rows, no lines, as wide as the terminal allows.
pub(super) fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(head);
    table.add_rows(rows.into_iter().map(|row| row.map(|cell| plain(&cell))));
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// Names and values of one thing, a line each, as [`table`] sets them.
pub(super) fn facts(rows: impl IntoIterator<Item = [String; 2]>) -> String {
    let rows: Vec<[String; 2]> = rows.into_iter().collect();
    let width = rows.iter().map(|[name, _]| name.chars().count()).max().unwrap_or(0) + 2;
    let line = |[name, value]: &[String; 2]| format!("{name:width$}{}", plain(value)).trim_end().to_owned();
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Text without what would steer a terminal: names and addresses are other people's.
pub(super) fn plain(text: &str) -> String {
    let steers = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect()
}

/// As [`plain`], but what would steer a terminal, or hide, is shown as `\u{…}`: names of files are told apart
/// by it.
pub(super) fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let hides = matches!(
            c,
            '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        );
        if c.is_control() || hides {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_and_has_no_trailing_space() {
        let rows = [["a".to_owned(), "1".to_owned()], ["long name".to_owned(), String::new()]];
        assert_eq!(table(["KEY", "VALUE"], rows), "KEY        VALUE\na          1\nlong name");
    }

    #[test]
    fn what_others_wrote_does_not_steer_the_terminal() {
        assert_eq!(plain("a\u{1b}[2J\u{202e}b\nc"), "a\u{fffd}[2J\u{fffd}b\u{fffd}c");
        assert_eq!(plain("ליאת"), "ליאת");
        assert_eq!(escaped("a\u{1b}[2J\u{202e}b\nc"), r"a\u{1b}[2J\u{202e}b\u{a}c");
        assert_eq!(escaped("ליאת 😀"), "ליאת 😀");
    }
}
