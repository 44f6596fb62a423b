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

/// Says something that is not data. When nobody can hear it, there is nobody to tell that.
pub(super) fn note(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
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
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_and_has_no_trailing_space() {
        let rows = [["a".to_owned(), "1".to_owned()], ["long name".to_owned(), String::new()]];
        assert_eq!(table(["KEY", "VALUE"], rows), "KEY        VALUE\na          1\nlong name");
    }
}
