//! The steps of a linking, as each side takes them.

use super::super::records::{AccountRecord, KeptKey, LinkRecord, LinkSide, Secret32};
use super::super::{Fault, Inner, Tx, members};
use crate::account::{
    AccountSecrets, Compared, InstallationKey, LinkError, LinkOpening, LinkStep, Linked,
    RecoveryKey, accept_done, answer_offer, finish, make_nonce, make_offer, make_reveal, offered,
};
use crate::api::Event;
use crate::{Timestamp, mls};

/// Whether a step held. If not, the linking ends.
type Took = Result<(), LinkError>;

impl Inner {
    /// The step that is awaited.
    pub(super) fn step_came(
        &mut self,
        tx: &mut Tx<'_>,
        mut link: LinkRecord,
        bytes: Vec<u8>,
    ) -> Result<Took, Fault> {
        match link.awaits() {
            Some(LinkStep::Commitment) => self.commitment_came(tx, link, bytes),
            Some(LinkStep::Nonce) => self.nonce_came(tx, link, bytes),
            Some(LinkStep::Reveal) => self.reveal_came(tx, link, bytes),
            Some(LinkStep::Offer) => {
                let Some(compared) = link.compared()? else { return Ok(Err(LinkError::Malformed)) };
                if let Err(error) = offered(&link.request()?, &compared, &bytes) {
                    return Ok(Err(error));
                }
                link.steps.push(bytes);
                if link.confirmed {
                    return self.answer_to_offer(tx, link, &compared);
                }
                self.go_on_linking(tx, link)?;
                Ok(Ok(()))
            }
            Some(LinkStep::Answer) => self.answer_came(tx, &link, &bytes),
            Some(LinkStep::Done) => self.done_came(tx, &link, &bytes),
            None => Ok(Ok(())),
        }
    }

    /// On the new installation: somebody accepts the request.
    fn commitment_came(
        &mut self,
        tx: &mut Tx<'_>,
        mut link: LinkRecord,
        commitment: Vec<u8>,
    ) -> Result<Took, Fault> {
        let (request, Some(key)) = (link.request()?, own_key(&link)) else {
            return Ok(Err(LinkError::Malformed));
        };
        let nonce = match make_nonce(&request, &key, &commitment, &mut self.rng.clone()) {
            Ok(nonce) => nonce,
            Err(error) => return Ok(Err(error)),
        };
        self.send_step(tx, &request, LinkStep::Nonce, &nonce)?;
        link.steps = vec![commitment, nonce];
        self.go_on_linking(tx, link)?;
        Ok(Ok(()))
    }

    /// On the existing installation: it can reveal what it committed to.
    fn nonce_came(
        &mut self,
        tx: &mut Tx<'_>,
        mut link: LinkRecord,
        nonce: Vec<u8>,
    ) -> Result<Took, Fault> {
        let (request, LinkSide::Existing { random }, Some(own)) =
            (link.request()?, &link.side, &self.account)
        else {
            return Ok(Err(LinkError::Malformed));
        };
        let opening = LinkOpening::from_parts(own.installation, random.0);
        let reveal = match make_reveal(&request, &own.key(), &link.steps[0], &nonce, &opening) {
            Ok(reveal) => reveal,
            Err(error) => return Ok(Err(error)),
        };
        self.send_step(tx, &request, LinkStep::Reveal, &reveal)?;
        link.steps.extend([nonce, reveal]);
        self.show_digits(tx, link)
    }

    /// On the new installation: it knows the digits.
    fn reveal_came(
        &mut self,
        tx: &mut Tx<'_>,
        mut link: LinkRecord,
        reveal: Vec<u8>,
    ) -> Result<Took, Fault> {
        let request = link.request()?;
        if let Err(error) = Compared::open(&request, &link.steps[0], &link.steps[1], &reveal) {
            return Ok(Err(error));
        }
        link.steps.push(reveal);
        self.show_digits(tx, link)
    }

    fn show_digits(&mut self, tx: &mut Tx<'_>, link: LinkRecord) -> Result<Took, Fault> {
        let (Some(compared), Some(installation)) = (link.compared()?, link.other()?) else {
            return Ok(Err(LinkError::Malformed));
        };
        self.go_on_linking(tx, link)?;
        let digits = compared.digits.to_string();
        self.emit(tx, Event::LinkDigits { installation, digits })?;
        Ok(Ok(()))
    }

    /// The person has compared the digits.
    pub(super) fn confirmed_link(
        &mut self,
        tx: &mut Tx<'_>,
        mut link: LinkRecord,
        compared: &Compared,
    ) -> Result<(), Fault> {
        let took = match (&link.side, link.steps.len()) {
            (LinkSide::Existing { .. }, _) => {
                let (request, log) = (link.request()?, self.own_log()?);
                let own = self.account.as_ref().ok_or(Fault::Bug("linking without an account"))?;
                match make_offer(&request, compared, &own.key(), &log, tx.now) {
                    Err(error) => Err(error),
                    Ok(offer) => {
                        self.send_step(tx, &request, LinkStep::Offer, &offer)?;
                        link.steps.push(offer);
                        self.go_on_linking(tx, link)?;
                        Ok(())
                    }
                }
            }
            // the offer is here already
            (LinkSide::New { .. }, 4) => self.answer_to_offer(tx, link, compared)?,
            (LinkSide::New { .. }, _) => {
                self.go_on_linking(tx, link)?;
                Ok(())
            }
        };
        match took {
            Ok(()) => Ok(()),
            Err(error) => self.fail_link(tx, super::failure(&error)),
        }
    }

    /// On the new installation: its person has confirmed, and the offer is here.
    fn answer_to_offer(
        &mut self,
        tx: &mut Tx<'_>,
        mut link: LinkRecord,
        compared: &Compared,
    ) -> Result<Took, Fault> {
        let (request, Some(own_key)) = (link.request()?, own_key(&link)) else {
            return Ok(Err(LinkError::Malformed));
        };
        let offer = &link.steps[3];
        let account = match offered(&request, compared, offer) {
            Ok(account) => account,
            Err(error) => return Ok(Err(error)),
        };
        let identity = members::identity(account, own_key.id());
        let provider = self.global_provider(tx);
        let made = mls::package::create(&provider, &own_key, &identity)?.bytes;
        let answered = match answer_offer(&request, compared, &own_key, offer, made.clone()) {
            Ok(answered) => answered,
            Err(error) => return Ok(Err(error)),
        };
        self.send_step(tx, &request, LinkStep::Answer, &answered.answer)?;
        link.steps.push(answered.answer);
        if let LinkSide::New { package, .. } = &mut link.side {
            *package = Some(made);
        }
        self.go_on_linking(tx, link)?;
        Ok(Ok(()))
    }

    /// On the existing installation: the new one joins.
    fn answer_came(
        &mut self,
        tx: &mut Tx<'_>,
        link: &LinkRecord,
        answer: &[u8],
    ) -> Result<Took, Fault> {
        let (request, compared, log) = (link.request()?, link.compared()?, self.own_log()?);
        let (Some(own), Some(compared)) = (&mut self.account, compared) else {
            return Ok(Err(LinkError::Malformed));
        };
        let (key, offer, secrets) = (own.key(), &link.steps[3], own.secrets());
        let known = own.key_packages.iter().cloned().collect();
        let finished =
            match finish(&request, &compared, &key, offer, answer, &log, &secrets, &known) {
                Ok(finished) => finished,
                Err(error) => return Ok(Err(error)),
            };
        let installation = request.installation();
        own.key_packages.retain(|(i, _)| *i != installation);
        own.key_packages.push((installation, finished.key_package));
        let account = own.account;
        self.send_step(tx, &request, LinkStep::Done, &finished.done)?;
        self.end_link(tx);
        self.take_own_log(tx, &finished.log)?;
        self.ensure_own_group(tx)?;
        self.spread(tx)?;
        self.tell_linked(tx, installation)?;
        self.emit(tx, Event::InstallationLinked { account, installation })?;
        Ok(Ok(()))
    }

    /// On the new installation: it is in.
    fn done_came(
        &mut self,
        tx: &mut Tx<'_>,
        link: &LinkRecord,
        done: &[u8],
    ) -> Result<Took, Fault> {
        let (request, Some(own_key), Some(compared)) =
            (link.request()?, own_key(link), link.compared()?)
        else {
            return Ok(Err(LinkError::Malformed));
        };
        let linked = match accept_done(&request, &compared, &link.steps[3], &link.steps[4], done) {
            Ok(linked) => linked,
            Err(error) => return Ok(Err(error)),
        };
        let Linked { log, secrets, mut key_packages } = linked;
        let (account, installation) = (log.account(), own_key.id());
        if let LinkSide::New { package: Some(package), .. } = &link.side {
            key_packages.insert(installation, package.clone());
        }
        self.account = Some(AccountRecord {
            account,
            installation,
            installation_key: KeptKey(own_key),
            registration_secret: Secret32(*secrets.registration.as_bytes()),
            recovery_secret: Secret32(*secrets.recovery.as_bytes()),
            recovery_key: *secrets.recovery_key.as_bytes(),
            log: log.encoded_entries(),
            key_packages: key_packages.into_iter().collect(),
            turn_known: false,
            register_at: Timestamp::ZERO,
            registered: None,
        });
        // the others see to the record of this period
        self.register_next(tx.now);
        self.take_own_log(tx, &log)?;
        self.topics.clear();
        self.end_link(tx);
        self.emit(tx, Event::InstallationLinked { account, installation })?;
        Ok(Ok(()))
    }
}

/// The key of the installation that asks, on its side.
fn own_key(link: &LinkRecord) -> Option<InstallationKey> {
    match &link.side {
        LinkSide::New { key, .. } => Some(InstallationKey::from_bytes(&key.0)),
        LinkSide::Existing { .. } => None,
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
