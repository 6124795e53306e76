//! Every error of the API by its name: one table for the answers and for the document.

use axum::http::StatusCode;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $Code:ident = $status:ident $name:literal;)+) => {
        /// A fixed name of an error, for programs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(in crate::chat) enum Code {
            $($(#[doc = $doc])+ $Code,)+
        }

        impl Code {
            /// Every code, in the order of the table.
            pub(in crate::chat) const ALL: &'static [Self] = &[$(Self::$Code,)+];

            /// As it is written in JSON.
            pub(in crate::chat) const fn name(self) -> &'static str {
                match self { $(Self::$Code => $name,)+ }
            }

            /// The HTTP status it comes with.
            pub(in crate::chat) const fn status(self) -> StatusCode {
                match self { $(Self::$Code => StatusCode::$status,)+ }
            }

            /// What it means, for people.
            pub(in crate::chat) fn about(self) -> &'static str {
                match self { $(Self::$Code => concat!($($doc,)+).trim_start(),)+ }
            }
        }
    };
}

codes! {
    /// Something in the path, the query, a header or the body does not parse.
    Malformed = BAD_REQUEST "malformed";
    /// A text is shorter or longer than it may be.
    Length = BAD_REQUEST "length";
    /// A contact card does not parse, or its signature does not hold.
    Card = BAD_REQUEST "card";
    /// Not a recovery phrase: the detail says which word is wrong.
    Phrase = BAD_REQUEST "phrase";
    /// A link request does not parse, or is too old.
    LinkRequest = BAD_REQUEST "link-request";
    /// Not the eight digits that are compared.
    Digits = BAD_REQUEST "digits";
    /// An account is named twice, or is the own one.
    RepeatedAccount = BAD_REQUEST "repeated-account";
    /// The own account is not removed: it leaves.
    OwnAccount = BAD_REQUEST "own-account";
    /// No installation is named, or this one: others are revoked.
    OwnInstallation = BAD_REQUEST "own-installation";
    /// More cards than one invitation takes.
    TooManyCards = BAD_REQUEST "too-many-cards";
    /// A token without a scope allows nothing.
    NoScope = BAD_REQUEST "no-scope";
    /// The time at which a token ends is over already.
    Expiry = BAD_REQUEST "expiry";
    /// There is no bearer token in the request.
    NoToken = UNAUTHORIZED "no-token";
    /// The token is not one of this node's: wrong, or revoked.
    WrongToken = UNAUTHORIZED "wrong-token";
    /// The token has expired.
    ExpiredToken = UNAUTHORIZED "expired-token";
    /// The token is good, but has not the scope that this takes.
    Scope = FORBIDDEN "scope";
    /// There is nothing at this path.
    NoPath = NOT_FOUND "no-path";
    /// This installation has no account yet.
    NoAccountHere = NOT_FOUND "no-account";
    /// No linking is under way here: it ended, or took more than five minutes.
    NoLink = NOT_FOUND "no-link";
    /// No such group here.
    UnknownGroup = NOT_FOUND "unknown-group";
    /// No invitation to this group waits here.
    NoInvitation = NOT_FOUND "no-invitation";
    /// No such account in the group.
    NotAMember = NOT_FOUND "not-a-member";
    /// No such live installation in the account.
    UnknownInstallation = NOT_FOUND "unknown-installation";
    /// The account is not blocked.
    NotBlocked = NOT_FOUND "not-blocked";
    /// No such message here.
    UnknownMessage = NOT_FOUND "unknown-message";
    /// No such token here.
    UnknownToken = NOT_FOUND "unknown-token";
    /// The path does not take this method.
    Method = METHOD_NOT_ALLOWED "method";
    /// This installation has no account yet, and what was asked needs one.
    NoAccount = CONFLICT "no-account";
    /// This installation belongs to an account already.
    HasAccount = CONFLICT "has-account";
    /// The group's roles and policy do not allow it.
    NotAllowed = CONFLICT "not-allowed";
    /// This installation is not in the group any more, or leaves it.
    NotInGroup = CONFLICT "not-in-group";
    /// The account has no other installation.
    Alone = CONFLICT "alone";
    /// The account's only installation does not leave it.
    LastInstallation = CONFLICT "last-installation";
    /// There are no digits to compare yet: the other installation has not answered.
    NoDigits = CONFLICT "no-digits";
    /// This installation was revoked, or has left its account.
    Ended = CONFLICT "ended";
    /// A copy of this installation's database is in use elsewhere, so it sends no more.
    Copied = CONFLICT "copied";
    /// Another installation was named than the one that is here.
    OtherInstallation = CONFLICT "other-installation";
    /// The account has replaced its contact card: the new one is needed.
    CardReplaced = CONFLICT "card-replaced";
    /// The account is in the group already.
    AlreadyMember = CONFLICT "already-member";
    /// As many accounts are blocked as there can be.
    TooManyBlocked = CONFLICT "too-many-blocked";
    /// There are as many tokens as there can be.
    TooManyTokens = CONFLICT "too-many-tokens";
    /// The first token is not revoked over the API.
    FirstToken = CONFLICT "first-token";
    /// The cursor is one that this node has not given yet: it is from another node, or the node
    /// was put back to an older state.
    CursorAhead = CONFLICT "cursor-ahead";
    /// Events after the cursor are not kept any more; `oldest` names the oldest one that is.
    Gone = GONE "gone";
    /// The body is over 1 MiB.
    BodyTooLarge = PAYLOAD_TOO_LARGE "body-too-large";
    /// The body is not declared as JSON.
    MediaType = UNSUPPORTED_MEDIA_TYPE "media-type";
    /// Too many messages or changes of the group wait for the network: try again later.
    Busy = TOO_MANY_REQUESTS "busy";
    /// The chat has as much to do as it takes: try again after `Retry-After` seconds.
    QueueFull = TOO_MANY_REQUESTS "queue-full";
    /// As many streams of events are open as there can be: close one, or try again later.
    TooManyStreams = TOO_MANY_REQUESTS "too-many-streams";
    /// The node met a bug.
    Internal = INTERNAL_SERVER_ERROR "internal";
    /// The chat's database fails. Nothing was changed.
    Database = SERVICE_UNAVAILABLE "database";
    /// The file of the tokens cannot be written. Nothing was changed.
    TokenFile = SERVICE_UNAVAILABLE "token-file";
    /// The chat's data is being removed, and not all of it is gone: the node's next start finishes it.
    Unfinished = SERVICE_UNAVAILABLE "wipe-unfinished";
    /// The node stops.
    Stopped = SERVICE_UNAVAILABLE "stopped";
}
