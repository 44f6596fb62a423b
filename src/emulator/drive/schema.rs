//! What the answers of Drive may hold, and what they hold when no mask is given.

use super::fields::Schema::{self, Leaf, Object};

/// A file, with the members that a file of app data never has: naming them is no error.
pub(super) const FILE: Schema = Object(FILE_MEMBERS);

const FILE_MEMBERS: &[(&str, Schema)] = &[
    ("kind", Leaf),
    ("id", Leaf),
    ("name", Leaf),
    ("mimeType", Leaf),
    ("resourceKey", Leaf),
    ("description", Leaf),
    ("starred", Leaf),
    ("trashed", Leaf),
    ("explicitlyTrashed", Leaf),
    ("parents", Leaf),
    ("properties", Leaf),
    ("appProperties", Leaf),
    ("spaces", Leaf),
    ("version", Leaf),
    ("webContentLink", Leaf),
    ("webViewLink", Leaf),
    ("iconLink", Leaf),
    ("hasThumbnail", Leaf),
    ("thumbnailLink", Leaf),
    ("viewedByMe", Leaf),
    ("viewedByMeTime", Leaf),
    ("createdTime", Leaf),
    ("modifiedTime", Leaf),
    ("modifiedByMe", Leaf),
    ("modifiedByMeTime", Leaf),
    ("shared", Leaf),
    ("ownedByMe", Leaf),
    ("owners", Object(USER)),
    ("lastModifyingUser", Object(USER)),
    ("capabilities", Leaf),
    ("originalFilename", Leaf),
    ("fullFileExtension", Leaf),
    ("fileExtension", Leaf),
    ("md5Checksum", Leaf),
    ("sha1Checksum", Leaf),
    ("sha256Checksum", Leaf),
    ("size", Leaf),
    ("quotaBytesUsed", Leaf),
    ("headRevisionId", Leaf),
    ("isAppAuthorized", Leaf),
];

const USER: &[(&str, Schema)] = &[
    ("kind", Leaf),
    ("displayName", Leaf),
    ("photoLink", Leaf),
    ("me", Leaf),
    ("permissionId", Leaf),
    ("emailAddress", Leaf),
];

/// `drive#fileList`.
pub(super) const FILE_LIST: Schema = Object(&[
    ("kind", Leaf),
    ("incompleteSearch", Leaf),
    ("nextPageToken", Leaf),
    ("files", Object(FILE_MEMBERS)),
]);

/// `drive#changeList`.
pub(super) const CHANGE_LIST: Schema = Object(&[
    ("kind", Leaf),
    ("nextPageToken", Leaf),
    ("newStartPageToken", Leaf),
    (
        "changes",
        Object(&[
            ("kind", Leaf),
            ("type", Leaf),
            ("changeType", Leaf),
            ("time", Leaf),
            ("removed", Leaf),
            ("fileId", Leaf),
            ("file", Object(FILE_MEMBERS)),
        ]),
    ),
]);

/// `drive#startPageToken`.
pub(super) const START_TOKEN: Schema = Object(&[("kind", Leaf), ("startPageToken", Leaf)]);

/// `drive#generatedIds`.
pub(super) const GENERATED_IDS: Schema = Object(&[("kind", Leaf), ("space", Leaf), ("ids", Leaf)]);

/// `drive#about`.
pub(super) const ABOUT: Schema = Object(&[
    ("kind", Leaf),
    ("user", Object(USER)),
    (
        "storageQuota",
        Object(&[("limit", Leaf), ("usage", Leaf), ("usageInDrive", Leaf), ("usageInDriveTrash", Leaf)]),
    ),
    ("importFormats", Leaf),
    ("exportFormats", Leaf),
    ("maxImportSizes", Leaf),
    ("maxUploadSize", Leaf),
    ("appInstalled", Leaf),
    ("folderColorPalette", Leaf),
    ("canCreateDrives", Leaf),
]);

/// The members of a file that come unasked.
pub(super) const FILE_DEFAULT: &str = "kind,id,name,mimeType";
/// The members of a listing that come unasked.
pub(super) const FILE_LIST_DEFAULT: &str = "kind,incompleteSearch,nextPageToken,files(kind,id,name,mimeType)";
/// The members of the changes that come unasked.
pub(super) const CHANGE_LIST_DEFAULT: &str = "kind,nextPageToken,newStartPageToken,\
     changes(kind,type,changeType,time,removed,fileId,file(kind,id,name,mimeType))";
