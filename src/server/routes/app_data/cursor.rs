//! Where a page of a listing begins, as text that callers give back unread.

use std::cmp::Reverse;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::super::super::problem::{Code, Problem};
use crate::app_data::After;

pub(super) fn write(after: &After) -> String {
    let fields = (&after.path, after.folder, after.modified_ms.0, after.id.as_str());
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(&fields).expect("texts and numbers are always JSON"))
}

pub(super) fn read(text: &str) -> Result<After, Problem> {
    let invalid = || Problem::new(Code::CursorInvalid);
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid())?;
    let (path, folder, modified_ms, id): (String, bool, i64, String) =
        serde_json::from_slice(&bytes).map_err(|_| invalid())?;
    Ok(After { path, folder, modified_ms: Reverse(modified_ms), id: id.parse().map_err(|_| invalid())? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_was_or_is_refused() {
        let after = After {
            path: "a/\u{fc}\n".to_owned(),
            folder: true,
            modified_ms: Reverse(-5),
            id: "f1".parse().expect("an id"),
        };
        let text = write(&after);
        assert_eq!(read(&text).expect("a cursor"), after);
        for bad in ["", "x", &text[1..], &URL_SAFE_NO_PAD.encode(r#"["a",true,1,"no id!"]"#), "%"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
