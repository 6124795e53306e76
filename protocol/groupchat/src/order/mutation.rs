//! Faults put into the choice on purpose, so that the tests of the standing path can be tested. Only
//! tests can: elsewhere [`is_active`] is `false` whatever it is asked, and folds away.

/// A fault in the choice of the standing path.
#[cfg_attr(not(feature = "mutations"), expect(unreachable_pub, reason = "public for simulations"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// Among branches of one weight, the one that came first stands.
    #[cfg_attr(not(any(test, feature = "mutations")), expect(dead_code, reason = "for tests"))]
    NoTieBreak,
    /// Commits count whoever was removed or demoted meanwhile.
    VoidIgnored,
    /// A path weighs the number of its commits, not of its accounts.
    WeightByCommits,
    /// A leaf is named by its installation alone, so who was removed and comes back is the old one.
    LeavesByInstallation,
    /// Leaves that a branch added count on it.
    AddedLeavesCount,
}

#[cfg(not(any(test, feature = "mutations")))]
pub(super) const fn is_active(_: Mutation) -> bool {
    false
}

#[cfg(any(test, feature = "mutations"))]
pub(super) use switch::is_active;
#[cfg(feature = "mutations")]
pub use switch::mutate;
#[cfg(all(test, not(feature = "mutations")))]
pub(super) use switch::mutate;

#[cfg(any(test, feature = "mutations"))]
mod switch {
    use std::cell::Cell;

    use super::Mutation;

    #[cfg_attr(not(feature = "mutations"), expect(unreachable_pub, reason = "as above"))]
    impl Mutation {
        /// All of them.
        pub const ALL: [Self; 5] = [
            Self::NoTieBreak,
            Self::VoidIgnored,
            Self::WeightByCommits,
            Self::LeavesByInstallation,
            Self::AddedLeavesCount,
        ];
    }

    thread_local! {
        static ACTIVE: Cell<Option<Mutation>> = const { Cell::new(None) };
    }

    /// Runs something with a fault in this thread's choices.
    #[cfg_attr(not(feature = "mutations"), expect(unreachable_pub, reason = "as above"))]
    pub fn mutate<T>(mutation: Mutation, run: impl FnOnce() -> T) -> T {
        struct Restore(Option<Mutation>);
        impl Drop for Restore {
            fn drop(&mut self) {
                ACTIVE.set(self.0);
            }
        }
        let _restore = Restore(ACTIVE.replace(Some(mutation)));
        run()
    }

    pub(in crate::order) fn is_active(mutation: Mutation) -> bool {
        ACTIVE.get() == Some(mutation)
    }
}
