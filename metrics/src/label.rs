//! Label values: enums, and the pubsub topic of a shard.

use std::fmt;

/// A label of a metric whose values are known beforehand.
pub trait Label: Copy + fmt::Debug + 'static {
    /// The label's name.
    const NAME: &'static str;
    /// Every value it can take.
    const ALL: &'static [Self];

    /// The value as text.
    fn as_str(self) -> &'static str;
}

/// Declares an enum that is a [`Label`]: the label's name, then each variant with its text.
macro_rules! label {
    (
        $(#[$doc:meta])*
        $vis:vis enum $name:ident, $label:literal { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        $vis enum $name {
            $($(#[$vdoc])* $variant,)+
        }

        impl $crate::label::Label for $name {
            const NAME: &'static str = $label;
            const ALL: &'static [Self] = &[$(Self::$variant,)+];

            fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }
    };
}
pub(crate) use label;

/// A pubsub topic that the node is subscribed to, as the label `topic`:
/// `/waku/2/rs/<cluster>/<shard>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard {
    cluster: u16,
    shard: u16,
}

impl Shard {
    pub(crate) const LABEL: &'static str = "topic";

    /// A shard of a cluster.
    pub const fn new(cluster: u16, shard: u16) -> Self {
        Self { cluster, shard }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/waku/2/rs/{}/{}", self.cluster, self.shard)
    }
}
