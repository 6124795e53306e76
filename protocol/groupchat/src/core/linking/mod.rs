//! Linking a further installation: the steps of [`crate::account`] over one-time topics.
//!
//! One linking is under way at a time, on either side. Each step that comes is the one that follows
//! or ends the linking: there is one try a request. Between the steps that make both sides show the
//! same digits and those that hand over the account stands a person, on each side.
//!
//! | side | steps so far | waits for |
//! |---|---|---|
//! | new | 0 | commitment; then sends its nonce |
//! | new | 2 | reveal; then shows the digits |
//! | new | 3 | offer; the person |
//! | new | 5 | done |
//! | existing | 1 | nonce; then reveals, and shows the digits |
//! | existing | 3 | the person; then sends its offer |
//! | existing | 4 | answer; then it is done |

mod steps;

use waku_groupchat_waku::{ContentTopic, WakuMessage};

use super::records::{LinkRecord, LinkSide, OutgoingKind, Secret32, key, write};
use super::{Fault, Inner, Stop, Tx};
use crate::account::{
    CheckDigits, Compared, InstallationKey, LinkAssembler, LinkError, LinkOpening, LinkRequest,
    LinkStep, PartOutcome, make_commitment, make_request, may_offer,
};
use crate::api::views::{LinkRole, LinkView};
use crate::api::{Answer, CommandError, Event, LinkFailure, RefusedReason};
use crate::store::Store;
use crate::{InstallationId, limits};

/// Where a linking is kept.
const KEY: &str = "linking";

/// The topics that a linking listens on.
#[derive(Debug)]
pub(super) struct Listening {
    topics: Vec<ContentTopic>,
    awaited: Option<LinkAssembler>,
    /// On the new installation, once it has answered a commitment: another one shows that somebody
    /// else has the request.
    others: Option<LinkAssembler>,
}

impl Listening {
    fn new(link: &LinkRecord) -> Result<Self, Fault> {
        let request = link.request()?;
        let awaited = link.awaits().map(|step| LinkAssembler::new(&request, step));
        let answered = link.is_new() && !link.steps.is_empty();
        let others = answered.then(|| LinkAssembler::new(&request, LinkStep::Commitment));
        let both = awaited.iter().chain(&others);
        let topics = both.flat_map(|parts| parts.topics().to_vec()).collect();
        Ok(Self { topics, awaited, others })
    }
}

impl LinkRecord {
    pub(super) fn request(&self) -> Result<LinkRequest, Fault> {
        self.request.parse().map_err(|_| Fault::Bug("a kept link request does not parse"))
    }

    fn is_new(&self) -> bool {
        matches!(self.side, LinkSide::New { .. })
    }

    /// The step that this side waits for; none while it waits for its person.
    fn awaits(&self) -> Option<LinkStep> {
        match (&self.side, self.steps.len()) {
            (LinkSide::New { .. }, 0) => Some(LinkStep::Commitment),
            (LinkSide::New { .. }, 2) => Some(LinkStep::Reveal),
            (LinkSide::New { .. }, 3) => Some(LinkStep::Offer),
            (LinkSide::New { .. }, 5) => Some(LinkStep::Done),
            (LinkSide::Existing { .. }, 1) => Some(LinkStep::Nonce),
            (LinkSide::Existing { .. }, 4) => Some(LinkStep::Answer),
            _ => None,
        }
    }

    /// The first three steps, once they are here.
    pub(super) fn compared(&self) -> Result<Option<Compared>, Fault> {
        let [commitment, nonce, reveal, ..] = self.steps.as_slice() else { return Ok(None) };
        Compared::open(&self.request()?, commitment, nonce, reveal)
            .map(Some)
            .map_err(|_| Fault::Bug("kept steps of a linking do not hold"))
    }

    /// The other installation, where it is known.
    fn other(&self) -> Result<Option<InstallationId>, Fault> {
        match self.side {
            LinkSide::New { .. } => Ok(self.compared()?.map(|compared| compared.by)),
            LinkSide::Existing { .. } => Ok(Some(self.request()?.installation())),
        }
    }

    fn view(&self) -> Result<LinkView, Fault> {
        let role = if self.is_new() { LinkRole::New } else { LinkRole::Existing };
        Ok(LinkView {
            role,
            other: self.other()?,
            digits: self.compared()?.map(|compared| compared.digits.to_string()),
            confirmed: self.confirmed,
            expires: self.expires,
            request: self.is_new().then(|| self.request.clone()),
        })
    }
}

impl<S: Store> super::Core<S> {
    /// The linking that is under way.
    pub fn linking(&self) -> Result<Option<LinkView>, Fault> {
        self.inner.link.as_ref().map(LinkRecord::view).transpose()
    }
}

impl Inner {
    pub(super) fn request_link(&mut self, tx: &mut Tx<'_>) -> Result<Answer, Stop> {
        if let Some(account) = &self.account {
            return Err(Stop::Command(CommandError::HasAccount(account.account)));
        }
        let mut rng = self.rng.clone();
        let own_key = InstallationKey::generate(&mut rng);
        let request = make_request(&own_key, &mut rng);
        let text = request.to_string();
        self.fail_link(tx, LinkFailure::Cancelled)?;
        let link = LinkRecord {
            request: text.clone(),
            side: LinkSide::New { key: Secret32(*own_key.to_bytes()), package: None },
            steps: Vec::new(),
            confirmed: false,
            expires: tx.now + limits::LINK_AGE,
        };
        self.go_on_linking(tx, link)?;
        Ok(Answer::LinkRequested { installation: own_key.id(), request: text })
    }

    pub(super) fn accept_link(&mut self, tx: &mut Tx<'_>, text: &str) -> Result<Answer, Stop> {
        let own = self.own()?;
        let installation = own.installation;
        let bad = |reason: String| Stop::Command(CommandError::LinkRequest(reason));
        let request: LinkRequest = text
            .trim()
            .parse()
            .map_err(|e: crate::account::LinkRequestError| bad(e.to_string()))?;
        may_offer(&request, installation, &self.own_log()?).map_err(|e| bad(e.to_string()))?;
        self.fail_link(tx, LinkFailure::Cancelled)?;
        let opening = LinkOpening::new(installation, &mut self.rng.clone());
        let commitment = make_commitment(&request, &opening);
        self.send_step(tx, &request, LinkStep::Commitment, &commitment)?;
        let link = LinkRecord {
            request: request.to_string(),
            side: LinkSide::Existing { random: Secret32(opening.random()) },
            steps: vec![commitment],
            confirmed: false,
            expires: tx.now + limits::LINK_AGE,
        };
        self.go_on_linking(tx, link)?;
        Ok(Answer::LinkAccepted { installation: request.installation() })
    }

    /// A person says which digits the other side shows.
    pub(super) fn confirm_link(&mut self, tx: &mut Tx<'_>, text: &str) -> Result<Answer, Stop> {
        let link = self.link.clone().ok_or(Stop::Command(CommandError::NoLink))?;
        let compared = link.compared()?.ok_or(Stop::Command(CommandError::NoDigits))?;
        let given: CheckDigits =
            text.parse().map_err(|e| Stop::Command(CommandError::Digits(e)))?;
        if given != compared.digits {
            self.fail_link(tx, LinkFailure::Digits)?;
            return Ok(Answer::LinkCompared { same: false });
        }
        if !link.confirmed {
            self.confirmed_link(tx, LinkRecord { confirmed: true, ..link }, &compared)?;
        }
        Ok(Answer::LinkCompared { same: true })
    }

    pub(super) fn cancel_link(&mut self, tx: &mut Tx<'_>) -> Result<Answer, Stop> {
        if self.link.is_none() {
            return Err(Stop::Command(CommandError::NoLink));
        }
        self.fail_link(tx, LinkFailure::Cancelled)?;
        Ok(Answer::Done)
    }

    /// Keeps how far a linking is, and listens for what follows.
    fn go_on_linking(&mut self, tx: &Tx<'_>, link: LinkRecord) -> Result<(), Fault> {
        write(tx.overlay, key(KEY, &[]), &link)?;
        write(tx.overlay, key("clock", &[]), &self.clock)?;
        self.link_parts = Some(Listening::new(&link)?);
        self.link = Some(link);
        Ok(())
    }

    fn send_step(
        &mut self,
        tx: &Tx<'_>,
        request: &LinkRequest,
        step: LinkStep,
        bytes: &[u8],
    ) -> Result<(), Fault> {
        let timestamp = self.waku_time(tx.now);
        let sealed = request
            .seal(step, bytes, timestamp, &mut self.rng.clone())
            .map_err(|_| Fault::Bug("a link step that does not fit"))?;
        for message in sealed {
            self.enqueue(tx, OutgoingKind::Link, message.encode(), tx.now)?;
        }
        Ok(())
    }

    /// Topics of what is awaited.
    pub(super) fn link_topics(&self) -> &[ContentTopic] {
        self.link_parts.as_ref().map_or(&[], |parts| parts.topics.as_slice())
    }

    /// Ends a linking that took too long.
    pub(super) fn link_due(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        if self.link.as_ref().is_some_and(|link| link.expires <= tx.now) {
            self.fail_link(tx, LinkFailure::Expired)?;
        }
        Ok(())
    }

    fn end_link(&mut self, tx: &Tx<'_>) {
        tx.overlay.delete(key(KEY, &[]));
        self.link = None;
        self.link_parts = None;
    }

    /// Ends a linking, if there is one, and says why.
    fn fail_link(&mut self, tx: &mut Tx<'_>, reason: LinkFailure) -> Result<(), Fault> {
        let Some(link) = &self.link else { return Ok(()) };
        let installation = link.other()?;
        self.end_link(tx);
        self.emit(tx, Event::LinkFailed { installation, reason })
    }

    /// Takes up a linking that was under way when the core was closed.
    pub(super) fn resume_link(&mut self) -> Result<(), Fault> {
        self.link_parts = self.link.as_ref().map(Listening::new).transpose()?;
        Ok(())
    }

    pub(super) fn link_message(
        &mut self,
        tx: &mut Tx<'_>,
        message: &WakuMessage,
    ) -> Result<(), Fault> {
        let (Some(link), Some(listening)) = (self.link.clone(), &mut self.link_parts) else {
            return Ok(());
        };
        let Listening { awaited, others, .. } = listening;
        let mut outcome = PartOutcome::NotOurs;
        if let Some(parts) = awaited {
            outcome = parts.push(message);
        }
        if let (PartOutcome::NotOurs, Some(parts)) = (&outcome, others) {
            return match parts.push(message) {
                PartOutcome::Whole(bytes) if *link.steps[0] != **bytes => {
                    self.fail_link(tx, LinkFailure::SomebodyElse)
                }
                _ => Ok(()),
            };
        }
        match outcome {
            PartOutcome::NotOurs | PartOutcome::Taken | PartOutcome::Duplicate => Ok(()),
            PartOutcome::Refused(_) => self.refuse(tx, None, None, RefusedReason::Invalid),
            PartOutcome::Whole(bytes) => match self.step_came(tx, link, bytes.to_vec())? {
                Ok(()) => Ok(()),
                Err(error) => {
                    tracing::debug!(%error, "a step of linking is refused");
                    self.refuse(tx, None, None, RefusedReason::Invalid)?;
                    self.fail_link(tx, failure(&error))
                }
            },
        }
    }
}

/// What a refused step says of the linking. Who is not the other side cannot make one that follows.
fn failure(error: &LinkError) -> LinkFailure {
    match error {
        LinkError::Transcript
        | LinkError::Commitment
        | LinkError::Signature
        | LinkError::Malformed
        | LinkError::TooLarge(_) => LinkFailure::SomebodyElse,
        LinkError::Account
        | LinkError::Log(_)
        | LinkError::Entry(_)
        | LinkError::Add
        | LinkError::NotLive(_)
        | LinkError::AlreadyLive(_)
        | LinkError::Full
        | LinkError::KeyPackages => LinkFailure::Account,
    }
}
