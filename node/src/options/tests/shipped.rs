//! The table, and the files that are shipped.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use waku_groupchat_core::api::Config;
use waku_groupchat_waku::PubsubTopic;

use crate::options::source::file;
use crate::options::table::{NOT_CARRIED_OUT, specs};
use crate::options::{Options, help, sample};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn the_table_is_sound() {
    let mut names = BTreeSet::new();
    for spec in specs() {
        assert!(names.insert(spec.name), "{} stands twice", spec.name);
        assert!(!NOT_CARRIED_OUT.contains(&spec.name), "{} is carried out", spec.name);
        assert!(
            spec.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        );
        assert!(spec.name.ends_with(spec.key));
        assert!(help().contains(&format!("  --{}=", spec.name)), "{} has no help", spec.name);
    }
    assert!(NOT_CARRIED_OUT.is_sorted());
    // Builds every section from the defaults alone.
    let _ = Options::default();
}

#[test]
fn the_chat_has_the_defaults_of_its_core() {
    let topic = PubsubTopic::new(0, 0);
    let core = Config::new(topic);
    let options = Options::default().group_chat.core_config(topic);
    assert_eq!(format!("{options:?}"), format!("{core:?}"));
}

#[test]
fn the_sample_file_is_made_from_the_table() {
    let path = root().join("docker/config/waku-groupchat.toml");
    let text = std::fs::read_to_string(path).expect("the sample file");
    assert!(
        text == sample(),
        "docker/config/waku-groupchat.toml is not what `waku-groupchat run --sample` prints"
    );
}

#[test]
fn the_sample_file_holds_the_defaults() {
    let mut settings = file::read(Path::new("sample.toml"), &sample()).expect("good file");
    for spec in specs().filter(|spec| !spec.default.is_empty()) {
        let at = settings.iter().position(|setting| setting.spec.name == spec.name);
        let setting =
            settings.swap_remove(at.unwrap_or_else(|| panic!("{} is left out", spec.name)));
        assert_eq!(setting.texts, [spec.default], "{}", spec.name);
    }
    assert!(settings.iter().all(|setting| setting.texts.is_empty()));
}

#[test]
fn every_shipped_file_is_taken() {
    let mut folders = vec![root().join("docker"), root().join("simulations")];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "toml")
                && path.file_name().is_some_and(|name| name != "Cargo.toml")
            {
                let argument = format!("--config-file={}", path.display());
                Options::load([argument.into()], []).expect("a shipped file is taken");
                seen += 1;
            }
        }
    }
    assert!(seen > 0, "no file was found");
}
