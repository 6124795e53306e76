//! The same additions with OpenMLS alone: its own in-memory storage, no logs, no envelopes, no seals.

use anyhow::{Context, bail};
use openmls::prelude::tls_codec::{DeserializeBytes as _, Serialize as _};
use openmls::prelude::{
    BasicCredential, Ciphersuite, CredentialWithKey, KeyPackage, MlsGroup, MlsGroupCreateConfig,
    MlsMessageBodyIn, MlsMessageIn, StagedWelcome,
};
use openmls_basic_credential::SignatureKeyPair;
use openmls_rust_crypto::OpenMlsRustCrypto;
use serde::Serialize;

const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519;

/// What was measured. Times are CPU time in milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Measured {
    /// Members added.
    pub added: usize,
    /// Making the commit and its Welcome, and merging it.
    pub commit: f64,
    /// Bytes of the commit.
    pub commit_bytes: usize,
    /// Bytes of the Welcome.
    pub welcome_bytes: usize,
    /// Bytes of the ratchet tree.
    pub tree_bytes: usize,
    /// Joining by the Welcome and the tree.
    pub join: f64,
}

struct Device {
    provider: OpenMlsRustCrypto,
    signer: SignatureKeyPair,
    credential: CredentialWithKey,
}

impl Device {
    fn new(name: usize) -> anyhow::Result<Self> {
        let signer = SignatureKeyPair::new(SUITE.signature_algorithm())?;
        let credential = CredentialWithKey {
            // as long as the identities of installations
            credential: BasicCredential::new(format!("{name:065}").into_bytes()).into(),
            signature_key: signer.public().into(),
        };
        Ok(Self { provider: OpenMlsRustCrypto::default(), signer, credential })
    }

    fn key_package(&self) -> anyhow::Result<KeyPackage> {
        let bundle = KeyPackage::builder().build(
            SUITE,
            &self.provider,
            &self.signer,
            self.credential.clone(),
        )?;
        Ok(bundle.key_package().clone())
    }
}

/// Adds this many members at once, and lets one of them join.
pub fn run(added: usize) -> anyhow::Result<Measured> {
    let creator = Device::new(0)?;
    let devices: Vec<Device> = (1..=added).map(Device::new).collect::<Result<_, _>>()?;
    let packages: Vec<KeyPackage> =
        devices.iter().map(Device::key_package).collect::<Result<_, _>>()?;
    let config = MlsGroupCreateConfig::builder()
        .ciphersuite(SUITE)
        .use_ratchet_tree_extension(false)
        .build();
    let (provider, signer) = (&creator.provider, &creator.signer);
    let mut group = MlsGroup::new(provider, signer, &config, creator.credential.clone())?;
    let begun = super::cpu();
    let (commit, welcome, _) = group.add_members(provider, signer, &packages)?;
    group.merge_pending_commit(provider)?;
    let took = super::cpu() - begun;
    let tree = group.export_ratchet_tree();
    let welcome = welcome.tls_serialize_detached()?;
    let mut measured = Measured {
        added,
        commit: super::millis(took),
        commit_bytes: commit.tls_serialize_detached()?.len(),
        welcome_bytes: welcome.len(),
        tree_bytes: tree.tls_serialize_detached()?.len(),
        join: 0.0,
    };
    let joiner = devices.last().context("nobody to join")?;
    let begun = super::cpu();
    let message = MlsMessageIn::tls_deserialize_exact_bytes(&welcome)?;
    let MlsMessageBodyIn::Welcome(welcome) = message.extract() else { bail!("not a Welcome") };
    let joined = StagedWelcome::new_from_welcome(
        &joiner.provider,
        config.join_config(),
        welcome,
        Some(tree.into()),
    )?
    .into_group(&joiner.provider)?;
    measured.join = super::millis(super::cpu() - begun);
    if joined.members().count() != added + 1 {
        bail!("the joiner sees other members");
    }
    Ok(measured)
}
