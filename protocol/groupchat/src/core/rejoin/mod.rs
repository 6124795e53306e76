//! Coming back into a group that one cannot follow any more.
//!
//! From every state a secret is exported for this alone. Its topics of each UTC day are listened to
//! for [`KEPT_REJOIN_AGE`](crate::limits::KEPT_REJOIN_AGE), long after the state itself is gone. A
//! member that read nothing for long, though it reaches others, asks there; any one member answers,
//! the others hear that and stay silent.
//!
//! | module | what |
//! |---|---|
//! | [`wire`] | requests and answers as they travel, and whether a commit may swap a leaf |
//! | [`keys`] | the states from which a member can come back |
//! | [`ask`] | the side that cannot follow |
//! | [`answer`] | the side that can |
//! | [`split`] | two parts of a group that cannot read each other's commits any more |
//! | [`back`] | the way back in, with everything that was there |

mod answer;
mod ask;
mod back;
mod keys;
mod split;
mod wire;

use prost::Message as _;
use waku_groupchat_waku::WakuMessage;

pub(super) use self::answer::{Requests, Swap, keep_welcome, welcome_key};
pub(super) use self::back::{ComesBy, inviter_key};
pub(super) use self::split::Chains;
pub(super) use self::wire::swapped;
use super::inbound::frame_body;
use super::records::StateName;
use super::topics::rejoin_key;
use super::{Fault, Inner, Tx};
use crate::api::RefusedReason;
use crate::proto::group as pb;
use crate::seal::open_message;
use crate::segment::{self, Outcome, Segment};
use crate::{GroupId, Timestamp};

/// What travels on a rejoin topic.
pub(super) fn frame(body: pb::rejoin::Body) -> Vec<u8> {
    let rejoin = pb::Rejoin { body: Some(body) };
    pb::Frame { body: Some(pb::frame::Body::Rejoin(rejoin)), mark: Vec::new() }.encode_to_vec()
}

impl Inner {
    /// Something on a state's rejoin topic.
    pub(super) fn rejoin_message(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        name: StateName,
        day: u64,
        message: &WakuMessage,
    ) -> Result<(), Fault> {
        let Some(secret) = self.rejoin_secret(&id, &name) else { return Ok(()) };
        let Ok(content) = open_message(&rejoin_key(&secret, day), message) else {
            return self.refuse(tx, Some(id), None, RefusedReason::Seal);
        };
        let at = Timestamp::from_waku(message.timestamp.unwrap_or_default());
        match frame_body(&content) {
            Some(pb::frame::Body::Segment(part)) => {
                let Some(part) = Segment::parse(part) else {
                    return self.refuse(tx, Some(id), None, RefusedReason::Malformed);
                };
                match self.segments.push(segment::Place::Rejoin(id, name), part, tx.now) {
                    Outcome::Taken | Outcome::Duplicate => Ok(()),
                    Outcome::Refused => self.refuse(tx, Some(id), None, RefusedReason::Malformed),
                    Outcome::Whole(content) => self.rejoin_frame(tx, id, name, &content, at),
                }
            }
            _ => self.rejoin_frame(tx, id, name, &content, at),
        }
    }

    fn rejoin_frame(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        name: StateName,
        content: &[u8],
        at: Timestamp,
    ) -> Result<(), Fault> {
        let Some(pb::frame::Body::Rejoin(pb::Rejoin { body: Some(body) })) = frame_body(content)
        else {
            return self.refuse(tx, Some(id), None, RefusedReason::Malformed);
        };
        // one request goes to the topics of several states; a chain says the same again and again
        let repeats = matches!(body, pb::rejoin::Body::Chain(_));
        if !repeats && self.seen(tx, id, content)? {
            return Ok(());
        }
        self.mark_seen(tx, id, content);
        match body {
            pb::rejoin::Body::Request(request) => self.way_asked(tx, id, name, request, at),
            pb::rejoin::Body::Answer(answer) => self.way_answered(tx, id, &answer, at),
            pb::rejoin::Body::Chain(chain) => self.chain_said(tx, id, name, chain, at),
            pb::rejoin::Body::Statement(signed) => self.stated(tx, id, &signed),
            pb::rejoin::Body::AccountReturn(signed) => self.return_asked(tx, id, &signed, at),
        }
    }

    pub(super) fn next_rejoin(&self) -> Option<Timestamp> {
        self.next_ask().into_iter().chain(self.requests.next()).chain(self.next_split()).min()
    }

    /// Asks where nothing was read for long, and answers who asked.
    pub(super) fn rejoin_due(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        self.splits_due(tx)?;
        self.asks_due(tx)?;
        self.answers_due(tx)
    }
}
