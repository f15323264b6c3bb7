//! Credentials that are read: from the environment, from secrets, or from the file that the AWS tools share.

use super::super::{problem, read};
use super::file;
use crate::config::model::{AwsCredentials, Secret};
use crate::forward::answer::Answer;
use aws_credential_types::Credentials;

/// Reads them; blocks for as long as the file system does.
pub(super) fn keys(from: &AwsCredentials) -> Result<Credentials, Answer> {
    let made = |id: &str, secret: &str, session: Option<&str>| {
        Credentials::new(id, secret, session.map(str::to_owned), None, "tidegate")
    };
    match from {
        AwsCredentials::Environment => {
            let read = |name: &str| read(&Secret::Env(name.into()), "the credential");
            let session = std::env::var_os("AWS_SESSION_TOKEN").map(|_| read("AWS_SESSION_TOKEN"));
            let session = session.transpose()?;
            let (id, secret) = (read("AWS_ACCESS_KEY_ID")?, read("AWS_SECRET_ACCESS_KEY")?);
            Ok(made(id.reveal(), secret.reveal(), session.as_ref().map(|token| token.reveal())))
        }
        AwsCredentials::Keys { id, secret, session } => {
            let session = session.as_ref().map(|token| read(token, "the session token")).transpose()?;
            let secret = read(secret, "the secret access key")?;
            Ok(made(id, secret.reveal().trim(), session.as_ref().map(|token| token.reveal().trim())))
        }
        AwsCredentials::File { path, profile } => {
            let text = read(&Secret::File(path.clone()), "the credentials file")?;
            let found = file::profile(text.reveal(), profile).map_err(|why| {
                problem(format!("the credentials file {}: {why}. Everything is kept", path.display()))
            })?;
            Ok(made(found.id, found.secret, found.session))
        }
        AwsCredentials::Iot(_) => {
            Err(problem("credentials of AWS IoT are not read but asked for: report a defect of tidegate"))
        }
    }
}
