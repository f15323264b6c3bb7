//! `type = "aliyun"`: an HTTP trigger of Alibaba Cloud Function Compute.

use super::function;
use crate::config::field::Field;
use crate::config::model::{Aliyun, Auth, Content, Http};
use crate::config::reader::Section;
use crate::config::{schema, secrets};

pub(super) fn read(section: Section<'_>) -> Option<Http> {
    section.get("type");
    let url = function::url(&section, "https://ingest-abc.eu-central-1.fcapp.run/");
    let auth = section.get("auth").map_or(Some(Auth::None), |field| auth(&field).map(Auth::Aliyun));
    let http = function::read(&section, Content::Structured, function::ca(&section));
    section.finish();
    Some(Http { url: url?, auth: auth?, ..http })
}

fn auth(field: &Field<'_>) -> Option<Aliyun> {
    let example =
        "auth = { access_key_id = \"LTAI…\", access_key_secret = { file = \"access-key-secret\" } }";
    let section = field.section(&schema::AUTH_ALIYUN, example)?;
    let id = function::text(&section, "access_key_id", "LTAI…");
    let secret = function::secret(&section, "access_key_secret");
    let token = section.get("security_token").map(|field| secrets::read(&field));
    section.finish();
    let token = match token {
        Some(token) => Some(token?),
        None => None,
    };
    Some(Aliyun { id: id?, secret: secret?, token })
}
