//! Storage, cryptography and randomness together, as OpenMLS takes them.

use openmls_rust_crypto::RustCrypto;
use openmls_traits::OpenMlsProvider;

use super::crypto::{CoreCrypto, CoreRng};
use super::error::MlsError;
use super::keys::{Namespace, StateId};
use super::storage::MlsStorage;
use crate::GroupId;
use crate::store::Overlay;

/// What OpenMLS works with: made for one namespace, cheap to make.
pub(crate) struct Provider<'p> {
    storage: MlsStorage<'p>,
    crypto: CoreCrypto<'p>,
    rng: &'p CoreRng,
}

impl<'p> Provider<'p> {
    /// For what belongs to no group: key packages, and opening a Welcome.
    pub(crate) fn global(
        overlay: &'p Overlay<'p>,
        crypto: &'p RustCrypto,
        rng: &'p CoreRng,
    ) -> Self {
        Self::new(overlay, crypto, rng, Namespace::Global)
    }

    /// For one state of a group.
    pub(crate) fn for_state(
        overlay: &'p Overlay<'p>,
        crypto: &'p RustCrypto,
        rng: &'p CoreRng,
        group: GroupId,
        state: StateId,
    ) -> Self {
        Self::new(overlay, crypto, rng, Namespace::State { group, state })
    }

    fn new(
        overlay: &'p Overlay<'p>,
        crypto: &'p RustCrypto,
        rng: &'p CoreRng,
        namespace: Namespace,
    ) -> Self {
        Self {
            storage: MlsStorage::new(overlay, namespace),
            crypto: CoreCrypto::new(crypto, rng),
            rng,
        }
    }

    /// The group of the namespace.
    pub(crate) fn group(&self, doing: &'static str) -> Result<GroupId, MlsError> {
        match self.storage.namespace() {
            Namespace::State { group, .. } => Ok(group),
            Namespace::Global => Err(MlsError::Namespace(doing)),
        }
    }
}

impl<'p> OpenMlsProvider for Provider<'p> {
    type CryptoProvider = CoreCrypto<'p>;
    type RandProvider = CoreRng;
    type StorageProvider = MlsStorage<'p>;

    fn storage(&self) -> &MlsStorage<'p> {
        &self.storage
    }

    fn crypto(&self) -> &CoreCrypto<'p> {
        &self.crypto
    }

    fn rand(&self) -> &CoreRng {
        self.rng
    }
}
