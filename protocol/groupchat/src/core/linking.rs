//! Linking a further installation: the three steps of [`crate::account`] over one-time topics.

use waku_groupchat_waku::{ContentTopic, WakuMessage};

use super::records::{AccountRecord, KeptKey, LinkRecord, OutgoingKind, Secret32, key, write};
use super::{Fault, Inner, Stop, Tx};
use crate::account::{
    AccountSecrets, InstallationKey, LinkAssembler, LinkRequest, LinkStep, Linked, PartOutcome,
    RecoveryKey, accept_done, answer_offer, finish, make_offer, make_request, offered,
};
use crate::api::{Answer, CommandError, Event, RefusedReason};
use crate::mls;
use crate::{Timestamp, limits};

impl LinkRecord {
    fn request(&self) -> Result<LinkRequest, Fault> {
        self.request.parse().map_err(|_| Fault::Bug("a kept link request does not parse"))
    }

    fn own_key(&self) -> Option<InstallationKey> {
        self.own_key.as_ref().map(|k| InstallationKey::from_bytes(&k.0))
    }

    /// The step that this side waits for.
    fn awaits(&self) -> LinkStep {
        match (&self.own_key, &self.offer) {
            (None, _) => LinkStep::Answer,
            (Some(_), None) => LinkStep::Offer,
            (Some(_), Some(_)) => LinkStep::Done,
        }
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
        self.begin_link(
            tx,
            LinkRecord {
                request: text.clone(),
                own_key: Some(Secret32(*own_key.to_bytes())),
                package: None,
                offer: None,
                answer: None,
                expires: tx.now + limits::LINK_AGE,
            },
        )?;
        Ok(Answer::LinkRequested { installation: own_key.id(), request: text })
    }

    pub(super) fn accept_link(&mut self, tx: &mut Tx<'_>, text: &str) -> Result<Answer, Stop> {
        let own = self.own()?;
        let own_key = own.key();
        if !own.publishes {
            return Err(Stop::Command(CommandError::OnlyFirstInstallation));
        }
        let bad = |reason: String| Stop::Command(CommandError::LinkRequest(reason));
        let request: LinkRequest = text
            .trim()
            .parse()
            .map_err(|e: crate::account::LinkRequestError| bad(e.to_string()))?;
        let offer = make_offer(&request, &own_key, &self.own_log()?, tx.now)
            .map_err(|e| bad(e.to_string()))?;
        self.send_step(tx, &request, LinkStep::Offer, &offer)?;
        self.begin_link(
            tx,
            LinkRecord {
                request: request.to_string(),
                own_key: None,
                package: None,
                offer: Some(offer),
                answer: None,
                expires: tx.now + limits::LINK_AGE,
            },
        )?;
        Ok(Answer::LinkAccepted { installation: request.installation() })
    }

    fn begin_link(&mut self, tx: &Tx<'_>, link: LinkRecord) -> Result<(), Fault> {
        write(tx.overlay, key("link", &[]), &link)?;
        write(tx.overlay, key("clock", &[]), &self.clock)?;
        self.link_parts = Some(LinkAssembler::new(&link.request()?, link.awaits()));
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

    /// Topics of the step that is awaited.
    pub(super) fn link_topics(&self) -> &[ContentTopic] {
        self.link_parts.as_ref().map_or(&[], |parts| parts.topics().as_slice())
    }

    /// Forgets a linking that took too long.
    pub(super) fn link_due(&mut self, tx: &Tx<'_>) {
        if self.link.as_ref().is_some_and(|link| link.expires <= tx.now) {
            self.end_link(tx);
        }
    }

    fn end_link(&mut self, tx: &Tx<'_>) {
        tx.overlay.delete(key("link", &[]));
        self.link = None;
        self.link_parts = None;
    }

    /// Takes up a linking that was under way when the core was closed.
    pub(super) fn resume_link(&mut self) -> Result<(), Fault> {
        if let Some(link) = &self.link {
            self.link_parts = Some(LinkAssembler::new(&link.request()?, link.awaits()));
        }
        Ok(())
    }

    pub(super) fn link_message(
        &mut self,
        tx: &mut Tx<'_>,
        message: &WakuMessage,
    ) -> Result<(), Fault> {
        let (Some(link), Some(parts)) = (self.link.clone(), &mut self.link_parts) else {
            return Ok(());
        };
        let bytes = match parts.push(message) {
            PartOutcome::NotOurs | PartOutcome::Taken | PartOutcome::Duplicate => return Ok(()),
            PartOutcome::Refused(_) => {
                return self.refuse(tx, None, None, RefusedReason::Invalid);
            }
            PartOutcome::Whole(bytes) => bytes,
        };
        let good = match link.awaits() {
            LinkStep::Offer => self.offer_came(tx, link, bytes.to_vec())?,
            LinkStep::Answer => self.answer_came(tx, &link, &bytes)?,
            LinkStep::Done => self.done_came(tx, &link, &bytes)?,
        };
        if good { Ok(()) } else { self.refuse(tx, None, None, RefusedReason::Invalid) }
    }

    /// On the new installation: an account takes it in.
    fn offer_came(
        &mut self,
        tx: &mut Tx<'_>,
        mut link: LinkRecord,
        offer: Vec<u8>,
    ) -> Result<bool, Fault> {
        let request = link.request()?;
        let Some(own_key) = link.own_key() else { return Ok(false) };
        let Ok(account) = offered(&request, &offer) else { return Ok(false) };
        let identity = super::members::identity(account, own_key.id());
        let provider = self.global_provider(tx);
        let package = mls::package::create(&provider, &own_key, &identity)?.bytes;
        let Ok(answered) = answer_offer(&request, &own_key, &offer, package.clone()) else {
            return Ok(false);
        };
        self.send_step(tx, &request, LinkStep::Answer, &answered.answer)?;
        link.package = Some(package);
        link.offer = Some(offer);
        link.answer = Some(answered.answer);
        self.begin_link(tx, link)?;
        Ok(true)
    }

    /// On the existing installation: the new one joins.
    fn answer_came(
        &mut self,
        tx: &mut Tx<'_>,
        link: &LinkRecord,
        answer: &[u8],
    ) -> Result<bool, Fault> {
        let request = link.request()?;
        let log = self.own_log()?;
        let (Some(own), Some(offer)) = (&mut self.account, &link.offer) else { return Ok(false) };
        let known = own.key_packages.iter().cloned().collect();
        let finished = finish(&request, &own.key(), offer, answer, &log, &own.secrets(), &known);
        let Ok(finished) = finished else { return Ok(false) };
        let installation = request.installation();
        own.log = finished.log.encoded_entries();
        own.key_packages.push((installation, finished.key_package));
        let account = own.account;
        self.save_account(tx)?;
        self.send_step(tx, &request, LinkStep::Done, &finished.done)?;
        self.end_link(tx);
        self.emit(tx, Event::InstallationLinked { account, installation })?;
        Ok(true)
    }

    /// On the new installation: it is in.
    fn done_came(
        &mut self,
        tx: &mut Tx<'_>,
        link: &LinkRecord,
        done: &[u8],
    ) -> Result<bool, Fault> {
        let request = link.request()?;
        let (Some(own_key), Some(offer), Some(answer)) =
            (link.own_key(), &link.offer, &link.answer)
        else {
            return Ok(false);
        };
        let Ok(linked) = accept_done(&request, offer, answer, done) else { return Ok(false) };
        let Linked { log, secrets, mut key_packages } = linked;
        let (account, installation) = (log.account(), own_key.id());
        key_packages.extend(link.package.clone().map(|package| (installation, package)));
        self.account = Some(AccountRecord {
            account,
            installation,
            installation_key: KeptKey(own_key),
            registration_secret: Secret32(*secrets.registration.as_bytes()),
            recovery_secret: Secret32(*secrets.recovery.as_bytes()),
            recovery_key: *secrets.recovery_key.as_bytes(),
            log: log.encoded_entries(),
            key_packages: key_packages.into_iter().collect(),
            publishes: false,
            register_at: Timestamp::ZERO,
            registered: None,
        });
        self.save_account(tx)?;
        self.topics.clear();
        self.end_link(tx);
        self.emit(tx, Event::InstallationLinked { account, installation })?;
        Ok(true)
    }
}

impl AccountRecord {
    fn secrets(&self) -> AccountSecrets {
        let card = self.card();
        AccountSecrets {
            registration: card.registration,
            recovery: card.recovery,
            recovery_key: RecoveryKey::from_bytes(self.recovery_key),
        }
    }
}
