//! The terminal while the run works: a line for each step that is done, a spinner for the next.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use console::{measure_text_width, style, truncate_str};
use indicatif::{ProgressBar, ProgressStyle};

/// How often the spinner turns.
const TURN: Duration = Duration::from_millis(100);
/// Most columns of a line's text in the spinner.
const TEXT_COLUMNS: usize = 48;

/// Shows how the run goes on.
#[derive(Debug)]
pub struct Ui {
    bar: ProgressBar,
    start: Instant,
    steps: RefCell<BTreeMap<String, f64>>,
}

impl Default for Ui {
    fn default() -> Self {
        Self::new()
    }
}

impl Ui {
    /// The clock starts.
    pub fn new() -> Self {
        let bar = ProgressBar::new_spinner();
        bar.set_style(spinner("{spinner:.cyan} {wide_msg}"));
        bar.enable_steady_tick(TURN);
        Self { bar, start: Instant::now(), steps: RefCell::new(BTreeMap::new()) }
    }

    /// What is being done now.
    pub fn doing(&self, what: &str) {
        self.bar.set_message(what.to_owned());
    }

    /// The talk begins, of this many lines.
    pub fn talk(&self, lines: usize) {
        self.bar.set_length(u64::try_from(lines).unwrap_or(u64::MAX));
        self.bar.set_style(spinner("{spinner:.cyan} {pos:>3}/{len} {bar:20.cyan/dim} {wide_msg}"));
    }

    /// A line is being said; `line` counts from 0.
    pub fn line(&self, line: usize, speaker: &str, text: &str) {
        self.bar.set_position(u64::try_from(line + 1).unwrap_or(u64::MAX));
        let text = truncate_str(text, TEXT_COLUMNS, "…").into_owned();
        self.bar.set_message(format!("{speaker}: {text}"));
    }

    /// A step is done: its name in the report, and what to show.
    pub fn done(&self, step: &str, what: &str) {
        let at = self.seconds();
        self.steps.borrow_mut().insert(step.to_owned(), at);
        let time = style(format!("{at:5.1} s")).dim();
        self.print(&format!("{} {time}  {what}", style("✓").green()));
    }

    /// Prints a line above the spinner, or just prints it where there is no terminal.
    pub fn print(&self, line: &str) {
        self.bar.suspend(|| println!("{line}"));
    }

    /// No more steps: the spinner goes.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// When each step was done, in seconds since the start.
    pub fn steps(&self) -> BTreeMap<String, f64> {
        let mut steps = self.steps.borrow().clone();
        steps.insert("total".to_owned(), self.seconds());
        steps
    }

    /// Since the start, to the tenth.
    fn seconds(&self) -> f64 {
        (self.start.elapsed().as_secs_f64() * 10.0).round() / 10.0
    }
}

/// The template is a constant: where it does not parse, the default style shows the same.
fn spinner(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// Pads with spaces to a number of columns; wide characters count as two.
pub fn pad(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(measure_text_width(text))))
}
