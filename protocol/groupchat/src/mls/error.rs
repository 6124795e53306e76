//! Local faults, and reasons to refuse what others sent.

use openmls::framing::errors::{MessageDecryptionError, SecretTreeError};
use openmls::group::{ProcessMessageError, ProposalValidationError, ValidationError, WelcomeError};
use openmls::prelude::KeyPackageVerifyError;

use super::keys::Tag;
use crate::store::StoreError;

/// The storage provider failed: the disk, or a record that does not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StorageError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("MLS record {tag:?}")]
    Codec {
        tag: Tag,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A record of a group without a state's namespace.
    #[error("MLS record {0:?} of a group outside of a state")]
    NoState(Tag),
    #[error("keeping what is no new state")]
    NoChild,
    #[error("chunks of an MLS record: {0}")]
    Chunk(&'static str),
    #[error("a count of sealed messages of another length")]
    Count,
}

/// A local fault: never caused by what others send.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MlsError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// OpenMLS refused to work on our own state.
    #[error("{doing}")]
    OpenMls {
        doing: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The provider has no state's namespace, or another group's.
    #[error("{0}: not in a state of this group")]
    Namespace(&'static str),
    /// A group in the store that could not have come there through this module.
    #[error("a stored group that breaks the rules of this module: {0}")]
    Stored(&'static str),
}

impl MlsError {
    /// For `map_err`: what was being done when OpenMLS failed.
    pub(crate) fn doing<E>(doing: &'static str) -> impl FnOnce(E) -> Self
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        move |source| Self::OpenMls { doing, source: Box::new(source) }
    }
}

impl From<StoreError> for MlsError {
    fn from(error: StoreError) -> Self {
        Self::Storage(error.into())
    }
}

/// Why something that another sent is refused. The store holds nothing of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("{len} bytes; at most {max} are read")]
    TooLarge { len: usize, max: usize },
    /// Not the expected structure of RFC 9420, or bytes after it.
    #[error("malformed {0}")]
    Malformed(&'static str),
    #[error("another ciphersuite")]
    Suite,
    #[error("another group")]
    Group,
    #[error("another epoch")]
    Epoch,
    #[error("its sender is no member")]
    Sender,
    /// A standalone proposal, or one of a kind that groups here do not use.
    #[error("a proposal that is not used here")]
    Proposal,
    #[error("a group context extension that is not used here")]
    Extension,
    /// A leaf whose credential or key is not of the form that is used here.
    #[error("a leaf without a basic credential and an Ed25519 key")]
    Leaf,
    /// A commit that changes its author's credential, signature key or capabilities.
    #[error("an update of a leaf that changes who it is")]
    LeafChanged,
    #[error("a key package that is not a last resort, or whose lifetime is bounded")]
    PackageKind,
    #[error("capabilities that do not cover what groups here need")]
    Capabilities,
    /// A public key that nothing can be encrypted to.
    #[error("an encryption key of small order")]
    WeakKey,
    /// An addition that does not fit the group: somebody or a key that is in it already.
    #[error("addition: {0}")]
    Addition(#[source] ProposalValidationError),
    #[error("key package: {0}")]
    KeyPackage(#[source] KeyPackageVerifyError),
    #[error("welcome: {0}")]
    Welcome(#[source] Box<WelcomeError<StorageError>>),
    #[error("message: {0}")]
    Message(#[source] Box<ProcessMessageError<StorageError>>),
}

impl Refused {
    /// Whether the ratchet of its sender went past this message: the state as it began may still
    /// read it.
    pub(crate) fn is_late(&self) -> bool {
        let Self::Message(error) = self else { return false };
        let ProcessMessageError::ValidationError(ValidationError::UnableToDecrypt(
            MessageDecryptionError::SecretTreeError(error),
        )) = &**error
        else {
            return false;
        };
        // an index out of bounds: before the first of the past keys that are kept
        matches!(
            error,
            SecretTreeError::TooDistantInThePast
                | SecretTreeError::SecretReuseError
                | SecretTreeError::IndexOutOfBounds
        )
    }
}

/// A refusal is an outcome, a fault is an error: this is both on the way to the caller.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error(transparent)]
    Fault(#[from] MlsError),
}
