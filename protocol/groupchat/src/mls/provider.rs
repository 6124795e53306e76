//! Storage, cryptography and randomness together, as OpenMLS takes them.

use openmls_rust_crypto::RustCrypto;
use openmls_traits::OpenMlsProvider;

use super::crypto::{CoreCrypto, CoreRng};
use super::error::MlsError;
use super::storage::{MlsStorage, View};
use crate::GroupId;
use crate::store::Overlay;

/// What OpenMLS works with: made for one view of the store, cheap to make.
pub(crate) struct Provider<'p> {
    storage: MlsStorage<'p>,
    crypto: CoreCrypto<'p>,
    rng: &'p CoreRng,
}

impl<'p> Provider<'p> {
    pub(crate) fn new(
        overlay: &'p Overlay<'p>,
        crypto: &'p RustCrypto,
        rng: &'p CoreRng,
        view: View,
    ) -> Self {
        Self { storage: MlsStorage::new(overlay, view), crypto: CoreCrypto::new(crypto, rng), rng }
    }

    /// The same, and nothing is written.
    pub(crate) fn unwritten(&self) -> Self {
        let view = match self.storage.view() {
            View::Live(group, state) => View::Reading(group, state),
            view => view,
        };
        Self {
            storage: MlsStorage::new(self.storage.overlay(), view),
            crypto: self.crypto.clone(),
            rng: self.rng,
        }
    }

    /// Keeps the new state of a [`View::Child`], complete in itself.
    pub(crate) fn keep(&self) -> Result<(), MlsError> {
        Ok(self.storage.keep()?)
    }

    /// The group of the view.
    pub(crate) fn group(&self, doing: &'static str) -> Result<GroupId, MlsError> {
        self.storage.view().group().ok_or(MlsError::Namespace(doing))
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
