//! Faults put in on purpose, so that the tests of order, and the simulator, can be tested. Only they
//! can: elsewhere [`is_active`] is `false` whatever it is asked, and folds away.

/// A fault put in on purpose.
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
    /// Commits are taken whatever roles and policy say.
    NoPolicyCheck,
    /// A message whose number is held is taken as a new one.
    NumbersRepeat,
    /// A message that was sent once is not sent again: not where no Store has it, not where its
    /// branch lost its place, and not for members that miss it.
    NothingResent,
}

#[cfg(not(any(test, feature = "mutations")))]
pub(crate) const fn is_active(_: Mutation) -> bool {
    false
}

#[cfg(any(test, feature = "mutations"))]
pub(crate) use switch::is_active;
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
        /// Those of the choice of the standing path.
        pub const OF_THE_CHOICE: [Self; 5] = [
            Self::NoTieBreak,
            Self::VoidIgnored,
            Self::WeightByCommits,
            Self::LeavesByInstallation,
            Self::AddedLeavesCount,
        ];

        /// All of them.
        #[cfg(feature = "mutations")]
        pub const ALL: [Self; 8] = [
            Self::NoTieBreak,
            Self::VoidIgnored,
            Self::WeightByCommits,
            Self::LeavesByInstallation,
            Self::AddedLeavesCount,
            Self::NoPolicyCheck,
            Self::NumbersRepeat,
            Self::NothingResent,
        ];
    }

    thread_local! {
        static ACTIVE: Cell<Option<Mutation>> = const { Cell::new(None) };
    }

    /// Runs something with a fault in what this thread does.
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

    pub(crate) fn is_active(mutation: Mutation) -> bool {
        ACTIVE.get() == Some(mutation)
    }
}
