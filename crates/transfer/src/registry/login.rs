//! Names and passwords.

use std::{fmt, str::FromStr};

use zeroize::Zeroizing;

/// Who logs in, and with what. Printing it shows the name only.
#[derive(Clone)]
pub struct Login {
    user: String,
    secret: Secret,
}

#[derive(Clone)]
enum Secret {
    Password(Zeroizing<String>),
    /// A token for the token service, which takes the place of a password.
    Identity(Zeroizing<String>),
}

impl Login {
    /// A user with a password.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            user: user.into(),
            secret: Secret::Password(Zeroizing::new(password.into())),
        }
    }

    /// An identity token, as a login at some registries leaves it.
    pub(super) fn identity(token: impl Into<String>) -> Self {
        Self {
            user: "<token>".to_owned(),
            secret: Secret::Identity(Zeroizing::new(token.into())),
        }
    }

    /// The name.
    pub fn user(&self) -> &str {
        &self.user
    }

    pub(super) fn password(&self) -> Option<&str> {
        match &self.secret {
            Secret::Password(password) => Some(password),
            Secret::Identity(_) => None,
        }
    }

    pub(super) fn identity_token(&self) -> Option<&str> {
        match &self.secret {
            Secret::Password(_) => None,
            Secret::Identity(token) => Some(token),
        }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl FromStr for Login {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some((user, password)) if !user.is_empty() => Ok(Self::new(user, password)),
            _ => Err("`USER:PASSWORD` is expected".to_owned()),
        }
    }
}
