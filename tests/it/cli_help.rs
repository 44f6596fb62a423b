//! The words of `--help`: a change of them is seen here first.

use crate::program::Folder;

#[test]
fn every_command_explains_itself() {
    let folder = Folder::empty();
    let commands: [&[&str]; 31] = [
        &[],
        &["serve"],
        &["status"],
        &["demo"],
        &["emulator"],
        &["init"],
        &["config", "show"],
        &["config", "check"],
        &["user"],
        &["user", "list"],
        &["user", "show"],
        &["user", "token"],
        &["user", "refresh"],
        &["user", "forget"],
        &["connect"],
        &["invite"],
        &["key"],
        &["key", "create"],
        &["key", "list"],
        &["key", "rotate"],
        &["drive"],
        &["drive", "ls"],
        &["drive", "get"],
        &["drive", "put"],
        &["drive", "rm"],
        &["events"],
        &["admin"],
        &["admin", "link"],
        &["admin", "sign-out"],
        &["vault", "backup"],
        &["vault", "restore"],
    ];
    let mut all = String::new();
    for command in commands {
        let ended = folder.run(&[command, &["--help"]].concat()).expect(0);
        all.push_str(&format!("$ locum {}\n{}\n", [command, &["--help"]].concat().join(" "), ended.stdout()));
    }
    insta::assert_snapshot!(all);
}
