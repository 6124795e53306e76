//! Puts results into a document, between markers.
//!
//! A benchmark's part of the document begins with the line `<!-- bench:NAME -->` and ends with
//! `<!-- /bench:NAME -->`. What stands between is replaced; the rest is left as it is.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail, ensure};

use super::results::Results;

/// Replaces the part of each benchmark that has results in `folder`; gives their names. A part
/// without results stays as it is; results without a part are an error.
pub fn compose(document: &Path, folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut text = fs::read_to_string(document).with_context(|| document.display().to_string())?;
    let mut names = Vec::new();
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for entry in entries {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "json") {
            let results = Results::read(&file)?;
            text = replace(&text, &results.name, &results.markdown())?;
            names.push(results.name);
        }
    }
    ensure!(!names.is_empty(), "no results in {}", folder.display());
    fs::write(document, text).with_context(|| document.display().to_string())?;
    names.sort();
    Ok(names)
}

/// The text with another part between the markers of `name`.
fn replace(text: &str, name: &str, part: &str) -> anyhow::Result<String> {
    let (begin, end) = (format!("<!-- bench:{name} -->\n"), format!("<!-- /bench:{name} -->"));
    let Some((before, rest)) = text.split_once(&begin) else {
        bail!("the document has no line {}", begin.trim_end());
    };
    let Some((_, after)) = rest.split_once(&end) else { bail!("the document has no line {end}") };
    Ok(format!("{before}{begin}\n{}\n\n{end}{after}", part.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_markers_changes() {
        let text = "a\n<!-- bench:x -->\nold\n<!-- /bench:x -->\nb\n";
        let once = replace(text, "x", "new\n").expect("marked");
        assert_eq!(once, "a\n<!-- bench:x -->\n\nnew\n\n<!-- /bench:x -->\nb\n");
        assert_eq!(replace(&once, "x", "new").expect("marked"), once);
        assert!(replace(text, "y", "new").is_err());
        assert!(replace("<!-- bench:x -->\n", "x", "new").is_err());
    }
}
