//! Prepares the dashboard's files for the binary: each as it is and, beside it, compressed with brotli.
//!
//! The outcome depends on `assets/dashboard` alone, so a build can be repeated byte for byte. Addresses of
//! styles and pictures in `index.html` get a `?v=` of their content, so that browsers may keep them for
//! good. Scripts do not: a module that is imported under two addresses would run twice.

use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

const SOURCE: &str = "assets/dashboard";

/// What the server knows the type of; `src/server/dashboard/assets.rs` has the same list.
const SERVED: [&str; 6] = ["css", "html", "ico", "js", "png", "svg"];
/// What is worth being compressed.
const TEXT: [&str; 4] = ["css", "html", "js", "svg"];
/// What may get a version in its address.
const VERSIONED: [&str; 4] = ["css", "ico", "png", "svg"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={SOURCE}");
    #[expect(clippy::disallowed_methods, reason = "Cargo tells a build script by this where to write")]
    let out = std::env::var_os("OUT_DIR").ok_or("Cargo sets OUT_DIR")?;
    let out = PathBuf::from(out);
    let target = out.join("dashboard");
    // A file that is gone from the sources must not stay in the binary.
    match fs::remove_dir_all(&target) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => fs::create_dir_all(&target)?,
    }
    let files = files(Path::new(SOURCE), Path::new(""))?;
    for name in &files {
        let mut content = fs::read(Path::new(SOURCE).join(name))?;
        if name == Path::new("index.html") {
            content = with_versions(&String::from_utf8(content)?, &files)?.into_bytes();
        }
        let path = target.join(name);
        fs::create_dir_all(path.parent().ok_or("a file is in a folder")?)?;
        fs::write(&path, &content)?;
        if is_of(name, &TEXT) {
            let compressed = compress(&content)?;
            if compressed.len() < content.len() {
                let mut beside = path.into_os_string();
                beside.push(".br");
                fs::write(beside, compressed)?;
            }
        }
    }
    // rust-embed can expand variables in the name of a folder only with the help of a dozen more crates.
    let folder = target.to_str().ok_or("the folder of a build has a name in UTF-8")?;
    let embedded = format!("#[derive(rust_embed::RustEmbed)]\n#[folder = {folder:?}]\nstruct Files;\n");
    fs::write(out.join("dashboard.rs"), embedded)?;
    Ok(())
}

fn is_of(name: &Path, extensions: &[&str]) -> bool {
    name.extension().is_some_and(|own| extensions.iter().any(|known| own == *known))
}

/// The files to serve, in the order of their names. Licences and tools beside them stay out.
fn files(root: &Path, folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut entries = fs::read_dir(root.join(folder))?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    let mut found = Vec::new();
    for entry in entries {
        let name = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            found.extend(files(root, &name)?);
        } else if is_of(&name, &SERVED) {
            found.push(name);
        }
    }
    Ok(found)
}

fn with_versions(index: &str, files: &[PathBuf]) -> Result<String, Box<dyn Error>> {
    let mut index = index.to_owned();
    for name in files.iter().filter(|name| is_of(name, &VERSIONED)) {
        let address = format!("\"/dashboard/assets/{}\"", name.to_str().ok_or("names are UTF-8")?);
        let digest = Sha256::digest(fs::read(Path::new(SOURCE).join(name))?);
        let version: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        index = index.replace(&address, &format!("{}?v={version}\"", &address[..address.len() - 1]));
    }
    Ok(index)
}

fn compress(content: &[u8]) -> io::Result<Vec<u8>> {
    let parameters = brotli::enc::BrotliEncoderParams { quality: 11, lgwin: 22, ..Default::default() };
    let mut compressed = Vec::new();
    brotli::BrotliCompress(&mut &content[..], &mut compressed, &parameters)?;
    Ok(compressed)
}
