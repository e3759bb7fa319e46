//! What can go wrong: NUT's own codes, and the three classes of failure.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;

use crate::codec::answer::AnswerError;
use crate::codec::line::LineError;
use crate::codec::word::ArgumentError;
use crate::vocabulary::vocabulary;

vocabulary! {
    /// The second word of an `ERR` answer.
    ErrorCode {
        /// User, password, permission or source address is not accepted.
        AccessDenied = "ACCESS-DENIED",
        /// A second LOGIN on one connection.
        AlreadyLoggedIn = "ALREADY-LOGGED-IN",
        /// PASSWORD was sent twice.
        AlreadySetPassword = "ALREADY-SET-PASSWORD",
        /// USERNAME was sent twice.
        AlreadySetUsername = "ALREADY-SET-USERNAME",
        /// A second STARTTLS.
        AlreadySslMode = "ALREADY-SSL-MODE",
        /// The driver offers no such command.
        CmdNotSupported = "CMD-NOT-SUPPORTED",
        /// The driver is there but gives no news.
        DataStale = "DATA-STALE",
        /// The driver is not running, or just went.
        DriverNotConnected = "DRIVER-NOT-CONNECTED",
        /// TRACKING only: the driver tried and failed.
        Failed = "FAILED",
        /// No certificate (STARTTLS), or tracking is off.
        FeatureNotConfigured = "FEATURE-NOT-CONFIGURED",
        /// Built without TLS.
        FeatureNotSupported = "FEATURE-NOT-SUPPORTED",
        /// The command could not be handed to the driver.
        InstcmdFailed = "INSTCMD-FAILED",
        /// Missing or surplus words.
        InvalidArgument = "INVALID-ARGUMENT",
        /// An unusable password.
        InvalidPassword = "INVALID-PASSWORD",
        /// An unusable user name.
        InvalidUsername = "INVALID-USERNAME",
        /// The value is not accepted.
        InvalidValue = "INVALID-VALUE",
        /// Old servers: a word is missing.
        MissingArgument = "MISSING-ARGUMENT",
        /// PASSWORD was not sent.
        PasswordRequired = "PASSWORD-REQUIRED",
        /// The variable cannot be set.
        Readonly = "READONLY",
        /// The value could not be handed to the driver.
        SetFailed = "SET-FAILED",
        /// The value is too long.
        TooLong = "TOO-LONG",
        /// TRACKING only: unknown to the driver, or an unknown id.
        Unknown = "UNKNOWN",
        /// Not known to this server.
        UnknownCommand = "UNKNOWN-COMMAND",
        /// Old servers: no such instant command.
        UnknownInstcmd = "UNKNOWN-INSTCMD",
        /// Old servers: no such type.
        UnknownType = "UNKNOWN-TYPE",
        /// No such UPS in `ups.conf`.
        UnknownUps = "UNKNOWN-UPS",
        /// USERNAME was not sent.
        UsernameRequired = "USERNAME-REQUIRED",
        /// The UPS has no such variable now.
        VarNotSupported = "VAR-NOT-SUPPORTED",
        /// Old servers: no such variable.
        VarUnknown = "VAR-UNKNOWN",
    }
}

impl ErrorCode {
    /// Returns whether only a change of somebody's configuration can cure it.
    pub fn is_configuration(&self) -> bool {
        matches!(
            self,
            Self::AccessDenied
                | Self::UnknownUps
                | Self::InvalidUsername
                | Self::InvalidPassword
                | Self::UsernameRequired
                | Self::PasswordRequired
        )
    }

    /// Returns whether the same request may succeed later by itself.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::DataStale
                | Self::DriverNotConnected
                | Self::InstcmdFailed
                | Self::SetFailed
                | Self::VarNotSupported
        )
    }
}

/// What a failure means for the connection and for whoever has to act.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ErrorClass {
    /// `upsd` said no. The connection stays usable.
    Refused,
    /// The connection cannot be used any more, or never came to be.
    Spent,
    /// A person must change something. The connection stays usable.
    Configuration,
}

/// A request to `upsd` failed.
#[derive(Debug, Error)]
pub enum ClientError {
    /// `upsd` answered `ERR`; the connection stays usable.
    #[error("upsd refuses {request}: {code}")]
    Refused {
        /// The keywords of the request.
        request: &'static str,
        /// What `upsd` said.
        code: ErrorCode,
    },
    /// The request cannot be written in NUT's protocol; nothing was sent.
    #[error("{request} cannot be sent")]
    Encode {
        /// The keywords of the request.
        request: &'static str,
        /// What is wrong with which argument.
        #[source]
        source: ArgumentError,
    },
    /// The name of the server could not be looked up.
    #[error("cannot look up {server}")]
    Lookup {
        /// The server as configured.
        server: String,
        /// What the resolver said.
        #[source]
        source: io::Error,
    },
    /// No address of the server took the connection.
    #[error("cannot connect to {address}")]
    Connect {
        /// The address tried last.
        address: SocketAddr,
        /// What the system said to it.
        #[source]
        source: io::Error,
    },
    /// The request could not be written.
    #[error("cannot send {request}")]
    Send {
        /// The keywords of the request.
        request: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The answer could not be read.
    #[error("cannot receive the answer to {request}")]
    Receive {
        /// The keywords of the request.
        request: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The server closed the connection before the answer was complete.
    #[error("upsd closed the connection before it had answered {request}")]
    Closed {
        /// The keywords of the request.
        request: &'static str,
    },
    /// The answer did not come in time.
    #[error("upsd did not answer {request} within {limit:?}")]
    Deadline {
        /// The keywords of the request.
        request: &'static str,
        /// The limit that passed.
        limit: Duration,
    },
    /// What came is not a line.
    #[error("the answer to {request} is not a line of text")]
    Frame {
        /// The keywords of the request.
        request: &'static str,
        /// What is wrong with it.
        #[source]
        source: LineError,
    },
    /// What came does not answer what was asked.
    #[error("the answer to {request} does not fit")]
    Mismatch {
        /// The keywords of the request.
        request: &'static str,
        /// What is wrong with it.
        #[source]
        source: AnswerError,
    },
    /// Bytes came that nobody asked for.
    #[error("upsd sent something before {request} was asked")]
    Unasked {
        /// The keywords of the request that was not sent.
        request: &'static str,
    },
    /// An earlier request failed or was cancelled half-way.
    #[error("the connection is spent")]
    Spent,
}

impl ClientError {
    /// Returns what the failure means.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Refused { code, .. } if code.is_configuration() => ErrorClass::Configuration,
            Self::Refused { .. } => ErrorClass::Refused,
            Self::Encode { .. } => ErrorClass::Configuration,
            Self::Lookup { .. }
            | Self::Connect { .. }
            | Self::Send { .. }
            | Self::Receive { .. }
            | Self::Closed { .. }
            | Self::Deadline { .. }
            | Self::Frame { .. }
            | Self::Mismatch { .. }
            | Self::Unasked { .. }
            | Self::Spent => ErrorClass::Spent,
        }
    }

    /// Returns whether the same may succeed later, on a new connection if this one is spent.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Refused { code, .. } => code.is_transient(),
            Self::Encode { .. } => false,
            Self::Lookup { .. }
            | Self::Connect { .. }
            | Self::Send { .. }
            | Self::Receive { .. }
            | Self::Closed { .. }
            | Self::Deadline { .. }
            | Self::Frame { .. }
            | Self::Mismatch { .. }
            | Self::Unasked { .. }
            | Self::Spent => true,
        }
    }

    /// Returns the code, if `upsd` gave one.
    pub fn code(&self) -> Option<&ErrorCode> {
        if let Self::Refused { code, .. } = self { Some(code) } else { None }
    }
}

/// Shows an error with its causes in one line: `a: b: c`.
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a>(pub &'a (dyn std::error::Error + 'static));

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(formatter, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
