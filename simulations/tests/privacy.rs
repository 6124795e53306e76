//! What registering shows, in small: real cores over days, an observer of everything, and classifiers
//! that find what was planted. `make report` measures it in full.

use waku_groupchat_simulations::privacy::measure::{Extent, measure};
use waku_groupchat_simulations::privacy::report::PLANTED;

/// What chance gives at this size, with room: a leak like the planted ones gives over 0.9.
const CHANCE: f64 = 0.35;

#[test]
fn registering_shows_neither_the_account_nor_its_installations() {
    let report = measure(&Extent::SMALL, &mut |what| println!("{what}"));
    println!("{report:#?}");
    assert_eq!(report.shape_failures(), Vec::<String>::new());
    let most = report.parts.iter().map(|parts| parts.installations).max();
    assert!(report.parts.len() > 2 && most > Some(3), "accounts of several sizes");
    assert!(report.parts.iter().all(|parts| (parts.fewest, parts.most) == (8, 8)));
    assert!(report.linked > 10 && report.revoked > 0, "{} and {}", report.linked, report.revoked);
    assert!(report.rotated > 0 && report.recovered > 0, "{} {}", report.rotated, report.recovered);
    for attack in &report.attacks {
        assert!(attack.samples >= 200, "{attack:?}");
        if attack.planted {
            assert!(attack.advantage >= PLANTED, "{attack:?} is to be found");
        } else {
            assert!(attack.advantage.abs() < CHANCE, "{attack:?}");
        }
    }
    assert_eq!(report.attacks.iter().filter(|attack| attack.planted).count(), 2);
}
