//! Several installations, each over a store of its own.

mod chunks;
mod records;
mod refusals;
mod states;
mod talk;

use openmls::group::MlsGroup;
use openmls_rust_crypto::RustCrypto;

use super::error::Refused;
use super::group::Proposals;
use super::leaf::ExtensionList;
use super::message::{self, Inbound, Staged};
use super::package::{self, OwnPackage, Package};
use super::welcome::{self, Joining, Split};
use super::{CoreRng, MlsError, Provider, StateId, View, group};
use crate::GroupId;
use crate::account::InstallationKey;
use crate::store::{MemoryStore, Overlay, Store as _};

const GROUP: GroupId = GroupId::from_bytes([0x67; 16]);

fn state(n: u8) -> StateId {
    StateId::from_bytes([n; 32])
}

fn profile(name: &str) -> ExtensionList {
    vec![(0xf7a0, name.as_bytes().to_vec()), (0xf7a2, vec![0; 32])]
}

/// An installation.
struct Device {
    key: InstallationKey,
    store: MemoryStore,
    rng: CoreRng,
    crypto: RustCrypto,
}

/// What one step of it works on.
struct Env<'e> {
    overlay: &'e Overlay<'e>,
    rng: &'e CoreRng,
    crypto: &'e RustCrypto,
    key: &'e InstallationKey,
}

impl<'e> Env<'e> {
    fn global(&self) -> Provider<'e> {
        self.provider(View::Global)
    }

    fn at(&self, state: StateId) -> Provider<'e> {
        self.provider(View::Live(GROUP, state))
    }

    fn provider(&self, view: View) -> Provider<'e> {
        Provider::new(self.overlay, self.crypto, self.rng, view)
    }

    /// For a new state after `parent`.
    fn child(&self, parent: impl Into<Option<StateId>>, child: StateId) -> Provider<'e> {
        self.provider(View::Child { group: GROUP, parent: parent.into(), child })
    }

    /// The group as the store has it.
    fn load(&self, state: StateId) -> (MlsGroup, Provider<'e>) {
        self.load_by(self.at(state))
    }

    fn load_by(&self, provider: Provider<'e>) -> (MlsGroup, Provider<'e>) {
        let group = group::load(&provider).expect("a good store").expect("a group");
        (group, provider)
    }
}

impl Device {
    fn new(n: u8) -> Self {
        Self {
            key: InstallationKey::from_bytes(&[n; 32]),
            store: MemoryStore::new(),
            rng: CoreRng::new([n; 32]),
            crypto: RustCrypto::default(),
        }
    }

    /// One step whose overlay is committed.
    fn step<T>(&mut self, work: impl FnOnce(&Env<'_>) -> T) -> T {
        let overlay = Overlay::new(&self.store);
        let done = self.work(&overlay, work);
        let batch = overlay.into_batch();
        self.store.commit(batch).expect("memory");
        done
    }

    /// One step whose overlay is lost.
    fn lose<T>(&self, work: impl FnOnce(&Env<'_>) -> T) -> T {
        self.work(&Overlay::new(&self.store), work)
    }

    fn work<T>(&self, overlay: &Overlay<'_>, work: impl FnOnce(&Env<'_>) -> T) -> T {
        work(&Env { overlay, rng: &self.rng, crypto: &self.crypto, key: &self.key })
    }

    fn dump(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.store.iter().map(|(k, v)| (k.to_vec(), v.to_vec())).collect()
    }

    fn identity(&self) -> Vec<u8> {
        [b"account of ", self.key.id().as_bytes().as_slice()].concat()
    }

    fn package(&mut self) -> OwnPackage {
        let identity = self.identity();
        self.step(|env| package::create(&env.global(), env.key, &identity)).expect("a package")
    }

    fn check(&self, bytes: &[u8]) -> Result<Package, Refused> {
        self.lose(|env| package::check(&env.global(), bytes))
    }

    fn create(&mut self, at: StateId) {
        let identity = self.identity();
        self.step(|env| {
            let provider = env.child(None, at);
            group::create(&provider, env.key, &identity, &profile("first")).expect("a group");
            provider.keep().expect("memory");
        });
    }

    fn reference(&self, package: &OwnPackage) -> package::Reference {
        self.check(&package.bytes).expect("a good package").reference
    }

    /// Commits and merges in a child. Gives commit, Welcome and ratchet tree.
    fn commit(
        &mut self,
        from: StateId,
        to: StateId,
        adds: &[OwnPackage],
        name: Option<&str>,
    ) -> (Vec<u8>, Option<Vec<u8>>, Vec<u8>) {
        let adds = adds.iter().map(|p| self.check(&p.bytes).expect("a good package")).collect();
        let extensions = name.map(profile);
        self.step(|env| {
            let (mut group, provider) = env.load_by(env.child(from, to));
            let proposals =
                Proposals { adds, extensions: extensions.as_deref(), ..Default::default() };
            let own = group::commit(&mut group, &provider, env.key, proposals)
                .expect("own state")
                .expect("fitting additions");
            group::merge_pending(&mut group, &provider).expect("a pending commit");
            let tree = group::ratchet_tree(&group).expect("a tree");
            provider.keep().expect("memory");
            (own.commit, own.welcome, tree)
        })
    }

    fn open(&self, welcome: &[u8], tree: &[u8]) -> Result<(), Refused> {
        self.lose(|env| welcome::open(&env.global(), welcome, tree)).expect("no fault").map(|_| ())
    }

    fn join(&mut self, at: StateId, welcome: &[u8], tree: &[u8]) {
        self.step(|env| {
            let joining: Joining = welcome::open(&env.global(), welcome, tree)
                .expect("no fault")
                .expect("a good welcome");
            let provider = env.child(None, at);
            joining.finish(&provider).expect("own state");
            provider.keep().expect("memory");
        });
    }

    fn send(&mut self, at: StateId, text: &str) -> Vec<u8> {
        self.step(|env| {
            let (mut group, provider) = env.load(at);
            group::encrypt(&mut group, &provider, env.key, text.as_bytes()).expect("own state")
        })
    }

    fn receive(&mut self, at: StateId, bytes: &[u8]) -> Inbound {
        self.step(|env| {
            let (mut group, provider) = env.load(at);
            message::receive(&mut group, &provider, bytes).expect("no fault")
        })
    }

    /// What a message says, and the installation that said it.
    fn read(&mut self, at: StateId, bytes: &[u8]) -> (String, crate::InstallationId) {
        match self.receive(at, bytes) {
            Inbound::Application { sender, content } => {
                (String::from_utf8(content).expect("UTF-8"), sender.installation)
            }
            other => panic!("{other:?}"),
        }
    }

    fn refuse(&mut self, at: StateId, bytes: &[u8]) -> Refused {
        match self.receive(at, bytes) {
            Inbound::Refused(refused) => refused,
            other => panic!("{other:?}"),
        }
    }

    /// Merges another's commit in a child, after `look` at it.
    fn follow<T>(
        &mut self,
        from: StateId,
        to: StateId,
        commit: &[u8],
        look: impl FnOnce(&Staged) -> T,
    ) -> T {
        self.step(|env| {
            let (mut group, provider) = env.load_by(env.child(from, to));
            match message::receive(&mut group, &provider, commit).expect("no fault") {
                Inbound::Commit(staged) => {
                    let seen = look(&staged);
                    staged.merge(&mut group, &provider).expect("own state");
                    provider.keep().expect("memory");
                    seen
                }
                other => panic!("{other:?}"),
            }
        })
    }

    fn authenticator(&self, at: StateId) -> Vec<u8> {
        self.lose(|env| env.load(at).0.epoch_authenticator().as_slice().to_vec())
    }
}

/// Alice's group, with bob and carol in it by one commit; all in state 1.
fn three() -> [Device; 3] {
    let [mut alice, mut bob, mut carol] = [1, 2, 3].map(Device::new);
    alice.create(state(0));
    let packages = [bob.package(), carol.package()];
    let (_, welcome, tree) = alice.commit(state(0), state(1), &packages, Some("second"));
    let Split { shared, entries } = welcome::split(&welcome.expect("additions")).expect("ours");
    for (device, package) in [&mut bob, &mut carol].into_iter().zip(&packages) {
        let (_, entry) =
            entries.iter().find(|(r, _)| *r == device.reference(package)).expect("an entry");
        let welcome = welcome::assemble(&shared, entry).expect("our own parts");
        device.join(state(1), &welcome, &tree);
    }
    [alice, bob, carol]
}
