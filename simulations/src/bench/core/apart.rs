//! What the core does that OpenMLS leaves to others, measured alone.

use anyhow::{Context as _, ensure};
use openmls::prelude::Ciphersuite;
use openmls_rust_crypto::RustCrypto;
use openmls_traits::crypto::OpenMlsCrypto as _;
use openmls_traits::types::HpkeCiphertext;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;
use waku_groupchat_core::account::{
    Card, Entry, InstallationKey, Record, RecordAssembler, RecordOutcome, utc_day, verify,
};
use waku_groupchat_core::kdf::{SealKey, derive_topic, label};
use waku_groupchat_core::seal::{SizeClass, open_message, seal_message};
use waku_groupchat_core::{Timestamp, forget_verified};
use waku_groupchat_waku::WakuMessage;

use super::measure::{Collected, On};
use super::own::{Records, Spent};
use super::{ADD, ADD_ALL, FOLLOW_ADD, JOIN, RECEIVE, SEND};

const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519;
/// Bytes that an envelope seals to each installation.
const SLOT: usize = 752;
/// Bytes of an encapsulated key.
const KEM: usize = 32;
/// Bytes that are around what is sealed: that key, and a tag.
const OVERHEAD: usize = KEM + 16;
/// Slots that are tried until the own one is found, of 20 in random places.
const TRIED: usize = 10;
/// Bytes of an envelope's slots.
const SLOTS: usize = 16_000;

/// The tools, and the time.
pub(super) struct Apart {
    key: InstallationKey,
    seal: SealKey,
    rng: ChaCha20Rng,
    crypto: RustCrypto,
    /// An HPKE key that is sealed to, and its private one.
    recipient: Vec<u8>,
    secret: Vec<u8>,
    now: Timestamp,
}

impl Apart {
    pub(super) fn new(now: Timestamp) -> anyhow::Result<Self> {
        let crypto = RustCrypto::default();
        let pair = crypto.derive_hpke_keypair(SUITE.hpke_config(), &[4; 32])?;
        Ok(Self {
            key: InstallationKey::from_bytes(&[1; 32]),
            seal: SealKey::from_bytes([2; 32]),
            rng: ChaCha20Rng::seed_from_u64(3),
            crypto,
            recipient: pair.public,
            secret: pair.private.to_vec(),
            now,
        })
    }

    /// A signature over what is said, and a seal around it.
    pub(super) fn message(&mut self, to: &mut Collected, content: &[u8]) -> anyhow::Result<()> {
        let topic = derive_topic(self.seal.as_bytes(), label::GROUP_TOPIC, &[]);
        let class = SizeClass::fitting(content.len()).context("too long")?;
        let (signature, message) = to.time(SEND, On::Apart, || {
            let signature = self.key.sign(label::MESSAGE_CORE, content);
            let rng = &mut self.rng;
            let message = seal_message(&self.seal, topic, self.now, content, class, rng)?;
            Ok((signature, message))
        })?;
        to.time(RECEIVE, On::Apart, || {
            let opened = open_message(&self.seal, &message)?;
            let public = self.key.id();
            let holds = verify(public.as_bytes(), label::MESSAGE_CORE, &opened, &signature);
            ensure!(holds, "an own signature does not hold");
            Ok(())
        })
    }

    /// The records and envelopes of all that are added to a new group, and the logs that the last
    /// of them verifies.
    pub(super) fn founding(
        &mut self,
        to: &mut Collected,
        records: &Records,
        others: &[String],
        last: &str,
    ) -> anyhow::Result<()> {
        let cards = others.iter().map(String::as_str).chain([last]);
        let cards: Vec<Card> = cards.map(str::parse).collect::<Result<_, _>>()?;
        forget_verified();
        let (logs, spent) = Spent::on(|| {
            let mut logs = Vec::new();
            for card in &cards {
                logs.extend(self.record(records, card)?.log.encoded_entries());
                self.envelope()?;
            }
            anyhow::Ok(logs)
        });
        to.add(ADD_ALL, On::Apart, spent);
        let (logs, envelope) = (logs?, self.envelope()?);
        forget_verified();
        to.time(JOIN, On::Apart, || {
            self.open_envelope(&envelope)?;
            verify_all(&logs)
        })
    }

    /// The record and the envelope of somebody who is added, and the log that others verify.
    pub(super) fn commit(
        &mut self,
        to: &mut Collected,
        records: &Records,
        card: &str,
    ) -> anyhow::Result<()> {
        let card: Card = card.parse()?;
        forget_verified();
        let (record, spent) = Spent::on(|| {
            let record = self.record(records, &card)?;
            self.envelope()?;
            anyhow::Ok(record)
        });
        to.add(ADD, On::Apart, spent);
        let entries = record?.log.encoded_entries();
        forget_verified();
        to.time(FOLLOW_ADD, On::Apart, || verify_all(&entries))
    }

    fn record(&self, records: &Records, card: &Card) -> anyhow::Result<Box<Record>> {
        let day = utc_day(self.now);
        for day in (day.saturating_sub(5)..=day).rev() {
            let mut assembler = RecordAssembler::new(card, day);
            let topics = assembler.topics().clone();
            for message in topics.iter().filter_map(|topic| records.get(topic)).flatten() {
                if let RecordOutcome::Record(record) = assembler.push(message, None, self.now) {
                    return Ok(record);
                }
            }
        }
        anyhow::bail!("a record is not there")
    }

    /// One slot sealed to an installation among random ones, and the seal around all of them.
    fn envelope(&mut self) -> anyhow::Result<WakuMessage> {
        let mut slots = vec![0; SLOTS];
        self.rng.fill_bytes(&mut slots);
        let plain = [5; SLOT];
        let sealed =
            self.crypto.hpke_seal(SUITE.hpke_config(), &self.recipient, b"slot", &[], &plain)?;
        let last = SLOTS - SLOT - OVERHEAD;
        slots[last..last + KEM].copy_from_slice(sealed.kem_output.as_slice());
        slots[last + KEM..].copy_from_slice(sealed.ciphertext.as_slice());
        let topic = derive_topic(self.seal.as_bytes(), label::GROUP_TOPIC, &[]);
        let rng = &mut self.rng;
        Ok(seal_message(&self.seal, topic, self.now, &slots, SizeClass::K16, rng)?)
    }

    /// An own slot is found by trial: after half of them.
    fn open_envelope(&self, envelope: &WakuMessage) -> anyhow::Result<()> {
        let slots = open_message(&self.seal, envelope)?;
        for slot in slots.chunks_exact(SLOT + OVERHEAD).take(TRIED) {
            let (kem_output, ciphertext) = slot.split_at(KEM);
            let (kem_output, ciphertext) = (kem_output.to_vec().into(), ciphertext.to_vec().into());
            let sealed = HpkeCiphertext { kem_output, ciphertext };
            let config = SUITE.hpke_config();
            let opened = self.crypto.hpke_open(config, &sealed, &self.secret, b"slot", &[]);
            ensure!(opened.is_err(), "random bytes open");
        }
        Ok(())
    }
}

fn verify_all(entries: &[Vec<u8>]) -> anyhow::Result<()> {
    entries.iter().try_for_each(|bytes| {
        Entry::decode(bytes)?;
        Ok(())
    })
}
