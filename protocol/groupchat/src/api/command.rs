//! What a person or a program can ask of the core, and the answers.

use crate::account::{Card, Phrase};
use crate::order::roles::{Policy, Role};
use crate::{AccountId, GroupId, InstallationId, MessageId};

/// Something to do. Accepted means durable: the answer comes after the batch that holds it. `Debug`
/// hides texts, cards and requests.
#[derive(Clone)]
pub enum Command {
    /// Make an account, with this installation as its first.
    CreateAccount,
    /// Make this installation the only one of the account that a phrase is of: whatever was live
    /// before is not any more. Accepted at once; archives are asked, and
    /// [`crate::api::Event::Recovered`] or [`crate::api::Event::RecoveryFailed`] follows.
    Recover {
        /// Held in memory until then, and never written.
        phrase: Phrase,
        /// Somebody else has an installation of the account, and so its card: it gets a new one.
        stolen: bool,
    },
    /// Give the account another contact card. Contacts are told of it in the groups they share; who
    /// has the former one cannot invite the account by it any more.
    RotateCard,
    /// Make this installation ask an existing account to take it in.
    RequestLink,
    /// Take in the installation that made this request text.
    AcceptLink {
        /// What [`Command::RequestLink`] answered there.
        request: String,
    },
    /// Say which digits the other side of a linking shows. On both sides a person does: then the
    /// account is handed over.
    ConfirmLink {
        /// [`crate::account::CHECK_DIGITS`] digits; spaces and dashes do not count.
        digits: String,
    },
    /// Give up the linking that is under way.
    CancelLink,
    /// Call an installation of the own account something. Only the account's installations see it.
    SetLabel {
        /// Which one.
        installation: InstallationId,
        /// At most [`crate::limits::LABEL_BYTES`] bytes of UTF-8; none takes the label away.
        label: String,
    },
    /// Take this installation out of its account and of all groups, for good.
    LeaveAccount,
    /// Put other installations of the own account out, for good: they are taken out of every group,
    /// and nobody who has heard of it accepts what they send.
    Revoke {
        /// Whom.
        installations: Vec<InstallationId>,
    },
    /// Make a group with this account in it.
    CreateGroup {
        /// At most [`crate::limits::NAME_BYTES`] bytes of UTF-8, not empty.
        name: String,
        /// At most [`crate::limits::DESCRIPTION_BYTES`] bytes of UTF-8.
        description: String,
    },
    /// Set name and description for all.
    SetProfile {
        /// Which group.
        group: GroupId,
        /// As in [`Command::CreateGroup`].
        name: String,
        /// As in [`Command::CreateGroup`].
        description: String,
    },
    /// Add the accounts behind these contact cards, all their installations, in one commit.
    /// Accepted at once; each account's registration record is looked for until it is found.
    Invite {
        /// Which group.
        group: GroupId,
        /// Contact cards as text.
        cards: Vec<String>,
    },
    /// Join a group that this installation was invited to.
    AcceptInvitation {
        /// Which group.
        group: GroupId,
    },
    /// Forget an invitation.
    DeclineInvitation {
        /// Which group.
        group: GroupId,
    },
    /// Take all installations of these accounts out of a group.
    Remove {
        /// Which group.
        group: GroupId,
        /// Whom.
        accounts: Vec<AccountId>,
    },
    /// Leave a group, with all installations of the account: each says so itself when it hears of it.
    /// What they had sent before still goes out.
    Leave {
        /// Which group.
        group: GroupId,
    },
    /// Name an account's role in a group.
    SetRole {
        /// Which group.
        group: GroupId,
        /// Whose.
        account: AccountId,
        /// The role.
        role: Role,
    },
    /// Set which role each right needs in a group.
    SetPolicy {
        /// Which group.
        group: GroupId,
        /// The policy.
        policy: Policy,
    },
    /// Give this installation's leaf in a group new keys.
    UpdateKeys {
        /// Which group.
        group: GroupId,
    },
    /// Turn away all invitations of an account, also those that wait, and mark its messages.
    Block {
        /// Whom.
        account: AccountId,
    },
    /// Take that back.
    Unblock {
        /// Whom.
        account: AccountId,
    },
    /// Say who may invite this account.
    SetInvitations {
        /// Only accounts that share a group with this one, or that it has asked into one.
        contacts_only: bool,
    },
    /// Say that a group was read up to a message, at all installations of the account. It is never
    /// taken back: a message before what was read changes nothing.
    MarkRead {
        /// Which group.
        group: GroupId,
        /// The sender and number of a message that is here; `None`: the last one.
        upto: Option<(InstallationId, u64)>,
    },
    /// Ask the account's other installations for the messages of all groups that they hold and this
    /// one does not.
    AskHistory,
    /// Ask for no such messages, and for no more of them.
    DeclineHistory,
    /// Say something in a group.
    Send {
        /// Which group.
        group: GroupId,
        /// At most [`crate::limits::TEXT_BYTES`] bytes of UTF-8, not empty.
        text: String,
    },
}

/// What a command gave. `Debug` hides secrets.
#[derive(Clone)]
pub enum Answer {
    /// To [`Command::CreateAccount`].
    AccountCreated {
        /// The account.
        account: AccountId,
        /// This installation.
        installation: InstallationId,
        /// The recovery phrase: shown once, kept nowhere.
        phrase: Phrase,
        /// The contact card.
        card: Card,
    },
    /// To [`Command::Recover`]: archives are being asked.
    Recovering {
        /// The account that the phrase is of.
        account: AccountId,
    },
    /// To [`Command::RotateCard`].
    CardRotated {
        /// The card that counts from now on.
        card: Card,
    },
    /// To [`Command::RequestLink`]: the text to give to an existing installation.
    LinkRequested {
        /// This installation.
        installation: InstallationId,
        /// The request. It holds a secret.
        request: String,
    },
    /// To [`Command::AcceptLink`]: the exchange has begun; [`crate::api::Event::LinkDigits`] follows.
    LinkAccepted {
        /// The new installation.
        installation: InstallationId,
    },
    /// To [`Command::ConfirmLink`].
    LinkCompared {
        /// Whether they are the own digits: the linking goes on. If not, it has ended, for somebody
        /// may stand between the two.
        same: bool,
    },
    /// To [`Command::Revoke`].
    Revoked {
        /// Live installations that those had added: a thief may have. They can be revoked too.
        added: Vec<InstallationId>,
    },
    /// To [`Command::CreateGroup`].
    GroupCreated {
        /// The group.
        group: GroupId,
    },
    /// To [`Command::Invite`]: on disk, and goes out as the records are found.
    Inviting {
        /// The accounts behind the cards, in their order.
        accounts: Vec<AccountId>,
    },
    /// To [`Command::Send`].
    Accepted {
        /// The message's name; its number is never given again.
        message: MessageId,
    },
    /// Done, nothing more to say.
    Done,
}

/// Why a command was not carried out. It changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// This installation has no account yet.
    #[error("this installation has no account yet: create one, or link it to one")]
    NoAccount,
    /// This installation already belongs to an account.
    #[error("this installation already belongs to account {0}")]
    HasAccount(AccountId),
    /// Not a recovery phrase.
    #[error("recovery phrase: {0}")]
    Phrase(#[from] crate::account::PhraseError),
    /// A card that does not parse.
    #[error("contact card: {0}")]
    Card(#[from] crate::account::CardError),
    /// A card that its account has replaced, and the newer one is not known here.
    #[error("account {0} has replaced this contact card: ask for the new one")]
    CardReplaced(AccountId),
    /// A link request that does not parse.
    #[error("link request: {0}")]
    LinkRequest(String),
    /// No linking is under way.
    #[error("no linking is under way here: it ended, or took more than five minutes")]
    NoLink,
    /// The other side has not answered yet.
    #[error("there are no digits to compare yet: the other installation has not answered")]
    NoDigits,
    /// Not what is compared.
    #[error("{0}: those that the other installation shows")]
    Digits(crate::account::CheckDigitsError),
    /// This installation is not in its account any more.
    #[error(
        "this installation was revoked, or has left its account: link a new one, with an empty data \
         directory"
    )]
    Ended,
    /// The account's only installation does not leave it.
    #[error("this is the account's only installation: link another one first")]
    LastInstallation,
    /// Nobody to ask.
    #[error("the account has no other installation: there is nobody to ask")]
    Alone,
    /// An installation revokes others.
    #[error("name other installations of the account than this one")]
    OwnInstallation,
    /// Not a live installation of the own account.
    #[error("installation {0} is not live in the account")]
    UnknownInstallation(InstallationId),
    /// As many accounts are blocked as there can be.
    #[error("{max} accounts are blocked, the most there can be")]
    TooManyBlocked {
        /// The most.
        max: usize,
    },
    /// Not blocked.
    #[error("account {0} is not blocked")]
    NotBlocked(AccountId),
    /// A group that is not known here.
    #[error("no group {0} here")]
    UnknownGroup(GroupId),
    /// A message that is not here.
    #[error("no message {}/{} in group {} here", .0.installation, .0.number, .0.group)]
    UnknownMessage(MessageId),
    /// A group that no invitation waits for.
    #[error("no invitation to group {0} waits here")]
    NoInvitation(GroupId),
    /// The group's roles and policy do not allow it.
    #[error("not allowed in this group: {0}")]
    NotAllowed(String),
    /// This installation was taken out of the group, or has left it.
    #[error("this installation is not in group {0} any more")]
    NotInGroup(GroupId),
    /// An account that is not in the group.
    #[error("account {0} is not in the group")]
    NotAMember(AccountId),
    /// The own account cannot be removed: leaving is for that.
    #[error("the own account is not removed, it leaves: use leave")]
    OwnAccount,
    /// MLS refuses the change of members.
    #[error("the members cannot be changed that way: {0}")]
    Members(String),
    /// Too many cards at once.
    #[error("at most {max} accounts can be invited at once, got {got}")]
    TooManyCards {
        /// As given.
        got: usize,
        /// At most.
        max: usize,
    },
    /// A text outside its bounds.
    #[error("{field} must be {min} to {max} bytes of UTF-8, got {got}")]
    Length {
        /// Which one.
        field: &'static str,
        /// At least.
        min: usize,
        /// At most.
        max: usize,
        /// As given.
        got: usize,
    },
    /// An account that is in the group already.
    #[error("account {0} is in the group already")]
    AlreadyMember(AccountId),
    /// The account's own card, or the same card twice.
    #[error("account {0} is named twice or is the inviter's own")]
    RepeatedAccount(AccountId),
    /// An invitation whose parts are over the largest size class.
    #[error("the group is too large to invite to for now: {bytes} bytes, at most {max}")]
    TooLarge {
        /// Size of the part.
        bytes: usize,
        /// The most.
        max: usize,
    },
    /// A copy of this installation's database is in use elsewhere; numbers and keys would clash.
    #[error(
        "this installation sends no more, because a copy of its database is in use elsewhere: link \
         a new installation to the account with an empty data directory, and use neither copy"
    )]
    Copied,
    /// Too many messages wait to be taken by the network.
    #[error("{waiting} messages of this group wait for the network: try again later")]
    Busy {
        /// How many wait.
        waiting: usize,
    },
}
