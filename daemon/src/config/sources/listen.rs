//! `type = "listen"`: sensors connect to us.

use crate::config::broker::login;
use crate::config::buffer::address;
use crate::config::field::Field;
use crate::config::model::{Listen, Login};
use crate::config::reader::Section;
use crate::config::schema;
use crate::config::tls;
use crate::limits::{CLIENT_RATE_MAX, CLIENT_RECEIVE_MAX, CLIENTS_MAX, PACKET_BYTES_LIMIT, PACKET_BYTES_MAX};
use std::net::SocketAddr;
use std::ops::Range;

pub(super) fn read(section: Section<'_>) -> Listen {
    section.get("type");
    let field = section.get("listen");
    let listen = field.as_ref().and_then(|field| address(field, "0.0.0.0:1883"));
    let unread = field.is_some() && listen.is_none();
    let listen = listen.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 1883)));
    let users = section.get("users").map(|field| users(&field));
    if users.is_none() && !unread && !listen.ip().is_loopback() {
        let at = field.as_ref().map_or(section.span.clone(), |field| field.span.clone());
        section
            .cx
            .warning(at, "this listener asks for no password")
            .label("everybody on this network can publish")
            .help("add users = [{ username = \"…\", password = { file = \"…\" } }], unless the network is yours alone")
            .report();
    }
    let refuse = section.choice("subscriptions", &[("accept-and-ignore", false), ("refuse", true)]);
    let clients = section.integer("max_clients", 1..=100_000);
    let packet = section.size("max_packet", 1_024..=PACKET_BYTES_LIMIT);
    let rate = section.integer("max_rate", 1..=10_000_000);
    let receive = section.integer("receive_maximum", 1..=i64::from(u16::MAX));
    let tls = tls::read(&section);
    if let (Some(tls), Some(ca)) = (&tls, section.get("ca"))
        && tls.cert.is_none()
        && !section.has("cert")
    {
        ca.bad(
            "needs `cert` and `key`",
            "a listener with TLS shows a certificate of its own; `ca` says who may sign the sensors' ones",
        );
    }
    section.finish();
    Listen {
        listen,
        tls,
        users: users.unwrap_or_default(),
        refuse_subscriptions: refuse.unwrap_or(false),
        clients_max: clients.and_then(|n| usize::try_from(n).ok()).unwrap_or(CLIENTS_MAX),
        packet_bytes_max: packet.and_then(|n| usize::try_from(n).ok()).unwrap_or(PACKET_BYTES_MAX),
        rate_max: rate.and_then(|n| u32::try_from(n).ok()).unwrap_or(CLIENT_RATE_MAX),
        receive_max: receive.and_then(|n| u16::try_from(n).ok()).unwrap_or(CLIENT_RECEIVE_MAX),
    }
}

fn users(field: &Field<'_>) -> Vec<Login> {
    let mut users: Vec<(Login, Range<usize>)> = Vec::new();
    for element in field.elements() {
        let example = "users = [{ username = \"esp32\", password = { file = \"esp32-password\" } }]";
        let Some(section) = element.section(&schema::USER, example) else { continue };
        section.require("username", "username = \"esp32\"");
        section.require("password", "password = { file = \"esp32-password\" }");
        let login = login(&section);
        section.finish();
        let Some(login) = login else { continue };
        if let Some((_, first)) = users.iter().find(|(known, _)| known.user == login.user) {
            field
                .cx
                .error(element.span.clone(), format!("the user `{}` is listed twice", login.user))
                .label("again here")
                .also(first.clone(), "first here")
                .help("remove one of them")
                .report();
        }
        users.push((login, element.span));
    }
    users.into_iter().map(|(login, _)| login).collect()
}
