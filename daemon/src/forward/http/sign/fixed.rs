//! A header that is the same for every request: bearer token, password, key.

use super::{Means, basic, read, sensitive};
use crate::config::model::Auth;
use crate::forward::answer::Answer;
use reqwest::Request;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use zeroize::Zeroizing;

pub(in crate::forward::http) struct Fixed {
    auth: Auth,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Fixed {
    pub(super) fn new(auth: Auth) -> Fixed {
        Fixed { auth, header: None }
    }

    pub(super) async fn sign(&mut self, by: Means<'_>, request: &mut Request) -> Result<(), Answer> {
        let (name, value) = match &self.header {
            Some(header) => header,
            None => {
                let auth = self.auth.clone();
                self.header.insert(by.read(move || header(&auth)).await?)
            }
        };
        request.headers_mut().insert(name.clone(), value.clone());
        Ok(())
    }

    pub(super) fn forget(&mut self) {
        self.header = None;
    }
}

fn header(auth: &Auth) -> Result<(HeaderName, HeaderValue), Answer> {
    match auth {
        Auth::Basic { user, password } => {
            let password = read(password, "the password")?;
            Ok((AUTHORIZATION, basic(user, password.reveal(), "the password")?))
        }
        Auth::Header { name, value } => {
            let key = read(value, "the key")?;
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| super::problem(format!("`{name}` is not the name of a header: correct it")))?;
            Ok((name, sensitive(key.reveal().trim(), "the key")?))
        }
        Auth::Bearer(secret) => {
            let token = read(secret, "the token")?;
            let text = Zeroizing::new(format!("Bearer {}", token.reveal().trim()));
            Ok((AUTHORIZATION, sensitive(&text, "the token")?))
        }
        _ => Err(super::problem("this kind of `auth` is no fixed header: report a defect of tidegate")),
    }
}
