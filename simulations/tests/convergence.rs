//! Groups that all change at once on bad networks, from seeds: everybody ends in one state.

use waku_groupchat_simulations::convergence::many::many;

/// `SEED` names one seed alone, `SEEDS` how many instead of `count`.
fn seeds(count: u64) -> (u64, u64) {
    let number = |name: &str| -> Option<u64> {
        std::env::var(name).ok().map(|text| text.parse().expect("a number"))
    };
    match number("SEED") {
        Some(seed) => (seed, 1),
        None => (0, number("SEEDS").unwrap_or(count)),
    }
}

#[test]
fn whoever_changes_a_group_at_whatever_time_all_end_in_one_state() {
    let (from, count) = seeds(100);
    let report = many(from, count, usize::MAX, |seed, trouble| {
        for line in trouble.into_iter().flatten() {
            println!("seed {seed}: {line}");
        }
    });
    println!("{} passed: {:?}", report.passed, report.counts);
    assert!(report.failed.is_empty(), "seeds {:?} failed", report.failed);
    if count > 1 {
        let counts = &report.counts;
        assert!(counts.forks > 0 && counts.rewinds.len() > 1, "seeds that try nothing");
        assert!(counts.crashes > 0 && counts.splits > 0 && counts.removed > 0, "nor go wrong");
    }
}
