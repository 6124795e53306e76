//! The form of a link step: signed, over the transcript so far.
//!
//! ```text
//! transcript 0 = hash(0 ‖ request's bytes)
//! transcript   = hash(step number ‖ transcript before ‖ step's body)
//! ```

use prost::Message as _;
use zeroize::Zeroize as _;

use super::entry::{AddProposal, Author, Entry};
use super::keys::{InstallationKey, Signature, is_public_key, verify};
use super::link::LinkError;
use super::link_compare::Compared;
use super::link_request::{LinkRequest, LinkStep};
use super::log::Log;
use super::parts::PARCEL_BYTES;
use super::proto::link_step_body::Content;
use super::proto::{self, LinkStepBody};
use crate::kdf::{self, label};
use crate::{AccountId, InstallationId};

/// Hash of the request and all steps so far.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Transcript([u8; 32]);

impl Transcript {
    pub(super) fn new(request: &LinkRequest) -> Self {
        Self(kdf::hash(label::LINK_TRANSCRIPT, &[&[0], &request.to_bytes()]))
    }

    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(super) fn after(self, step: LinkStep, body: &[u8]) -> Self {
        Self(kdf::hash(label::LINK_TRANSCRIPT, &[&[step.number()], &self.0, body]))
    }
}

/// A step whose signature holds and whose transcript fits.
pub(super) struct Step {
    /// None of the commitment.
    pub(super) sender: Option<InstallationId>,
    pub(super) content: Content,
    /// With this step in it.
    pub(super) transcript: Transcript,
}

/// The step's bytes. Secrets in `content` are wiped from what is dropped here.
pub(super) fn sign_step(
    key: &InstallationKey,
    transcript: Transcript,
    content: Content,
) -> Result<Vec<u8>, LinkError> {
    let mut body = LinkStepBody {
        transcript: transcript.0.to_vec(),
        sender: key.id().as_bytes().to_vec(),
        content: Some(content),
    };
    let bytes = body.encode_to_vec();
    if let Some(Content::Done(done)) = &mut body.content {
        wipe(done);
    }
    let signature = key.sign(label::LINK_STEP, &bytes).to_vec();
    let mut step = proto::LinkStep { body: bytes, signature };
    let bytes = step.encode_to_vec();
    step.body.zeroize();
    if bytes.len() > PARCEL_BYTES {
        return Err(LinkError::TooLarge(bytes.len()));
    }
    Ok(bytes)
}

/// The bytes of the commitment: who commits is not shown yet.
pub(super) fn unsigned_step(transcript: Transcript, content: Content) -> Vec<u8> {
    let transcript = transcript.0.to_vec();
    let body = LinkStepBody { transcript, sender: Vec::new(), content: Some(content) };
    proto::LinkStep { body: body.encode_to_vec(), signature: Vec::new() }.encode_to_vec()
}

/// Checks that `bytes` are this step and follow the transcript. The commitment has no sender.
pub(super) fn open_step(
    bytes: &[u8],
    transcript: Transcript,
    expected: LinkStep,
) -> Result<Step, LinkError> {
    if bytes.len() > PARCEL_BYTES {
        return Err(LinkError::TooLarge(bytes.len()));
    }
    let mut step = proto::LinkStep::decode(bytes).map_err(|_| LinkError::Malformed)?;
    let body = LinkStepBody::decode(&*step.body).map_err(|_| LinkError::Malformed)?;
    let content = body.content.ok_or(LinkError::Malformed)?;
    let signed = expected != LinkStep::Commitment;
    let sender = match InstallationId::from_slice(&body.sender) {
        Some(sender) if signed => Some(sender),
        None if !signed && body.sender.is_empty() && step.signature.is_empty() => None,
        _ => return Err(LinkError::Malformed),
    };
    let holds = |sender: InstallationId| {
        verify(sender.as_bytes(), label::LINK_STEP, &step.body, &step.signature)
    };
    let result = if number(&content) != expected {
        Err(LinkError::Malformed)
    } else if body.transcript != transcript.0 {
        Err(LinkError::Transcript)
    } else if !sender.is_none_or(holds) {
        Err(LinkError::Signature)
    } else {
        Ok(Step { sender, content, transcript: transcript.after(expected, &step.body) })
    };
    step.body.zeroize();
    result
}

fn number(content: &Content) -> LinkStep {
    match content {
        Content::Commitment(_) => LinkStep::Commitment,
        Content::Nonce(_) => LinkStep::Nonce,
        Content::Reveal(_) => LinkStep::Reveal,
        Content::Offer(_) => LinkStep::Offer,
        Content::Answer(_) => LinkStep::Answer,
        Content::Done(_) => LinkStep::Done,
    }
}

/// Wipes the secrets of a decoded or encoded step.
pub(super) fn wipe(done: &mut proto::LinkDone) {
    done.registration_secret.zeroize();
    done.recovery_secret.zeroize();
}

/// A checked offer.
pub(super) struct Offer {
    pub(super) sender: InstallationId,
    pub(super) log: Log,
    pub(super) add: AddProposal,
    pub(super) transcript: Transcript,
}

impl Offer {
    pub(super) fn open(
        request: &LinkRequest,
        compared: &Compared,
        bytes: &[u8],
    ) -> Result<Self, LinkError> {
        let step = open_step(bytes, compared.transcript, LinkStep::Offer)?;
        let Content::Offer(offer) = step.content else { return Err(LinkError::Malformed) };
        if step.sender != Some(compared.by) {
            return Err(LinkError::Signature);
        }
        let account = AccountId::from_slice(&offer.account).ok_or(LinkError::Malformed)?;
        if !is_public_key(account.as_bytes()) {
            return Err(LinkError::Account);
        }
        let log = Log::from_entries(account, &offer.log_entries)?;
        let add = AddProposal::from_parts(offer.add_body, signature(&offer.add_signature)?)?;
        let body = add.body();
        let fits = body.account == account
            && body.author == Author::Installation(compared.by)
            && body.joining() == Some(request.installation())
            && body.parents.iter().all(|parent| log.contains(parent));
        if !fits {
            return Err(LinkError::Add);
        }
        if !log.is_live(&compared.by) {
            return Err(LinkError::NotLive(compared.by));
        }
        Ok(Self { sender: compared.by, log, add, transcript: step.transcript })
    }
}

/// A checked answer.
pub(super) struct Answer {
    pub(super) entry: Entry,
    pub(super) key_package: Vec<u8>,
    pub(super) transcript: Transcript,
}

impl Answer {
    pub(super) fn open(
        request: &LinkRequest,
        offer: Offer,
        bytes: &[u8],
    ) -> Result<Self, LinkError> {
        let step = open_step(bytes, offer.transcript, LinkStep::Answer)?;
        let Content::Answer(answer) = step.content else { return Err(LinkError::Malformed) };
        if step.sender != Some(request.installation()) {
            return Err(LinkError::Signature);
        }
        if !(1..=super::record::KEY_PACKAGE_BYTES).contains(&answer.key_package.len()) {
            return Err(LinkError::KeyPackages);
        }
        let entry = offer.add.complete(signature(&answer.join_signature)?)?;
        Ok(Self { entry, key_package: answer.key_package, transcript: step.transcript })
    }
}

fn signature(bytes: &[u8]) -> Result<Signature, LinkError> {
    bytes.try_into().map_err(|_| LinkError::Malformed)
}
