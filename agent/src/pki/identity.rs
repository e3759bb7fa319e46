//! What a certificate says about its holder: a URI such as `curfew://home/host/k8s-1`.

use std::fmt;
use std::str::FromStr;

/// Who holds a certificate.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Identity {
    cluster: String,
    subject: Subject,
}

/// In what role.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Subject {
    /// The one who signs all others.
    Authority,
    /// A host of the cluster file, by its name there.
    Host(String),
    /// A person who may give commands.
    Operator(String),
}

/// Why a name or URI is no identity.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum IdentityError {
    /// A name has a character that is not allowed, or too many.
    #[error(
        "the name {0:?} is not of 1 to {NAME_LEN} letters, digits, dots, hyphens or underscores, \
         the first a letter or digit"
    )]
    Name(String),
    /// The URI is not one of ours.
    #[error("{0:?} is not curfew://CLUSTER/host/NAME or curfew://CLUSTER/operator/NAME")]
    Form(String),
}

impl Identity {
    /// Names `subject` in `cluster`.
    pub fn new(cluster: &str, subject: Subject) -> Result<Self, IdentityError> {
        check_name(cluster)?;
        match &subject {
            Subject::Authority => {}
            Subject::Host(name) | Subject::Operator(name) => check_name(name)?,
        }
        Ok(Self { cluster: cluster.to_owned(), subject })
    }

    /// Returns the name of the cluster.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Returns the role, with the name in it.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Returns the host's name if this is a host.
    pub fn as_host(&self) -> Option<&str> {
        match &self.subject {
            Subject::Host(name) => Some(name),
            Subject::Authority | Subject::Operator(_) => None,
        }
    }

    /// Returns the operator's name if this is an operator.
    pub fn as_operator(&self) -> Option<&str> {
        match &self.subject {
            Subject::Operator(name) => Some(name),
            Subject::Authority | Subject::Host(_) => None,
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cluster, subject } = self;
        match subject {
            Subject::Authority => write!(f, "{SCHEME}{cluster}/authority"),
            Subject::Host(name) => write!(f, "{SCHEME}{cluster}/host/{name}"),
            Subject::Operator(name) => write!(f, "{SCHEME}{cluster}/operator/{name}"),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authority => f.write_str("the authority"),
            Self::Host(name) => write!(f, "host {name}"),
            Self::Operator(name) => write!(f, "operator {name}"),
        }
    }
}

impl FromStr for Identity {
    type Err = IdentityError;

    fn from_str(uri: &str) -> Result<Self, IdentityError> {
        let form = || IdentityError::Form(uri.chars().take(URI_SHOWN_LEN).collect());
        let path = uri.strip_prefix(SCHEME).ok_or_else(form)?;
        let mut parts = path.split('/');
        let identity = match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(cluster), Some("authority"), None, None) => {
                Self::new(cluster, Subject::Authority)
            }
            (Some(cluster), Some("host"), Some(name), None) => {
                Self::new(cluster, Subject::Host(name.to_owned()))
            }
            (Some(cluster), Some("operator"), Some(name), None) => {
                Self::new(cluster, Subject::Operator(name.to_owned()))
            }
            _ => return Err(form()),
        };
        identity.map_err(|_| form())
    }
}

fn check_name(name: &str) -> Result<(), IdentityError> {
    let rest_fits = name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    let first_fits = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if first_fits && rest_fits && name.len() <= NAME_LEN {
        Ok(())
    } else {
        Err(IdentityError::Name(name.chars().take(URI_SHOWN_LEN).collect()))
    }
}

/// The scheme of our URIs.
const SCHEME: &str = "curfew://";
/// A name is also a common name (at most 64 bytes) and a host name (a label of at most 63).
const NAME_LEN: usize = 63;
/// How much of a foreign text is repeated in a message: enough to recognise it.
const URI_SHOWN_LEN: usize = 80;
