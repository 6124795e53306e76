//! What a benchmark found, for people and for [`super::document`].

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::machine::Machine;

/// One run of one benchmark.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Results {
    /// The subcommand, which is also the file's name and the marker's in the document.
    pub name: String,
    /// Where and when.
    pub machine: Machine,
    /// What was compared, by name: its version.
    pub versions: BTreeMap<String, String>,
    /// How it was measured, a sentence or two each.
    pub setup: Vec<String>,
    /// The figures.
    pub tables: Vec<Table>,
    /// What was hoped for.
    pub aims: Vec<Aim>,
    /// All that was measured, for programs; its shape is the benchmark's own.
    pub raw: Value,
}

/// A table for people.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Table {
    /// What it shows.
    pub title: String,
    /// Heads of the columns; the first one is left-aligned, the others are figures.
    pub columns: Vec<String>,
    /// Cells, as many a row as there are columns.
    pub rows: Vec<Vec<String>>,
}

/// A figure that was hoped for, and what was measured.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Aim {
    /// Of what.
    pub what: String,
    /// The hope, with its unit.
    pub aim: String,
    /// The measurement, with its unit.
    pub measured: String,
    /// Whether the measurement is as good as the hope.
    pub met: bool,
}

impl Aim {
    /// An aim that is met by at least this much.
    pub fn at_least(what: &str, aim: f64, measured: f64, unit: &str) -> Self {
        Self::new(what, "at least", aim, measured, unit, measured >= aim)
    }

    /// An aim that is met by at most this much.
    pub fn at_most(what: &str, aim: f64, measured: f64, unit: &str) -> Self {
        Self::new(what, "at most", aim, measured, unit, measured <= aim)
    }

    fn new(what: &str, bound: &str, aim: f64, measured: f64, unit: &str, met: bool) -> Self {
        let off =
            if met { String::new() } else { format!(", {:.2} times the aim", measured / aim) };
        Self {
            what: what.to_owned(),
            aim: format!("{bound} {} {unit}", number(aim)),
            measured: format!("{} {unit}{off}", number(measured)),
            met,
        }
    }
}

/// Three significant digits or all of the whole ones, with a comma between thousands.
pub fn number(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 100.0 || size == 0.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let (sign, digits) = whole.split_at(whole.len() - whole.trim_start_matches('-').len());
    let mut grouped = String::from(sign);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if fraction.is_empty() { grouped } else { format!("{grouped}.{fraction}") }
}

/// How many times `other` a figure is: `2.1 ×`; a dash where there is nothing to compare with.
pub fn ratio(value: f64, other: f64) -> String {
    if other > 0.0 { format!("{} ×", number(value / other)) } else { "–".to_owned() }
}

impl Results {
    /// The file of a benchmark in the folder of results.
    pub fn file(folder: &Path, name: &str) -> PathBuf {
        folder.join(format!("{name}.json"))
    }

    /// Writes it into the folder of results, which is made if it is missing.
    pub fn write(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let file = Self::file(folder, &self.name);
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(&file, text).with_context(|| file.display().to_string())?;
        Ok(file)
    }

    /// Reads one that was written.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        serde_json::from_str(&text).with_context(|| file.display().to_string())
    }

    /// All of it but the raw figures, in Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!("{}\n", self.machine);
        if !self.versions.is_empty() {
            let versions: Vec<_> =
                self.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
            let _ = writeln!(text, "Compared: {}.", versions.join(", "));
        }
        for line in &self.setup {
            let _ = write!(text, "\n- {line}");
        }
        text.push('\n');
        for table in &self.tables {
            let _ = write!(text, "\n**{}**\n\n{}", table.title, table.markdown());
        }
        if !self.aims.is_empty() {
            let _ = write!(text, "\n**Aims**\n\n{}", aims(&self.aims).markdown());
        }
        text
    }
}

fn aims(aims: &[Aim]) -> Table {
    let met = |aim: &Aim| if aim.met { "yes" } else { "no" }.to_owned();
    Table {
        title: "Aims".to_owned(),
        columns: ["what", "aim", "measured", "met"].map(str::to_owned).to_vec(),
        rows: aims
            .iter()
            .map(|a| vec![a.what.clone(), a.aim.clone(), a.measured.clone(), met(a)])
            .collect(),
    }
}

impl Table {
    /// A table without rows.
    pub fn new(title: &str, columns: &[&str]) -> Self {
        let columns = columns.iter().map(|&column| column.to_owned()).collect();
        Self { title: title.to_owned(), columns, rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.to_vec());
    }

    /// As Markdown, with columns as wide as their widest cell, so that it can be read as it is.
    pub fn markdown(&self) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            let widths = cells.chain(self.columns.get(column)).map(|cell| cell.chars().count());
            widths.max().unwrap_or_default().max(3)
        };
        let widths: Vec<_> = (0..self.columns.len()).map(width).collect();
        let mut text = line(&self.columns, &widths);
        let rule = widths.iter().enumerate().map(|(index, width)| match index {
            0 => "-".repeat(*width),
            _ => "-".repeat(width - 1) + ":",
        });
        text += &line(&rule.collect::<Vec<_>>(), &widths);
        for row in &self.rows {
            text += &line(row, &widths);
        }
        text
    }
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let mut line = String::from("|");
    for (index, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let _ = match index {
            0 => write!(line, " {cell:<width$} |"),
            _ => write!(line, " {cell:>width$} |"),
        };
    }
    line + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (0.1234, "0.123"),
            (1.239, "1.24"),
            (45.67, "45.7"),
            (999.4, "999"),
            (1_234.5, "1,234"),
            (12_345_678.0, "12,345,678"),
            (-1_234.0, "-1,234"),
        ] {
            assert_eq!(number(value), text);
        }
        assert_eq!(ratio(6_000.0, 3_000.0), "2.00 ×");
        assert_eq!(ratio(1.0, 0.0), "–");
    }

    #[test]
    fn an_aim_says_by_how_much_it_is_missed() {
        let aim = Aim::at_least("accepted", 6_000.0, 4_500.0, "a second");
        assert!(!aim.met);
        assert_eq!(aim.aim, "at least 6,000 a second");
        assert_eq!(aim.measured, "4,500 a second, 0.75 times the aim");
        assert!(Aim::at_most("memory", 100.0, 99.0, "MB").met);
    }

    #[test]
    fn a_table_is_aligned() {
        let mut table = Table::new("t", &["what", "ours"]);
        table.row(["accepted".to_owned(), "6,000".to_owned()]);
        let lines = "| what     |  ours |\n| -------- | ----: |\n| accepted | 6,000 |\n";
        assert_eq!(table.markdown(), lines);
    }
}
