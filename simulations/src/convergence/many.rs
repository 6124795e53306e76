//! Many seeds, on all cores of the machine.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::plan::Deeds;
use super::report::{Counts, Report};
use super::{Outcome, run};

/// Lines of what was done that are shown with a failure.
const SHOWN: usize = 12;

/// What is wrong with a seed, with the last of what was done.
pub type Trouble = Vec<String>;

/// One seed; a panic is a failure too.
pub fn one(seed: u64, most: usize, deeds: Deeds) -> (Counts, Option<Trouble>) {
    let done = catch_unwind(AssertUnwindSafe(|| run(seed, most, deeds, false)));
    let Outcome { mut failures, counts, log, .. } = match done {
        Ok(outcome) => outcome,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("?");
            return (Counts::default(), Some(vec![format!("it panics: {text}")]));
        }
    };
    if failures.is_empty() {
        return (counts, None);
    }
    failures.extend(log.iter().skip(log.len().saturating_sub(SHOWN)).cloned());
    (counts, Some(failures))
}

/// Carries out `seeds` seeds from `from` on. `told` hears of each as it is done.
pub fn many(
    from: u64,
    seeds: u64,
    most: usize,
    deeds: Deeds,
    told: impl Fn(u64, Option<&Trouble>) + Sync,
) -> Report {
    let begun = Instant::now();
    let next = AtomicU64::new(from);
    let done: Mutex<(Counts, BTreeMap<u64, Trouble>)> = Mutex::default();
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from + seeds {
                break;
            }
            let (counts, trouble) = one(seed, most, deeds);
            told(seed, trouble.as_ref());
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            done.0 += &counts;
            done.1.extend(trouble.map(|trouble| (seed, trouble)));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
    let (counts, failed) = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    Report {
        commit: String::new(),
        seed_from: from,
        seeds,
        passed: seeds - failed.len() as u64,
        failed: failed.into_keys().collect(),
        seconds: begun.elapsed().as_secs_f64(),
        counts,
    }
}
