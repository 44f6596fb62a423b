//! `multipart/related` (RFC 2387) with the two parts of an upload: metadata, then content.
//!
//! Bytes are pushed in as they come and content is passed on at once, so that no more than a piece of it
//! is ever held here.

use super::refusal::Refused;

/// The most bytes of the metadata, or of one part's header fields.
const MAX_HEAD: usize = 1 << 20;

/// A reader of one body.
#[derive(Debug)]
pub(super) struct Multipart {
    /// `\r\n--` and the boundary.
    delimiter: Vec<u8>,
    buffer: Vec<u8>,
    state: State,
    metadata: Vec<u8>,
    media_type: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In the body of a part: 0 is what comes before the first.
    Body(usize),
    /// Behind the delimiter before a part.
    Delimited(usize),
    /// In the header fields of a part.
    Fields(usize),
    /// Behind the last delimiter.
    Done,
}

fn malformed() -> Refused {
    Refused::bad("Malformed multipart body.")
}

fn position(buffer: &[u8], wanted: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(place) = buffer[from..].iter().position(|byte| *byte == wanted[0]) {
        if buffer[from + place..].starts_with(wanted) {
            return Some(from + place);
        }
        from += place + 1;
    }
    None
}

impl Multipart {
    /// A reader for a `Content-Type` of `multipart/related` with a boundary.
    ///
    /// # Errors
    /// 400 for any other type.
    pub(super) fn new(content_type: Option<&str>) -> Result<Self, Refused> {
        let kind = content_type.and_then(|text| text.parse::<mime::Mime>().ok());
        let kind = kind.filter(|kind| kind.type_() == mime::MULTIPART && kind.subtype() == "related");
        let boundary = kind.as_ref().and_then(|kind| kind.get_param(mime::BOUNDARY));
        let boundary = boundary.ok_or_else(|| {
            Refused::bad("Content-Type must be multipart/related with a boundary for uploadType=multipart.")
        })?;
        Ok(Self {
            delimiter: format!("\r\n--{boundary}").into_bytes(),
            // The first delimiter may stand at the very beginning.
            buffer: b"\r\n".to_vec(),
            state: State::Body(0),
            metadata: Vec::new(),
            media_type: None,
        })
    }

    /// Takes the next bytes and gives back the content that is in them.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Refused> {
        self.buffer.extend_from_slice(bytes);
        let mut content = Vec::new();
        while self.step(&mut content)? {}
        Ok(content)
    }

    /// Whether there is more to do with what is in the buffer.
    fn step(&mut self, content: &mut Vec<u8>) -> Result<bool, Refused> {
        match self.state {
            State::Body(part) => {
                let found = position(&self.buffer, &self.delimiter);
                let end = found.unwrap_or((self.buffer.len() + 1).saturating_sub(self.delimiter.len()));
                match part {
                    0 => {}
                    1 => self.metadata.extend_from_slice(&self.buffer[..end]),
                    _ => content.extend_from_slice(&self.buffer[..end]),
                }
                if self.metadata.len() > MAX_HEAD {
                    return Err(malformed());
                }
                self.buffer.drain(..end + if found.is_some() { self.delimiter.len() } else { 0 });
                if found.is_some() {
                    self.state = State::Delimited(part + 1);
                }
                Ok(found.is_some())
            }
            State::Delimited(part) => {
                let Some(two) = self.buffer.get(..2) else { return Ok(false) };
                self.state = match (two, part) {
                    (b"--", 3..) => State::Done,
                    (b"\r\n", 1 | 2) => State::Fields(part),
                    _ => return Err(malformed()),
                };
                Ok(true)
            }
            State::Fields(part) => {
                // The line break behind the delimiter is still there, so no field at all is seen too.
                let Some(end) = position(&self.buffer, b"\r\n\r\n") else {
                    return if self.buffer.len() > MAX_HEAD { Err(malformed()) } else { Ok(false) };
                };
                let fields = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
                self.buffer.drain(..end + 4);
                self.read_fields(part, &fields)?;
                self.state = State::Body(part);
                Ok(true)
            }
            State::Done => {
                self.buffer.clear();
                Ok(false)
            }
        }
    }

    fn read_fields(&mut self, part: usize, fields: &str) -> Result<(), Refused> {
        for (name, value) in fields.lines().filter_map(|line| line.split_once(':')) {
            let (name, value) = (name.trim(), value.trim());
            if name.eq_ignore_ascii_case("content-transfer-encoding")
                && !["binary", "8bit", "7bit"].iter().any(|known| value.eq_ignore_ascii_case(known))
            {
                return Err(Refused::bad(
                    "The emulator takes parts as they are: Content-Transfer-Encoding: binary.",
                ));
            }
            if part == 2 && name.eq_ignore_ascii_case("content-type") {
                self.media_type = Some(value.to_owned());
            }
        }
        Ok(())
    }

    /// The metadata and the content's media type, once everything has come.
    ///
    /// # Errors
    /// 400 when the last delimiter is missing.
    pub(super) fn finish(self) -> Result<(Vec<u8>, Option<String>), Refused> {
        if self.state == State::Done { Ok((self.metadata, self.media_type)) } else { Err(malformed()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: &str = "multipart/related; boundary=\"B=x\"";

    type Parts = (Vec<u8>, Option<String>, Vec<u8>);

    fn read(body: &[u8], piece: usize) -> Result<Parts, Refused> {
        let mut reader = Multipart::new(Some(KIND))?;
        let mut content = Vec::new();
        for bytes in body.chunks(piece) {
            content.extend(reader.push(bytes)?);
        }
        let (metadata, kind) = reader.finish()?;
        Ok((metadata, kind, content))
    }

    fn body(content: &[u8]) -> Vec<u8> {
        let head =
            b"--B=x\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{\"name\":\"n\"}\r\n--B=x\r\n\
            content-type: image/png\r\n\r\n";
        [head, content, b"\r\n--B=x--\r\n"].concat()
    }

    #[test]
    fn parts_come_apart_however_they_arrive() {
        for content in [&b""[..], b"x", b"\r\n", b"\r\n--B=", b"\r\n--B\r\n--B=y\r\n\r\n--", &[7; 5000]] {
            for piece in [1, 2, 3, 7, 64, 100_000] {
                let (metadata, kind, read) = read(&body(content), piece).expect("two parts");
                assert_eq!(
                    (metadata.as_slice(), kind.as_deref()),
                    (&b"{\"name\":\"n\"}"[..], Some("image/png"))
                );
                assert_eq!(read, content);
            }
        }
        let unnamed = b"ignored\r\n--B=x\r\n\r\n{}\r\n--B=x\r\n\r\nabc\r\n--B=x--";
        assert_eq!(read(unnamed, 5).expect("two parts"), (b"{}".to_vec(), None, b"abc".to_vec()));
    }

    #[test]
    fn what_is_not_whole_is_refused() {
        let whole = body(b"abc");
        // Behind the closing mark only a line break may be missing.
        for end in 0..whole.len() - 2 {
            assert!(read(&whole[..end], 9).is_err(), "{end}");
        }
        assert!(read(b"--B=x\r\n\r\n{}\r\n--B=x--", 9).is_err());
        assert!(read(b"--B=x\r\n\r\n{}\r\n--B=x\r\n\r\na\r\n--B=x\r\n\r\nb\r\n--B=x--", 9).is_err());
        let encoded = b"--B=x\r\n\r\n{}\r\n--B=x\r\nContent-Transfer-Encoding: base64\r\n\r\nYQ==\r\n--B=x--";
        assert!(read(encoded, 9).is_err());
        for kind in [None, Some("multipart/form-data; boundary=a"), Some("multipart/related"), Some("x")] {
            assert!(Multipart::new(kind).is_err());
        }
    }
}
