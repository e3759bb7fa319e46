//! Requests: rendered by the client, read by the simulated server.

use std::fmt;

use crate::codec::word::{ArgumentError, quote_into};
use crate::error::ErrorCode;

/// A text that does not show itself.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text; the only way to see it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// What can be asked of `upsd`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Request {
    /// `VER`: the server's version as free text.
    Version,
    /// `NETVER`: the protocol's version.
    NetworkVersion,
    /// `LIST UPS`.
    ListUps,
    /// `LIST VAR ups`.
    ListVariables(String),
    /// `LIST RW ups`.
    ListWritables(String),
    /// `LIST CMD ups`.
    ListCommands(String),
    /// `LIST CLIENT ups`: the addresses of those logged in.
    ListClients(String),
    /// `LIST ENUM ups variable`.
    ListEnum(String, String),
    /// `LIST RANGE ups variable`.
    ListRange(String, String),
    /// `GET VAR ups variable`.
    GetVariable(String, String),
    /// `GET TYPE ups variable`.
    GetType(String, String),
    /// `GET DESC ups variable`.
    GetDescription(String, String),
    /// `GET CMDDESC ups command`.
    GetCommandDescription(String, String),
    /// `GET UPSDESC ups`.
    GetUpsDescription(String),
    /// `GET NUMLOGINS ups`.
    GetLogins(String),
    /// `GET TRACKING`: whether it is on.
    GetTracking,
    /// `GET TRACKING id`.
    GetVerdict(String),
    /// `USERNAME name`.
    Username(String),
    /// `PASSWORD secret`.
    Password(Secret),
    /// `LOGIN ups`.
    Login(String),
    /// `LOGOUT`.
    Logout,
    /// `PRIMARY ups`, from NUT 2.8.0 on.
    Primary(String),
    /// `MASTER ups`, the same before 2.8.0.
    Master(String),
    /// `FSD ups`. There is no way back but a restart of `upsd`.
    ForceShutdown(String),
    /// `SET VAR ups variable value`.
    SetVariable(String, String, String),
    /// `SET TRACKING ON` or `OFF`.
    SetTracking(bool),
    /// `INSTCMD ups command [parameter]`.
    RunCommand(String, String, Option<String>),
}

impl Request {
    /// Returns the keywords, for messages and for the wire.
    pub fn keywords(&self) -> &'static str {
        match self {
            Self::Version => "VER",
            Self::NetworkVersion => "NETVER",
            Self::ListUps => "LIST UPS",
            Self::ListVariables(..) => "LIST VAR",
            Self::ListWritables(..) => "LIST RW",
            Self::ListCommands(..) => "LIST CMD",
            Self::ListClients(..) => "LIST CLIENT",
            Self::ListEnum(..) => "LIST ENUM",
            Self::ListRange(..) => "LIST RANGE",
            Self::GetVariable(..) => "GET VAR",
            Self::GetType(..) => "GET TYPE",
            Self::GetDescription(..) => "GET DESC",
            Self::GetCommandDescription(..) => "GET CMDDESC",
            Self::GetUpsDescription(..) => "GET UPSDESC",
            Self::GetLogins(..) => "GET NUMLOGINS",
            Self::GetTracking | Self::GetVerdict(..) => "GET TRACKING",
            Self::Username(..) => "USERNAME",
            Self::Password(..) => "PASSWORD",
            Self::Login(..) => "LOGIN",
            Self::Logout => "LOGOUT",
            Self::Primary(..) => "PRIMARY",
            Self::Master(..) => "MASTER",
            Self::ForceShutdown(..) => "FSD",
            Self::SetVariable(..) => "SET VAR",
            Self::SetTracking(true) => "SET TRACKING ON",
            Self::SetTracking(false) => "SET TRACKING OFF",
            Self::RunCommand(..) => "INSTCMD",
        }
    }

    /// Returns what follows the keywords.
    pub fn arguments(&self) -> Vec<&str> {
        match self {
            Self::Version
            | Self::NetworkVersion
            | Self::ListUps
            | Self::GetTracking
            | Self::Logout
            | Self::SetTracking(_) => Vec::new(),
            Self::ListVariables(one)
            | Self::ListWritables(one)
            | Self::ListCommands(one)
            | Self::ListClients(one)
            | Self::GetUpsDescription(one)
            | Self::GetLogins(one)
            | Self::GetVerdict(one)
            | Self::Username(one)
            | Self::Login(one)
            | Self::Primary(one)
            | Self::Master(one)
            | Self::ForceShutdown(one) => vec![one],
            Self::Password(secret) => vec![secret.reveal()],
            Self::ListEnum(ups, name)
            | Self::ListRange(ups, name)
            | Self::GetVariable(ups, name)
            | Self::GetType(ups, name)
            | Self::GetDescription(ups, name)
            | Self::GetCommandDescription(ups, name) => vec![ups, name],
            Self::SetVariable(ups, name, value) => vec![ups, name, value],
            Self::RunCommand(ups, command, parameter) => {
                [ups, command].into_iter().chain(parameter).map(String::as_str).collect()
            }
        }
    }

    /// Renders the line with its LF: every argument in quotes, or an error and nothing to send.
    pub fn encode(&self) -> Result<String, ArgumentError> {
        let mut line = self.keywords().to_owned();
        for argument in self.arguments() {
            line.push(' ');
            quote_into(&mut line, argument)?;
        }
        line.push('\n');
        Ok(line)
    }

    /// Reads a request as `upsd` does, or returns the code with which it refuses it.
    pub fn decode(words: &[String]) -> Result<Self, ErrorCode> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let Some((keyword, rest)) = words.split_first() else {
            return Err(ErrorCode::UnknownCommand);
        };
        let one = |make: fn(String) -> Self| match rest {
            [one] => Ok(make((*one).to_owned())),
            _ => Err(ErrorCode::InvalidArgument),
        };
        let none = |request: Self| match rest {
            [] => Ok(request),
            _ => Err(ErrorCode::InvalidArgument),
        };
        match keyword.to_ascii_uppercase().as_str() {
            "VER" => none(Self::Version),
            "NETVER" | "PROTVER" => none(Self::NetworkVersion),
            "LOGOUT" => none(Self::Logout),
            "USERNAME" => one(Self::Username),
            "PASSWORD" => one(|text| Self::Password(Secret(text))),
            "LOGIN" => one(Self::Login),
            "PRIMARY" => one(Self::Primary),
            "MASTER" => one(Self::Master),
            "FSD" => one(Self::ForceShutdown),
            "LIST" => decode_list(rest),
            "GET" => decode_get(rest),
            "SET" => decode_set(rest),
            "INSTCMD" => match rest {
                [ups, command] => Ok(Self::RunCommand(text(ups), text(command), None)),
                [ups, command, parameter, ..] => {
                    Ok(Self::RunCommand(text(ups), text(command), Some(text(parameter))))
                }
                _ => Err(ErrorCode::InvalidArgument),
            },
            _ => Err(ErrorCode::UnknownCommand),
        }
    }
}

/// LIST ignores surplus words, as `upsd` does.
fn decode_list(words: &[&str]) -> Result<Request, ErrorCode> {
    let (kind, rest) = words.split_first().ok_or(ErrorCode::InvalidArgument)?;
    match (kind.to_ascii_uppercase().as_str(), rest) {
        ("UPS", _) => Ok(Request::ListUps),
        ("VAR", [ups, ..]) => Ok(Request::ListVariables(text(ups))),
        ("RW", [ups, ..]) => Ok(Request::ListWritables(text(ups))),
        ("CMD", [ups, ..]) => Ok(Request::ListCommands(text(ups))),
        ("CLIENT", [ups, ..]) => Ok(Request::ListClients(text(ups))),
        ("ENUM", [ups, name, ..]) => Ok(Request::ListEnum(text(ups), text(name))),
        ("RANGE", [ups, name, ..]) => Ok(Request::ListRange(text(ups), text(name))),
        _ => Err(ErrorCode::InvalidArgument),
    }
}

/// GET ignores surplus words, as `upsd` does.
fn decode_get(words: &[&str]) -> Result<Request, ErrorCode> {
    let (kind, rest) = words.split_first().ok_or(ErrorCode::InvalidArgument)?;
    match (kind.to_ascii_uppercase().as_str(), rest) {
        ("VAR", [ups, name, ..]) => Ok(Request::GetVariable(text(ups), text(name))),
        ("TYPE", [ups, name, ..]) => Ok(Request::GetType(text(ups), text(name))),
        ("DESC", [ups, name, ..]) => Ok(Request::GetDescription(text(ups), text(name))),
        ("CMDDESC", [ups, name, ..]) => Ok(Request::GetCommandDescription(text(ups), text(name))),
        ("UPSDESC", [ups, ..]) => Ok(Request::GetUpsDescription(text(ups))),
        ("NUMLOGINS", [ups, ..]) => Ok(Request::GetLogins(text(ups))),
        ("TRACKING", []) => Ok(Request::GetTracking),
        ("TRACKING", [id, ..]) => Ok(Request::GetVerdict(text(id))),
        _ => Err(ErrorCode::InvalidArgument),
    }
}

fn decode_set(words: &[&str]) -> Result<Request, ErrorCode> {
    let (kind, rest) = words.split_first().ok_or(ErrorCode::InvalidArgument)?;
    match (kind.to_ascii_uppercase().as_str(), rest) {
        ("VAR", [ups, name, value, ..]) => {
            Ok(Request::SetVariable(text(ups), text(name), text(value)))
        }
        ("TRACKING", [mode]) if mode.eq_ignore_ascii_case("ON") => Ok(Request::SetTracking(true)),
        ("TRACKING", [mode]) if mode.eq_ignore_ascii_case("OFF") => Ok(Request::SetTracking(false)),
        _ => Err(ErrorCode::InvalidArgument),
    }
}

fn text(word: &str) -> String {
    word.to_owned()
}
