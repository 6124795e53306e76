//! Accounts that nobody drives: their registration records, and key packages whose private keys are
//! thrown away.

use openmls_rust_crypto::RustCrypto;

use super::{ALICE, World};
use crate::account::{
    AddProposal, Card, Entry, InstallationKey, KeyPackages, Log, PARTS, Phrase, Record,
    RegistrationSecret, SigningKey, seal_record, utc_day,
};
use crate::core::members::identity;
use crate::mls::{Provider, View, package};
use crate::store::{MemoryStore, Overlay};

impl World {
    /// Accounts of two installations each, whose records Alice's archive has. Their cards.
    pub(super) fn crowd(&mut self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.stranger().to_string()).collect()
    }

    fn stranger(&mut self) -> Card {
        let rng = &mut self.rng.clone();
        let phrase = Phrase::generate(rng);
        let root = phrase.root();
        let keys = [InstallationKey::generate(rng), InstallationKey::generate(rng)];
        let mut log = Log::new(root.account());
        log.insert(Entry::create(&root, &keys[0], self.now));
        let signing = SigningKey::Installation(&keys[0]);
        let (account, parents) = (root.account(), log.parents_for_new());
        let add = AddProposal::sign(account, parents, keys[1].id(), signing, self.now);
        let add = add.expect("an add by the first installation");
        let joined = add.join(&keys[1]);
        log.insert(add.complete(joined).expect("signed by both"));
        let card = Card {
            account,
            registration: RegistrationSecret::generate(rng),
            recovery: phrase.recovery_secret(),
        };
        let packages: KeyPackages =
            keys.iter().map(|key| (key.id(), self.package_of(&card, key))).collect();
        let day = utc_day(self.now);
        let expiry = self.now + crate::limits::PERIOD;
        let record = Record::sign(&keys[1], &log, day, &packages, expiry).expect("a record");
        let parts = seal_record(&card.registration, day, &record, [self.now; PARTS], rng);
        self.peers[ALICE].archive.extend(parts.expect("it fits"));
        card
    }

    fn package_of(&self, card: &Card, key: &InstallationKey) -> Vec<u8> {
        let (store, crypto) = (MemoryStore::new(), RustCrypto::default());
        let overlay = Overlay::new(&store);
        let provider = Provider::new(&overlay, &crypto, &self.rng, View::Global);
        let identity = identity(card.account, key.id());
        package::create(&provider, key, &identity).expect("a key package").bytes
    }
}
