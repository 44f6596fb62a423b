//! Which bytes of a content.

/// A part of a content, as a caller asks for it (RFC 9110 §14.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// From the first to the last of these, both included; the last may lie behind the end.
    FromTo(u64, u64),
    /// From here to the end.
    From(u64),
    /// So many bytes at the end.
    Last(u64),
}

/// A part that a content of known size has: `first..end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first byte.
    pub first: u64,
    /// The byte after the last.
    pub end: u64,
}

impl Span {
    /// How many bytes.
    pub const fn len(self) -> u64 {
        self.end - self.first
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.first == self.end
    }
}

impl ByteRange {
    /// The bytes this means in a content of `size` bytes; `None` when it has none of them.
    pub const fn within(self, size: u64) -> Option<Span> {
        let (first, end) = match self {
            Self::FromTo(first, last) if last >= first => (first, if last < size { last + 1 } else { size }),
            Self::FromTo(..) => return None,
            Self::From(first) => (first, size),
            Self::Last(count) => (size.saturating_sub(count), size),
        };
        if first < end { Some(Span { first, end }) } else { None }
    }
}

/// `bytes a-b/N` or `bytes */N` (RFC 9110 §14.4), with `None` for `*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ContentRange {
    /// The bytes, if the field names any.
    pub(super) span: Option<Span>,
    /// The size of the whole, if known.
    pub(super) size: Option<u64>,
}

impl ContentRange {
    /// Reads the field; `None` when it is not of the form.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (bytes, size) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
        let span = match bytes {
            "*" => None,
            bytes => Some(span(bytes)?),
        };
        let size = match size {
            "*" => None,
            size => Some(digits(size)?),
        };
        Some(Self { span, size })
    }
}

/// `bytes=0-524287`: what an upload session has; always from the start.
pub(super) fn received(text: &str) -> Option<u64> {
    let span = span(text.trim().strip_prefix("bytes=")?)?;
    (span.first == 0).then_some(span.end)
}

fn span(text: &str) -> Option<Span> {
    let (first, last) = text.split_once('-')?;
    let (first, last) = (digits(first)?, digits(last)?);
    (first <= last).then_some(Span { first, end: last.checked_add(1)? })
}

fn digits(text: &str) -> Option<u64> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_to_the_content() {
        let span = |first, end| Some(Span { first, end });
        for (range, size, expected) in [
            (ByteRange::FromTo(0, 0), 10, span(0, 1)),
            (ByteRange::FromTo(5, 99), 10, span(5, 10)),
            (ByteRange::FromTo(5, u64::MAX), 10, span(5, 10)),
            (ByteRange::FromTo(5, 4), 10, None),
            (ByteRange::FromTo(10, 12), 10, None),
            (ByteRange::From(9), 10, span(9, 10)),
            (ByteRange::From(10), 10, None),
            (ByteRange::Last(3), 10, span(7, 10)),
            (ByteRange::Last(30), 10, span(0, 10)),
            (ByteRange::Last(0), 10, None),
            (ByteRange::From(0), 0, None),
            (ByteRange::Last(1), 0, None),
        ] {
            assert_eq!(range.within(size), expected, "{range:?} of {size}");
        }
    }

    #[test]
    fn fields_are_read_or_refused() {
        let parse = ContentRange::parse;
        let span = Some(Span { first: 2, end: 6 });
        assert_eq!(parse("bytes 2-5/10"), Some(ContentRange { span, size: Some(10) }));
        assert_eq!(parse("bytes 2-5/*"), Some(ContentRange { span, size: None }));
        assert_eq!(parse("bytes */10"), Some(ContentRange { span: None, size: Some(10) }));
        for bad in [
            "",
            "bytes",
            "bytes 5-2/10",
            "bytes 2-/10",
            "items 2-5/10",
            "bytes +2-5/10",
            "bytes 0-18446744073709551615/1",
        ] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
        assert_eq!(received("bytes=0-524287"), Some(524_288));
        for bad in ["bytes=1-5", "0-5", "bytes=0-", ""] {
            assert_eq!(received(bad), None, "{bad:?}");
        }
    }
}
