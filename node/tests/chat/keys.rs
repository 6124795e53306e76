//! Key and token files that cannot be used: the node does not start, says which file it is and what to
//! do, and leaves the file as it is.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

const GOOD: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n";

/// What a node says that does not start.
fn refused(dir: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_waku-groupchat"))
        .args(["run", "--listen-address=127.0.0.1", "--tcp-port=0", "--rest-port=0"])
        .arg("--cluster-id=16")
        .arg(format!("--data-dir={}", dir.display()))
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(1), "it fails, and does not crash");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_key_file_that_cannot_be_used_stops_the_start_and_stays() {
    for file in ["keys/nodekey", "api-token"] {
        for (content, mode, remedy) in [
            (GOOD.as_bytes(), 0o640, "chmod 600"),
            (&GOOD.as_bytes()[..20], 0o600, "64 hex digits"),
            (b"", 0o600, "64 hex digits"),
            (b"not a key at all", 0o600, "64 hex digits"),
            (&[0xff; 64], 0o600, "64 hex digits"),
        ] {
            let dir = tempfile::tempdir().expect("a folder");
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(&path, content).expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("own");
            let said = refused(dir.path());
            let named = said.contains(&path.display().to_string()) && said.contains(remedy);
            assert!(named, "{file} {mode:o} {content:?}: {said}");
            assert!(!said.contains(GOOD.trim()), "the key is not shown: {said}");
            assert_eq!(fs::read(&path).expect("still there"), content);
            let names = fs::read_dir(path.parent().expect("a folder")).expect("a folder");
            let beside = names.filter(|name| {
                name.as_ref().is_ok_and(|n| n.file_name().to_string_lossy().ends_with(".new"))
            });
            assert_eq!(beside.count(), 0, "nothing left over");
        }
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join(file);
        fs::create_dir_all(path.join("inside")).expect("made");
        let said = refused(dir.path());
        let named = said.contains(&path.display().to_string()) && said.contains("not a file");
        assert!(named && path.join("inside").is_dir(), "{said}");
    }
}
