//! The help text and the sample file, made from the table.

use std::fmt::Write as _;

use super::table::{SECTIONS, Spec};
use super::value::Shape;

/// Text is wrapped to this many characters.
const WIDTH: usize = 96;

/// What `run --help` shows.
pub fn help() -> String {
    let mut text = String::from(
        "Run a node until it gets SIGINT or SIGTERM.\n\n\
         Usage: waku-groupchat run [--name=value]...\n\n\
         The same names stand in a TOML file (--config-file) and, as WAKU_GROUPCHAT_<NAME> in upper\n\
         snake case, in the environment. The command line wins over the environment, which wins over\n\
         the file. Keys in a file's table [group-chat] follow group-chat- elsewhere. A list is given\n\
         by repeating the option, by commas in the environment, by an array in the file.\n",
    );
    for section in SECTIONS {
        let _ = write!(text, "\n{}:\n", section.title);
        for spec in section.specs {
            let list = if spec.kind.list { " (may be repeated)" } else { "" };
            let _ = writeln!(text, "  --{}=<{}>{list}", spec.name, short(spec));
            wrap(&mut text, "      ", spec.doc.trim());
            wrap(&mut text, "      ", &format!("{} {}", takes(spec), default(spec)));
        }
    }
    text
}

/// A file with every option at its default: `docker/config/waku-groupchat.toml`.
pub fn sample() -> String {
    let mut text = String::from(
        "# Every option of a waku-groupchat node, at its default. Made from the node's own table of\n\
         # options; a test holds it to that.\n",
    );
    let mut table = "";
    for section in SECTIONS {
        let _ = write!(text, "\n# --- {} ---\n", section.title);
        for spec in section.specs {
            // It names this file; it cannot stand in it.
            if spec.name == "config-file" {
                continue;
            }
            text.push('\n');
            if spec.table != table {
                table = spec.table;
                let _ = write!(text, "[{table}]\n\n");
            }
            wrap(&mut text, "# ", spec.doc.trim());
            wrap(&mut text, "# ", &takes(spec));
            let _ = match value(spec) {
                Some(value) => writeln!(text, "{} = {value}", spec.key),
                None => writeln!(text, "# {} is not set.", spec.key),
            };
        }
    }
    text
}

fn short(spec: &Spec) -> &'static str {
    match spec.kind.shape {
        Shape::Boolean => "true|false",
        Shape::Integer => "number",
        Shape::String => "text",
    }
}

fn takes(spec: &Spec) -> String {
    let list = if spec.kind.list { "a list; each is " } else { "" };
    format!("Takes {list}{}.", spec.kind.expected)
}

fn default(spec: &Spec) -> String {
    match (spec.default, spec.kind.list) {
        ("", true) => "Empty by default.".to_owned(),
        ("", false) => "Not set by default.".to_owned(),
        (default, _) => format!("Default: {default}."),
    }
}

/// The default as TOML; `None` if it is not set.
fn value(spec: &Spec) -> Option<String> {
    match (spec.default, spec.kind.list, spec.kind.shape) {
        ("", true, _) => Some("[]".to_owned()),
        ("", false, _) => None,
        (default, _, Shape::String) => Some(format!("{default:?}")),
        (default, _, _) => Some(default.to_owned()),
    }
}

/// Writes `words` in lines of at most [`WIDTH`] characters, each after `indent`.
fn wrap(text: &mut String, indent: &str, words: &str) {
    let mut line = indent.to_owned();
    for word in words.split_whitespace() {
        if line.len() > indent.len() && line.len() + word.len() >= WIDTH {
            text.push_str(line.trim_end());
            text.push('\n');
            indent.clone_into(&mut line);
        }
        line.push_str(word);
        line.push(' ');
    }
    text.push_str(line.trim_end());
    text.push('\n');
}
