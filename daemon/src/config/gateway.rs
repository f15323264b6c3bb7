//! `[gateway]`: who we are and where the store is.

use super::context::Context;
use super::reader::Section;
use super::schema;
use std::path::PathBuf;

/// Names that every fresh installation has, so that two gateways would share one.
const COMMON_NAMES: &[&str] = &["raspberrypi", "localhost", "debian", "raspberry", "armbian", "gateway"];

pub(super) struct Gateway {
    pub(super) id: String,
    pub(super) data_dir: PathBuf,
    /// Known to the time-zone database.
    pub(super) timezone: String,
}

pub(super) fn read(root: &Section<'_>) -> Gateway {
    let cx = root.cx;
    let section = root.get("gateway").and_then(|field| field.section(&schema::GATEWAY, "[gateway]"));
    let Some(section) = section else {
        return Gateway {
            id: default_id(cx),
            data_dir: default_data_dir(cx),
            timezone: default_timezone(cx),
        };
    };
    let id = id(&section);
    let data_dir = section.get("data_dir").and_then(|field| field.filled()).map(|dir| cx.path(dir));
    let timezone = section.get("timezone").and_then(|field| field.zone());
    section.finish();
    Gateway {
        id,
        data_dir: data_dir.unwrap_or_else(|| default_data_dir(cx)),
        timezone: timezone.unwrap_or_else(|| default_timezone(cx)),
    }
}

fn id(section: &Section<'_>) -> String {
    let Some(field) = section.get("id") else { return default_id(section.cx) };
    let Some(id) = field.filled() else { return default_id(section.cx) };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if id.len() > 64 || !id.chars().all(plain) {
        field.bad(
            "has to be made of letters, digits, `.`, `_` and `-`, at most 64 of them",
            "write greenhouse-7",
        );
    } else if COMMON_NAMES.contains(&id) {
        section
            .cx
            .warning(field.span.clone(), format!("many gateways are called `{id}`"))
            .label("tells nobody which one this is")
            .help("name it after its place: id = \"greenhouse-7\"")
            .report();
    }
    id.to_owned()
}

fn default_id(cx: &Context<'_>) -> String {
    let id = cx.env.gateway_id();
    if COMMON_NAMES.contains(&id.as_str()) {
        cx.file_warning(format!("this gateway is called `{id}`, as many are"))
            .help("name it after its place: id = \"greenhouse-7\" under [gateway]")
            .report();
    }
    id
}

fn default_data_dir(cx: &Context<'_>) -> PathBuf {
    cx.env.state_directory.clone().unwrap_or_else(|| PathBuf::from("./tidegate-data"))
}

/// That of the machine, so that a day is what its owner calls a day.
fn default_timezone(cx: &Context<'_>) -> String {
    let machine = cx.env.timezone.clone().filter(|name| jiff::tz::TimeZone::get(name).is_ok());
    machine.unwrap_or_else(|| "UTC".to_owned())
}
