//! Drive v3, as much of it as a person's app data needs (`https://www.googleapis.com/drive/v3`).

mod file;

pub use file::{Change, ChangePage, ChangesEnd, DriveFile, FileId, FileKind, InvalidFileId, Page, PageToken};
