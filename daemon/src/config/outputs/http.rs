//! `type = "http"`: any HTTP function; also OpenFaaS, Knative and what else takes CloudEvents.

use super::{auth, function};
use crate::config::model::{Auth, Content, Http};
use crate::config::reader::Section;
use crate::config::tls;

pub(super) fn read(section: Section<'_>) -> Option<Http> {
    section.get("type");
    let url = function::url(&section, "https://functions.example/ingest");
    let auth = section.get("auth").map_or(Some(Auth::None), |field| auth::read(&field));
    if let Some(auth) = &auth {
        function::warn_of_plain_http(&section, auth);
    }
    let mode = section.get("mode");
    let modes = [("structured", Content::Structured), ("binary", Content::Binary)];
    let content = section.choice("mode", &modes).unwrap_or(Content::Structured);
    if let (Content::Binary, Some(mode)) = (content, mode)
        && section.has("batch")
    {
        mode.bad("holds one event per request", "remove `batch`, or take mode = \"structured\"");
    }
    let http = function::read(&section, content, tls::read(&section).unwrap_or_default());
    section.finish();
    Some(Http { url: url?, auth: auth?, ..http })
}
