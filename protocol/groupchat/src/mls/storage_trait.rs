//! OpenMLS's storage trait: which call is which record.

use openmls_traits::storage::{CURRENT_VERSION, StorageProvider, traits};

use super::error::StorageError;
use super::keys::Tag;
use super::storage::{MlsStorage, Result};

const V: u16 = CURRENT_VERSION;

/// Write, read and delete of one record of a group.
macro_rules! group_record {
    ($tag:ident, $value:ident, $write:ident, $read:ident, $delete:ident) => {
        fn $write<G: traits::GroupId<V>, T: traits::$value<V>>(
            &self,
            group: &G,
            value: &T,
        ) -> Result<()> {
            self.write(Tag::$tag, group, value)
        }

        fn $read<G: traits::GroupId<V>, T: traits::$value<V>>(
            &self,
            group: &G,
        ) -> Result<Option<T>> {
            self.read(Tag::$tag, group)
        }

        fn $delete<G: traits::GroupId<V>>(&self, group: &G) -> Result<()> {
            self.delete(Tag::$tag, group)
        }
    };
}

/// Write and delete of one record of no group. The order of types in reads differs.
macro_rules! global_record {
    ($tag:ident, $key:ident, $value:ident, $write:ident, $delete:ident) => {
        fn $write<K: traits::$key<V>, T: traits::$value<V>>(
            &self,
            key: &K,
            value: &T,
        ) -> Result<()> {
            self.write(Tag::$tag, key, value)
        }

        fn $delete<K: traits::$key<V>>(&self, key: &K) -> Result<()> {
            self.delete(Tag::$tag, key)
        }
    };
}

impl StorageProvider<V> for MlsStorage<'_> {
    type Error = StorageError;

    group_record!(Tree, TreeSync, write_tree, tree, delete_tree);
    group_record!(Context, GroupContext, write_context, group_context, delete_context);
    group_record!(
        InterimTranscriptHash,
        InterimTranscriptHash,
        write_interim_transcript_hash,
        interim_transcript_hash,
        delete_interim_transcript_hash
    );
    group_record!(
        Confirmation,
        ConfirmationTag,
        write_confirmation_tag,
        confirmation_tag,
        delete_confirmation_tag
    );
    group_record!(
        MessageSecrets,
        MessageSecrets,
        write_message_secrets,
        message_secrets,
        delete_message_secrets
    );
    group_record!(
        ResumptionPsks,
        ResumptionPskStore,
        write_resumption_psk_store,
        resumption_psk_store,
        delete_all_resumption_psk_secrets
    );
    group_record!(
        OwnLeafIndex,
        LeafNodeIndex,
        write_own_leaf_index,
        own_leaf_index,
        delete_own_leaf_index
    );
    group_record!(
        EpochSecrets,
        GroupEpochSecrets,
        write_group_epoch_secrets,
        group_epoch_secrets,
        delete_group_epoch_secrets
    );

    global_record!(
        SignatureKeyPair,
        SignaturePublicKey,
        SignatureKeyPair,
        write_signature_key_pair,
        delete_signature_key_pair
    );
    global_record!(
        EncryptionKeyPair,
        EncryptionKey,
        HpkeKeyPair,
        write_encryption_key_pair,
        delete_encryption_key_pair
    );
    global_record!(KeyPackage, HashReference, KeyPackage, write_key_package, delete_key_package);
    global_record!(Psk, PskId, PskBundle, write_psk, delete_psk);

    fn signature_key_pair<K: traits::SignaturePublicKey<V>, T: traits::SignatureKeyPair<V>>(
        &self,
        key: &K,
    ) -> Result<Option<T>> {
        self.read(Tag::SignatureKeyPair, key)
    }

    fn encryption_key_pair<T: traits::HpkeKeyPair<V>, K: traits::EncryptionKey<V>>(
        &self,
        key: &K,
    ) -> Result<Option<T>> {
        self.read(Tag::EncryptionKeyPair, key)
    }

    fn key_package<K: traits::HashReference<V>, T: traits::KeyPackage<V>>(
        &self,
        reference: &K,
    ) -> Result<Option<T>> {
        self.read(Tag::KeyPackage, reference)
    }

    fn psk<T: traits::PskBundle<V>, K: traits::PskId<V>>(&self, id: &K) -> Result<Option<T>> {
        self.read(Tag::Psk, id)
    }

    fn write_mls_join_config<G: traits::GroupId<V>, T: traits::MlsGroupJoinConfig<V>>(
        &self,
        group: &G,
        config: &T,
    ) -> Result<()> {
        self.write_json(Tag::JoinConfig, group, config)
    }

    fn mls_group_join_config<G: traits::GroupId<V>, T: traits::MlsGroupJoinConfig<V>>(
        &self,
        group: &G,
    ) -> Result<Option<T>> {
        self.read_json(Tag::JoinConfig, group)
    }

    fn delete_group_config<G: traits::GroupId<V>>(&self, group: &G) -> Result<()> {
        self.delete(Tag::JoinConfig, group)
    }

    fn write_group_state<T: traits::GroupState<V>, G: traits::GroupId<V>>(
        &self,
        group: &G,
        value: &T,
    ) -> Result<()> {
        self.write(Tag::GroupState, group, value)
    }

    fn group_state<T: traits::GroupState<V>, G: traits::GroupId<V>>(
        &self,
        group: &G,
    ) -> Result<Option<T>> {
        self.read(Tag::GroupState, group)
    }

    fn delete_group_state<G: traits::GroupId<V>>(&self, group: &G) -> Result<()> {
        self.delete(Tag::GroupState, group)
    }

    fn append_own_leaf_node<G: traits::GroupId<V>, T: traits::LeafNode<V>>(
        &self,
        group: &G,
        leaf: &T,
    ) -> Result<()> {
        self.append(Tag::OwnLeafNodes, group, leaf)
    }

    fn own_leaf_nodes<G: traits::GroupId<V>, T: traits::LeafNode<V>>(
        &self,
        group: &G,
    ) -> Result<Vec<T>> {
        self.list(Tag::OwnLeafNodes, group)
    }

    fn delete_own_leaf_nodes<G: traits::GroupId<V>>(&self, group: &G) -> Result<()> {
        self.delete(Tag::OwnLeafNodes, group)
    }

    fn write_encryption_epoch_key_pairs<
        G: traits::GroupId<V>,
        E: traits::EpochKey<V>,
        T: traits::HpkeKeyPair<V>,
    >(
        &self,
        group: &G,
        epoch: &E,
        leaf: u32,
        pairs: &[T],
    ) -> Result<()> {
        self.write(Tag::EpochKeyPairs, &(group, epoch, leaf), &pairs)
    }

    fn encryption_epoch_key_pairs<
        G: traits::GroupId<V>,
        E: traits::EpochKey<V>,
        T: traits::HpkeKeyPair<V>,
    >(
        &self,
        group: &G,
        epoch: &E,
        leaf: u32,
    ) -> Result<Vec<T>> {
        Ok(self.read(Tag::EpochKeyPairs, &(group, epoch, leaf))?.unwrap_or_default())
    }

    fn delete_encryption_epoch_key_pairs<G: traits::GroupId<V>, E: traits::EpochKey<V>>(
        &self,
        group: &G,
        epoch: &E,
        leaf: u32,
    ) -> Result<()> {
        self.delete(Tag::EpochKeyPairs, &(group, epoch, leaf))
    }

    fn queue_proposal<
        G: traits::GroupId<V>,
        R: traits::ProposalRef<V>,
        T: traits::QueuedProposal<V>,
    >(
        &self,
        group: &G,
        reference: &R,
        proposal: &T,
    ) -> Result<()> {
        self.write(Tag::Proposal, &(group, reference), proposal)?;
        self.append(Tag::ProposalRefs, group, reference)
    }

    fn queued_proposal_refs<G: traits::GroupId<V>, R: traits::ProposalRef<V>>(
        &self,
        group: &G,
    ) -> Result<Vec<R>> {
        self.list(Tag::ProposalRefs, group)
    }

    fn queued_proposals<
        G: traits::GroupId<V>,
        R: traits::ProposalRef<V>,
        T: traits::QueuedProposal<V>,
    >(
        &self,
        group: &G,
    ) -> Result<Vec<(R, T)>> {
        let mut proposals = Vec::new();
        for reference in self.list::<R>(Tag::ProposalRefs, group)? {
            if let Some(proposal) = self.read(Tag::Proposal, &(group, &reference))? {
                proposals.push((reference, proposal));
            }
        }
        Ok(proposals)
    }

    fn remove_proposal<G: traits::GroupId<V>, R: traits::ProposalRef<V>>(
        &self,
        group: &G,
        reference: &R,
    ) -> Result<()> {
        self.remove(Tag::ProposalRefs, group, reference)?;
        self.delete(Tag::Proposal, &(group, reference))
    }

    fn clear_proposal_queue<G: traits::GroupId<V>, R: traits::ProposalRef<V>>(
        &self,
        group: &G,
    ) -> Result<()> {
        for reference in self.list::<R>(Tag::ProposalRefs, group)? {
            self.delete(Tag::Proposal, &(group, &reference))?;
        }
        self.delete(Tag::ProposalRefs, group)
    }
}
